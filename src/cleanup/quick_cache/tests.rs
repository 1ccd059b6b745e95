use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::cleanup::CleanupReason;

#[derive(Clone)]
struct Lengths;

impl Weighter<u64, Arc<[u8]>> for Lengths {
    fn weight(&self, _key: &u64, value: &Arc<[u8]>) -> u64 {
        value.len() as u64
    }
}

type Pages = Cache<u64, Arc<[u8]>, Lengths>;

const PAGE_BYTES: u64 = 1000;

fn full(pages: u64) -> (Arc<Pages>, QuickCacheHook) {
    let cache = Arc::new(Pages::with_weighter(
        pages as usize,
        pages * PAGE_BYTES,
        Lengths,
    ));
    // More than it holds, so that every shard is full.
    (0..2 * pages).for_each(|page| fetch(&cache, page));
    let hook = QuickCacheHook::new("pages", Arc::clone(&cache));
    (cache, hook)
}

fn fetch(cache: &Pages, page: u64) {
    if cache.get(&page).is_none() {
        cache.insert(page, vec![1; PAGE_BYTES as usize].into());
    }
}

fn asking_for(target_bytes: u64) -> CleanupRequest {
    CleanupRequest {
        reason: CleanupReason::AbovePercent,
        target_bytes,
        deadline: Instant::now() + Duration::from_secs(3600),
    }
}

#[test]
fn the_target_goes_within_a_tenth_and_the_capacity_is_back() {
    let (cache, hook) = full(20_000);
    let (capacity, before) = (cache.capacity(), cache.weight());
    let target = before * 2 / 5;
    let claimed = hook.cleanup(&asking_for(target)).as_u64().unwrap();
    assert_eq!(before - cache.weight(), claimed);
    assert!((target..target * 11 / 10).contains(&claimed), "{claimed}");
    let shards = cache.num_shards() as u64;
    assert!(
        capacity - cache.capacity() < PARTS_OF_MANY * shards,
        "{}",
        cache.capacity()
    );
    // Rounded once, and then no more.
    let rounded = cache.capacity();
    hook.cleanup(&asking_for(target));
    assert_eq!(cache.capacity(), rounded);
    (0..40_000).for_each(|page| fetch(&cache, page));
    assert!(cache.weight() > before * 9 / 10, "it grows again");
}

#[test]
fn nothing_goes_that_was_not_asked_for_or_is_below_the_floor() {
    let (cache, hook) = full(20_000);
    let before = cache.weight();
    assert_eq!(hook.cleanup(&asking_for(0)), ClaimedBytes::bytes(0));
    assert_eq!(cache.weight(), before);

    let hook = hook.floor(ByteSize::bytes(cache.capacity() / 2));
    let estimate = hook.estimate().unwrap();
    let claimed = hook.cleanup(&asking_for(u64::MAX)).as_u64().unwrap();
    let part = cache.capacity() / PARTS_OF_MANY;
    assert!(cache.weight() > cache.capacity() / 2 - part);
    assert!(claimed.abs_diff(estimate) < part, "{claimed} {estimate}");
    assert!(hook.estimate() < Some(part));
}

#[test]
fn one_full_shard_does_not_lose_what_all_are_asked_for() {
    let options = ::quick_cache::OptionsBuilder::new()
        .estimated_items_capacity(400)
        .weight_capacity(400 * PAGE_BYTES)
        .shards(4)
        .build()
        .unwrap();
    let cache = Arc::new(Pages::with_options(
        options,
        Lengths,
        Default::default(),
        Default::default(),
    ));
    let in_first = |page: &u64| cache.shard_index(page) == 0;
    let pages = (0..).filter(in_first).take(100);
    pages.for_each(|page| fetch(&cache, page));
    let hook = QuickCacheHook::new("pages", Arc::clone(&cache));
    let claimed = hook.cleanup(&asking_for(20 * PAGE_BYTES)).as_u64().unwrap();
    assert!((20..30).contains(&(claimed / PAGE_BYTES)), "{claimed}");
}

#[test]
fn a_hook_whose_time_is_up_stops() {
    let (cache, hook) = full(20_000);
    let before = cache.weight();
    let late = CleanupRequest {
        deadline: Instant::now(),
        ..asking_for(u64::MAX)
    };
    assert_eq!(hook.cleanup(&late), ClaimedBytes::bytes(0));
    assert_eq!(cache.weight(), before);
}

/// In this many cleanups by 49ths instead of 16ths, 63 % of hits fall to 52.
#[test]
fn the_hit_rate_survives_hundreds_of_cleanups() {
    let hit_percent = |cleanups: u64| {
        let cache = Arc::new(Pages::with_weighter(1000, 1000 * PAGE_BYTES, Lengths));
        let hook = QuickCacheHook::new("pages", Arc::clone(&cache));
        (0..1000).for_each(|page| fetch(&cache, page));
        for cleanup in 0..cleanups {
            hook.cleanup(&asking_for(cache.weight() / 100 * (cleanup * 37 % 100)));
            (0..1000).for_each(|page| fetch(&cache, page));
        }
        // Some pages are wanted far more often than others; halfway others are.
        let (mut hits, mut random) = (0, 1_u64);
        for round in 0..40_000 {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let uniform = (random >> 11) as f64 / (1_u64 << 53) as f64;
            let page = 1_000_000 * (1 + round / 20_000) + (10_000.0 * uniform.powi(8)) as u64;
            hits += u64::from(cache.get(&page).is_some());
            fetch(&cache, page);
        }
        hits as f64 / 400.0
    };
    let (fresh, old) = (hit_percent(0), hit_percent(300));
    assert!((fresh - old).abs() < 1.0, "{fresh} % fell to {old} %");
}

/// The ghost list's arithmetic, as the cache does it: there and back in floating point, rounded down at both.
#[test]
fn a_whole_list_comes_back_whole_from_every_part() {
    for parts in [PARTS_OF_FEW, PARTS_OF_MANY] {
        for (ghosts, part) in (1..2000).flat_map(|n| (1..=parts).map(move |part| (n * parts, part)))
        {
            let ladder = Ladder::new(1_000_003 * parts, 1, parts, 0).unwrap();
            let (whole, lowered) = (ladder.whole_bytes(), ladder.part_bytes * part);
            let there = (ghosts as f64 * (lowered as f64 / whole as f64)) as u64;
            let back = (there as f64 * (whole as f64 / lowered as f64)) as u64;
            assert_eq!(back, ghosts, "{part} of {parts}");
        }
    }
}

/// Panics when it goes, if it is armed.
#[derive(Clone)]
struct Bomb(Arc<AtomicBool>);

impl Drop for Bomb {
    fn drop(&mut self) {
        if self.0.swap(false, Ordering::Relaxed) {
            panic!("the bomb");
        }
    }
}

#[derive(Clone)]
struct Heavy;

impl Weighter<u64, Bomb> for Heavy {
    fn weight(&self, _key: &u64, _value: &Bomb) -> u64 {
        PAGE_BYTES
    }
}

#[test]
fn the_capacity_comes_back_from_a_panic() {
    let cache = Arc::new(Cache::with_weighter(1000, 1_024_000, Heavy));
    let armed = Arc::new(AtomicBool::new(false));
    (0..1000).for_each(|id| cache.insert(id, Bomb(Arc::clone(&armed))));
    let hook = QuickCacheHook::new("bombs", Arc::clone(&cache));
    armed.store(true, Ordering::Relaxed);
    let cleanup = || hook.cleanup(&asking_for(500_000));
    assert!(catch_unwind(AssertUnwindSafe(cleanup)).is_err());
    assert_eq!(cache.capacity(), 1_024_000);
    assert!(hook.cleanup(&asking_for(500_000)).as_u64() > Some(400_000));
}

proptest! {
    #[test]
    fn a_ladder_leads_to_its_aim(
        capacity in 0_u64..1 << 40,
        shard_bits in 0_u32..10,
        many in any::<bool>(),
        floor in 0_u64..1 << 40,
        aim in 0_u64..1 << 40,
    ) {
        let shards = 1 << shard_bits;
        let parts = if many { PARTS_OF_MANY } else { PARTS_OF_FEW };
        let Some(ladder) = Ladder::new(capacity, shards, parts, floor) else {
            prop_assert!(capacity < shards * parts);
            return Ok(());
        };
        prop_assert!(ladder.whole_bytes() <= capacity);
        prop_assert!(capacity - ladder.whole_bytes() < shards * parts);
        prop_assert!(ladder.lowest_bytes() >= floor.min(ladder.whole_bytes()));
        let steps: Vec<u64> = ladder.steps(aim).collect();
        prop_assert!(steps.len() as u64 <= parts);
        prop_assert!(steps.iter().all(|step| step % ladder.part_bytes == 0 && *step < ladder.whole_bytes()));
        prop_assert!(steps.windows(2).all(|pair| pair[0] > pair[1]));
        match steps.last() {
            Some(&last) => {
                prop_assert!(last >= ladder.lowest_bytes());
                prop_assert!(last <= aim || last == ladder.lowest_bytes());
                prop_assert!(aim < last + ladder.part_bytes);
            }
            None => prop_assert!(ladder.whole_bytes() <= ladder.lowest_bytes().max(aim)),
        }
    }
}
