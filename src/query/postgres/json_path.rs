//! `json_get(message, '$.a.b[0]')` as `json_get(message, 'a', 'b', 0)`: paths of SQL/JSON, of Athena and of MySQL, as the
//! steps that the engine's functions take.

use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Value, ValueWithSpan,
};

use super::{constant, text_of, unreadable};
use crate::error::Result;

/// A step from a value to one within it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum PathStep {
    /// A member of an object.
    Member(String),
    /// An element of an array, from 0.
    Element(u64),
}

/// Puts the path of a function of JSON into the engine's terms.
pub(super) fn translate(expr: &mut Expr) -> Result<()> {
    let Expr::Function(Function {
        name,
        args: FunctionArguments::List(arguments),
        ..
    }) = expr
    else {
        return Ok(());
    };
    let name = name.to_string().to_lowercase();
    let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(path))) = arguments.args.get(1) else {
        return Ok(());
    };
    let Some(written) = constant(path).filter(|_| name.starts_with("json_")) else {
        return Ok(());
    };
    let text = text_of(&written.value).unwrap_or_default();
    if !is_path(&text) {
        return Ok(());
    }
    let span = written.span;
    let steps =
        steps(&text).map_err(|why| unreadable(format!("{name}: the path '{text}' {why}")))?;
    let steps = steps.into_iter().map(|step| {
        let value = match step {
            PathStep::Member(name) => Value::SingleQuotedString(name),
            PathStep::Element(index) => Value::Number(index.to_string(), false),
        };
        let value = Expr::Value(ValueWithSpan { value, span });
        FunctionArg::Unnamed(FunctionArgExpr::Expr(value))
    });
    arguments.args.splice(1..2, steps);
    Ok(())
}

/// Whether a text is a path, and not the name of a member.
pub(in super::super) fn is_path(text: &str) -> bool {
    text == "$" || text.starts_with("$.") || text.starts_with("$[")
}

/// The steps of a path, or why it has none that can be gone.
pub(in super::super) fn steps(path: &str) -> std::result::Result<Vec<PathStep>, String> {
    let mut steps = Vec::new();
    let mut rest = path.strip_prefix('$').unwrap_or(path);
    let no_step = |part: &str| {
        format!(
            "has {part}, which is no step: expected names and numbers, as in '$.items[0].id' or '$.items[0][''the id'']'"
        )
    };
    while !rest.is_empty() {
        if let Some(inner) = rest.strip_prefix('[') {
            let quote = inner
                .chars()
                .next()
                .filter(|quote| matches!(quote, '\'' | '"'));
            if let Some(quote) = quote {
                let end = inner[1..].find(quote).map(|end| end + 1);
                let end = end.filter(|end| inner[end + 1..].starts_with(']'));
                let Some(end) = end else {
                    return Err(no_step(&format!("[{inner}")));
                };
                steps.push(PathStep::Member(inner[1..end].to_owned()));
                rest = &inner[end + 2..];
                continue;
            }
            let Some((index, after)) = inner.split_once(']') else {
                return Err(no_step(&format!("[{inner}")));
            };
            match index.trim().parse() {
                Ok(index) => steps.push(PathStep::Element(index)),
                Err(_) => return Err(no_step(&format!("[{index}]"))),
            }
            rest = after;
        } else if let Some(inner) = rest.strip_prefix(".\"") {
            let Some((name, after)) = inner.split_once('"') else {
                return Err(no_step(rest));
            };
            steps.push(PathStep::Member(name.to_owned()));
            rest = after;
        } else if let Some(inner) = rest.strip_prefix('.') {
            let end = inner.find(['.', '[']).unwrap_or(inner.len());
            let (name, after) = inner.split_at(end);
            if name.is_empty() || name == "*" || name.contains([' ', '?', '(', '@']) {
                return Err(no_step(&format!(".{name}")));
            }
            steps.push(PathStep::Member(name.to_owned()));
            rest = after;
        } else {
            return Err(no_step(rest));
        }
    }
    Ok(steps)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::postgres::tests::text;
    use proptest::prelude::*;

    #[tokio::test]
    async fn a_path_leads_to_what_its_steps_lead_to() {
        let json = r#"'{"a":{"b":[1,{"c d":"x"}]},"n":2.5,"$":0}'"#;
        for (call, expected) in [
            ("json_get_int(J, '$.a.b[0]')", Some("1")),
            ("json_as_text(J, '$.a.b[1][''c d'']')", Some("x")),
            ("json_get_str(J, '$.a[\"b\"][1].\"c d\"')", Some("x")),
            ("json_get_float(J, '$.n')", Some("2.5")),
            ("json_contains(J, '$.a.b[1]')", Some("true")),
            ("json_length(J, '$.a.b')", Some("2")),
            ("json_get(J, '$.a')->>'b'", Some(r#"[1,{"c d":"x"}]"#)),
            ("json_as_text(J, '$.a.nope[3]')", None),
            ("json_get_int(J, '$')", None),
        ] {
            let sql = call.replace('J', json);
            let found = text(&sql)
                .await
                .unwrap_or_else(|error| panic!("{call}: {error}"));
            assert_eq!(found.as_deref(), expected, "{call}");
        }
        for (path, part) in [
            ("$.a[*]", "[*]"),
            ("$..b", "."),
            ("$.a.*", ".*"),
            ("$.a[-1]", "[-1]"),
            ("$.a[0:2]", "[0:2]"),
            ("$.a[?(@.b)]", "[?(@.b)]"),
            ("$.a[", "["),
        ] {
            let error = text(&format!("json_get_str({json}, '{path}')"))
                .await
                .unwrap_err();
            let said = error.to_string();
            assert!(said.contains("is no step") && said.contains(part), "{said}");
        }
    }

    proptest! {
        #[test]
        fn any_path_is_read(path in "[$.a\\[\\]0'\"* ]{0,16}") {
            let _ = steps(&path);
        }
    }
}
