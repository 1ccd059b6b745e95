//! What the layers add to a request, on one thread and on two at once.
//!
//! Bias: the service behind them is ready at once and hands the request back, so that nothing is allocated and a request is the layers
//! and little else; one that is polled more often pays for each poll what `benches/guard.rs` says. Moving an answer that carries a request,
//! larger than most, is more than half of what is measured. Site, level and headers are in
//! the processor's cache, and the level is Normal. The bare service and its layers take turns of a few milliseconds, and what is
//! kept is the median of the differences within one round. Threads are timed by their own processor time, and share the sites.
#![allow(clippy::print_stdout, reason = "a program for people")]

use std::convert::Infallible;
use std::env;
use std::future::{Future, Ready, ready};
use std::hint::black_box;
use std::io;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use http::{Request, Response};
use plimsoll::layers::{MemoryLimitLayer, ShedLayer};
use plimsoll::{MemoryLimit, PressureLevel, get_memory_manager};
use plimsoll_peers::series::layers::{self, Added, THREADS};
use plimsoll_peers::{Run, median, on_threads, timed};
use tower_layer::Layer;
use tower_service::Service;

#[global_allocator]
static ALLOCATOR: plimsoll::Jemalloc = plimsoll::Jemalloc;

const ROUNDS: usize = 101;
const QUICK_ROUNDS: usize = 31;
/// How long the bare service takes in one turn.
const TURN_NANOS: f64 = 2e6;
const CALIBRATION_REQUESTS: u64 = 10_000;
/// When run as a test: enough to see that it works.
const TRIAL_REQUESTS: u64 = 64;

type Sent = Request<()>;
/// Brings the request back, to be sent once more; a refusal has none.
type Answer = Response<Option<Sent>>;

#[derive(Clone, Copy)]
struct Bare;

impl Service<Sent> for Bare {
    type Response = Answer;
    type Error = Infallible;
    type Future = Ready<Result<Answer, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Sent) -> Self::Future {
        ready(Ok(Response::new(Some(request))))
    }
}

fn request() -> Sent {
    Request::post("/events")
        .header("host", "events.example")
        .header("user-agent", "bench")
        .header("accept", "*/*")
        .header("accept-encoding", "gzip")
        .header("authorization", "Bearer 0123456789abcdef")
        .header("content-length", "512")
        .header("content-type", "application/json")
        .header(
            "traceparent",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        )
        .body(())
        .expect("all of it is well formed")
}

/// Nanoseconds per request and thread.
fn turn<S>(service: &S, requests: u64, threads: u32) -> f64
where
    S: Service<Sent, Response = Answer, Error = Infallible> + Clone + Sync,
{
    let time = on_threads(threads, |start| {
        let mut service = service.clone();
        // The first request of a thread is not like the others.
        let mut request = serve(&mut service, request());
        start.wait();
        timed(|| {
            for _ in 0..requests {
                request = serve(&mut service, request);
            }
        })
    });
    time.as_nanos() as f64 / requests as f64
}

/// As a server would; returns the request.
fn serve<S>(service: &mut S, request: Sent) -> Sent
where
    S: Service<Sent, Response = Answer, Error = Infallible>,
{
    let mut context = Context::from_waker(Waker::noop());
    let service = black_box(service);
    assert!(service.poll_ready(&mut context).is_ready());
    let answer = pin!(service.call(request));
    let Poll::Ready(Ok(answer)) = black_box(answer).poll(&mut context) else {
        unreachable!("the service is ready at once")
    };
    answer.into_body().expect("nobody refuses at Normal")
}

type Arm = Box<dyn Fn(u64, u32) -> f64>;

/// The bare service first.
fn arms() -> [(Added, Arm); 4] {
    let shed = ShedLayer::from(PressureLevel::High).exempt("/health");
    let limit = MemoryLimitLayer::new(MemoryLimit::mib(32).named("request"));
    let shedding = shed.layer(Bare);
    let limited = limit.layer(Bare);
    let both = shed.layer(limit.layer(Bare));
    [
        (
            layers::BARE,
            Box::new(|requests, threads| turn(&Bare, requests, threads)),
        ),
        (
            layers::SHED,
            Box::new(move |requests, threads| turn(&shedding, requests, threads)),
        ),
        (
            layers::LIMIT,
            Box::new(move |requests, threads| turn(&limited, requests, threads)),
        ),
        (
            layers::BOTH,
            Box::new(move |requests, threads| turn(&both, requests, threads)),
        ),
    ]
}

fn main() -> io::Result<()> {
    let arguments: Vec<String> = env::args().collect();
    let is_set = |flag: &str| arguments.iter().any(|argument| argument == flag);
    let (measuring, quick) = (is_set("--bench"), is_set("--quick"));
    let run = Run::current().filter(|_| measuring);
    let rounds = match (measuring, quick) {
        (false, _) => 1,
        (true, true) => QUICK_ROUNDS,
        (true, false) => ROUNDS,
    };
    // Not inside of what is measured.
    get_memory_manager();
    let arms = arms();
    for (place, threads) in THREADS.into_iter().enumerate() {
        let requests = if measuring {
            (TURN_NANOS / arms[0].1(CALIBRATION_REQUESTS, threads)) as u64 + 1
        } else {
            TRIAL_REQUESTS
        };
        let rounds: Vec<Vec<f64>> = (0..rounds)
            .map(|round| {
                // Another one begins each round, so that none always follows the same one.
                let mut times = vec![0.0; arms.len()];
                for step in 0..arms.len() {
                    let arm = (round + step) % arms.len();
                    times[arm] = arms[arm].1(requests, threads);
                }
                times
            })
            .collect();
        for (arm, (added, _)) in arms.iter().enumerate() {
            let bare = |round: &Vec<f64>| if arm == 0 { 0.0 } else { round[0] };
            let nanos = median(rounds.iter().map(|round| round[arm] - bare(round)));
            let series = added[place];
            let bound = match arm {
                0 => String::new(),
                _ => format!(" (at most {} ns)", layers::PROMISED_NANOS),
            };
            println!("{series}: {nanos:.1} ns{bound}");
            if let Some(run) = &run {
                run.record(series, nanos)?;
            }
        }
    }
    Ok(())
}
