//! The exported objects of a catalog's subjects: the table `logs`.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use tokio::sync::OnceCell;

use super::ways::Ways;
use super::{Missing, Scope, Subject, contents};
use crate::aws::Account;
use crate::error::Result;
use crate::export::arriving::{arrival_of, arriving, note_on};
use crate::export::existing::{may_be_of, streams_in_several_exports};
use crate::export::staging::{self, ExportedWindow};
use crate::job::{Job, JobSource, RecordShape, Source};
use crate::layout::StagingKeys;
use crate::layout::cloudwatch::LogObject;
use crate::numbers::counted;
use crate::query::archived::{ArchivedColumn, Events, Needs, OpenEvents};
use crate::run::archive::{ArchivedWindow, archived_windows};
use crate::run::sources::source_store;
use crate::run::{Environment, Output, history};
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
    /// window each. A table for each place.
    exported: Option<Vec<LogsTable>>,
    deleted: Option<Missing>,
}

/// Where a source has its objects, or several sources have theirs together.
struct Place {
    source: JobSource,
    store: Store,
    /// How the place is reached: by the sources that have their exports there, each in its own way.
    ways: Ways,
}

/// What another program wrote.
struct InPlace<'p> {
    store: &'p Store,
    objects: Vec<LogObject>,
    /// How they have their events, where they are delivered logs.
    shape: Arc<RecordShape>,
    /// Of each archive, whether it is of these objects.
    is_current: Vec<bool>,
}

/// What this program exported.
struct Staged<'p> {
    source: &'p JobSource,
    store: &'p Store,
    ways: &'p Ways,
    exports: Vec<ExportedWindow>,
    /// Of each export, in which of the ways it is read.
    way_of: Vec<usize>,
}

impl<'p> Staged<'p> {
    async fn list(
        environment: &Environment,
        job: &Job,
        place: &'p Place,
        wanted: Range,
    ) -> Result<Self> {
        let Place {
            source,
            store,
            ways,
        } = place;
        let keys = StagingKeys::of(job, source)?;
        let several = job.has_several_sources();
        let mut exports = staging::exports_of_job(store, &keys, several).await?;
        exports.retain(|export| !export.window_range.intersect(wanted).is_empty());
        Ok(Self {
            source,
            store,
            way_of: ways.of_exports(environment, job, &exports).await?,
            ways,
            exports,
        })
    }

    fn windows(&self) -> Vec<Range> {
        let mut windows: Vec<Range> = Vec::new();
        for export in &self.exports {
            if !windows.contains(&export.window_range) {
                windows.push(export.window_range);
            }
        }
        windows
    }

    /// How many exports of a window there are.
    fn count(&self, window: Range) -> usize {
        let exports = self.exports.iter();
        let own = exports.filter(|export| export.window_range == window);
        own.count()
    }

    fn has(&self, window: Range) -> bool {
        self.count(window) > 0
    }

    /// The objects of a window, in the order in which they are read, with the store that each is read from.
    fn objects_of(&self, window: Range) -> Vec<(&'p Store, Vec<LogObject>)> {
        let stores = self.ways.stores().enumerate();
        let objects = stores.map(|(way, store)| (store, self.objects_in(way, window)));
        objects.filter(|(_, objects)| !objects.is_empty()).collect()
    }

    /// The objects of a window that are read in one way.
    fn objects_in(&self, way: usize, window: Range) -> Vec<LogObject> {
        let own = self.exports.iter().zip(&self.way_of);
        let own = own.filter(|(export, own)| export.window_range == window && **own == way);
        let objects = own.flat_map(|(export, _)| export.objects.clone());
        let mut objects: Vec<LogObject> = objects.collect();
        LogObject::sort_by_stream(&mut objects);
        objects
    }

    /// The objects of all windows, one window behind the other. Several windows may have their events in one object, which is
    /// then there once.
    fn objects(&self) -> Vec<(&'p Store, Vec<LogObject>)> {
        let mut windows = self.windows();
        windows.sort_by_key(|range| (range.start_ms, range.end_ms));
        let stores = self.ways.stores().enumerate();
        let objects = stores.map(|(way, store)| {
            let of_windows = windows
                .iter()
                .flat_map(|range| self.objects_in(way, *range));
            (store, LogObject::joined(of_windows.collect()))
        });
        objects.collect()
    }

    /// Whether an archive has all exports of its window.
    fn is_archived_in(&self, archive: &ArchivedWindow) -> bool {
        let own = self.exports.iter();
        let own = own.filter(|export| export.window_range == archive.window.range());
        archive.is_of(
            self.store,
            own.map(|export| (&export.prefix, &export.objects[..])),
        )
    }
}

/// A window, or another part of time.
#[derive(Debug)]
struct Part {
    /// Its interval.
    range: Range,
    /// The objects with its events, in each place; empty where an archive has more than is kept of them.
    exported: Vec<LogsTable>,
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
                            let store = stores.open(location, Account::LOGS).await?;
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
                        exported: Some(vec![self.table(
                            &store,
                            objects,
                            range,
                            masks,
                            Arc::default(),
                        )]),
                        deleted: None,
                    }
                }
            };
            deleted.extend(found.deleted.clone());
            subjects.push(found);
        }
        let tables = subjects.iter().flat_map(|subject| {
            let of_parts = subject.parts.iter().flat_map(|part| part.exported.clone());
            of_parts.chain(subject.exported.iter().flatten().cloned())
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
        shape: Arc<RecordShape>,
    ) -> LogsTable {
        let environment = &self.scope.environment;
        let pool = environment.engine.pool();
        let logs = LogsTable::new(store, objects, range, pool)
            .of_shape(shape)
            .masking(masks);
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
        let wanted = self.scope.range.unwrap_or(Range::ALL);
        let masks = self.scope.request.mask || job.mask;
        let archives = self.archives(job, wanted, masks).await;
        let mut places: Vec<Place> = Vec::new();
        for source in &job.sources {
            let store = source_store(&self.scope.environment, source).await?;
            self.scope.environment.engine.add_store(&store);
            let is_same = |place: &&mut Place| {
                let is_read_in_place = source.logs.is_read_in_place();
                !is_read_in_place && place.source.logs.staging() == source.logs.staging()
            };
            // Sources with one staging location have their exports there together.
            match places.iter_mut().find(is_same) {
                Some(place) => place.ways.add(source, store),
                None => places.push(Place {
                    source: source.clone(),
                    ways: Ways::new(source, store.clone()),
                    store,
                }),
            }
        }
        let mut in_place = Vec::new();
        let mut staged = Vec::new();
        for place in &places {
            match place.source.logs.is_read_in_place() {
                true => in_place.push(self.in_place(place, wanted, &archives, notes).await?),
                false => {
                    let environment = &self.scope.environment;
                    staged.push(Staged::list(environment, job, place, wanted).await?);
                }
            }
        }
        if in_place.is_empty() {
            return self.of_windows(job, archives, &staged, notes).await;
        }
        // The objects are not those of one window each.
        let mut tables = Vec::new();
        let mut is_current = vec![true; archives.len()];
        for part in in_place {
            for (all, own) in is_current.iter_mut().zip(part.is_current) {
                *all &= own;
            }
            tables.push(self.table(part.store, part.objects, wanted, masks, part.shape));
        }
        let mut missing = None;
        for staged in &staged {
            let lacks = self.not_exported(job, wanted, &staged.windows(), &[])?;
            missing = missing.or(lacks);
            for (current, archive) in is_current.iter_mut().zip(&archives) {
                *current &= staged.is_archived_in(archive);
            }
            let of_ways = staged.objects().into_iter();
            tables.extend(
                of_ways.map(|(store, objects)| {
                    self.table(store, objects, wanted, masks, Arc::default())
                }),
            );
        }
        let current = archives.into_iter().zip(is_current);
        let parts = current.filter(|(_, is_current)| *is_current);
        let parts = parts.map(|(archive, _)| Part {
            range: archive.window.range(),
            exported: Vec::new(),
            archived: Some(archive),
        });
        let parts: Vec<Part> = parts.collect();
        // Exports that were deleted after their time are missed only where no archive has their events.
        let archived: Vec<Range> = parts.iter().map(|part| part.range).collect();
        let exported = match missing {
            None => Some(tables),
            Some(_) if !has_gap(wanted, &archived) => None,
            Some(missing) => return Err(self.missing(missing)),
        };
        Ok(EventsOfSubject {
            job: Some(job.clone()),
            parts,
            exported,
            deleted: None,
        })
    }

    /// The objects of a source that another program writes, and of each archive, whether it is of those of its window.
    async fn in_place<'p>(
        &self,
        place: &'p Place,
        wanted: Range,
        archives: &[ArchivedWindow],
        notes: &mut Vec<String>,
    ) -> Result<InPlace<'p>> {
        let Place { source, store, .. } = place;
        let arriving = arriving(&source.logs, store);
        // Objects that arrive expire too, and an archive of all that are left and of more is the better one.
        let may_expire = arriving.is_some();
        let (mut objects, of_windows) = match &arriving {
            Some(arriving) => {
                let arrived = arrival_of(arriving.as_ref(), wanted);
                let delivered = arriving.arrived(arrived).await?;
                if !delivered.objects.is_empty() || archives.is_empty() {
                    let note = note_on(arriving.as_ref(), arrived, &delivered.objects);
                    notes.extend(note.await?);
                }
                notes.extend(delivered.note);
                let windows: Vec<Range> = archives
                    .iter()
                    .map(|archive| archive.window.range())
                    .collect();
                let of_windows = arriving.of_windows(&delivered.objects, &windows);
                (delivered.objects, of_windows)
            }
            None => {
                let log_group = match &source.logs {
                    Source::Exported { log_group, .. } => log_group.as_deref(),
                    _ => None,
                };
                let objects = staging::every_object(store, log_group).await?.objects;
                note_several(store, &objects, notes);
                let of_window = |archive| of_window(store, &objects, archive);
                let of_windows = archives.iter().map(of_window).collect();
                (objects, of_windows)
            }
        };
        let is_current = archives.iter().zip(of_windows).map(|(archive, objects)| {
            archive.is_of(store, [(store.root(), &objects[..])])
                || may_expire && !archive.lacks(source, &objects)
        });
        let is_current = is_current.collect();
        LogObject::sort_by_stream(&mut objects);
        Ok(InPlace {
            store,
            objects,
            shape: source.logs.record_shape(),
            is_current,
        })
    }

    /// The events of a job whose windows are all exported by this program.
    async fn of_windows(
        &self,
        job: &Job,
        archives: Vec<ArchivedWindow>,
        staged: &[Staged<'_>],
        notes: &mut Vec<String>,
    ) -> Result<EventsOfSubject> {
        let wanted = self.scope.range.unwrap_or(Range::ALL);
        let masks = self.scope.request.mask || job.mask;
        let windows = staged.iter().flat_map(Staged::windows);
        let windows: BTreeSet<(i64, i64)> = windows
            .map(|range| (range.start_ms, range.end_ms))
            .collect();
        let mut parts: Vec<Part> = Vec::new();
        for (start_ms, end_ms) in windows {
            let range = Range { start_ms, end_ms };
            let mut archives = archives
                .iter()
                .filter(|archive| archive.window.range() == range);
            let archived = archives
                .next()
                .filter(|archive| staged.iter().all(|staged| staged.is_archived_in(archive)));
            // Each source keeps its exports for a time of its own: what is left of them may be those of some sources only.
            let kept: usize = staged.iter().map(|staged| staged.count(range)).sum();
            let is_left_alone =
                |archived: &&ArchivedWindow| job.has_several_sources() && kept < archived.exports();
            let exported = match archived.filter(is_left_alone) {
                Some(_) => Vec::new(),
                None => {
                    let there = staged.iter().filter(|staged| staged.has(range));
                    there
                        .flat_map(|staged| staged.objects_of(range))
                        .map(|(store, objects)| {
                            self.table(store, objects, wanted, masks, Arc::default())
                        })
                        .collect()
                }
            };
            parts.push(Part {
                range,
                exported,
                archived: archived.cloned(),
            });
        }
        for staged in staged {
            for (store, objects) in staged.objects() {
                note_several(store, &objects, notes);
            }
            let is_lacking = |part: &&Part| part.archived.is_none() && !staged.has(part.range);
            let lacking = parts.iter().filter(is_lacking).count();
            if lacking > 0 && job.has_several_sources() {
                notes.push(format!(
                    "{lacking} of {} have no export of {}: its events are missing there",
                    counted(parts.len() as u64, "window"),
                    staged.source
                ));
            }
        }
        let exported: Vec<Range> = parts.iter().map(|part| part.range).collect();
        for archive in archives {
            let range = archive.window.range();
            let is_exported = exported
                .iter()
                .any(|other| !other.intersect(range).is_empty());
            if !is_exported {
                parts.push(Part {
                    range,
                    exported: Vec::new(),
                    archived: Some(archive),
                });
            }
        }
        parts.sort_by_key(|part| part.range.start_ms);
        let there: Vec<Range> = parts.iter().map(|part| part.range).collect();
        let windows = self.without_export(job, wanted, &there).await;
        let deleted = (!windows.is_empty()).then(|| Missing::Deleted {
            job: job.name.clone(),
            windows: windows.clone(),
        });
        if there.is_empty()
            && let Some(deleted) = deleted
        {
            return Err(self.missing(deleted));
        }
        if let Some(missing) = self.not_exported(job, wanted, &there, &windows)? {
            return Err(self.missing(missing));
        }
        // Where no window has an archive, its parts are read in one scan.
        let exported = match parts.iter().any(|part| part.archived.is_some()) {
            true => None,
            false => {
                parts.clear();
                let objects = staged.iter().flat_map(Staged::objects);
                let tables = objects.map(|(store, objects)| {
                    self.table(store, objects, wanted, masks, Arc::default())
                });
                Some(tables.collect())
            }
        };
        Ok(EventsOfSubject {
            job: Some(job.clone()),
            parts,
            exported,
            deleted,
        })
    }

    /// What is missing where nothing is there of the windows that a query is over, or not of all of them but the `deleted`.
    fn not_exported(
        &self,
        job: &Job,
        wanted: Range,
        there: &[Range],
        deleted: &[Window],
    ) -> Result<Option<Missing>> {
        let name = || job.name.clone();
        if there.is_empty() {
            return Ok(Some(Missing::NotExported {
                job: name(),
                windows: self.scope.request.windows.clone(),
            }));
        }
        // The windows that a run exports, which are those of the job's zone.
        let asked_for = match self.scope.range {
            Some(range) => Window::meeting(job.window.size, job.timezone, range)?,
            None => Vec::new(),
        };
        let is_missing = |window: &&Window| {
            let part = window.range().intersect(wanted);
            has_gap(part, there) && !deleted.contains(window)
        };
        let missing: Vec<Window> = asked_for.iter().filter(is_missing).cloned().collect();
        Ok((!missing.is_empty()).then(|| Missing::Incomplete {
            job: name(),
            missing,
            asked_for: asked_for.len(),
        }))
    }

    /// The events of a subject that a query needs.
    fn events(&self, subject: &EventsOfSubject, needs: &Needs) -> Result<Vec<Events>> {
        let wanted = self.scope.range.unwrap_or(Range::ALL);
        let Some(job) = &subject.job else {
            return Ok(as_exported(subject.exported.iter().flatten()));
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
            return Ok(as_exported(exported));
        }
        let mut events = Vec::with_capacity(subject.parts.len());
        let mut lacking = Vec::new();
        for part in &subject.parts {
            match (&part.exported[..], can_read(&part)) {
                (_, true) => events.extend(archived(part)?),
                ([], false) => lacking.extend(part.archived.as_ref().map(|of| of.window.clone())),
                (exported, false) => events.extend(as_exported(exported)),
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

fn as_exported<'t>(tables: impl IntoIterator<Item = &'t LogsTable>) -> Vec<Events> {
    let tables = tables.into_iter().cloned();
    tables.map(Events::Exported).collect()
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
