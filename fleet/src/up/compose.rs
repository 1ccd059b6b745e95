//! Compose, whichever is there: `docker compose`, or the older `docker-compose`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use crate::failure::Failure;

const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// In the order of preference: the older one does not speak to the newest engines.
const KNOWN: [&[&str]; 2] = [&["docker", "compose"], &["docker-compose"]];

/// A compose that answers, with the files of one project.
#[derive(Clone, Debug)]
pub struct Compose {
    words: &'static [&'static str],
    files: Vec<PathBuf>,
    dir: PathBuf,
    host: String,
}

impl Compose {
    /// The first that answers.
    ///
    /// # Errors
    ///
    /// None does.
    pub async fn find(dir: &Path, files: &[PathBuf], host: &str) -> Result<Compose, Failure> {
        for words in KNOWN {
            let compose = Compose {
                words,
                files: files.to_vec(),
                dir: dir.to_owned(),
                host: host.to_owned(),
            };
            if compose.answers().await {
                return Ok(compose);
            }
        }
        let message = "neither `docker compose` nor `docker-compose` answers; install one of them: \
                       sudo apt-get install docker-compose-plugin (or docker-compose)";
        Err(Failure::new(Failure::UNAVAILABLE, message))
    }

    async fn answers(&self) -> bool {
        let mut version = Command::new(self.words[0]);
        version.args(&self.words[1..]).arg("version");
        version.stdin(Stdio::null()).kill_on_drop(true);
        let version = version.output();
        let output = tokio::time::timeout(ANSWER_TIMEOUT, version).await;
        matches!(output, Ok(Ok(output)) if output.status.success())
    }

    /// What a person would write in the files' directory.
    pub fn shown(&self, verb: &[&str]) -> String {
        let arguments = self.arguments(verb);
        let arguments = arguments
            .iter()
            .map(|word| word.to_string_lossy().into_owned());
        let words = self.words.iter().map(|word| (*word).to_owned());
        words.chain(arguments).collect::<Vec<_>>().join(" ")
    }

    fn arguments(&self, verb: &[&str]) -> Vec<OsString> {
        let files = self
            .files
            .iter()
            .flat_map(|file| ["-f".into(), file.into()]);
        files.chain(verb.iter().map(Into::into)).collect()
    }

    fn command(&self, verb: &[&str]) -> Command {
        let mut command = Command::new(self.words[0]);
        command
            .args(&self.words[1..])
            .args(self.arguments(verb))
            .current_dir(&self.dir)
            .env("DOCKER_HOST", &self.host)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// Starts what does not run, or runs otherwise than the files say. Its own words go to standard error, as they come: pulling an
    /// image takes minutes.
    ///
    /// # Errors
    ///
    /// It could not, for the reason that it has just said.
    pub async fn up(&self) -> Result<(), Failure> {
        const VERB: &[&str] = &["up", "-d"];
        let mut up = self.command(VERB);
        let status = up.stdout(std::io::stderr()).status().await;
        match status {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => {
                let message = format!(
                    "`{}` failed ({status}); it says why above",
                    self.shown(VERB)
                );
                Err(Failure::new(Failure::REFUSED, message))
            }
            Err(error) => Err(self.not_run(&error)),
        }
    }

    /// The identifiers of the project's containers, running or not.
    ///
    /// # Errors
    ///
    /// It does not say.
    pub async fn containers(&self) -> Result<Vec<String>, Failure> {
        const VERB: &[&str] = &["ps", "-a", "-q"];
        let mut ps = self.command(VERB);
        let output = tokio::time::timeout(ANSWER_TIMEOUT, ps.output()).await;
        let output = match output {
            Ok(Ok(output)) if output.status.success() => output,
            Ok(Ok(output)) => {
                let said = String::from_utf8_lossy(&output.stderr);
                let message = format!("`{}` failed: {}", self.shown(VERB), said.trim());
                return Err(Failure::new(Failure::REFUSED, message));
            }
            Ok(Err(error)) => return Err(self.not_run(&error)),
            Err(_) => {
                let seconds = ANSWER_TIMEOUT.as_secs();
                let message = format!("`{}` did not answer within {seconds} s", self.shown(VERB));
                return Err(Failure::new(Failure::UNAVAILABLE, message));
            }
        };
        Ok(ids(&String::from_utf8_lossy(&output.stdout)))
    }

    fn not_run(&self, error: &std::io::Error) -> Failure {
        let message = format!("{} can't be run: {error}", self.words.join(" "));
        Failure::new(Failure::UNAVAILABLE, message)
    }
}

/// One a line; anything else that a compose may print beside them is none.
fn ids(text: &str) -> Vec<String> {
    let lines = text.lines().map(str::trim);
    let is_id = |line: &&str| line.len() == 64 && line.bytes().all(|byte| byte.is_ascii_hexdigit());
    lines.filter(is_id).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_identifiers_are_containers() {
        let id = "a1".repeat(32);
        let text = format!("\nWARNING: something\n{id}\n  {id} \nzz{}\n", &id[2..]);
        assert_eq!(ids(&text), [id.clone(), id]);
        assert_eq!(ids(""), [""; 0]);
    }

    #[test]
    fn a_command_is_shown_as_it_would_be_written() {
        let compose = Compose {
            words: KNOWN[1],
            files: vec!["docker-compose.yml".into(), "docker-compose.dev.yml".into()],
            dir: "/x".into(),
            host: String::new(),
        };
        assert_eq!(
            compose.shown(&["up", "-d"]),
            "docker-compose -f docker-compose.yml -f docker-compose.dev.yml up -d"
        );
    }
}
