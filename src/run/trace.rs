//! A run as a trace, sent where `OTEL_EXPORTER_OTLP_ENDPOINT` says.

use chrono::{DateTime, Utc};

use super::{Outcome, Step};
use crate::job::Job;
use crate::otel::{Attribute, Exporter, Span};

/// Sends the trace of a run that began at a time, if the environment asks for one.
pub async fn send(job: &Job, began_at: DateTime<Utc>, outcomes: &[Outcome]) {
    let Some(exporter) = Exporter::from_environment() else {
        return;
    };
    let failed = outcomes
        .iter()
        .find_map(|outcome| outcome.result.as_ref().err());
    let root = Span {
        name: format!("run {}", job.name),
        began_at,
        ended_at: Utc::now(),
        attributes: vec![("job", Attribute::Text(job.name.to_string()))],
        error: failed.map(ToString::to_string),
        children: outcomes.iter().filter_map(window).collect(),
    };
    exporter.send(&root).await;
}

/// The span of a window; `None` if the run did nothing in it.
fn window(outcome: &Outcome) -> Option<Span> {
    let steps: Vec<Span> = outcome.steps.iter().map(step).collect();
    let began_at = steps.iter().map(|step| step.began_at).min()?;
    let ended_at = steps.iter().map(|step| step.ended_at).max()?;
    let mut attributes = vec![("window", Attribute::Text(outcome.window.clone()))];
    match &outcome.result {
        Ok(receipt) => attributes.extend([
            ("events", Attribute::Whole(receipt.read.events)),
            ("objects", Attribute::Whole(receipt.read.objects as u64)),
            ("provisional", Attribute::Flag(receipt.window.provisional)),
            (
                "broken_expectations",
                Attribute::Whole(receipt.broken().count() as u64),
            ),
        ]),
        Err(error) => {
            let code = error.class().exit_code();
            attributes.push(("exit_code", Attribute::Whole(code.into())));
        }
    }
    Some(Span {
        name: format!("window {}", outcome.window),
        began_at,
        ended_at,
        attributes,
        error: outcome.result.as_ref().err().map(ToString::to_string),
        children: steps,
    })
}

fn step(step: &Step) -> Span {
    Span {
        name: step.name.clone(),
        began_at: step.began_at,
        ended_at: step.began_at + step.took,
        attributes: Vec::new(),
        error: None,
        children: Vec::new(),
    }
}
