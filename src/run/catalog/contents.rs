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
use crate::export::staging::{self, ObjectsThere};
use crate::job::OriginColumns;
use crate::layout;
use crate::layout::cloudwatch::{LogObject, ObjectFormat};
use crate::layout::subscription;
use crate::query::DeferredTable;
use crate::run::Environment;
use crate::run::parquet_files::{FilesOfTable, is_parquet};
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
    /// The exported objects, and those of subscriptions.
    pub(super) objects: ObjectsThere,
    parquet: Vec<ObjectMeta>,
    origins: OriginColumns,
}

/// The exported objects and the Parquet files of a location, which may be one file.
pub(super) async fn listed(store: &Store) -> Result<Listed> {
    let root = store.root();
    let wanted = |key: &Path| is_parquet(key) || is_of_firehose(key);
    let listed = staging::objects_and_others(store, root, None, wanted).await?;
    let (mut objects, mut others) = listed;
    if objects.objects.is_empty()
        && others.is_empty()
        && wanted(root)
        && let Some(file) = store.head(root).await?
    {
        others.push(file);
    }
    let (parquet, of_firehose) = others
        .into_iter()
        .partition(|meta| is_parquet(&meta.location));
    let mut origins = OriginColumns::default();
    if let Some(all) = with_records(store, &objects.objects, of_firehose).await? {
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

/// As much of an object is read to find out whether it is of a subscription.
const HEAD: u64 = 64 << 10;

/// The objects, with those of a subscription as such: all that no export task has named, if the last of them, or the
/// first, has records. `None` where there is no subscription.
async fn with_records(
    store: &Store,
    exported: &[LogObject],
    of_firehose: Vec<ObjectMeta>,
) -> Result<Option<Vec<LogObject>>> {
    let is_export = |object: &&LogObject| {
        object.parts_of_task().is_some() || layout::is_in_attempt(&object.key())
    };
    let exports: Vec<&LogObject> = exported.iter().filter(is_export).collect();
    let unnamed = exported.iter().filter(|object| !is_export(object));
    let unnamed = unnamed.map(LogObject::meta).chain(of_firehose);
    let mut candidates: Vec<ObjectMeta> = unnamed
        .filter(|meta| {
            let key = layout::relative(store.root(), &meta.location);
            let is_root = key.is_empty();
            meta.size > 0 && (is_root || subscription::may_have_records(&key))
        })
        .collect();
    candidates.sort_by(|a, b| a.location.cmp(&b.location));
    let ends = [candidates.last(), candidates.first()];
    let mut has_records = false;
    for meta in ends.into_iter().flatten() {
        if has_records {
            break;
        }
        let head = store
            .beginning_of(&meta.location, HEAD.min(meta.size))
            .await;
        // A query that reads the object says what is wrong.
        let head = head.inspect_err(|error| tracing::debug!("{error}"));
        let head = head.unwrap_or_default();
        has_records = begins_with_record(&head_of_text(&head));
    }
    if !has_records {
        return Ok(None);
    }
    let mut objects: Vec<LogObject> = exports.into_iter().cloned().collect();
    for meta in &candidates {
        let before = objects.last();
        let object = LogObject::in_format(ObjectFormat::Records, before, meta, None);
        objects.push(object);
    }
    objects.sort_by(LogObject::cmp_key);
    Ok(Some(objects))
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
