//! jemalloc through `mallctl`: is it the allocator at all, its figures, its purge.

use std::ffi::{CStr, c_int, c_void};
use std::hint::black_box;
use std::ptr;
use std::sync::atomic::{AtomicU8, Ordering};

use once_cell::sync::OnceCell;
use tikv_jemalloc_ctl::{epoch_mib, stats, thread};

use super::counters::Pointers;
use super::figures::{DecayOf, EpochFigures};

/// The index that stands for all arenas (`MALLCTL_ARENAS_ALL`).
const PURGE_ALL_ARENAS: &CStr = c"arena.4096.purge";
const PURGE_FIRST_ARENA: &[u8] = b"arena.0.purge\0";
const FLUSH_THREAD_CACHE: &CStr = c"thread.tcache.flush";
const APPROXIMATE_ACTIVE: &[u8] = b"approximate_stats.active\0";
const DIRTY_PAGES: &[u8] = b"stats.arenas.4096.pdirty\0";
const THREAD_CACHES: &[u8] = b"stats.arenas.4096.tcache_bytes\0";
const PAGE: &[u8] = b"arenas.page\0";
const ARENAS: &[u8] = b"arenas.narenas\0";
const DECAY_OF_NEW: &[u8] = b"arenas.dirty_decay_ms\0";
const DECAY_OF_FIRST: &[u8] = b"arena.0.dirty_decay_ms\0";

/// Large enough that no other traffic of this thread can be taken for it.
const PROBE_BYTES: usize = 1 << 20;

const UNKNOWN: u8 = 0;
const YES: u8 = 1;
const NO: u8 = 2;
static IS_GLOBAL: AtomicU8 = AtomicU8::new(UNKNOWN);

/// Whether the binary allocates through this jemalloc. Found out once, by allocating and watching the thread's counter:
/// `mallctl` answers just as happily when nobody allocates through it.
pub(crate) fn is_global() -> bool {
    match IS_GLOBAL.load(Ordering::Relaxed) {
        UNKNOWN => {
            let found = probe();
            IS_GLOBAL.store(if found { YES } else { NO }, Ordering::Relaxed);
            found
        }
        known => known == YES,
    }
}

fn probe() -> bool {
    let Ok(allocated) = thread::allocatedp::read() else {
        return false;
    };
    let before = allocated.get();
    drop(black_box(Vec::<u8>::with_capacity(black_box(PROBE_BYTES))));
    allocated.get().wrapping_sub(before) >= PROBE_BYTES as u64
}

/// This thread's counters, or the still ones when there is nothing to measure.
pub(super) fn thread_pointers() -> Pointers {
    if !is_global() {
        return Pointers::STILL;
    }
    match (
        read_pointer(c"thread.allocatedp"),
        read_pointer(c"thread.deallocatedp"),
    ) {
        (Some(allocated), Some(freed)) => Pointers { allocated, freed },
        _ => Pointers::STILL,
    }
}

fn read_pointer(key: &CStr) -> Option<*const u64> {
    let mut pointer: *const u64 = ptr::null();
    let mut size = size_of::<*const u64>();
    // SAFETY:
    // - `key` is NUL-terminated and names a value of pointer type, and `pointer` and `size` are valid for that type.
    // - Nothing is written (null new value, length 0).
    let status = unsafe {
        tikv_jemalloc_sys::mallctl(
            key.as_ptr(),
            (&raw mut pointer).cast::<c_void>(),
            &raw mut size,
            ptr::null_mut(),
            0,
        )
    };
    (status == 0 && !pointer.is_null()).then_some(pointer)
}

/// The keys that are read every tick, looked up once.
struct Keys {
    epoch: epoch_mib,
    allocated: stats::allocated_mib,
    active: stats::active_mib,
    metadata: stats::metadata_mib,
    resident: stats::resident_mib,
    mapped: stats::mapped_mib,
    retained: stats::retained_mib,
    approximate_active: Option<[usize; 2]>,
    page_bytes: u64,
}

static KEYS: OnceCell<Keys> = OnceCell::new();

fn keys() -> Option<&'static Keys> {
    KEYS.get_or_try_init(|| {
        let mut approximate_active = [0; 2];
        Ok::<_, tikv_jemalloc_ctl::Error>(Keys {
            epoch: tikv_jemalloc_ctl::epoch::mib()?,
            allocated: stats::allocated::mib()?,
            active: stats::active::mib()?,
            metadata: stats::metadata::mib()?,
            resident: stats::resident::mib()?,
            mapped: stats::mapped::mib()?,
            retained: stats::retained::mib()?,
            // Absent from jemalloc before 5.3.
            approximate_active: tikv_jemalloc_ctl::raw::name_to_mib(
                APPROXIMATE_ACTIVE,
                &mut approximate_active,
            )
            .ok()
            .map(|()| approximate_active),
            page_bytes: read_size(PAGE)?,
        })
    })
    .ok()
}

fn read_size(key: &[u8]) -> tikv_jemalloc_ctl::Result<u64> {
    // SAFETY: every key passed here is NUL-terminated and documented as `size_t`.
    unsafe { tikv_jemalloc_ctl::raw::read::<usize>(key) }.map(|value| value as u64)
}

/// Advances the epoch and reads what it refreshed. Takes all arenas' locks: 10 to 20 us, 0.6 ms with 64 threads.
///
/// `None` when jemalloc is not the global allocator.
pub(crate) fn epoch_figures() -> Option<EpochFigures> {
    if !is_global() {
        return None;
    }
    let keys = keys()?;
    keys.epoch.advance().ok()?;
    Some(EpochFigures {
        allocated_bytes: keys.allocated.read().ok()? as u64,
        active_bytes: keys.active.read().ok()? as u64,
        metadata_bytes: keys.metadata.read().ok()? as u64,
        resident_bytes: keys.resident.read().ok()? as u64,
        mapped_bytes: keys.mapped.read().ok()? as u64,
        retained_bytes: keys.retained.read().ok()? as u64,
        dirty_bytes: read_size(DIRTY_PAGES).ok()? * keys.page_bytes,
        thread_cache_bytes: read_size(THREAD_CACHES).ok()?,
    })
}

/// `approximate_stats.active`: bytes in pages that hold allocations, now, without an epoch and without a lock (tens of ns).
/// Only as exact as unsynchronised per-arena sums are.
///
/// `None` until the first epoch was read, which looks the keys up: this is called inside the allocator's callback, where nothing
/// may be looked up.
pub(crate) fn active_bytes() -> Option<u64> {
    let mib = KEYS.get()?.approximate_active.as_ref()?;
    // SAFETY: the key behind this MIB is documented as `size_t`.
    unsafe { tikv_jemalloc_ctl::raw::read_mib::<usize>(mib) }
        .ok()
        .map(|bytes| bytes as u64)
}

/// Gives what this thread's cache holds back to its arena. Only ever works for the calling thread.
pub(crate) fn flush_thread_cache() {
    if is_global() {
        // The one failure (no cache on this thread) leaves nothing to flush.
        let _ = call(FLUSH_THREAD_CACHE);
    }
}

/// Returns all unused dirty pages of all arenas to the kernel; whether jemalloc took the call.
pub(crate) fn purge_all_arenas() -> bool {
    is_global() && call(PURGE_ALL_ARENAS) == 0
}

/// The same for one arena, of those below [`arenas`]; whether jemalloc took the call. Nothing happens where it is not in use.
///
/// Upstream key: `arena.<i>.purge`. An index that is the number of arenas stands for all of them there.
pub(crate) fn purge_arena(index: u32) -> bool {
    let Some(mib) = arena_mib(PURGE_FIRST_ARENA, index) else {
        return false;
    };
    // SAFETY:
    // - The MIB is that of a key without a value, with another index; one that is no arena's is an error or does nothing.
    // - Null pointers and length 0 are what keys without a value ask for.
    let status = unsafe {
        tikv_jemalloc_sys::mallctlbymib(
            mib.as_ptr(),
            mib.len(),
            ptr::null_mut(),
            ptr::null_mut(),
            ptr::null_mut(),
            0,
        )
    };
    status == 0
}

/// How many arenas there are; some of the indexes below may not be in use yet.
pub(crate) fn arenas() -> u32 {
    // SAFETY: the key is NUL-terminated and documented as `unsigned`.
    unsafe { tikv_jemalloc_ctl::raw::read(ARENAS) }.unwrap_or(0)
}

/// How long freed pages stay with an arena, in milliseconds; -1 for ever, 0 not at all. `None` for an arena not in use.
///
/// Upstream keys: `arena.<i>.dirty_decay_ms`, and `arenas.dirty_decay_ms` for those to come.
pub(crate) fn dirty_decay_ms(of: DecayOf) -> Option<isize> {
    let read = match of {
        // SAFETY: the key is NUL-terminated and documented as `ssize_t`.
        DecayOf::New => unsafe { tikv_jemalloc_ctl::raw::read(DECAY_OF_NEW) },
        // SAFETY: the key behind this MIB is documented as `ssize_t`; an index without an arena is an error.
        DecayOf::Arena(index) => unsafe {
            tikv_jemalloc_ctl::raw::read_mib(&arena_mib(DECAY_OF_FIRST, index)?)
        },
    };
    read.ok()
}

/// Sets that; whether jemalloc took it. The arena may return much of what it holds at once.
pub(crate) fn set_dirty_decay_ms(of: DecayOf, decay_ms: isize) -> bool {
    let written = match of {
        // SAFETY: the key is NUL-terminated and documented as `ssize_t`.
        DecayOf::New => unsafe { tikv_jemalloc_ctl::raw::write(DECAY_OF_NEW, decay_ms) },
        DecayOf::Arena(index) => match arena_mib(DECAY_OF_FIRST, index) {
            // SAFETY: the key behind this MIB is documented as `ssize_t`; an index without an arena is an error.
            Some(mib) => unsafe { tikv_jemalloc_ctl::raw::write_mib(&mib, decay_ms) },
            None => return false,
        },
    };
    written.is_ok()
}

#[cfg(test)]
pub(crate) fn create_arena() -> Option<u32> {
    // SAFETY: the key is NUL-terminated and documented as `unsigned`.
    unsafe { tikv_jemalloc_ctl::raw::read(b"arenas.create\0") }.ok()
}

/// `of_first` is the key of arena 0.
fn arena_mib(of_first: &[u8], index: u32) -> Option<[usize; 3]> {
    let mut mib = [0; 3];
    tikv_jemalloc_ctl::raw::name_to_mib(of_first, &mut mib).ok()?;
    mib[1] = index as usize;
    Some(mib)
}

/// A key without a value: jemalloc-ctl has no call for these, its `write` fails with EPERM.
fn call(key: &CStr) -> c_int {
    // SAFETY:
    // - `key` is NUL-terminated.
    // - Null pointers and length 0 are what keys without a value ask for.
    unsafe {
        tikv_jemalloc_sys::mallctl(
            key.as_ptr(),
            ptr::null_mut(),
            ptr::null_mut(),
            ptr::null_mut(),
            0,
        )
    }
}
