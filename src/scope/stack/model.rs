//! The stacks of two threads against a model that keeps every scope's history by hand: random trees of scopes, threads, interleaved and
//! leaked guards, shared scopes, futures that move, and memory that another thread frees.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::scope::OnExceed;
use crate::scope::account::Account;
use crate::scope::terms::Terms;

const THREADS: usize = 2;
const LIMITS: [u64; 4] = [0, 50, 1000, 1 << 40];

#[derive(Clone, Debug)]
enum Step {
    /// The thread's net moves and an event sees it; negative: it frees what others allocated.
    Event(i64),
    /// The net moves unseen, below the meter's interval.
    Unseen(i64),
    Enter(usize),
    /// Ends a live guard, in any order.
    Leave(usize),
    /// Forgets a guard.
    Leak(usize),
    Check(usize),
    /// Makes a handle of a guard.
    Share(usize),
    /// Works for a shared scope, or ends that.
    Attach(usize),
    Detach,
    /// Polls a future: it starts if need be, and its frame stays until it is suspended.
    Resume(usize),
    Suspend,
}

fn steps() -> impl Strategy<Value = Vec<(usize, Step)>> {
    let bytes = prop_oneof![-2000i64..2000, -60i64..60, -(1i64 << 20)..(1 << 20)];
    let step = prop_oneof![
        4 => bytes.clone().prop_map(Step::Event),
        2 => bytes.prop_map(Step::Unseen),
        3 => (0..LIMITS.len()).prop_map(Step::Enter),
        3 => (0usize..8).prop_map(Step::Leave),
        1 => (0usize..8).prop_map(Step::Leak),
        2 => (0usize..8).prop_map(Step::Check),
        1 => (0usize..8).prop_map(Step::Share),
        2 => (0usize..8).prop_map(Step::Attach),
        2 => Just(Step::Detach),
        2 => (0..LIMITS.len()).prop_map(Step::Resume),
        2 => Just(Step::Suspend),
    ];
    proptest::collection::vec((0..THREADS, step), 1..80)
}

/// What the model knows of a scope.
#[derive(Clone, Debug)]
struct Known {
    terms: Terms,
    held: i64,
    peak: i64,
    exceeded: bool,
    shared: bool,
    /// The frame is gone, or its verdict no longer promised: the scope at the bottom took it along.
    lost: bool,
}

/// One frame of one thread, for the scope `of`.
#[derive(Clone, Debug)]
struct Open {
    of: usize,
    ticket: Ticket,
    /// What this frame had added to its scope's `held` when it was last seen.
    posted: i64,
    base: i64,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Guard,
    Leaked,
    Attached,
    Future,
    Closed,
}

struct World {
    stacks: [FrameStack; THREADS],
    nets: [i64; THREADS],
    open: [Vec<Open>; THREADS],
    scopes: Vec<Known>,
    sites: Vec<&'static Site>,
    accounts: Vec<Option<Arc<Account>>>,
    /// A future, between its polls.
    future: Option<(usize, Carried)>,
}

impl World {
    fn new() -> Self {
        World {
            stacks: [const { FrameStack::new() }; THREADS],
            nets: [1 << 30; THREADS],
            open: [const { Vec::new() }; THREADS],
            scopes: Vec::new(),
            sites: Vec::new(),
            accounts: Vec::new(),
            future: None,
        }
    }

    fn new_scope(&mut self, limit_bytes: u64) -> usize {
        let terms = Terms::new(limit_bytes, OnExceed::Error, false);
        self.scopes.push(Known {
            terms,
            held: 0,
            peak: 0,
            exceeded: false,
            shared: false,
            lost: false,
        });
        self.sites.push(Box::leak(Box::new(Site::new("model"))));
        self.accounts.push(None);
        self.scopes.len() - 1
    }

    /// Every open scope of the thread sees its net, the outermost first or last: the order must not matter.
    fn observe(&mut self, thread: usize) {
        self.see(thread, |_| true);
    }

    fn see(&mut self, thread: usize, which: impl Fn(&Known) -> bool) {
        let net = self.nets[thread];
        for open in &mut self.open[thread] {
            let known = &mut self.scopes[open.of];
            if open.kind == Kind::Closed || !which(known) {
                continue;
            }
            let holds = net - open.base;
            known.held += holds - open.posted;
            open.posted = holds;
            known.peak = known.peak.max(known.held);
            known.exceeded |= known.terms.are_exceeded_by(known.held);
        }
    }

    fn pick(&self, thread: usize, n: usize, kind: Kind) -> Option<usize> {
        let of_kind: Vec<usize> = (0..self.open[thread].len())
            .filter(|&at| self.open[thread][at].kind == kind)
            .collect();
        (!of_kind.is_empty()).then(|| of_kind[n % of_kind.len()])
    }

    fn assert_verdict(&self, of: usize, found: Verdict) {
        let known = &self.scopes[of];
        if known.lost {
            return;
        }
        assert_eq!(found.used_bytes, known.held, "{known:?}");
        assert_eq!(found.peak_bytes, known.peak, "{known:?}");
        assert_eq!(found.exceeded, known.exceeded, "{known:?}");
        assert_eq!(self.sites[of].exceeded_total(), u64::from(known.exceeded));
    }

    /// After a frame was closed: pops as the stack does.
    fn pop(&mut self, thread: usize, was_lowest: bool) {
        if was_lowest {
            for open in self.open[thread].drain(..) {
                if open.kind != Kind::Closed {
                    self.scopes[open.of].lost = true;
                }
            }
        }
        while self.open[thread]
            .last()
            .is_some_and(|open| open.kind == Kind::Closed)
        {
            self.open[thread].pop();
        }
    }

    fn close(&mut self, thread: usize, at: usize) -> (Open, Option<Left>) {
        self.observe(thread);
        let open = self.open[thread][at].clone();
        let left = self.stacks[thread].leave(open.ticket, self.nets[thread]);
        self.open[thread][at].kind = Kind::Closed;
        self.pop(thread, at == 0);
        (open, left)
    }

    fn step(&mut self, thread: usize, step: Step) {
        match step {
            Step::Event(bytes) => {
                self.nets[thread] += bytes;
                self.stacks[thread].at_event(self.nets[thread]);
                self.observe(thread);
            }
            Step::Unseen(bytes) => self.nets[thread] += bytes,
            Step::Enter(limit) => {
                if self.open[thread].len() == MAX_DEPTH {
                    return;
                }
                let of = self.new_scope(LIMITS[limit]);
                let net = self.nets[thread];
                let (site, terms) = (self.sites[of], self.scopes[of].terms);
                let stack = &self.stacks[thread];
                let ticket = if stack.is_idle() {
                    stack.enter_idle(site, terms, net)
                } else {
                    stack.enter(site, terms, net)
                };
                self.push(thread, of, ticket, 0, Kind::Guard);
            }
            Step::Leave(n) => {
                let Some(at) = self.pick(thread, n, Kind::Guard) else {
                    return;
                };
                let open = self.open[thread][at].clone();
                let is_top = at + 1 == self.open[thread].len();
                let net = self.nets[thread];
                let stack = &self.stacks[thread];
                let quiet = stack
                    .leave_lowest(open.ticket, net)
                    .or_else(|| stack.leave_quietly(open.ticket, net));
                assert!(is_top || quiet.is_none(), "only the top can go quietly");
                if let Some(peak) = quiet {
                    self.observe(thread);
                    let known = &self.scopes[open.of];
                    assert!(!known.exceeded && !known.shared, "{known:?}");
                    assert_eq!(peak, known.peak);
                    self.open[thread][at].kind = Kind::Closed;
                    self.pop(thread, false);
                    return;
                }
                let (open, left) = self.close(thread, at);
                self.assert_verdict(open.of, left.expect("its frame is open").verdict);
            }
            Step::Leak(n) => {
                let Some(at) = self.pick(thread, n, Kind::Guard) else {
                    return;
                };
                self.open[thread][at].kind = Kind::Leaked;
            }
            Step::Check(n) => {
                let Some(at) = self.pick(thread, n, Kind::Guard) else {
                    return;
                };
                let open = self.open[thread][at].clone();
                let verdict = self.stacks[thread].judge(open.ticket, self.nets[thread]);
                self.observe(thread);
                self.assert_verdict(open.of, verdict.expect("its frame is open"));
                self.check_all(thread);
            }
            Step::Share(n) => {
                let Some(at) = self.pick(thread, n, Kind::Guard) else {
                    return;
                };
                let open = self.open[thread][at].clone();
                let account = self.stacks[thread].share(open.ticket, self.nets[thread]);
                self.observe(thread);
                self.accounts[open.of] = account;
                for below in &self.open[thread][..=at] {
                    if below.kind != Kind::Closed {
                        self.scopes[below.of].shared = true;
                    }
                }
            }
            Step::Attach(n) => self.attach(thread, n),
            Step::Detach => {
                let Some(at) = self.pick(thread, usize::MAX / 2, Kind::Attached) else {
                    return;
                };
                // As `attach` does: the innermost of this thread's attachments.
                let last = (at..self.open[thread].len())
                    .rev()
                    .find(|&at| self.open[thread][at].kind == Kind::Attached)
                    .unwrap_or(at);
                self.close(thread, last);
            }
            Step::Resume(limit) => self.resume(thread, limit),
            Step::Suspend => self.suspend(thread),
        }
    }

    fn push(&mut self, thread: usize, of: usize, ticket: Ticket, holds: i64, kind: Kind) {
        // Where a scope begins, those around it see the net as well; a shared one posts at its events and edges only.
        self.see(thread, |known| !known.shared);
        self.open[thread].push(Open {
            of,
            ticket,
            posted: holds,
            base: self.nets[thread] - holds,
            kind,
        });
    }

    /// Only scopes that have no shared scope around them: the handle pushes those one by one, which is its own test.
    fn attach(&mut self, thread: usize, n: usize) {
        let shared: Vec<usize> = (0..self.accounts.len())
            .filter(|&of| {
                self.accounts[of]
                    .as_ref()
                    .is_some_and(|a| a.parent.is_none())
            })
            .filter(|&of| !self.scopes[of].lost)
            .collect();
        if shared.is_empty() || self.open[thread].len() == MAX_DEPTH {
            return;
        }
        let of = shared[n % shared.len()];
        let account = Arc::clone(self.accounts[of].as_ref().unwrap());
        let is_open = self.open[thread]
            .iter()
            .any(|open| open.of == of && open.kind != Kind::Closed);
        let ticket = self.stacks[thread].attach(&account, self.nets[thread]);
        assert_eq!(ticket == Ticket::NONE, is_open, "attached once per thread");
        if !is_open {
            self.push(thread, of, ticket, 0, Kind::Attached);
        }
    }

    fn resume(&mut self, thread: usize, limit: usize) {
        let is_running = self
            .open
            .iter()
            .flatten()
            .any(|open| open.kind == Kind::Future);
        if is_running || self.open[thread].len() == MAX_DEPTH {
            return;
        }
        let (of, mut carried) = match self.future.take() {
            Some(waiting) => waiting,
            None => (self.new_scope(LIMITS[limit]), Carried::default()),
        };
        let (site, terms) = (self.sites[of], self.scopes[of].terms);
        let net = self.nets[thread];
        let holds = carried.used_bytes;
        let ticket = self.stacks[thread].resume(site, terms, &mut carried, net);
        self.push(thread, of, ticket, holds, Kind::Future);
    }

    fn suspend(&mut self, thread: usize) {
        let Some(at) = self.pick(thread, 0, Kind::Future) else {
            return;
        };
        let open = self.open[thread][at].clone();
        let mut carried = Carried::default();
        let is_top = at + 1 == self.open[thread].len();
        if is_top
            && self.stacks[thread].suspend_quietly(open.ticket, &mut carried, self.nets[thread])
        {
            self.observe(thread);
            self.open[thread][at].kind = Kind::Closed;
            self.pop(thread, false);
        } else {
            let (_, left) = self.close(thread, at);
            carried = left.and_then(|left| left.ended).expect("its frame is open");
        }
        let lost = self.scopes[open.of].lost;
        if !lost {
            self.assert_verdict(open.of, carried.verdict());
            self.future = Some((open.of, carried));
        }
    }

    /// A checkpoint names the outermost scope of this thread that is past its limit.
    fn check_all(&self, thread: usize) {
        if self.open[thread]
            .iter()
            .any(|open| self.scopes[open.of].lost)
        {
            return;
        }
        let expected = self.open[thread]
            .iter()
            .find(|open| open.kind != Kind::Closed && self.scopes[open.of].exceeded)
            .map(|open| self.sites[open.of]);
        let found = self.stacks[thread].judge_all(self.nets[thread]);
        assert_eq!(found.map(|(site, _, _)| site), expected);
        let is_calm = self.stacks[thread].is_calm(self.nets[thread]);
        assert!(!(is_calm && expected.is_some()), "calm past a limit");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: if cfg!(miri) { 8 } else { 1000 }, ..ProptestConfig::default() })]

    #[test]
    fn stacks_do_what_the_model_does(steps in steps()) {
        let mut world = World::new();
        for (thread, step) in steps {
            world.step(thread, step);
        }
        // Whatever is left open ends from the top, as unwinding does.
        for thread in 0..THREADS {
            while let Some(at) = world.open[thread].len().checked_sub(1) {
                if world.open[thread][at].kind == Kind::Closed {
                    world.open[thread].pop();
                    continue;
                }
                let (open, left) = world.close(thread, at);
                world.assert_verdict(open.of, left.expect("its frame is open").verdict);
            }
            assert!(world.stacks[thread].is_empty());
            assert!(world.stacks[thread].is_calm(i64::MAX - 1), "no line stays behind");
        }
    }
}
