//! Random sequences of everything that can be done, beside a model that does the same in plain arithmetic.

use proptest::prelude::*;

use super::*;

const LIMIT_BYTES: u64 = 1000;

#[derive(Clone, Debug)]
enum Step {
    Reserve(u64),
    Wait(u64),
    Poll(usize),
    Cancel(usize),
    Fill(usize, i64),
    Grow(usize, u64),
    Shrink(usize, u64),
    Split(usize, u64),
    Drop(usize),
    /// Others use so much from now on, and the worker looks.
    Look(u64),
    /// Pressure is high from now on, or is not, and the worker looks.
    Press(bool),
}

fn step() -> impl Strategy<Value = Step> {
    let which = 0usize..8;
    prop_oneof![
        (0u64..600).prop_map(Step::Reserve),
        (1u64..1100).prop_map(Step::Wait),
        which.clone().prop_map(Step::Poll),
        which.clone().prop_map(Step::Cancel),
        (which.clone(), -300i64..500).prop_map(|(n, delta)| Step::Fill(n, delta)),
        (which.clone(), 0u64..300).prop_map(|(n, bytes)| Step::Grow(n, bytes)),
        (which.clone(), 0u64..300).prop_map(|(n, bytes)| Step::Shrink(n, bytes)),
        (which.clone(), 0u64..300).prop_map(|(n, bytes)| Step::Split(n, bytes)),
        which.prop_map(Step::Drop),
        (0u64..500).prop_map(Step::Look),
        prop::bool::weighted(0.25).prop_map(Step::Press),
    ]
}

struct Held {
    real: Reservation,
    reserved: i64,
    filled: i64,
}

impl Held {
    fn new(real: Reservation, bytes: u64) -> Self {
        Held {
            real,
            reserved: bytes as i64,
            filled: 0,
        }
    }

    fn unfilled(&self) -> i64 {
        (self.reserved - self.filled).max(0)
    }
}

struct Asking {
    real: Reserving,
    woken: Arc<Woken>,
    bytes: u64,
    granted: bool,
}

struct Model {
    fake: Arc<Fake>,
    pool: Arc<Pool>,
    held: Vec<Held>,
    asking: Vec<Asking>,
    others: i64,
    pressed: bool,
    /// What scopes allocated minus what they freed, theirs or not, of reservations that are gone as well.
    filled: i64,
}

impl Model {
    fn used(&self) -> i64 {
        (self.others + self.filled).max(0)
    }

    fn outstanding(&self) -> i64 {
        let held: i64 = self.held.iter().map(Held::unfilled).sum();
        let granted = self.asking.iter().filter(|asking| asking.granted);
        held + granted.map(|asking| asking.bytes as i64).sum::<i64>()
    }

    fn waiting(&self) -> i64 {
        let waiting = self.asking.iter().filter(|asking| !asking.granted);
        waiting.map(|asking| asking.bytes as i64).sum()
    }

    fn has_room(&self, bytes: u64, ahead: i64) -> bool {
        let headroom = (LIMIT_BYTES as i64 - self.used()).max(0);
        !self.pressed && headroom - self.outstanding() - ahead >= bytes as i64
    }

    /// Grants from the front, as the pool does whenever something is given back.
    fn serve(&mut self) {
        while let Some(first) = self.asking.iter().position(|asking| !asking.granted)
            && self.has_room(self.asking[first].bytes, 0)
        {
            self.asking[first].granted = true;
        }
    }

    fn expect(&self, granted: bool, bytes: u64) {
        let room = bytes == 0 || self.has_room(bytes, self.waiting());
        assert_eq!(granted, room, "{bytes} bytes");
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Reserve(bytes) => {
                let real = self.pool.try_reserve(bytes);
                self.expect(real.is_ok(), bytes);
                self.held
                    .extend(real.into_iter().map(|real| Held::new(real, bytes)));
            }
            Step::Wait(bytes) => {
                let mut real = Reserving::new(&self.pool, bytes);
                let woken = Arc::default();
                match poll(&mut real, &woken) {
                    Poll::Ready(Ok(real)) => {
                        self.expect(true, bytes);
                        self.held.push(Held::new(real, bytes));
                    }
                    Poll::Ready(Err(error)) => {
                        assert!(bytes > LIMIT_BYTES, "{error}");
                    }
                    Poll::Pending => {
                        self.expect(false, bytes);
                        self.asking.push(Asking {
                            real,
                            woken,
                            bytes,
                            granted: false,
                        });
                    }
                }
            }
            Step::Poll(n) if n < self.asking.len() => {
                let asking = &mut self.asking[n];
                match poll(&mut asking.real, &asking.woken) {
                    Poll::Ready(real) => {
                        assert!(asking.granted);
                        let bytes = self.asking.remove(n).bytes;
                        self.held.push(Held::new(real.unwrap(), bytes));
                    }
                    Poll::Pending => assert!(!asking.granted),
                }
            }
            Step::Cancel(n) if n < self.asking.len() => {
                self.asking.remove(n);
                self.serve();
            }
            Step::Fill(n, delta) if n < self.held.len() => {
                self.held[n].real.tab().fill(delta);
                self.held[n].filled = (self.held[n].filled + delta).max(0);
                self.filled += delta;
            }
            Step::Grow(n, bytes) if n < self.held.len() => {
                let grown = self.held[n].real.grow(ByteSize::bytes(bytes)).is_ok();
                self.expect(grown, bytes);
                self.held[n].reserved += if grown { bytes as i64 } else { 0 };
            }
            Step::Shrink(n, bytes) if n < self.held.len() => {
                let held = &mut self.held[n];
                held.real.shrink(ByteSize::bytes(bytes));
                held.reserved = (held.reserved - bytes as i64).max(0);
                self.serve();
            }
            Step::Split(n, bytes) if n < self.held.len() => {
                let held = &mut self.held[n];
                let part = held.real.split(ByteSize::bytes(bytes));
                assert_eq!(part.is_ok(), bytes as i64 <= held.unfilled());
                if let Ok(part) = part {
                    held.reserved -= bytes as i64;
                    self.held.push(Held::new(part, bytes));
                }
            }
            Step::Drop(n) if n < self.held.len() => {
                self.held.remove(n);
                self.serve();
            }
            Step::Look(others) => {
                self.others = others as i64;
                self.tell_used();
                self.pool.look();
                self.serve();
            }
            Step::Press(pressed) => {
                self.pressed = pressed;
                self.fake.under_pressure.store(pressed, Ordering::SeqCst);
                self.pool.look();
                self.serve();
            }
            _ => {}
        }
    }

    fn tell_used(&self) {
        self.fake
            .used_bytes
            .store(self.used() as u64, Ordering::SeqCst);
    }

    fn check(&self) {
        assert_eq!(self.pool.unfilled_bytes() as i64, self.outstanding());
        let reserved: i64 = self.held.iter().map(|held| held.reserved).sum();
        assert_eq!(self.pool.reserved_bytes() as i64, reserved);
        let waiting = self.asking.iter().filter(|asking| !asking.granted).count();
        assert_eq!(self.pool.waiting(), waiting);
        for asking in &self.asking {
            assert_eq!(asking.woken.times(), u64::from(asking.granted));
        }
        for held in &self.held {
            assert_eq!(held.real.reserved_bytes() as i64, held.reserved);
            assert_eq!(held.real.unfilled_bytes() as i64, held.unfilled());
            assert!(held.unfilled() <= held.reserved);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn grants_are_given_exactly_when_there_is_room(steps in prop::collection::vec(step(), 1..60)) {
        let (fake, pool) = open(LIMIT_BYTES);
        let mut model = Model { fake, pool, held: Vec::new(), asking: Vec::new(), others: 0, pressed: false, filled: 0 };
        for step in steps {
            let granted = |model: &Model| model.held.iter().map(|held| held.reserved).sum::<i64>()
                + model.asking.iter().filter(|asking| asking.granted).map(|asking| asking.bytes as i64).sum::<i64>();
            let before = granted(&model);
            model.tell_used();
            model.run(step);
            model.tell_used();
            model.check();
            // A grant never takes the sum of what is used and what is promised past the limit.
            if granted(&model) > before {
                prop_assert!(model.used() + model.outstanding() <= LIMIT_BYTES as i64);
            }
        }
        model.asking.clear();
        model.held.clear();
        prop_assert_eq!(model.pool.unfilled_bytes(), 0);
    }
}
