//! What is written from a profile: compose files, Redis configurations, Prometheus' targets, Kubernetes objects.

pub mod compose;
mod file;
pub mod grafana;
pub mod k8s;
pub mod prometheus;
pub mod redis;
mod yaml;

pub use file::{WrittenFile, deployment};
