//! Whether a bucket's policy lets CloudWatch's export service write: IAM's rules, as far as such policies use them.

use serde_json::Value;

/// A request that the service makes.
#[derive(Debug, Clone)]
pub struct ServiceRequest<'a> {
    /// The service's principal, such as `logs.ap-northeast-2.amazonaws.com`.
    pub service: &'a str,
    /// The action.
    pub action: &'a str,
    /// The ARN that it acts on.
    pub resource: &'a str,
    /// The values of condition keys. A key may have several, any of which may be the request's.
    pub context: &'a [(&'a str, Vec<String>)],
}

/// What a policy says of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// A statement allows it, and none denies it.
    Allowed,
    /// No statement allows it.
    NotAllowed,
    /// This statement denies it.
    Denied(String),
    /// It depends on a condition that is not known here.
    Unknown(String),
}

/// What the policy says of the request.
pub fn evaluate(policy: &Value, request: &ServiceRequest<'_>) -> Verdict {
    let statements = match &policy["Statement"] {
        Value::Array(statements) => &statements[..],
        one => std::slice::from_ref(one),
    };
    let mut is_allowed = false;
    let mut unknown = None;
    for (number, statement) in statements.iter().enumerate() {
        let name = match statement["Sid"].as_str() {
            Some(sid) => sid.to_owned(),
            None => format!("statement {}", number + 1),
        };
        let denies = match statement["Effect"].as_str() {
            Some("Allow") => false,
            Some("Deny") => true,
            _ => continue,
        };
        match (applies(statement, request), denies) {
            (Some(false), _) => {}
            (Some(true), true) => return Verdict::Denied(name),
            (Some(true), false) => is_allowed = true,
            (None, _) => unknown = Some(name),
        }
    }
    match (is_allowed, unknown) {
        (_, Some(name)) => Verdict::Unknown(name),
        (true, None) => Verdict::Allowed,
        (false, None) => Verdict::NotAllowed,
    }
}

/// Whether a statement is about the request; `None` where that is not known.
fn applies(statement: &Value, request: &ServiceRequest<'_>) -> Option<bool> {
    let names = |key: &str, not: &str, is_match: &dyn Fn(&str) -> bool| match &statement[key] {
        Value::Null => !texts(&statement[not]).any(is_match),
        value => texts(value).any(is_match),
    };
    let is_action = |pattern: &str| {
        let (pattern, action) = (pattern.to_lowercase(), request.action.to_lowercase());
        matches(&pattern, &action)
    };
    let is_about = names("Action", "NotAction", &is_action)
        && names("Resource", "NotResource", &|pattern| {
            matches(pattern, request.resource)
        })
        && match &statement["Principal"] {
            Value::Null => !is_principal(&statement["NotPrincipal"], request.service),
            principal => is_principal(principal, request.service),
        };
    if !is_about {
        return Some(false);
    }
    let Some(conditions) = statement["Condition"].as_object() else {
        return Some(true);
    };
    let mut holds = Some(true);
    for (operator, keys) in conditions {
        for (key, wanted) in keys.as_object().into_iter().flatten() {
            match condition(operator, key, wanted, request) {
                Some(true) => {}
                Some(false) => return Some(false),
                None => holds = None,
            }
        }
    }
    holds
}

fn is_principal(principal: &Value, service: &str) -> bool {
    match principal {
        Value::String(everyone) => everyone == "*",
        principal => {
            texts(&principal["Service"]).any(|one| one == service || one == "*")
                || texts(&principal["AWS"]).any(|one| one == "*")
        }
    }
}

/// Whether a condition holds; `None` for an operator or a key that is not known here.
fn condition(
    operator: &str,
    key: &str,
    wanted: &Value,
    request: &ServiceRequest<'_>,
) -> Option<bool> {
    let found = request
        .context
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(key));
    let (operator, if_exists) = match operator.strip_suffix("IfExists") {
        Some(operator) => (operator, true),
        None => (operator, false),
    };
    let Some((_, values)) = found else {
        return if_exists.then_some(true);
    };
    let compare = |is_match: &dyn Fn(&str, &str) -> bool| {
        values
            .iter()
            .any(|value| texts(wanted).any(|pattern| is_match(pattern, value)))
    };
    let is_equal = |pattern: &str, value: &str| pattern == value;
    Some(match operator {
        "StringEquals" => compare(&is_equal),
        "StringEqualsIgnoreCase" | "Bool" => {
            compare(&|pattern, value| pattern.eq_ignore_ascii_case(value))
        }
        "StringLike" | "ArnLike" | "ArnEquals" => compare(&matches),
        "StringNotEquals" => !compare(&is_equal),
        "StringNotLike" | "ArnNotLike" | "ArnNotEquals" => !compare(&matches),
        _ => return None,
    })
}

/// The texts of a value that may be one or a list. Booleans are texts too.
fn texts(value: &Value) -> impl Iterator<Item = &str> {
    let values = match value {
        Value::Array(values) => &values[..],
        one => std::slice::from_ref(one),
    };
    values.iter().filter_map(|value| match value {
        Value::String(text) => Some(text.as_str()),
        Value::Bool(true) => Some("true"),
        Value::Bool(false) => Some("false"),
        _ => None,
    })
}

/// Whether a text is what a pattern of IAM means, in which `*` is any text and `?` any character.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    // Where to go on behind the last `*`, and from which character of the text.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p + 1, t));
                p += 1;
            }
            Some(c) if *c == '?' || *c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((behind, from)) => {
                    star = Some((behind, from + 1));
                    p = behind;
                    t = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn verdict(policy: &Value) -> Verdict {
        let context = [
            ("aws:SourceAccount", vec!["123456789012".to_owned()]),
            (
                "aws:SourceArn",
                vec!["arn:aws:logs:eu-west-1:123456789012:log-group:/a:*".to_owned()],
            ),
            ("aws:SecureTransport", vec!["true".to_owned()]),
            ("s3:x-amz-acl", vec!["bucket-owner-full-control".to_owned()]),
        ];
        evaluate(
            policy,
            &ServiceRequest {
                service: "logs.eu-west-1.amazonaws.com",
                action: "s3:PutObject",
                resource: "arn:aws:s3:::acme-logs/exports/night/x",
                context: &context,
            },
        )
    }

    fn allow(change: impl FnOnce(&mut Value)) -> Value {
        let mut statement = json!({
            "Sid": "Writes",
            "Effect": "Allow",
            "Principal": {"Service": "logs.eu-west-1.amazonaws.com"},
            "Action": ["s3:PutObject"],
            "Resource": "arn:aws:s3:::acme-logs/exports/*",
            "Condition": {
                "StringEquals": {"aws:SourceAccount": ["123456789012"], "s3:x-amz-acl": "bucket-owner-full-control"},
                "ArnLike": {"aws:SourceArn": "arn:aws:logs:eu-west-1:123456789012:log-group:*"},
            },
        });
        change(&mut statement);
        json!({"Statement": [statement]})
    }

    #[test]
    fn a_policy_allows_what_all_parts_of_a_statement_name() {
        assert_eq!(verdict(&allow(|_| {})), Verdict::Allowed);
        assert_eq!(
            verdict(&allow(|one| one["Action"] = "S3:put*".into())),
            Verdict::Allowed
        );
        let wrong: [fn(&mut Value); 5] = [
            |one| one["Principal"] = json!({"Service": "logs.us-east-1.amazonaws.com"}),
            |one| one["Action"] = "s3:GetObject".into(),
            |one| one["Resource"] = "arn:aws:s3:::acme-logs/other/*".into(),
            |one| one["Condition"]["StringEquals"]["aws:SourceAccount"] = "999999999999".into(),
            |one| {
                one["Condition"]["ArnLike"]["aws:SourceArn"] =
                    "arn:aws:logs:eu-west-1:123456789012:log-group:/b*".into();
            },
        ];
        for change in wrong {
            let policy = allow(change);
            assert_eq!(verdict(&policy), Verdict::NotAllowed, "{policy}");
        }
    }

    #[test]
    fn a_denial_wins_and_an_unknown_condition_is_no_answer() {
        let mut policy = allow(|_| {});
        let tls_only = json!({
            "Sid": "TlsOnly", "Effect": "Deny", "Principal": "*", "Action": "s3:*",
            "Resource": "*", "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        });
        policy["Statement"].as_array_mut().unwrap().push(tls_only);
        assert_eq!(verdict(&policy), Verdict::Allowed);
        policy["Statement"][1]["Condition"] =
            json!({"StringNotEquals": {"aws:SourceVpc": "vpc-1"}});
        assert_eq!(verdict(&policy), Verdict::Unknown("TlsOnly".to_owned()));
        policy["Statement"][1]["Condition"] = Value::Null;
        assert_eq!(verdict(&policy), Verdict::Denied("TlsOnly".to_owned()));
        assert_eq!(verdict(&json!({})), Verdict::NotAllowed);
    }

    #[test]
    fn patterns_are_those_of_iam() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("a*c?", "abbcd", true),
            ("a*c", "abcb", false),
            (
                "arn:*:log-group:/a*",
                "arn:aws:logs:x:1:log-group:/ab:*",
                true,
            ),
            ("a", "ab", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }
}
