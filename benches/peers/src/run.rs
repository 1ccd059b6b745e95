//! [`Run`]: where the results of one run lie.

use std::path::PathBuf;
use std::{env, fs, io};

/// The results of one run, in the directory that criterion is told by `CRITERION_HOME`. `ci/bench` makes a new one each
/// time, so that figures of two runs are never compared.
#[derive(Debug)]
pub struct Run {
    home: PathBuf,
}

impl Run {
    /// The run that this process is part of; `None` when a bench was started by hand.
    pub fn current() -> Option<Run> {
        env::var_os("CRITERION_HOME").map(|home| Run { home: home.into() })
    }

    /// The median that criterion found for `series`, in nanoseconds.
    ///
    /// # Errors
    /// The series was not measured in this run.
    pub fn median_nanos(&self, series: &str) -> io::Result<f64> {
        let estimates = self.read(&format!("{series}/new/estimates.json"))?;
        estimates["median"]["point_estimate"]
            .as_f64()
            .ok_or_else(|| io::Error::other(format!("no median of {series:?}")))
    }

    /// Keeps a figure that criterion can't measure.
    ///
    /// # Errors
    /// It could not be written.
    pub fn record(&self, series: &str, value: f64) -> io::Result<()> {
        fs::create_dir_all(&self.home)?;
        fs::write(self.home.join(format!("{series}.json")), value.to_string())
    }

    /// What [`record`](Self::record) kept.
    ///
    /// # Errors
    /// The series was not recorded in this run.
    pub fn recorded(&self, series: &str) -> io::Result<f64> {
        self.read(&format!("{series}.json"))?
            .as_f64()
            .ok_or_else(|| io::Error::other(format!("no number for {series:?}")))
    }

    /// The same of a series that not every machine can measure.
    ///
    /// # Errors
    /// It was recorded and can't be read.
    pub fn recorded_if_any(&self, series: &str) -> io::Result<Option<f64>> {
        match self.recorded(series) {
            Ok(value) => Ok(Some(value)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn read(&self, file: &str) -> io::Result<serde_json::Value> {
        let path = self.home.join(file);
        let text = fs::read(&path).map_err(|error| {
            io::Error::new(error.kind(), format!("{}: {error}", path.display()))
        })?;
        Ok(serde_json::from_slice(&text)?)
    }
}
