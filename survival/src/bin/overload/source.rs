//! [`Source`]: makes the text of any event, always the same for one id, and cheaply: the long parts are copied.

use std::io::Write;
use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::event::cached_bytes;

/// `[12345.5,0.125],`: all levels have the same width, so that any number of them can be cut off.
const LEVEL_BYTES: usize = 16;
const SYMBOLS: u64 = 64;
/// Of exchange and symbol.
const NAMES_BYTES: usize = 24;

/// How large events are.
#[derive(Clone)]
pub struct Shape {
    pub levels: RangeInclusive<usize>,
    pub note_bytes: RangeInclusive<usize>,
}

impl Shape {
    pub fn mean_cached_bytes(&self) -> u64 {
        cached_bytes(mean(&self.levels), NAMES_BYTES, mean(&self.note_bytes))
    }
}

fn mean(range: &RangeInclusive<usize>) -> usize {
    (range.start() + range.end()) / 2
}

/// Shared by all clients.
#[derive(Clone)]
pub struct Source {
    shape: Shape,
    ids: u64,
    levels: Arc<str>,
    note: Arc<str>,
}

impl Source {
    /// So many different events that all together would take `working_set_bytes` in the cache.
    pub fn new(shape: Shape, working_set_bytes: u64) -> Self {
        let levels: String = (0..*shape.levels.end() as u64)
            .map(|n| format!("[{}.5,0.{:03}],", 10_000 + mix(n) % 90_000, mix(n) % 1000))
            .collect();
        let note: String = (0..*shape.note_bytes.end() as u64)
            .map(|n| char::from(b'a' + (mix(n) % 26) as u8))
            .collect();
        Source {
            ids: (working_set_bytes / shape.mean_cached_bytes()).max(1),
            shape,
            levels: levels.into(),
            note: note.into(),
        }
    }

    pub fn ids(&self) -> u64 {
        self.ids
    }

    /// Replaces what is in `text` by the event `id`.
    pub fn write(&self, id: u64, text: &mut Vec<u8>) {
        let drawn = mix(id);
        let levels = within(&self.shape.levels, drawn);
        let note_bytes = within(&self.shape.note_bytes, drawn >> 24);
        text.clear();
        // A Vec takes everything.
        let _ = write!(
            text,
            "{{\"id\":{id},\"exchange\":\"binance\",\"symbol\":\"SYM{:02}-USDT\",\"quantity\":{},\"ts_ms\":{},\"levels\":[",
            drawn % SYMBOLS,
            drawn >> 54,
            1_700_000_000_000 + id,
        );
        // Without the last comma.
        let cut = (levels * LEVEL_BYTES).saturating_sub(1);
        text.extend_from_slice(&self.levels.as_bytes()[..cut]);
        text.extend_from_slice(b"],\"note\":\"");
        text.extend_from_slice(&self.note.as_bytes()[..note_bytes]);
        text.extend_from_slice(b"\"}");
    }
}

fn within(range: &RangeInclusive<usize>, drawn: u64) -> usize {
    range.start() + drawn as usize % (range.end() - range.start() + 1)
}

/// splitmix64's finish: neighbours become strangers.
pub fn mix(n: u64) -> u64 {
    let n = n.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let n = (n ^ (n >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    n ^ (n >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Event;

    #[test]
    fn every_event_parses_and_all_together_take_what_was_asked_for() {
        let shape = Shape {
            levels: 0..=12,
            note_bytes: 0..=100,
        };
        let working_set_bytes = 1 << 20;
        let source = Source::new(shape, working_set_bytes);
        let mut text = Vec::new();
        let mut sum_bytes = 0;
        for id in 0..source.ids() {
            source.write(id, &mut text);
            let event = Event::parse(&text).unwrap();
            assert_eq!(event.id, id);
            assert!(event.levels.len() <= 12 && event.note.len() <= 100);
            sum_bytes += event.cached_bytes();
        }
        let off = sum_bytes.abs_diff(working_set_bytes) as f64 / working_set_bytes as f64;
        assert!(off < 0.05, "{sum_bytes}");
    }

    #[test]
    fn an_id_is_always_the_same_event() {
        let shape = Shape {
            levels: 1..=9,
            note_bytes: 5..=50,
        };
        let source = Source::new(shape, 1 << 20);
        let (mut first, mut again) = (Vec::new(), b"left over".to_vec());
        source.write(7, &mut first);
        source.write(7, &mut again);
        assert_eq!(first, again);
    }
}
