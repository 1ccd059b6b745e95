//! A fleet's profile: services, limits, policies.

mod policy;
mod service;

pub use policy::{Policy, Strategy};
pub use service::{Profile, RedisSettings, Service};
