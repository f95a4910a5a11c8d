//! The sources of a job, and how each is reached on AWS.

use std::fmt;
use std::time::Duration;

use super::{Name, Source};

/// A source of a job.
#[derive(Debug, Clone)]
pub struct JobSource {
    /// The place of its section, from 1; `None` for a job of one source.
    pub number: Option<usize>,
    /// Its name in messages, if the job gives it one.
    pub name: Option<Name>,
    /// Where the logs come from.
    pub logs: Source,
    /// The place of its access in [`AwsSettings::sources`](super::AwsSettings::sources).
    pub access: usize,
    /// How long exported objects of settled windows are kept; forever where unset.
    pub keep: Option<Duration>,
}

impl JobSource {
    /// How messages name the source: `[source]`, `[[source]] 2`, or `[[source]] 2 (seoul)`.
    pub fn section(&self) -> String {
        section(self.number, self.name.as_ref())
    }
}

impl fmt::Display for JobSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.section())
    }
}

/// How messages name a source.
pub(super) fn section(number: Option<usize>, name: Option<&Name>) -> String {
    match (number, name) {
        (None, _) => "[source]".to_owned(),
        (Some(number), None) => format!("[[source]] {number}"),
        (Some(number), Some(name)) => format!("[[source]] {number} ({name})"),
    }
}

/// How logs are reached on AWS. What is unset comes from the environment and AWS's configuration files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct SourceAccess {
    /// The Region of the logs and of the staging bucket.
    pub region: Option<String>,
    /// The profile of the shared configuration files.
    pub profile: Option<String>,
    /// A role to assume for the logs and their staging bucket.
    pub role_arn: Option<String>,
    /// Whether requests for the logs are paid by the account that sends them, and not by the bucket's owner.
    pub requester_pays: bool,
}
