//! An optimizer rule: expressions over events that an archive has as columns are read and not computed.
//!
//! An expression is replaced only where its columns are those of one scan of `logs`, unchanged on their way up the plan.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, JoinType, Result, TableReference};
use datafusion::datasource::{provider_as_source, source_as_provider};
use datafusion::logical_expr::{
    Expr, Filter, Join, LogicalPlan, Projection, Sort, SubqueryAlias, TableScan, TableScanBuilder,
};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

use super::{ArchivedLogs, unqualified};

/// Replaces expressions by the columns of archives that stand for them.
#[derive(Debug)]
pub struct ArchivedColumns;

impl OptimizerRule for ArchivedColumns {
    fn name(&self) -> &str {
        "archived_columns"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        _: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        let logs = logs_below(&plan)?;
        let Some(logs) = logs.filter(|logs| logs.replaceable().next().is_some()) else {
            return Ok(Transformed::no(plan));
        };
        match plan {
            LogicalPlan::TableScan(scan) => over_itself(scan, &logs),
            LogicalPlan::Filter(_)
            | LogicalPlan::Projection(_)
            | LogicalPlan::Aggregate(_)
            | LogicalPlan::Sort(_) => over_input(plan, &logs),
            other => Ok(Transformed::no(other)),
        }
    }
}

/// The `logs` that a plan reads; `None` where it reads none.
fn logs_below(plan: &LogicalPlan) -> Result<Option<ArchivedLogs>> {
    let mut found = None;
    plan.apply(|node| {
        if let LogicalPlan::TableScan(scan) = node
            && let Some(logs) = logs_of(scan)
        {
            found = Some(logs);
            return Ok(TreeNodeRecursion::Stop);
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(found)
}

fn logs_of(scan: &TableScan) -> Option<ArchivedLogs> {
    let table = source_as_provider(&scan.source).ok()?;
    table.downcast_ref::<ArchivedLogs>().cloned()
}

/// The archived column that stands for an expression, with the relation of the expression's columns and their names.
fn archived(expr: &Expr, logs: &ArchivedLogs) -> Option<(usize, Column, Vec<String>)> {
    if matches!(expr, Expr::Column(_) | Expr::Literal(..) | Expr::Alias(_)) {
        return None;
    }
    let columns = expr.column_refs();
    let first = columns.iter().next()?;
    let relation: &Option<TableReference> = &first.relation;
    if columns.iter().any(|column| column.relation != *relation) {
        return None;
    }
    let bare = unqualified(expr.clone());
    let (place, _) = logs.replaceable().find(|(_, known)| **known == bare)?;
    let names = columns.iter().map(|column| column.name.clone()).collect();
    let column = Column {
        relation: relation.clone(),
        ..Column::new_unqualified("")
    };
    Some((place, column, names))
}

/// Replaces expressions in the filters that a scan evaluates.
fn over_itself(scan: TableScan, logs: &ArchivedLogs) -> Result<Transformed<LogicalPlan>> {
    let has_any = scan.filters.iter().any(|filter| {
        filter
            .exists(|part| Ok(archived(part, logs).is_some()))
            .unwrap_or(false)
    });
    if !has_any {
        return Ok(Transformed::no(LogicalPlan::TableScan(scan)));
    }
    let relation = scan.table_name.clone();
    let (mut scan, _) = widened(scan, logs, None)?;
    let filters = std::mem::take(&mut scan.filters).into_iter();
    let filters = filters.map(|filter| {
        let replaced = filter.transform_down(|part| {
            Ok(match archived(&part, logs) {
                Some((place, ..)) => {
                    let name = logs.columns[place].in_plans();
                    let column = Column::new(Some(relation.clone()), name);
                    Transformed::new(Expr::Column(column), true, TreeNodeRecursion::Jump)
                }
                None => Transformed::no(part),
            })
        });
        replaced.map(|replaced| replaced.data)
    });
    scan.filters = filters.collect::<Result<_>>()?;
    Ok(Transformed::yes(LogicalPlan::TableScan(scan)))
}

/// Replaces expressions of a node by columns that its input then has.
fn over_input(plan: LogicalPlan, logs: &ArchivedLogs) -> Result<Transformed<LogicalPlan>> {
    let [input] = plan.inputs()[..] else {
        return Ok(Transformed::no(plan));
    };
    let mut input = input.clone();
    let before = plan.schema().clone();
    let mut is_changed = false;
    let mut expressions = Vec::new();
    for expression in plan.expressions() {
        // A list of groupings has no name of its own.
        if matches!(expression, Expr::GroupingSet(_)) {
            return Ok(Transformed::no(plan));
        }
        let name = expression.schema_name().to_string();
        let qualifier = expression.qualified_name().0;
        let replaced = expression.transform_down(|part| {
            let Some((place, relation, names)) = archived(&part, logs) else {
                return Ok(Transformed::no(part));
            };
            Ok(match provide(&input, &relation, &names, place, logs)? {
                Some((wider, column)) => {
                    input = wider;
                    is_changed = true;
                    Transformed::new(Expr::Column(column), true, TreeNodeRecursion::Jump)
                }
                None => Transformed::no(part),
            })
        })?;
        // What is above knows the expression by its name.
        let names_its_column =
            matches!(plan, LogicalPlan::Projection(_) | LogicalPlan::Aggregate(_));
        let replaced = match (replaced.transformed, names_its_column) {
            (true, true) => named(replaced.data, &name, qualifier),
            _ => replaced.data,
        };
        expressions.push(replaced);
    }
    if !is_changed {
        return Ok(Transformed::no(plan));
    }
    let passes = !matches!(plan, LogicalPlan::Projection(_) | LogicalPlan::Aggregate(_));
    let plan = plan.with_new_exprs(expressions, vec![input])?;
    if !passes {
        return Ok(Transformed::yes(plan));
    }
    // The columns of before, without the new one.
    let columns = before.iter().map(|field| Expr::Column(Column::from(field)));
    let plan = Projection::try_new(columns.collect(), Arc::new(plan))?;
    Ok(Transformed::yes(LogicalPlan::Projection(plan)))
}

fn named(expr: Expr, name: &str, qualifier: Option<TableReference>) -> Expr {
    match &expr {
        Expr::Alias(alias) if alias.name == name => expr,
        _ if expr.schema_name().to_string() == name => expr,
        _ => expr.alias_qualified(qualifier, name),
    }
}

/// The plan with an archived column beside its own, where `names`, of one relation, are columns of `logs` in it, unchanged.
fn provide(
    plan: &LogicalPlan,
    relation: &Column,
    names: &[String],
    place: usize,
    logs: &ArchivedLogs,
) -> Result<Option<(LogicalPlan, Column)>> {
    let again = |input: &LogicalPlan, relation: &Column, names: &[String]| {
        provide(input, relation, names, place, logs)
    };
    match plan {
        LogicalPlan::TableScan(scan) => {
            let is_here = relation
                .relation
                .as_ref()
                .is_none_or(|of| *of == scan.table_name);
            let are_of_logs = names.iter().all(|name| {
                let of_logs = logs.schema.fields().iter().take(logs.of_logs);
                of_logs.into_iter().any(|field| field.name() == name)
            });
            if !is_here || !are_of_logs || logs_of(scan).is_none() {
                return Ok(None);
            }
            let (scan, column) = widened(scan.clone(), logs, Some(place))?;
            Ok(Some((LogicalPlan::TableScan(scan), column)))
        }
        LogicalPlan::SubqueryAlias(alias) => {
            let is_here = relation
                .relation
                .as_ref()
                .is_none_or(|of| *of == alias.alias);
            if !is_here {
                return Ok(None);
            }
            // All columns of the input are of one relation here, or the name says which.
            let inner = alias.input.schema();
            let of_name = |name: &String| {
                let (qualifier, _) = inner.qualified_fields_with_unqualified_name(name).pop()?;
                Some(qualifier.cloned())
            };
            let Some(inner_relation) = names.first().and_then(of_name) else {
                return Ok(None);
            };
            let is_one = |name: &String| {
                inner.qualified_fields_with_unqualified_name(name).len() == 1
                    && of_name(name).as_ref() == Some(&inner_relation)
            };
            if !names.iter().all(is_one) {
                return Ok(None);
            }
            let inner_relation = Column {
                relation: inner_relation,
                ..relation.clone()
            };
            let Some((input, column)) = again(&alias.input, &inner_relation, names)? else {
                return Ok(None);
            };
            let name = column.name;
            let alias = SubqueryAlias::try_new(Arc::new(input), alias.alias.clone())?;
            let column = Column::new(Some(alias.alias.clone()), name);
            Ok(Some((LogicalPlan::SubqueryAlias(alias), column)))
        }
        LogicalPlan::Filter(filter) => {
            let found = again(&filter.input, relation, names)?;
            found
                .map(|(input, column)| {
                    let filter = Filter::try_new(filter.predicate.clone(), Arc::new(input))?;
                    Ok((LogicalPlan::Filter(filter), column))
                })
                .transpose()
        }
        LogicalPlan::Sort(sort) => {
            let found = again(&sort.input, relation, names)?;
            Ok(found.map(|(input, column)| {
                let sort = Sort {
                    input: Arc::new(input),
                    ..sort.clone()
                };
                (LogicalPlan::Sort(sort), column)
            }))
        }
        LogicalPlan::Projection(projection) => {
            let mut relations = Vec::new();
            let mut inner = Vec::with_capacity(names.len());
            for name in names {
                let wanted = Column {
                    relation: relation.relation.clone(),
                    ..Column::new_unqualified(name)
                };
                let Ok(at) = projection.schema.index_of_column(&wanted) else {
                    return Ok(None);
                };
                match projection.expr[at].clone().unalias() {
                    Expr::Column(column) if column.name == *name => {
                        relations.push(column.relation);
                        inner.push(column.name);
                    }
                    _ => return Ok(None),
                }
            }
            relations.dedup();
            let [of_inner] = &relations[..] else {
                return Ok(None);
            };
            let of_inner = Column {
                relation: of_inner.clone(),
                ..relation.clone()
            };
            let Some((input, column)) = again(&projection.input, &of_inner, &inner)? else {
                return Ok(None);
            };
            let mut expressions = projection.expr.clone();
            let read = Expr::Column(column.clone());
            if !expressions.contains(&read) {
                expressions.push(read);
            }
            let projection = Projection::try_new(expressions, Arc::new(input))?;
            Ok(Some((LogicalPlan::Projection(projection), column)))
        }
        LogicalPlan::Join(join) => {
            // Of the side whose rows are never filled up with NULL.
            let (left, right) = match join.join_type {
                JoinType::Inner => (true, true),
                JoinType::Left | JoinType::LeftSemi | JoinType::LeftAnti => (true, false),
                JoinType::Right | JoinType::RightSemi | JoinType::RightAnti => (false, true),
                _ => (false, false),
            };
            let has_all = |input: &LogicalPlan| {
                names.iter().all(|name| {
                    let wanted = Column {
                        relation: relation.relation.clone(),
                        ..Column::new_unqualified(name)
                    };
                    input.schema().has_column(&wanted)
                })
            };
            let joined = |left: Arc<LogicalPlan>, right: Arc<LogicalPlan>, column| {
                let join = Join::try_new(
                    left,
                    right,
                    join.on.clone(),
                    join.filter.clone(),
                    join.join_type,
                    join.join_constraint,
                    join.null_equality,
                    join.null_aware,
                )?;
                Ok(Some((LogicalPlan::Join(join), column)))
            };
            match (has_all(&join.left), has_all(&join.right)) {
                (true, false) if left => match again(&join.left, relation, names)? {
                    Some((input, column)) => {
                        joined(Arc::new(input), Arc::clone(&join.right), column)
                    }
                    None => Ok(None),
                },
                (false, true) if right => match again(&join.right, relation, names)? {
                    Some((input, column)) => {
                        joined(Arc::clone(&join.left), Arc::new(input), column)
                    }
                    None => Ok(None),
                },
                _ => Ok(None),
            }
        }
        _ => Ok(None),
    }
}

/// The scan with all archived columns, of which it also reads one.
fn widened(
    scan: TableScan,
    logs: &ArchivedLogs,
    place: Option<usize>,
) -> Result<(TableScan, Column)> {
    let is_wide = scan.source.schema().fields().len() > logs.of_logs;
    let source = match is_wide {
        true => Arc::clone(&scan.source),
        false => provider_as_source(Arc::new(logs.widened())),
    };
    let all = || (0..scan.source.schema().fields().len()).collect();
    let mut projection: Vec<usize> = scan.projection.clone().unwrap_or_else(all);
    let mut name = String::new();
    if let Some(place) = place {
        name = logs.columns[place].in_plans();
        let place = logs.of_logs + place;
        if !projection.contains(&place) {
            projection.push(place);
        }
    }
    let column = Column::new(Some(scan.table_name.clone()), name);
    let scan = TableScanBuilder::new(scan.table_name, source)
        .with_projection(Some(projection))
        .with_filters(scan.filters)
        .with_fetch(scan.fetch)
        .build()?;
    Ok((scan, column))
}
