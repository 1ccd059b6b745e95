//! [`Panel`]: some queries and how they look, as Grafana's classic model has it.

use serde_json::{Value, json};

use super::query::Query;

pub struct Panel {
    title: &'static str,
    look: Look,
    pub width: u64,
    pub height: u64,
    queries: Vec<Query>,
    unit: &'static str,
    /// Shown where there is no value, which with Plimsoll means that it is unknown.
    no_value: Option<&'static str>,
    colors: Colors,
    /// Said before what the metrics say of themselves.
    note: &'static str,
}

#[derive(Clone, Copy, PartialEq)]
enum Look {
    Lines,
    Stacked,
    Timeline,
    /// The last value; or the legend in its place.
    Stat {
        is_name: bool,
    },
    /// A column for each query, called by its legend.
    Table,
}

enum Colors {
    /// One per line.
    Palette,
    /// From each value on, ascending.
    Steps(Vec<(f64, &'static str)>),
    /// Those of the pressure levels, with their names.
    Levels,
}

/// Grafana's names for them, from Normal to Critical.
const LEVELS: [(&str, &str); 4] = [
    ("Normal", "green"),
    ("Elevated", "yellow"),
    ("High", "orange"),
    ("Critical", "red"),
];

impl Panel {
    pub fn lines(title: &'static str, queries: impl Into<Vec<Query>>) -> Self {
        Panel::new(title, Look::Lines, (12, 8), queries.into())
    }

    pub fn stacked(title: &'static str, queries: impl Into<Vec<Query>>) -> Self {
        Panel::new(title, Look::Stacked, (12, 8), queries.into())
    }

    /// Pressure levels as bands.
    pub fn timeline(title: &'static str, query: Query) -> Self {
        let mut panel = Panel::new(title, Look::Timeline, (24, 4), vec![query]);
        panel.colors = Colors::Levels;
        panel
    }

    pub fn stat(title: &'static str, query: Query) -> Self {
        Panel::new(title, Look::Stat { is_name: false }, (4, 4), vec![query])
    }

    /// The legends of what there is, and not the values.
    pub fn names(title: &'static str, query: Query) -> Self {
        Panel::new(title, Look::Stat { is_name: true }, (4, 4), vec![query])
    }

    pub fn table(title: &'static str, queries: impl Into<Vec<Query>>) -> Self {
        Panel::new(title, Look::Table, (24, 9), queries.into())
    }

    fn new(title: &'static str, look: Look, size: (u64, u64), queries: Vec<Query>) -> Self {
        let unit = queries[0].unit;
        let are_alike = queries.iter().all(|query| query.unit == unit);
        assert!(are_alike || look == Look::Table, "{title}: one axis");
        Panel {
            title,
            look,
            width: size.0,
            height: size.1,
            queries,
            unit,
            no_value: None,
            colors: Colors::Palette,
            note: "",
        }
    }

    pub fn width(mut self, width: u64) -> Self {
        self.width = width;
        self
    }

    pub fn no_value(mut self, text: &'static str) -> Self {
        self.no_value = Some(text);
        self
    }

    pub fn steps(mut self, steps: impl Into<Vec<(f64, &'static str)>>) -> Self {
        self.colors = Colors::Steps(steps.into());
        self
    }

    pub fn levels(mut self) -> Self {
        self.colors = Colors::Levels;
        self
    }

    pub fn note(mut self, note: &'static str) -> Self {
        self.note = note;
        self
    }

    pub fn to_json(&self, id: u64, x: u64, y: u64) -> Value {
        let targets: Vec<_> = self
            .queries
            .iter()
            .enumerate()
            .map(|query| self.target(query))
            .collect();
        let mut panel = json!({
            "id": id,
            "type": self.kind(),
            "title": self.title,
            "description": self.description(),
            "datasource": datasource(),
            "gridPos": { "x": x, "y": y, "w": self.width, "h": self.height },
            "targets": targets,
            "fieldConfig": { "defaults": self.defaults(), "overrides": self.overrides() },
            "options": self.options(),
        });
        if self.look == Look::Table {
            panel["transformations"] = self.columns();
        }
        panel
    }

    fn kind(&self) -> &'static str {
        match self.look {
            Look::Lines | Look::Stacked => "timeseries",
            Look::Timeline => "state-timeline",
            Look::Stat { .. } => "stat",
            Look::Table => "table",
        }
    }

    fn description(&self) -> String {
        let mut lines = vec![self.note.to_owned()];
        lines.retain(|note| !note.is_empty());
        for metric in self.queries.iter().flat_map(|query| &query.metrics) {
            let line = format!("`{}`: {}", metric.name(), metric.help());
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
        lines.join("\n\n")
    }

    fn target(&self, (position, query): (usize, &Query)) -> Value {
        let is_table = self.look == Look::Table;
        let format = if is_table { "table" } else { "time_series" };
        json!({
            "refId": ref_id(position),
            "datasource": datasource(),
            "editorMode": "code",
            "expr": query.expr,
            "legendFormat": query.legend,
            "format": format,
            "instant": is_table,
            "range": !is_table,
        })
    }

    fn defaults(&self) -> Value {
        let (color, steps, mappings) = match &self.colors {
            Colors::Palette => ("palette-classic", vec![(None, "green")], json!([])),
            Colors::Steps(steps) => {
                let above = steps.iter().map(|&(from, color)| (Some(from), color));
                (
                    "thresholds",
                    [(None, "green")].into_iter().chain(above).collect(),
                    json!([]),
                )
            }
            Colors::Levels => ("thresholds", level_steps(), level_names()),
        };
        let steps = steps
            .iter()
            .map(|(from, color)| json!({ "value": from, "color": color }));
        let mut defaults = json!({
            "unit": self.unit,
            "color": { "mode": color },
            "thresholds": { "mode": "absolute", "steps": steps.collect::<Vec<_>>() },
            "mappings": mappings,
            "custom": self.custom(),
        });
        if let Some(text) = self.no_value {
            defaults["noValue"] = json!(text);
        }
        defaults
    }

    fn custom(&self) -> Value {
        match self.look {
            Look::Lines | Look::Stacked => {
                let is_stacked = self.look == Look::Stacked;
                json!({
                    "drawStyle": "line",
                    "lineWidth": 1,
                    "fillOpacity": if is_stacked { 40 } else { 8 },
                    "showPoints": "never",
                    "spanNulls": false,
                    "stacking": { "mode": if is_stacked { "normal" } else { "none" }, "group": "A" },
                })
            }
            Look::Timeline => json!({ "lineWidth": 0, "fillOpacity": 70, "spanNulls": false }),
            Look::Stat { .. } => json!({}),
            Look::Table => json!({ "align": "auto", "inspect": false }),
        }
    }

    fn overrides(&self) -> Value {
        let mut overrides = Vec::new();
        for (position, query) in self.queries.iter().enumerate() {
            if query.is_dashed {
                overrides.push(json!({
                    "matcher": { "id": "byFrameRefID", "options": ref_id(position) },
                    "properties": [
                        { "id": "custom.lineStyle", "value": { "fill": "dash", "dash": [8, 8] } },
                        { "id": "custom.fillOpacity", "value": 0 },
                    ],
                }));
            }
            if self.look == Look::Table {
                overrides.push(json!({
                    "matcher": { "id": "byName", "options": query.legend },
                    "properties": [{ "id": "unit", "value": query.unit }],
                }));
            }
        }
        json!(overrides)
    }

    fn options(&self) -> Value {
        let legend = json!({ "displayMode": "list", "placement": "bottom", "showLegend": true, "calcs": [] });
        match self.look {
            Look::Lines | Look::Stacked => json!({
                "legend": legend,
                "tooltip": { "mode": "multi", "sort": "desc" },
            }),
            Look::Timeline => json!({
                "legend": legend,
                "tooltip": { "mode": "single", "sort": "none" },
                "showValue": "auto",
                "rowHeight": 0.9,
                "mergeValues": true,
                "alignValue": "left",
            }),
            Look::Stat { is_name } => json!({
                "graphMode": "none",
                "colorMode": if matches!(self.colors, Colors::Palette) { "none" } else { "value" },
                "justifyMode": "auto",
                "textMode": if is_name { "name" } else { "value" },
                "wideLayout": true,
                "showPercentChange": false,
                "percentChangeColorMode": "standard",
                "orientation": "auto",
                "reduceOptions": { "calcs": ["lastNotNull"], "fields": "", "values": false },
            }),
            Look::Table => json!({
                "frameIndex": 0,
                "showHeader": true,
                "cellHeight": "sm",
                "sortBy": [{ "displayName": self.queries[0].legend, "desc": true }],
            }),
        }
    }

    /// One row for each set of labels, and a column for each query.
    fn columns(&self) -> Value {
        let mut names = serde_json::Map::new();
        for (position, query) in self.queries.iter().enumerate() {
            let value = match self.queries.len() {
                1 => "Value".to_owned(),
                _ => format!("Value #{}", ref_id(position)),
            };
            names.insert(value, json!(query.legend));
        }
        json!([
            { "id": "merge", "options": {} },
            { "id": "organize", "options": { "excludeByName": { "Time": true }, "indexByName": {}, "renameByName": names } },
        ])
    }
}

/// What is chosen at the top of the dashboard.
pub fn datasource() -> Value {
    json!({ "type": "prometheus", "uid": "${datasource}" })
}

fn ref_id(position: usize) -> String {
    char::from(b'A' + position as u8).to_string()
}

fn level_steps() -> Vec<(Option<f64>, &'static str)> {
    let from = [None, Some(1.0), Some(2.0), Some(3.0)];
    from.into_iter()
        .zip(LEVELS.map(|(_, color)| color))
        .collect()
}

fn level_names() -> Value {
    let mut names = serde_json::Map::new();
    for (level, (name, color)) in LEVELS.into_iter().enumerate() {
        let shown = json!({ "text": name, "color": color, "index": level });
        names.insert(level.to_string(), shown);
    }
    json!([{ "type": "value", "options": names }])
}
