//! The embedded default: a folder of events, exported in CloudWatch's own layout, so that everything after is the same.
//!
//! A folder for each log group (its name percent-encoded), an `.ndjson` file for each log stream (likewise), a line for
//! each event: `{"timestamp": <milliseconds since 1970>, "message": "…"}`.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use flate2::Compression;
use flate2::write::GzEncoder;
use object_store::path::Path;
use serde::Deserialize;

use super::staging::{self, Manifest};
use super::{ExportRequest, Exported, ExportedGroup, LogExporter};
use crate::clock::Clock;
use crate::error::{Class, Error, Result};
use crate::layout;
use crate::progress::{Progress, Step};
use crate::store::{Body, Condition, Store};
use crate::window::Range;

/// An object is closed at this much text, as CloudWatch's are.
const OBJECT_TEXT: u64 = 64 << 20;

/// A folder of events.
pub struct DirectoryExporter {
    folder: PathBuf,
    staging: Store,
    pad: Duration,
    clock: Arc<dyn Clock>,
}

#[derive(Deserialize)]
struct Line {
    timestamp: i64,
    message: String,
}

impl DirectoryExporter {
    /// Exports the events of `folder` to `staging`, `pad` more than a window at both edges.
    pub fn new(folder: PathBuf, staging: Store, pad: Duration, clock: Arc<dyn Clock>) -> Self {
        Self {
            folder,
            staging,
            pad,
            clock,
        }
    }

    fn group_folders(&self) -> Result<Vec<(String, PathBuf)>> {
        let mut groups = Vec::new();
        for folder in entries(&self.folder)? {
            if folder.is_dir() {
                groups.push((decoded(&folder, "")?, folder));
            }
        }
        if groups.is_empty() {
            return Err(Error::usage(format!(
                "{} holds no log groups: expected a folder for each, with an .ndjson file for each log stream",
                self.folder.display()
            )));
        }
        Ok(groups)
    }

    async fn export_group(
        &self,
        group: &str,
        folder: &FilePath,
        request: &ExportRequest<'_>,
    ) -> Result<ExportedGroup> {
        let range = request.window.range().padded(self.pad);
        let id = staging::new_attempt_id();
        let attempt = layout::attempt(
            self.staging.root(),
            request.job,
            &request.window.id(),
            group,
            &id,
        );
        let as_of = self.clock.now();
        // Names that differ in a slash and a hyphen are the same in keys: their objects are numbered on.
        let mut numbers: HashMap<String, usize> = HashMap::new();
        for file in entries(folder)? {
            if file
                .extension()
                .is_none_or(|extension| extension != "ndjson")
            {
                continue;
            }
            let stream = decoded(&file, ".ndjson")?;
            let mut events = BufReader::new(open(&file)?).lines().enumerate();
            let number = numbers.entry(layout::exported_stream(&stream)).or_default();
            while let Some(object) = write_object(&mut events, &file, range)? {
                let key = layout::exported_object(&attempt, &id, &stream, *number);
                self.put(&key, object).await?;
                *number += 1;
            }
        }
        let manifest = Manifest::new(group, request.window, range, &id, as_of);
        staging::complete(&self.staging, &attempt, manifest).await
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
            .map(|(group, _)| group)
            .collect())
    }

    async fn export(
        &self,
        request: &ExportRequest<'_>,
        progress: &dyn Progress,
    ) -> Result<Exported> {
        let folders = self.group_folders()?;
        let mut kept = staging::kept_attempts(&self.staging, request, None).await?;
        let mut exported = Exported::default();
        let of = folders.len();
        for (index, (group, folder)) in folders.into_iter().enumerate() {
            progress.report(Step::Exporting {
                group: &group,
                number: index + 1,
                of,
                state: "reading events",
            });
            exported.groups.push(match kept.remove(&group) {
                Some(kept) => kept,
                None => self.export_group(&group, &folder, request).await?,
            });
        }
        Ok(exported)
    }
}

/// Writes the events of `range` to a gzip file until it is large enough or they end; `None` where there are none.
fn write_object(
    lines: &mut impl Iterator<Item = (usize, std::io::Result<String>)>,
    file: &FilePath,
    range: Range,
) -> Result<Option<tempfile::TempPath>> {
    let unwritable = |error: std::io::Error| {
        Error::new(Class::Output, "can't write a temporary file").caused_by(error)
    };
    let mut object = None;
    let mut written = 0;
    for (index, line) in lines {
        let wrong = |error: Box<dyn std::error::Error + Send + Sync>| {
            Error::damaged(format!(
                "{}:{}: expected {{\"timestamp\": <milliseconds>, \"message\": \"…\"}}",
                file.display(),
                index + 1
            ))
            .caused_by(error)
        };
        let line = line.map_err(|error| wrong(error.into()))?;
        if line.trim().is_empty() {
            continue;
        }
        let event: Line = serde_json::from_str(&line).map_err(|error| wrong(error.into()))?;
        if !range.contains(event.timestamp) {
            continue;
        }
        let out = match &mut object {
            Some(out) => out,
            none => {
                let temporary = tempfile::NamedTempFile::new().map_err(unwritable)?;
                none.insert(GzEncoder::new(
                    BufWriter::new(temporary),
                    Compression::default(),
                ))
            }
        };
        layout::write_line(out, event.timestamp, &event.message)
            .map_err(|error| error.during(format!("{}:{}", file.display(), index + 1)))?;
        written += event.message.len() as u64;
        if written >= OBJECT_TEXT {
            break;
        }
    }
    let Some(object) = object else {
        return Ok(None);
    };
    let mut buffered = object.finish().map_err(unwritable)?;
    buffered.flush().map_err(unwritable)?;
    let temporary = buffered
        .into_inner()
        .map_err(|error| unwritable(error.into_error()))?;
    Ok(Some(temporary.into_temp_path()))
}

fn entries(folder: &FilePath) -> Result<Vec<PathBuf>> {
    let unreadable = |error: std::io::Error| {
        Error::usage(format!("can't read the folder {}", folder.display())).caused_by(error)
    };
    let mut paths = std::fs::read_dir(folder)
        .map_err(unreadable)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<std::io::Result<Vec<_>>>()
        .map_err(unreadable)?;
    paths.sort();
    Ok(paths)
}

fn open(file: &FilePath) -> Result<File> {
    File::open(file).map_err(|error| {
        Error::new(Class::Source, format!("can't read {}", file.display())).caused_by(error)
    })
}

/// The name that a folder's or file's name stands for, without its ending.
fn decoded(path: &FilePath, ending: &str) -> Result<String> {
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .ok_or_else(|| Error::damaged(format!("{} is no UTF-8 name", path.display())))?;
    layout::decode_name(name.strip_suffix(ending).unwrap_or(name))
}
