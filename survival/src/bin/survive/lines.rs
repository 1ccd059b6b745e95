//! [`Lines`]: runs in full, a line of JSON each, so that they can come out of a machine whose one stream has other lines too.

use std::error::Error;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::run::Run;

/// Where they are written.
pub struct Lines(Option<File>);

impl Lines {
    /// At `path`, or on stdout for `-`.
    pub fn create(path: &Path) -> io::Result<Lines> {
        if path == Path::new("-") {
            return Ok(Lines(None));
        }
        let file = File::create(path).map_err(|error| {
            io::Error::new(error.kind(), format!("{}: {error}", path.display()))
        })?;
        Ok(Lines(Some(file)))
    }

    pub fn are_printed(&self) -> bool {
        self.0.is_none()
    }

    pub fn write(&mut self, run: &Run) -> io::Result<()> {
        let line = format!("{}\n", serde_json::to_string(run)?);
        match &mut self.0 {
            Some(file) => file.write_all(line.as_bytes()),
            None => io::stdout().write_all(line.as_bytes()),
        }
    }
}

/// The runs in all `files`.
pub fn read(files: &[PathBuf]) -> Result<Vec<Run>, Box<dyn Error>> {
    let mut runs = Vec::new();
    for path in files {
        let named = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let text = std::fs::read_to_string(path).map_err(|error| named(&error))?;
        let found = parse(&text).map_err(|error| named(&error))?;
        if found.is_empty() {
            return Err(named(&"there is no run in it").into());
        }
        runs.extend(found);
    }
    Ok(runs)
}

/// Lines that are no objects are somebody else's; an object that is no run is an error, so that none goes missing.
fn parse(text: &str) -> serde_json::Result<Vec<Run>> {
    let objects = text.lines().filter(|line| line.starts_with('{'));
    objects.map(serde_json::from_str).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::Version;
    use crate::run::{Ending, Twin};
    use plimsoll_survival::{Brake, Report, Variant};

    fn run(ending: Ending, report: Option<Report>) -> Run {
        Run {
            kernel: Version::V2,
            limit_mib: 64,
            variant: Variant::Huge,
            twin: Twin::Managed,
            ending,
            kills: Some(1),
            lived_ms: 1234,
            charged_percent: Some(12.5),
            halved_ms: None,
            report,
        }
    }

    #[test]
    fn what_is_written_is_read_and_other_lines_are_passed_over() {
        let report = Report {
            variant: Some(Variant::Huge),
            samples_by_level: Some([1, 2, 3, 4]),
            brake: Some(Brake::default()),
            broken: vec!["1 = 2".to_owned()],
            ..Report::default()
        };
        let runs = [
            run(Ending::Signal(9), None),
            run(Ending::Exited(0), Some(report)),
            run(Ending::Overran, None),
        ];
        let mut text = String::from("huge managed: lived 1.2 s\n");
        for run in &runs {
            text += &serde_json::to_string(run).unwrap();
            text += "\r\n\n[]\n";
        }
        assert_eq!(parse(&text).unwrap(), runs);
    }

    #[test]
    fn half_a_run_is_an_error_and_no_run_less() {
        let line = serde_json::to_string(&run(Ending::Exited(0), None)).unwrap();
        assert!(parse(&line[..line.len() / 2]).is_err());
        assert!(parse("{}").is_err());
        let missing = read(&["/nonexistent/runs".into()]).unwrap_err().to_string();
        assert!(missing.starts_with("/nonexistent/runs: "), "{missing}");
        let empty = read(&["/dev/null".into()]).unwrap_err().to_string();
        assert!(empty.contains("no run"), "{empty}");
    }
}
