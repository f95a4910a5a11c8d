//! The sources of a job, open: where the exports of each are, what exports them, and whose they are. Each goes through the
//! export slot of its own account and Region, all at once.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures::future::join_all;
use futures::{StreamExt, TryStreamExt};
use tokio::sync::Semaphore;

use super::shared::KnownTimes;
use super::{Environment, open};
use crate::aws::Account;
use crate::aws::logs::{LogsClient, Origin};
use crate::error::{Class, Error, Result};
use crate::export::cloudwatch::CloudWatchExporter;
use crate::export::delivered::DeliveredSource;
use crate::export::directory::DirectoryExporter;
use crate::export::existing::ExistingExport;
use crate::export::service::ExportService;
use crate::export::subscription::SubscriptionSource;
use crate::export::turns::ExportSlot;
use crate::export::{Ahead, ExportRequest, Exported, LogExporter, Reuse};
use crate::job::{Job, JobSource, Source, Via, split_group_arn};
use crate::layout::StagingKeys;
use crate::progress::{Progress, Step};
use crate::receipt::{Receipt, SourceReport};
use crate::scan::Hours;
use crate::state::{Attempt, Journal};
use crate::store::Store;
use crate::window::Window;

/// Sources that are opened, asked, or exported without a slot at a time, where each sends a request after the other. Exports that
/// wait for the slot of their own account are not counted, or accounts would wait for each other.
const AT_ONCE: usize = 16;

/// A source whose objects are listed where they are, or are made of a folder's files, counts as so many: it sends many requests at
/// once, or keeps the disk busy.
const BUSY: u32 = 4;

/// A source of a job, with what was opened for it.
pub(super) struct OpenSource<'a> {
    pub(super) source: &'a JobSource,
    /// Where the exported objects are.
    pub(super) store: Store,
    pub(super) keys: StagingKeys,
    /// What exports the windows. It has listed the log groups already.
    pub(super) exporter: Box<dyn LogExporter>,
    /// The account and Region of the log groups, if they are known.
    pub(super) origin: Option<Origin>,
    /// The log groups; empty where they are not known.
    pub(super) log_groups: Vec<String>,
    /// The times of the events in its objects, where these are of any windows.
    pub(super) times: Option<KnownTimes>,
}

fn known_times(source: &JobSource) -> Option<KnownTimes> {
    let is_of_any_windows = matches!(source.logs, Source::Exported { .. });
    is_of_any_windows.then(KnownTimes::default)
}

/// The sources of a job, at least one, in their order.
pub(super) struct Sources<'a> {
    open: Vec<OpenSource<'a>>,
    /// Why others could not be reached. No window can be done without them, but the open ones are exported all the same, for
    /// the run that reaches all.
    unreachable: Vec<Error>,
    /// Whether their log groups were listed, which says in what accounts and Regions they are.
    are_listed: bool,
    /// Which of those that need no slot are exported now.
    without_slot: Semaphore,
}

/// Where the exports of a source are.
pub(super) async fn source_store(environment: &Environment, source: &JobSource) -> Result<Store> {
    let key = match &source.logs {
        Source::CloudWatch(_) | Source::Directory { .. } => "[source] staging",
        Source::Exported { .. } | Source::Subscription(_) | Source::Delivered(_) => "[source] path",
    };
    let location = source.logs.location();
    let opened = open(environment, location, Account::of(source), key).await;
    opened.map_err(|error| about(source, error))
}

/// An error of a source: among several, it says of which one.
pub(super) fn about(source: &JobSource, error: Error) -> Error {
    match source.number {
        None => error,
        Some(_) => error.about(&source.section()),
    }
}

impl<'a> Sources<'a> {
    /// Opens each source, and lists its log groups, some at a time. One of several that can't be reached, or refuses, does not keep the others
    /// from being exported. An error where none can be reached, and where the job itself is wrong.
    pub(super) async fn open(environment: &Environment, job: &'a Job) -> Result<Self> {
        // The sources of one account and Region share a slot.
        let mut slots: HashMap<usize, Arc<ExportSlot>> = HashMap::new();
        let opening = job.sources.iter().map(|source| {
            let slot = Arc::clone(slots.entry(source.access).or_default());
            async move {
                let opened = OpenSource::open(environment, job, source, slot).await;
                match opened.map_err(|error| about(source, error)) {
                    Err(error) if error.class() != Class::Source => Err(error),
                    reached => Ok(reached),
                }
            }
        });
        let opening: Vec<_> = opening.collect();
        let opening = futures::stream::iter(opening).buffered(AT_ONCE);
        let mut sources = Self {
            open: Vec::with_capacity(job.sources.len()),
            unreachable: Vec::new(),
            are_listed: true,
            without_slot: Semaphore::new(AT_ONCE),
        };
        let opened: Vec<Result<OpenSource<'a>>> = opening.try_collect().await?;
        for reached in opened {
            match reached {
                Ok(source) => sources.open.push(source),
                Err(error) => sources.unreachable.push(error),
            }
        }
        if sources.open.is_empty() {
            let failures = std::mem::take(&mut sources.unreachable);
            return Err(Error::of_several(failures)
                .unwrap_or_else(|| Error::new(Class::Unexpected, "the job has no source")));
        }
        for error in &sources.unreachable {
            tracing::warn!("{error}. The other sources are exported nevertheless");
        }
        sources.ensure_each_event_once()?;
        Ok(sources)
    }

    /// Each source with what `exporter` makes of it, without a request to CloudWatch Logs.
    pub(super) async fn open_with(
        environment: &Environment,
        job: &'a Job,
        exporter: impl Fn(&'a JobSource, &Store) -> Box<dyn LogExporter>,
    ) -> Result<Self> {
        let mut sources = Vec::with_capacity(job.sources.len());
        for source in &job.sources {
            let store = source_store(environment, source).await?;
            sources.push(OpenSource {
                source,
                keys: StagingKeys::of(job, source)?,
                exporter: exporter(source, &store),
                origin: None,
                log_groups: Vec::new(),
                times: known_times(source),
                store,
            });
        }
        Ok(Self {
            open: sources,
            unreachable: Vec::new(),
            are_listed: false,
            without_slot: Semaphore::new(AT_ONCE),
        })
    }

    /// Those that could be reached.
    pub(super) fn iter(&self) -> impl Iterator<Item = &OpenSource<'a>> {
        self.open.iter()
    }

    /// The source in this place of the job, where all are there.
    pub(super) fn at(&self, place: usize) -> Option<&OpenSource<'a>> {
        self.open.get(place)
    }

    /// Whether all could be reached.
    pub(super) fn are_all_there(&self) -> bool {
        self.unreachable.is_empty()
    }

    /// Whether it can be said of which source an attempt is. Else nothing may be deleted: another source may keep it.
    pub(super) fn can_be_told_apart(&self) -> bool {
        !self.are_several() || (self.are_listed && self.are_all_there())
    }

    /// An error where some could not be reached.
    pub(super) fn ensure_reached(&self) -> Result<()> {
        let failures = self.unreachable.iter().map(Error::again);
        match Error::of_several(failures.collect()) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    fn are_several(&self) -> bool {
        self.open.len() + self.unreachable.len() > 1
    }

    /// An error (usage) where two sources have the same log streams: each event would count twice.
    fn ensure_each_event_once(&self) -> Result<()> {
        for (place, one) in self.open.iter().enumerate() {
            for other in &self.open[..place] {
                let Some((group, origin)) = one.common_group(other) else {
                    continue;
                };
                return Err(Error::usage(format!(
                    "{} and {} both have the log group {group}{}: expected each log group in one of them, since its events would count twice",
                    other.source,
                    one.source,
                    match origin {
                        Some(origin) => format!(" of {origin}"),
                        None => String::new(),
                    }
                )));
            }
        }
        Ok(())
    }

    /// All log groups.
    pub(super) fn log_groups(&self) -> Vec<String> {
        let groups = self.iter().flat_map(|source| source.log_groups.clone());
        groups.collect()
    }

    /// The account and Region of a job of one source.
    pub(super) fn origin(&self) -> Option<&Origin> {
        match self.are_several() {
            false => self.open.first()?.origin.as_ref(),
            true => None,
        }
    }

    /// What a receipt says of several sources.
    pub(super) fn reports(&self) -> Vec<SourceReport> {
        let numbered = self.iter().filter_map(|source| {
            Some(SourceReport {
                number: source.source.number?,
                name: source.source.name.as_ref().map(ToString::to_string),
                location: source.source.logs.location().to_string(),
                origin: source.origin.clone(),
            })
        });
        numbered.collect()
    }

    /// Whether the answers of a receipt with the same hash are of log groups in the same accounts and Regions.
    pub(super) fn may_be_of(&self, receipt: &Receipt) -> bool {
        let mut reports = receipt.sources.iter();
        let is_same = |report: &SourceReport| {
            let mut sources = self.iter();
            let own = sources.find(|own| own.source.number == Some(report.number));
            own.is_none_or(|own| Origin::may_be_same(report.origin.as_ref(), own.origin.as_ref()))
        };
        Origin::may_be_same(receipt.origin.as_ref(), self.origin()) && reports.all(is_same)
    }

    /// The instant before which all log groups of all sources have deleted their events by now; `None` if some keep them, or
    /// could not be asked.
    pub(super) async fn deleted_until(&self) -> Result<Option<DateTime<Utc>>> {
        if !self.are_all_there() {
            return Ok(None);
        }
        let each = self.iter().map(|source| async move {
            let until = source.exporter.deleted_until().await;
            until.map_err(|error| about(source.source, error))
        });
        let each: Vec<_> = each.collect();
        let each = futures::stream::iter(each).buffered(AT_ONCE);
        let each: Vec<Option<DateTime<Utc>>> = each.try_collect().await?;
        // `None` is less than any instant.
        Ok(each.into_iter().min().flatten())
    }

    /// Whether there are objects of a window that its answers lack, where another program writes them at any time.
    pub(super) async fn lack_objects(&self, window: &Window, receipt: &Receipt) -> Result<bool> {
        for source in self.iter() {
            let there = source.exporter.there(window).await;
            let there = there.map_err(|error| about(source.source, error))?;
            let lacks = there.is_some_and(|there| {
                receipt.lacks(source.source.number, there.objects, there.bytes)
            });
            if lacks {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The source whose export an attempt is; `None` where the job has no such source any more.
    pub(super) fn owner(&self, attempt: &Attempt) -> Option<&OpenSource<'a>> {
        if !self.are_several() {
            let mut only = self.open.iter();
            return only.find(|only| only.may_be_staged(attempt));
        }
        let sources = self.open.iter().rev();
        let may_own = sources.filter(|source| source.may_own(attempt));
        // Of those that fit as well, the last: the first of the job.
        may_own.max_by_key(|source| source.fits(attempt))
    }

    /// Exports a window, all sources at once. One that fails, or could not be reached when the run began, does not keep the
    /// others from going on, so that the next run finds their exports. The exports of each source, in their order.
    pub(super) async fn export(
        &self,
        request: &WindowRequest<'_>,
        progress: &dyn Progress,
    ) -> Result<Vec<Exported>> {
        let exporting = self
            .iter()
            .map(|source| self.export_one(source, request, progress));
        let ended = join_all(exporting).await;
        let mut exported = Vec::with_capacity(ended.len());
        let mut failures: Vec<Error> = self.unreachable.iter().map(Error::again).collect();
        for ended in ended {
            match ended {
                Ok(of_source) => exported.push(of_source),
                Err(error) => failures.push(error),
            }
        }
        if let Some(error) = Error::of_several(failures) {
            return Err(error);
        }
        self.leave_out_doubles(&mut exported);
        Ok(exported)
    }

    async fn export_one(
        &self,
        source: &OpenSource<'a>,
        request: &WindowRequest<'_>,
        progress: &dyn Progress,
    ) -> Result<Exported> {
        let journal = JournalOfSource {
            journal: request.journal,
            sources: self,
            source,
        };
        let named = NamedProgress {
            progress,
            name: self.are_several().then(|| source.short_name()),
        };
        let exporting = source.request(request, &journal);
        let turn = match source.share_of_turns() {
            None => None,
            // It is never closed.
            Some(share) => self.without_slot.acquire_many(share).await.ok(),
        };
        let exported = source.exporter.export(&exporting, &named).await;
        drop(turn);
        let exported = exported.map_err(|error| about(source.source, error));
        if let (true, Err(error)) = (self.are_several(), &exported)
            && error.class() != Class::Held
        {
            tracing::warn!(
                window = request.window.id(),
                "{error}. The other sources are exported nevertheless"
            );
        }
        let mut exported = exported?;
        if self.are_several() {
            for note in &mut exported.notes {
                *note = format!("{}: {note}", source.source);
            }
        }
        Ok(exported)
    }

    /// Checks exports that turned out to have no events of the window, by the tallies of each source, and adds what is to be
    /// noted: exports of several windows, and objects that other programs wrote. An error (source) where there surely were events.
    pub(super) async fn check_without_events(
        &self,
        request: &WindowRequest<'_>,
        exported: &mut [Exported],
        tallies: &[BTreeMap<Option<String>, Hours>],
    ) -> Result<()> {
        let mut failures = Vec::new();
        for (source, (exported, tallies)) in self.iter().zip(exported.iter_mut().zip(tallies)) {
            let journal = JournalOfSource {
                journal: request.journal,
                sources: self,
                source,
            };
            let request = source.request(request, &journal);
            // What other programs write names the log groups of its events itself.
            let is_in_place = source.source.logs.is_read_in_place();
            let all = tallies.values().map(Hours::events).sum::<u64>();
            let mut notes = Vec::new();
            for group in &exported.groups {
                let events = match is_in_place {
                    true => all,
                    false => tallies.get(&group.log_group).map_or(0, Hours::events),
                };
                if events > 0 || (group.stretch.is_none() && !is_in_place) {
                    continue;
                }
                match source.exporter.check_without_events(&request, group).await {
                    Ok(note) => notes.extend(note),
                    Err(error) => failures.push(about(source.source, error)),
                }
            }
            for note in notes {
                exported.note(match self.are_several() {
                    true => format!("{}: {note}", source.source),
                    false => note,
                });
            }
        }
        match Error::of_several(failures) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// An export of a log group that was deleted since may be that of two sources, which both match its name.
    fn leave_out_doubles(&self, exported: &mut [Exported]) {
        let mut taken = HashSet::new();
        for (source, exported) in self.iter().zip(exported) {
            if !source.source.logs.is_read_in_place() {
                exported
                    .groups
                    .retain(|group| taken.insert(source.store.display(&group.prefix)));
            }
        }
    }
}

/// What is exported of a window, of each source.
pub(super) struct WindowRequest<'a> {
    pub(super) window: &'a Window,
    pub(super) reuse: Reuse,
    pub(super) takes_empty: bool,
    pub(super) journal: &'a dyn Journal,
    /// The windows right behind this one that the run exports next: each source may export all of them at once.
    pub(super) ahead: &'a [Ahead],
}

impl<'a> OpenSource<'a> {
    async fn open(
        environment: &Environment,
        job: &Job,
        source: &'a JobSource,
        slot: Arc<ExportSlot>,
    ) -> Result<Self> {
        let store = source_store(environment, source).await?;
        let exporter = exporter(environment, source, store.clone(), &slot).await?;
        Ok(Self {
            source,
            keys: StagingKeys::of(job, source)?,
            log_groups: exporter.groups().await?,
            origin: exporter.origin().await?,
            exporter,
            times: known_times(source),
            store,
        })
    }

    /// How much it counts among those that are exported at a time; `None` where its exports wait for the slot of its account and
    /// Region.
    fn share_of_turns(&self) -> Option<u32> {
        match &self.source.logs {
            Source::CloudWatch(settings) if settings.via == Via::Events => Some(1),
            Source::CloudWatch(_) => None,
            Source::Exported { .. }
            | Source::Directory { .. }
            | Source::Subscription(_)
            | Source::Delivered(_) => Some(BUSY),
        }
    }

    /// What is exported of a window, of this source alone.
    fn request<'r>(
        &'r self,
        request: &WindowRequest<'r>,
        journal: &'r dyn Journal,
    ) -> ExportRequest<'r> {
        ExportRequest {
            keys: &self.keys,
            window: request.window,
            reuse: request.reuse,
            takes_empty: request.takes_empty,
            journal,
            ahead: request.ahead,
        }
    }

    /// A log group whose events both have, and whose it is. One of a linked account may be the other's own.
    fn common_group(&self, other: &Self) -> Option<(&str, Option<Origin>)> {
        let (Source::CloudWatch(one), Source::CloudWatch(two)) =
            (&self.source.logs, &other.source.logs)
        else {
            return None;
        };
        let prefix = |prefix: &Option<String>| prefix.clone().unwrap_or_default();
        let (one, two) = (
            prefix(&one.log_stream_prefix),
            prefix(&two.log_stream_prefix),
        );
        let have_common_streams = one.starts_with(&two) || two.starts_with(&one);
        if !have_common_streams {
            return None;
        }
        let mut others: HashMap<&str, Vec<Option<Origin>>> = HashMap::new();
        for (name, origin) in other.named_groups() {
            others.entry(name).or_default().push(origin);
        }
        self.named_groups().find(|(name, origin)| {
            let origins = others.get(name).into_iter().flatten();
            let mut same =
                origins.filter(|other| Origin::may_be_same(origin.as_ref(), other.as_ref()));
            same.next().is_some()
        })
    }

    /// The names of the log groups, with the account and Region of each as far as they are known.
    fn named_groups(&self) -> impl Iterator<Item = (&str, Option<Origin>)> {
        self.log_groups
            .iter()
            .map(|group| match split_group_arn(group) {
                Some((_, name)) => (name, Origin::of_arn(group)),
                None => (group.as_str(), self.origin.clone()),
            })
    }

    /// Whether an attempt may be in the staging location of this source. One that a job of one source recorded does not say
    /// where it is.
    fn may_be_staged(&self, attempt: &Attempt) -> bool {
        let staging = self.source.logs.staging().map(ToString::to_string);
        attempt.staging.is_none() || attempt.staging == staging
    }

    /// Whether an attempt may be of this source, among several.
    fn may_own(&self, attempt: &Attempt) -> bool {
        self.source.logs.staging().is_some()
            && self.may_be_staged(attempt)
            && (attempt.log_group.starts_with("arn:")
                || Origin::may_be_same(attempt.origin.as_ref(), self.origin.as_ref()))
    }

    /// How well an attempt fits: its streams, and its log group.
    fn fits(&self, attempt: &Attempt) -> (bool, bool) {
        match &self.source.logs {
            Source::CloudWatch(settings) => {
                let mut patterns = settings.log_groups.iter();
                let is_of_streams = attempt.log_stream_prefix == settings.log_stream_prefix;
                let is_matched = patterns.any(|pattern| pattern.matches(&attempt.log_group));
                (is_matched && is_of_streams, is_matched)
            }
            // Attempts at folders have no origin.
            _ => (attempt.origin.is_none(), attempt.origin.is_none()),
        }
    }

    /// How a line of progress names it.
    fn short_name(&self) -> String {
        match (&self.source.name, &self.origin, self.source.number) {
            (Some(name), ..) => name.to_string(),
            (None, Some(origin), _) => format!("{} {}", origin.account, origin.region),
            (None, None, number) => format!("source {}", number.unwrap_or(1)),
        }
    }
}

/// The attempts of one source, in the record of all.
struct JournalOfSource<'j, 'a> {
    journal: &'j dyn Journal,
    sources: &'j Sources<'a>,
    source: &'j OpenSource<'a>,
}

impl JournalOfSource<'_, '_> {
    fn own(&self, attempt: Attempt) -> Attempt {
        let staging = self.source.source.logs.staging();
        Attempt {
            staging: match self.sources.are_several() {
                true => staging.map(ToString::to_string),
                false => attempt.staging,
            },
            ..attempt
        }
    }
}

#[async_trait]
impl Journal for JournalOfSource<'_, '_> {
    fn attempts(&self, log_group: &str) -> Vec<Attempt> {
        let is_own = |attempt: &Attempt| {
            let owner = self.sources.owner(attempt);
            owner.is_some_and(|owner| std::ptr::eq(owner, self.source))
        };
        let mut attempts = self.journal.attempts(log_group);
        attempts.retain(is_own);
        attempts
    }

    async fn record(&self, attempt: Attempt) -> Result<()> {
        self.journal.record(self.own(attempt)).await
    }

    fn note(&self, attempt: Attempt) {
        self.journal.note(self.own(attempt));
    }
}

/// Progress that says of which source a log group is.
struct NamedProgress<'p> {
    progress: &'p dyn Progress,
    name: Option<String>,
}

impl Progress for NamedProgress<'_> {
    fn report(&self, step: Step<'_>) {
        match (&self.name, step) {
            (
                Some(name),
                Step::Exporting {
                    group,
                    number,
                    of,
                    state,
                },
            ) => self.progress.report(Step::Exporting {
                group: &format!("{name} · {group}"),
                number,
                of,
                state,
            }),
            (_, step) => self.progress.report(step),
        }
    }
}

/// What turns the windows of a source into objects in `store`, the source's own [`source_store`].
async fn exporter(
    environment: &Environment,
    source: &JobSource,
    store: Store,
    slot: &Arc<ExportSlot>,
) -> Result<Box<dyn LogExporter>> {
    let clock = Arc::clone(&environment.clock);
    Ok(match &source.logs {
        Source::CloudWatch(settings) => {
            let service: Arc<dyn ExportService> = match environment.services.get(source.access) {
                Some(service) => Arc::clone(service),
                None => {
                    let aws = environment.stores.aws();
                    let account = Account::of(source);
                    if settings.via != Via::Events {
                        ensure_one_region(&store, &aws.region(account).await?)?;
                    }
                    Arc::new(LogsClient::new(aws, account).await?)
                }
            };
            let exporter = CloudWatchExporter::new(service, store, settings.clone(), clock)?;
            Box::new(exporter.sharing(slot))
        }
        Source::Exported { log_group, .. } => {
            Box::new(ExistingExport::new(store, log_group.clone()))
        }
        Source::Subscription(settings) => {
            Box::new(SubscriptionSource::new(store, settings.clone()))
        }
        Source::Delivered(settings) => Box::new(DeliveredSource::new(store, settings.clone())),
        Source::Directory { path, pad, .. } => {
            let scratch = environment.scratch();
            Box::new(DirectoryExporter::new(
                path.clone(),
                store,
                *pad,
                clock,
                &scratch,
            ))
        }
    })
}

/// An error (usage) if the staging bucket is in another Region than the logs: no export task writes there.
fn ensure_one_region(staging: &Store, of_logs: &str) -> Result<()> {
    match staging.region() {
        Some(region) if region != of_logs => Err(Error::usage(format!(
            "[source] staging: the bucket of {} is in {region}, and the logs are asked for in {of_logs}: expected both in one Region, since CloudWatch exports to no other",
            staging.location()
        ))),
        _ => Ok(()),
    }
}
