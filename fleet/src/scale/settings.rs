//! [`Settings`]: how the scaler runs.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// How the scaler runs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// From one reading of a service to the next, at most; what the engine takes for one comes off between rounds.
    pub interval: Duration,
    /// Says what it would do, and changes nothing: no limit, no cleanup, no file.
    pub dry_run: bool,
    /// One round, to its end.
    pub once: bool,
    /// Where histories are kept over a restart. `None`: nowhere.
    pub state: Option<PathBuf>,
    /// Where the scaler's own metrics are served.
    pub metrics: Option<SocketAddr>,
    /// What services want to hear before they clean up. `None`: they are not asked.
    pub token: Option<String>,
    /// Services share the scaler's network: a profile's `metrics_port` is on 127.0.0.1 where the engine says nothing.
    pub is_local: bool,
}
