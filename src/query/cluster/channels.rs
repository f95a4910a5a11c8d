//! Connections to workers, and what is said over them besides the engine's own: who asks, which stores a plan reads, and
//! what was read of it.

use std::collections::{BTreeSet, HashMap};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use chrono_tz::Tz;
use datafusion::arrow::array::RecordBatch;
use datafusion::error::{DataFusionError, Result as EngineResult};
use datafusion::execution::TaskContext;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricValue};
use datafusion_distributed::grpc::{BoxCloneSyncChannel, create_worker_client};
use datafusion_distributed::{
    ChannelResolver, CoordinatorToWorkerMsg, ExecuteTaskRequest, GetWorkerInfoRequest,
    GetWorkerInfoResponse, MaybeEncoded, SetPlanRequest, WorkerChannel, WorkerToCoordinatorMsg,
};
use futures::StreamExt;
use futures::stream::BoxStream;
use http::{HeaderMap, HeaderValue};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use tower::ServiceExt;
use tower::util::BoxCloneSyncService;
use url::Url;

use super::access::{Access, MOST_HEADERS};
use super::codec::REPORT;
use super::failure::of_worker;
use super::following::follow;
use super::table_scan;
use crate::error::{Class, Error, Result};
use crate::job::{Format, FormatKind, Name};
use crate::runtimes::IoRuntime;
use crate::scan::wire::{SentScans, scan_of, store_of};

/// The header that has what a worker's session needs.
const SESSION: &str = "logtally-session";

/// A connection that no query has wanted for so long is closed: the addresses of a name change while a process runs.
const KEPT_FOR: Duration = Duration::from_secs(3600);

/// The formats of a job's messages: an extension of a session's configuration.
#[derive(Debug, Clone)]
pub(super) struct Formats(pub(super) Arc<[Format]>);

/// What a worker's session needs besides the plan. It has no secret.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SessionMessage {
    /// The zone of local time.
    pub(super) zone: String,
    /// The formats of the job, for `parse_as`.
    formats: Vec<FormatMessage>,
    /// The stores that the plan reads, such as `s3://bucket/`.
    pub(super) stores: BTreeSet<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct FormatMessage {
    name: String,
    kind: String,
    pattern: String,
}

impl From<&Format> for FormatMessage {
    fn from(format: &Format) -> Self {
        Self {
            name: format.name.to_string(),
            kind: format.kind.as_str().to_owned(),
            pattern: format.pattern.clone(),
        }
    }
}

impl SessionMessage {
    /// The formats of the job.
    ///
    /// # Errors
    /// `Unexpected` for a format that no job has.
    pub(super) fn formats(&self) -> Result<Vec<Format>> {
        let formats = self.formats.iter().map(|format| {
            let kinds = [FormatKind::Glob, FormatKind::Regex, FormatKind::Grok];
            let kind = kinds.into_iter().find(|kind| kind.as_str() == format.kind);
            let name = Name::new(&format.name).ok();
            let (Some(kind), Some(name)) = (kind, name) else {
                let what = format!("a plan came with the format {format:?}, which no job has");
                return Err(Error::new(Class::Unexpected, what));
            };
            Ok(Format {
                name,
                kind,
                pattern: format.pattern.clone(),
            })
        });
        formats.collect()
    }

    fn of(plan: &MaybeEncoded<Arc<dyn ExecutionPlan>>, task: &TaskContext) -> Self {
        let config = task.session_config();
        let formats = config.get_extension::<Formats>();
        let mut stores = BTreeSet::new();
        if let MaybeEncoded::Decoded(plan) = plan {
            collect_stores(plan, &mut stores);
        }
        let zone = config.options().execution.time_zone.clone();
        Self {
            zone: zone.unwrap_or_else(|| Tz::UTC.name().to_owned()),
            formats: formats.map_or_else(Vec::new, |formats| {
                formats.0.iter().map(FormatMessage::from).collect()
            }),
            stores,
        }
    }

    /// The value of the header.
    ///
    /// # Errors
    /// `Usage` where the formats are too large for a header.
    fn to_header(&self) -> Result<HeaderValue> {
        let json = serde_json::to_string(self).map_err(|error| {
            Error::new(Class::Unexpected, "can't write what a worker needs").caused_by(error)
        })?;
        let text = utf8_percent_encode(&json, NON_ALPHANUMERIC).to_string();
        if text.len() > MOST_HEADERS as usize / 2 {
            return Err(Error::usage(
                "the patterns of [formats] are too large to be sent to workers: expected less than 40 KiB of them, or no workers",
            ));
        }
        HeaderValue::from_str(&text).map_err(|error| {
            Error::new(Class::Unexpected, "can't write what a worker needs").caused_by(error)
        })
    }

    /// What a request's headers say; nothing for a request between workers.
    ///
    /// # Errors
    /// `Unexpected` for what this program does not write.
    pub(super) fn from_headers(headers: &HeaderMap) -> Result<Self> {
        let Some(header) = headers.get(SESSION) else {
            return Ok(Self::default());
        };
        let text = percent_decode_str(header.to_str().unwrap_or_default()).decode_utf8_lossy();
        serde_json::from_str(&text).map_err(|error| {
            let what = "a plan came with a session that can't be read";
            Error::new(Class::Unexpected, what).caused_by(error)
        })
    }
}

fn collect_stores(plan: &Arc<dyn ExecutionPlan>, stores: &mut BTreeSet<String>) {
    let logs = scan_of(plan).map(|(config, _)| config);
    if let Some(config) = logs.or_else(|| table_scan::scan_of(plan)) {
        stores.insert(store_of(config));
    }
    for child in plan.children() {
        collect_stores(child, stores);
    }
}

/// Connections to workers, one for each, with the time when it was last wanted.
#[derive(Debug)]
pub(super) struct Channels {
    access: Access,
    network: IoRuntime,
    open: Mutex<HashMap<Url, (BoxCloneSyncChannel, Instant)>>,
}

impl Channels {
    /// None is open yet.
    ///
    /// # Errors
    /// `Unexpected`, where threads can't be had.
    pub(super) fn new(access: Access) -> Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Ok(Self {
            access,
            network: IoRuntime::new("workers", cores)?,
            open: Mutex::default(),
        })
    }

    /// What connections are driven by, beside the threads that compute.
    pub(super) fn network(&self) -> &IoRuntime {
        &self.network
    }

    pub(super) fn access(&self) -> &Access {
        &self.access
    }

    fn channel(&self, worker: &Url) -> Result<BoxCloneSyncChannel> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        open.retain(|_, (_, wanted)| now.duration_since(*wanted) < KEPT_FOR);
        if let Some((channel, wanted)) = open.get_mut(worker) {
            *wanted = now;
            return Ok(channel.clone());
        }
        let endpoint = self.access.endpoint(worker)?;
        let network = self.network.handle();
        // It starts its tasks on the runtime that it is made in.
        let connection = {
            let _on_network = network.enter();
            endpoint.connect_lazy()
        };
        let headers = self.access.headers();
        let with_headers = connection.map_request(move |mut request: http::Request<_>| {
            let added = headers.iter();
            let added = added.map(|(name, value)| (name.clone(), value.clone()));
            request.headers_mut().extend(added);
            request
        });
        let channel = BoxCloneSyncService::new(with_headers);
        open.insert(worker.clone(), (channel.clone(), now));
        Ok(channel)
    }

    /// The version of a worker, and how many partitions it runs at a time.
    ///
    /// # Errors
    /// `Workers` for one that does not answer, or refuses.
    pub(super) async fn info(&self, worker: &Url) -> Result<String> {
        let mut client = create_worker_client(self.channel(worker)?);
        let answer = client.get_worker_info(GetWorkerInfoRequest {}).await;
        let answer = answer.map_err(|error| Error::from_engine(of_worker(worker, error)))?;
        Ok(answer.version)
    }
}

/// Gives the engine its connections.
#[derive(Debug, Clone)]
pub(super) struct Connections(pub(super) Arc<Channels>);

#[async_trait]
impl ChannelResolver for Connections {
    async fn get_worker_client_for_url(
        &self,
        url: &Url,
    ) -> EngineResult<Box<dyn WorkerChannel>, DataFusionError> {
        let channel = self.0.channel(url)?;
        Ok(Box::new(Conversation {
            worker: url.clone(),
            inner: create_worker_client(channel.clone()),
            channel,
        }))
    }
}

/// The engine's conversation with a worker.
struct Conversation {
    worker: Url,
    inner: Box<dyn WorkerChannel>,
    channel: BoxCloneSyncChannel,
}

#[async_trait]
impl WorkerChannel for Conversation {
    async fn coordinator_channel(
        &mut self,
        mut headers: HeaderMap,
        request: SetPlanRequest,
        messages: BoxStream<'static, CoordinatorToWorkerMsg>,
        metrics: ExecutionPlanMetricsSet,
        task: &Arc<TaskContext>,
    ) -> EngineResult<BoxStream<'static, EngineResult<WorkerToCoordinatorMsg>>> {
        let session = SessionMessage::of(&request.plan, task);
        headers.insert(SESSION, session.to_header()?);
        let sent = task.session_config().get_extension::<SentScans>();
        let worker = self.worker.clone();
        let answers = self
            .inner
            .coordinator_channel(headers, request, messages, metrics, task)
            .await
            .map_err(|error| of_worker(&worker, error))?;
        let Some(sent) = sent else {
            let answers =
                answers.map(move |answer| answer.map_err(|error| of_worker(&worker, error)));
            return Ok(answers.boxed());
        };
        let mut following = Box::pin(follow(self.channel.clone(), Arc::clone(&sent)));
        let mut answers = answers.map(move |answer| {
            let answer = answer.map_err(|error| of_worker(&worker, error))?;
            if let WorkerToCoordinatorMsg::TaskMetrics(metrics) = &answer {
                for report in reports(&metrics.pre_order_plan_metrics) {
                    sent.count(&report)?;
                }
            }
            Ok(answer)
        });
        let answers = futures::stream::poll_fn(move |context| {
            // It goes on as long as the conversation.
            let _ = following.as_mut().poll(context);
            answers.poll_next_unpin(context)
        });
        Ok(answers.boxed())
    }

    async fn execute_task(
        &mut self,
        headers: HeaderMap,
        request: ExecuteTaskRequest,
        metrics: ExecutionPlanMetricsSet,
        task: &Arc<TaskContext>,
    ) -> EngineResult<Vec<BoxStream<'static, EngineResult<RecordBatch>>>> {
        let worker = &self.worker;
        let partitions = self
            .inner
            .execute_task(headers, request, metrics, task)
            .await
            .map_err(|error| of_worker(worker, error))?;
        let partitions = partitions.into_iter().map(|batches| {
            let worker = worker.clone();
            let batches =
                batches.map(move |batch| batch.map_err(|error| of_worker(&worker, error)));
            batches.boxed()
        });
        Ok(partitions.collect())
    }

    async fn get_worker_info(
        &mut self,
        request: GetWorkerInfoRequest,
    ) -> EngineResult<GetWorkerInfoResponse> {
        let answer = self.inner.get_worker_info(request).await;
        answer.map_err(|error| of_worker(&self.worker, error))
    }
}

/// What the scans of a task have read, as they report it.
fn reports(nodes: &[datafusion::physical_plan::metrics::MetricsSet]) -> Vec<String> {
    let metrics = nodes.iter().flat_map(|node| node.iter());
    let reports = metrics.filter_map(|metric| match metric.value() {
        MetricValue::Count { name, .. } if name == REPORT => {
            let label = metric
                .labels()
                .iter()
                .find(|label| label.name() == REPORT)?;
            Some(label.value().to_owned())
        }
        _ => None,
    });
    reports.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_read_as_it_was_written() {
        let format = Format {
            name: Name::new("app").unwrap(),
            kind: FormatKind::Glob,
            pattern: "사용자 {user}\n took {ms:float} ms".to_owned(),
        };
        let session = SessionMessage {
            zone: "Asia/Seoul".to_owned(),
            formats: vec![FormatMessage::from(&format)],
            stores: ["s3://bucket/".to_owned(), "file:///".to_owned()].into(),
        };
        let mut headers = HeaderMap::new();
        headers.insert(SESSION, session.to_header().unwrap());
        let read = SessionMessage::from_headers(&headers).unwrap();
        assert_eq!(read, session);
        assert_eq!(read.formats().unwrap(), [format]);
        headers.insert(SESSION, HeaderValue::from_static("%7B"));
        let error = SessionMessage::from_headers(&headers).unwrap_err();
        assert!(error.to_string().contains("can't be read"), "{error}");
        let none = SessionMessage::from_headers(&HeaderMap::new()).unwrap();
        assert_eq!(none, SessionMessage::default());
    }
}
