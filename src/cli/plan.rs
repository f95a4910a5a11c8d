//! `plan`: what `run` would do.

use clap::Args;

use super::logging::Show;
use super::{JobFile, WindowArgs, job_environment, print, print_json};
use crate::aws::logs::Origin;
use crate::error::Result;
use crate::job::{Job, JobSource, Source};
use crate::run::{self, Action, Plan, WindowPlan};

#[derive(Debug, Args)]
pub(super) struct PlanArgs {
    /// The job file: a path, s3://bucket/key, or - for standard input
    job: JobFile,

    #[command(flatten)]
    windows: WindowArgs,

    /// Print the plan as JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn plan(args: PlanArgs, show: Show) -> Result<u8> {
    let (job, environment) = job_environment(&args.job, show).await?;
    let mut plan = run::plan(&environment, &job, &args.windows.request()).await?;
    plan.ensure_exported().await?;
    if args.json {
        print_json(&plan)?;
    } else {
        print(&describe(&plan))?;
    }
    Ok(0)
}

fn describe(plan: &Plan<'_>) -> String {
    let job = plan.job;
    let mut out = format!("job      {} ({})\n", job.name, job.file.name());
    let is_one = !job.has_several_sources();
    for (one, origin, groups) in plan.by_source() {
        out += &source(&one.logs);
        if !is_one {
            out += &described(one, origin);
        }
        for group in groups.iter().filter(|_| !is_one) {
            out += &format!("         {group}\n");
        }
    }
    if job.mask {
        out += "         messages without personal data and secrets ([source] mask)\n";
    }
    for group in plan.log_groups.iter().filter(|_| is_one) {
        out += &format!("         {group}\n");
    }
    for expectation in &plan.expectations {
        out += &format!("expect   {expectation}\n");
    }
    for window in &plan.windows {
        out += &describe_window(job, window);
    }
    for note in plan.left_undone.iter().chain(&plan.notes) {
        out += &format!("\nnote     {note}\n");
    }
    out
}

/// Which of several sources it is, and whose its log groups are.
fn described(source: &JobSource, origin: Option<&Origin>) -> String {
    match origin {
        Some(origin) => format!("         {source}, {origin}\n"),
        None => format!("         {source}\n"),
    }
}

fn source(source: &Source) -> String {
    match source {
        Source::CloudWatch(source) => {
            format!("source   CloudWatch Logs, exported to {}\n", source.staging)
        }
        Source::Exported { path, .. } => format!("source   exported objects in {path}\n"),
        Source::Subscription(source) => format!(
            "source   a subscription, delivered to {} as {} ({})\n",
            source.path,
            source.prefix.as_str(),
            source.prefix.zone()
        ),
        Source::Delivered(source) => format!("source   delivered logs in {}\n", source.path),
        Source::Directory { path, staging, .. } => format!(
            "source   events in {}, exported to {staging}\n",
            path.display()
        ),
    }
}

fn describe_window(job: &Job, window: &WindowPlan) -> String {
    let report = &window.report;
    let settled = match report.provisional {
        true => "provisional",
        false => "settled",
    };
    let action = match (job.is_read_in_place(), window.action) {
        (_, Action::Skip) => "nothing: it is done (--force does it again)",
        (true, _) => "compute",
        (_, Action::Compute) => "export, unless an export from after it settled was kept; compute",
        (_, Action::ExportAndCompute) => "export, compute",
    };
    let left = match window.is_looked_back_at {
        true => ", left undone by earlier nights",
        false => "",
    };
    let mut out = format!(
        "\nwindow   {}, {settled}{left}\n         {} to {}\n         {} to {}\ndo       {action}\n",
        window.window,
        report.start_local,
        report.end_local,
        report.start.to_rfc3339(),
        report.end.to_rfc3339()
    );
    if window.action != Action::Skip {
        for output in &window.outputs {
            out += &format!("write    {output}\n");
        }
    }
    out
}
