//! [`Verdict`]: what shall be done, and why.

/// What shall be done with a service's limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Hold,
    Grow {
        to_bytes: u64,
    },
    /// The service is asked for a cleanup first, and the limit never goes below what it then uses plus a margin.
    Shrink {
        to_bytes: u64,
    },
}

/// What a person has to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alert {
    /// It needs more and has its maximum.
    AtMaximum,
    /// It needs more and the host has none.
    HostFull,
}

/// What shall be done, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    pub action: Action,
    /// In words, with figures and units.
    pub reason: String,
    pub alert: Option<Alert>,
    /// It answers a kill: no cooldown holds it up, and it is served before all that don't.
    pub after_kill: bool,
}

impl Verdict {
    /// Nothing is done.
    pub(crate) fn hold(reason: impl Into<String>) -> Verdict {
        Verdict {
            action: Action::Hold,
            reason: reason.into(),
            alert: None,
            after_kill: false,
        }
    }
}
