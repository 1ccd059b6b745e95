//! [`Load`]: what each variant asks of the service.

use plimsoll_survival::Variant;

use crate::args::Args;
use crate::beside::{HOT_FILE, Kind, LeakBound};
use crate::clients::Way;
use crate::source::Shape;

/// The working set is so many times the limit.
const OVERLOAD: u64 = 4;
/// A leak may hold this part of the limit.
const LEAK_SHARE: u64 = 8;

pub struct Load {
    pub clients: usize,
    pub shape: Shape,
    pub way: Way,
    pub working_set_bytes: u64,
    pub beside: Kind,
}

impl Load {
    pub fn of(args: &Args) -> Self {
        let limit_bytes = args.limit_mib << 20;
        let mut load = Load {
            clients: 4,
            // About 400 B in the cache.
            shape: Shape {
                levels: 2..=10,
                note_bytes: 20..=120,
            },
            way: Way::Call,
            working_set_bytes: limit_bytes * OVERLOAD,
            beside: Kind::Nothing,
        };
        match args.variant {
            Variant::Small | Variant::Halved => {}
            Variant::Huge => {
                // Each has a text and an event in hand: more clients would need the whole limit for that alone.
                load.clients = 2;
                load.shape = Shape {
                    levels: 100..=200,
                    note_bytes: (1 << 20)..=(4 << 20),
                };
            }
            Variant::Threads => {
                load.clients = 8;
                load.shape = Shape {
                    levels: 8..=64,
                    note_bytes: 500..=3500,
                };
            }
            Variant::Spawn => {
                // A thread costs so much that smaller events would not fill the limit in seconds.
                load.shape = Shape {
                    levels: 16..=64,
                    note_bytes: 16_000..=64_000,
                };
                load.way = Way::Spawn;
            }
            Variant::Realloc => {
                load.shape = Shape {
                    levels: 1000..=8000,
                    note_bytes: 10_000..=100_000,
                };
                load.way = Way::Pieces;
            }
            Variant::Pagecache => load.beside = Kind::HotFile(args.dir.join(HOT_FILE)),
            Variant::Reserved => {
                load.working_set_bytes = limit_bytes / 4;
                load.beside = Kind::Reserve;
            }
            Variant::Leak => {
                let leak_bytes = limit_bytes / LEAK_SHARE;
                load.beside = Kind::Leak(if args.managed {
                    LeakBound::Scope(leak_bytes)
                } else {
                    LeakBound::Itself(leak_bytes)
                });
            }
            Variant::Tokio => {
                // As with threads: what a message costs.
                load.shape = Shape {
                    levels: 16..=64,
                    note_bytes: 8000..=32_000,
                };
                load.way = Way::Socket;
            }
        }
        if let Some(threads) = args.threads {
            load.clients = threads;
        }
        load
    }
}
