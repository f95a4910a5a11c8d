//! What functions say of themselves, for `\df`, `docs/functions.md` and `information_schema.routines`: those of this crate,
//! and those of other crates that say nothing.

mod json;
mod messages;
mod tables;
mod times;

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result};
use datafusion::execution::FunctionRegistry;
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::{
    ColumnarValue, DocSection, Documentation, DocumentationBuilder, Expr, ReturnFieldArgs,
    ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};

/// A function in the words of its users.
struct Description {
    name: &'static str,
    /// A call, such as `level(message)`.
    syntax: &'static str,
    /// What it answers.
    answers: &'static str,
    /// Each argument with what it is.
    arguments: &'static [(&'static str, &'static str)],
    /// A query without its semicolon, and its answer in UTC as a table.
    example: (&'static str, &'static str),
}

impl Description {
    fn documentation(&self, section: DocSection) -> Documentation {
        let (sql, answer) = self.example;
        let example = format!("```sql\n> {sql};\n{}", answer.trim());
        let example = format!("{}\n```", example.trim_end());
        let described = Documentation::builder(section, self.answers, self.syntax);
        let described = described.with_sql_example(example);
        let add = |described: DocumentationBuilder, (name, is): &(&str, &str)| {
            described.with_argument(*name, *is)
        };
        self.arguments.iter().fold(described, add).build()
    }
}

static DESCRIBED: LazyLock<HashMap<&'static str, Documentation>> = LazyLock::new(|| {
    let section = |label| DocSection {
        include: true,
        label,
        description: None,
    };
    let sections = [
        ("Local time", times::DESCRIPTIONS),
        ("Messages", messages::DESCRIPTIONS),
        ("JSON", json::DESCRIPTIONS),
        ("Tables", tables::DESCRIPTIONS),
    ];
    let all = sections.into_iter().flat_map(|(label, descriptions)| {
        let described = descriptions.iter();
        described.map(move |of| (of.name, of.documentation(section(label))))
    });
    all.collect()
});

/// What a function of this crate says of itself.
pub fn of(name: &str) -> Option<&'static Documentation> {
    DESCRIBED.get(name)
}

/// Puts a description to each function of a session that has none itself.
pub fn describe_others(context: &mut dyn FunctionRegistry) -> Result<()> {
    for name in DESCRIBED.keys() {
        // Some are of tables, and not of values.
        let Ok(inner) = context.udf(name) else {
            continue;
        };
        if inner.documentation().is_none() {
            let described = ScalarUDF::from(Described { inner });
            context.register_udf(Arc::new(described))?;
        }
    }
    Ok(())
}

/// The function that plans have for one of a session.
#[cfg(feature = "cluster")]
pub fn undescribed(function: &Arc<ScalarUDF>) -> &Arc<ScalarUDF> {
    match function.inner().downcast_ref::<Described>() {
        Some(described) => &described.inner,
        None => function,
    }
}

/// A function of another crate with a description. Plans have the function itself: rules of that crate look for it by its
/// type, and [`WithoutDescription`] runs before them.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Described {
    inner: Arc<ScalarUDF>,
}

impl ScalarUDFImpl for Described {
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

    fn is_strict(&self) -> bool {
        self.inner.inner().is_strict()
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.inner.invoke_with_args(args)
    }

    fn documentation(&self) -> Option<&Documentation> {
        of(self.inner.name())
    }
}

/// Puts functions in the place of their described forms, before any other rule sees a plan.
#[derive(Debug)]
pub struct WithoutDescription;

impl FunctionRewrite for WithoutDescription {
    fn name(&self) -> &'static str {
        "WithoutDescription"
    }

    fn rewrite(&self, expr: Expr, _: &DFSchema, _: &ConfigOptions) -> Result<Transformed<Expr>> {
        let Expr::ScalarFunction(mut call) = expr else {
            return Ok(Transformed::no(expr));
        };
        let Some(described) = call.func.inner().downcast_ref::<Described>() else {
            return Ok(Transformed::no(Expr::ScalarFunction(call)));
        };
        call.func = Arc::clone(&described.inner);
        Ok(Transformed::yes(Expr::ScalarFunction(call)))
    }
}
