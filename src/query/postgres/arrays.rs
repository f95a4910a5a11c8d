//! Arrays and structs in the engine's terms. Its `= ANY` takes no text for a time, and a NULL for a value that is not
//! equal; its casts of arrays read fewer texts than those of single values.

use std::mem;

use datafusion::sql::sqlparser::ast::{
    AccessExpr, Array, ArrayElemTypeDef, BinaryOperator, CastKind, DataType, Expr, Ident,
    Subscript, Value, ValueWithSpan,
};

use super::{constant, text_of};

/// Puts an expression into the engine's terms.
pub(super) fn translate(expr: &mut Expr) {
    match expr {
        Expr::AnyOp {
            left,
            compare_op,
            right,
            ..
        } => {
            if let Some(translated) = quantified(left, compare_op, right, BinaryOperator::Or) {
                *expr = translated;
            }
        }
        Expr::AllOp {
            left,
            compare_op,
            right,
        } => {
            if let Some(translated) = quantified(left, compare_op, right, BinaryOperator::And) {
                *expr = translated;
            }
        }
        Expr::Cast { .. } => cast_of_array(expr),
        Expr::CompoundFieldAccess { access_chain, .. } => {
            access_chain.iter_mut().for_each(member);
        }
        _ => {}
    }
}

/// `x = ANY (ARRAY[a, b])` as `x IN (a, b)`, also of a sub-select, and with another operator as comparisons that are joined
/// by `junction`.
fn quantified(
    left: &Expr,
    op: &BinaryOperator,
    right: &Expr,
    junction: BinaryOperator,
) -> Option<Expr> {
    let negated = match (op, &junction) {
        (BinaryOperator::Eq, BinaryOperator::Or) => Some(false),
        (BinaryOperator::NotEq, BinaryOperator::And) => Some(true),
        _ => None,
    };
    if let (Expr::Subquery(subquery), Some(negated)) = (right, negated) {
        return Some(Expr::InSubquery {
            expr: Box::new(left.clone()),
            subquery: subquery.clone(),
            negated,
        });
    }
    let values = values_of(right)?;
    if let Some(negated) = negated {
        return Some(Expr::Nested(Box::new(Expr::InList {
            expr: Box::new(left.clone()),
            list: values,
            negated,
        })));
    }
    let compare = |value| binary(left.clone(), op.clone(), value);
    let joined = values.into_iter().map(compare);
    let joined = joined.reduce(|one, other| binary(one, junction.clone(), other))?;
    Some(Expr::Nested(Box::new(joined)))
}

fn binary(left: Expr, op: BinaryOperator, right: Expr) -> Expr {
    Expr::BinaryOp {
        left: Box::new(left),
        op,
        right: Box::new(right),
    }
}

/// The values of an array that is written in the query, as `ARRAY[…]` or as `'{…}'`; `None` where there are none.
fn values_of(expr: &Expr) -> Option<Vec<Expr>> {
    if let Some(written) = constant(expr) {
        let text = text_of(&written.value)?;
        let inner = text.trim().strip_prefix('{')?.strip_suffix('}')?;
        if inner.is_empty() || inner.contains(['"', '\\', '{', '}']) {
            return None;
        }
        let values = inner.split(',').map(str::trim).map(|value| {
            let value = match value.eq_ignore_ascii_case("null") {
                true => Value::Null,
                false => Value::SingleQuotedString(value.to_owned()),
            };
            Expr::Value(ValueWithSpan {
                value,
                span: written.span,
            })
        });
        return Some(values.collect());
    }
    match expr {
        Expr::Nested(inner) => values_of(inner),
        Expr::Array(Array { elem, .. }) if !elem.is_empty() => Some(elem.clone()),
        _ => None,
    }
}

/// `ARRAY[a, b]::t[]` as `ARRAY[a::t, b::t]`.
fn cast_of_array(expr: &mut Expr) {
    let Expr::Cast {
        kind,
        expr: operand,
        data_type: DataType::Array(ArrayElemTypeDef::SquareBracket(of, _)),
        ..
    } = expr
    else {
        return;
    };
    let Expr::Array(Array { elem, named }) = operand.as_mut() else {
        return;
    };
    let is_lenient = matches!(kind, CastKind::TryCast | CastKind::SafeCast);
    if elem.is_empty() || is_lenient {
        return;
    }
    let cast = |value| Expr::Cast {
        kind: CastKind::Cast,
        expr: Box::new(value),
        data_type: (**of).clone(),
        array: false,
        format: None,
    };
    let elem = mem::take(elem).into_iter().map(cast).collect();
    *expr = Expr::Array(Array {
        elem,
        named: *named,
    });
}

/// `(x).member` as `x['member']`.
fn member(access: &mut AccessExpr) {
    if let AccessExpr::Dot(Expr::Identifier(name)) = access {
        let name = mem::replace(name, Ident::new(""));
        let value = match name.quote_style {
            Some(_) => name.value,
            None => name.value.to_lowercase(),
        };
        let index = Expr::Value(ValueWithSpan {
            value: Value::SingleQuotedString(value),
            span: name.span,
        });
        *access = AccessExpr::Subscript(Subscript::Index { index });
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::text;

    #[tokio::test]
    async fn any_and_all_of_an_array_are_those_of_its_values() {
        for (sql, expected) in [
            ("1 = ANY (ARRAY[1, 2])", Some("true")),
            ("3 = ANY (ARRAY[1, 2])", Some("false")),
            ("3 = ANY (ARRAY[1, NULL])", None),
            ("NOT (3 = ANY (ARRAY[1, NULL]))", None),
            ("3 = SOME (ARRAY[3])", Some("true")),
            ("3 <> ALL (ARRAY[1, 2])", Some("true")),
            ("3 <> ANY (ARRAY[3, 2])", Some("true")),
            ("3 > ALL (ARRAY[1, 2])", Some("true")),
            ("3 > ALL (ARRAY[1, 4])", Some("false")),
            ("1 > ANY (ARRAY[1, 4])", Some("false")),
            ("'b' = ANY ('{a, b}')", Some("true")),
            ("2 = ANY ('{1,2}')", Some("true")),
            ("'c' <> ALL ('{a,b}')", Some("true")),
            (
                "now() = ANY (ARRAY['2026-11-21 09:00', '2026-11-21'])",
                Some("false"),
            ),
            (
                "timestamptz '2026-11-21 09:00' = ANY (ARRAY['2026-11-21 09']::timestamptz[])",
                Some("true"),
            ),
            ("(ARRAY['1', '2']::int[])[2] + 1", Some("3")),
        ] {
            let found = text(sql).await.unwrap();
            assert_eq!(found.as_deref(), expected, "{sql}");
        }
        let error = text("now() = ANY (ARRAY['2026-11-21 09', 'soon'])").await;
        assert!(error.unwrap_err().to_string().contains("soon"));
    }

    #[tokio::test]
    async fn a_member_of_a_struct_is_behind_a_point_too() {
        let report = "lambda_report('REPORT RequestId: 1\tDuration: 7.5 ms\tBilled Duration: 8 ms\tMemory Size: 128 MB\tMax Memory Used: 64 MB')";
        for sql in [
            format!("({report}).duration_ms"),
            format!("{report}.Duration_MS"),
            format!("{report}['duration_ms']"),
        ] {
            assert_eq!(text(&sql).await.unwrap().as_deref(), Some("7.5"), "{sql}");
        }
    }
}
