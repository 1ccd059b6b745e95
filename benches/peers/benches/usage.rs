//! What it costs to learn one's own memory.
//!
//! Bias: sysinfo is made for looking at other processes and opens its files anew each time; memory-stats reads every
//! mapping's page counts, so it is exact and grows dear with the process. Ours holds descriptors open, takes RSS from a
//! counter that the kernel keeps in batches, and leaves the slow facts to a worker that nobody here waits for, so their
//! price (about half a millisecond per second) is not in its figure. This process is tiny and has few mappings, which flatters
//! memory-stats most.

use criterion::{Criterion, criterion_group, criterion_main};
use plimsoll::get_memory_manager;
use plimsoll_peers::series::usage;
use sysinfo::{ProcessRefreshKind, ProcessesToUpdate, System};

#[global_allocator]
static A: plimsoll::Jemalloc = plimsoll::Jemalloc;

fn plimsoll(criterion: &mut Criterion) {
    let manager = get_memory_manager();
    criterion.bench_function(usage::PLIMSOLL, |b| b.iter(|| manager.usage()));
}

fn sysinfo(criterion: &mut Criterion) {
    let this = sysinfo::get_current_pid().expect("a process has an id");
    let memory = ProcessRefreshKind::nothing().with_memory().without_tasks();
    let mut system = System::new().expect("sysinfo knows Linux");
    criterion.bench_function(usage::SYSINFO, |b| {
        b.iter(|| {
            system.refresh_processes_specifics(ProcessesToUpdate::Some(&[this]), true, memory);
            system.process(this).map(sysinfo::Process::memory)
        });
    });
}

fn memory_stats(criterion: &mut Criterion) {
    criterion.bench_function(usage::MEMORY_STATS, |b| b.iter(memory_stats::memory_stats));
}

criterion_group!(benches, plimsoll, sysinfo, memory_stats);
criterion_main!(benches);
