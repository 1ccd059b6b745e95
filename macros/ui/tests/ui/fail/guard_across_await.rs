//! A task that may move to another thread can't hold a guard across an await: it would measure strangers.

use plimsoll::MemoryLimit;

fn spawn(_task: impl Future + Send + 'static) {}

fn main() {
    spawn(async {
        let _scope = MemoryLimit::mib(1).enter();
        std::future::ready(()).await;
    });
}
