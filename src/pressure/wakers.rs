//! Wakers of those who wait, all to be woken at once. Pure; under the caller's lock it neither allocates, nor frees, nor calls
//! a waker's own code.

use std::mem;
use std::task::Waker;

/// No slot.
const NONE: usize = usize::MAX;

pub(super) struct Wakers {
    slots: Vec<Slot>,
    /// The first free slot, or [`NONE`].
    free: usize,
    /// How often all were taken: a place of an earlier round is none any more.
    round: u64,
}

pub(super) enum Slot {
    Used(Waker),
    /// With the next free one, or [`NONE`].
    Free(usize),
}

/// Where a waker is. Good for one removal: after that the slot may be somebody else's.
#[derive(Debug)]
pub(super) struct Place {
    round: u64,
    slot: usize,
}

impl Wakers {
    pub(super) const fn new() -> Self {
        Wakers {
            slots: Vec::new(),
            free: NONE,
            round: 0,
        }
    }

    /// How long a spare must be for the next to find a place; `None` when there is one.
    pub(super) fn wants_spare(&self) -> Option<usize> {
        let len = self.slots.len();
        (self.free == NONE && len == self.slots.capacity()).then(|| (len * 2).max(8))
    }

    pub(super) fn spare(len: usize) -> Vec<Slot> {
        Vec::with_capacity(len)
    }

    /// Moves into a spare if that is longer, and leaves the old one for the caller to free.
    pub(super) fn move_into(&mut self, spare: &mut Vec<Slot>) {
        if spare.capacity() > self.slots.capacity() {
            spare.append(&mut self.slots);
            mem::swap(spare, &mut self.slots);
        }
    }

    pub(super) fn add(&mut self, waker: Waker) -> Place {
        let used = Slot::Used(waker);
        let slot = self.free;
        match self.slots.get_mut(slot) {
            Some(place) => {
                if let Slot::Free(next) = mem::replace(place, used) {
                    self.free = next;
                }
                self.place(slot)
            }
            None => {
                self.slots.push(used);
                self.place(self.slots.len() - 1)
            }
        }
    }

    fn place(&self, slot: usize) -> Place {
        Place {
            round: self.round,
            slot,
        }
    }

    /// The waker at `place`, unless all were taken since.
    pub(super) fn get(&mut self, place: &Place) -> Option<&mut Waker> {
        match self.slots.get_mut(place.slot)? {
            Slot::Used(waker) if place.round == self.round => Some(waker),
            _ => None,
        }
    }

    /// Gives a place up; what was there is the caller's to drop.
    pub(super) fn remove(&mut self, place: Place) -> Option<Slot> {
        self.get(&place)?;
        let slot = self.slots.get_mut(place.slot)?;
        let left = mem::replace(slot, Slot::Free(self.free));
        self.free = place.slot;
        Some(left)
    }

    /// All of them.
    pub(super) fn take(&mut self) -> impl Iterator<Item = Waker> + use<> {
        self.round += 1;
        self.free = NONE;
        mem::take(&mut self.slots)
            .into_iter()
            .filter_map(|slot| match slot {
                Slot::Used(waker) => Some(waker),
                Slot::Free(_) => None,
            })
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        let used = |slot: &&Slot| matches!(slot, Slot::Used(_));
        self.slots.iter().filter(used).count()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::task::Wake;

    use proptest::prelude::*;

    use super::*;

    struct Counts(AtomicU64);

    impl Wake for Counts {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Add,
        Remove(usize),
        Take,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            6 => Just(Step::Add),
            4 => (0usize..40).prop_map(Step::Remove),
            1 => Just(Step::Take),
        ]
    }

    proptest! {
        #[test]
        fn everybody_is_woken_once_or_leaves_nothing_behind(steps in prop::collection::vec(step(), 1..80)) {
            let mut wakers = Wakers::new();
            let mut everybody: Vec<(Option<Place>, Arc<Counts>)> = Vec::new();
            // Whether somebody waits, was woken, or left.
            let mut waits: HashMap<usize, bool> = HashMap::new();
            let mut most = 0;
            for step in steps {
                match step {
                    Step::Add => {
                        let counts = Arc::new(Counts(AtomicU64::new(0)));
                        if let Some(len) = wakers.wants_spare() {
                            let mut spare = Wakers::spare(len);
                            wakers.move_into(&mut spare);
                            prop_assert!(spare.is_empty());
                        }
                        let capacity = wakers.slots.capacity();
                        let place = wakers.add(Waker::from(Arc::clone(&counts)));
                        prop_assert_eq!(wakers.slots.capacity(), capacity);
                        waits.insert(everybody.len(), true);
                        everybody.push((Some(place), counts));
                    }
                    Step::Remove(n) if n < everybody.len() => {
                        if let Some(place) = everybody[n].0.take() {
                            let waited = waits.insert(n, false) == Some(true);
                            prop_assert_eq!(wakers.remove(place).is_some(), waited);
                        }
                    }
                    Step::Take => {
                        wakers.take().for_each(Waker::wake);
                        for (n, (_, counts)) in everybody.iter().enumerate() {
                            let woken = u64::from(waits.insert(n, false) == Some(true));
                            prop_assert_eq!(counts.0.swap(0, Ordering::SeqCst), woken);
                        }
                    }
                    Step::Remove(_) => {}
                }
                let waiting = waits.values().filter(|&&waits| waits).count();
                prop_assert_eq!(wakers.len(), waiting);
                most = most.max(waiting);
                prop_assert!(wakers.slots.len() <= most, "slots are used again");
                for (n, (_, counts)) in everybody.iter().enumerate() {
                    prop_assert_eq!(Arc::strong_count(counts), 1 + usize::from(waits[&n]));
                }
            }
        }
    }
}
