//! The ways in which sources reach the location where they have their exports together: each export is read as a run reads it, with
//! the Region, profile and role of the source that it is of.

use std::collections::HashMap;

use crate::aws::Account;
use crate::error::{Error, Result};
use crate::export::staging::ExportedWindow;
use crate::job::{Job, JobSource, Source};
use crate::layout::Origin;
use crate::run::Environment;
use crate::run::sources::about;
use crate::store::Store;

/// Ways to reach one location, at least one.
pub(super) struct Ways(Vec<Way>);

/// A way, with the sources that take it.
struct Way {
    store: Store,
    sources: Vec<JobSource>,
}

/// The account and Region of the logs that are reached in a way, as far as they are known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Reached {
    account: Option<String>,
    region: Option<String>,
}

impl Reached {
    fn may_be(&self, origin: &Origin) -> bool {
        let fits = |known: &Option<String>, of: &str| known.as_deref().is_none_or(|it| it == of);
        fits(&self.account, &origin.account) && fits(&self.region, &origin.region)
    }
}

impl Ways {
    /// The way of a source.
    pub(super) fn new(source: &JobSource, store: Store) -> Self {
        let sources = vec![source.clone()];
        Self(vec![Way { store, sources }])
    }

    /// Adds that of another source, if it is another one.
    pub(super) fn add(&mut self, source: &JobSource, store: Store) {
        match self.0.iter_mut().find(|way| way.access() == source.access) {
            Some(way) => way.sources.push(source.clone()),
            None => self.0.extend(Self::new(source, store).0),
        }
    }

    /// The store of each, in the order of the job's sources.
    pub(super) fn stores(&self) -> impl Iterator<Item = &Store> {
        self.0.iter().map(|way| &way.store)
    }

    /// Of each export, in which of the ways it is read. An error (source) where it can't be said.
    pub(super) async fn of_exports(
        &self,
        environment: &Environment,
        job: &Job,
        exports: &[ExportedWindow],
    ) -> Result<Vec<usize>> {
        if self.0.len() == 1 {
            return Ok(vec![0; exports.len()]);
        }
        let known = self.0.iter().map(|way| way.as_the_job_says(job));
        let mut reached: Vec<Reached> = known.collect();
        let mut are_asked = false;
        let mut ways_of: HashMap<Option<&Origin>, Vec<usize>> = HashMap::new();
        let mut found = Vec::with_capacity(exports.len());
        for export in exports {
            // Nothing is read of one without objects.
            let Some(object) = export.objects.first() else {
                found.push(0);
                continue;
            };
            let group = object.log_group.as_deref();
            if group.is_some_and(|group| group.starts_with("arn:")) {
                // The account is the linked one, and no role need be of it.
                let all: Vec<usize> = (0..self.0.len()).collect();
                found.push(self.best(&all, group));
                continue;
            }
            let origin = object.origin.as_deref();
            let ways = match ways_of.get(&origin) {
                Some(ways) => ways.clone(),
                None => {
                    let mut ways = fitting(&reached, origin);
                    if ways.len() > 1 && origin.is_some() && !are_asked {
                        are_asked = true;
                        reached = self.asked(environment, reached).await?;
                        ways = fitting(&reached, origin);
                    }
                    ways_of.insert(origin, ways.clone());
                    ways
                }
            };
            found.push(self.best(&ways, group));
        }
        Ok(found)
    }

    /// Of ways to one account, the first whose sources have the log group. An export that is of no source any more is read as the first
    /// source of the location reads it, which has listed it.
    fn best(&self, ways: &[usize], log_group: Option<&str>) -> usize {
        let matches = |way: &&usize| {
            let sources = self.0.get(**way).map(|way| &way.sources);
            log_group.is_some_and(|group| {
                let mut sources = sources.into_iter().flatten();
                sources.any(|source| has_group(source, group))
            })
        };
        let matching = ways.iter().find(matches);
        matching.or(ways.first()).copied().unwrap_or_default()
    }

    /// What each reaches, asked where the job does not say it.
    async fn asked(&self, environment: &Environment, known: Vec<Reached>) -> Result<Vec<Reached>> {
        let aws = environment.stores.aws();
        let mut reached = Vec::with_capacity(known.len());
        for (way, known) in self.0.iter().zip(known) {
            let account = Account::Source(way.access());
            let doing = format!(
                "finding out whose the exports in {} are",
                way.store.location()
            );
            let failed = |error: Error| match way.sources.first() {
                Some(source) => about(source, error.during(&doing)),
                None => error.during(&doing),
            };
            reached.push(Reached {
                account: match known.account {
                    Some(account) => Some(account),
                    None => Some(aws.caller(account).await.map_err(failed)?.account),
                },
                region: match known.region {
                    Some(region) => Some(region),
                    None => Some(aws.region(account).await.map_err(failed)?),
                },
            });
        }
        Ok(reached)
    }
}

impl Way {
    fn access(&self) -> usize {
        self.sources.first().map_or(0, |source| source.access)
    }

    /// What the job says: the account of a role, and the Region.
    fn as_the_job_says(&self, job: &Job) -> Reached {
        let access = job.aws.sources.get(self.access());
        let role = access.and_then(|access| access.role_arn.as_deref());
        Reached {
            account: role
                .and_then(|arn| arn.split(':').nth(4))
                .map(str::to_owned),
            region: access.and_then(|access| access.region.clone()),
        }
    }
}

/// The ways that may reach the logs of an export: those that are known to be of its account, or else those that may be. One that does
/// not say whose it is may be of each.
fn fitting(reached: &[Reached], origin: Option<&Origin>) -> Vec<usize> {
    let ways = |fits: &dyn Fn(&Reached) -> bool| -> Vec<usize> {
        let ways = reached.iter().enumerate();
        let ways = ways.filter(|(_, reached)| fits(reached));
        ways.map(|(way, _)| way).collect()
    };
    let Some(origin) = origin else {
        return ways(&|_| true);
    };
    let known = ways(&|reached| reached.account.is_some() && reached.may_be(origin));
    match known.is_empty() {
        true => ways(&|reached| reached.may_be(origin)),
        false => known,
    }
}

fn has_group(source: &JobSource, log_group: &str) -> bool {
    match &source.logs {
        Source::CloudWatch(settings) => {
            let mut patterns = settings.log_groups.iter();
            patterns.any(|pattern| pattern.matches(log_group))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reached(account: Option<&str>, region: Option<&str>) -> Reached {
        Reached {
            account: account.map(str::to_owned),
            region: region.map(str::to_owned),
        }
    }

    #[test]
    fn an_export_is_read_by_what_may_reach_its_account_and_region() {
        let ways = [
            reached(Some("111111111111"), Some("eu-west-1")),
            reached(Some("222222222222"), Some("eu-west-1")),
            reached(Some("222222222222"), Some("us-east-1")),
            reached(None, Some("eu-west-1")),
        ];
        let of = |account: &str, region: &str| {
            let origin = Origin {
                account: account.to_owned(),
                region: region.to_owned(),
            };
            fitting(&ways, Some(&origin))
        };
        assert_eq!(of("111111111111", "eu-west-1"), [0]);
        assert_eq!(of("222222222222", "us-east-1"), [2]);
        assert_eq!(of("333333333333", "eu-west-1"), [3]);
        assert_eq!(of("333333333333", "us-east-1"), [0_usize; 0]);
        assert_eq!(fitting(&ways, None), [0, 1, 2, 3]);
    }
}
