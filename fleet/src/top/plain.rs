//! The table as plain text, for pipes and `--once`.

use crate::table::Table;
use crate::top::column::Column;
use crate::top::fleet::Row;

/// All columns, whatever the width.
pub fn text(rows: &[Row], now_s: u64) -> String {
    let headings = Column::ALL.map(|column| (column.heading(), column.align()));
    let mut table = Table::new(headings);
    for row in rows {
        table.row(Column::ALL.map(|column| column.cell(row, now_s)));
    }
    table.to_string()
}
