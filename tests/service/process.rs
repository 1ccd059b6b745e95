//! The example as a process.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::cgroup::Cgroup;
use crate::support::example;
use crate::tools::{curl, json};

/// Far longer than anything here takes; what does not happen until then does not happen.
const PATIENCE: Duration = Duration::from_secs(60);
/// The service ends by itself when the test that started it was killed.
const LEASH_SECONDS: &str = "600";

/// Looks until there is something to see.
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let give_up = Instant::now() + PATIENCE;
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(Instant::now() < give_up, "still waiting: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| example::build_with("service", "page,tower"))
}

/// A command whose surroundings set nothing for the library.
fn clean(mut command: Command) -> Command {
    for variable in plimsoll::ENVIRONMENT {
        command.env_remove(variable.name);
    }
    command
}

/// What a running example wants from whoever cleans up.
pub const TOKEN: &str = "a-token-for-the-tests";

/// Runs the example to its end.
pub fn run(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = clean(Command::new("timeout"));
    command.args(["--kill-after=5", "60"]).arg(binary());
    command.args(arguments).envs(environment.iter().copied());
    command.output().expect("coreutils are installed")
}

/// A running example; killed when dropped.
pub struct Service {
    child: Child,
    output: TempDir,
    pub address: String,
}

/// How it ended.
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
}

impl Service {
    /// Started on a free port, without traffic of its own.
    pub fn start() -> Self {
        Service::spawn(Command::new(binary()), &["--no-traffic"])
    }

    pub fn start_with_traffic() -> Self {
        Service::spawn(Command::new(binary()), &[])
    }

    pub fn start_in(cgroup: &Cgroup) -> Self {
        let mut shell = Command::new("sh");
        shell
            .args(["-c", r#"echo 0 > "$0" && exec "$@""#])
            .arg(cgroup.file("cgroup.procs"))
            .arg(binary());
        Service::spawn(shell, &["--no-traffic"])
    }

    fn spawn(command: Command, arguments: &[&str]) -> Self {
        let output = TempDir::new().unwrap();
        let file = |name| File::create(output.path().join(name)).unwrap();
        let child = clean(command)
            .args(["--port", "0", "--seconds", LEASH_SECONDS])
            .args(arguments)
            .env("SERVICE_CLEANUP_TOKEN", TOKEN)
            .stdout(file("stdout"))
            .stderr(file("stderr"))
            .spawn()
            .unwrap();
        let mut service = Service {
            child,
            output,
            address: String::new(),
        };
        service.address = eventually("the service listens", || {
            let stdout = service.stdout();
            let (first, _) = stdout.split_once('\n')?;
            Some(first.strip_prefix("listening on ").unwrap().to_owned())
        });
        service
    }

    pub fn stdout(&self) -> String {
        self.read("stdout")
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.output.path().join(name)).unwrap()
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn usage(&self) -> Value {
        json(&curl(&[&self.url("/usage")]))
    }

    /// The counters, once no request is open any more and every event is accounted for.
    pub fn settled(&self) -> Counts {
        eventually("received = accepted + duplicates + rejected", || {
            let counts = self.counts();
            (counts.received == counts.accepted + counts.duplicates + counts.rejected)
                .then_some(counts)
        })
    }

    /// The counters at any time.
    pub fn counts(&self) -> Counts {
        let usage = self.usage();
        let count = |name: &str| usage["events"][name].as_u64().unwrap();
        let counts = Counts {
            received: count("received"),
            accepted: count("accepted"),
            duplicates: count("duplicates"),
            rejected: count("rejected"),
            held: count("held"),
            evicted: count("evicted"),
        };
        assert_eq!(counts.accepted, counts.held + counts.evicted, "{counts:?}");
        counts
    }

    /// Asks it to end as an init system does, and waits for it.
    pub fn terminate(mut self) -> Ended {
        let kill = format!("kill -TERM {}", self.child.id());
        assert!(
            Command::new("sh")
                .args(["-c", &kill])
                .status()
                .unwrap()
                .success()
        );
        let status = eventually("the service ends", || self.child.try_wait().unwrap());
        Ended {
            code: status.code(),
            stdout: self.stdout(),
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let status = self.child.try_wait();
            let (stdout, stderr) = (self.stdout(), self.read("stderr"));
            eprintln!("the service (ended: {status:?}) said:\n{stdout}{stderr}");
        }
        // Fails when it has ended already; it is collected in any case.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The service's counters.
#[derive(Debug, PartialEq)]
pub struct Counts {
    pub received: u64,
    pub accepted: u64,
    pub duplicates: u64,
    pub rejected: u64,
    pub held: u64,
    pub evicted: u64,
}
