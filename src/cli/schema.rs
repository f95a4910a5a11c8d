//! `schema`: the JSON Schema of the job file.

use super::print;
use crate::error::Result;
use crate::job;

pub(super) fn schema() -> Result<u8> {
    print(&job::schema::text())?;
    Ok(0)
}
