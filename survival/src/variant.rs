//! [`Variant`]: what kind of load.

use std::fmt;
use std::str::FromStr;

/// What kind of load.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Variant {
    /// Many small events, a few hundred bytes each.
    Small,
    /// Few huge ones, megabytes each.
    Huge,
    /// Eight threads that allocate.
    Threads,
    /// A new thread for each request.
    Spawn,
    /// Requests that arrive in pieces, into buffers that grow by `realloc`.
    Realloc,
    /// The small load beside a hot page cache of twice the limit.
    Pagecache,
    /// 8 GiB reserved and untouched beside a load that fits: nothing is wrong, and nothing may be done about it.
    Reserved,
    /// The small load beside something that leaks.
    Leak,
    /// The small load, and the limit is halved while it runs.
    Halved,
    /// An async server under tokio, and clients on the other end of unix sockets.
    Tokio,
}

impl Variant {
    /// All of them.
    pub const ALL: [Variant; 10] = [
        Variant::Small,
        Variant::Huge,
        Variant::Threads,
        Variant::Spawn,
        Variant::Realloc,
        Variant::Pagecache,
        Variant::Reserved,
        Variant::Leak,
        Variant::Halved,
        Variant::Tokio,
    ];

    /// What it is called on command lines.
    pub fn name(self) -> &'static str {
        match self {
            Variant::Small => "small",
            Variant::Huge => "huge",
            Variant::Threads => "threads",
            Variant::Spawn => "spawn",
            Variant::Realloc => "realloc",
            Variant::Pagecache => "pagecache",
            Variant::Reserved => "reserved",
            Variant::Leak => "leak",
            Variant::Halved => "halved",
            Variant::Tokio => "tokio",
        }
    }

    /// Whether the load is more than fits, so that an unmanaged service dies of it.
    pub fn is_lethal(self) -> bool {
        self != Variant::Reserved
    }
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// There is no such variant.
#[derive(Debug, PartialEq)]
pub struct UnknownVariant;

impl fmt::Display for UnknownVariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not one of")?;
        Variant::ALL
            .iter()
            .try_for_each(|known| write!(f, " {known}"))
    }
}

impl FromStr for Variant {
    type Err = UnknownVariant;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        let mut all = Variant::ALL.into_iter();
        all.find(|known| known.name() == word).ok_or(UnknownVariant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_both_ways_and_agree_with_the_report() {
        for variant in Variant::ALL {
            assert_eq!(variant.name().parse(), Ok(variant));
            let json = serde_json::to_string(&variant).unwrap();
            assert_eq!(json, format!("{:?}", variant.name()));
        }
        assert_eq!("SMALL".parse::<Variant>(), Err(UnknownVariant));
    }
}
