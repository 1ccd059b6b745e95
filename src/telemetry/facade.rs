//! The metrics through the `metrics` crate, to whatever recorder the program has installed.
//!
//! ```
//! use std::time::Duration;
//! use plimsoll::telemetry::facade;
//!
//! // In main, after the manager and the recorder were installed:
//! let publishing = facade::start(Duration::from_secs(10))?;
//! # drop(publishing);
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! Names, labels, units and help are those of the [table](crate::telemetry::metrics). A recorder takes nothing back and its counters
//! count whole numbers, so three things differ from it:
//!
//! - A gauge that has become unknown, or whose label is gone, is set to NaN: unknown is not 0, nor what it was before.
//! - Counters of seconds are gauges under the same name: rounding them to whole seconds would lose most of them.
//! - A counter only grows, by as much as the table's does. Those of a label may fall, when hooks of one name come and go or a site leaves
//!   `other`. A recorder would keep the highest value and count nothing until that is passed: here the counter stands still for
//!   the fall and goes on from there. One whose label is gone stays where it was.

mod publishing;

use std::collections::HashMap;
use std::sync::Arc;

use ::metrics::{Key, Label, Level, Metadata, Recorder, with_recorder};

pub use self::publishing::{Publishing, start};
use crate::telemetry::{Kind, Metric, Snapshot, Unit, Value, metrics};

static METADATA: Metadata<'static> =
    Metadata::new("plimsoll", Level::INFO, Some("plimsoll::telemetry"));

/// Publishes snapshots on a thread and at times of your own; [`start`] does it by itself.
///
/// One for as long as the recorder lives: it knows what it has published, so that it can set to NaN what is gone. Names do not say which manager
/// they are of, so publish one manager only. A forked child goes on with its copy, as with its copy of the recorder.
///
/// ```
/// use plimsoll::telemetry::facade::Publisher;
///
/// let mut publisher = Publisher::new();
/// // As often as you like; a snapshot is at most a second old.
/// publisher.publish(&plimsoll::get_memory_manager().snapshot());
/// ```
#[derive(Debug, Default)]
pub struct Publisher {
    round: u64,
    /// The recorder of the last round, to tell it from another.
    recorder: Option<usize>,
    /// The gauges that are not NaN, and the round in which they were set last.
    gauges: HashMap<Key, u64>,
    counters: HashMap<Key, Growth>,
}

impl Publisher {
    /// One that has published nothing yet.
    ///
    /// ```
    /// let publisher = plimsoll::telemetry::facade::Publisher::new();
    /// ```
    pub fn new() -> Self {
        Publisher::default()
    }

    /// Gives all samples of `snapshot` to the recorder: the thread's, else the program's. Without one nothing happens.
    ///
    /// Each recorder is told units and help texts once, before its first samples.
    ///
    /// # Panics
    ///
    /// If the recorder does. The next call goes on as if this one had not been made.
    ///
    /// ```
    /// let snapshot = plimsoll::get_memory_manager().snapshot();
    /// plimsoll::telemetry::facade::Publisher::new().publish(&snapshot);
    /// ```
    pub fn publish(&mut self, snapshot: &Snapshot) {
        with_recorder(|recorder| {
            self.meet(recorder);
            self.round += 1;
            for metric in metrics() {
                metric.visit(snapshot, |labels, value| {
                    let key = key(metric, labels);
                    match value {
                        Value::U64(count) if is_count(metric) => self.count(recorder, key, count),
                        value => self.set(recorder, key, value.as_f64()),
                    }
                });
            }
            let round = self.round;
            self.gauges.retain(|key, &mut set_in| {
                let is_known = set_in == round;
                if !is_known {
                    recorder.register_gauge(key, &METADATA).set(f64::NAN);
                }
                is_known
            });
        });
    }

    /// One that was installed since the last round knows nothing yet.
    fn meet(&mut self, recorder: &dyn Recorder) {
        let address = std::ptr::from_ref(recorder).addr();
        if self.recorder != Some(address) {
            metrics().for_each(|metric| describe(recorder, metric));
            self.recorder = Some(address);
            self.gauges.clear();
            self.counters.clear();
        }
    }

    fn count(&mut self, recorder: &dyn Recorder, key: Key, count: u64) {
        // Anew each time: a recorder that forgets what is idle would not see a counter again that is kept here.
        let counter = recorder.register_counter(&key, &METADATA);
        counter.absolute(self.counters.entry(key).or_default().to(count));
    }

    fn set(&mut self, recorder: &dyn Recorder, key: Key, value: f64) {
        recorder.register_gauge(&key, &METADATA).set(value);
        self.gauges.insert(key, self.round);
    }
}

/// A counter that may fall, as one that only grows.
#[derive(Debug, Default)]
struct Growth {
    last: u64,
    /// By how much it fell, in all.
    fallen: u64,
}

impl Growth {
    fn to(&mut self, count: u64) -> u64 {
        self.fallen += self.last.saturating_sub(count);
        self.last = count;
        count.saturating_add(self.fallen)
    }
}

fn key(metric: &Metric, labels: &[&str]) -> Key {
    let names = metric.label_names().iter();
    let labels: Vec<_> = names
        .zip(labels)
        .map(|(&name, &label)| Label::new(name, Arc::<str>::from(label)))
        .collect();
    Key::from_parts(metric.name(), labels)
}

/// Whether it is a counter here as well.
fn is_count(metric: &Metric) -> bool {
    metric.kind() == Kind::Counter && metric.unit() != Unit::Seconds
}

fn describe(recorder: &dyn Recorder, metric: &Metric) {
    let unit = match metric.unit() {
        Unit::Bytes => Some(::metrics::Unit::Bytes),
        Unit::Seconds => Some(::metrics::Unit::Seconds),
        Unit::Number if is_count(metric) => Some(::metrics::Unit::Count),
        // A level is no count, and of shares the facade has percent only.
        _ => None,
    };
    let (name, help) = (metric.name().into(), metric.help().into());
    if is_count(metric) {
        recorder.describe_counter(name, unit, help);
    } else {
        recorder.describe_gauge(name, unit, help);
    }
}

#[cfg(test)]
mod tests;
