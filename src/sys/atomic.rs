//! What the lock-free parts are made of: the standard library's here, loom's in `proofs`, which compiles the same files.

#[allow(unused_imports, reason = "each part uses its own")]
pub(crate) use std::sync::atomic::{
    AtomicBool, AtomicI64, AtomicU8, AtomicU16, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence,
};

/// Set once, and then read by one atomic load.
#[allow(unused_imports, reason = "each part uses its own")]
pub(crate) use std::sync::OnceLock;

/// A constructor that is `const` here; loom's atomics have none.
macro_rules! const_fn {
    ($(#[$attribute:meta])* $visibility:vis fn $($rest:tt)*) => {
        $(#[$attribute])* $visibility const fn $($rest)*
    };
}
#[allow(unused_imports, reason = "each part uses its own")]
pub(crate) use const_fn;

/// Another try will come in a moment.
#[allow(unused_imports, reason = "each part uses its own")]
pub(crate) use std::hint::spin_loop;
