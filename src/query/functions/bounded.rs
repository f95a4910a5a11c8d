//! The engine's functions whose results can be far larger than their arguments, such as `repeat`: the memory pool does not
//! count what a function gives, so each result is bounded. A result that certainly fits is made at once. One that
//! may fit is made in parts of its rows, up to the bound.

mod constants;
mod growth;
mod joined;

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::compute::concat;
use arrow::datatypes::{DataType, FieldRef};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::FunctionRegistry;
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature,
};
use datafusion::prelude::SessionContext;

use crate::error::{Class, Error};
use crate::numbers::counted;
use constants::BoundedConstants;
use growth::{Growth, Sizes};
use joined::BoundedOperators;

/// The largest and the smallest bound, in bytes.
const BOUNDS: (usize, usize) = (16 << 20, 128 << 20);

/// Replaces the functions of a session by bounded ones, and bounds what operators and constants make. `memory` is that of
/// the engine.
pub fn bound_all(context: &mut SessionContext, memory: usize) -> Result<()> {
    let limit = (memory / 8).clamp(BOUNDS.0, BOUNDS.1);
    let mut functions = HashMap::new();
    for (name, growth) in Growth::ALL {
        let inner = context.udf(name)?;
        let bounded = Bounded {
            inner,
            growth,
            limit,
        };
        let bounded = Arc::new(ScalarUDF::from(bounded));
        FunctionRegistry::register_udf(context, Arc::clone(&bounded))?;
        functions.insert(name, bounded);
    }
    context.add_analyzer_rule(Arc::new(BoundedOperators::new(functions, limit)));
    context.add_optimizer_rule(Arc::new(BoundedConstants::new(limit)));
    Ok(())
}

/// `||` with a bound, for an engine with `memory` bytes: a function that no query can name.
#[cfg(feature = "cluster")]
pub fn joined(memory: usize) -> Arc<ScalarUDF> {
    let limit = (memory / 8).clamp(BOUNDS.0, BOUNDS.1);
    BoundedOperators::new(HashMap::new(), limit).into_join()
}

/// The error for a result of more than the bound.
fn too_large(what: &str, limit: usize, rows: usize) -> DataFusionError {
    let what = format!(
        "{what} would make more than {} MiB of {}: expected less, or more [run] memory, of which a function can take an eighth, up to {} MiB",
        limit >> 20,
        counted(rows as u64, "row"),
        BOUNDS.1 >> 20,
    );
    Error::new(Class::Sql, what).into()
}

/// A function of the engine with a bound.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Bounded {
    inner: Arc<ScalarUDF>,
    growth: Growth,
    /// The most bytes that the result for one batch may have.
    limit: usize,
}

impl Bounded {
    /// The results of these rows: at once where they fit, else in halves. `made` is what was made before.
    fn rows(
        &self,
        args: &ScalarFunctionArgs,
        sizes: &[Sizes],
        rows: Range<usize>,
        made: &mut usize,
        out: &mut Vec<ArrayRef>,
    ) -> Result<()> {
        let expected = rows.clone().fold(0_u64, |sum, row| {
            sum.saturating_add(self.growth.most_bytes(sizes, row))
        });
        if expected > self.limit as u64 {
            if rows.len() == 1 {
                return Err(self.too_large(rows.len()));
            }
            let middle = rows.start + rows.len() / 2;
            self.rows(args, sizes, rows.start..middle, made, out)?;
            return self.rows(args, sizes, middle..rows.end, made, out);
        }
        let result = self.inner.invoke_with_args(slice(args, &rows))?;
        let result = result.into_array(rows.len())?;
        *made += result.get_buffer_memory_size();
        if *made > self.limit {
            return Err(self.too_large(args.number_rows));
        }
        out.push(result);
        Ok(())
    }

    fn too_large(&self, rows: usize) -> DataFusionError {
        too_large(self.inner.name(), self.limit, rows)
    }
}

/// The arguments for some of the rows.
fn slice(args: &ScalarFunctionArgs, rows: &Range<usize>) -> ScalarFunctionArgs {
    let mut part = args.clone();
    part.number_rows = rows.len();
    for arg in &mut part.args {
        if let ColumnarValue::Array(array) = arg {
            *array = array.slice(rows.start, rows.len());
        }
    }
    part
}

impl ScalarUDFImpl for Bounded {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        self.inner.schema_name(args)
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(arg_types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(arg_types)
    }

    // The engine's `simplify` is left out: that of `concat` puts the engine's own function back.
    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let is_scalar = args
            .args
            .iter()
            .all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let sizes = args
            .args
            .iter()
            .map(Sizes::of)
            .collect::<Result<Vec<_>>>()?;
        if is_scalar {
            let expected = self.growth.most_bytes(&sizes, 0);
            if expected > self.limit as u64 {
                return Err(self.too_large(1));
            }
            return self.inner.invoke_with_args(args);
        }
        let expected = (0..rows).fold(0_u64, |sum, row| {
            sum.saturating_add(self.growth.most_bytes(&sizes, row))
        });
        if expected <= self.limit as u64 {
            return self.inner.invoke_with_args(args);
        }
        if !self.growth.is_rarely_reached() {
            return Err(self.too_large(rows));
        }
        let mut parts = Vec::new();
        self.rows(&args, &sizes, 0..rows, &mut 0, &mut parts)?;
        let parts: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
        Ok(ColumnarValue::Array(concat(&parts)?))
    }

    fn output_ordering(&self, inputs: &[ExprProperties]) -> Result<SortProperties> {
        self.inner.output_ordering(inputs)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::RecordBatch;
    use arrow::util::pretty::pretty_format_batches;
    use futures::TryStreamExt;

    use crate::error::{Class, Error, Result};
    use crate::query::Engine;

    /// The only value of a query over 2000 texts of 1000 bytes, with 64 MiB of memory.
    async fn ask(value: &str) -> Result<String> {
        let session = Engine::new(64 << 20, &std::env::temp_dir())?.session(chrono_tz::UTC)?;
        let sql = format!(
            "SELECT {value} AS a FROM (SELECT repeat('abcdefghi' || n % 10, 100) AS m, n \
             FROM unnest(generate_series(1, 2000)) AS s(n))"
        );
        let statement = session.statement(&sql, "SQL").await?;
        let batches = session.run(&statement).await?.batches;
        let batches: Vec<RecordBatch> = batches.try_collect().await.map_err(Error::from_engine)?;
        let table = pretty_format_batches(&batches).unwrap().to_string();
        Ok(table
            .lines()
            .nth(3)
            .unwrap()
            .trim_matches(['|', ' '])
            .to_owned())
    }

    #[tokio::test]
    async fn a_result_beyond_the_bound_is_an_error_that_names_the_function() {
        for (function, value) in [
            ("repeat", "max(length(repeat(m, 1000000)))"),
            ("repeat", "max(length(repeat('x', 1000000000)))"),
            ("lpad", "max(length(lpad(m, 100000)))"),
            ("rpad", "max(length(rpad(m, 100000, 'xy')))"),
            ("replace", "max(length(replace(m, 'a', m)))"),
            (
                "regexp_replace",
                "max(length(regexp_replace(m, '[a-z]', m, 'g')))",
            ),
            ("concat", "max(length(concat(repeat(m, 5), repeat(m, 6))))"),
            ("concat_ws", "max(length(concat_ws(repeat(m, 5), m, m, m)))"),
            ("||", "max(length(((m||m)||(m||m))||((m||m)||(m||m||m))))"),
            ("||", "max(length(repeat(m, 5) || n || repeat(m, 6)))"),
            (
                "a constant",
                "max(array_length(CASE WHEN n > 1 THEN range(1, 1000000) END))",
            ),
            (
                "a constant",
                "max(coalesce(NULLIF(m, m), repeat('x', 100000)))",
            ),
            (
                "array_concat",
                "max(array_length(array_concat(range(1, n), range(1, n))))",
            ),
            (
                "make_array",
                "max(array_length([range(1, n), range(1, n), range(1, n)]))",
            ),
            (
                "array_to_string",
                "max(length(array_to_string(range(1, 100 + n * 0), m)))",
            ),
            (
                "array_replace_all",
                "max(array_length(array_replace_all([m, m, m], m, repeat(m, 4))))",
            ),
            (
                "overlay",
                "max(length(overlay(repeat(m, 6) PLACING repeat(m, 6) FROM 2 FOR 1)))",
            ),
            (
                "to_char",
                "max(length(to_char(from_unixtime(n), repeat('YYYY ', 10000))))",
            ),
            (
                "array_repeat",
                "max(array_length(array_repeat(n, 1000000000)))",
            ),
            (
                "array_resize",
                "max(array_length(array_resize([n], 1000000000)))",
            ),
            ("range", "max(array_length(range(1, n * 1000000)))"),
            (
                "generate_series",
                "max(array_length(generate_series(n, 1000000000000)))",
            ),
        ] {
            let error = ask(value).await.expect_err(value);
            assert_eq!(error.class(), Class::Sql, "{value}");
            let said = error.to_string();
            assert!(said.contains(&format!(": {function} would make")), "{said}");
        }
    }

    #[tokio::test]
    async fn a_result_that_may_be_large_and_is_not_is_right() {
        for (value, expected) in [
            // Of any length by its arguments, so that it is made in parts.
            (
                "sum(length(regexp_replace(m, '0$', repeat(m, 5), 'g')))",
                "2999800",
            ),
            ("sum(length(replace(m, 'a', 'bb')))", "2200000"),
            (
                "sum(length(regexp_replace(m, 'zz', repeat(m, 7), 'g')))",
                "2000000",
            ),
            (
                "max(regexp_replace('2026-11', '(\\d+)-(\\d+)', '\\2/\\1'))",
                "11/2026",
            ),
            ("max(concat('a', n % 1, NULL, '-'))", "a0-"),
            ("max('a' || n % 1 || '-' || ('b' || 'c'))", "a0-bc"),
            ("count('a' || n || NULL)", "0"),
            ("count('a' || CASE WHEN n > 10 THEN 'x' END)", "1990"),
            ("max(array_length(array_repeat(1000000 + n, 3)))", "3"),
            ("max(array_length(array_append([n], 1000000000)))", "2"),
            ("max(array_to_string([n, 1], '-'))", "999-1"),
            ("max(array_length(string_to_array(m, 'a')))", "101"),
            // A large constant that is not made a column.
            ("count(*) FILTER (WHERE m <> repeat('x', 100000))", "2000"),
            ("max(length(replace(m, repeat('x', 100000), 'y')))", "1000"),
            ("max(concat_ws('-', 'a', NULL, 'b'))", "a-b"),
            ("max(lpad(n::text, 6, 'xy'))", "xyxyx9"),
            ("max(rpad('a', 3))", "a"),
            ("max(array_length(range(0, 10, 3)))", "4"),
            ("max(array_length(generate_series(1, 100000)))", "100000"),
        ] {
            let answer = ask(value).await.expect(value);
            assert_eq!(answer, expected.trim(), "{value}");
        }
    }
}
