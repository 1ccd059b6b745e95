//! [`Ring`]: the last hour, in memory that does not grow. Pure.

use std::collections::VecDeque;

use crate::telemetry::page::frame::Frame;

/// The last ten minutes, second by second.
const FINE: usize = 600;
/// The fifty minutes before.
const COARSE: usize = 300;
/// So many fine frames make a coarse one.
const MERGED: usize = 10;

/// Frames of the last hour, oldest first.
#[derive(Debug)]
pub(super) struct Ring {
    coarse: VecDeque<Frame>,
    /// The next coarse one, and how many it is made of.
    growing: Option<(Frame, usize)>,
    fine: VecDeque<Frame>,
}

impl Ring {
    pub(super) fn new() -> Self {
        Ring {
            coarse: VecDeque::with_capacity(COARSE),
            growing: None,
            fine: VecDeque::with_capacity(FINE),
        }
    }

    /// Takes the next one in.
    pub(super) fn push(&mut self, frame: Frame) {
        if self.fine.len() == FINE
            && let Some(old) = self.fine.pop_front()
        {
            self.thin(old);
        }
        self.fine.push_back(frame);
    }

    fn thin(&mut self, old: Frame) {
        let (kept, merged) = match self.growing.take() {
            None => (old, 1),
            Some((mut kept, merged)) => {
                kept.absorb(old);
                (kept, merged + 1)
            }
        };
        if merged < MERGED {
            self.growing = Some((kept, merged));
            return;
        }
        if self.coarse.len() == COARSE {
            self.coarse.pop_front();
        }
        self.coarse.push_back(kept);
    }

    pub(super) fn frames(&self) -> impl Iterator<Item = &Frame> {
        let growing = self.growing.iter().map(|(frame, _)| frame);
        self.coarse.iter().chain(growing).chain(&self.fine)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::page::frame::tests::frame;

    /// What all rings of the page may take together.
    const MOST_BYTES: usize = 512 << 10;

    #[test]
    fn it_holds_an_hour_and_no_more_in_memory_of_a_fixed_size() {
        let mut ring = Ring::new();
        let (fine, coarse) = (ring.fine.capacity(), ring.coarse.capacity());
        let bytes = (fine + coarse + 1) * size_of::<Frame>();
        assert!(bytes < MOST_BYTES, "{bytes}");
        let first = frame(1, 1);
        for t_s in 1..=10_000 {
            ring.push(Frame {
                t_ms: t_s * 1000,
                used_bytes: t_s % 10,
                ..first.clone()
            });
        }
        assert_eq!(
            (ring.fine.capacity(), ring.coarse.capacity()),
            (fine, coarse)
        );
        let times: Vec<u64> = ring.frames().map(|frame| frame.t_ms / 1000).collect();
        assert!(times.is_sorted_by(|one, next| one < next));
        assert_eq!(times.last(), Some(&10_000));
        let held = times[times.len() - 1] - times[0];
        assert!((3580..=3600).contains(&held), "{held}");
        let recent = times.iter().filter(|&&t| t > 9400).count();
        assert_eq!(recent, FINE);
        // Of ten the fullest is kept.
        assert!(times[..COARSE].iter().all(|t| t % 10 == 9));
    }
}
