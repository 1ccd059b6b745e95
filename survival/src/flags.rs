//! [`Flags`]: words of a command line, one after the other.

use std::fmt;
use std::str::FromStr;

/// The words that are left. Errors are lines for people.
pub struct Flags<I> {
    words: I,
}

impl<I: Iterator<Item = String>> Flags<I> {
    /// Reads `words`, without the program's name.
    pub fn new(words: I) -> Self {
        Flags { words }
    }

    /// The next flag.
    pub fn next_flag(&mut self) -> Option<String> {
        self.words.next()
    }

    /// The word after `flag`, as what it should be.
    ///
    /// # Errors
    /// There is none, or it is something else.
    pub fn value<T>(&mut self, flag: &str) -> Result<T, String>
    where
        T: FromStr,
        T::Err: fmt::Display,
    {
        let word = self
            .words
            .next()
            .ok_or_else(|| format!("{flag} needs a value"))?;
        word.parse()
            .map_err(|error| format!("{flag} {word:?}: {error}"))
    }

    /// The word after `flag`, a list with commas.
    ///
    /// # Errors
    /// There is none, or a part of it is something else.
    pub fn list<T>(&mut self, flag: &str) -> Result<Vec<T>, String>
    where
        T: FromStr,
        T::Err: fmt::Display,
    {
        let word: String = self.value(flag)?;
        word.split(',')
            .map(|part| {
                part.parse()
                    .map_err(|error| format!("{flag} {part:?}: {error}"))
            })
            .collect()
    }

    /// All words that are left.
    pub fn rest(self) -> Vec<String> {
        self.words.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Variant;

    fn flags(line: &str) -> Flags<impl Iterator<Item = String>> {
        Flags::new(line.split(' ').map(str::to_owned))
    }

    #[test]
    fn values_and_lists_are_read_in_order() {
        let mut flags = flags("--seconds 3 --variants small,huge -- a b");
        assert_eq!(flags.next_flag().unwrap(), "--seconds");
        assert_eq!(flags.value("--seconds"), Ok(3));
        assert_eq!(flags.next_flag().unwrap(), "--variants");
        assert_eq!(
            flags.list("--variants"),
            Ok(vec![Variant::Small, Variant::Huge])
        );
        assert_eq!(flags.next_flag().unwrap(), "--");
        assert_eq!(flags.rest(), ["a", "b"]);
    }

    #[test]
    fn errors_name_flag_and_value() {
        let table = [
            (flags("x").value::<u64>("--seconds"), "--seconds \"x\": "),
            (
                Flags::new(std::iter::empty()).value::<u64>("--seconds"),
                "--seconds needs a value",
            ),
        ];
        for (result, part) in table {
            let error = result.unwrap_err();
            assert!(error.contains(part), "{error}");
        }
        let error = flags("small,tiny")
            .list::<Variant>("--variants")
            .unwrap_err();
        assert!(
            error.contains("\"tiny\"") && error.contains("pagecache"),
            "{error}"
        );
    }
}
