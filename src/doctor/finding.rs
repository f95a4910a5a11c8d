//! What an examination finds: each finding a value, for people and programs alike.

use serde::Serialize;
use serde_json::Value;

use crate::aws::policy::Holder;
use crate::error::{Class, Error};

/// What a finding is about. Findings are shown by area, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Area {
    /// The SQL, the charts and the columns.
    Queries,
    /// Folders and disks of this machine.
    Disk,
    /// Credentials, Region, clock and network.
    Identity,
    /// The log groups and what is read of them.
    Logs,
    /// The one export slot.
    ExportSlot,
    /// The buckets and their keys.
    Buckets,
    /// The tables of the Glue catalogue.
    Tables,
    /// Where a run reports to.
    Notifications,
    /// What the next run would do.
    Plan,
}

impl Area {
    /// The heading.
    pub fn title(self) -> &'static str {
        match self {
            Self::Queries => "queries",
            Self::Disk => "disk",
            Self::Identity => "identity",
            Self::Logs => "logs",
            Self::ExportSlot => "export slot",
            Self::Buckets => "buckets",
            Self::Tables => "tables",
            Self::Notifications => "notifications",
            Self::Plan => "plan",
        }
    }
}

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It was tried, and is as the night needs it.
    Ok,
    /// Worth knowing.
    Note,
    /// The night works, but this is worth mending.
    Warning,
    /// The night needs it, and it could not be tried.
    NotChecked,
    /// The night does not work.
    Failed,
}

/// A statement that a policy lacks.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Missing {
    /// Which policy must hold it.
    pub holder: Holder,
    /// The ARN or name of the identity, bucket or key that has the policy.
    pub of: String,
    /// The statement.
    pub statement: Value,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// What it is about.
    pub area: Area,
    /// The thing itself: a log group, a bucket, a folder.
    pub subject: String,
    /// What was found.
    pub outcome: Outcome,
    /// The finding in words.
    pub message: String,
    /// The statement that would mend it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing: Option<Missing>,
    /// The class of failure that a run would end with.
    #[serde(skip)]
    pub class: Option<Class>,
}

impl Finding {
    /// A finding that is no failure.
    pub fn new(
        area: Area,
        subject: impl Into<String>,
        outcome: Outcome,
        message: impl Into<String>,
    ) -> Self {
        Self {
            area,
            subject: subject.into(),
            outcome,
            message: message.into(),
            missing: None,
            class: None,
        }
    }

    /// A failure, and the class that a run would end with.
    pub fn failed(
        area: Area,
        subject: impl Into<String>,
        class: Class,
        message: impl Into<String>,
    ) -> Self {
        Self {
            class: Some(class),
            ..Self::new(area, subject, Outcome::Failed, message)
        }
    }

    /// A failure that a run would end with.
    pub fn of_error(area: Area, subject: impl Into<String>, error: &Error) -> Self {
        Self::failed(area, subject, error.class(), error.to_string())
    }
}
