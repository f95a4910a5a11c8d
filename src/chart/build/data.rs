//! The columns of an answer that a chart shows: checked before the query runs, then read batch by batch.

use std::borrow::Cow;
use std::collections::HashMap;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Schema, TimeUnit, TimestampMillisecondType};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use chrono::{DateTime, FixedOffset, Offset};
use chrono_tz::Tz;

use super::language;
use super::x_axis::{XValue, is_utc};
use crate::error::{Class, Error, Result};
use crate::job::{self, ChartKind, ErrorsColumn};
use crate::output::columns::sql_type;
use crate::window::Window;

/// A chart of more points than this can't be read.
pub(super) const MOST_POINTS: usize = 10_000;

/// The column that counts the errors among what a bar counts, where the chart names none.
pub(super) const ERRORS: &str = "errors";

/// The columns by which an answer counts its events, and those among them without a level.
const EVENTS: &str = "events";
const NO_LEVEL: &str = "no_level";

/// The column of the table `logs` whose times are instants, also in a file that has lost their zone.
const EVENT_TIME: &str = "timestamp";

/// The column that tells apart the two occurrences of a local time that the clocks repeat.
const UTC_OFFSET: &str = "utc_offset";

/// Values in the order of their rows or categories; `None` is missing, which is not zero.
pub(super) type Values = Vec<Option<f64>>;

/// Checks that an answer has the chart's columns and that they can be drawn. An error (usage) names the chart, the
/// column and what was expected.
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

/// Whether the chart is a heatmap whose rows are the days of its x axis.
pub(super) fn is_grid_of_days(chart: &job::Chart) -> bool {
    chart.kind == ChartKind::Heatmap && chart.series.is_none()
}

/// Whether values of this type are times or dates.
pub fn is_time(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Timestamp(_, _) | DataType::Date32 | DataType::Date64
    )
}

/// Whether values of this type are texts.
pub fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => is_text(values),
        other => other.is_string(),
    }
}

/// The points of a chart, gathered from an answer batch by batch.
#[derive(Debug)]
pub struct ChartData {
    pub(super) chart: job::Chart,
    pub(super) query: String,
    pub(super) x: Vec<XValue>,
    /// Whether the times of `x` are instants, rather than times of a wall clock.
    pub(super) x_is_instant: bool,
    pub(super) x_is_date: bool,
    /// Whether the values of `x` are texts.
    pub(super) x_is_text: bool,
    /// For each column of y, a value for each row.
    pub(super) y: Vec<Values>,
    /// The series of each row, where the chart has a column of series.
    pub(super) names: Option<Vec<Option<String>>>,
    /// The errors among each row's value, where the answer counts them.
    errors: Option<Values>,
    /// The events without a level and all events, where the answer counts both.
    without_level: Option<(f64, f64)>,
    whole_numbers: bool,
    /// Whether whole numbers without a unit are counts.
    may_count: bool,
    /// Whether a time without a row has no events, as far as the SQL says.
    pub(super) absent_is_zero: bool,
    /// The row of each x and series, where the chart has series: rows that differ only in other columns are combined.
    row_of: HashMap<(XValue, Option<String>), usize>,
    /// Whether the answer has more than [`MOST_POINTS`]; its rows are then dropped.
    too_many: bool,
    pub(super) earlier: Option<Box<EarlierData>>,
}

/// The same points of an earlier window.
#[derive(Debug)]
pub(super) struct EarlierData {
    pub(super) window: Window,
    /// Whether late events may still change them.
    pub(super) provisional: bool,
    pub(super) data: ChartData,
}

/// What a chart shows of one batch: a value for each row.
struct BatchColumns {
    x: Vec<XValue>,
    y: Vec<Values>,
    names: Option<Vec<Option<String>>>,
    errors: Option<Values>,
}

impl ChartData {
    /// No points yet.
    pub fn new(chart: &job::Chart, query: &str) -> Self {
        Self {
            query: query.to_owned(),
            x: Vec::new(),
            x_is_instant: false,
            x_is_date: false,
            x_is_text: false,
            absent_is_zero: false,
            row_of: HashMap::new(),
            too_many: false,
            y: vec![Vec::new(); chart.y.len()],
            names: chart.series.as_ref().map(|_| Vec::new()),
            errors: None,
            without_level: None,
            whole_numbers: true,
            may_count: true,
            earlier: None,
            chart: chart.clone(),
        }
    }

    /// Whether whole numbers may be counts, as far as the SQL says. They may by default.
    pub fn may_count(self, may_count: bool) -> Self {
        Self { may_count, ..self }
    }

    /// Whether a time without a row has no events: the answer counts each group of what it reads. It may not by default.
    pub fn absent_is_zero(self, absent_is_zero: bool) -> Self {
        Self {
            absent_is_zero,
            ..self
        }
    }

    /// The chart as the job asks for it.
    pub fn chart(&self) -> &job::Chart {
        &self.chart
    }

    /// Adds a batch of the answer, whose schema passed [`check`].
    pub fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        if self.too_many {
            return Ok(());
        }
        self.read(batch)
            .map(|columns| self.add_rows(columns))
            .map_err(|error| {
                error.during(format_args!(
                    "the chart {} of {}",
                    self.chart.name, self.query
                ))
            })
    }

    /// Reads the chart's columns of a batch, and notes what their types say.
    fn read(&mut self, batch: &RecordBatch) -> Result<BatchColumns> {
        let column = |name: &str| {
            column(batch, name).ok_or_else(|| {
                Error::new(
                    Class::Unexpected,
                    format!("the answer lost its column {name:?}"),
                )
            })
        };
        let x = column(&self.chart.x)?;
        let y = self.chart.y.iter().map(|name| column(name));
        let y: Vec<&ArrayRef> = y.collect::<Result<_>>()?;
        let names = match &self.chart.series {
            Some(series) => Some(texts(column(series)?)?),
            None => None,
        };
        self.x_is_instant |= match x.data_type() {
            DataType::Timestamp(_, zone) => zone.is_some() || self.chart.x == EVENT_TIME,
            _ => false,
        };
        self.x_is_date |= matches!(x.data_type(), DataType::Date32 | DataType::Date64);
        self.x_is_text |= is_text(x.data_type());
        self.whole_numbers &= y.iter().all(|column| column.data_type().is_integer());
        if let Some(counts) = without_level(batch)? {
            let (none, all) = self.without_level.unwrap_or_default();
            self.without_level = Some((none + counts.0, all + counts.1));
        }
        let null = language::none(self.chart.language);
        Ok(BatchColumns {
            x: x_values(x, batch.column_by_name(UTC_OFFSET), null)?,
            y: y.into_iter().map(numbers).collect::<Result<_>>()?,
            names,
            errors: self.errors_column(batch).map(numbers).transpose()?,
        })
    }

    fn add_rows(&mut self, columns: BatchColumns) {
        let combine = self.combine();
        for (new, x) in columns.x.into_iter().enumerate() {
            let name = columns.names.as_ref().map(|names| names[new].clone());
            let Some(row) = self.row(x, name) else {
                return self.drop_rows();
            };
            for (values, column) in self.y.iter_mut().zip(&columns.y) {
                values[row] = combine(values[row], column[new]);
            }
            if let Some(column) = &columns.errors {
                let errors = self.errors.get_or_insert_default();
                errors.resize(self.x.len(), None);
                errors[row] = sum(errors[row], column[new]);
            }
        }
    }

    /// The row of this x and series, or a new one. `None` if there are too many.
    fn row(&mut self, x: XValue, name: Option<Option<String>>) -> Option<usize> {
        let next = self.x.len();
        if let Some(name) = &name {
            let row = *self.row_of.entry((x.clone(), name.clone())).or_insert(next);
            if row < next {
                return Some(row);
            }
        }
        if next == MOST_POINTS {
            return None;
        }
        self.x.push(x);
        self.y.iter_mut().for_each(|values| values.push(None));
        if let (Some(names), Some(name)) = (&mut self.names, name) {
            names.push(name);
        }
        Some(next)
    }

    fn drop_rows(&mut self) {
        *self = Self {
            too_many: true,
            ..Self::new(&self.chart, &self.query)
        };
    }

    /// Whether the answer has no rows.
    pub fn is_empty(&self) -> bool {
        self.x.is_empty()
    }

    /// An error (usage) if the answer has more points than a chart can show.
    pub fn fits(&self) -> Result<()> {
        match self.too_many {
            false => Ok(()),
            true => Err(Error::usage(format!(
                "the chart {} of {} has more than {MOST_POINTS} points: expected an answer that is grouped further",
                self.chart.name, self.query
            ))),
        }
    }

    /// How several values of one category are combined: counts and the parts of a stack by their sum, anything else
    /// (percentiles, for example) by the highest, as its sum has no meaning.
    pub(super) fn combine(&self) -> fn(Option<f64>, Option<f64>) -> Option<f64> {
        match self.adds_up() {
            true => sum,
            false => highest,
        }
    }

    /// Whether the sum of several values has a meaning.
    pub(super) fn adds_up(&self) -> bool {
        self.may_count && (self.chart.kind == ChartKind::StackedBar || self.is_count())
    }

    /// Whether the values are counts.
    pub(super) fn is_count(&self) -> bool {
        self.may_count && self.whole_numbers && self.chart.unit.is_none()
    }

    /// The column of errors: the one that the job names, or one named `errors` beside counts.
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

    /// The name of the column of errors, whether the answer has it or not.
    pub(super) fn errors_name(&self) -> Option<&str> {
        match &self.chart.errors {
            ErrorsColumn::IfCounted => Some(ERRORS),
            ErrorsColumn::Named(name) => Some(name),
            ErrorsColumn::Not => None,
        }
    }

    /// The events without a level and all events, where more than half are without one: "0 errors" then says little.
    pub(super) fn mostly_without_level(&self) -> Option<(f64, f64)> {
        self.without_level.filter(|(none, all)| none * 2.0 > *all)
    }

    /// The errors among each row's value. A column that the job does not name and that exceeds the value counts
    /// something else.
    pub(super) fn errors(&self) -> Option<&[Option<f64>]> {
        let errors = self.errors.as_deref()?;
        let is_part = |(errors, all): (&Option<f64>, &Option<f64>)| {
            errors.unwrap_or(0.0) <= all.unwrap_or(0.0)
        };
        let are_parts = self.chart.errors != ErrorsColumn::IfCounted
            || errors.iter().zip(&self.y[0]).all(is_part);
        are_parts.then_some(errors)
    }

    /// Adds the answer of an earlier window to compare with; `provisional` if that may still change. An error (usage)
    /// if a column of it is missing or has another type.
    pub fn compare_with(
        &mut self,
        window: Window,
        provisional: bool,
        answer: &[RecordBatch],
    ) -> Result<()> {
        let mut data = ChartData::new(&self.chart, &self.query)
            .may_count(self.may_count)
            .absent_is_zero(self.absent_is_zero);
        // The file of an answer does not say that its times are instants.
        data.x_is_instant = self.x_is_instant;
        for batch in answer {
            check(&self.chart, &self.query, batch.schema_ref())?;
            data.add(batch)?;
        }
        data.fits()?;
        self.earlier = Some(Box::new(EarlierData {
            window,
            provisional,
            data,
        }));
        Ok(())
    }

    /// The values of x, instants on the wall clock of the zone unless the column's name says UTC.
    pub(super) fn local_x(&self, zone: Tz) -> Cow<'_, [XValue]> {
        if !self.x_is_instant || is_utc(&self.chart.x) {
            return Cow::Borrowed(&self.x);
        }
        let local = |x: &XValue| match x {
            XValue::Time(utc, _) => {
                let local = utc.and_utc().with_timezone(&zone);
                let offset = local.offset().fix().local_minus_utc();
                XValue::Time(local.naive_local(), Some(offset))
            }
            text => text.clone(),
        };
        self.x.iter().map(local).collect()
    }
}

/// The sum of the values that are known.
pub(super) fn sum(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a + b),
        (one, other) => one.or(other),
    }
}

/// The higher of the values that are known.
fn highest(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.max(b)),
        (one, other) => one.or(other),
    }
}

/// The column of this name, in lower case as an answer's file has it.
fn column<'a>(batch: &'a RecordBatch, name: &str) -> Option<&'a ArrayRef> {
    let fields = batch.schema_ref().fields();
    let place = fields
        .iter()
        .position(|field| field.name().to_lowercase() == name);
    let place = place.or_else(|| batch.schema_ref().index_of(name).ok())?;
    batch.columns().get(place)
}

/// How many events of a batch have no level, and how many there are, where it counts both.
fn without_level(batch: &RecordBatch) -> Result<Option<(f64, f64)>> {
    let count = |name| column(batch, name).filter(|column| column.data_type().is_integer());
    let (Some(none), Some(all)) = (count(NO_LEVEL), count(EVENTS)) else {
        return Ok(None);
    };
    let total = |values: Values| values.into_iter().flatten().sum();
    Ok(Some((total(numbers(none)?), total(numbers(all)?))))
}

fn numbers(column: &ArrayRef) -> Result<Values> {
    let column = cast(column, &DataType::Float64).map_err(unexpected)?;
    Ok(column.as_primitive::<Float64Type>().iter().collect())
}

/// The values of an x column; `null` is the text for NULL.
fn x_values(column: &ArrayRef, offsets: Option<&ArrayRef>, null: &str) -> Result<Vec<XValue>> {
    if is_time(column.data_type()) {
        let ms = DataType::Timestamp(TimeUnit::Millisecond, None);
        let ms = cast(column, &ms).map_err(unexpected)?;
        let ms = ms.as_primitive::<TimestampMillisecondType>();
        let offsets = match offsets {
            Some(offsets) => texts(offsets)?,
            None => vec![None; ms.len()],
        };
        let values = ms.iter().zip(offsets).map(|(ms, offset)| {
            match ms.and_then(DateTime::from_timestamp_millis) {
                Some(at) => XValue::Time(at.naive_utc(), offset.and_then(|text| seconds(&text))),
                None => XValue::Text(null.to_owned()),
            }
        });
        return Ok(values.collect());
    }
    let is_integer = column.data_type().is_integer();
    let values = texts(column)?.into_iter().map(|text| {
        let text = text.unwrap_or_else(|| null.to_owned());
        // Hours of the day have two digits, as on a clock.
        XValue::Text(match is_integer && text.len() == 1 {
            true => format!("0{text}"),
            false => text,
        })
    });
    Ok(values.collect())
}

/// An offset from UTC such as `+09:00`, in seconds.
fn seconds(offset: &str) -> Option<i32> {
    let offset: FixedOffset = offset.parse().ok()?;
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
    // In a dictionary a valid key may point to a NULL.
    let nulls = column.logical_nulls();
    let is_null = |row: usize| nulls.as_ref().is_some_and(|nulls| nulls.is_null(row));
    let texts = (0..column.len()).map(|row| text(row).filter(|_| !is_null(row)));
    Ok(texts.collect())
}

fn unexpected(error: arrow::error::ArrowError) -> Error {
    Error::new(Class::Unexpected, "can't read the values of a column").caused_by(error)
}
