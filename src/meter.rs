//! What runs on everybody's threads: the bell that calls the worker, the tabs that reservations are spent by,
//! the clock that counts bytes, and the boundary at which a thread cache is flushed.

mod bell;
pub(crate) mod clock;
mod tab;
mod thread_cache;

pub(crate) use bell::{Bell, install, ring, ring_installed, set_starter};
pub(crate) use tab::{Outstanding, Tab};
pub use thread_cache::thread_idle;
pub(crate) use thread_cache::{at_boundary, purge_has_run};
