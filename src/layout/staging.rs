//! The keys of exports: attempts and their manifests, and the pieces of an export without a task.

use object_store::path::Path;

use super::{encode_name, join, relative};
use crate::error::{Error, Result};
use crate::job::{Job, JobSource, Location};

/// The name of the object that lists what a finished export attempt wrote.
const MANIFEST: &str = "manifest.json";

/// The name of the object that lists what a finished piece of an export without a task wrote.
const PIECE: &str = "piece.json";

const ATTEMPT: &str = "attempt=";

/// The beginning of the name of a piece's folder. No id of an export task begins so: it has hexadecimal digits and
/// hyphens.
const EVENTS: &str = "events-";

/// The beginning of the name of a folder of events that an earlier export had. No id of an export task begins so either.
const KEPT: &str = "kept-";

/// Makes the keys of a job's exports.
#[derive(Debug, Clone)]
pub struct StagingKeys {
    root: Path,
    job: String,
}

impl StagingKeys {
    /// The keys of the exports of one of the job's sources. An error (usage) where their location can't be a key.
    pub fn of(job: &Job, source: &JobSource) -> Result<Self> {
        Self::new(source.logs.location(), job.name.as_str())
    }

    /// The keys of the exports of the job with this name, below `location`. An error (usage) where that can't be a key.
    pub fn new(location: &Location, job: &str) -> Result<Self> {
        Ok(Self {
            root: location.key().map_err(Error::usage)?,
            job: job.to_owned(),
        })
    }

    /// The job's name.
    pub fn job(&self) -> &str {
        &self.job
    }

    /// The folder of all exports of the job.
    pub fn of_job(&self) -> Path {
        join(&self.root, &self.job)
    }

    /// The folder of all exports of the job for this window.
    pub fn of_window(&self, window_id: &str) -> Path {
        join(&self.of_job(), window_id)
    }

    /// The folder of one attempt at exporting a log group; for CloudWatch the destination prefix.
    pub fn attempt(&self, window_id: &str, group: &str, id: &str) -> Path {
        let group = encode_name(group);
        join(
            &self.of_window(window_id),
            &format!("{group}/{ATTEMPT}{id}"),
        )
    }

    /// A key relative to the staging location.
    pub fn relative(&self, key: &Path) -> String {
        relative(&self.root, key)
    }
}

/// The manifest of an attempt.
pub fn manifest(attempt: &Path) -> Path {
    join(attempt, MANIFEST)
}

/// Whether the object is the manifest of an attempt.
pub fn is_manifest(key: &Path) -> bool {
    let mut segments = key.as_ref().rsplit('/');
    segments.next() == Some(MANIFEST)
        && segments
            .next()
            .is_some_and(|folder| folder.starts_with(ATTEMPT))
}

/// Whether the object was written by an attempt of this program at an export, complete or incomplete.
pub fn is_in_attempt(key: &Path) -> bool {
    key.as_ref()
        .split('/')
        .any(|segment| segment.starts_with(ATTEMPT))
}

/// The folder of a piece of an export without a task, in the place of a task's id. `from_ms` is the piece's start, so
/// that pieces are listed in the order of time; `try_id` distinguishes tries at the same piece.
pub fn piece_folder(from_ms: i64, try_id: u32) -> String {
    format!("{EVENTS}{from_ms:013}-{try_id:08x}")
}

/// The folder of events that an earlier export had, in the place of a task's id; `try_id` distinguishes tries.
pub fn kept_folder(try_id: u32) -> String {
    format!("{KEPT}{try_id:08x}")
}

/// The list of what a piece wrote.
pub fn piece(attempt: &Path, folder: &str) -> Path {
    join(attempt, &format!("{folder}/{PIECE}"))
}

/// Whether the object is the list of what a piece wrote.
pub fn is_piece(key: &Path) -> bool {
    is_in_piece(key) && key.filename() == Some(PIECE)
}

/// Whether the object was written by this program and not by an export task: by a piece of an export without a task,
/// complete or incomplete, or as what an earlier export had.
pub fn is_in_piece(key: &Path) -> bool {
    let is_own = |folder: &str| folder.starts_with(EVENTS) || folder.starts_with(KEPT);
    let segments: Vec<&str> = key.as_ref().split('/').collect();
    segments
        .windows(2)
        .any(|pair| pair[0].starts_with(ATTEMPT) && is_own(pair[1]))
}

/// Whether this program wrote the object from whole events, and no export task did: a piece, what an earlier export had,
/// or a folder of events, whose attempts have ids without hyphens in the place of a task's.
pub fn is_written_here(key: &Path) -> bool {
    let segments: Vec<&str> = key.as_ref().split('/').collect();
    let is_own_id = |id: &str| id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_in_piece(key)
        || segments
            .windows(2)
            .any(|pair| pair[0].starts_with(ATTEMPT) && is_own_id(pair[1]))
}

#[cfg(test)]
mod tests {
    use super::super::cloudwatch::{exported_object, holds_events};
    use super::super::{decode_name, parent};
    use super::*;
    use proptest::prelude::*;

    fn keys() -> StagingKeys {
        StagingKeys::new(&Location::Local("/stage".into()), "job").unwrap()
    }

    #[test]
    fn attempts_are_below_their_job_and_window() {
        let attempt = keys().attempt("2026-11-21", "/aws/lambda/a", "7");
        let relative = "job/2026-11-21/%2Faws%2Flambda%2Fa/attempt=7";
        assert_eq!(attempt.as_ref(), format!("stage/{relative}"));
        assert_eq!(keys().relative(&attempt), relative);
        assert!(attempt.prefix_matches(&keys().of_window("2026-11-21")));
        assert!(
            keys()
                .of_window("2026-11-21")
                .prefix_matches(&keys().of_job())
        );
    }

    #[test]
    fn pieces_are_distinguished_from_tasks() {
        let attempt = keys().attempt("2026-11-21", "/g", "1");
        let folder = piece_folder(1_763_683_200_000, 0xab);
        assert_eq!(folder, "events-1763683200000-000000ab");
        let piece = piece(&attempt, &folder);
        let own = exported_object(&attempt, &folder, "a", 0);
        let tasks = exported_object(&attempt, "e37ac5c7-0000-4000-8000-000000000000", "a", 0);
        let stream = exported_object(&attempt, "e37ac5c7", "events-of-web", 0);
        assert!(is_piece(&piece) && !holds_events(&piece) && !is_manifest(&piece));
        assert!(is_in_piece(&own) && !is_piece(&own) && holds_events(&own));
        assert!(!is_in_piece(&tasks) && !is_in_piece(&stream));
        let folder = uuid::Uuid::now_v7().simple().to_string();
        let of_folder = exported_object(&attempt, &folder, "a", 0);
        assert!(is_written_here(&own) && is_written_here(&of_folder));
        assert!(!is_written_here(&tasks) && !is_written_here(&stream));
        let kept = exported_object(&attempt, &kept_folder(0xab), "a", 0);
        assert!(kept.as_ref().ends_with("/kept-000000ab/a/000000.gz"));
        assert!(is_in_piece(&kept) && holds_events(&kept));
    }

    proptest! {
        #[test]
        fn manifests_are_found_again(group in "[-._/#A-Za-z0-9]{1,60}", id in "[a-z0-9-]{1,20}") {
            let attempt = keys().attempt("2026-11-21", &group, &id);
            let manifest = manifest(&attempt);
            prop_assert!(is_manifest(&manifest) && is_in_attempt(&manifest) && !is_manifest(&attempt));
            let folder = parent(&parent(&manifest));
            prop_assert_eq!(decode_name(folder.filename().unwrap()).unwrap(), group);
        }
    }
}
