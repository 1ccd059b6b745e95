//! [`PressureSubscription`]: a callback that is told of changes, on a thread of its own.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker};

use crate::meter;
use crate::pressure::{PressureChange, PressureChanged, PressureLevel, Watch};
use crate::sys::fork::{PerProcess, Snapshot};
use crate::sys::wake::{Sleeper, shielded, wake};

type Call = Box<dyn Fn(&PressureChange) + Send + Sync>;

/// All who subscribed to a manager; a forked child keeps them, and gives each a thread of its own.
pub(crate) struct Subscribers {
    list: Snapshot<Vec<Arc<Subscriber>>>,
}

struct Subscriber {
    call: Call,
    /// Cleared when the subscription is dropped: no call begins after that.
    subscribed: AtomicBool,
    home: PerProcess<Home>,
}

/// What belongs to the process.
struct Home {
    /// The level at subscription; `None` in a child, which begins at the level of the fork.
    told: Option<PressureLevel>,
    has_thread: AtomicBool,
    sleeper: Arc<Sleeper>,
}

impl Home {
    fn new(told: Option<PressureLevel>) -> Self {
        Home {
            told,
            has_thread: AtomicBool::new(false),
            sleeper: Arc::default(),
        }
    }
}

impl Subscribers {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Subscribers {
            list: Snapshot::new(Vec::new()),
        })
    }

    /// Adds one that knows the level `told`. Its thread is started by the next call of `start`.
    pub(super) fn add(self: &Arc<Self>, call: Call, told: PressureLevel) -> PressureSubscription {
        let subscriber = Arc::new(Subscriber {
            call,
            subscribed: AtomicBool::new(true),
            home: PerProcess::new(Home::new(Some(told))),
        });
        self.list.update(|list| {
            let mut list = list.clone();
            list.push(Arc::clone(&subscriber));
            (list, ())
        });
        PressureSubscription {
            subscriber,
            subscribers: Arc::downgrade(self),
        }
    }

    /// Starts the threads that are missing in this process; what can't be started is tried again by the next call.
    pub(super) fn start(&self, watch: &Arc<Watch>) {
        self.start_by(watch, |run| {
            std::thread::Builder::new()
                .name("plimsoll-notify".to_owned())
                .spawn(run)
                .map(drop)
        });
    }

    pub(super) fn start_by(
        &self,
        watch: &Arc<Watch>,
        spawn: impl Fn(Box<dyn FnOnce() + Send>) -> io::Result<()>,
    ) {
        let list = self.list.load();
        for subscriber in list.iter() {
            let home = subscriber.home();
            if home.has_thread.swap(true, Ordering::AcqRel) {
                continue;
            }
            let told = home.told.unwrap_or(watch.first_level());
            let changes = PressureChanged::since(watch, told);
            let sleeper = Arc::clone(&home.sleeper);
            let thread = Arc::clone(subscriber);
            if let Err(error) = spawn(Box::new(move || thread.run(changes, sleeper))) {
                home.has_thread.store(false, Ordering::Release);
                shielded(
                    || tracing::error!(target: "plimsoll", %error, "no thread for a pressure subscriber; the next change tries again"),
                );
            }
        }
        // Perhaps the last owner of one that was removed meanwhile, whose drop is somebody else's code.
        shielded(|| drop(list));
    }

    fn remove(&self, subscriber: &Arc<Subscriber>) {
        // The removed entry leaves the lock inside the result: the callback's drop is user code.
        let removed = self.list.update(|list| {
            let mut kept = list.clone();
            let position = kept.iter().position(|other| Arc::ptr_eq(other, subscriber));
            let removed = position.map(|position| kept.remove(position));
            (kept, removed)
        });
        drop(removed);
    }
}

impl Subscriber {
    fn home(&self) -> &Home {
        self.home.get(|_| Home::new(None))
    }

    fn is_subscribed(&self) -> bool {
        self.subscribed.load(Ordering::Acquire)
    }

    /// The thread: one call after the other, until the subscription or the manager is gone.
    fn run(self: Arc<Self>, mut changes: PressureChanged, sleeper: Arc<Sleeper>) {
        // What it is told of may well be a reason to free memory.
        meter::exempt_this_thread();
        let waker = Waker::from(Arc::clone(&sleeper));
        let mut context = Context::from_waker(&waker);
        while self.is_subscribed() {
            match Pin::new(&mut changes).poll(&mut context) {
                Poll::Ready(Ok(change)) => {
                    if self.is_subscribed() {
                        shielded(|| (self.call)(&change));
                    }
                }
                Poll::Ready(Err(_)) => break,
                Poll::Pending => {
                    sleeper.sleep(None);
                }
            }
        }
    }
}

/// Keeps a callback subscribed; dropping it ends that.
///
/// A call may be under way at that moment, and the drop does not wait for it; none begins after it. The callback may drop its
/// own subscription. `std::mem::forget` keeps the callback for good.
///
/// ```
/// use plimsoll::get_memory_manager;
///
/// let subscription = get_memory_manager().on_pressure(|change| println!("{change}"));
/// drop(subscription); // and it is not called any more
/// ```
#[must_use = "dropping the subscription ends it"]
pub struct PressureSubscription {
    subscriber: Arc<Subscriber>,
    subscribers: Weak<Subscribers>,
}

impl Drop for PressureSubscription {
    fn drop(&mut self) {
        self.subscriber.subscribed.store(false, Ordering::Release);
        wake(Waker::from(Arc::clone(&self.subscriber.home().sleeper)));
        if let Some(subscribers) = self.subscribers.upgrade() {
            subscribers.remove(&self.subscriber);
        }
    }
}

impl fmt::Debug for PressureSubscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PressureSubscription")
            .finish_non_exhaustive()
    }
}
