//! The plans of this crate as messages: the scans of `logs` and of Parquet tables, what stands below a sort, branches in turn,
//! and what writes parts.

use std::fmt;
use std::sync::Arc;

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result as EngineResult;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::metrics::{Count, Label, Metric, MetricValue, MetricsSet};
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use datafusion_proto::physical_plan::{
    PhysicalExtensionCodec, PhysicalPlanDecodeContext, PhysicalProtoConverterExtension,
};
use datafusion_proto::protobuf::PhysicalExprNode;
use prost::Message;

use super::failure::to_wire;
use super::table_scan;
use super::write_parts::{WriteParts, WriteSections};
use crate::error::{Class, Error};
use crate::query::compacted::Compacted;
use crate::query::order::{in_turn, is_in_turn};
use crate::scan::wire::{self, ReceivedScan, SentScans, scan_of};

/// The metric, and its label, with which a scan reports what it has read to the process that sent it.
pub(super) const REPORT: &str = "logtally_read";

/// What a message begins with.
const COMPACTED: u8 = b'c';
const IN_TURN: u8 = b't';
const SCAN: u8 = b's';
const TABLE: u8 = b'p';
const WRITE: u8 = b'w';

/// Encodes and decodes the plans of this crate.
#[derive(Debug)]
pub(super) struct Codec {
    /// What received scans share.
    pub(super) received: Arc<wire::Received>,
    /// The scans that are sent with it.
    pub(super) sent: Arc<SentScans>,
    /// What received plans write sections with, in a worker.
    pub(super) writer: Option<Arc<dyn WriteSections>>,
}

impl PhysicalExtensionCodec for Codec {
    fn try_encode(
        &self,
        node: Arc<dyn ExecutionPlan>,
        message: &mut Vec<u8>,
        converter: &dyn PhysicalProtoConverterExtension,
    ) -> EngineResult<()> {
        if node.is::<Compacted>() {
            message.push(COMPACTED);
            return Ok(());
        }
        if is_in_turn(&node) {
            message.push(IN_TURN);
            return Ok(());
        }
        if let Some(write) = node.downcast_ref::<WriteParts>() {
            message.push(WRITE);
            message.extend(write.encode());
            return Ok(());
        }
        if let Some(scan) = table_scan::scan_of(&node) {
            message.push(TABLE);
            message.extend(table_scan::encode(scan, self, converter)?);
            return Ok(());
        }
        let Some(scan) = scan_of(&node) else {
            let what = format!("{} can't be sent to a worker", node.name());
            return Err(Error::new(Class::Unexpected, what).into());
        };
        message.push(SCAN);
        let scan = wire::encode(scan, &self.sent, |expr| {
            let expr = converter.physical_expr_to_proto(expr, self)?;
            Ok(expr.encode_to_vec())
        })?;
        message.extend(scan);
        Ok(())
    }

    fn try_decode(
        &self,
        message: &[u8],
        inputs: &[Arc<dyn ExecutionPlan>],
        task: &TaskContext,
        converter: &dyn PhysicalProtoConverterExtension,
    ) -> EngineResult<Arc<dyn ExecutionPlan>> {
        let wrong = || {
            let what = "a plan came with a node that this version does not have";
            to_wire(Error::new(Class::Unexpected, what).into())
        };
        match (message, inputs) {
            ([COMPACTED], [input]) => Ok(Arc::new(Compacted::new(Arc::clone(input)))),
            ([IN_TURN], [input]) => Ok(in_turn(Arc::clone(input))),
            ([WRITE, write @ ..], sections) => {
                let writer = self.writer.as_ref();
                let write = writer.and_then(|writer| WriteParts::decode(write, sections, writer));
                Ok(Arc::new(write.ok_or_else(wrong)?))
            }
            ([SCAN, scan @ ..], []) => {
                let context = PhysicalPlanDecodeContext::new(task, self);
                let scan = wire::decode(scan, &self.received, |expr, schema| {
                    let expr = PhysicalExprNode::decode(expr).map_err(|_| wrong())?;
                    converter.proto_to_physical_expr(&expr, schema, &context)
                });
                Ok(Arc::new(Received(scan.map_err(to_wire)?)))
            }
            ([TABLE, scan @ ..], []) => {
                table_scan::decode(scan, task, self, converter).map_err(to_wire)
            }
            _ => Err(wrong()),
        }
    }
}

/// A scan that was sent to this process. Its metrics have what it reports.
#[derive(Debug)]
struct Received(ReceivedScan);

impl DisplayAs for Received {
    fn fmt_as(&self, t: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.plan.fmt_as(t, f)
    }
}

impl ExecutionPlan for Received {
    fn name(&self) -> &str {
        self.0.plan.name()
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.0.plan.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> EngineResult<TreeNodeRecursion>,
    ) -> EngineResult<TreeNodeRecursion> {
        self.0.plan.apply_expressions(f)
    }

    fn with_new_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
    ) -> EngineResult<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> EngineResult<SendableRecordBatchStream> {
        self.0.plan.execute(partition, context)
    }

    fn metrics(&self) -> Option<MetricsSet> {
        let mut metrics = self.0.plan.metrics().unwrap_or_default();
        let count = MetricValue::Count {
            name: REPORT.into(),
            count: Count::new(),
        };
        let report = Label::new(REPORT, self.0.reported.to_json());
        metrics.push(Arc::new(Metric::new_with_labels(count, None, vec![report])));
        Some(metrics)
    }
}
