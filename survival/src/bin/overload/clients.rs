//! Clients: threads that ask as fast as they are answered, and count what they were told.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use crate::histogram::Histogram;
use crate::server::Server;
use crate::service::{Answer, Service};
use crate::source::{Source, mix};
use crate::watch::Watch;

/// What a client waits when it was refused.
const BACK_OFF: Duration = Duration::from_millis(1);

/// What a client did and was told.
pub struct Tally {
    pub offered: u64,
    pub accepted: u64,
    pub refused: u64,
    pub malformed: u64,
    pub lost: u64,
    pub quantity: u64,
    pub in_cleanup: Histogram,
    pub outside: Histogram,
}

impl Tally {
    fn new() -> Self {
        Tally {
            offered: 0,
            accepted: 0,
            refused: 0,
            malformed: 0,
            lost: 0,
            quantity: 0,
            in_cleanup: Histogram::new(),
            outside: Histogram::new(),
        }
    }

    fn add(&mut self, other: &Tally) {
        self.offered += other.offered;
        self.accepted += other.accepted;
        self.refused += other.refused;
        self.malformed += other.malformed;
        self.lost += other.lost;
        self.quantity += other.quantity;
        self.in_cleanup.add(&other.in_cleanup);
        self.outside.add(&other.outside);
    }

    /// Of all accepted requests.
    pub fn all(&self) -> Histogram {
        let mut all = Histogram::new();
        all.add(&self.in_cleanup);
        all.add(&self.outside);
        all
    }
}

/// How a request gets to the service.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Way {
    /// The client's thread is the service's.
    Call,
    /// A thread of its own.
    Spawn,
    /// In pieces.
    Pieces,
    /// Over a unix socket.
    Socket,
}

/// All clients, and what they work with.
pub struct Crowd<'a> {
    pub source: &'a Source,
    pub service: &'a Service,
    pub watch: &'a Watch,
    pub server: Option<&'a Server>,
    pub way: Way,
    pub end: Instant,
}

impl Crowd<'_> {
    /// Has so many threads ask until the end; what they were told, all together. The error is that of a client that could not
    /// begin.
    pub fn run(&self, clients: usize, seed: u64) -> io::Result<Tally> {
        thread::scope(|scope| {
            let threads: Vec<_> = (0..clients as u64)
                .map(|n| scope.spawn(move || self.client(mix(mix(seed) ^ n))))
                .collect();
            let mut sum = Tally::new();
            for thread in threads {
                let tally = thread
                    .join()
                    .map_err(|_| io::Error::other("a client panicked"))?;
                sum.add(&tally?);
            }
            Ok(sum)
        })
    }

    fn client(&self, seed: u64) -> io::Result<Tally> {
        let service = self.service;
        let client = Client {
            drawn: seed,
            source: self.source,
            watch: self.watch,
            end: self.end,
        };
        Ok(match self.way {
            Way::Call => client.run(|id, text| Some(service.handle(id, text))),
            Way::Pieces => client.run(|id, text| Some(service.handle_pieces(id, text))),
            Way::Spawn => client.run(|id, text| in_a_thread(service, id, text)),
            Way::Socket => {
                let server = self.server.ok_or(io::ErrorKind::NotConnected)?;
                let mut connection = server.connect()?;
                client.run(|id, text| connection.ask(id, text).ok())
            }
        })
    }
}

fn in_a_thread(service: &Service, id: u64, text: &[u8]) -> Option<Answer> {
    thread::scope(|scope| {
        let thread = thread::Builder::new().spawn_scoped(scope, || service.handle(id, text));
        thread.ok()?.join().ok()
    })
}

struct Client<'a> {
    drawn: u64,
    source: &'a Source,
    watch: &'a Watch,
    end: Instant,
}

impl Client<'_> {
    fn run(mut self, mut ask: impl FnMut(u64, &[u8]) -> Option<Answer>) -> Tally {
        let mut tally = Tally::new();
        let mut text = Vec::new();
        let mut now = Instant::now();
        while now < self.end {
            self.drawn = mix(self.drawn);
            let id = self.drawn % self.source.ids();
            self.source.write(id, &mut text);
            tally.offered += 1;
            let phase = self.watch.phase();
            let asked = Instant::now();
            let answer = ask(id, &text);
            now = Instant::now();
            match answer {
                Some(Answer::Accepted { quantity }) => {
                    tally.accepted += 1;
                    tally.quantity += quantity;
                    let histogram = if Watch::cleaned_between(phase, self.watch.phase()) {
                        &mut tally.in_cleanup
                    } else {
                        &mut tally.outside
                    };
                    histogram.record(now - asked);
                }
                Some(Answer::Refused) => {
                    tally.refused += 1;
                    thread::sleep(BACK_OFF);
                    now = Instant::now();
                }
                Some(Answer::Malformed) => tally.malformed += 1,
                None => tally.lost += 1,
            }
        }
        tally
    }
}
