//! A whole function body as a scope: what `on_exceed = "error"` makes of it.

use crate::scope::{LimitExceeded, ScopeGuard};

/// What a function with `on_exceed = "error"` may return.
#[diagnostic::on_unimplemented(
    message = "`on_exceed = \"error\"` needs to return a `Result` whose error implements `From<LimitExceeded>`",
    label = "this function returns `{Self}`"
)]
pub trait Limited {
    /// The body's own error, else the verdict's, else the value.
    fn settle(self, verdict: Result<(), LimitExceeded>) -> Self;

    /// What there is when the work was stopped before it had a result.
    fn stopped(exceeded: LimitExceeded) -> Self;
}

impl<T, E: From<LimitExceeded>> Limited for Result<T, E> {
    fn settle(self, verdict: Result<(), LimitExceeded>) -> Self {
        let value = self?;
        verdict?;
        Ok(value)
    }

    fn stopped(exceeded: LimitExceeded) -> Self {
        Err(exceeded.into())
    }
}

/// Runs `body` in an entered scope and settles its result by the scope's verdict.
#[inline]
pub(crate) fn limited<R: Limited>(scope: ScopeGuard, body: impl FnOnce() -> R) -> R {
    let result = body();
    let verdict = scope.check();
    drop(scope);
    result.settle(verdict)
}
