//! [`Fields`]: one table of a profile, read key by key; what is wrong is noted at its place, and reading goes on.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::profile::problem::Problems;
use crate::size;

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) at: usize,
}

impl<T> At<T> {
    fn of(value: &Spanned<DeValue<'_>>, inner: T) -> At<T> {
        At {
            value: inner,
            at: value.span().start,
        }
    }
}

/// One table of a profile.
pub(super) struct Fields<'a> {
    table: &'a DeTable<'a>,
    /// `services.fusion`; empty for the whole file.
    path: String,
    /// Where its name stands.
    at: usize,
}

impl<'a> Fields<'a> {
    pub(super) fn new(table: &'a DeTable<'a>, path: impl Into<String>, at: usize) -> Self {
        Fields {
            table,
            path: path.into(),
            at,
        }
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Notes each key that is not among these.
    pub(super) fn only(&self, known: &[&str], problems: &mut Problems<'_>) {
        for key in self.table.keys() {
            if !known.contains(&key.get_ref().as_ref()) {
                let place = match self.path.as_str() {
                    "" => String::new(),
                    path => format!(" in {path}"),
                };
                problems.error(
                    key.span().start,
                    format!(
                        "unknown key {:?}{place}: known are {}",
                        key.get_ref(),
                        known.join(", ")
                    ),
                );
            }
        }
    }

    /// Notes that there is no such key, if there is none.
    pub(super) fn need(&self, key: &str, example: &str, problems: &mut Problems<'_>) {
        if self.get(key).is_none() {
            let whole = self.path.is_empty();
            let place = if whole { "the profile" } else { &self.path };
            problems.error(
                self.at,
                format!("{place} has no {key}: add {key} = {example}"),
            );
        }
    }

    pub(super) fn size(&self, key: &str, problems: &mut Problems<'_>) -> Option<At<u64>> {
        let value = self.get(key)?;
        let Some(text) = value.get_ref().as_str() else {
            self.wrong(key, value, "a size in quotes, as \"512MB\"", problems);
            return None;
        };
        match size::parse(text) {
            Ok(bytes) => Some(At::of(value, bytes)),
            Err(error) => {
                problems.error(value.span().start, format!("{}: {error}", self.name(key)));
                None
            }
        }
    }

    pub(super) fn number(
        &self,
        key: &str,
        wanted: &str,
        fits: impl Fn(f64) -> bool,
        problems: &mut Problems<'_>,
    ) -> Option<At<f64>> {
        let value = self.get(key)?;
        let number = as_number(value.get_ref()).filter(|number| fits(*number));
        if number.is_none() {
            self.wrong(key, value, wanted, problems);
        }
        number.map(|number| At::of(value, number))
    }

    /// A whole number.
    pub(super) fn integer(
        &self,
        key: &str,
        wanted: &str,
        fits: impl Fn(i64) -> bool,
        problems: &mut Problems<'_>,
    ) -> Option<At<i64>> {
        let value = self.get(key)?;
        let number = as_integer(value.get_ref()).filter(|number| fits(*number));
        if number.is_none() {
            self.wrong(key, value, wanted, problems);
        }
        number.map(|number| At::of(value, number))
    }

    pub(super) fn text(&self, key: &str, problems: &mut Problems<'_>) -> Option<At<&'a str>> {
        let value = self.get(key)?;
        let text = value.get_ref().as_str().filter(|text| !text.is_empty());
        if text.is_none() {
            self.wrong(key, value, "a text in quotes", problems);
        }
        text.map(|text| At::of(value, text))
    }

    pub(super) fn flag(&self, key: &str, problems: &mut Problems<'_>) -> Option<bool> {
        let value = self.get(key)?;
        let flag = value.get_ref().as_bool();
        if flag.is_none() {
            self.wrong(key, value, "true or false", problems);
        }
        flag
    }

    /// A list of texts; empty without the key.
    pub(super) fn words(&self, key: &str, problems: &mut Problems<'_>) -> Vec<String> {
        let Some(value) = self.get(key) else {
            return Vec::new();
        };
        let words = value.get_ref().as_array().and_then(|array| {
            let word = |word: &Spanned<DeValue<'_>>| word.get_ref().as_str().map(str::to_owned);
            array.iter().map(word).collect::<Option<Vec<_>>>()
        });
        words.unwrap_or_else(|| {
            self.wrong(key, value, "a list of texts, as [\"a\", \"b\"]", problems);
            Vec::new()
        })
    }

    /// A list of pairs of whole numbers; empty without the key.
    pub(super) fn pairs(&self, key: &str, problems: &mut Problems<'_>) -> Vec<(u32, u32)> {
        let Some(value) = self.get(key) else {
            return Vec::new();
        };
        let pairs = value.get_ref().as_array().and_then(|array| {
            array
                .iter()
                .map(|pair| as_pair(pair.get_ref()))
                .collect::<Option<Vec<_>>>()
        });
        pairs.unwrap_or_else(|| {
            let wanted = "a list of pairs of seconds and changes, as [[900, 1], [300, 10]]";
            self.wrong(key, value, wanted, problems);
            Vec::new()
        })
    }

    pub(super) fn table(&self, key: &str, problems: &mut Problems<'_>) -> Option<Fields<'a>> {
        let (name, value) = self.table.get_key_value(key)?;
        match value.get_ref().as_table() {
            Some(table) => Some(Fields::new(table, self.name(key), name.span().start)),
            None => {
                self.wrong(key, value, "a table", problems);
                None
            }
        }
    }

    /// Each key with its table, in the order of the file.
    pub(super) fn tables(&self, problems: &mut Problems<'_>) -> Vec<(&'a str, Fields<'a>)> {
        let mut keys: Vec<_> = self.table.keys().collect();
        keys.sort_by_key(|key| key.span().start);
        let table = |key: &'a Spanned<_>| {
            let name: &'a str = std::convert::AsRef::<std::borrow::Cow<'a, str>>::as_ref(key);
            Some((name, self.table(name, problems)?))
        };
        keys.into_iter().filter_map(table).collect()
    }

    /// Each key with its text, which may be empty, and where the key stands, in the order of their names.
    pub(super) fn texts(&self, problems: &mut Problems<'_>) -> Vec<(At<String>, String)> {
        let mut texts = Vec::new();
        for (key, value) in self.table {
            let name = key.get_ref().as_ref();
            match value.get_ref().as_str() {
                Some(text) => {
                    let name = At {
                        value: name.to_owned(),
                        at: key.span().start,
                    };
                    texts.push((name, text.to_owned()));
                }
                None => self.wrong(name, value, "a text in quotes", problems),
            }
        }
        texts
    }

    fn get(&self, key: &str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.table.get(key)
    }

    fn name(&self, key: &str) -> String {
        match self.path.as_str() {
            "" => key.to_owned(),
            path => format!("{path}.{key}"),
        }
    }

    fn wrong(
        &self,
        key: &str,
        value: &Spanned<DeValue<'_>>,
        wanted: &str,
        problems: &mut Problems<'_>,
    ) {
        let said = match value.get_ref() {
            DeValue::String(text) => format!("{text:?}"),
            DeValue::Integer(number) => number.to_string(),
            DeValue::Float(number) => number.to_string(),
            DeValue::Boolean(flag) => flag.to_string(),
            DeValue::Datetime(_) => "a date".to_owned(),
            DeValue::Array(_) => "this list".to_owned(),
            DeValue::Table(_) => "a table".to_owned(),
        };
        problems.error(
            value.span().start,
            format!("{} takes {wanted}, not {said}", self.name(key)),
        );
    }
}

fn as_number(value: &DeValue<'_>) -> Option<f64> {
    match value {
        DeValue::Float(float) => float
            .as_str()
            .parse()
            .ok()
            .filter(|it: &f64| it.is_finite()),
        _ => as_integer(value).map(|integer| integer as f64),
    }
}

fn as_integer(value: &DeValue<'_>) -> Option<i64> {
    let integer = value.as_integer()?;
    i64::from_str_radix(integer.as_str(), integer.radix()).ok()
}

fn as_pair(value: &DeValue<'_>) -> Option<(u32, u32)> {
    let array = value.as_array()?;
    if array.len() != 2 {
        return None;
    }
    let number = |index: usize| u32::try_from(as_integer(array.get(index)?.get_ref())?).ok();
    let (first, second) = (number(0)?, number(1)?);
    (first > 0 && second > 0).then_some((first, second))
}
