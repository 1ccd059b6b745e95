//! The files of the page, part of the binary. No build step, nothing from elsewhere.

/// A file below `/memory/`.
pub(in crate::telemetry) struct Asset {
    pub(in crate::telemetry) name: &'static str,
    pub(in crate::telemetry) content_type: &'static str,
    pub(in crate::telemetry) text: &'static str,
}

const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

/// The page itself, at `/memory`.
pub(in crate::telemetry) const PAGE: Asset = Asset {
    name: "",
    content_type: "text/html; charset=utf-8",
    text: include_str!("files/page.html"),
};

/// Everything that the page asks for.
pub(in crate::telemetry) const ASSETS: &[Asset] = &[
    asset("page.js", SCRIPT, include_str!("files/page.js")),
    asset("charts.js", SCRIPT, include_str!("files/charts.js")),
    asset("feed.js", SCRIPT, include_str!("files/feed.js")),
    asset("history.js", SCRIPT, include_str!("files/history.js")),
    asset("words.js", SCRIPT, include_str!("files/words.js")),
    asset("page.css", STYLE, include_str!("files/page.css")),
    asset(
        "uPlot.iife.min.js",
        SCRIPT,
        include_str!("files/uplot/uPlot.iife.min.js"),
    ),
    asset(
        "uPlot.min.css",
        STYLE,
        include_str!("files/uplot/uPlot.min.css"),
    ),
];

const fn asset(name: &'static str, content_type: &'static str, text: &'static str) -> Asset {
    Asset {
        name,
        content_type,
        text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a browser transfers before it paints; the page says so of itself.
    const MOST_BYTES: usize = 120 << 10;

    #[test]
    fn the_page_is_small_and_asks_for_nothing_that_is_not_here() {
        let total: usize = ASSETS.iter().map(|asset| asset.text.len()).sum();
        assert!(total + PAGE.text.len() < MOST_BYTES, "{total} bytes");
        let mut asked = 0;
        for part in PAGE.text.split("\"memory/").skip(1) {
            let name = part.split('"').next().unwrap();
            assert!(ASSETS.iter().any(|asset| asset.name == name), "{name}");
            asked += 1;
        }
        assert_eq!(asked, ASSETS.len(), "each file is asked for by the page");
        assert!(!PAGE.text.contains("http://") || PAGE.text.matches("http://").count() == 1);
        assert!(!PAGE.text.contains("https://"));
    }
}
