//! Failures of workers: errors of this crate on the wire, and a worker that is lost.

use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result as EngineResult};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::metrics::MetricsSet;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties,
    ReplaceChildrenOptions,
};
use futures::StreamExt;
use serde::{Deserialize, Serialize};
use tonic::{Code, Status};
use url::Url;

use super::address::shown;
use crate::error::{Class, Error, causes, find_panic};
use crate::panics;

/// What the text of an error of this crate begins with on the wire, where the engine sends nothing but the text.
const MARK: &str = "logtally-error:";

/// What the engine says where rows are asked of a worker that has got no plan within 10 seconds: it was started anew, or the
/// stores of the plan could not be opened in time.
const NO_PLAN: &str = "timed-out while waiting for the plan";

#[derive(Debug, Serialize, Deserialize)]
struct ErrorMessage {
    class: u8,
    message: String,
    hint: Option<String>,
    failed: Option<Failed>,
}

/// Which worker failed, so that others may do better.
#[derive(Debug, Serialize, Deserialize)]
enum Failed {
    /// The one that sends the message. It does not know its own address.
    Sender,
    /// The one at this URL.
    Other(String),
}

/// An error of this crate as the text that the engine sends.
#[derive(Debug)]
struct Sent(String);

impl fmt::Display for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Sent {}

/// A failure of one worker.
#[derive(Debug)]
struct OfWorker {
    worker: String,
    error: Error,
}

impl fmt::Display for OfWorker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for OfWorker {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

/// The URL of the worker without which a query may do better: it was lost, or its memory or its disk is full.
pub(in crate::query) fn failed_worker(error: &DataFusionError) -> Option<String> {
    causes(error).find_map(|cause| Some(cause.downcast_ref::<OfWorker>()?.worker.clone()))
}

/// The error in the form in which its class survives the wire.
pub(super) fn to_wire(error: DataFusionError) -> DataFusionError {
    let failed = failed_worker(&error).map(Failed::Other);
    let no_room = || Some((no_room(&error)?, Some(Failed::Sender)));
    let own = |failed| Some((Error::own_within(&error)?, failed));
    let panic = || {
        let panic = find_panic(&error)?;
        let what = format!("a bug in this program: {panic}");
        Some((Error::new(Class::Unexpected, what), None))
    };
    let told = match failed {
        // Another worker has told it, and what it is.
        failed @ Some(_) => own(failed),
        None => no_room().or_else(|| own(None)).or_else(panic),
    };
    let Some((own, failed)) = told else {
        return error;
    };
    let message = ErrorMessage {
        class: own.class().exit_code(),
        message: own.message(),
        hint: own.hint().map(str::to_owned),
        failed,
    };
    match serde_json::to_string(&message) {
        Ok(json) => DataFusionError::External(Box::new(Sent(format!("{MARK}{json}")))),
        Err(_) => error,
    }
}

/// The error of a process whose memory or disk is full.
fn no_room(error: &DataFusionError) -> Option<Error> {
    if matches!(error.find_root(), DataFusionError::ResourcesExhausted(_)) {
        let what = "needs more memory for its part of the query than it may take";
        return Some(Error::new(Class::Sql, what).with_hint("raise --memory of the workers"));
    }
    let io = causes(error).find_map(|cause| cause.downcast_ref::<io::Error>())?;
    let is_full = [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded].contains(&io.kind());
    let hint = "make room in the temporary folder of the workers, or raise their --memory";
    is_full.then(|| Error::new(Class::Sql, format!("has no room: {io}")).with_hint(hint))
}

/// The error that `sender` sent, as it was before the wire.
fn from_wire(sender: &Url, error: DataFusionError) -> DataFusionError {
    let message = causes(&error).find_map(|cause| {
        let text = cause.to_string();
        serde_json::from_str::<ErrorMessage>(text.strip_prefix(MARK)?).ok()
    });
    let Some(message) = message else {
        return error;
    };
    let (text, worker) = match message.failed {
        None => (message.message, None),
        Some(Failed::Other(worker)) => (message.message, Some(worker)),
        Some(Failed::Sender) => {
            let text = format!("the worker {} {}", shown(sender), message.message);
            (text, Some(sender.to_string()))
        }
    };
    let class = Class::of_exit_code(message.class).unwrap_or(Class::Unexpected);
    let error = match message.hint {
        Some(hint) => Error::new(class, text).with_hint(hint),
        None => Error::new(class, text),
    };
    match worker {
        Some(worker) => OfWorker { worker, error }.into(),
        None => error.into(),
    }
}

impl From<OfWorker> for DataFusionError {
    fn from(failure: OfWorker) -> Self {
        DataFusionError::External(Box::new(failure))
    }
}

/// The error of a request to a worker: its own, or that it is lost.
pub(super) fn of_worker(worker: &Url, error: DataFusionError) -> DataFusionError {
    let status = causes(&error).find_map(|cause| cause.downcast_ref::<Status>());
    let reason = match status {
        Some(status) if is_refusal(status) => {
            format!("refuses: {}", status.message())
        }
        Some(status) => format!("is lost: {}", reason_of(status)),
        None if error.strip_backtrace().contains(NO_PLAN) => {
            "is lost: no plan of the query has reached it".to_owned()
        }
        None => return from_wire(worker, error),
    };
    let what = format!("the worker {} {reason}", shown(worker));
    OfWorker {
        worker: worker.to_string(),
        error: Error::new(Class::Workers, what),
    }
    .into()
}

fn is_refusal(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::Unauthenticated | Code::PermissionDenied | Code::FailedPrecondition
    )
}

/// What the network says, each reason once.
fn reason_of(status: &Status) -> String {
    let mut reasons: Vec<String> = Vec::new();
    for reason in causes(status).skip(1).map(ToString::to_string) {
        if !reasons.iter().any(|told| told.contains(&reason)) {
            reasons.push(reason);
        }
    }
    match reasons.is_empty() {
        true => status.message().to_owned(),
        false => reasons.join(": "),
    }
}

/// A plan whose errors keep their class on the wire. Everything else is that of the plan.
#[derive(Debug)]
pub(super) struct Relayed(pub(super) Arc<dyn ExecutionPlan>);

impl DisplayAs for Relayed {
    fn fmt_as(&self, t: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt_as(t, f)
    }
}

impl ExecutionPlan for Relayed {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn downcast_delegate(&self) -> Option<&dyn ExecutionPlan> {
        Some(self.0.as_ref())
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.0.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        self.0.children()
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> EngineResult<TreeNodeRecursion>,
    ) -> EngineResult<TreeNodeRecursion> {
        self.0.apply_expressions(f)
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> EngineResult<Arc<dyn ExecutionPlan>> {
        let recomputed = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
        let plan = Arc::clone(&self.0).replace_children(children, recomputed)?;
        Ok(Arc::new(Self(plan)))
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> EngineResult<SendableRecordBatchStream> {
        let started = catch_unwind(AssertUnwindSafe(|| self.0.execute(partition, context)));
        let batches = started.unwrap_or_else(|panic| Err(panics::as_error(&*panic).into()));
        Ok(relayed(batches.map_err(to_wire)?))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        self.0.metrics()
    }
}

/// The rows, with errors for the wire. A panic is an error, since the engine's task that sends the rows would end as if these
/// were all.
fn relayed(batches: SendableRecordBatchStream) -> SendableRecordBatchStream {
    let schema = batches.schema();
    let batches = AssertUnwindSafe(batches).catch_unwind().map(|caught| {
        let batch = caught.unwrap_or_else(|panic| Err(panics::as_error(&*panic).into()));
        batch.map_err(to_wire)
    });
    Box::pin(RecordBatchStreamAdapter::new(schema, batches))
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::RecordBatch;
    use datafusion::arrow::datatypes::Schema;

    use super::*;

    #[derive(Debug)]
    struct AsText(String);

    impl fmt::Display for AsText {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(&self.0)
        }
    }

    impl std::error::Error for AsText {}

    /// As the engine sends it: the text of what is inside.
    fn sent(error: DataFusionError) -> DataFusionError {
        let text = match &error {
            DataFusionError::External(inner) => inner.to_string(),
            other => panic!("{other}"),
        };
        let arrived = DataFusionError::External(Box::new(AsText(text)));
        DataFusionError::Shared(Arc::new(arrived))
    }

    fn worker(host: &str) -> Url {
        Url::parse(&format!("http://{host}:50051/worker")).unwrap()
    }

    #[test]
    fn an_error_keeps_its_class_through_several_workers() {
        let own = Error::damaged("s3://bucket/a.gz is cut").with_hint("export it again");
        let error = to_wire(DataFusionError::from(own).context("while reading"));
        // What another worker gets of it is sent on.
        let relayed = of_worker(&worker("10.0.0.7"), sent(error));
        let relayed = to_wire(relayed.context("of another worker"));
        let arrived = of_worker(&worker("10.0.0.8"), sent(relayed));
        assert_eq!(failed_worker(&arrived), None);
        let own = Error::from_engine(arrived);
        assert_eq!(own.class(), Class::Damaged);
        assert_eq!(own.message(), "s3://bucket/a.gz is cut");
        assert_eq!(own.hint(), Some("export it again"));
    }

    #[test]
    fn a_worker_without_room_is_named_through_several_workers() {
        let full = || DataFusionError::IoError(io::ErrorKind::StorageFull.into());
        for (error, expected) in [
            (
                DataFusionError::ResourcesExhausted("1 MB for a sort".to_owned()),
                "the worker 10.0.0.7:50051 needs more memory for its part of the query",
            ),
            (
                full().context("while spilling"),
                "the worker 10.0.0.7:50051 has no room: ",
            ),
            (
                DataFusionError::Shared(Arc::new(full())),
                "the worker 10.0.0.7:50051 has no room: ",
            ),
            // While a part of an answer is written.
            (
                Error::new(Class::Output, "can't write the temporary file x")
                    .caused_by(full())
                    .into(),
                "the worker 10.0.0.7:50051 has no room: ",
            ),
        ] {
            let relayed = of_worker(&worker("10.0.0.7"), sent(to_wire(error)));
            let arrived = of_worker(&worker("10.0.0.8"), sent(to_wire(relayed)));
            assert_eq!(
                failed_worker(&arrived).as_deref(),
                Some("http://10.0.0.7:50051/worker")
            );
            let own = Error::from_engine(arrived);
            assert_eq!(own.class(), Class::Sql);
            assert!(own.message().starts_with(expected), "{own}");
            assert!(own.hint().is_some_and(|hint| hint.contains("--memory")));
        }
    }

    #[test]
    fn other_errors_stay_as_they_are() {
        for error in [
            DataFusionError::Execution("Divide by zero error".to_owned()),
            DataFusionError::IoError(io::ErrorKind::NotFound.into()),
        ] {
            let text = error.to_string();
            let arrived = of_worker(&worker("10.0.0.7"), to_wire(error));
            assert_eq!(arrived.to_string(), text);
        }
    }

    #[tokio::test]
    async fn rows_do_not_end_quietly_where_a_worker_panics() {
        let schema = Arc::new(Schema::empty());
        let batch = RecordBatch::new_empty(Arc::clone(&schema));
        let batches = futures::stream::iter([Some(batch), None]);
        let batches = batches.map(|batch| Ok(batch.expect("a batch of the worker")));
        let batches = RecordBatchStreamAdapter::new(schema, batches);
        let mut batches = relayed(Box::pin(batches));
        batches.next().await.unwrap().unwrap();
        let error = batches.next().await.unwrap().unwrap_err();
        let own = Error::from_engine(of_worker(&worker("10.0.0.7"), sent(error)));
        assert_eq!(own.class(), Class::Unexpected);
        assert!(own.message().contains("a batch of the worker"), "{own}");
    }

    #[test]
    fn a_worker_without_the_plan_is_lost() {
        let worker = worker("10.0.0.7");
        let late = "Worker::execute_task timed-out while waiting for the plan to be set by the coordinator. (timed out waiting for value)";
        let error = DataFusionError::Execution(late.to_owned());
        let lost = of_worker(&worker, error);
        assert_eq!(failed_worker(&lost).as_deref(), Some(worker.as_str()));
        assert_eq!(Error::from_engine(lost).class(), Class::Workers);
    }

    #[test]
    fn a_lost_worker_is_named() {
        let worker = worker("10.0.0.7");
        for (status, expected) in [
            (
                Status::unavailable("tcp connect error"),
                "the worker 10.0.0.7:50051 is lost: tcp connect error",
            ),
            (
                Status::failed_precondition("another version"),
                "the worker 10.0.0.7:50051 refuses: another version",
            ),
        ] {
            let error = DataFusionError::External(Box::new(status));
            let own = Error::from_engine(of_worker(&worker, error));
            assert_eq!(own.class(), Class::Workers);
            assert_eq!(own.message(), expected);
        }
    }
}
