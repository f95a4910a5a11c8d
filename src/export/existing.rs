//! Objects that were exported by other means, taken as they are.

use std::collections::{BTreeSet, HashMap};

use async_trait::async_trait;

use super::staging::{self, ObjectsThere};
use super::{ExportRequest, Exported, ExportedGroup, LogExporter};
use crate::error::Result;
use crate::layout;
use crate::layout::cloudwatch::LogObject;
use crate::numbers::counted;
use crate::progress::Progress;
use crate::store::Store;
use crate::window::Window;

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
        let ObjectsThere {
            mut objects, note, ..
        } = staging::every_object(&self.store, self.log_group.as_deref()).await?;
        let all = objects.len();
        objects.retain(|object| may_be_of(&self.store, object, request.window));
        let mut exported = Exported::default();
        if objects.is_empty() {
            exported.note(format!(
                "{} has no object that was written since {} began, and {} of before, without an event of it: expected an export that was made later",
                self.store.location(),
                request.window.id(),
                counted(all as u64, "exported object")
            ));
        }
        exported.notes.extend(note);
        if let Some(note) = streams_in_several_exports(&objects, &self.store.display(root)) {
            exported.note(note);
        }
        exported.groups.push(ExportedGroup {
            log_group: self.log_group.clone(),
            task_id: None,
            prefix: root.clone(),
            reused: true,
            outlives: false,
            as_of: objects.iter().map(|object| object.last_modified).max(),
            notes: Vec::new(),
            stretch: None,
            objects,
        });
        Ok(exported)
    }
}

/// Whether an object may have events of a window. It has none of a window that began after it was written; two hours are
/// for clocks that differ. On disk the time of a file shows nothing, since a copy is as new as the copying.
pub fn may_be_of(store: &Store, object: &LogObject, window: &Window) -> bool {
    let earliest = window.start() - chrono::TimeDelta::hours(2);
    store.location().is_local() || object.last_modified >= earliest
}

/// A note where events may be there twice: a stream is below several export tasks. Whether these tasks overlap can't be
/// seen from their objects.
pub fn streams_in_several_exports(objects: &[LogObject], location: &str) -> Option<String> {
    let mut first_of: HashMap<(Place<'_>, &str), (&str, &LogObject)> = HashMap::new();
    let mut streams = BTreeSet::new();
    for object in objects {
        let Some((prefix, task, name)) = object.parts_of_task() else {
            continue;
        };
        // This program's own exports have each event once, so that they count as one task.
        let task = match layout::is_in_attempt(&object.key()) {
            true => "",
            false => task,
        };
        let stream = name.split('/').next().unwrap_or_default();
        for place in [Place::Prefix(prefix), Place::Any] {
            let (other, first) = *first_of.entry((place, name)).or_insert((task, object));
            if other != task && (place != Place::Any || is_same_stream(stream, first, object)) {
                streams.insert(stream);
            }
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

/// Whether two objects below different prefixes are of the same stream. Log groups with a prefix each may well have
/// streams of one name, so that only a name that Lambda makes, or the same content, shows it.
fn is_same_stream(stream: &str, one: &LogObject, other: &LogObject) -> bool {
    let has_same_content = one.e_tag.is_some() && one.e_tag == other.e_tag;
    layout::cloudwatch::is_lambda_stream(stream) || has_same_content
}

/// Where two exports are compared: below one prefix, or anywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Place<'a> {
    Prefix(&'a str),
    Any,
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use chrono_tz::Tz;
    use object_store::memory::InMemory;
    use object_store::{ObjectStore, ObjectStoreExt, PutPayload};

    use super::*;
    use crate::aws::{Account, Aws};
    use crate::export::Reuse;
    use crate::job::{AwsSettings, Location};
    use crate::layout::StagingKeys;
    use crate::progress::Silent;
    use crate::state::MemoryJournal;
    use crate::store::Stores;
    use crate::window::Size;

    #[tokio::test]
    async fn objects_that_are_all_older_than_the_window_are_noted() {
        let objects: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let key = "exported/4b5e1d2c-0000-4000-8000-000000000000/web/000000.gz".into();
        objects.put(&key, PutPayload::from("x")).await.unwrap();
        let stores = Stores::new(Arc::new(Aws::new(AwsSettings::default()))).unwrap();
        let stores = stores.with_objects("acme", objects).unwrap();
        let location = Location::parse("s3://acme/exported", "/".as_ref()).unwrap();
        let store = stores.open(&location, Account::LOGS).await.unwrap();
        let exporter = ExistingExport::new(store, None);
        let keys = StagingKeys::new(&location, "night").unwrap();
        let journal = MemoryJournal::default();
        let exported = async |day: &str| {
            let window = Window::parse(Size::Day, Tz::UTC, day).unwrap();
            let request = ExportRequest {
                takes_empty: false,
                keys: &keys,
                window: &window,
                reuse: Reuse::Nothing,
                journal: &journal,
                ahead: &[],
            };
            exporter.export(&request, &Silent).await.unwrap()
        };
        let past = exported("2020-01-01").await;
        assert_eq!((past.objects().len(), past.all_notes().len()), (1, 0));
        let future = exported("2999-01-01").await;
        assert_eq!(future.objects().len(), 0);
        let noted = future.all_notes().join("\n");
        assert!(
            noted.starts_with("s3://acme/exported has no object that was written since 2999-01-01"),
            "{noted}"
        );
    }
}
