//! Patterns of messages as columns that a scan reads, in place of a function over its messages: kept columns of objects have
//! them, so that a later query need not find them again, and reads no messages.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::expressions::{BinaryExpr, CaseExpr, Column};
use datafusion::physical_expr::projection::{ProjectionExpr, ProjectionExprs};
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};

use super::source::MESSAGE;

/// The functions, as SQL has them, and the columns that a scan reads in their place.
pub const FUNCTIONS: [(&str, &str); 2] = [("pattern", PATTERN), ("pattern_id", PATTERN_ID)];

/// The column of the patterns of messages.
pub(super) const PATTERN: &str = "pattern(message)";

/// The column of the ids of these patterns.
pub(super) const PATTERN_ID: &str = "pattern_id(message)";

/// The columns that a scan can read: those of its table, and what the functions make of its messages.
pub(super) fn columns_read(table: &Schema) -> SchemaRef {
    let made = FUNCTIONS.map(|(_, name)| Arc::new(Field::new(name, DataType::Utf8View, true)));
    let fields = table.fields().iter().cloned().chain(made);
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// A projection over a table as one over the [`columns_read`], which has columns in place of the functions. What is computed for
/// some events only stays as it is: the column would be computed for all.
pub(super) fn over_columns_read(
    projection: &ProjectionExprs,
    table: &Schema,
) -> Result<ProjectionExprs> {
    let read = projection.iter().map(|projected| {
        let expr = Arc::clone(&projected.expr);
        let expr = expr.transform_down(|part| {
            Ok(match column_for(&part, table) {
                Some(column) => {
                    Transformed::new(Arc::new(column) as _, true, TreeNodeRecursion::Jump)
                }
                None if is_for_some_rows(&part) => {
                    Transformed::new(part, false, TreeNodeRecursion::Jump)
                }
                None => Transformed::no(part),
            })
        });
        Ok(ProjectionExpr {
            expr: expr.data()?,
            alias: projected.alias.clone(),
        })
    });
    read.collect()
}

/// Whether parts of an expression are evaluated for some rows only.
fn is_for_some_rows(expr: &Arc<dyn PhysicalExpr>) -> bool {
    if let Some(operation) = expr.downcast_ref::<BinaryExpr>() {
        return matches!(operation.op(), Operator::And | Operator::Or);
    }
    let call = expr.downcast_ref::<ScalarFunctionExpr>();
    expr.is::<CaseExpr>() || call.is_some_and(|call| call.fun().short_circuits())
}

/// The column that is read in place of a function of the table's messages.
fn column_for(expr: &Arc<dyn PhysicalExpr>, table: &Schema) -> Option<Column> {
    let call = expr.downcast_ref::<ScalarFunctionExpr>()?;
    let [message] = call.args() else {
        return None;
    };
    let place = FUNCTIONS
        .iter()
        .position(|(function, _)| *function == call.name())?;
    let message = message.downcast_ref::<Column>()?;
    let column = || Column::new(FUNCTIONS[place].1, table.fields().len() + place);
    (message.index() == MESSAGE).then(column)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::path::Path as FilePath;

    use arrow::array::{ArrayRef, AsArray, RecordBatch};
    use datafusion::common::ScalarValue;
    use datafusion::logical_expr::{ColumnarValue, Volatility, create_udf};
    use datafusion::prelude::{SessionConfig, SessionContext};
    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;
    use crate::aws::{Account, Aws};
    use crate::job::{AwsSettings, Location};
    use crate::pattern::PatternWriter;
    use crate::scan::LogsTable;
    use crate::scan::budget::Budget;
    use crate::scan::columns::cache::Cache;
    use crate::scan::columns::{Columns, Keep, KeptObjects, Reads};
    use crate::store::{Store, Stores};
    use crate::window::Range;

    const MESSAGES: [&str; 4] = [
        "took 12ms",
        "took 7ms",
        "kim@example.com",
        "call 010-1234-5678",
    ];

    const BOTH: Reads = Reads {
        messages: true,
        patterns: true,
    };

    fn pattern(message: &str) -> String {
        let mut pattern = Vec::new();
        PatternWriter::default().write(message, &mut pattern);
        String::from_utf8(pattern).unwrap()
    }

    /// A folder with an object.
    async fn open(folder: &FilePath) -> Store {
        let stream = folder.join("exports/task/stream");
        std::fs::create_dir_all(&stream).unwrap();
        let file = std::fs::File::create(stream.join("000000.gz")).unwrap();
        let mut gzip = GzEncoder::new(file, Compression::fast());
        for (second, message) in MESSAGES.iter().enumerate() {
            writeln!(gzip, "2026-11-21T00:00:0{second}.000Z {message}").unwrap();
        }
        gzip.finish().unwrap();
        let stores = Stores::new(Arc::new(Aws::new(AwsSettings::default()))).unwrap();
        let root = Location::Local(folder.to_owned());
        stores.open(&root, Account::LOGS).await.unwrap()
    }

    /// The answer of a query with functions of these names that no scan should call.
    async fn ask(store: &Store, columns: &Arc<Columns>, masks: bool, sql: &str) -> Vec<String> {
        // With more partitions than objects, the engine computes functions behind the scan.
        let config = SessionConfig::new().with_target_partitions(1);
        let context = SessionContext::new_with_config(config);
        for (function, _) in FUNCTIONS {
            let text = DataType::Utf8View;
            let called = |_: &[ColumnarValue]| {
                Ok(ColumnarValue::Scalar(ScalarValue::Utf8View(Some(
                    "called".to_owned(),
                ))))
            };
            let function = create_udf(
                function,
                vec![text.clone()],
                text,
                Volatility::Immutable,
                Arc::new(called),
            );
            context.register_udf(function);
        }
        let logs = table(store, &context).await.masking(masks);
        let logs = logs.keeping(Arc::clone(columns), Keep::AsRead);
        context.register_table("logs", Arc::new(logs)).unwrap();
        context.register_object_store(store.url().as_ref(), Arc::clone(store.objects()));
        let batches = context.sql(sql).await.unwrap().collect().await.unwrap();
        let texts = |column: &ArrayRef| -> Vec<String> {
            let texts = column.as_string_view().iter();
            texts.map(|text| text.unwrap().to_owned()).collect()
        };
        let columns = batches.iter().map(RecordBatch::columns);
        columns.flatten().flat_map(texts).collect()
    }

    async fn table(store: &Store, context: &SessionContext) -> LogsTable {
        let prefix = crate::layout::join(store.root(), "exports");
        let objects = store.list_logs(&prefix, None).await.unwrap();
        let pool = Arc::clone(&context.runtime_env().memory_pool);
        LogsTable::new(store, objects, Range::ALL, &pool)
    }

    /// What is kept of the table's object.
    fn kept(store: &Store, table: &LogsTable, columns: &Arc<Columns>) -> KeptObjects {
        let root = object_store::path::Path::default();
        let place = store.location().display_key(&root);
        KeptObjects::new(
            columns,
            Keep::AsRead,
            (table.objects(), &place, false),
            true,
        )
    }

    fn cached(folder: &FilePath) -> Arc<Columns> {
        Columns::cached(Cache::open(&folder.join("cache"), Some(64 << 20)).unwrap())
    }

    #[tokio::test]
    async fn a_scan_has_patterns_as_columns() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path()).await;
        let sql = "SELECT pattern(message), pattern_id(message), message FROM logs WHERE timestamp < '2026-11-21T00:00:02Z'";
        // Read, and then kept.
        for _ in 0..2 {
            let found = ask(&store, &cached(folder.path()), false, sql).await;
            let expected = [
                ["took <duration>"; 2],
                ["acf578065248"; 2],
                ["took 12ms", "took 7ms"],
            ];
            assert_eq!(found, expected.concat());
        }
    }

    #[tokio::test]
    async fn masked_messages_have_patterns_of_what_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path()).await;
        let sql = "SELECT pattern(message) FROM logs WHERE timestamp >= '2026-11-21T00:00:03Z'";
        let (masked, plain) = (pattern("call <phone>"), pattern(MESSAGES[3]));
        assert_ne!(masked, plain);
        for _ in 0..2 {
            for (masks, expected) in [(true, &masked), (false, &plain)] {
                let found = ask(&store, &cached(folder.path()), masks, sql).await;
                assert_eq!(found, [expected.as_str()]);
            }
        }
    }

    #[tokio::test]
    async fn what_is_computed_for_some_events_is_left_to_the_function() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path()).await;
        let sql = "SELECT CASE WHEN message LIKE '%7%' THEN pattern(message) ELSE pattern_id('x') END FROM logs";
        let found = ask(&store, &cached(folder.path()), false, sql).await;
        assert_eq!(found, ["called"; 4]);
    }

    /// Patterns that are none show where they were read.
    #[tokio::test]
    async fn kept_patterns_are_read_and_not_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path()).await;
        let context = SessionContext::new();
        let table = table(&store, &context).await;
        let columns = cached(folder.path());
        let kept = kept(&store, &table, &columns);
        let claim = Budget::claim(&Budget::new(&context.runtime_env().memory_pool), 1);
        let keeper = kept.keeper(0, &table.objects()[0], BOTH, &claim);
        let mut keeper = keeper.unwrap();
        for (time, pattern) in (0..).zip(["first", "second", "first"]) {
            assert!(keeper.push(time, "a message", Some(pattern.as_bytes()), false));
        }
        keeper.complete(0, 0);
        drop((kept, columns));
        let columns = cached(folder.path());
        for (sql, expected) in [
            (
                "SELECT pattern(message) FROM logs",
                &["first", "second", "first"][..],
            ),
            (
                "SELECT message, pattern(message) FROM logs LIMIT 1",
                &["a message", "first"],
            ),
        ] {
            assert_eq!(ask(&store, &columns, false, sql).await, expected);
        }
    }

    /// A query that reads messages leaves no patterns, and the first that reads patterns does.
    #[tokio::test]
    async fn messages_that_are_kept_get_their_patterns_later() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path()).await;
        let context = SessionContext::new();
        let table = table(&store, &context).await;
        let budget = Budget::new(&context.runtime_env().memory_pool);
        let has_patterns = || {
            let columns = cached(folder.path());
            let kept = kept(&store, &table, &columns);
            let claim = Budget::claim(&budget, 1);
            // What is kept is not kept again.
            let keeper = kept.keeper(0, &table.objects()[0], BOTH, &claim);
            keeper.is_none()
        };
        for (sql, has) in [
            ("SELECT message FROM logs", false),
            (
                "SELECT pattern(message) FROM logs WHERE timestamp >= '2026-11-21T00:00:02Z'",
                true,
            ),
            ("SELECT message FROM logs", true),
        ] {
            ask(&store, &cached(folder.path()), false, sql).await;
            assert_eq!(has_patterns(), has, "{sql}");
        }
        let sql = "SELECT pattern(message), message FROM logs";
        let found = ask(&store, &cached(folder.path()), false, sql).await;
        assert_eq!(found[..4], MESSAGES.map(pattern));
        assert_eq!(found[4..], MESSAGES);
    }
}
