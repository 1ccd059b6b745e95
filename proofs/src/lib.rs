//! loom models of Plimsoll's lock-free parts, one file each in `tests`.
//!
//! A model compiles the library's own source file by its path, with loom's atomics in place of the standard library's
//! (`tests/sys/mod.rs` stands for `crate::sys`). So no second jemalloc is built, and the library has no switch for it.
