//! The answers of earlier windows that charts are compared with, such as those of the same weekday a week before.
//!
//! A chart is complete without them: an answer that is of other SQL or other events, or can't be read, is left out with a
//! warning, and one that does not exist silently.

use arrow::array::RecordBatch;
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::errors::ParquetError;
use sha2::{Digest, Sha256};

use super::Output;
use super::fingerprint::{hex, source_fingerprint};
use super::history::read_receipt;
use crate::chart::build::ChartData;
use crate::error::Result;
use crate::job::{Compare, Job, Query};
use crate::output::parquet::SQL_SHA256;
use crate::receipt::Receipt;
use crate::window::{Size, Window};

/// Gives the charts of a query their earlier answers. An error if the output location can't be read.
pub async fn compare_with_earlier(
    output: &Output,
    job: &Job,
    window: &Window,
    query: &Query,
    series: &mut [ChartData],
) -> Result<()> {
    for series in series {
        let Some(compare) = series.chart().compare else {
            continue;
        };
        let compared = match earlier_answer(output, job, window, query, compare).await? {
            Earlier::Answer {
                window,
                provisional,
                batches,
            } => series
                .compare_with(window, provisional, &batches)
                .map_err(|error| format!("the earlier answer can't be used: {error}")),
            Earlier::Unusable(why) => Err(why),
            Earlier::Absent(_) => Ok(()),
        };
        if let Err(why) = compared {
            tracing::warn!(query = query.name.as_str(), "not compared: {why}");
        }
    }
    Ok(())
}

/// The answer of an earlier window.
pub(super) enum Earlier {
    /// It is there, and of the same query over the same source.
    Answer {
        /// Its window.
        window: Window,
        /// Whether late events could change it.
        provisional: bool,
        /// Its rows.
        batches: Vec<RecordBatch>,
    },
    /// There is something else; why it can't be compared with.
    Unusable(String),
    /// There is none, and why.
    Absent(String),
}

/// The answer of the window that is `compare` before `window`. An error if the output location can't be read.
pub(super) async fn earlier_answer(
    output: &Output,
    job: &Job,
    window: &Window,
    query: &Query,
    compare: Compare,
) -> Result<Earlier> {
    let Some(earlier) = before(window, compare) else {
        let why = format!("the zone has no window {} before this one", compare.span);
        return Ok(Earlier::Absent(why));
    };
    let key = output.keys.answer(query.name.as_str(), &earlier);
    let Some(file) = output.store.get(&key).await? else {
        let why = format!("there is no answer of {}", earlier.id());
        return Ok(Earlier::Absent(why));
    };
    let answer = output.store.display(&key);
    let Some(receipt) = read_receipt(output, &earlier).await? else {
        let why = format!("no receipt says what the earlier answer {answer} is of");
        return Ok(Earlier::Unusable(why));
    };
    if let Some(difference) = other_events(&receipt, job) {
        return Ok(Earlier::Unusable(format!("{difference} ({answer})")));
    }
    Ok(match read(file) {
        Ok((sql, _)) if sql.as_deref() != Some(hash(&query.sql).as_str()) => {
            Earlier::Unusable(format!("the earlier answer is of other SQL ({answer})"))
        }
        Ok((_, batches)) => Earlier::Answer {
            window: earlier,
            provisional: receipt.window.provisional,
            batches,
        },
        Err(error) => Earlier::Unusable(format!(
            "the earlier answer {answer} can't be read: {error}"
        )),
    })
}

/// How the source of an earlier run differs from the job's, if it does.
pub(super) fn other_events(receipt: &Receipt, job: &Job) -> Option<String> {
    let zone = job.timezone.name();
    if receipt.window.timezone != zone {
        return Some(format!(
            "the earlier answer is of the zone {}, this one of {zone}",
            receipt.window.timezone
        ));
    }
    (receipt.source_sha256 != source_fingerprint(job))
        .then(|| "the earlier answer is of other log groups or another source".to_owned())
}

/// The window `compare.windows` steps earlier; `None` if the zone skipped it.
pub(super) fn before(window: &Window, compare: Compare) -> Option<Window> {
    earlier(window, compare.windows)
}

/// The same window a week before, with the same weekday and hour; `None` for months, and where the zone skipped it.
pub(super) fn week_before(window: &Window) -> Option<Window> {
    let windows = match window.size() {
        Size::Hour => 7 * 24,
        Size::Day => 7,
        Size::Week => 1,
        Size::Month => return None,
    };
    earlier(window, windows)
}

fn earlier(window: &Window, windows: i32) -> Option<Window> {
    let unit = window.unit().step(window.size(), -windows)?;
    Window::new(window.size(), window.zone(), unit).ok()
}

fn hash(sql: &str) -> String {
    hex(&Sha256::digest(sql))
}

/// The hash of the SQL that an answer is of, and its rows.
fn read(file: Bytes) -> Result<(Option<String>, Vec<RecordBatch>), ParquetError> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(file)?;
    let metadata = reader.metadata().file_metadata().key_value_metadata();
    let sql = metadata
        .into_iter()
        .flatten()
        .find(|pair| pair.key == SQL_SHA256);
    let sql = sql.and_then(|pair| pair.value.clone());
    let batches = reader.build()?.collect::<Result<_, _>>()?;
    Ok((sql, batches))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_before_is_of_the_calendar() {
        let compare = |span: &str, size| {
            let span: crate::window::Span = span.parse().unwrap();
            let windows = span.windows(size).unwrap();
            Compare { span, windows }
        };
        let new_york = chrono_tz::America::New_York;
        for (size, id, span, expected) in [
            (Size::Day, "2026-11-21", "7 days", Some("2026-11-14")),
            (Size::Hour, "2026-11-21T05", "7 days", Some("2026-11-14T05")),
            (Size::Week, "2026-W01", "1 week", Some("2025-W52")),
            (Size::Month, "2026-03", "1 month", Some("2026-02")),
            // That hour was skipped.
            (Size::Hour, "2026-03-15T02", "7 days", None),
        ] {
            let window = Window::parse(size, new_york, id).unwrap();
            let earlier = before(&window, compare(span, size)).map(|window| window.id());
            assert_eq!(earlier.as_deref(), expected, "{id}");
        }
    }

    #[test]
    fn what_is_no_parquet_is_an_error() {
        assert!(read(Bytes::from_static(b"PAR1 and not much more")).is_err());
    }
}
