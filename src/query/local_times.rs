//! An analyzer rule: every time without a zone is of the session's zone, in each cast, comparison, function and sum.
//!
//! It runs behind the engine's type coercion, which has made every conversion a cast. The engine's casts and kernels
//! disagree on what a local time is, read fewer texts, and cost more where there is a zone. So they are replaced by
//! those of [`functions`](super::functions), over instants only: what the engine does with times that have no zone is
//! right as it is.

mod calls;
mod compare;
mod date_sums;

pub use date_sums::DateSums;

use std::sync::Arc;

use arrow::datatypes::{DataType, TimeUnit};
use chrono_tz::Tz;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{DFSchema, DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::expr::{Cast, GroupingSet, TryCast};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, ScalarUDF};
use datafusion::optimizer::AnalyzerRule;

use super::functions::time::{Convert, instants_in, session_zone, ticks_of, zone_of};
use crate::window::local_clock::{LocalClock, OutOfRange};
use crate::window::written_time::{NoTime, WrittenTime};

/// The rule.
#[derive(Debug)]
pub struct LocalTimes;

impl AnalyzerRule for LocalTimes {
    fn name(&self) -> &str {
        "local_times"
    }

    fn analyze(&self, plan: LogicalPlan, config: &ConfigOptions) -> Result<LogicalPlan> {
        let zone = session_zone(config)?;
        plan.transform_up_with_subqueries(|node| rewrite_node(node, zone))
            .data()
    }
}

fn rewrite_node(node: LogicalPlan, zone: Tz) -> Result<Transformed<LogicalPlan>> {
    let mut schema = merge_schema(&node.inputs());
    if let LogicalPlan::TableScan(scan) = &node {
        let source =
            DFSchema::try_from_qualified_schema(scan.table_name.clone(), &scan.source.schema())?;
        schema.merge(&source);
    }
    let times = Times {
        schema: &schema,
        zone,
    };
    let names = NamePreserver::new(&node);
    node.map_expressions(|expr| times.rewrite_named(expr, &names))?
        .map_data(LogicalPlan::recompute_schema)
}

/// The times in the expressions of a node.
struct Times<'a> {
    schema: &'a DFSchema,
    zone: Tz,
}

impl Times<'_> {
    /// Rewrites an expression that keeps its name.
    fn rewrite_named(&self, expr: Expr, names: &NamePreserver) -> Result<Transformed<Expr>> {
        // A grouping set has no name of its own.
        if let Expr::GroupingSet(set) = expr {
            let each = |list: Vec<Expr>| -> Result<Vec<Expr>> {
                let rewritten = list.into_iter();
                rewritten
                    .map(|expr| self.rewrite_named(expr, names).data())
                    .collect()
            };
            let set = match set {
                GroupingSet::Rollup(list) => GroupingSet::Rollup(each(list)?),
                GroupingSet::Cube(list) => GroupingSet::Cube(each(list)?),
                GroupingSet::GroupingSets(sets) => {
                    GroupingSet::GroupingSets(sets.into_iter().map(each).collect::<Result<_>>()?)
                }
            };
            return Ok(Transformed::yes(Expr::GroupingSet(set)));
        }
        let name = names.save(&expr);
        let rewritten = self.rewrite(expr)?;
        Ok(rewritten.update_data(|expr| name.restore(expr)))
    }

    fn rewrite(&self, expr: Expr) -> Result<Transformed<Expr>> {
        expr.transform_up(|expr| self.plain_cast(expr))?
            .transform_data(|expr| expr.transform_down(|expr| self.before_parts(expr)))?
            .transform_data(|expr| expr.transform_up(|expr| self.behind_parts(expr)))
    }

    /// What has to see the parts of an expression as they are written: a text's offset and its last digits.
    fn before_parts(&self, expr: Expr) -> Result<Transformed<Expr>> {
        let expr = self.without_detour(expr)?;
        Ok(match expr.transformed {
            true => expr,
            false => self.compare(expr.data)?,
        })
    }

    fn behind_parts(&self, expr: Expr) -> Result<Transformed<Expr>> {
        match expr {
            Expr::Cast(Cast { expr, field }) => {
                let to = field.data_type();
                match self.cast(&expr, to, false)? {
                    Some(converted) => Ok(Transformed::yes(converted)),
                    None => Ok(Transformed::no(Expr::Cast(Cast { expr, field }))),
                }
            }
            Expr::TryCast(TryCast { expr, field }) => {
                let to = field.data_type();
                match self.cast(&expr, to, true)? {
                    Some(converted) => Ok(Transformed::yes(converted)),
                    None => Ok(Transformed::no(Expr::TryCast(TryCast { expr, field }))),
                }
            }
            Expr::ScalarFunction(call) => self.call(call),
            Expr::BinaryExpr(binary) => self.sum(binary),
            other => Ok(Transformed::no(other)),
        }
    }

    /// A text or number that becomes an instant by way of a local time becomes one at once: the hour that a clock change
    /// repeats is one local time, and a number has no zone.
    fn without_detour(&self, expr: Expr) -> Result<Transformed<Expr>> {
        let Some((inner, to)) = cast_of(&expr) else {
            return Ok(Transformed::no(expr));
        };
        let DataType::Timestamp(_, Some(zone)) = to else {
            return Ok(Transformed::no(expr));
        };
        let Some((source, DataType::Timestamp(unit, None))) = cast_of(inner) else {
            return Ok(Transformed::no(expr));
        };
        let Some(from) = self.type_of(source) else {
            return Ok(Transformed::no(expr));
        };
        let lenient = matches!(&expr, Expr::TryCast(_)) || matches!(inner, Expr::TryCast(_));
        let direct = if is_text(&from) {
            cast_to(source.clone(), to.clone(), lenient)
        } else if from.is_integer() {
            let instant = DataType::Timestamp(*unit, Some(Arc::clone(zone)));
            cast_to(
                cast_to(source.clone(), instant, lenient),
                to.clone(),
                lenient,
            )
        } else {
            return Ok(Transformed::no(expr));
        };
        Ok(Transformed::yes(direct))
    }

    /// The cast of an expression to a type, if it is one of times that the engine makes otherwise.
    fn cast(&self, expr: &Expr, to: &DataType, lenient: bool) -> Result<Option<Expr>> {
        let Some(from) = self.type_of(expr) else {
            return Ok(None);
        };
        if let (Expr::Literal(value, _), true) = (expr, is_text(&from)) {
            return self.cast_text(value, to, lenient);
        }
        let convert = |expr: Expr| self.convert(expr, to.clone(), lenient);
        Ok(match (&from, to) {
            (from, DataType::Timestamp(..)) if is_text(from) => Some(convert(expr.clone())),
            (
                DataType::Timestamp(_, None) | DataType::Date32 | DataType::Date64,
                DataType::Timestamp(_, Some(_)),
            )
            | (DataType::Timestamp(_, Some(_)), DataType::Timestamp(_, None) | DataType::Date32) => {
                Some(convert(expr.clone()))
            }
            (DataType::Timestamp(_, Some(_)), DataType::Date64) => {
                let day = self.convert(expr.clone(), DataType::Date32, lenient);
                Some(cast_to(day, DataType::Date64, lenient))
            }
            (from, DataType::Timestamp(unit, None)) if from.is_integer() => {
                let instant = DataType::Timestamp(*unit, Some(self.zone.name().into()));
                Some(convert(cast_to(expr.clone(), instant, lenient)))
            }
            _ => None,
        })
    }

    /// A text that is written in the query, as a value of a type.
    fn cast_text(&self, value: &ScalarValue, to: &DataType, lenient: bool) -> Result<Option<Expr>> {
        let Some(Some(text)) = value.try_as_str() else {
            return Ok(None);
        };
        let read = match to {
            DataType::Timestamp(unit, zone) => {
                read_time(text).and_then(|written| self.value_of(written, *unit, zone.as_ref()))
            }
            DataType::Date32 | DataType::Date64 => value.cast_to(to).map_err(|_| no_time(text)),
            _ => return Ok(None),
        };
        let value = match read {
            Err(_) if lenient => ScalarValue::try_new_null(to)?,
            read => read?,
        };
        Ok(Some(Expr::Literal(value, None)))
    }

    fn value_of(
        &self,
        written: WrittenTime,
        unit: TimeUnit,
        zone: Option<&Arc<str>>,
    ) -> Result<ScalarValue> {
        let ms = match zone {
            Some(zone) => written.instant_ms(&mut clock_of(zone)?),
            None => written.local_ms(&mut LocalClock::new(self.zone)),
        };
        let ticks = ticks_of(ms.map_err(outside)?, written.nanos, unit)?;
        Ok(timestamp(ticks, unit, zone.cloned()))
    }

    fn convert(&self, expr: Expr, to: DataType, lenient: bool) -> Expr {
        ScalarUDF::from(Convert::new(to, self.zone, lenient)).call(vec![expr])
    }

    /// The type of an expression, if it can be found: the engine has checked every type that matters.
    fn type_of(&self, expr: &Expr) -> Option<DataType> {
        expr.get_type(self.schema).ok()
    }
}

/// The time that a text of the query states.
fn read_time(text: &str) -> Result<WrittenTime> {
    WrittenTime::parse(text).map_err(|_| no_time(text))
}

/// The error for a text of the query that is no time; [`Session`](super::Session) finds its place.
fn no_time(text: &str) -> DataFusionError {
    DataFusionError::External(Box::new(NoTime(text.to_owned())))
}

/// The clock of a type's zone.
fn clock_of(zone: &Arc<str>) -> Result<LocalClock> {
    zone_of(&instants_in(zone)).map(LocalClock::new)
}

fn outside(error: OutOfRange) -> DataFusionError {
    DataFusionError::Plan(error.to_string())
}

fn timestamp(ticks: i64, unit: TimeUnit, zone: Option<Arc<str>>) -> ScalarValue {
    match unit {
        TimeUnit::Second => ScalarValue::TimestampSecond(Some(ticks), zone),
        TimeUnit::Millisecond => ScalarValue::TimestampMillisecond(Some(ticks), zone),
        TimeUnit::Microsecond => ScalarValue::TimestampMicrosecond(Some(ticks), zone),
        TimeUnit::Nanosecond => ScalarValue::TimestampNanosecond(Some(ticks), zone),
    }
}

/// What a cast is of, and to which type.
fn cast_of(expr: &Expr) -> Option<(&Expr, &DataType)> {
    match expr {
        Expr::Cast(cast) => Some((&cast.expr, cast.field.data_type())),
        Expr::TryCast(cast) => Some((&cast.expr, cast.field.data_type())),
        _ => None,
    }
}

fn cast_to(expr: Expr, to: DataType, lenient: bool) -> Expr {
    match lenient {
        true => Expr::TryCast(TryCast::new(Box::new(expr), to)),
        false => Expr::Cast(Cast::new(Box::new(expr), to)),
    }
}

fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => is_text(values),
        other => other.is_string(),
    }
}

#[cfg(test)]
mod tests;
