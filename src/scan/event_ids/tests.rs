//! Events in one object and in several, in memory and beyond it.

use super::slices::SLICE_BITS;
use super::*;
use datafusion::execution::disk_manager::DiskManagerBuilder;
use datafusion::execution::memory_pool::{GreedyMemoryPool, UnboundedMemoryPool};
use proptest::prelude::*;
use std::collections::HashSet;

fn candidate(id: u64, timestamp_ms: i64, place: u32) -> Candidate {
    let id = format!("31953106606966983378809025079804211143289615{id:012}");
    Candidate {
        id: EventId::of(id.as_bytes()),
        timestamp_ms,
        place,
    }
}

fn stream(name: &str) -> Stream {
    Stream::of([None, Some("/a"), Some(name)])
}

fn claim(ids: &EventIds, object: u32, events: &[Candidate]) -> Vec<bool> {
    claim_of(ids, object, &stream("1"), events)
}

fn claim_of(ids: &EventIds, object: u32, stream: &Stream, events: &[Candidate]) -> Vec<bool> {
    let disk = DiskManagerBuilder::default().build().unwrap();
    let mut counts = Vec::new();
    ids.claim(&disk, (object, stream), events, &mut counts)
        .unwrap();
    counts
}

#[test]
fn the_copy_that_was_read_first_counts_in_every_scan() {
    let pool: Arc<dyn MemoryPool> = Arc::new(UnboundedMemoryPool::default());
    let ids = EventIds::new(&pool);
    let first = [candidate(1, 5, 0), candidate(2, 5, 1), candidate(1, 5, 2)];
    let second = [candidate(2, 5, 0), candidate(3, 40_000, 1)];
    for _ in 0..2 {
        assert_eq!(claim(&ids, 0, &first), [true, true, false]);
        assert_eq!(claim(&ids, 1, &second), [false, true]);
    }
    drop(ids);
    assert_eq!(pool.reserved(), 0);
}

#[test]
fn a_record_that_came_again_is_no_row_and_none_of_another_stream_is_touched() {
    let pool: Arc<dyn MemoryPool> = Arc::new(UnboundedMemoryPool::default());
    let ids = EventIds::new(&pool);
    let record = |first: u64, place: u32| -> Vec<Candidate> {
        (0..100)
            .map(|at| candidate(first + u64::from(at), 5, place + at))
            .collect()
    };
    let (one, other) = (stream("1"), stream("2"));
    for _ in 0..2 {
        assert!(
            claim_of(&ids, 0, &one, &record(1000, 0))
                .iter()
                .all(|counts| *counts)
        );
        assert!(
            claim_of(&ids, 0, &one, &record(3000, 100))
                .iter()
                .all(|counts| *counts)
        );
        assert!(
            claim_of(&ids, 0, &other, &record(1000, 200))
                .iter()
                .all(|counts| *counts)
        );
        // Between two others.
        assert!(
            claim_of(&ids, 1, &one, &record(2000, 0))
                .iter()
                .all(|counts| *counts)
        );
        let again = claim_of(&ids, 1, &one, &record(1000, 100));
        assert!(!again.iter().any(|counts| *counts));
        let half = claim_of(&ids, 2, &one, &record(2950, 0));
        assert_eq!(half.iter().filter(|counts| **counts).count(), 50);
        assert!(half[..50].iter().all(|counts| *counts));
    }
    drop(ids);
    assert_eq!(pool.reserved(), 0);
}

#[test]
fn runs_that_do_not_fit_go_to_the_file_and_come_back() {
    let pool: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(256 << 20));
    let ids = EventIds::new(&pool);
    let record = |number: u64| -> Vec<Candidate> {
        let event = |at: u32| candidate(number * 20_000 + u64::from(at), number as i64 * 1000, at);
        (0..10_000).map(event).collect()
    };
    // 2,000,000 ids of 32 bytes in a sixteenth of 256 MiB.
    for number in 0..200 {
        assert!(
            claim(&ids, number as u32, &record(number))
                .iter()
                .all(|counts| *counts)
        );
    }
    assert!(ids.state.lock().unwrap().runs.as_ref().unwrap().have_file());
    for number in [0, 50, 199] {
        assert!(
            claim(&ids, number as u32, &record(number))
                .iter()
                .all(|counts| *counts)
        );
        assert!(
            !claim(&ids, 1000, &record(number))
                .iter()
                .any(|counts| *counts)
        );
        assert!(
            claim(&ids, number as u32, &record(number))
                .iter()
                .all(|counts| *counts)
        );
    }
    assert!(pool.reserved() <= 32 << 20);
}

/// Records of two streams with ids in their order, or in any: the numbers of their events, and the steps between their ids.
fn any_records() -> impl Strategy<Value = Vec<(bool, u64, Vec<u64>, bool)>> {
    let record = (
        any::<bool>(),
        0_u64..2000,
        proptest::collection::vec(1_u64..20, 0..60),
        proptest::bool::weighted(0.8),
    );
    proptest::collection::vec(record, 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn each_event_of_any_records_counts_once(records in any_records(), again in 0_usize..40, has_little in any::<bool>()) {
        let pool: Arc<dyn MemoryPool> = match has_little {
            // Too little for runs, or for slices.
            true => Arc::new(GreedyMemoryPool::new(600 << 10)),
            false => Arc::new(UnboundedMemoryPool::default()),
        };
        let ids = EventIds::new(&pool);
        let mut records: Vec<(Stream, Vec<Candidate>)> = records.iter().map(|(stream_of, first, steps, is_in_order)| {
            let mut numbers: Vec<u64> = steps.iter().scan(*first, |id, step| {
                *id += step;
                Some(*id)
            }).collect();
            if !is_in_order {
                numbers.reverse();
            }
            let events = numbers.into_iter().zip(0..);
            let events = events.map(|(id, place)| candidate(id, id as i64 * 3000, place)).collect();
            (stream(if *stream_of { "1" } else { "2" }), events)
        }).collect();
        // Firehose delivers a record once more.
        records.push(records[again % records.len()].clone());
        let mut seen = HashSet::new();
        let expected: Vec<Vec<bool>> = records.iter().map(|(stream, events)| {
            events.iter().map(|event| seen.insert((*stream, event.id.0))).collect()
        }).collect();
        for _ in 0..2 {
            for ((number, (stream, events)), expected) in (0..).zip(&records).zip(&expected) {
                prop_assert_eq!(&claim_of(&ids, number, stream, events), expected);
            }
        }
        drop(ids);
        prop_assert_eq!(pool.reserved(), 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn in_little_memory_every_event_still_counts_once(
        objects in proptest::collection::vec(
            proptest::collection::vec((0_u64..300, 0_i64..8), 0..200), 1..8),
    ) {
        let limit = 512 << 10;
        let pool: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(limit));
        let ids = EventIds::new(&pool);
        let mut seen = HashSet::new();
        let objects: Vec<Vec<Candidate>> = objects.iter().map(|events| {
            // An event has one time.
            events.iter().enumerate().map(|(place, (id, slice))| {
                candidate(*id * 8 + slice.unsigned_abs(), *slice << SLICE_BITS, place as u32)
            }).collect()
        }).collect();
        let mut expected = Vec::new();
        for events in &objects {
            expected.push(events.iter().map(|event| seen.insert(event.id.0)).collect::<Vec<_>>());
        }
        for _ in 0..2 {
            for ((number, events), expected) in (0..).zip(&objects).zip(&expected) {
                prop_assert_eq!(&claim(&ids, number, events), expected);
                prop_assert!(pool.reserved() <= limit);
                ids.state.lock().unwrap().slices.most_garbage = Some(0);
            }
        }
    }
}

#[test]
fn ids_that_do_not_fit_go_to_the_file_and_come_back() {
    let pool: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(2 << 20));
    let ids = EventIds::new(&pool);
    let of_slice = |slice: i64| -> Vec<Candidate> {
        let ids = 0..1000_u32;
        let event = |place: u32| {
            candidate(
                slice.unsigned_abs() * 1000 + u64::from(place),
                slice << SLICE_BITS,
                place,
            )
        };
        ids.map(event).collect()
    };
    // 100,000 entries of 32 bytes in an eighth of 2 MiB.
    for slice in 0..100 {
        assert!(
            claim(&ids, 0, &of_slice(slice))
                .iter()
                .all(|counts| *counts)
        );
    }
    assert!(ids.state.lock().unwrap().slices.have_file());
    for slice in (0..100).rev() {
        assert!(
            claim(&ids, 0, &of_slice(slice))
                .iter()
                .all(|counts| *counts)
        );
        assert!(
            !claim(&ids, 1, &of_slice(slice))
                .iter()
                .any(|counts| *counts)
        );
    }
    assert!(pool.reserved() <= 2 << 20);
}

#[test]
fn a_second_scan_takes_no_more_memory() {
    let pool: Arc<dyn MemoryPool> = Arc::new(UnboundedMemoryPool::default());
    let ids = EventIds::new(&pool);
    let events: Vec<Candidate> = (0..1000)
        .map(|place| candidate(u64::from(place), 5, place))
        .collect();
    let first = claim(&ids, 0, &events);
    let reserved = pool.reserved();
    assert_eq!(claim(&ids, 0, &events), first);
    assert_eq!(pool.reserved(), reserved);
}

#[test]
fn threads_share_the_ids() {
    let pool: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(1 << 20));
    let ids = EventIds::new(&pool);
    ids.state.lock().unwrap().slices.most_garbage = Some(0);
    // Two objects have the same events, each 20,000 in 20 slices.
    let events = |slice: i64| -> Vec<Candidate> {
        let event = |place: u32| candidate(u64::from(place), slice << SLICE_BITS, place);
        (0..1000)
            .map(event)
            .map(|event| Candidate {
                id: EventId::of(format!("{slice}-{}", event.place).as_bytes()),
                ..event
            })
            .collect()
    };
    let counts = |object: u32| -> usize {
        (0..20)
            .map(|slice| {
                claim(&ids, object, &events(slice))
                    .into_iter()
                    .filter(|own| *own)
                    .count()
            })
            .sum()
    };
    let (first, second) = std::thread::scope(|scope| {
        let first = scope.spawn(|| counts(0));
        let second = scope.spawn(|| counts(1));
        (first.join().unwrap(), second.join().unwrap())
    });
    assert_eq!(first + second, 20_000);
    assert_eq!((counts(0), counts(1)), (first, second));
}
