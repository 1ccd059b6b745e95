//! The error of a function with `on_exceed = "error"` implements `From<LimitExceeded>`.
use plimsoll::memory_limit;

struct AppError;

#[memory_limit(100, on_exceed = "error")]
fn own_error() -> Result<u32, AppError> {
    Ok(5)
}

#[memory_limit(100, on_exceed = "error")]
fn impl_trait() -> Result<impl Iterator<Item = u32>, AppError> {
    Ok([5].into_iter())
}

#[memory_limit(100, on_exceed = "error")]
async fn async_fn() -> Result<u32, AppError> {
    Ok(5)
}

fn main() {}
