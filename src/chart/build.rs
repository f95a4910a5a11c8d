//! From the rows of an answer to a [`Chart`]: which columns, what is a part of what, what stands above and below.
//!
//! ```text
//! rows ─► Series ─► slots (x axis) ─► layers (y axis) ─► Chart
//!                   caption, language (texts around it)
//! ```

mod caption;
mod heat;
mod language;
mod layers;
mod x_axis;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Schema, TimeUnit, TimestampMillisecondType};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use std::borrow::Cow;
use std::collections::HashMap;

use chrono::{DateTime, Offset, TimeDelta};
use chrono_tz::Tz;

pub use caption::{Caption, Verified};

use super::model::{Chart, Look, Marks, Sources, State};
use crate::error::{Class, Error, Result};
use crate::job::{self, ChartKind, ErrorsColumn};
use crate::output::columns::sql_type;
use crate::window::{Range, Window};
use x_axis::{Axis, Frame, Tick};

/// A chart of more points than this shows nothing.
const MOST_POINTS: usize = 10_000;

/// The column that is taken for the errors among what a bar counts, where the chart names none.
const ERRORS: &str = "errors";

/// The column of the table `logs` that is of instants, also where a file has lost their zone.
const EVENT_TIME: &str = "timestamp";

/// The column that tells a local time that occurs twice.
const UTC_OFFSET: &str = "utc_offset";

/// Checks that the chart's columns are there and can be drawn. An error (usage) names the column and those there are.
pub fn check(chart: &job::Chart, query: &str, schema: &Schema) -> Result<()> {
    let mut columns = vec![("x", &chart.x)];
    columns.extend(chart.y.iter().map(|y| ("y", y)));
    columns.extend(chart.series.iter().map(|series| ("series", series)));
    if let ErrorsColumn::Named(errors) = &chart.errors {
        columns.push(("errors", errors));
    }
    for (key, name) in columns {
        let Ok(field) = schema.field_with_name(name) else {
            let known: Vec<&str> = schema
                .fields()
                .iter()
                .map(|field| field.name().as_str())
                .collect();
            let hint = job::nearest(name, known.iter().copied())
                .map_or(String::new(), |near| format!("; did you mean {near:?}?"));
            return Err(Error::usage(format!(
                "the chart {} of {query} has {key} = {name:?}, but the answer has no such column, only {}{hint}",
                chart.name,
                known.join(", ")
            )));
        };
        let expected = match key {
            "y" | "errors" if !field.data_type().is_numeric() => "a number",
            "x" if is_grid_of_days(chart) && !is_time(field.data_type()) => {
                "a time, whose days are the rows, or series = a column that names the rows"
            }
            _ => continue,
        };
        return Err(Error::usage(format!(
            "the chart {} of {query} has {key} = {name:?}, which is {}: expected {expected}",
            chart.name,
            sql_type(field.data_type())
        )));
    }
    Ok(())
}

/// Whether the rows of a heatmap are the days of its x axis.
fn is_grid_of_days(chart: &job::Chart) -> bool {
    chart.kind == ChartKind::Heatmap && chart.series.is_none()
}

pub fn is_time(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Timestamp(_, _) | DataType::Date32 | DataType::Date64
    )
}

/// What a chart shows of an answer, gathered batch by batch.
#[derive(Debug)]
pub struct Series {
    chart: job::Chart,
    query: String,
    x: Vec<Tick>,
    /// Whether the times of x are instants, rather than of a wall clock.
    x_is_instant: bool,
    /// Whether they are dates.
    x_is_date: bool,
    /// The values of each column of y.
    y: Vec<Vec<Option<f64>>>,
    /// The name of each row's series, where the chart has a column of them.
    names: Option<Vec<Option<String>>>,
    /// How much of each value are errors, where the answer says so.
    errors: Option<Vec<Option<f64>>>,
    whole_numbers: bool,
    /// Whether whole numbers without a unit are taken for counts.
    may_count: bool,
    /// The row of each x and series, where the chart has series: rows that differ in nothing that it shows are one.
    row_of: HashMap<(Tick, Option<String>), usize>,
    /// Whether there were more rows than a chart can show, which are then not kept.
    too_many: bool,
    earlier: Option<Box<Earlier>>,
}

/// The answer for an earlier window.
#[derive(Debug)]
struct Earlier {
    window: Window,
    /// Whether it may still grow.
    provisional: bool,
    series: Series,
}

impl Series {
    /// No points yet.
    pub fn new(chart: &job::Chart, query: &str) -> Self {
        Self {
            query: query.to_owned(),
            x: Vec::new(),
            x_is_instant: false,
            x_is_date: false,
            row_of: HashMap::new(),
            too_many: false,
            y: vec![Vec::new(); chart.y.len()],
            names: chart.series.as_ref().map(|_| Vec::new()),
            errors: None,
            whole_numbers: true,
            may_count: true,
            earlier: None,
            chart: chart.clone(),
        }
    }

    /// Whether the SQL allows for its whole numbers to be counts, as it does unless it says otherwise.
    pub fn may_count(self, may_count: bool) -> Self {
        Self { may_count, ..self }
    }

    /// Which chart it is for.
    pub fn chart(&self) -> &job::Chart {
        &self.chart
    }

    /// Adds a batch of the answer, whose columns are those that [`check`] saw.
    pub fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        if self.too_many {
            return Ok(());
        }
        self.add_rows(batch).map_err(|error| {
            error.during(format_args!(
                "the chart {} of {}",
                self.chart.name, self.query
            ))
        })
    }

    fn add_rows(&mut self, batch: &RecordBatch) -> Result<()> {
        let column = |name: &str| {
            column(batch, name).ok_or_else(|| {
                Error::new(
                    Class::Unexpected,
                    format!("the answer lost its column {name:?}"),
                )
            })
        };
        let numbers = |column: &ArrayRef| -> Result<Vec<Option<f64>>> {
            let column = cast(column, &DataType::Float64).map_err(unexpected)?;
            Ok(column.as_primitive::<Float64Type>().iter().collect())
        };
        let x = column(&self.chart.x)?;
        let ys: Vec<&ArrayRef> = self
            .chart
            .y
            .iter()
            .map(|name| column(name))
            .collect::<Result<_>>()?;
        let names = match &self.chart.series {
            Some(series) => Some(texts(column(series)?)?),
            None => None,
        };
        self.x_is_instant |= match x.data_type() {
            DataType::Timestamp(_, zone) => zone.is_some() || self.chart.x == EVENT_TIME,
            _ => false,
        };
        self.x_is_date |= matches!(x.data_type(), DataType::Date32 | DataType::Date64);
        self.whole_numbers &= ys.iter().all(|column| column.data_type().is_integer());
        let none = language::none(self.chart.language);
        let x = ticks(x, batch.column_by_name(UTC_OFFSET), none)?;
        let ys: Vec<Vec<Option<f64>>> = ys.into_iter().map(numbers).collect::<Result<_>>()?;
        let errors = self.errors_column(batch).map(numbers).transpose()?;
        let combined = self.combined();
        for (row, tick) in x.into_iter().enumerate() {
            let name = names.as_ref().map(|names| names[row].clone());
            let next = self.x.len();
            let place = match &name {
                Some(name) => *self
                    .row_of
                    .entry((tick.clone(), name.clone()))
                    .or_insert(next),
                None => next,
            };
            if place == next {
                if next == MOST_POINTS {
                    self.forget();
                    return Ok(());
                }
                self.x.push(tick);
                self.y.iter_mut().for_each(|values| values.push(None));
                if let (Some(names), Some(name)) = (&mut self.names, name) {
                    names.push(name);
                }
            }
            for (values, new) in self.y.iter_mut().zip(&ys) {
                values[place] = combined(values[place], new[row]);
            }
            if let Some(new) = &errors {
                let errors = self.errors.get_or_insert_default();
                errors.resize(self.x.len(), None);
                errors[place] = sum(errors[place], new[row]);
            }
        }
        Ok(())
    }

    /// An error (usage) where there are more points than a chart can show.
    pub fn fits(&self) -> Result<()> {
        match self.too_many {
            false => Ok(()),
            true => Err(Error::usage(format!(
                "the chart {} of {} has more than {MOST_POINTS} points: expected an answer that is grouped further",
                self.chart.name, self.query
            ))),
        }
    }

    fn forget(&mut self) {
        *self = Self {
            too_many: true,
            ..Self::new(&self.chart, &self.query)
        };
    }

    /// How values of one slot come together: counts and the parts of a stack are added up; of anything else, such as
    /// percentiles, the highest is taken, as a sum would be of nothing.
    fn combined(&self) -> fn(Option<f64>, Option<f64>) -> Option<f64> {
        match self.adds_up() {
            true => sum,
            false => highest,
        }
    }

    /// Whether the sum of several values means something.
    fn adds_up(&self) -> bool {
        self.chart.kind == ChartKind::StackedBar || self.is_count()
    }

    /// The column that says how much of the values are errors: the one that the job names, or one of that name beside
    /// counts.
    fn errors_column<'a>(&self, batch: &'a RecordBatch) -> Option<&'a ArrayRef> {
        let name = self.errors_name()?;
        let is_part = self.chart.y.len() == 1 && self.chart.y[0] != name;
        let column = column(batch, name).filter(|_| is_part)?;
        let is_asked_for = self.chart.errors != ErrorsColumn::IfCounted;
        let fits = match is_asked_for {
            true => column.data_type().is_numeric(),
            false => column.data_type().is_integer() && self.is_count(),
        };
        fits.then_some(column)
    }

    fn errors_name(&self) -> Option<&str> {
        match &self.chart.errors {
            ErrorsColumn::IfCounted => Some(ERRORS),
            ErrorsColumn::Named(name) => Some(name),
            ErrorsColumn::Not => None,
        }
    }

    /// How much of each value are errors. A column of that name which nobody asked for and which has more of them than
    /// there is of the whole counts something else.
    fn errors(&self) -> Option<&[Option<f64>]> {
        let errors = self.errors.as_deref()?;
        let is_part = |(errors, all): (&Option<f64>, &Option<f64>)| {
            errors.unwrap_or(0.0) <= all.unwrap_or(0.0)
        };
        let are_parts = self.chart.errors != ErrorsColumn::IfCounted
            || errors.iter().zip(&self.y[0]).all(is_part);
        are_parts.then_some(errors)
    }

    /// Holds the chart against the answer for an earlier window, which may be provisional itself. An error where a column
    /// of it is not there, or is another type.
    pub fn hold_against(
        &mut self,
        window: Window,
        provisional: bool,
        answer: &[RecordBatch],
    ) -> Result<()> {
        let mut series = Series::new(&self.chart, &self.query).may_count(self.may_count);
        // A file of answers does not say of its times that they are instants.
        series.x_is_instant = self.x_is_instant;
        for batch in answer {
            check(&self.chart, &self.query, batch.schema_ref())?;
            series.add(batch)?;
        }
        series.fits()?;
        self.earlier = Some(Box::new(Earlier {
            window,
            provisional,
            series,
        }));
        Ok(())
    }

    /// The values of x, instants by the wall clock of the zone unless the column's name says UTC.
    fn ticks(&self, zone: Tz) -> Cow<'_, [Tick]> {
        if !self.x_is_instant || x_axis::is_utc(&self.chart.x) {
            return Cow::Borrowed(&self.x);
        }
        let local = |tick: &Tick| match tick {
            Tick::Time(utc, _) => {
                let local = utc.and_utc().with_timezone(&zone);
                let offset = local.offset().fix().local_minus_utc();
                Tick::Time(local.naive_local(), Some(offset))
            }
            text => text.clone(),
        };
        self.x.iter().map(local).collect()
    }

    /// Whether the values are counts, whose sum means something.
    fn is_count(&self) -> bool {
        self.may_count && self.whole_numbers && self.chart.unit.is_none()
    }

    /// The chart of a window with everything that is written around it.
    pub fn picture(&self, caption: &Caption<'_>) -> Chart {
        let window = caption.window;
        let known_until = caption.as_of.filter(|_| caption.provisional);
        let settled_after = TimeDelta::from_std(caption.settled_after).unwrap_or(TimeDelta::MAX);
        let frame = Frame {
            zone: window.zone(),
            range: Some(window.range()),
            size: Some(window.size()),
            dates: self.x_is_date,
            known_until,
            settled_until: known_until.and_then(|at| at.checked_sub_signed(settled_after)),
            language: self.chart.language,
        };
        Chart {
            title: self.title(caption),
            badge: caption.badge(self.chart.language),
            sources: caption.sources(self.chart.language),
            footer: caption.footer(self.chart.language),
            ..self.compose(&frame)
        }
    }

    /// The chart of whatever was asked, without a window around it.
    pub fn sketch(&self, zone: Tz, range: Option<Range>, title: &str) -> Chart {
        let frame = Frame {
            zone,
            range,
            size: None,
            dates: self.x_is_date,
            known_until: None,
            settled_until: None,
            language: self.chart.language,
        };
        Chart {
            title: title.to_owned(),
            ..self.compose(&frame)
        }
    }

    /// Everything but the texts that a window decides.
    fn compose(&self, frame: &Frame) -> Chart {
        let chart = &self.chart;
        let language = chart.language;
        let merge = chart.series.is_some();
        let mut axis = Axis::new(&chart.x, &self.ticks(frame.zone), frame, merge);
        self.show_what_is_there(&mut axis);
        let axis = axis;
        let layers = || {
            let mut layers = self.layers(&axis);
            for layer in &mut layers {
                forget_missing(&mut layer.values, &axis);
            }
            layers
        };
        let clock = x_axis::zone_of(&chart.x, frame.zone).name();
        let x_label = match (&axis.title, chart.x.as_str()) {
            (Some(title), _) => title.clone(),
            (None, "hour_local" | "hour_of_day") => language::hour_of_day(language, clock),
            (None, "hour_utc") => language::hour_utc(language).to_owned(),
            (None, other) => {
                let words = language::capitalized(&language::words(language, other));
                match self.x_is_instant {
                    true => format!("{words} ({clock})"),
                    false => words,
                }
            }
        };
        let (marks, x_label, slots) = match chart.kind {
            ChartKind::Heatmap => {
                let (slots, rows) = self.cells(&axis, frame);
                let hours = language::hour_of_day(language, clock);
                let label = if is_grid_of_days(chart) {
                    hours
                } else {
                    x_label
                };
                (Marks::Cells(rows), label, slots)
            }
            ChartKind::Bar | ChartKind::StackedBar => {
                (Marks::Bars(layers()), x_label, axis.slots.clone())
            }
            ChartKind::Line => (Marks::Lines(layers()), x_label, axis.slots.clone()),
            ChartKind::Band => (Marks::Bands(layers()), x_label, axis.slots.clone()),
        };
        let missing = |slot: usize| {
            slots
                .get(slot)
                .is_some_and(|slot| slot.state == State::Missing)
        };
        let not_yet = frame.known_until.is_some() && missing(slots.len().saturating_sub(1));
        let (width, height) = chart.size;
        Chart {
            look: Look {
                width,
                height,
                scale: chart.scale,
                theme: chart.theme,
            },
            title: String::new(),
            badge: String::new(),
            subtitle: self.summary(&axis, frame),
            x_label,
            y_label: match &chart.y_label {
                Some(label) => label.clone(),
                None if chart.y.len() == 1 => {
                    language::capitalized(&language::words(language, &chart.y[0]))
                }
                None => String::new(),
            },
            unit: chart.unit.clone().unwrap_or_default(),
            earlier: self.earlier_layer(&axis),
            words: language::legend(language, not_yet),
            slots,
            marks,
            sources: Sources::default(),
            footer: String::new(),
        }
    }

    /// Whatever the clock says, an hour of which there are values is not without any.
    fn show_what_is_there(&self, axis: &mut Axis) {
        for (row, &slot) in axis.of_row.iter().enumerate() {
            let is_something =
                |values: &Vec<Option<f64>>| values[row].is_some_and(|value| value != 0.0);
            let state = &mut axis.slots[slot].state;
            if *state == State::Missing && self.y.iter().any(is_something) {
                *state = State::Provisional;
            }
        }
    }

    fn title(&self, caption: &Caption<'_>) -> String {
        let window = caption.window;
        let language = self.chart.language;
        let filled_in = |placeholder: &str| match placeholder {
            "job" => caption.job.to_owned(),
            "query" => language::words(language, &self.query),
            "chart" => language::words(language, self.chart.name.as_str()),
            "date" => language::window(language, window),
            "window" => window.id(),
            "zone" => window.zone_abbreviation(),
            other => format!("{{{other}}}"),
        };
        let title = self.chart.title.as_deref();
        fill_in(
            title.unwrap_or("{job} · {chart} · {date} · {zone}"),
            filled_in,
        )
    }
}

/// An answer may have a zero for an hour that has not happened.
fn forget_missing(values: &mut [Option<f64>], axis: &Axis) {
    for (value, slot) in values.iter_mut().zip(&axis.slots) {
        if slot.state == State::Missing {
            *value = None;
        }
    }
}

/// The template with each `{name}` replaced, once: what was filled in is not looked at again.
fn fill_in(template: &str, filled_in: impl Fn(&str) -> String) -> String {
    let mut out = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        out += before;
        match after.split_once('}') {
            Some((name, after)) if !name.contains('{') => {
                out += &filled_in(name);
                rest = after;
            }
            _ => {
                out.push('{');
                rest = after;
            }
        }
    }
    out + rest
}

/// The sum of what is there.
fn sum(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a + b),
        (one, other) => one.or(other),
    }
}

/// The higher of what is there.
fn highest(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.max(b)),
        (one, other) => one.or(other),
    }
}

/// The column of this name, as an answer's file will have it: in lower case.
fn column<'a>(batch: &'a RecordBatch, name: &str) -> Option<&'a ArrayRef> {
    let fields = batch.schema_ref().fields();
    let place = fields
        .iter()
        .position(|field| field.name().to_lowercase() == name);
    let place = place.or_else(|| batch.schema_ref().index_of(name).ok())?;
    batch.columns().get(place)
}

/// `none` stands for what is NULL.
fn ticks(column: &ArrayRef, offsets: Option<&ArrayRef>, none: &str) -> Result<Vec<Tick>> {
    if is_time(column.data_type()) {
        let ms = DataType::Timestamp(TimeUnit::Millisecond, None);
        let ms = cast(column, &ms).map_err(unexpected)?;
        let ms = ms.as_primitive::<TimestampMillisecondType>();
        let offsets = match offsets {
            Some(offsets) => texts(offsets)?,
            None => vec![None; ms.len()],
        };
        let ticks = ms.iter().zip(offsets).map(|(ms, offset)| {
            match ms.and_then(DateTime::from_timestamp_millis) {
                Some(at) => Tick::Time(at.naive_utc(), offset.and_then(|text| seconds(&text))),
                None => Tick::Text(none.to_owned()),
            }
        });
        return Ok(ticks.collect());
    }
    let is_integer = column.data_type().is_integer();
    let ticks = texts(column)?.into_iter().map(|text| {
        let text = text.unwrap_or_else(|| none.to_owned());
        // Hours of the day read better, and sort the same, with two digits.
        Tick::Text(match is_integer && text.len() == 1 {
            true => format!("0{text}"),
            false => text,
        })
    });
    Ok(ticks.collect())
}

/// `+09:00` in seconds.
fn seconds(offset: &str) -> Option<i32> {
    let offset: chrono::FixedOffset = offset.parse().ok()?;
    Some(offset.local_minus_utc())
}

fn texts(column: &ArrayRef) -> Result<Vec<Option<String>>> {
    let options = FormatOptions::default();
    let formatter = ArrayFormatter::try_new(column, &options).map_err(unexpected)?;
    let text = |row: usize| {
        column
            .is_valid(row)
            .then(|| formatter.value(row).to_string())
    };
    // A dictionary's row may be there and its value not.
    let nulls = column.logical_nulls();
    let is_null = |row: usize| nulls.as_ref().is_some_and(|nulls| nulls.is_null(row));
    let texts = (0..column.len()).map(|row| text(row).filter(|_| !is_null(row)));
    Ok(texts.collect())
}

fn unexpected(error: arrow::error::ArrowError) -> Error {
    Error::new(Class::Unexpected, "can't read the values of a column").caused_by(error)
}

#[cfg(test)]
mod tests;
