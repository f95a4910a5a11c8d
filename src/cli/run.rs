//! `run`: the job, and what was found.

use std::fmt::Write;

use clap::Args;

use super::logging::Show;
use super::{JobFile, WindowArgs, environment_of, logging, print, print_json, stop_signal};
use crate::chart::build::{Caption, ChartData, Verified};
use crate::chart::terminal;
use crate::chart::text::normalize;
use crate::error::{Class, Error, Result};
use crate::job::{self, Job, Source, Verify};
use crate::numbers::{counted, format_number};
use crate::panics;
use crate::receipt::{OutputKind, Receipt};
use crate::run::document::{self, RunDocuments};
use crate::run::{self, Outcome, Plan, WindowPlan};
use crate::verify::Verification;

#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// The job file
    pub(super) job: JobFile,

    #[command(flatten)]
    windows: WindowArgs,

    /// End with 9 if everything was done but an answer is provisional, or not verified though the job asks for it, or if
    /// earlier windows are not done
    #[arg(long)]
    strict: bool,

    /// Print the receipt instead of a summary; of several windows {"runs": […]}
    #[arg(long)]
    json: bool,
}

/// Exit code of a strict run whose answers may still change, or are not verified, or that is behind.
const UNCERTAIN: u8 = 9;

/// Does the job. A run that is stopped by a signal prints its document too.
pub(super) async fn run(args: RunArgs, show: Show) -> Result<u8> {
    let job = match job::load(&args.job) {
        Ok(job) => job,
        Err(error) => return failed_early(error, args.json),
    };
    let mut documents = RunDocuments::default();
    let error = tokio::select! {
        ended = panics::caught(work(&args, &job, show, &mut documents)) => match ended {
            Ok(ended) => return ended,
            Err(panic) => panic,
        },
        stop = stop_signal() => stop.error(match &job.source {
            Source::CloudWatch(_) => {
                "; what was published is whole, and an export task that was begun goes on in AWS, for the next run to adopt"
            }
            Source::Exported { .. } | Source::Directory { .. } => "; what was published is whole",
        }),
    };
    if args.json {
        print_json(&documents.stopped(&error))?;
    }
    Err(error)
}

async fn work(args: &RunArgs, job: &Job, show: Show, documents: &mut RunDocuments) -> Result<u8> {
    let done = async {
        let environment = environment_of(job, show)?;
        let plan = run::plan(&environment, job, &args.windows.request()).await?;
        *documents = RunDocuments::new(&plan);
        let mut printed = Ok(());
        let outcomes = run::execute(&environment, &plan, |window, outcome| {
            documents.add(outcome);
            if !args.json && printed.is_ok() {
                printed = print(&summary(&plan, window, outcome));
            }
            log(show, &plan, outcome);
        })
        .await?;
        let is_behind = plan.left_undone.is_some();
        Ok((what_next(&args.job, &plan), outcomes, printed, is_behind))
    };
    let (hints, outcomes, printed, is_behind) = match done.await {
        Ok(done) => done,
        Err(error) => return failed_early(error, args.json),
    };
    printed?;
    if args.json {
        print_json(&std::mem::take(documents).finish())?;
    } else if outcomes.len() > 1 {
        print(&closing_table(&outcomes))?;
    } else if outcomes.iter().all(|outcome| outcome.result.is_ok()) {
        print(&hints)?;
    }
    exit_code(outcomes, args.strict, is_behind)
}

/// Logs how a window ended. The failure of a single window is what the command ends with.
fn log(show: Show, plan: &Plan<'_>, outcome: &Outcome) {
    match &outcome.result {
        Err(error) if is_one_of_several(plan) => {
            logging::window_error(show, &outcome.window, error);
        }
        Err(_) => {}
        Ok(receipt) => tracing::info!(
            window = outcome.window,
            events = receipt.read.events,
            skipped = outcome.skipped,
            "run ends"
        ),
    }
}

fn is_one_of_several(plan: &Plan<'_>) -> bool {
    plan.windows.len() > 1
}

/// The exit code of all windows, or the error of a single one. `is_behind`: earlier windows are not done.
fn exit_code(mut outcomes: Vec<Outcome>, strict: bool, is_behind: bool) -> Result<u8> {
    if let [single] = &mut outcomes[..]
        && single.result.is_err()
    {
        return outcomes.remove(0).result.map(|_| 0);
    }
    let failed = outcomes
        .iter()
        .filter_map(|outcome| outcome.result.as_ref().err().map(Error::class));
    let is_uncertain = outcomes
        .iter()
        .any(|outcome| matches!(&outcome.result, Ok(receipt) if receipt.is_uncertain()));
    Ok(match Class::worst(failed) {
        Some(class) => class.exit_code(),
        None if strict && (is_uncertain || is_behind) => UNCERTAIN,
        None => 0,
    })
}

/// A failure that is not that of one of several windows.
pub fn failed_early(error: Error, as_json: bool) -> Result<u8> {
    if as_json {
        print_json(&document::failure(&error))?;
    }
    Err(error)
}

/// A window for a terminal: the numbers, the charts, and where everything is.
fn summary(plan: &Plan<'_>, window: &WindowPlan, outcome: &Outcome) -> String {
    let mut out = String::new();
    let Ok(receipt) = &outcome.result else {
        return out;
    };
    let settled = if receipt.window.provisional {
        "provisional"
    } else {
        "settled"
    };
    // Writing to a String can't fail.
    let _ = writeln!(out, "{} · {} · {settled}", plan.job.name, window.window);
    if outcome.skipped {
        let _ = writeln!(
            out,
            "  done already, with {}; --force does it again",
            counted(receipt.read.events, "event")
        );
    }
    // Of several windows, the charts of the newest.
    let is_last = plan.windows.last().map(|last| &last.window) == Some(&window.window);
    if is_last {
        out += &charts(plan, window, receipt, &outcome.series);
    }
    if !is_one_of_several(plan) {
        out.push('\n');
        out += &places(receipt, window);
    }
    out + &oddities(receipt)
}

fn charts(plan: &Plan<'_>, window: &WindowPlan, receipt: &Receipt, series: &[ChartData]) -> String {
    let caption = Caption {
        job: plan.job.name.as_str(),
        window: &window.window,
        groups: &[],
        as_of: receipt.as_of,
        provisional: receipt.window.provisional,
        settled_after: plan.job.window.settled_after,
        verified: &Verified::NotAsked,
    };
    let mut out = String::new();
    for series in series {
        if let Err(error) = series.fits() {
            let _ = writeln!(out, "\nleft out: {error}");
            continue;
        }
        let chart = series.figure(&caption);
        let heading = format!("{}: {}", series.chart().name, normalize(&chart.subtitle));
        let _ = writeln!(out, "\n{}", heading.trim_end_matches([':', ' ']));
        out += &terminal::draw(&chart, terminal::width());
    }
    out
}

fn places(receipt: &Receipt, window: &WindowPlan) -> String {
    let mut out = String::new();
    let read: Vec<&str> = receipt
        .exports
        .iter()
        .filter_map(|export| export.log_group.as_deref())
        .collect();
    if !read.is_empty() {
        let _ = writeln!(out, "read     {}", read.join(", "));
    }
    for output in &receipt.outputs {
        let _ = match (output.kind, output.rows) {
            (OutputKind::Parquet, Some(rows)) => {
                writeln!(
                    out,
                    "answer   {}  ({})",
                    output.location,
                    counted(rows, "row")
                )
            }
            (OutputKind::Parquet, None) => writeln!(out, "answer   {}", output.location),
            (OutputKind::Parts, _) => writeln!(out, "parts    {}", output.location),
            (OutputKind::Chart, _) => writeln!(out, "chart    {}", output.location),
        };
    }
    if let Some(receipt) = window.outputs.last() {
        let _ = writeln!(out, "receipt  {receipt}");
    }
    out
}

/// Lines about unusual data, if there was any.
fn oddities(receipt: &Receipt) -> String {
    let mut out = String::new();
    if let Some(change) = receipt.change.as_ref().filter(|change| change.events != 0) {
        let _ = writeln!(
            out,
            "changed  {}: {} in the {}answer before, {} now",
            signed(change.events),
            format_number(change.events_before as f64, 0),
            if change.was_provisional {
                "provisional "
            } else {
                ""
            },
            format_number(receipt.read.events as f64, 0)
        );
    }
    if let Some(verification) = &receipt.verification {
        out += &verified(verification);
    }
    let read = &receipt.read;
    if read.invalid_utf8_events > 0 {
        let _ = writeln!(
            out,
            "odd      {} not UTF-8, and shown with replacement characters",
            match read.invalid_utf8_events {
                1 => "1 event is".to_owned(),
                events => format!("{} are", counted(events, "event")),
            }
        );
    }
    if read.lines_before_first_timestamp > 0 {
        let _ = writeln!(
            out,
            "odd      {} before the first timestamp of an object, which belong to no event",
            counted(read.lines_before_first_timestamp, "line")
        );
    }
    for group in &receipt.skipped_log_groups {
        let _ = writeln!(
            out,
            "skipped  {group} was made two weeks after the window or later"
        );
    }
    for note in &receipt.notes {
        let _ = writeln!(out, "note     {note}");
    }
    out
}

fn closing_table(outcomes: &[Outcome]) -> String {
    let mut out = String::from("\n");
    for outcome in outcomes {
        let id = &outcome.window;
        let _ = match &outcome.result {
            Ok(_) if outcome.skipped => writeln!(out, "{id}  done before"),
            Ok(receipt) if receipt.window.provisional => {
                writeln!(
                    out,
                    "{id}  provisional  {}",
                    counted(receipt.read.events, "event")
                )
            }
            Ok(receipt) => writeln!(out, "{id}  done  {}", counted(receipt.read.events, "event")),
            Err(error) => {
                let code = error.class().exit_code();
                writeln!(out, "{id}  failed ({code})  {error}")
            }
        };
    }
    out
}

/// How the independent count compares.
fn verified(verification: &Verification) -> String {
    let counter = match verification.method {
        Verify::Insights => "Logs Insights",
        Verify::Metrics | Verify::Off => "CloudWatch's metric",
    };
    let note = verification.note.as_deref().unwrap_or_default();
    match (verification.agrees, verification.expected) {
        (Some(true), Some(expected)) => {
            format!("verified {counter} counts {}\n", counted(expected, "event"))
        }
        (Some(false), Some(expected)) => {
            format!(
                "differs  {counter} counts {}: {note}\n",
                counted(expected, "event")
            )
        }
        _ => format!("not verified by {counter}: {note}\n"),
    }
}

/// `+12 events`, `−1 event`.
fn signed(events: i64) -> String {
    let sign = if events < 0 { '−' } else { '+' };
    format!("{sign}{}", counted(events.unsigned_abs(), "event"))
}

fn what_next(job: &std::path::Path, plan: &Plan<'_>) -> String {
    let job = job.display();
    let window = plan
        .windows
        .last()
        .map_or("yesterday", |window| window.report.id.as_str());
    format!(
        "\nAsk something else:\n  logtally query {job} --window {window} \"SELECT level(message) AS level, count(*) AS events FROM logs GROUP BY 1 ORDER BY 2 DESC\"\n  logtally query {job} --window {window} \"SELECT timestamp, message FROM logs WHERE message LIKE '%Error%' LIMIT 5\"\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strict_run_that_leaves_earlier_windows_undone_says_so() {
        let code = |strict, is_behind| exit_code(Vec::new(), strict, is_behind).unwrap();
        assert_eq!(code(true, true), UNCERTAIN);
        assert_eq!((code(false, true), code(true, false)), (0, 0));
    }
}
