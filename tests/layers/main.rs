//! The layers in front of real services, asked by real clients: axum and plain hyper over HTTP/1, and over HTTP/2 a service that
//! speaks as gRPC does.
#![cfg(target_os = "linux")]

mod alone;
mod app;
mod client;
mod level;
mod limits;
mod load;
mod server;
mod shedding;
#[path = "../support/mod.rs"]
mod support;
mod unusual;

#[global_allocator]
static ALLOCATOR: plimsoll::Jemalloc = plimsoll::Jemalloc;
