//! Whether a join repeats rows: it does not repeat those of one side if the other side has each key once.

use std::collections::{BTreeSet, HashSet};

use datafusion::common::Column;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{BinaryExpr, Distinct, Expr, Join, JoinType, LogicalPlan, Operator};

/// Whether a column's rows are in the plan's output once at the most, each as often as in the table that it is from.
pub(super) fn appears_once(plan: &LogicalPlan, column: &Column) -> bool {
    match plan {
        LogicalPlan::Join(join) => {
            let is_left = join.left.schema().has_column(column);
            let side = if is_left { &join.left } else { &join.right };
            (is_half(join) || is_unique_in_join(join, !is_left)) && appears_once(side, column)
        }
        LogicalPlan::Projection(projection) => {
            let index = projection.schema.maybe_index_of_column(column);
            let expression = index.and_then(|index| projection.expr.get(index));
            expression.is_some_and(|expression| {
                let mut columns = expression.column_refs().into_iter().peekable();
                match columns.peek() {
                    None => !repeats_rows(&projection.input),
                    Some(_) => columns.all(|column| appears_once(&projection.input, column)),
                }
            })
        }
        LogicalPlan::SubqueryAlias(alias) => {
            let index = alias.schema.maybe_index_of_column(column);
            let inner =
                index.map(|index| Column::from(alias.input.schema().qualified_field(index)));
            inner.is_some_and(|inner| appears_once(&alias.input, &inner))
        }
        LogicalPlan::Filter(_) | LogicalPlan::Sort(_) | LogicalPlan::Limit(_) => plan
            .inputs()
            .iter()
            .all(|input| appears_once(input, column)),
        LogicalPlan::Window(window) => match window.input.schema().has_column(column) {
            true => appears_once(&window.input, column),
            false => !repeats_rows(&window.input),
        },
        // Its groups are rows of their own.
        LogicalPlan::Aggregate(_) | LogicalPlan::Distinct(_) => true,
        LogicalPlan::TableScan(_) | LogicalPlan::Values(_) | LogicalPlan::EmptyRelation(_) => true,
        // The same event may be in several parts of a union.
        _ => false,
    }
}

/// Whether rows of every table may be in the plan's output several times.
pub(super) fn repeats_rows(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Join(join) => {
            let once = |is_left: bool| {
                let side = if is_left { &join.left } else { &join.right };
                is_unique_in_join(join, !is_left) && !repeats_rows(side)
            };
            let outer = match join.join_type {
                JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => {
                    return repeats_rows(&join.left);
                }
                JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => {
                    return repeats_rows(&join.right);
                }
                _ => once(true) || once(false),
            };
            !outer
        }
        LogicalPlan::Projection(_)
        | LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Filter(_)
        | LogicalPlan::Sort(_)
        | LogicalPlan::Limit(_)
        | LogicalPlan::Window(_) => plan.inputs().iter().any(|input| repeats_rows(input)),
        LogicalPlan::Aggregate(_) | LogicalPlan::Distinct(_) => false,
        LogicalPlan::TableScan(_) | LogicalPlan::Values(_) | LogicalPlan::EmptyRelation(_) => false,
        _ => true,
    }
}

/// Whether a join only keeps or drops the rows of one side.
pub(super) fn is_half(join: &Join) -> bool {
    use JoinType::{LeftAnti, LeftMark, LeftSemi, RightAnti, RightMark, RightSemi};
    matches!(
        join.join_type,
        LeftSemi | LeftAnti | LeftMark | RightSemi | RightAnti | RightMark
    )
}

/// Whether a side of a join has each of the join's keys once, so that no row of the other side is repeated.
pub(super) fn is_unique_in_join(join: &Join, is_left: bool) -> bool {
    let (side, other) = match is_left {
        true => (&join.left, &join.right),
        false => (&join.right, &join.left),
    };
    let key = |expression: &Expr, equal: &Expr| match expression {
        Expr::Column(column) => {
            let mut elsewhere = equal.column_refs().into_iter();
            let index = side.schema().maybe_index_of_column(column);
            index.filter(|_| elsewhere.all(|column| other.schema().has_column(column)))
        }
        _ => None,
    };
    let mut keys = BTreeSet::new();
    for (left, right) in &join.on {
        keys.extend(match is_left {
            true => key(left, right),
            false => key(right, left),
        });
    }
    // Before it is optimised, a join has its equalities in its filter.
    for part in join
        .filter
        .iter()
        .flat_map(|filter| split_conjunction(filter))
    {
        if let Expr::BinaryExpr(BinaryExpr { left, op, right }) = part
            && *op == Operator::Eq
        {
            keys.extend(key(left, right).or_else(|| key(right, left)));
        }
    }
    is_unique(side, &keys)
}

/// Whether no two rows of a plan have the same values in the columns with these indices.
fn is_unique(plan: &LogicalPlan, keys: &BTreeSet<usize>) -> bool {
    match plan {
        LogicalPlan::Aggregate(aggregate) => {
            let is_plain = |group: &Expr| !matches!(group, Expr::GroupingSet(_));
            aggregate.group_expr.iter().all(is_plain)
                && (0..aggregate.group_expr.len()).all(|group| keys.contains(&group))
        }
        LogicalPlan::Distinct(Distinct::All(input)) => {
            let columns = input.schema().fields().len();
            (0..columns).all(|column| keys.contains(&column)) || is_unique(input, keys)
        }
        LogicalPlan::Values(values) => {
            let mut seen = HashSet::new();
            let key = |row: &Vec<Expr>| -> Vec<String> {
                keys.iter().map(|key| row[*key].to_string()).collect()
            };
            values.values.iter().all(|row| seen.insert(key(row)))
        }
        LogicalPlan::Projection(projection) => {
            let inner = keys.iter().filter_map(|key| {
                match projection.expr[*key].clone().unalias_nested().data {
                    Expr::Column(column) => {
                        projection.input.schema().maybe_index_of_column(&column)
                    }
                    _ => None,
                }
            });
            is_unique(&projection.input, &inner.collect())
        }
        LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Filter(_)
        | LogicalPlan::Sort(_)
        | LogicalPlan::Limit(_) => plan.inputs().iter().all(|input| is_unique(input, keys)),
        LogicalPlan::Window(window) => {
            let columns = window.input.schema().fields().len();
            let inner = keys.iter().copied().filter(|key| *key < columns);
            is_unique(&window.input, &inner.collect())
        }
        // The rows of the left side are there once, so what is unique among them stays so.
        LogicalPlan::Join(join)
            if matches!(join.join_type, JoinType::Inner | JoinType::Left)
                && is_unique_in_join(join, false) =>
        {
            let columns = join.left.schema().fields().len();
            let inner = keys.iter().copied().filter(|key| *key < columns);
            is_unique(&join.left, &inner.collect())
        }
        _ => false,
    }
}
