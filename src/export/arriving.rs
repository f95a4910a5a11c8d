//! Sources whose objects other programs write at any time: which of them are of a range of time, and what is said where none is.

use std::time::Duration;

use async_trait::async_trait;
use chrono::DateTime;
use object_store::path::Path;

use super::delivered::DeliveredSource;
use super::subscription::SubscriptionSource;
use super::{Exported, ExportedGroup, LogExporter, There};
use crate::error::Result;
use crate::job::Source;
use crate::layout::cloudwatch::LogObject;
use crate::numbers::counted;
use crate::store::Store;
use crate::window::{Range, Window};

/// Objects of a subscription, or of delivered logs.
#[derive(Debug)]
pub struct Delivered {
    /// By key.
    pub objects: Vec<LogObject>,
    /// A note on keys that can't be read.
    pub note: Option<String>,
}

impl Delivered {
    /// The objects as the export of a window that is read where it is.
    fn in_place(self, store: &Store, log_group: Option<&str>) -> Exported {
        let Self { objects, note } = self;
        let group = ExportedGroup {
            log_group: log_group.map(str::to_owned),
            task_id: None,
            prefix: store.root().clone(),
            reused: true,
            outlives: false,
            as_of: objects.iter().map(|object| object.last_modified).max(),
            notes: note.into_iter().collect(),
            stretch: None,
            objects,
        };
        Exported {
            groups: vec![group],
            ..Exported::default()
        }
    }
}

/// A source whose objects arrive one after the other.
#[async_trait]
pub trait Arriving: LogExporter {
    /// Where they arrive.
    fn store(&self) -> &Store;

    /// The log group of all events, as far as the job says it.
    fn log_group(&self) -> Option<&str>;

    /// How long before and behind a window its events arrive.
    fn pads(&self) -> (Duration, Duration);

    /// The objects that arrived in a range of time, by key, of which there may be none; and what was left out of the listing.
    ///
    /// # Errors
    /// `Source`: the location can't be listed.
    async fn arrived(&self, range: Range) -> Result<Delivered>;

    /// Of some objects, those that are read for each window.
    fn of_windows(&self, objects: &[LogObject], windows: &[Range]) -> Vec<Vec<LogObject>>;

    /// The last object of the source in the order of keys. Only few folders are listed where there is one.
    ///
    /// # Errors
    /// `Usage`: the location has no object of the source at all. `Source`: it can't be listed.
    async fn last(&self) -> Result<Path>;

    /// Whether an object arrived so well within a window that events of it are expected.
    fn is_within(&self, object: &LogObject, window: Range) -> bool;

    /// What the times of some objects say of the settings of the job, where they can't be right.
    fn wrong_times(&self, _objects: &[LogObject]) -> Option<String> {
        None
    }

    /// Which settings are to be looked at where events are missing, in words that go on after "expected".
    fn settings_of_time(&self) -> String;
}

/// The source of a job, where it is one whose objects arrive.
pub fn arriving(source: &Source, store: &Store) -> Option<Box<dyn Arriving>> {
    match source {
        Source::Subscription(settings) => Some(Box::new(SubscriptionSource::new(
            store.clone(),
            settings.clone(),
        ))),
        Source::Delivered(settings) => Some(Box::new(DeliveredSource::new(
            store.clone(),
            settings.clone(),
        ))),
        Source::CloudWatch(_) | Source::Directory { .. } | Source::Exported { .. } => None,
    }
}

/// When the events of a range of time arrive.
pub fn arrival_of(source: &dyn Arriving, range: Range) -> Range {
    let (pad, pad_after) = source.pads();
    range.padded(pad, pad_after)
}

/// How much of a window is there.
///
/// # Errors
/// As of [`Arriving::arrived`].
pub async fn there(source: &dyn Arriving, window: &Window) -> Result<There> {
    let arrived = arrival_of(source, window.range());
    let delivered = source.arrived(arrived).await?;
    Ok(There::of(&delivered.objects))
}

/// The objects of a window, read where they are, with notes on what is wrong with their times.
///
/// # Errors
/// `Usage`: the location has no object of the source at all. `Source`: it can't be listed.
pub async fn exported(source: &dyn Arriving, window: &Window) -> Result<Exported> {
    let arrived = arrival_of(source, window.range());
    let delivered = source.arrived(arrived).await?;
    let note = note_on(source, arrived, &delivered.objects).await?;
    let mut exported = delivered.in_place(source.store(), source.log_group());
    if let Some(note) = note {
        exported.note(note);
    }
    Ok(exported)
}

/// What is to be noted of the objects that arrived in a range of time: that there are none, or that their times can't be right.
///
/// # Errors
/// `Usage`: the location has no object of the source at all. `Source`: it can't be listed.
pub async fn note_on(
    source: &dyn Arriving,
    arrived: Range,
    objects: &[LogObject],
) -> Result<Option<String>> {
    if !objects.is_empty() {
        return Ok(source.wrong_times(objects));
    }
    let last = source.last().await?;
    let instants = instant(arrived.start_ms).zip(instant(arrived.end_ms));
    let when = instants.map_or("any time".to_owned(), |(start, end)| {
        format!("{start} to {end}")
    });
    Ok(Some(without_objects(source, &when, &last)))
}

/// The note where no object is of a time, of which there are others.
pub fn without_objects(source: &dyn Arriving, when: &str, last: &Path) -> String {
    let store = source.store();
    format!(
        "{} has no object of {when}, and others, the last of which is {}: if there were events, expected {}",
        store.location(),
        store.display(last),
        source.settings_of_time()
    )
}

/// The note where objects arrived within a window and none of its events is in them: their keys and their events are not of one time.
/// Where nothing arrived within the window, nothing is wrong.
pub fn without_events(
    source: &dyn Arriving,
    window: &Window,
    objects: &[LogObject],
) -> Option<String> {
    let range = window.range();
    let within = objects
        .iter()
        .filter(|object| object.size > 0 && source.is_within(object, range));
    let within: Vec<&LogObject> = within.collect();
    let first = within.first()?;
    let (count, which) = match within.len() {
        1 => ("1 object".to_owned(), "it has no event"),
        several => (
            counted(several as u64, "object"),
            "none of them has an event",
        ),
    };
    Some(format!(
        "{count} of {} arrived within {}, and {which} of it, such as {}: expected {}. Messages of a test, and older events alone, are no fault",
        source.store().location(),
        window.id(),
        source.store().display(&first.key()),
        source.settings_of_time()
    ))
}

/// An instant for messages, to the minute; `None` of all time.
fn instant(ms: i64) -> Option<String> {
    let at = DateTime::from_timestamp_millis(ms)?;
    Some(at.format("%Y-%m-%dT%H:%MZ").to_string())
}
