//! Labels come from the program: here they are made fit to be shown, unique and few. Pure.

use std::collections::{BTreeMap, HashSet};

/// So many label values have a line of their own; the rest shares one.
const MAX_LABELS: usize = 50;
/// The label of the rest.
pub(super) const OTHER: &str = "other";

/// What one label value is about.
pub(super) trait Labelled {
    fn label(&mut self) -> &mut String;
    /// The same, to read.
    fn name(&self) -> &str;
    /// Those with the highest keep their line.
    fn rank(&self) -> u64;
    /// Adds another that has the same label from now on.
    fn absorb(&mut self, other: Self);
}

/// One item per label, the highest rank first.
pub(super) fn merged<T: Labelled>(items: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut by_label = BTreeMap::new();
    let mut add = |mut item: T| {
        let label = visible(item.label());
        item.label().clone_from(&label);
        match by_label.get_mut(&label) {
            None => {
                by_label.insert(label, item);
            }
            Some(known) => T::absorb(known, item),
        }
    };
    items.into_iter().for_each(&mut add);
    let mut merged: Vec<T> = by_label.into_values().collect();
    // Stable: of equals the first in the alphabet comes first.
    merged.sort_by_key(|item| std::cmp::Reverse(item.rank()));
    merged
}

/// At most [`MAX_LABELS`] of what is [`merged`] and, last, all others in one.
///
/// What had a line `before` keeps it, and the highest ranks get those that are left: a counter that came out of the others into a line of
/// its own would make theirs fall, which Prometheus takes for a restart.
pub(super) fn bounded<T: Labelled>(merged: Vec<T>, before: &[T]) -> Vec<T> {
    let had: HashSet<&str> = before.iter().map(T::name).collect();
    let (rest, own): (Vec<T>, Vec<T>) = merged.into_iter().partition(|item| item.name() == OTHER);
    let mut rest = rest.into_iter().next();
    let (mut kept, new): (Vec<T>, Vec<T>) =
        own.into_iter().partition(|item| had.contains(item.name()));
    let mut new = new.into_iter();
    kept.extend(new.by_ref().take(MAX_LABELS.saturating_sub(kept.len())));
    kept.sort_by_key(|item| std::cmp::Reverse(item.rank()));
    for mut item in new {
        OTHER.clone_into(item.label());
        match &mut rest {
            None => rest = Some(item),
            Some(rest) => rest.absorb(item),
        }
    }
    kept.extend(rest);
    kept
}

/// Without control characters, line feeds excepted: their pictures instead, so that every format and screen can carry it.
fn visible(label: &str) -> String {
    label.chars().map(picture).collect()
}

fn picture(c: char) -> char {
    match c {
        '\n' => '\n',
        '\0'..='\x1f' => char::from_u32(0x2400 + c as u32).unwrap_or(char::REPLACEMENT_CHARACTER),
        '\x7f' => '\u{2421}',
        c if c.is_control() => char::REPLACEMENT_CHARACTER,
        c => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Debug, PartialEq)]
    struct Item(String, u64);

    impl Labelled for Item {
        fn label(&mut self) -> &mut String {
            &mut self.0
        }
        fn name(&self) -> &str {
            &self.0
        }
        fn rank(&self) -> u64 {
            self.1
        }
        fn absorb(&mut self, other: Self) {
            self.1 += other.1;
        }
    }

    fn item(label: impl Into<String>, count: u64) -> Item {
        Item(label.into(), count)
    }

    #[test]
    fn the_rest_shares_a_line_with_what_is_called_other_itself() {
        let many = (0..60).map(|n| item(format!("site {n}"), 100 + n));
        let first = |items| bounded(items, &[]);
        let items = first(merged(many.chain([item("other", 7), item("site 59", 1)])));
        assert_eq!(items.len(), 51);
        assert_eq!(items[0], item("site 59", 160));
        assert_eq!(items[49], item("site 10", 110));
        let rest = (0..10).map(|n| 100 + n).sum::<u64>() + 7;
        assert_eq!(items[50], item("other", rest));
        let fifty = first(merged((0..50).map(|n| item(n.to_string(), n))));
        assert_eq!(fifty.len(), 50);
        let items = first(merged([item("other", u64::MAX), item("a", 0)]));
        assert_eq!(items[1].0, OTHER);
    }

    #[test]
    fn who_has_a_line_keeps_it_and_the_others_never_fall() {
        let many = |late: u64| {
            let all = (0..50).map(|n| item(format!("early {n}"), 100));
            merged(all.chain((0..5).map(|n| item(format!("late {n}"), late))))
        };
        let before = bounded(many(1), &[]);
        assert_eq!(before[50], item("other", 5));
        let after = bounded(many(1_000_000), &before);
        assert_eq!(after[50], item("other", 5_000_000));
        // One is gone, and its line is free.
        let fewer = merged(
            (1..50)
                .map(|n| item(format!("early {n}"), 100))
                .chain([item("late 0", 1)]),
        );
        let last = bounded(fewer, &after);
        assert_eq!((last.len(), last[49].clone()), (50, item("late 0", 1)));
    }

    #[test]
    fn control_characters_become_pictures_and_equal_labels_one() {
        let table = [
            (
                "plain \u{e9} <img src=x onerror=alert(1)>",
                "plain \u{e9} <img src=x onerror=alert(1)>",
            ),
            ("a\0b\x1b[31m", "a\u{2400}b\u{241b}[31m"),
            ("line\nnext\r\t", "line\nnext\u{240d}\u{2409}"),
            ("\x7f\u{85}", "\u{2421}\u{fffd}"),
            ("", ""),
        ];
        for (label, expected) in table {
            assert_eq!(visible(label), expected);
        }
        let items = merged([item("a\0", 1), item("a\u{2400}", 2)]);
        assert_eq!(items, [item("a\u{2400}", 3)]);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_no_label_comes_twice(counts in proptest::collection::vec((0u64..80, 0u64..1000), 0..200)) {
            let total: u64 = counts.iter().map(|(_, count)| count).sum();
            let items = counts.iter().map(|(label, count)| item(label.to_string(), *count));
            let items = bounded(merged(items), &[]);
            prop_assert_eq!(items.iter().map(|item| item.1).sum::<u64>(), total);
            let mut labels: Vec<_> = items.iter().map(|item| &item.0).collect();
            labels.sort();
            labels.dedup();
            prop_assert_eq!(labels.len(), items.len());
            prop_assert!(items.len() <= MAX_LABELS + 1);
        }
    }
}
