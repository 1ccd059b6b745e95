//! [`Halving`]: takes half of the limit away while the service runs, and tells it nothing.
//!
//! In steps of a twentieth: what a service that keeps below nine tenths of its limit survives without a warning, and what
//! whoever resizes a container by hand or by script can do. A step that would be below what is in use now is put off, not
//! forced: v1 refuses it anyhow, and v2 would kill. So only a service that comes down by itself lets the limit be halved.

use std::io;
use std::time::{Duration, Instant};

use crate::group::Group;

const STEP_EVERY: Duration = Duration::from_millis(250);
/// What stays of the limit at each step, in percent.
const KEPT_PERCENT: u64 = 95;
const PAGE_BYTES: u64 = 4096;

pub struct Halving {
    target_bytes: u64,
    limit_bytes: u64,
    began: Instant,
    next_step: Instant,
    done: Option<Duration>,
}

impl Halving {
    /// Begins at `begin`.
    pub fn new(limit_bytes: u64, begin: Instant) -> Self {
        Halving {
            target_bytes: limit_bytes / 2,
            limit_bytes,
            began: begin,
            next_step: begin,
            done: None,
        }
    }

    /// Takes the next step if it is time.
    pub fn step(&mut self, group: &Group) -> io::Result<()> {
        let now = Instant::now();
        if self.done.is_some() || now < self.next_step {
            return Ok(());
        }
        self.next_step = now + STEP_EVERY;
        let lower_bytes = lower(self.limit_bytes, self.target_bytes);
        if group.lower(lower_bytes)? {
            self.limit_bytes = lower_bytes;
            if lower_bytes == self.target_bytes {
                self.done = Some(now - self.began);
            }
        }
        Ok(())
    }

    /// How long it took; `None` if it is not done.
    pub fn done(&self) -> Option<Duration> {
        self.done
    }
}

/// The next limit on the way down.
fn lower(limit_bytes: u64, target_bytes: u64) -> u64 {
    let kept_bytes = limit_bytes / 100 * KEPT_PERCENT / PAGE_BYTES * PAGE_BYTES;
    kept_bytes.max(target_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fourteen_steps_lead_to_the_half_and_none_further() {
        let (mut limit_bytes, target_bytes) = (128 << 20, 64 << 20);
        let mut steps = 0;
        while limit_bytes != target_bytes {
            let next_bytes = lower(limit_bytes, target_bytes);
            assert!(next_bytes < limit_bytes && next_bytes * 100 >= limit_bytes * 94);
            assert_eq!(next_bytes % PAGE_BYTES, 0);
            limit_bytes = next_bytes;
            steps += 1;
        }
        assert_eq!(steps, 14);
        assert_eq!(lower(target_bytes, target_bytes), target_bytes);
    }
}
