//! Parquet files of any origin as tables: earlier answers, or those of other programs.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema};
use async_trait::async_trait;
use datafusion::catalog::TableProvider;
use futures::{StreamExt, TryStreamExt};
use object_store::ObjectMeta;
use object_store::path::Path;

use super::history::AT_ONCE;
use super::schema::columns_of;
use crate::error::{Error, Result};
use crate::layout::{self, folder_values};
use crate::output::parquet::WINDOW;
use crate::query::parquet_table::{
    FolderFilter, ListFiles, ParquetTable, TableFile, TableFiles, widens,
};
use crate::query::type_name;
use crate::store::Store;

/// The most files whose columns are looked at: of more, as many that are evenly apart, the first and the last among them.
const MOST_FOOTERS: usize = 256;

/// Whether an object is a Parquet file that readers of a folder take. Names that begin with `_` or `.` are of what programs
/// keep beside their files.
pub(super) fn is_parquet(key: &Path) -> bool {
    let name = key.filename().unwrap_or_default();
    let is_parquet = [".parquet", ".parq"].iter().any(|end| name.ends_with(end));
    is_parquet && !name.starts_with(['_', '.'])
}

/// Parquet files that are a table together.
#[derive(Debug, Clone)]
pub(super) struct FilesOfTable {
    pub(super) store: Store,
    /// What the folders of columns are below.
    pub(super) base: Path,
    pub(super) files: Vec<ObjectMeta>,
}

impl FilesOfTable {
    /// The tables of all files below a key, by name: files in folders `dt=…` are one table with all those beside them, named
    /// after the folder above; other files are, too, but a single file is named after itself.
    pub(super) fn group(store: &Store, objects: Vec<ObjectMeta>) -> Vec<(String, Self)> {
        let mut groups: Vec<(Path, Vec<ObjectMeta>)> = Vec::new();
        let mut objects = objects;
        objects.retain(|object| is_parquet(&object.location) && object.size > 0);
        objects.sort_by(|a, b| a.location.cmp(&b.location));
        for object in objects {
            let base = base_of(store.root(), &object.location);
            match groups.iter_mut().find(|(other, _)| *other == base) {
                Some((_, files)) => files.push(object),
                None => groups.push((base, vec![object])),
            }
        }
        let tables = groups.into_iter().map(|(base, files)| {
            let is_alone = matches!(&files[..], [only] if layout::parent(&only.location) == base);
            let named_after = match is_alone {
                true => files[0].location.filename(),
                false => base.filename(),
            };
            let name = sql_name(named_after.unwrap_or("files"));
            let store = store.clone();
            (name, Self { store, base, files })
        });
        tables.collect()
    }

    /// The folders of columns that any of the files is in, in the order in which they come.
    fn folders(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for file in &self.files {
            for (name, _) in folder_values(&self.below(&file.location)) {
                if !names.iter().any(|other| other == name) {
                    names.push(name.to_owned());
                }
            }
        }
        names
    }

    fn below(&self, key: &Path) -> String {
        layout::relative(&self.base, &layout::parent(key))
    }

    async fn columns_of_file(&self, at: usize) -> Result<(String, Schema)> {
        let key = &self.files[at].location;
        let columns = columns_of(&self.store, key).await?;
        Ok((self.store.display(key), columns))
    }

    /// The table. Reads the footers of the files.
    ///
    /// # Errors
    /// `Damaged` for a file that is no Parquet, and for a column that is of types in two files which no type has in common.
    pub(super) async fn table(self) -> Result<Arc<dyn TableProvider>> {
        let step = self.files.len().div_ceil(MOST_FOOTERS).max(1);
        let last = self.files.len().saturating_sub(1);
        let looked_at = (0..self.files.len()).filter(|at| at % step == 0 || *at == last);
        let schemas: Vec<(String, Schema)> = futures::stream::iter(looked_at)
            .map(|at| self.columns_of_file(at))
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        let folders = self.folders();
        let columns = union(&schemas, &folders)?;
        let files = Arc::new(self);
        Ok(Arc::new(ParquetTable::new(
            &columns, folders, files, WINDOW,
        )))
    }
}

/// The folder that a file's folders of columns are in. Those that end the root are among them: one partition of a table can
/// be queried by itself.
fn base_of(root: &Path, key: &Path) -> Path {
    let folder = layout::parent(key);
    let root = if root == key { &folder } else { root };
    let in_root = root.as_ref().split('/').rev();
    let columns: usize = in_root
        .take_while(|name| name.contains('='))
        .map(|name| name.len() + 1)
        .sum();
    let root = &root.as_ref()[..root.as_ref().len().saturating_sub(columns)];
    let below = folder.as_ref().strip_prefix(root).unwrap_or_default();
    let plain = below.split('/').filter(|name| !name.is_empty());
    let plain = plain.take_while(|name| !name.contains('='));
    let base = plain.fold(root.to_owned(), |base, name| format!("{base}/{name}"));
    layout::join(&Path::default(), base.trim_start_matches('/'))
}

/// A name as SQL takes it without quotes: lowercase letters, digits and underscores.
pub(super) fn sql_name(file: &str) -> String {
    let stem = file.split('.').next().unwrap_or(file);
    let name: String = stem
        .chars()
        .map(|c| match c.to_ascii_lowercase() {
            c if c.is_alphanumeric() => c,
            _ => '_',
        })
        .collect();
    match name.starts_with(|c: char| c.is_ascii_digit()) || name.is_empty() {
        true => format!("t_{name}"),
        false => name,
    }
}

/// The columns of all files: by name, each of the widest type.
fn union(schemas: &[(String, Schema)], folders: &[String]) -> Result<Schema> {
    let mut columns: Vec<(&str, Field)> = Vec::new();
    for (file, schema) in schemas {
        for field in schema.fields() {
            if folders.contains(field.name()) {
                continue;
            }
            let there = columns
                .iter_mut()
                .find(|(_, other)| other.name() == field.name());
            let Some((first, other)) = there else {
                columns.push((file, field.as_ref().clone().with_nullable(true)));
                continue;
            };
            if widens(field.data_type(), other.data_type()) {
                continue;
            }
            if !widens(other.data_type(), field.data_type()) {
                return Err(Error::damaged(format!(
                    "the column {:?} is {} in {first} and {} in {file}: expected one type in all files of a table",
                    field.name(),
                    type_name(other.data_type()),
                    type_name(field.data_type()),
                )));
            }
            *other = field.as_ref().clone().with_nullable(true);
        }
    }
    let columns = columns.into_iter().map(|(_, field)| field);
    Ok(Schema::new(columns.collect::<Vec<_>>()))
}

#[async_trait]
impl ListFiles for FilesOfTable {
    async fn list(&self, _: &FolderFilter<'_>) -> Result<TableFiles> {
        let folders = self.folders();
        let files = self.files.iter().map(|file| {
            let below = self.below(&file.location);
            let values = folder_values(&below);
            let value = |name: &String| {
                let mut of_name = values.iter().filter(|(folder, _)| folder == name);
                of_name.next().and_then(|(_, value)| value.clone())
            };
            TableFile {
                folders: folders.iter().map(value).collect(),
                object: file.clone(),
            }
        });
        Ok(TableFiles {
            store: self.store.clone(),
            files: files.collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_beside_each_other_are_a_table() {
        for (root, key, base) in [
            ("a", "a/q/dt=2026-11-21/hh=05/q.parquet", "a/q"),
            (
                "a/q/dt=2026-11-21",
                "a/q/dt=2026-11-21/hh=05/q.parquet",
                "a/q",
            ),
            ("a/q/dt=1/q.parquet", "a/q/dt=1/q.parquet", "a/q"),
            ("e=1/a", "e=1/a/q/x.parquet", "e=1/a/q"),
            ("", "x.parquet", ""),
            ("", "dt=1/x.parquet", ""),
            ("dt=1", "dt=1/x.parquet", ""),
        ] {
            let found = base_of(&Path::from(root), &Path::from(key));
            assert_eq!(found.as_ref(), base, "{key}");
        }
        for (file, name) in [
            ("Customers 2.parquet", "customers_2"),
            ("2026.parquet", "t_2026"),
            ("주문.parquet", "주문"),
            ("hourly_count", "hourly_count"),
        ] {
            assert_eq!(sql_name(file), name);
        }
    }
}
