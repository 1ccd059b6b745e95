//! What has to hold.

use super::*;

impl World {
    pub(super) fn assert_verdict(&self, of: usize, found: Verdict) {
        let known = &self.scopes[of];
        if known.lost {
            return;
        }
        assert_eq!(found.used_bytes, known.held, "{known:?}");
        assert_eq!(found.peak_bytes, known.peak, "{known:?}");
        assert_eq!(found.exceeded, known.exceeded, "{known:?}");
        assert_eq!(self.sites[of].exceeded_total(), u64::from(known.exceeded));
    }

    /// After an event: no line lies on the wrong side of the net, and sites know what their scopes hold to a step.
    pub(super) fn assert_told(&self, thread: usize) {
        let (stack, net) = (&self.stacks[thread], self.nets[thread]);
        assert!(
            stack.floor_bytes.get() <= net,
            "each event settles: a floor above the net"
        );
        let trip = stack.trip_bytes.get();
        assert!(
            trip == ALWAYS_TRIP || trip >= net,
            "each event settles: a trip below the net"
        );
        for open in &self.open[thread] {
            let known = &self.scopes[open.of];
            if open.kind == Kind::Closed || known.lost || self.has_ended(open.of) {
                continue;
            }
            let told = self.sites[open.of].current_bytes() as i64;
            assert!(
                (told - known.held.max(0)).abs() <= PUBLISH_STEP_BYTES,
                "{told} told, {known:?}"
            );
        }
    }

    /// Whether the scope is over, though others may still work for it.
    pub(super) fn has_ended(&self, of: usize) -> bool {
        let is_open = |open: &Open| {
            open.of == of && matches!(open.kind, Kind::Guard | Kind::Leaked | Kind::Future)
        };
        let waits = self
            .future
            .as_ref()
            .is_some_and(|(waiting, _)| *waiting == of);
        !waits && !self.open.iter().flatten().any(is_open)
    }

    /// Whatever is left ends, from the top as unwinding does, and then nothing is left.
    pub(super) fn end(&mut self) {
        for thread in 0..THREADS {
            while let Some(at) = self.open[thread].len().checked_sub(1) {
                match self.open[thread][at].kind {
                    Kind::Closed => {
                        self.open[thread].pop();
                    }
                    Kind::Future => self.suspend(thread),
                    _ => {
                        let (open, left) = self.close(thread, at);
                        if let Some(left) = left {
                            self.assert_verdict(open.of, left.verdict);
                        }
                    }
                }
            }
            while !self.orphans[thread].is_empty() {
                self.leave_orphan(thread, 0);
            }
            assert!(self.stacks[thread].is_empty());
            assert!(
                self.stacks[thread].is_calm(i64::MAX - 1),
                "no line stays behind"
            );
            assert_eq!(self.stacks[thread].floor_bytes.get(), NO_FLOOR);
        }
        if let Some((of, carried)) = self.future.take() {
            carried.end(self.sites[of]);
        }
        for (site, known) in self.sites.iter().zip(&self.scopes) {
            assert!(
                known.lost || site.told_bytes() == 0,
                "still told of {known:?}"
            );
        }
        // What leaked guards have left in their frames stays until those are taken: here, with the threads.
        self.accounts.clear();
        self.stacks = [const { FrameStack::new() }; THREADS];
        for (site, known) in self.sites.iter().zip(&self.scopes) {
            assert_eq!(site.told_bytes(), 0, "still told of {known:?}");
        }
    }

    /// A checkpoint names the outermost scope of this thread that is past its limit.
    pub(super) fn check_all(&self, thread: usize) {
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
