//! [`Alert`]: a rule of the file, as far as tests want to know it. Not a reader of YAML: of this one file.

/// One rule, or one case of a test.
pub struct Alert {
    pub name: String,
    /// Its lines, with what comes before the next.
    pub text: String,
}

impl Alert {
    /// All of a rule file.
    pub fn all(file: &str) -> Vec<Alert> {
        file.split("- alert: ")
            .skip(1)
            .map(|text| Alert {
                name: text.lines().next().unwrap_or_default().trim().to_owned(),
                text: text.to_owned(),
            })
            .collect()
    }

    /// Its PromQL, on one line.
    pub fn expr(&self) -> String {
        let (_, from_expr) = self.text.split_once("expr:").expect("an expr");
        let is_next = |line: &&str| {
            let line = line.trim_start();
            line.starts_with("for:") || line.starts_with("labels:")
        };
        let lines = from_expr.lines().take_while(|line| !is_next(line));
        let words: Vec<_> = lines.flat_map(str::split_whitespace).collect();
        words.join(" ").trim_start_matches("| ").to_owned()
    }
}

/// Every name of ours in a text.
pub fn names(text: &str) -> Vec<&str> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.split(|c| !is_part(c))
        .filter(|word| word.starts_with("plimsoll_"))
        .collect()
}
