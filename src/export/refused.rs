//! A refused request for an export task, with what to do about it. What CloudWatch says decides, since the same sentence
//! comes with several codes.

use object_store::path::Path;

use super::service::{ServiceError, ServiceErrorKind};
use super::task::TaskSpec;
use crate::aws::policy::ExportStatements;
use crate::error::{Class, Error};
use crate::layout;

/// The error of a refused request.
pub(super) fn refused(error: &ServiceError, spec: &TaskSpec<'_>) -> Error {
    let (log_group, bucket) = (&spec.log_group.name, spec.bucket);
    let message = &error.message;
    if error.kind == ServiceErrorKind::NotFound {
        return Error::usage(format!(
            "the log group {log_group:?} does not exist: {message}"
        ));
    }
    if message.contains("bucket does not exist") {
        return Error::usage(format!(
            "CloudWatch can't export to the bucket {bucket:?}: {message}"
        ));
    }
    let what = match Missing::in_message(message) {
        Some(missing) => format!(
            "CloudWatch can't export {log_group} to the bucket {bucket:?}: {message} {}",
            missing.remedy(spec)
        ),
        None if error.kind == ServiceErrorKind::Invalid => format!(
            "CloudWatch can't export {log_group} to the bucket {bucket:?}: {message}. The bucket must be in the same Region \
             and its policy must let CloudWatch Logs write; `logtally init` prints the policy"
        ),
        None => format!("CloudWatch refused to export {log_group}: {message}"),
    };
    Error::new(Class::Source, what)
}

/// The statement that the bucket's policy lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Missing {
    /// CloudWatch Logs may not look at the bucket.
    Checks,
    /// CloudWatch Logs may not write.
    Writes,
    /// The caller may not write.
    Caller,
}

impl Missing {
    fn in_message(message: &str) -> Option<Self> {
        if message.contains("CreateExportTask caller") {
            Some(Self::Caller)
        } else if message.contains("GetBucketAcl call on the given bucket failed") {
            Some(Self::Checks)
        } else if message.contains("PutObject call on the given bucket failed") {
            Some(Self::Writes)
        } else {
            None
        }
    }

    fn remedy(self, spec: &TaskSpec<'_>) -> String {
        let who = match self {
            Self::Checks | Self::Writes => {
                "The bucket's policy must let CloudWatch Logs of this account and Region in"
            }
            Self::Caller => {
                "The caller of the export, which is the role or user of this job, must be allowed s3:PutObject: by its own policy, and for a bucket of another account by the bucket's policy too, whose owner adds"
            }
        };
        let Some(origin) = &spec.log_group.origin else {
            return format!("{who}; `logtally init` prints the policies");
        };
        let objects = objects(spec.bucket, spec.staging);
        let statements = ExportStatements {
            region: &origin.region,
            account: &origin.account,
            bucket: spec.bucket,
            objects: &objects,
        };
        match self {
            Self::Caller => format!("{who} the statement {}", statements.caller()),
            // What fails first is not all that is missing.
            Self::Checks => format!(
                "{who}. Its statements are {} and {}",
                statements.checks(),
                statements.writes()
            ),
            Self::Writes => format!("{who}. Its statement is {}", statements.writes()),
        }
    }
}

fn objects(bucket: &str, staging: &Path) -> String {
    format!("{bucket}/{}", layout::join(staging, "*"))
}
