//! An example as it is now: `cargo test --test NAME` alone would not build it.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

/// Builds the example `name` and says where it is.
pub fn build(name: &str) -> PathBuf {
    build_with(name, "default")
}

/// The same with `features`.
pub fn build_with(name: &str, features: &str) -> PathBuf {
    let profile = if cfg!(debug_assertions) {
        "dev"
    } else {
        "release"
    };
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--example", name])
        .args(["--features", features])
        .args(["--profile", profile, "--message-format", "json"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs, it runs this test");
    String::from_utf8_lossy(&built.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["target"]["name"] == name)
        .find_map(|message| Some(PathBuf::from(message["executable"].as_str()?)))
        .unwrap_or_else(|| panic!("the example does not build: {built:?}"))
}
