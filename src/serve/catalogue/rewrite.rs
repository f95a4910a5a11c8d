//! Queries over the catalogue in the engine's terms.
//!
//! - names: `pg_class` is `pg_catalog.pg_class`, functions and types are without a schema
//! - `OPERATOR(pg_catalog.~)`, `COLLATE`, casts to `regclass` and the like
//! - tables that never have rows: a query over one has none, and a sub-select is NULL. This is most of what clients ask, in the
//!   parts of SQL that the engine does not have
//! - a correlated sub-select of one value, which the engine wants to be an aggregate

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    ArrayElemTypeDef, BinaryOperator, CastKind, DataType, Expr, Function, FunctionArg,
    FunctionArgExpr, FunctionArgumentList, FunctionArguments, GroupByExpr, Ident, ObjectName,
    ObjectNamePart, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr, Statement,
    TableFactor, Value, ValueWithSpan, Visit, VisitMut, Visitor, VisitorMut,
};

use super::functions;
use super::tables::{self, CATALOGUE, SPECS};
use crate::error::Result;
use crate::query::Translate;

/// The schema in which the tables of `information_schema` are.
pub const STANDARD: &str = "pg_standard";

/// Puts statements into the engine's terms.
#[derive(Debug)]
pub struct Rewrite {
    /// The name of the database, which can stand before that of a schema.
    pub database: String,
}

impl Translate for Rewrite {
    fn translate(&self, statement: &mut Statement) -> Result<()> {
        if let Statement::Query(query) = statement {
            if let Some(types) = types_of_asyncpg(query) {
                **query = types;
            }
            if let Some(columns) = columns_of_nothing(query) {
                **query = nothing(&columns);
                return Ok(());
            }
        }
        let mut names = self;
        let done = statement.visit(&mut names);
        debug_assert!(done.is_continue());
        let done = statement.visit(&mut Terms);
        debug_assert!(done.is_continue());
        Ok(())
    }
}

/// What asyncpg asks for the types that it does not have, recursively and over parts of SQL that the engine does not have. The
/// types here are plain ones and arrays of them.
fn types_of_asyncpg(query: &Query) -> Option<Query> {
    struct Wanted(Vec<String>);
    impl Visitor for Wanted {
        type Break = ();

        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            if let Expr::Array(array) = expr {
                self.0.extend(array.elem.iter().map(ToString::to_string));
            }
            ControlFlow::Continue(())
        }
    }
    let with = query.with.as_ref()?;
    let is_tree = |name: &str| name == "typeinfo_tree";
    with.cte_tables
        .iter()
        .find(|cte| is_tree(&cte.alias.name.value))?;
    let mut wanted = Wanted(Vec::new());
    let visited = query.visit(&mut wanted);
    debug_assert!(visited.is_continue());
    let numbers = wanted.0.into_iter().filter(|it| it.parse::<u32>().is_ok());
    let numbers: Vec<String> = numbers.chain(["0".to_owned()]).collect();
    let numbers = numbers.join(", ");
    Some(parsed(&format!(
        "SELECT t.oid, 'pg_catalog' AS ns, t.typname AS name, t.typtype AS kind, NULL::bigint AS basetype, \
         t.typelem AS elemtype, e.typdelim AS elemdelim, NULL::bigint AS range_subtype, \
         NULL::bigint AS attrtypoids, NULL::text AS attrnames, CASE WHEN t.typelem = 0 THEN 1 ELSE 0 END AS depth, \
         NULL::text AS basetype_name, format_type(t.typelem, NULL) AS elemtype_name, NULL::text AS range_subtype_name \
         FROM pg_catalog.pg_type AS t LEFT JOIN pg_catalog.pg_type AS e ON e.oid = t.typelem \
         WHERE t.oid IN ({numbers}) OR t.oid IN (SELECT a.typelem FROM pg_catalog.pg_type AS a WHERE a.oid IN ({numbers})) \
         ORDER BY depth DESC"
    )))
}

/// The schema and the name of a table of the catalogue.
pub fn table_of(name: &ObjectName) -> Option<(&'static str, &'static str)> {
    let parts: Vec<String> = name
        .0
        .iter()
        .filter_map(ObjectNamePart::as_ident)
        .map(|part| part.value.to_lowercase())
        .collect();
    let found = match parts.as_slice() {
        [.., schema, name] => SPECS.get(&(schema.as_str(), name.as_str())),
        [name] => SPECS.get(&(CATALOGUE, name.as_str())),
        [] => None,
    };
    found.map(|spec| (spec.schema, spec.name))
}

/// Whether a type is one of names in the catalogue, such as `regclass`.
pub fn is_registered(data_type: &DataType) -> bool {
    registered(data_type).is_some()
}

/// `class` of `regclass`.
fn registered(data_type: &DataType) -> Option<&'static str> {
    let name = match data_type {
        DataType::Regclass => "regclass".to_owned(),
        DataType::Custom(name, _) => last(name)?,
        _ => return None,
    };
    [
        "class",
        "type",
        "namespace",
        "proc",
        "procedure",
        "role",
        "operator",
    ]
    .into_iter()
    .find(|kind| name.strip_prefix("reg") == Some(kind))
}

fn last(name: &ObjectName) -> Option<String> {
    let part = name.0.last()?.as_ident()?;
    Some(part.value.to_lowercase())
}

fn name_of(parts: &[&str]) -> ObjectName {
    ObjectName::from(
        parts
            .iter()
            .map(|part| Ident::new(*part))
            .collect::<Vec<_>>(),
    )
}

fn constant(value: Value) -> Expr {
    Expr::Value(ValueWithSpan::from(value))
}

fn text(text: &str) -> Expr {
    constant(Value::SingleQuotedString(text.to_owned()))
}

fn cast(expr: Expr, data_type: DataType) -> Expr {
    Expr::Cast {
        kind: CastKind::DoubleColon,
        expr: Box::new(expr),
        data_type,
        array: false,
        format: None,
    }
}

fn call(name: &str, args: Vec<Expr>) -> Expr {
    let args = args
        .into_iter()
        .map(|arg| FunctionArg::Unnamed(FunctionArgExpr::Expr(arg)));
    Expr::Function(Function {
        name: name_of(&[name]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: args.collect(),
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

/// Whether a query has no rows, whatever else it says: it joins a table that never has some.
fn is_nothing(query: &Query) -> bool {
    is_nothing_of(&query.body)
}

fn is_nothing_of(body: &SetExpr) -> bool {
    match body {
        SetExpr::Select(select) => {
            let is_group =
                matches!(&select.group_by, GroupByExpr::Expressions(by, _) if !by.is_empty());
            let aggregates = !is_group && select.projection.iter().any(has_aggregate);
            let is_inner = |join: &datafusion::sql::sqlparser::ast::Join| {
                use datafusion::sql::sqlparser::ast::JoinOperator as J;
                match join.join_operator {
                    J::Join(_) | J::Inner(_) | J::CrossJoin(_) | J::Right(_) | J::RightOuter(_) => {
                        is_empty_factor(&join.relation)
                    }
                    _ => false,
                }
            };
            let keeps_left = |join: &datafusion::sql::sqlparser::ast::Join| {
                use datafusion::sql::sqlparser::ast::JoinOperator as J;
                !matches!(
                    join.join_operator,
                    J::Right(_) | J::RightOuter(_) | J::FullOuter(_)
                )
            };
            !aggregates
                && select.from.iter().any(|from| {
                    is_empty_factor(&from.relation) && from.joins.iter().all(keeps_left)
                        || from.joins.iter().any(is_inner)
                })
        }
        SetExpr::Query(query) => is_nothing(query),
        SetExpr::SetOperation { left, right, .. } => is_nothing_of(left) && is_nothing_of(right),
        _ => false,
    }
}

fn is_empty_factor(factor: &TableFactor) -> bool {
    match factor {
        TableFactor::Table {
            name, args: None, ..
        } => table_of(name).is_some_and(|(schema, name)| tables::is_empty(schema, name)),
        TableFactor::Derived { subquery, .. } => is_nothing(subquery),
        _ => false,
    }
}

/// Whether a select list computes something over all rows, but in a sub-select.
fn has_aggregate(item: &SelectItem) -> bool {
    const NAMES: [&str; 9] = [
        "count",
        "max",
        "min",
        "sum",
        "avg",
        "string_agg",
        "array_agg",
        "bool_or",
        "bool_and",
    ];
    #[derive(Default)]
    struct Aggregates {
        depth: usize,
    }
    impl Visitor for Aggregates {
        type Break = ();

        fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
            self.depth += 1;
            ControlFlow::Continue(())
        }

        fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
            self.depth -= 1;
            ControlFlow::Continue(())
        }

        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            let is_aggregate = match expr {
                Expr::Function(function) => {
                    last(&function.name).is_some_and(|name| NAMES.contains(&name.as_str()))
                }
                _ => false,
            };
            match is_aggregate && self.depth == 0 {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        }
    }
    item.visit(&mut Aggregates::default()).is_break()
}

/// The names and types of the columns of a query that has no rows; `None` for any other.
fn columns_of_nothing(query: &Query) -> Option<Vec<(String, DataType)>> {
    if !is_nothing(query) {
        return None;
    }
    let mut body = query.body.as_ref();
    let select = loop {
        match body {
            SetExpr::Select(select) => break select,
            SetExpr::SetOperation { left, .. } => body = left,
            SetExpr::Query(query) => body = &query.body,
            _ => return None,
        }
    };
    let mut columns = Vec::new();
    for item in &select.projection {
        match item {
            SelectItem::ExprWithAlias { alias, .. } => {
                columns.push((alias.value.clone(), DataType::Text));
            }
            SelectItem::UnnamedExpr(expr) => columns.push((heading(expr), DataType::Text)),
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(of), _) => {
                columns.extend(columns_of(select, last(of).as_deref()));
            }
            _ => columns.extend(columns_of(select, None)),
        }
    }
    Some(columns)
}

/// The heading that PostgreSQL gives an expression without a name.
fn heading(expr: &Expr) -> String {
    match expr {
        Expr::Identifier(name) => name.value.clone(),
        Expr::CompoundIdentifier(parts) => {
            parts.last().map_or_else(String::new, |it| it.value.clone())
        }
        Expr::Function(function) => last(&function.name).unwrap_or_default(),
        Expr::Cast { expr, .. } | Expr::Nested(expr) => heading(expr),
        Expr::Case { .. } => "case".to_owned(),
        _ => "?column?".to_owned(),
    }
}

/// The columns of a table of a FROM, or of all.
fn columns_of(select: &Select, of: Option<&str>) -> Vec<(String, DataType)> {
    let factors = select.from.iter().flat_map(|from| {
        let joined = from.joins.iter().map(|join| &join.relation);
        std::iter::once(&from.relation).chain(joined)
    });
    let mut columns = Vec::new();
    for factor in factors {
        let TableFactor::Table { name, alias, .. } = factor else {
            continue;
        };
        let alias = alias.as_ref().map(|alias| alias.name.value.to_lowercase());
        let known = alias.or_else(|| last(name));
        if of.is_some() && of != known.as_deref() {
            continue;
        }
        let spec = table_of(name).and_then(|key| SPECS.get(&key));
        for (name, data_type) in spec.iter().flat_map(|spec| &spec.columns) {
            let data_type = match data_type {
                arrow::datatypes::DataType::Int64 => DataType::BigInt(None),
                arrow::datatypes::DataType::Boolean => DataType::Boolean,
                _ => DataType::Text,
            };
            columns.push(((*name).to_owned(), data_type));
        }
    }
    columns
}

/// `SELECT NULL::text AS a, … LIMIT 0`, under names that are different.
fn nothing(columns: &[(String, DataType)]) -> Query {
    let items = columns.iter().enumerate().map(|(at, (name, data_type))| {
        let is_first = !columns[..at].iter().any(|(other, _)| other == name);
        let alias = match is_first {
            true => name.clone(),
            false => format!("{name}_{at}"),
        };
        let value = cast(constant(Value::Null), data_type.clone());
        format!("{value} AS \"{}\"", alias.replace('"', "\"\""))
    });
    let items: Vec<String> = items.collect();
    parsed(&format!("SELECT {} LIMIT 0", items.join(", ")))
}

/// Names without the database, tables with their schema.
impl VisitorMut for &Rewrite {
    type Break = ();

    fn pre_visit_relation(&mut self, relation: &mut ObjectName) -> ControlFlow<()> {
        rename(&self.database, relation);
        ControlFlow::Continue(())
    }
}

fn rename(database: &str, relation: &mut ObjectName) {
    let first = relation.0.first().and_then(ObjectNamePart::as_ident);
    let is_own = first.is_some_and(|first| first.value.eq_ignore_ascii_case(database));
    match relation.0.len() {
        0..=2 => {}
        3 if is_own => drop(relation.0.remove(0)),
        // Of another database: there is no table of this whole name.
        _ => return,
    }
    match table_of(relation) {
        Some((tables::STANDARD, name)) => *relation = name_of(&[STANDARD, name]),
        Some((schema, name)) => *relation = name_of(&[schema, name]),
        None => {}
    }
}

/// Expressions in the engine's terms.
struct Terms;

impl VisitorMut for Terms {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        // `FOR UPDATE` and the like lock nothing here.
        query.locks.clear();
        if let SetExpr::Select(select) = query.body.as_mut() {
            drop_repeated(&mut select.projection);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::Derived { subquery, .. } = factor
            && is_of_search_path(subquery)
        {
            // The schemas of the search path with their places.
            let sql = "SELECT 1 AS r, 'public' AS nspname, 2200 AS nspoid";
            **subquery = parsed(sql);
        }
        if let TableFactor::Table {
            name,
            args: Some(_),
            alias,
            ..
        } = factor
        {
            let rows = match last(name).as_deref() {
                Some("pg_get_keywords") => {
                    "SELECT 'select' AS word, 'R' AS catcode, 'reserved' AS catdesc"
                }
                Some("pg_show_all_settings") => "SELECT * FROM pg_catalog.pg_settings",
                _ => return ControlFlow::Continue(()),
            };
            let alias = alias
                .clone()
                .map_or_else(String::new, |alias| format!(" AS {alias}"));
            let from = parsed(&format!("SELECT 1 FROM ({rows}) {alias}"));
            if let SetExpr::Select(select) = *from.body
                && let Some(from) = select.from.into_iter().next()
            {
                *factor = from.relation;
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::Subquery(query) if is_nothing(query) => {
                *expr = cast(constant(Value::Null), DataType::Text);
            }
            Expr::Subquery(query) => as_aggregate(query),
            Expr::Exists { subquery, negated } if is_nothing(subquery) => {
                *expr = constant(Value::Boolean(*negated));
            }
            Expr::InSubquery {
                subquery, negated, ..
            } if is_nothing(subquery) => {
                *expr = constant(Value::Boolean(*negated));
            }
            Expr::InSubquery {
                expr: inner,
                subquery,
                negated,
            } if is_of_search_path(subquery) => {
                *expr = Expr::InList {
                    expr: inner.clone(),
                    list: vec![text("public")],
                    negated: *negated,
                };
            }
            Expr::Function(function) => {
                if let FunctionArguments::Subquery(query) = &function.args {
                    *expr = list_of(query);
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::Collate { expr: inner, .. } => *expr = inner.as_ref().clone(),
            Expr::Function(function) => {
                if let [schema, _] = function.name.0.as_slice() {
                    let schema = schema.as_ident().map(|it| it.value.to_lowercase());
                    if schema.is_some_and(|it| [CATALOGUE, tables::STANDARD].contains(&it.as_str()))
                    {
                        function.name.0.remove(0);
                    }
                }
            }
            Expr::BinaryOp { op, left, right } => {
                if let BinaryOperator::PGCustomBinaryOperator(parts) = op
                    && let Some(plain) = operator(parts)
                {
                    *op = plain;
                }
                digits_as_number(left, right);
                digits_as_number(right, left);
                names_as_numbers(left, right);
                names_as_numbers(right, left);
            }
            Expr::InList { expr, list, .. } => {
                list.iter_mut()
                    .for_each(|item| digits_as_number(expr, item));
            }
            Expr::AnyOp {
                left,
                compare_op: BinaryOperator::Eq,
                right,
                ..
            } if !matches!(
                right.as_ref(),
                Expr::Subquery(_) | Expr::Array(_) | Expr::Value(_) | Expr::Nested(_)
            ) =>
            {
                *expr = call(
                    "array_has",
                    vec![right.as_ref().clone(), left.as_ref().clone()],
                );
            }
            Expr::Cast { .. } => cast_in_terms(expr),
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// A query that is written here.
fn parsed(sql: &str) -> Query {
    let dialect = datafusion::sql::sqlparser::dialect::PostgreSqlDialect {};
    let parsed = datafusion::sql::sqlparser::parser::Parser::new(&dialect)
        .try_with_sql(sql)
        .and_then(|mut parser| parser.parse_query());
    match parsed {
        Ok(query) => *query,
        Err(error) => unreachable!("{sql} is a query: {error}"),
    }
}

/// Leaves out a column that a star behind it has too, as in `c.oid, c.*`: the engine has no two columns of one name.
fn drop_repeated(items: &mut Vec<SelectItem>) {
    let stars: Vec<String> = items
        .iter()
        .filter_map(|item| match item {
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(of), _) => {
                last(of)
            }
            _ => None,
        })
        .collect();
    items.retain(|item| match item {
        SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) => match parts.as_slice() {
            [of, _] => !stars.contains(&of.value.to_lowercase()),
            _ => true,
        },
        _ => true,
    });
}

/// A sub-select for the schemas of the search path, which clients take apart with functions that the engine does not have.
fn is_of_search_path(query: &Query) -> bool {
    let text = query.to_string();
    text.contains("generate_series")
        && (text.contains("search_path") || text.contains("current_schemas"))
}

/// `ARRAY(SELECT a FROM t)` as `(SELECT array_agg(a) FROM t)`; of a table that is no table of the catalogue, no list.
fn list_of(query: &Query) -> Expr {
    let no_list = || {
        let of = ArrayElemTypeDef::SquareBracket(Box::new(DataType::Text), None);
        cast(constant(Value::Null), DataType::Array(of))
    };
    if is_nothing(query) {
        return no_list();
    }
    let mut query = query.clone();
    query.order_by = None;
    let SetExpr::Select(select) = query.body.as_mut() else {
        return no_list();
    };
    let is_table = |factor: &TableFactor| matches!(factor, TableFactor::Table { args: None, .. });
    let are_tables = select.from.iter().all(|from| is_table(&from.relation));
    // No privileges are kept.
    let is_of_privileges = select.to_string().contains("acl");
    let [SelectItem::UnnamedExpr(item)] = select.projection.as_mut_slice() else {
        return no_list();
    };
    if !are_tables || is_of_privileges {
        return no_list();
    }
    *item = call("array_agg", vec![item.clone()]);
    Expr::Subquery(Box::new(query))
}

/// The only value of a correlated sub-select as the largest of its values.
fn as_aggregate(query: &mut Query) {
    if query.limit_clause.is_some() || query.order_by.is_some() {
        return;
    }
    let SetExpr::Select(select) = query.body.as_mut() else {
        return;
    };
    let is_group = matches!(&select.group_by, GroupByExpr::Expressions(by, _) if !by.is_empty());
    if is_group || select.from.is_empty() || select.projection.iter().any(has_aggregate) {
        return;
    }
    if let [item] = select.projection.as_mut_slice() {
        match item {
            SelectItem::UnnamedExpr(expr) => *expr = call("max", vec![expr.clone()]),
            SelectItem::ExprWithAlias { expr, .. } => *expr = call("max", vec![expr.clone()]),
            _ => {}
        }
    }
}

/// The operator of `OPERATOR(pg_catalog.~)`.
fn operator(parts: &[String]) -> Option<BinaryOperator> {
    Some(match parts.last()?.as_str() {
        "~" => BinaryOperator::PGRegexMatch,
        "~*" => BinaryOperator::PGRegexIMatch,
        "!~" => BinaryOperator::PGRegexNotMatch,
        "!~*" => BinaryOperator::PGRegexNotIMatch,
        "~~" => BinaryOperator::PGLikeMatch,
        "~~*" => BinaryOperator::PGILikeMatch,
        "!~~" => BinaryOperator::PGNotLikeMatch,
        "=" => BinaryOperator::Eq,
        "<>" | "!=" => BinaryOperator::NotEq,
        "<" => BinaryOperator::Lt,
        ">" => BinaryOperator::Gt,
        "<=" => BinaryOperator::LtEq,
        ">=" => BinaryOperator::GtEq,
        _ => return None,
    })
}

/// `oid = '16384'` as `oid = 16384`.
fn digits_as_number(column: &Expr, value: &mut Expr) {
    let name = match column {
        Expr::Identifier(name) => &name.value,
        Expr::CompoundIdentifier(parts) => match parts.last() {
            Some(name) => &name.value,
            None => return,
        },
        _ => return,
    };
    let is_number = |(column, data_type): &(&str, arrow::datatypes::DataType)| {
        column == name && data_type.is_integer()
    };
    let Expr::Value(constant) = value else {
        return;
    };
    if let Value::SingleQuotedString(digits) = &constant.value
        && digits.parse::<i64>().is_ok()
        && SPECS
            .values()
            .any(|spec| spec.columns.iter().any(is_number))
    {
        constant.value = Value::Number(digits.clone(), false);
    }
    // A schema by its name, as `relnamespace = 'public'`.
    if let Value::SingleQuotedString(schema) = &constant.value
        && name.ends_with("namespace")
    {
        *value = call("to_regnamespace", vec![text(schema)]);
    }
}

/// `prorettype::regtype = 'text'::regtype` compares numbers: the left side is a name only where it is shown.
fn names_as_numbers(name: &mut Expr, number: &Expr) {
    let called = |expr: &Expr| match expr {
        Expr::Function(function) => last(&function.name).unwrap_or_default(),
        _ => String::new(),
    };
    let is_name = ["format_type", "regclass_name", "regnamespace_name"].contains(&&*called(name));
    if !is_name || !called(number).ends_with("_oid") {
        return;
    }
    if let Expr::Function(Function {
        args: FunctionArguments::List(list),
        ..
    }) = name
        && let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(inner))) = list.args.first()
    {
        *name = inner.clone();
    }
}

/// Casts to types of the catalogue.
fn cast_in_terms(expr: &mut Expr) {
    let Expr::Cast {
        expr: inner,
        data_type,
        ..
    } = expr
    else {
        return;
    };
    let is_text = matches!(inner.as_ref(), Expr::Value(value) if matches!(value.value, Value::SingleQuotedString(_)));
    if let DataType::Array(ArrayElemTypeDef::SquareBracket(of, _)) = data_type
        && (is_registered(of)
            || matches!(
                inner.as_ref(),
                Expr::Identifier(_) | Expr::CompoundIdentifier(_)
            ))
    {
        // Lists of the catalogue are texts, and those of types are not kept.
        let of = ArrayElemTypeDef::SquareBracket(Box::new(DataType::Text), None);
        *expr = cast(constant(Value::Null), DataType::Array(of));
        return;
    }
    if let Some(kind) = registered(data_type) {
        let inner = inner.as_ref().clone();
        *expr = match (kind, is_text) {
            ("class", true) => call("regclass_oid", vec![inner]),
            ("class", false) => call("regclass_name", vec![inner]),
            ("type", true) => call("regtype_oid", vec![inner]),
            ("type", false) => call("format_type", vec![inner, constant(Value::Null)]),
            ("namespace", true) => call("regnamespace_oid", vec![inner]),
            ("namespace", false) => call("regnamespace_name", vec![inner]),
            ("role", false) => call("pg_get_userbyid", vec![inner]),
            // A function by its name, which is what the columns of such types have.
            _ => match inner {
                Expr::Value(ValueWithSpan {
                    value: Value::SingleQuotedString(name),
                    ..
                }) => text(name.trim_start_matches("pg_catalog.")),
                inner => inner,
            },
        };
        return;
    }
    let DataType::Custom(name, _) = data_type else {
        return;
    };
    let plain = match last(name).unwrap_or_default().as_str() {
        // What `::regclass::oid` is already.
        "oid" | "xid" | "cid" => match inner.as_ref() {
            Expr::Function(function)
                if last(&function.name).is_some_and(|it| it.ends_with("_oid")) =>
            {
                *expr = inner.as_ref().clone();
                return;
            }
            _ => DataType::BigInt(None),
        },
        "name" | "char" | "cstring" | "sql_identifier" | "character_data" | "yes_or_no"
        | "bpchar" | "aclitem" | "pg_node_tree" | "int2vector" | "oidvector" | "text"
        | "varchar" => DataType::Text,
        "int2" => DataType::SmallInt(None),
        "int4" | "cardinal_number" => DataType::Int(None),
        "int8" => DataType::BigInt(None),
        "bool" => DataType::Boolean,
        "float8" => DataType::DoublePrecision,
        "regconfig" | "regdictionary" => DataType::Text,
        _ => return,
    };
    // A name that is asked for as a text is one.
    let is_name = matches!(inner.as_ref(), Expr::Function(function) if last(&function.name).is_some_and(|it| functions::is_named(&it) && it.ends_with("_name")));
    *expr = match is_name && plain == DataType::Text {
        true => inner.as_ref().clone(),
        false => cast(inner.as_ref().clone(), plain),
    };
}
