//! The limits that hold at one moment, and which of them binds. Pure.

use std::fmt;

use crate::bytes::ByteSize;

/// How much this process may use, and who says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Limit {
    /// The limit, or `None` when nothing is known about one: neither unlimited nor zero.
    pub bytes: Option<u64>,
    /// Where it comes from.
    pub source: LimitSource,
}

impl Limit {
    pub(crate) const UNKNOWN: Limit = Limit {
        bytes: None,
        source: LimitSource::Unknown,
    };
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.bytes {
            Some(bytes) => write!(f, "{} ({})", ByteSize::bytes(bytes), self.source),
            None => f.write_str("unknown"),
        }
    }
}

/// Where a limit comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum LimitSource {
    /// [`MemoryManagerBuilder::limit`](crate::MemoryManagerBuilder::limit).
    Builder,
    /// The variable `PLIMSOLL_MEMORY_LIMIT`.
    Environment,
    /// A memory cgroup.
    Cgroup {
        /// The hierarchy.
        version: CgroupVersion,
        /// The file that holds the limit.
        file: &'static str,
        /// 0 is the process's own cgroup, 1 its parent, and so on.
        ancestor: u8,
    },
    /// No limit is set anywhere: the machine is the limit.
    Host,
    /// Nothing could be found out.
    Unknown,
}

/// Which cgroup hierarchy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize),
    serde(rename_all = "snake_case")
)]
pub enum CgroupVersion {
    /// One hierarchy per controller.
    V1,
    /// The unified hierarchy.
    V2,
}

impl fmt::Display for LimitSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            LimitSource::Builder => f.write_str("set in code"),
            LimitSource::Environment => f.write_str("PLIMSOLL_MEMORY_LIMIT"),
            LimitSource::Cgroup {
                version,
                file,
                ancestor,
            } => {
                let version = match version {
                    CgroupVersion::V1 => "v1",
                    CgroupVersion::V2 => "v2",
                };
                write!(f, "cgroup {version} {file}")?;
                match ancestor {
                    0 => Ok(()),
                    1 => f.write_str(" of the parent"),
                    n => write!(f, " of ancestor {n}"),
                }
            }
            LimitSource::Host => f.write_str("host memory"),
            LimitSource::Unknown => f.write_str("unknown"),
        }
    }
}

/// A limit and what counts against it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Bound {
    /// The limit at this level.
    pub limit_bytes: u64,
    /// What is used at this level; for an ancestor cgroup that includes its other children.
    pub used_bytes: u64,
    /// Where the limit comes from.
    pub source: LimitSource,
}

impl Bound {
    /// Used as a percentage of the limit. Can pass 100.
    pub fn percent(&self) -> f64 {
        self.used_bytes as f64 * 100.0 / self.limit_bytes.max(1) as f64
    }

    /// How much more fits.
    pub fn headroom_bytes(&self) -> u64 {
        self.limit_bytes.saturating_sub(self.used_bytes)
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} of {} ({:.1} %), limit: {}",
            ByteSize::bytes(self.used_bytes),
            ByteSize::bytes(self.limit_bytes),
            self.percent(),
            self.source
        )
    }
}

/// The tightest limit with what counts against it, and the bound with the least headroom. Of equals the first wins, so
/// callers list what a person set before what they found.
pub(super) struct Bounds {
    pub(super) tightest: Option<Bound>,
    pub(super) binding: Option<Bound>,
    /// Cleared when a level's limit, or what counts against it, could not be read.
    pub(super) all_known: bool,
}

impl Bounds {
    pub(super) const NONE: Bounds = Bounds {
        tightest: None,
        binding: None,
        all_known: true,
    };

    pub(super) fn add(&mut self, bound: Bound) {
        if self
            .tightest
            .is_none_or(|known| bound.limit_bytes < known.limit_bytes)
        {
            self.tightest = Some(bound);
        }
        if self
            .binding
            .is_none_or(|known| bound.headroom_bytes() < known.headroom_bytes())
        {
            self.binding = Some(bound);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bound(limit_bytes: u64, used_bytes: u64, source: LimitSource) -> Bound {
        Bound {
            limit_bytes,
            used_bytes,
            source,
        }
    }

    fn ancestor(ancestor: u8) -> LimitSource {
        LimitSource::Cgroup {
            version: CgroupVersion::V2,
            file: "memory.max",
            ancestor,
        }
    }

    #[test]
    fn a_small_child_under_a_full_parent_is_bound_by_the_parent() {
        let mut bounds = Bounds::NONE;
        bounds.add(bound(100, 50, ancestor(0)));
        bounds.add(bound(1000, 990, ancestor(1)));
        assert_eq!(bounds.tightest.unwrap().source, ancestor(0));
        let binding = bounds.binding.unwrap();
        assert_eq!(
            (binding.source, binding.headroom_bytes()),
            (ancestor(1), 10)
        );
        assert_eq!(
            binding.to_string(),
            "990 B of 1000 B (99.0 %), limit: cgroup v2 memory.max of the parent"
        );
    }

    #[test]
    fn of_equals_the_first_wins() {
        let mut bounds = Bounds::NONE;
        bounds.add(bound(100, 50, LimitSource::Builder));
        bounds.add(bound(100, 50, ancestor(0)));
        assert_eq!(bounds.tightest.unwrap().source, LimitSource::Builder);
        assert_eq!(bounds.binding.unwrap().source, LimitSource::Builder);
    }

    #[test]
    fn over_the_limit_and_a_limit_of_zero_have_no_headroom() {
        let over = bound(100, 150, LimitSource::Builder);
        assert_eq!((over.percent(), over.headroom_bytes()), (150.0, 0));
        let zero = bound(0, 3, ancestor(0));
        assert_eq!((zero.percent(), zero.headroom_bytes()), (300.0, 0));
    }

    proptest! {
        #[test]
        fn nothing_has_less_headroom_than_the_binding_level(levels in proptest::collection::vec((0u64..1000, 0u64..1000), 1..6)) {
            let mut bounds = Bounds::NONE;
            for &(limit, used) in &levels {
                bounds.add(bound(limit, used, LimitSource::Host));
            }
            let least = levels.iter().map(|&(limit, used)| limit.saturating_sub(used)).min();
            prop_assert_eq!(bounds.binding.map(|b| b.headroom_bytes()), least);
            let tightest = levels.iter().map(|&(limit, _)| limit).min();
            prop_assert_eq!(bounds.tightest.map(|b| b.limit_bytes), tightest);
        }
    }
}
