//! `crate = ".."` finds the library behind a re-export, also where `::plimsoll` would not do.
#![deny(warnings)]

mod prelude {
    pub mod memory {
        pub use plimsoll::*;
        pub use plimsoll::__private;
    }
}

use prelude::memory::{LimitExceeded, memory_limit, periodic_cleanup};

#[memory_limit(100, crate = "crate::prelude::memory")]
#[periodic_cleanup(100, crate = "prelude::memory")]
fn warns() {}

#[memory_limit(100, on_exceed = "error", crate = "self::prelude::memory")]
fn fails() -> Result<(), LimitExceeded> {
    Ok(())
}

fn main() -> Result<(), LimitExceeded> {
    warns();
    fails()
}
