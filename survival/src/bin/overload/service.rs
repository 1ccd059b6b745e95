//! [`Service`]: what happens to a request, and where it is counted.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use plimsoll::{MemoryManager, PressureLevel};

use crate::cache::Cache;
use crate::event::Event;

/// Symbols meet at one lock only if their names end alike.
const TABLES: usize = 16;
/// What a socket brings at a time.
const PIECE_BYTES: usize = 1024;

pub struct Service {
    /// Asked whether there is room; without one everything is let in.
    pub manager: Option<&'static MemoryManager>,
    pub cache: Arc<Cache>,
    totals: [Mutex<HashMap<Box<str>, Total>>; TABLES],
    pub counts: Counts,
}

/// By symbol.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Total {
    pub events: u64,
    pub quantity: u64,
    /// Of the newest event.
    pub ts_ms: u64,
}

#[derive(Default)]
pub struct Counts {
    pub accepted: AtomicU64,
    pub refused: AtomicU64,
    pub malformed: AtomicU64,
    pub hits: AtomicU64,
    pub misses: AtomicU64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Answer {
    /// Of the event, as a proof that it was looked at.
    Accepted {
        quantity: u64,
    },
    /// Too little memory now; come again.
    Refused,
    Malformed,
}

impl Service {
    pub fn new(manager: Option<&'static MemoryManager>, cache: Arc<Cache>) -> Self {
        Service {
            manager,
            cache,
            totals: Default::default(),
            counts: Counts::default(),
        }
    }

    pub fn handle(&self, id: u64, text: &[u8]) -> Answer {
        if let Some(refusal) = self.refusal() {
            return refusal;
        }
        let event = match self.cache.get(id) {
            Some(event) => {
                count(&self.counts.hits);
                event
            }
            None => match Event::parse(text) {
                Ok(event) => {
                    count(&self.counts.misses);
                    self.cache.insert(Arc::clone(&event));
                    event
                }
                Err(_) => {
                    count(&self.counts.malformed);
                    return Answer::Malformed;
                }
            },
        };
        count(&self.counts.accepted);
        self.aggregate(&event);
        Answer::Accepted {
            quantity: event.quantity,
        }
    }

    /// As `handle`, for a request that arrives in pieces: it is put together in a buffer that grows as it comes.
    pub fn handle_pieces(&self, id: u64, text: &[u8]) -> Answer {
        if let Some(refusal) = self.refusal() {
            return refusal;
        }
        let mut whole = Vec::new();
        for piece in text.chunks(PIECE_BYTES) {
            whole.extend_from_slice(piece);
        }
        self.handle(id, &whole)
    }

    fn refusal(&self) -> Option<Answer> {
        let manager = self.manager?;
        (manager.pressure() >= PressureLevel::High).then(|| {
            count(&self.counts.refused);
            Answer::Refused
        })
    }

    fn aggregate(&self, event: &Event) {
        let ending = event.symbol.bytes().fold(0, u8::wrapping_add);
        let table = &self.totals[usize::from(ending) % TABLES];
        let mut table = table.lock().unwrap_or_else(PoisonError::into_inner);
        let total = match table.get_mut(&event.symbol) {
            Some(total) => total,
            None => table.entry(event.symbol.clone()).or_default(),
        };
        total.events += 1;
        total.quantity += event.quantity;
        total.ts_ms = total.ts_ms.max(event.ts_ms);
    }

    /// Of all symbols.
    pub fn total(&self) -> Total {
        let mut sum = Total::default();
        for table in &self.totals {
            for total in table
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .values()
            {
                sum.events += total.events;
                sum.quantity += total.quantity;
                sum.ts_ms = sum.ts_ms.max(total.ts_ms);
            }
        }
        sum
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{Shape, Source};

    #[test]
    fn every_event_is_answered_and_counted_once() {
        let service = Service::new(None, Arc::new(Cache::new(None)));
        let shape = Shape {
            levels: 1..=100,
            note_bytes: 0..=5000,
        };
        let source = Source::new(shape, 1 << 20);
        let (mut text, mut sum) = (Vec::new(), 0);
        for round in 0..2 {
            for id in 0..50 {
                source.write(id, &mut text);
                let answer = match round {
                    0 => service.handle_pieces(id, &text),
                    _ => service.handle(id, b"not looked at: it is cached"),
                };
                let Answer::Accepted { quantity } = answer else {
                    panic!("{answer:?}");
                };
                sum += quantity;
            }
        }
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        assert_eq!(
            (of(&service.counts.hits), of(&service.counts.misses)),
            (50, 50)
        );
        let total = service.total();
        assert_eq!((total.events, total.quantity), (100, sum));
        assert_eq!(total.ts_ms, 1_700_000_000_049);
        assert_eq!(service.handle(99, b"{"), Answer::Malformed);
        assert_eq!(of(&service.counts.accepted), 100);
    }
}
