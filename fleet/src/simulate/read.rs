//! [`read`]: traces from files.

use std::fmt::Display;
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::path::Path;

use csv::StringRecord;
use flate2::bufread::GzDecoder;

use crate::failure::Failure;
use crate::simulate::{Pod, Sample, Trace};
use crate::size::human;

const GZIP: [u8; 2] = [0x1f, 0x8b];
/// A month of 67 pods, a row a minute, is half of it. All of it is held in memory, several times as large.
const MAX_BYTES: usize = 64 << 20;
/// Thousands of pods.
const MAX_LINE_BYTES: usize = 1 << 20;
/// The columns of one service's recording.
const RECORDED: [&str; 4] = ["second", "used_bytes", "reclaimable_bytes", "limit_bytes"];

/// CSV, also gzipped. Either `second` and a column per pod with parts of its limit, or a recording of one service:
/// `second,used_bytes,reclaimable_bytes,limit_bytes`, where the third may be empty.
///
/// # Errors
///
/// No such file ([`Failure::NO_INPUT`]), or no such trace ([`Failure::DATA`]): the message has the line and the column.
pub fn read(path: &Path, assumed_bytes: Option<u64>) -> Result<Trace, Failure> {
    let shown = path.display();
    let file = File::open(path).map_err(|error| {
        let code = match error.kind() {
            ErrorKind::PermissionDenied => Failure::NO_PERMISSION,
            _ => Failure::NO_INPUT,
        };
        Failure::new(
            code,
            format!("{shown}: {error}; --trace takes a CSV file, or synthetic:NAME"),
        )
    })?;
    let mut reader = BufReader::new(file);
    let unreadable =
        |error: std::io::Error| Failure::new(Failure::NO_INPUT, format!("{shown}: {error}"));
    let zipped = reader.fill_buf().map_err(unreadable)?.starts_with(&GZIP);
    let source: Box<dyn Read> = match zipped {
        true => Box::new(GzDecoder::new(reader)),
        false => Box::new(reader),
    };
    parse(
        Capped::new(source, MAX_BYTES),
        &shown.to_string(),
        assumed_bytes,
    )
}

/// What is read, up to a length and a length of its lines: a device has no end, and a small gzip may unpack to more than there is memory.
struct Capped<R> {
    source: R,
    left_bytes: usize,
    most_bytes: usize,
    /// Since the last line ended.
    line_bytes: usize,
}

impl<R> Capped<R> {
    fn new(source: R, most_bytes: usize) -> Capped<R> {
        Capped {
            source,
            left_bytes: most_bytes,
            most_bytes,
            line_bytes: 0,
        }
    }
}

impl<R: Read> Read for Capped<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.source.read(buffer)?;
        let Some(left_bytes) = self.left_bytes.checked_sub(read) else {
            let most = human(self.most_bytes as u64);
            let why = format!("it has more than {most} (unpacked); split it");
            return Err(std::io::Error::other(why));
        };
        self.left_bytes = left_bytes;
        for byte in &buffer[..read] {
            self.line_bytes = if *byte == b'\n' {
                0
            } else {
                self.line_bytes + 1
            };
            if self.line_bytes > MAX_LINE_BYTES {
                let most = human(MAX_LINE_BYTES as u64);
                return Err(std::io::Error::other(format!(
                    "a line has more than {most}"
                )));
            }
        }
        Ok(read)
    }
}

fn parse(source: impl Read, name: &str, assumed_bytes: Option<u64>) -> Result<Trace, Failure> {
    let mut reader = csv::ReaderBuilder::new()
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(source);
    let headers = reader
        .headers()
        .map_err(|error| broken(name, error))?
        .clone();
    if headers.get(0) != Some("second") || headers.len() < 2 {
        return Err(data(format!(
            "{name}:1:1: no trace: it begins with {:?}, and should with the columns \"second\" and one per pod",
            headers
                .get(0)
                .unwrap_or_default()
                .chars()
                .take(20)
                .collect::<String>()
        )));
    }
    let recorded = headers.iter().eq(RECORDED);
    let mut table = Table {
        name,
        headers: &headers,
        rows: Vec::new(),
    };
    for record in reader.records() {
        table.take(&record.map_err(|error| broken(name, error))?, recorded)?;
    }
    if table.rows.is_empty() {
        return Err(data(format!(
            "{name}:2:1: no rows: there is nothing to replay"
        )));
    }
    let published_bytes = assumed_bytes.unwrap_or(Trace::ASSUMED_BYTES);
    let pods = if recorded {
        vec![table.service()]
    } else {
        (1..headers.len())
            .map(|column| table.pod(column, published_bytes))
            .collect()
    };
    Ok(Trace {
        name: name.to_owned(),
        pods,
        sizes_known: recorded || assumed_bytes.is_some(),
    })
}

struct Table<'a> {
    name: &'a str,
    headers: &'a StringRecord,
    rows: Vec<(u64, Vec<Option<f64>>)>,
}

impl Table<'_> {
    fn take(&mut self, record: &StringRecord, recorded: bool) -> Result<(), Failure> {
        let line = record.position().map_or(0, csv::Position::line);
        if record.len() != self.headers.len() {
            return Err(data(format!(
                "{}:{line}:{}: {} columns, and the first line has {}",
                self.name,
                record.len().min(self.headers.len()) + 1,
                record.len(),
                self.headers.len()
            )));
        }
        let mut numbers = Vec::with_capacity(record.len());
        for (column, field) in record.iter().enumerate() {
            // A service may be silent on what it could free.
            if recorded && column == 2 && field.is_empty() {
                numbers.push(None);
                continue;
            }
            let number: Option<f64> = field.parse().ok();
            let number = number.filter(|number| number.is_finite() && (0.0..1e18).contains(number));
            if number.is_none() {
                return Err(data(format!(
                    "{}:{line}:{}: {field:?} in {:?}: a number that is not negative is needed",
                    self.name,
                    column + 1,
                    &self.headers[column]
                )));
            }
            numbers.push(number);
        }
        let second = numbers[0].unwrap_or_default() as u64;
        if self
            .rows
            .last()
            .is_some_and(|(before, _)| second <= *before)
        {
            return Err(data(format!(
                "{}:{line}:1: second {second} is not after the one before it",
                self.name
            )));
        }
        if recorded && numbers[3] == Some(0.0) {
            return Err(data(format!(
                "{}:{line}:4: a limit of 0 is none; record what is in force",
                self.name
            )));
        }
        self.rows.push((second, numbers));
        Ok(())
    }

    fn pod(&self, column: usize, published_bytes: u64) -> Pod {
        let samples = self.rows.iter().map(|(second, numbers)| Sample {
            second: *second,
            used_bytes: (numbers[column].unwrap_or_default() * published_bytes as f64).round()
                as u64,
            reclaimable_bytes: None,
        });
        Pod {
            name: self.headers[column].to_owned(),
            published_bytes,
            samples: samples.collect(),
        }
    }

    fn service(&self) -> Pod {
        let samples = self.rows.iter().map(|(second, numbers)| Sample {
            second: *second,
            used_bytes: numbers[1].unwrap_or_default() as u64,
            reclaimable_bytes: numbers[2].map(|bytes| bytes as u64),
        });
        let limit = self.rows.first().and_then(|(_, numbers)| numbers[3]);
        Pod {
            name: "service".to_owned(),
            published_bytes: limit.unwrap_or_default() as u64,
            samples: samples.collect(),
        }
    }
}

fn data(message: impl Display) -> Failure {
    Failure::new(Failure::DATA, message)
}

fn broken(name: &str, error: csv::Error) -> Failure {
    let line = error.position().map_or(1, csv::Position::line);
    let what = match error.kind() {
        // Of the file, not of a line in it.
        csv::ErrorKind::Io(error) => return data(format!("{name}: {error}")),
        csv::ErrorKind::Utf8 { .. } => "it is not text".to_owned(),
        _ => error.to_string(),
    };
    data(format!("{name}:{line}:1: no CSV: {what}"))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn parsed(text: &str) -> Result<Trace, Failure> {
        parse(text.as_bytes(), "t.csv", None)
    }

    #[test]
    fn parts_of_limits_become_bytes() {
        let trace = parsed("second,a,b\n0,0.5,1\n57,0.25,1.5\n").unwrap();
        assert!(!trace.sizes_known);
        assert_eq!(trace.pods.len(), 2);
        assert_eq!(trace.pods[0].samples[1].used_bytes, 2 << 30);
        assert_eq!(trace.pods[1].samples[1].second, 57);
        assert_eq!(trace.pods[1].step_s(), 57);
    }

    #[test]
    fn a_recording_has_its_own_sizes_and_may_be_silent() {
        let text = "second,used_bytes,reclaimable_bytes,limit_bytes\n0,100,40,200\n1,110,,200\n";
        let trace = parsed(text).unwrap();
        assert!(trace.sizes_known);
        assert_eq!(trace.pods[0].published_bytes, 200);
        assert_eq!(trace.pods[0].samples[0].reclaimable_bytes, Some(40));
        assert_eq!(trace.pods[0].samples[1].reclaimable_bytes, None);
    }

    #[test]
    fn what_is_no_trace_is_named_with_line_and_column() {
        let table = [
            ("", "t.csv:1:1: no trace"),
            ("hello\n", "t.csv:1:1: no trace: it begins with \"hello\""),
            ("second\n1\n", "t.csv:1:1: no trace"),
            ("second,a\n", "t.csv:2:1: no rows"),
            (
                "second,a,b\n0,1,1\n1,1\n",
                "t.csv:3:3: 2 columns, and the first line has 3",
            ),
            (
                "second,a\n0,1\n1,1,1\n",
                "t.csv:3:3: 3 columns, and the first line has 2",
            ),
            ("second,a\n0,NaN\n", "t.csv:2:2: \"NaN\" in \"a\""),
            ("second,a\n0,0.1\n57,-0.1\n", "t.csv:3:2: \"-0.1\" in \"a\""),
            ("second,a\n0,inf\n", "t.csv:2:2: \"inf\""),
            ("second,a\n0,\n", "t.csv:2:2: \"\""),
            ("second,a\n0,1e300\n", "t.csv:2:2: \"1e300\""),
            ("second,a\n5,1\n5,1\n", "t.csv:3:1: second 5 is not after"),
            (
                "second,used_bytes,reclaimable_bytes,limit_bytes\n0,1,1,0\n",
                "t.csv:2:4: a limit of 0",
            ),
        ];
        for (text, message) in table {
            let failure = parsed(text).unwrap_err();
            assert_eq!(failure.code, Failure::DATA);
            assert!(failure.message.starts_with(message), "{text:?}: {failure}");
        }
        let failure = parse(&b"second,a\n0,\xff\xfe\n"[..], "t.csv", None).unwrap_err();
        assert_eq!(failure.message, "t.csv:2:1: no CSV: it is not text");
    }

    #[test]
    fn what_has_no_end_is_refused_before_memory_is_full() {
        let rows = "second,a\n0,1\n1,1\n";
        for (most_bytes, is_fine) in [(rows.len(), true), (rows.len() - 1, false)] {
            let source = Capped::new(rows.as_bytes(), most_bytes);
            match parse(source, "t.csv", None) {
                Ok(trace) => assert!(is_fine && trace.pods[0].samples.len() == 2),
                Err(failure) => {
                    assert!(!is_fine && failure.code == Failure::DATA, "{failure}");
                    assert!(
                        failure.message.contains("t.csv: it has more than 16 B"),
                        "{failure}"
                    );
                }
            }
        }
        let path = std::env::temp_dir().join(format!("plimsoll-bomb-{}", std::process::id()));
        let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
        bomb.write_all(&vec![b'0'; MAX_LINE_BYTES + 1]).unwrap();
        std::fs::write(&path, bomb.finish().unwrap()).unwrap();
        let unpacked = read(&path, None);
        std::fs::remove_file(&path).unwrap();
        for failure in [unpacked, read(Path::new("/dev/zero"), None)] {
            let failure = failure.unwrap_err();
            assert_eq!(failure.code, Failure::DATA);
            assert!(
                failure.message.contains("a line has more than 1 MiB"),
                "{failure}"
            );
        }
    }

    #[test]
    fn files_may_be_zipped_and_missing_ones_are_said_so() {
        let path = std::env::temp_dir().join(format!("plimsoll-trace-{}", std::process::id()));
        let mut zipped = GzEncoder::new(Vec::new(), Compression::fast());
        zipped.write_all(b"second,a\n0,0.5\n").unwrap();
        let zipped = zipped.finish().unwrap();
        std::fs::write(&path, &zipped).unwrap();
        let whole = read(&path, None);
        std::fs::write(&path, &zipped[..zipped.len() - 6]).unwrap();
        let cut = read(&path, None);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(whole.unwrap().pods[0].samples.len(), 1);
        assert_eq!(cut.unwrap_err().code, Failure::DATA);
        let missing = read(&path, None).unwrap_err();
        assert_eq!(missing.code, Failure::NO_INPUT);
        assert!(missing.message.contains("No such file"), "{missing}");
    }
}
