//! From the rows of an answer to a [`Chart`]: which columns, what the ticks say, what stands above and below.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Schema, TimestampMillisecondType};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use chrono::{DateTime, NaiveDateTime, NaiveTime, Timelike, Utc};

use super::chart::{Chart, ChartKind, Point};
use crate::error::{Class, Error, Result};
use crate::job;
use crate::window::{Size, Window};

/// A chart of more points than this shows nothing.
const MOST_POINTS: usize = 10_000;

/// A footer names this many log groups, and how many more there are.
const NAMED_GROUPS: usize = 3;

/// Checks that the chart's columns are there and can be drawn. An error (usage) names the column and those there are.
pub fn check(chart: &job::Chart, query: &str, schema: &Schema) -> Result<()> {
    for (axis, name) in [("x", &chart.x), ("y", &chart.y)] {
        let Ok(field) = schema.field_with_name(name) else {
            let known: Vec<&str> = schema
                .fields()
                .iter()
                .map(|field| field.name().as_str())
                .collect();
            let hint = job::nearest(name, known.iter().copied())
                .map_or(String::new(), |near| format!("; did you mean {near:?}?"));
            return Err(Error::usage(format!(
                "the chart {} of {query} has {axis} = {name:?}, but the answer has no such column, only {}{hint}",
                chart.name,
                known.join(", ")
            )));
        };
        let numeric = field.data_type().is_numeric();
        if axis == "y" && !numeric {
            return Err(Error::usage(format!(
                "the chart {} of {query} has y = {name:?}, which is {}: expected a number",
                chart.name,
                field.data_type()
            )));
        }
    }
    Ok(())
}

/// The points of a chart, gathered batch by batch.
#[derive(Debug)]
pub struct Series {
    chart: job::Chart,
    query: String,
    x: Vec<Tick>,
    y: Vec<Option<f64>>,
    whole_numbers: bool,
}

/// What a value of the x axis is.
#[derive(Debug, Clone, PartialEq)]
enum Tick {
    Time(NaiveDateTime),
    Text(String),
}

impl Series {
    /// No points yet.
    pub fn new(chart: &job::Chart, query: &str) -> Self {
        Self {
            chart: chart.clone(),
            query: query.to_owned(),
            x: Vec::new(),
            y: Vec::new(),
            whole_numbers: true,
        }
    }

    /// Which chart it is for.
    pub fn chart(&self) -> &job::Chart {
        &self.chart
    }

    /// Adds a batch of the answer, whose columns are those that [`check`] saw. An error (usage) where there are more
    /// points than a chart can show.
    pub fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        if self.x.len() + batch.num_rows() > MOST_POINTS {
            return Err(Error::usage(format!(
                "the chart {} of {} has more than {MOST_POINTS} points: expected an answer that is grouped further",
                self.chart.name, self.query
            )));
        }
        let column = |name: &str| {
            batch.column_by_name(name).ok_or_else(|| {
                Error::new(
                    Class::Unexpected,
                    format!("the answer {} lost its column {name:?}", self.query),
                )
            })
        };
        self.x.extend(ticks(column(&self.chart.x)?)?);
        let y = column(&self.chart.y)?;
        self.whole_numbers &= y.data_type().is_integer();
        let y = cast(y, &DataType::Float64).map_err(unexpected)?;
        self.y.extend(y.as_primitive::<Float64Type>().iter());
        Ok(())
    }

    /// The labels and values, as the chart shows them.
    pub fn points(&self, size: Size) -> Vec<Point> {
        let format = tick_format(&self.x, size);
        self.x
            .iter()
            .zip(&self.y)
            .map(|(tick, value)| Point {
                label: match tick {
                    Tick::Time(time) => time.format(format).to_string(),
                    Tick::Text(text) => text.clone(),
                },
                value: *value,
            })
            .collect()
    }

    /// `2,643 events`: the sum where the values are counts, else the highest.
    pub fn summary(&self) -> String {
        let values = || {
            self.y
                .iter()
                .flatten()
                .copied()
                .filter(|value| value.is_finite())
        };
        let unit = self.unit();
        if self.whole_numbers {
            let total: f64 = values().sum();
            return format!("{} {unit}", number(total, 0));
        }
        match values().max_by(f64::total_cmp) {
            Some(peak) => format!("up to {} {unit}", number(peak, 1)),
            None => format!("no {unit}"),
        }
    }

    /// What the values are, in the words of a sentence.
    fn unit(&self) -> String {
        match &self.chart.y_label {
            Some(label) => label.clone(),
            None => words(&self.chart.y),
        }
    }

    /// The chart with everything that is written around it.
    pub fn picture(&self, caption: &Caption<'_>) -> Chart {
        let window = caption.window;
        Chart {
            kind: match self.chart.kind {
                job::ChartKind::Bar => ChartKind::Bar,
                job::ChartKind::Line => ChartKind::Line,
            },
            title: self.title(caption),
            subtitle: self.summary(),
            x_label: match self.chart.x.as_str() {
                "hour_local" | "hour_of_day" => format!("Hour of day ({})", window.zone()),
                "hour_utc" => "Hour (UTC)".to_owned(),
                other => words(other),
            },
            y_label: match &self.chart.y_label {
                Some(label) => label.clone(),
                None => capitalized(&words(&self.chart.y)),
            },
            points: self.points(window.size()),
            footer: caption.footer(),
        }
    }

    fn title(&self, caption: &Caption<'_>) -> String {
        let window = caption.window;
        let date = date_text(window);
        match &self.chart.title {
            Some(title) => title
                .replace("{job}", caption.job)
                .replace("{date}", &date)
                .replace("{window}", &window.id()),
            None => {
                let zone = window.zone_abbreviation();
                let question = words(self.chart.name.as_str());
                format!("{} · {question} · {date} · {zone}", caption.job)
            }
        }
    }
}

/// What stands around a chart.
#[derive(Debug, Clone, Copy)]
pub struct Caption<'a> {
    /// The job's name.
    pub job: &'a str,
    /// The window.
    pub window: &'a Window,
    /// The log groups.
    pub groups: &'a [String],
    /// When the events were taken.
    pub as_of: Option<DateTime<Utc>>,
    /// Whether late events may still come.
    pub provisional: bool,
}

impl Caption<'_> {
    fn footer(&self) -> String {
        let mut parts = Vec::new();
        if !self.groups.is_empty() {
            let named = self.groups.len().min(NAMED_GROUPS);
            let mut groups = self.groups[..named].join(", ");
            if self.groups.len() > named {
                groups += &format!(" and {} more", self.groups.len() - named);
            }
            parts.push(groups);
        }
        let zone = self.window.zone();
        let local = |at: DateTime<Utc>| {
            at.with_timezone(&zone)
                .format("%Y-%m-%d %H:%M %Z")
                .to_string()
        };
        parts.push(format!(
            "{} to {}",
            local(self.window.start()),
            local(self.window.end())
        ));
        if let Some(as_of) = self.as_of {
            parts.push(format!("as of {}", local(as_of)));
        }
        parts.push(
            if self.provisional {
                "provisional"
            } else {
                "settled"
            }
            .to_owned(),
        );
        parts.push(concat!("logtally ", env!("CARGO_PKG_VERSION")).to_owned());
        parts.join(" · ")
    }
}

/// The window in words: `2026-11-21 (Sat)`.
fn date_text(window: &Window) -> String {
    let date = window.local_date();
    match window.size() {
        Size::Hour => format!(
            "{} {:02}:00",
            date.format("%Y-%m-%d (%a)"),
            window.local_hour()
        ),
        Size::Day => date.format("%Y-%m-%d (%a)").to_string(),
        Size::Week => format!(
            "{} ({} to {})",
            window.id(),
            date.format("%m-%d"),
            (date + chrono::Days::new(6)).format("%m-%d")
        ),
        Size::Month => date.format("%B %Y").to_string(),
    }
}

fn ticks(column: &ArrayRef) -> Result<Vec<Tick>> {
    if matches!(
        column.data_type(),
        DataType::Timestamp(_, _) | DataType::Date32
    ) {
        let ms = cast(
            column,
            &DataType::Timestamp(arrow::datatypes::TimeUnit::Millisecond, None),
        )
        .map_err(unexpected)?;
        let ms = ms.as_primitive::<TimestampMillisecondType>();
        return Ok(ms
            .iter()
            .map(|ms| match ms.and_then(DateTime::from_timestamp_millis) {
                Some(at) => Tick::Time(at.naive_utc()),
                None => Tick::Text("?".to_owned()),
            })
            .collect());
    }
    let options = FormatOptions::default().with_null("?");
    let formatter = ArrayFormatter::try_new(column, &options).map_err(unexpected)?;
    let is_integer = column.data_type().is_integer();
    Ok((0..column.len())
        .map(|row| {
            let text = formatter.value(row).to_string();
            // Hours of the day read better, and sort the same, with two digits.
            Tick::Text(if is_integer && text.len() == 1 {
                format!("0{text}")
            } else {
                text
            })
        })
        .collect())
}

/// The shortest form that tells the ticks of such a window apart.
fn tick_format(ticks: &[Tick], size: Size) -> &'static str {
    let times = || {
        ticks.iter().filter_map(|tick| match tick {
            Tick::Time(time) => Some(time),
            Tick::Text(_) => None,
        })
    };
    let midnights = times().all(|time| time.time() == NaiveTime::MIN);
    let full_hours = times().all(|time| time.minute() == 0 && time.second() == 0);
    match size {
        _ if midnights && ticks.len() > 1 => "%m-%d",
        Size::Hour | Size::Day if full_hours => "%H",
        Size::Hour | Size::Day => "%H:%M",
        Size::Week | Size::Month => "%m-%d %H:%M",
    }
}

fn unexpected(error: arrow::error::ArrowError) -> Error {
    Error::new(Class::Unexpected, "can't read the points of a chart").caused_by(error)
}

/// `hourly_errors` as words.
fn words(name: &str) -> String {
    name.replace('_', " ")
}

fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_uppercase().chain(chars).collect(),
        None => String::new(),
    }
}

/// `1234567.8` as `1,234,567.8`.
pub fn number(value: f64, decimals: usize) -> String {
    let text = format!("{:.decimals$}", value.abs());
    let (whole, fraction) = text.split_at(text.find('.').unwrap_or(text.len()));
    let mut out = if value < 0.0 {
        "-".to_owned()
    } else {
        String::new()
    };
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out + fraction
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Int32Array, Int64Array, TimestampMillisecondArray};
    use std::sync::Arc;

    fn spec(x: &str, y: &str) -> job::Chart {
        job::Chart {
            name: job::Name::new("hourly_count").unwrap(),
            kind: job::ChartKind::Bar,
            x: x.into(),
            y: y.into(),
            title: None,
            y_label: None,
            formats: vec![job::ImageFormat::Png],
        }
    }

    fn window(size: Size, id: &str) -> Window {
        Window::parse(size, "Asia/Seoul".parse().unwrap(), id).unwrap()
    }

    fn series(x: ArrayRef, y: Vec<i64>) -> Series {
        let y: ArrayRef = Arc::new(Int64Array::from(y));
        let mut series = Series::new(&spec("x", "events"), "hourly_count");
        series
            .add(&RecordBatch::try_from_iter([("x", x), ("events", y)]).unwrap())
            .unwrap();
        series
    }

    fn labels(x: ArrayRef, size: Size) -> Vec<String> {
        let rows = x.len();
        series(x, vec![1; rows])
            .points(size)
            .into_iter()
            .map(|point| point.label)
            .collect()
    }

    #[test]
    fn ticks_are_hours_rather_than_timestamps() {
        let hours = |hours: &[i64]| -> ArrayRef {
            let ms: Vec<i64> = hours
                .iter()
                .map(|hour| 1_763_683_200_000 + hour * 3_600_000)
                .collect();
            Arc::new(TimestampMillisecondArray::from(ms))
        };
        assert_eq!(
            labels(hours(&[0, 1, 1, 23]), Size::Day),
            ["00", "01", "01", "23"]
        );
        assert_eq!(
            labels(hours(&[0, 24, 48]), Size::Month),
            ["11-21", "11-22", "11-23"]
        );
        assert_eq!(
            labels(hours(&[0, 1]), Size::Week),
            ["11-21 00:00", "11-21 01:00"]
        );
        assert_eq!(
            labels(Arc::new(Int32Array::from(vec![0, 9, 23])), Size::Day),
            ["00", "09", "23"]
        );
    }

    #[test]
    fn a_chart_says_what_it_shows() {
        let groups: Vec<String> = ["/a", "/b", "/c", "/d", "/e"].map(String::from).into();
        let window = window(Size::Day, "2026-11-21");
        let caption = Caption {
            job: "checkout",
            window: &window,
            groups: &groups,
            as_of: Some("2026-11-22T01:02:00Z".parse().unwrap()),
            provisional: true,
        };
        let series = series(Arc::new(Int32Array::from(vec![0, 1])), vec![1200, 34]);
        let chart = series.picture(&caption);
        assert_eq!(
            chart.title,
            "checkout · hourly count · 2026-11-21 (Sat) · KST"
        );
        assert_eq!(chart.subtitle, "1,234 events");
        assert_eq!(
            chart.footer,
            concat!(
                "/a, /b, /c and 2 more · 2026-11-21 00:00 KST to 2026-11-22 00:00 KST · as of 2026-11-22 10:02 KST · ",
                "provisional · logtally ",
                env!("CARGO_PKG_VERSION")
            )
        );
    }

    #[test]
    fn a_column_that_is_not_there_is_named_with_the_nearest() {
        let schema = Schema::new(vec![
            arrow::datatypes::Field::new("hour_local", DataType::Utf8, true),
            arrow::datatypes::Field::new("events", DataType::Int64, true),
        ]);
        let error = check(&spec("hour_locl", "events"), "q", &schema).unwrap_err();
        assert!(
            error.to_string().contains("did you mean \"hour_local\"?"),
            "{error}"
        );
        let error = check(&spec("events", "hour_local"), "q", &schema).unwrap_err();
        assert!(error.to_string().contains("expected a number"), "{error}");
        assert!(check(&spec("hour_local", "events"), "q", &schema).is_ok());
    }

    #[test]
    fn thousands_are_grouped() {
        for (value, decimals, text) in [
            (0.0, 0, "0"),
            (999.0, 0, "999"),
            (1000.0, 0, "1,000"),
            (-1_234_567.0, 0, "-1,234,567"),
            (30_085.84, 1, "30,085.8"),
            (0.25, 1, "0.2"),
        ] {
            assert_eq!(number(value, decimals), text);
        }
    }
}
