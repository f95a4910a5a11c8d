//! Each event once, where several attempts exported it: windows overlap where a job's zone or window size was changed,
//! or where two jobs share a staging location; requests overlap where one has a stream prefix and another has not.

use std::collections::HashMap;

use object_store::path::Path;

use super::{CompleteAttempt, Manifest};
use crate::aws::logs::Origin;
use crate::error::{Error, Result};
use crate::layout;
use crate::layout::cloudwatch::LogObject;
use crate::store::Store;
use crate::window::Range;

/// What an attempt has: these times of the streams with this prefix.
struct Taken {
    origin: Option<Origin>,
    /// As it begins the name of a stream's folder.
    prefix: String,
    range: Range,
}

/// The prefix and the objects of each attempt, cut to its own window and to the times that no newer attempt has of the same stream. An
/// error (damaged) where objects are missing.
pub(super) fn without_overlaps(
    store: &Store,
    mut attempts: Vec<CompleteAttempt>,
) -> Result<Vec<(Manifest, Path, Vec<LogObject>)>> {
    attempts.sort_by_key(|attempt| std::cmp::Reverse(attempt.manifest.as_of));
    let mut taken_of: HashMap<String, Vec<Taken>> = HashMap::new();
    let mut cut = Vec::with_capacity(attempts.len());
    for attempt in attempts {
        let CompleteAttempt {
            manifest,
            prefix,
            objects,
        } = attempt;
        let objects = objects.ok_or_else(|| {
            Error::damaged(format!(
                "{} lacks objects that its manifest lists, or has them in another size",
                store.display(&prefix)
            ))
        })?;
        let own = Taken::by(&manifest);
        let taken = taken_of.entry(manifest.log_group.clone()).or_default();
        let newer = taken.iter().filter(|newer| {
            Origin::may_be_same(newer.origin.as_ref(), own.origin.as_ref())
                && !newer.range.intersect(own.range).is_empty()
        });
        let (of_all, of_some): (Vec<&Taken>, Vec<&Taken>) =
            newer.partition(|newer| own.prefix.starts_with(&newer.prefix));
        let left = without(vec![own.range], &of_all);
        let mut parts = Vec::with_capacity(objects.len());
        for object in objects {
            let of_stream: Vec<&Taken> = of_some
                .iter()
                .filter(|newer| newer.has(&object))
                .copied()
                .collect();
            for range in without(left.clone(), &of_stream) {
                if object.may_have(range) {
                    let part = object.range.map_or(range, |part| part.intersect(range));
                    parts.push(LogObject {
                        range: Some(part),
                        ..object.clone()
                    });
                }
            }
        }
        taken.push(own);
        cut.push((manifest, prefix, parts));
    }
    Ok(cut)
}

impl Taken {
    fn by(manifest: &Manifest) -> Self {
        let prefix = manifest.log_stream_prefix.as_deref().unwrap_or_default();
        Self {
            origin: manifest.origin.clone(),
            prefix: layout::cloudwatch::exported_stream(prefix),
            range: manifest.window_range,
        }
    }

    fn has(&self, object: &LogObject) -> bool {
        let folder = layout::parent(&object.key());
        let stream = folder.filename().unwrap_or_default();
        stream.starts_with(&self.prefix)
    }
}

/// The times of `ranges` that are not taken.
fn without(ranges: Vec<Range>, taken: &[&Taken]) -> Vec<Range> {
    taken.iter().fold(ranges, |left, taken| {
        let left = left.into_iter();
        left.flat_map(|range| range.without(taken.range)).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::window::{Size, Window};
    use chrono::{DateTime, Utc};
    use object_store::ObjectMeta;
    use object_store::path::Path;

    fn attempt(job: &str, prefix: Option<&str>, as_of: &str, streams: &[&str]) -> CompleteAttempt {
        let as_of: DateTime<Utc> = as_of.parse().unwrap();
        let window = Window::parse(Size::Day, chrono_tz::UTC, "2026-11-21").unwrap();
        let folder = Path::parse(format!("{job}/2026-11-21/%2Fa/attempt=1")).unwrap();
        let objects = streams.iter().map(|stream| {
            let meta = ObjectMeta {
                location: layout::cloudwatch::exported_object(&folder, "task", stream, 0),
                last_modified: as_of,
                size: 1,
                e_tag: None,
                version: None,
            };
            LogObject::new(&meta, Some("/a")).unwrap()
        });
        CompleteAttempt {
            manifest: Manifest {
                log_stream_prefix: prefix.map(str::to_owned),
                ..Manifest::new("/a", &window, window.range(), "task", as_of)
            },
            objects: Some(objects.collect()),
            prefix: folder,
        }
    }

    async fn streams(attempts: Vec<CompleteAttempt>) -> Vec<String> {
        let stores = crate::store::Stores::new(std::sync::Arc::new(crate::aws::Aws::new(
            crate::job::AwsSettings::default(),
        )));
        let here = crate::job::Location::Local(std::env::temp_dir());
        let account = crate::aws::Account::LOGS;
        let store = stores.unwrap().open(&here, account).await.unwrap();
        let cut = without_overlaps(&store, attempts).unwrap().into_iter();
        let objects = cut.flat_map(|(_, _, objects)| objects);
        let mut keys: Vec<String> = objects
            .map(|object| {
                let job = object.key().as_ref().split('/').next().unwrap().to_owned();
                format!("{job} {}", object.log_stream())
            })
            .collect();
        keys.sort();
        keys
    }

    #[tokio::test]
    async fn exports_with_and_without_a_stream_prefix_have_each_stream_once() {
        let all = |as_of| attempt("all", None, as_of, &["api/1", "web/1", "web/2"]);
        let web = |as_of| attempt("web", Some("web/"), as_of, &["web/1", "web/2"]);
        let (early, late) = ("2026-11-22T01:00:00Z", "2026-11-22T02:00:00Z");
        assert_eq!(
            streams(vec![all(early), web(late)]).await,
            ["all api-1", "web web-1", "web web-2"]
        );
        assert_eq!(
            streams(vec![all(late), web(early)]).await,
            ["all api-1", "all web-1", "all web-2"]
        );
        // Prefixes that exclude each other have nothing in common.
        let api = attempt("api", Some("api/"), late, &["api/1"]);
        assert_eq!(
            streams(vec![api, web(late)]).await,
            ["api api-1", "web web-1", "web web-2"]
        );
    }

    #[tokio::test]
    async fn groups_of_one_name_in_two_accounts_are_two() {
        let of_account = |job: &str, account: &str| {
            let mut attempt = attempt(job, None, "2026-11-22T01:00:00Z", &["web"]);
            attempt.manifest.origin = Some(Origin {
                account: account.to_owned(),
                region: "ap-northeast-2".to_owned(),
            });
            attempt
        };
        let both = vec![
            of_account("a", "111111111111"),
            of_account("b", "222222222222"),
        ];
        assert_eq!(streams(both).await, ["a web", "b web"]);
        let same = vec![
            of_account("a", "111111111111"),
            of_account("b", "111111111111"),
        ];
        assert_eq!(streams(same).await.len(), 1);
    }
}
