//! `plimsoll top` on a terminal: what it ends by, and that the terminal is then as it was.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Termios, Winsize, tcgetattr, tcsetwinsize};

/// Generous: a machine may be busy.
const PATIENCE: Duration = Duration::from_secs(60);
const PANICS: &str = "PLIMSOLL_TEST_PANICS_ON_SCREEN";

/// A terminal, and what was written to it.
struct Pty {
    master: File,
    slave: OwnedFd,
    shown: Arc<Mutex<String>>,
    before: Termios,
}

impl Pty {
    fn new() -> Pty {
        let master =
            openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let slave = File::options()
            .read(true)
            .write(true)
            .open(name.to_str().unwrap())
            .unwrap();
        let size = Winsize {
            ws_row: 12,
            ws_col: 40,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&slave, size).unwrap();
        let master = File::from(master);
        let shown = Arc::new(Mutex::new(String::new()));
        let (mut reader, shown_there) = (master.try_clone().unwrap(), shown.clone());
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            // Ends with the last slave.
            while let Ok(count @ 1..) = reader.read(&mut bytes) {
                *shown_there.lock().unwrap() += &String::from_utf8_lossy(&bytes[..count]);
            }
        });
        let before = tcgetattr(&slave).unwrap();
        Pty {
            master,
            slave: slave.into(),
            shown,
            before,
        }
    }

    fn run(&self, command: &mut Command) -> Running {
        let stdio = || Stdio::from(self.slave.try_clone().unwrap());
        command.env("TERM", "xterm").env_remove("NO_COLOR");
        let child = command.stdin(stdio()).stdout(stdio()).stderr(stdio());
        Running(child.spawn().unwrap())
    }

    fn shown(&self) -> String {
        self.shown.lock().unwrap().clone()
    }

    fn is_raw(&self) -> bool {
        let modes = tcgetattr(&self.slave).unwrap().local_modes;
        !modes.contains(LocalModes::ICANON) && !modes.contains(LocalModes::ECHO)
    }

    fn write(&mut self, bytes: &[u8]) {
        self.master.write_all(bytes).unwrap();
    }

    /// Everything is as it was: the modes, the first screen, the cursor.
    fn assert_restored(&self) {
        let after = tcgetattr(&self.slave).unwrap();
        assert_eq!(after.input_modes, self.before.input_modes);
        assert_eq!(after.output_modes, self.before.output_modes);
        assert_eq!(after.control_modes, self.before.control_modes);
        assert_eq!(after.local_modes, self.before.local_modes);
        wait_until("the screen was left", || {
            let shown = self.shown();
            let last = |on, off| shown.rfind(off) > shown.rfind(on) && shown.contains(off);
            last("\x1b[?1049h", "\x1b[?1049l") && last("\x1b[?25l", "\x1b[?25h")
        });
    }
}

/// Ended when the test fails.
struct Running(Child);

impl Running {
    fn code(&mut self) -> Option<i32> {
        let mut code = None;
        wait_until("the command ended", || {
            let status = self.0.try_wait().unwrap();
            code = status.map(|status| status.code());
            code.is_some()
        });
        code.flatten()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[track_caller]
fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Two services, in files as version 2 has them.
struct Cgroups(PathBuf);

impl Cgroups {
    fn new(name: &str) -> Cgroups {
        let name = format!("plimsoll-top-{name}-{}", std::process::id());
        let root = std::env::temp_dir().join(name);
        for (service, used_mib) in [("crypto-fusion", 90_u64), ("crypto-news", 10)] {
            let directory = root.join(service);
            fs::create_dir_all(&directory).unwrap();
            let write = |file: &str, text: String| fs::write(directory.join(file), text).unwrap();
            write("memory.max", format!("{}\n", 100_u64 << 20));
            write("memory.current", format!("{}\n", used_mib << 20));
            write("memory.stat", "inactive_file 0\n".to_owned());
            write("memory.events", "oom_kill 0\n".to_owned());
        }
        Cgroups(root)
    }

    fn top(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_plimsoll"));
        command.arg("top").arg("--cgroups").arg(&self.0);
        command.arg("--state").arg(self.0.join("scale.json"));
        command
    }
}

impl Drop for Cgroups {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Waits for the table, ends it by `end`, and looks at what is left.
fn ends_by(name: &str, end: impl FnOnce(&mut Pty, &Running)) {
    let cgroups = Cgroups::new(name);
    let mut pty = Pty::new();
    let mut running = pty.run(&mut cgroups.top());
    wait_until("the table is there", || {
        let shown = pty.shown();
        shown.contains("fusion") && shown.contains("news") && pty.is_raw()
    });
    end(&mut pty, &running);
    assert_eq!(running.code(), Some(0), "{}", pty.shown());
    pty.assert_restored();
}

#[test]
fn q_ends_it() {
    ends_by("q", |pty, _| pty.write(b"q"));
}

#[test]
fn control_c_ends_it() {
    ends_by("control-c", |pty, _| pty.write(b"\x03"));
}

#[test]
fn a_signal_ends_it() {
    ends_by("signal", |_, running| {
        let pid = Pid::from_raw(running.0.id().cast_signed()).unwrap();
        kill_process(pid, Signal::TERM).unwrap();
    });
}

#[test]
fn a_panic_leaves_no_broken_terminal() {
    if std::env::var_os(PANICS).is_some() {
        let mut screen = plimsoll_fleet::top::Screen::open().unwrap();
        screen.draw(&plimsoll_fleet::top::View::default()).unwrap();
        panic!("on purpose");
    }
    let pty = Pty::new();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args([
            "a_panic_leaves_no_broken_terminal",
            "--exact",
            "--nocapture",
        ])
        .env(PANICS, "1");
    let mut running = pty.run(&mut command);
    assert_ne!(running.code(), Some(0));
    assert!(pty.shown().contains("\x1b[?1049h"), "{}", pty.shown());
    pty.assert_restored();
    // What it says is said on the first screen.
    let shown = pty.shown();
    assert!(
        shown.rfind("on purpose") > shown.find("\x1b[?1049l"),
        "{shown}"
    );
}

#[test]
fn one_table_where_there_is_no_terminal_or_only_one_is_wanted() {
    let cgroups = Cgroups::new("plain");
    let output = cgroups.top().output().unwrap();
    let piped = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = piped.lines().collect();
    assert!(output.status.success() && lines.len() == 3, "{piped}");
    assert!(
        lines[1].starts_with("fusion") && lines[1].contains(" 90 "),
        "{piped}"
    );
    assert!(lines[2].starts_with("news"), "{piped}");

    // What the scaler has written down is the last action.
    let state = r#"{"version":1,"saved_at_s":5,"services":{},"changes":{"news":{"at_s":5,"from_bytes":67108864,"to_bytes":104857600}}}"#;
    fs::write(cgroups.0.join("scale.json"), state).unwrap();
    let output = cgroups.top().output().unwrap();
    let piped = String::from_utf8(output.stdout).unwrap();
    assert!(piped.contains("64 MiB -> 100 MiB, "), "{piped}");

    let pty = Pty::new();
    let mut running = pty.run(cgroups.top().arg("--once"));
    assert_eq!(running.code(), Some(0));
    wait_until("the table is there", || pty.shown().contains("news"));
    assert!(!pty.shown().contains('\x1b'), "{}", pty.shown());
}

#[test]
fn bad_input_has_its_code() {
    let top = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_plimsoll"));
        let output = command.arg("top").args(arguments).output().unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    let table: [(&[&str], i32, &str); 6] = [
        (&["--interval", "0"], 64, "'0'"),
        (&["--interval", "soon"], 64, "soon"),
        (&["--host", "unix:///x", "--cgroups", "/x"], 64, "--cgroups"),
        (
            &["--cgroups", "/no/such/directory"],
            69,
            "/no/such/directory",
        ),
        (&["--host", "unix:///no/such.sock"], 69, "/no/such.sock"),
        (&["--host", "elsewhere"], 69, "elsewhere"),
    ];
    for (arguments, code, part) in table {
        let (seen, said) = top(arguments);
        assert_eq!(seen, Some(code), "{said}");
        assert!(said.contains(part), "{said}");
    }
}
