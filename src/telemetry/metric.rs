//! [`Metric`]: one figure of the library, with all that an exporter needs to know of it.

use crate::telemetry::Snapshot;

/// One figure, or one figure per label value.
///
/// ```
/// use plimsoll::telemetry::{Kind, Unit, metrics};
///
/// let metric = metrics().find(|metric| metric.name() == "plimsoll_scope_peak_bytes").unwrap();
/// assert_eq!((metric.kind(), metric.unit()), (Kind::Gauge, Unit::Bytes));
/// assert_eq!(metric.label_names(), ["site"]);
/// println!("{}", metric.help());
/// ```
#[derive(Debug)]
pub struct Metric {
    name: &'static str,
    kind: Kind,
    unit: Unit,
    help: &'static str,
    read: Read,
}

/// How a metric moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// Goes up and down.
    Gauge,
    /// Only grows, from the start of the process (of a forked child: from what its parent had).
    Counter,
}

/// What a metric counts in. Base units only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// Seconds.
    Seconds,
    /// A share: 1 is all.
    Ratio,
    /// A plain number.
    Number,
}

/// A sample's value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// A whole number.
    U64(u64),
    /// A finite number.
    F64(f64),
}

/// Takes a sample: its label values, in the order of the label names, and its value.
pub(super) type Visit<'a> = dyn FnMut(&[&str], Value) + 'a;

/// How its samples are read from a snapshot.
#[derive(Debug)]
pub(super) enum Read {
    /// One at most.
    One(fn(&Snapshot) -> Option<Value>),
    /// One for each of something, with these labels.
    Each(&'static [&'static str], fn(&Snapshot, &mut Visit)),
}

impl Metric {
    pub(super) const fn gauge(
        name: &'static str,
        unit: Unit,
        help: &'static str,
        read: Read,
    ) -> Metric {
        Metric {
            name,
            kind: Kind::Gauge,
            unit,
            help,
            read,
        }
    }

    pub(super) const fn counter(
        name: &'static str,
        unit: Unit,
        help: &'static str,
        read: Read,
    ) -> Metric {
        Metric {
            name,
            kind: Kind::Counter,
            unit,
            help,
            read,
        }
    }

    /// `plimsoll_`, then what it is, then the unit, and `_total` for a counter.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// How it moves.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// What it counts in.
    pub fn unit(&self) -> Unit {
        self.unit
    }

    /// What it is, in a sentence or two of plain text.
    pub fn help(&self) -> &'static str {
        self.help
    }

    /// The names of the labels that each sample has; empty for one that has at most one sample.
    pub fn label_names(&self) -> &'static [&'static str] {
        match self.read {
            Read::One(_) => &[],
            Read::Each(names, _) => names,
        }
    }

    /// Calls `visit` with each sample: the label values, in the order of [`label_names`](Self::label_names), and the value. No two have
    /// the same label values. Not at all for what is unknown.
    ///
    /// ```
    /// use plimsoll::telemetry::metrics;
    ///
    /// let snapshot = plimsoll::get_memory_manager().snapshot();
    /// let resident = metrics().find(|metric| metric.name() == "plimsoll_resident_bytes").unwrap();
    /// let mut bytes = 0.0;
    /// resident.visit(&snapshot, |_labels, value| bytes = value.as_f64());
    /// assert!(bytes > 0.0);
    /// ```
    pub fn visit(&self, snapshot: &Snapshot, mut visit: impl FnMut(&[&str], Value)) {
        let mut finite = |labels: &[&str], value: Value| {
            if value.as_f64().is_finite() {
                visit(labels, value);
            }
        };
        match self.read {
            Read::One(read) => {
                if let Some(value) = read(snapshot) {
                    finite(&[], value);
                }
            }
            Read::Each(_, read) => read(snapshot, &mut finite),
        }
    }
}

impl Unit {
    /// What names end in, before `_total`: `_bytes`, `_seconds`, `_ratio` or nothing.
    pub const fn suffix(self) -> &'static str {
        match self {
            Unit::Bytes => "_bytes",
            Unit::Seconds => "_seconds",
            Unit::Ratio => "_ratio",
            Unit::Number => "",
        }
    }
}

impl Value {
    /// As a floating-point number: from 2^53 on rounded.
    pub fn as_f64(self) -> f64 {
        match self {
            Value::U64(value) => value as f64,
            Value::F64(value) => value,
        }
    }
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Value::U64(value)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Value::U64(value.into())
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Value::F64(value)
    }
}
