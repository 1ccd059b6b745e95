//! Features `axum` and `page`: the routes as clients see them, good ones and bad ones.

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use axum::Router;
use plimsoll::telemetry::{MemoryRoutes, prometheus};
use plimsoll::{ByteSize, ClaimedBytes, CleanupFn, MemoryManager, get_memory_manager};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

#[global_allocator]
static ALLOCATOR: plimsoll::Jemalloc = plimsoll::Jemalloc;

const TOKEN: &str = "a-token-for-tests";
/// As many as may read at a time.
const SEATS: usize = 64;

/// Serves `app` on a thread of its own, for as long as the process lives or until `end`.
fn serve_until(app: Router, end: impl Future<Output = ()> + Send + 'static) -> Server {
    let (address_to, address) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            address_to.send(listener.local_addr().unwrap()).unwrap();
            let server = axum::serve(listener, app).with_graceful_shutdown(end);
            server.await.unwrap();
        });
    });
    Server {
        address: address.recv().unwrap(),
        thread,
    }
}

struct Server {
    address: SocketAddr,
    thread: std::thread::JoinHandle<()>,
}

fn serve(routes: MemoryRoutes) -> SocketAddr {
    serve_until(routes.into_router(), std::future::pending()).address
}

/// A response: its head, in lower case, and a reader of what follows.
struct Answer {
    status: u16,
    head: String,
    rest: BufReader<TcpStream>,
}

impl Answer {
    fn body(mut self) -> String {
        let mut body = String::new();
        self.rest.read_to_string(&mut body).unwrap();
        body
    }

    fn has(&self, line: &str) -> bool {
        self.head.lines().any(|other| other.starts_with(line))
    }

    /// The data of the next event, and its name.
    fn event(&mut self) -> (String, Value) {
        let mut name = String::new();
        loop {
            let mut line = String::new();
            assert_ne!(self.rest.read_line(&mut line).unwrap(), 0, "the feed ended");
            if let Some(event) = line.strip_prefix("event: ") {
                event.trim_end().clone_into(&mut name);
            } else if let Some(data) = line.strip_prefix("data: ") {
                return (name, serde_json::from_str(data).unwrap());
            }
        }
    }
}

/// Sends `request`, whole but for the empty line, and reads the head of the answer. One request per connection.
fn ask(address: SocketAddr, request: &str, body: &str) -> Answer {
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    write!(
        stream,
        "{request}\r\nhost: x\r\nconnection: close\r\n\r\n{body}"
    )
    .unwrap();
    let mut rest = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert_ne!(rest.read_line(&mut head).unwrap(), 0, "{head:?}");
    }
    let head = head.to_ascii_lowercase();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head, rest }
}

fn get(address: SocketAddr, path: &str) -> Answer {
    ask(address, &format!("GET {path} HTTP/1.1"), "")
}

fn post_cleanup(address: SocketAddr, header: &str, body: &str) -> (u16, String) {
    let length = body.len();
    let request = format!("POST /memory/cleanup HTTP/1.1\r\ncontent-length: {length}{header}");
    let answer = ask(address, &request, body);
    (answer.status, answer.body())
}

/// The kernel's files of the threads of this process that have this name.
fn threads(name: &str) -> Vec<PathBuf> {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let tasks = tasks.filter_map(|task| Some(task.ok()?.path()));
    let named = tasks.filter(|task| {
        std::fs::read_to_string(task.join("comm")).is_ok_and(|comm| comm.trim_end() == name)
    });
    named.collect()
}

#[test]
fn metrics_and_page_are_served_with_headers_that_keep_a_browser_at_home() {
    let address = serve(MemoryRoutes::new());
    let metrics = get(address, "/metrics");
    assert!(metrics.has(&format!("content-type: {}", prometheus::CONTENT_TYPE)));
    let text = metrics.body();
    assert!(text.contains("\nplimsoll_resident_bytes "), "{text}");

    let page = get(address, "/memory");
    assert_eq!(page.status, 200);
    assert!(page.has("content-type: text/html"));
    let safe = [
        "x-content-type-options: nosniff",
        "content-security-policy: default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'",
        "referrer-policy: no-referrer",
        "cross-origin-resource-policy: same-origin",
    ];
    for line in safe {
        assert!(page.has(line), "{line}\n{}", page.head);
    }
    let html = page.body();
    for part in html.split("\"memory/").skip(1) {
        let name = part.split('"').next().unwrap();
        let file = get(address, &format!("/memory/{name}"));
        assert_eq!(file.status, 200, "{name}");
        let content_type = if name.ends_with(".js") {
            "content-type: text/javascript"
        } else {
            "content-type: text/css"
        };
        assert!(file.has(content_type) && safe.iter().all(|line| file.has(line)));
        assert!(file.body().len() > 500, "{name}");
    }
}

#[test]
fn the_feed_begins_with_the_hour_and_goes_on_with_the_present() {
    let address = serve(MemoryRoutes::new());
    let mut feed = get(address, "/memory/feed");
    assert!(feed.has("content-type: text/event-stream") && feed.has("cache-control: no-store"));
    let (name, history) = feed.event();
    assert_eq!(
        (&*name, &history["may_clean"]),
        ("history", &Value::Bool(false))
    );
    let mut last = 0.0;
    for _ in 0..3 {
        let (name, now) = feed.event();
        assert_eq!(name, "now");
        let t = now["t"].as_f64().unwrap();
        assert!(t > last, "time goes on");
        last = t;
        assert!(now["used"].as_u64().unwrap() > 0 && now["allocated"].as_u64().unwrap() > 0);
        assert_eq!(now["lines"]["high"], 80.0);
    }
    // Who comes later gets what was before.
    let (_, history) = get(address, "/memory/feed").event();
    let rows = history["rows"].as_array().unwrap();
    assert!(rows.len() >= 2, "{history}");
    assert_eq!(history["fields"][0], "t");
}

#[test]
fn what_is_asked_wrongly_gets_a_status_that_says_so() {
    let address = serve(MemoryRoutes::new());
    let table = [
        ("GET /memory/none HTTP/1.1", 404),
        ("GET /memory/../metrics HTTP/1.1", 404),
        ("POST /memory HTTP/1.1\r\ncontent-length: 0", 405),
        ("DELETE /metrics HTTP/1.1", 405),
        ("GET /memory/cleanup HTTP/1.1", 405),
        ("HEAD /memory HTTP/1.1", 200),
        ("HEAD /metrics HTTP/1.1", 200),
        ("GET /memory HTTP/1.0", 200),
        ("GET /metrics HTTP/1.0", 200),
        ("GET /metrics?a=b HTTP/1.1\r\ncontent-length: 3", 200),
        ("GARBAGE", 400),
    ];
    for (request, status) in table {
        let answer = ask(
            address,
            request,
            if request.contains(": 3") { "abc" } else { "" },
        );
        assert_eq!(answer.status, status, "{request}");
    }
    // A feed in HTTP/1.0 ends with its connection.
    let mut feed = ask(address, "GET /memory/feed HTTP/1.0", "");
    assert_eq!(feed.status, 200);
    assert_eq!(
        (feed.event().0, feed.event().0),
        ("history".into(), "now".into())
    );
}

#[test]
fn a_cleanup_takes_a_post_with_the_token_where_it_is_allowed() {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    /// Holds up the cleanup while it is locked.
    static GATE: Mutex<()> = Mutex::new(());
    let _registration = get_memory_manager().register_cleanup(CleanupFn::new("gate", |_| {
        CALLS.fetch_add(1, Relaxed);
        drop(GATE.lock().unwrap());
        ClaimedBytes::bytes(7)
    }));

    let closed = serve(MemoryRoutes::new());
    let with_token = format!("\r\nx-plimsoll-token: {TOKEN}");
    let (status, why) = post_cleanup(closed, &with_token, "");
    assert_eq!((status, CALLS.load(Relaxed)), (403, 0), "{why}");
    assert!(why.contains("allows no cleanup"));

    let open = serve(MemoryRoutes::new().allow_cleanup(TOKEN).unwrap());
    assert_eq!(get(open, "/memory/feed").event().1["may_clean"], true);
    let wrong = [
        String::new(),
        "\r\nx-plimsoll-token:".to_owned(),
        format!("\r\nx-plimsoll-token: {TOKEN}x"),
        format!("\r\nx-plimsoll-token: {}", TOKEN.to_uppercase()),
        format!("\r\ncookie: x-plimsoll-token={TOKEN}"),
    ];
    for header in wrong {
        assert_eq!(post_cleanup(open, &header, "").0, 403, "{header:?}");
    }
    assert_eq!(CALLS.load(Relaxed), 0);

    let (status, report) = post_cleanup(open, &with_token, "a body that nobody reads");
    assert_eq!((status, CALLS.load(Relaxed)), (200, 1), "{report}");
    assert!(report.starts_with("forced cleanup: cleaned") && report.contains("gate: completed"));

    // One at a time.
    let gate = GATE.lock().unwrap();
    let first = std::thread::spawn({
        let with_token = with_token.clone();
        move || post_cleanup(open, &with_token, "").0
    });
    support::wait_until("the first one is under way", || CALLS.load(Relaxed) == 2);
    assert_eq!(post_cleanup(open, &with_token, "").0, 429);
    drop(gate);
    assert_eq!(first.join().unwrap(), 200);
}

#[test]
fn a_crowd_is_told_to_come_again_and_its_seats_come_back() {
    if !support::alone("a_crowd_is_told_to_come_again_and_its_seats_come_back", &[]) {
        return;
    }
    // Two routers, under one roof.
    let app = MemoryRoutes::new().into_router();
    let app = app.nest("/second", MemoryRoutes::new().into_router());
    let address = serve_until(app, std::future::pending()).address;
    let recorders = || threads("plimsoll-page").len();
    // A thread has its name a moment after it was started.
    support::wait_until("the recorder", || recorders() == 1);

    for round in 0..2 {
        let mut seated = Vec::new();
        let mut refused = 0;
        // None of them reads more than the head.
        for n in 0..1000 {
            let prefix = if n % 2 == 0 { "" } else { "/second" };
            let answer = get(address, &format!("{prefix}/memory/feed"));
            match answer.status {
                200 => seated.push(answer),
                503 => {
                    assert!(answer.has("retry-after: 5"));
                    refused += 1;
                }
                other => panic!("{other}"),
            }
        }
        assert_eq!(
            (seated.len(), refused),
            (SEATS, 1000 - SEATS),
            "round {round}"
        );
        drop(seated);
        support::wait_until("the seats are free again", || {
            get(address, "/memory/feed").status == 200
        });
        let free = || {
            let feeds: Vec<_> = (0..SEATS).map(|_| get(address, "/memory/feed")).collect();
            feeds.iter().all(|feed| feed.status == 200)
        };
        support::wait_until("all of them", free);
    }
    assert_eq!(recorders(), 1);
}

#[test]
fn a_feed_ends_where_it_is_told_to_and_shutdown_is_not_held_up() {
    let (stop, stopped) = oneshot::channel::<()>();
    let (end, ended) = oneshot::channel::<()>();
    let routes = MemoryRoutes::new().until(async {
        let _ = ended.await;
    });
    let server = serve_until(routes.into_router(), async {
        let _ = stopped.await;
    });
    let mut feed = get(server.address, "/memory/feed");
    assert_eq!(feed.event().0, "history");
    drop(stop);
    assert_eq!(feed.event().0, "now");
    assert!(!server.thread.is_finished(), "it waits for the feed");
    drop(end);
    let mut line = String::new();
    let has_ended = (0..100).any(|_| feed.rest.read_line(&mut line).unwrap() == 0);
    assert!(has_ended, "it goes on");
    server.thread.join().unwrap();
}

#[test]
fn a_router_leaves_the_place_of_the_manager_to_the_program() {
    if !support::alone(
        "a_router_leaves_the_place_of_the_manager_to_the_program",
        &[],
    ) {
        return;
    }
    let router = MemoryRoutes::new().into_router();
    // The recorder has looked for a manager, and slept, more than once.
    let sleeps = || {
        let status = std::fs::read_to_string(threads("plimsoll-page").first()?.join("status"));
        let status = status.ok()?;
        let sleeps = status
            .lines()
            .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
        sleeps.trim().parse::<u64>().ok()
    };
    support::wait_until("the recorder sleeps", || {
        sleeps().is_some_and(|sleeps| sleeps >= 3)
    });
    assert!(threads("plimsoll-worker").is_empty());

    let limit = ByteSize::mib(200);
    let installed = MemoryManager::builder().limit(limit).install();
    installed.expect("the place is free");
    let address = serve_until(router, std::future::pending()).address;
    let metrics = get(address, "/metrics").body();
    let line = format!(
        "\nplimsoll_limit_bytes{{source=\"set in code\"}} {}\n",
        200 << 20
    );
    assert!(metrics.contains(&line), "{metrics}");
    let mut feed = get(address, "/memory/feed");
    assert_eq!(feed.event().0, "history");
    assert_eq!(feed.event().1["limit"], 200 << 20);
}

#[test]
fn who_asks_for_the_page_first_makes_the_manager() {
    if !support::alone("who_asks_for_the_page_first_makes_the_manager", &[]) {
        return;
    }
    let address = serve(MemoryRoutes::new());
    assert_eq!(get(address, "/memory").status, 200);
    assert!(threads("plimsoll-worker").is_empty(), "a file needs none");
    let mut feed = get(address, "/memory/feed");
    assert_eq!(feed.event().0, "history");
    assert_eq!(feed.event().0, "now");
    assert!(get_memory_manager().stats().usage.used_bytes > 0);
}

#[test]
fn readers_that_take_the_head_and_no_more_hold_little() {
    if !support::alone("readers_that_take_the_head_and_no_more_hold_little", &[]) {
        return;
    }
    const MOST_BYTES_EACH: u64 = 64 << 10;
    // No hour passes in a test: with such names the greeting is as long as one.
    let manager = get_memory_manager();
    let hooks: Vec<_> = (0..10)
        .map(|n| CleanupFn::new(format!("{n}{}", "x".repeat(30_000)), |_| ()))
        .map(|hook| manager.register_cleanup(hook))
        .collect();
    let address = serve(MemoryRoutes::new());
    let mut lively = get(address, "/memory/feed");
    assert_eq!(lively.event().0, "history");
    assert!(lively.event().1.to_string().len() > 300_000);

    let stall = |readers: usize| -> Vec<Answer> {
        let answers = (0..readers).map(|_| get(address, "/memory/feed"));
        answers
            .inspect(|answer| assert_eq!(answer.status, 200))
            .collect()
    };
    // The most within three frames: each has been asked for more than its socket takes by then.
    let mut most_held = || {
        let held = || manager.usage().heap.unwrap().allocated_bytes;
        (0..3).fold(0, |most, _| {
            lively.event();
            held().max(most)
        })
    };
    // What the first ones take is mostly what they share.
    let first = stall(8);
    let before = most_held();
    let rest = stall(SEATS - 1 - first.len());
    let each = most_held().saturating_sub(before) / rest.len() as u64;
    assert!((1..MOST_BYTES_EACH).contains(&each), "{each} bytes each");
    drop(hooks);
}
