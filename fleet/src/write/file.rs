//! [`deployment`]: every file that a fleet is started from.

use crate::profile::Profile;
use crate::write::{compose, grafana, prometheus, redis};

/// A file, as it is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenFile {
    /// Below the directory of all, which is `deploy` in the repository.
    pub path: String,
    pub text: String,
}

/// Every file that a fleet is started from: `compose/` and what its files mount, which they find by `../`.
pub fn deployment(production: &Profile, development: &Profile) -> Vec<WrittenFile> {
    let mut files = compose::files(production, development);
    files.extend(
        [production, development]
            .into_iter()
            .filter_map(redis::file),
    );
    files.extend(prometheus::files(production));
    files.extend(grafana::files());
    files
}
