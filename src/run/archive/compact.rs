//! Archives of hours, compacted into one of their day.
//!
//! The files of the day are put first. Then the receipt of each hour is switched to them, under the hour's lease, and only
//! then the files of the hours are deleted. A reader goes by the receipts, so that it finds each event in one place, wherever
//! this was stopped; the next compaction goes on from there.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::NaiveDate;
use futures::StreamExt;
use object_store::path::Path;
use tempfile::TempDir;

use super::{ArchivedWindow, archived_windows, columns_of, is_current};
use crate::error::{Class, Error, Result};
use crate::job::{Archive, DAY_ARCHIVE, Job};
use crate::layout::{join, parent};
use crate::numbers::counted;
use crate::output::archive::{ArchiveSpool, Numbered};
use crate::output::division::generation;
use crate::output::parquet::Metadata;
use crate::query::archived::{ArchivedColumn, ArchivedLogs, Events, Needs, OpenEvents};
use crate::receipt::{ArchiveReport, OutputKind, OutputReport, Receipt};
use crate::run::history::read_receipt;
use crate::run::{Environment, Output, Request, queries, select};
use crate::state::lease::HeldWindow;
use crate::store::Body;
use crate::window::{Size, Window};

/// What happened to a day.
#[derive(Debug)]
pub struct CompactedDay {
    /// The day.
    pub day: NaiveDate,
    /// How many files the hours had, and how many the day has; `None` where it was compacted before.
    pub result: Result<Option<(usize, usize)>>,
}

/// Compacts the days of a request's windows. Each is `ended` when it is done or has failed.
///
/// # Errors
/// `Usage` for a job without an archive or whose windows are no hours, and as of planning a job.
pub async fn compact(
    environment: &Environment,
    job: &Job,
    request: &Request,
    mut ended: impl FnMut(&CompactedDay),
) -> Result<Vec<CompactedDay>> {
    let archive = job
        .archive
        .as_ref()
        .filter(|_| job.window.size == Size::Hour);
    let Some(archive) = archive else {
        return Err(Error::usage(format!(
            "only archives of hours are compacted into days: expected [archive] and [window] size = \"hour\" in {}",
            job.file.name()
        )));
    };
    let windows = select(job, request, environment.clock.now())?;
    let days: BTreeSet<NaiveDate> = windows.iter().map(Window::local_date).collect();
    let output = Output::open(environment, job).await?;
    environment.engine.add_store(&output.store);
    let compactor = Compactor {
        environment,
        job,
        archive,
        output,
        columns: columns_of(&environment.engine, job).await?,
    };
    let mut compacted = Vec::with_capacity(days.len());
    for day in days {
        let result = compactor.day(day).await;
        let day = CompactedDay { day, result };
        ended(&day);
        compacted.push(day);
    }
    Ok(compacted)
}

struct Compactor<'a> {
    environment: &'a Environment,
    job: &'a Job,
    archive: &'a Archive,
    output: Output,
    columns: Vec<ArchivedColumn>,
}

impl Compactor<'_> {
    async fn day(&self, date: NaiveDate) -> Result<Option<(usize, usize)>> {
        let day = Window::parse(Size::Day, self.job.timezone, &date.to_string())?;
        let hours = Window::meeting(Size::Hour, self.job.timezone, day.range())?;
        let mut receipts = Vec::with_capacity(hours.len());
        let mut missing = Vec::new();
        for hour in &hours {
            match read_receipt(&self.output, hour).await? {
                Some(receipt) if is_current(self.job, &receipt) => receipts.push(receipt),
                _ => missing.push(hour.id()),
            }
        }
        if let Some(first) = missing.first() {
            return Err(Error::usage(format!(
                "{} of {} of {date} have no archive as the job makes it now, such as {first}: expected `run` or `archive` of these windows first",
                missing.len(),
                counted(hours.len() as u64, "window"),
            )));
        }
        let before = self.files_of_hours(&hours).await?;
        if !is_of_one_day(&receipts) {
            let outputs = self.put_day(&day, &hours).await?;
            for (hour, receipt) in hours.iter().zip(&receipts) {
                self.switch(hour, receipt, &outputs).await?;
            }
            self.delete_others(&day, &hours, &outputs.1).await?;
            return Ok(Some((before.len(), outputs.1.len())));
        }
        // What an earlier compaction left, which was stopped behind its last receipt.
        let outputs: Vec<OutputReport> = archived_outputs(&receipts[0]).cloned().collect();
        self.delete_others(&day, &hours, &outputs).await?;
        Ok(None)
    }

    /// The files of archives in the folders of some hours.
    async fn files_of_hours(&self, hours: &[Window]) -> Result<Vec<Path>> {
        let Output { store, keys } = &self.output;
        let mut files = Vec::new();
        for hour in hours {
            let answer = keys.of_answer(self.archive.query.name.as_str(), hour);
            for object in store.list(&answer.folder()).await? {
                if answer.columns_of_numbered(&object.location).is_some() {
                    files.push(object.location);
                }
            }
        }
        Ok(files)
    }

    /// Writes the events of some hours to files of their day, and puts these. Their keys are those of no other content.
    async fn put_day(
        &self,
        day: &Window,
        hours: &[Window],
    ) -> Result<(ArchiveReport, Vec<OutputReport>)> {
        let (job, output) = (self.job, &self.output);
        let archived = archived_windows(output, job, day.range(), job.mask).await?;
        if archived.len() != hours.len() {
            return Err(Error::new(
                Class::Held,
                format!(
                    "{} of {} of {} are as their receipts list them: another run may be under way",
                    archived.len(),
                    counted(hours.len() as u64, "archive"),
                    day.id()
                ),
            ));
        }
        let Some(report) = archived.first().map(|first| first.report.clone()) else {
            return Err(Error::new(Class::Unexpected, "a day without hours"));
        };
        let scratch = self.environment.scratch();
        let folder = TempDir::new_in(&scratch).map_err(|error| {
            let what = format!("can't make a temporary folder in {}", scratch.display());
            Error::new(Class::Output, what).caused_by(error)
        })?;
        let files = self.write_day(day, archived, folder.path()).await?;
        let report = ArchiveReport {
            day: true,
            in_reading_order: files.is_in_reading_order,
            ..report
        };
        let generation = generation(&files.files).await?;
        let answer = output.keys.of_answer(DAY_ARCHIVE, day);
        let mut outputs = Vec::with_capacity(files.files.len());
        for (number, (key, file)) in files.keys(answer).zip(&files.files).enumerate() {
            let name = format!("{DAY_ARCHIVE}-{generation:016x}-{number:05}.parquet");
            let key = join(&parent(&key), &name);
            let condition = output.store.as_it_is(&key).await?;
            let body = Body::File(file.path.clone());
            let written = match output.store.unchanged(&key, &body, &condition).await? {
                Some(there) => there,
                None => {
                    let media_type = "application/vnd.apache.parquet";
                    let put = output.store.put_if(&key, body, media_type, &condition);
                    put.await?
                }
            };
            outputs.push(OutputReport {
                kind: OutputKind::Parquet,
                query: self.archive.query.name.to_string(),
                location: output.store.display(&key),
                key: output.keys.relative(&key),
                etag: written.etag,
                rows: Some(file.rows),
                headline: None,
                bytes: written.bytes,
            });
        }
        Ok((report, outputs))
    }

    async fn write_day(
        &self,
        day: &Window,
        archived: Vec<ArchivedWindow>,
        folder: &std::path::Path,
    ) -> Result<Numbered> {
        let (job, engine) = (self.job, &self.environment.engine);
        let planned = queries::plan_archive_alone(engine, job, day.range()).await?;
        let planned = planned.first().map(|planned| Arc::clone(&planned.columns));
        let planned =
            planned.ok_or_else(|| Error::new(Class::Unexpected, "a job without an archive"))?;
        let hours = Hours {
            job: job.clone(),
            archived,
            columns: self.columns.clone(),
        };
        let logs = ArchivedLogs::new(
            job.timezone,
            job.origins(),
            self.columns.clone(),
            Arc::new(hours),
        );
        let session = engine.session(job.timezone)?.with_formats(&job.formats);
        let session = session.with_archived_logs(logs);
        let query = &self.archive.query;
        let prepared = session.prepare(&query.sql, &query.sql_origin).await?;
        let statement = session.bind(&prepared).await?;
        let metadata = Metadata::new(job.name.as_str(), &day.id(), &query.sql);
        let answer = self.output.keys.of_answer(DAY_ARCHIVE, day);
        let mut spool =
            ArchiveSpool::create(&session, self.archive, &planned, &metadata, folder, answer)?;
        let mut batches = session.run(&statement).await?.batches;
        while let Some(batch) = batches.next().await {
            spool.write(&batch.map_err(Error::from_engine)?).await?;
        }
        spool.finish().await
    }

    /// Makes the archive of an hour that of its day, where its receipt is still the one that was read.
    async fn switch(
        &self,
        hour: &Window,
        read: &Receipt,
        (report, outputs): &(ArchiveReport, Vec<OutputReport>),
    ) -> Result<()> {
        let Output { store, keys } = &self.output;
        let state = keys.state(&hour.id());
        let lease = self.job.limits.lease;
        let held = HeldWindow::take(store, &state, lease, |_| {}, &|_| {}).await?;
        let switched = async {
            let key = keys.receipt(&hour.id());
            let there = store.get_to_replace(&key).await?;
            let condition = match there {
                Some((json, condition))
                    if serde_json::from_slice::<Receipt>(&json).ok().as_ref() == Some(read) =>
                {
                    condition
                }
                _ => {
                    return Err(Error::new(
                        Class::Held,
                        format!("another run did window {hour} meanwhile"),
                    ));
                }
            };
            let others = read.outputs.iter();
            let others = others.filter(|output| output.query != self.archive.query.name.as_str());
            let receipt = Receipt {
                archive: Some(report.clone()),
                outputs: others.chain(outputs).cloned().collect(),
                ..read.clone()
            };
            let json = serde_json::to_vec_pretty(&receipt).map_err(|error| {
                Error::new(Class::Unexpected, "can't write the receipt").caused_by(error)
            })?;
            let body = Body::Bytes(Bytes::from(json));
            store
                .put_if(&key, body, "application/json", &condition)
                .await
                .map(drop)
        };
        let switched = switched.await;
        held.release(|_| {}).await?;
        switched
    }

    /// Deletes the files of hours, those of the day that no receipt lists, and what a killed compaction had begun to write.
    async fn delete_others(
        &self,
        day: &Window,
        hours: &[Window],
        outputs: &[OutputReport],
    ) -> Result<()> {
        let Output { store, keys } = &self.output;
        let mut others = self.files_of_hours(hours).await?;
        let folder = keys.of_answer(DAY_ARCHIVE, day).folder();
        let of_day = store.list(&folder).await?.into_iter();
        others.extend(of_day.map(|object| object.location).filter(|key| {
            let key = keys.relative(key);
            !outputs.iter().any(|output| output.key == key)
        }));
        for key in others {
            store.delete(&key).await?;
        }
        // Another compaction that still writes the day can't end: its hours have other receipts since.
        let receipts: Vec<Path> = hours.iter().map(|hour| keys.receipt(&hour.id())).collect();
        store.sweep(&receipts, &[folder]).await
    }
}

/// The files of the archive that a receipt lists.
fn archived_outputs(receipt: &Receipt) -> impl Iterator<Item = &OutputReport> {
    let outputs = receipt.outputs.iter();
    outputs.filter(|output| output.query == crate::job::ARCHIVE)
}

/// Whether all hours have the same archive, of their day.
fn is_of_one_day(receipts: &[Receipt]) -> bool {
    let of_day = |receipt: &Receipt| receipt.archive.as_ref().is_some_and(|archive| archive.day);
    let keys = |receipt| archived_outputs(receipt).map(|output| &output.key);
    receipts.iter().all(of_day)
        && receipts
            .windows(2)
            .all(|two| keys(&two[0]).eq(keys(&two[1])))
}

/// The archives of the hours of a day, one behind the other.
#[derive(Debug)]
struct Hours {
    job: Job,
    archived: Vec<ArchivedWindow>,
    columns: Vec<ArchivedColumn>,
}

#[async_trait]
impl OpenEvents for Hours {
    async fn open(&self, _: &Needs) -> Result<Vec<Events>> {
        let hours = self.archived.iter().map(|hour| {
            let events = hour.events(&self.job, &self.columns, hour.window.range())?;
            Ok(Events::Archived(events))
        });
        hours.collect()
    }
}
