//! `$1`, `$2` … in SQL: the values that a client binds to a statement. Each is written into the syntax tree as the constant
//! that a user would write in its place, so that every check of a query sees it, and none of it is ever read as SQL.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    Array, CastKind, DataType as SqlType, ExactNumberInfo, Expr as SqlExpr, Interval, LimitClause,
    Query, TimezoneInfo, Value, ValueWithSpan, VisitMut, VisitorMut,
};

use super::Session;
use super::planning::on_own_thread;
use super::postgres::translate;
use super::{previous, star};
use crate::error::Result;

/// The type of a value that is bound, in PostgreSQL's terms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BoundType {
    /// `boolean`
    Bool,
    /// `smallint`
    Int2,
    /// `integer`
    Int4,
    /// `bigint`
    Int8,
    /// `oid`
    Oid,
    /// `real`
    Float4,
    /// `double precision`
    Float8,
    /// `numeric`
    Numeric,
    /// `text`, or a type that its place decides.
    Text,
    /// `bytea`
    Bytes,
    /// `date`
    Date,
    /// `time`
    Time,
    /// `timestamp`
    Timestamp,
    /// `timestamptz`
    Instant,
    /// `interval`
    Interval,
    /// An array of a type.
    List(Box<BoundType>),
}

/// A value that is bound, as SQL writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BoundValue {
    /// NULL.
    Null,
    /// A value in PostgreSQL's text form; bytes in hexadecimal digits.
    Text(String),
    /// The values of an array.
    List(Vec<BoundValue>),
}

/// The values of `$1`, `$2` …, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bound(pub Vec<(BoundType, BoundValue)>);

impl Bound {
    /// Writes the values into a statement. A parameter without a value stays as it is.
    pub(super) fn write_into(&self, statement: &mut Statement) {
        if let (false, Statement::Statement(statement)) = (self.0.is_empty(), statement) {
            let done = statement.visit(&mut Writer(self));
            debug_assert!(done.is_continue());
        }
    }
}

struct Writer<'a>(&'a Bound);

impl VisitorMut for Writer<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut SqlExpr) -> ControlFlow<()> {
        if let Some(number) = number_of(expr)
            && let Some((data_type, value)) = self.0.0.get(number - 1)
        {
            *expr = literal(data_type, value);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_value(&mut self, value: &mut ValueWithSpan) -> ControlFlow<()> {
        // Where the syntax tree has a value and no expression, such as that of an interval.
        if let Value::Placeholder(name) = &value.value
            && let Some(number) = number(name)
            && let Some((_, BoundValue::Text(text))) = self.0.0.get(number - 1)
        {
            value.value = Value::SingleQuotedString(text.clone());
        }
        ControlFlow::Continue(())
    }
}

/// `n` of the expression `$n`.
fn number_of(expr: &SqlExpr) -> Option<usize> {
    match expr {
        SqlExpr::Value(value) => match &value.value {
            Value::Placeholder(name) => number(name),
            _ => None,
        },
        _ => None,
    }
}

fn number(placeholder: &str) -> Option<usize> {
    let number = placeholder.strip_prefix('$')?.parse().ok()?;
    (number > 0).then_some(number)
}

/// A value as the constant that it is.
fn literal(data_type: &BoundType, value: &BoundValue) -> SqlExpr {
    let text = match value {
        BoundValue::Null => {
            return match data_type {
                BoundType::Text => constant(Value::Null),
                other => cast(constant(Value::Null), sql_type(other)),
            };
        }
        BoundValue::List(values) => {
            let of = match data_type {
                BoundType::List(of) => of,
                other => other,
            };
            let elem = values.iter().map(|value| literal(of, value)).collect();
            return SqlExpr::Array(Array { elem, named: true });
        }
        BoundValue::Text(text) => text,
    };
    let quoted = || constant(Value::SingleQuotedString(text.clone()));
    let is_number = || text.parse::<f64>().is_ok_and(f64::is_finite);
    match data_type {
        BoundType::Text => quoted(),
        BoundType::Bool => match text.as_str() {
            "t" | "true" | "1" | "on" | "yes" => constant(Value::Boolean(true)),
            "f" | "false" | "0" | "off" | "no" => constant(Value::Boolean(false)),
            _ => cast(quoted(), SqlType::Boolean),
        },
        BoundType::Int2 | BoundType::Int4 | BoundType::Int8 | BoundType::Oid
            if text.parse::<i64>().is_ok() =>
        {
            constant(Value::Number(text.clone(), false))
        }
        BoundType::Float4 | BoundType::Float8 if is_number() => cast(
            constant(Value::Number(text.clone(), false)),
            SqlType::DoublePrecision,
        ),
        BoundType::Interval => SqlExpr::Interval(Interval {
            value: Box::new(quoted()),
            leading_field: None,
            leading_precision: None,
            last_field: None,
            fractional_seconds_precision: None,
        }),
        BoundType::Bytes => constant(Value::HexStringLiteral(text.clone())),
        other => cast(quoted(), sql_type(other)),
    }
}

fn constant(value: Value) -> SqlExpr {
    SqlExpr::Value(value.with_empty_span())
}

fn cast(expr: SqlExpr, data_type: SqlType) -> SqlExpr {
    SqlExpr::Cast {
        kind: CastKind::DoubleColon,
        expr: Box::new(expr),
        data_type,
        array: false,
        format: None,
    }
}

fn sql_type(data_type: &BoundType) -> SqlType {
    use datafusion::sql::sqlparser::ast::ArrayElemTypeDef::SquareBracket;
    match data_type {
        BoundType::Bool => SqlType::Boolean,
        BoundType::Int2 => SqlType::SmallInt(None),
        BoundType::Int4 => SqlType::Int(None),
        BoundType::Int8 | BoundType::Oid => SqlType::BigInt(None),
        BoundType::Float4 => SqlType::Real,
        BoundType::Float8 => SqlType::DoublePrecision,
        BoundType::Numeric => SqlType::Numeric(ExactNumberInfo::None),
        BoundType::Text => SqlType::Text,
        BoundType::Bytes => SqlType::Bytea,
        BoundType::Date => SqlType::Date,
        BoundType::Time => SqlType::Time(None, TimezoneInfo::None),
        BoundType::Timestamp => SqlType::Timestamp(None, TimezoneInfo::None),
        BoundType::Instant => SqlType::Timestamp(None, TimezoneInfo::WithTimeZone),
        BoundType::Interval => SqlType::Interval {
            fields: None,
            precision: None,
        },
        BoundType::List(of) => SqlType::Array(SquareBracket(Box::new(sql_type(of)), None)),
    }
}

impl BoundType {
    /// The type of a value that the engine has as this.
    pub fn of(data_type: &DataType) -> Self {
        match data_type {
            DataType::Boolean => Self::Bool,
            DataType::Int8 | DataType::Int16 | DataType::UInt8 => Self::Int2,
            DataType::Int32 | DataType::UInt16 => Self::Int4,
            DataType::Int64 | DataType::UInt32 | DataType::UInt64 => Self::Int8,
            DataType::Float16 | DataType::Float32 => Self::Float4,
            DataType::Float64 => Self::Float8,
            data_type if data_type.is_decimal() => Self::Numeric,
            DataType::Binary
            | DataType::LargeBinary
            | DataType::BinaryView
            | DataType::FixedSizeBinary(_) => Self::Bytes,
            DataType::Date32 | DataType::Date64 => Self::Date,
            DataType::Time32(_) | DataType::Time64(_) => Self::Time,
            DataType::Timestamp(_, None) => Self::Timestamp,
            DataType::Timestamp(_, Some(_)) => Self::Instant,
            DataType::Interval(_) | DataType::Duration(_) => Self::Interval,
            DataType::List(item) | DataType::LargeList(item) => {
                Self::List(Box::new(Self::of(item.data_type())))
            }
            _ => Self::Text,
        }
    }

    /// The type that a cast in SQL names.
    fn of_cast(data_type: &SqlType) -> Option<Self> {
        use datafusion::sql::sqlparser::ast::ArrayElemTypeDef::SquareBracket;
        Some(match data_type {
            SqlType::Boolean | SqlType::Bool => Self::Bool,
            SqlType::SmallInt(_) | SqlType::Int2(_) => Self::Int2,
            SqlType::Int(_) | SqlType::Integer(_) | SqlType::Int4(_) => Self::Int4,
            SqlType::BigInt(_) | SqlType::Int8(_) => Self::Int8,
            SqlType::Real | SqlType::Float4 => Self::Float4,
            SqlType::DoublePrecision | SqlType::Float8 | SqlType::Double(_) => Self::Float8,
            SqlType::Numeric(_) | SqlType::Decimal(_) => Self::Numeric,
            SqlType::Date => Self::Date,
            SqlType::Timestamp(_, TimezoneInfo::WithTimeZone | TimezoneInfo::Tz) => Self::Instant,
            SqlType::Timestamp(..) => Self::Timestamp,
            SqlType::Interval { .. } => Self::Interval,
            SqlType::Bytea => Self::Bytes,
            SqlType::Text | SqlType::Varchar(_) | SqlType::Char(_) => Self::Text,
            SqlType::Custom(name, _) if name.to_string() == "oid" => Self::Oid,
            SqlType::Array(SquareBracket(of, _)) => Self::List(Box::new(Self::of_cast(of)?)),
            _ => return None,
        })
    }

    /// Values of the type to plan a query with whose own values are not bound yet. One of them is such that functions take it.
    pub fn examples(&self) -> Vec<BoundValue> {
        let text = |text: &str| BoundValue::Text(text.to_owned());
        match self {
            Self::Bool => vec![text("true")],
            Self::Int2
            | Self::Int4
            | Self::Int8
            | Self::Oid
            | Self::Float4
            | Self::Float8
            | Self::Numeric => {
                vec![text("1")]
            }
            Self::Text => vec![text("1 hour"), text("UTC"), text(""), BoundValue::Null],
            Self::Bytes => vec![text("00")],
            Self::Date => vec![text("2026-01-01")],
            Self::Time => vec![text("00:00:00")],
            Self::Timestamp => vec![text("2026-01-01 00:00:00")],
            Self::Instant => vec![text("2026-01-01 00:00:00+00")],
            Self::Interval => vec![text("1 hour")],
            Self::List(of) => {
                let lists = of.examples().into_iter();
                lists.map(|value| BoundValue::List(vec![value])).collect()
            }
        }
    }
}

impl Session {
    /// The types that a query wants of `$1`, `$2` …, in their order; `None` where its place takes any type.
    ///
    /// # Errors
    /// `Sql` for what is no statement.
    pub async fn parameter_types(&self, sql: &str, origin: &str) -> Result<Vec<Option<BoundType>>> {
        let (session, sql, origin) = (self.clone(), sql.to_owned(), origin.to_owned());
        on_own_thread(async move {
            let explained = |error| session.explain(&origin, &sql, error);
            let state = session.context.state();
            let limit = state.config().options().sql_parser.recursion_limit.get();
            super::errors::refuse_commands(&sql).map_err(explained)?;
            super::chains::refuse_long_chains(&sql).map_err(|error| explained(error.into()))?;
            let mut statement = star::parse(&sql, limit).map_err(explained)?;
            let mut found = Uses::default();
            if let Statement::Statement(statement) = &mut statement {
                let visited = statement.visit(&mut found);
                debug_assert!(visited.is_continue());
            }
            if found.count == 0 {
                return Ok(Vec::new());
            }
            session.parameters.write_into(&mut statement, true);
            let planned = async {
                super::expansion::refuse_expansion(&statement)?;
                translate(&mut statement)?;
                previous::name_tables(&mut statement)?;
                state.statement_to_plan(statement).await
            };
            // What can't be planned without values is planned with them, and explained there.
            if let Ok(plan) = planned.await {
                found.add_types(&plan);
            }
            Ok((1..=found.count)
                .map(|number| found.type_of(number))
                .collect())
        })
        .await
    }
}

/// How a statement uses its parameters.
#[derive(Debug, Default)]
struct Uses {
    count: usize,
    types: BTreeMap<usize, BoundType>,
    /// Those behind `= ANY`.
    lists: Vec<usize>,
}

impl Uses {
    fn add_types(&mut self, plan: &LogicalPlan) {
        let visited = plan.apply_with_subqueries(|node| {
            node.apply_expressions(|expr| {
                expr.apply(|expr| {
                    if let Expr::Placeholder(placeholder) = expr
                        && let Some(number) = number(&placeholder.id)
                        && let Some(field) = &placeholder.field
                        && !field.data_type().is_null()
                    {
                        let of = BoundType::of(field.data_type());
                        self.types.entry(number).or_insert(of);
                    }
                    Ok(TreeNodeRecursion::Continue)
                })
            })
        });
        debug_assert!(visited.is_ok());
    }

    fn type_of(&self, number: usize) -> Option<BoundType> {
        let found = self.types.get(&number).cloned();
        match self.lists.contains(&number) {
            true => Some(BoundType::List(Box::new(found.unwrap_or(BoundType::Text)))),
            false => found,
        }
    }
}

impl VisitorMut for Uses {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        if let Some(LimitClause::LimitOffset { limit, offset, .. }) = &query.limit_clause {
            let offset = offset.as_ref().map(|offset| &offset.value);
            let numbers = limit
                .as_ref()
                .into_iter()
                .chain(offset)
                .filter_map(number_of);
            self.types
                .extend(numbers.map(|number| (number, BoundType::Int8)));
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut SqlExpr) -> ControlFlow<()> {
        match expr {
            // Planned as the comparison with one of its values.
            SqlExpr::AnyOp {
                left,
                compare_op,
                right,
                ..
            } => {
                let inner = match right.as_ref() {
                    SqlExpr::Nested(inner) => inner,
                    _ => right,
                };
                if let Some(number) = number_of(inner) {
                    self.lists.push(number);
                    *expr = SqlExpr::BinaryOp {
                        left: left.clone(),
                        op: compare_op.clone(),
                        right: inner.clone(),
                    };
                }
            }
            SqlExpr::Cast {
                expr: inner,
                data_type,
                ..
            } => {
                if let (Some(number), Some(of)) = (number_of(inner), BoundType::of_cast(data_type))
                {
                    self.types.insert(number, of);
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_value(&mut self, value: &mut ValueWithSpan) -> ControlFlow<()> {
        if let Value::Placeholder(name) = &value.value
            && let Some(number) = number(name)
        {
            self.count = self.count.max(number);
        }
        ControlFlow::Continue(())
    }
}

impl Bound {
    /// Values of some types to plan a query with, as often as there are different ones; at least once.
    pub fn examples(types: &[BoundType]) -> Vec<Self> {
        let examples: Vec<Vec<BoundValue>> = types.iter().map(BoundType::examples).collect();
        let most = examples.iter().map(Vec::len).max().unwrap_or(1);
        let nth = |n: usize| {
            let values = types.iter().zip(&examples);
            let values = values.map(|(of, values)| (of.clone(), values[n % values.len()].clone()));
            Self(values.collect())
        };
        (0..most).map(nth).collect()
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::RecordBatch;
    use arrow::util::display::array_value_to_string;
    use futures::TryStreamExt;

    use super::*;
    use crate::error::Error;
    use crate::query::Engine;

    fn session() -> Session {
        let engine = Engine::new(64 << 20, &std::env::temp_dir()).unwrap();
        engine.session(chrono_tz::Asia::Seoul).unwrap()
    }

    async fn answer(sql: &str, values: Vec<(BoundType, BoundValue)>) -> Result<String> {
        let session = session().with_bound(Bound(values));
        let statement = session.statement(sql, "SQL").await?;
        let batches = session.run(&statement).await?.batches;
        let batches: Vec<RecordBatch> = batches.try_collect().await.map_err(Error::from_engine)?;
        Ok(array_value_to_string(batches[0].column(0), 0).unwrap())
    }

    fn text(text: &str) -> BoundValue {
        BoundValue::Text(text.to_owned())
    }

    #[tokio::test]
    async fn values_stand_where_their_parameters_are() {
        for (sql, of, value, expected) in [
            ("SELECT $1 || 'b'", BoundType::Text, text("a'"), "a'b"),
            ("SELECT $1 + 1", BoundType::Int8, text("-5"), "-4"),
            ("SELECT 2 * $1", BoundType::Float8, text("0.25"), "0.5"),
            ("SELECT NOT $1", BoundType::Bool, text("f"), "true"),
            (
                "SELECT date '2026-11-22' - $1",
                BoundType::Date,
                text("2026-11-20"),
                "2",
            ),
            (
                "SELECT $1::text IS NULL",
                BoundType::Text,
                BoundValue::Null,
                "true",
            ),
            (
                "SELECT to_char($1, 'HH24:MI')",
                BoundType::Instant,
                text("2026-11-21 00:00:00+00"),
                "09:00",
            ),
            (
                "SELECT 2 = ANY($1)",
                BoundType::List(Box::new(BoundType::Int8)),
                BoundValue::List(vec![text("1"), text("2")]),
                "true",
            ),
            (
                "SELECT n FROM (VALUES (1), (2)) AS t(n) ORDER BY n LIMIT $1",
                BoundType::Int8,
                text("1"),
                "1",
            ),
        ] {
            let found = answer(sql, vec![(of, value)]).await;
            let found = found.unwrap_or_else(|error| panic!("{sql}: {error}"));
            assert!(found.starts_with(expected), "{sql}: {found}");
        }
    }

    #[tokio::test]
    async fn a_value_is_never_sql() {
        for value in ["'; DROP TABLE logs; --", "1) OR (1=1", "$2", "\\'"] {
            let found = answer("SELECT $1", vec![(BoundType::Text, text(value))]).await;
            assert_eq!(found.unwrap(), value);
        }
    }

    #[tokio::test]
    async fn the_types_are_those_of_their_places() {
        let session = session();
        let list = |of| Some(BoundType::List(Box::new(of)));
        for (sql, expected) in [
            ("SELECT 1", vec![]),
            (
                "SELECT * FROM (VALUES (1, 'a')) AS t(n, s) WHERE n = $1 AND s LIKE $2",
                vec![Some(BoundType::Int8), Some(BoundType::Text)],
            ),
            (
                "SELECT $2::date, $1::int",
                vec![Some(BoundType::Int4), Some(BoundType::Date)],
            ),
            (
                "SELECT * FROM (VALUES (now())) AS t(at) WHERE at >= $1",
                vec![Some(BoundType::Instant)],
            ),
            (
                "SELECT * FROM (VALUES ('a')) AS t(s) WHERE s = ANY($1)",
                vec![list(BoundType::Text)],
            ),
        ] {
            let found = session.parameter_types(sql, "SQL").await.unwrap();
            assert_eq!(found, expected, "{sql}");
        }
    }
}
