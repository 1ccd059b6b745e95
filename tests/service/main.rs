//! The service example, driven by clients that nobody here wrote: nothing sent is lost unless the reply said so.
#![cfg(all(target_os = "linux", feature = "jemalloc"))]
#![allow(
    clippy::print_stderr,
    reason = "for whoever reads why a test was skipped or failed"
)]

mod accounting;
mod cgroup;
mod exits;
mod process;
mod replies;
#[path = "../support/mod.rs"]
mod support;
mod tools;
