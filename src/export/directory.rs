//! A folder of events, exported in CloudWatch's own layout, so that every later step is the same.
//!
//! A folder for each log group (its name percent-encoded), a file for each log stream (likewise): see `event_file`.

mod event_file;

use std::collections::{BTreeMap, HashMap};
use std::io::{BufWriter, Write};
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use flate2::Compression;
use flate2::write::GzEncoder;
use object_store::path::Path;

use self::event_file::{EXPECTED_ENDINGS, EventFile, stem};
use super::staging::{self, Manifest};
use super::{ExportRequest, Exported, ExportedGroup, LogExporter};
use crate::clock::Clock;
use crate::error::{Class, Error, Result};
use crate::layout;
use crate::numbers::counted;
use crate::progress::{Progress, Step};
use crate::state::{Attempt, AttemptStage};
use crate::store::{Body, Condition, Store};
use crate::window::Range;

/// An object is closed at this much text, as CloudWatch's are.
const OBJECT_TEXT: u64 = 64 << 20;

/// Bytes that are read before other tasks of the run get their turn: a signal, or the answers of another window.
const READ_AT_ONCE: usize = 8 << 20;

/// A folder of events.
pub struct DirectoryExporter {
    folder: PathBuf,
    staging: Store,
    pad: Duration,
    clock: Arc<dyn Clock>,
    scratch: PathBuf,
}

/// The folder of a log group.
struct GroupFolder {
    group: String,
    /// The files of events, by their streams.
    files: BTreeMap<String, PathBuf>,
    /// What is odd about the folder.
    note: Option<String>,
}

impl GroupFolder {
    /// Reads which files a folder has. Errors: two files of one stream (usage), a name that can't be decoded (damaged).
    fn read(folder: &FilePath) -> Result<Self> {
        let mut files: BTreeMap<String, PathBuf> = BTreeMap::new();
        let mut others = Vec::new();
        for file in entries(folder)? {
            if file.is_dir() {
                continue;
            }
            let name = file.file_name().and_then(|name| name.to_str());
            let Some(name) = name.and_then(stem) else {
                others.push(file);
                continue;
            };
            let stream = decoded(name, &file)?;
            if let Some(other) = files.get(&stream) {
                return Err(Error::usage(format!(
                    "{} and {} are both of the log stream {stream:?}: expected one file for each stream, since events in both would count twice",
                    other.display(),
                    file.display()
                )));
            }
            files.insert(stream, file);
        }
        let is_unnamed = |file: &&PathBuf| file.to_str().is_none();
        let note = match others.first() {
            Some(other) if files.is_empty() => Some(format!(
                "{} has {}, such as {}, and none is read: expected names that end with {EXPECTED_ENDINGS}",
                folder.display(),
                counted(others.len() as u64, "file"),
                shown(other)
            )),
            _ => others
                .iter()
                .find(is_unnamed)
                .map(|file| format!("{} is not read: its name is not UTF-8", file.display())),
        };
        let name = folder.file_name().and_then(|name| name.to_str());
        Ok(Self {
            group: decoded(name.unwrap_or_default(), folder)?,
            files,
            note,
        })
    }
}

impl DirectoryExporter {
    /// Exports the events of `folder` to `staging`, with `pad` beyond both edges of a window. Objects are written to
    /// `scratch` first.
    pub fn new(
        folder: PathBuf,
        staging: Store,
        pad: Duration,
        clock: Arc<dyn Clock>,
        scratch: &FilePath,
    ) -> Self {
        Self {
            folder,
            staging,
            pad,
            clock,
            scratch: scratch.to_owned(),
        }
    }

    /// The folders of the log groups. An error (usage) where there are none, or where none has a file of events.
    fn group_folders(&self) -> Result<Vec<GroupFolder>> {
        let mut groups = Vec::new();
        for folder in entries(&self.folder)? {
            if !folder.is_dir() {
                continue;
            }
            match folder.file_name().and_then(|name| name.to_str()) {
                Some(_) => groups.push(GroupFolder::read(&folder)?),
                None => tracing::warn!("{} is not read: its name is not UTF-8", folder.display()),
            }
        }
        if groups.is_empty() {
            return Err(Error::usage(format!(
                "{} holds no log groups: expected a folder for each, with a file for each log stream, whose name ends with {EXPECTED_ENDINGS}",
                self.folder.display()
            )));
        }
        let has_files = groups.iter().any(|group| !group.files.is_empty());
        let note = groups.iter().find_map(|group| group.note.clone());
        match note.filter(|_| !has_files) {
            Some(note) => Err(Error::usage(note)),
            None => Ok(groups),
        }
    }

    async fn export_group(
        &self,
        folder: &GroupFolder,
        request: &ExportRequest<'_>,
    ) -> Result<ExportedGroup> {
        let group = folder.group.as_str();
        let id = staging::new_attempt_id();
        let prefix = request.keys.attempt(&request.window.id(), group, &id);
        let journal = request.journal;
        // An attempt of a run that ended while it wrote is not continued.
        for mut left in journal.attempts(group) {
            if left.stage == AttemptStage::Intended {
                left.stage = AttemptStage::Abandoned;
                journal.note(left);
            }
        }
        let mut attempt = Attempt {
            prefix: request.keys.relative(&prefix),
            staging: None,
            log_group: group.to_owned(),
            log_stream_prefix: None,
            range: request.window.range().padded(self.pad, self.pad),
            asked_at: self.clock.now(),
            origin: None,
            of_run: None,
            task_id: Some(id),
            stage: AttemptStage::Intended,
        };
        journal.record(attempt.clone()).await?;
        let exported = self.write_group(folder, request, &prefix, &attempt).await;
        attempt.stage = match &exported {
            Ok(_) => AttemptStage::Complete,
            Err(_) => AttemptStage::Abandoned,
        };
        journal.note(attempt);
        exported
    }

    async fn write_group(
        &self,
        folder: &GroupFolder,
        request: &ExportRequest<'_>,
        prefix: &Path,
        attempt: &Attempt,
    ) -> Result<ExportedGroup> {
        let id = attempt.task_id.as_deref().unwrap_or_default();
        // Stream names that differ only in a slash and a hyphen share a folder: the numbers of their objects continue.
        let mut numbers: HashMap<String, usize> = HashMap::new();
        for (stream, file) in &folder.files {
            let mut events = EventFile::open(file)?;
            let number = numbers
                .entry(layout::cloudwatch::exported_stream(stream))
                .or_default();
            while let Some(object) = write_object(&mut events, attempt.range, &self.scratch).await?
            {
                let key = layout::cloudwatch::exported_object(prefix, id, stream, *number);
                self.put(&key, object).await?;
                *number += 1;
            }
        }
        if let Some(note) = &folder.note {
            tracing::warn!("{note}");
        }
        let group = folder.group.as_str();
        let objects = self.staging.list_logs(prefix, Some(group)).await?;
        let (range, as_of) = (attempt.range, attempt.asked_at);
        let manifest = Manifest {
            note: folder.note.clone(),
            ..Manifest::new(group, request.window, range, id, as_of)
        };
        staging::complete(&self.staging, prefix, manifest, objects).await
    }

    async fn put(&self, key: &Path, object: tempfile::TempPath) -> Result<()> {
        let body = Body::File(object.to_path_buf());
        self.staging
            .put_if(key, body, "application/gzip", &Condition::Absent)
            .await?;
        Ok(())
    }
}

#[async_trait]
impl LogExporter for DirectoryExporter {
    async fn groups(&self) -> Result<Vec<String>> {
        Ok(self
            .group_folders()?
            .into_iter()
            .map(|folder| folder.group)
            .collect())
    }

    async fn export(
        &self,
        request: &ExportRequest<'_>,
        progress: &dyn Progress,
    ) -> Result<Exported> {
        let folders = self.group_folders()?;
        let mut kept = staging::newest_exports(&self.staging, request, |_| true).await?;
        let mut exported = Exported::default();
        let of = folders.len();
        for (index, folder) in folders.into_iter().enumerate() {
            let group = folder.group.as_str();
            staging::note_complete(&self.staging, request.journal, group).await?;
            let kept = kept.remove(group).filter(|kept| request.accepts(kept));
            progress.report(Step::Exporting {
                group,
                number: index + 1,
                of,
                state: match &kept {
                    Some(_) => "using the export that was kept",
                    None => "reading events",
                },
            });
            exported.groups.push(match kept {
                Some(kept) => kept,
                None => self.export_group(&folder, request).await?,
            });
        }
        Ok(exported)
    }
}

/// Writes the next events of `range` to a gzip file, until it is large enough or the file ends; `None` without such
/// events.
async fn write_object(
    events: &mut EventFile,
    range: Range,
    scratch: &FilePath,
) -> Result<Option<tempfile::TempPath>> {
    let write_error = |error: std::io::Error| {
        Error::new(Class::Output, "can't write a temporary file").caused_by(error)
    };
    let mut object = None;
    let mut written = 0;
    let mut read = 0;
    while let Some(bytes) = events.read_line()? {
        read += bytes;
        if read >= READ_AT_ONCE {
            read = 0;
            tokio::task::yield_now().await;
        }
        let Some(event) = events.event()? else {
            continue;
        };
        if !range.contains(event.timestamp_ms) {
            continue;
        }
        let out = match &mut object {
            Some(out) => out,
            none => {
                let temporary = tempfile::NamedTempFile::new_in(scratch).map_err(write_error)?;
                none.insert(GzEncoder::new(
                    BufWriter::new(temporary),
                    Compression::default(),
                ))
            }
        };
        layout::lines::write_event(out, event.timestamp_ms, &event.message)
            .map_err(|error| error.during(events.place()))?;
        written += event.message.len() as u64;
        if written >= OBJECT_TEXT {
            break;
        }
    }
    let Some(object) = object else {
        return Ok(None);
    };
    let mut buffered = object.finish().map_err(write_error)?;
    buffered.flush().map_err(write_error)?;
    let temporary = buffered
        .into_inner()
        .map_err(|error| write_error(error.into_error()))?;
    Ok(Some(temporary.into_temp_path()))
}

fn entries(folder: &FilePath) -> Result<Vec<PathBuf>> {
    let read_error = |error: std::io::Error| {
        Error::usage(format!("can't read the folder {}", folder.display())).caused_by(error)
    };
    let mut paths = std::fs::read_dir(folder)
        .map_err(read_error)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<std::io::Result<Vec<_>>>()
        .map_err(read_error)?;
    paths.sort();
    Ok(paths)
}

/// The name of a group or a stream. An error (damaged) where it is not encoded as names are.
fn decoded(name: &str, path: &FilePath) -> Result<String> {
    layout::decode_name(name).map_err(|error| error.during(path.display()))
}

fn shown(file: &FilePath) -> String {
    let name = file.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::{Account, Aws};
    use crate::clock::TestClock;
    use crate::export::Reuse;
    use crate::job::{AwsSettings, Location};
    use crate::layout::StagingKeys;
    use crate::progress::Silent;
    use crate::state::{Journal, MemoryJournal};
    use crate::store::Stores;
    use crate::window::{Size, Window};
    use chrono_tz::Tz;

    #[tokio::test]
    async fn reading_a_large_file_can_be_stopped() {
        let folder = tempfile::tempdir().unwrap();
        // No event is in the window, so nothing is written.
        let line = r#"{"timestamp": 0, "message": "old"}"#;
        let text = format!("{line}\n").repeat(2 * READ_AT_ONCE / line.len());
        let mut file = EventFile::new("old.ndjson".as_ref(), std::io::Cursor::new(text));
        let range = Range {
            start_ms: 1,
            end_ms: 2,
        };
        let reading = write_object(&mut file, range, folder.path());
        tokio::select! {
            biased;
            _ = reading => panic!("it read to the end"),
            () = std::future::ready(()) => {}
        }
    }

    #[test]
    fn a_name_that_can_not_be_decoded_is_an_error_with_its_path() {
        let error = decoded("%FF", "events/%FF".as_ref()).unwrap_err();
        assert!(error.to_string().starts_with("events/%FF: "), "{error}");
    }

    #[tokio::test]
    async fn every_attempt_is_recorded_and_only_whole_ones_are_complete() {
        let folder = tempfile::tempdir().unwrap();
        let events = folder.path().join("events/web/1.ndjson");
        std::fs::create_dir_all(events.parent().unwrap()).unwrap();
        let stores = Stores::new(Arc::new(Aws::new(AwsSettings::default()))).unwrap();
        let staging = Location::Local(folder.path().join("staging"));
        let keys = StagingKeys::new(&staging, "night").unwrap();
        let staging = stores.open(&staging, Account::LOGS).await.unwrap();
        let now = "2026-11-21T15:00:00Z".parse().unwrap();
        let exporter = DirectoryExporter::new(
            folder.path().join("events"),
            staging,
            Duration::ZERO,
            Arc::new(TestClock::at(now)),
            folder.path(),
        );
        let journal = MemoryJournal::default();
        let window = Window::parse(Size::Day, Tz::UTC, "2026-11-20").unwrap();
        let request = ExportRequest {
            takes_empty: false,
            keys: &keys,
            window: &window,
            reuse: Reuse::Since(now),
            journal: &journal,
        };
        let noon = "{\"timestamp\": 1795176000000, \"message\": \"noon\"}\n";
        let stages = || -> Vec<AttemptStage> {
            let attempts = journal.attempts("web");
            attempts.iter().map(|attempt| attempt.stage).collect()
        };

        std::fs::write(&events, format!("{noon}not an event\n")).unwrap();
        let error = exporter.export(&request, &Silent).await.unwrap_err();
        assert_eq!(error.class(), Class::Damaged);
        assert_eq!(stages(), [AttemptStage::Abandoned]);

        // A run that was killed while it wrote.
        let mut killed = journal.attempts("web").remove(0);
        killed.stage = AttemptStage::Intended;
        journal.record(killed.clone()).await.unwrap();
        std::fs::write(&events, noon).unwrap();
        let exported = exporter.export(&request, &Silent).await.unwrap();
        assert_eq!(exported.objects().len(), 1);
        assert_eq!(stages(), [AttemptStage::Abandoned, AttemptStage::Complete]);
        let complete = journal.attempts("web").remove(1);
        assert_ne!(complete.prefix, killed.prefix);

        let again = exporter.export(&request, &Silent).await.unwrap();
        assert!(again.groups[0].reused);
        assert_eq!(stages().len(), 2);
    }
}
