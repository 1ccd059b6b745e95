//! [`CleanupHook`]: how a part of the program gives memory back when asked.

use std::fmt;
use std::time::Instant;

use crate::bytes::ByteSize;

/// Something that can give memory back: a cache, a pool, a buffer.
///
/// Hooks run on one thread of the library's own, never on the caller's, one after the other, until what was measured adds up to the
/// target (a forced cleanup calls all). A panic is caught (not with `panic = "abort"`); a hook that runs past its deadline is left
/// behind and not called again until it has returned.
///
/// ```
/// use plimsoll::{ClaimedBytes, CleanupHook, CleanupRequest, get_memory_manager};
/// use std::sync::{Arc, Mutex};
///
/// struct Pages(Mutex<Vec<[u8; 4096]>>);
///
/// impl CleanupHook for Pages {
///     fn cleanup(&self, _request: &CleanupRequest) -> ClaimedBytes {
///         let pages = std::mem::take(&mut *self.0.lock().unwrap());
///         ClaimedBytes::bytes(pages.len() as u64 * 4096)
///     }
///     fn name(&self) -> &str {
///         "pages"
///     }
/// }
///
/// let registration = get_memory_manager().register_cleanup(Pages(Mutex::new(vec![[0; 4096]; 10])));
/// let report = get_memory_manager().force_cleanup();
/// assert_eq!(report.hooks[0].claimed_bytes, Some(40_960));
/// ```
pub trait CleanupHook: Send + Sync {
    /// Gives memory back, at best `request.target_bytes` and before `request.deadline`, and says how much it thinks it was.
    /// The report shows the claim beside what was measured.
    fn cleanup(&self, request: &CleanupRequest) -> ClaimedBytes;

    /// What it is called in reports. Defaults to the name of the type.
    fn name(&self) -> &str {
        std::any::type_name::<Self>()
    }

    /// Hooks with a higher priority run first; among equals those that gave back most per millisecond so far. Defaults to 0.
    fn priority(&self) -> i32 {
        0
    }

    /// How many bytes a cleanup could give back now, if that is cheap to say. Defaults to unknown.
    fn estimate(&self) -> Option<u64> {
        None
    }
}

impl<T: CleanupHook + ?Sized> CleanupHook for std::sync::Arc<T> {
    fn cleanup(&self, request: &CleanupRequest) -> ClaimedBytes {
        (**self).cleanup(request)
    }

    fn name(&self) -> &str {
        (**self).name()
    }

    fn priority(&self) -> i32 {
        (**self).priority()
    }

    fn estimate(&self) -> Option<u64> {
        (**self).estimate()
    }
}

/// Why a cleanup runs. Of several that share a cleanup the last in this order counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum CleanupReason {
    /// RSS grew by more than the threshold since the last cleanup. Purges only, below the Elevated line.
    Growth,
    /// A scope passed its limit. Purges only, below the Elevated line.
    LimitExceeded,
    /// Usage is above the Elevated line, and the manager cleans up by itself.
    Pressure,
    /// Usage is above the High line.
    AbovePercent,
    /// Somebody asked for it, without a condition.
    Forced,
}

impl fmt::Display for CleanupReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CleanupReason::Growth => "growth",
            CleanupReason::LimitExceeded => "limit exceeded",
            CleanupReason::Pressure => "pressure",
            CleanupReason::AbovePercent => "above percent",
            CleanupReason::Forced => "forced",
        })
    }
}

/// What a hook is asked for.
///
/// ```
/// use plimsoll::{CleanupFn, get_memory_manager};
/// use std::{sync::Mutex, time::Instant};
///
/// let rows = Mutex::new(vec![vec![0u8; 1000]; 100]);
/// let _hook = get_memory_manager().register_cleanup(CleanupFn::new("rows", move |request| {
///     let mut freed = 0;
///     // No more than is wanted, and not for longer than there is time.
///     while freed < request.target_bytes && Instant::now() < request.deadline {
///         let Some(row) = rows.lock().unwrap().pop() else { break };
///         freed += row.len() as u64;
///     }
///     freed
/// }));
/// // Forced: all there is.
/// let report = get_memory_manager().force_cleanup();
/// assert_eq!(report.hooks[0].claimed_bytes, Some(100_000));
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct CleanupRequest {
    /// Why.
    pub reason: CleanupReason,
    /// How many bytes are still to be given back, after what the hooks before returned by measurement; `u64::MAX` means all that
    /// can be spared.
    pub target_bytes: u64,
    /// When the hook should have returned; somewhat later it is left behind.
    pub deadline: Instant,
}

/// What a hook says it gave back: a claim, not a measurement. It stands in the report and decides nothing.
///
/// ```
/// use plimsoll::{ByteSize, ClaimedBytes};
///
/// assert_eq!(ClaimedBytes::from(ByteSize::kib(1)), ClaimedBytes::bytes(1024));
/// assert_eq!(ClaimedBytes::from(()), ClaimedBytes::UNKNOWN);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClaimedBytes(Option<u64>);

impl ClaimedBytes {
    /// The hook does not know. Not the same as 0.
    pub const UNKNOWN: ClaimedBytes = ClaimedBytes(None);

    /// `count` bytes.
    pub const fn bytes(count: u64) -> Self {
        ClaimedBytes(Some(count))
    }

    /// The number, if the hook knows one.
    pub const fn as_u64(self) -> Option<u64> {
        self.0
    }
}

impl From<()> for ClaimedBytes {
    fn from((): ()) -> Self {
        ClaimedBytes::UNKNOWN
    }
}

impl From<u64> for ClaimedBytes {
    fn from(count: u64) -> Self {
        ClaimedBytes::bytes(count)
    }
}

impl From<usize> for ClaimedBytes {
    fn from(count: usize) -> Self {
        ClaimedBytes::bytes(count as u64)
    }
}

impl From<ByteSize> for ClaimedBytes {
    fn from(size: ByteSize) -> Self {
        ClaimedBytes::bytes(size.as_u64())
    }
}

/// A hook made of closures.
///
/// ```
/// use plimsoll::{CleanupFn, get_memory_manager};
/// use std::sync::{Arc, Mutex};
///
/// let cache = Arc::new(Mutex::new(vec![vec![0u8; 1000]; 100]));
/// let hook = CleanupFn::new("event cache", {
///     let cache = Arc::clone(&cache);
///     move |_request| std::mem::take(&mut *cache.lock().unwrap()).len() * 1000
/// })
/// .priority(10)
/// .estimate({
///     let cache = Arc::clone(&cache);
///     move || cache.lock().unwrap().len() as u64 * 1000
/// });
/// let registration = get_memory_manager().register_cleanup(hook);
/// ```
pub struct CleanupFn {
    name: String,
    priority: i32,
    cleanup: Box<dyn Fn(&CleanupRequest) -> ClaimedBytes + Send + Sync>,
    estimate: Option<Box<dyn Fn() -> u64 + Send + Sync>>,
}

impl CleanupFn {
    /// A hook called `name` that runs `cleanup`, which returns bytes (`u64`, `usize`, [`ByteSize`]), or `()` if it does not know.
    pub fn new<R: Into<ClaimedBytes>>(
        name: impl Into<String>,
        cleanup: impl Fn(&CleanupRequest) -> R + Send + Sync + 'static,
    ) -> Self {
        CleanupFn {
            name: name.into(),
            priority: 0,
            cleanup: Box::new(move |request| cleanup(request).into()),
            estimate: None,
        }
    }

    /// Hooks with a higher priority run first. Defaults to 0.
    #[must_use]
    pub fn priority(mut self, priority: i32) -> Self {
        self.priority = priority;
        self
    }

    /// Says how many bytes a cleanup could give back now. Defaults to unknown.
    #[must_use]
    pub fn estimate(mut self, estimate: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        self.estimate = Some(Box::new(estimate));
        self
    }
}

impl CleanupHook for CleanupFn {
    fn cleanup(&self, request: &CleanupRequest) -> ClaimedBytes {
        (self.cleanup)(request)
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn priority(&self) -> i32 {
        self.priority
    }

    fn estimate(&self) -> Option<u64> {
        self.estimate.as_ref().map(|estimate| estimate())
    }
}

impl fmt::Debug for CleanupFn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CleanupFn")
            .field("name", &self.name)
            .field("priority", &self.priority)
            .finish_non_exhaustive()
    }
}
