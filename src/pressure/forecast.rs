//! [`Forecast`]: when the limit will be reached at the speed of the last readings. Pure.

use std::time::{Duration, Instant};

/// So many readings are looked at: 1.2 s of them at ten a second, 12 s at one.
const READINGS: usize = 12;
/// With fewer, chance decides.
const LEAST_READINGS: usize = 5;
/// Readings that the heap line asked for may come one upon the other; those say nothing about speed.
const LEAST_SPACING: Duration = Duration::from_millis(50);

/// The last readings of what is used, and the speed they show.
///
/// The speed is the median of the slopes between all pairs of readings (Theil and Sen): a single peak, or the fall by one cleanup,
/// does not move it. A line by least squares would follow both.
#[derive(Clone, Debug)]
pub(crate) struct Forecast {
    readings: [(Instant, u64); READINGS],
    len: usize,
}

impl Forecast {
    pub(crate) fn new(now: Instant) -> Self {
        Forecast {
            readings: [(now, 0); READINGS],
            len: 0,
        }
    }

    /// What was measured so far is of something else.
    pub(crate) fn forget(&mut self) {
        self.len = 0;
    }

    pub(crate) fn add(&mut self, now: Instant, used_bytes: u64) {
        if let Some(&(last, _)) = self.known().last()
            && now.saturating_duration_since(last) < LEAST_SPACING
        {
            return;
        }
        if self.len == READINGS {
            self.readings.rotate_left(1);
            self.len -= 1;
        }
        self.readings[self.len] = (now, used_bytes);
        self.len += 1;
    }

    fn known(&self) -> &[(Instant, u64)] {
        &self.readings[..self.len]
    }

    /// Bytes per second, negative when usage falls; `None` as long as too little is known.
    pub(crate) fn bytes_per_second(&self) -> Option<f64> {
        let known = self.known();
        if known.len() < LEAST_READINGS {
            return None;
        }
        let mut slopes = [0.0; READINGS * (READINGS - 1) / 2];
        let mut len = 0;
        for (n, &(later, later_bytes)) in known.iter().enumerate() {
            for &(earlier, earlier_bytes) in &known[..n] {
                let seconds = later.saturating_duration_since(earlier).as_secs_f64();
                if seconds > 0.0 {
                    slopes[len] = (later_bytes as f64 - earlier_bytes as f64) / seconds;
                    len += 1;
                }
            }
        }
        let slopes = &mut slopes[..len];
        slopes.sort_unstable_by(f64::total_cmp);
        let middle = len / 2;
        match len {
            0 => None,
            _ if len % 2 == 1 => Some(slopes[middle]),
            _ => Some(f64::midpoint(slopes[middle - 1], slopes[middle])),
        }
    }

    /// How long `headroom_bytes` will last; `None` when usage does not grow, or nobody can tell.
    pub(crate) fn time_to_limit(&self, headroom_bytes: u64) -> Option<Duration> {
        let speed = self.bytes_per_second().filter(|&speed| speed > 0.0)?;
        Duration::try_from_secs_f64(headroom_bytes as f64 / speed).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TENTH: Duration = Duration::from_millis(100);

    fn of(readings: &[u64]) -> Forecast {
        let start = Instant::now();
        let mut forecast = Forecast::new(start);
        for (n, &used) in readings.iter().enumerate() {
            forecast.add(start + TENTH * n as u32, used);
        }
        forecast
    }

    #[test]
    fn steady_growth_is_seen_through_a_peak_and_a_fall() {
        let steady: Vec<u64> = (0..12).map(|n| 1000 + n * 10).collect();
        assert_eq!(of(&steady).bytes_per_second(), Some(100.0));
        let mut disturbed = steady.clone();
        disturbed[4] = 900_000;
        disturbed[9] = 0;
        let speed = of(&disturbed).bytes_per_second().unwrap();
        assert!((90.0..110.0).contains(&speed), "{speed}");
        assert_eq!(of(&steady).time_to_limit(200), Some(Duration::from_secs(2)));
    }

    #[test]
    fn too_little_is_known_or_nothing_grows() {
        assert_eq!(of(&[1, 2, 3, 4]).bytes_per_second(), None);
        assert_eq!(of(&[5; 12]).time_to_limit(1), None);
        assert_eq!(of(&[50, 40, 30, 20, 10]).time_to_limit(1), None);
        let mut forecast = of(&[1, 2, 3, 4, 5]);
        assert!(forecast.bytes_per_second().is_some());
        forecast.forget();
        assert_eq!(forecast.bytes_per_second(), None);
    }

    #[test]
    fn readings_one_upon_the_other_are_one_and_a_clock_that_goes_back_harms_nothing() {
        let start = Instant::now();
        let mut forecast = Forecast::new(start);
        for n in 0..100 {
            forecast.add(start + Duration::from_millis(n), 1 << 30);
        }
        assert_eq!(forecast.len, 2);
        for n in 0..10 {
            forecast.add(start + TENTH * (n % 3), u64::from(n) << 60);
            let _ = forecast.time_to_limit(u64::MAX);
        }
    }

    proptest! {
        #[test]
        fn the_speed_lies_between_those_of_neighbours(readings in proptest::collection::vec(0u64..1 << 50, 5..30)) {
            let speed = of(&readings).bytes_per_second().unwrap();
            let last = &readings[readings.len().saturating_sub(READINGS)..];
            let steps = last.windows(2).map(|pair| (pair[1] as f64 - pair[0] as f64) * 10.0);
            let (low, high) = steps.fold((f64::MAX, f64::MIN), |(low, high), step| (low.min(step), high.max(step)));
            prop_assert!(speed >= low - 1.0 && speed <= high + 1.0);
        }
    }
}
