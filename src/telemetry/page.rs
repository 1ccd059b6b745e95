//! The live page (feature `page`): its files, the last hour, and the feed that brings both together.

mod assets;
mod feed;
mod frame;
mod json;
mod recorder;
mod ring;
mod seats;

pub(super) use assets::{ASSETS, Asset, PAGE};
pub(super) use feed::{NoFeed, feed};
pub(super) use recorder::record;
