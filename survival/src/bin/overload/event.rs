//! [`Event`]: one thing that happened on a market, as it is kept.

use std::sync::Arc;

use serde::Deserialize;

/// What a place in the cache's tables takes, the room that tables keep for growing included.
const PLACE_BYTES: u64 = 48;
/// What an `Arc` keeps before its value.
const ARC_COUNTS_BYTES: usize = 2 * size_of::<usize>();
/// From here on jemalloc gives whole pages.
const LARGE_BYTES: usize = 16 << 10;
const PAGE_BYTES: usize = 4096;

#[derive(Deserialize)]
pub struct Event {
    pub id: u64,
    pub exchange: Box<str>,
    pub symbol: Box<str>,
    pub quantity: u64,
    pub ts_ms: u64,
    /// Price and size.
    pub levels: Box<[[f64; 2]]>,
    pub note: Box<str>,
}

impl Event {
    pub fn parse(text: &[u8]) -> serde_json::Result<Arc<Event>> {
        serde_json::from_slice(text).map(Arc::new)
    }

    /// About what it takes in the cache.
    pub fn cached_bytes(&self) -> u64 {
        cached_bytes(
            self.levels.len(),
            self.exchange.len() + self.symbol.len(),
            self.note.len(),
        )
    }
}

/// About what an event with so many levels and bytes of text takes in the cache.
pub fn cached_bytes(levels: usize, names_bytes: usize, note_bytes: usize) -> u64 {
    allocated_bytes(ARC_COUNTS_BYTES + size_of::<Event>())
        + allocated_bytes(levels * size_of::<[f64; 2]>())
        + allocated_bytes(names_bytes)
        + allocated_bytes(note_bytes)
        + PLACE_BYTES
}

/// What jemalloc makes of a block: sizes of 16 bytes up to 128, then four to each doubling; a large one has a page more, so
/// that not all begin at the same place of a page.
fn allocated_bytes(bytes: usize) -> u64 {
    let class = match bytes {
        0..=128 => bytes.next_multiple_of(16),
        _ => bytes.next_multiple_of(1 << ((bytes - 1).ilog2() - 2)),
    };
    let page = if class >= LARGE_BYTES { PAGE_BYTES } else { 0 };
    (class + page) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_take_what_jemalloc_says() {
        let table = [
            (0, 0),
            (1, 16),
            (17, 32),
            (128, 128),
            (129, 160),
            (160, 160),
            (161, 192),
            (257, 320),
            (4000, 4096),
            (4097, 5120),
            (14_337, 16_384 + 4096),
            (100_000, 114_688 + 4096),
        ];
        for (asked, taken) in table {
            assert_eq!(allocated_bytes(asked), taken, "{asked}");
        }
    }
}
