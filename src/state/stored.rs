//! The state of a window as objects: the state object, and the pages that it names.

use bytes::Bytes;
use object_store::path::Path;

use super::pages;
use super::{Attempt, WindowState};
use crate::error::{Class, Error, Result};
use crate::store::{Body, Condition, Store};

/// The state of a window as it was read.
#[derive(Default)]
pub(super) struct Stored {
    /// With all attempts.
    pub(super) state: WindowState,
    /// The attempts that are in pages.
    pub(super) paged: Vec<Attempt>,
    pub(super) condition: Condition,
}

/// The state at `key`, with the attempts in its pages, and the condition under which it may be replaced; `None` where
/// there is no state.
pub async fn read(store: &Store, key: &Path) -> Result<Option<(WindowState, Condition)>> {
    let stored = read_stored(store, key).await?;
    Ok(stored.map(|stored| (stored.state, stored.condition)))
}

pub(super) async fn read_stored(store: &Store, key: &Path) -> Result<Option<Stored>> {
    let mut missing = Vec::new();
    loop {
        let Some((mut state, condition)) = read_object(store, key).await? else {
            return Ok(None);
        };
        if let Some(paged) = pages::read(store, key, &state.pages).await? {
            let inline = std::mem::take(&mut state.attempts);
            state.attempts = pages::all_attempts(paged.clone(), inline);
            return Ok(Some(Stored {
                state,
                paged,
                condition,
            }));
        }
        // A run that ended meanwhile has put its pages together: the state names the new one.
        if state.pages == missing {
            return Err(Error::damaged(format!(
                "{} names pages that are missing; remove it to begin the window anew",
                store.display(key)
            )));
        }
        missing = state.pages;
    }
}

pub(super) async fn read_object(
    store: &Store,
    key: &Path,
) -> Result<Option<(WindowState, Condition)>> {
    let Some((json, condition)) = store.get_to_replace(key).await? else {
        return Ok(None);
    };
    let state = serde_json::from_slice(&json).map_err(|error| {
        Error::damaged(format!(
            "{} is no state of a window; remove it to begin the window anew",
            store.display(key)
        ))
        .caused_by(error)
    })?;
    Ok(Some((state, condition)))
}

/// Writes the state object; `None` where the condition did not hold.
pub(super) async fn put(
    store: &Store,
    key: &Path,
    state: &WindowState,
    condition: &Condition,
) -> Result<Option<Condition>> {
    let json = serde_json::to_vec_pretty(state).map_err(|error| {
        let what = format!("can't write {}", store.display(key));
        Error::new(Class::Unexpected, what).caused_by(error)
    })?;
    let body = Body::Bytes(Bytes::from(json));
    let written = store
        .try_put_if(key, body, "application/json", condition)
        .await?;
    Ok(match written.map(|written| written.etag) {
        Some(Some(etag)) => Some(Condition::Unchanged(etag)),
        Some(None) => Some(store.as_it_is(key).await?),
        None => None,
    })
}
