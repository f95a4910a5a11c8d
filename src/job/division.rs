//! How an answer is divided into files: `partition_by` and `file_size` of the job file, resolved to one value.

use std::collections::HashSet;

use super::checked::{ByteSize, Name};

/// The smallest file size, in bytes. Smaller files are a mistake: readers open each.
pub(super) const SMALLEST_FILE: u64 = 1 << 20;

/// How the answer of a window is divided into files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Division {
    /// One file.
    #[default]
    Whole,
    /// A file for each combination of values of these columns of text, at least one column. The values name its
    /// folders.
    ByValue(Vec<Name>),
    /// Files in the order of the rows. Each ends when it has this many bytes.
    BySize(u64),
    /// Numbered files in the order of the rows, in the folder of the window or of the values of some columns of text. Each
    /// ends when it has this many bytes.
    Numbered {
        /// The bytes.
        file_size: u64,
        /// The columns whose values name folders; none, and all files are in the folder of the window.
        by: Vec<Name>,
    },
}

impl Division {
    /// Resolves the two keys of a query. An error names the key, its value and what was expected.
    pub(super) fn resolve(
        partition_by: Vec<Name>,
        file_size: Option<ByteSize>,
    ) -> Result<Self, String> {
        match (partition_by.is_empty(), file_size) {
            (true, None) => Ok(Self::Whole),
            (true, Some(ByteSize(bytes))) if bytes < SMALLEST_FILE => Err(format!(
                "file_size is {bytes} bytes: expected 1MiB or more, such as \"256MiB\""
            )),
            (true, Some(ByteSize(bytes))) => Ok(Self::BySize(bytes)),
            (false, None) => {
                let mut columns = HashSet::new();
                let twice = partition_by
                    .iter()
                    .find(|column| !columns.insert(column.as_str()));
                match twice {
                    Some(twice) => Err(format!("partition_by names {:?} twice", twice.as_str())),
                    None => Ok(Self::ByValue(partition_by)),
                }
            }
            (false, Some(_)) => Err(
                "both partition_by and file_size are set: an answer is divided by the values of columns or by size, expected one of them"
                    .to_owned(),
            ),
        }
    }

    /// The key of the job file that sets it; `None` for one file, the default.
    pub(super) fn key(&self) -> Option<&'static str> {
        match self {
            Self::Whole => None,
            Self::ByValue(_) => Some("partition_by"),
            Self::BySize(_) | Self::Numbered { .. } => Some("file_size"),
        }
    }

    /// The columns whose values name folders, and which the files do not have.
    pub fn columns(&self) -> &[Name] {
        match self {
            Self::ByValue(columns) | Self::Numbered { by: columns, .. } => columns,
            Self::Whole | Self::BySize(_) => &[],
        }
    }
}
