//! What is in `deploy/`, and what compose and Prometheus make of it.
//!
//! `PLIMSOLL_TEST_REGENERATE=1 cargo test -p plimsoll-fleet --test compose` writes the files anew.

mod tool;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use plimsoll_fleet::profile::{Profile, load};
use plimsoll_fleet::size;
use plimsoll_fleet::write::{deployment, k8s};
use serde_yaml_ng::Value;

const REGENERATE: &str = "PLIMSOLL_TEST_REGENERATE";
const BASE: &str = "docker-compose.yml";
const DEVELOPMENT: &str = "docker-compose.dev.yml";
const MONITORING: &str = "docker-compose.monitoring.yml";
/// What services want to hear before they clean up: whoever starts compose says it, and tells the scaler the same.
const TOKEN: &str = "SERVICE_CLEANUP_TOKEN";
const TOKEN_VALUE: &str = "${PLIMSOLL_CLEANUP_TOKEN:-}";

fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy")
}

fn shipped() -> [Profile; 2] {
    ["production", "development"].map(|name| load(name).unwrap())
}

fn compose(name: &str) -> Value {
    let file = deploy().join("compose").join(name);
    serde_yaml_ng::from_str(&fs::read_to_string(file).unwrap()).unwrap()
}

fn plimsoll(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_plimsoll"));
    command.args(arguments).output().unwrap()
}

/// That the sizes of each service are those of the profile, whoever wrote them down.
fn assert_sizes(services: &Value, profile: &Profile, monitoring: bool) {
    let of_it = profile
        .services
        .iter()
        .filter(|it| it.deploy.monitoring == monitoring);
    for service in of_it {
        let entry = &services[service.name.as_str()];
        let bytes = |key: &str| match &entry[key] {
            Value::Number(bytes) => bytes.as_u64().unwrap(),
            text => {
                size::parse(text.as_str().unwrap_or_else(|| panic!("{key}: {entry:?}"))).unwrap()
            }
        };
        assert_eq!(bytes("mem_limit"), service.limit_bytes, "{}", service.name);
        assert_eq!(
            bytes("memswap_limit"),
            service.limit_bytes,
            "{}",
            service.name
        );
        assert_eq!(
            bytes("mem_reservation"),
            service.reservation_bytes,
            "{}",
            service.name
        );
        let cpus = entry["cpus"].as_f64().unwrap();
        assert_eq!(
            (cpus * 1000.0).round() as u32,
            service.cpu_milli,
            "{}",
            service.name
        );
    }
}

#[test]
fn the_files_are_as_the_profiles_say() {
    let [production, development] = shipped();
    let mut files = deployment(&production, &development);
    files.push(plimsoll_fleet::write::WrittenFile {
        path: "k8s/production.yml".to_owned(),
        text: k8s::manifest(&production),
    });
    for file in files {
        let path = deploy().join(&file.path);
        if std::env::var_os(REGENERATE).is_some() {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, &file.text).unwrap();
        }
        let there = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            there == file.text,
            "{} is stale: run this test with {REGENERATE}=1",
            file.path
        );
    }
}

#[test]
fn each_service_has_its_sizes_its_name_and_its_checks() {
    let [production, development] = shipped();
    let base = compose(BASE);
    assert_sizes(&base["services"], &production, false);
    assert_sizes(&compose(DEVELOPMENT)["services"], &development, false);
    assert_sizes(&compose(MONITORING)["services"], &production, true);
    let names = base["services"].as_mapping().unwrap().keys();
    let names: Vec<_> = names.map(|name| name.as_str().unwrap()).collect();
    let guide = [
        "redis",
        "exchange-intl",
        "exchange-kr",
        "blockchain",
        "telegram",
        "news",
        "fusion",
        "pusher",
        "dashboard",
    ];
    assert_eq!(names, guide);
    for name in guide {
        let entry = &base["services"][name];
        assert_eq!(entry["container_name"], format!("crypto-{name}").as_str());
        assert_eq!(entry["restart"], "unless-stopped");
        assert_eq!(entry["healthcheck"]["test"][0], "CMD");
        assert_eq!(entry["labels"]["plimsoll.service"], name);
        assert!(entry.get("deploy").is_none(), "sizes are said once");
        if name == "redis" {
            continue;
        }
        let port = entry["labels"]["plimsoll.metrics.port"].as_str().unwrap();
        assert_eq!(entry["labels"]["prometheus.io/port"], port);
        let command = entry["command"].as_sequence().unwrap();
        assert!(command.contains(&Value::from(port)), "{command:?}");
        let variables = entry["environment"].as_mapping().unwrap();
        assert_eq!(variables[TOKEN], TOKEN_VALUE);
        for (variable, _) in variables.iter().filter(|(name, _)| *name != TOKEN) {
            let known = plimsoll::ENVIRONMENT.iter().map(|known| known.name);
            assert!(
                known.into_iter().any(|known| variable == known),
                "{variable:?}"
            );
            // What the scaler gives a container would not reach the service.
            assert_ne!(variable, "PLIMSOLL_MEMORY_LIMIT");
        }
    }
}

#[test]
fn development_says_only_what_is_otherwise() {
    let base = compose(BASE);
    for (name, entry) in compose(DEVELOPMENT)["services"].as_mapping().unwrap() {
        for (key, value) in entry.as_mapping().unwrap() {
            assert_ne!(base["services"][name].get(key), Some(value), "{name:?}");
        }
    }
}

#[test]
fn what_is_mounted_is_there() {
    let mut seen = 0;
    for name in [BASE, DEVELOPMENT, MONITORING] {
        for (_, entry) in compose(name)["services"].as_mapping().unwrap() {
            let volumes = entry.get("volumes").and_then(Value::as_sequence);
            for volume in volumes.into_iter().flatten() {
                let (source, _) = volume.as_str().unwrap().split_once(':').unwrap();
                if source.starts_with("..") {
                    assert!(deploy().join("compose").join(source).exists(), "{source}");
                    seen += 1;
                }
            }
        }
    }
    assert_eq!(seen, 6);
}

#[test]
fn prometheus_scrapes_each_service_by_its_name() {
    let text = fs::read_to_string(deploy().join("prometheus/prometheus.fleet.yml")).unwrap();
    let config: Value = serde_yaml_ng::from_str(&text).unwrap();
    let jobs = config["scrape_configs"].as_sequence().unwrap().iter();
    let jobs: Vec<_> = jobs
        .map(|job| {
            let target = job["static_configs"][0]["targets"][0].as_str().unwrap();
            format!("{} {target}", job["job_name"].as_str().unwrap())
        })
        .collect();
    let expected = [
        "redis redis-exporter:9121",
        "exchange-intl exchange-intl:9101",
        "exchange-kr exchange-kr:9102",
        "blockchain blockchain:9103",
        "telegram telegram:9104",
        "news news:9105",
        "fusion fusion:9106",
        "pusher pusher:9107",
        "dashboard dashboard:9108",
        "cadvisor cadvisor:8080",
    ];
    assert_eq!(jobs, expected);
    if tool::there("promtool", "prometheus") {
        let done = tool::run(
            &deploy().join("prometheus"),
            "promtool",
            &["check", "config", "prometheus.fleet.yml"],
        );
        assert!(done.status.success(), "{done:?}");
    }
}

#[test]
fn a_token_of_the_profile_is_the_service_s_own() {
    let [mut production, development] = shipped();
    let own = (TOKEN.to_owned(), "costs-5$-and-more".to_owned());
    for service in &mut production.services {
        if service.name == "fusion" {
            service.deploy.environment = vec![own.clone()];
        }
    }
    let base = deployment(&production, &development).swap_remove(0);
    let base: Value = serde_yaml_ng::from_str(&base.text).unwrap();
    let [redis, fusion] = ["redis", "fusion"].map(|name| &base["services"][name]["environment"]);
    assert_eq!(fusion[TOKEN], "costs-5$$-and-more");
    assert!(redis.is_null(), "without metrics nobody is asked");
}

#[test]
fn docker_compose_passes_the_token_on() {
    if !tool::there("docker-compose", "docker-compose") {
        return;
    }
    for (set, expected) in [
        (None, ""),
        (Some("of-sixteen-letters"), "of-sixteen-letters"),
    ] {
        for files in [&[BASE][..], &[BASE, DEVELOPMENT]] {
            let mut command = Command::new("timeout");
            command.args(["--kill-after=5", "60", "docker-compose"]);
            command.current_dir(deploy().join("compose"));
            command
                .args(files.iter().flat_map(|file| ["-f", file]))
                .arg("config");
            command.env_remove("PLIMSOLL_CLEANUP_TOKEN");
            command.envs(set.map(|token| ("PLIMSOLL_CLEANUP_TOKEN", token)));
            let done = command.output().unwrap();
            assert!(done.status.success(), "{done:?}");
            let merged: Value = serde_yaml_ng::from_slice(&done.stdout).unwrap();
            for name in ["fusion", "news"] {
                assert_eq!(merged["services"][name]["environment"][TOKEN], expected);
            }
            assert!(merged["services"]["redis"].get("environment").is_none());
        }
    }
}

/// `docker-compose -f .. config`: merged, after the check against the schema that it comes with.
fn config(directory: &Path, files: &[&str]) -> Output {
    let mut arguments: Vec<_> = files.iter().flat_map(|file| ["-f", file]).collect();
    arguments.push("config");
    tool::run(directory, "docker-compose", &arguments)
}

#[test]
fn docker_compose_merges_them_to_what_the_profiles_say() {
    if !tool::there("docker-compose", "docker-compose") {
        return;
    }
    let [production, development] = shipped();
    let directory = deploy().join("compose");
    let table: [(&[&str], &Profile, usize); 4] = [
        (&[BASE], &production, 9),
        (&[BASE, DEVELOPMENT], &development, 9),
        (&[BASE, MONITORING], &production, 13),
        (&[BASE, DEVELOPMENT, MONITORING], &development, 13),
    ];
    for (files, profile, count) in table {
        let done = config(&directory, files);
        assert!(done.status.success(), "{done:?}");
        let merged: Value = serde_yaml_ng::from_slice(&done.stdout).unwrap();
        assert_eq!(merged["services"].as_mapping().unwrap().len(), count);
        assert_sizes(&merged["services"], profile, false);
        let redis = merged["services"]["redis"]["volumes"]
            .as_sequence()
            .unwrap();
        let conf = format!("redis/{}.conf:", profile.name);
        let mounts = redis.iter().map(|mount| mount.as_str().unwrap());
        let mounts: Vec<_> = mounts.filter(|mount| mount.contains(".conf")).collect();
        assert!(mounts.len() == 1 && mounts[0].contains(&conf), "{mounts:?}");
    }
}

#[test]
fn docker_compose_refuses_what_it_does_not_know() {
    if !tool::there("docker-compose", "docker-compose") {
        return;
    }
    let scratch = tempfile::tempdir().unwrap();
    let good = fs::read_to_string(deploy().join("compose").join(BASE)).unwrap();
    fs::write(scratch.path().join("good.yml"), &good).unwrap();
    fs::write(
        scratch.path().join("bad.yml"),
        good.replace("mem_limit", "memory_limit"),
    )
    .unwrap();
    assert!(config(scratch.path(), &["good.yml"]).status.success());
    let done = config(scratch.path(), &["bad.yml"]);
    assert!(!done.status.success());
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(said.contains("memory_limit"), "{said}");
}

/// Profiles of one's own: what development lacks is not started, what it has more is, and what is empty there is not inherited, but for the health check.
#[test]
fn development_may_differ_in_anything() {
    let [mut production, mut development] = shipped();
    let index = |profile: &Profile, name: &str| {
        profile
            .services
            .iter()
            .position(|it| it.name == name)
            .unwrap()
    };
    let more = production.services.remove(index(&production, "news"));
    development.services.remove(index(&development, "pusher"));
    let at = index(&development, "fusion");
    let fusion = &mut development.services[at].deploy;
    fusion.health.clear();
    fusion.command = vec!["--price".to_owned(), "5$".to_owned()];
    fusion.environment = vec![("A".to_owned(), "off".to_owned())];
    let files = deployment(&production, &development);
    let scratch = tempfile::tempdir().unwrap();
    for file in &files[..2] {
        let name = Path::new(&file.path).file_name().unwrap();
        fs::write(scratch.path().join(name), &file.text).unwrap();
    }
    let overlay: Value = serde_yaml_ng::from_str(&files[1].text).unwrap();
    let of = |name: &str| &overlay["services"][name];
    assert_eq!(of("news")["image"], more.image.as_str());
    assert_eq!(of("pusher")["profiles"][0], "production");
    assert!(of("fusion").get("healthcheck").is_none());
    assert_eq!(of("fusion")["command"][1], "5$$");
    assert_eq!(of("fusion")["environment"]["A"], "off");
    assert_eq!(
        of("fusion")["environment"]["PLIMSOLL_CLEANUP_THRESHOLD"],
        ""
    );

    if tool::there("docker-compose", "docker-compose") {
        let done = config(scratch.path(), &[BASE, DEVELOPMENT]);
        assert!(done.status.success(), "{done:?}");
        let merged: Value = serde_yaml_ng::from_slice(&done.stdout).unwrap();
        assert_eq!(merged["services"]["fusion"]["environment"]["A"], "off");
        assert_eq!(merged["services"]["fusion"]["command"][1], "5$$");
    }
}

#[test]
fn the_command_writes_and_checks() {
    let scratch = tempfile::tempdir().unwrap();
    let out = scratch.path().join("new/deploy");
    let out = out.to_str().unwrap();
    let code = |done: &Output| done.status.code();
    let stderr = |done: &Output| String::from_utf8(done.stderr.clone()).unwrap();

    let done = plimsoll(&["compose", "--check", "--out", out]);
    assert_eq!(code(&done), Some(1));
    assert!(
        stderr(&done).contains("docker-compose.monitoring.yml"),
        "{done:?}"
    );
    assert!(!Path::new(out).exists(), "a check writes nothing");

    let done = plimsoll(&["compose", "--out", out]);
    assert_eq!(code(&done), Some(0), "{done:?}");
    let said = String::from_utf8(done.stdout).unwrap();
    assert_eq!(said.matches(": written\n").count(), 10, "{said}");
    let files = walk(Path::new(out));
    assert_eq!(files.len(), 10, "nothing else is left: {files:?}");
    for file in &files {
        let shipped = deploy().join(file.strip_prefix(out).unwrap());
        assert!(
            fs::read(file).unwrap() == fs::read(shipped).unwrap(),
            "{file:?}"
        );
    }
    assert_eq!(
        code(&plimsoll(&["compose", "--check", "--out", out])),
        Some(0)
    );
    let done = plimsoll(&["compose", "--out", out]);
    let said = String::from_utf8(done.stdout).unwrap();
    assert_eq!(said.matches(": as it was\n").count(), 10, "{said}");

    let file = Path::new(out).join("compose/docker-compose.dev.yml");
    fs::write(
        &file,
        fs::read_to_string(&file).unwrap().replace("384m", "385m"),
    )
    .unwrap();
    let done = plimsoll(&["compose", "--check", "--out", out]);
    assert_eq!(code(&done), Some(1));
    let expected = format!(
        "plimsoll: not as the profiles say: {}; `plimsoll compose` writes them\n",
        file.display()
    );
    assert_eq!(stderr(&done), expected);

    let done = plimsoll(&["compose", "--out", "/dev/null/deploy"]);
    assert_eq!(code(&done), Some(73), "{done:?}");
    assert!(
        stderr(&done)
            .starts_with("plimsoll: can't write /dev/null/deploy/compose/docker-compose.yml: "),
        "{done:?}"
    );

    let done = plimsoll(&["compose", "--development", "production", "--out", out]);
    assert_eq!(code(&done), Some(64), "{done:?}");
    assert!(
        stderr(&done).contains("both profiles are called production"),
        "{done:?}"
    );
}

fn walk(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(walk(&path));
        } else {
            files.push(path);
        }
    }
    files
}
