//! The scaler: watches, decides, resizes.
//!
//! One task has all the state and does all the resizing, one at a time; what takes long (readings, cleanups) is done beside it and comes
//! back as a message. So a kill is answered at once, and nothing is half done when it ends.

mod budget;
mod changes;
mod clock;
mod endpoint;
mod exposition;
mod figures;
mod gather;
mod kills;
mod output;
mod pace;
mod run;
mod scaler;
mod scrape;
mod settings;
mod shrink;
mod state;
mod tracked;
mod voice;

pub(crate) use scrape::Scraper;
pub(crate) use state::{Change, last_changes};

pub use run::run;
pub use settings::Settings;
pub use voice::Voice;
