//! A lock-free list of `'static` things that only grows: adding allocates nothing and never waits.

use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

/// The room for one entry inside the thing that is added.
#[derive(Debug)]
pub(crate) struct Link<T: 'static> {
    added: AtomicBool,
    next: AtomicPtr<T>,
}

impl<T> Link<T> {
    pub(crate) const fn new() -> Self {
        Link {
            added: AtomicBool::new(false),
            next: AtomicPtr::new(ptr::null_mut()),
        }
    }
}

/// A thing that can be in a [`StaticList`].
pub(crate) trait Linked: Sized + Sync + 'static {
    fn link(&self) -> &Link<Self>;
}

/// Things added so far, newest first. Nothing is taken out again, so a reader that stops half way (a fork) loses nothing.
pub(crate) struct StaticList<T: 'static> {
    head: AtomicPtr<T>,
}

impl<T: Linked> StaticList<T> {
    pub(crate) const fn new() -> Self {
        StaticList {
            head: AtomicPtr::new(ptr::null_mut()),
        }
    }

    /// Adds `item` unless it is there already; whether it was this caller who did.
    pub(crate) fn add(&self, item: &'static T) -> bool {
        let link = item.link();
        if link.added.load(Ordering::Relaxed) || link.added.swap(true, Ordering::Relaxed) {
            return false;
        }
        let item = ptr::from_ref(item).cast_mut();
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            link.next.store(head, Ordering::Relaxed);
            match self
                .head
                .compare_exchange_weak(head, item, Ordering::Release, Ordering::Relaxed)
            {
                Ok(_) => return true,
                Err(now) => head = now,
            }
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &'static T> {
        let mut next = self.head.load(Ordering::Acquire);
        std::iter::from_fn(move || {
            // SAFETY:
            // - Only `add` stores into `head` and `next`, and only pointers made from `&'static T`: each is null or valid for
            //   shared access for ever.
            // - `next` is written before the Release that makes its item reachable, and never again.
            let item: &'static T = unsafe { next.as_ref() }?;
            next = item.link().next.load(Ordering::Relaxed);
            Some(item)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Item(Link<Item>);

    impl Linked for Item {
        fn link(&self) -> &Link<Item> {
            &self.0
        }
    }

    #[test]
    fn each_item_is_there_once_whoever_adds_it_and_however_often() {
        static ITEMS: [Item; 100] = [const { Item(Link::new()) }; 100];
        static LIST: StaticList<Item> = StaticList::new();
        std::thread::scope(|scope| {
            for offset in 0..4 {
                scope.spawn(move || {
                    for n in 0..200 {
                        LIST.add(&ITEMS[(n * 7 + offset * 25) % 100]);
                    }
                });
            }
        });
        let mut places: Vec<usize> = LIST
            .iter()
            .map(|item| ITEMS.iter().position(|other| ptr::eq(item, other)).unwrap())
            .collect();
        places.sort_unstable();
        assert_eq!(places, (0..100).collect::<Vec<_>>());
    }
}
