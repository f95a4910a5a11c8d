//! The job's log groups: those that its names and globs match, listed once.

use std::collections::HashSet;
use std::ops::ControlFlow;

use super::{CloudWatchExporter, OF_DELIVERY};
use crate::aws::logs::Origin;
use crate::error::{Class, Error, Result};
use crate::export::deadline::Deadline;
use crate::export::service::{GroupClass, LogGroup, ServiceError, ServiceErrorKind};
use crate::job::{GroupPattern, nearest, split_group_arn};

/// The most log groups to search for a name like a wrong one. A page has 50.
const MOST_NAMES: usize = 1000;

/// The log groups of a job.
pub(super) struct ListedGroups {
    /// Each once, by name.
    pub(super) groups: Vec<LogGroup>,
    /// Notes on globs that match none, beside others that do: the last group of a glob may have been deleted.
    pub(super) unmatched: Vec<String>,
}

impl CloudWatchExporter {
    /// The log groups that the job's names and globs match, each once, by name.
    pub(super) async fn log_groups(&self, report: &(dyn Fn(&str) + Sync)) -> Result<&[LogGroup]> {
        let list = || self.list_groups(report);
        let listed = self.listed.get_or_try_init(list).await?;
        Ok(&listed.groups)
    }

    async fn list_groups(&self, report: &(dyn Fn(&str) + Sync)) -> Result<ListedGroups> {
        let what = "the list of the log groups".to_owned();
        let deadline = self.deadline(what, report);
        let deadline = deadline.of_first_contact(self.service.endpoint());
        let mut groups: Vec<LogGroup> = Vec::new();
        let mut unmatched: Vec<Error> = Vec::new();
        for pattern in &self.settings.log_groups {
            let before = groups.len();
            let listed = deadline
                .pages(
                    |page| self.service.groups(pattern.literal_prefix(), page),
                    |page| {
                        groups.extend(
                            page.into_iter()
                                .filter(|group| pattern.matches(&group.name)),
                        );
                        ControlFlow::Continue(())
                    },
                )
                .await?;
            listed.map_err(cannot_list)?;
            let found = &groups[before..];
            if found.is_empty() {
                let missing = self.no_such_group(pattern, &deadline).await;
                if pattern.is_name() {
                    return Err(missing);
                }
                unmatched.push(missing);
                continue;
            }
            if found
                .iter()
                .all(|group| group.class == GroupClass::Delivery)
            {
                return Err(Error::usage(format!(
                    "[source] log_groups: {:?} is {OF_DELIVERY}",
                    pattern.as_str()
                )));
            }
        }
        groups.sort_by(|a, b| a.name.cmp(&b.name));
        groups.dedup_by(|a, b| a.name == b.name);
        leave_out_named_twice(&mut groups);
        if groups.is_empty()
            && let Some(missing) = unmatched.pop()
        {
            return Err(missing);
        }
        Ok(ListedGroups {
            groups,
            unmatched: unmatched.iter().map(Error::to_string).collect(),
        })
    }

    /// An error (usage) that suggests the existing name most like the missing one.
    async fn no_such_group(&self, pattern: &GroupPattern, deadline: &Deadline<'_>) -> Error {
        if pattern.is_linked() {
            return Error::usage(format!(
                "[source] log_groups: no log group matches {:?}: expected the account of the ARN to be linked to this one for observability, with its log groups, and the Region to be that of the job",
                pattern.as_str()
            ));
        }
        let mut names = Vec::new();
        // After an error there is nothing to suggest.
        let _ = deadline
            .pages(
                |page| self.service.groups("", page),
                |page| {
                    names.extend(page.into_iter().map(|group| group.name));
                    match names.len() < MOST_NAMES {
                        true => ControlFlow::Continue(()),
                        false => ControlFlow::Break(()),
                    }
                },
            )
            .await;
        let text = pattern.as_str();
        let missing = match pattern.is_name() {
            true => format!("the log group {text:?} does not exist"),
            false => format!("no log group matches {text:?}"),
        };
        let hint = nearest(text, names.iter().map(String::as_str))
            .map_or(String::new(), |name| format!("; did you mean {name:?}?"));
        Error::usage(format!("[source] log_groups: {missing}{hint}"))
    }

    /// Whether the job names the group itself, not only a glob that it matches.
    pub(super) fn is_named(&self, group: &LogGroup) -> bool {
        let mut patterns = self.settings.log_groups.iter();
        patterns.any(|pattern| pattern.is_name() && pattern.matches(&group.name))
    }

    /// Whether the job names the group, or one of its globs matches it.
    pub(super) fn is_matched(&self, group: &str) -> bool {
        let mut patterns = self.settings.log_groups.iter();
        patterns.any(|pattern| pattern.matches(group))
    }
}

/// Leaves out the ARNs of log groups that are there by their names too: those of the account itself. Their events would count twice.
fn leave_out_named_twice(groups: &mut Vec<LogGroup>) {
    let by_name = groups
        .iter()
        .filter(|group| split_group_arn(&group.name).is_none());
    let named: HashSet<(String, Origin)> = by_name
        .filter_map(|group| Some((group.name.clone(), group.origin.clone()?)))
        .collect();
    groups.retain(|group| {
        let twice = split_group_arn(&group.name).zip(group.origin.clone());
        !twice.is_some_and(|((_, name), origin)| named.contains(&(name.to_owned(), origin)))
    });
}

fn cannot_list(error: ServiceError) -> Error {
    let class = match error.kind {
        ServiceErrorKind::Invalid => Class::Usage,
        _ => Class::Source,
    };
    Error::new(
        class,
        format!("could not list the log groups: {}", error.message),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_group_by_its_name_and_its_arn_is_there_once() {
        let arn = |account: &str| format!("arn:aws:logs:eu-west-1:{account}:log-group:/a");
        let group = |name: &str, account: &str| LogGroup {
            name: name.to_owned(),
            created_ms: 0,
            stored_bytes: 0,
            retention_days: None,
            class: GroupClass::Standard,
            origin: Some(Origin {
                account: account.to_owned(),
                region: "eu-west-1".to_owned(),
            }),
        };
        let (own, linked) = ("111111111111", "222222222222");
        let mut groups = vec![
            group("/a", own),
            group(&arn(own), own),
            group(&arn(linked), linked),
        ];
        leave_out_named_twice(&mut groups);
        let names: Vec<&str> = groups.iter().map(|group| group.name.as_str()).collect();
        assert_eq!(names, ["/a", &arn(linked)]);
    }
}
