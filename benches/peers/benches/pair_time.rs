//! What metering costs in time per malloc and free, size by size, beside its peers, on one thread and on two at once. How the
//! allocators are called, and the bias of that, is told in `src/bin/pairs/allocators.rs`.
//!
//! A process per allocator, as nothing uninstalls a meter; they take turns of a few milliseconds, and what is kept is the
//! median of the ratios within one round, so that a machine that changes its pace changes it for all. Threads are timed by
//! their own processor time. On a busy machine two threads may hardly ever meet: then the peers that share a counter
//! look better than they are.
#![allow(clippy::print_stdout, reason = "a program for people")]

use std::env;
use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use plimsoll::ByteSize;
use plimsoll_peers::series::curve::{self, THREADS};
use plimsoll_peers::{Allocator, Run, median};

const PAIRS: &str = env!("CARGO_BIN_EXE_pairs");

const ROUNDS: usize = 31;
const QUICK_ROUNDS: usize = 11;
/// How long bare jemalloc takes in one turn.
const TURN_NANOS: f64 = 2e6;
const CALIBRATION_PAIRS: u64 = 2000;
/// When run as a test: enough to see that it works.
const TRIAL_PAIRS: u64 = 64;

/// A process that waits for its turns.
struct Player {
    allocator: Allocator,
    process: Child,
    /// `None` once it has been told to end.
    jobs: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Player {
    fn start(allocator: Allocator) -> Result<Player, Box<dyn Error>> {
        let mut process = Command::new(PAIRS)
            .args(["time", allocator.name()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        Ok(Player {
            allocator,
            jobs: process.stdin.take(),
            answers: BufReader::new(process.stdout.take().ok_or("no pipe")?),
            process,
        })
    }

    /// Nanoseconds per pair and thread.
    fn turn(&mut self, size: ByteSize, pairs: u64, threads: u32) -> Result<f64, Box<dyn Error>> {
        let jobs = self.jobs.as_mut().ok_or("it has ended")?;
        writeln!(jobs, "{} {pairs} {threads}", size.as_u64())?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        Ok(answer.trim().parse()?)
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        // It ends where its input does.
        self.jobs = None;
        self.process.wait().ok();
    }
}

/// One turn of each player and their times, in the order of the players. Another one begins each round, so that none always
/// follows the same one.
fn play(
    players: &mut [Player],
    first: usize,
    size: ByteSize,
    pairs: u64,
    threads: u32,
) -> Result<Vec<f64>, Box<dyn Error>> {
    let mut times = vec![0.0; players.len()];
    for turn in 0..players.len() {
        let place = (first + turn) % players.len();
        times[place] = players[place].turn(size, pairs, threads)?;
    }
    Ok(times)
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().collect();
    let is_set = |flag: &str| arguments.iter().any(|argument| argument == flag);
    let (measuring, quick) = (is_set("--bench"), is_set("--quick"));
    let run = Run::current().filter(|_| measuring);
    let rounds = match (measuring, quick) {
        (false, _) => 1,
        (true, true) => QUICK_ROUNDS,
        (true, false) => ROUNDS,
    };
    if let Some(run) = &run {
        let answer = Command::new(PAIRS).arg("meter").output()?.stdout;
        run.record(
            curve::METER_RUNS,
            String::from_utf8(answer)?.trim().parse()?,
        )?;
    }

    let mut players: Vec<Player> = Allocator::ALL
        .into_iter()
        .map(Player::start)
        .collect::<Result<_, _>>()?;
    for size in curve::sizes(quick || !measuring) {
        for threads in THREADS {
            let pairs = if measuring {
                let nanos = players[0].turn(size, CALIBRATION_PAIRS, threads)?;
                (TURN_NANOS / nanos) as u64 + 1
            } else {
                TRIAL_PAIRS
            };
            let rounds: Vec<Vec<f64>> = (0..rounds)
                .map(|round| play(&mut players, round, size, pairs, threads))
                .collect::<Result<_, _>>()?;
            for (place, player) in players.iter().enumerate() {
                let nanos = median(rounds.iter().map(|round| round[place]));
                let over_bare = median(rounds.iter().map(|round| round[place] / round[0]));
                let series = curve::nanos(player.allocator, size, threads);
                println!("{series}: {nanos:.2} ns, {over_bare:.3} of bare");
                if let Some(run) = &run {
                    run.record(&series, nanos)?;
                    run.record(
                        &curve::time_over_bare(player.allocator, size, threads),
                        over_bare,
                    )?;
                }
            }
        }
    }
    Ok(())
}
