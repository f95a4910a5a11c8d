//! Events of a log group through the Logs API, without an export task and its one slot, written in the export's own
//! layout.
//!
//! The requested time is fetched in pieces, each of them page by page. A piece writes below a folder of its own, and
//! last a list of its objects. So after a crash, the next run fetches only the times that no whole piece covers.

pub mod piece_writer;
mod seen;

use std::cmp::Reverse;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use object_store::path::Path;
use serde::{Deserialize, Serialize};

use self::piece_writer::PieceWriter;
use self::seen::SeenEvents;
use super::deadline::Deadline;
use super::service::{EventPage, EventService, PageRequest, ServiceError, ServiceErrorKind};
use crate::clock::Clock;
use crate::error::{Class, Error, Result};
use crate::layout;
use crate::layout::cloudwatch::LogObject;
use crate::store::{Body, Condition, Store};
use crate::window::Range;

/// The least time between two requests. FilterLogEvents allows five to ten a second in an account and Region.
const BETWEEN_REQUESTS: Duration = Duration::from_millis(200);

/// The length of the next piece is what this many pages are likely to hold: a crash repeats less than a minute's
/// requests.
const PAGES_IN_A_PIECE: u32 = 64;

/// How often a piece is begun. The token of its next page is valid for a day only, so one that went stale begins it anew.
const MOST_STARTS: u32 = 3;

/// Pieces are no shorter, however dense the events are.
const SHORTEST_PIECE_MS: i64 = 1000;

/// What to fetch, and where to write it.
#[derive(Debug, Clone)]
pub struct EventsRequest<'a> {
    /// The log group.
    pub log_group: &'a str,
    /// Only the streams whose name begins with this prefix.
    pub log_stream_prefix: Option<&'a str>,
    /// The events' own times.
    pub range: Range,
    /// The attempt's prefix.
    pub attempt: &'a Path,
    /// Give up after this many pages.
    pub most_pages: Option<u32>,
}

/// How fetching ended.
#[derive(Debug)]
pub enum FetchOutcome {
    /// All events are in these objects, in the order of their keys.
    All(Vec<LogObject>),
    /// The events need more than the allowed pages.
    TooMany,
    /// The first request was refused: the credentials may lack the permission.
    Refused(Error),
}

/// How a piece ended.
enum PieceOutcome {
    Whole(Piece),
    TooMany,
    Refused(Error),
    /// The token of the next page is not valid any more.
    Stale(Error),
}

/// Why a page did not arrive.
enum NoPage {
    Refused(Error),
    Stale(Error),
    Failed(Error),
}

/// The list of a whole piece's objects.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Piece {
    /// The requested streams.
    log_stream_prefix: Option<String>,
    /// The requested times.
    range: Range,
    /// When it was requested: later events may be missing.
    as_of: DateTime<Utc>,
    /// The keys of its objects, relative to the attempt.
    objects: Vec<String>,
    /// How many events they have.
    events: u64,
}

/// Writes the requested events to objects below the attempt's prefix. Times that whole pieces of an earlier run cover
/// are not fetched again.
///
/// Errors: `ExportLate` after the deadline, `Usage` where the log group does not exist, `Source` where the service
/// refuses.
pub async fn fetch(
    service: &dyn EventService,
    store: &Store,
    clock: &dyn Clock,
    deadline: &Deadline<'_>,
    request: &EventsRequest<'_>,
) -> Result<FetchOutcome> {
    let mut pieces = whole_pieces(store, request).await?;
    let mut fetcher = EventFetcher {
        service,
        store,
        clock,
        deadline,
        request,
        last_request: Mutex::default(),
        pages: 0,
        events: pieces.iter().map(|piece| piece.events).sum(),
    };
    for gap in gaps(request.range, &pieces) {
        let mut from = gap.start_ms;
        let mut length = first_length(request.range);
        while from < gap.end_ms {
            let range = Range {
                start_ms: from,
                end_ms: gap.end_ms.min(from.saturating_add(length)),
            };
            let pages = fetcher.pages;
            match fetcher.piece(range).await? {
                PieceOutcome::Whole(piece) => pieces.push(piece),
                PieceOutcome::TooMany => return Ok(FetchOutcome::TooMany),
                PieceOutcome::Refused(error) if fetcher.pages == 0 => {
                    return Ok(FetchOutcome::Refused(error));
                }
                PieceOutcome::Refused(error) | PieceOutcome::Stale(error) => return Err(error),
            }
            length = next_length(length, fetcher.pages - pages);
            from = range.end_ms;
        }
    }
    let mut keys: Vec<Path> = pieces
        .iter()
        .flat_map(|piece| &piece.objects)
        .map(|key| layout::join(request.attempt, key))
        .collect();
    keys.sort();
    let listed = store
        .list_logs(request.attempt, Some(request.log_group))
        .await?;
    let objects: Vec<LogObject> = listed
        .into_iter()
        .filter(|object| keys.binary_search(&object.meta.location).is_ok())
        .collect();
    if objects.len() != keys.len() {
        return Err(Error::damaged(format!(
            "{} lacks {} of the {} objects that were written there",
            store.display(request.attempt),
            keys.len() - objects.len(),
            keys.len()
        )));
    }
    Ok(FetchOutcome::All(objects))
}

/// The whole pieces of an earlier run, without overlaps. A piece that was requested before its times were over is not
/// whole: more events have come since.
async fn whole_pieces(store: &Store, request: &EventsRequest<'_>) -> Result<Vec<Piece>> {
    let mut pieces = Vec::new();
    for meta in store.list(request.attempt).await? {
        if !layout::is_piece(&meta.location) {
            continue;
        }
        let Some(json) = store.get(&meta.location).await? else {
            continue;
        };
        let piece: Piece = serde_json::from_slice(&json).map_err(|error| {
            Error::damaged(format!(
                "{} is no list of a piece",
                store.display(&meta.location)
            ))
            .caused_by(error)
        })?;
        let is_inside = request.range.intersect(piece.range) == piece.range;
        if is_inside
            && piece.range.end_ms <= piece.as_of.timestamp_millis()
            && piece.log_stream_prefix.as_deref() == request.log_stream_prefix
        {
            pieces.push(piece);
        }
    }
    Ok(disjoint(pieces))
}

/// The pieces in order, without those that overlap an earlier one. A run that has lost its lease and not noticed yet
/// may leave pieces that overlap those of the next run.
fn disjoint(mut pieces: Vec<Piece>) -> Vec<Piece> {
    pieces.sort_by_key(|piece| (piece.range.start_ms, Reverse(piece.range.end_ms)));
    let mut end_ms = i64::MIN;
    pieces.retain(|piece| {
        let is_disjoint = piece.range.start_ms >= end_ms;
        if is_disjoint {
            end_ms = piece.range.end_ms;
        }
        is_disjoint
    });
    pieces
}

/// The parts of `range` that no piece covers, in order.
fn gaps(range: Range, pieces: &[Piece]) -> Vec<Range> {
    let mut gaps = vec![range];
    gaps.retain(|gap| !gap.is_empty());
    for piece in pieces {
        gaps = gaps
            .into_iter()
            .flat_map(|gap| gap.without(piece.range))
            .collect();
    }
    gaps
}

/// The length of the first piece in milliseconds, while the density of the events is unknown.
fn first_length(range: Range) -> i64 {
    (range.end_ms.saturating_sub(range.start_ms) / 24).max(SHORTEST_PIECE_MS)
}

/// The length of the next piece in milliseconds, after one of `length` that took `pages`.
fn next_length(length: i64, pages: u32) -> i64 {
    let shorter = length / 8;
    let longer = length.saturating_mul(4);
    length
        .saturating_mul(i64::from(PAGES_IN_A_PIECE))
        .checked_div(i64::from(pages.max(1)))
        .unwrap_or(length)
        .clamp(shorter, longer)
        .max(SHORTEST_PIECE_MS)
}

struct EventFetcher<'a> {
    service: &'a dyn EventService,
    store: &'a Store,
    clock: &'a dyn Clock,
    deadline: &'a Deadline<'a>,
    request: &'a EventsRequest<'a>,
    /// When the last request was sent.
    last_request: Mutex<Option<DateTime<Utc>>>,
    pages: u32,
    events: u64,
}

impl EventFetcher<'_> {
    /// Fetches and writes the events of a range, from its beginning where the token of a page went stale.
    async fn piece(&mut self, range: Range) -> Result<PieceOutcome> {
        for _ in 1..MOST_STARTS {
            match self.begin_piece(range).await? {
                PieceOutcome::Stale(error) => tracing::warn!(
                    log_group = self.request.log_group,
                    "the events from {} on are fetched anew: {error}",
                    utc(range.start_ms)
                ),
                ended => return Ok(ended),
            }
        }
        self.begin_piece(range).await
    }

    async fn begin_piece(&mut self, range: Range) -> Result<PieceOutcome> {
        let as_of = self.clock.now();
        let folder = layout::piece_folder(range.start_ms, fastrand::u32(..));
        let mut writer = PieceWriter::new(self.store, self.request.attempt, &folder);
        let mut page_request = PageRequest {
            log_group: self.request.log_group.to_owned(),
            log_stream_prefix: self.request.log_stream_prefix.map(str::to_owned),
            range,
            token: None,
        };
        let mut seen = SeenEvents::default();
        let mut events = 0;
        loop {
            if self
                .request
                .most_pages
                .is_some_and(|most| self.pages >= most)
            {
                return Ok(PieceOutcome::TooMany);
            }
            let page = match self.page(&page_request).await {
                Ok(page) => page,
                Err(NoPage::Refused(error)) => return Ok(PieceOutcome::Refused(error)),
                Err(NoPage::Stale(error)) => return Ok(PieceOutcome::Stale(error)),
                Err(NoPage::Failed(error)) => return Err(error),
            };
            if !page.events.is_empty()
                && page.next_token.is_some()
                && page.next_token == page_request.token
            {
                return Err(Error::new(
                    Class::Source,
                    format!(
                        "the events of {} can't be fetched: CloudWatch Logs answers one page over and over",
                        self.request.log_group
                    ),
                ));
            }
            for event in page.events {
                let is_requested = range.contains(event.timestamp_ms)
                    && self
                        .request
                        .log_stream_prefix
                        .is_none_or(|prefix| event.log_stream.starts_with(prefix));
                if is_requested && seen.is_new(&event) {
                    writer.add(&event)?;
                    events += 1;
                }
            }
            writer.shrink().await?;
            self.report(range, events);
            match page.next_token {
                Some(token) => page_request.token = Some(token),
                None => break,
            }
        }
        let piece = Piece {
            log_stream_prefix: page_request.log_stream_prefix,
            range,
            as_of,
            objects: writer.finish().await?,
            events,
        };
        self.events += events;
        let key = layout::piece(self.request.attempt, &folder);
        let json = serde_json::to_vec_pretty(&piece).map_err(|error| {
            let what = format!("can't write {}", self.store.display(&key));
            Error::new(Class::Unexpected, what).caused_by(error)
        })?;
        let body = Body::Bytes(Bytes::from(json));
        self.store
            .put_if(&key, body, "application/json", &Condition::Absent)
            .await?;
        Ok(PieceOutcome::Whole(piece))
    }

    /// One page, requested until it arrives or the deadline passes.
    async fn page(&mut self, request: &PageRequest) -> Result<EventPage, NoPage> {
        self.keep_pace().await;
        let from = utc(request.range.start_ms);
        let missing = format!("only those before {from} are here; another run goes on from there");
        self.deadline.check(&missing).map_err(NoPage::Failed)?;
        let page = self
            .deadline
            .retry(|| {
                *self.last_request() = Some(self.clock.now());
                self.service.events(request)
            })
            .await
            .map_err(|late| NoPage::Failed(late.during(&missing)))?
            .map_err(|error| match error.kind {
                ServiceErrorKind::Refused => NoPage::Refused(self.refused(&error)),
                ServiceErrorKind::Invalid if request.token.is_some() => {
                    NoPage::Stale(self.refused(&error))
                }
                _ => NoPage::Failed(self.refused(&error)),
            })?;
        self.pages += 1;
        Ok(page)
    }

    /// Waits until the next request may be sent.
    async fn keep_pace(&self) {
        let between = TimeDelta::from_std(BETWEEN_REQUESTS).unwrap_or_default();
        let last_request = *self.last_request();
        let wait = last_request.and_then(|at| (at + between - self.clock.now()).to_std().ok());
        if let Some(wait) = wait {
            self.clock.sleep(wait).await;
        }
    }

    fn last_request(&self) -> MutexGuard<'_, Option<DateTime<Utc>>> {
        self.last_request
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn report(&self, range: Range, events: u64) {
        self.deadline.report(&format!(
            "fetching events, {} so far, at {}",
            self.events + events,
            utc(range.start_ms)
        ));
    }

    fn refused(&self, error: &ServiceError) -> Error {
        let (group, message) = (self.request.log_group, &error.message);
        match error.kind {
            ServiceErrorKind::NotFound => {
                Error::usage(format!("the log group {group:?} does not exist: {message}"))
            }
            _ => Error::new(
                Class::Source,
                format!("CloudWatch refused the events of {group}: {message}"),
            ),
        }
    }
}

fn utc(ms: i64) -> String {
    let at = DateTime::from_timestamp_millis(ms).unwrap_or_default();
    at.format("%Y-%m-%d %H:%M UTC").to_string()
}

#[cfg(test)]
mod tests;
