//! Failures of workers: errors of this crate on the wire, and a worker that is lost.

use std::fmt;
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

/// What the text of an error of this crate begins with on the wire, where the engine sends nothing but the text.
const MARK: &str = "logtally-error:";

#[derive(Debug, Serialize, Deserialize)]
struct ErrorMessage {
    class: u8,
    message: String,
    hint: Option<String>,
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

/// The error in the form in which its class survives the wire.
pub(super) fn to_wire(error: DataFusionError) -> DataFusionError {
    let own = Error::own_within(&error).or_else(|| {
        let panic = find_panic(&error)?;
        let what = format!("a bug in this program: {panic}");
        Some(Error::new(Class::Unexpected, what))
    });
    let Some(own) = own else {
        return error;
    };
    let message = ErrorMessage {
        class: own.class().exit_code(),
        message: own.message(),
        hint: own.hint().map(str::to_owned),
    };
    match serde_json::to_string(&message) {
        Ok(json) => DataFusionError::External(Box::new(Sent(format!("{MARK}{json}")))),
        Err(_) => error,
    }
}

/// The error as it was before the wire.
pub(super) fn from_wire(error: DataFusionError) -> DataFusionError {
    let message = causes(&error).find_map(|cause| {
        let text = cause.to_string();
        serde_json::from_str::<ErrorMessage>(text.strip_prefix(MARK)?).ok()
    });
    let Some(message) = message else {
        return error;
    };
    let class = Class::of_exit_code(message.class).unwrap_or(Class::Unexpected);
    let own = Error::new(class, message.message);
    match message.hint {
        Some(hint) => own.with_hint(hint).into(),
        None => own.into(),
    }
}

/// The error of a request to a worker: its own, or that it is lost.
pub(super) fn of_worker(worker: &Url, error: DataFusionError) -> DataFusionError {
    let status = causes(&error).find_map(|cause| cause.downcast_ref::<Status>());
    match status {
        Some(status) => lost(worker, status).into(),
        None => from_wire(error),
    }
}

fn lost(worker: &Url, status: &Status) -> Error {
    let worker = shown(worker);
    let what = match status.code() {
        Code::Unauthenticated | Code::PermissionDenied | Code::FailedPrecondition => {
            format!("the worker {worker} refuses: {}", status.message())
        }
        _ => {
            let mut reasons: Vec<String> = Vec::new();
            for reason in causes(status).skip(1).map(ToString::to_string) {
                if !reasons.iter().any(|told| told.contains(&reason)) {
                    reasons.push(reason);
                }
            }
            let reasons = match reasons.is_empty() {
                true => status.message().to_owned(),
                false => reasons.join(": "),
            };
            format!("the worker {worker} is lost: {reasons}")
        }
    };
    Error::new(Class::Workers, what)
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
        let batches = self.0.execute(partition, context).map_err(to_wire)?;
        Ok(Box::pin(RecordBatchStreamAdapter::new(
            self.0.schema(),
            batches.map(|batch| batch.map_err(to_wire)),
        )))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        self.0.metrics()
    }
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn an_error_keeps_its_class_through_several_workers() {
        let own = Error::damaged("s3://bucket/a.gz is cut").with_hint("export it again");
        let error = to_wire(DataFusionError::from(own).context("while reading"));
        // What another worker gets of it has no error of this crate any more, and is sent on as it is.
        let relayed = to_wire(sent(error));
        let arrived = from_wire(relayed.context("of another worker"));
        let own = Error::from_engine(arrived);
        assert_eq!(own.class(), Class::Damaged);
        assert_eq!(own.message(), "s3://bucket/a.gz is cut");
        assert_eq!(own.hint(), Some("export it again"));
    }

    #[test]
    fn other_errors_stay_as_they_are() {
        for error in [
            DataFusionError::Execution("Divide by zero error".to_owned()),
            DataFusionError::ResourcesExhausted("no memory".to_owned()),
        ] {
            let text = error.to_string();
            assert_eq!(from_wire(to_wire(error)).to_string(), text);
        }
    }

    #[test]
    fn a_lost_worker_is_named() {
        let worker = Url::parse("http://10.0.0.7:50051/worker").unwrap();
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
