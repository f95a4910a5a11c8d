//! Events that an earlier export of a log group has and a later one lacks are copied to the later one: then it has all
//! events on its own, and the earlier one can go.

use super::ExportedGroup;
use super::filter_events::piece_writer::PieceWriter;
use super::staging;
use crate::error::{Class, Error, Result};
use crate::layout;
use crate::numbers::counted;
use crate::store::Store;
use object_store::path::Path;

/// A folder for such events, below the prefix of the later export.
pub struct KeptEvents {
    prefix: Path,
    folder: String,
}

impl KeptEvents {
    /// A folder of its own in this export.
    pub fn new(export: &ExportedGroup) -> Self {
        Self {
            prefix: export.prefix.clone(),
            folder: layout::kept_folder(fastrand::u32(..)),
        }
    }

    /// Writes events to the folder.
    pub fn writer<'a>(&'a self, store: &'a Store) -> PieceWriter<'a> {
        PieceWriter::new(store, &self.prefix, &self.folder)
    }

    /// Adds the objects that were written, which have these keys, to the export and to its manifest. Before that they do
    /// not count.
    pub async fn add_to(
        self,
        store: &Store,
        export: &mut ExportedGroup,
        keys: &[String],
        note: String,
    ) -> Result<()> {
        let folder = layout::join(&self.prefix, &self.folder);
        let objects = store
            .list_logs(&folder, export.log_group.as_deref())
            .await?;
        if objects.len() != keys.len() {
            return Err(Error::new(
                Class::Source,
                format!(
                    "{} has {}: expected {}, which were put there",
                    store.display(&folder),
                    counted(objects.len() as u64, "object"),
                    keys.len()
                ),
            ));
        }
        staging::extend(store, export, objects, note).await
    }
}
