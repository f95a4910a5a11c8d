//! Attempts that are over, in objects of their own beside the state.
//!
//! Each change of the state and each renewal of its lease writes the state anew. With all attempts in it, a job of
//! 1,000 log groups would write a million of them. So attempts that are over are moved to *pages*, objects that are
//! written once and never changed; the state names its pages. At the end of a run they become one.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;

use serde::{Deserialize, Serialize};

use super::{Attempt, WindowState, upsert};
use crate::error::{Class, Error, Result};
use crate::layout;
use crate::store::{Body, Condition, Store};

/// The attempts of a page; a state has fewer that are over.
pub(super) const PAGE: usize = 16;

/// Pages that are read at a time.
const AT_ONCE: usize = 16;

/// Consecutive pages of one run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageSeries {
    /// The run that wrote them; no two runs write the same page.
    pub run: String,
    /// The number of the first one.
    pub first: u32,
    /// How many they are.
    pub count: u32,
}

impl PageSeries {
    fn numbers(&self) -> std::ops::Range<u32> {
        self.first..self.first + self.count
    }

    fn names(&self) -> impl Iterator<Item = String> {
        self.numbers().map(|number| page_name(&self.run, number))
    }
}

fn page_name(run: &str, number: u32) -> String {
    format!("{run}-{number:04}")
}

fn names(pages: &[PageSeries]) -> impl Iterator<Item = String> {
    pages.iter().flat_map(PageSeries::names)
}

/// The pages of a state, as the run that holds it sees them.
#[derive(Debug)]
pub(super) struct Pages {
    /// The run's id.
    run: String,
    /// The number of the run's next page.
    next: u32,
    /// The state's pages.
    series: Vec<PageSeries>,
    /// The attempts in them, by prefix.
    attempts: HashMap<String, Attempt>,
    /// Pages to delete once a state is stored that does not name them.
    folded: Vec<PageSeries>,
}

impl Pages {
    /// The pages of a state that was read, and the `attempts` in them, for a run that takes it.
    pub(super) fn new(run: &str, series: Vec<PageSeries>, attempts: Vec<Attempt>) -> Self {
        let by_prefix = attempts
            .into_iter()
            .map(|attempt| (attempt.prefix.clone(), attempt));
        Self {
            run: run.to_owned(),
            next: 0,
            series,
            attempts: by_prefix.collect(),
            folded: Vec::new(),
        }
    }

    /// The state without the attempts that are in pages.
    pub(super) fn without_paged(&self, state: &WindowState) -> WindowState {
        let inline = state
            .attempts
            .iter()
            .filter(|attempt| self.attempts.get(&attempt.prefix) != Some(attempt));
        WindowState {
            lease: state.lease.clone(),
            phase: state.phase,
            unfinished: state.unfinished.clone(),
            failure: state.failure.clone(),
            reported: state.reported.clone(),
            pages: self.series.clone(),
            attempts: inline.cloned().collect(),
        }
    }

    /// The state as it is to be stored: a page is written first where too many attempts in it are over.
    pub(super) async fn store(
        &mut self,
        store: &Store,
        key: &Path,
        state: &WindowState,
    ) -> Result<WindowState> {
        let stored = self.without_paged(state);
        let over = stored.attempts.into_iter().filter(Attempt::is_over);
        let over: Vec<Attempt> = over.collect();
        if over.len() >= PAGE {
            let number = self.write(store, key, &over).await?;
            self.add(number, over);
        }
        Ok(self.without_paged(state))
    }

    /// Moves all attempts that are over to one page, where there are several pages, or where some of the attempts in
    /// them were changed or are no longer in the state.
    pub(super) async fn fold(
        &mut self,
        store: &Store,
        key: &Path,
        state: &WindowState,
    ) -> Result<()> {
        let attempts = state.attempts.iter();
        let as_paged =
            attempts.filter(|attempt| self.attempts.get(&attempt.prefix) == Some(attempt));
        let count: u32 = self.series.iter().map(|series| series.count).sum();
        if count <= 1 && as_paged.count() == self.attempts.len() {
            return Ok(());
        }
        let over = state.attempts.iter().filter(|attempt| attempt.is_over());
        let over: Vec<Attempt> = over.cloned().collect();
        let page = match over.len() >= PAGE {
            true => Some(self.write(store, key, &over).await?),
            false => None,
        };
        self.folded.append(&mut self.series);
        self.attempts.clear();
        if let Some(number) = page {
            self.add(number, over);
        }
        Ok(())
    }

    /// Deletes the pages that were folded, once a state is stored that does not name them.
    pub(super) async fn delete_folded(&mut self, store: &Store, key: &Path) {
        let folded = std::mem::take(&mut self.folded);
        delete(store, key, names(&folded)).await;
    }

    fn add(&mut self, number: u32, attempts: Vec<Attempt>) {
        match self.series.last_mut() {
            Some(last) if last.run == self.run && last.numbers().end == number => last.count += 1,
            _ => self.series.push(PageSeries {
                run: self.run.clone(),
                first: number,
                count: 1,
            }),
        }
        for attempt in attempts {
            self.attempts.insert(attempt.prefix.clone(), attempt);
        }
    }

    /// Writes a page, and returns its number.
    async fn write(&mut self, store: &Store, key: &Path, attempts: &[Attempt]) -> Result<u32> {
        let number = self.next;
        // Not used again, also where this attempt at writing the page is given up: it may have arrived.
        self.next += 1;
        let page = layout::state_page(key, &page_name(&self.run, number));
        let json = serde_json::to_vec(attempts).map_err(|error| {
            let what = format!("can't write {}", store.display(&page));
            Error::new(Class::Unexpected, what).caused_by(error)
        })?;
        let body = Body::Bytes(Bytes::from(json));
        store
            .put_if(&page, body, "application/json", &Condition::Absent)
            .await?;
        Ok(number)
    }
}

/// The attempts in the pages of a state, in order; `None` where a page is missing.
pub(super) async fn read(
    store: &Store,
    key: &Path,
    pages: &[PageSeries],
) -> Result<Option<Vec<Attempt>>> {
    let pages: Option<Vec<Vec<Attempt>>> = futures::stream::iter(names(pages))
        .map(|name| read_page(store, key, name))
        .buffered(AT_ONCE)
        .try_collect::<Vec<_>>()
        .await?
        .into_iter()
        .collect();
    Ok(pages.map(|pages| pages.into_iter().flatten().collect()))
}

async fn read_page(store: &Store, key: &Path, name: String) -> Result<Option<Vec<Attempt>>> {
    let page = layout::state_page(key, &name);
    let Some(json) = store.get(&page).await? else {
        return Ok(None);
    };
    serde_json::from_slice(&json).map(Some).map_err(|error| {
        Error::damaged(format!(
            "{} is no page of a window's state; remove {} to begin the window anew",
            store.display(&page),
            store.display(key)
        ))
        .caused_by(error)
    })
}

/// All attempts: those in pages first, in the version of the state where it has one.
pub(super) fn all_attempts(paged: Vec<Attempt>, inline: Vec<Attempt>) -> Vec<Attempt> {
    let mut attempts = paged;
    for attempt in inline {
        upsert(&mut attempts, attempt);
    }
    attempts
}

/// The names of existing pages that the state does not name: left by runs that were killed. List them before the lease
/// is taken and delete them after that: then no run can name them any more.
pub(super) async fn orphans(store: &Store, key: &Path, state: &WindowState) -> Result<Vec<String>> {
    // The first page is written when the state has as many attempts.
    if state.pages.is_empty() && state.attempts.len() < PAGE {
        return Ok(Vec::new());
    }
    let listed = store.list(&layout::state_pages(key)).await?;
    let named: HashSet<String> = names(&state.pages).collect();
    let orphans = listed
        .iter()
        .filter_map(|meta| layout::parse_state_page(key, &meta.location))
        .filter(|name| !named.contains(*name));
    Ok(orphans.map(str::to_owned).collect())
}

/// Deletes pages that no state names. A failure is a warning, and left to the next run: nothing reads these pages.
pub(super) async fn delete(store: &Store, key: &Path, names: impl IntoIterator<Item = String>) {
    let deleted = futures::stream::iter(names)
        .map(|name| Ok::<_, Error>(layout::state_page(key, &name)))
        .try_for_each_concurrent(AT_ONCE, |page| async move { store.delete(&page).await });
    if let Err(error) = deleted.await {
        tracing::warn!(%error, "could not delete pages of a window's state that are no longer used");
    }
}
