//! [`Line`]: a line that is passed once for each time that it is armed.

use crate::sys::atomic::{AtomicU64, Ordering, const_fn};

const DISARMED: u64 = u64::MAX;

/// Armed by one thread, passed by any.
pub(crate) struct Line {
    bytes: AtomicU64,
}

impl Line {
    const_fn! {
        pub(crate) fn disarmed() -> Self {
            Line { bytes: AtomicU64::new(DISARMED) }
        }
    }

    /// From now on it lies at `bytes`.
    pub(crate) fn arm(&self, bytes: u64) {
        // Stored by a swap: in loom a store may be overtaken by a comparison that succeeded before it.
        self.bytes.swap(bytes, Ordering::Relaxed);
    }

    pub(crate) fn disarm(&self) {
        self.arm(DISARMED);
    }

    #[inline]
    pub(crate) fn is_armed(&self) -> bool {
        self.bytes.load(Ordering::Relaxed) != DISARMED
    }

    /// Whether the caller is the one that passes it, and by that disarms it. Asks for what is active only while it is armed, and
    /// tells where it lies.
    pub(crate) fn passed(&self, active_bytes: impl FnOnce(u64) -> Option<u64>) -> bool {
        let line = self.bytes.load(Ordering::Relaxed);
        line != DISARMED
            && active_bytes(line).is_some_and(|active| active > line)
            // Not if it was armed anew meanwhile: what was read then is too old for that line.
            && self
                .bytes
                .compare_exchange(line, DISARMED, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }
}
