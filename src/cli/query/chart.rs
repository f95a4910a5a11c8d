//! `query --chart`: an answer drawn in the terminal, or into a PNG or SVG.

use std::path::Path;

use arrow::datatypes::{DataType, Schema};
use futures::StreamExt;

use super::QueryResult;
use crate::chart::build::{self, ChartData};
use crate::chart::model::Figure;
use crate::chart::terminal;
use crate::chart::text::normalize;
use crate::error::{Error, Result};
use crate::job::{self, ChartKind, ImageFormat, Name};
use crate::output::columns::sql_type;
use crate::query::Session;

/// Columns of the table `hours` that repeat its first in other forms.
const SAME_AS_THE_HOUR: [&str; 4] = ["hour_local", "utc_offset", "hour_utc", "hour_of_day"];

/// What an answer can be drawn as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Drawing {
    /// A bar for each row
    Bar,
    /// A line for each column of numbers, or each series
    Line,
    /// The hours of each day in a row
    Heatmap,
}

/// The format of the image to write. An error (usage) if the file's name is that of an image without `--chart`, or the
/// other way round.
pub fn image_format(chart: Option<Drawing>, output: Option<&Path>) -> Result<Option<ImageFormat>> {
    let Some(output) = output else {
        return Ok(None);
    };
    let extension = output
        .extension()
        .map(|extension| extension.to_ascii_lowercase());
    let image = [ImageFormat::Png, ImageFormat::Svg]
        .into_iter()
        .find(|format| {
            extension
                .as_ref()
                .is_some_and(|name| name == format.extension())
        });
    match (chart, image) {
        (None, Some(_)) => Err(Error::usage(format!(
            "--output {} is a picture: expected --chart bar, line or heatmap with it",
            output.display()
        ))),
        (Some(_), None) => Err(Error::usage(format!(
            "--output {} is no picture: expected a name that ends with .png or .svg",
            output.display()
        ))),
        (_, image) => Ok(image),
    }
}

/// The chart of an answer.
pub async fn of(
    mut result: QueryResult,
    drawing: Drawing,
    session: &Session,
    title: &str,
) -> Result<Figure> {
    let schema = result.statement.schema();
    let chart = columns(&schema, drawing)?;
    build::check(&chart, "the question", &schema)?;
    // Only values that surely add up get a total.
    let adds_up = result.statement.adds_up(&chart.y) == Some(true);
    let mut data = ChartData::new(&chart, "the question").may_count(adds_up);
    while let Some(batch) = result.batches.next().await {
        data.add(&batch.map_err(Error::from_engine)?)?;
    }
    data.fits().map_err(|_| {
        Error::usage("the answer has too many points to draw: expected one that is grouped further")
    })?;
    Ok(data.ad_hoc_figure(session.timezone(), session.range(), title))
}

/// The columns to draw: the first along the x axis, those of numbers upwards, a text beside them as series.
fn columns(schema: &Schema, drawing: Drawing) -> Result<job::Chart> {
    let Some(x) = schema.fields().first() else {
        return Err(Error::usage("the answer has no columns to draw"));
    };
    let is_hour = SAME_AS_THE_HOUR.contains(&x.name().as_str());
    let rest = || {
        let rest = schema.fields().iter().skip(1);
        rest.filter(|field| !(is_hour && SAME_AS_THE_HOUR.contains(&field.name().as_str())))
    };
    let mut y: Vec<String> = rest()
        .filter(|field| field.data_type().is_numeric())
        .map(|field| field.name().clone())
        .collect();
    let series = rest().find(|field| is_text(field.data_type()));
    if y.is_empty() {
        let names: Vec<&str> = schema
            .fields()
            .iter()
            .map(|field| field.name().as_str())
            .collect();
        return Err(Error::usage(format!(
            "the answer has the columns {}: to draw it, expected one for the x axis first and at least one of numbers behind it",
            names.join(", ")
        )));
    }
    if drawing == Drawing::Heatmap && series.is_none() && !build::is_time(x.data_type()) {
        return Err(Error::usage(format!(
            "--chart heatmap: the first column {:?} is {}: expected a time, whose days are the rows, or a column of text behind it, which names the rows",
            x.name(),
            sql_type(x.data_type())
        )));
    }
    let kind = match (drawing, series) {
        (Drawing::Bar, None) => ChartKind::Bar,
        (Drawing::Bar, Some(_)) => ChartKind::StackedBar,
        (Drawing::Line, _) => ChartKind::Line,
        (Drawing::Heatmap, _) => ChartKind::Heatmap,
    };
    if kind != ChartKind::Line || series.is_some() {
        y.truncate(1);
    }
    let name = Name::new("question").map_err(Error::usage)?;
    Ok(job::Chart {
        y,
        series: series.map(|field| field.name().clone()),
        ..job::Chart::new(name, kind, x.name(), "")
    })
}

fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => is_text(values),
        other => other.is_string(),
    }
}

/// The image's bytes.
pub fn image(figure: &Figure, format: ImageFormat) -> Result<Vec<u8>> {
    figure.warn_of_missing_glyphs();
    figure.encode(format)
}

/// The figure in blocks, below its totals.
pub fn in_terminal(figure: &Figure) -> String {
    let drawn = terminal::draw(figure, terminal::width());
    match normalize(&figure.subtitle).as_str() {
        "" => drawn,
        subtitle => format!("{subtitle}\n{drawn}"),
    }
}
