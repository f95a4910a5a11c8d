//! The log groups: which ones there are, their class, and what is allowed with them.

use crate::aws::logs::{
    GroupClass, LogGroup, LogsClient, PageRequest, ServiceError, ServiceErrorKind, TaskRequest,
};
use crate::aws::tried::Tried;
use crate::error::Class;
use crate::job::{CloudWatch, GroupPattern, Source, Verify, Via, nearest};
use crate::numbers::counted;
use crate::window::Range;

use super::examination::{Examination, Permissions};
use super::finding::{Area, Finding, Outcome};

/// The most log groups that are searched for a name like a wrong one.
const MOST_NAMES: usize = 1000;

/// The most log groups on which each permission is tried.
const MOST_TRIED: usize = 20;

impl Examination<'_> {
    /// Examines the log groups, and returns them; `None` where the job has none, or they can't be listed.
    pub(super) async fn logs(&mut self) -> Option<Vec<LogGroup>> {
        let Source::CloudWatch(source) = &self.source().logs else {
            return None;
        };
        let client = match LogsClient::new(self.environment.stores.aws(), self.logs_account()).await
        {
            Ok(client) => client,
            Err(error) => {
                self.add(Finding::of_error(Area::Logs, "log groups", &error));
                return None;
            }
        };
        let groups = self.list_groups(&client, source).await?;
        self.permissions(&client, source, &groups).await;
        if source.via != Via::Events {
            self.slot(&client, source).await;
        }
        self.retention(&groups);
        Some(groups)
    }

    async fn list_groups(
        &mut self,
        client: &LogsClient,
        source: &CloudWatch,
    ) -> Option<Vec<LogGroup>> {
        let mut groups: Vec<LogGroup> = Vec::new();
        let mut unmatched = Vec::new();
        for pattern in &source.log_groups {
            let found = match matching(client, pattern).await {
                Ok(found) => found,
                Err(error) => {
                    let of = Permissions::of(Area::Logs, "log groups", Class::Source, None);
                    { of }.note(
                        self,
                        "logs:DescribeLogGroups",
                        Tried::<()>::from(Err(error)),
                    );
                    return None;
                }
            };
            if found.is_empty() {
                unmatched.push(pattern);
            }
            let readable = found
                .iter()
                .any(|group| group.class != GroupClass::Delivery);
            for group in &found {
                self.class(pattern, source, group, readable);
            }
            let found = found.into_iter();
            groups.extend(found.filter(|group| group.class != GroupClass::Delivery));
        }
        groups.sort_by(|a, b| a.name.cmp(&b.name));
        groups.dedup_by(|a, b| a.name == b.name);
        for pattern in unmatched {
            self.unmatched(client, pattern, groups.is_empty()).await;
        }
        Some(groups)
    }

    async fn unmatched(&mut self, client: &LogsClient, pattern: &GroupPattern, all: bool) {
        let names = some_names(client).await;
        let text = pattern.as_str();
        let hint = nearest(text, names.iter().map(String::as_str))
            .map_or(String::new(), |name| format!("; did you mean {name:?}?"));
        let finding = match (pattern.is_name(), all) {
            (true, _) => Finding::failed(
                Area::Logs,
                text,
                Class::Usage,
                format!("the log group does not exist in {}{hint}", self.region),
            ),
            (false, true) => Finding::failed(
                Area::Logs,
                text,
                Class::Usage,
                format!("no log group of {} matches it{hint}", self.region),
            ),
            (false, false) => Finding::new(
                Area::Logs,
                text,
                Outcome::Warning,
                format!(
                    "no log group of {} matches it, and others are read without it{hint}",
                    self.region
                ),
            ),
        };
        self.add(finding);
    }

    /// Whether events of a group of this class can be had.
    fn class(
        &mut self,
        pattern: &GroupPattern,
        source: &CloudWatch,
        group: &LogGroup,
        beside: bool,
    ) {
        let of_delivery = "is of the class Delivery, whose events can be read in no way";
        let finding = match (group.class, source.via) {
            (GroupClass::Delivery, _) if pattern.is_name() || !beside => {
                Finding::failed(Area::Logs, &group.name, Class::Usage, of_delivery)
            }
            (GroupClass::Delivery, _) => {
                let message = format!("{of_delivery}: it is left out");
                Finding::new(Area::Logs, &group.name, Outcome::Warning, message)
            }
            (GroupClass::InfrequentAccess, Via::Events) => Finding::failed(
                Area::Logs,
                &group.name,
                Class::Usage,
                "is of the class Infrequent Access, whose events can only be exported: expected via = \"export-task\" or \"auto\"",
            ),
            _ => return,
        };
        self.add(finding);
    }

    async fn permissions(&mut self, client: &LogsClient, source: &CloudWatch, groups: &[LogGroup]) {
        let count = counted(groups.len() as u64, "log group");
        let mut of_account = Permissions::of(Area::Logs, &count, Class::Source, None);
        of_account.note(self, "logs:DescribeLogGroups", Tried::Allowed(()));
        if source.verify_method() == Verify::Metrics {
            let names: Vec<String> = groups.iter().take(1).map(|one| one.name.clone()).collect();
            let metric = self.bytes_of_last_days(&names).await;
            of_account.note(self, "cloudwatch:GetMetricData", metric);
        }
        // A permission may be limited to some of the groups: one is tried for each name or glob.
        let mut tried: Vec<&LogGroup> = source
            .log_groups
            .iter()
            .filter_map(|pattern| groups.iter().find(|group| pattern.matches(&group.name)))
            .take(MOST_TRIED)
            .collect();
        tried.dedup_by(|a, b| a.name == b.name);
        for group in tried {
            let mut of_group = Permissions::of(Area::Logs, &group.name, Class::Source, None);
            let streams = client.log_streams(&group.name, None).await;
            of_group.note(self, "logs:DescribeLogStreams", streams.into());
            if source.via != Via::Events {
                let ended = try_export(client, &group.name).await;
                of_group.note(self, "logs:CreateExportTask", ended);
            }
            if source.via != Via::ExportTask && group.class == GroupClass::Standard {
                let events = self.try_events(client, source, &group.name).await;
                of_group.note(self, "logs:FilterLogEvents", events);
            }
            if source.verify_method() == Verify::Insights {
                self.try_insights(client, &group.name, &mut of_group, &mut of_account)
                    .await;
            }
            of_group.finish(self);
        }
        of_account.finish(self);
    }

    async fn try_events(&self, client: &LogsClient, source: &CloudWatch, group: &str) -> Tried<()> {
        let now = self.environment.clock.now().timestamp_millis();
        let request = PageRequest {
            log_group: group.to_owned(),
            log_stream_prefix: source.log_stream_prefix.clone(),
            range: Range {
                start_ms: now - 1,
                end_ms: now,
            },
            token: None,
        };
        Tried::from(client.events(&request).await).map(drop)
    }

    /// Runs a query over a second, and looks at it and stops it, whether it has ended or not.
    async fn try_insights(
        &mut self,
        client: &LogsClient,
        group: &str,
        of_group: &mut Permissions,
        of_account: &mut Permissions,
    ) {
        let now = self.environment.clock.now().timestamp();
        let groups = [group.to_owned()];
        let query = "fields @timestamp | limit 1";
        let started = client.start_insights(&groups, now, now, query).await;
        let Some(id) = of_group.note(self, "logs:StartQuery", started.into()) else {
            return;
        };
        let state = client.insights(&id).await;
        of_group.note(self, "logs:GetQueryResults", Tried::from(state).map(drop));
        let stopped = match client.stop_insights(&id).await {
            // It has ended meanwhile.
            Err(error) if error.kind == ServiceErrorKind::Invalid => Tried::Allowed(()),
            ended => Tried::from(ended),
        };
        of_account.note(self, "logs:StopQuery", stopped);
    }
}

/// The groups that a name or glob matches.
async fn matching(
    client: &LogsClient,
    pattern: &GroupPattern,
) -> Result<Vec<LogGroup>, ServiceError> {
    let mut found = Vec::new();
    let mut page = None;
    loop {
        let listed = client.log_groups(pattern.literal_prefix(), page).await?;
        let groups = listed.items.into_iter();
        found.extend(groups.filter(|group| pattern.matches(&group.name)));
        page = listed.next;
        if page.is_none() {
            return Ok(found);
        }
    }
}

/// Names of log groups, as far as they can be listed.
async fn some_names(client: &LogsClient) -> Vec<String> {
    let mut names = Vec::new();
    let mut page = None;
    while let Ok(listed) = client.log_groups("", page).await {
        names.extend(listed.items.into_iter().map(|group| group.name));
        page = listed.next;
        if page.is_none() || names.len() >= MOST_NAMES {
            break;
        }
    }
    names
}

/// Asks for an export to a bucket that does not exist. AWS checks the permission first, so the answer says whether it is
/// there, and no task begins.
async fn try_export(client: &LogsClient, group: &str) -> Tried<()> {
    let request = TaskRequest {
        name: "logtally doctor".to_owned(),
        log_group: group.to_owned(),
        log_stream_prefix: None,
        from_ms: 0,
        to_ms: 1,
        bucket: format!("logtally-doctor-{}", uuid::Uuid::now_v7().simple()),
        prefix: "doctor".to_owned(),
    };
    match client.create_export_task(&request).await {
        Err(error)
            if matches!(
                error.kind,
                ServiceErrorKind::Invalid | ServiceErrorKind::SlotBusy
            ) =>
        {
            Tried::Allowed(())
        }
        ended => Tried::from(ended).map(drop),
    }
}
