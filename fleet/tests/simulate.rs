//! `plimsoll simulate` as a user meets it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn simulate(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_plimsoll"))
        .arg("simulate")
        .args(arguments)
        .output()
        .unwrap()
}

/// One space between two cells.
fn words(text: &str) -> String {
    let line = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ") + "\n";
    text.lines().map(line).collect()
}

struct Scratch(PathBuf);

impl Scratch {
    fn file(name: &str, text: &str) -> Scratch {
        let path = std::env::temp_dir().join(format!("plimsoll-{}-{name}", std::process::id()));
        fs::write(&path, text).unwrap();
        Scratch(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[test]
fn strategies_stand_side_by_side() {
    let output = simulate(&[
        "--trace",
        "synthetic:step",
        "--start",
        "0.6",
        "--start",
        "1",
    ]);
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.starts_with("synthetic:step: 4 pods, 1440 rows of 60 s; caution 1\n"),
        "{text}"
    );
    for strategy in ["fixed", "guide", "vpa", "floor"] {
        let lines: Vec<&str> = text
            .lines()
            .filter(|line| line.starts_with(&format!("{strategy} ")))
            .collect();
        assert_eq!(lines.len(), 2, "{text}");
        assert!(lines[0].contains("  unknown  "), "{text}");
    }
    // 0.6 is too little for one pod at six o'clock, for ten hours.
    assert!(
        words(&text).contains("\nfixed 0.6 600 600.0 1 0 "),
        "{text}"
    );
}

#[test]
fn sizes_are_shown_where_they_are_known() {
    let recorded = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/full_cache.csv");
    let output = simulate(&["--trace", recorded.to_str().unwrap(), "--strategy", "fixed"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(words(&text).contains("\nfixed 1 0 0.0 0 0 0.23"), "{text}");
    assert!(!text.contains("unknown"), "{text}");

    // Two hours with 4 GiB of 8 in use: 8 GiB-hours in vain.
    let trace = Scratch::file("sizes", "second,a\n0,0.5\n3600,0.5\n");
    let arguments = [
        "--trace",
        trace.0.to_str().unwrap(),
        "--strategy",
        "fixed",
        "--published",
        "8GB",
    ];
    let text = String::from_utf8(simulate(&arguments).stdout).unwrap();
    assert!(
        words(&text).contains("\nfixed 1 0 0.0 0 0 1.000 8.00 0\n"),
        "{text}"
    );
}

#[test]
fn bad_input_ends_in_one_line_and_its_own_code() {
    let ragged = Scratch::file("ragged", "second,a,b\n0,1,1\n57,1\n");
    let nan = Scratch::file("nan", "second,a\n0,NaN\n");
    let negative = Scratch::file("negative", "second,a\n0,0.5\n57,-1\n");
    let empty = Scratch::file("empty", "");
    let no_rows = Scratch::file("norows", "second,a\n");
    let no_csv = Scratch::file("nocsv", "\u{7f}ELF\u{2}\u{1}\n\n");
    let path = |scratch: &Scratch| scratch.0.to_str().unwrap().to_owned();
    let table = [
        (
            "/no/such/file.csv".to_owned(),
            66,
            "/no/such/file.csv: No such file",
        ),
        ("/".to_owned(), 66, "/: Is a directory"),
        (path(&ragged), 65, ":3:3: 2 columns"),
        (path(&nan), 65, ":2:2: \"NaN\""),
        (path(&negative), 65, ":3:2: \"-1\""),
        (path(&empty), 65, ":1:1: no trace"),
        (path(&no_rows), 65, ":2:1: no rows"),
        (path(&no_csv), 65, ":1:1: no trace"),
        (
            "synthetic:nonsense".to_owned(),
            64,
            "no such shape; there are diurnal",
        ),
    ];
    for (trace, code, message) in table {
        let output = simulate(&["--trace", &trace]);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{trace}: {error}");
        assert!(error.contains(message), "{trace}: {error}");
        assert!(output.stdout.is_empty());
        assert_eq!(error.lines().count(), 1, "{error}");
    }
    for arguments in [
        ["--trace", "synthetic:all", "--start", "3"],
        ["--trace", "synthetic:all", "--caution", "NaN"],
        ["--trace", "synthetic:all", "--published", "8"],
        ["--trace", "synthetic:all", "--strategy", "hope"],
    ] {
        assert_eq!(
            simulate(&arguments).status.code(),
            Some(64),
            "{arguments:?}"
        );
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_plimsoll"))
        .args([
            "simulate",
            "--trace",
            "synthetic:step",
            "--strategy",
            "fixed",
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
}
