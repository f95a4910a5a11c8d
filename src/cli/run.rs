//! `run`: the job, and what was found.

use std::fmt::Write;

use clap::Args;
use serde_json::json;

use super::logging::Show;
use super::{JobFile, WindowArgs, job_environment, logging, print, print_json};
use crate::chart::build::{Caption, Verified};
use crate::chart::terminal;
use crate::chart::text::normalize;
use crate::error::{Class, Error, Result};
use crate::job::{Job, Verify};
use crate::numbers::counted;
use crate::numbers::format_number;
use crate::receipt::{OutputKind, Receipt};
use crate::run::{self, Outcome, Plan, WindowPlan};
use crate::verify::Verification;

#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// The job file
    pub(super) job: JobFile,

    #[command(flatten)]
    windows: WindowArgs,

    /// End with 9 if everything was done but an answer is provisional, or not verified though the job asks for it
    #[arg(long)]
    strict: bool,

    /// Print the receipt instead of a summary; of several windows {"runs": […]}
    #[arg(long)]
    json: bool,
}

/// Exit code of a strict run whose answers may still change, or are not verified.
const UNCERTAIN: u8 = 9;

/// Does the job, until `stopped` comes back, which says why. Of a run that is stopped, too, a program that reads its stdout
/// finds a document there.
pub(super) async fn run(
    args: RunArgs,
    show: Show,
    stopped: impl Future<Output = Error>,
) -> Result<u8> {
    let mut told = Told::default();
    let signal = tokio::select! {
        ended = work(&args, show, &mut told) => return ended,
        signal = stopped => signal,
    };
    if !args.json || told.windows.len() < 2 {
        return failed_early(signal, args.json);
    }
    let interrupted = told.windows.get(told.documents.len());
    let interrupted = interrupted.map(|window| failure(&told.job, window, &signal));
    told.documents.extend(interrupted);
    print_json(&json!({ "runs": told.documents }))?;
    Err(signal)
}

/// What a run has to tell so far, as JSON.
#[derive(Default)]
struct Told {
    job: String,
    /// The ids of all its windows.
    windows: Vec<String>,
    /// Of each window that ended, in the same order.
    documents: Vec<serde_json::Value>,
}

async fn work(args: &RunArgs, show: Show, told: &mut Told) -> Result<u8> {
    let request = args.windows.request();
    let (job, environment) = match job_environment(&args.job, show) {
        Ok(both) => both,
        Err(error) => return failed_early(error, args.json),
    };
    let plan = match run::plan(&environment, &job, &request).await {
        Ok(plan) => plan,
        Err(error) => return failed_early(error, args.json),
    };
    let several = plan.windows.len() > 1;
    told.job.clone_from(&plan.job);
    told.windows = plan
        .windows
        .iter()
        .map(|window| window.report.id.clone())
        .collect();
    let mut written = Ok(());
    let outcomes = run::execute(
        &environment,
        &job,
        &plan,
        request.force,
        |window, outcome| {
            if args.json {
                told.documents.push(document(&plan.job, outcome));
            } else if written.is_ok() {
                written = print(&summary(&job, &plan, window, outcome, several));
            }
            match &outcome.result {
                Err(error) if several => logging::window_error(show, &outcome.window, error),
                Err(_) => {}
                Ok(receipt) => tracing::info!(
                    window = outcome.window,
                    events = receipt.read.events,
                    skipped = outcome.skipped,
                    "run ends"
                ),
            }
        },
    )
    .await;
    let outcomes = match outcomes {
        Ok(outcomes) => outcomes,
        Err(error) => return failed_early(error, args.json),
    };
    written?;
    if args.json {
        match &told.documents[..] {
            [only] if !several => print_json(only)?,
            documents => print_json(&json!({ "runs": documents }))?,
        }
    } else if several {
        print(&closing_table(&outcomes))?;
    } else if outcomes.iter().all(|outcome| outcome.result.is_ok()) {
        print(&what_next(&args.job, &plan))?;
    }
    let uncertain = outcomes
        .iter()
        .any(|outcome| matches!(&outcome.result, Ok(receipt) if receipt.is_uncertain()));
    let failed: Vec<Class> = outcomes
        .iter()
        .filter_map(|outcome| outcome.result.as_ref().err().map(|error| error.class()))
        .collect();
    match Class::worst(failed) {
        // A single failure is told by whoever called.
        Some(class) if !several => {
            match outcomes.into_iter().next().map(|outcome| outcome.result) {
                Some(Err(error)) => Err(error),
                _ => Ok(class.exit_code()),
            }
        }
        Some(class) => Ok(class.exit_code()),
        None if args.strict && uncertain => Ok(UNCERTAIN),
        None => Ok(0),
    }
}

/// A failure that is not that of one of several windows.
pub fn failed_early(error: Error, as_json: bool) -> Result<u8> {
    if as_json {
        print_json(&json!({
            "status": "failed",
            "error": error.to_string(),
            "exit_code": error.class().exit_code(),
        }))?;
    }
    Err(error)
}

fn document(job: &str, outcome: &Outcome) -> serde_json::Value {
    match &outcome.result {
        Ok(receipt) => {
            let mut document = json!(receipt);
            if outcome.skipped {
                document["status"] = "skipped".into();
            }
            document
        }
        Err(error) => failure(job, &outcome.window, error),
    }
}

fn failure(job: &str, window: &str, error: &Error) -> serde_json::Value {
    json!({
        "status": "failed",
        "job": job,
        "window": { "id": window },
        "error": error.to_string(),
        "exit_code": error.class().exit_code(),
    })
}

/// What a person wants to know of a window: the numbers, and where everything is.
fn summary(
    job: &Job,
    plan: &Plan,
    window: &WindowPlan,
    outcome: &Outcome,
    several: bool,
) -> String {
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
    let _ = writeln!(out, "{} · {} · {settled}", plan.job, window.window);
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
        let caption = Caption {
            job: plan.job.as_str(),
            window: &window.window,
            groups: &[],
            as_of: receipt.as_of,
            provisional: receipt.window.provisional,
            settled_after: job.window.settled_after,
            verified: &Verified::NotAsked,
        };
        for series in &outcome.series {
            if let Err(error) = series.fits() {
                let _ = writeln!(out, "\nleft out: {error}");
                continue;
            }
            let chart = series.figure(&caption);
            let heading = format!("{}: {}", series.chart().name, normalize(&chart.subtitle));
            let _ = writeln!(out, "\n{}", heading.trim_end_matches([':', ' ']));
            out += &terminal::draw(&chart, terminal::width());
        }
    }
    if !several {
        out.push('\n');
        out += &places(receipt, window);
    }
    out + &oddities(receipt)
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

/// What was odd about the data, if anything was.
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
    let who = match verification.method {
        Verify::Insights => "Logs Insights",
        Verify::Metrics | Verify::Off => "CloudWatch's metric",
    };
    let note = verification.note.as_deref().unwrap_or_default();
    match (verification.agrees, verification.expected) {
        (Some(true), Some(expected)) => {
            format!("verified {who} counts {}\n", counted(expected, "event"))
        }
        (Some(false), Some(expected)) => {
            format!(
                "differs  {who} counts {}: {note}\n",
                counted(expected, "event")
            )
        }
        _ => format!("not verified by {who}: {note}\n"),
    }
}

/// `+12 events`, `−1 event`.
fn signed(events: i64) -> String {
    let sign = if events < 0 { '−' } else { '+' };
    format!("{sign}{}", counted(events.unsigned_abs(), "event"))
}

fn what_next(job: &std::path::Path, plan: &Plan) -> String {
    let job = job.display();
    let window = plan
        .windows
        .first()
        .map_or("yesterday", |window| window.report.id.as_str());
    format!(
        "\nAsk something else:\n  logtally query {job} --window {window} \"SELECT level(message) AS level, count(*) AS events FROM logs GROUP BY 1 ORDER BY 2 DESC\"\n  logtally query {job} --window {window} \"SELECT timestamp, message FROM logs WHERE message LIKE '%Error%' LIMIT 5\"\n"
    )
}
