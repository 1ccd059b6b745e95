//! Pressure stall information: how long tasks waited for memory, as `memory.pressure` and `/proc/pressure/memory` tell it.

/// Whose waiting counts: `some` task, or all of them at once (`full`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    Some,
    Full,
}

impl Who {
    const fn name(self) -> &'static str {
        match self {
            Who::Some => "some",
            Who::Full => "full",
        }
    }
}

/// What the kernel is asked to report: so much waiting within so much time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Trigger {
    pub(super) who: Who,
    pub(super) stall_us: u64,
    pub(super) window_us: u64,
}

impl Trigger {
    /// What a manager asks for by itself: 150 ms in 2 s. Without CAP_SYS_RESOURCE the kernel takes multiples of 2 s only.
    pub(super) const OWN: Trigger = Trigger {
        who: Who::Some,
        stall_us: 150_000,
        window_us: 2_000_000,
    };

    /// As the kernel wants it. It cuts off the last byte of what is written to `/proc/pressure`, so that must be a NUL.
    pub(super) fn text(self) -> String {
        let Trigger {
            who,
            stall_us,
            window_us,
        } = self;
        format!("{} {stall_us} {window_us}\0", who.name())
    }

    /// Reads what somebody else asks the kernel for; `None` for anything that is no trigger.
    pub(super) fn parse(text: &[u8]) -> Option<Trigger> {
        let text = std::str::from_utf8(text).ok()?;
        let mut words = text.trim_end_matches('\0').split_ascii_whitespace().fuse();
        let who = match words.next()? {
            "some" => Who::Some,
            "full" => Who::Full,
            _ => return None,
        };
        let trigger = Trigger {
            who,
            stall_us: number(words.next()?)?,
            window_us: number(words.next()?)?,
        };
        words.next().is_none().then_some(trigger)
    }
}

/// Microseconds of waiting since the machine or the cgroup was started: `total` in the line of `who`.
pub(crate) fn total_us(text: &[u8], who: Who) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?;
    text.lines().find_map(|line| {
        let fields = line.strip_prefix(who.name())?.strip_prefix(' ')?;
        let mut totals = fields
            .split_ascii_whitespace()
            .filter_map(|field| field.strip_prefix("total="));
        number(totals.next()?)
    })
}

/// `parse` alone would take a sign.
fn number(text: &str) -> Option<u64> {
    text.starts_with(|first: char| first.is_ascii_digit())
        .then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_of_the_kernels_text_and_of_nothing_else() {
        const TEXT: &str = "some avg10=0.12 avg60=1.00 avg300=0.00 total=5763130\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=3231022\n";
        let cases: &[(&str, Option<u64>, Option<u64>)] = &[
            (TEXT, Some(5_763_130), Some(3_231_022)),
            ("some avg10=0.00 total=0", Some(0), None),
            ("full total=18446744073709551615\n", None, Some(u64::MAX)),
            ("some total=18446744073709551616\n", None, None),
            ("some total=\nfull total=-1\n", None, None),
            ("some total=+1\nfull total= 1\n", None, None),
            ("some total=1x\nfull total=0x1\n", None, None),
            ("some avg10=0.00\nfull xtotal=1\n", None, None),
            ("something total=1\nfuller total=1\n", None, None),
            (" some total=1\n\tfull total=1\n", None, None),
            ("total=1\n", None, None),
            ("some", None, None),
            ("", None, None),
        ];
        for (text, some, full) in cases {
            assert_eq!(total_us(text.as_bytes(), Who::Some), *some, "{text:?}");
            assert_eq!(total_us(text.as_bytes(), Who::Full), *full, "{text:?}");
        }
        assert_eq!(total_us(b"some total=1\n\xff", Who::Some), None);
    }

    #[test]
    fn triggers_of_others() {
        let trigger = |who, stall_us, window_us| {
            Some(Trigger {
                who,
                stall_us,
                window_us,
            })
        };
        let cases: &[(&[u8], Option<Trigger>)] = &[
            (
                b"some 200000 2000000\0",
                trigger(Who::Some, 200_000, 2_000_000),
            ),
            (b"full 1 2", trigger(Who::Full, 1, 2)),
            (b"some 1 2\n", trigger(Who::Some, 1, 2)),
            (b"some 1 2\0\0", trigger(Who::Some, 1, 2)),
            (b"some 1", None),
            (b"some 1 2 3", None),
            (b"some -1 2", None),
            (b"many 1 2", None),
            (b"some 1\0 2", None),
            (b"\xff\xff", None),
            (b"", None),
        ];
        for (text, expected) in cases {
            assert_eq!(Trigger::parse(text), *expected, "{text:?}");
        }
        let own = Trigger::OWN.text();
        assert_eq!(own, "some 150000 2000000\0");
        assert_eq!(Trigger::parse(own.as_bytes()), Some(Trigger::OWN));
    }
}
