//! `[[table]]` and `[query.params]`: lookup tables, and the parameters of a query.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

use super::checked::{Name, Text};
use super::location::Location;

/// A lookup table: what queries can read beside the logs and the answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookupTable {
    /// Its name in SQL.
    pub name: Name,
    /// Its file or folder.
    pub path: Location,
    /// The types of columns that are not to be found out from the values.
    pub columns: BTreeMap<String, ColumnType>,
}

/// The type of a column of a lookup table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ColumnType {
    /// Any text, also one that looks like a number.
    Text,
    /// A whole number.
    Bigint,
    /// A number.
    Double,
    /// `true` or `false`.
    Boolean,
    /// A day.
    Date,
    /// An instant.
    Timestamp,
}

impl ColumnType {
    /// Its name in SQL.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Bigint => "bigint",
            Self::Double => "double",
            Self::Boolean => "boolean",
            Self::Date => "date",
            Self::Timestamp => "timestamp",
        }
    }
}

/// The value of a parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParameterValue {
    /// The value as SQL writes it, without quotes.
    pub text: String,
    /// Whether the job has it as a text.
    pub is_text: bool,
}

impl<'de> Deserialize<'de> for ParameterValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::{Error, IntoDeserializer};
        let value = match toml::Value::deserialize(deserializer)? {
            toml::Value::String(text) => {
                let Text(text) = Text::deserialize(text.into_deserializer())?;
                return Ok(Self {
                    text,
                    is_text: true,
                });
            }
            toml::Value::Integer(number) => number.to_string(),
            toml::Value::Float(number) if number.is_finite() => number.to_string(),
            toml::Value::Boolean(value) => value.to_string(),
            toml::Value::Datetime(time) => time.to_string(),
            other => {
                return Err(D::Error::custom(format!(
                    "the value of a parameter can't be of type {}: expected a text, a number, a boolean, a date or a time",
                    other.type_str()
                )));
            }
        };
        Ok(Self {
            text: value,
            is_text: false,
        })
    }
}
