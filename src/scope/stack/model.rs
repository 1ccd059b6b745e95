//! The stacks of two threads against a model that keeps every scope's history by hand: random trees of scopes, threads, interleaved and
//! leaked guards, shared scopes, futures that move, and memory that another thread frees.

mod checks;
mod step;

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::scope::OnExceed;
use crate::scope::account::Account;
use crate::scope::terms::Terms;
use step::{Step, steps};

const THREADS: usize = 2;
const LIMITS: [u64; 4] = [0, 50, 1000, 1 << 40];

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
    /// Recursive ones beyond the first.
    entries: usize,
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
    /// What the scope at the bottom took along and whose guards live on.
    orphans: [Vec<Open>; THREADS],
    scopes: Vec<Known>,
    sites: Vec<&'static Site>,
    accounts: Vec<Option<Arc<Account>>>,
    /// A future, between its polls.
    future: Option<(usize, Carried)>,
    /// The same during its poll, as the future keeps it: with what `resume` left in it.
    polled: Option<Carried>,
}

impl World {
    fn new() -> Self {
        World {
            stacks: [const { FrameStack::new() }; THREADS],
            nets: [1 << 30; THREADS],
            open: [const { Vec::new() }; THREADS],
            orphans: [const { Vec::new() }; THREADS],
            scopes: Vec::new(),
            sites: Vec::new(),
            accounts: Vec::new(),
            future: None,
            polled: None,
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

    /// After a frame was closed: pops as the stack does.
    fn pop(&mut self, thread: usize, was_lowest: bool) {
        if was_lowest {
            for open in self.open[thread].drain(..) {
                if open.kind != Kind::Closed {
                    self.scopes[open.of].lost = true;
                    self.orphans[thread].push(open);
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
        let mut left = self.stacks[thread].leave(open.ticket, self.nets[thread]);
        if open.entries > 0 {
            let left = left.as_ref().expect("its frame is open");
            assert!(left.ended.is_none(), "one entry of several");
            self.open[thread][at].entries -= 1;
            return (open, None);
        }
        if open.kind != Kind::Future && open.kind != Kind::Attached {
            // As the guard does.
            let ended = left.as_mut().and_then(|left| left.ended.take());
            ended.expect("its last entry").end(self.sites[open.of]);
        }
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
                self.assert_told(thread);
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
            Step::Join(n) => {
                let Some(at) = self.pick(thread, n, Kind::Guard) else {
                    return;
                };
                let open = &mut self.open[thread][at];
                let (site, terms) = (self.sites[open.of], self.scopes[open.of].terms);
                let ticket = self.stacks[thread].enter(site, terms, self.nets[thread]);
                assert_eq!(ticket, open.ticket, "joins its frame");
                open.entries += 1;
            }
            Step::LeaveOrphan(n) => {
                let live: Vec<usize> = (0..self.orphans[thread].len())
                    .filter(|&at| {
                        let kind = self.orphans[thread][at].kind;
                        kind == Kind::Guard || kind == Kind::Attached
                    })
                    .collect();
                if !live.is_empty() {
                    self.leave_orphan(thread, live[n % live.len()]);
                }
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
                if let Some(left) = left {
                    self.assert_verdict(open.of, left.verdict);
                }
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
                // All around it are shared as well.
                let account = account.expect("its frame is open");
                for shared in account.around.iter().chain([&account]) {
                    let of = self.scope_of(shared);
                    self.accounts[of] = Some(Arc::clone(shared));
                }
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
            entries: 0,
        });
    }

    fn scope_of(&self, account: &Account) -> usize {
        let is_its = |site: &&'static Site| std::ptr::eq(*site, account.site);
        self.sites
            .iter()
            .position(is_its)
            .expect("a scope's own site")
    }

    fn leave_orphan(&mut self, thread: usize, at: usize) {
        let mut orphan = self.orphans[thread].remove(at);
        loop {
            self.observe(thread);
            let left = self.stacks[thread].leave(orphan.ticket, self.nets[thread]);
            let ended = left.and_then(|left| left.ended);
            match orphan.kind {
                Kind::Guard => {
                    if let Some(ended) = ended {
                        ended.end(self.sites[orphan.of]);
                    }
                }
                Kind::Future => {
                    // As `Run` does: without a frame it keeps what it had.
                    let polled = self.polled.take().expect("it is being polled");
                    ended.unwrap_or(polled).end(self.sites[orphan.of]);
                }
                Kind::Attached | Kind::Leaked | Kind::Closed => {}
            }
            if orphan.entries == 0 {
                return;
            }
            orphan.entries -= 1;
        }
    }

    /// A shared scope, and first those around it, as a handle does.
    fn attach(&mut self, thread: usize, n: usize) {
        let shared: Vec<usize> = (0..self.accounts.len())
            .filter(|&of| self.accounts[of].is_some() && !self.scopes[of].lost)
            .collect();
        if shared.is_empty() {
            return;
        }
        let of = shared[n % shared.len()];
        let account = Arc::clone(self.accounts[of].as_ref().unwrap());
        let around = account.around.iter().filter(|around| !around.is_over());
        let chain: Vec<_> = around.chain([&account]).collect();
        if self.open[thread].len() + chain.len() > MAX_DEPTH {
            return;
        }
        for account in chain {
            let of = self.scope_of(account);
            let frames = self.open[thread].iter().chain(&self.orphans[thread]);
            let is_open = frames
                .into_iter()
                .any(|open| open.of == of && open.kind != Kind::Closed);
            let ticket = self.stacks[thread].attach(account, self.nets[thread]);
            if ticket == Ticket::COVERED && !self.open[thread].iter().any(|open| open.of == of) {
                // By an orphan whose frame nobody has taken yet.
                assert!(is_open);
                continue;
            }
            let is_open = self.open[thread]
                .iter()
                .any(|open| open.of == of && open.kind != Kind::Closed);
            assert_eq!(
                ticket == Ticket::COVERED,
                is_open,
                "attached once per thread"
            );
            if !is_open {
                self.push(thread, of, ticket, 0, Kind::Attached);
            }
        }
    }

    fn resume(&mut self, thread: usize, limit: usize) {
        if self.polled.is_some() || self.open[thread].len() == MAX_DEPTH {
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
        if ticket == Ticket::COVERED {
            // Attached here: its gains are posted by that frame.
            self.future = Some((of, carried));
            return;
        }
        self.push(thread, of, ticket, holds, Kind::Future);
        self.polled = Some(carried);
    }

    fn suspend(&mut self, thread: usize) {
        let Some(at) = self.pick(thread, 0, Kind::Future) else {
            let orphans = &self.orphans[thread];
            if let Some(at) = orphans.iter().position(|open| open.kind == Kind::Future) {
                self.leave_orphan(thread, at);
            }
            return;
        };
        let open = self.open[thread][at].clone();
        let mut carried = self.polled.take().expect("it is being polled");
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
        if lost {
            carried.end(self.sites[open.of]);
        } else {
            self.assert_verdict(open.of, carried.verdict());
            self.future = Some((open.of, carried));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: if cfg!(miri) { 8 } else { 500 }, ..ProptestConfig::default() })]

    #[test]
    fn stacks_do_what_the_model_does(steps in steps()) {
        let mut world = World::new();
        for (thread, step) in steps {
            world.step(thread, step);
        }
        world.end();
    }
}
