//! The parameters that a query is given: `$name` in its SQL is a value, never SQL, of the type that its place wants.
//!
//! A parameter is what a value would be that is written in its place: `timestamp >= $from` takes a local time as
//! `timestamp >= '2026-11-21'` does. Where it is compared with a number it is a number, with a text a text. As an argument of
//! a function it is a number if it looks like one and the function takes one, else a text.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result as EngineResult;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr as SqlExpr, Value, VisitMut, VisitorMut,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

use crate::error::{Class, Error, Result};

/// The parameters that every query has.
pub(super) const BUILT_IN: [&str; 3] = ["window_start", "window_end", "timezone"];

/// What the name of a parameter begins with, in a plan, whose type is that of what it is compared with. No parameter can be
/// written so.
const COMPARED: &str = "$=";

/// A value of a parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    text: String,
    /// Whether it may stand for a number where either would do.
    may_be_number: bool,
}

impl Parameter {
    /// A value that is a number, a boolean, a date or a text, whichever its place wants.
    pub fn any(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            may_be_number: true,
        }
    }

    /// A value that is a text where either would do.
    pub fn text(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            may_be_number: false,
        }
    }

    /// The value as it is written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The number that it is, in the form in which SQL has it.
    fn number(&self) -> Option<ScalarValue> {
        let is_number = self
            .text
            .starts_with(|c: char| c.is_ascii_digit() || c == '-');
        let float = || self.text.parse::<f64>().ok().filter(|n| n.is_finite());
        let integer = self.text.parse::<i64>().ok().map(ScalarValue::from);
        integer
            .or_else(|| float().map(ScalarValue::from))
            .filter(|_| is_number)
    }
}

/// Parameters by their names, without the dollar sign.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parameters(BTreeMap<String, Parameter>);

impl Parameters {
    /// Adds a parameter. An error says what is wrong with its name.
    pub fn add(&mut self, name: &str, value: Parameter) -> Result<(), String> {
        let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !is_name {
            return Err(format!(
                "{name:?} is no name of a parameter: expected letters, digits and _"
            ));
        }
        if BUILT_IN.contains(&name) {
            return Err(format!(
                "${name} is always that of the window: expected another name"
            ));
        }
        match self.0.insert(name.to_owned(), value) {
            None => Ok(()),
            Some(_) => Err(format!("the parameter {name} is given twice")),
        }
    }

    /// The names and values, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Parameter)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The names that no statement of a text uses.
    pub fn unused_in(&self, sql: &str) -> Vec<&str> {
        let used = named_in(sql);
        let names = self.0.keys().map(String::as_str);
        names.filter(|name| !used.contains(*name)).collect()
    }

    /// Whether a name in a plan is that of one of these.
    pub(super) fn knows(&self, placeholder: &str) -> bool {
        let name = placeholder.trim_start_matches(['$', '=']);
        self.0.contains_key(name)
    }

    /// Whether a parameter could be a number or a text.
    pub(super) fn are_ambiguous(&self) -> bool {
        let mut values = self.0.values();
        values.any(|value| value.may_be_number && value.number().is_some())
    }

    /// Writes the values into a statement, but for those that are compared with something. With `numbers`, what may be a
    /// number is one.
    pub(super) fn write_into(&self, statement: &mut Statement, numbers: bool) {
        let mut writer = Writer {
            parameters: self,
            numbers,
        };
        match statement {
            Statement::Statement(statement) => {
                let _: ControlFlow<()> = statement.visit(&mut writer);
            }
            Statement::Explain(explained) => self.write_into(&mut explained.statement, numbers),
            _ => {}
        }
    }

    /// Fills in those that are compared with something.
    pub(super) fn fill_in(&self, plan: LogicalPlan) -> EngineResult<LogicalPlan> {
        let filled = plan.transform_up_with_subqueries(|plan| {
            let schema = std::sync::Arc::clone(plan.schema());
            let names = NamePreserver::new(&plan);
            plan.map_expressions(|expr| {
                let name = names.save(&expr);
                let (expr, _) = expr.infer_placeholder_types(&schema)?;
                let filled = expr.transform_up(|expr| match &expr {
                    Expr::Placeholder(placeholder) => match placeholder.id.strip_prefix(COMPARED) {
                        Some(name) => {
                            let field = placeholder.field.as_ref();
                            let value = self.value(name, field.map(|field| field.data_type()))?;
                            Ok(Transformed::yes(Expr::Literal(value, None)))
                        }
                        None => Ok(Transformed::no(expr)),
                    },
                    _ => Ok(Transformed::no(expr)),
                })?;
                Ok(filled.update_data(|expr| name.restore(expr)))
            })?
            .map_data(LogicalPlan::recompute_schema)
        });
        filled.map(|filled| filled.data)
    }

    /// The value of a parameter that is compared with a value of this type.
    fn value(&self, name: &str, with: Option<&DataType>) -> Result<ScalarValue> {
        let Some(parameter) = self.0.get(name) else {
            return Err(Error::new(
                Class::Sql,
                format!("parameter ${name} does not exist"),
            ));
        };
        let wrong = |expected: &str| {
            let text = &parameter.text;
            let what = format!(
                "parameter ${name} is {text:?}: expected {expected}, which it is compared with"
            );
            Error::usage(what)
        };
        match with {
            Some(with) if with.is_numeric() => parameter.number().ok_or_else(|| wrong("a number")),
            Some(DataType::Boolean) => match parameter.text.to_ascii_lowercase().as_str() {
                "true" => Ok(ScalarValue::from(true)),
                "false" => Ok(ScalarValue::from(false)),
                _ => Err(wrong("true or false")),
            },
            _ => Ok(ScalarValue::from(parameter.text.as_str())),
        }
    }
}

/// The names of the parameters in a text of SQL, without the dollar sign.
fn named_in(sql: &str) -> BTreeSet<String> {
    let mut tokens = Vec::new();
    // What can't be read is found where it is planned.
    let _ = Tokenizer::new(&PostgreSqlDialect {}, sql).tokenize_with_location_into_buf(&mut tokens);
    let names = tokens.into_iter().filter_map(|token| match token.token {
        Token::Placeholder(name) => name.strip_prefix('$').map(str::to_owned),
        _ => None,
    });
    names.collect()
}

/// Writes parameters into a syntax tree.
struct Writer<'a> {
    parameters: &'a Parameters,
    numbers: bool,
}

impl Writer<'_> {
    /// Marks a parameter whose type comes from what it is compared with.
    fn mark(&self, expr: &mut SqlExpr) {
        if let SqlExpr::Value(value) = expr
            && let Value::Placeholder(name) = &mut value.value
            && let Some(plain) = name.strip_prefix('$')
            && self.parameters.0.contains_key(plain)
        {
            *name = format!("{COMPARED}{plain}");
        }
    }

    fn literal(&self, name: &str) -> Option<Value> {
        let parameter = self.parameters.0.get(name.strip_prefix('$')?)?;
        let number = parameter
            .number()
            .filter(|_| self.numbers && parameter.may_be_number);
        Some(match number {
            Some(number) => Value::Number(number.to_string(), false),
            None => Value::SingleQuotedString(parameter.text.clone()),
        })
    }
}

fn compares(op: &BinaryOperator) -> bool {
    use BinaryOperator::{Eq, Gt, GtEq, Lt, LtEq, NotEq};
    matches!(op, Eq | NotEq | Lt | LtEq | Gt | GtEq)
}

impl VisitorMut for Writer<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut SqlExpr) -> ControlFlow<()> {
        match expr {
            SqlExpr::BinaryOp { left, op, right } if compares(op) => {
                self.mark(left);
                self.mark(right);
            }
            SqlExpr::IsDistinctFrom(left, right) | SqlExpr::IsNotDistinctFrom(left, right) => {
                self.mark(left);
                self.mark(right);
            }
            SqlExpr::Between { low, high, .. } => {
                self.mark(low);
                self.mark(high);
            }
            SqlExpr::InList { list, .. } => list.iter_mut().for_each(|item| self.mark(item)),
            SqlExpr::Like { pattern, .. } | SqlExpr::ILike { pattern, .. } => self.mark(pattern),
            SqlExpr::Value(value) => {
                if let Value::Placeholder(name) = &value.value
                    && let Some(literal) = self.literal(name)
                {
                    value.value = literal;
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}
