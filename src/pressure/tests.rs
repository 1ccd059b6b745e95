//! The watch with changes that the test makes up.

mod futures;
mod subscribers;

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Wake, Waker};

use super::*;
use crate::sys::wake::fake::Woken;
use PressureLevel::{Critical, Elevated, High, Normal};

fn watch() -> Arc<Watch> {
    Watch::new(&Subscribers::new(), Normal)
}

/// As the worker says it.
fn change(from: PressureLevel, to: PressureLevel, cause: PressureCause) -> PressureChange {
    PressureChange {
        from,
        to,
        cause,
        bound: None,
    }
}

fn set(watch: &Arc<Watch>, to: PressureLevel) {
    watch.set(change(watch.level(), to, PressureCause::Used));
}

fn poll<F: Future + Unpin>(future: &mut F, woken: &Arc<Woken>) -> Poll<F::Output> {
    let waker = Waker::from(Arc::clone(woken));
    Pin::new(future).poll(&mut Context::from_waker(&waker))
}

/// What `future` has to say at once, if anything.
fn now<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    match poll(future, &Arc::default()) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}
