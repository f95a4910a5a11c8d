use super::*;
use crate::aws::{Account, Aws};
use crate::clock::TestClock;
use crate::export::deadline::Patience;
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
    /// How many events of the page before each page repeats.
    overlap: usize,
    state: Mutex<FakeState>,
}

#[derive(Default)]
struct FakeState {
    /// The log group of each event.
    events: Vec<(String, LogEvent)>,
    requests: Vec<PageRequest>,
    /// Errors by the number of the request that they answer.
    errors: Vec<(usize, ServiceError)>,
}

impl FakeEvents {
    /// A service without events whose pages have at most this number of events.
    fn new(page_events: usize) -> Self {
        Self {
            page_events: page_events.max(1),
            overlap: 0,
            state: Mutex::default(),
        }
    }

    /// Puts an event, in whatever order.
    fn put(&self, log_group: &str, log_stream: &str, timestamp_ms: i64, message: &str) {
        let event = LogEvent {
            id: self.state().events.len().to_string(),
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

    fn state(&self) -> MutexGuard<'_, FakeState> {
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
                events[from.saturating_sub(self.overlap)..to].to_vec()
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
        let store = stores.open(&location, Account::LOGS).await.unwrap();
        let end: DateTime<Utc> = "2026-11-22T00:00:00Z".parse().unwrap();
        let end_ms = end.timestamp_millis();
        Self {
            attempt: StagingKeys::new(store.location(), "job").unwrap().attempt(
                "2026-11-21",
                GROUP,
                "1",
            ),
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

    async fn fetch(&self, change: impl FnOnce(&mut EventsRequest<'_>)) -> Result<FetchOutcome> {
        let give_up_after = Duration::from_secs(6 * 3600);
        let mut request = EventsRequest {
            log_group: GROUP,
            log_stream_prefix: None,
            range: self.day,
            attempt: &self.attempt,
            most_pages: None,
        };
        change(&mut request);
        let what = format!("the events of {GROUP}");
        let patience = Patience::new(give_up_after);
        let deadline = Deadline::new(&self.clock, what, &patience, &|_| ());
        fetch(&self.service, &self.store, &self.clock, &deadline, &request).await
    }

    /// Has one whole piece written.
    async fn write_piece(&self, range: Range) {
        let patience = Patience::new(Duration::MAX);
        let deadline = Deadline::new(&self.clock, String::new(), &patience, &|_| ());
        let mut fetcher = EventFetcher {
            service: &self.service,
            store: &self.store,
            clock: &self.clock,
            deadline: &deadline,
            request: &EventsRequest {
                log_group: GROUP,
                log_stream_prefix: None,
                range: self.day,
                attempt: &self.attempt,
                most_pages: None,
            },
            last_request: Mutex::default(),
            pages: 0,
            events: 0,
        };
        let piece = fetcher.piece(range, None).await.unwrap();
        assert!(matches!(piece, PieceOutcome::Whole(_)));
    }

    /// The text of each stream, its objects one after the other.
    async fn read(&self, fetched: FetchOutcome) -> BTreeMap<String, String> {
        let FetchOutcome::All(objects) = fetched else {
            panic!("too many")
        };
        let mut texts: BTreeMap<String, String> = BTreeMap::new();
        for object in objects {
            let gzip = self.store.get(&object.key()).await.unwrap();
            let gzip = gzip.unwrap();
            let text = texts.entry(object.log_stream()).or_default();
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
    if let FetchOutcome::All(objects) = &fetched {
        for object in objects {
            let key = layout::relative(&room.attempt, &object.key());
            let segments: Vec<&str> = key.split('/').collect();
            assert_eq!(segments.len(), 3, "{key}");
            assert!(layout::is_in_piece(&object.key()), "{key}");
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
    // The whole day was tried first.
    assert_eq!(before[0], room.day);
    assert!(before.len() > 2 && after.len() > before.len());
    for range in &after[before.len()..] {
        assert!(range.start_ms >= before[1].end_ms, "{before:?} {after:?}");
    }
    // All is there: nothing is asked for.
    let requests = room.service.requests().len();
    let fetched = room.fetch(|_| ()).await.unwrap();
    assert_eq!(room.read(fetched).await, text_of(&events));
    assert_eq!(room.service.requests().len(), requests);
    // Other streams are another question.
    let fetched = room.fetch(|request| request.log_stream_prefix = Some("w"));
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
    room.fetch(|request| request.range = hours).await.unwrap();
    room.service
        .put(GROUP, "web", room.day.end_ms + HOUR - 1, "later");
    let fetched = room.fetch(|request| request.range = hours).await.unwrap();
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
        .fail(1, 1_000_000, ServiceErrorKind::Transient, throttled);
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
    let fetched = room.fetch(|request| request.most_pages = Some(50)).await;
    assert!(matches!(fetched.unwrap(), FetchOutcome::TooMany));
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
    let FetchOutcome::All(objects) = room.fetch(|_| ()).await.unwrap() else {
        panic!("too many")
    };
    assert_eq!(objects.len(), streams.len());
    let read = room.read(FetchOutcome::All(objects)).await;
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

#[tokio::test]
async fn pages_that_overlap_count_no_event_twice() {
    let mut room = Room::new(10).await;
    room.service.overlap = 3;
    // Alike but for their ids: each of them counts.
    let mut expected = String::new();
    for number in 0..500 {
        let at = room.day.start_ms + number / 2 * 1000;
        room.service.put(GROUP, "web", at, "the same");
        let at = DateTime::from_timestamp_millis(at).unwrap();
        expected += &format!("{} the same\n", at.format("%Y-%m-%dT%H:%M:%S%.3fZ"));
    }
    let fetched = room.fetch(|_| ()).await.unwrap();
    assert_eq!(room.read(fetched).await["web"], expected);
}

#[tokio::test]
async fn a_token_that_went_stale_begins_its_piece_anew() {
    let room = Room::new(10).await;
    let mut events = Vec::new();
    for number in 0..500 {
        let at = room.day.start_ms + number * 1000;
        room.service.put(GROUP, "web", at, &number.to_string());
        events.push(number.to_string());
    }
    let stale = "The specified nextToken is invalid.";
    room.service.fail(7, 1, ServiceErrorKind::Invalid, stale);
    let fetched = room.fetch(|_| ()).await.unwrap();
    let text = room.read(fetched).await.remove("web").unwrap();
    let messages: Vec<&str> = text.lines().map(|line| &line[25..]).collect();
    assert_eq!(messages, events);

    // Where it never gets further, the service's words end it.
    let room = Room::new(10).await;
    room.service.put(GROUP, "web", room.day.start_ms, "hello");
    room.service.fail(1, 1, ServiceErrorKind::Invalid, stale);
    room.service.fail(3, 1, ServiceErrorKind::Invalid, stale);
    room.service.fail(5, 1, ServiceErrorKind::Invalid, stale);
    let error = room.fetch(|_| ()).await.unwrap_err();
    assert_eq!(error.class(), Class::Source);
    assert!(error.to_string().contains(stale), "{error}");
    assert_eq!(room.service.requests().len(), 6);
}
