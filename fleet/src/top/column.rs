//! [`Column`]: what a table shows of a row, and which columns a narrow terminal keeps.

use crate::size;
use crate::span;
use crate::table::{Align, printable};
use crate::top::fleet::{Resize, Row};

/// Between two columns.
pub const GAP: u16 = 2;
/// Less than this per minute is no trend.
const STEADY_BYTES: f64 = (1 << 20) as f64;
const UNKNOWN: &str = "-";

/// One column, in the order of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    Service,
    Used,
    Floor,
    Limit,
    Percent,
    Level,
    Trend,
    Last,
}

impl Column {
    pub const ALL: [Column; 8] = [
        Column::Service,
        Column::Used,
        Column::Floor,
        Column::Limit,
        Column::Percent,
        Column::Level,
        Column::Trend,
        Column::Last,
    ];

    /// What goes first where it is narrow. The service and how full it is stay.
    const DROPPED: [Column; 6] = [
        Column::Last,
        Column::Trend,
        Column::Floor,
        Column::Limit,
        Column::Used,
        Column::Level,
    ];

    pub fn heading(self) -> &'static str {
        match self {
            Column::Service => "service",
            Column::Used => "used",
            Column::Floor => "floor",
            Column::Limit => "limit",
            Column::Percent => "%",
            Column::Level => "level",
            Column::Trend => "trend",
            Column::Last => "last action",
        }
    }

    pub fn align(self) -> Align {
        match self {
            Column::Service | Column::Level | Column::Last => Align::Left,
            _ => Align::Right,
        }
    }

    /// So wide on a screen, where widths must not jump with every figure.
    pub fn width(self) -> u16 {
        match self {
            Column::Service => 13,
            Column::Used | Column::Floor | Column::Limit => 9,
            Column::Percent => 4,
            Column::Level => 8,
            Column::Trend => 15,
            Column::Last => 32,
        }
    }

    /// The cell's text; what is unknown is a dash, never a figure.
    pub fn cell(self, row: &Row, now_s: u64) -> String {
        let bytes = |bytes: Option<u64>| bytes.map(short);
        let text = match self {
            Column::Service => Some(printable(&row.name)),
            Column::Used => bytes(row.used_bytes),
            Column::Floor => bytes(row.floor_bytes),
            Column::Limit => bytes(row.limit_bytes),
            Column::Percent => row.percent.map(|percent| format!("{percent:.0}")),
            Column::Level => row.level.map(|level| level.to_string()),
            Column::Trend => row.trend.map(trend),
            Column::Last => row.last.map(|last| action(&last, now_s)),
        };
        text.unwrap_or_else(|| UNKNOWN.to_owned())
    }
}

/// Those that fit into `width`.
pub fn that_fit(width: u16) -> Vec<Column> {
    let mut columns = Column::ALL.to_vec();
    for dropped in Column::DROPPED {
        let needed: u16 = columns.iter().map(|column| column.width() + GAP).sum();
        if needed.saturating_sub(GAP) <= width {
            break;
        }
        columns.retain(|column| *column != dropped);
    }
    columns
}

/// In nine characters: one digit after the point is enough for what changes every second.
fn short(bytes: u64) -> String {
    let amount = bytes as f64;
    let (kib, mib, gib) = (
        amount / 1024.0,
        amount / 1_048_576.0,
        amount / 1_073_741_824.0,
    );
    match amount {
        _ if mib < 1.0 => format!("{kib:.0} KiB"),
        _ if mib < 999.95 => format!("{mib:.1} MiB"),
        _ if gib < 99.995 => format!("{gib:.2} GiB"),
        _ => format!("{gib:.0} GiB"),
    }
}

fn trend(bytes_per_minute: f64) -> String {
    let amount = bytes_per_minute.abs();
    if amount < STEADY_BYTES {
        return "steady".to_owned();
    }
    let sign = if bytes_per_minute > 0.0 { '+' } else { '-' };
    format!("{sign}{}/min", short(amount as u64))
}

fn action(last: &Resize, now_s: u64) -> String {
    let limit = |bytes: Option<u64>| bytes.map_or_else(|| "none".to_owned(), size::human);
    let ago = span::human(now_s.saturating_sub(last.at_s));
    format!(
        "{} -> {}, {ago} ago",
        limit(last.from_bytes),
        limit(last.to_bytes)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use plimsoll::PressureLevel;

    const MIB: u64 = 1 << 20;

    fn row() -> Row {
        Row {
            name: "fus\x1bion".to_owned(),
            used_bytes: Some(301 * MIB + MIB / 4),
            floor_bytes: Some(1536 * MIB),
            limit_bytes: Some(512 * MIB),
            percent: Some(58.6),
            level: Some(PressureLevel::Normal),
            trend: Some(-12.5 * MIB as f64),
            last: Some(Resize {
                at_s: 100,
                from_bytes: None,
                to_bytes: Some(512 * MIB),
            }),
        }
    }

    #[test]
    fn cells_have_units_and_unknown_is_a_dash() {
        let cells = Column::ALL.map(|column| column.cell(&row(), 220));
        let expected = [
            "fus?ion",
            "301.2 MiB",
            "1.50 GiB",
            "512.0 MiB",
            "59",
            "normal",
            "-12.5 MiB/min",
            "none -> 512 MiB, 2 min ago",
        ];
        assert_eq!(cells, expected);
        let nothing = Row {
            name: "a".to_owned(),
            used_bytes: None,
            floor_bytes: None,
            limit_bytes: None,
            percent: None,
            level: None,
            trend: None,
            last: None,
        };
        let cells = Column::ALL.map(|column| column.cell(&nothing, 0));
        assert_eq!(cells, ["a", "-", "-", "-", "-", "-", "-", "-"]);
    }

    #[test]
    fn figures_fit_into_their_column() {
        let table = [
            (0, "0 KiB"),
            (MIB - 1, "1024 KiB"),
            (MIB, "1.0 MiB"),
            (999 * MIB, "999.0 MiB"),
            (1000 * MIB - 1, "0.98 GiB"),
            (16 << 30, "16.00 GiB"),
            (100 << 30, "100 GiB"),
        ];
        for (bytes, text) in table {
            assert_eq!(short(bytes), text);
            assert!(text.len() <= usize::from(Column::Used.width()));
        }
    }

    #[test]
    fn a_trend_has_a_sign_or_is_none() {
        let mib = MIB as f64;
        for (rate, text) in [
            (mib, "+1.0 MiB/min"),
            (0.9 * mib, "steady"),
            (-mib / 2.0, "steady"),
            (-2048.0 * mib, "-2.00 GiB/min"),
        ] {
            assert_eq!(trend(rate), text);
        }
    }

    #[test]
    fn narrow_terminals_keep_what_matters() {
        let names = |width| {
            let kept = that_fit(width);
            kept.iter()
                .map(|column| column.heading())
                .collect::<Vec<_>>()
        };
        assert_eq!(names(200).len(), 8);
        assert_eq!(names(113).len(), 8);
        assert_eq!(names(112).len(), 7);
        assert_eq!(
            names(80),
            ["service", "used", "floor", "limit", "%", "level", "trend"]
        );
        assert_eq!(names(40), ["service", "used", "%", "level"]);
        assert_eq!(names(39), ["service", "%", "level"]);
        assert_eq!(names(1), ["service", "%"]);
    }
}
