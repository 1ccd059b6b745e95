//! What went wrong with the engine, in words, and what would help.

use std::io::ErrorKind;

use bollard::Docker;
use bollard::errors::Error;

use crate::doctor::finding::Unreadable;

/// Where the engine is when nobody says: `DOCKER_HOST`, else its usual socket.
const DEFAULT_HOST: &str = "unix:///var/run/docker.sock";
const TIMEOUT: std::time::Duration = std::time::Duration::from_secs(20);

/// The engine's address.
pub fn host(said: Option<&str>) -> String {
    let of_environment = || std::env::var("DOCKER_HOST").ok();
    let host = said.map(str::to_owned).or_else(of_environment);
    host.filter(|host| !host.is_empty())
        .unwrap_or_else(|| DEFAULT_HOST.to_owned())
}

/// An engine that answers.
///
/// # Errors
///
/// There is none.
pub async fn connect(host: &str) -> Result<Docker, Unreadable> {
    let at_host = |unreadable: Unreadable| {
        Unreadable::new(format!("{host}: {}", unreadable.why), unreadable.todo)
    };
    let docker = Docker::connect_with_host(host).map_err(|error| at_host(unreadable(&error)))?;
    let docker = docker.with_timeout(TIMEOUT).negotiate_version().await;
    docker.map_err(|error| at_host(unreadable(&error)))
}

/// In words, and what would help.
pub fn unreadable(error: &Error) -> Unreadable {
    const START: &str =
        "start it (sudo systemctl start docker), or say where it is with --host or DOCKER_HOST";
    match (io_kind(error), error) {
        (Some(ErrorKind::PermissionDenied), _) => Unreadable::new(
            "no permission to use the engine's socket",
            "sudo plimsoll, or become a member of its group: sudo usermod -aG docker \"$USER\"",
        ),
        (Some(ErrorKind::NotFound), _) | (_, Error::SocketNotFoundError(_)) => {
            Unreadable::new("no engine: there is no such socket", START)
        }
        (Some(ErrorKind::ConnectionRefused), _) => {
            Unreadable::new("no engine: nobody listens there", START)
        }
        (_, Error::UnsupportedURISchemeError { .. }) => Unreadable::new(
            "not an address of an engine",
            "write unix:///path/of/docker.sock or tcp://host:port",
        ),
        (_, Error::RequestTimeoutError) => Unreadable::new(
            format!("the engine did not answer within {} s", TIMEOUT.as_secs()),
            "look whether it hangs: docker info",
        ),
        (_, error) => Unreadable::new(
            format!("the engine does not answer as it should: {error}"),
            START,
        ),
    }
}

/// The system's reason, wherever in the chain it is.
fn io_kind(error: &Error) -> Option<ErrorKind> {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<std::io::Error>() {
            return Some(error.kind());
        }
        next = error.source();
    }
    None
}
