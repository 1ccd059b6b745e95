//! A real Redis with each configuration: what it says of its settings, and what it does when it is full.

mod tool;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Far longer than a start takes.
const PATIENCE: Duration = Duration::from_secs(60);

fn shipped(profile: &str) -> PathBuf {
    let file = format!("../deploy/redis/{profile}.conf");
    Path::new(env!("CARGO_MANIFEST_DIR")).join(file)
}

/// What a test changes of a configuration is where the server is, and nothing that the file says.
struct Server {
    child: Child,
    directory: TempDir,
    stream: BufReader<UnixStream>,
}

impl Server {
    fn start(conf: &Path) -> Server {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("redis.sock");
        // Should the test be killed, the server is not there for ever.
        let mut command = Command::new("timeout");
        command
            .args(["--kill-after=5", "300", "redis-server"])
            .arg(conf);
        command.args(["--port", "0", "--unixsocket"]).arg(&socket);
        command.arg("--dir").arg(directory.path());
        let child = command.stdout(Stdio::null()).spawn().unwrap();
        let give_up = Instant::now() + PATIENCE;
        let stream = loop {
            if let Ok(stream) = UnixStream::connect(&socket) {
                break stream;
            }
            assert!(
                Instant::now() < give_up,
                "{} does not start",
                conf.display()
            );
            std::thread::sleep(Duration::from_millis(20));
        };
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Server {
            child,
            directory,
            stream: BufReader::new(stream),
        }
    }

    /// The answer: its lines for a list, itself for all others; an error with its `-`.
    fn ask(&mut self, words: &[&str]) -> Vec<String> {
        let mut request = format!("*{}\r\n", words.len());
        for word in words {
            request += &format!("${}\r\n{word}\r\n", word.len());
        }
        self.stream.get_mut().write_all(request.as_bytes()).unwrap();
        self.answer()
    }

    fn answer(&mut self) -> Vec<String> {
        let mut line = String::new();
        self.stream.read_line(&mut line).unwrap();
        let line = line.trim_end();
        let count = || line[1..].parse::<usize>().unwrap();
        match line.as_bytes()[0] {
            b'*' => (0..count()).flat_map(|_| self.answer()).collect(),
            b'$' => {
                let mut text = vec![0; count() + 2];
                self.stream.read_exact(&mut text).unwrap();
                text.truncate(count());
                vec![String::from_utf8(text).unwrap()]
            }
            b'-' => vec![line.to_owned()],
            _ => vec![line[1..].to_owned()],
        }
    }

    fn setting(&mut self, name: &str) -> String {
        let answer = self.ask(&["CONFIG", "GET", name]);
        assert_eq!(answer[0], name);
        answer[1].clone()
    }

    /// Figures of one moment: Redis may evict before each command.
    fn figures<const N: usize>(&mut self, names: [&str; N]) -> [u64; N] {
        let info = self.ask(&["INFO"]).remove(0);
        names.map(|name| {
            let line = info.lines().find_map(|line| line.strip_prefix(name));
            let line = line.unwrap_or_else(|| panic!("{name}: {info}"));
            let digits = line.split(|c: char| !c.is_ascii_digit()).next();
            digits.unwrap().parse().unwrap()
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // `timeout` hands it on.
        let pid = self.child.id().to_string();
        let _ = Command::new("kill").arg(pid).status();
        let _ = self.child.wait();
    }
}

fn there() -> bool {
    tool::there("redis-server", "redis-server")
}

#[test]
fn the_files_are_the_guides() {
    let settings = |profile| {
        let text = fs::read_to_string(shipped(profile)).unwrap();
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let production = [
        "maxmemory 2gb",
        "maxmemory-policy allkeys-lru",
        "save 900 1",
        "save 300 10",
        "appendonly yes",
    ];
    let development = [
        "maxmemory 512mb",
        "maxmemory-policy allkeys-lru",
        "save \"\"",
        "appendonly no",
    ];
    assert_eq!(settings("production"), production);
    assert_eq!(settings("development"), development);
}

#[test]
fn redis_takes_each_for_what_it_says() {
    if !there() {
        return;
    }
    let table = [
        ("production", "2147483648", "900 1 300 10", "yes"),
        ("development", "536870912", "", "no"),
    ];
    for (profile, maxmemory, save, appendonly) in table {
        let mut server = Server::start(&shipped(profile));
        assert_eq!(server.setting("maxmemory"), maxmemory, "{profile}");
        assert_eq!(
            server.setting("maxmemory-policy"),
            "allkeys-lru",
            "{profile}"
        );
        assert_eq!(server.setting("save"), save, "{profile}");
        assert_eq!(server.setting("appendonly"), appendonly, "{profile}");
        // And not by word only.
        let log = server.directory.path().join("appendonlydir");
        assert_eq!(log.exists(), appendonly == "yes", "{profile}");
    }
}

/// 2,000 values of 10 KiB, in a Redis that may have 8 MiB; how many were refused.
fn overfill(server: &mut Server) -> u64 {
    let value = "x".repeat(10 << 10);
    let mut refused = 0;
    for key in 0..2000 {
        let answer = server
            .ask(&["SET", &format!("key:{key}"), &value])
            .remove(0);
        match answer.as_str() {
            "OK" => {}
            _ => {
                assert!(answer.starts_with("-OOM "), "{answer}");
                refused += 1;
            }
        }
    }
    refused
}

#[test]
fn a_full_one_evicts_and_refuses_nothing() {
    if !there() {
        return;
    }
    for profile in ["production", "development"] {
        let mut server = Server::start(&shipped(profile));
        // As the file has it, but for the size: nobody wants to fill 2 GiB.
        assert_eq!(server.ask(&["CONFIG", "SET", "maxmemory", "8mb"]), ["OK"]);
        assert_eq!(overfill(&mut server), 0, "{profile}");
        let [evicted, kept, used, not_counted] = server.figures([
            "evicted_keys:",
            "db0:keys=",
            "used_memory:",
            "mem_not_counted_for_evict:",
        ]);
        assert!(evicted > 0 && kept > 0, "{profile}: {evicted} {kept}");
        assert_eq!(evicted + kept, 2000, "{profile}");
        // The buffer of the log of writes is not counted against maxmemory, and this answer takes some itself.
        let counted = used - not_counted;
        assert!(counted < (8 << 20) + (64 << 10), "{profile}: {counted}");

        // The control: it is the policy that does it.
        let answer = server.ask(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
        assert_eq!(answer, ["OK"]);
        assert_eq!(server.ask(&["FLUSHALL"]), ["OK"]);
        let [before] = server.figures(["evicted_keys:"]);
        assert!(overfill(&mut server) > 0, "{profile}");
        assert_eq!(server.figures(["evicted_keys:"]), [before], "{profile}");
    }
}

#[test]
fn the_command_writes_them() {
    let scratch = tempfile::tempdir().unwrap();
    let plimsoll = |arguments: &[&str]| {
        let arguments = [&["redis"], arguments].concat();
        tool::run(scratch.path(), env!("CARGO_BIN_EXE_plimsoll"), &arguments)
    };
    let both = scratch.path().join("both");
    let done = plimsoll(&["--out", both.to_str().unwrap()]);
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    for profile in ["production", "development"] {
        let file = both.join(format!("{profile}.conf"));
        assert_eq!(
            fs::read_to_string(file).unwrap(),
            fs::read_to_string(shipped(profile)).unwrap()
        );
    }
    let one = scratch.path().join("one");
    let done = plimsoll(&["--profile", "development", "--out", one.to_str().unwrap()]);
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    assert!(one.join("development.conf").exists() && !one.join("production.conf").exists());

    let without = scratch.path().join("without.toml");
    let text = "host = \"1GB\"\n[services.a]\nimage = \"a\"\nlimit = \"8MB\"\nreservation = \"1MB\"\ncpu = 1\n";
    fs::write(&without, text).unwrap();
    let done = plimsoll(&["--profile", without.to_str().unwrap()]);
    assert_eq!(done.status.code(), Some(78), "{done:?}");
    let said = String::from_utf8(done.stderr).unwrap();
    assert!(
        said.starts_with("plimsoll: the profile without has no Redis"),
        "{said}"
    );
}
