//! From `[[query.chart]]` as written to a [`Chart`]: which keys go together, and the charts of built-in queries.

use std::collections::HashSet;

use super::checked::{Name, Text, nearest};
use super::job_text::Wrong;
use super::spec::{ChartSpec, OneOrMore, TextOrFalse};
use super::{Chart, ChartKind, Compare, ErrorsColumn, ImageFormat, Language, ValueScale};
use crate::window::{Size, Span};

/// The placeholders of a title.
pub const PLACEHOLDERS: [&str; 6] = ["job", "query", "chart", "date", "window", "zone"];

/// The most columns of a band chart.
pub const MAX_BANDS: usize = 5;

/// The most columns of a line chart whose colours can be told apart.
pub(super) const MAX_LINES: usize = 12;

/// The sizes of a chart. In a smaller one the texts do not fit; a larger one wastes memory.
pub(super) const WIDTHS: std::ops::RangeInclusive<u32> = 480..=4096;
pub(super) const HEIGHTS: std::ops::RangeInclusive<u32> = 270..=4096;
pub(super) const SCALES: std::ops::RangeInclusive<f64> = 0.5..=4.0;
const MAX_PIXELS: f64 = 8192.0;

/// The default chart of a query that counts events by hour. A day is bars, compared with the same day a week before. A
/// longer window is a heatmap with a row for each day.
pub fn of_counts(name: Name, size: Size) -> Chart {
    let kind = match size {
        Size::Hour | Size::Day => ChartKind::Bar,
        Size::Week | Size::Month => ChartKind::Heatmap,
    };
    Chart {
        compare: a_week(size).filter(|_| kind == ChartKind::Bar),
        title: Some("{job} · {date} · {zone}".to_owned()),
        ..Chart::new(name, kind, "hour_local", "events")
    }
}

/// The default chart of a query that also counts errors. In a bar they are a part of the events. A heatmap shows errors
/// only, which would be lost among the events.
pub fn of_errors(name: Name, size: Size) -> Chart {
    let mut chart = of_counts(name, size);
    if chart.kind == ChartKind::Heatmap {
        chart.y = vec!["errors".to_owned()];
    }
    chart
}

/// A comparison with the same weekday a week before.
fn a_week(size: Size) -> Option<Compare> {
    let span: Span = "7 days".parse().ok()?;
    span.windows(size).map(|windows| Compare { span, windows })
}

/// The charts of a query. An error names the chart and the wrong key.
pub fn resolve(
    query: &Name,
    specs: Vec<ChartSpec>,
    size: Size,
    language: Language,
) -> Result<Vec<Chart>, Wrong> {
    let mut names = HashSet::new();
    let mut charts = Vec::with_capacity(specs.len());
    for (place, spec) in specs.into_iter().enumerate() {
        let path = format!("chart.{place}");
        let name = spec.name.clone().unwrap_or_else(|| query.clone());
        if !names.insert(name.clone()) {
            let message = format!(
                "[[query]] {query}: two charts are named {:?}: expected a name for each, such as name = \"{name}_2\"",
                name.as_str()
            );
            return Err(Wrong::at(path, message));
        }
        let what = format!("[[query]] {query}: the chart {name}");
        let wrong = |wrong: String| {
            // The messages begin with the key: "has size = …".
            let mut words = wrong.split([' ', ',']);
            let key = words.nth(1).unwrap_or_default();
            Wrong::at(format!("{path}.{key}"), format!("{what} {wrong}"))
        };
        let chart = chart(name, spec, size, language).map_err(wrong)?;
        check(&chart).map_err(wrong)?;
        charts.push(chart);
    }
    Ok(charts)
}

fn chart(name: Name, spec: ChartSpec, size: Size, language: Language) -> Result<Chart, String> {
    let text = |text: Option<Text>| text.map(|text| text.0);
    Ok(Chart {
        kind: spec.kind,
        y: match spec.y {
            OneOrMore::One(y) => vec![y.0],
            OneOrMore::More(y) => y.into_iter().map(|y| y.0).collect(),
        },
        series: text(spec.series),
        errors: match spec.errors {
            None => ErrorsColumn::IfCounted,
            Some(TextOrFalse::Text(name)) => ErrorsColumn::Named(name.0),
            Some(TextOrFalse::Flag(false)) => ErrorsColumn::Not,
            Some(TextOrFalse::Flag(true)) => {
                return Err("has errors = true: expected the name of a column, or false".to_owned());
            }
        },
        compare: spec
            .compare
            .map(|span| compare(&span.0, size))
            .transpose()?,
        title: text(spec.title),
        y_label: text(spec.y_label),
        y_scale: spec.y_scale.unwrap_or_default(),
        unit: text(spec.unit),
        size: spec.size.map_or((1600, 900), |size| size.0),
        scale: spec.scale.unwrap_or(1.0),
        theme: spec.theme.unwrap_or_default(),
        language,
        formats: spec.formats.unwrap_or_else(|| vec![ImageFormat::Png]),
        ..Chart::new(name, spec.kind, &spec.x.0, "")
    })
}

fn compare(text: &str, size: Size) -> Result<Compare, String> {
    span_of_windows(text, size)
        .map_err(|expected| format!("has compare = {text:?}: expected {expected}"))
}

/// A span that is a whole number of windows; the error is what is expected.
pub(super) fn span_of_windows(text: &str, size: Size) -> Result<Compare, String> {
    let example = match size {
        Size::Hour | Size::Day | Size::Week => "\"7 days\"",
        Size::Month => "\"1 month\"",
    };
    let span: Span = text
        .parse()
        .map_err(|_| format!("a span of time such as {example}"))?;
    let windows = span
        .windows(size)
        .ok_or_else(|| format!("a whole number of {size} windows, such as {example}"))?;
    Ok(Compare { span, windows })
}

/// Checks which keys go together.
fn check(chart: &Chart) -> Result<(), String> {
    use ChartKind::{Band, Bar, Heatmap, Line, StackedBar};
    let columns: HashSet<&String> = chart.y.iter().collect();
    if columns.len() < chart.y.len() {
        return Err(format!("has a column twice in y = {:?}", chart.y));
    }
    match (chart.kind, chart.y.len()) {
        (_, 0) => return Err("has y = []: expected a column".to_owned()),
        (Band, 2..=MAX_BANDS) | (Line, 1..=MAX_LINES) | (Bar | StackedBar | Heatmap, 1) => {}
        (Band, _) => {
            return Err(format!(
                "has y = {:?}: expected 2 to {MAX_BANDS} columns from the lowest percentile to the highest, such as [\"p50\", \"p95\", \"p99\"]",
                chart.y
            ));
        }
        (Line, _) => {
            return Err(format!(
                "has {} columns in y: expected at most {MAX_LINES}",
                chart.y.len()
            ));
        }
        (Bar | StackedBar | Heatmap, _) => {
            return Err(format!(
                "has y = {:?}: expected one column; only kind = \"line\" and \"band\" take more",
                chart.y
            ));
        }
    }
    match (chart.kind, &chart.series) {
        (StackedBar, None) => {
            return Err(
                "has no series: expected the column that names the parts of a bar, such as \"level\""
                    .to_owned(),
            );
        }
        (Bar, Some(series)) => {
            return Err(format!(
                "has series = {series:?}, which goes with kind = \"stacked-bar\", \"line\" or \"heatmap\", not with \"bar\""
            ));
        }
        (Band, Some(series)) => {
            return Err(format!(
                "has series = {series:?}, which does not go with kind = \"band\": expected all its columns in y"
            ));
        }
        (_, Some(series)) if chart.y.len() > 1 => {
            return Err(format!(
                "has series = {series:?} and several columns in y: expected one of the two"
            ));
        }
        _ => {}
    }
    if let (ErrorsColumn::Named(errors), true) = (&chart.errors, chart.kind != Bar) {
        return Err(format!(
            "has errors = {errors:?}, which goes with kind = \"bar\" only"
        ));
    }
    let one_total = chart.y.len() == 1 && (chart.series.is_none() || chart.kind == StackedBar);
    if chart.compare.is_some() && !(matches!(chart.kind, Bar | StackedBar | Line) && one_total) {
        return Err("has compare, which goes with bars and with a single line".to_owned());
    }
    if chart.y_scale == ValueScale::Log && !matches!(chart.kind, Line | Band) {
        return Err(
            "has y_scale = \"log\", which goes with kind = \"line\" or \"band\": the length of a bar and the colour of a cell would say nothing"
                .to_owned(),
        );
    }
    check_look(chart)?;
    check_title(chart.title.as_deref().unwrap_or_default())
}

fn check_look(chart: &Chart) -> Result<(), String> {
    let (width, height) = chart.size;
    if !WIDTHS.contains(&width) || !HEIGHTS.contains(&height) {
        return Err(format!(
            "has size = [{width}, {height}]: expected a width from {} to {} and a height from {} to {}",
            WIDTHS.start(),
            WIDTHS.end(),
            HEIGHTS.start(),
            HEIGHTS.end()
        ));
    }
    if !SCALES.contains(&chart.scale) {
        return Err(format!(
            "has scale = {}: expected a number from {} to {}",
            chart.scale,
            SCALES.start(),
            SCALES.end()
        ));
    }
    if f64::from(width.max(height)) * chart.scale > MAX_PIXELS {
        return Err(format!(
            "has size = [{width}, {height}] and scale = {}: expected at most {MAX_PIXELS} pixels in width and height",
            chart.scale
        ));
    }
    if chart.formats.is_empty() {
        return Err("has no formats: expected \"png\", \"svg\" or both".to_owned());
    }
    Ok(())
}

/// Refuses unknown placeholders, which would otherwise appear in every title.
fn check_title(title: &str) -> Result<(), String> {
    for (start, _) in title.match_indices('{') {
        let rest = &title[start + 1..];
        let Some(name) = rest.find('}').map(|end| &rest[..end]) else {
            continue;
        };
        let is_word = !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        if is_word && !PLACEHOLDERS.contains(&name) {
            let hint = nearest(name, PLACEHOLDERS)
                .map_or_else(String::new, |near| format!("; did you mean {{{near}}}?"));
            return Err(format!(
                "has {{{name}}} in its title: expected one of {{{}}}{hint}",
                PLACEHOLDERS.join("}, {")
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(keys: &str, size: Size) -> Result<Chart, String> {
        let spec: ChartSpec = toml::from_str(&format!("x = \"hour_local\"\n{keys}"))
            .map_err(|error| error.to_string())?;
        let query = Name::new("errors").unwrap();
        resolve(&query, vec![spec], size, Language::English)
            .map(|mut charts| charts.remove(0))
            .map_err(|wrong| wrong.message)
    }

    #[test]
    fn keys_that_do_not_go_together_are_named() {
        for (keys, expected) in [
            ("kind = \"bar\"\ny = [\"a\", \"b\"]", "only kind = \"line\""),
            (
                "kind = \"bar\"\ny = \"a\"\nseries = \"level\"",
                "stacked-bar",
            ),
            ("kind = \"stacked-bar\"\ny = \"a\"", "has no series"),
            (
                "kind = \"band\"\ny = \"p50\"",
                "[\"p50\", \"p95\", \"p99\"]",
            ),
            ("kind = \"line\"\ny = [\"a\", \"a\"]", "twice"),
            ("kind = \"line\"\ny = []", "y = []"),
            ("kind = \"line\"\ny = \"a\"\nerrors = \"b\"", "\"bar\" only"),
            ("kind = \"bar\"\ny = \"a\"\nerrors = true", "or false"),
            (
                "kind = \"heatmap\"\ny = \"a\"\ncompare = \"7 days\"",
                "compare",
            ),
            (
                "kind = \"bar\"\ny = \"a\"\ncompare = \"a week\"",
                "\"7 days\"",
            ),
            (
                "kind = \"bar\"\ny = \"a\"\ncompare = \"1 month\"",
                "day windows",
            ),
            ("kind = \"bar\"\ny = \"a\"\nsize = [100, 900]", "[100, 900]"),
            ("kind = \"bar\"\ny = \"a\"\nscale = 9.0", "0.5 to 4"),
            (
                "kind = \"bar\"\ny = \"a\"\nsize = [4096, 900]\nscale = 3.0",
                "8192",
            ),
            ("kind = \"bar\"\ny = \"a\"\nformats = []", "\"png\""),
            (
                "kind = \"bar\"\ny = \"a\"\ntitle = \"{dat}\"",
                "did you mean {date}",
            ),
            (
                "kind = \"bar\"\ny = \"a\"\ny_scale = \"log\"",
                "\"line\" or \"band\"",
            ),
            ("kind = \"pie\"\ny = \"a\"", "stacked-bar"),
            ("kind = \"bar\"\ny = 7", "or a list of them"),
        ] {
            let error = resolved(keys, Size::Day).unwrap_err();
            assert!(error.contains(expected), "{keys}: {error}");
        }
    }

    #[test]
    fn a_comparison_is_so_many_windows_back() {
        let windows = |span: &str, size| {
            let keys = format!("kind = \"bar\"\ny = \"a\"\ncompare = {span:?}");
            resolved(&keys, size).map(|chart| chart.compare.unwrap().windows)
        };
        assert_eq!(windows("7 days", Size::Day), Ok(7));
        assert_eq!(windows("1 day", Size::Hour), Ok(24));
        assert_eq!(windows("2w", Size::Day), Ok(14));
        assert_eq!(windows("7 days", Size::Week), Ok(1));
        assert_eq!(windows("1 month", Size::Month), Ok(1));
        assert!(windows("7 days", Size::Month).is_err());
    }

    #[test]
    fn counts_of_long_windows_are_heatmaps() {
        let name = || Name::new("hourly_count").unwrap();
        let day = of_counts(name(), Size::Day);
        assert_eq!(day.kind, ChartKind::Bar);
        assert_eq!(day.compare.unwrap().windows, 7);
        let month = of_counts(name(), Size::Month);
        assert_eq!((month.kind, month.compare), (ChartKind::Heatmap, None));
        assert_eq!(of_errors(name(), Size::Day).y, ["events"]);
        assert_eq!(of_errors(name(), Size::Month).y, ["errors"]);
    }
}
