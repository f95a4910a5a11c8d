//! Putting what a run found where people and programs read it.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use object_store::path::Path;

use super::answer::{Answer, Picture};
use super::outputs::{settled_keys, spread};
use super::{Environment, Output, WindowPlan};
use crate::error::{Class, Error, Result};
use crate::job::{Job, Name};
use crate::layout::{parent, parse_chart_window};
use crate::output::parquet::Spooled;
use crate::progress::{Progress, Step};
use crate::receipt::{OutputKind, OutputReport, Receipt};
use crate::state::Phase;
use crate::state::lease::HeldWindow;
use crate::store::{Body, Condition, Written};
use crate::window::Unit;

/// How often a chart is put that other runs put at the same time.
const TRIES_AT_LATEST: usize = 10;

/// Puts a window's outputs, each on condition that it is still what it was when the run took the window.
pub(super) struct Publisher<'a> {
    output: Output,
    progress: Arc<dyn Progress>,
    job: &'a Job,
    window: &'a WindowPlan,
    seen: BTreeMap<Path, Condition>,
    /// The parts of answers that were listed when the run took the window.
    listed: HashSet<Path>,
}

impl<'a> Publisher<'a> {
    pub(super) async fn prepare(
        environment: &Environment,
        output: &Output,
        job: &'a Job,
        window: &'a WindowPlan,
    ) -> Result<Self> {
        let Output { store, keys } = output;
        let written = settled_keys(keys, job, &window.window, false);
        let seen = futures::future::try_join_all(written.into_iter().map(|key| async move {
            let condition = store.as_it_is(&key).await?;
            Ok::<_, Error>((key, condition))
        }))
        .await?;
        let mut seen: BTreeMap<Path, Condition> = seen.into_iter().collect();
        for (folder, _) in spread(keys, job, &window.window) {
            let there = store.list(&folder).await?;
            seen.extend(
                there.into_iter().filter_map(|object| {
                    Some((object.location, Condition::Unchanged(object.e_tag?)))
                }),
            );
        }
        let mut listed = HashSet::new();
        for query in job.queries.iter().filter(|query| query.file_size.is_some()) {
            let query = query.name.as_str();
            let list = keys.parts_list(query, &window.window);
            if let Some(text) = store.get(&list).await? {
                let text = String::from_utf8_lossy(&text);
                listed.extend(keys.read_parts_list(query, &list, &text));
            }
        }
        Ok(Self {
            output: output.clone(),
            progress: Arc::clone(&environment.progress),
            job,
            window,
            seen,
            listed,
        })
    }

    pub(super) async fn answer(
        &self,
        held: &HeldWindow,
        answer: &Answer<'_>,
    ) -> Result<Vec<OutputReport>> {
        let query = answer.query.name.as_str();
        let (keys, window) = (&self.output.keys, &self.window.window);
        if answer.query.file_size.is_some() {
            return self.parts(held, answer).await;
        }
        let Some(partitioned) = &answer.partitioned else {
            let mut reports = Vec::with_capacity(1);
            for file in &answer.files {
                let key = keys.answer(query, window);
                reports.push(self.answer_file(held, query, key, file).await?);
            }
            return Ok(reports);
        };
        let mut reports = Vec::with_capacity(partitioned.files.len());
        let mut put = BTreeSet::new();
        for (values, spooled) in &partitioned.files {
            let columns = answer.query.partition_by.iter().map(Name::as_str);
            let values = columns.zip(values.iter().map(Option::as_deref));
            let key = keys.partitioned_answer(query, window, values);
            put.insert(key.clone());
            reports.push(self.answer_file(held, query, key, spooled).await?);
        }
        // What an earlier answer had and this one has not: no rows, rather than those of before.
        let by = answer.query.partition_by.len();
        let gone = self.seen.iter().filter(|(key, condition)| {
            let columns = keys.columns_in_window(query, window, key);
            columns.is_some_and(|columns| columns.len() == by)
                && **condition != Condition::Absent
                && !put.contains(*key)
        });
        for (key, _) in gone {
            let (key, empty) = (key.clone(), &partitioned.empty);
            reports.push(self.answer_file(held, query, key, empty).await?);
        }
        Ok(reports)
    }

    /// Puts the parts of an answer, under keys that no other answer has, and then the list of them: by that, readers go
    /// from the answer of before to this one at one moment.
    async fn parts(&self, held: &HeldWindow, answer: &Answer<'_>) -> Result<Vec<OutputReport>> {
        let query = answer.query.name.as_str();
        let (keys, window) = (&self.output.keys, &self.window.window);
        let generation = answer.generation().await?;
        let mut reports = Vec::with_capacity(answer.files.len() + 1);
        let mut parts = Vec::with_capacity(answer.files.len());
        for (number, file) in answer.files.iter().enumerate() {
            let key = keys.part(query, window, &generation, number);
            parts.push(key.clone());
            reports.push(self.answer_file(held, query, key, file).await?);
        }
        let list = keys.write_parts_list(&parts);
        let key = keys.parts_list(query, window);
        let body = Body::Bytes(Bytes::from(list));
        let kind = OutputKind::Parts;
        let put = self.put(held, kind, query, key, body, "text/plain");
        reports.push(put.await?);
        Ok(reports)
    }

    /// Deletes the parts of answers that neither this run lists nor the one before it, whose readers may be under way.
    /// What can't be deleted is left to the next run.
    pub(super) async fn delete_old_parts(&self, receipt: &Receipt) {
        let put = receipt.outputs.iter().map(|output| output.key.as_str());
        let put: HashSet<&str> = put.collect();
        for query in &self.job.queries {
            if query.file_size.is_none() {
                continue;
            }
            let (keys, query) = (&self.output.keys, query.name.as_str());
            let old = self.seen.keys().filter(|key| {
                keys.is_part(query, &self.window.window, key)
                    && !put.contains(keys.relative(key).as_str())
                    && !self.listed.contains(*key)
            });
            for key in old {
                if let Err(error) = self.output.store.delete(key).await {
                    tracing::warn!(query, %error, "could not delete a part of an earlier answer");
                }
            }
        }
    }

    async fn answer_file(
        &self,
        held: &HeldWindow,
        query: &str,
        key: Path,
        spooled: &Spooled,
    ) -> Result<OutputReport> {
        let body = Body::File(spooled.path.clone());
        let mut report = self
            .put(
                held,
                OutputKind::Parquet,
                query,
                key,
                body,
                "application/vnd.apache.parquet",
            )
            .await?;
        report.rows = Some(spooled.rows);
        Ok(report)
    }

    pub(super) async fn picture(
        &self,
        held: &HeldWindow,
        picture: &Picture,
    ) -> Result<OutputReport> {
        let (window, extension) = (&self.window.window, picture.format.extension());
        let keys = &self.output.keys;
        let key = keys.chart(&picture.query, &picture.chart, window, extension);
        let body = Body::Bytes(picture.bytes.clone());
        let (kind, content_type) = (OutputKind::Chart, picture.format.content_type());
        self.put(held, kind, &picture.query, key, body, content_type)
            .await
    }

    /// Makes the window's charts, which are put already, the latest ones, unless a newer window has them. Runs of several
    /// windows may be at it at once. Each looks for newer charts behind the condition of its put, and again where that
    /// fails: so the newest stays, whoever comes first.
    pub(super) async fn latest(&self, held: &HeldWindow, pictures: &[Picture]) -> Result<()> {
        for picture in pictures {
            self.make_latest(held, picture).await?;
        }
        Ok(())
    }

    async fn make_latest(&self, held: &HeldWindow, picture: &Picture) -> Result<()> {
        let Output { store, keys } = &self.output;
        let extension = picture.format.extension();
        let key = keys.latest_chart(&picture.query, &picture.chart, extension);
        let body = Body::Bytes(picture.bytes.clone());
        let content_type = picture.format.content_type();
        for _ in 0..TRIES_AT_LATEST {
            let condition = store.as_it_is(&key).await?;
            if self.is_superseded(picture, &key).await?
                || store.unchanged(&key, &body, &condition).await?.is_some()
            {
                return Ok(());
            }
            may_publish(held).await?;
            let put = store.try_put_if(&key, body.clone(), content_type, &condition);
            if put.await?.is_some() {
                return Ok(());
            }
        }
        // The next run of a window that is newer or as new puts it right.
        tracing::warn!(
            chart = store.display(&key),
            "other runs keep putting this chart; theirs stays"
        );
        Ok(())
    }

    /// Whether a newer window has this chart.
    async fn is_superseded(&self, picture: &Picture, latest: &Path) -> Result<bool> {
        let window = &self.window.window;
        let there = self.output.store.list(&parent(latest)).await?;
        Ok(there
            .iter()
            .filter_map(|object| {
                let extension = picture.format.extension();
                parse_chart_window(&object.location, &picture.chart, extension)
            })
            .filter_map(|id| Unit::parse(window.size(), id))
            .any(|unit| window.unit() < unit))
    }

    pub(super) async fn receipt(&self, held: &HeldWindow, receipt: &Receipt) -> Result<()> {
        let json = serde_json::to_vec_pretty(receipt).map_err(|error| {
            Error::new(Class::Unexpected, "can't write the receipt").caused_by(error)
        })?;
        let key = self.output.keys.receipt(&self.window.report.id);
        let condition = self.seen.get(&key).unwrap_or(&Condition::Absent);
        let body = Body::Bytes(Bytes::from(json));
        may_publish(held).await?;
        self.output
            .store
            .put_if(&key, body, "application/json", condition)
            .await?;
        Ok(())
    }

    async fn put(
        &self,
        held: &HeldWindow,
        kind: OutputKind,
        query: &str,
        key: Path,
        body: Body,
        content_type: &str,
    ) -> Result<OutputReport> {
        let location = self.output.store.display(&key);
        self.progress.report(Step::Writing { target: &location });
        let condition = self.seen.get(&key).unwrap_or(&Condition::Absent);
        let written = match self.output.store.unchanged(&key, &body, condition).await? {
            Some(there) => there,
            None => {
                may_publish(held).await?;
                self.output
                    .store
                    .put_if(&key, body, content_type, condition)
                    .await?
            }
        };
        Ok(self.report(kind, query, location, written))
    }

    fn report(
        &self,
        kind: OutputKind,
        query: &str,
        location: String,
        written: Written,
    ) -> OutputReport {
        OutputReport {
            kind,
            query: query.to_owned(),
            location,
            key: self.output.keys.relative(&written.key),
            etag: written.etag,
            rows: None,
            bytes: written.bytes,
        }
    }
}

/// Asked before each object that is put: whoever lost the lease learns it here.
async fn may_publish(held: &HeldWindow) -> Result<()> {
    held.change(|state| state.phase = Phase::Publishing).await
}
