//! [`Kept`]: a value that a room above keeps with the manager, made anew at most so often.

use std::any::Any;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::sys::fork::PerProcess;
use crate::sys::lock::Mutex;

type Value = Arc<dyn Any + Send + Sync>;

/// One value of one type, of this process.
pub(crate) struct Kept(PerProcess<Mutex<State>>);

#[derive(Default)]
struct State {
    value: Option<Value>,
    /// From then on it is made anew.
    due: Option<Instant>,
    begun_total: u64,
    /// Which of those that were begun is in `value`.
    kept: u64,
}

impl Kept {
    pub(crate) fn new() -> Self {
        Kept(PerProcess::new(Mutex::default()))
    }

    fn state(&self) -> &Mutex<State> {
        self.0.get(|_| Mutex::default())
    }

    /// The value, made by `make` of the one before, unless one was begun within the `spacing` before `now`.
    ///
    /// `make` runs without a lock, for it may call user code: whoever asks meanwhile gets the value before, and makes its own where
    /// there is none. One that never returns keeps nobody from making the next.
    pub(crate) fn get<T: Any + Send + Sync>(
        &self,
        now: Instant,
        spacing: Duration,
        make: impl FnOnce(Option<Arc<T>>) -> T,
    ) -> Arc<T> {
        let mut state = self.state().lock();
        let before: Option<Arc<T>> = state.value.clone().and_then(|kept| kept.downcast().ok());
        if state.due.is_some_and(|due| now < due)
            && let Some(kept) = before
        {
            return kept;
        }
        state.due = Some(now + spacing);
        state.begun_total += 1;
        let number = state.begun_total;
        drop(state);
        let made = Arc::new(make(before));
        let mut state = self.state().lock();
        // One that was begun later may be there already.
        if number > state.kept {
            state.kept = number;
            let before = state.value.replace(made.clone());
            drop(state);
            drop(before);
        }
        made
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn within_the_spacing_all_share_one_value() {
        let kept = Kept::new();
        let start = Instant::now();
        let get = |after_ms, value: u32| {
            *kept.get(start + Duration::from_millis(after_ms), SECOND, |_| value)
        };
        assert_eq!(get(0, 1), 1);
        assert_eq!(get(999, 2), 1);
        assert_eq!(get(1000, 3), 3);
        assert_eq!(get(1999, 4), 3);
    }

    #[test]
    fn who_asks_while_one_is_made_gets_the_one_before_and_late_ones_replace_nothing_newer() {
        let kept = Kept::new();
        let start = Instant::now();
        let at = |seconds| start + SECOND * seconds;
        // None before: it makes its own.
        let outer = kept.get(at(0), SECOND, |_| {
            assert_eq!(*kept.get(at(0), SECOND, |_| 2), 2);
            1
        });
        assert_eq!((*outer, *kept.get(at(0), SECOND, |_| 3)), (1, 2));
        // A late one: another was begun and ended meanwhile.
        let late = kept.get(at(1), SECOND, |_| {
            assert_eq!(*kept.get(at(1), SECOND, |_| 5), 2, "the one before");
            assert_eq!(*kept.get(at(2), SECOND, |_| 6), 6);
            4
        });
        assert_eq!((*late, *kept.get(at(2), SECOND, |_| 7)), (4, 6));
    }
}
