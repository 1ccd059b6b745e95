#![allow(clippy::all)]
use plimsoll::*;
use std::cell::Cell;
use std::hint::black_box;
#[global_allocator]
static A: plimsoll::Jemalloc = plimsoll::Jemalloc;
static SITE: Site = Site::new("static");
static NAMED_OFTEN: PeriodicCleanup = PeriodicCleanup::every(100).named("often");
static NAMED_SELDOM: PeriodicCleanup = PeriodicCleanup::every(1_000_000_000).named("seldom");
const LIMIT: MemoryLimit = MemoryLimit::mib(100);
thread_local! { static LOCAL: Cell<u64> = const { Cell::new(0) }; }
#[memory_limit(100)]
fn limited(n: u64) -> u64 {
    n + 1
}
#[periodic_cleanup(1_000_000_000)]
fn seldom(n: u64) -> u64 {
    n + 1
}
#[periodic_cleanup(100)]
fn often(n: u64) -> u64 {
    n + 1
}
#[inline(never)]
fn op_malloc() {
    drop(black_box(Box::<[u8; 64]>::new_uninit()))
}
#[inline(never)]
fn op_static() {
    drop(LIMIT.at(&SITE).enter())
}
#[inline(never)]
fn op_named() {
    drop(LIMIT.named("named").enter())
}
#[inline(never)]
fn op_located() {
    drop(LIMIT.enter())
}
#[inline(never)]
fn op_attribute() {
    black_box(limited(black_box(1)));
}
#[inline(never)]
fn op_checkpoint() {
    black_box(checkpoint().is_ok());
}
#[inline(never)]
fn op_local() {
    LOCAL.with(|c| {
        let c = black_box(c);
        c.set(c.get() + 1)
    })
}
#[inline(never)]
fn op_pnamed() {
    NAMED_SELDOM.tick()
}
#[inline(never)]
fn op_poften() {
    NAMED_OFTEN.tick()
}
#[inline(never)]
fn op_pinline() {
    PeriodicCleanup::every(1_000_000_000).tick()
}
#[inline(never)]
fn op_pattr() {
    black_box(seldom(black_box(1)));
}
#[inline(never)]
fn op_pattroften() {
    black_box(often(black_box(1)));
}
#[inline(never)]
fn op_nothing() {
    black_box(())
}
fn main() {
    let mut a = std::env::args().skip(1);
    let op = a.next().unwrap();
    let n: u64 = a.next().unwrap().parse().unwrap();
    let mut scope = None;
    let f: fn() = match &*op {
        "malloc" => op_malloc,
        "static" => op_static,
        "named" => op_named,
        "located" => op_located,
        "attribute" => op_attribute,
        "checkpoint" => op_checkpoint,
        "checkpoint_in" => {
            scope = Some(LIMIT.enter());
            op_checkpoint
        }
        "local" => op_local,
        "pnamed" => op_pnamed,
        "pinline" => op_pinline,
        "pattr" => op_pattr,
        "poften" => op_poften,
        "pattroften" => op_pattroften,
        "nothing" => op_nothing,
        _ => panic!(),
    };
    if op.contains("often") {
        get_memory_manager();
    }
    let t = std::time::Instant::now();
    for _ in 0..n {
        f()
    }
    let e = t.elapsed();
    drop(scope);
    println!("{op} {:.2} ns", e.as_nanos() as f64 / n.max(1) as f64);
}
