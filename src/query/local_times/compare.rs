//! Comparisons of timestamps with a time that is written in the query.
//!
//! The engine casts both sides to nanoseconds, which end in 2262, or the time to milliseconds, which loses its last
//! digits. Here the time becomes one of the timestamps' unit, and the operator says on which side of it the cut part is.
//! So the comparison is exact, and the scan sees a bare column.

use std::sync::Arc;

use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::{Case, InList};
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{Between, BinaryExpr, Cast, Expr, Operator, lit};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;

use super::{Times, cast_of, clock_of, outside, read_time, timestamp};
use crate::window::local_clock::{DAY_MS, LocalClock};

const NANOS_PER_MS: i128 = 1_000_000;

/// A time that is written in the query, in nanoseconds since 1970, of UTC or on the wall clock.
#[derive(Debug, Clone, Copy)]
struct Moment(i128);

impl Moment {
    fn of_ms(ms: i64, nanos: u32) -> Self {
        Self(i128::from(ms) * NANOS_PER_MS + i128::from(nanos))
    }

    /// Where it stands among the values of a unit.
    fn place(self, unit: TimeUnit) -> Place {
        let per_tick = match unit {
            TimeUnit::Second => 1_000 * NANOS_PER_MS,
            TimeUnit::Millisecond => NANOS_PER_MS,
            TimeUnit::Microsecond => 1_000,
            TimeUnit::Nanosecond => 1,
        };
        let whole = self.0.div_euclid(per_tick);
        match i64::try_from(whole) {
            Ok(ticks) if self.0.rem_euclid(per_tick) == 0 => Place::At(ticks),
            Ok(ticks) => Place::Behind(ticks),
            Err(_) if whole > 0 => Place::Behind(i64::MAX),
            Err(_) => Place::Before,
        }
    }
}

/// Where a time stands among the values of a unit.
#[derive(Debug, Clone, Copy)]
enum Place {
    /// At a value.
    At(i64),
    /// Between a value and the next one, or behind the last one.
    Behind(i64),
    /// Before the first one.
    Before,
}

/// A comparison's other side.
struct Timestamps {
    expr: Expr,
    unit: TimeUnit,
    zone: Option<Arc<str>>,
}

impl Timestamps {
    fn value(&self, ticks: i64) -> Expr {
        lit(timestamp(ticks, self.unit, self.zone.clone()))
    }

    /// The comparison, exactly.
    fn compare(&self, op: Operator, place: Place) -> Expr {
        use Operator::{Eq, Gt, GtEq, IsDistinctFrom, IsNotDistinctFrom, Lt, LtEq, NotEq};
        // Of a time that is NULL, these are NULL.
        let (never, always) = ((Lt, i64::MIN), (GtEq, i64::MIN));
        let (op, ticks) = match (op, place) {
            (op, Place::At(ticks)) => (op, ticks),
            (IsDistinctFrom, _) => return lit(true),
            (IsNotDistinctFrom, _) => return lit(false),
            (Eq, _) => never,
            (NotEq, _) => always,
            (Lt | LtEq, Place::Behind(ticks)) => (LtEq, ticks),
            (_, Place::Behind(ticks)) => (Gt, ticks),
            (Lt | LtEq, Place::Before) => never,
            (_, Place::Before) => always,
        };
        binary(self.expr.clone(), op, self.value(ticks))
    }
}

fn binary(left: Expr, op: Operator, right: Expr) -> Expr {
    Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right)))
}

impl Times<'_> {
    /// A comparison of timestamps with a written time.
    pub(super) fn compare(&self, expr: Expr) -> Result<Transformed<Expr>> {
        let compared = match &expr {
            Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
                match (self.compare_with(left, *op, right)?, op.swap()) {
                    (None, Some(op)) => self.compare_with(right, op, left)?,
                    (compared, _) => compared,
                }
            }
            Expr::Between(between) => self.between(between)?,
            Expr::InList(list) => self.in_list(list)?,
            Expr::Case(case) => self.cases(case)?,
            _ => None,
        };
        Ok(match compared {
            Some(compared) => Transformed::yes(compared),
            None => Transformed::no(expr),
        })
    }

    fn compare_with(&self, left: &Expr, op: Operator, right: &Expr) -> Result<Option<Expr>> {
        let compares = matches!(
            op,
            Operator::Eq
                | Operator::NotEq
                | Operator::Lt
                | Operator::LtEq
                | Operator::Gt
                | Operator::GtEq
                | Operator::IsDistinctFrom
                | Operator::IsNotDistinctFrom
        );
        if !compares {
            return Ok(None);
        }
        let Some(timestamps) = self.timestamps(left, right) else {
            return Ok(None);
        };
        let moment = self.moment(right, timestamps.zone.as_ref())?;
        Ok(moment.map(|moment| timestamps.compare(op, moment.place(timestamps.unit))))
    }

    /// Both bounds as comparisons; one of them that is no written time stays the engine's.
    fn between(&self, between: &Between) -> Result<Option<Expr>> {
        let (above, below) = match between.negated {
            false => (Operator::GtEq, Operator::LtEq),
            true => (Operator::Lt, Operator::Gt),
        };
        let low = self.compare_with(&between.expr, above, &between.low)?;
        let high = self.compare_with(&between.expr, below, &between.high)?;
        if low.is_none() && high.is_none() {
            return Ok(None);
        }
        let engines = |op, bound: &Expr| binary((*between.expr).clone(), op, bound.clone());
        let low = low.unwrap_or_else(|| engines(above, &between.low));
        let high = high.unwrap_or_else(|| engines(below, &between.high));
        Ok(Some(match between.negated {
            false => low.and(high),
            true => low.or(high),
        }))
    }

    /// The written times of a list as values; those between two values are equal to none. What else is in the list is
    /// compared apart.
    fn in_list(&self, list: &InList) -> Result<Option<Expr>> {
        let (mut values, mut others) = (Vec::new(), Vec::new());
        let mut column = None;
        for value in &list.list {
            let timestamps = self.timestamps(&list.expr, value);
            let moment = match &timestamps {
                Some(timestamps) => self.moment(value, timestamps.zone.as_ref())?,
                None => None,
            };
            let (Some(timestamps), Some(moment)) = (timestamps, moment) else {
                others.push(value.clone());
                continue;
            };
            if let Place::At(ticks) = moment.place(timestamps.unit) {
                values.push(timestamps.value(ticks));
            }
            column = Some(timestamps);
        }
        let Some(timestamps) = column else {
            return Ok(None);
        };
        let equal = match (values.is_empty(), list.negated) {
            (false, negated) => timestamps.expr.clone().in_list(values, negated),
            (true, false) => timestamps.compare(Operator::Eq, Place::Before),
            (true, true) => timestamps.compare(Operator::NotEq, Place::Before),
        };
        let others = (!others.is_empty()).then(|| {
            let list = InList::new(list.expr.clone(), others, list.negated);
            Expr::InList(list)
        });
        Ok(Some(match (others, list.negated) {
            (None, _) => equal,
            (Some(others), false) => equal.or(others),
            (Some(others), true) => equal.and(others),
        }))
    }

    /// `CASE time WHEN '…'` as `CASE WHEN time = '…'`.
    fn cases(&self, case: &Case) -> Result<Option<Expr>> {
        let Some(time) = case.expr.as_deref() else {
            return Ok(None);
        };
        let mut found = false;
        let mut branches = Vec::with_capacity(case.when_then_expr.len());
        for (when, then) in &case.when_then_expr {
            let compared = self.compare_with(time, Operator::Eq, when)?;
            found |= compared.is_some();
            let engines = || binary(time.clone(), Operator::Eq, (**when).clone());
            branches.push((Box::new(compared.unwrap_or_else(engines)), then.clone()));
        }
        let searched = Case::new(None, branches, case.else_expr.clone());
        Ok(found.then_some(Expr::Case(searched)))
    }

    /// The timestamps that are compared with `other`, without the casts that the engine has put around them.
    fn timestamps(&self, expr: &Expr, other: &Expr) -> Option<Timestamps> {
        let of_type = |expr: &Expr| match self.type_of(expr)? {
            DataType::Timestamp(unit, zone) if !is_constant(expr) => Some(Timestamps {
                expr: expr.clone(),
                unit,
                zone,
            }),
            _ => None,
        };
        if let Some((inner, DataType::Timestamp(to_unit, to))) = cast_of(expr)
            && let Some(bare) = of_type(inner)
        {
            let widens = bare.zone.is_some() == to.is_some() || self.is_date(other);
            if widens && bare.unit <= *to_unit {
                return Some(bare);
            }
        }
        of_type(expr)
    }

    /// Whether an expression is a date that the engine has made a timestamp, to compare it with one.
    fn is_date(&self, expr: &Expr) -> bool {
        let inner = cast_of(expr).and_then(|(inner, _)| self.type_of(inner));
        matches!(inner, Some(DataType::Date32 | DataType::Date64))
    }

    fn is_number(&self, expr: &Expr) -> bool {
        self.type_of(expr).is_some_and(|of| of.is_numeric())
    }

    /// A written time as an instant, where `zone` is that of what it is compared with, or else on the wall clock.
    fn moment(&self, expr: &Expr, zone: Option<&Arc<str>>) -> Result<Option<Moment>> {
        if let Expr::Literal(value, _) = expr {
            return moment_of_value(value, zone);
        }
        let Some((inner, to)) = cast_of(expr) else {
            return self.moment_of_constant(expr, zone);
        };
        let text = match inner {
            Expr::Literal(value, _) => value.try_as_str().flatten(),
            _ => None,
        };
        match (text, to) {
            (_, DataType::Timestamp(_, Some(_))) if zone.is_none() => Ok(None),
            (Some(text), DataType::Timestamp(_, to)) => {
                match self.moment_of_text(text, to.as_ref().or(zone)) {
                    Err(_) if matches!(expr, Expr::TryCast(_)) => Ok(None),
                    moment => moment.map(Some),
                }
            }
            // A number is one only with the unit of its cast.
            (None, DataType::Timestamp(..)) if self.is_number(inner) => {
                self.moment_of_constant(expr, zone)
            }
            (None, DataType::Timestamp(_, to)) => self.moment(inner, to.as_ref().or(zone)),
            (Some(text), DataType::Date32 | DataType::Date64) => {
                match self.cast_text(&ScalarValue::from(text), to, false)? {
                    Some(Expr::Literal(date, _)) => moment_of_value(&date, zone),
                    _ => Ok(None),
                }
            }
            _ => Ok(None),
        }
    }

    fn moment_of_text(&self, text: &str, zone: Option<&Arc<str>>) -> Result<Moment> {
        let written = read_time(text)?;
        let ms = match zone {
            Some(zone) => written.instant_ms(&mut clock_of(zone)?),
            None => written.local_ms(&mut LocalClock::new(self.zone)),
        };
        Ok(Moment::of_ms(ms.map_err(outside)?, written.nanos))
    }

    /// The value of what is computed of written times. Nanoseconds that end in 2262 are tried again as microseconds.
    fn moment_of_constant(&self, expr: &Expr, zone: Option<&Arc<str>>) -> Result<Option<Moment>> {
        if !is_constant(expr) {
            return Ok(None);
        }
        let folded = self.folded(expr.clone());
        match folded.or_else(|_| self.folded(in_microseconds(expr.clone())?)) {
            Ok(Some(value)) => moment_of_value(&value, zone),
            // The engine says what is wrong with it.
            Ok(None) | Err(_) => Ok(None),
        }
    }

    fn folded(&self, expr: Expr) -> Result<Option<ScalarValue>> {
        let schema = Arc::new(DFSchema::empty());
        let context = SimplifyContext::builder()
            .with_schema(Arc::clone(&schema))
            .build();
        let expr = self.rewrite(expr)?.data;
        Ok(match ExprSimplifier::new(context).simplify(expr)? {
            Expr::Literal(value, _) => Some(value),
            _ => None,
        })
    }
}

/// Whether an expression has the same value in every row and every run.
fn is_constant(expr: &Expr) -> bool {
    let is_computed = |expr: &Expr| {
        matches!(
            expr,
            Expr::Literal(..)
                | Expr::Cast(_)
                | Expr::TryCast(_)
                | Expr::BinaryExpr(_)
                | Expr::Negative(_)
                | Expr::Alias(_)
                | Expr::ScalarFunction(_)
        )
    };
    let varies = expr.exists(|expr| Ok(!is_computed(expr)));
    !varies.unwrap_or(true) && !expr.is_volatile()
}

/// The expression with texts cast to microseconds where they were to nanoseconds.
fn in_microseconds(expr: Expr) -> Result<Expr> {
    let coarser = |expr: Expr| match cast_of(&expr) {
        Some((inner, DataType::Timestamp(TimeUnit::Nanosecond, zone))) => {
            let to = DataType::Timestamp(TimeUnit::Microsecond, zone.clone());
            Transformed::yes(Expr::Cast(Cast::new(Box::new(inner.clone()), to)))
        }
        _ => Transformed::no(expr),
    };
    expr.transform_up(|expr| Ok(coarser(expr))).data()
}

/// A value as an instant in a zone, or without one on the wall clock.
fn moment_of_value(value: &ScalarValue, zone: Option<&Arc<str>>) -> Result<Option<Moment>> {
    let (seconds, nanos, is_instant) = match value {
        ScalarValue::TimestampSecond(Some(s), of) => (*s, 0, of.is_some()),
        ScalarValue::TimestampMillisecond(Some(ms), of) => (
            ms.div_euclid(1_000),
            ms.rem_euclid(1_000) * 1_000_000,
            of.is_some(),
        ),
        ScalarValue::TimestampMicrosecond(Some(us), of) => (
            us.div_euclid(1_000_000),
            us.rem_euclid(1_000_000) * 1_000,
            of.is_some(),
        ),
        ScalarValue::TimestampNanosecond(Some(ns), of) => (
            ns.div_euclid(1_000_000_000),
            ns.rem_euclid(1_000_000_000),
            of.is_some(),
        ),
        ScalarValue::Date32(Some(day)) => (i64::from(*day) * (DAY_MS / 1_000), 0, false),
        _ => return Ok(None),
    };
    let Some(ms) = seconds
        .checked_mul(1_000)
        .and_then(|ms| ms.checked_add(nanos / 1_000_000))
    else {
        return Ok(None);
    };
    let ms = match (is_instant, zone) {
        (false, None) | (true, Some(_)) => ms,
        (false, Some(zone)) => clock_of(zone)?.instant_ms(ms).map_err(outside)?,
        // An instant is compared with a local time as the engine's casts say.
        (true, None) => return Ok(None),
    };
    // Less than a million.
    Ok(Some(Moment::of_ms(ms, (nanos % 1_000_000) as u32)))
}
