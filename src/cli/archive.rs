//! `archive`: archives of windows whose exports are kept.

use clap::Args;

use super::logging::{self, Show};
use super::{JobFile, Scratch, SpanArgs, environment_of, print, print_json};
use crate::error::{Class, Error, Result};
use crate::job::{ARCHIVE, Job};
use crate::numbers::counted;
use crate::receipt::Receipt;
use crate::run::document::RunDocuments;
use crate::run::{self, Environment, Force, Outcome, Request, job_file};

#[derive(Debug, Args)]
pub(super) struct ArchiveArgs {
    /// The job file: a path, s3://bucket/key, or - for standard input
    job: JobFile,

    #[command(flatten)]
    span: SpanArgs,

    /// Make again archives that are there
    #[arg(long)]
    force: bool,

    /// Compact the archives of hours into those of their days, which replace them
    #[arg(long, value_enum, value_name = "UNIT", conflicts_with_all = ["force", "json"])]
    compact: Option<Unit>,

    /// Also take a window that has not ended
    #[arg(long)]
    provisional: bool,

    /// Print {"runs": […]} instead of a line for each window, with the receipt of each
    #[arg(long)]
    json: bool,
}

/// What hours are compacted into.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Unit {
    Day,
}

pub(super) async fn archive(args: ArchiveArgs, show: Show) -> Result<u8> {
    let job = job_file::load(&args.job).await?;
    let environment = environment_of(&job, Scratch::Needed, show)?;
    let request = Request {
        selection: args.span.selection(),
        force: match args.force {
            true => Force::Recompute,
            false => Force::No,
        },
        provisional: args.provisional,
    };
    if let Some(Unit::Day) = args.compact {
        return compact(&environment, &job, &request, show).await;
    }
    let plan = run::plan_archives(&environment, &job, &request).await?;
    let mut documents = RunDocuments::new(&plan);
    let mut printed = Ok(());
    let outcomes = run::execute(&environment, &plan, |_, outcome| {
        documents.add(outcome);
        if !args.json && printed.is_ok() {
            printed = print(&line(outcome));
        }
    })
    .await?;
    printed?;
    if args.json {
        print_json(&documents.finish())?;
    }
    let failures = outcomes.iter();
    let failures = failures.filter_map(|outcome| outcome.result.as_ref().err());
    let failures: Vec<&Error> = failures.collect();
    for error in &failures {
        logging::error(show, error);
    }
    let worst = Class::worst(failures.iter().map(|error| error.class()));
    Ok(worst.map_or(0, Class::exit_code))
}

async fn compact(
    environment: &Environment,
    job: &Job,
    request: &Request,
    show: Show,
) -> Result<u8> {
    let mut printed = Ok(());
    let days = run::compact(environment, job, request, |day| {
        let line = match &day.result {
            Ok(None) => "compacted before".to_owned(),
            Ok(Some((before, now))) => {
                let files = |count: &usize| counted(*count as u64, "file");
                format!("compacted  {} into {}", files(before), files(now))
            }
            Err(error) => format!("failed ({})", error.class().exit_code()),
        };
        if printed.is_ok() {
            printed = print(&format!("{}  {line}\n", day.day));
        }
    })
    .await?;
    printed?;
    let failures = days.iter().filter_map(|day| day.result.as_ref().err());
    let failures: Vec<&Error> = failures.collect();
    for error in &failures {
        logging::error(show, error);
    }
    let worst = Class::worst(failures.iter().map(|error| error.class()));
    Ok(worst.map_or(0, Class::exit_code))
}

/// What was done with a window.
fn line(outcome: &Outcome) -> String {
    let id = &outcome.window;
    match &outcome.result {
        Ok(_) if outcome.skipped => format!("{id}  archived before\n"),
        Ok(receipt) => format!("{id}  archived  {}\n", size(receipt)),
        Err(error) => format!("{id}  failed ({})\n", error.class().exit_code()),
    }
}

/// The events, files and bytes of an archive.
fn size(receipt: &Receipt) -> String {
    let files = receipt
        .outputs
        .iter()
        .filter(|output| output.query == ARCHIVE);
    let (mut count, mut bytes) = (0, 0);
    for file in files {
        count += 1;
        bytes += file.bytes;
    }
    format!(
        "{}, {}, {}",
        counted(receipt.read.events, "event"),
        counted(count, "file"),
        counted(bytes, "byte")
    )
}
