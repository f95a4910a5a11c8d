//! The engine's functions and sums of instants, replaced by those of local time.

use std::sync::Arc;

use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::tree_node::Transformed;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator, ScalarUDF, lit};

use super::{Times, cast_of, cast_to, is_text};
use crate::query::functions::time::{
    AddInterval, Bins, ByTemplate, DateBin, DatePart, Template, TimeBucket, WallClock,
    bad_template, instants_in,
};

/// The zone that the engine gives an argument without one.
const UNKNOWN_ZONE: &str = "+00";

impl Times<'_> {
    /// A call of one of the engine's functions of time.
    pub(super) fn call(&self, call: ScalarFunction) -> Result<Transformed<Expr>> {
        let types: Vec<Option<DataType>> = call.args.iter().map(|arg| self.type_of(arg)).collect();
        let instant = |n: usize| match types.get(n) {
            Some(Some(found @ DataType::Timestamp(_, Some(_)))) => Some(found),
            _ => None,
        };
        let replaced = match (call.name(), call.args.as_slice()) {
            ("date_trunc", [unit, time]) => match instant(1) {
                Some(data_type) => self.date_trunc(unit, time, data_type),
                None => None,
            },
            ("date_part", [part, time]) => match instant(1) {
                Some(data_type) => self.date_part(&call, part, time, data_type),
                None => None,
            },
            ("date_bin", [stride, time, origin @ ..]) => match instant(1) {
                Some(data_type) => self.date_bin(stride, time, origin.first(), data_type)?,
                None => None,
            },
            ("to_char", [_, template]) => {
                if let Some(template) = text_of(template) {
                    // Checked here, which is before anything is exported.
                    Template::parse(template).map_err(bad_template)?;
                }
                None
            }
            ("to_local_time", [time]) => instant(0).map(|data_type| {
                let local = DataType::Timestamp(unit_of(data_type), None);
                self.convert(time.clone(), local, false)
            }),
            ("to_unixtime", [time]) => match &types[0] {
                Some(DataType::Timestamp(_, None) | DataType::Date32 | DataType::Date64) => {
                    Some(self.with_instant(&call, time))
                }
                Some(text) if is_text(text) => Some(self.with_instant(&call, time)),
                _ => None,
            },
            (name, [value]) if name.starts_with("to_timestamp") => {
                let to = self.type_of(&Expr::ScalarFunction(call.clone()));
                match (&types[0], to) {
                    (Some(from), Some(to)) => self.to_timestamp(name, value, from, &to)?,
                    _ => None,
                }
            }
            (name, [_, _, ..]) if name.starts_with("to_timestamp") => {
                let to = self.type_of(&Expr::ScalarFunction(call.clone()));
                to.map(|to| {
                    ScalarUDF::from(ByTemplate::new(&call.func, to)).call(call.args.clone())
                })
            }
            _ => None,
        };
        Ok(match replaced {
            Some(replaced) => Transformed::yes(replaced),
            None => Transformed::no(Expr::ScalarFunction(call)),
        })
    }

    /// `time_bucket` of the same width, with the type that `date_trunc` has. What is less than a second needs no zone.
    fn date_trunc(&self, unit: &Expr, time: &Expr, data_type: &DataType) -> Option<Expr> {
        let width = match text_of(unit)?.to_ascii_lowercase().as_str() {
            "second" => "1 second",
            "minute" => "1 minute",
            "hour" => "1 hour",
            "day" => "1 day",
            "week" => "1 week",
            "month" => "1 month",
            "quarter" => "3 months",
            "year" => "1 year",
            _ => return None,
        };
        Some(self.bucket(lit(width), time, data_type))
    }

    fn bucket(&self, width: Expr, time: &Expr, data_type: &DataType) -> Expr {
        let bucket = ScalarUDF::from(TimeBucket::new(&self.session_zone()));
        of_type(bucket.call(vec![width, time.clone()]), data_type)
    }

    /// The part of the local time. The epoch has no zone.
    fn date_part(
        &self,
        call: &ScalarFunction,
        part: &Expr,
        time: &Expr,
        data_type: &DataType,
    ) -> Option<Expr> {
        let name = text_of(part)?.trim_matches(|c| c == '\'' || c == '"');
        Some(match name.to_ascii_lowercase().as_str() {
            "epoch" => return None,
            "hour" | "hours" | "hr" | "hrs" | "h" => {
                let hour = WallClock::hour_of_day(&self.session_zone());
                ScalarUDF::from(hour).call(vec![time.clone()])
            }
            name => match DatePart::named(name) {
                Some(part) => ScalarUDF::from(part).call(vec![time.clone()]),
                None => {
                    let local = DataType::Timestamp(unit_of(data_type), None);
                    let local = self.convert(time.clone(), local, false);
                    call.func.call(vec![part.clone(), local])
                }
            },
        })
    }

    fn date_bin(
        &self,
        stride: &Expr,
        time: &Expr,
        origin: Option<&Expr>,
        data_type: &DataType,
    ) -> Result<Option<Expr>> {
        // The engine has made a text an interval by a cast.
        let value = match (stride, cast_of(stride)) {
            (Expr::Literal(value, _), _) => value.clone(),
            (_, Some((Expr::Literal(text, _), to))) => text.cast_to(to)?,
            _ => return Ok(None),
        };
        Ok(match Bins::of(&value, origin.is_some())? {
            Bins::Seconds => None,
            Bins::Buckets => Some(self.bucket(lit(value), time, data_type)),
            Bins::Days(days) => {
                let origin = match origin {
                    Some(origin) => origin.clone(),
                    None => {
                        let first_day = lit(ScalarValue::Date32(Some(0)));
                        let DataType::Timestamp(_, Some(zone)) = data_type else {
                            return Ok(None);
                        };
                        self.convert(first_day, instants_in(zone), false)
                    }
                };
                let bin = ScalarUDF::from(DateBin::new(days)).call(vec![time.clone(), origin]);
                Some(of_type(bin, data_type))
            }
        })
    }

    /// The call over an instant in place of a time without a zone.
    fn with_instant(&self, call: &ScalarFunction, time: &Expr) -> Expr {
        let instant = self.convert(time.clone(), instants_in(&self.session_zone()), false);
        call.func.call(vec![instant])
    }

    /// `arrow_cast` to a time as the cast that it is, and an argument that the engine has cast to a zone of its own choice
    /// as a cast to the session's.
    pub(super) fn plain_cast(&self, expr: Expr) -> Result<Transformed<Expr>> {
        let to = self.type_of(&expr);
        let Expr::ScalarFunction(call) = expr else {
            return Ok(Transformed::no(expr));
        };
        match (call.name(), call.args.as_slice(), to) {
            ("arrow_cast", [value, _], Some(to)) if to.is_temporal() => {
                Ok(Transformed::yes(cast_to(value.clone(), to, false)))
            }
            ("date_bin", _, _) => {
                let args = call.args.into_iter().map(|arg| self.in_session_zone(arg));
                let call = ScalarFunction::new_udf(call.func, args.collect());
                Ok(Transformed::yes(Expr::ScalarFunction(call)))
            }
            _ => Ok(Transformed::no(Expr::ScalarFunction(call))),
        }
    }

    /// The argument of a function that takes instants of any zone, of which the engine chooses UTC for what has none.
    fn in_session_zone(&self, arg: Expr) -> Expr {
        let (to, from) = match cast_of(&arg) {
            Some((inner, DataType::Timestamp(unit, Some(zone)))) if **zone == *UNKNOWN_ZONE => {
                let to = DataType::Timestamp(*unit, Some(self.session_zone()));
                (to, self.type_of(inner).map(|from| (inner.clone(), from)))
            }
            _ => return arg,
        };
        match from {
            Some((_, DataType::Timestamp(_, Some(_)))) | None => arg,
            Some((inner, _)) => cast_to(inner, to, false),
        }
    }

    /// `to_timestamp(value)` and its like for each unit.
    fn to_timestamp(
        &self,
        name: &str,
        value: &Expr,
        from: &DataType,
        to: &DataType,
    ) -> Result<Option<Expr>> {
        match (from, to) {
            // The engine takes these seconds for a local time.
            (from, DataType::Timestamp(_, zone)) if from.is_integer() && name == "to_timestamp" => {
                let seconds = DataType::Timestamp(TimeUnit::Second, zone.clone());
                let instant = cast_to(value.clone(), seconds, false);
                Ok(Some(cast_to(instant, to.clone(), false)))
            }
            (from, _) if is_text(from) || from.is_temporal() => self.cast(value, to, false),
            _ => Ok(None),
        }
    }

    /// An instant plus or minus an interval.
    pub(super) fn sum(&self, binary: BinaryExpr) -> Result<Transformed<Expr>> {
        let BinaryExpr { left, op, right } = &binary;
        let is_interval = |expr: &Expr| matches!(self.type_of(expr), Some(DataType::Interval(_)));
        let is_instant =
            |expr: &Expr| matches!(self.type_of(expr), Some(DataType::Timestamp(_, Some(_))));
        let parts = match op {
            Operator::Plus if is_instant(left) && is_interval(right) => (left, right),
            Operator::Plus if is_interval(left) && is_instant(right) => (right, left),
            Operator::Minus if is_instant(left) && is_interval(right) => (left, right),
            _ => return Ok(Transformed::no(Expr::BinaryExpr(binary))),
        };
        let (instant, interval) = ((**parts.0).clone(), (**parts.1).clone());
        let add = AddInterval::new(*op == Operator::Minus);
        Ok(Transformed::yes(
            ScalarUDF::from(add).call(vec![instant, interval]),
        ))
    }

    fn session_zone(&self) -> Arc<str> {
        self.zone.name().into()
    }
}

/// The instant in milliseconds as one of another unit.
fn of_type(expr: Expr, data_type: &DataType) -> Expr {
    match data_type {
        DataType::Timestamp(TimeUnit::Millisecond, _) => expr,
        other => cast_to(expr, other.clone(), false),
    }
}

fn unit_of(data_type: &DataType) -> TimeUnit {
    match data_type {
        DataType::Timestamp(unit, _) => *unit,
        _ => TimeUnit::Millisecond,
    }
}

/// The text of a constant.
fn text_of(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Literal(value, _) => value.try_as_str().flatten(),
        _ => None,
    }
}
