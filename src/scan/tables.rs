//! `logs` over objects of several stores: a table for each, read as one.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use chrono_tz::Tz;
use datafusion::catalog::{Session, TableProvider};
use datafusion::datasource::TableType;
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::union::UnionExec;

use super::LogsTable;
use super::table::pushed_down;

/// Tables with the same columns, one behind the other. They share the memory and the partitions of one.
#[derive(Debug, Clone)]
pub struct LogsTables(Vec<LogsTable>);

impl LogsTables {
    /// These tables, at least one.
    pub fn new(tables: &[LogsTable]) -> Self {
        let bytes = |table: &LogsTable| -> u64 {
            let objects = table.objects().iter();
            objects.map(|object| object.size).sum()
        };
        let all: u64 = tables.iter().map(bytes).sum();
        let shared = tables.iter().map(|table| {
            let share = (bytes(table), all);
            table.clone().sharing(&tables[0], share)
        });
        Self(match tables {
            [only] => vec![only.clone()],
            _ => shared.collect(),
        })
    }

    /// The tables with their instants shown in a zone.
    pub fn in_zone(self, zone: Tz) -> Self {
        let tables = self.0.into_iter();
        Self(tables.map(|table| table.in_zone(zone)).collect())
    }
}

#[async_trait]
impl TableProvider for LogsTables {
    fn schema(&self) -> SchemaRef {
        self.0[0].schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(pushed_down(filters))
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let mut plans = Vec::with_capacity(self.0.len());
        for table in &self.0 {
            plans.push(table.scan(state, projection, filters, limit).await?);
        }
        UnionExec::try_new(plans)
    }
}
