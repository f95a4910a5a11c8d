//! `schema`: the JSON Schema of the job file.

use super::print_exact;
use crate::error::Result;
use crate::job;

pub(super) fn schema() -> Result<u8> {
    print_exact(&job::schema::text())?;
    Ok(0)
}
