//! What the subjects of a catalog hold: exported objects, Parquet files, or both.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use chrono_tz::Tz;
use datafusion::catalog::TableProvider;
use object_store::ObjectMeta;
use object_store::path::Path;

use super::Subject;
use crate::aws::Account;
use crate::error::{Error, Result};
use crate::export::delivered;
use crate::export::staging::{self, ObjectsThere};
use crate::job::OriginColumns;
use crate::layout;
use crate::layout::cloudwatch::{LogObject, ObjectFormat};
use crate::layout::delivered::may_have_events;
use crate::layout::subscription;
use crate::numbers::counted;
use crate::query::DeferredTable;
use crate::run::Environment;
use crate::run::parquet_files::{FilesOfTable, is_parquet};
use crate::scan::delivered::begins_with_event;
use crate::scan::layers::head_of_text;
use crate::scan::records::begins_with_record;
use crate::store::Store;

/// What some subjects hold.
pub(super) struct Contents {
    /// Those with exported objects.
    pub(super) exports: Vec<Exports>,
    /// The tables of Parquet files, by name.
    pub(super) files: Vec<(String, Arc<dyn DeferredTable>)>,
}

/// A subject with exported objects.
pub(super) struct Exports {
    pub(super) subject: Subject,
    /// The objects of a location, which was listed to find out what it holds, until they are a table.
    listed: Mutex<Option<(Store, ObjectsThere)>>,
    origins: OriginColumns,
}

impl Exports {
    fn new(
        subject: &Subject,
        origins: OriginColumns,
        listed: Option<(Store, ObjectsThere)>,
    ) -> Self {
        Self {
            subject: subject.clone(),
            listed: Mutex::new(listed),
            origins,
        }
    }

    /// The columns of `logs` that say where its events come from.
    pub(super) fn origins(&self) -> OriginColumns {
        self.origins
    }

    /// The objects that were listed, once.
    pub(super) fn take_listed(&self) -> Option<(Store, ObjectsThere)> {
        let mut listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner);
        listed.take()
    }
}

/// Finds out what the subjects hold. A location is listed; one that holds neither is an error (usage).
pub(super) async fn of(environment: &Environment, subjects: &[Subject]) -> Result<Contents> {
    if subjects.is_empty() {
        return Err(Error::usage("no job or location: expected at least one"));
    }
    let mut contents = Contents {
        exports: Vec::new(),
        files: Vec::new(),
    };
    for subject in subjects {
        let location = match subject {
            Subject::Location(location) => location,
            Subject::Job(job) => {
                let origins = job.origins();
                contents.exports.push(Exports::new(subject, origins, None));
                continue;
            }
        };
        let store = environment.stores.open(location, Account::LOGS).await?;
        let Listed {
            objects,
            parquet,
            origins,
        } = listed(&store).await?;
        if parquet.is_empty() || !objects.objects.is_empty() {
            let listed = Some((store.clone(), objects.ensure_any(&store)?));
            contents
                .exports
                .push(Exports::new(subject, origins, listed));
        }
        for (name, table) in FilesOfTable::group(&store, parquet) {
            contents.files.push((name, Arc::new(Files(table))));
        }
    }
    Ok(contents)
}

/// What is in a location.
pub(super) struct Listed {
    /// The exported objects, and those of subscriptions and of delivered logs.
    pub(super) objects: ObjectsThere,
    parquet: Vec<ObjectMeta>,
    origins: OriginColumns,
}

/// The exported objects and the Parquet files of a location, which may be one file.
pub(super) async fn listed(store: &Store) -> Result<Listed> {
    let root = store.root();
    let wanted = |key: &Path| is_parquet(key) || may_have_events(key.as_ref());
    let listed = staging::objects_and_others(store, root, None, wanted).await?;
    let (mut objects, mut others) = listed;
    if objects.objects.is_empty()
        && others.is_empty()
        && wanted(root)
        && let Some(file) = store.head(root).await?
    {
        others.push(file);
    }
    let (parquet, arrived): (Vec<_>, Vec<_>) = others
        .into_iter()
        .partition(|meta| is_parquet(&meta.location));
    let mut origins = OriginColumns::default();
    if let Some(all) = with_arrived(store, &objects.objects, arrived).await? {
        objects.objects = all;
        origins.account = true;
    }
    Ok(Listed {
        objects,
        parquet,
        origins,
    })
}

/// Whether Firehose has named the object.
fn is_of_firehose(key: &Path) -> bool {
    let name = key.filename().unwrap_or_default();
    subscription::arrival(key, Tz::UTC).is_some() && subscription::may_have_records(name)
}

/// Whether an object is one of Lambda's logs of the class Delivery, by its name.
fn is_of_lambda(key: &Path) -> bool {
    let name = key.filename().unwrap_or_default();
    name.ends_with(".log.zst") || name.starts_with('_') && name.ends_with(".log.gz")
}

/// As much of an object is read to find out what it holds.
const HEAD: u64 = 64 << 10;

/// What objects hold that no export task has named.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Arrived {
    /// Records of a subscription.
    Records,
    /// Delivered logs.
    Delivered,
}

/// What an object holds, as its name says.
fn of_name(key: &Path) -> Option<Arrived> {
    if is_of_firehose(key) {
        Some(Arrived::Records)
    } else if is_of_lambda(key) {
        Some(Arrived::Delivered)
    } else {
        None
    }
}

/// The objects, with those of a subscription or of delivered logs as such: all that no export task has named, if the last of them, or
/// the first, has records or events. `None` where there are none. Objects of names that neither Firehose nor Lambda gives, and that do
/// not end with `.gz`, are looked at where there are no others.
async fn with_arrived(
    store: &Store,
    exported: &[LogObject],
    arrived: Vec<ObjectMeta>,
) -> Result<Option<Vec<LogObject>>> {
    let is_export = |object: &&LogObject| {
        object.parts_of_task().is_some() || layout::is_in_attempt(&object.key())
    };
    let exports: Vec<&LogObject> = exported.iter().filter(is_export).collect();
    let unnamed = exported.iter().filter(|object| !is_export(object));
    let unnamed = unnamed.map(LogObject::meta).chain(arrived);
    let mut candidates: Vec<ObjectMeta> = unnamed
        .filter(|meta| {
            let key = layout::relative(store.root(), &meta.location);
            let is_root = key.is_empty();
            let may_have = subscription::may_have_records(&key) || is_of_lambda(&meta.location);
            meta.size > 0 && (is_root || may_have)
        })
        .collect();
    candidates.sort_by(|a, b| a.location.cmp(&b.location));
    let is_known = |meta: &ObjectMeta| {
        let key = &meta.location;
        key.as_ref().ends_with(".gz") || of_name(key).is_some()
    };
    let (known, unknown): (Vec<_>, Vec<_>) = candidates.into_iter().partition(is_known);
    let (candidates, left_out) = match known.is_empty() && exports.is_empty() {
        true => (unknown, Vec::new()),
        false => (known, unknown),
    };
    let ends = [candidates.last(), candidates.first()];
    let mut found = None;
    for meta in ends.into_iter().flatten() {
        if found.is_some() {
            break;
        }
        let head = store
            .beginning_of(&meta.location, HEAD.min(meta.size))
            .await;
        // A query that reads the object says what is wrong.
        let head = head.inspect_err(|error| tracing::debug!("{error}"));
        let head = head.unwrap_or_default();
        let text = head_of_text(&head);
        found = if begins_with_record(&text) {
            Some(Arrived::Records)
        } else if begins_with_event(&text) {
            Some(Arrived::Delivered)
        } else {
            None
        };
    }
    // A query says what is wrong with an object that only its name shows to be one of these.
    let named = || candidates.iter().find_map(|meta| of_name(&meta.location));
    let Some(found) = found.or_else(named) else {
        return Ok(None);
    };
    if let Some(first) = left_out.first() {
        let kind = match found {
            Arrived::Records => "subscription",
            Arrived::Delivered => "delivered",
        };
        tracing::warn!(
            "{}: {} not read, such as {}, as their names are neither those of Firehose or Lambda nor end with .gz: a job with [source] kind = \"{kind}\" reads all",
            store.location(),
            counted_are(left_out.len()),
            layout::relative(store.root(), &first.location)
        );
    }
    let mut objects: Vec<LogObject> = exports.into_iter().cloned().collect();
    for meta in &candidates {
        let before = objects.last();
        let object = match found {
            Arrived::Records => LogObject::in_format(ObjectFormat::Records, before, meta, None),
            Arrived::Delivered => delivered::object(before, meta, None),
        };
        objects.push(object);
    }
    objects.sort_by(LogObject::cmp_key);
    Ok(Some(objects))
}

/// `1 object is`, `2 objects are`
fn counted_are(objects: usize) -> String {
    let verb = if objects == 1 { "is" } else { "are" };
    format!("{} {verb}", counted(objects as u64, "object"))
}

/// A table of files whose columns are read when a query names it.
struct Files(FilesOfTable);

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Files")
    }
}

#[async_trait]
impl DeferredTable for Files {
    async fn open(&self) -> Result<Arc<dyn TableProvider>> {
        self.0.clone().table().await
    }
}
