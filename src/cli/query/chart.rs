//! `query --chart`: an answer drawn in the terminal, or into a PNG or SVG.

use std::path::Path;

use arrow::datatypes::Schema;
use datafusion::execution::SendableRecordBatchStream;
use futures::StreamExt;

use crate::chart::build::{self, AdHocCaption, ChartData};
use crate::chart::model::Figure;
use crate::chart::terminal;
use crate::chart::text::normalize;
use crate::error::{Error, Result};
use crate::job::{self, ChartKind, ImageFormat, Language, Name, ValueScale};
use crate::output::columns::sql_type;
use crate::query::Statement;

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

/// How the values of a line chart are spaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Scale {
    /// Evenly
    Linear,
    /// By their orders of magnitude, so that small values stay readable beside a very large one
    Log,
}

/// The format of the image to write. An error (usage) if the file's name is that of an image without `--chart`, or the
/// other way round.
pub fn image_format(chart: Option<Drawing>, output: Option<&str>) -> Result<Option<ImageFormat>> {
    let Some(output) = output.filter(|output| *output != "-") else {
        return Ok(None);
    };
    let extension = Path::new(output)
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
            "--output {output} is a picture: expected --chart bar, line or heatmap with it"
        ))),
        (Some(_), None) => Err(Error::usage(format!(
            "--output {output} is no picture: expected a name that ends with .png or .svg"
        ))),
        (_, image) => Ok(image),
    }
}

/// How an answer is to be drawn.
pub struct Look {
    pub drawing: Drawing,
    pub scale: Option<Scale>,
    pub language: Language,
}

/// The chart of an answer; `None` if that has no rows.
pub async fn of(
    statement: &Statement,
    mut batches: SendableRecordBatchStream,
    look: &Look,
    caption: &AdHocCaption<'_>,
) -> Result<Option<Figure>> {
    let schema = statement.schema();
    let chart = job::Chart {
        language: look.language,
        y_scale: match look.scale {
            Some(Scale::Log) => ValueScale::Log,
            Some(Scale::Linear) | None => ValueScale::Linear,
        },
        ..columns(&schema, look.drawing)?
    };
    build::check(&chart, "the question", &schema)?;
    // Only values that surely add up get a total.
    let adds_up = statement.adds_up(&chart.y) == Some(true);
    let mut data = ChartData::new(&chart, "the question")
        .may_count(adds_up)
        .absent_is_zero(adds_up && statement.has_every_group());
    while let Some(batch) = batches.next().await {
        data.add(&batch.map_err(Error::from_engine)?)?;
    }
    data.fits().map_err(|_| {
        Error::usage("the answer has too many points to draw: expected one that is grouped further")
    })?;
    Ok((!data.is_empty()).then(|| data.ad_hoc_figure(caption)))
}

/// The sentence in place of a chart of no rows.
pub fn no_rows(language: Language) -> &'static str {
    build::no_rows(language)
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
    let series = rest().find(|field| build::is_text(field.data_type()));
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

/// The image's bytes.
pub fn image(figure: &Figure, format: ImageFormat) -> Result<Vec<u8>> {
    figure.warn_of_missing_glyphs();
    figure.encode(format)
}

/// The figure in blocks, below its title and totals, and with its source at the end.
pub fn in_terminal(figure: &Figure) -> String {
    let heading = [&figure.title, &figure.subtitle].map(|text| normalize(text));
    let mut out = String::new();
    for line in heading.iter().filter(|line| !line.is_empty()) {
        out += line;
        out.push('\n');
    }
    out += &terminal::draw(figure, terminal::width());
    out + &normalize(&figure.footer) + "\n"
}
