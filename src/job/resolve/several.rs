//! `[source]`, or each `[[source]]` of a job that reads several accounts, Regions or kinds of source.

use std::collections::HashSet;
use std::mem::discriminant;
use std::time::Duration;

use super::super::checked::{Length, Name};
use super::super::job_text::Wrong;
use super::super::location::Location;
use super::super::sources::{JobSource, SourceAccess, section};
use super::super::spec::SourceSpec;
use super::super::{AwsSettings, Source, Subscription};
use super::{GIVE_UP_AFTER, Resolver};
use crate::error::said_of;
use crate::window::Size;

/// What the sections of the sources say.
pub(super) struct Sources {
    /// At least one.
    pub(super) sources: Vec<JobSource>,
    /// Without the encryption of the answers.
    pub(super) aws: AwsSettings,
    pub(super) mask: bool,
}

/// A section on its way: its place in the list, and how messages name it.
struct Section {
    number: Option<usize>,
    name: Option<Name>,
}

impl Section {
    /// What is wrong with the section, said of the section: checks of a single source say `[source]`.
    fn wrong(&self, wrong: Wrong) -> Wrong {
        let Some(number) = self.number else {
            return wrong;
        };
        let place = format!("source.{}", number - 1);
        let section = section(self.number, self.name.as_ref());
        let is_own = wrong.path == "source" || wrong.path.starts_with("source.");
        Wrong {
            path: match is_own {
                true => wrong.path.replacen("source", &place, 1),
                false => wrong.path,
            },
            message: said_of(&section, &wrong.message),
        }
    }

    fn at(&self, key: &str, message: &str) -> Wrong {
        let wrong = Wrong::at(format!("source.{key}"), format!("[source] {message}"));
        self.wrong(wrong)
    }
}

impl Resolver<'_> {
    /// The job's sources, how they are reached, and whether their messages are masked.
    pub(super) fn sources(
        &self,
        specs: Vec<SourceSpec>,
        output: &Location,
        size: Size,
        give_up_after: Option<Length>,
    ) -> Result<Sources, Wrong> {
        let is_one = specs.len() == 1;
        let mut names = HashSet::new();
        let mut sources: Vec<JobSource> = Vec::with_capacity(specs.len());
        let mut accesses: Vec<SourceAccess> = Vec::new();
        let mut masks = None;
        for (place, spec) in specs.into_iter().enumerate() {
            let number = (!is_one).then_some(place + 1);
            let (name, mask) = (spec.name.clone(), spec.mask.unwrap_or(false));
            let section = Section {
                number,
                name: name.clone(),
            };
            if let Some(name) = &name
                && !names.insert(name.clone())
            {
                let message = format!("name is {:?}, as of an earlier one", name.as_str());
                return Err(section.at("name", &format!("{message}: expected a name of its own")));
            }
            if *masks.get_or_insert(mask) != mask {
                let message = format!(
                    "mask is {mask}, and that of the first [[source]] is {}: expected one for all, since a query reads the events of all",
                    !mask
                );
                return Err(section.at("mask", &message));
            }
            let access = SourceAccess {
                region: spec.region.clone().map(|text| text.0),
                profile: spec.profile.clone().map(|text| text.0),
                role_arn: spec.role_arn.clone().map(|text| text.0),
                requester_pays: spec.requester_pays.unwrap_or(false),
            };
            let known = accesses.iter().position(|known| *known == access);
            let access = known.unwrap_or_else(|| {
                accesses.push(access);
                accesses.len() - 1
            });
            let keep = spec.keep.map(|length| length.0);
            let waits = waits(give_up_after, spec.give_up_after);
            let source = waits
                .and_then(|give_up_after| self.source(spec, output, size, give_up_after))
                .map_err(|wrong| section.wrong(wrong))?;
            let source = JobSource {
                number,
                name,
                logs: source,
                access,
                keep,
            };
            ensure_staging_of_its_own(&sources, &source)
                .and_then(|()| ensure_path_of_its_own(&sources, &source))
                .map_err(|wrong| section.wrong(wrong))?;
            sources.push(source);
        }
        if sources.is_empty() {
            let message = "[[source]] is an empty list: expected [source] with kind, or [[source]] for each of several";
            return Err(Wrong::at("source", message));
        }
        Ok(Sources {
            aws: AwsSettings {
                region: common(&accesses, |access| &access.region),
                profile: common(&accesses, |access| &access.profile),
                sources: accesses,
                encryption: None,
            },
            mask: masks.unwrap_or(false),
            sources,
        })
    }
}

/// How long the exports of a source wait without progress.
fn waits(of_run: Option<Length>, of_source: Option<Length>) -> Result<Duration, Wrong> {
    match (of_run, of_source) {
        (Some(_), Some(_)) => Err(Wrong::at(
            "source.give_up_after",
            "[run] and [source] both have give_up_after: expected it in [run] only",
        )),
        (of_run, of_source) => Ok(of_run
            .or(of_source)
            .map_or(GIVE_UP_AFTER, |length| length.0)),
    }
}

/// What all ways to reach logs have in common, which is how the answers are reached.
fn common(
    accesses: &[SourceAccess],
    key: impl Fn(&SourceAccess) -> &Option<String>,
) -> Option<String> {
    let first = key(accesses.first()?);
    let is_common = accesses.iter().all(|access| key(access) == first);
    first.clone().filter(|_| is_common)
}

/// Exports of CloudWatch know their account and Region; those of folders are told apart only by where they are.
fn ensure_staging_of_its_own(earlier: &[JobSource], source: &JobSource) -> Result<(), Wrong> {
    let is_known = |source: &JobSource| matches!(source.logs, Source::CloudWatch(_));
    let Some(staging) = source.logs.staging() else {
        return Ok(());
    };
    let taken = earlier.iter().find(|other| {
        let is_same = other.logs.staging() == Some(staging);
        is_same && !(is_known(other) && is_known(source))
    });
    match taken {
        None => Ok(()),
        Some(other) => Err(Wrong::at(
            "source.staging",
            format!(
                "[source] staging is {staging}, as of {other}: expected another location, since the exports of a folder are told apart only by it"
            ),
        )),
    }
}

/// Objects that two sources read would count twice.
fn ensure_path_of_its_own(earlier: &[JobSource], source: &JobSource) -> Result<(), Wrong> {
    let Some(keys) = beginning_of_keys(&source.logs) else {
        return Ok(());
    };
    let common = earlier.iter().find(|other| {
        let is_same_kind = discriminant(&other.logs) == discriminant(&source.logs);
        let others = beginning_of_keys(&other.logs).filter(|_| is_same_kind);
        others.is_some_and(|others| others.starts_with(&keys) || keys.starts_with(&others))
            && may_have_common_keys(&other.logs, &source.logs)
    });
    match common {
        None => Ok(()),
        Some(other) => Err(Wrong::at(
            "source.path",
            format!(
                "[source] path is {}, and {other} reads the same objects: expected other ones for each, since an event in both would count twice",
                source.logs.location()
            ),
        )),
    }
}

/// Whether one key may be that of both, as far as their prefixes say it: keys that begin with a year are none of a folder with a name.
fn may_have_common_keys(one: &Source, other: &Source) -> bool {
    let (Source::Subscription(one), Source::Subscription(other)) = (one, other) else {
        return true;
    };
    let may_have = |outer: &Subscription, inner: &Subscription| {
        let inside = inner.path.beginning();
        let Some(below) = inside.strip_prefix(&outer.path.beginning()) else {
            return true;
        };
        let folder = match inner.prefix.folder_of_all() {
            "" => below.to_owned(),
            folder => format!("{below}{folder}/"),
        };
        outer.prefix.may_be_below(&folder)
    };
    may_have(one, other) && may_have(other, one)
}

/// How the keys of the objects begin that a source reads in place; `None` where it exports them.
fn beginning_of_keys(source: &Source) -> Option<String> {
    let below = source
        .is_read_in_place()
        .then(|| source.location().beginning())?;
    Some(match source {
        Source::Subscription(subscription) => below + subscription.prefix.text_in_front(),
        _ => below,
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::job::{Job, OriginColumns, parse};

    fn job(sources: &str) -> Job {
        let text = format!(
            "name = \"night\"\n{sources}\n[output]\nlocation = \"s3://acme-answers\"\n[[query]]\nuse = \"hourly_count\"\n"
        );
        parse(Path::new("/jobs/night.toml"), &text).unwrap_or_else(|error| panic!("{error}"))
    }

    /// A section with further keys.
    fn source(keys: &str) -> String {
        format!(
            "kind = \"cloudwatch\"\nlog_groups = [\"/svc/*\"]\nstaging = \"s3://acme-logs/exports\"\n{keys}\n"
        )
    }

    #[test]
    fn a_list_of_one_is_as_one_section() {
        for header in ["[source]", "[[source]]"] {
            let job = job(&format!("{header}\n{}", source("region = \"eu-west-1\"")));
            assert_eq!(job.sources[0].section(), "[source]");
            assert_eq!(job.origins(), OriginColumns::default());
            assert_eq!(job.aws.region.as_deref(), Some("eu-west-1"));
        }
    }

    #[test]
    fn each_way_to_reach_logs_is_there_once() {
        let sources = ["eu-west-1", "us-east-1", "eu-west-1"].map(|region| {
            let keys = format!("profile = \"prod\"\nregion = \"{region}\"");
            format!("[[source]]\n{}", source(&keys))
        });
        let job = job(&sources.concat());
        let accesses: Vec<usize> = job.sources.iter().map(|source| source.access).collect();
        assert_eq!(accesses, [0, 1, 0]);
        assert_eq!(job.aws.sources.len(), 2);
        // The answers are reached by what all have in common.
        assert_eq!(job.aws.profile.as_deref(), Some("prod"));
        assert_eq!(job.aws.region, None);
        assert_eq!(job.origins(), OriginColumns::ALL);
        assert_eq!(job.sources[1].section(), "[[source]] 2");
    }

    #[test]
    fn sources_of_a_kind_have_no_objects_in_common() {
        let of = |keys: [&str; 2]| {
            let sources = keys.map(|keys| format!("[[source]]\n{keys}\n"));
            let text = format!(
                "name = \"night\"\n{}[output]\nlocation = \"s3://acme-answers\"\n[[query]]\nuse = \"hourly_count\"\n",
                sources.concat()
            );
            parse(Path::new("/jobs/night.toml"), &text).map(drop)
        };
        let exported = |path: &str| format!("kind = \"exported\"\npath = \"{path}\"");
        let subscription = |prefix: &str| {
            format!("kind = \"subscription\"\npath = \"s3://acme\"\nprefix = \"{prefix}\"")
        };
        for (one, two, is_common) in [
            (exported("s3://acme/a"), exported("s3://acme/a"), true),
            (exported("s3://acme/a/b"), exported("s3://acme/a"), true),
            (exported("s3://acme/a"), exported("s3://acme/ab"), false),
            (exported("s3://acme/a"), exported("s3://other/a"), false),
            (exported("logs"), exported("logs/old"), true),
            (exported("s3://acme"), subscription("a/"), false),
            // A name is none of the years that follow the prefix.
            (subscription("a/"), subscription("a/b/"), false),
            (subscription(""), subscription("a/"), false),
            (subscription("a/"), subscription("a/2026/"), true),
            (
                subscription("!{partitionKeyFromQuery:team}/"),
                subscription("a/"),
                true,
            ),
            (subscription("a/"), subscription("a/"), true),
            (subscription("a/"), subscription("b/"), false),
            (subscription("*"), subscription("b/"), true),
            (subscription("web-"), subscription("app-"), false),
        ] {
            let wrong = of([&one, &two]).err().map(|error| error.to_string());
            assert_eq!(wrong.is_some(), is_common, "{one} {two}: {wrong:?}");
            if let Some(wrong) = wrong {
                assert!(
                    wrong.contains("[[source]] 1 reads the same objects"),
                    "{wrong}"
                );
            }
        }
    }

    #[test]
    fn kinds_are_mixed_and_the_window_settles_with_the_last() {
        let exported = "[[source]]\nname = \"old\"\nkind = \"exported\"\npath = \"exported\"\n";
        let job = job(&format!(
            "{exported}[[source]]\n{}",
            source("keep = \"7d\"")
        ));
        assert_eq!(job.sources[0].section(), "[[source]] 1 (old)");
        assert_eq!(job.window.settled_after.as_secs(), 24 * 3600);
        let keeps: Vec<bool> = job.sources.iter().map(|one| one.keep.is_some()).collect();
        assert_eq!(keeps, [false, true]);
    }
}
