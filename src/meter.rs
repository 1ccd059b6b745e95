//! What runs on everybody's threads: jemalloc's events, the heap line, the brake, the bell that calls the worker, the tabs that reservations are
//! spent by, the clock that counts bytes, and the boundary at which a thread cache is flushed.

mod belfry;
mod bell;
mod brake;
pub(crate) mod clock;
mod events;
mod heap_line;
mod installed;
mod line;
mod tab;
mod thread_cache;

pub(crate) use bell::{Bell, ring};
pub use brake::BrakeStats;
pub(crate) use brake::{
    anonymous_bytes, brake_stats, exempt_this_thread, release_brake, set_brake,
};
pub(crate) use events::{DEFAULT_INTERVAL_BYTES, Events, events, install_events, interval_bytes};
pub(crate) use heap_line::{arm_heap_line, at_event, disarm_heap_line, heap_line_passed_total};
pub(crate) use installed::{
    install, is_installed, is_listened_to, ring_from_event, ring_installed, set_starter,
    stand_sentry, start_if_unheard,
};
pub(crate) use tab::{Outstanding, Tab};
pub use thread_cache::thread_idle;
pub(crate) use thread_cache::{at_boundary, purge_has_run};
