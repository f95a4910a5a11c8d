//! Queries that clients ask of the catalogue, as they write them.

use arrow::array::RecordBatch;
use arrow::util::pretty::pretty_format_batches;
use futures::TryStreamExt;

use super::*;
use crate::query::Engine;

async fn session() -> Session {
    let engine = Engine::new(64 << 20, &std::env::temp_dir()).unwrap();
    let session = engine.session(chrono_tz::Asia::Seoul).unwrap();
    session
        .expect_table(
            "answers",
            Arc::new(arrow::datatypes::Schema::new(vec![
                arrow::datatypes::Field::new(
                    "hour",
                    arrow::datatypes::DataType::Timestamp(
                        arrow::datatypes::TimeUnit::Millisecond,
                        Some("Asia/Seoul".into()),
                    ),
                    false,
                ),
                arrow::datatypes::Field::new("events", arrow::datatypes::DataType::Int64, true),
            ])),
        )
        .unwrap();
    let facts = Facts {
        tables: session.all_tables().await,
        functions: session.functions(),
        cursors: Vec::new(),
        settings: vec![("search_path", "public".to_owned())],
        database: "logtally".to_owned(),
        user: "anna".to_owned(),
        number: 7,
        is_encrypted: false,
    };
    super::session(&session, &facts).unwrap()
}

async fn answer(session: &Session, sql: &str) -> Result<Vec<RecordBatch>> {
    let statement = session.statement(sql, "SQL").await?;
    let batches = session.run(&statement).await?.batches;
    batches.try_collect().await.map_err(Error::from_engine)
}

#[tokio::test]
async fn tables_and_columns_are_listed() {
    let session = session().await;
    for (sql, expected) in [
        (
            "SELECT relname, relkind FROM pg_class WHERE relnamespace = 2200",
            "| answers | r       |",
        ),
        (
            "SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), (SELECT pg_catalog.pg_get_expr(d.adbin, d.adrelid) FROM pg_catalog.pg_attrdef d WHERE d.adrelid = a.attrelid) FROM pg_catalog.pg_attribute a WHERE a.attrelid = 'answers'::regclass AND a.attnum > 0",
            "| hour    | timestamp with time zone",
        ),
        (
            "SELECT c.oid::regclass::text AS t FROM pg_class c WHERE c.relname OPERATOR(pg_catalog.~) '^(answers)$' COLLATE pg_catalog.default",
            "| answers |",
        ),
        (
            "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 'answers' ORDER BY ordinal_position",
            "| events      | bigint",
        ),
        (
            "SELECT current_database(), current_schema(), current_user",
            "| logtally",
        ),
        (
            "SELECT (SELECT t.typname FROM pg_type t WHERE t.oid = a.atttypid) AS typ FROM pg_attribute a WHERE a.attname = 'events'",
            "| int8 |",
        ),
        (
            "SELECT nspname FROM pg_namespace WHERE nspname = ANY(current_schemas(false))",
            "| public  |",
        ),
        (
            "SELECT n.nspname, p.proname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE p.proname = 'level'",
            "| public  | level",
        ),
        (
            "SELECT (parse_ident('public.answers'))[2] AS t",
            "| answers |",
        ),
        ("SELECT count(*) AS n FROM pg_catalog.pg_index", "| 0 |"),
        ("SELECT current_setting('search_path') AS p", "| public |"),
    ] {
        let found = answer(&session, sql)
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error}"));
        let shown = pretty_format_batches(&found).unwrap().to_string();
        assert!(shown.contains(expected), "{sql}:\n{shown}");
    }
}

#[tokio::test]
async fn what_never_has_rows_has_none_and_its_columns() {
    let session = session().await;
    for (sql, columns) in [
        (
            "SELECT i.*, c.relname FROM pg_catalog.pg_index i JOIN pg_class c ON c.oid = i.indexrelid, LATERAL unnest(i.indkey) AS k",
            22,
        ),
        (
            "SELECT pubname, NULL, NULL FROM pg_publication p UNION SELECT pubname, NULL, NULL FROM pg_publication p",
            3,
        ),
        (
            "SELECT conname, conkey[1] FROM pg_constraint WHERE contype = 'f'",
            2,
        ),
    ] {
        let statement = session
            .statement(sql, "SQL")
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error}"));
        assert_eq!(statement.schema().fields().len(), columns, "{sql}");
        let rows: usize = answer(&session, sql)
            .await
            .unwrap()
            .iter()
            .map(RecordBatch::num_rows)
            .sum();
        assert_eq!(rows, 0);
    }
}

#[test]
fn queries_over_the_catalogue_are_told_apart() {
    for (sql, expected) in [
        ("SELECT count(*) FROM logs", false),
        ("SELECT 'pg_class' FROM logs", false),
        ("SELECT user_id FROM logs", false),
        ("SELECT * FROM pg_class", true),
        ("SELECT pg_catalog.version()", true),
        ("SELECT version()", true),
        (
            "SELECT 1 WHERE EXISTS (SELECT 1 FROM information_schema.tables)",
            true,
        ),
        ("SELECT 'logs'::regclass", true),
        ("SELECT current_user", true),
        ("SELECT broken FROM (pg_class", false),
    ] {
        assert_eq!(is_named_in(sql), expected, "{sql}");
    }
}
