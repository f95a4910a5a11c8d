//! The view `hours` of a session with a window.

use std::sync::Arc;

use arrow::datatypes::TimeUnit;
use chrono::FixedOffset;
use chrono_tz::Tz;
use datafusion::catalog::TableProvider;
use datafusion::common::{Result, ScalarValue};
use datafusion::datasource::ViewTable;
use datafusion::logical_expr::{ExprSchemable, LogicalPlanBuilder};
use datafusion::prelude::{Expr, ident, lit};

use crate::window::Range;
use crate::window::buckets;

/// `hours(hour_utc, hour_local, utc_offset, hour_of_day)`: every local hour of the interval, in order. `hour_utc` comes
/// from the same kernel as `time_bucket('1 hour', …)`, so the two are equal in a join.
///
/// A view over literal rows, which can be sent to a cluster; a table in memory can't.
pub fn hours(zone: Tz, range: Range) -> Result<Arc<dyn TableProvider>> {
    let name: Arc<str> = zone.name().into();
    let instant = |ms| ScalarValue::TimestampMillisecond(ms, Some(Arc::clone(&name)));
    let row = |start_ms: Option<i64>, local_ms, offset: Option<i32>, hour_of_day| -> Vec<Expr> {
        let offset = offset
            .and_then(FixedOffset::east_opt)
            .map(|offset| offset.to_string());
        vec![
            lit(instant(start_ms)),
            lit(ScalarValue::TimestampMillisecond(local_ms, None)),
            lit(ScalarValue::Utf8(offset)),
            lit(ScalarValue::Int32(hour_of_day)),
        ]
    };
    let hours = buckets::hours(zone, range.start_ms, range.end_ms);
    let is_empty = hours.is_empty();
    let mut rows: Vec<Vec<Expr>> = hours
        .into_iter()
        .map(|hour| {
            row(
                Some(hour.start_ms),
                Some(hour.local_ms),
                Some(hour.utc_offset_seconds),
                Some(hour.hour_of_day),
            )
        })
        .collect();
    if is_empty {
        // VALUES needs a row. The filter below removes it.
        rows.push(row(None, None, None, None));
    }
    let values = LogicalPlanBuilder::values(rows)?.build()?;
    let schema = Arc::clone(values.schema());
    let milliseconds = arrow::datatypes::DataType::Timestamp(TimeUnit::Millisecond, None);
    let plan = LogicalPlanBuilder::from(values)
        .filter(ident("column1").is_not_null())?
        .project([
            ident("column1").alias("hour_utc"),
            ident("column2")
                .cast_to(&milliseconds, &schema)?
                .alias("hour_local"),
            ident("column3").alias("utc_offset"),
            ident("column4").alias("hour_of_day"),
        ])?
        .build()?;
    Ok(Arc::new(ViewTable::new(plan, None)))
}
