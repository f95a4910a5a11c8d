//! Listing a location. A listing that breaks off is resumed behind its last key.

use std::error::Error as _;

use futures::TryStreamExt;
use object_store::client::HttpError;
use object_store::path::Path;
use object_store::{Error, ListResult, ObjectMeta, ObjectStore};

use super::{Puts, Store, on_disk};
use crate::aws::timeouts::RETRIES;
use crate::backoff::retry;
use crate::clock::{Clock, SystemClock};
use crate::error::Result;
use crate::job::Location;
use crate::layout::Skipped;
use crate::layout::cloudwatch::{LogObject, holds_events};

impl Store {
    /// Every object below `prefix`, by key. Those with keys that no path can hold are left out, with a warning.
    pub async fn list(&self, prefix: &Path) -> Result<Vec<ObjectMeta>> {
        let (objects, skipped) = self.list_with_skipped(prefix).await?;
        if let Some(note) = skipped.note(&self.display(prefix)) {
            tracing::warn!("{note}");
        }
        Ok(objects)
    }

    /// The same, and what was left out.
    pub async fn list_with_skipped(&self, prefix: &Path) -> Result<(Vec<ObjectMeta>, Skipped)> {
        let (mut objects, skipped) = self.gather(prefix, Vec::new).await?;
        objects.sort_by(|a, b| a.location.cmp(&b.location));
        Ok((objects, skipped))
    }

    /// Gathers the objects below `prefix`, in no order, as they come: there may be millions, which as a listing has them
    /// take more memory than what is needed of them. And what was left out.
    pub async fn gather<G: Gather>(
        &self,
        prefix: &Path,
        new: impl Fn() -> G,
    ) -> Result<(G, Skipped)> {
        let gathered = self.gather_unsorted(prefix, new).await;
        gathered.map_err(|error| self.failed("list", prefix, error))
    }

    pub(super) async fn gather_unsorted<G: Gather>(
        &self,
        prefix: &Path,
        new: impl Fn() -> G,
    ) -> object_store::Result<(G, Skipped)> {
        let mut gathered = new();
        if let Location::Local(_) = self.location {
            let (objects, skipped) = on_disk::list_files(prefix).map_err(on_disk_error)?;
            objects.into_iter().for_each(|object| gathered.add(object));
            return Ok((gathered, skipped));
        }
        let objects = self.objects.as_ref();
        let mut of_engine = OfEngine {
            gathered: &mut gathered,
            may_have_folder: false,
        };
        let listed = resumed_list(&SystemClock, objects, prefix, &mut of_engine).await;
        let may_have_folder = of_engine.may_have_folder;
        let Puts::InBucket(bucket) = &self.puts else {
            return listed.map(|()| (gathered, Skipped::default()));
        };
        let has_odd_keys = match &listed {
            Err(error) => has_unknown_keys(error),
            Ok(()) if may_have_folder => true,
            // Of a key that begins with a slash, object_store gives the path of another key.
            Ok(()) if prefix.is_root() => bucket.begins_with_slash().await.map_err(in_s3)?,
            _ => false,
        };
        match has_odd_keys {
            false => listed.map(|()| (gathered, Skipped::default())),
            true => {
                let listed = bucket.list(prefix.as_ref(), false).await.map_err(in_s3)?;
                let mut gathered = new();
                listed
                    .objects
                    .into_iter()
                    .for_each(|object| gathered.add(object));
                Ok((gathered, listed.skipped))
            }
        }
    }

    /// The last object below `prefix` that is `wanted`, in the order of folder names, of the folders that are looked into. Only few
    /// folders are listed, however many there are.
    pub async fn last(
        &self,
        prefix: &Path,
        is_looked_into: impl Fn(&Path) -> bool,
        wanted: impl Fn(&Path) -> bool,
    ) -> Result<Option<Path>> {
        let mut folders = vec![prefix.clone()];
        while let Some(folder) = folders.pop() {
            let mut listed = self.list_folder(&folder).await?;
            let keys = listed.objects.into_iter().map(|object| object.location);
            if let Some(last) = keys.filter(|key| wanted(key)).max() {
                return Ok(Some(last));
            }
            listed.common_prefixes.retain(&is_looked_into);
            listed.common_prefixes.sort();
            folders.append(&mut listed.common_prefixes);
        }
        Ok(None)
    }

    /// The names of the folders in a folder; empty where it does not exist.
    pub async fn folders_in(&self, folder: &Path) -> Result<Vec<String>> {
        let mut names: Vec<String> = match self.location {
            Location::S3 { .. } => {
                let listed = self.list_folder(folder).await?.common_prefixes;
                let names = listed.iter().filter_map(Path::filename);
                names.map(str::to_owned).collect()
            }
            Location::Local(_) => on_disk::folder_names(folder)
                .map_err(|error| self.failed("list", folder, on_disk_error(error)))?,
        };
        names.sort();
        Ok(names)
    }

    /// The objects and the folders in a folder, and what was left out.
    pub async fn level(&self, folder: &Path) -> Result<(ListResult, Skipped)> {
        if self.location.is_local() {
            let (objects, common_prefixes) = on_disk::list_level(folder)
                .map_err(|error| self.failed("list", folder, on_disk_error(error)))?;
            let listed = ListResult {
                common_prefixes,
                objects,
            };
            return Ok((listed, Skipped::default()));
        }
        let listed = retry(&SystemClock, RETRIES.delays(), is_broken_off, || {
            self.objects.list_with_delimiter(Some(folder))
        });
        match (listed.await, &self.puts) {
            (Err(error), Puts::InBucket(bucket)) if has_unknown_keys(&error) => {
                let listed = bucket.list(folder.as_ref(), true).await?;
                let level = ListResult {
                    objects: listed.objects,
                    common_prefixes: listed.folders,
                };
                Ok((level, listed.skipped))
            }
            (listed, _) => match listed {
                Ok(listed) => Ok((listed, Skipped::default())),
                Err(error) => Err(self.failed("list", folder, error)),
            },
        }
    }

    async fn list_folder(&self, folder: &Path) -> Result<ListResult> {
        Ok(self.level(folder).await?.0)
    }

    /// Every exported object below `prefix`, by key, without the objects beside them that hold no events.
    pub async fn list_logs(
        &self,
        prefix: &Path,
        log_group: Option<&str>,
    ) -> Result<Vec<LogObject>> {
        let (Logs { mut objects, .. }, skipped) = self
            .gather(prefix, || Logs {
                log_group,
                objects: Vec::new(),
            })
            .await?;
        if let Some(note) = skipped.note(&self.display(prefix)) {
            tracing::warn!("{note}");
        }
        objects.sort_by(LogObject::cmp_key);
        Ok(objects)
    }
}

/// What a listing's objects are gathered in.
pub trait Gather: Send {
    /// Adds an object.
    fn add(&mut self, object: ObjectMeta);
}

impl Gather for Vec<ObjectMeta> {
    fn add(&mut self, object: ObjectMeta) {
        self.push(object);
    }
}

/// What the engine's client lists. It has no key with a slash at its end: `000000.gz/`, an empty object that a console made
/// for a folder, comes as `000000.gz`.
struct OfEngine<'a, G> {
    gathered: &'a mut G,
    may_have_folder: bool,
}

impl<G: Gather> Gather for OfEngine<'_, G> {
    fn add(&mut self, object: ObjectMeta) {
        self.may_have_folder |= object.size == 0 && holds_events(&object.location);
        self.gathered.add(object);
    }
}

/// Whether a listing has a key that no path can hold, or that is no text of XML 1.0.
fn has_unknown_keys(error: &Error) -> bool {
    let is_invalid =
        |error: &dyn std::error::Error| error.to_string().contains("invalid list response");
    matches!(error, Error::InvalidPath { .. }) || error.source().is_some_and(is_invalid)
}

fn on_disk_error(error: std::io::Error) -> Error {
    Error::Generic {
        store: "disk",
        source: error.into(),
    }
}

/// The exported objects of a listing.
struct Logs<'a> {
    log_group: Option<&'a str>,
    objects: Vec<LogObject>,
}

impl Gather for Logs<'_> {
    fn add(&mut self, object: ObjectMeta) {
        let before = self.objects.last();
        let object = LogObject::behind(before, &object, self.log_group);
        self.objects.extend(object);
    }
}

fn in_s3(error: crate::error::Error) -> Error {
    Error::Generic {
        store: "S3",
        source: Box::new(error),
    }
}

/// Every object below a prefix of a store that lists by key. A listing that breaks off is resumed behind the last key
/// that arrived; each key that arrives allows all attempts anew.
async fn resumed_list(
    clock: &dyn Clock,
    objects: &dyn ObjectStore,
    prefix: &Path,
    gathered: &mut impl Gather,
) -> object_store::Result<()> {
    let mut last: Option<Path> = None;
    let mut rest = objects.list(Some(prefix));
    let mut delays = RETRIES.delays();
    loop {
        match rest.try_next().await {
            Ok(Some(object)) => {
                last = Some(object.location.clone());
                gathered.add(object);
                delays = RETRIES.delays();
            }
            Ok(None) => return Ok(()),
            Err(error) => {
                let delay = delays.next().filter(|_| is_broken_off(&error));
                let Some(delay) = delay else {
                    return Err(error);
                };
                clock.sleep(delay).await;
                rest = match &last {
                    None => objects.list(Some(prefix)),
                    Some(last) => objects.list_with_offset(Some(prefix), last),
                };
            }
        }
    }
}

/// Whether the answer broke off while it was read. The client repeats no such request.
///
/// It does repeat requests that got no answer, or one with a status of 5xx or 429; an error of those is final here, and
/// so is any other status: 400, 403 and 404 would be answered again. Such an error has no [`HttpError`] among its
/// causes, or has it behind the client's own report of the attempts, which is one cause more.
pub(super) fn is_broken_off(error: &Error) -> bool {
    let cause = error.source();
    let causes = [cause, cause.and_then(|cause| cause.source())];
    causes
        .into_iter()
        .flatten()
        .any(|cause| cause.is::<HttpError>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::TestClock;
    use crate::store::fake::FakeStore;
    use chrono::{DateTime, TimeDelta};
    use object_store::client::HttpErrorKind;
    use object_store::{ObjectStoreExt, PutPayload};

    /// What a client makes of an answer that broke off.
    #[derive(Debug, thiserror::Error)]
    #[error("the body broke off")]
    struct BodyError(#[from] HttpError);

    fn broken_off() -> Error {
        let cut = std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
        Error::Generic {
            store: "S3",
            source: Box::new(BodyError(HttpError::new(HttpErrorKind::Interrupted, cut))),
        }
    }

    /// What a client makes of an answer with the status 400, 403 or 503, after its own retries.
    fn refused() -> Error {
        Error::Generic {
            store: "S3",
            source: "Server returned non-2xx status code: 403 Forbidden".into(),
        }
    }

    /// Lists 30 objects through listings that end in an error after some keys; and how long that waited.
    async fn list(
        broken: impl IntoIterator<Item = (usize, Error)>,
    ) -> (object_store::Result<usize>, TimeDelta) {
        let objects = FakeStore::default();
        for number in 0..30 {
            let key = Path::from(format!("a/{number:02}"));
            objects.put(&key, PutPayload::new()).await.unwrap();
        }
        objects.break_listings(broken);
        let clock = TestClock::at(DateTime::UNIX_EPOCH);
        let mut listed: Vec<ObjectMeta> = Vec::new();
        let ended = resumed_list(&clock, &objects, &Path::from("a"), &mut listed).await;
        let listed = ended.map(|()| {
            assert!(listed.is_sorted_by(|a, b| a.location < b.location));
            listed.len()
        });
        (listed, clock.now() - DateTime::UNIX_EPOCH)
    }

    #[tokio::test]
    async fn a_listing_that_breaks_off_is_resumed_behind_its_last_key() {
        assert_eq!(list([]).await.0.unwrap(), 30);
        let after = |keys: [usize; 4]| keys.map(|keys| (keys, broken_off()));
        let (listed, waited) = list(after([0, 20, 0, 0])).await;
        assert_eq!(listed.unwrap(), 30);
        assert!(waited > TimeDelta::zero());
        // Any number of times where each brings a key, but not where none does.
        let often = |keys| (0..29).map(move |_| (keys, broken_off()));
        assert_eq!(list(often(1)).await.0.unwrap(), 30);
        assert!(list(often(0)).await.0.is_err());
    }

    #[tokio::test]
    async fn a_listing_that_is_refused_is_not_repeated() {
        let (listed, waited) = list([(3, refused())]).await;
        assert!(listed.is_err());
        assert_eq!(waited, TimeDelta::zero());
    }
}
