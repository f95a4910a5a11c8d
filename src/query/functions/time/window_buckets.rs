//! `window_buckets('5 minutes', start, end)`: the buckets of `time_bucket` between two instants, as a list.

use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::{DataType, Field, FieldRef, IntervalUnit, TimestampMillisecondType};
use datafusion::common::{Result, exec_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature,
    Volatility,
};

use super::super::parse::documentation;
use super::bucket::width_of;
use super::series::list_of;
use super::{instant_type, instants_in};
use crate::error::{Class, Error};
use crate::window::buckets;
use crate::window::zone::Zone;

/// The most buckets of one list: those of a second of a week and more.
pub(super) const MOST: usize = 1_000_000;

/// The function for a session in a zone.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct WindowBuckets {
    session_zone: Arc<str>,
    signature: Signature,
}

impl WindowBuckets {
    /// For a session in a zone.
    pub fn new(session_zone: &Arc<str>) -> Self {
        Self {
            session_zone: Arc::clone(session_zone),
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }
}

impl ScalarUDFImpl for WindowBuckets {
    fn name(&self) -> &str {
        "window_buckets"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let [width, start, end] = types else {
            return plan_err!(
                "window_buckets has {} arguments: expected a width and two instants, as in window_buckets('5 minutes', $window_start, $window_end)",
                types.len()
            );
        };
        let width = match width {
            DataType::Interval(_) => DataType::Interval(IntervalUnit::MonthDayNano),
            _ if width.is_string() => width.clone(),
            other => {
                return plan_err!(
                    "window_buckets: invalid width of type {other}: expected a text such as '5 minutes', or an interval"
                );
            }
        };
        let of = |given| {
            instant_type(self.name(), given, &self.session_zone)
                .map(|_| instants_in(&self.session_zone))
        };
        Ok(vec![width, of(start)?, of(end)?])
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        let field = Field::new_list_field(instants_in(&self.session_zone), true);
        Ok(DataType::List(Arc::new(field)))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        match args.scalar_arguments.first() {
            Some(Some(width)) => drop(width_of(width)?),
            _ => {
                return plan_err!("window_buckets: expected a constant width, such as '5 minutes'");
            }
        }
        let data_type = self.return_type(&[])?;
        Ok(Arc::new(Field::new(self.name(), data_type, true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [ColumnarValue::Scalar(width), start, end] = args.args.as_slice() else {
            return exec_err!("window_buckets: expected a constant width and two instants");
        };
        let written = width;
        let width = width_of(width)?;
        let zone: Zone = match self.session_zone.parse() {
            Ok(zone) => zone,
            Err(error) => return exec_err!("window_buckets: {error}"),
        };
        // One list is for all rows where the instants are constants, as they are in all but odd queries.
        let rows = match (start, end) {
            (ColumnarValue::Scalar(_), ColumnarValue::Scalar(_)) => 1,
            _ => args.number_rows,
        };
        let (start, end) = (start.to_array(rows)?, end.to_array(rows)?);
        let starts = start.as_primitive::<TimestampMillisecondType>().iter();
        let ends = end.as_primitive::<TimestampMillisecondType>().iter();
        let mut left = MOST;
        let mut lists = Vec::with_capacity(rows);
        for (start, end) in starts.zip(ends) {
            let Some((start, end)) = start.zip(end) else {
                lists.push(None);
                continue;
            };
            let Some(list) = buckets::starts(zone, width, start, end, left) else {
                let what = format!(
                    "buckets of {written} would be more than {MOST}: expected a wider width, or a shorter window"
                );
                return Err(Error::new(Class::Sql, what).into());
            };
            left -= list.len();
            lists.push(Some(list));
        }
        let lists = list_of(lists, &self.session_zone)?;
        Ok(
            match args.args[1..]
                .iter()
                .all(|it| matches!(it, ColumnarValue::Scalar(_)))
            {
                true => ColumnarValue::Scalar(datafusion::common::ScalarValue::try_from_array(
                    &lists, 0,
                )?),
                false => ColumnarValue::Array(lists),
            },
        )
    }

    fn documentation(&self) -> Option<&Documentation> {
        documentation(self.name())
    }
}
