//! An analyzer rule: a time is compared with a literal exactly, however fine or far away the literal is.
//!
//! The engine casts both sides of such a comparison to nanoseconds, which end in the year 2262, and then the literal to
//! the milliseconds of the column, which cuts it: `timestamp >= '….0025Z'` would be true of `….002Z`. Here the literal
//! becomes one of the column's unit first, and the operator says on which side of it the cut part is.

use std::sync::Arc;

use arrow::array::timezone::Tz;
use arrow::compute::kernels::cast_utils::string_to_datetime;
use arrow::datatypes::{DataType, TimeUnit};
use chrono::{DateTime, TimeZone, Utc};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::{Case, InList};
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{Between, BinaryExpr, Cast, Expr, ExprSchemable, Operator, lit};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;

use super::lists::sound;

const NANOSECONDS: i128 = 1_000_000_000;

/// Rewrites comparisons of a time with a literal, wherever they stand. It runs before the engine gives both sides a
/// common type.
#[derive(Debug)]
pub struct ExactTimes;

impl FunctionRewrite for ExactTimes {
    fn name(&self) -> &str {
        "exact_times"
    }

    fn rewrite(
        &self,
        expr: Expr,
        schema: &DFSchema,
        config: &ConfigOptions,
    ) -> Result<Transformed<Expr>> {
        let rewritten = match &expr {
            Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
                let forward = || compared(left, *op, right, schema, config);
                forward().or_else(|| compared(right, op.swap()?, left, schema, config))
            }
            Expr::Between(between) => bounded(between, schema, config),
            Expr::InList(list) => listed(list, schema, config),
            Expr::Case(case) => cases(case, schema, config),
            _ => None,
        };
        Ok(match rewritten {
            Some(rewritten) => Transformed::yes(rewritten),
            None => Transformed::no(expr),
        })
    }
}

/// `time op literal`, exactly. `None` where they are no such pair.
fn compared(
    time: &Expr,
    op: Operator,
    literal: &Expr,
    schema: &DFSchema,
    config: &ConfigOptions,
) -> Option<Expr> {
    use Operator::{Eq, Gt, GtEq, IsDistinctFrom, IsNotDistinctFrom, Lt, LtEq, NotEq};
    match op {
        Eq | NotEq | Lt | LtEq | Gt | GtEq | IsDistinctFrom | IsNotDistinctFrom => {
            let clock = Clock::of(time, schema)?;
            clock.compare(time, op, clock.place(literal, config)?)
        }
        _ => None,
    }
}

/// `time BETWEEN low AND high`, where one of them is a literal.
fn bounded(between: &Between, schema: &DFSchema, config: &ConfigOptions) -> Option<Expr> {
    let time = &between.expr;
    let compared = |op, bound: &Expr| compared(time, op, bound, schema, config);
    let (above, below) = match between.negated {
        false => (Operator::GtEq, Operator::LtEq),
        true => (Operator::Lt, Operator::Gt),
    };
    let (low, high) = (
        compared(above, &between.low),
        compared(below, &between.high),
    );
    if low.is_none() && high.is_none() {
        return None;
    }
    let engines = |op, bound: &Expr| {
        Expr::BinaryExpr(BinaryExpr::new(time.clone(), op, Box::new(bound.clone())))
    };
    let low = low.unwrap_or_else(|| engines(above, &between.low));
    let high = high.unwrap_or_else(|| engines(below, &between.high));
    Some(match between.negated {
        false => low.and(high),
        true => low.or(high),
    })
}

/// `time IN (literals)`: those between two values of the time's unit are equal to none. What else is in the list is
/// compared apart, so that the engine gives the literals no other type.
fn listed(list: &InList, schema: &DFSchema, config: &ConfigOptions) -> Option<Expr> {
    let clock = Clock::of(&list.expr, schema)?;
    let (mut literals, mut others) = (Vec::new(), Vec::new());
    let mut found = false;
    for value in &list.list {
        match clock.place(value, config) {
            Some(Place::At(at)) => literals.push(clock.literal(Some(at))),
            Some(Place::Behind(_) | Place::Before) => {}
            None if is_null(value, config) => literals.push(clock.literal(None)),
            None => {
                others.push(value.clone());
                continue;
            }
        }
        found = true;
    }
    if !found {
        return None;
    }
    let op = match list.negated {
        false => Operator::Eq,
        true => Operator::NotEq,
    };
    let in_list = |values| sound(InList::new(list.expr.clone(), values, list.negated), schema);
    let equal = match literals.is_empty() {
        true => clock.compare(&list.expr, op, Place::Before)?,
        false => in_list(literals),
    };
    Some(match (others.is_empty(), list.negated) {
        (true, _) => equal,
        (false, false) => equal.or(in_list(others)),
        (false, true) => equal.and(in_list(others)),
    })
}

/// `CASE time WHEN literal …`: as `CASE WHEN time = literal …`.
fn cases(case: &Case, schema: &DFSchema, config: &ConfigOptions) -> Option<Expr> {
    let time = case.expr.as_deref()?;
    let clock = Clock::of(time, schema)?;
    let mut found = false;
    let mut branches = Vec::with_capacity(case.when_then_expr.len());
    for (when, then) in &case.when_then_expr {
        let place = clock.place(when, config);
        found |= place.is_some();
        let equal = place.and_then(|place| clock.compare(time, Operator::Eq, place));
        let equal = equal.unwrap_or_else(|| time.clone().eq(when.as_ref().clone()));
        branches.push((Box::new(equal), then.clone()));
    }
    found.then(|| Expr::Case(Case::new(None, branches, case.else_expr.clone())))
}

/// How an expression counts time.
struct Clock {
    unit: TimeUnit,
    zone: Option<Arc<str>>,
}

/// Where a literal stands among the values of a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// At a value.
    At(i64),
    /// Between a value and the next one, or behind the last one.
    Behind(i64),
    /// Before the first one.
    Before,
}

impl Clock {
    /// The clock of an expression that is a time and no literal.
    fn of(expr: &Expr, schema: &DFSchema) -> Option<Self> {
        match expr.get_type(schema).ok()? {
            DataType::Timestamp(unit, zone) if !is_constant(expr) => Some(Self { unit, zone }),
            _ => None,
        }
    }

    fn literal(&self, value: Option<i64>) -> Expr {
        let zone = self.zone.clone();
        lit(match self.unit {
            TimeUnit::Second => ScalarValue::TimestampSecond(value, zone),
            TimeUnit::Millisecond => ScalarValue::TimestampMillisecond(value, zone),
            TimeUnit::Microsecond => ScalarValue::TimestampMicrosecond(value, zone),
            TimeUnit::Nanosecond => ScalarValue::TimestampNanosecond(value, zone),
        })
    }

    /// `time op literal`, where the literal stands at `place`.
    fn compare(&self, time: &Expr, op: Operator, place: Place) -> Option<Expr> {
        use Operator::{Eq, Gt, GtEq, IsDistinctFrom, IsNotDistinctFrom, Lt, LtEq, NotEq};
        // Of a time that is NULL, these are NULL.
        let (never, always) = ((Lt, i64::MIN), (GtEq, i64::MIN));
        let (op, value) = match (op, place) {
            (_, Place::At(value)) => (op, value),
            (IsDistinctFrom, _) => return Some(lit(true)),
            (IsNotDistinctFrom, _) => return Some(lit(false)),
            (Eq, _) => never,
            (NotEq, _) => always,
            (Gt | GtEq, Place::Behind(value)) => (Gt, value),
            (Lt | LtEq, Place::Behind(value)) => (LtEq, value),
            (Gt | GtEq, Place::Before) => always,
            (Lt | LtEq, Place::Before) => never,
            _ => return None,
        };
        let right = Box::new(self.literal(Some(value)));
        Some(Expr::BinaryExpr(BinaryExpr::new(
            Box::new(time.clone()),
            op,
            right,
        )))
    }

    /// Where a literal stands; `None` for what is none, or can't be read as a time: the engine then says why.
    fn place(&self, literal: &Expr, config: &ConfigOptions) -> Option<Place> {
        let nanoseconds = match literal {
            Expr::Alias(alias) => return self.place(&alias.expr, config),
            Expr::Literal(value, _) => match text(value) {
                Some(text) => parsed(text, self.zone.as_deref())?,
                None => self.nanoseconds(value)?,
            },
            Expr::Cast(Cast { expr, field }) => match (expr.as_ref(), field.data_type()) {
                (Expr::Literal(value, _), DataType::Timestamp(_, zone))
                    if text(value).is_some() =>
                {
                    let nanoseconds = parsed(text(value)?, zone.as_deref())?;
                    self.as_counted_here(nanoseconds, zone.as_deref())?
                }
                _ => self.nanoseconds(&folded(literal, config)?)?,
            },
            _ => self.nanoseconds(&folded(literal, config)?)?,
        };
        let of_unit = match self.unit {
            TimeUnit::Second => NANOSECONDS,
            TimeUnit::Millisecond => NANOSECONDS / 1000,
            TimeUnit::Microsecond => NANOSECONDS / 1_000_000,
            TimeUnit::Nanosecond => 1,
        };
        let whole = nanoseconds.div_euclid(of_unit);
        Some(match i64::try_from(whole) {
            Ok(value) if nanoseconds.rem_euclid(of_unit) == 0 => Place::At(value),
            Ok(value) => Place::Behind(value),
            Err(_) if whole > 0 => Place::Behind(i64::MAX),
            Err(_) => Place::Before,
        })
    }

    /// A literal's nanoseconds since 1970.
    fn nanoseconds(&self, value: &ScalarValue) -> Option<i128> {
        let (value, of_unit, zone) = match value {
            ScalarValue::TimestampSecond(Some(value), zone) => (*value, NANOSECONDS, zone),
            ScalarValue::TimestampMillisecond(Some(value), zone) => {
                (*value, NANOSECONDS / 1000, zone)
            }
            ScalarValue::TimestampMicrosecond(Some(value), zone) => {
                (*value, NANOSECONDS / 1_000_000, zone)
            }
            ScalarValue::TimestampNanosecond(Some(value), zone) => (*value, 1, zone),
            ScalarValue::Date32(Some(days)) => (i64::from(*days), 86_400 * NANOSECONDS, &None),
            _ => return None,
        };
        self.as_counted_here(i128::from(value) * of_unit, zone.as_deref())
    }

    /// Between a time with a zone and one without, that of the one is the other's too.
    fn as_counted_here(&self, nanoseconds: i128, zone: Option<&str>) -> Option<i128> {
        let seconds = i64::try_from(nanoseconds.div_euclid(NANOSECONDS)).ok()?;
        let instant = DateTime::from_timestamp(seconds, 0)?;
        let counted = match (zone, self.zone.as_deref()) {
            (None, Some(own)) => {
                let zone: Tz = own.parse().ok()?;
                let local = zone.from_local_datetime(&instant.naive_utc());
                local.single()?.timestamp()
            }
            (Some(zone), None) => {
                let zone: Tz = zone.parse().ok()?;
                let local = instant.with_timezone(&zone).naive_local();
                local.and_utc().timestamp()
            }
            _ => seconds,
        };
        Some(nanoseconds + i128::from(counted - seconds) * NANOSECONDS)
    }
}

fn text(value: &ScalarValue) -> Option<&str> {
    value.try_as_str().flatten()
}

/// The nanoseconds since 1970 of a time in a zone, or without one.
fn parsed(text: &str, zone: Option<&str>) -> Option<i128> {
    let whole = |seconds: i64, nanoseconds: u32| {
        i128::from(seconds) * NANOSECONDS + i128::from(nanoseconds)
    };
    Some(match zone {
        Some(zone) => {
            let zone: Tz = zone.parse().ok()?;
            let time = string_to_datetime(&zone, text).ok()?;
            whole(time.timestamp(), time.timestamp_subsec_nanos())
        }
        None => {
            let time = string_to_datetime(&Utc, text).ok()?;
            whole(time.timestamp(), time.timestamp_subsec_nanos())
        }
    })
}

/// The value of a constant. Nanoseconds that end in 2262 are tried again as microseconds.
fn folded(expr: &Expr, config: &ConfigOptions) -> Option<ScalarValue> {
    if !is_constant(expr) {
        return None;
    }
    let schema = Arc::new(DFSchema::empty());
    let context = SimplifyContext::builder()
        .with_schema(Arc::clone(&schema))
        .with_config_options(Arc::new(config.clone()))
        .build();
    let simplifier = ExprSimplifier::new(context);
    let fold = |expr: Expr| -> Result<Option<ScalarValue>> {
        let expr = simplifier.simplify(simplifier.coerce(expr, &schema)?)?;
        Ok(match expr {
            Expr::Literal(value, _) => Some(value),
            _ => None,
        })
    };
    match fold(expr.clone()) {
        Ok(value) => value,
        Err(_) => fold(in_microseconds(expr.clone()).ok()?).ok()?,
    }
}

fn is_null(expr: &Expr, config: &ConfigOptions) -> bool {
    match expr {
        Expr::Literal(value, _) => value.is_null(),
        other => folded(other, config).is_some_and(|value| value.is_null()),
    }
}

/// The expression with texts cast to microseconds where they were to nanoseconds.
fn in_microseconds(expr: Expr) -> Result<Expr> {
    let coarser = expr.transform_up(|expr| {
        Ok(match expr {
            Expr::Cast(Cast { expr, field }) => match field.data_type() {
                DataType::Timestamp(TimeUnit::Nanosecond, zone) => {
                    let coarser = DataType::Timestamp(TimeUnit::Microsecond, zone.clone());
                    Transformed::yes(Expr::Cast(Cast::new(expr, coarser)))
                }
                _ => Transformed::no(Expr::Cast(Cast { expr, field })),
            },
            other => Transformed::no(other),
        })
    });
    coarser.map(|coarser| coarser.data)
}

/// Whether an expression has the same value in every row and every run.
fn is_constant(expr: &Expr) -> bool {
    let varies = |expr: &Expr| {
        matches!(
            expr,
            Expr::Column(_)
                | Expr::OuterReferenceColumn(..)
                | Expr::ScalarVariable(..)
                | Expr::Placeholder(_)
                | Expr::ScalarSubquery(_)
                | Expr::Exists(_)
                | Expr::InSubquery(_)
                | Expr::SetComparison(_)
                | Expr::AggregateFunction(_)
                | Expr::WindowFunction(_)
                | Expr::Unnest(_)
                | Expr::LambdaVariable(_)
        )
    };
    !expr.is_volatile() && !expr.exists(|expr| Ok(varies(expr))).unwrap_or(true)
}

#[cfg(test)]
mod tests {
    use crate::query::Engine;
    use arrow::array::AsArray;
    use arrow::datatypes::Int64Type;
    use futures::TryStreamExt;

    /// Which of the times 0.001, 0.002, 0.003 and NULL a condition is true of, in the unit of its column.
    async fn true_of(zone: &str, condition: &str) -> Vec<i64> {
        let scratch = tempfile::tempdir().unwrap();
        let engine = Engine::new(1 << 26, scratch.path()).unwrap();
        let session = engine.session(zone.parse().unwrap()).unwrap();
        let unit = format!("Timestamp(Millisecond, Some(\"{zone}\"))");
        let sql = format!(
            "WITH t AS (SELECT n, arrow_cast(n, '{unit}') AS at, arrow_cast(n, 'Timestamp(Millisecond, None)') AS local \
             FROM (VALUES (1), (2), (3), (CAST(NULL AS BIGINT))) AS v(n)) \
             SELECT coalesce(n, 0) AS n FROM t WHERE {condition} ORDER BY 1"
        );
        let statement = session.statement(&sql, "SQL").await.unwrap();
        let batches = session.run(&statement).await.unwrap().batches;
        let batches: Vec<_> = batches.try_collect().await.unwrap();
        let values = |batch: &arrow::array::RecordBatch| {
            batch
                .column(0)
                .as_primitive::<Int64Type>()
                .values()
                .to_vec()
        };
        batches.iter().flat_map(values).collect()
    }

    #[tokio::test]
    async fn a_literal_finer_than_a_millisecond_is_compared_exactly() {
        let forms = [
            "'1970-01-01T00:00:00.0025Z'",
            "timestamp '1970-01-01 00:00:00.0025'",
            "'1970-01-01 00:00:00.0025'::timestamp",
            "timestamptz '1970-01-01 00:00:00.0025Z'",
            "to_timestamp('1970-01-01T00:00:00.0025Z')",
            "arrow_cast(2500, 'Timestamp(Microsecond, None)')",
            "(timestamp '1970-01-01 00:00:00.0015' + interval '1 millisecond')",
        ];
        for literal in forms {
            for (condition, expected) in [
                ("at >= $", &[3][..]),
                ("at > $", &[3]),
                ("at < $", &[1, 2]),
                ("at <= $", &[1, 2]),
                ("at = $", &[]),
                ("at <> $", &[1, 2, 3]),
                ("$ < at", &[3]),
                ("$ >= at", &[1, 2]),
                ("(at = $) IS NULL", &[0]),
                ("NOT (at = $)", &[1, 2, 3]),
                ("at IS DISTINCT FROM $", &[0, 1, 2, 3]),
                ("at IS NOT DISTINCT FROM $", &[]),
                ("at BETWEEN $ AND $", &[]),
                ("at NOT BETWEEN $ AND $", &[1, 2, 3]),
                ("at BETWEEN '1970-01-01T00:00:00.0015Z' AND $", &[2]),
                ("at IN ($, '1970-01-01T00:00:00.003Z')", &[3]),
                ("at IN ($)", &[]),
                ("at NOT IN ($)", &[1, 2, 3]),
                ("at NOT IN ($, NULL)", &[]),
                (
                    "at IN ($, '9999-12-31', NULL::timestamp, to_timestamp(0) + interval '3 milliseconds')",
                    &[3],
                ),
                (
                    "at NOT IN ($, '9999-12-31', arrow_cast(n * 500000, 'Timestamp(Nanosecond, Some(\"UTC\"))'))",
                    &[1, 2, 3],
                ),
                (
                    "CASE at WHEN $ THEN true WHEN '1970-01-01T00:00:00.001Z' THEN true ELSE false END",
                    &[1],
                ),
                ("local >= $", &[3]),
            ] {
                let condition = condition.replace('$', literal);
                assert_eq!(true_of("UTC", &condition).await, expected, "{condition}");
            }
        }
    }

    #[tokio::test]
    async fn literals_of_the_years_1_to_9999_are_compared() {
        for (condition, expected) in [
            ("at < '9999-12-31'", &[1, 2, 3][..]),
            ("at > '9999-12-31'", &[]),
            ("at > '0001-01-01'", &[1, 2, 3]),
            ("at < '0001-01-01T00:00:00Z'", &[]),
            ("at < timestamp '9999-12-31 23:59:59.999999'", &[1, 2, 3]),
            ("at < date '9999-12-31'", &[1, 2, 3]),
            ("at <= timestamptz '9999-12-31T00:00:00+09:00'", &[1, 2, 3]),
            ("at BETWEEN '0001-01-01' AND '9999-12-31'", &[1, 2, 3]),
            ("at NOT IN ('9999-12-31', '0001-01-01')", &[1, 2, 3]),
            ("at > timestamp '9999-12-31' - interval '1 day'", &[]),
            (
                "arrow_cast(at, 'Timestamp(Nanosecond, None)') < '9999-12-31'",
                &[1, 2, 3],
            ),
            (
                "arrow_cast(at, 'Timestamp(Nanosecond, None)') < '0001-01-01'",
                &[],
            ),
            ("(at < '9999-12-31') IS NULL", &[0]),
        ] {
            assert_eq!(true_of("UTC", condition).await, expected, "{condition}");
        }
    }

    #[tokio::test]
    async fn a_literal_without_a_zone_is_in_that_of_the_column() {
        for (condition, expected) in [
            ("at >= '1970-01-01 09:00:00.0025'", &[3][..]),
            ("at >= timestamp '1970-01-01 09:00:00.0025'", &[3]),
            ("at >= '1970-01-01T00:00:00.0025Z'", &[3]),
            ("at >= date '1970-01-01'", &[1, 2, 3]),
            ("at >= date '1970-01-02'", &[]),
        ] {
            assert_eq!(
                true_of("Asia/Seoul", condition).await,
                expected,
                "{condition}"
            );
        }
    }
}
