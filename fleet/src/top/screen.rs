//! The live table: what is drawn, and the terminal that it is drawn on.

use std::io;

use plimsoll::PressureLevel;
use ratatui::layout::{Alignment, Constraint, Layout};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Text};
use ratatui::widgets::{Cell, Paragraph, Row as Drawn, Table};
use ratatui::{DefaultTerminal, Frame};

use crate::size;
use crate::table::Align;
use crate::top::column::{Column, GAP, that_fit};
use crate::top::fleet::Row;

/// What is shown.
#[derive(Clone, Debug, Default)]
pub struct View {
    pub rows: Vec<Row>,
    /// Seconds since the epoch.
    pub now_s: u64,
    /// Why there is nothing newer.
    pub trouble: Option<String>,
    /// So many rows are above the first that is shown.
    pub skipped: usize,
    /// Words say all that colours do.
    pub has_colors: bool,
}

/// Draws all of it.
pub fn draw(frame: &mut Frame<'_>, view: &View) {
    let [head, body, foot] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Fill(1),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    frame.render_widget(Paragraph::new(summary(view)), head);

    let columns = that_fit(body.width);
    // One line is the headings'.
    let room = usize::from(body.height.saturating_sub(1));
    let shown = view.rows.iter().skip(view.skipped).take(room);
    let widths = columns.iter().map(|column| match column {
        Column::Service => Constraint::Min(column.width()),
        _ => Constraint::Length(column.width()),
    });
    let heading = columns
        .iter()
        .map(|column| cell(*column, column.heading().to_owned()));
    let heading = Drawn::new(heading).style(Style::new().add_modifier(Modifier::BOLD));
    let rows = shown.map(|row| {
        let cells = columns
            .iter()
            .map(|column| cell(*column, column.cell(row, view.now_s)));
        Drawn::new(cells).style(style(row.level, view.has_colors))
    });
    let table = Table::new(rows, widths).header(heading).column_spacing(GAP);
    frame.render_widget(table, body);
    frame.render_widget(Paragraph::new(hint(view, room)), foot);
}

fn summary(view: &View) -> Line<'static> {
    if let Some(trouble) = &view.trouble {
        let style = match view.has_colors {
            true => Style::new().fg(Color::Red),
            false => Style::new().add_modifier(Modifier::BOLD),
        };
        return Line::styled(trouble.clone(), style);
    }
    let sum =
        |bytes: fn(&Row) -> Option<u64>| size::human(view.rows.iter().filter_map(bytes).sum());
    let used = sum(|row| row.used_bytes);
    let limits = sum(|row| row.limit_bytes);
    let services = match view.rows.len() {
        1 => "1 container".to_owned(),
        count => format!("{count} containers"),
    };
    Line::raw(format!("{services}, {used} of {limits}"))
}

fn hint(view: &View, room: usize) -> String {
    let below = view.rows.len().saturating_sub(view.skipped + room);
    match (view.skipped, below) {
        (0, 0) => "q ends".to_owned(),
        (above, below) => format!("q ends; {above} above, {below} below"),
    }
}

fn cell(column: Column, text: String) -> Cell<'static> {
    let alignment = match column.align() {
        Align::Left => Alignment::Left,
        Align::Right => Alignment::Right,
    };
    Cell::from(Text::from(text).alignment(alignment))
}

fn style(level: Option<PressureLevel>, has_colors: bool) -> Style {
    if !has_colors {
        return Style::new();
    }
    match level {
        Some(PressureLevel::Critical) => Style::new().fg(Color::Red).add_modifier(Modifier::BOLD),
        Some(PressureLevel::High) => Style::new().fg(Color::Red),
        Some(PressureLevel::Elevated) => Style::new().fg(Color::Yellow),
        Some(PressureLevel::Normal) | None => Style::new(),
    }
}

/// The terminal in its second screen and raw mode. Dropped, and after a panic, it is as it was.
#[derive(Debug)]
pub struct Screen {
    terminal: DefaultTerminal,
}

impl Screen {
    /// # Errors
    ///
    /// It is no terminal, or not one that can do this.
    pub fn open() -> io::Result<Screen> {
        match ratatui::try_init() {
            Ok(terminal) => Ok(Screen { terminal }),
            Err(error) => {
                // The half that was done.
                let _ = ratatui::try_restore();
                Err(error)
            }
        }
    }

    /// # Errors
    ///
    /// The terminal is gone.
    pub fn draw(&mut self, view: &View) -> io::Result<()> {
        self.terminal.draw(|frame| draw(frame, view)).map(|_| ())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = self.terminal.show_cursor();
        // A terminal that is gone needs nothing.
        let _ = ratatui::try_restore();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::top::fleet::Fleet;
    use crate::top::fleet::tests::sample;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use std::collections::BTreeMap;
    use std::time::Duration;

    fn view() -> View {
        let mut fleet = Fleet::default();
        let mut redis = sample("redis", 95, Some(100));
        redis.reclaimable_bytes = Some(40 << 20);
        fleet.observe(
            Duration::ZERO,
            0,
            vec![
                sample("exchange-intl", 30, Some(256)),
                redis,
                sample("news", 5, None),
            ],
        );
        View {
            rows: fleet.rows(&BTreeMap::new()),
            ..View::default()
        }
    }

    fn drawn(width: u16, height: u16, view: &View) -> Vec<String> {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, view)).unwrap();
        let buffer = terminal.backend().buffer().clone();
        let lines = buffer.content().chunks(usize::from(width));
        lines
            .map(|cells| cells.iter().map(|cell| cell.symbol()).collect::<String>())
            .map(|line| line.trim_end().to_owned())
            .collect()
    }

    #[test]
    fn forty_columns_are_enough() {
        assert_eq!(
            drawn(40, 7, &view()),
            [
                "3 containers, 130 MiB of 356 MiB",
                "service             used     %  level",
                "redis           95.0 MiB    95  critical",
                "exchange-intl   30.0 MiB    12  normal",
                "news             5.0 MiB     -  -",
                "",
                "q ends",
            ]
        );
    }

    #[test]
    fn a_wide_one_shows_all() {
        let lines = drawn(120, 6, &view());
        for heading in Column::ALL.map(Column::heading) {
            assert!(lines[1].contains(heading), "{heading}: {}", lines[1]);
        }
        let redis: Vec<&str> = lines[2].split_whitespace().collect();
        assert_eq!(
            redis,
            [
                "redis", "95.0", "MiB", "55.0", "MiB", "100.0", "MiB", "95", "critical", "-", "-"
            ]
        );
    }

    #[test]
    fn what_does_not_fit_is_counted() {
        let mut view = view();
        let lines = drawn(40, 4, &view);
        assert!(lines[2].starts_with("redis"), "{lines:?}");
        assert_eq!(lines[3], "q ends; 0 above, 2 below");
        view.skipped = 1;
        let lines = drawn(40, 4, &view);
        assert!(lines[2].starts_with("exchange"), "{lines:?}");
        assert_eq!(lines[3], "q ends; 1 above, 1 below");
    }

    #[test]
    fn trouble_is_said_and_the_last_figures_stay() {
        let mut view = view();
        view.trouble = Some("the engine does not answer".to_owned());
        let lines = drawn(40, 7, &view);
        assert_eq!(lines[0], "the engine does not answer");
        assert!(lines[2].starts_with("redis"));
    }

    #[test]
    fn colors_are_only_there_when_they_may_be() {
        let colored = |has_colors| {
            let mut view = view();
            view.has_colors = has_colors;
            view.trouble = Some("x".to_owned());
            let mut terminal = Terminal::new(TestBackend::new(40, 7)).unwrap();
            terminal.draw(|frame| draw(frame, &view)).unwrap();
            let cells = terminal.backend().buffer().content().to_vec();
            cells.iter().filter(|cell| cell.fg != Color::Reset).count()
        };
        assert_eq!(colored(false), 0);
        // The line of a service that is critical, and the trouble.
        assert!(colored(true) > 40);
    }

    #[test]
    fn no_size_is_too_small() {
        for (width, height) in [(1, 1), (1, 3), (5, 2), (300, 1)] {
            drawn(width, height, &view());
        }
    }
}
