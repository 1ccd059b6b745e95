//! [`Table`]: aligned columns for terminals.

use std::fmt;

/// Where a column's cells stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    Left,
    Right,
}

/// Rows of text below headings, each column as wide as its widest cell.
///
/// ```
/// use plimsoll_fleet::table::{Align, Table};
///
/// let mut table = Table::new([("service", Align::Left), ("limit", Align::Right)]);
/// table.row(["redis", "2 GiB"]);
/// table.row(["news", "384 MiB"]);
/// assert_eq!(table.to_string(), "\
/// service    limit
/// redis      2 GiB
/// news     384 MiB
/// ");
/// ```
#[derive(Clone, Debug)]
pub struct Table<const N: usize> {
    align: [Align; N],
    /// The first are the headings.
    rows: Vec<[String; N]>,
}

impl<const N: usize> Table<N> {
    /// Headings, and where the cells below them stand.
    pub fn new(columns: [(&str, Align); N]) -> Self {
        Table {
            align: columns.map(|(_, align)| align),
            rows: vec![columns.map(|(heading, _)| heading.to_owned())],
        }
    }

    /// Adds a row at the end.
    pub fn row(&mut self, cells: [impl Into<String>; N]) {
        self.rows.push(cells.map(Into::into));
    }

    /// How many rows there are below the headings.
    pub fn len(&self) -> usize {
        self.rows.len() - 1
    }

    /// Whether there are headings only.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<const N: usize> fmt::Display for Table<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut widths = [0; N];
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        for row in &self.rows {
            let mut line = String::new();
            for ((cell, width), align) in row.iter().zip(widths).zip(self.align) {
                // `{:width$}` counts characters.
                line += &match align {
                    Align::Left => format!("{cell:<width$}  "),
                    Align::Right => format!("{cell:>width$}  "),
                };
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// Names and lines come from outside: what would move the cursor is shown as a question mark.
pub fn printable(text: &str) -> String {
    let shown = text.chars().map(|c| if c.is_control() { '?' } else { c });
    shown.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_moves_the_cursor() {
        assert_eq!(printable("a\x1b[2J\tb\u{9b}é\n"), "a?[2J?b?é?");
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_in_characters() {
        let mut table = Table::new([("a", Align::Left), ("bb", Align::Right), ("c", Align::Left)]);
        table.row(["服务服务", "1", "x"]);
        table.row(["", "12345", ""]);
        assert_eq!(
            table.to_string(),
            "a        bb  c\n服务服务      1  x\n      12345\n"
        );
        assert_eq!(table.len(), 2);
    }

    #[test]
    fn without_rows_there_are_headings() {
        let table = Table::new([("service", Align::Left)]);
        assert!(table.is_empty());
        assert_eq!(table.to_string(), "service\n");
    }
}
