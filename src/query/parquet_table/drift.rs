//! Files whose columns are not those of the table: what is read as the table's type, and what is an error.

use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};
use datafusion::error::Result as EngineResult;
use datafusion::physical_expr_adapter::{
    DefaultPhysicalExprAdapterFactory, PhysicalExprAdapter, PhysicalExprAdapterFactory,
};

use crate::error::{Class, Error};
use crate::query::errors::type_name;

/// Reads a column of a file as the table's type where every value stays what it is.
#[derive(Debug)]
pub(in crate::query) struct OnlyWider {
    /// The key of a file's metadata that says which window it is of.
    pub(in crate::query) window_key: Arc<str>,
}

impl PhysicalExprAdapterFactory for OnlyWider {
    fn create(
        &self,
        table: SchemaRef,
        file: SchemaRef,
    ) -> EngineResult<Arc<dyn PhysicalExprAdapter>> {
        for column in file.fields() {
            let Ok(wanted) = table.field_with_name(column.name()) else {
                continue;
            };
            if !widens(column.data_type(), wanted.data_type()) {
                let of_window = file.metadata().get(&*self.window_key);
                let of_window = of_window.map(|id| format!(" in window {id}"));
                let what = format!(
                    "the column {:?} is {}{} and {} in the table, and no table has both: expected one type in every file",
                    column.name(),
                    type_name(column.data_type()),
                    of_window.unwrap_or_else(|| " in a file".to_owned()),
                    type_name(wanted.data_type()),
                );
                return Err(Error::new(Class::Damaged, what).into());
            }
        }
        DefaultPhysicalExprAdapterFactory.create(table, file)
    }
}

/// Whether values of one type are read as another that holds as much: text as text, numbers as wider ones.
pub fn widens(from: &DataType, to: &DataType) -> bool {
    use DataType::{
        Binary, BinaryView, Date32, Decimal128, Float32, Float64, Int8, Int16, Int32, Int64,
        LargeBinary, LargeUtf8, List, Map, Null, Struct, Timestamp, UInt8, UInt16, UInt32, UInt64,
        Utf8, Utf8View,
    };
    match (from, to) {
        (from, to) if from == to => true,
        (Null, _) => true,
        (Utf8 | LargeUtf8 | Utf8View, Utf8 | LargeUtf8 | Utf8View)
        | (Binary | LargeBinary | BinaryView, Binary | LargeBinary | BinaryView)
        | (Int8 | UInt8, Int16 | Int32 | Int64)
        | (Int16 | UInt16, Int32 | Int64)
        | (Int32 | UInt32, Int64)
        | (UInt8, UInt16 | UInt32 | UInt64)
        | (UInt16, UInt32 | UInt64)
        | (UInt32, UInt64)
        | (Int8 | Int16 | UInt8 | UInt16, Float32)
        | (Int8 | Int16 | Int32 | Int64 | UInt8 | UInt16 | UInt32 | Float32, Float64)
        | (Date32, Timestamp(..)) => true,
        (Timestamp(_, from), Timestamp(_, to)) => from.is_some() == to.is_some(),
        (Decimal128(digits, scale), Decimal128(wider, other)) => {
            other >= scale
                && i16::from(*wider) - i16::from(*other) >= i16::from(*digits) - i16::from(*scale)
        }
        (Struct(from), Struct(to)) => from.iter().all(|field| {
            let mut of_name = to.iter().filter(|other| other.name() == field.name());
            of_name.all(|other| widens(field.data_type(), other.data_type()))
        }),
        (List(from), List(to)) | (Map(from, _), Map(to, _)) => {
            widens(from.data_type(), to.data_type())
        }
        _ => false,
    }
}
