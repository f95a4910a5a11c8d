//! The queries and charts, and what the next run would do.

use chrono::{DateTime, Utc};

use crate::error::{Error, Result};
use crate::job::Job;
use crate::numbers::counted;
use crate::run::{self, Action, Force, Lookups, Request, Selection, plan_all, select};
use crate::window::Window;

use super::examination::Examination;
use super::finding::{Area, Finding, Outcome};

impl Examination<'_> {
    /// Opens the lookup tables, and plans and tries the queries without rows and without another request.
    pub(super) async fn queries(&mut self) {
        let window = match next_window(self.job, self.environment.clock.now()) {
            Ok(window) => window,
            Err(error) => {
                return self.add(Finding::of_error(Area::Queries, "[window]", &error));
            }
        };
        let file = self.job.file.to_string();
        let engine = &self.environment.engine;
        let lookups = match Lookups::open(self.environment, self.job).await {
            Ok(lookups) => lookups,
            Err(error) => return self.add(Finding::of_error(Area::Queries, file, &error)),
        };
        let finding = match plan_all(engine, self.job, window.range(), &lookups).await {
            Ok(planned) => {
                let charts: usize = self.job.queries.iter().map(|one| one.charts.len()).sum();
                let message = format!(
                    "{} and {} planned, their columns fit",
                    counted(planned.len() as u64, "query").replace("querys", "queries"),
                    counted(charts as u64, "chart")
                );
                Finding::new(Area::Queries, file, Outcome::Ok, message)
            }
            Err(error) => Finding::of_error(Area::Queries, file, &error),
        };
        self.add(finding);
    }

    /// Plans the next run, which reads what earlier ones left.
    pub(super) async fn plan(&mut self) {
        if self.has_failed() {
            let message = "not planned, because of what failed above";
            return self.add(Finding::new(Area::Plan, "next run", Outcome::Note, message));
        }
        let request = Request {
            selection: Selection::Default,
            force: Force::No,
            provisional: false,
        };
        let planned = match run::plan(self.environment, self.job, &request).await {
            Ok(mut plan) => match plan.ensure_exported().await {
                Ok(()) => Ok(plan),
                Err(error) => Err(error),
            },
            Err(error) => Err(error),
        };
        let finding = match planned {
            Ok(plan) => {
                let due = |is_due: bool| {
                    let windows = plan.windows.iter();
                    let windows = windows.filter(|one| (one.action != Action::Skip) == is_due);
                    let ids: Vec<&str> = windows.map(|one| one.report.id.as_str()).collect();
                    ids.join(", ")
                };
                let message = match (due(true), due(false)) {
                    (due, _) if !due.is_empty() => format!("does {due}"),
                    (_, done) => format!("has nothing to do: {done} is done"),
                };
                let mut finding = Finding::new(Area::Plan, "next run", Outcome::Ok, message);
                for note in plan.left_undone.iter().chain(&plan.notes) {
                    finding.outcome = Outcome::Warning;
                    finding.message += &format!("; {note}");
                }
                finding
            }
            Err(error) => Finding::of_error(Area::Plan, "next run", &error),
        };
        self.add(finding);
    }
}

/// The window that the next run of the default window takes.
pub(super) fn next_window(job: &Job, now: DateTime<Utc>) -> Result<Window> {
    let request = Request {
        selection: Selection::Default,
        force: Force::No,
        provisional: true,
    };
    let mut windows = select(job, &request, now)?;
    windows
        .pop()
        .ok_or_else(|| Error::usage("the job has no default window"))
}
