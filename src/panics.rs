//! A panic as an error: a bug ends the command with its message in one line, and with the exit code of a bug.

use std::any::Any;
use std::panic::{AssertUnwindSafe, PanicHookInfo};
use std::sync::{Mutex, PoisonError};

use futures::FutureExt;

use crate::error::{Class, Error, Result};

/// Where the last panic began: an unwinding panic carries its message only.
static PLACE: Mutex<Option<String>> = Mutex::new(None);

/// Notes where a panic begins, in place of the standard hook, which writes several lines to stderr. The panic is reported
/// when it arrives as an error.
pub fn note_places() {
    std::panic::set_hook(Box::new(|panic: &PanicHookInfo<'_>| {
        let place = panic.location().map(ToString::to_string);
        tracing::debug!(place, "panic: {}", message(panic.payload()));
        *PLACE.lock().unwrap_or_else(PoisonError::into_inner) = place;
    }));
}

/// Carries the work out; a panic in it is an error.
pub async fn caught<T>(work: impl Future<Output = T>) -> Result<T> {
    let ended = AssertUnwindSafe(work).catch_unwind().await;
    ended.map_err(|panic| as_error(panic.as_ref()))
}

/// The error for what a panic carries.
pub fn as_error(panic: &(dyn Any + Send)) -> Error {
    let place = PLACE.lock().unwrap_or_else(PoisonError::into_inner).take();
    let place = place.map(|place| format!(" (at {place})"));
    let what = format!(
        "a bug in this program: {}{}",
        message(panic),
        place.unwrap_or_default()
    );
    Error::new(Class::Unexpected, what)
}

fn message(panic: &(dyn Any + Send)) -> String {
    let said = match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(said), _) => said,
        (_, Some(said)) => said.as_str(),
        _ => "a panic without a message",
    };
    said.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_error_of_one_line() {
        let error = caught(async { assert_eq!(1, 2, "of {}", "parts") }).await;
        let error = error.unwrap_err();
        assert_eq!(error.class(), Class::Unexpected);
        let said = error.to_string();
        assert!(said.contains("of parts left: 1 right: 2"), "{said}");
        assert!(!said.contains('\n'), "{said}");
        assert_eq!(caught(async { 3 }).await.unwrap(), 3);
    }
}
