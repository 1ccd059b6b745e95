//! [`Address`]: where the engine is, and so what of this machine tells of its containers, and which commands reach it.

/// An engine that is reached so is on another machine, as far as anybody can tell.
const REMOTE: [&str; 4] = ["tcp://", "http://", "https://", "ssh://"];

/// Where the engine is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// By `--host`: commands in the same shell would go to another engine.
    said: Option<String>,
    remote: Option<String>,
}

impl Address {
    /// `said` by `--host`, else by `environment`, the value of `DOCKER_HOST`.
    pub fn new(said: Option<&str>, environment: Option<&str>) -> Address {
        let address = said.or(environment);
        let is_remote = |address: &&str| REMOTE.iter().any(|scheme| address.starts_with(scheme));
        Address {
            said: said.map(str::to_owned),
            remote: address.filter(is_remote).map(str::to_owned),
        }
    }

    /// `None`: it is on this machine.
    pub fn remote(&self) -> Option<&str> {
        self.remote.as_deref()
    }

    /// The same advice, with commands that go to this engine.
    pub fn commands(&self, todo: &str) -> String {
        let Some(said) = &self.said else {
            return todo.to_owned();
        };
        let host = format!("DOCKER_HOST={}", quoted(said));
        let lines = todo.lines().map(|line| match line.split_once(' ') {
            Some(("docker" | "plimsoll", _)) => format!("{host} {line}"),
            // What is before sudo would not get through it.
            Some(("sudo", rest)) if rest.starts_with("plimsoll ") => format!("sudo {host} {rest}"),
            _ => line.to_owned(),
        });
        lines.collect::<Vec<_>>().join("\n")
    }
}

/// One word to a shell.
fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-+=:,./@%".contains(c);
    match !text.is_empty() && text.chars().all(is_plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_here_and_what_is_said_wins() {
        let table = [
            (None, None, None),
            (None, Some("unix:///a"), None),
            (None, Some("tcp://h:1"), Some("tcp://h:1")),
            (Some("unix:///a"), Some("tcp://h:1"), None),
            (Some("ssh://u@h"), Some("unix:///a"), Some("ssh://u@h")),
            (Some("http://h:1"), None, Some("http://h:1")),
            // No address at all: nothing is known of another machine.
            (Some("nowhere"), None, None),
        ];
        for (said, environment, remote) in table {
            let address = Address::new(said, environment);
            assert_eq!(address.remote(), remote, "{said:?} {environment:?}");
        }
    }

    #[test]
    fn commands_go_to_the_engine_that_was_named() {
        let todo = "docker update a\nplimsoll resize a 1g\nsudo plimsoll doctor\nsudo mkswap b\nraise its limit\ndockerd";
        let here = Address::new(None, Some("tcp://h:1"));
        assert_eq!(here.commands(todo), todo);
        let named = Address::new(Some("tcp://h:1"), None).commands(todo);
        let lines: Vec<&str> = named.lines().collect();
        assert_eq!(
            lines,
            [
                "DOCKER_HOST=tcp://h:1 docker update a",
                "DOCKER_HOST=tcp://h:1 plimsoll resize a 1g",
                "sudo DOCKER_HOST=tcp://h:1 plimsoll doctor",
                "sudo mkswap b",
                "raise its limit",
                "dockerd",
            ]
        );
    }

    #[test]
    fn no_address_is_more_than_one_word() {
        let table = [
            ("unix:///var/run/docker.sock", "unix:///var/run/docker.sock"),
            ("unix:///a b;c", "'unix:///a b;c'"),
            ("unix:///it's", r"'unix:///it'\''s'"),
            ("$(x)", "'$(x)'"),
            ("", "''"),
        ];
        for (text, word) in table {
            assert_eq!(quoted(text), word);
        }
    }
}
