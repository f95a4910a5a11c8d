//! What decides the answers of a job, as hashes: another hash means that they are to be computed anew.

use sha2::{Digest, Sha256};

use crate::job::{Division, Job, Source};

/// A hash of texts, told apart by their lengths.
#[derive(Default)]
struct Fingerprint(Sha256);

impl Fingerprint {
    fn add(&mut self, text: &str) {
        self.0.update((text.len() as u64).to_le_bytes());
        self.0.update(text);
    }

    fn finish(self) -> String {
        hex(&self.0.finalize())
    }
}

/// A hash of what in the job decides which events there are.
pub(super) fn source_fingerprint(job: &Job) -> String {
    let mut hash = Fingerprint::default();
    hash.add(job.timezone.name());
    hash.add(&job.window.size.to_string());
    match &job.source {
        Source::CloudWatch(source) => {
            for group in &source.log_groups {
                hash.add(group.as_str());
            }
            hash.add(source.log_stream_prefix.as_deref().unwrap_or_default());
        }
        Source::Exported { path, log_group } => {
            hash.add(&path.to_string());
            hash.add(log_group.as_deref().unwrap_or_default());
        }
        Source::Directory { path, .. } => hash.add(&path.to_string_lossy()),
    }
    hash.finish()
}

/// A hash of everything in the job that decides the answers; another one means that they are to be computed anew.
pub(super) fn answers_fingerprint(job: &Job) -> String {
    let mut hash = Fingerprint::default();
    hash.add(&source_fingerprint(job));
    for query in &job.queries {
        hash.add(query.name.as_str());
        hash.add(&query.sql);
        match &query.division {
            Division::Whole => {}
            Division::ByValue(columns) => columns.iter().for_each(|name| hash.add(name.as_str())),
            Division::BySize(bytes) => hash.add(&format!("file_size {bytes}")),
        }
        for chart in &query.charts {
            hash.add(&format!("{chart:?}"));
        }
    }
    hash.finish()
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
