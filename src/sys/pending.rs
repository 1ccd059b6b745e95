//! A lock-free stack of `'static` things that wait to be looked at: pushing allocates nothing and never waits.

use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

/// The room for one entry inside the thing that is pushed.
#[derive(Debug)]
pub(crate) struct Link<T: 'static> {
    queued: AtomicBool,
    next: AtomicPtr<T>,
}

impl<T> Link<T> {
    pub(crate) const fn new() -> Self {
        Link {
            queued: AtomicBool::new(false),
            next: AtomicPtr::new(ptr::null_mut()),
        }
    }
}

/// A thing that can wait in a [`Pending`].
pub(crate) trait Linked: Sized + Sync + 'static {
    fn link(&self) -> &Link<Self>;
}

/// Things waiting, newest first.
pub(crate) struct Pending<T: 'static> {
    head: AtomicPtr<T>,
}

impl<T: Linked> Pending<T> {
    pub(crate) const fn new() -> Self {
        Pending {
            head: AtomicPtr::new(ptr::null_mut()),
        }
    }

    /// Adds `item` unless it waits already.
    pub(crate) fn push(&self, item: &'static T) {
        let link = item.link();
        if link.queued.swap(true, Ordering::AcqRel) {
            return;
        }
        let item = ptr::from_ref(item).cast_mut();
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            link.next.store(head, Ordering::Relaxed);
            match self
                .head
                .compare_exchange_weak(head, item, Ordering::Release, Ordering::Relaxed)
            {
                Ok(_) => return,
                Err(now) => head = now,
            }
        }
    }

    /// Takes everything that waits; each item may be pushed again from the moment it was handed to `visit`.
    pub(crate) fn drain(&self, mut visit: impl FnMut(&'static T)) {
        let mut next = self.head.swap(ptr::null_mut(), Ordering::Acquire);
        // SAFETY:
        // - Only `push` stores into `head` and `next`, and only pointers made from `&'static T`, so each is null or valid
        //   for shared access for ever.
        // - The chain was taken whole, and an item can't be pushed again (and its `next` rewritten) before `queued` is
        //   cleared below, after `next` was read.
        while let Some(item) = unsafe { next.as_ref() } {
            let link = item.link();
            next = link.next.load(Ordering::Relaxed);
            link.queued.store(false, Ordering::Release);
            visit(item);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU64;

    struct Item {
        visits: AtomicU64,
        link: Link<Item>,
    }

    impl Item {
        const fn new() -> Self {
            Item {
                visits: AtomicU64::new(0),
                link: Link::new(),
            }
        }
    }

    impl Linked for Item {
        fn link(&self) -> &Link<Item> {
            &self.link
        }
    }

    #[test]
    fn an_item_waits_once_and_can_wait_again() {
        static ITEMS: [Item; 2] = [const { Item::new() }; 2];
        static PENDING: Pending<Item> = Pending::new();
        for _ in 0..2 {
            PENDING.push(&ITEMS[0]);
            PENDING.push(&ITEMS[1]);
            PENDING.push(&ITEMS[0]);
            PENDING.drain(|item| {
                item.visits.fetch_add(1, Ordering::Relaxed);
            });
        }
        for item in &ITEMS {
            assert_eq!(item.visits.load(Ordering::Relaxed), 2);
        }
    }

    #[test]
    fn no_push_is_lost_between_threads() {
        static ITEM: Item = Item::new();
        static PENDING: Pending<Item> = Pending::new();
        static RAISED: AtomicU64 = AtomicU64::new(0);
        let mut seen = 0;
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for _ in 0..50_000 {
                        RAISED.fetch_add(1, Ordering::Release);
                        PENDING.push(&ITEM);
                    }
                });
            }
            while seen < 100_000 {
                PENDING.drain(|_| seen = RAISED.load(Ordering::Acquire));
                std::hint::spin_loop();
            }
        });
        assert_eq!(seen, 100_000);
    }
}
