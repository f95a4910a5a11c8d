//! `run`: the job, and what was found.

use std::fmt::Write;

use clap::Args;

use super::logging::Show;
use super::{JobFile, Scratch, WindowArgs, environment_of, print, print_json, stop_signal};
use crate::chart::build::{Caption, ChartData, Verified};
use crate::chart::terminal;
use crate::chart::text::normalize;
use crate::error::{Class, Error, Result};
use crate::expect::Comparison;
use crate::job::{ARCHIVE, Job, Language, Verify};
use crate::numbers::{counted, format_number};
use crate::panics;
use crate::receipt::{OutputKind, Receipt};
use crate::run::document::{self, RunDocuments};
use crate::run::log_lines::RunLog;
use crate::run::{self, Outcome, Plan, UNCERTAIN, WindowPlan, job_file};
use crate::verify::Verification;

#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// The job file: a path, s3://bucket/key, or - for standard input
    pub(super) job: JobFile,

    #[command(flatten)]
    windows: WindowArgs,

    /// End with 9 if everything was done but an answer is provisional, not as expected, or not verified though the job
    /// asks for it, or if earlier windows are not done
    #[arg(long)]
    strict: bool,

    /// Print {"runs": […]} instead of a summary, with the receipt of each window
    #[arg(long)]
    json: bool,

    #[cfg(feature = "cluster")]
    #[command(flatten)]
    workers: super::workers::WorkersArgs,
}

/// Does the job. A run that is stopped by a signal prints its document too.
pub(super) async fn run(args: RunArgs, show: Show) -> Result<u8> {
    let log = RunLog::new(show, args.strict);
    let job = tokio::select! {
        job = panics::caught(job_file::load(&args.job)) => job.flatten(),
        stop = stop_signal() => Err(stop.error("")),
    };
    let job = match job {
        Ok(job) => job,
        Err(error) => return failed(&args, None, &log, &error),
    };
    let mut documents = RunDocuments::default();
    let error = tokio::select! {
        ended = panics::caught(work(&args, &job, (show, &log), &mut documents)) => match ended {
            Ok(Ok(code)) => return Ok(code),
            Ok(Err(error)) => return failed(&args, Some(&job), &log, &error),
            Err(panic) => panic,
        },
        stop = stop_signal() => stop.error(document::remains(&job)),
    };
    if args.json {
        print_json(&documents.stopped(&error))?;
    }
    log.failed(Some(&job), &error);
    Ok(error.class().exit_code())
}

/// Reports a failure that is not that of a window.
fn failed(args: &RunArgs, job: Option<&Job>, log: &RunLog, error: &Error) -> Result<u8> {
    if args.json {
        print_json(&document::failure(error))?;
    }
    log.failed(job, error);
    Ok(error.class().exit_code())
}

async fn work(
    args: &RunArgs,
    job: &Job,
    (show, log): (Show, &RunLog),
    documents: &mut RunDocuments,
) -> Result<u8> {
    #[cfg(feature = "otel")]
    let began_at = chrono::Utc::now();
    let environment = environment_of(job, Scratch::Needed, show)?;
    #[cfg(feature = "cluster")]
    let environment = args.workers.join(environment, &job.workers)?;
    #[cfg(not(feature = "cluster"))]
    let environment = super::without_workers(environment, &job.workers)?;
    let plan = run::plan_to_run(&environment, job, &args.windows.request()).await?;
    *documents = RunDocuments::new(&plan);
    let several = is_one_of_several(&plan);
    let mut printed = Ok(());
    let outcomes = run::execute(&environment, &plan, |window, outcome| {
        documents.add(outcome);
        if !args.json && printed.is_ok() {
            printed = print(&summary(&plan, window, outcome));
        }
        log.window(job, window, outcome, several);
    })
    .await?;
    #[cfg(feature = "otel")]
    run::trace::send(job, began_at, &outcomes).await;
    printed?;
    if args.json {
        print_json(&std::mem::take(documents).finish())?;
    } else if outcomes.len() > 1 {
        print(&closing_table(&outcomes))?;
    } else if outcomes.iter().all(|outcome| outcome.result.is_ok()) {
        print(&what_next(&args.job, &plan))?;
    }
    let failures = outcomes
        .iter()
        .filter_map(|outcome| outcome.result.as_ref().err());
    if let Some(class) = Class::worst(failures.map(Error::class)) {
        return Ok(class.exit_code());
    }
    let reasons = match args.strict {
        true => reasons_for_doubt(&outcomes, plan.left_undone.as_deref()),
        false => Vec::new(),
    };
    if reasons.is_empty() {
        return Ok(0);
    }
    log.uncertain(&reasons);
    Ok(UNCERTAIN)
}

fn is_one_of_several(plan: &Plan<'_>) -> bool {
    plan.windows.len() > 1
}

/// Why answers that are done may still change, or are not verified, and what is not done.
fn reasons_for_doubt(outcomes: &[Outcome], left_undone: Option<&str>) -> Vec<String> {
    let receipts = outcomes
        .iter()
        .filter_map(|outcome| outcome.result.as_ref().ok());
    let mut reasons: Vec<String> = receipts
        .filter_map(|receipt| {
            let verification = receipt.verification.as_ref();
            let verification =
                verification.filter(|verification| verification.agrees != Some(true));
            let unverified = verification.map(|verification| {
                let note = verification
                    .note
                    .as_deref()
                    .unwrap_or("no independent count");
                format!("not verified ({note})")
            });
            let provisional = receipt.window.provisional.then(|| "provisional".to_owned());
            let broken: Vec<String> = receipt
                .broken()
                .map(|broken| broken.text(Language::English))
                .collect();
            let broken = match broken.is_empty() {
                true => None,
                false => Some(format!("not as expected ({})", broken.join("; "))),
            };
            let doubts: Vec<String> = [provisional, unverified, broken]
                .into_iter()
                .flatten()
                .collect();
            let id = &receipt.window.id;
            (!doubts.is_empty()).then(|| format!("{id} is {}", doubts.join(" and ")))
        })
        .collect();
    reasons.extend(left_undone.map(str::to_owned));
    reasons
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
        expectations: &receipt.expectations,
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
    let read = receipt.log_groups();
    if !read.is_empty() {
        let _ = writeln!(out, "read     {}", read.join(", "));
    }
    for output in &receipt.outputs {
        let archive = receipt.archive.as_ref().filter(|_| output.query == ARCHIVE);
        let _ = match (output.kind, output.rows) {
            (OutputKind::Parquet, Some(rows)) if archive.is_some() => {
                writeln!(
                    out,
                    "archive  {}  ({})",
                    output.location,
                    counted(rows, "event")
                )
            }
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
    for expectation in &receipt.expectations {
        let text = expectation.text(Language::English);
        let _ = match expectation.result {
            Comparison::Held => Ok(()),
            Comparison::Broken => writeln!(out, "broken   {text}"),
            Comparison::Unchecked => writeln!(out, "open     {text}"),
        };
    }
    if let Some(verification) = &receipt.verification {
        out += &verified(verification);
    }
    for odd in receipt.read.oddities() {
        let _ = writeln!(out, "odd      {odd}");
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
        let left = Some("1 earlier window is not done");
        assert_eq!(
            reasons_for_doubt(&[], left),
            left.into_iter().collect::<Vec<_>>()
        );
        assert!(reasons_for_doubt(&[], None).is_empty());
    }
}
