//! Lookup tables, opened: the only data beside logs and answers that SQL can reach.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::TableProvider;
use datafusion::common::runtime::SpawnedTask;
use object_store::ObjectMeta;
use sha2::{Digest, Sha256};

use super::fingerprint::hex;
use super::parquet_files::{FilesOfTable, is_parquet};
use super::{Environment, open};
use crate::aws::Account;
use crate::error::{Class, Error, Result};
use crate::job::{Job, LookupTable};
use crate::query::lookup::{self, LookupText, MAX_TEXT_BYTES, TextFormat};
use crate::query::{DeferredTable, Session, TableKind};
use crate::receipt::LookupReport;
use crate::store::Store;

/// How a job file names a lookup table.
pub(super) const OF_JOB: &str = "[[table]]";

/// The lookup tables of a job.
#[derive(Debug, Clone, Default)]
pub struct Lookups(Vec<Lookup>);

/// A lookup table with its content.
#[derive(Clone)]
struct Lookup {
    table: Arc<dyn TableProvider>,
    report: LookupReport,
}

impl fmt::Debug for Lookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lookup({:?})", self.report)
    }
}

impl Lookups {
    /// Opens the lookup tables of a job. Texts are read, of Parquet only the columns.
    ///
    /// # Errors
    /// `Usage` for a path that does not exist or has no such file, `Damaged` with file and line for what can't be read,
    /// `Source` for a bucket that refuses.
    pub async fn open(environment: &Environment, job: &Job) -> Result<Self> {
        let mut lookups = Vec::new();
        for table in &job.tables {
            lookups.push(open_table(environment, table, Account::of_tables(job), OF_JOB).await?);
        }
        Ok(Self(lookups))
    }

    /// Adds the tables to a session.
    pub(super) fn add_to(&self, session: &Session) {
        for Lookup { table, report } in &self.0 {
            session.add_table(&report.name, TableKind::Lookup, Arc::clone(table));
        }
    }

    /// What they are of, for the receipt.
    pub(super) fn reports(&self) -> Vec<LookupReport> {
        self.0.iter().map(|lookup| lookup.report.clone()).collect()
    }
}

/// A lookup table that is opened when a query names it.
pub(super) struct DeferredLookup {
    pub(super) environment: Environment,
    pub(super) table: LookupTable,
    pub(super) account: Account,
    /// Where the table is named, for errors.
    pub(super) named_by: &'static str,
}

impl fmt::Debug for DeferredLookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeferredLookup({:?})", self.table)
    }
}

#[async_trait]
impl DeferredTable for DeferredLookup {
    async fn open(&self) -> Result<Arc<dyn TableProvider>> {
        let opened =
            open_table(&self.environment, &self.table, self.account, self.named_by).await?;
        Ok(opened.table)
    }
}

async fn open_table(
    environment: &Environment,
    table: &LookupTable,
    account: Account,
    named_by: &str,
) -> Result<Lookup> {
    let key = format!("{named_by} {}", table.name);
    let store = open(environment, &table.path, account, &key).await?;
    let files = files_of(&store, table)
        .await
        .map_err(|error| error.during(&key))?;
    let location = table.path.to_string();
    let opened = match is_parquet(&files[0].location) {
        true => parquet(store, files).await,
        false => text(&store, &files, table).await,
    };
    let (provider, bytes, sha256) = opened.map_err(|error| error.during(&key))?;
    Ok(Lookup {
        table: provider,
        report: LookupReport {
            name: table.name.to_string(),
            location,
            bytes,
            sha256,
        },
    })
}

/// The files of a table, at least one, all of one kind.
async fn files_of(store: &Store, table: &LookupTable) -> Result<Vec<ObjectMeta>> {
    let path = &table.path;
    let kind = |key: &object_store::path::Path| match is_parquet(key) {
        true => Some(None),
        false => {
            TextFormat::of_name(key.filename().unwrap_or_default()).map(|(format, _)| Some(format))
        }
    };
    let expected = "expected .csv, .tsv, .ndjson or .jsonl, also with .gz, or .parquet";
    let is_folder = matches!(path, crate::job::Location::Local(path) if path.is_dir());
    if !is_folder && let Some(file) = store.head(store.root()).await? {
        return match kind(&file.location) {
            Some(_) => Ok(vec![file]),
            None => Err(Error::usage(format!(
                "{path} is of a kind that can't be read: {expected}"
            ))),
        };
    }
    if matches!(path, crate::job::Location::Local(path) if !path.exists()) {
        return Err(Error::usage(format!(
            "{path} does not exist: expected a file, or a folder of files"
        )));
    }
    let mut files = store.list(store.root()).await?;
    files.retain(|file| file.size > 0 && kind(&file.location).is_some());
    let Some(first) = files.first() else {
        return Err(Error::usage(format!(
            "{path} has no file of a lookup table: {expected}"
        )));
    };
    let of_first = kind(&first.location);
    match files.iter().find(|file| kind(&file.location) != of_first) {
        None => Ok(files),
        Some(other) => Err(Error::usage(format!(
            "{path} has files of two kinds, {} and {}: expected one kind in the folder of a table",
            store.display(&first.location),
            store.display(&other.location)
        ))),
    }
}

type Opened = (Arc<dyn TableProvider>, u64, String);

async fn parquet(store: Store, files: Vec<ObjectMeta>) -> Result<Opened> {
    let mut hash = Sha256::new();
    for file in &files {
        hash.update(file.location.as_ref());
        hash.update(file.e_tag.as_deref().unwrap_or_default());
    }
    let bytes = files.iter().map(|file| file.size).sum();
    let mut tables = FilesOfTable::group(&store, files);
    let Some((_, first)) = tables.pop() else {
        return Err(Error::usage("it has no Parquet file"));
    };
    if let Some((_, other)) = tables.pop() {
        return Err(Error::usage(format!(
            "it has Parquet files in {} and in {}: expected the files of one table",
            store.display(&first.base),
            store.display(&other.base)
        )));
    }
    Ok((first.table().await?, bytes, hex(&hash.finalize())))
}

async fn text(store: &Store, files: &[ObjectMeta], table: &LookupTable) -> Result<Opened> {
    let mut hash = Sha256::new();
    let mut texts = Vec::new();
    let bytes: u64 = files.iter().map(|file| file.size).sum();
    for file in files {
        let name = store.display(&file.location);
        if bytes > MAX_TEXT_BYTES {
            return Err(lookup::too_large(&name));
        }
        let Some(content) = store.get(&file.location).await? else {
            return Err(Error::new(
                Class::Source,
                format!("{name} is not there any more"),
            ));
        };
        hash.update(&content);
        let (format, is_gzip) = TextFormat::of_name(file.location.filename().unwrap_or_default())
            .unwrap_or((TextFormat::Csv, false));
        texts.push(LookupText::new(&name, format, is_gzip, &content)?);
    }
    let types: BTreeMap<String, String> = table
        .columns
        .iter()
        .map(|(name, of_type)| (name.clone(), of_type.as_str().to_owned()))
        .collect();
    // Large texts take a while.
    let parsed = SpawnedTask::spawn_blocking(move || lookup::table(&texts, &types)).await;
    let provider = parsed.map_err(|error| {
        Error::new(Class::Unexpected, "can't read a lookup table").caused_by(error)
    })??;
    Ok((provider, bytes, hex(&hash.finalize())))
}
