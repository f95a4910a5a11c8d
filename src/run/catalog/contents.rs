//! What the subjects of a catalog hold: exported objects, Parquet files, or both.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use datafusion::catalog::TableProvider;
use object_store::ObjectMeta;

use super::Subject;
use crate::aws::Account;
use crate::error::{Error, Result};
use crate::export::staging::{self, ObjectsThere};
use crate::query::DeferredTable;
use crate::run::Environment;
use crate::run::parquet_files::{FilesOfTable, is_parquet};
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
}

impl Exports {
    fn new(subject: &Subject, listed: Option<(Store, ObjectsThere)>) -> Self {
        Self {
            subject: subject.clone(),
            listed: Mutex::new(listed),
        }
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
        let Subject::Location(location) = subject else {
            contents.exports.push(Exports::new(subject, None));
            continue;
        };
        let store = environment.stores.open(location, Account::Source).await?;
        let (objects, parquet) = listed(&store).await?;
        if parquet.is_empty() || !objects.objects.is_empty() {
            let listed = Some((store.clone(), objects.ensure_any(&store)?));
            contents.exports.push(Exports::new(subject, listed));
        }
        for (name, table) in FilesOfTable::group(&store, parquet) {
            contents.files.push((name, Arc::new(Files(table))));
        }
    }
    Ok(contents)
}

/// The exported objects and the Parquet files of a location, which may be one file.
async fn listed(store: &Store) -> Result<(ObjectsThere, Vec<ObjectMeta>)> {
    let root = store.root();
    let mut listed = staging::objects_and_others(store, root, None, is_parquet).await?;
    let (objects, parquet) = &mut listed;
    if objects.objects.is_empty()
        && parquet.is_empty()
        && is_parquet(root)
        && let Some(file) = store.head(root).await?
    {
        parquet.push(file);
    }
    Ok(listed)
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
