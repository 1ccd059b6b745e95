//! A guard measures the thread that entered it, so it can't be sent to another.

use plimsoll::MemoryLimit;

fn main() {
    let scope = MemoryLimit::mib(1).enter();
    std::thread::spawn(move || drop(scope));
}
