//! `from_unixtime`, whose answer is an instant. The engine's own has no zone, and would be taken for a local time.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature,
    TypeSignature, Volatility,
};

use super::super::described;

/// `from_unixtime(seconds)` and `from_unixtime(seconds, zone)`: the instant so many seconds after 1970-01-01T00:00Z.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct FromUnixtime {
    session_zone: Arc<str>,
    signature: Signature,
}

impl FromUnixtime {
    /// For a session in a zone.
    pub fn new(session_zone: &Arc<str>) -> Self {
        Self {
            session_zone: Arc::clone(session_zone),
            signature: Signature::one_of(
                vec![
                    TypeSignature::Exact(vec![DataType::Int64]),
                    TypeSignature::Exact(vec![DataType::Int64, DataType::Utf8]),
                ],
                Volatility::Immutable,
            ),
        }
    }
}

impl ScalarUDFImpl for FromUnixtime {
    fn name(&self) -> &str {
        "from_unixtime"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        let zone = Some(Arc::clone(&self.session_zone));
        Ok(DataType::Timestamp(TimeUnit::Second, zone))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let zone = match args.scalar_arguments {
            [_] => Arc::clone(&self.session_zone),
            [_, Some(zone)] => match zone.try_as_str() {
                Some(Some(zone)) => zone.into(),
                _ => return exec_err!("from_unixtime: time zone {zone}: expected a text"),
            },
            _ => return exec_err!("from_unixtime: expected a constant time zone"),
        };
        let instant = DataType::Timestamp(TimeUnit::Second, Some(zone));
        Ok(Arc::new(Field::new(self.name(), instant, true)))
    }

    fn documentation(&self) -> Option<&Documentation> {
        described::of(self.name())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match args.args.as_slice() {
            [seconds, ..] => seconds.cast_to(args.return_field.data_type(), None),
            _ => exec_err!("from_unixtime: expected seconds since 1970"),
        }
    }
}
