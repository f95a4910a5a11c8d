//! `generate_series` of instants: the engine's steps in UTC, and takes no parameter such as `$window_start`.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListBuilder, TimestampMillisecondBuilder};
use arrow::datatypes::{
    DataType, Field, IntervalMonthDayNanoType, IntervalUnit, TimestampMillisecondType,
};
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::error::DataFusionError;
use datafusion::execution::FunctionRegistry;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility,
};

use super::interval::Step;
use super::window_buckets::MOST;
use super::{instants_in, out_of_range, with_clock};
use crate::error::{Class, Error};
use crate::window::local_clock::LocalClock;
use crate::window::zone::Zone;

/// Lists of instants in milliseconds on the clock of a zone.
pub(super) fn list_of(lists: Vec<Option<Vec<i64>>>, zone: &Arc<str>) -> Result<ArrayRef> {
    let values = TimestampMillisecondBuilder::new().with_data_type(instants_in(zone));
    let field = Field::new_list_field(instants_in(zone), true);
    let mut builder = ListBuilder::new(values).with_field(field);
    for list in lists {
        match list {
            Some(list) => {
                builder.values().append_slice(&list);
                builder.append(true);
            }
            None => builder.append(false),
        }
    }
    Ok(Arc::new(builder.finish()))
}

/// Replaces the engine's function by one that has a series of instants in the zone of the session.
pub fn register_series(functions: &mut dyn FunctionRegistry, zone: &Arc<str>) -> Result<()> {
    let engines = functions.udf("generate_series")?;
    let series = Series {
        engines,
        session_zone: Arc::clone(zone),
        signature: Signature::user_defined(Volatility::Immutable),
    };
    functions.register_udf(Arc::new(series.into())).map(drop)
}

/// The engine's function, but for instants.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Series {
    engines: Arc<ScalarUDF>,
    session_zone: Arc<str>,
    signature: Signature,
}

/// Whether the arguments are those of a series of instants. A parameter has no type yet, and one minus an interval looks like
/// an interval.
fn is_of_instants(types: &[DataType]) -> bool {
    let is_instant = |of: &DataType| matches!(of, DataType::Timestamp(_, Some(_)));
    let is_open = |of: &DataType| matches!(of, DataType::Null | DataType::Interval(_));
    match types {
        [start, stop, DataType::Interval(_)] => {
            is_instant(start) || is_instant(stop) || is_open(start) && is_open(stop)
        }
        _ => false,
    }
}

impl Series {
    fn series(
        &self,
        start: Option<i64>,
        stop: Option<i64>,
        step: Option<Step>,
        left: &mut usize,
        clock: &mut LocalClock,
    ) -> Result<Option<Vec<i64>>> {
        let (Some(start), Some(stop), Some(step)) = (start, stop, step) else {
            return Ok(None);
        };
        let wrong = |what: &str| -> DataFusionError {
            Error::new(Class::Sql, format!("generate_series: {what}")).into()
        };
        let direction = step.from(start, clock).map_err(out_of_range)?.cmp(&start);
        if direction.is_eq() {
            return Err(wrong(
                "the step must not be 0: expected one such as interval '5 minutes'",
            ));
        }
        let mut series = Vec::new();
        let mut at = start;
        while at == stop || stop.cmp(&at) == direction {
            if series.len() == *left {
                return Err(wrong(&format!(
                    "the series would have more than {MOST} values: expected a longer step"
                )));
            }
            series.push(at);
            let next = step.from(at, clock).map_err(out_of_range)?;
            // Where a change of the clocks takes a step back.
            if next.cmp(&at) != direction {
                break;
            }
            at = next;
        }
        *left -= series.len();
        Ok(Some(series))
    }
}

impl ScalarUDFImpl for Series {
    fn name(&self) -> &str {
        self.engines.name()
    }

    fn aliases(&self) -> &[String] {
        self.engines.aliases()
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        self.engines.schema_name(args)
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        if is_of_instants(types) {
            let instants = instants_in(&self.session_zone);
            let interval = DataType::Interval(IntervalUnit::MonthDayNano);
            let instant = |of: &DataType| match of {
                // It is an instant when the parameter has its value.
                DataType::Interval(_) => of.clone(),
                _ => instants.clone(),
            };
            return Ok(vec![instant(&types[0]), instant(&types[1]), interval]);
        }
        coerced(&self.engines, types)
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match is_of_instants(types) {
            true => {
                let field = Field::new_list_field(instants_in(&self.session_zone), true);
                Ok(DataType::List(Arc::new(field)))
            }
            false => self.engines.return_type(types),
        }
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<arrow::datatypes::FieldRef> {
        let types: Vec<DataType> = args
            .arg_fields
            .iter()
            .map(|it| it.data_type().clone())
            .collect();
        match is_of_instants(&types) {
            true => Ok(Arc::new(Field::new(
                self.name(),
                self.return_type(&types)?,
                true,
            ))),
            false => self.engines.return_field_from_args(args),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let types: Vec<DataType> = args.args.iter().map(ColumnarValue::data_type).collect();
        if !is_of_instants(&types) {
            return self.engines.invoke_with_args(args);
        }
        let is_scalar = args
            .args
            .iter()
            .all(|it| matches!(it, ColumnarValue::Scalar(_)));
        let rows = if is_scalar { 1 } else { args.number_rows };
        let arrays = args.args.iter().map(|it| it.to_array(rows));
        let arrays = arrays.collect::<Result<Vec<ArrayRef>>>()?;
        let [starts, stops, steps] = arrays.as_slice() else {
            return exec_err!("generate_series: expected two instants and an interval");
        };
        if [starts, stops]
            .iter()
            .any(|it| !matches!(it.data_type(), DataType::Timestamp(..)))
        {
            return exec_err!("generate_series: expected two instants and an interval");
        }
        let starts = starts.as_primitive::<TimestampMillisecondType>().iter();
        let stops = stops.as_primitive::<TimestampMillisecondType>().iter();
        let steps = steps.as_primitive::<IntervalMonthDayNanoType>().iter();
        let zone: Zone = match self.session_zone.parse() {
            Ok(zone) => zone,
            Err(error) => return exec_err!("generate_series: {error}"),
        };
        let mut left = MOST;
        let lists = with_clock(zone, |clock| {
            let each = starts.zip(stops).zip(steps);
            each.map(|((start, stop), step)| {
                let step = step.map(|step| Step::of(step, false));
                self.series(start, stop, step, &mut left, clock)
            })
            .collect::<Result<Vec<_>>>()
        })?;
        let lists = list_of(lists, &self.session_zone)?;
        Ok(match is_scalar {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&lists, 0)?),
            false => ColumnarValue::Array(lists),
        })
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.engines.documentation()
    }
}

/// The types that the engine's function takes, whose signature may be of any kind.
fn coerced(engines: &ScalarUDF, types: &[DataType]) -> Result<Vec<DataType>> {
    use datafusion::logical_expr::type_coercion::functions::fields_with_udf;
    let fields: Vec<_> = types
        .iter()
        .map(|of| Arc::new(Field::new("argument", of.clone(), true)))
        .collect();
    let Ok(fields) = fields_with_udf(&fields, engines) else {
        let names = types.iter().map(crate::query::type_name);
        return plan_err!(
            "{} of {}: expected two numbers, or two times and an interval such as interval '1 hour'",
            engines.name(),
            names.collect::<Vec<_>>().join(", ")
        );
    };
    Ok(fields
        .iter()
        .map(|field| field.data_type().clone())
        .collect())
}
