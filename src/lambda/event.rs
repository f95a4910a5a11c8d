//! The event of an invocation: the program's own, or one of EventBridge, whose `detail` is the program's own.

use std::path::PathBuf;

use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::run::{Force, Request, Selection};

/// The job of an event that names none.
pub const JOB_VARIABLE: &str = "LOGTALLY_JOB";

/// The keys of the program's own event.
const KEYS: [&str; 3] = ["job", "window", "force"];

/// What an event asks for.
#[derive(Debug, PartialEq, Eq)]
pub struct Asked {
    /// The job file: `s3://bucket/key`, or a path in the image.
    pub job: PathBuf,
    /// Which windows, and what of them to do again.
    pub request: Request,
}

impl Asked {
    /// Reads an event; `job` is the job of an event that names none.
    ///
    /// # Errors
    /// `Usage`, with the key and the value: an unknown key, a value of another type, no job.
    pub fn of(event: &Value, job: Option<String>) -> Result<Self> {
        let own = own_event(event)?;
        if let Some(key) = own.keys().find(|key| !KEYS.contains(&key.as_str())) {
            return Err(Error::usage(format!(
                "event: unknown key {key:?}: expected {}",
                KEYS.map(|key| format!("{key:?}")).join(", ")
            )));
        }
        let job = text(&own, "job", "s3://bucket/jobs/nightly.toml")?.or(job);
        let job = job.filter(|job| !job.is_empty()).ok_or_else(|| {
            Error::usage(format!(
                "event: no job: expected {{\"job\": \"s3://bucket/jobs/nightly.toml\"}}, or the variable {JOB_VARIABLE} of the function"
            ))
        })?;
        if job == "-" {
            return Err(Error::usage(
                "event: job is \"-\": expected s3://bucket/key or a path in the image, since a function has no standard input",
            ));
        }
        let window = text(&own, "window", "2026-11-21")?;
        Ok(Self {
            job: job.into(),
            request: Request {
                selection: window.map_or(Selection::Default, Selection::Id),
                force: force(own.get("force"))?,
                provisional: false,
            },
        })
    }
}

/// The program's own keys of an event.
fn own_event(event: &Value) -> Result<Map<String, Value>> {
    let own = match event {
        Value::Null => Map::new(),
        Value::Object(keys) if keys.contains_key("detail-type") => of_event_bridge(keys)?,
        Value::Object(keys) => keys.clone(),
        other => return Err(no_object("event", other)),
    };
    Ok(own)
}

/// The `detail` of an event of EventBridge. The schedules of Scheduler have it as a text with JSON. In the events of AWS's
/// services it is about something else, unless it names a job.
fn of_event_bridge(event: &Map<String, Value>) -> Result<Map<String, Value>> {
    let detail = match event.get("detail") {
        Some(Value::String(text)) if !text.trim().is_empty() => {
            let what = "event: detail is a text that is no JSON";
            serde_json::from_str(text).map_err(|error| Error::usage(what).caused_by(error))?
        }
        Some(Value::String(_)) | None => Value::Null,
        Some(detail) => detail.clone(),
    };
    let source = event.get("source").and_then(Value::as_str);
    let is_of_service = source.is_some_and(|source| source.starts_with("aws."));
    match detail {
        Value::Null => Ok(Map::new()),
        Value::Object(keys) if is_of_service && !keys.contains_key("job") => Ok(Map::new()),
        Value::Object(keys) => Ok(keys),
        other => Err(no_object("event: detail", &other)),
    }
}

fn no_object(what: &str, value: &Value) -> Error {
    Error::usage(format!(
        "{what} is {value}: expected an object such as {{\"job\": \"s3://bucket/jobs/nightly.toml\"}}"
    ))
}

/// A text of the event; `None` without the key.
fn text(event: &Map<String, Value>, key: &str, example: &str) -> Result<Option<String>> {
    match event.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(other) => Err(Error::usage(format!(
            "event: {key} is {other}: expected a text such as {example:?}"
        ))),
    }
}

fn force(value: Option<&Value>) -> Result<Force> {
    match value {
        None | Some(Value::Null | Value::Bool(false)) => Ok(Force::No),
        Some(Value::Bool(true)) => Ok(Force::Recompute),
        Some(Value::String(text)) if text == "answers" => Ok(Force::Recompute),
        Some(Value::String(text)) if text == "export" => Ok(Force::Export),
        Some(other) => Err(Error::usage(format!(
            "event: force is {other}: expected true, false, \"answers\" or \"export\""
        ))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::error::Class;

    const NIGHTLY: &str = "s3://acme/jobs/nightly.toml";

    fn asked(event: &Value) -> Result<Asked> {
        Asked::of(event, None)
    }

    fn job_of(event: &Value, variable: Option<&str>) -> String {
        let asked = Asked::of(event, variable.map(str::to_owned)).unwrap();
        asked.job.display().to_string()
    }

    #[test]
    fn the_programs_own_event_has_a_job_a_window_and_force() {
        let read = asked(&json!({"job": NIGHTLY})).unwrap();
        assert_eq!(read.job, PathBuf::from(NIGHTLY));
        assert_eq!(read.request.selection, Selection::Default);
        assert_eq!(read.request.force, Force::No);
        let window = asked(&json!({"job": NIGHTLY, "window": "2026-11-21", "force": "export"}));
        let request = window.unwrap().request;
        assert_eq!(request.selection, Selection::Id("2026-11-21".to_owned()));
        assert_eq!(request.force, Force::Export);
        for (force, expected) in [
            (json!(true), Force::Recompute),
            (json!("answers"), Force::Recompute),
            (json!(false), Force::No),
            (json!(null), Force::No),
        ] {
            let event = json!({"job": NIGHTLY, "window": null, "force": force});
            assert_eq!(asked(&event).unwrap().request.force, expected, "{event}");
        }
    }

    #[test]
    fn an_event_of_eventbridge_has_it_in_its_detail() {
        let event = |source: &str, detail: Value| {
            json!({
                "version": "0", "id": "1", "detail-type": "Scheduled Event", "source": source, "account": "123456789012",
                "time": "2026-11-22T01:00:00Z", "region": "ap-northeast-2", "resources": [], "detail": detail,
            })
        };
        let other = Some("s3://acme/other.toml");
        let own = json!({"job": NIGHTLY, "force": true});
        for detail in [own.clone(), own.to_string().into()] {
            for source in ["acme.nights", "aws.scheduler"] {
                assert_eq!(job_of(&event(source, detail.clone()), other), NIGHTLY);
            }
        }
        // Schedules without an input, and events of services, which are about something else.
        for detail in [
            json!({}),
            json!("{}"),
            json!(""),
            json!({"bucket": {"name": "acme"}}),
        ] {
            let scheduled = event("aws.events", detail);
            assert_eq!(job_of(&scheduled, Some(NIGHTLY)), NIGHTLY, "{scheduled}");
        }
        let wrong = asked(&event("acme.nights", json!({"jobs": NIGHTLY}))).unwrap_err();
        assert!(
            wrong.to_string().contains("unknown key \"jobs\""),
            "{wrong}"
        );
    }

    #[test]
    fn without_a_job_the_functions_own_counts() {
        for event in [json!({}), json!(null), json!({"window": "2026-11-21"})] {
            assert_eq!(job_of(&event, Some(NIGHTLY)), NIGHTLY);
            let error = asked(&event).unwrap_err().to_string();
            assert!(error.contains(JOB_VARIABLE), "{error}");
        }
        let named = json!({"job": "s3://acme/other.toml"});
        assert_eq!(job_of(&named, Some(NIGHTLY)), "s3://acme/other.toml");
    }

    #[test]
    fn a_wrong_event_is_named_with_its_value() {
        for (event, expected) in [
            (
                json!({"job": NIGHTLY, "windows": "2026-11-21"}),
                "unknown key \"windows\": expected \"job\", \"window\", \"force\"",
            ),
            (json!({"job": 7}), "job is 7"),
            (
                json!({"job": NIGHTLY, "window": 20_261_121}),
                "window is 20261121",
            ),
            (json!({"job": NIGHTLY, "force": "all"}), "force is \"all\""),
            (json!({"job": "-"}), "no standard input"),
            (json!({"job": ""}), "no job"),
            (json!([NIGHTLY]), "expected an object"),
            (json!({"detail-type": "x", "detail": "{job"}), "no JSON"),
            (json!({"detail-type": "x", "detail": 7}), "detail is 7"),
        ] {
            let error = asked(&event).unwrap_err();
            assert_eq!(error.class(), Class::Usage);
            assert!(error.to_string().contains(expected), "{error}");
        }
    }
}
