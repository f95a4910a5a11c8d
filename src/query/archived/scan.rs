//! The plan of a scan: of each part of time its rows, with the columns that the query reads.

use std::sync::Arc;

use arrow::compute::SortOptions;
use arrow::datatypes::DataType;
use datafusion::catalog::{Session as EngineSession, TableProvider};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, ScalarValue};
use datafusion::error::Result as EngineResult;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_expr::expressions::col;
use datafusion::physical_expr::{Distribution, LexOrdering, PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_optimizer::output_requirements::OutputRequirementExec;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::filter::{FilterExec, FilterExecBuilder};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::union::UnionExec;
use datafusion::prelude::{cast, ident, lit};

use super::{ArchivedEvents, ArchivedLogs, Events, unexpected, wants_few};
use crate::job::{OriginColumns, POSITION};
use crate::query::order::in_turn;
use crate::scan::LogsTable;
use crate::scan::table::{pushed_down, time_range};
use crate::window::Range;

impl ArchivedLogs {
    /// The plan of some events: the first `projected` of the columns `wide`, which the filters read too.
    pub(super) async fn plan(
        &self,
        state: &dyn EngineSession,
        events: Vec<Events>,
        (wide, projected): (&[usize], usize),
        filters: &Filters,
        limit: Option<usize>,
    ) -> EngineResult<Arc<dyn ExecutionPlan>> {
        let Filters {
            exact,
            pruning,
            rest,
        } = filters;
        let limit = limit.filter(|_| pruning.is_empty() && rest.is_empty());
        let mut parts = Vec::with_capacity(events.len());
        for events in events {
            let part = match events {
                Events::Exported(logs) => self.exported(state, logs, wide, exact, limit).await?,
                Events::Archived(archived) => {
                    self.archived(state, archived, wide, exact, pruning).await?
                }
            };
            parts.push(filtered(state, part, rest, projected)?);
        }
        if parts.is_empty() {
            let schema = Arc::new(self.schema.project(&wide[..projected])?);
            return Ok(Arc::new(EmptyExec::new(schema)));
        }
        let all = UnionExec::try_new(parts)?;
        Ok(match wants_few(limit) {
            true => in_turn(all),
            false => all,
        })
    }

    /// The filters by who evaluates them. Every filter is evaluated that the engine may leave to the scan, also if it was
    /// rewritten since.
    pub(super) fn sorted_out(&self, filters: &[Expr]) -> Filters {
        let references: Vec<&Expr> = filters.iter().collect();
        let mut sorted = Filters::default();
        for (filter, verdict) in filters.iter().zip(pushed_down(&references)) {
            let of = match verdict {
                TableProviderFilterPushDown::Exact => &mut sorted.exact,
                _ if self.is_for_archives(filter) => &mut sorted.pruning,
                _ => &mut sorted.rest,
            };
            of.push(filter.clone());
        }
        sorted
    }

    /// Projected columns, and those that some filters read behind them.
    pub(super) fn with_columns_of(
        &self,
        projected: &[usize],
        filters: &[Expr],
    ) -> EngineResult<Vec<usize>> {
        let mut wide = projected.to_vec();
        for column in filters.iter().flat_map(Expr::column_refs) {
            let place = self.schema.index_of(column.name())?;
            if !wide.contains(&place) {
                wide.push(place);
            }
        }
        Ok(wide)
    }

    /// The columns of `logs` that some columns are computed from, given the archived ones that need not be computed.
    fn needed(&self, projected: &[usize], has: impl Fn(usize) -> bool) -> EngineResult<Vec<usize>> {
        let mut needed = Vec::new();
        let mut add = |place: usize| {
            if !needed.contains(&place) {
                needed.push(place);
            }
        };
        for place in projected {
            match place.checked_sub(self.of_logs) {
                None => add(*place),
                Some(column) if has(column) => {}
                Some(column) => {
                    for reference in self.expression(column)?.column_refs() {
                        add(self.schema.index_of(reference.name())?);
                    }
                }
            }
        }
        Ok(needed)
    }

    fn expression(&self, column: usize) -> EngineResult<&Expr> {
        let expression = self.columns.get(column);
        let expression = expression.and_then(|column| column.expression.expr.as_ref());
        expression.ok_or_else(|| unexpected("a column of an archive without an expression is read"))
    }

    /// The projected columns of rows that have the columns of `logs`, and archived ones, by name. What is not there is
    /// computed.
    fn project(
        &self,
        state: &dyn EngineSession,
        rows: Arc<dyn ExecutionPlan>,
        projected: &[usize],
    ) -> EngineResult<Arc<dyn ExecutionPlan>> {
        let there = rows.schema();
        let columns = DFSchema::try_from(Arc::clone(&there))?;
        let mut expressions = Vec::with_capacity(projected.len());
        for place in projected {
            let field = self.schema.field(*place);
            let expression: Arc<dyn PhysicalExpr> = match there.index_of(field.name()) {
                Ok(_) => col(field.name(), &there)?,
                Err(_) => {
                    let computed = self.expression(place.saturating_sub(self.of_logs))?.clone();
                    state.create_physical_expr(computed, &columns)?
                }
            };
            expressions.push((expression, field.name().clone()));
        }
        Ok(Arc::new(ProjectionExec::try_new(expressions, rows)?))
    }

    async fn exported(
        &self,
        state: &dyn EngineSession,
        logs: LogsTable,
        projected: &[usize],
        filters: &[Expr],
        limit: Option<usize>,
    ) -> EngineResult<Arc<dyn ExecutionPlan>> {
        let logs = logs.with_origins(self.origins).in_zone(self.zone);
        let is_of_logs = projected.iter().all(|place| *place < self.of_logs);
        if is_of_logs {
            let projected = projected.to_vec();
            return logs.scan(state, Some(&projected), filters, limit).await;
        }
        let needed = self.needed(projected, |_| false)?;
        let rows = logs.scan(state, Some(&needed), filters, limit).await?;
        self.project(state, rows, projected)
    }

    async fn archived(
        &self,
        state: &dyn EngineSession,
        archived: ArchivedEvents,
        projected: &[usize],
        exact: &[Expr],
        pruning: &[Expr],
    ) -> EngineResult<Arc<dyn ExecutionPlan>> {
        let ArchivedEvents {
            files,
            range,
            is_in_reading_order,
            has,
        } = archived;
        let has = |column: usize| has.get(column).copied().unwrap_or(false);
        let is_sorted_again = state.config().target_partitions() == 1 && !is_in_reading_order;
        let in_files = files.schema();
        let place = |name: &str| in_files.index_of(name);

        let mut filters = Vec::with_capacity(exact.len() + 1);
        let whole = range.map(within);
        filters.extend(whole);
        for filter in exact {
            filters.push(match time_range(filter) {
                Some(range) => within(range),
                None => filter.clone(),
            });
        }
        let pruned = pruning
            .iter()
            .filter_map(|filter| self.in_files(filter, &has));
        let pruned: Vec<Expr> = filters.iter().cloned().chain(pruned).collect();

        // The archive of a job whose source does not say the account, beside one whose source does.
        let is_absent = |column: &usize| {
            let name = self.schema.field(*column).name();
            OriginColumns::NAMES.contains(&name.as_str()) && in_files.index_of(name).is_err()
        };
        let needed = self.needed(projected, has)?;
        let (absent, of_logs): (Vec<usize>, Vec<usize>) = needed.into_iter().partition(is_absent);
        let mut read: Vec<usize> = Vec::new();
        let mut add = |name: &str| -> EngineResult<()> {
            let place = place(name)?;
            if !read.contains(&place) {
                read.push(place);
            }
            Ok(())
        };
        for column in &of_logs {
            add(self.schema.field(*column).name())?;
        }
        let own: Vec<usize> = projected
            .iter()
            .filter_map(|place| place.checked_sub(self.of_logs))
            .filter(|column| has(*column))
            .collect();
        for column in &own {
            add(&self.columns[*column].name)?;
        }
        for column in filters.iter().flat_map(Expr::column_refs) {
            add(column.name())?;
        }
        if is_sorted_again {
            add(POSITION)?;
        }
        let mut rows = files.scan(state, Some(&read), &pruned, None).await?;
        if let Some(filter) = conjunction(filters) {
            let columns = DFSchema::try_from(rows.schema())?;
            let filter = state.create_physical_expr(filter, &columns)?;
            rows = Arc::new(FilterExec::try_new(filter, rows)?);
        }
        if is_sorted_again {
            let position = PhysicalSortExpr {
                expr: col(POSITION, &rows.schema())?,
                options: SortOptions::default(),
            };
            if let Some(order) = LexOrdering::new([position]) {
                // The optimizer takes away a sort that no plan requires.
                let required = Some(order.clone().into());
                let sorted = Arc::new(SortExec::new(order, rows));
                let single = Distribution::SinglePartition;
                rows = Arc::new(OutputRequirementExec::new(sorted, required, single, None));
            }
        }

        // As columns of `logs`: times with their zone, and archived columns by their names in plans.
        let columns = DFSchema::try_from(rows.schema())?;
        let mut as_logs = Vec::with_capacity(of_logs.len() + own.len());
        let of_logs = of_logs
            .iter()
            .map(|place| self.schema.field(*place).name().clone());
        let of_logs = of_logs.map(|name| (name.clone(), name));
        let own = own.iter().map(|place| {
            let column = &self.columns[*place];
            (column.name.clone(), column.in_plans())
        });
        for (name, in_plans) in of_logs.chain(own) {
            let wanted = self.schema.field_with_name(&in_plans)?.data_type();
            let there = rows.schema().field_with_name(&name)?.data_type().clone();
            let expression = as_type(ident(&name), &there, wanted);
            as_logs.push((state.create_physical_expr(expression, &columns)?, in_plans));
        }
        for column in absent {
            let field = self.schema.field(column);
            let null = lit(ScalarValue::try_from(field.data_type())?);
            as_logs.push((
                state.create_physical_expr(null, &columns)?,
                field.name().clone(),
            ));
        }
        let rows = Arc::new(ProjectionExec::try_new(as_logs, rows)?);
        self.project(state, rows, projected)
    }

    /// A filter about archived columns as one about the columns of files; `None` where the files do not have them as they
    /// are in plans.
    fn in_files(&self, filter: &Expr, has: &impl Fn(usize) -> bool) -> Option<Expr> {
        let mut is_possible = true;
        let renamed = filter.clone().transform(|part| {
            let Expr::Column(column) = &part else {
                return Ok(Transformed::no(part));
            };
            let mut columns = self.columns.iter().enumerate();
            let found = columns.find(|(_, own)| own.in_plans() == column.name);
            let Some((place, own)) = found.filter(|(place, _)| has(*place)) else {
                is_possible = false;
                return Ok(Transformed::no(part));
            };
            is_possible &= is_same_in_files(&self.columns[place].expression.data_type);
            Ok(Transformed::yes(Expr::Column(Column::new_unqualified(
                &own.name,
            ))))
        });
        renamed
            .ok()
            .map(|renamed| renamed.data)
            .filter(|_| is_possible)
    }
}

/// Filters of a scan.
#[derive(Default)]
pub(super) struct Filters {
    /// About times, log groups and log streams, which each part evaluates in its own way.
    exact: Vec<Expr>,
    /// About archived columns, which the engine evaluates too.
    pruning: Vec<Expr>,
    /// All others, which are evaluated for each row.
    pub(super) rest: Vec<Expr>,
}

/// The rows that pass some filters, with their first columns.
fn filtered(
    state: &dyn EngineSession,
    rows: Arc<dyn ExecutionPlan>,
    filters: &[Expr],
    columns: usize,
) -> EngineResult<Arc<dyn ExecutionPlan>> {
    let Some(filter) = conjunction(filters.to_vec()) else {
        return Ok(rows);
    };
    let filter = state.create_physical_expr(filter, &DFSchema::try_from(rows.schema())?)?;
    let filtered = FilterExecBuilder::new(filter, rows)
        .apply_projection(Some((0..columns).collect()))?
        .build()?;
    Ok(Arc::new(filtered))
}

/// Whether the files have values of a type in the same type.
fn is_same_in_files(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Boolean
            | DataType::Int32
            | DataType::Int64
            | DataType::Float32
            | DataType::Float64
            | DataType::Utf8View
            | DataType::Date32
    )
}

/// That the time of an event in a file, which is in UTC without a zone, is in a range.
fn within(range: Range) -> Expr {
    let at = |ms| lit(ScalarValue::TimestampMillisecond(Some(ms), None));
    let after = ident("timestamp").gt_eq(at(range.start_ms));
    after.and(ident("timestamp").lt(at(range.end_ms)))
}

/// A value of a file as the type that it has in plans.
fn as_type(value: Expr, there: &DataType, wanted: &DataType) -> Expr {
    match (there, wanted) {
        _ if there == wanted => value,
        (DataType::Timestamp(there, None), DataType::Timestamp(unit, Some(_))) => {
            let value = match there == unit {
                true => value,
                false => cast(value, DataType::Timestamp(*unit, None)),
            };
            // By way of a number, which is the same bytes: a cast to UTC looks the offset of each time up.
            cast(cast(value, DataType::Int64), wanted.clone())
        }
        _ => cast(value, wanted.clone()),
    }
}
