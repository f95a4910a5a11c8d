//! The table `logs` whose objects are listed when a query reads them, in one location or several.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use chrono_tz::Tz;
use datafusion::catalog::{Session, TableProvider};
use datafusion::datasource::TableType;
use datafusion::error::Result as EngineResult;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_plan::ExecutionPlan;

use super::{LogsTable, LogsTables};
use crate::error::Result;
use crate::job::OriginColumns;

/// Lists the objects of `logs`.
#[async_trait]
pub trait OpenLogs: fmt::Debug + Send + Sync {
    /// A table for each location, at least one. Called for each scan.
    async fn open(&self) -> Result<Arc<[LogsTable]>>;
}

/// `logs(timestamp, message, log_group, log_stream)`, planned without any request.
#[derive(Debug, Clone)]
pub struct DeferredLogs {
    schema: SchemaRef,
    zone: Tz,
    origins: OriginColumns,
    logs: Arc<dyn OpenLogs>,
}

impl DeferredLogs {
    /// The events that `logs` finds, with their instants in a zone.
    pub fn new(zone: Tz, origins: OriginColumns, logs: Arc<dyn OpenLogs>) -> Self {
        Self {
            schema: LogsTable::columns(zone, origins),
            zone,
            origins,
            logs,
        }
    }
}

#[async_trait]
impl TableProvider for DeferredLogs {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> EngineResult<Vec<TableProviderFilterPushDown>> {
        Ok(super::table::pushed_down(filters))
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> EngineResult<Arc<dyn ExecutionPlan>> {
        let tables = self.logs.open().await?;
        let tables = tables.iter().map(|table| {
            let table = table.clone().with_origins(self.origins);
            table.in_zone(self.zone)
        });
        let tables = LogsTables::new(&tables.collect::<Vec<_>>());
        tables.scan(state, projection, filters, limit).await
    }
}
