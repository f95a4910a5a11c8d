//! A function rewrite: `count(DISTINCT …)` of lists and structs counts their bytes. The engine would keep each value as a
//! part of the batch that it comes from, and count the memory of the whole batch for each.

use std::sync::{Arc, LazyLock};

use arrow::array::{Array, BinaryArray};
use arrow::datatypes::DataType;
use arrow::row::{RowConverter, SortField};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

/// Rewrites counts of distinct nested values, wherever they stand.
#[derive(Debug)]
pub struct DistinctBytes;

impl FunctionRewrite for DistinctBytes {
    fn name(&self) -> &str {
        "distinct_bytes"
    }

    fn rewrite(
        &self,
        expr: Expr,
        schema: &DFSchema,
        _: &ConfigOptions,
    ) -> Result<Transformed<Expr>> {
        let Expr::AggregateFunction(mut aggregate) = expr else {
            return Ok(Transformed::no(expr));
        };
        let is_count = aggregate.params.distinct && aggregate.func.name() == "count";
        if let [value] = &mut aggregate.params.args[..]
            && is_count
            && has_bytes(&value.get_type(schema)?)
        {
            *value = ROW_BYTES.call(vec![value.clone()]);
            return Ok(Transformed::yes(Expr::AggregateFunction(aggregate)));
        }
        Ok(Transformed::no(Expr::AggregateFunction(aggregate)))
    }
}

/// Whether a type is nested, and its values have a form as bytes.
fn has_bytes(kind: &DataType) -> bool {
    kind.is_nested() && RowConverter::supports_fields(&[SortField::new(kind.clone())])
}

/// The function that counts take in place of nested values, which no query can name.
#[cfg(feature = "cluster")]
pub(super) fn row_bytes() -> Arc<ScalarUDF> {
    Arc::clone(&ROW_BYTES)
}

static ROW_BYTES: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
    let signature = Signature::any(1, Volatility::Immutable);
    Arc::new(ScalarUDF::from(RowBytes { signature }))
});

/// A value as bytes: those of equal values are equal.
#[derive(Debug, PartialEq, Eq, Hash)]
struct RowBytes {
    signature: Signature,
}

impl ScalarUDFImpl for RowBytes {
    fn name(&self) -> &str {
        "row_bytes"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Binary)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let values = ColumnarValue::values_to_arrays(&args.args)?;
        let field = SortField::new(values[0].data_type().clone());
        let rows = RowConverter::new(vec![field])?.convert_columns(&values)?;
        let is_there = (0..rows.num_rows()).map(|row| values[0].is_valid(row));
        let bytes = rows.iter().zip(is_there);
        let bytes = BinaryArray::from_iter(
            bytes.map(|(row, is_there)| is_there.then(|| row.data().to_vec())),
        );
        Ok(ColumnarValue::Array(Arc::new(bytes)))
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::AsArray;
    use arrow::datatypes::Int64Type;
    use futures::TryStreamExt;

    use crate::query::Engine;

    /// 8000 different texts of 1000 bytes, each twice, in lists, with little memory: were the batch of each value counted,
    /// no memory would do.
    #[tokio::test]
    async fn distinct_lists_take_the_memory_of_their_values() {
        let engine = Engine::new(128 << 20, &std::env::temp_dir()).unwrap();
        let session = engine.session(chrono_tz::UTC).unwrap();
        let sql = "SELECT count(*) AS a, count(DISTINCT [m]) AS b, count(DISTINCT struct(k, [k])) AS c, \
                   count(DISTINCT CASE WHEN k > 0 THEN [k] END) AS d \
                   FROM (SELECT lpad((n % 8000)::text, 1000, 'x') AS m, n % 3 AS k \
                   FROM unnest(generate_series(1, 16000)) AS s(n))";
        let statement = session.statement(sql, "SQL").await.unwrap();
        let batches = session.run(&statement).await.unwrap().batches;
        let batches: Vec<_> = batches.try_collect().await.unwrap();
        let counts = batches[0].columns().iter();
        let counts: Vec<i64> = counts
            .map(|count| count.as_primitive::<Int64Type>().value(0))
            .collect();
        assert_eq!(counts, [16_000, 8000, 3, 2]);
    }
}
