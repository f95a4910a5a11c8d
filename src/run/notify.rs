//! Reporting how the run of a window ended, at most once for each outcome.
//!
//! The state has the outcomes that were reported. An outcome is recorded there before it is sent: a run that is killed in
//! between reports nothing, and none is reported twice. A run that is killed between its receipt and that record leaves
//! the report to the next one, which tidies up behind it.

use object_store::path::Path;
use sha2::{Digest, Sha256};

use super::fingerprint::hex;
use super::settled::is_published;
use super::{Environment, Output, Plan, Request, WindowPlan, plan, select};
use crate::error::{Class, Error, Result};
use crate::job::{Job, Notify};
use crate::notify::{self, ChartFile, Message, Outcome};
use crate::receipt::Receipt;
use crate::state::lease::HeldWindow;

/// Finds out what a run would do, as [`plan()`] does, for a run that then does it: a failure is reported.
///
/// # Errors
/// Those of [`plan()`].
pub async fn plan_to_run<'a>(
    environment: &Environment,
    job: &'a Job,
    request: &Request,
) -> Result<Plan<'a>> {
    let planned = plan(environment, job, request).await;
    if let (Err(error), Some(notify)) = (&planned, &job.notify) {
        let now = environment.clock.now();
        // Wrong arguments are no failure of a window.
        if let Ok(windows) = select(job, request, now)
            && let Some(window) = windows.last()
        {
            let notifier = Notifier {
                environment,
                job,
                notify,
                window: &window.id(),
            };
            notifier.failed_early(error).await;
        }
    }
    planned
}

/// Reports a window that is done, unless its receipt is of a run before this one and the one that it tidies up behind.
pub(super) async fn done(
    environment: &Environment,
    (job, output): (&Job, &Output),
    held: &HeldWindow,
    window: &WindowPlan,
    receipt: &Receipt,
) {
    let Some(notify) = &job.notify else { return };
    let unfinished = held.state().unfinished;
    if !unfinished.is_some_and(|unfinished| is_published(&unfinished, Some(receipt))) {
        return;
    }
    let outcome = Outcome::Done {
        receipt,
        week_before: window.week_before,
    };
    let notifier = Notifier {
        environment,
        job,
        notify,
        window: &window.report.id,
    };
    if notifier.record(held, &outcome).await {
        let (mut links, mut files) = (Vec::new(), Vec::new());
        for (key, _) in notify::charts(receipt) {
            links.push(notifier.link(output, key).await);
            if notify.slack.is_some() {
                files.extend(notifier.file(output, key).await);
            }
        }
        notifier.send(&outcome, &links, &files).await;
    }
}

/// Reports a window that failed while it was held.
pub(super) async fn failed(
    environment: &Environment,
    job: &Job,
    held: &HeldWindow,
    window: &str,
    error: &Error,
) {
    let Some(notify) = &job.notify else { return };
    let notifier = Notifier {
        environment,
        job,
        notify,
        window,
    };
    let outcome = Outcome::Failed(error);
    if notifier.record(held, &outcome).await {
        notifier.send(&outcome, &[], &[]).await;
    }
}

/// Reports a window that could not be taken.
pub(super) async fn not_taken(environment: &Environment, job: &Job, window: &str, error: &Error) {
    let Some(notify) = &job.notify else { return };
    let notifier = Notifier {
        environment,
        job,
        notify,
        window,
    };
    notifier.failed_early(error).await;
}

/// Reports the outcomes of a window.
struct Notifier<'a> {
    environment: &'a Environment,
    job: &'a Job,
    notify: &'a Notify,
    window: &'a str,
}

impl Notifier<'_> {
    /// Reports a failure of a window that this run does not hold. Without its state, which such a failure may be about,
    /// each run reports it.
    async fn failed_early(&self, error: &Error) {
        let outcome = Outcome::Failed(error);
        // Another run does the window, and reports it.
        if error.class() == Class::Held || !outcome.is_wanted(self.notify) {
            return;
        }
        let (window, lease) = (self.window, self.job.limits.lease);
        let held = async {
            let output = Output::open(self.environment, self.job).await?;
            let key = output.keys.state(window);
            HeldWindow::take(&output.store, &key, lease, |_| {}, &|_| {}).await
        };
        match held.await {
            Ok(held) => {
                if self.record(&held, &outcome).await {
                    self.send(&outcome, &[], &[]).await;
                }
                if let Err(error) = held.release(|_| {}).await {
                    tracing::warn!(window, %error, "could not give the window back");
                }
            }
            Err(error) if error.class() == Class::Held => {}
            Err(_) => self.send(&outcome, &[], &[]).await,
        }
    }

    /// Whether the outcome is to be sent: it is wanted, and now recorded for the first time.
    async fn record(&self, held: &HeldWindow, outcome: &Outcome<'_>) -> bool {
        let id = outcome.id(self.notify);
        if !outcome.is_wanted(self.notify) || held.state().reported.contains(&id) {
            return false;
        }
        let recorded = held.change(|state| state.reported.push(id)).await;
        if let Err(error) = &recorded {
            tracing::warn!(window = self.window, %error, "could not notify");
        }
        recorded.is_ok()
    }

    /// The link to a chart, by its key; `None` if the output is a folder.
    async fn link(&self, output: &Output, key: &str) -> Option<String> {
        let root = output.store.root();
        let key = Path::parse(format!("{root}/{key}")).ok()?;
        let link = output.store.link(&key, self.notify.link_lifetime).await;
        link.unwrap_or_else(|error| {
            tracing::warn!(window = self.window, %error, "a message has no link to a chart");
            None
        })
    }

    /// The picture of a chart, by its key.
    async fn file(&self, output: &Output, key: &str) -> Option<ChartFile> {
        let path = Path::parse(format!("{}/{key}", output.store.root())).ok()?;
        let name = path.filename()?.to_owned();
        let read = output.store.get(&path).await;
        let bytes = read.unwrap_or_else(|error| {
            tracing::warn!(window = self.window, %error, "a message has no chart");
            None
        });
        bytes.map(|bytes| ChartFile { name, bytes })
    }

    async fn send(&self, outcome: &Outcome<'_>, links: &[Option<String>], files: &[ChartFile]) {
        let about = (self.job.name.as_str(), self.window);
        let message = Message::new(self.notify, about, outcome, links);
        let id = format!("{}\n{}\n{}", about.0, about.1, outcome.id(self.notify));
        let key = hex(&Sha256::digest(id));
        let aws = self.environment.stores.aws();
        notify::send(aws, self.notify, about, &message, files, &key).await;
    }
}
