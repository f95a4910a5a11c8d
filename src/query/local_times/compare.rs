//! Comparisons of timestamps in milliseconds with a time that is written in the query.
//!
//! The engine casts both sides to nanoseconds, which end in 2262, or the time to milliseconds, which loses its last
//! digits. Here the time becomes milliseconds and the comparison stays exact, so the scan sees a bare column.

use std::sync::Arc;

use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::tree_node::Transformed;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{Between, BinaryExpr, Expr, Operator, lit};

use super::{Times, cast_of, clock_of, outside, read_time};
use crate::window::local_clock::{DAY_MS, LocalClock};

/// A time that is written in the query: milliseconds since 1970, of UTC or on the wall clock, and whether it is later
/// than that by less than a millisecond.
#[derive(Debug, Clone, Copy)]
struct Moment {
    ms: i64,
    later: bool,
}

/// A comparison's other side.
struct Timestamps {
    expr: Expr,
    zone: Option<Arc<str>>,
}

impl Timestamps {
    fn value(&self, ms: i64) -> Expr {
        lit(ScalarValue::TimestampMillisecond(
            Some(ms),
            self.zone.clone(),
        ))
    }

    /// The comparison, for whole milliseconds.
    fn compare(&self, op: Operator, moment: Moment) -> Expr {
        let (op, ms) = match (op, moment.later) {
            // No millisecond is equal to it. A comparison with the first of all times is NULL for NULL.
            (Operator::Eq, true) => (Operator::Lt, i64::MIN),
            (Operator::NotEq, true) => (Operator::GtEq, i64::MIN),
            (Operator::IsDistinctFrom, true) => return lit(true),
            (Operator::IsNotDistinctFrom, true) => return lit(false),
            (Operator::Lt, true) => (Operator::LtEq, moment.ms),
            (Operator::GtEq, true) => (Operator::Gt, moment.ms),
            (op, _) => (op, moment.ms),
        };
        binary(self.expr.clone(), op, self.value(ms))
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
        Ok(moment.map(|moment| timestamps.compare(op, moment)))
    }

    fn between(&self, between: &Between) -> Result<Option<Expr>> {
        let (from, to) = match between.negated {
            false => (Operator::GtEq, Operator::LtEq),
            true => (Operator::Lt, Operator::Gt),
        };
        let from = self.compare_with(&between.expr, from, &between.low)?;
        let to = self.compare_with(&between.expr, to, &between.high)?;
        Ok(from.zip(to).map(|(from, to)| match between.negated {
            false => from.and(to),
            true => from.or(to),
        }))
    }

    fn in_list(&self, list: &InList) -> Result<Option<Expr>> {
        let mut same = Vec::with_capacity(list.list.len());
        let mut column = None;
        for value in &list.list {
            let Some(timestamps) = self.timestamps(&list.expr, value) else {
                return Ok(None);
            };
            let Some(moment) = self.moment(value, timestamps.zone.as_ref())? else {
                return Ok(None);
            };
            if !moment.later {
                same.push(timestamps.value(moment.ms));
            }
            column = Some(timestamps);
        }
        Ok(
            column.map(|timestamps| match (same.is_empty(), list.negated) {
                (false, negated) => timestamps.expr.clone().in_list(same, negated),
                (true, negated) => {
                    let op = if negated {
                        Operator::NotEq
                    } else {
                        Operator::Eq
                    };
                    timestamps.compare(op, Moment { ms: 0, later: true })
                }
            }),
        )
    }

    /// The timestamps in milliseconds that are compared with `other`, without the casts that the engine has put around
    /// them.
    fn timestamps(&self, expr: &Expr, other: &Expr) -> Option<Timestamps> {
        let (bare, zone) = match cast_of(expr) {
            Some((inner, DataType::Timestamp(_, to))) => match (self.type_of(inner)?, to) {
                (DataType::Timestamp(TimeUnit::Millisecond, from), to)
                    if from.is_some() == to.is_some() || self.is_date(other) =>
                {
                    (inner, from)
                }
                _ => return None,
            },
            _ => match self.type_of(expr)? {
                DataType::Timestamp(TimeUnit::Millisecond, zone) => (expr, zone),
                _ => return None,
            },
        };
        // A written time has nothing to be bare of, and two of them are the engine's.
        let written = matches!(bare, Expr::Literal(..));
        (!written).then(|| Timestamps {
            expr: bare.clone(),
            zone,
        })
    }

    /// Whether an expression is a date that the engine has made a timestamp, to compare it with one.
    fn is_date(&self, expr: &Expr) -> bool {
        let inner = cast_of(expr).and_then(|(inner, _)| self.type_of(inner));
        matches!(inner, Some(DataType::Date32 | DataType::Date64))
    }

    /// A written time as an instant, where `zone` is that of what it is compared with, or else on the wall clock.
    fn moment(&self, expr: &Expr, zone: Option<&Arc<str>>) -> Result<Option<Moment>> {
        if let Expr::Literal(value, _) = expr {
            return moment_of_value(value, zone);
        }
        let Some((inner, to)) = cast_of(expr) else {
            return Ok(None);
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
        Ok(Moment {
            ms: ms.map_err(outside)?,
            later: written.nanos > 0,
        })
    }
}

/// A value as an instant in a zone, or without one on the wall clock.
fn moment_of_value(value: &ScalarValue, zone: Option<&Arc<str>>) -> Result<Option<Moment>> {
    let (ms, later, is_instant) = match value {
        ScalarValue::TimestampSecond(Some(s), of) => match s.checked_mul(1_000) {
            Some(ms) => (ms, false, of.is_some()),
            None => return Ok(None),
        },
        ScalarValue::TimestampMillisecond(Some(ms), of) => (*ms, false, of.is_some()),
        ScalarValue::TimestampMicrosecond(Some(us), of) => {
            (us.div_euclid(1_000), us.rem_euclid(1_000) > 0, of.is_some())
        }
        ScalarValue::TimestampNanosecond(Some(ns), of) => {
            let later = ns.rem_euclid(1_000_000) > 0;
            (ns.div_euclid(1_000_000), later, of.is_some())
        }
        ScalarValue::Date32(Some(day)) => (i64::from(*day) * DAY_MS, false, false),
        _ => return Ok(None),
    };
    let ms = match (is_instant, zone) {
        (false, None) | (true, Some(_)) => ms,
        (false, Some(zone)) => clock_of(zone)?.instant_ms(ms).map_err(outside)?,
        // An instant is compared with a local time as the engine's casts say.
        (true, None) => return Ok(None),
    };
    Ok(Some(Moment { ms, later }))
}
