//! Callbacks and their threads.

use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use super::*;

/// Long enough for a busy machine; a test that waits for it in vain fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// A subscription that passes on what it is told.
fn listen(watch: &Arc<Watch>) -> (PressureSubscription, Receiver<PressureChange>) {
    let (sender, receiver) = channel();
    let sender = Mutex::new(sender);
    let subscription = watch.subscribe(move |change| {
        let _ = sender.lock().unwrap().send(*change);
    });
    (subscription, receiver)
}

fn hears(receiver: &Receiver<PressureChange>) -> (PressureLevel, PressureLevel) {
    let change = receiver.recv_timeout(PATIENCE).unwrap();
    (change.from, change.to)
}

/// The callback is gone, and with it its sender.
fn ends(receiver: &Receiver<PressureChange>) -> bool {
    receiver.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Disconnected)
}

#[test]
fn each_change_once_and_nothing_from_before() {
    let watch = watch();
    set(&watch, Elevated);
    let (subscription, told) = listen(&watch);
    set(&watch, Critical);
    assert_eq!(hears(&told), (Elevated, Critical));
    set(&watch, Normal);
    assert_eq!(hears(&told), (Critical, Normal));
    while watch.waiting() == 0 {
        std::thread::yield_now();
    }
    drop(subscription);
    assert!(ends(&told), "its thread ends without another change");
    assert_eq!(watch.waiting(), 0);
}

#[test]
fn who_is_slow_is_told_once_and_holds_up_nobody() {
    let watch = watch();
    let (entered, is_inside) = channel();
    let (go, wait) = channel::<()>();
    let (entered, wait) = (Mutex::new(entered), Mutex::new(wait));
    let slow = watch.subscribe(move |change| {
        entered.lock().unwrap().send(*change).unwrap();
        let _ = wait.lock().unwrap().recv();
    });
    let (_quick, told) = listen(&watch);
    set(&watch, Elevated);
    assert_eq!(hears(&is_inside), (Normal, Elevated));
    assert_eq!(hears(&told), (Normal, Elevated));
    for level in [High, Normal, Elevated, Normal] {
        set(&watch, level);
        assert_eq!(hears(&told).1, level);
    }
    watch.set(change(Normal, Critical, PressureCause::Forecast));
    go.send(()).unwrap();
    let missed = is_inside.recv_timeout(PATIENCE).unwrap();
    assert_eq!(missed, change(Elevated, Critical, PressureCause::Forecast));
    // Up and down while it is busy: nothing to tell.
    set(&watch, Normal);
    set(&watch, Critical);
    go.send(()).unwrap();
    // It hangs for good now, and its drop does not care.
    set(&watch, High);
    assert_eq!(hears(&is_inside), (Critical, High));
    drop(slow);
    set(&watch, Normal);
    drop(go);
    assert!(ends(&is_inside), "no call began after the drop");
}

#[test]
fn a_panic_ends_no_later_call() {
    let watch = watch();
    let (sender, told) = channel();
    let sender = Mutex::new(sender);
    let _subscription = watch.subscribe(move |change| {
        // Not under the lock, which a panic would poison.
        let sender = sender.lock().unwrap().clone();
        sender.send(*change).unwrap();
        panic!("the pager is down");
    });
    for (from, to) in [(Normal, High), (High, Critical), (Critical, Normal)] {
        set(&watch, to);
        assert_eq!(hears(&told), (from, to));
    }
}

#[test]
fn a_callback_may_end_its_own_subscription_and_panic_when_it_is_dropped() {
    struct LastWords(Mutex<Sender<PressureChange>>);
    impl Drop for LastWords {
        fn drop(&mut self) {
            let change = change(Normal, Normal, PressureCause::LimitUnknown);
            let _ = self.0.lock().unwrap().send(change);
            panic!("last words");
        }
    }
    let watch = watch();
    let own: Arc<Mutex<Option<PressureSubscription>>> = Arc::default();
    let (sender, told) = channel();
    let last_words = LastWords(Mutex::new(sender.clone()));
    let sender = Mutex::new(sender);
    let subscription = watch.subscribe({
        let own = Arc::clone(&own);
        move |change| {
            let _ = &last_words;
            sender.lock().unwrap().send(*change).unwrap();
            drop(own.lock().unwrap().take());
        }
    });
    *own.lock().unwrap() = Some(subscription);
    set(&watch, High);
    assert_eq!(hears(&told), (Normal, High));
    assert_eq!(hears(&told), (Normal, Normal), "the callback is dropped");
    assert!(ends(&told));
    set(&watch, Normal);
}

#[test]
fn a_manager_that_goes_away_ends_the_threads() {
    let watch = watch();
    let (subscription, told) = listen(&watch);
    set(&watch, High);
    assert_eq!(hears(&told), (Normal, High));
    watch.close();
    set(&watch, Normal);
    drop(subscription);
    assert!(ends(&told));
}

#[test]
fn who_got_no_thread_is_told_what_it_missed_by_the_next_that_starts() {
    let subscribers = Subscribers::new();
    let watch = Watch::new(&subscribers, Normal);
    let (sender, told) = channel();
    let sender = Mutex::new(sender);
    let call = move |change: &PressureChange| {
        let _ = sender.lock().unwrap().send(*change);
    };
    let _subscription = subscribers.add(Box::new(call), watch.level());
    subscribers.start_by(&watch, |_| Err(std::io::ErrorKind::OutOfMemory.into()));
    // Starts what is missing, and only that.
    set(&watch, Elevated);
    assert_eq!(hears(&told), (Normal, Elevated));
    let started = AtomicBool::new(false);
    subscribers.start_by(&watch, |_| {
        started.store(true, Ordering::SeqCst);
        Ok(())
    });
    assert!(!started.load(Ordering::SeqCst));
}
