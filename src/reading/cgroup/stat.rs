//! Numbers in the kernel's text files.

/// What `max` in a limit file stands for: larger than any memory, so it is "no limit" by the same rule as v1's number.
pub(super) const UNLIMITED_BYTES: u64 = u64::MAX - 1;

/// Reads one decimal number, with or without the newline behind it. Signs, spaces and overflow are no numbers.
pub(in crate::reading) fn parse_bytes(text: &[u8]) -> Option<u64> {
    let digits = text.strip_suffix(b"\n").unwrap_or(text);
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |number, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

/// Reads the contents of a limit file: a number or `max`.
pub(super) fn parse_limit_bytes(text: &[u8]) -> Option<u64> {
    match text {
        b"max" | b"max\n" => Some(UNLIMITED_BYTES),
        number => parse_bytes(number),
    }
}

/// The number behind `key` in a `memory.stat`.
pub(in crate::reading) fn value(stat: &[u8], key: &str) -> Option<u64> {
    stat.split(|byte| *byte == b'\n')
        .find_map(|line| line.strip_prefix(key.as_bytes())?.strip_prefix(b" "))
        .and_then(parse_bytes)
}

/// How `memory.stat` calls the page cache of a cgroup and its descendants.
#[derive(Debug)]
pub(super) struct CacheKeys {
    pub(super) inactive_file: &'static str,
    pub(super) active_file: &'static str,
    pub(super) dirty: &'static str,
    pub(super) writeback: &'static str,
}

impl CacheKeys {
    /// The page cache that can be dropped at once: what is dirty or on its way to the disk must be written first.
    /// Kernels too old to count dirty pages per cgroup leave those keys out; there the whole cache is taken as clean,
    /// because counting it as used would hold every such service at its limit for good.
    pub(super) fn reclaimable_bytes(&self, stat: &[u8]) -> Option<u64> {
        let cache = value(stat, self.inactive_file)?.saturating_add(value(stat, self.active_file)?);
        let unwritten = value(stat, self.dirty)
            .unwrap_or(0)
            .saturating_add(value(stat, self.writeback).unwrap_or(0));
        Some(cache.saturating_sub(unwritten))
    }
}
