//! What verbs share: the terminal's width, a runtime.

use std::future::Future;
use std::io::IsTerminal;

use crate::failure::Failure;

/// The terminal's width; `None`: standard output is no terminal.
pub fn columns() -> Option<usize> {
    if !std::io::stdout().is_terminal() {
        return None;
    }
    let (columns, _) = ratatui::crossterm::terminal::size().ok()?;
    Some(usize::from(columns)).filter(|columns| *columns > 0)
}

/// Waits for `work` on this thread. What it has begun beside and not waited for is left.
pub fn block_on<T>(work: impl Future<Output = T>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    match runtime {
        Ok(runtime) => {
            let done = runtime.block_on(work);
            runtime.shutdown_background();
            Ok(done)
        }
        Err(error) => {
            let message = format!("no runtime could be made: {error}");
            Err(Failure::new(Failure::UNAVAILABLE, message))
        }
    }
}
