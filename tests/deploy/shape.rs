//! What Grafana publishes of its dashboards (classic model): which fields there are, and of what type. Those that ours uses, and those that
//! may not be missing; a field that is not here is a mistake, or has to be looked up first.

use serde_json::Value;

enum Is {
    Text,
    Flag,
    Number,
    Whole,
    /// A whole number in this range.
    Within(u64, u64),
    NumberOrNull,
    OneOf(&'static [&'static str]),
    /// An object of this shape.
    An(&'static str),
    /// A list of such.
    Many(&'static Is),
    /// An object whose keys are free.
    MapOf(&'static Is),
    /// A panel or a row, by its `type`.
    Panel,
    /// By `id`, what the plugin makes of it.
    Free,
}
use Is::{An, Flag, Free, Many, MapOf, Number, NumberOrNull, OneOf, Panel, Text, Whole, Within};

/// Each shape with its fields; one that ends in `!` may not be missing.
const SHAPES: &[(&str, &[(&str, Is)])] = &[
    (
        "dashboard",
        &[
            ("id", NumberOrNull),
            ("uid", Text),
            ("title", Text),
            ("description", Text),
            ("tags", Many(&Text)),
            ("editable", Flag),
            ("graphTooltip", Within(0, 2)),
            ("links", Many(&Free)),
            ("refresh", Text),
            ("schemaVersion!", Whole),
            ("version", Whole),
            ("time", An("time")),
            ("timepicker", An("timepicker")),
            ("timezone", Text),
            ("annotations!", An("annotations")),
            ("templating!", An("templating")),
            ("panels", Many(&Panel)),
        ],
    ),
    ("time", &[("from!", Text), ("to!", Text)]),
    ("timepicker", &[]),
    ("annotations", &[("list", Many(&An("annotation")))]),
    (
        "annotation",
        &[
            ("name!", Text),
            ("enable!", Flag),
            ("iconColor!", Text),
            ("datasource", An("datasource")),
            ("hide", Flag),
            ("expr", Text),
            ("titleFormat", Text),
            ("textFormat", Text),
            ("step", Text),
            ("useValueForTime", Flag),
        ],
    ),
    ("templating", &[("list", Many(&An("variable")))]),
    (
        "variable",
        &[
            ("type!", OneOf(&["query", "datasource"])),
            ("name!", Text),
            ("label", Text),
            ("datasource", An("datasource")),
            ("query", Text),
            ("definition", Text),
            ("current", An("option")),
            ("options", Many(&An("option"))),
            ("hide", Within(0, 3)),
            ("refresh", Within(0, 2)),
            ("sort", Within(0, 8)),
            ("regex", Text),
            ("includeAll", Flag),
            ("multi", Flag),
            ("skipUrlSync", Flag),
        ],
    ),
    (
        "option",
        &[
            ("selected", Flag),
            ("text!", Many(&Text)),
            ("value!", Many(&Text)),
        ],
    ),
    ("datasource", &[("type", Text), ("uid", Text)]),
    (
        "grid",
        &[
            ("x!", Within(0, 23)),
            ("y!", Whole),
            ("w!", Within(1, 24)),
            ("h!", Within(1, 1000)),
        ],
    ),
    (
        "row",
        &[
            ("id!", Whole),
            ("type!", OneOf(&["row"])),
            ("title", Text),
            ("collapsed!", Flag),
            ("gridPos", An("grid")),
            ("panels!", Many(&Panel)),
        ],
    ),
    (
        "panel",
        &[
            ("id", Whole),
            (
                "type!",
                OneOf(&["timeseries", "state-timeline", "stat", "table"]),
            ),
            ("title", Text),
            ("description", Text),
            ("datasource", An("datasource")),
            ("gridPos", An("grid")),
            ("targets", Many(&An("target"))),
            // Each plugin has its own: see `plugin`.
            ("fieldConfig", Free),
            ("options", Free),
            ("transformations", Many(&An("transformation"))),
        ],
    ),
    (
        "target",
        &[
            ("refId", Text),
            ("datasource", An("datasource")),
            ("editorMode", OneOf(&["builder", "code"])),
            ("expr!", Text),
            ("legendFormat", Text),
            ("format", OneOf(&["time_series", "table", "heatmap"])),
            ("instant", Flag),
            ("range", Flag),
        ],
    ),
    ("transformation", &[("id!", Text), ("options!", Free)]),
    (
        "config",
        &[("defaults!", Free), ("overrides!", Many(&An("override")))],
    ),
    (
        "override",
        &[
            ("matcher!", An("matcher")),
            ("properties!", Many(&An("property"))),
        ],
    ),
    ("matcher", &[("id!", Text), ("options", Free)]),
    ("property", &[("id!", Text), ("value", Free)]),
    (
        "defaults",
        &[
            (
                "unit",
                OneOf(&["bytes", "binBps", "s", "percentunit", "short", "cpm"]),
            ),
            ("noValue", Text),
            ("color", An("color")),
            ("thresholds", An("thresholds")),
            ("mappings", Many(&An("mapping"))),
            ("custom", Free),
        ],
    ),
    (
        "color",
        &[("mode!", OneOf(&["thresholds", "palette-classic"]))],
    ),
    (
        "thresholds",
        &[
            ("mode!", OneOf(&["absolute", "percentage"])),
            ("steps!", Many(&An("step"))),
        ],
    ),
    ("step", &[("value!", NumberOrNull), ("color!", Text)]),
    (
        "mapping",
        &[
            ("type!", OneOf(&["value"])),
            ("options!", MapOf(&An("shown"))),
        ],
    ),
    (
        "shown",
        &[("text", Text), ("color", Text), ("index", Whole)],
    ),
    (
        "custom of timeseries",
        &[
            ("drawStyle", OneOf(&["line", "bars", "points"])),
            ("lineWidth", Number),
            ("fillOpacity", Number),
            ("showPoints", OneOf(&["auto", "never", "always"])),
            ("spanNulls", Flag),
            ("stacking", An("stacking")),
        ],
    ),
    (
        "stacking",
        &[
            ("mode", OneOf(&["none", "normal", "percent"])),
            ("group", Text),
        ],
    ),
    (
        "options of timeseries",
        &[("legend!", An("legend")), ("tooltip!", An("tooltip"))],
    ),
    (
        "legend",
        &[
            ("displayMode!", OneOf(&["list", "table", "hidden"])),
            ("placement!", OneOf(&["bottom", "right"])),
            ("showLegend!", Flag),
            ("calcs!", Many(&Text)),
        ],
    ),
    (
        "tooltip",
        &[
            ("mode!", OneOf(&["single", "multi", "none"])),
            ("sort!", OneOf(&["asc", "desc", "none"])),
        ],
    ),
    (
        "custom of state-timeline",
        &[
            ("lineWidth", Within(0, 10)),
            ("fillOpacity", Within(0, 100)),
            ("spanNulls", Flag),
        ],
    ),
    (
        "options of state-timeline",
        &[
            ("showValue!", OneOf(&["auto", "never", "always"])),
            ("rowHeight!", Number),
            ("mergeValues", Flag),
            ("alignValue", OneOf(&["center", "left", "right"])),
            ("legend!", An("legend")),
            ("tooltip!", An("tooltip")),
        ],
    ),
    ("custom of stat", &[]),
    (
        "options of stat",
        &[
            ("graphMode!", OneOf(&["none", "line", "area"])),
            (
                "colorMode!",
                OneOf(&["value", "background", "background_solid", "none"]),
            ),
            ("justifyMode!", OneOf(&["auto", "center"])),
            (
                "textMode!",
                OneOf(&["auto", "value", "value_and_name", "name", "none"]),
            ),
            ("wideLayout!", Flag),
            ("showPercentChange!", Flag),
            (
                "percentChangeColorMode!",
                OneOf(&["standard", "inverted", "same_as_value"]),
            ),
            ("orientation!", OneOf(&["auto", "vertical", "horizontal"])),
            ("reduceOptions!", An("reduce")),
        ],
    ),
    (
        "reduce",
        &[("calcs!", Many(&Text)), ("fields", Text), ("values", Flag)],
    ),
    (
        "custom of table",
        &[
            ("align!", OneOf(&["auto", "left", "right", "center"])),
            ("inspect!", Flag),
        ],
    ),
    (
        "options of table",
        &[
            ("frameIndex!", Number),
            ("showHeader!", Flag),
            ("cellHeight", OneOf(&["sm", "md", "lg", "auto"])),
            ("sortBy", Many(&An("sort"))),
        ],
    ),
    ("sort", &[("displayName!", Text), ("desc", Flag)]),
];

/// What is wrong with a dashboard, each with where it is.
pub fn mistakes(dashboard: &Value) -> Vec<String> {
    let mut mistakes = Vec::new();
    check(dashboard, &An("dashboard"), "dashboard", &mut mistakes);
    mistakes
}

fn check(value: &Value, is: &Is, place: &str, mistakes: &mut Vec<String>) {
    let mut expect = |fits: bool, what: &str| {
        if !fits {
            mistakes.push(format!("{place} is not {what}: {value}"));
        }
    };
    match is {
        Free => {}
        Text => expect(value.is_string(), "text"),
        Flag => expect(value.is_boolean(), "true or false"),
        Number => expect(value.is_number(), "a number"),
        Whole => expect(value.is_u64(), "a whole number"),
        Within(least, most) => {
            let fits = value
                .as_u64()
                .is_some_and(|number| (*least..=*most).contains(&number));
            expect(fits, "a whole number in its range");
        }
        NumberOrNull => expect(value.is_number() || value.is_null(), "a number or null"),
        OneOf(words) => {
            let fits = value.as_str().is_some_and(|word| words.contains(&word));
            expect(fits, &format!("one of {words:?}"));
        }
        Many(one) => match value.as_array() {
            None => expect(false, "a list"),
            Some(list) => {
                for (position, value) in list.iter().enumerate() {
                    check(value, one, &format!("{place}[{position}]"), mistakes);
                }
            }
        },
        MapOf(one) => match value.as_object() {
            None => expect(false, "an object"),
            Some(fields) => {
                for (name, value) in fields {
                    check(value, one, &format!("{place}.{name}"), mistakes);
                }
            }
        },
        Panel if value["type"] == "row" => check(value, &An("row"), place, mistakes),
        Panel => {
            check(value, &An("panel"), place, mistakes);
            check_plugin(value, place, mistakes);
        }
        An(shape) => check_fields(value, shape, place, mistakes),
    }
}

fn check_fields(value: &Value, shape: &str, place: &str, mistakes: &mut Vec<String>) {
    let Some(fields) = value.as_object() else {
        mistakes.push(format!("{place} is not an object: {value}"));
        return;
    };
    let Some((_, known)) = SHAPES.iter().find(|(name, _)| *name == shape) else {
        mistakes.push(format!("{place}: no shape is called {shape:?}"));
        return;
    };
    for (name, value) in fields {
        match known
            .iter()
            .find(|(known, _)| known.trim_end_matches('!') == name)
        {
            Some((_, is)) => check(value, is, &format!("{place}.{name}"), mistakes),
            None => mistakes.push(format!("{place}: no field of {shape} is called {name:?}")),
        }
    }
    for name in known.iter().filter_map(|(name, _)| name.strip_suffix('!')) {
        if !fields.contains_key(name) {
            mistakes.push(format!("{place}: a {shape} needs {name:?}"));
        }
    }
}

fn check_plugin(panel: &Value, place: &str, mistakes: &mut Vec<String>) {
    let plugin = panel["type"].as_str().unwrap_or_default();
    let config = &panel["fieldConfig"];
    let parts = [
        (config, "config".to_owned()),
        (&config["defaults"], "defaults".to_owned()),
        (&config["defaults"]["custom"], format!("custom of {plugin}")),
        (&panel["options"], format!("options of {plugin}")),
    ];
    for (value, shape) in parts {
        check_fields(value, &shape, &format!("{place} {shape}"), mistakes);
    }
}
