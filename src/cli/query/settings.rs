//! What of the subjects' settings holds for a query.

use std::time::Duration;

use super::QueryArgs;
use crate::error::Result;
use crate::job::{AwsSettings, Language};
use crate::run::catalog::Subject;

/// What of the subjects' settings holds for the query.
pub(super) struct Settings {
    pub(super) aws: AwsSettings,
    pub(super) memory: Option<u64>,
    pub(super) language: Language,
    /// The name of the limit, and how long.
    pub(super) limit: (&'static str, Option<Duration>),
}

impl Settings {
    /// Of the arguments, or else of the subjects. An error (usage) for jobs that reach AWS in different ways.
    pub(super) fn of(args: &QueryArgs, subjects: &[Subject]) -> Result<Self> {
        let jobs = || subjects.iter().filter(|subject| subject.job().is_some());
        let aws = Subject::aws_of_all(subjects)?.paying(args.requester_pays);
        let memory = args.memory.map(|size| size.0);
        Ok(Self {
            memory: memory.or_else(|| subjects.iter().filter_map(Subject::memory).max()),
            language: jobs().next().map(Subject::language).unwrap_or_default(),
            limit: match args.timeout {
                Some(limit) => ("--timeout", Some(limit)),
                None => (
                    "[run] timeout",
                    subjects.iter().filter_map(Subject::timeout).max(),
                ),
            },
            aws,
        })
    }
}
