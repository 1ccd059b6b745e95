//! The shipped profiles are the guide's tables, and how they are shown.

use std::process::{Command, Output, Stdio};

use plimsoll_fleet::profile::{Policy, Strategy, load};

const MIB: u64 = 1 << 20;

fn plimsoll(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_plimsoll"));
    command.args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn the_shipped_profiles_are_the_guides_tables() {
    // Name, limit and reservation in MiB, thousandths of a processor.
    let production = [
        ("redis", 2048, 1024, 1000),
        ("exchange-intl", 512, 256, 500),
        ("exchange-kr", 512, 256, 500),
        ("blockchain", 768, 384, 500),
        ("telegram", 768, 384, 500),
        ("news", 384, 192, 300),
        ("fusion", 1536, 768, 1000),
        ("pusher", 384, 192, 300),
        ("dashboard", 512, 256, 500),
        ("prometheus", 1024, 512, 500),
        ("grafana", 512, 256, 300),
    ];
    let development = [
        ("redis", 512, 128, 500),
        ("exchange-intl", 256, 64, 300),
        ("exchange-kr", 256, 64, 300),
        ("blockchain", 384, 128, 300),
        ("telegram", 384, 128, 300),
        ("news", 192, 64, 200),
        ("fusion", 512, 256, 500),
        ("pusher", 192, 64, 200),
        ("dashboard", 256, 128, 300),
    ];
    let tables = [
        ("production", 16 << 30, &production[..]),
        ("development", 8 << 30, &development),
    ];
    for (name, host_bytes, table) in tables {
        let profile = load(name).unwrap();
        assert_eq!(
            (profile.name.as_str(), profile.host_bytes),
            (name, host_bytes)
        );
        let services: Vec<_> = profile
            .services
            .iter()
            .map(|it| {
                let [limit, reservation] = [it.limit_bytes, it.reservation_bytes];
                assert!(limit % MIB == 0 && reservation % MIB == 0);
                (
                    it.name.as_str(),
                    limit / MIB,
                    reservation / MIB,
                    it.cpu_milli,
                )
            })
            .collect();
        assert_eq!(services, table, "{name}");
        let fusion = profile.services.iter().find(|it| it.name == "fusion");
        let policy = &fusion.unwrap().policy;
        let guide = Policy {
            strategy: Strategy::Floor,
            min_bytes: 512 * MIB,
            max_bytes: 3072 * MIB,
            up_percent: 80.0,
            down_percent: 30.0,
            factor: 1.5,
            cooldown_s: 300,
            ..policy.clone().unwrap()
        };
        assert_eq!(policy, &Some(guide), "{name}");
    }
}

#[test]
fn the_shipped_redis_is_the_guides() {
    let redis = |name| {
        let services = load(name).unwrap().services;
        let redis = services.into_iter().find_map(|it| it.redis).unwrap();
        (
            redis.maxmemory_bytes / MIB,
            redis.maxmemory_policy,
            redis.save,
            redis.appendonly,
        )
    };
    let lru = "allkeys-lru".to_owned();
    assert_eq!(
        redis("production"),
        (2048, lru.clone(), vec![(900, 1), (300, 10)], true)
    );
    assert_eq!(redis("development"), (512, lru, vec![], false));
}

#[test]
fn the_shipped_profiles_pass_with_one_warning_each() {
    let done = plimsoll(&["profile", "check"]);
    let said = text(&done.stdout);
    assert_eq!(done.status.code(), Some(0), "{said}");
    assert_eq!(said.matches(": warning: ").count(), 2, "{said}");
    assert_eq!(said.matches(": error: ").count(), 0, "{said}");
    for part in [
        "deploy/profiles/production.toml:24:23: warning: redis: maxmemory 2 GiB is 100 % of its container's 2 GiB",
        "AOF rewrite copies each page",
        "11 services, limits 8.75 GiB (the guide rounds to ~8.5GB), reservations 4.38 GiB, host 16 GiB",
        "9 services, limits 2.88 GiB (the guide rounds to ~3GB), reservations 1 GiB, host 8 GiB",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn show_prints_the_table() {
    let done = plimsoll(&["profile", "show", "development"]);
    let said = text(&done.stdout);
    assert_eq!(done.status.code(), Some(0));
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(
        lines[7],
        "fusion          512 MiB      256 MiB  0.5  512 MiB and 3 GiB    crypto/fusion:1"
    );
    assert_eq!(lines[10], "total          2.88 GiB        1 GiB  2.9");
}

#[test]
fn a_reader_that_closes_early_ends_it_quietly() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_plimsoll"));
    command.args(["profile", "show"]);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let done = child.wait_with_output().unwrap();
    assert_eq!(
        (done.status.code(), text(&done.stderr)),
        (Some(0), String::new())
    );
}
