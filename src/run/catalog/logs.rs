//! The exported objects of a catalog's subjects: the table `logs`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use tokio::sync::OnceCell;

use super::{Missing, Scope, Subject, contents};
use crate::aws::Account;
use crate::error::Result;
use crate::export::existing::{may_be_of, streams_in_several_exports};
use crate::export::staging::{self, ExportedWindow};
use crate::export::subscription::SubscriptionSource;
use crate::job::{Job, Source};
use crate::layout::StagingKeys;
use crate::layout::cloudwatch::LogObject;
use crate::query::archived::{ArchivedColumn, Events, Needs, OpenEvents};
use crate::run::archive::{ArchivedWindow, archived_windows};
use crate::run::{Output, history, source_store};
use crate::scan::LogsTable;
use crate::scan::columns::Keep;
use crate::scan::deferred::OpenLogs;
use crate::store::Store;
use crate::window::{Range, Window};

/// The objects of a catalog, listed when the first query reads them.
pub(super) struct Logs {
    pub(super) scope: Arc<Scope>,
    /// The columns of the job's archive, where there is one job.
    pub(super) columns: Vec<ArchivedColumn>,
    pub(super) opened: OnceCell<Opened>,
    pub(super) missing: Mutex<Option<Missing>>,
}

/// What was found.
#[derive(Debug)]
pub(super) struct Opened {
    /// The events of each subject.
    subjects: Vec<EventsOfSubject>,
    /// All tables over exported objects.
    pub(super) tables: Arc<[LogsTable]>,
    /// Windows that are done and whose exports have been deleted.
    pub(super) deleted: Vec<Missing>,
    /// What is odd about the exports.
    pub(super) notes: Vec<String>,
}

impl std::fmt::Debug for Logs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Logs({:?})", self.opened)
    }
}

#[async_trait]
impl OpenLogs for Logs {
    async fn open(&self) -> Result<Arc<[LogsTable]>> {
        let opened = self.opened.get_or_try_init(|| self.open_all()).await?;
        Ok(Arc::clone(&opened.tables))
    }
}

#[async_trait]
impl OpenEvents for Logs {
    async fn open(&self, needs: &Needs) -> Result<Vec<Events>> {
        let opened = self.opened.get_or_try_init(|| self.open_all()).await?;
        let mut events = Vec::new();
        for subject in &opened.subjects {
            events.extend(self.events(subject, needs)?);
        }
        Ok(events)
    }
}

/// The events of one subject.
#[derive(Debug)]
pub(super) struct EventsOfSubject {
    /// The job, where it is one.
    job: Option<Job>,
    /// The parts of time, in order.
    parts: Vec<Part>,
    /// Whether the parts without archives are read in one pass, if they are read at all: the objects are not those of one
    /// window each.
    exported: Option<LogsTable>,
    deleted: Option<Missing>,
}

/// A window, or another part of time.
#[derive(Debug)]
struct Part {
    /// Its interval.
    range: Range,
    /// The objects with its events.
    exported: Option<LogsTable>,
    /// Its archive, where it is of the same exports.
    archived: Option<ArchivedWindow>,
}

impl Logs {
    async fn open_all(&self) -> Result<Opened> {
        let mut subjects = Vec::new();
        let (mut deleted, mut notes) = (Vec::new(), Vec::new());
        let engine = &self.scope.environment.engine;
        for exports in &self.scope.exports {
            let found = match &exports.subject {
                Subject::Job(job) => self.of_job(job, &mut notes).await?,
                Subject::Location(location) => {
                    let (store, there) = match exports.take_listed() {
                        Some(listed) => listed,
                        // The query before this one has failed.
                        None => {
                            let stores = &self.scope.environment.stores;
                            let store = stores.open(location, Account::Source).await?;
                            let there = contents::listed(&store).await?.objects;
                            let there = there.ensure_any(&store)?;
                            (store, there)
                        }
                    };
                    engine.add_store(&store);
                    let objects = there.objects;
                    note_several(&store, &objects, &mut notes);
                    let range = self.scope.range.unwrap_or(Range::ALL);
                    let masks = self.scope.request.mask;
                    EventsOfSubject {
                        job: None,
                        parts: Vec::new(),
                        exported: Some(self.table(&store, objects, range, masks)),
                        deleted: None,
                    }
                }
            };
            deleted.extend(found.deleted.clone());
            subjects.push(found);
        }
        let tables = subjects.iter().flat_map(|subject| {
            let of_parts = subject
                .parts
                .iter()
                .filter_map(|part| part.exported.clone());
            of_parts.chain(subject.exported.clone())
        });
        Ok(Opened {
            tables: tables.collect(),
            subjects,
            deleted,
            notes,
        })
    }

    fn table(
        &self,
        store: &Store,
        objects: Vec<LogObject>,
        range: Range,
        masks: bool,
    ) -> LogsTable {
        let environment = &self.scope.environment;
        let pool = environment.engine.pool();
        let logs = LogsTable::new(store, objects, range, pool).masking(masks);
        match &environment.columns {
            Some(columns) => logs.keeping(Arc::clone(columns), Keep::AsRead),
            None => logs,
        }
    }

    fn missing(&self, missing: Missing) -> crate::error::Error {
        let mut last = self.missing.lock().unwrap_or_else(PoisonError::into_inner);
        *last = Some(missing.clone());
        missing.into()
    }

    /// The archives of a job's windows. Best effort: a caller without read access to the output may query the exports.
    async fn archives(&self, job: &Job, wanted: Range, masks: bool) -> Vec<ArchivedWindow> {
        if job.archive.is_none() {
            return Vec::new();
        }
        let environment = &self.scope.environment;
        let found = async {
            let output = Output::open(environment, job).await?;
            environment.engine.add_store(&output.store);
            archived_windows(&output, job, wanted, masks).await
        };
        let found = found.await.inspect_err(|error| {
            tracing::debug!("can't find out which windows have an archive: {error}");
        });
        found.unwrap_or_default()
    }

    /// The events of a job's windows.
    async fn of_job(&self, job: &Job, notes: &mut Vec<String>) -> Result<EventsOfSubject> {
        let store = source_store(&self.scope.environment, job).await?;
        self.scope.environment.engine.add_store(&store);
        let wanted = self.scope.range.unwrap_or(Range::ALL);
        let masks = self.scope.request.mask || job.mask;
        let archives = self.archives(job, wanted, masks).await;
        if job.source.is_read_in_place() {
            let (mut objects, of_windows) = match &job.source {
                Source::Subscription(settings) => {
                    let source = SubscriptionSource::new(store.clone(), settings.clone());
                    let (pad, pad_after) = source.pads();
                    let delivered = source.delivered(wanted.padded(pad, pad_after)).await?;
                    if delivered.objects.is_empty() && archives.is_empty() {
                        source.ensure_any().await?;
                    }
                    notes.extend(delivered.note);
                    let windows: Vec<Range> = archives
                        .iter()
                        .map(|archive| archive.window.range())
                        .collect();
                    let of_windows = source.of_windows(&delivered.objects, &windows);
                    (delivered.objects, of_windows)
                }
                source => {
                    let log_group = match source {
                        Source::Exported { log_group, .. } => log_group.as_deref(),
                        _ => None,
                    };
                    let objects = staging::every_object(&store, log_group).await?.objects;
                    note_several(&store, &objects, notes);
                    let of_window = |archive| of_window(&store, &objects, archive);
                    let of_windows = archives.iter().map(of_window).collect();
                    (objects, of_windows)
                }
            };
            // Objects of a subscription expire, and an archive of all that are left and of more is the better one.
            let may_expire = matches!(job.source, Source::Subscription(_));
            let parts = archives.into_iter().zip(of_windows);
            let parts = parts.filter(|(archive, objects)| {
                archive.is_of(&store, [(store.root(), &objects[..])])
                    || may_expire && !archive.lacks(objects)
            });
            let parts = parts.map(|(archive, _)| archive);
            let parts = parts.map(|archive| Part {
                range: archive.window.range(),
                exported: None,
                archived: Some(archive),
            });
            let parts = parts.collect();
            LogObject::sort_by_stream(&mut objects);
            return Ok(EventsOfSubject {
                job: Some(job.clone()),
                parts,
                exported: Some(self.table(&store, objects, wanted, masks)),
                deleted: None,
            });
        }
        let keys = StagingKeys::of(job)?;
        let mut exports = staging::exports_of_job(&store, &keys).await?;
        exports.retain(|export| !export.window_range.intersect(wanted).is_empty());
        let mut windows: BTreeMap<(i64, i64), Vec<ExportedWindow>> = BTreeMap::new();
        for export in exports {
            let Range { start_ms, end_ms } = export.window_range;
            windows.entry((start_ms, end_ms)).or_default().push(export);
        }
        let mut parts: Vec<Part> = Vec::new();
        let mut all_objects = Vec::new();
        for ((start_ms, end_ms), exports) in windows {
            let range = Range { start_ms, end_ms };
            let mut archives = archives
                .iter()
                .filter(|archive| archive.window.range() == range);
            let archived = archives.next().filter(|archive| {
                let exports = exports.iter();
                archive.is_of(
                    &store,
                    exports.map(|export| (&export.prefix, &export.objects[..])),
                )
            });
            let objects = exports.into_iter().flat_map(|export| export.objects);
            let mut objects: Vec<LogObject> = objects.collect();
            LogObject::sort_by_stream(&mut objects);
            all_objects.extend(objects.iter().cloned());
            parts.push(Part {
                range,
                exported: Some(self.table(&store, objects, wanted, masks)),
                archived: archived.cloned(),
            });
        }
        // Several windows may have their events in one object.
        let all_objects = LogObject::joined(all_objects);
        note_several(&store, &all_objects, notes);
        let exported: Vec<Range> = parts.iter().map(|part| part.range).collect();
        for archive in archives {
            let range = archive.window.range();
            let is_exported = exported
                .iter()
                .any(|other| !other.intersect(range).is_empty());
            if !is_exported {
                parts.push(Part {
                    range,
                    exported: None,
                    archived: Some(archive),
                });
            }
        }
        parts.sort_by_key(|part| part.range.start_ms);
        let there: Vec<Range> = parts.iter().map(|part| part.range).collect();
        let name = || job.name.clone();
        let windows = self.without_export(job, wanted, &there).await;
        let deleted = (!windows.is_empty()).then(|| Missing::Deleted {
            job: name(),
            windows: windows.clone(),
        });
        if there.is_empty() {
            return Err(
                self.missing(deleted.unwrap_or_else(|| Missing::NotExported {
                    job: name(),
                    windows: self.scope.request.windows.clone(),
                })),
            );
        }
        // The windows that a run exports, which are those of the job's zone.
        let asked_for = match self.scope.range {
            Some(range) => Window::meeting(job.window.size, job.timezone, range)?,
            None => Vec::new(),
        };
        let is_missing = |window: &&Window| {
            let part = window.range().intersect(wanted);
            has_gap(part, &there) && !windows.contains(window)
        };
        let missing: Vec<Window> = asked_for.iter().filter(is_missing).cloned().collect();
        if !missing.is_empty() {
            return Err(self.missing(Missing::Incomplete {
                job: name(),
                missing,
                asked_for: asked_for.len(),
            }));
        }
        // Where no window has an archive, its parts are read in one scan.
        let exported = match parts.iter().any(|part| part.archived.is_some()) {
            true => None,
            false => {
                parts.clear();
                Some(self.table(&store, all_objects, wanted, masks))
            }
        };
        Ok(EventsOfSubject {
            job: Some(job.clone()),
            parts,
            exported,
            deleted,
        })
    }

    /// The events of a subject that a query needs.
    fn events(&self, subject: &EventsOfSubject, needs: &Needs) -> Result<Vec<Events>> {
        let wanted = self.scope.range.unwrap_or(Range::ALL);
        let Some(job) = &subject.job else {
            return Ok(subject
                .exported
                .clone()
                .map(Events::Exported)
                .into_iter()
                .collect());
        };
        let can_read = |part: &&Part| {
            let archived = part.archived.as_ref();
            archived.is_some_and(|archived| {
                archived.has_all(needs.message, needs.columns.iter().copied())
            })
        };
        let archived = |part: &Part| {
            let archived = part.archived.as_ref();
            let events = archived.map(|archived| archived.events(job, &self.columns, wanted));
            Ok(events.transpose()?.map(Events::Archived))
        };
        if let Some(exported) = &subject.exported {
            let read: Vec<&Part> = subject.parts.iter().filter(can_read).collect();
            let ranges: Vec<Range> = read.iter().map(|part| part.range).collect();
            // Each gap would be another pass over all objects, and without archives there is one. In several windows, the
            // objects have another order than the archives.
            let is_covered = !read.is_empty() && !has_gap(wanted, &ranges);
            if is_covered && (!needs.in_order || read.len() == 1) {
                let events = read.into_iter().map(archived).collect::<Result<Vec<_>>>()?;
                return Ok(events.into_iter().flatten().collect());
            }
            return Ok(vec![Events::Exported(exported.clone())]);
        }
        let mut events = Vec::with_capacity(subject.parts.len());
        let mut lacking = Vec::new();
        for part in &subject.parts {
            match (&part.exported, can_read(&part)) {
                (_, true) => events.extend(archived(part)?),
                (Some(exported), false) => events.push(Events::Exported(exported.clone())),
                (None, false) => lacking.extend(part.archived.as_ref().map(|of| of.window.clone())),
            }
        }
        if lacking.is_empty() {
            return Ok(events);
        }
        let columns = needs
            .columns
            .iter()
            .filter_map(|place| self.columns.get(*place));
        Err(self.missing(Missing::NotArchived {
            job: job.name.clone(),
            windows: lacking,
            message: needs.message,
            columns: columns.map(|column| column.name.clone()).collect(),
        }))
    }

    /// The windows that are done and have no export any more. Best effort: a caller without read access to the output may
    /// query all the same.
    async fn without_export(&self, job: &Job, wanted: Range, exported: &[Range]) -> Vec<Window> {
        let mut done = history::done(&self.scope.environment, job)
            .await
            .inspect_err(|error| tracing::debug!("can't find out which windows are done: {error}"))
            .unwrap_or_default();
        done.retain(|window| {
            let meets = |other: &Range| !window.range().intersect(*other).is_empty();
            meets(&wanted) && !exported.iter().any(meets)
        });
        done
    }
}

/// Adds a note where streams are in several exports.
fn note_several(store: &Store, objects: &[LogObject], notes: &mut Vec<String>) {
    let place = store.display(store.root());
    notes.extend(streams_in_several_exports(objects, &place));
}

/// The objects that a run of an archive's window takes of those that another program exported.
fn of_window(store: &Store, objects: &[LogObject], archive: &ArchivedWindow) -> Vec<LogObject> {
    let is_taken = |object: &&LogObject| may_be_of(store, object, &archive.window);
    objects.iter().filter(is_taken).cloned().collect()
}

/// Whether a part of a range is covered by no export.
fn has_gap(range: Range, exported: &[Range]) -> bool {
    let left = exported.iter().fold(vec![range], |left, export| {
        let left = left.into_iter();
        left.flat_map(|range| range.without(*export)).collect()
    });
    !left.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_is_time_that_no_export_covers() {
        let range = |from: i64, to: i64| Range {
            start_ms: from,
            end_ms: to,
        };
        for (exported, expected) in [
            (&[][..], true),
            (&[range(0, 10)], false),
            (&[range(5, 10)], true),
            (&[range(4, 10), range(-5, 4)], false),
            (&[range(6, 10), range(0, 4)], true),
            (&[range(0, 8), range(1, 2)], true),
        ] {
            assert_eq!(has_gap(range(0, 10), exported), expected, "{exported:?}");
        }
    }
}
