//! `to_timestamp(text, template, …)` and its like: the engine reads the texts in the session's zone, and forgets the zone
//! in what it returns for a column.

use arrow::array::make_array;
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};

/// The engine's function, with the type that it promises.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct ByTemplate {
    engines: ScalarUDF,
    /// The promised type: instants of the session's zone.
    to: DataType,
}

impl ByTemplate {
    /// For one of the engine's functions, which promises `to`.
    pub fn new(engines: &ScalarUDF, to: DataType) -> Self {
        Self {
            engines: engines.clone(),
            to,
        }
    }
}

impl ScalarUDFImpl for ByTemplate {
    fn name(&self) -> &str {
        "timestamp_by_template"
    }

    fn signature(&self) -> &Signature {
        self.engines.signature()
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.to.clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let read = self.engines.inner().invoke_with_args(args)?;
        let read = read.into_array(rows)?.to_data().into_builder();
        Ok(ColumnarValue::Array(make_array(
            read.data_type(self.to.clone()).build()?,
        )))
    }
}
