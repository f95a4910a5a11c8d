//! `parse_logfmt`, `parse_access_log` and `message_json`: functions of a message alone.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

use super::super::time::with_clock;
use super::super::{one_text, over_array, text_type};
use super::{access_log, documented, logfmt, message_json};
use crate::window::zone::Zone;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum What {
    Logfmt,
    AccessLog,
    Json,
}

/// One of the functions.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Parse {
    what: What,
    session_zone: Arc<str>,
    signature: Signature,
}

impl Parse {
    pub(super) fn all(zone: &Arc<str>) -> [Self; 3] {
        [What::Logfmt, What::AccessLog, What::Json].map(|what| Self {
            what,
            session_zone: Arc::clone(zone),
            signature: Signature::user_defined(Volatility::Immutable),
        })
    }

    fn answers(&self, array: &ArrayRef) -> Result<ArrayRef> {
        let messages = array.as_string_view();
        match self.what {
            What::Logfmt => Ok(logfmt::maps(messages)?),
            What::Json => Ok(message_json::objects(messages)?),
            What::AccessLog => {
                let zone: Zone = match self.session_zone.parse() {
                    Ok(zone) => zone,
                    Err(error) => return exec_err!("{}: {error}", self.name()),
                };
                with_clock(zone, |clock| {
                    access_log::lines(messages, &self.session_zone, clock)
                })
            }
        }
    }
}

impl ScalarUDFImpl for Parse {
    fn name(&self) -> &str {
        match self.what {
            What::Logfmt => "parse_logfmt",
            What::AccessLog => "parse_access_log",
            What::Json => "message_json",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        one_text(self.name(), types)
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(match self.what {
            What::Logfmt => logfmt::map_type(),
            What::AccessLog => access_log::access_type(&self.session_zone),
            What::Json => DataType::Utf8View,
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [messages] = args.args.as_slice() else {
            return exec_err!("{}: expected one text", self.name());
        };
        over_array(messages, |array| self.answers(array))
    }

    fn documentation(&self) -> Option<&Documentation> {
        documented::of(self.name())
    }
}

/// Replaces `parse_logfmt(message)['ms']` by a function that looks for this key only, and makes no maps.
#[derive(Debug)]
pub struct LogfmtMembers;

impl FunctionRewrite for LogfmtMembers {
    fn name(&self) -> &str {
        "logfmt_members"
    }

    fn rewrite(&self, expr: Expr, _: &DFSchema, _: &ConfigOptions) -> Result<Transformed<Expr>> {
        if let Expr::ScalarFunction(call) = &expr
            && call.name() == "get_field"
            && let [Expr::ScalarFunction(map), Expr::Literal(key, _)] = call.args.as_slice()
            && map.func.inner().is::<Parse>()
            && map.name() == "parse_logfmt"
            && let Some(Some(_)) = key.try_as_str()
        {
            let arguments = vec![map.args[0].clone(), Expr::Literal(key.clone(), None)];
            let value = ScalarUDF::from(LogfmtValue::new());
            let value = ScalarFunction::new_udf(Arc::new(value), arguments);
            return Ok(Transformed::yes(Expr::ScalarFunction(value)));
        }
        Ok(Transformed::no(expr))
    }
}

/// The function that takes the place of members of maps, which no query can name.
#[cfg(feature = "cluster")]
pub fn logfmt_value() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(LogfmtValue::new()))
}

/// `logfmt_value(message, 'ms')`
#[derive(Debug, PartialEq, Eq, Hash)]
struct LogfmtValue {
    signature: Signature,
}

impl LogfmtValue {
    fn new() -> Self {
        Self {
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }
}

impl ScalarUDFImpl for LogfmtValue {
    fn name(&self) -> &str {
        "logfmt_value"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [message, key] => Ok(vec![text_type(self.name(), message)?, key.clone()]),
            _ => plan_err!("{}: expected a message and a key", self.name()),
        }
    }

    // Utf8 as in the map, so that the query's columns stay of their types.
    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [messages, ColumnarValue::Scalar(key)] = args.args.as_slice() else {
            return exec_err!("{}: expected a message and a key", self.name());
        };
        let Some(Some(key)) = ScalarValue::try_as_str(key) else {
            return exec_err!("{}: expected a key that is a text", self.name());
        };
        over_array(messages, |array| {
            let values = logfmt::values(array.as_string_view(), key)?;
            Ok(arrow::compute::cast(&values, &DataType::Utf8)?)
        })
    }
}
