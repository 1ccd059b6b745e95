//! What runs on everybody's threads: the bell that calls the worker, and the boundary at which a thread cache is flushed.

mod bell;
mod thread_cache;

pub(crate) use bell::{Bell, install, ring, ring_installed, set_starter};
pub use thread_cache::thread_idle;
pub(crate) use thread_cache::{at_boundary, purge_has_run};
