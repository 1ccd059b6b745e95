//! When a service's limit changes, and to what: pure.

mod observation;
mod stand_in;
mod verdict;

pub use observation::Observation;
pub use stand_in::{History, Wanted, decide, share};
pub use verdict::{Action, Alert, Verdict};

// To come (owner: the helper for decisions), with these signatures:
//
// pub struct History { .. }  // Default, Clone, Serialize, Deserialize, under 2 KiB in memory
// impl History {
//     pub fn observe(&mut self, seen: &Observation, policy: &Policy);
//     /// The kernel killed something in it. At once, not with the next observation.
//     pub fn killed(&mut self, at_s: u64, limit_bytes: u64);
//     /// A new limit is in force.
//     pub fn resized(&mut self, at_s: u64, from_bytes: u64, to_bytes: u64);
// }
// pub fn decide(history: &History, policy: &Policy, now_s: u64) -> Verdict;
//
// /// Cuts what is wanted down to what the host has: the sum of limits never exceeds the budget; a kill first, then priority.
// pub fn share(wanted: &mut [Wanted<'_>], budget_bytes: u64);   // Wanted { service: &str, limit_bytes: u64, priority: i32, verdict: Verdict }
