//! What an engine's errors mean, and what to do.

use std::error::Error;
use std::io;

use bollard::errors::Error as Failed;

use crate::engine::EngineError;

/// What was asked, for the message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    host: &'a str,
    id: Option<&'a str>,
}

impl<'a> Asked<'a> {
    pub(super) fn engine(host: &'a str) -> Asked<'a> {
        Asked { host, id: None }
    }

    pub(super) fn container(host: &'a str, id: &'a str) -> Asked<'a> {
        Asked { host, id: Some(id) }
    }

    pub(super) fn timed_out(self) -> EngineError {
        EngineError::Away(format!("{}: no answer in time", self.host))
    }

    pub(super) fn failed(self, error: Failed) -> EngineError {
        let host = self.host;
        match error {
            Failed::DockerResponseServerError {
                status_code,
                message,
            } => self.answered(status_code, message.trim()),
            Failed::SocketNotFoundError(path) => EngineError::Away(format!(
                "there is no socket {path}; start the engine, or name its socket by --host or DOCKER_HOST"
            )),
            Failed::UnsupportedURISchemeError { uri } => EngineError::Away(format!(
                "{uri} is no address of an engine: write it as unix:///var/run/docker.sock"
            )),
            Failed::RequestTimeoutError => self.timed_out(),
            other if is_forbidden(&other) => EngineError::NoPermission(format!(
                "{host} can't be opened; run this as root, or as a member of the group docker"
            )),
            other => EngineError::Away(format!("{host}: {}", innermost(&other))),
        }
    }

    fn answered(self, status_code: u16, message: &str) -> EngineError {
        let what = match self.id {
            Some(id) => format!("{id}: {message}"),
            None => format!("{}: {message}", self.host),
        };
        match status_code {
            401 | 403 => EngineError::NoPermission(what),
            404 => EngineError::Gone(what),
            502..=504 => EngineError::Away(what),
            _ => EngineError::Refused(what),
        }
    }
}

fn causes(error: &Failed) -> impl Iterator<Item = &(dyn Error + 'static)> {
    // These three show what they hold as themselves, and would be passed over.
    let first: &(dyn Error + 'static) = match error {
        Failed::IOError { err } => err,
        Failed::HyperLegacyError { err } => err,
        Failed::HyperResponseError { err } => err,
        other => other,
    };
    std::iter::successors(Some(first), |error| (**error).source())
}

fn is_forbidden(error: &Failed) -> bool {
    causes(error)
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| cause.kind() == io::ErrorKind::PermissionDenied)
}

/// "error trying to connect" says less than "connection refused".
fn innermost(error: &Failed) -> String {
    causes(error)
        .last()
        .map_or_else(|| error.to_string(), ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_answer_has_its_kind() {
        let of = |status_code| {
            Asked::container("unix:///x", "hog").failed(Failed::DockerResponseServerError {
                status_code,
                message: "the reason\n".to_owned(),
            })
        };
        assert!(matches!(of(404), EngineError::Gone(_)));
        assert!(matches!(of(403), EngineError::NoPermission(_)));
        assert!(matches!(of(503), EngineError::Away(_)));
        for refused in [400, 409, 500] {
            let error = of(refused);
            assert!(matches!(error, EngineError::Refused(_)));
            assert!(error.to_string().ends_with("hog: the reason"), "{error}");
        }
    }

    #[test]
    fn what_the_system_says_is_found_inside() {
        let of = |kind: io::ErrorKind| {
            Asked::engine("unix:///x").failed(Failed::IOError { err: kind.into() })
        };
        let forbidden = of(io::ErrorKind::PermissionDenied);
        assert!(matches!(forbidden, EngineError::NoPermission(_)));
        assert!(forbidden.to_string().contains("group docker"));
        let refused = of(io::ErrorKind::ConnectionRefused);
        assert!(matches!(refused, EngineError::Away(_)));
        assert!(refused.to_string().contains("unix:///x"));
    }
}
