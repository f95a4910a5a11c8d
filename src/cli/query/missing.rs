//! What is missing of the windows that are asked for, with the commands that help.

use super::subject_name;
use crate::error::Error;
use crate::run::catalog::{Catalog, Missing, Windows};
use crate::window::{TODAY, Window};

/// Warns of events that an answer may have twice, or lacks.
pub(crate) fn warn(catalog: &Catalog, names: &[impl AsRef<str>]) {
    for note in catalog.notes() {
        tracing::warn!("{note}");
    }
    for deleted in catalog.deleted() {
        let deleted = in_words(deleted.clone(), names);
        tracing::warn!("the answer covers only the rest: {deleted}");
    }
    if let Some(provisional) = catalog.provisional() {
        tracing::warn!("{provisional}");
    }
}

/// Why there are no events, with the command that helps.
pub(crate) fn in_words(missing: Missing, names: &[impl AsRef<str>]) -> Error {
    // The job file that was named, or with several jobs the name of the job in it.
    let job = match names {
        [only] => only.as_ref(),
        _ => {
            let mut names = names.iter().map(AsRef::as_ref);
            let of_name = |name: &&str| subject_name(name) == missing.job().as_str();
            names.find(of_name).unwrap_or("JOB")
        }
    };
    let help = match &missing {
        Missing::NotExported { windows, .. } => {
            let flags = match windows {
                Windows::All => String::new(),
                Windows::One(id) if id == TODAY => {
                    return Error::usage(format!(
                        "{missing}: --fresh exports it first, and so does `logtally run {job} --window today --provisional`"
                    ));
                }
                Windows::One(id) => format!(" --window {id}"),
                Windows::FromTo(from, to) => format!(" --from {from} --to {to}"),
                Windows::Last(span) => format!(" --last {span}"),
            };
            format!(": run `logtally run {job}{flags}` for it first")
        }
        Missing::Incomplete { missing, .. } => format!(
            ". To export them: `logtally run {job}{}`. A query without a window reads what is exported",
            flags(missing)
        ),
        Missing::Deleted { windows, .. } | Missing::NotArchived { windows, .. } => {
            format!(": {}", export_again(windows, job))
        }
    };
    Error::usage(format!("{missing}{help}"))
}

fn export_again(windows: &[Window], job: &str) -> String {
    let flags = flags(windows);
    format!("`logtally run {job}{flags} --force` exports again what the source still has")
}

/// The options of `run` that select these windows and those between them.
fn flags(windows: &[Window]) -> String {
    match windows {
        [] => String::new(),
        [only] => format!(" --window {}", only.id()),
        [first, .., last] => format!(" --from {} --to {}", first.id(), last.id()),
    }
}
