//! What the live page costs the service: processor time per reader, and memory that readers hold who never read.
//!
//! `cargo bench -p plimsoll-peers --features page --bench page [-- --quick]`. The readers are another process, so that only the server's
//! time counts.

use std::env;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use plimsoll::telemetry::MemoryRoutes;
use plimsoll::{MemoryLimit, Site, get_memory_manager};
use plimsoll_peers::resident_bytes;
use rustix::time::{ClockId, clock_gettime};

#[global_allocator]
static A: plimsoll::Jemalloc = plimsoll::Jemalloc;

/// As many as the page admits.
const READERS: usize = 64;
/// In the readers' process: where to read, and whether to.
const ADDRESS: &str = "PLIMSOLL_BENCH_PAGE";
const STALLED: &str = "PLIMSOLL_BENCH_STALLED";
/// Of a core, for each reader.
const AIM_PERCENT: f64 = 0.1;

fn main() {
    if let Ok(address) = env::var(ADDRESS) {
        return read(address.parse().expect("an address"));
    }
    // `cargo test --benches` runs this as well.
    let seconds = match env::args().any(|arg| arg == "--bench") {
        false => return,
        true if env::args().any(|arg| arg == "--quick") => 4,
        true => 20,
    };
    // As many names as the page shows.
    for number in 0..20 {
        let name: &'static str = format!("service::handlers::site_{number}").leak();
        drop(
            MemoryLimit::mib(1)
                .at(Box::leak(Box::new(Site::new(name))))
                .enter(),
        );
    }
    let address = serve();
    // The start is not what a service costs.
    std::thread::sleep(Duration::from_secs(2));

    let without = busy_percent(seconds);
    let readers = readers(address, false);
    let with = busy_percent(seconds);
    end(readers);
    // The recorder's part is not taken off: it differs more from run to run than all readers cost.
    let each = with / READERS as f64;
    println!("\n| the live page | figure | aim |\n|---|---:|---:|");
    println!(
        "| processor per reader of {READERS}, the recorder's part included, of a core | {each:.4} % | {AIM_PERCENT} % |"
    );
    println!("| the same without readers: the recorder | {without:.3} % | - |");

    let before = held_bytes();
    let stalled = self::readers(address, true);
    std::thread::sleep(Duration::from_secs(seconds));
    let after = held_bytes();
    end(stalled);
    let each = after.saturating_sub(before) / 1024 / READERS as u64;
    println!("| heap per reader that never reads, after {seconds} s | {each} KiB | - |");
    println!(
        "| resident, all in all | {} KiB | - |",
        resident_bytes() / 1024
    );
}

fn serve() -> SocketAddr {
    let (address_to, address) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
            let listener = listener.expect("a port");
            let address = listener.local_addr().expect("an address");
            address_to.send(address).expect("somebody waits");
            axum::serve(listener, MemoryRoutes::new().into_router()).await
        })
    });
    address.recv().expect("it listens")
}

/// All readers in one process; it has said so when all are connected.
fn readers(address: SocketAddr, stalled: bool) -> Child {
    let mut command = Command::new(env::current_exe().expect("this binary"));
    command.env(ADDRESS, address.to_string());
    if stalled {
        command.env(STALLED, "1");
    }
    let mut child = command.stdout(Stdio::piped()).spawn().expect("it starts");
    let mut connected = [0];
    let stdout = child.stdout.as_mut().expect("piped");
    stdout.read_exact(&mut connected).expect("it connects");
    child
}

fn end(mut readers: Child) {
    readers.kill().expect("it runs");
    readers.wait().expect("it ends");
    // The server notices that they are gone, and their seats are free.
    std::thread::sleep(Duration::from_secs(2));
}

fn read(address: SocketAddr) {
    let streams: Vec<TcpStream> = (0..READERS)
        .map(|_| {
            let mut stream = TcpStream::connect(address).expect("it listens");
            stream
                .write_all(b"GET /memory/feed HTTP/1.1\r\nhost: x\r\n\r\n")
                .expect("it reads");
            // The head says whether there is a seat.
            let mut head = [0; 12];
            stream.read_exact(&mut head).expect("it answers");
            assert_eq!(&head, b"HTTP/1.1 200");
            stream
        })
        .collect();
    std::io::stdout().write_all(b".").expect("the bench waits");
    std::io::stdout().flush().expect("the bench waits");
    if env::var_os(STALLED).is_none() {
        for mut stream in streams {
            std::thread::spawn(move || std::io::copy(&mut stream, &mut std::io::sink()));
        }
    } else {
        std::mem::forget(streams);
    }
    loop {
        std::thread::park();
    }
}

fn held_bytes() -> u64 {
    get_memory_manager().snapshot();
    let usage = get_memory_manager().usage();
    usage.heap.map_or(0, |heap| heap.active_bytes)
}

/// Of a core, over so many seconds.
fn busy_percent(seconds: u64) -> f64 {
    let (start, before) = (Instant::now(), processor_seconds());
    std::thread::sleep(Duration::from_secs(seconds));
    (processor_seconds() - before) / start.elapsed().as_secs_f64() * 100.0
}

fn processor_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
