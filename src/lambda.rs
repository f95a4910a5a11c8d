//! The program as a Lambda function: an event names a job, and the answer is the run's JSON document.
//!
//! Each invocation is a run of its own: credentials, clients, threads and the scratch folder are made for it and gone behind
//! it, as the process is frozen until the next. A run is stopped before the function's timeout, gives its leases back, and
//! fails the invocation; the next one resumes it.

mod event;
mod flight;

use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use lambda_runtime::{Diagnostic, LambdaEvent, Runtime, service_fn};
use serde_json::Value;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{oneshot, watch};

use crate::cli::progress;
use crate::error::{Class, Error, Result};
use crate::logging::{self, Show};
use crate::panics;
use crate::run::document::{self, RunDocuments};
use crate::run::log_lines::RunLog;
use crate::run::{Environment, Scratch, job_file};
use crate::runtimes::{STACK, of_queries};
use crate::state::lease;

use event::{Asked, JOB_VARIABLE};
use flight::InFlight;

/// How long before the function's timeout a run is stopped: 5 seconds until the threads notice, 3 until the leases are given
/// back, and 2 for the answer.
const MARGIN: Duration = Duration::from_secs(10);

/// How long running work may take to notice that it is to stop.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// A document up to this size is part of a failure's message. Lambda passes on up to 256 KB of a failed invocation.
const LARGEST_DOCUMENT: usize = 32 << 10;

/// Variables that Lambda sets beside that of its Runtime API.
const OF_FUNCTION: [&str; 3] = [
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
];

/// Whether the process is a Lambda function's. With arguments it is a command that another function started, whose events it
/// must not take.
pub fn is_function() -> bool {
    std::env::var_os("AWS_LAMBDA_RUNTIME_API").is_some() && std::env::args_os().len() <= 1
}

/// Answers invocations until SIGTERM.
pub fn main() -> ExitCode {
    let show = logging::start_as_function();
    panics::note_places();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let ended = match runtime {
        Ok(runtime) => runtime.block_on(panics::caught(serve(show))).flatten(),
        Err(error) => Err(can_not_start(error)),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            logging::error(show, &error);
            ExitCode::from(error.class().exit_code())
        }
    }
}

async fn serve(show: Show) -> Result<()> {
    if let Some(missing) = OF_FUNCTION
        .iter()
        .find(|name| std::env::var_os(name).is_none())
    {
        return Err(Error::usage(format!(
            "AWS_LAMBDA_RUNTIME_API is set, and {missing} is not: expected the environment of a Lambda function, or arguments"
        )));
    }
    let mut terminate = signal(SignalKind::terminate()).map_err(can_not_start)?;
    let (stop, stopped) = watch::channel(false);
    let in_flight = InFlight::default();
    let handler = service_fn(|event: LambdaEvent<Value>| invoke(event, show, stopped.clone()));
    let invocations = Runtime::new(handler).layer(in_flight.clone());
    let shut_down = async {
        terminate.recv().await;
        stop.send_replace(true);
        in_flight.landed().await;
    };
    tokio::select! {
        ended = invocations.run() => ended.map_err(|error| {
            let what = "the Runtime API of Lambda failed";
            Error::new(Class::Unexpected, what).caused_by(error)
        }),
        () = shut_down => Ok(()),
    }
}

fn can_not_start(error: std::io::Error) -> Error {
    Error::new(Class::Unexpected, "can't start").caused_by(error)
}

/// Answers an invocation: with the document of a run that is done, or that another run does already; else with a failure.
async fn invoke(
    event: LambdaEvent<Value>,
    show: Show,
    stopped: watch::Receiver<bool>,
) -> Result<Value, Diagnostic> {
    let (event, context) = event.into_parts();
    logging::set_request(Some(&context.request_id));
    let stop = until_stop(context.deadline(), stopped);
    let ended = on_own_threads(move || run(event, show, stop)).await;
    let ended = ended.unwrap_or_else(|error| {
        RunLog::new(show, false).failed(None, &error);
        Ended::early(error)
    });
    logging::set_request(None);
    ended.answer()
}

/// Why a run is stopped.
#[derive(Debug, Clone, Copy)]
enum Stop {
    Timeout,
    Sigterm,
}

/// Returns when a run has to stop: some time before the deadline, or at SIGTERM.
async fn until_stop(deadline: SystemTime, mut stopped: watch::Receiver<bool>) -> Stop {
    let left = deadline
        .duration_since(SystemTime::now())
        .unwrap_or_default();
    tokio::select! {
        () = tokio::time::sleep(left - margin(left)) => Stop::Timeout,
        // The sender lives as long as the process.
        _ = stopped.wait_for(|stopped| *stopped) => Stop::Sigterm,
    }
}

/// A function with a short timeout keeps most of it for the run.
fn margin(timeout: Duration) -> Duration {
    MARGIN.min(timeout / 4)
}

impl Stop {
    fn error(self, remains: &str) -> Error {
        let why = match self {
            Self::Timeout => {
                "stopped shortly before the function's timeout; the next invocation goes on from there"
            }
            Self::Sigterm => "stopped by SIGTERM; the next invocation goes on from there",
        };
        Error::new(Class::Terminated, format!("{why}{remains}"))
    }
}

/// Carries an invocation out on threads of its own, which have ended when it returns, as have its leases.
///
/// # Errors
/// A bug, or work that does not stop.
async fn on_own_threads<W>(work: impl FnOnce() -> W + Send + 'static) -> Result<Ended>
where
    W: Future<Output = Ended>,
{
    let (sender, ended) = oneshot::channel();
    let carry_out = move || {
        let ended = of_queries().map_err(can_not_start).and_then(|runtime| {
            let ended = runtime.block_on(panics::caught(work()));
            runtime.shutdown_timeout(STOP_WITHIN);
            lease::wait_for_releases();
            ended
        });
        // The invocation waits for it.
        let _ = sender.send(ended);
    };
    let thread = std::thread::Builder::new().name("invocation".to_owned());
    thread
        .stack_size(STACK)
        .spawn(carry_out)
        .map_err(can_not_start)?;
    ended.await.unwrap_or_else(|gone| {
        let what = "the invocation ended without a result";
        Err(Error::new(Class::Unexpected, what).caused_by(gone))
    })
}

/// What a run ended with.
struct Ended {
    /// `{"runs": […]}`
    document: Value,
    /// The failure that decides the exit code of the same run on a command line.
    failure: Option<Failure>,
}

struct Failure {
    class: Class,
    message: String,
}

impl Ended {
    /// Of a run that came to no window.
    fn early(error: Error) -> Self {
        Self::failed(document::failure(&error), &error)
    }

    fn failed(document: Value, error: &Error) -> Self {
        let failure = Failure {
            class: error.class(),
            message: error.to_string(),
        };
        Self {
            document,
            failure: Some(failure),
        }
    }

    /// The answer, or the failure in Lambda's terms. Another run that does the window already is the normal end of an event
    /// that was delivered twice.
    fn answer(self) -> Result<Value, Diagnostic> {
        let failure = match self.failure {
            None => return Ok(self.document),
            Some(Failure {
                class: Class::Held, ..
            }) => return Ok(self.document),
            Some(failure) => failure,
        };
        let document = self.document.to_string();
        let error_message = match document.len() <= LARGEST_DOCUMENT {
            true => format!("{}\n{document}", failure.message),
            false => failure.message,
        };
        Err(Diagnostic {
            error_type: error_type(failure.class).to_owned(),
            error_message,
        })
    }
}

/// The `errorType` of a failure, by which Step Functions catches it and alarms filter.
fn error_type(class: Class) -> &'static str {
    match class {
        Class::Unexpected => "Logtally.Bug",
        Class::Usage => "Logtally.Usage",
        Class::ExportLate => "Logtally.ExportLate",
        Class::Source => "Logtally.Source",
        Class::Damaged => "Logtally.Damaged",
        Class::Sql => "Logtally.Sql",
        Class::Output => "Logtally.Output",
        Class::Held => "Logtally.Held",
        Class::Workers => "Logtally.Workers",
        Class::Interrupted | Class::Terminated => "Logtally.Stopped",
    }
}

/// Does the job of an event, until it is done or has to stop.
async fn run(event: Value, show: Show, stop: impl Future<Output = Stop>) -> Ended {
    let log = RunLog::new(show, false);
    let mut stop = std::pin::pin!(stop);
    let job = async {
        let asked = Asked::of(&event, std::env::var(JOB_VARIABLE).ok())?;
        let job = job_file::load(&asked.job).await?;
        Ok((job, asked.request))
    };
    let job = tokio::select! {
        job = job => job,
        stop = &mut stop => Err(stop.error("")),
    };
    let (job, request) = match job {
        Ok(read) => read,
        Err(error) => {
            log.failed(None, &error);
            return Ended::early(error);
        }
    };
    let mut documents = RunDocuments::default();
    let work = async {
        let scratch = Some(Scratch::new()?);
        let progress = progress::new(show);
        if let Some(worker) = job.workers.first() {
            return Err(Error::usage(format!(
                "[run] workers: {worker} can't be used by a Lambda function, which reads alone: expected no workers"
            )));
        }
        let environment = Environment::real(job.aws.clone(), job.limits.memory, scratch, progress)?;
        #[cfg(feature = "otel")]
        let began_at = chrono::Utc::now();
        let plan = crate::run::plan_to_run(&environment, &job, &request).await?;
        documents = RunDocuments::new(&plan);
        let several = plan.windows.len() > 1;
        let outcomes = crate::run::execute(&environment, &plan, |window, outcome| {
            documents.add(outcome);
            log.window(&job, window, outcome, several);
        })
        .await?;
        #[cfg(feature = "otel")]
        crate::run::trace::send(&job, began_at, &outcomes).await;
        Ok(outcomes)
    };
    let error = tokio::select! {
        outcomes = work => match outcomes {
            Ok(outcomes) => return finished(documents, &outcomes),
            Err(error) => error,
        },
        stop = stop => stop.error(document::remains(&job)),
    };
    log.failed(Some(&job), &error);
    Ended::failed(documents.stopped(&error), &error)
}

/// The end of a run that came to all its windows: as on a command line, the worst failure counts.
fn finished(documents: RunDocuments, outcomes: &[crate::run::Outcome]) -> Ended {
    let failures = outcomes.iter().filter_map(|outcome| {
        let error = outcome.result.as_ref().err()?;
        Some((error.class(), format!("window {}: {error}", outcome.window)))
    });
    let failures: Vec<_> = failures.collect();
    let worst = Class::worst(failures.iter().map(|(class, _)| *class));
    let failure = worst.map(|class| {
        let messages: Vec<_> = failures.into_iter().map(|(_, message)| message).collect();
        Failure {
            class,
            message: messages.join("; "),
        }
    });
    Ended {
        document: documents.finish(),
        failure,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_short_timeout_is_kept_for_the_run() {
        for (timeout, expected) in [(900, 10_000), (60, 10_000), (20, 5000), (3, 750), (0, 0)] {
            let margin = margin(Duration::from_secs(timeout));
            assert_eq!(margin.as_millis(), expected, "{timeout} s");
        }
    }

    #[test]
    fn only_what_another_run_does_is_no_failure() {
        let ended = |class| Ended::early(Error::new(class, "why"));
        let held = ended(Class::Held).answer().unwrap();
        assert_eq!(held["runs"][0]["exit_code"], 8);
        for (class, expected) in [
            (Class::Unexpected, "Logtally.Bug"),
            (Class::Usage, "Logtally.Usage"),
            (Class::ExportLate, "Logtally.ExportLate"),
            (Class::Source, "Logtally.Source"),
            (Class::Damaged, "Logtally.Damaged"),
            (Class::Sql, "Logtally.Sql"),
            (Class::Output, "Logtally.Output"),
            (Class::Terminated, "Logtally.Stopped"),
        ] {
            let failure = ended(class).answer().unwrap_err();
            assert_eq!(failure.error_type, expected);
            let (message, document) = failure.error_message.split_once('\n').unwrap();
            assert_eq!(message, "why");
            let document: Value = serde_json::from_str(document).unwrap();
            assert_eq!(document["runs"][0]["exit_code"], class.exit_code());
        }
    }

    #[test]
    fn a_large_document_does_not_make_the_failure_too_large_for_lambda() {
        let error = Error::new(Class::Source, "refused");
        let large = json!({ "runs": ["x".repeat(LARGEST_DOCUMENT)] });
        let failure = Ended::failed(large, &error).answer().unwrap_err();
        assert_eq!(failure.error_message, "refused");
    }
}
