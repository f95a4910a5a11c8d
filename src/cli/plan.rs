//! `plan`: what `run` would do.

use std::fmt::Write;

use clap::Args;

use super::logging::Show;
use super::{JobFile, WindowArgs, job_environment, print, print_json};
use crate::error::Result;
use crate::job::{Job, Source};
use crate::run::{self, Action, Plan};

#[derive(Debug, Args)]
pub(super) struct PlanArgs {
    /// The job file
    job: JobFile,

    #[command(flatten)]
    windows: WindowArgs,

    /// Print the plan as JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn plan(args: PlanArgs, show: Show) -> Result<u8> {
    let (job, environment) = job_environment(&args.job, show)?;
    let plan = run::plan(&environment, &job, &args.windows.request()).await?;
    run::ensure_exported(&environment, &job).await?;
    if args.json {
        print_json(&plan)?;
    } else {
        print(&describe(&job, &plan))?;
    }
    Ok(0)
}

fn describe(job: &Job, plan: &Plan) -> String {
    let mut out = String::new();
    // Writing to a String can't fail.
    let _ = writeln!(out, "job      {} ({})", plan.job, job.file.display());
    let _ = match &job.source {
        Source::CloudWatch(source) => writeln!(
            out,
            "source   CloudWatch Logs, exported to {}",
            source.staging
        ),
        Source::Exported { path, .. } => writeln!(out, "source   exported objects in {path}"),
        Source::Directory { path, staging, .. } => {
            writeln!(
                out,
                "source   events in {}, exported to {staging}",
                path.display()
            )
        }
    };
    for group in &plan.log_groups {
        let _ = writeln!(out, "         {group}");
    }
    for window in &plan.windows {
        let report = &window.report;
        let settled = if report.provisional {
            "provisional"
        } else {
            "settled"
        };
        let _ = writeln!(out, "\nwindow   {}, {settled}", window.window);
        let _ = writeln!(
            out,
            "         {} to {}",
            report.start_local, report.end_local
        );
        let _ = writeln!(
            out,
            "         {} to {}",
            report.start.to_rfc3339(),
            report.end.to_rfc3339()
        );
        let action = match (&job.source, window.action) {
            (_, Action::Skip) => "nothing: it is done (--force does it again)",
            (Source::Exported { .. }, _) => "compute",
            (_, Action::Compute) => {
                "export, unless an export from after it settled was kept; compute"
            }
            (_, Action::ExportAndCompute) => "export, compute",
        };
        let _ = writeln!(out, "do       {action}");
        if window.action != Action::Skip {
            for output in &window.outputs {
                let _ = writeln!(out, "write    {output}");
            }
        }
    }
    out
}
