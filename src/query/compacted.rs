//! A physical optimizer rule: what is sorted holds the memory of its rows only. Groups leave their operator as slices of
//! one large batch, and a sort counts the whole batch for each slice, so that it would spill each alone, or fail.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties,
    ReplaceChildrenOptions,
};
use futures::StreamExt;

use crate::batch_bytes::compact;

/// Puts [`Compacted`] below every sort.
#[derive(Debug)]
pub struct CompactSorts;

impl PhysicalOptimizerRule for CompactSorts {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|node| match node.downcast_ref::<SortExec>() {
            Some(sort) => {
                let input = Arc::new(Compacted(Arc::clone(sort.input())));
                let same = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Keep);
                Ok(Transformed::yes(node.replace_children(vec![input], same)?))
            }
            None => Ok(Transformed::no(node)),
        })
        .data()
    }

    fn name(&self) -> &str {
        "compact_sorts"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// The rows of its input in batches that hold the memory of their own rows.
#[derive(Debug)]
pub(super) struct Compacted(Arc<dyn ExecutionPlan>);

#[cfg(feature = "cluster")]
impl Compacted {
    pub(super) fn new(input: Arc<dyn ExecutionPlan>) -> Self {
        Self(input)
    }
}

impl DisplayAs for Compacted {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CompactedExec")
    }
}

impl ExecutionPlan for Compacted {
    fn name(&self) -> &str {
        "CompactedExec"
    }

    fn schema(&self) -> SchemaRef {
        self.0.schema()
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.0.properties()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.0]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Self(children.swap_remove(0))))
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Self(children.swap_remove(0))))
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let batches = self.0.execute(partition, context)?;
        let compacted = batches.map(|batch| compact(batch?).map_err(DataFusionError::from));
        Ok(Box::pin(RecordBatchStreamAdapter::new(
            self.schema(),
            compacted,
        )))
    }
}
