//! Folders of this machine: whether they can be read and written, and how much room there is.

use std::path::{Path, PathBuf};

use crate::disk::free_bytes;
use crate::error::Class;
use crate::job::{Location, Source, Subscription};

use super::examination::Examination;
use super::finding::{Area, Finding, Outcome};
use super::night::Night;

/// Below so much free room a run is likely to fail.
const LEAST_FREE: u64 = 64 << 20;

impl Examination<'_> {
    /// Examines the folders of the source.
    pub(super) fn folders_of_source(&mut self) {
        match &self.source().logs {
            Source::Directory { path, .. } => self.readable(path.clone()),
            Source::Exported {
                path: Location::Local(path),
                ..
            } => self.readable(path.clone()),
            Source::Subscription(Subscription {
                path: Location::Local(path),
                ..
            }) => self.readable(path.clone()),
            Source::Exported { .. } | Source::Subscription(_) | Source::CloudWatch(_) => {}
        }
        if let Some(Location::Local(staging)) = self.source().logs.staging() {
            self.writable(staging.clone(), "exports", Class::Source);
        }
    }

    /// Examines the folder of the answers, and that of temporary files.
    pub(super) fn folders_of_answers(&mut self) {
        if let Location::Local(output) = &self.job.output {
            self.writable(output.clone(), "answers", Class::Output);
        }
        self.writable(std::env::temp_dir(), "temporary files", Class::Output);
    }

    /// Whether the disk has room for a night.
    pub(super) fn room(&mut self, night: &Night) {
        let scratch = std::env::temp_dir();
        let Ok(free) = free_bytes(&scratch) else {
            return;
        };
        if night.disk_bytes > free {
            let message = format!(
                "{} are free, and a night keeps about {} here: objects that are read again come from S3 again, or the run fails. Give it more, or set TMPDIR",
                size(free),
                size(night.disk_bytes)
            );
            let subject = scratch.display().to_string();
            self.add(Finding::new(Area::Disk, subject, Outcome::Warning, message));
        }
    }

    fn readable(&mut self, path: PathBuf) {
        let subject = path.display().to_string();
        let found = match path.is_file() {
            true => std::fs::File::open(&path).map(drop),
            false => std::fs::read_dir(&path).map(drop),
        };
        self.add(match found {
            Ok(()) => Finding::new(Area::Disk, subject, Outcome::Ok, "can be read"),
            Err(error) => {
                let message = format!("the source can't be read: {error}");
                Finding::failed(Area::Disk, subject, Class::Usage, message)
            }
        });
    }

    fn writable(&mut self, folder: PathBuf, what: &str, class: Class) {
        let subject = folder.display().to_string();
        // A run makes what is missing of the folder.
        let existing = folder.ancestors().find(|folder| folder.exists());
        let existing = existing.unwrap_or(Path::new("/"));
        if let Err(error) = tempfile::tempfile_in(existing) {
            let message = format!("{what} can't be written here: {error}");
            return self.add(Finding::failed(Area::Disk, subject, class, message));
        }
        self.add(match free_bytes(existing) {
            Ok(free) if free < LEAST_FREE => Finding::new(
                Area::Disk,
                subject,
                Outcome::Warning,
                format!("{what} can be written, but only {} are free", size(free)),
            ),
            Ok(free) => Finding::new(
                Area::Disk,
                subject,
                Outcome::Ok,
                format!("{what} can be written, {} free", size(free)),
            ),
            Err(why) => Finding::new(
                Area::Disk,
                subject,
                Outcome::Note,
                format!("{what} can be written; the free room is not checked, because {why}"),
            ),
        });
    }
}

/// A number of bytes as text: `1.9 GB`.
pub fn size(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "rounded anyway")]
    let number = bytes as f64;
    for (unit, name) in [(1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "KB")] {
        if number >= unit {
            let decimals = usize::from(number < 10.0 * unit);
            return format!("{:.decimals$} {name}", number / unit);
        }
    }
    format!("{bytes} B")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_two_digits_or_more() {
        for (bytes, expected) in [
            (999, "999 B"),
            (1_900_000_000, "1.9 GB"),
            (42_000_000, "42 MB"),
        ] {
            assert_eq!(size(bytes), expected);
        }
    }
}
