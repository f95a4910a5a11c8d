//! From a window's exported objects to its receipt: compute the answers, compare, verify, draw, publish. Nothing is put
//! before every answer is there.

use std::collections::{BTreeMap, HashSet};
use std::path::Path as FilePath;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use object_store::path::Path;
use tempfile::TempDir;

use super::answer::{Answer, Objects, Picture, QueryRun, count_all, count_by_hour, draw};
use super::answer_files::AnswerColumns;
use super::archive::ArchivedWindow;
use super::earlier_export::Comparison;
use super::expectations::check;
use super::previous::EarlierAnswers;
use super::publish::Publisher;
use super::queries::{PlannedQuery, kept_for_later, reads_again};
use super::sources::{OpenSource, Sources, WindowRequest};
use super::stopwatch::Stopwatch;
use super::{Environment, Force, Plan, WindowPlan, archive, compare, put_parts, shared};
use crate::chart::build::{Caption, ChartData, Verified};
use crate::disk::free_bytes;
use crate::error::{Class, Error, Result};
use crate::expect::ExpectationReport;
use crate::export::{Exported, Reuse};
use crate::job::{Job, JobSource, Source, Verify};
use crate::layout;
use crate::layout::cloudwatch::LogObject;
use crate::numbers::counted;
use crate::output::division::Divided;
use crate::progress::Step;
use crate::query::archived::ArchivedLogs;
use crate::query::{Session, in_time, total_memory};
use crate::receipt::{Change, ExportReport, OutputReport, Receipt, Status};
use crate::scan::cache::ObjectCache;
use crate::scan::columns::{Coding, Columns};
use crate::scan::{COMPRESSION, Hours, LogsTable, ScanReport, Tally};
use crate::state::Phase;
use crate::state::lease::HeldWindow;
use crate::store::Store;
use crate::verify::{self, HourCount, Verification, Verifier};
use crate::window::Range;

/// Bytes of compressed objects kept on disk between the queries of a job. Fargate gives 20 GiB of disk; on a smaller one it is an
/// eighth of what is free.
const MOST_CACHED: u64 = 8 << 30;

/// Columns of events kept between the queries of a job may take this part of the disk that is free: half is for what spills.
const COLUMNS_OF_FREE: u64 = 4;

/// Columns that take at most this part of the machine's memory stay in it: what is written to disk is read from the system's cache.
const CACHED_OF_MEMORY: u64 = 4;

/// The run of a window that is held and exported.
pub(super) struct WindowRun<'a> {
    pub(super) environment: &'a Environment,
    pub(super) plan: &'a Plan<'a>,
    /// Of each source, in their order; empty where none counts.
    pub(super) verifiers: &'a [Option<Verifier>],
    pub(super) window: &'a WindowPlan,
    pub(super) held: &'a HeldWindow,
    pub(super) publisher: &'a Publisher<'a>,
    pub(super) started_at: DateTime<Utc>,
}

/// Where the events of a window are read from.
#[derive(Clone, Copy)]
enum Events<'a> {
    /// The exports of each source.
    Exported(&'a [Exported]),
    Archived(&'a ArchivedWindow),
}

/// The answers of a window, and what they are of.
pub(super) struct Computed<'a> {
    session: Session,
    answers: Vec<Answer<'a>>,
    /// What was read of all sources, and of each.
    pub(super) read: ScanReport,
    read_of_sources: Vec<ScanReport>,
    /// The objects of each source.
    tables: Vec<LogsTable>,
    /// How the answers compare with what is expected of them.
    expectations: Vec<ExpectationReport>,
    /// The events of each log group by hour, of each source.
    pub(super) tallies: Vec<BTreeMap<Option<String>, Hours>>,
    /// Notes where several exports have the same events, of each source.
    common_events: Vec<Option<String>>,
    /// Holds the answers' files.
    folder: TempDir,
}

impl WindowRun<'_> {
    /// Computes the answers and publishes them. The receipt, and a chart of each query for a terminal.
    pub(super) async fn run(
        &self,
        mut exported: Vec<Exported>,
        mut stopwatch: Stopwatch,
    ) -> Result<(Receipt, Vec<ChartData>)> {
        self.held.note(|state| state.phase = Phase::Asking);
        let mut computed = stopwatch
            .time("query", self.compute(Events::Exported(&exported)))
            .await?;
        if let Some(last) = self.last_of_same_source() {
            let comparing = self.keep_events(last, &mut exported, &computed);
            match stopwatch.time("compare", comparing).await? {
                Comparison::NothingLost => {}
                Comparison::Kept => {
                    drop(computed);
                    computed = stopwatch
                        .time("query", self.compute(Events::Exported(&exported)))
                        .await?;
                    if let Some(error) = self.lost_events(last, &computed) {
                        return Err(error);
                    }
                }
                Comparison::Lost(error) => return self.keep_previous(last, error).await,
            }
        }
        self.check_without_events(&mut exported, &computed.tallies)
            .await?;
        let Computed {
            session,
            answers,
            expectations,
            read,
            read_of_sources,
            tables,
            tallies,
            common_events,
            folder: _folder,
        } = computed;
        for (exported, note) in exported.iter_mut().zip(common_events) {
            if let Some(note) = note {
                exported.note(note);
            }
        }

        let groups = each_once(group_names(&exported));
        let verifying = self.verify(&session, &exported, &tables, &read_of_sources);
        let verification = stopwatch.time("verify", verifying).await?;

        let caption = Caption {
            job: self.plan.job.name.as_str(),
            window: &self.window.window,
            groups: &groups,
            as_of: as_of(&exported),
            provisional: self.window.report.provisional,
            settled_after: self.plan.job.window.settled_after,
            verified: &Verified::of(verification.as_ref()),
            expectations: &expectations,
        };
        let drawing = async {
            answers
                .iter()
                .map(|answer| {
                    let query = answer.query.name.as_str();
                    self.environment.progress.report(Step::Drawing { query });
                    draw(answer, &caption)
                })
                .collect()
        };
        let pictures: Vec<_> = stopwatch.time::<Result<_>>("draw", drawing).await?;

        let publishing = self.publish(&answers, &pictures);
        let outputs = stopwatch.time("write", publishing).await?;
        let receipt = Receipt {
            expectations,
            archive: archive::report(self.plan.job, &answers),
            ..self.receipt(exported, read, &tallies, verification, outputs, stopwatch)
        };
        self.publisher.receipt(self.held, &receipt).await?;
        let series = answers
            .into_iter()
            .filter_map(|answer| answer.series.into_iter().next());
        Ok((receipt, series.collect()))
    }

    /// Computes the answers of a window's archive, whose exports need not be there any more. The receipt is the last one
    /// with these answers: it is of the same events.
    pub(super) async fn run_archived(
        &self,
        archived: &ArchivedWindow,
        last: &Receipt,
        mut stopwatch: Stopwatch,
    ) -> Result<(Receipt, Vec<ChartData>)> {
        self.held.note(|state| state.phase = Phase::Asking);
        let computing = self.compute(Events::Archived(archived));
        let computed = stopwatch.time("query", computing).await?;
        let Computed {
            answers,
            expectations,
            folder: _folder,
            ..
        } = computed;
        let groups = last.exports.iter();
        let groups = groups.filter_map(|export| export.log_group.clone());
        let groups = each_once(groups.collect());
        let caption = Caption {
            job: self.plan.job.name.as_str(),
            window: &self.window.window,
            groups: &groups,
            as_of: last.as_of,
            provisional: last.window.provisional,
            settled_after: self.plan.job.window.settled_after,
            verified: &Verified::of(last.verification.as_ref()),
            expectations: &expectations,
        };
        let pictures = answers.iter().map(|answer| draw(answer, &caption));
        let pictures = pictures.collect::<Result<Vec<_>>>()?;
        let publishing = self.publish(&answers, &pictures);
        let mut outputs = stopwatch.time("write", publishing).await?;
        let archive = archive::report(self.plan.job, &answers);
        if archive.is_none() {
            let of_archive = last.outputs.iter().filter(|output| {
                let archive = self.plan.job.archive.as_ref();
                archive.is_some_and(|archive| archive.query.name.as_str() == output.query)
            });
            outputs.extend(of_archive.cloned());
        }
        let receipt = Receipt {
            started_at: self.started_at,
            finished_at: self.environment.clock.now(),
            expectations,
            change: Some(Change::since(last, last.read.events)),
            tables: self.plan.lookups.reports(),
            archive: archive.or_else(|| last.archive.clone()),
            outputs,
            seconds: stopwatch.seconds(),
            job_sha256: self.plan.job_sha256.clone(),
            ..last.clone()
        };
        self.publisher.receipt(self.held, &receipt).await?;
        let series = answers
            .into_iter()
            .filter_map(|answer| answer.series.into_iter().next());
        Ok((receipt, series.collect()))
    }

    /// Archives the window's events, and publishes the archive beside the answers that are there. The receipt: the last
    /// one with the archive, or where there is none, one without answers.
    pub(super) async fn archive(
        &self,
        exported: Vec<Exported>,
        mut stopwatch: Stopwatch,
    ) -> Result<Receipt> {
        self.held.note(|state| state.phase = Phase::Asking);
        let computed = stopwatch
            .time("archive", self.compute(Events::Exported(&exported)))
            .await?;
        let Computed {
            answers,
            read,
            tallies,
            folder: _folder,
            ..
        } = computed;
        if let Some(last) = self
            .window
            .last
            .as_ref()
            .filter(|last| last.read.events != read.events)
        {
            return Err(Error::new(
                Class::Source,
                format!(
                    "window {} has {} in its export now, and its answers are of {}: `logtally run` with the window and --force makes both again",
                    self.window.report.id,
                    counted(read.events, "event"),
                    counted(last.read.events, "event")
                ),
            ));
        }
        let publishing = self.publish(&answers, &[]);
        let archived = stopwatch.time("write", publishing).await?;
        let archive = archive::report(self.plan.job, &answers);
        let receipt = match &self.window.last {
            None => Receipt {
                archive,
                ..self.receipt(exported, read, &tallies, None, archived, stopwatch)
            },
            Some(last) => {
                let is_of_archive = |output: &&OutputReport| {
                    answers
                        .iter()
                        .any(|answer| answer.query.name.as_str() == output.query)
                };
                let others = last.outputs.iter().filter(|output| !is_of_archive(output));
                Receipt {
                    started_at: self.started_at,
                    finished_at: self.environment.clock.now(),
                    archive,
                    outputs: others.cloned().chain(archived).collect(),
                    version: env!("CARGO_PKG_VERSION").to_owned(),
                    ..last.clone()
                }
            }
        };
        self.publisher.receipt(self.held, &receipt).await?;
        Ok(receipt)
    }

    /// A folder of this window's own, removed when it is dropped.
    fn folder(&self) -> Result<TempDir> {
        let scratch = self.environment.scratch();
        tempfile::tempdir_in(&scratch).map_err(|error| {
            let what = format!("can't make a temporary folder in {}", scratch.display());
            Error::new(Class::Output, what).caused_by(error)
        })
    }

    /// The session of the window's queries, how much there is to read in it, and the tally of what is read.
    async fn session(
        &self,
        events: Events<'_>,
        folder: &FilePath,
    ) -> Result<(Session, Objects, Vec<Arc<Tally>>)> {
        let (engine, job) = (&self.environment.engine, self.plan.job);
        let range = self.window.window.range();
        let stores: Vec<&Store> = self
            .plan
            .sources
            .iter()
            .map(|source| &source.store)
            .collect();
        let (logs, tallies) = self.tables(events, folder).await?;
        let objects = Objects::of(&logs);
        let columns = self.plan.queries.iter().map(AnswerColumns::of);
        let session = engine.session(job.timezone)?.with_formats(&job.formats);
        let session = match events {
            Events::Exported(_) => session.with_logs_of(&logs, &stores)?,
            Events::Archived(archived) => {
                engine.add_store(&self.plan.output.store);
                let columns = archive::columns_of(engine, job).await?;
                let archived = archive::OneWindow::new(job, archived, &columns);
                let archived =
                    ArchivedLogs::new(job.timezone, job.origins(), columns, Arc::new(archived));
                session.with_archived_logs(archived)
            }
        };
        let session = session
            .with_window(range)?
            .with_previous(Arc::new(EarlierAnswers {
                output: self.plan.output.clone(),
                job: job.clone(),
                window: self.window.window.clone(),
                columns: columns.collect::<Result<_>>()?,
            }));
        Ok((session, objects, tallies))
    }

    /// The objects of each source, and the tallies of what is read.
    async fn tables(
        &self,
        events: Events<'_>,
        folder: &FilePath,
    ) -> Result<(Vec<LogsTable>, Vec<Arc<Tally>>)> {
        let job = self.plan.job;
        let sources = u64::try_from(job.sources.len()).unwrap_or(u64::MAX).max(1);
        let free = free_bytes(folder).unwrap_or(u64::MAX);
        let kept = kept_for_later(job, &self.plan.queries);
        let is_cached = reads_again(job, &self.plan.queries);
        let mut tables = Vec::with_capacity(job.sources.len());
        for (place, source) in self.plan.sources.iter().enumerate() {
            let exported = match events {
                Events::Exported(exported) => exported.get(place),
                Events::Archived(_) => None,
            };
            let logs = match exported {
                Some(exported) => {
                    let objects = shared::objects_of(source, exported).await?;
                    let logs = self.table(source, objects);
                    match shared::is_part(source, exported, self.plan.windows.len()) {
                        true => logs.noting_times(),
                        false => logs,
                    }
                }
                None => self.table(source, Vec::new()),
            };
            let logs = match kept {
                Some(keep) => {
                    let coding = coding(logs.objects());
                    let room = free / COLUMNS_OF_FREE / sources;
                    let columns = Columns::of_run(folder.to_owned(), room, coding);
                    logs.keeping(columns, keep)
                }
                None => logs,
            };
            let logs = match is_cached {
                true => {
                    let room = MOST_CACHED.min(free / 8) / sources;
                    logs.with_cache(ObjectCache::new(folder.to_owned(), room))
                }
                false => logs,
            };
            tables.push(logs.tallied());
        }
        Ok(tables.into_iter().unzip())
    }

    fn table(&self, source: &OpenSource<'_>, mut objects: Vec<LogObject>) -> LogsTable {
        let (job, pool) = (self.plan.job, self.environment.engine.pool());
        LogObject::sort_by_stream(&mut objects);
        LogsTable::new(&source.store, objects, self.window.window.range(), pool)
            .with_origins(job.origins())
            .of_shape(source.source.logs.record_shape())
            .counting_odd_messages()
            .masking(job.mask)
    }

    /// The answers in the order of their queries, with the earlier ones that their charts are compared with, and what was
    /// read.
    async fn compute(&self, events: Events<'_>) -> Result<Computed<'_>> {
        let limit = self.plan.job.limits.timeout;
        in_time("[run] timeout", limit, self.compute_all(events)).await
    }

    async fn compute_all(&self, events: Events<'_>) -> Result<Computed<'_>> {
        let folder = self.folder()?;
        let (session, objects, tallies) = self.session(events, folder.path()).await?;
        let (job, window) = (self.plan.job, &self.window.window);
        let progress = self.environment.progress.as_ref();
        let mut answers = Vec::with_capacity(self.plan.queries.len());
        let mut expectations = Vec::new();
        // An archive that is read, and is as the job says, is not made again.
        let keeps_archive = matches!(
            (events, &self.window.last),
            (Events::Archived(_), Some(last)) if archive::is_current(job, last)
        );
        let queries = self.plan.queries.iter();
        for query in queries.filter(|query| query.archive.is_none() || !keeps_archive) {
            let run = QueryRun {
                progress,
                session: &session,
                name: query.query.name.as_str(),
                objects: &objects,
            };
            let keys = self.plan.output.keys.of_answer(run.name, window);
            let place = (&self.plan.output.store, keys);
            let answer = run.answer(query, folder.path(), place).await?;
            if query.archive.is_some() {
                answers.push(answer);
                continue;
            }
            self.add_table(&session, query, &answer).await?;
            let place = (&self.plan.output, job, window);
            let checked = check(&session, place, answer.query, &query.expectations);
            expectations.extend(checked.await?);
            answers.push(answer);
        }
        let read_of_sources = match objects.all_read() {
            Some(read) => read,
            None => count_all(progress, &session, &objects).await?,
        };
        let read: ScanReport = read_of_sources.iter().copied().sum();
        for answer in &mut answers {
            let (output, series) = (&self.plan.output, &mut answer.series);
            compare::compare_with_earlier(output, job, window, answer.query, series).await?;
        }
        read.warn(Some(&self.window.report.id), &read.oddities());
        if let Events::Exported(exported) = events {
            let tables = exported.iter().zip(objects.tables());
            for (source, (exported, table)) in self.plan.sources.iter().zip(tables) {
                shared::note_times(source, exported, table).await;
            }
        }
        Ok(Computed {
            common_events: objects.common_events(),
            tallies: tallies
                .iter()
                .map(|tally| tally.by_group())
                .collect::<Result<_>>()?,
            tables: objects.tables().to_vec(),
            read_of_sources,
            session,
            answers,
            expectations,
            read,
            folder,
        })
    }

    /// Registers an answer as a table, for the expectations and the later queries.
    async fn add_table(
        &self,
        session: &Session,
        planned: &PlannedQuery<'_>,
        answer: &Answer<'_>,
    ) -> Result<()> {
        if let Divided::Put(parts) = &answer.files {
            return put_parts::add_table(session, &self.plan.output, self.plan.job, planned, parts);
        }
        let files = answer.files.in_order().iter();
        let files: Vec<&FilePath> = files.map(|file| &*file.path).collect();
        let name = answer.query.name.as_str();
        session.add_answer(name, &files, &planned.table).await
    }

    /// Checks the exports of several windows that turned out to have no events of this one.
    async fn check_without_events(
        &self,
        exported: &mut [Exported],
        tallies: &[BTreeMap<Option<String>, Hours>],
    ) -> Result<()> {
        let request = WindowRequest {
            window: &self.window.window,
            reuse: Reuse::Nothing,
            takes_empty: self.plan.force == Force::Export,
            journal: self.held,
            ahead: &[],
        };
        let sources = &self.plan.sources;
        sources
            .check_without_events(&request, exported, tallies)
            .await
    }

    /// Compares the count of each source with an independent one, where there is one.
    async fn verify(
        &self,
        session: &Session,
        exported: &[Exported],
        tables: &[LogsTable],
        read: &[ScanReport],
    ) -> Result<Option<Verification>> {
        let mut found = Vec::new();
        let parts = exported.iter().zip(tables).zip(read);
        for ((source, verifier), ((exported, table), read)) in
            self.plan.job.sources.iter().zip(self.verifiers).zip(parts)
        {
            let Some(verifier) = verifier else {
                continue;
            };
            let (logs, counted) = ((session, table), read.events);
            let verified = self.verify_one(source, verifier, exported, logs, counted);
            found.extend(verified.await?.map(|verified| (source, verified)));
        }
        let verification = combined(found, self.plan.job, read);
        if let Some(verification) = &verification
            && verification.agrees != Some(true)
        {
            tracing::warn!(
                window = self.window.report.id,
                expected = verification.expected,
                counted = verification.counted,
                "not verified: {}",
                verification.note.as_deref().unwrap_or("the counts differ")
            );
        }
        Ok(verification)
    }

    /// The same for one source. Exports that outlive it may have more events.
    async fn verify_one(
        &self,
        source: &JobSource,
        verifier: &Verifier,
        exported: &Exported,
        (session, logs): (&Session, &LogsTable),
        counted: u64,
    ) -> Result<Option<Verification>> {
        let Source::CloudWatch(settings) = &source.logs else {
            return Ok(None);
        };
        let outlives = exported.groups.iter().any(|group| group.outlives);
        let groups = group_names(std::slice::from_ref(exported));
        let method = settings.verify_method();
        let counted_by_hour = match method {
            Verify::Insights => count_by_hour(session, logs).await?,
            Verify::Metrics | Verify::Off => Vec::new(),
        };
        let request = verify::VerifyRequest {
            method,
            log_groups: &groups,
            log_stream_prefix: settings.log_stream_prefix.as_deref(),
            range: self.window.window.range(),
            counted,
            counted_by_hour: &counted_by_hour,
        };
        let clock = self.environment.clock.as_ref();
        self.environment.progress.report(Step::Verifying);
        let verification = verifier.verify(clock, &request).await;
        Ok(verification.map(|verification| match outlives {
            true => verification.of_deleted_events(&counted_by_hour),
            false => verification,
        }))
    }

    /// Puts answers and charts, then the copies of the charts that are the latest.
    async fn publish(
        &self,
        answers: &[Answer<'_>],
        pictures: &[Vec<Picture>],
    ) -> Result<Vec<OutputReport>> {
        let mut outputs = Vec::new();
        for (number, answer) in answers.iter().enumerate() {
            let put = self.publisher.answer(self.held, answer);
            outputs.extend(put.await?);
            for picture in pictures.get(number).into_iter().flatten() {
                let put = self.publisher.picture(self.held, picture);
                outputs.push(put.await?);
            }
        }
        for pictures in pictures {
            self.publisher.latest(self.held, pictures).await?;
        }
        Ok(outputs)
    }

    /// The notes on the exports; and in the receipt of the run's own window, which earlier ones are not done.
    fn notes(&self, exported: &[Exported]) -> Vec<String> {
        let left_undone = self.plan.left_undone.clone();
        let left_undone = left_undone.filter(|_| !self.window.is_looked_back_at);
        let of_exports = exported.iter().flat_map(Exported::all_notes);
        of_exports.chain(left_undone).collect()
    }

    fn receipt(
        &self,
        exported: Vec<Exported>,
        read: ScanReport,
        tallies: &[BTreeMap<Option<String>, Hours>],
        verification: Option<Verification>,
        outputs: Vec<OutputReport>,
        stopwatch: Stopwatch,
    ) -> Receipt {
        let Plan {
            job,
            sources,
            job_sha256,
            source_sha256,
            ..
        } = self.plan;
        let WindowPlan { report, last, .. } = self.window;
        Receipt {
            status: Status::Done,
            job: job.name.to_string(),
            window: report.clone(),
            started_at: self.started_at,
            finished_at: self.environment.clock.now(),
            as_of: as_of(&exported),
            origin: sources.origin().cloned(),
            sources: sources.reports(),
            exports: export_reports(&exported, sources, tallies, self.window.window.range()),
            notes: self.notes(&exported),
            skipped_log_groups: exported
                .into_iter()
                .flat_map(|exported| exported.skipped)
                .collect(),
            verification,
            expectations: Vec::new(),
            reexports: self.window.reexports,
            change: last.as_ref().map(|last| Change::since(last, read.events)),
            read,
            tables: self.plan.lookups.reports(),
            archive: None,
            outputs,
            seconds: stopwatch.seconds(),
            job_sha256: job_sha256.clone(),
            source_sha256: source_sha256.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}

/// How columns of these objects' events are written, so that the later queries have them soonest.
fn coding(objects: &[LogObject]) -> Coding {
    let text: u64 = objects.iter().map(|object| object.size * COMPRESSION).sum();
    match text <= total_memory() / CACHED_OF_MEMORY {
        true => Coding::Plain,
        false => Coding::Lz4,
    }
}

/// When the first of the exports was asked for: events that came in later may be missing.
fn as_of(exported: &[Exported]) -> Option<DateTime<Utc>> {
    let groups = exported.iter().flat_map(|exported| &exported.groups);
    groups.filter_map(|group| group.as_of).min()
}

/// The log groups, as far as they are known.
fn group_names(exported: &[Exported]) -> Vec<String> {
    let groups = exported.iter().flat_map(|exported| &exported.groups);
    groups.filter_map(|group| group.log_group.clone()).collect()
}

/// The names without repetitions: several accounts may have log groups of one name.
fn each_once(mut groups: Vec<String>) -> Vec<String> {
    let mut named = HashSet::new();
    groups.retain(|group| named.insert(group.clone()));
    groups
}

/// What the counts of several sources say together: they agree if each does. A source without an independent count counts
/// for itself.
fn combined(
    found: Vec<(&JobSource, Verification)>,
    job: &Job,
    read: &[ScanReport],
) -> Option<Verification> {
    if !job.has_several_sources() {
        return found.into_iter().next().map(|(_, only)| only);
    }
    let named = |(source, verification): &(&JobSource, Verification)| {
        let note = verification.note.as_ref()?;
        Some(format!("{source}: {note}"))
    };
    let notes: Vec<String> = found.iter().filter_map(named).collect();
    let verdicts = || found.iter().map(|(_, verification)| verification);
    let (_, first) = found.first()?;
    let is_whole = verdicts().count() == read.len();
    Some(Verification {
        method: first.method,
        expected: verdicts().map(|verdict| verdict.expected).sum(),
        counted: verdicts().map(|verdict| verdict.counted).sum(),
        tolerance: verdicts().map(|verdict| verdict.tolerance).sum(),
        agrees: match () {
            () if verdicts().any(|verdict| verdict.agrees == Some(false)) => Some(false),
            () if verdicts().any(|verdict| verdict.agrees.is_none()) => None,
            () => Some(true),
        },
        by_hour: match is_whole {
            true => by_hour(verdicts()),
            false => Vec::new(),
        },
        note: (!notes.is_empty()).then(|| notes.join("; ")),
    })
}

/// The independent counts of each hour together.
fn by_hour<'v>(verdicts: impl Iterator<Item = &'v Verification>) -> Vec<HourCount> {
    let mut hours: BTreeMap<DateTime<Utc>, u64> = BTreeMap::new();
    for hour in verdicts.flat_map(|verdict| &verdict.by_hour) {
        *hours.entry(hour.hour_utc).or_default() += hour.events;
    }
    let hours = hours.into_iter();
    let count = |(hour_utc, events)| HourCount { hour_utc, events };
    hours.map(count).collect()
}

/// The windows of an export of several, by the folder that it is in.
fn windows_of_stretch(prefix: &Path) -> Option<String> {
    let folder = layout::parent(&layout::parent(prefix));
    folder.filename().map(str::to_owned)
}

fn export_reports(
    exported: &[Exported],
    sources: &Sources<'_>,
    tallies: &[BTreeMap<Option<String>, Hours>],
    window: Range,
) -> Vec<ExportReport> {
    let of_sources = exported.iter().zip(sources.iter()).zip(tallies);
    let reports = of_sources.flat_map(|((exported, source), tallies)| {
        export_reports_of(exported, source, tallies, window)
    });
    reports.collect()
}

fn export_reports_of(
    exported: &Exported,
    source: &OpenSource<'_>,
    tallies: &BTreeMap<Option<String>, Hours>,
    window: Range,
) -> Vec<ExportReport> {
    let hours = |group: &Option<String>| tallies.get(group).cloned();
    exported
        .groups
        .iter()
        .map(|group| ExportReport {
            source: source.source.number,
            log_group: group.log_group.clone(),
            task_id: group.task_id.clone(),
            prefix: source.store.display(&group.prefix),
            as_of: group.as_of,
            reused: group.reused,
            windows: group.stretch.as_ref().and_then(windows_of_stretch),
            objects: group.objects.len(),
            bytes: group.objects.iter().map(|object| object.size).sum(),
            hours: Some(hours(&group.log_group).unwrap_or_else(|| Hours::none(window))),
        })
        .collect()
}
