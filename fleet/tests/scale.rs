//! `plimsoll scale` as a command: what it says of bad input, its exit codes, and its end.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use tempfile::TempDir;

fn file(folder: &TempDir, name: &str) -> String {
    folder.path().join(name).to_str().unwrap().to_owned()
}

fn scale(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_plimsoll"));
    command
        .arg("scale")
        .args(args)
        .env_remove("DOCKER_HOST")
        .env_remove("PLIMSOLL_CLEANUP_TOKEN");
    command
}

/// Ended with that code, and one line that has these parts.
fn failed(output: &Output, code: i32, parts: &[&str]) {
    let said = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(code), "{said}");
    let last = said.lines().last().unwrap();
    assert!(last.starts_with("plimsoll: "), "{said}");
    for part in parts {
        assert!(last.contains(part), "{part}: {said}");
    }
}

#[test]
fn bad_input_is_named_with_what_to_do() {
    let folder = TempDir::new().unwrap();
    let (state, nowhere) = (
        file(&folder, "state.json"),
        file(&folder, "no/such/state.json"),
    );
    let (socket, cgroups) = (file(&folder, "docker.sock"), file(&folder, "cgroups"));
    let host = format!("unix://{socket}");
    fs::create_dir(&cgroups).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = listener.local_addr().unwrap().to_string();
    let missing = file(&folder, "missing.toml");
    let table: &[(&[&str], i32, &[&str])] = &[
        (
            &["--state", &state, "--host", &host],
            69,
            &[&socket, "--host or DOCKER_HOST"],
        ),
        (
            &["--state", &state, "--host", "gopher://x"],
            69,
            &["gopher://x", "unix://"],
        ),
        (&["--state", &state, "--cgroups", &missing], 69, &[&missing]),
        (&["--profile", &missing], 66, &[&missing]),
        (
            &["--cgroups", &cgroups, "--state", &nowhere],
            73,
            &[&nowhere, "--state"],
        ),
    ];
    for (args, code, parts) in table {
        failed(&scale(args).output().unwrap(), *code, parts);
    }
    let args = [
        "--cgroups",
        &cgroups,
        "--state",
        &state,
        "--metrics",
        &taken,
    ];
    failed(&scale(&args).output().unwrap(), 69, &[&taken, "--metrics"]);
    drop(listener);
    for args in [
        &["--interval", "0"][..],
        &["--interval", "soon"],
        &["--metrics", "9100"],
        &["--host", "unix:///x", "--cgroups", "/y"],
        &["--dryrun"],
    ] {
        let output = scale(args).output().unwrap();
        assert_eq!(output.status.code(), Some(64), "{args:?}");
    }
    // A space, and one character less than are enough.
    for token in ["sixteen or more words", "fifteen-letters"] {
        let mut command = scale(&["--cgroups", &cgroups, "--state", &state, "--once"]);
        let output = command.env("PLIMSOLL_CLEANUP_TOKEN", token).output();
        failed(&output.unwrap(), 78, &["PLIMSOLL_CLEANUP_TOKEN", "16"]);
    }
    let mut command = scale(&["--cgroups", &cgroups, "--state", &state, "--once"]);
    let output = command
        .env("PLIMSOLL_CLEANUP_TOKEN", "sixteen-letters!")
        .output();
    assert_eq!(output.unwrap().status.code(), Some(0));
}

#[test]
fn a_host_that_is_smaller_than_the_profile_s_is_said() {
    let folder = TempDir::new().unwrap();
    let cgroups = file(&folder, "cgroups");
    fs::create_dir(&cgroups).unwrap();
    fs::write(Path::new(&cgroups).join("memory.max"), "8589934592\n").unwrap();
    let state = file(&folder, "state.json");
    for (profile, is_said) in [("production", true), ("development", false)] {
        let args = [
            "--cgroups",
            &cgroups,
            "--state",
            &state,
            "--profile",
            profile,
            "--once",
        ];
        let output = scale(&args).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{said}");
        let warning = "warning: this host has 8 GiB, and the profile production is for 16 GiB";
        assert_eq!(said.contains(warning), is_said, "{said}");
    }
}

#[test]
fn a_socket_of_others_is_no_permission() {
    let folder = TempDir::new().unwrap();
    let socket = file(&folder, "docker.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o600)).unwrap();
    // Others may enter this folder, and perhaps not that of builds.
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let copy = file(&folder, "plimsoll");
    fs::copy(env!("CARGO_BIN_EXE_plimsoll"), &copy).unwrap();
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can become somebody else");
        return;
    }
    let output = Command::new(&copy)
        .args(["scale", "--host", &format!("unix://{socket}"), "--once"])
        .uid(65534)
        .gid(65534)
        .output()
        .unwrap();
    failed(&output, 77, &[&socket, "group docker"]);
    drop(listener);
}

/// Ended with the test, however that goes.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn two_scalers_never_have_one_state() {
    let folder = TempDir::new().unwrap();
    let (cgroups, state) = (file(&folder, "cgroups"), file(&folder, "state.json"));
    fs::create_dir(&cgroups).unwrap();
    let args = ["--cgroups", &cgroups, "--state", &state];
    let mut first = scale(&args);
    first.stdout(Stdio::null()).stderr(Stdio::piped());
    let mut first = Ended(first.spawn().unwrap());
    // The claim comes before the first word about the state.
    let mut said = BufReader::new(first.0.stderr.take().unwrap()).lines();
    assert!(said.any(|line| line.unwrap().contains("starts clean")));
    let second = scale(&args).arg("--once").output().unwrap();
    failed(&second, 73, &[&state, "another scaler", "--dry-run"]);
    let dry = scale(&args).args(["--once", "--dry-run"]).output().unwrap();
    assert_eq!(dry.status.code(), Some(0), "{dry:?}");

    drop(first);
    let next = scale(&args).arg("--once").output().unwrap();
    assert_eq!(next.status.code(), Some(0), "{next:?}");
}

#[test]
fn a_host_without_containers_is_fine_and_a_closed_pipe_too() {
    let folder = TempDir::new().unwrap();
    let cgroups = file(&folder, "cgroups");
    fs::create_dir(&cgroups).unwrap();
    let state = file(&folder, "state.json");
    let args = ["--cgroups", &cgroups, "--state", &state, "--once"];
    let output = scale(&args).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stdout.is_empty());
    assert!(fs::read_to_string(&state).unwrap().contains("\"version\""));

    // One service, made of plain files, whose decision nobody reads.
    let service = Path::new(&cgroups).join("crypto-news");
    fs::create_dir(&service).unwrap();
    for (file, text) in [
        ("memory.max", "402653184"),
        ("memory.current", "104857600"),
        ("memory.stat", "inactive_file 0"),
        ("memory.events", "oom_kill 0"),
    ] {
        fs::write(service.join(file), format!("{text}\n")).unwrap();
    }
    let (read, write) = std::io::pipe().unwrap();
    drop(read);
    let mut command = scale(&args);
    let output = command
        .stdout(write)
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(
        !said.contains("panic") && !said.contains("plimsoll: "),
        "{said}"
    );
}

#[test]
fn told_to_end_it_ends_well_and_keeps_its_state() {
    let folder = TempDir::new().unwrap();
    let cgroups = file(&folder, "cgroups");
    fs::create_dir(&cgroups).unwrap();
    let state = file(&folder, "state.json");
    for signal in [rustix::process::Signal::TERM, rustix::process::Signal::INT] {
        let args = ["--cgroups", &cgroups, "--state", &state, "--interval", "1"];
        let mut child = scale(&args).stderr(Stdio::null()).spawn().unwrap();
        // The state is written at the start, and the signals are awaited before.
        let _ = fs::remove_file(&state);
        while !Path::new(&state).exists() {
            assert!(child.try_wait().unwrap().is_none());
            std::thread::sleep(Duration::from_millis(10));
        }
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, signal).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(0));
        let kept = fs::read(&state).unwrap();
        let kept: serde_json::Value = serde_json::from_slice(&kept).unwrap();
        assert_eq!(kept["version"], 1);
    }
}
