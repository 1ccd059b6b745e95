//! What is said of a profile that makes no sense: each mistake, where it is, and an exit code.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output};

use plimsoll_fleet::profile::{Severity, Source, read};
use proptest::prelude::*;

const MIB: u64 = 1 << 20;

fn plimsoll(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_plimsoll"));
    command.args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn source(text: &str) -> Source {
    Source {
        name: "test".to_owned(),
        origin: "test.toml".to_owned(),
        text: text.to_owned(),
    }
}

fn problems(text: &str) -> Vec<String> {
    let reading = read(&source(text));
    // There is a profile if, and only if, there is no error.
    assert_eq!(
        reading.profile.is_none(),
        reading.count(Severity::Error) > 0,
        "{:?}",
        reading.problems
    );
    reading.problems.iter().map(ToString::to_string).collect()
}

const GOOD: &str = r#"host = "4GB"
keep = "1GB"
[services.a]
image = "a:1"
limit = "1GB"
reservation = "512MB"
cpu = 0.5
[services.b]
image = "b:1"
limit = "1GB"
reservation = "512MB"
cpu = 1
redis = { maxmemory = "512MB" }
[policies.a]
min = "512MB"
max = "2GB"
"#;

/// `GOOD` with the first such piece replaced, and what is to be said of it.
#[rustfmt::skip]
const MISTAKES: [(&str, &str, &str); 63] = [
    ("limit = \"1GB\"", "limit = \"51x2m\"", "5:9: error: services.a.limit: \"51x2m\" is not a size"),
    ("limit = \"1GB\"", "limit = \"512Mi\"", "5:9: error: services.a.limit: \"512Mi\" is not a size"),
    ("limit = \"1GB\"", "limit = 512", "5:9: error: services.a.limit takes a size in quotes, as \"512MB\", not 512"),
    ("limit = \"1GB\"", "limit = \"0MB\"", "5:9: error: a: limit 0 B is less than docker takes, 6 MiB"),
    ("limit = \"1GB\"", "limit = \"6143KB\"", "5:9: error: a: limit 6143KiB is less than docker takes, 6 MiB"),
    ("reservation = \"512MB\"", "reservation = \"1.5GB\"", "6:15: error: a: reservation 1.5 GiB is above the limit 1 GiB"),
    ("cpu = 0.5", "cpu = -1", "7:7: error: services.a.cpu takes a number of processors from 0.001 to 1000"),
    ("cpu = 0.5", "cpu = 0.0005", "7:7: error: services.a.cpu takes a number of processors"),
    ("cpu = 0.5", "cpu = 0.3333", "7:7: error: services.a.cpu takes a number of processors"),
    ("cpu = 0.5", "cpu = nan", "7:7: error: services.a.cpu takes a number of processors"),
    ("cpu = 0.5", "cpus = 0.5", "7:1: error: unknown key \"cpus\" in services.a: known are image, limit,"),
    ("cpu = 0.5\n", "", "3:11: error: services.a has no cpu: add cpu = 0.5"),
    ("cpu = 0.5", "cpu = 0.5\nmetrics = 65536", "8:11: error: services.a.metrics takes a port from 1 to 65535, not 65536"),
    ("cpu = 0.5", "cpu = 0.5\nhealth = \"curl\"", "8:10: error: services.a.health takes a list of texts"),
    ("cpu = 0.5", "cpu = 0.5\nmonitoring = 1", "8:14: error: services.a.monitoring takes true or false, not 1"),
    ("cpu = 0.5", "cpu = 0.5\nenvironment = { PLIMSOLL_BRAKES = \"on\" }", "8:17: error: the library reads no variable PLIMSOLL_BRAKES: it reads PLIMSOLL_MEMORY_LIMIT"),
    ("cpu = 0.5", "cpu = 0.5\nenvironment = { PLIMSOLL_MEMORY_LIMIT = \"1g\" }", "8:17: warning: PLIMSOLL_MEMORY_LIMIT holds a service to this size"),
    ("cpu = 0.5", "cpu = 0.5\nenvironment = { \"a b\" = \"1g\" }", "8:17: error: \"a b\" is no name for a variable"),
    ("keep", "environment = { PLIMSOLL_BRAKES = \"on\" }\nkeep", "2:17: error: the library reads no variable PLIMSOLL_BRAKES"),
    ("image = \"a:1\"", "image = \"\"", "4:9: error: services.a.image takes a text in quotes, not \"\""),
    ("[services.b]", "[services.B_1]", "8:11: error: \"B_1\" is no name for a service"),
    ("[services.b]", "[services.a]", "8:11: error: a is there twice: say each once"),
    ("[services.b]\n", "image = \"c\"\n", "8:1: error: image is there twice: say each once"),
    ("{ maxmemory = \"512MB\" }", "{ maxmemory = \"512m\" }", "13:23: error: services.b.redis.maxmemory: to Redis \"512m\" is a number of thousands, to docker one of 1024s: write \"512MB\""),
    ("{ maxmemory = \"512MB\" }", "{ maxmemory = \"769MB\" }", "13:23: warning: b: maxmemory 769 MiB is 75 % of its container's 1 GiB, and above 75 %"),
    ("{ maxmemory = \"512MB\" }", "{ maxmemory = \"1.1GB\" }", "13:23: error: services.b.redis.maxmemory: \"1.1GB\" is not a size"),
    ("{ maxmemory = \"512MB\" }", "{ maxmemory = \"1025MB\" }", "13:23: error: b: maxmemory 1025MiB is more than its container has, 1 GiB"),
    ("{ maxmemory = \"512MB\" }", "{ maxmemory = \"0MB\" }", "13:23: error: b: maxmemory 0 is none to Redis"),
    ("{ maxmemory = \"512MB\" }", "{ policy = \"allkeys-lru\" }", "13:1: error: services.b.redis has no maxmemory: add maxmemory = \"2GB\""),
    ("{ maxmemory = \"512MB\" }", "{ maxmemory = \"512MB\", policy = \"lru\" }", "13:41: error: services.b.redis.policy: Redis has no policy \"lru\"; it has noeviction, allkeys-lru"),
    ("{ maxmemory = \"512MB\" }", "{ maxmemory = \"512MB\", save = [[900]] }", "13:39: error: services.b.redis.save takes a list of pairs of seconds and changes"),
    ("{ maxmemory = \"512MB\" }", "{ maxmemory = \"512MB\", save = [[0, 1]] }", "13:39: error: services.b.redis.save takes a list of pairs"),
    ("cpu = 0.5", "cpu = 0.5\nredis = { maxmemory = \"64MB\" }", "14:1: error: b: a second Redis"),
    ("[policies.a]", "[policies.c]", "14:11: error: a policy for \"c\", and there is no such service: there are a, b"),
    ("min = \"512MB\"", "min = \"3GB\"", "15:7: error: policies.a: min 3 GiB is above max 2 GiB"),
    ("min = \"512MB\"", "min = \"1.5GB\"", "5:9: error: a: limit 1 GiB is not within min 1.5 GiB and max 2 GiB"),
    ("min = \"512MB\"", "min = \"0MB\"", "15:7: error: policies.a: min 0 B is less than docker takes, 6 MiB"),
    ("max = \"2GB\"", "max = \"512MB\"", "5:9: error: a: limit 1 GiB is not within"),
    ("max = \"2GB\"", "max = \"3.5GB\"", "16:7: error: policies.a: max 3.5 GiB is more than the host has to give, 3 GiB"),
    ("max = \"2GB\"", "max = \"2GB\"\nup = 30\ndown = 80", "18:8: error: policies.a: down 80 is not below up 30"),
    ("max = \"2GB\"", "max = \"2GB\"\nup = 80\ndown = 80", "18:8: error: policies.a: down 80 is not below up 80"),
    ("max = \"2GB\"", "max = \"2GB\"\nup = 20", "17:6: error: policies.a: down 30 is not below up 20"),
    ("max = \"2GB\"", "max = \"2GB\"\ndown = 60", "17:8: warning: policies.a: after growth by 1.5 from up 80 % it is at 53 %, below down 60"),
    ("max = \"2GB\"", "max = \"2GB\"\nup = 101", "17:6: error: policies.a.up takes a number above 0 and at most 100, not 101"),
    ("max = \"2GB\"", "max = \"2GB\"\nfactor = 1", "17:10: error: policies.a.factor takes a number above 1 and at most 100, not 1"),
    ("max = \"2GB\"", "max = \"2GB\"\ncooldown = 1.5", "17:12: error: policies.a.cooldown takes whole seconds from 0 to 2592000, which are 30 days, not 1.5"),
    ("max = \"2GB\"", "max = \"2GB\"\nfactor = 1e300", "17:10: error: policies.a.factor takes a number above 1 and at most 100, not 1"),
    ("max = \"2GB\"", "max = \"2GB\"\nfactor = 100.5", "17:10: error: policies.a.factor takes a number above 1 and at most 100, not 100.5"),
    ("max = \"2GB\"", "max = \"2GB\"\ncooldown = 9223372036854775807", "17:12: error: policies.a.cooldown takes whole seconds from 0 to 2592000, which are 30 days, not 9223372036854775807"),
    ("max = \"2GB\"", "max = \"2GB\"\ncooldown = 2592001", "17:12: error: policies.a.cooldown takes whole seconds from 0 to 2592000"),
    ("max = \"2GB\"", "max = \"2GB\"\ncaution = 1e308", "17:11: error: policies.a.caution takes a number from 0.01 to 100, not 1"),
    ("max = \"2GB\"", "max = \"2GB\"\npriority = 9999999999", "17:12: error: policies.a.priority takes a whole number, not 9999999999"),
    ("max = \"2GB\"", "max = \"2GB\"\nstrategy = \"best\"", "17:12: error: policies.a.strategy: there is no strategy \"best\"; there are fixed, guide, vpa, floor"),
    ("[policies.a]", "[policies.b]\nmin = \"511MB\"\nmax = \"1GB\"\n[policies.a]", "15:7: error: policies.b: min 511 MiB is less than its maxmemory 512 MiB"),
    ("min = \"512MB\"\n", "", "14:11: error: policies.a has no min: add min = \"512MB\""),
    ("host = \"4GB\"", "host = \"2.5GB\"", "1:8: error: limits sum up to 2 GiB, and the host has 1.5 GiB to give (host 2.5 GiB, keep 1 GiB)"),
    ("keep = \"1GB\"", "keep = \"4GB\"", "2:8: error: keep 4 GiB leaves nothing of the host's 4 GiB"),
    ("host = \"4GB\"\n", "", "1:1: error: the profile has no host: add host = \"16GB\""),
    ("host", "hots = 1\nhost", "1:1: error: unknown key \"hots\": known are host, keep"),
    ("[policies.a]", "[policy.a]", "14:2: error: unknown key \"policy\": known are host, keep, guide_total, environment, services, policies"),
    ("host = \"4GB\"", "host = \"4GB", "1:12: error: "),
    ("[services.b]", "[services.b", "8:12: error: "),
    ("[services.b]", "services = 3\n[services.b]", "8:1: error: unknown key \"services\" in services.a"),
];

#[test]
fn each_mistake_is_named_with_its_place() {
    assert_eq!(problems(GOOD), [] as [&str; 0]);
    for (piece, instead, expected) in MISTAKES {
        assert!(GOOD.contains(piece), "{piece}");
        let text = GOOD.replacen(piece, instead, 1);
        let said = problems(&text);
        assert!(
            said.iter().any(|line| line.starts_with(expected)),
            "expected {expected}\nsaid {said:#?}\nof\n{text}"
        );
    }
}

#[test]
fn what_is_at_its_bounds_is_fine() {
    for line in [
        "factor = 100",
        "cooldown = 0",
        "cooldown = 2592000",
        "caution = 0.01",
        "caution = 100",
    ] {
        let max = format!("max = \"2GB\"\ndown = 0.1\n{line}");
        let said = problems(&GOOD.replacen("max = \"2GB\"", &max, 1));
        assert_eq!(said, [] as [&str; 0], "{line}");
    }
}

#[test]
fn a_profile_without_services_is_none() {
    let table = [
        ("services = 3", "2:12: error: services takes a table, not 3"),
        ("[services]", "2:2: error: there is no service in services"),
        ("", "1:1: error: the profile has no services: add"),
    ];
    for (line, expected) in table {
        let said = problems(&format!("host = \"4GB\"\n{line}\n"));
        assert!(said[0].starts_with(expected), "{said:?}");
        assert_eq!(said.len(), 1, "{said:?}");
    }
    assert_eq!(problems("").len(), 2);
}

#[test]
fn two_services_with_one_port_would_meet() {
    let text = GOOD.replace("cpu = 0.5", "cpu = 0.5\nmetrics = 9101");
    let text = text.replace("cpu = 1\n", "cpu = 1\nmetrics = 9101\n");
    assert_eq!(
        problems(&text),
        ["14:11: error: b: a has port 9101 already, and on the host's network they would meet"]
    );
}

#[test]
fn all_mistakes_are_named_in_the_order_of_the_file() {
    let text = GOOD
        .replace("cpu = 1\n", "cpu = \"1\"\nfoo = 1\n")
        .replace("image = \"a:1\"\n", "")
        .replace("max = \"2GB\"", "max = \"2XB\"");
    let said = problems(&text);
    let places: Vec<_> = said
        .iter()
        .map(|line| line.split(' ').next().unwrap())
        .collect();
    assert_eq!(places, ["3:11:", "11:7:", "12:1:", "16:7:"], "{said:#?}");
}

#[test]
fn what_is_said_for_all_holds_for_services_with_metrics() {
    let own = "cpu = 0.5\nmetrics = 9101\nenvironment = { PLIMSOLL_BRAKE = \"off\", A = \"1\" }";
    let all = "environment = { PLIMSOLL_BRAKE = \"on\", B = \"2\" }\nkeep";
    let text = GOOD.replace("cpu = 0.5", own).replace("keep", all);
    let profile = read(&source(&text)).profile.unwrap();
    let of = |index: usize| {
        let environment = profile.services[index].deploy.environment.iter();
        let pairs = environment.map(|(name, value)| format!("{name}={value}"));
        pairs.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(of(0), "A=1 B=2 PLIMSOLL_BRAKE=off");
    assert_eq!(of(1), "");
}

#[test]
fn exit_codes_tell_what_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &[u8]| {
        let path = directory.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let good = file("good.toml", GOOD.as_bytes());
    let bad = file(
        "bad.toml",
        GOOD.replace("cpu = 1\n", "cpu = 0\n").as_bytes(),
    );
    let binary = file("binary.toml", b"host = \"\xff\xfe\"");
    let long = file("long.toml", &vec![b'#'; (1 << 20) + 1]);
    let nowhere = directory.path().join("nowhere.toml");
    let nowhere = nowhere.to_str().unwrap();
    let folder = directory.path().to_str().unwrap();

    let none =
        "there is no such profile and no such file; name production, development, or a TOML file";
    let table: [(&[&str], i32, &str); 9] = [
        (&[&good], 0, ""),
        (&[&bad], 65, "plimsoll: 1 error in 1 profile\n"),
        (
            &[&bad, &good, &bad],
            65,
            "plimsoll: 2 errors in 2 profiles\n",
        ),
        (&[nowhere], 66, none),
        (&["prodution"], 66, "prodution: there is no such profile"),
        (&[folder], 66, "can't be read"),
        (&[&binary], 65, "byte 8 is not UTF-8"),
        (&[&long], 65, "longer than 1 MiB"),
        // What is wrong in a file counts for more than one that is missing, and both are said.
        (&[nowhere, &bad], 65, "1 error in 1 profile"),
    ];
    for (files, code, line) in table {
        let done = plimsoll(&[&["profile", "check"], files].concat());
        let said = text(&done.stderr);
        assert_eq!(done.status.code(), Some(code), "{files:?} {said}");
        assert!(said.contains(line), "{files:?} {said}");
        assert!(said.lines().count() <= 1, "{said}");
    }
    let said = text(&plimsoll(&["profile", "check", nowhere, &bad]).stdout);
    assert!(said.contains(none), "{said}");
    let place = format!("{bad}:12:7: error: services.b.cpu takes");
    assert!(said.contains(&format!("\n{place}")), "{said}");

    let verbs: [&[&str]; 4] = [
        &["profile", "show"],
        &["compose", "--profile"],
        &["redis", "--profile"],
        &["k8s", "--profile"],
    ];
    for verb in verbs {
        let done = plimsoll(&[verb, &[bad.as_str()]].concat());
        let said = text(&done.stderr);
        assert_eq!(done.status.code(), Some(65), "{verb:?} {said}");
        assert!(said.contains(&place), "{verb:?} {said}");
        assert_eq!(text(&done.stdout), "");
    }
}

#[test]
fn what_belongs_to_others_is_no_permission() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can become somebody else");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let within = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    // Others may enter this folder, and perhaps not that of builds.
    let open = fs::Permissions::from_mode(0o755);
    fs::set_permissions(directory.path(), open).unwrap();
    let (copy, profile, out) = (within("plimsoll"), within("mine.toml"), within("deploy"));
    fs::copy(env!("CARGO_BIN_EXE_plimsoll"), &copy).unwrap();
    fs::write(&profile, GOOD).unwrap();
    fs::set_permissions(&profile, fs::Permissions::from_mode(0o600)).unwrap();

    let unread = format!("{profile}: no permission to read this profile");
    let unwritten = format!("can't write {out}/");
    let table: [(&[&str], &str); 8] = [
        (&["profile", "check", &profile], &unread),
        (&["profile", "show", &profile], &unread),
        (&["compose", "--profile", &profile], &unread),
        (&["redis", "--profile", &profile], &unread),
        (&["k8s", "--profile", &profile], &unread),
        (&["up", "--profile", &profile], &unread),
        (&["scale", "--profile", &profile], &unread),
        (&["compose", "--out", &out], &unwritten),
    ];
    for (arguments, line) in table {
        let mut command = Command::new(&copy);
        let done = command.args(arguments).uid(65534).gid(65534).output();
        let done = done.unwrap();
        let said = [text(&done.stdout), text(&done.stderr)].concat();
        assert_eq!(done.status.code(), Some(77), "{arguments:?} {said}");
        assert!(said.contains(line), "{arguments:?} {said}");
    }
    assert!(!Path::new(&out).exists());
}

proptest! {
    // Whatever a file holds: an answer, and one that agrees with itself (`problems` asserts it).
    #[test]
    fn any_text_has_an_answer(text in "\\PC{0,200}") {
        problems(&text);
    }

    #[test]
    fn any_damage_has_an_answer(at in 0..GOOD.len(), cut in 0..40_usize, put in "[\\[\\]=\"a-c0-9.\n ]{0,6}") {
        let end = (at + cut).min(GOOD.len());
        problems(&format!("{}{put}{}", &GOOD[..at], &GOOD[end..]));
    }

    #[test]
    fn a_size_that_is_written_is_read(mib in 512..2048_u64) {
        let limit = format!("limit = \"{mib}MB\"");
        let text = GOOD.replacen("limit = \"1GB\"", &limit, 1);
        let profile = read(&source(&text)).profile.unwrap();
        prop_assert_eq!(profile.services[0].limit_bytes, mib * MIB);
        prop_assert_eq!(profile.limits_bytes(), (mib + 1024) * MIB);
    }
}
