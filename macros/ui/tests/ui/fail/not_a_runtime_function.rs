//! Only a function with a body that runs in the service can carry an attribute.
use plimsoll::{memory_limit, periodic_cleanup};

#[memory_limit(100)]
struct Struct;

#[periodic_cleanup(100)]
pub enum Enum {}

#[memory_limit(100)]
const CONST: u8 = 0;

#[memory_limit(100)]
impl Struct {}

#[memory_limit(100)]
const fn const_fn() {}

#[periodic_cleanup(100)]
pub const unsafe fn const_periodic() {}

trait Trait {
    #[memory_limit(100)]
    fn without_body(&self) -> u8;

    #[periodic_cleanup(100)]
    fn periodic_without_body();
}

unsafe extern "C" {
    #[memory_limit(100)]
    fn foreign();
}

fn main() {
    const_fn();
}
