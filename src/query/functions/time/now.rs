//! `now()` and `current_timestamp`.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use super::super::described;
use super::instants_in;

/// `now()` and `current_timestamp`: the start of the query, in milliseconds like the column `timestamp`. The engine's own
/// `now()` is in nanoseconds, so `timestamp` can't be subtracted from it.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Now {
    session_zone: Arc<str>,
    signature: Signature,
    aliases: [String; 1],
}

impl Now {
    /// For a session in a zone.
    pub fn new(session_zone: &Arc<str>) -> Self {
        Self {
            session_zone: Arc::clone(session_zone),
            signature: Signature::nullary(Volatility::Stable),
            aliases: ["current_timestamp".to_owned()],
        }
    }
}

impl ScalarUDFImpl for Now {
    fn name(&self) -> &str {
        "now"
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(instants_in(&self.session_zone))
    }

    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        let Some(began) = info.query_execution_start_time() else {
            return Ok(ExprSimplifyResult::Original(args));
        };
        let zone = Some(Arc::clone(&self.session_zone));
        let now = ScalarValue::TimestampMillisecond(Some(began.timestamp_millis()), zone);
        Ok(ExprSimplifyResult::Simplified(Expr::Literal(now, None)))
    }

    fn documentation(&self) -> Option<&Documentation> {
        described::of(self.name())
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        exec_err!("now() has no value: expected the start time of the query")
    }
}
