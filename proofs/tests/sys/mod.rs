//! Stands for the library's `crate::sys`, as far as the lock-free parts use it.

#![allow(
    unused_imports,
    unused_macros,
    dead_code,
    reason = "each model uses its part"
)]

pub(crate) mod atomic {
    pub(crate) use loom::hint::spin_loop;
    pub(crate) use loom::sync::atomic::{
        AtomicBool, AtomicI64, AtomicU8, AtomicU16, AtomicU32, AtomicU64, AtomicUsize, Ordering,
        fence,
    };

    /// loom's atomics can't be made by `const` functions.
    macro_rules! const_fn {
        ($(#[$attribute:meta])* $visibility:vis fn $($rest:tt)*) => {
            $(#[$attribute])* $visibility fn $($rest)*
        };
    }
    pub(crate) use const_fn;
}
