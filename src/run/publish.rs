//! Publishing a window: its answers, charts and receipt, each put only if the lease is held and the key is unchanged.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use object_store::path::Path;

use super::answer::{Answer, Picture};
use super::{Environment, Output, WindowPlan};
use crate::error::{Class, Error, Result};
use crate::job::{Job, Query};
use crate::layout::{AnswerKeys, parent, parse_chart_window};
use crate::output::WindowKeys;
use crate::output::division::{AnswerObject, ObjectContent};
use crate::output::parquet::CONTENT_TYPE;
use crate::progress::{Progress, Step};
use crate::receipt::{OutputKind, OutputReport, Receipt};
use crate::state::Phase;
use crate::state::lease::HeldWindow;
use crate::store::{Body, Condition, Written};
use crate::window::Unit;

/// The most tries at putting the latest chart, which runs of other windows may put at the same time.
const TRIES_AT_LATEST: usize = 10;

/// Puts the outputs of a window. The condition of each put is that its key is as it was when the run took the window.
pub(super) struct Publisher<'a> {
    output: Output,
    progress: Arc<dyn Progress>,
    job: &'a Job,
    window: &'a WindowPlan,
    /// What was at each key when the run took the window.
    seen: BTreeMap<Path, Condition>,
    /// The parts that the lists of answers named at that time.
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
        let WindowKeys { by_rows, fixed } = WindowKeys::of(keys, job, &window.window, false);
        let seen = futures::future::try_join_all(fixed.into_iter().map(|key| async move {
            let condition = store.as_it_is(&key).await?;
            Ok::<_, Error>((key, condition))
        }))
        .await?;
        let mut seen: BTreeMap<Path, Condition> = seen.into_iter().collect();
        for keys in by_rows {
            let there = store.list(&keys.folder).await?;
            seen.extend(
                there.into_iter().filter_map(|object| {
                    Some((object.location, Condition::Unchanged(object.e_tag?)))
                }),
            );
        }
        let mut listed = HashSet::new();
        for query in job.answers() {
            let answer = keys.of_answer(query.name.as_str(), &window.window);
            listed.extend(query.division.listed_parts(store, answer).await?);
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

    /// Puts the objects of an answer in the order of its division.
    pub(super) async fn answer(
        &self,
        held: &HeldWindow,
        answer: &Answer<'_>,
    ) -> Result<Vec<OutputReport>> {
        let query = answer.query.name.as_str();
        let keys = self.output.keys.of_answer(query, &self.window.window);
        let there = self.seen.iter();
        let there = there.filter(|(_, condition)| **condition != Condition::Absent);
        let objects = answer.files.objects(keys, there.map(|(key, _)| key));
        let mut reports = Vec::with_capacity(objects.len());
        for object in objects {
            let is_left_over = matches!(object.content, ObjectContent::LeftOver(_));
            let report = self.answer_object(held, query, object).await?;
            if !is_left_over {
                reports.push(report);
            }
        }
        Ok(reports)
    }

    async fn answer_object(
        &self,
        held: &HeldWindow,
        query: &str,
        object: AnswerObject<'_>,
    ) -> Result<OutputReport> {
        let (kind, body, content_type, rows) = match object.content {
            ObjectContent::Put(part) => {
                let location = self.output.store.display(&object.key);
                let written = part.written.clone();
                return Ok(OutputReport {
                    rows: Some(part.rows),
                    ..self.report(OutputKind::Parquet, query, location, written)
                });
            }
            ObjectContent::File(file) | ObjectContent::LeftOver(file) => (
                OutputKind::Parquet,
                Body::File(file.path.clone()),
                CONTENT_TYPE,
                Some(file.rows),
            ),
            ObjectContent::PartsList(text) => (
                OutputKind::Parts,
                Body::Bytes(Bytes::from(text)),
                "text/plain",
                None,
            ),
        };
        let put = self.put(held, kind, query, object.key, body, content_type);
        Ok(OutputReport { rows, ..put.await? })
    }

    /// Deletes the parts of earlier answers, except those of the last one, which readers may still read, and the files
    /// that only an earlier archive has; also parts that workers have put for this answer before one of them failed. A
    /// failure is a warning: the next run tries again.
    pub(super) async fn delete_old_parts(&self, receipt: &Receipt) {
        let Output { store, keys } = &self.output;
        let put = receipt.outputs.iter().map(|output| output.key.as_str());
        let put: HashSet<&str> = put.collect();
        let is_in_use =
            |key: &Path| put.contains(keys.relative(key).as_str()) || self.listed.contains(key);
        for query in self.job.answers() {
            let name = query.name.as_str();
            let answer = keys.of_answer(name, &self.window.window);
            let there = self.parts_there(query, answer).await;
            for key in query.division.outdated(answer, there.iter(), is_in_use) {
                if let Err(error) = store.delete(key).await {
                    tracing::warn!(query = name, %error, "could not delete a part of an earlier answer");
                }
            }
        }
    }

    /// The parts that are there now, and all keys that were there when the run took the window.
    async fn parts_there(&self, query: &Query, answer: AnswerKeys<'_>) -> Vec<Path> {
        let mut there: Vec<Path> = self.seen.keys().cloned().collect();
        if let Some(folder) = query.division.parts_folder(answer) {
            match self.output.store.list(&folder).await {
                Ok(now) => there.extend(now.into_iter().map(|object| object.location)),
                Err(error) => {
                    tracing::warn!(query = query.name.as_str(), %error, "could not look for parts of other answers");
                }
            }
        }
        there.sort_unstable();
        there.dedup();
        there
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
        let put = self.put(held, kind, &picture.query, key, body, content_type);
        Ok(OutputReport {
            headline: Some(picture.headline.clone()),
            ..put.await?
        })
    }

    /// Copies the window's charts, which are put already, to the keys of the latest charts, unless a newer window has
    /// such charts. Runs of other windows may do the same at the same time. Each first notes the condition of its put,
    /// then looks for newer charts, and starts again if the condition fails. So the newest chart stays, in whatever
    /// order they run.
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
        // The next run of this window, or of a newer one, corrects it.
        tracing::warn!(
            chart = store.display(&key),
            "other runs keep putting this chart; theirs stays"
        );
        Ok(())
    }

    /// True if a newer window has this chart.
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
            headline: None,
            bytes: written.bytes,
        }
    }
}

/// Renews the lease before an object is put. An error (held) if it was lost.
async fn may_publish(held: &HeldWindow) -> Result<()> {
    held.change(|state| state.phase = Phase::Publishing).await
}
