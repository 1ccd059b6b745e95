//! Who waits, in the order in which they came. Pure; neither allocates nor frees but in `spare`, which needs no lock.

use std::collections::VecDeque;

pub(super) struct Queue<T> {
    entries: VecDeque<Entry<T>>,
    /// Wide enough for any number of requests of any size.
    bytes: u128,
    next_ticket: u64,
}

pub(super) struct Entry<T> {
    ticket: u64,
    pub(super) bytes: u64,
    pub(super) who: T,
}

impl<T> Queue<T> {
    pub(super) const fn new() -> Self {
        Queue {
            entries: VecDeque::new(),
            bytes: 0,
            next_ticket: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// What all of them ask for.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.try_into().unwrap_or(u64::MAX)
    }

    /// How long a spare queue must be for the next to find a place; `None` when there is one.
    pub(super) fn wants_spare(&self) -> Option<usize> {
        let len = self.entries.len();
        (len == self.entries.capacity()).then(|| (len * 2).max(8))
    }

    pub(super) fn spare(len: usize) -> VecDeque<Entry<T>> {
        VecDeque::with_capacity(len)
    }

    /// Moves into a spare queue if that is longer, and leaves the old one for the caller to free.
    pub(super) fn move_into(&mut self, spare: &mut VecDeque<Entry<T>>) {
        if spare.capacity() > self.entries.capacity() {
            spare.append(&mut self.entries);
            std::mem::swap(spare, &mut self.entries);
        }
    }

    /// The last place; returns the ticket for it.
    pub(super) fn push(&mut self, bytes: u64, who: T) -> u64 {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.bytes += u128::from(bytes);
        self.entries.push_back(Entry { ticket, bytes, who });
        ticket
    }

    pub(super) fn front(&self) -> Option<&Entry<T>> {
        self.entries.front()
    }

    pub(super) fn pop_front(&mut self) -> Option<T> {
        let entry = self.entries.pop_front()?;
        self.bytes -= u128::from(entry.bytes);
        Some(entry.who)
    }

    /// Gives a place up; `None` when the ticket has none any more.
    pub(super) fn remove(&mut self, ticket: u64) -> Option<T> {
        let at = self
            .entries
            .binary_search_by_key(&ticket, |entry| entry.ticket)
            .ok()?;
        let entry = self.entries.remove(at)?;
        self.bytes -= u128::from(entry.bytes);
        Some(entry.who)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_that_of_arrival_whoever_leaves() {
        let mut queue = Queue::new();
        let tickets: Vec<u64> = (0..5).map(|n| queue.push(10 + n, n)).collect();
        assert_eq!((queue.len(), queue.bytes()), (5, 60));
        assert_eq!(queue.remove(tickets[2]), Some(2));
        assert_eq!(queue.remove(tickets[2]), None);
        assert_eq!(queue.pop_front(), Some(0));
        assert_eq!(queue.remove(tickets[0]), None);
        queue.push(1, 5);
        let rest: Vec<u64> = std::iter::from_fn(|| queue.pop_front()).collect();
        assert_eq!(rest, [1, 3, 4, 5]);
        assert_eq!((queue.len(), queue.bytes()), (0, 0));
    }

    #[test]
    fn a_full_queue_moves_into_its_spare() {
        let mut queue = Queue::new();
        for n in 0..100 {
            if let Some(len) = queue.wants_spare() {
                let mut spare = Queue::spare(len);
                queue.move_into(&mut spare);
                assert!(spare.is_empty());
            }
            let capacity = queue.entries.capacity();
            queue.push(1, n);
            assert_eq!(queue.entries.capacity(), capacity);
        }
        let mut shorter = Queue::spare(1);
        queue.move_into(&mut shorter);
        assert_eq!(queue.front().map(|entry| entry.who), Some(0));
        assert_eq!(queue.len(), 100);
    }
}
