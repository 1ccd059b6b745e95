//! A fleet's profile: services, limits, policies; read from a file with every problem at its place.

mod check;
mod deploy;
mod fields;
mod policy;
mod problem;
mod read;
mod redis;
mod service;
mod source;

pub use deploy::Deploy;
pub use policy::{CAUTION, Policy, Strategy};
pub use problem::{Problem, Severity};
pub use read::{Reading, load, read};
pub use redis::RedisSettings;
pub use service::{Profile, Service};
pub use source::{SHIPPED, Source};
