//! Objects that were exported by other means, taken as they are.

use std::collections::{BTreeSet, HashMap};

use async_trait::async_trait;

use super::staging::{self, ObjectsThere};
use super::{ExportRequest, Exported, ExportedGroup, LogExporter};
use crate::error::Result;
use crate::layout::cloudwatch::LogObject;
use crate::numbers::counted;
use crate::progress::Progress;
use crate::store::Store;

/// Every exported object below a location.
#[derive(Debug)]
pub struct ExistingExport {
    store: Store,
    log_group: Option<String>,
}

impl ExistingExport {
    /// The objects of `store`; `log_group` fills the table's column, if known.
    pub fn new(store: Store, log_group: Option<String>) -> Self {
        Self { store, log_group }
    }
}

#[async_trait]
impl LogExporter for ExistingExport {
    async fn groups(&self) -> Result<Vec<String>> {
        Ok(self.log_group.iter().cloned().collect())
    }

    async fn export(&self, request: &ExportRequest<'_>, _: &dyn Progress) -> Result<Exported> {
        let root = self.store.root();
        let ObjectsThere { mut objects, note } =
            staging::every_object(&self.store, self.log_group.as_deref()).await?;
        // An object has no events of a window that began after it was written; two hours are for clocks that differ. On
        // disk the time of a file shows nothing, since a copy is as new as the copying.
        if !self.store.location().is_local() {
            let earliest = request.window.start() - chrono::TimeDelta::hours(2);
            objects.retain(|object| object.last_modified >= earliest);
        }
        let mut exported = Exported::default();
        exported.notes.extend(note);
        if let Some(note) = doubled(&objects, &self.store.display(root)) {
            exported.note(note);
        }
        exported.groups.push(ExportedGroup {
            log_group: self.log_group.clone(),
            task_id: None,
            prefix: root.clone(),
            reused: true,
            as_of: objects.iter().map(|object| object.last_modified).max(),
            note: None,
            objects,
        });
        Ok(exported)
    }
}

/// A note where events may be there twice: objects of the same stream and number are below several export tasks of one
/// place. Whether these tasks overlap can't be seen from their objects.
fn doubled(objects: &[LogObject], location: &str) -> Option<String> {
    let mut task_of: HashMap<(&str, &str), &str> = HashMap::new();
    let mut streams = BTreeSet::new();
    for object in objects {
        if let Some((place, task, object)) = object.parts_of_task()
            && *task_of.entry((place, object)).or_insert(task) != task
        {
            streams.insert((place, object.split('/').next()));
        }
    }
    let which = match streams.len() {
        0 => return None,
        1 => "1 stream is".to_owned(),
        several => format!("{} are", counted(several as u64, "stream")),
    };
    Some(format!(
        "{which} in several exports below {location}: where these overlap, events count several times"
    ))
}
