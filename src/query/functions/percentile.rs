//! `percentile_cont` and `p50`, `p90`, `p95`, `p99`, exact. The engine's cuts the weight between two values to a millionth, so that the 95th percentile of
//! 1, 2, 4 and 10 is 9.09999 there. How values are gathered, merged and spilled stays the engine's.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, Float64Array, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type, Schema};
use datafusion::common::types::NativeType;
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::functions_aggregate::percentile_cont::PercentileCont;
use datafusion::logical_expr::function::{
    AccumulatorArgs, AggregateFunctionSimplification, StateFieldsArgs,
};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Coercion, DocSection, Documentation, EmitTo,
    GroupsAccumulator, Signature, TypeSignatureClass, Volatility,
};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Literal;

/// `percentile_cont`, and a function for each percentile that is often used.
pub fn percentiles() -> Vec<AggregateUDF> {
    let shares = [("p50", 0.5), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99)];
    let fixed = shares.map(|(name, share)| FixedPercentile::new(name, share).into());
    [AggregateUDF::from(ExactPercentile::default())]
        .into_iter()
        .chain(fixed)
        .collect()
}

/// The engine's function with another end.
#[derive(Debug, Default, PartialEq, Eq, Hash)]
struct ExactPercentile(PercentileCont);

impl AggregateUDFImpl for ExactPercentile {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn aliases(&self) -> &[String] {
        self.0.aliases()
    }

    fn signature(&self) -> &Signature {
        self.0.signature()
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        self.0.return_type(arguments)
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        self.0.state_fields(args)
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        if args.expr_fields[0].data_type().is_null() {
            return self.0.accumulator(args);
        }
        Ok(Box::new(Exact {
            end: End::of(&args)?,
            is_distinct: args.is_distinct,
            gathered: self.0.accumulator(args)?,
        }))
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs<'_>) -> bool {
        self.0.groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(
        &self,
        args: AccumulatorArgs<'_>,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(ExactGroups {
            end: End::of(&args)?,
            gathered: self.0.create_groups_accumulator(args)?,
        }))
    }

    fn simplify(&self) -> Option<AggregateFunctionSimplification> {
        self.0.simplify()
    }

    fn supports_within_group_clause(&self) -> bool {
        self.0.supports_within_group_clause()
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.0.documentation()
    }
}

/// `p95(x)`: `percentile_cont(x, 0.95)`.
#[derive(Debug)]
struct FixedPercentile {
    name: &'static str,
    share: f64,
    exact: ExactPercentile,
    signature: Signature,
    documentation: Documentation,
}

impl PartialEq for FixedPercentile {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for FixedPercentile {}

impl std::hash::Hash for FixedPercentile {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl FixedPercentile {
    fn new(name: &'static str, share: f64) -> Self {
        let value = Coercion::new_implicit(
            TypeSignatureClass::Float,
            vec![TypeSignatureClass::Numeric],
            NativeType::Float64,
        );
        let percent = (share * 100.0).round();
        let documentation = Documentation::builder(
            DocSection {
                include: true,
                label: "General Functions",
                description: None,
            },
            format!(
                "The value that {percent} % of the values lie below, exactly, between the two nearest in proportion: percentile_cont(x, {share})."
            ),
            format!("{name}(x)"),
        )
        .with_sql_example(format!(
            "SELECT {name}(n) FROM unnest(generate_series(0, 100)) AS t(n)\n-- {percent}.0"
        ));
        Self {
            name,
            share,
            exact: ExactPercentile::default(),
            signature: Signature::coercible(vec![value], Volatility::Immutable),
            documentation: documentation.build(),
        }
    }

    /// Calls `work` with the arguments of `percentile_cont`.
    fn with_share<T>(
        &self,
        args: AccumulatorArgs<'_>,
        work: impl FnOnce(AccumulatorArgs<'_>) -> Result<T>,
    ) -> Result<T> {
        let share: Arc<dyn PhysicalExpr> = Arc::new(Literal::new(self.share.into()));
        let field: FieldRef = Arc::new(Field::new("share", DataType::Float64, false));
        let exprs = [Arc::clone(&args.exprs[0]), share];
        let expr_fields = [Arc::clone(&args.expr_fields[0]), field];
        work(AccumulatorArgs {
            exprs: &exprs,
            expr_fields: &expr_fields,
            ..args
        })
    }
}

impl AggregateUDFImpl for FixedPercentile {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        self.exact.return_type(arguments)
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        self.exact.state_fields(args)
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        self.with_share(args, |args| self.exact.accumulator(args))
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs<'_>) -> bool {
        self.exact.groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(
        &self,
        args: AccumulatorArgs<'_>,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        self.with_share(args, |args| self.exact.create_groups_accumulator(args))
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&self.documentation)
    }
}

/// How the percentile is made of the values.
#[derive(Debug)]
struct End {
    percentile: f64,
    data_type: DataType,
}

impl End {
    fn of(args: &AccumulatorArgs<'_>) -> Result<Self> {
        let no_rows = RecordBatch::new_empty(Arc::new(Schema::empty()));
        let value = args.exprs[1].evaluate(&no_rows)?;
        let value = ScalarValue::try_from_array(&value.into_array(1)?, 0)?;
        let ScalarValue::Float64(Some(percentile)) = value.cast_to(&DataType::Float64)? else {
            return exec_err!("the percentile is NULL: expected a number from 0 to 1");
        };
        let order = args.order_bys.first();
        let descends = order.is_some_and(|order| order.options.descending);
        Ok(Self {
            percentile: if descends {
                1.0 - percentile
            } else {
                percentile
            },
            data_type: args.expr_fields[0].data_type().clone(),
        })
    }

    /// The percentile of each list of values; NULL of an empty one.
    fn of_lists(&self, lists: &ArrayRef) -> Result<ArrayRef> {
        let lists = lists.as_list::<i32>();
        let percentiles = lists.iter().map(|values| {
            let values = values
                .map(|values| cast(&values, &DataType::Float64))
                .transpose()?;
            Ok(values.and_then(|values| {
                let values = values.as_primitive::<Float64Type>();
                let mut values: Vec<f64> = values.iter().flatten().collect();
                percentile(&mut values, self.percentile)
            }))
        });
        let percentiles: Float64Array = percentiles.collect::<Result<_>>()?;
        Ok(cast(&percentiles, &self.data_type)?)
    }
}

/// The value that this share of the values lies below, between the two nearest ones in proportion.
fn percentile(values: &mut [f64], share: f64) -> Option<f64> {
    let last = values.len().checked_sub(1)?;
    let place = share * last as f64;
    let below = (place.floor() as usize).min(last);
    let (_, &mut low, above) = values.select_nth_unstable_by(below, f64::total_cmp);
    let weight = place - below as f64;
    let high = above.iter().copied().min_by(f64::total_cmp);
    Some(match high.filter(|_| weight > 0.0) {
        None => low,
        // Not a difference times the weight alone, which is NaN between infinities and too large between large values.
        Some(high) if low == high => low,
        Some(high) if (high - low).is_finite() => low + (high - low) * weight,
        Some(high) => low * (1.0 - weight) + high * weight,
    })
}

#[derive(Debug)]
struct Exact {
    end: End,
    is_distinct: bool,
    gathered: Box<dyn Accumulator>,
}

impl Accumulator for Exact {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.gathered.update_batch(values)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let state = self.gathered.state()?;
        let lists = state[0].to_array()?;
        // Taking the state of all values empties it, and a window function goes on with it.
        if !self.is_distinct {
            self.gathered.merge_batch(&[Arc::clone(&lists)])?;
        }
        ScalarValue::try_from_array(&self.end.of_lists(&lists)?, 0)
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.gathered.size()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.gathered.state()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.gathered.merge_batch(states)
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.gathered.retract_batch(values)
    }

    fn supports_retract_batch(&self) -> bool {
        self.gathered.supports_retract_batch()
    }
}

struct ExactGroups {
    end: End,
    gathered: Box<dyn GroupsAccumulator>,
}

impl GroupsAccumulator for ExactGroups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        count: usize,
    ) -> Result<()> {
        self.gathered.update_batch(values, groups, filter, count)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let state = self.gathered.state(emit_to)?;
        self.end.of_lists(&state[0])
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        self.gathered.state(emit_to)
    }

    fn merge_batch(&mut self, values: &[ArrayRef], groups: &[usize], count: usize) -> Result<()> {
        self.gathered.merge_batch(values, groups, count)
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        self.gathered.convert_to_state(values, filter)
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.gathered.size()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::Engine;
    use futures::TryStreamExt;

    #[test]
    fn percentiles_lie_between_values_in_proportion() {
        for (values, share, expected) in [
            (&[10.0, 1.0, 4.0, 2.0][..], 0.95, 9.1),
            (&[10.0, 1.0, 4.0, 2.0], 0.5, 3.0),
            (&[3.0, 1.0, 2.0], 0.5, 2.0),
            (&[7.0], 0.3, 7.0),
            (&[1.0, 2.0], 1.0, 2.0),
            (&[0.0, 1.0], 1e-9, 1e-9),
            (&[-f64::MAX, f64::MAX], 0.5, 0.0),
            (&[f64::INFINITY, f64::INFINITY, 1.0], 0.75, f64::INFINITY),
        ] {
            let found = percentile(&mut values.to_vec(), share).unwrap();
            let near = found == expected || (found - expected).abs() <= 1e-14 * expected.abs();
            assert!(near, "{values:?} {share}: {found}");
        }
        assert_eq!(percentile(&mut [], 0.5), None);
    }

    #[tokio::test]
    async fn percentile_cont_is_exact_in_every_form() {
        let scratch = tempfile::tempdir().unwrap();
        let engine = Engine::new(1 << 26, scratch.path()).unwrap();
        let session = engine.session(chrono_tz::UTC).unwrap();
        let t = "(VALUES (1, 1), (1, 2), (1, 4), (1, 10), (2, 5), (3, NULL)) AS t(k, n)";
        for (sql, expected) in [
            (
                "SELECT percentile_cont(n, 0.95) FROM t WHERE k = 1",
                &[Some(9.1)][..],
            ),
            (
                "SELECT percentile_cont(0.95) WITHIN GROUP (ORDER BY n) FROM t WHERE k = 1",
                &[Some(9.1)],
            ),
            (
                "SELECT percentile_cont(0.05) WITHIN GROUP (ORDER BY n DESC) FROM t WHERE k = 1",
                &[Some(9.1)],
            ),
            (
                "SELECT percentile_cont(DISTINCT n, 0.95) FROM t WHERE k = 1",
                &[Some(9.1)],
            ),
            (
                "SELECT percentile_cont(n, 0.95) FROM t GROUP BY k ORDER BY k",
                &[Some(9.1), Some(5.0), None],
            ),
            (
                "SELECT quantile_cont(n, 0.95) FROM t WHERE k = 1",
                &[Some(9.1)],
            ),
            (
                "SELECT percentile_cont(n, 0.5) OVER (ORDER BY n) FROM t WHERE k = 1 ORDER BY n",
                &[Some(1.0), Some(1.5), Some(2.0), Some(3.0)],
            ),
            (
                "SELECT percentile_cont(n, 0.5) OVER (ORDER BY n ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM t WHERE k = 1 ORDER BY n",
                &[Some(1.0), Some(1.5), Some(3.0), Some(7.0)],
            ),
            ("SELECT p95(n) FROM t WHERE k = 1", &[Some(9.1)]),
            ("SELECT p50(DISTINCT n) FROM t WHERE k = 1", &[Some(3.0)]),
            (
                "SELECT p50(n) FROM t GROUP BY k ORDER BY k",
                &[Some(3.0), Some(5.0), None],
            ),
            (
                "SELECT p90(n::double precision) FILTER (WHERE n < 5) FROM t WHERE k = 1",
                &[Some(3.6)],
            ),
            (
                "SELECT p50(n) OVER (ORDER BY n) FROM t WHERE k = 1 ORDER BY n",
                &[Some(1.0), Some(1.5), Some(2.0), Some(3.0)],
            ),
            ("SELECT p99(n) FROM t WHERE k = 3", &[None]),
            (
                "SELECT percentile_cont(n, 0) FROM t WHERE k = 1",
                &[Some(1.0)],
            ),
        ] {
            let sql = format!("WITH t AS (SELECT * FROM {t}) {sql}");
            let statement = session.statement(&sql, "SQL").await.unwrap();
            let batches = session.run(&statement).await.unwrap().batches;
            let batches: Vec<_> = batches.try_collect().await.unwrap();
            let values = batches.iter().flat_map(|batch| {
                let column = cast(batch.column(0), &DataType::Float64).unwrap();
                column
                    .as_primitive::<Float64Type>()
                    .iter()
                    .collect::<Vec<_>>()
            });
            let found: Vec<Option<f64>> = values.collect();
            assert_eq!(found.len(), expected.len(), "{sql}");
            for (found, expected) in found.iter().zip(expected) {
                let distance = found.unwrap_or(-1.0) - expected.unwrap_or(-1.0);
                assert!(distance.abs() < 1e-12, "{sql}: {found:?}");
            }
        }
    }
}
