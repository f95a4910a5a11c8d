//! Events of a log group through the Logs API, without an export task and its one slot, written in the export's own
//! layout.
//!
//! The time asked for is fetched in pieces, each page by page to its end. A piece writes below a folder of its own and
//! then lists what it wrote, so whoever comes after a crash fetches only the time that no whole piece has.

mod piece_writer;

use std::cmp::Reverse;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use object_store::path::Path;
use serde::{Deserialize, Serialize};

use self::piece_writer::PieceWriter;
use super::deadline::Patience;
use super::service::{EventPage, EventService, PageRequest, ServiceError, ServiceErrorKind};
use crate::clock::Clock;
use crate::error::{Class, Error, Result};
use crate::layout;
use crate::layout::cloudwatch::LogObject;
use crate::store::{Body, Condition, Store};
use crate::window::Range;

/// The least time between two requests. FilterLogEvents allows five to ten a second for the whole account and Region.
const BETWEEN_REQUESTS: Duration = Duration::from_millis(200);

/// The next piece is made as long as these many pages are likely to hold: a crash repeats less than a minute's requests.
const PAGES_IN_A_PIECE: u32 = 64;

/// Pieces are no shorter, however dense the events are.
const SHORTEST_PIECE_MS: i64 = 1000;

/// What to fetch, and where to write it.
#[derive(Debug, Clone)]
pub struct Wanted<'a> {
    /// The log group.
    pub log_group: &'a str,
    /// Only streams whose name begins so.
    pub log_stream_prefix: Option<&'a str>,
    /// The events' own times.
    pub range: Range,
    /// The attempt's prefix.
    pub attempt: &'a Path,
    /// Stop after so many pages.
    pub most_pages: Option<u32>,
}

/// What came of it.
#[derive(Debug, PartialEq)]
pub enum Fetched {
    /// All events are in these objects, in the order of their keys.
    All(Vec<LogObject>),
    /// There are more events than the pages that were allowed.
    TooMany,
}

/// Lists what a whole piece wrote.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Piece {
    /// The streams that were asked for.
    log_stream_prefix: Option<String>,
    /// The times that were asked for.
    range: Range,
    /// When it was asked for: later events may be missing.
    as_of: DateTime<Utc>,
    /// The keys of its objects, relative to the attempt.
    objects: Vec<String>,
    /// How many events they have.
    events: u64,
}

/// Makes sure that the wanted events are in objects below the attempt's prefix. What whole pieces of an earlier run have
/// is not asked for again.
///
/// Errors: `ExportLate` where the time is up, `Usage` where the log group does not exist, `Source` where the service
/// refuses.
pub async fn fetch(
    service: &dyn EventService,
    store: &Store,
    clock: &dyn Clock,
    patience: &Patience<'_>,
    wanted: &Wanted<'_>,
) -> Result<Fetched> {
    let mut pieces = whole_pieces(store, wanted).await?;
    let mut fetcher = Fetcher {
        service,
        store,
        clock,
        patience,
        wanted,
        asked_at: Mutex::default(),
        pages: 0,
        events: pieces.iter().map(|piece| piece.events).sum(),
    };
    for gap in gaps(wanted.range, &pieces) {
        let mut from = gap.start_ms;
        let mut length = first_length(wanted.range);
        while from < gap.end_ms {
            let range = Range {
                start_ms: from,
                end_ms: gap.end_ms.min(from.saturating_add(length)),
            };
            let pages = fetcher.pages;
            let Some(piece) = fetcher.piece(range).await? else {
                return Ok(Fetched::TooMany);
            };
            pieces.push(piece);
            length = next_length(length, fetcher.pages - pages);
            from = range.end_ms;
        }
    }
    let mut keys: Vec<Path> = pieces
        .iter()
        .flat_map(|piece| &piece.objects)
        .map(|key| layout::join(wanted.attempt, key))
        .collect();
    keys.sort();
    let listed = store
        .list_logs(wanted.attempt, Some(wanted.log_group))
        .await?;
    let objects: Vec<LogObject> = listed
        .into_iter()
        .filter(|object| keys.binary_search(&object.meta.location).is_ok())
        .collect();
    if objects.len() != keys.len() {
        return Err(Error::damaged(format!(
            "{} lacks {} of the {} objects that were written there",
            store.display(wanted.attempt),
            keys.len() - objects.len(),
            keys.len()
        )));
    }
    Ok(Fetched::All(objects))
}

/// The pieces that an earlier run wrote to their end, none of which has a time that another has. Those that were asked
/// for before their time was over are not whole: more events have come since.
async fn whole_pieces(store: &Store, wanted: &Wanted<'_>) -> Result<Vec<Piece>> {
    let mut pieces = Vec::new();
    for meta in store.list(wanted.attempt).await? {
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
        let is_inside = wanted.range.intersect(piece.range) == piece.range;
        if is_inside
            && piece.range.end_ms <= piece.as_of.timestamp_millis()
            && piece.log_stream_prefix.as_deref() == wanted.log_stream_prefix
        {
            pieces.push(piece);
        }
    }
    Ok(disjoint(pieces))
}

/// Pieces of which no two have a common time, in order. A run that was taken over from, and had not noticed yet, leaves
/// pieces that lie across those of the other.
fn disjoint(mut pieces: Vec<Piece>) -> Vec<Piece> {
    pieces.sort_by_key(|piece| (piece.range.start_ms, Reverse(piece.range.end_ms)));
    let mut end_ms = i64::MIN;
    pieces.retain(|piece| {
        let is_behind = piece.range.start_ms >= end_ms;
        if is_behind {
            end_ms = piece.range.end_ms;
        }
        is_behind
    });
    pieces
}

/// The parts of `range` that no piece has, in order.
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

/// How long the first piece is, in milliseconds: nothing is known of the events yet.
fn first_length(range: Range) -> i64 {
    (range.end_ms.saturating_sub(range.start_ms) / 24).max(SHORTEST_PIECE_MS)
}

/// How long the next piece is, in milliseconds, after one of `length` that took `pages`.
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

struct Fetcher<'a> {
    service: &'a dyn EventService,
    store: &'a Store,
    clock: &'a dyn Clock,
    patience: &'a Patience<'a>,
    wanted: &'a Wanted<'a>,
    /// When the last request was made.
    asked_at: Mutex<Option<DateTime<Utc>>>,
    pages: u32,
    events: u64,
}

impl Fetcher<'_> {
    /// Fetches and writes the events of a range; `None` where that takes more pages than are allowed.
    async fn piece(&mut self, range: Range) -> Result<Option<Piece>> {
        let as_of = self.clock.now();
        let folder = layout::piece_folder(range.start_ms, fastrand::u32(..));
        let mut writer = PieceWriter::new(self.store, self.wanted.attempt, &folder);
        let mut request = PageRequest {
            log_group: self.wanted.log_group.to_owned(),
            log_stream_prefix: self.wanted.log_stream_prefix.map(str::to_owned),
            range,
            token: None,
        };
        let mut events = 0;
        loop {
            if self
                .wanted
                .most_pages
                .is_some_and(|most| self.pages >= most)
            {
                return Ok(None);
            }
            let page = self.page(&request).await?;
            if !page.events.is_empty()
                && page.next_token.is_some()
                && page.next_token == request.token
            {
                return Err(Error::new(
                    Class::Source,
                    format!(
                        "the events of {} can't be fetched: CloudWatch Logs answers one page over and over",
                        self.wanted.log_group
                    ),
                ));
            }
            for event in page.events {
                let is_wanted = range.contains(event.timestamp_ms)
                    && self
                        .wanted
                        .log_stream_prefix
                        .is_none_or(|prefix| event.log_stream.starts_with(prefix));
                if is_wanted {
                    writer.add(&event)?;
                    events += 1;
                }
            }
            writer.shrink().await?;
            self.report(range, events);
            match page.next_token {
                Some(token) => request.token = Some(token),
                None => break,
            }
        }
        let piece = Piece {
            log_stream_prefix: request.log_stream_prefix,
            range,
            as_of,
            objects: writer.finish().await?,
            events,
        };
        self.events += events;
        let key = layout::piece(self.wanted.attempt, &folder);
        let json = serde_json::to_vec_pretty(&piece).map_err(|error| {
            let what = format!("can't write {}", self.store.display(&key));
            Error::new(Class::Unexpected, what).caused_by(error)
        })?;
        let body = Body::Bytes(Bytes::from(json));
        self.store
            .put_if(&key, body, "application/json", &Condition::Absent)
            .await?;
        Ok(Some(piece))
    }

    /// One page, asked for until it comes or the time is up.
    async fn page(&mut self, request: &PageRequest) -> Result<EventPage> {
        self.keep_pace().await;
        let from = utc(request.range.start_ms);
        let missing = format!("only those before {from} are here; another run goes on from there");
        self.patience.check(&missing)?;
        let page = self
            .patience
            .answer(|| {
                *self.asked_at() = Some(self.clock.now());
                self.service.events(request)
            })
            .await
            .map_err(|late| late.during(&missing))?
            .map_err(|error| self.refused(&error))?;
        self.pages += 1;
        Ok(page)
    }

    /// Waits until the next request may be made.
    async fn keep_pace(&self) {
        let between = TimeDelta::from_std(BETWEEN_REQUESTS).unwrap_or_default();
        let asked_at = *self.asked_at();
        let wait =
            asked_at.and_then(|asked_at| (asked_at + between - self.clock.now()).to_std().ok());
        if let Some(wait) = wait {
            self.clock.sleep(wait).await;
        }
    }

    fn asked_at(&self) -> MutexGuard<'_, Option<DateTime<Utc>>> {
        self.asked_at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn report(&self, range: Range, events: u64) {
        self.patience.tell(&format!(
            "fetching events, {} so far, at {}",
            self.events + events,
            utc(range.start_ms)
        ));
    }

    fn refused(&self, error: &ServiceError) -> Error {
        let (group, message) = (self.wanted.log_group, &error.message);
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
mod tests {
    use super::*;
    use crate::aws::{Account, Aws};
    use crate::clock::TestClock;
    use crate::export::service::LogEvent;
    use crate::job::{AwsSettings, Location};
    use crate::layout::StagingKeys;
    use crate::store::Stores;
    use async_trait::async_trait;
    use proptest::prelude::*;
    use std::collections::BTreeMap;
    use std::io::Read;
    use std::sync::Arc;

    const GROUP: &str = "/ecs/web";
    const HOUR: i64 = 3_600_000;

    /// A stateful fake of FilterLogEvents.
    struct FakeEvents {
        page_events: usize,
        state: Mutex<State>,
    }

    #[derive(Default)]
    struct State {
        /// The log group of each event.
        events: Vec<(String, LogEvent)>,
        requests: Vec<PageRequest>,
        /// Errors by the number of the request that they answer.
        errors: Vec<(usize, ServiceError)>,
    }

    impl FakeEvents {
        /// A service without events whose pages have at most so many.
        fn new(page_events: usize) -> Self {
            Self {
                page_events: page_events.max(1),
                state: Mutex::default(),
            }
        }

        /// Puts an event, in whatever order.
        fn put(&self, log_group: &str, log_stream: &str, timestamp_ms: i64, message: &str) {
            let event = LogEvent {
                timestamp_ms,
                log_stream: log_stream.to_owned(),
                message: message.to_owned(),
            };
            self.state().events.push((log_group.to_owned(), event));
        }

        /// Lets `count` requests fail, after the next `after` ones.
        fn fail(&self, after: usize, count: usize, kind: ServiceErrorKind, message: &str) {
            let mut state = self.state();
            let first = state.requests.len() + after;
            for number in first..first + count {
                let message = message.to_owned();
                state.errors.push((number, ServiceError { kind, message }));
            }
        }

        /// Every request so far.
        fn requests(&self) -> Vec<PageRequest> {
            self.state().requests.clone()
        }

        fn state(&self) -> MutexGuard<'_, State> {
            self.state.lock().unwrap_or_else(PoisonError::into_inner)
        }
    }

    #[async_trait]
    impl EventService for FakeEvents {
        async fn events(&self, request: &PageRequest) -> Result<EventPage, ServiceError> {
            let mut state = self.state();
            let number = state.requests.len();
            state.requests.push(request.clone());
            if let Some((_, error)) = state.errors.iter().find(|(at, _)| *at == number) {
                return Err(error.clone());
            }
            let prefix = request.log_stream_prefix.as_deref().unwrap_or_default();
            let mut events: Vec<LogEvent> = state
                .events
                .iter()
                .filter(|(group, event)| {
                    *group == request.log_group
                        && event.log_stream.starts_with(prefix)
                        // Both ends are included.
                        && (request.range.start_ms..=request.range.end_ms).contains(&event.timestamp_ms)
                })
                .map(|(_, event)| event.clone())
                .collect();
            events.sort_by_key(|event| event.timestamp_ms);
            // Every page comes twice: empty first, with a token all the same.
            let page: usize = match &request.token {
                None => 0,
                Some(token) => token.parse().map_err(|_| ServiceError {
                    kind: ServiceErrorKind::Invalid,
                    message: "The specified nextToken is invalid.".to_owned(),
                })?,
            };
            let from = (page / 2 * self.page_events).min(events.len());
            let to = (from + self.page_events).min(events.len());
            let is_empty = page.is_multiple_of(2);
            let is_last = !is_empty && to == events.len();
            Ok(EventPage {
                events: if is_empty {
                    Vec::new()
                } else {
                    events[from..to].to_vec()
                },
                next_token: (!is_last).then(|| (page + 1).to_string()),
            })
        }
    }

    /// A staging folder, a fake service and a clock that shows when the day was over.
    struct Room {
        _folder: tempfile::TempDir,
        store: Store,
        service: FakeEvents,
        clock: TestClock,
        attempt: Path,
        day: Range,
    }

    impl Room {
        async fn new(page_events: usize) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let stores = Stores::new(Arc::new(Aws::new(AwsSettings::default()))).unwrap();
            let location = Location::Local(folder.path().to_owned());
            let keys = StagingKeys::new(&location, "job").unwrap();
            let store = stores.open(&location, Account::Source).await.unwrap();
            let end: DateTime<Utc> = "2026-11-22T00:00:00Z".parse().unwrap();
            let end_ms = end.timestamp_millis();
            Self {
                attempt: keys.attempt("2026-11-21", GROUP, "1"),
                _folder: folder,
                store,
                service: FakeEvents::new(page_events),
                clock: TestClock::at(end),
                day: Range {
                    start_ms: end_ms - 24 * HOUR,
                    end_ms,
                },
            }
        }

        async fn fetch(&self, change: impl FnOnce(&mut Wanted<'_>)) -> Result<Fetched> {
            let give_up_after = Duration::from_secs(6 * 3600);
            let mut wanted = Wanted {
                log_group: GROUP,
                log_stream_prefix: None,
                range: self.day,
                attempt: &self.attempt,
                most_pages: None,
            };
            change(&mut wanted);
            let what = format!("the events of {GROUP}");
            let patience = Patience::new(&self.clock, what, give_up_after, &|_| ());
            fetch(&self.service, &self.store, &self.clock, &patience, &wanted).await
        }

        /// Has one whole piece written.
        async fn write_piece(&self, range: Range) {
            let patience = Patience::new(&self.clock, String::new(), Duration::MAX, &|_| ());
            let mut fetcher = Fetcher {
                service: &self.service,
                store: &self.store,
                clock: &self.clock,
                patience: &patience,
                wanted: &Wanted {
                    log_group: GROUP,
                    log_stream_prefix: None,
                    range: self.day,
                    attempt: &self.attempt,
                    most_pages: None,
                },
                asked_at: Mutex::default(),
                pages: 0,
                events: 0,
            };
            assert!(fetcher.piece(range).await.unwrap().is_some());
        }

        /// The text of each stream, its objects one after the other.
        async fn read(&self, fetched: Fetched) -> BTreeMap<String, String> {
            let Fetched::All(objects) = fetched else {
                panic!("too many")
            };
            let mut texts: BTreeMap<String, String> = BTreeMap::new();
            for object in objects {
                let gzip = self.store.get(&object.meta.location).await.unwrap();
                let gzip = gzip.unwrap();
                let text = texts.entry(object.log_stream).or_default();
                flate2::read::MultiGzDecoder::new(&gzip[..])
                    .read_to_string(text)
                    .unwrap();
            }
            texts
        }

        fn ranges_asked_for(&self) -> Vec<Range> {
            let mut ranges: Vec<Range> = self.service.requests().iter().map(|r| r.range).collect();
            ranges.dedup();
            ranges
        }
    }

    /// What an export of these events has for each stream.
    fn text_of(events: &[(&str, i64, &str)]) -> BTreeMap<String, String> {
        let mut events = events.to_vec();
        events.sort_by_key(|(_, time, _)| *time);
        let mut texts: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        for (stream, time, message) in events {
            let text = texts.entry(stream.replace('/', "-")).or_default();
            layout::cloudwatch::write_line(text, time, message).unwrap();
        }
        texts
            .into_iter()
            .map(|(stream, text)| (stream, String::from_utf8(text).unwrap()))
            .collect()
    }

    #[tokio::test]
    async fn events_come_in_the_exports_own_layout_and_only_those_of_the_time() {
        let room = Room::new(2).await;
        let (start, end) = (room.day.start_ms, room.day.end_ms);
        let events = [
            ("web/1", start, "first"),
            ("web-1", end - 1, "last: 한글 🦀\n"),
            ("web/1", start + HOUR, "two\n\tlines\n\n"),
            ("2026/11/21/[$LATEST]0", start + HOUR, "\n"),
            // At the edge between two pieces, out of order.
            ("web/1", start + 5 * HOUR, "later"),
            ("web/1", start + HOUR, "at the same time"),
        ];
        for (stream, time, message) in events {
            room.service.put(GROUP, stream, time, message);
        }
        room.service.put(GROUP, "web/1", start - 1, "before");
        room.service.put(GROUP, "web/1", end, "after");
        room.service
            .put("/other", "web/1", start, "another group's");
        let fetched = room.fetch(|_| ()).await.unwrap();
        if let Fetched::All(objects) = &fetched {
            for object in objects {
                let key = layout::relative(&room.attempt, &object.meta.location);
                let segments: Vec<&str> = key.split('/').collect();
                assert_eq!(segments.len(), 3, "{key}");
                assert!(layout::is_in_piece(&object.meta.location), "{key}");
                assert_eq!(segments[2], "000000.gz");
            }
        }
        assert_eq!(room.read(fetched).await, text_of(&events));
    }

    #[tokio::test]
    async fn what_whole_pieces_have_is_not_asked_for_again() {
        let room = Room::new(3).await;
        let mut events = Vec::new();
        for number in 0..100 {
            events.push((
                "web",
                room.day.start_ms + number * 24 * HOUR / 100,
                "tick\n",
            ));
        }
        for (stream, time, message) in &events {
            room.service.put(GROUP, stream, *time, message);
        }
        // The first piece comes; in the middle of the second the run is refused, as if it were killed.
        room.service.fail(8, 1, ServiceErrorKind::Refused, "killed");
        let error = room.fetch(|_| ()).await.unwrap_err();
        assert_eq!(error.class(), Class::Source);
        let before = room.ranges_asked_for();
        let fetched = room.fetch(|_| ()).await.unwrap();
        assert_eq!(room.read(fetched).await, text_of(&events));
        let after = room.ranges_asked_for();
        assert!(before.len() > 1 && after.len() > before.len());
        for range in &after[before.len()..] {
            assert!(range.start_ms >= before[0].end_ms, "{before:?} {after:?}");
        }
        // All is there: nothing is asked for.
        let requests = room.service.requests().len();
        let fetched = room.fetch(|_| ()).await.unwrap();
        assert_eq!(room.read(fetched).await, text_of(&events));
        assert_eq!(room.service.requests().len(), requests);
        // Other streams are another question.
        let fetched = room.fetch(|wanted| wanted.log_stream_prefix = Some("w"));
        assert_eq!(room.read(fetched.await.unwrap()).await, text_of(&events));
        assert!(room.service.requests().len() > requests);
    }

    #[tokio::test]
    async fn pieces_that_lie_across_each_other_count_no_event_twice() {
        let room = Room::new(50).await;
        let mut events = Vec::new();
        for number in 0..240 {
            events.push(("web", room.day.start_ms + number * HOUR / 10, "tick\n"));
        }
        for (stream, time, message) in &events {
            room.service.put(GROUP, stream, *time, message);
        }
        let hours = |(from, to): (i64, i64)| Range {
            start_ms: room.day.start_ms + from * HOUR,
            end_ms: room.day.start_ms + to * HOUR,
        };
        // Two runs at the same attempt: one was suspended, and taken over from.
        for of in [(0, 4), (0, 3), (2, 7), (3, 5), (6, 8), (10, 12), (9, 11)] {
            room.write_piece(hours(of)).await;
        }
        let requests = room.service.requests().len();
        let fetched = room.fetch(|_| ()).await.unwrap();
        assert_eq!(room.read(fetched).await, text_of(&events));
        // What is taken of them is not asked for again.
        let asked = room.service.requests().split_off(requests);
        for taken in [(0, 4), (6, 8), (9, 11)].map(hours) {
            let again = |request: &PageRequest| !request.range.intersect(taken).is_empty();
            assert!(!asked.iter().any(again), "{taken:?}");
        }
    }

    #[tokio::test]
    async fn a_piece_of_time_that_is_not_over_is_asked_for_again() {
        let room = Room::new(10).await;
        let hours = Range {
            start_ms: room.day.end_ms - HOUR,
            end_ms: room.day.end_ms + HOUR,
        };
        room.service.put(GROUP, "web", room.day.end_ms - 1, "now");
        room.fetch(|wanted| wanted.range = hours).await.unwrap();
        room.service
            .put(GROUP, "web", room.day.end_ms + HOUR - 1, "later");
        let fetched = room.fetch(|wanted| wanted.range = hours).await.unwrap();
        let expected = text_of(&[
            ("web", room.day.end_ms - 1, "now"),
            ("web", room.day.end_ms + HOUR - 1, "later"),
        ]);
        assert_eq!(room.read(fetched).await, expected);
    }

    #[tokio::test]
    async fn throttling_is_waited_out_until_the_time_is_up() {
        let room = Room::new(10).await;
        room.service.put(GROUP, "web", room.day.start_ms, "one");
        let throttled = "Rate exceeded (ThrottlingException)";
        room.service
            .fail(1, 30, ServiceErrorKind::Transient, throttled);
        let fetched = room.fetch(|_| ()).await.unwrap();
        let expected = text_of(&[("web", room.day.start_ms, "one")]);
        assert_eq!(room.read(fetched).await, expected);

        let room = Room::new(10).await;
        room.service
            .fail(6, 1_000_000, ServiceErrorKind::Transient, throttled);
        let began = room.clock.now();
        let error = room.fetch(|_| ()).await.unwrap_err();
        assert_eq!(error.class(), Class::ExportLate);
        let text = error.to_string();
        assert!(
            text.contains("6h") && text.contains(throttled) && text.contains(GROUP),
            "{text}"
        );
        let waited = (room.clock.now() - began).num_seconds();
        assert!((6 * 3600..6 * 3600 + 2).contains(&waited), "{waited}");
    }

    #[tokio::test]
    async fn no_more_pages_are_asked_for_than_allowed_nor_faster() {
        let room = Room::new(1).await;
        for number in 0..500 {
            room.service
                .put(GROUP, "web", room.day.start_ms + number, "tick");
        }
        let began = room.clock.now();
        let fetched = room.fetch(|wanted| wanted.most_pages = Some(50)).await;
        assert_eq!(fetched.unwrap(), Fetched::TooMany);
        assert_eq!(room.service.requests().len(), 50);
        let took = (room.clock.now() - began).to_std().unwrap();
        assert_eq!(took, BETWEEN_REQUESTS * 49);
    }

    #[tokio::test]
    async fn thousands_of_streams_and_much_text_stay_few_objects() {
        let room = Room::new(10_000).await;
        let message = "x".repeat(20_000);
        let mut events = Vec::new();
        let streams: Vec<String> = (0..300).map(|n| format!("stream-{n}")).collect();
        // 18 MB in one hour: more than is kept as text.
        for (number, stream) in streams.iter().cycle().take(900).enumerate() {
            let time = room.day.start_ms + i64::try_from(number).unwrap();
            room.service.put(GROUP, stream, time, &message);
            events.push((stream.as_str(), time, message.as_str()));
        }
        let Fetched::All(objects) = room.fetch(|_| ()).await.unwrap() else {
            panic!("too many")
        };
        assert_eq!(objects.len(), streams.len());
        let read = room.read(Fetched::All(objects)).await;
        assert!(read == text_of(&events));
    }

    #[test]
    fn pieces_grow_and_shrink_with_what_they_hold() {
        assert_eq!(next_length(HOUR, 1), 4 * HOUR);
        assert_eq!(next_length(HOUR, 64), HOUR);
        assert_eq!(next_length(HOUR, 128), HOUR / 2);
        assert_eq!(next_length(HOUR, 100_000), HOUR / 8);
        assert_eq!(next_length(SHORTEST_PIECE_MS, 1_000), SHORTEST_PIECE_MS);
        assert_eq!(next_length(i64::MAX, 1), i64::MAX);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]

        #[test]
        fn no_event_is_lost_or_doubled_whatever_fails(
            events in proptest::collection::vec((0..3u8, -HOUR..25 * HOUR, "[a-z\n한]{1,6}"), 0..60),
            page_events in 1..10usize,
            crashes in proptest::collection::vec(0..20usize, 0..4),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(async {
                let room = Room::new(page_events).await;
                let streams = ["a/b", "a-b", "c"];
                let events: Vec<(&str, i64, &str)> = events
                    .iter()
                    .map(|(stream, time, message)| {
                        (streams[usize::from(*stream)], room.day.start_ms + time, message.as_str())
                    })
                    .collect();
                for (stream, time, message) in &events {
                    room.service.put(GROUP, stream, *time, message);
                }
                for after in crashes {
                    room.service.fail(after, 1, ServiceErrorKind::Refused, "killed");
                    let _ = room.fetch(|_| ()).await;
                }
                let mut fetched = room.fetch(|_| ()).await;
                while fetched.is_err() {
                    fetched = room.fetch(|_| ()).await;
                }
                let of_day: Vec<_> = events.iter().copied().filter(|e| room.day.contains(e.1)).collect();
                assert_eq!(room.read(fetched.unwrap()).await, text_of(&of_day));
            });
        }
    }
}
