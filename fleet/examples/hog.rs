//! A service that uses as much memory as it is told to, with the library's metrics and its cleanup: for trying the scaler.
//!
//! ```text
//! hog [..] PORT                      on all addresses; the token for cleanups is in HOG_TOKEN. What comes before the port is
//!                                    for another service, whose place it takes
//! POST /hold/MIB                     holds so much from now on, as work under way does
//! POST /cache/MIB                    the same, as a cache that a cleanup empties
//! POST /leak/MIB                     holds so much more each second, from now on
//! POST /memory/cleanup               with the token in x-plimsoll-token
//! GET  /metrics   GET /healthz
//! ```

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use plimsoll::{CleanupFn, MemoryManager};

#[global_allocator]
static ALLOCATOR: plimsoll::Jemalloc = plimsoll::Jemalloc;

const MIB: usize = 1 << 20;
/// A client that says nothing holds up nobody for longer.
const PATIENCE: Duration = Duration::from_secs(2);

type Blocks = Arc<Mutex<Vec<Vec<u8>>>>;

struct Hog {
    manager: &'static MemoryManager,
    held: Blocks,
    cached: Blocks,
    leak_mib_per_s: Arc<AtomicUsize>,
    token: Option<String>,
}

/// Up or down to so many blocks of a MiB, each touched.
fn set(blocks: &Mutex<Vec<Vec<u8>>>, mib: usize) {
    let mut blocks = blocks.lock().unwrap();
    while blocks.len() < mib {
        blocks.push(vec![1; MIB]);
    }
    blocks.truncate(mib);
}

impl Hog {
    fn new() -> Result<Hog, Box<dyn std::error::Error>> {
        // Whoever watches shall see who asked for a cleanup.
        let manager = MemoryManager::builder()
            .automatic_cleanup(false)
            .install()?;
        let (held, cached) = (Blocks::default(), Blocks::default());
        let (emptied, counted) = (Arc::clone(&cached), Arc::clone(&cached));
        let hook = CleanupFn::new("cache", move |_| {
            let blocks = std::mem::take(&mut *emptied.lock().unwrap());
            (blocks.len() * MIB) as u64
        });
        let hook = hook.estimate(move || (counted.lock().unwrap().len() * MIB) as u64);
        std::mem::forget(manager.register_cleanup(hook));
        let leak_mib_per_s = Arc::new(AtomicUsize::new(0));
        let (leaking, leaked) = (Arc::clone(&leak_mib_per_s), Arc::clone(&held));
        std::thread::spawn(move || {
            loop {
                let mib = leaking.load(Ordering::Relaxed);
                if mib > 0 {
                    let now_mib = leaked.lock().unwrap().len();
                    set(&leaked, now_mib + mib);
                }
                std::thread::sleep(Duration::from_secs(1));
            }
        });
        Ok(Hog {
            manager,
            held,
            cached,
            leak_mib_per_s,
            token: env::var("HOG_TOKEN").ok(),
        })
    }

    fn answer(&self, method: &str, path: &str, token: Option<&str>) -> (&'static str, String) {
        let number = |rest: &str| rest.parse::<usize>().ok();
        let done = || ("200 OK", "done\n".to_owned());
        if method == "GET" {
            return match path {
                "/metrics" => ("200 OK", self.manager.prometheus()),
                "/healthz" => done(),
                _ => ("404 Not Found", String::new()),
            };
        }
        if path == "/memory/cleanup" {
            if self.token.is_none() || token != self.token.as_deref() {
                return ("403 Forbidden", "another token\n".to_owned());
            }
            return ("200 OK", format!("{}\n", self.manager.force_cleanup()));
        }
        let mut parts = path.trim_start_matches('/').splitn(2, '/');
        let (what, mib) = (parts.next(), parts.next().and_then(number));
        match (what, mib) {
            (Some("hold"), Some(mib)) => set(&self.held, mib),
            (Some("cache"), Some(mib)) => set(&self.cached, mib),
            (Some("leak"), Some(mib)) => self.leak_mib_per_s.store(mib, Ordering::Relaxed),
            _ => return ("404 Not Found", String::new()),
        }
        done()
    }

    fn serve(&self, stream: TcpStream) -> std::io::Result<()> {
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut lines = BufReader::new(&stream).lines();
        let request = lines.next().transpose()?.unwrap_or_default();
        let mut words = request.split(' ');
        let (method, path) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
        let mut token = None;
        for line in lines {
            let line = line?;
            if line.is_empty() {
                break;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("x-plimsoll-token")
            {
                token = Some(value.trim().to_owned());
            }
        }
        let (status, body) = self.answer(method, path, token.as_deref());
        let length = body.len();
        write!(
            &stream,
            "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
        )
    }
}

fn main() -> ExitCode {
    let Some(port) = env::args()
        .skip(1)
        .last()
        .and_then(|port| port.parse::<u16>().ok())
    else {
        eprintln!("usage: hog [..] PORT");
        return ExitCode::from(64);
    };
    let served = Hog::new().and_then(|hog| {
        let listener = TcpListener::bind(("0.0.0.0", port))?;
        for stream in listener.incoming() {
            // Who hangs up has had enough.
            let _ = hog.serve(stream?);
        }
        Ok(())
    });
    if let Err(error) = served {
        eprintln!("hog: {error}");
    }
    ExitCode::FAILURE
}
