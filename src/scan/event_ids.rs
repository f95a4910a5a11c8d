//! The ids of events that a table has rows of, so that an event that was delivered twice is one row.
//!
//! CloudWatch Logs and Firehose deliver at least once, so the same event may be in several objects. Which of its copies
//! counts is decided once for a table: the copy that is read first. Every later scan of the table finds the same.
//!
//! Ids are kept exactly, by the time of their events in slices: copies of an event have one time, and events that are
//! read together are of about the same time. Where memory is short, the slices that were not used for the longest time
//! are written to a temporary file, and each is read again when an event of its time comes.

use std::collections::HashMap;
use std::fs::File;
use std::hash::{BuildHasherDefault, Hasher};
use std::io::{Read, Seek, SeekFrom, Write};
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::error::{DataFusionError, Result};
use datafusion::execution::DiskManager;
use datafusion::execution::memory_pool::{
    MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation,
};
use sha2::{Digest, Sha256};

use crate::error::{Class, Error};

/// The ids take at most this fraction of the engine's memory.
const PART_OF_MEMORY: usize = 8;

/// The length of a slice, 2^12 milliseconds.
const SLICE_BITS: u32 = 12;

/// The bytes of an entry in the file: an id and its owner.
const ENTRY: usize = 32;

/// The bytes of a bucket of a map: an entry, and a byte of control.
const BUCKET: usize = ENTRY + 1;

/// Parts of the file that are used no more, in bytes, above which it is written again.
const MOST_GARBAGE: u64 = 256 << 20;

/// Of the slices in memory, the part that is written to the file at once.
const SPILLED_AT_ONCE: usize = 4;

/// The bytes of a slice beside its ids, of which a growing map has twice as many as there are slices.
const SLICE: usize = 2 * size_of::<(i64, Slice)>();

/// The longest id of decimal digits that three numbers of 19 digits hold. CloudWatch's have 56.
const MOST_DIGITS: usize = 57;

/// The id of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventId([u64; 3]);

impl EventId {
    /// The id that a text is. Decimal digits are kept as the number that they are, any other text as its SHA-256.
    pub fn of(text: &[u8]) -> Self {
        let is_number =
            text.len() <= MOST_DIGITS && text.first().is_some_and(|first| *first != b'0');
        if is_number && let Some(number) = Self::of_digits(text) {
            return number;
        }
        let hash = Sha256::digest(text);
        let mut parts = [0; 3];
        for (part, bytes) in parts.iter_mut().zip(hash.chunks_exact(8)) {
            *part = bytes.try_into().map_or(0, u64::from_le_bytes);
        }
        // Nineteen digits are less than this.
        parts[2] |= 0b111 << 61;
        Self(parts)
    }

    /// The number in parts of 19 digits, the last first; `None` where it is none.
    fn of_digits(digits: &[u8]) -> Option<Self> {
        let mut parts = [0; 3];
        for (part, chunk) in parts.iter_mut().zip(digits.rchunks(19)) {
            for digit in chunk {
                match digit {
                    b'0'..=b'9' => *part = *part * 10 + u64::from(digit - b'0'),
                    _ => return None,
                }
            }
        }
        Some(Self(parts))
    }
}

impl std::hash::Hash for EventId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let [low, middle, high] = self.0;
        state.write_u64(low);
        state.write_u64(middle);
        state.write_u64(high);
    }
}

/// Mixes numbers by folded multiplication. Ids of AWS need no defence against chosen collisions.
#[derive(Debug, Default)]
struct Mix(u64);

impl Hasher for Mix {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    #[inline]
    fn write_u64(&mut self, value: u64) {
        let product = u128::from(self.0 ^ value ^ 0x9e37_79b9_7f4a_7c15)
            * u128::from(0xd6e8_feb8_6659_fd93_u64);
        self.0 = (product as u64) ^ ((product >> 64) as u64);
    }
}

type Owners = HashMap<EventId, u64, BuildHasherDefault<Mix>>;

/// An event of an object that may be a row.
#[derive(Debug, Clone, Copy)]
pub struct Candidate {
    /// Its id.
    pub id: EventId,
    /// Its time, milliseconds since 1970-01-01T00:00Z.
    pub timestamp_ms: i64,
    /// Which of the events of its object it is.
    pub place: u32,
}

/// The ids of a table's events, each with the copy of the event that counts.
pub struct EventIds {
    most: usize,
    pool: Arc<dyn MemoryPool>,
    state: Mutex<State>,
}

impl std::fmt::Debug for EventIds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EventIds")
    }
}

struct State {
    slices: HashMap<i64, Slice>,
    reservation: MemoryReservation,
    /// The bytes of the slices that are in memory.
    bytes: usize,
    /// Counts uses of slices.
    clock: u64,
    file: Option<Spilled>,
    most_garbage: u64,
}

#[derive(Default)]
struct Slice {
    owners: Owners,
    used: u64,
    /// Where it is in the file, and how many entries it has there.
    stored: Option<(u64, usize)>,
    is_in_memory: bool,
    /// Whether it has entries that the file lacks.
    is_changed: bool,
}

struct Spilled {
    /// Deleted when it is dropped.
    file: File,
    end: u64,
    garbage: u64,
}

impl EventIds {
    /// No ids, in memory of `pool`.
    pub fn new(pool: &Arc<dyn MemoryPool>) -> Self {
        let most = match pool.memory_limit() {
            MemoryLimit::Finite(limit) => limit / PART_OF_MEMORY,
            MemoryLimit::Infinite | MemoryLimit::Unknown => usize::MAX,
        };
        Self {
            most,
            pool: Arc::clone(pool),
            state: Mutex::new(State {
                slices: HashMap::new(),
                // Not as one that spills: those share what sorts and groups may have.
                reservation: MemoryConsumer::new("event ids").register(pool),
                bytes: 0,
                clock: 0,
                file: None,
                most_garbage: MOST_GARBAGE,
            }),
        }
    }

    /// No memory yet of the pool that has the ids, for something else.
    pub fn memory_of(&self, name: &str) -> MemoryReservation {
        MemoryConsumer::new(name).register(&self.pool)
    }

    /// Finds out which of an object's events are rows: for each, in turn, whether it is the copy that counts. `object` is
    /// the object's place in the table's list.
    ///
    /// # Errors
    /// `Output`: the temporary file; the engine's error where one slice does not fit the memory.
    pub fn claim(
        &self,
        disk: &DiskManager,
        object: u32,
        events: &[Candidate],
        counts: &mut Vec<bool>,
    ) -> Result<()> {
        counts.clear();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut rest = events;
        while let Some(first) = rest.first() {
            let number = first.timestamp_ms >> SLICE_BITS;
            let together = rest
                .iter()
                .take_while(|event| event.timestamp_ms >> SLICE_BITS == number)
                .count();
            let (events, others) = rest.split_at(together);
            let mut slice = state.slice(number, 0, self.most, disk)?;
            if slice.owners.capacity() - slice.owners.len() < together {
                // Those of an earlier scan need no room.
                let is_new = |event: &&Candidate| !slice.owners.contains_key(&event.id);
                let new = events.iter().filter(is_new).count();
                slice = state.slice(number, new, self.most, disk)?;
            }
            for event in events {
                let own = u64::from(object) << 32 | u64::from(event.place);
                let owner = slice.owners.entry(event.id).or_insert_with(|| {
                    slice.is_changed = true;
                    own
                });
                counts.push(*owner == own);
            }
            rest = others;
        }
        Ok(())
    }
}

impl State {
    /// A slice in memory, with room for `more` entries.
    fn slice(
        &mut self,
        number: i64,
        more: usize,
        most: usize,
        disk: &DiskManager,
    ) -> Result<&mut Slice> {
        self.clock += 1;
        let mut slice = match self.slices.remove(&number) {
            Some(slice) => slice,
            None => {
                self.reservation.try_grow(SLICE)?;
                Slice::default()
            }
        };
        let mut ready = self.prepare(&mut slice, more, most, disk);
        slice.used = self.clock;
        self.slices.insert(number, slice);
        if ready.is_ok() {
            // Where all slices are at hand.
            ready = self.collect_garbage(disk);
        }
        ready.map(|()| self.slices.entry(number).or_default())
    }

    /// Brings a slice into memory, with room for `more` entries. The slice is not among the others meanwhile.
    fn prepare(
        &mut self,
        slice: &mut Slice,
        more: usize,
        most: usize,
        disk: &DiskManager,
    ) -> Result<()> {
        let there = match (slice.is_in_memory, slice.stored) {
            (true, _) => slice.owners.len(),
            (false, Some((_, entries))) => entries,
            (false, None) => 0,
        };
        let has_room = slice.is_in_memory && there + more <= slice.owners.capacity();
        if has_room {
            return Ok(());
        }
        let before = bytes_of(slice.owners.capacity());
        // A map that grows is in memory twice for a moment, and grows by half at least.
        let wanted = (there + more).max(there + there / 2);
        let after = bytes_of(wanted);
        while !self.reserve(after, most) {
            if !self.spill_oldest(disk)? {
                // One slice is needed whatever it takes.
                self.reservation.grow(after);
                self.bytes += after;
                break;
            }
        }
        match slice.is_in_memory {
            true => slice.owners.reserve(wanted - there),
            false => {
                let mut owners =
                    Owners::with_capacity_and_hasher(wanted, BuildHasherDefault::default());
                if let (Some((at, entries)), Some(file)) = (slice.stored, &mut self.file)
                    && let Err(error) = file.read(at, entries, &mut owners)
                {
                    self.reservation.shrink(after);
                    self.bytes -= after;
                    return Err(file_error(error));
                }
                slice.owners = owners;
                slice.is_in_memory = true;
            }
        }
        let really = bytes_of(slice.owners.capacity());
        let reserved = before + after;
        match really.checked_sub(reserved) {
            Some(more) => {
                self.reservation.grow(more);
                self.bytes += more;
            }
            None => {
                self.reservation.shrink(reserved - really);
                self.bytes -= reserved - really;
            }
        }
        Ok(())
    }

    fn reserve(&mut self, bytes: usize, most: usize) -> bool {
        let fits = self.bytes + bytes <= most && self.reservation.try_grow(bytes).is_ok();
        self.bytes += if fits { bytes } else { 0 };
        fits
    }

    /// Writes a part of the slices to the file, those that were not used for the longest time. False where none is in memory.
    fn spill_oldest(&mut self, disk: &DiskManager) -> Result<bool> {
        let in_memory = self.slices.iter().filter(|(_, slice)| slice.is_in_memory);
        let mut oldest: Vec<(u64, i64)> = in_memory
            .map(|(number, slice)| (slice.used, *number))
            .collect();
        if oldest.is_empty() {
            return Ok(false);
        }
        let part = oldest.len().div_ceil(SPILLED_AT_ONCE);
        oldest.select_nth_unstable(part - 1);
        for (_, number) in &oldest[..part] {
            self.spill(*number, disk)?;
        }
        Ok(true)
    }

    fn spill(&mut self, number: i64, disk: &DiskManager) -> Result<()> {
        let Some(slice) = self.slices.get_mut(&number) else {
            return Ok(());
        };
        if slice.is_changed || slice.stored.is_none() {
            let file = match &mut self.file {
                Some(file) => file,
                none => none.insert(Spilled::new(disk)?),
            };
            let at = file.write(&slice.owners).map_err(file_error)?;
            if let Some((_, entries)) = slice.stored {
                file.garbage += (entries * ENTRY) as u64;
            }
            slice.stored = Some((at, slice.owners.len()));
            slice.is_changed = false;
        }
        let freed = bytes_of(slice.owners.capacity());
        slice.owners = Owners::default();
        slice.is_in_memory = false;
        self.reservation.shrink(freed);
        self.bytes -= freed;
        Ok(())
    }

    /// Writes the file again without what is used no more, if that is most of it. Where that fails, all is as it was.
    fn collect_garbage(&mut self, disk: &DiskManager) -> Result<()> {
        let Some(old) = &mut self.file else {
            return Ok(());
        };
        if old.garbage <= self.most_garbage || old.garbage < old.end / 2 {
            return Ok(());
        }
        let mut new = Spilled::new(disk)?;
        let mut moved = Vec::with_capacity(self.slices.len());
        for (number, slice) in &self.slices {
            if let Some((at, entries)) = slice.stored {
                let at = old.moved(at, entries, &mut new).map_err(file_error)?;
                moved.push((*number, (at, entries)));
            }
        }
        for (number, stored) in moved {
            if let Some(slice) = self.slices.get_mut(&number) {
                slice.stored = Some(stored);
            }
        }
        self.file = Some(new);
        Ok(())
    }
}

impl Spilled {
    fn new(disk: &DiskManager) -> Result<Self> {
        let folder = disk.temp_dir_paths().into_iter().next();
        let file = match folder {
            Some(folder) => tempfile::tempfile_in(folder),
            None => tempfile::tempfile(),
        };
        Ok(Self {
            file: file.map_err(file_error)?,
            end: 0,
            garbage: 0,
        })
    }

    fn write(&mut self, owners: &Owners) -> std::io::Result<u64> {
        let mut bytes = Vec::with_capacity(owners.len() * ENTRY);
        for (EventId(id), owner) in owners {
            for part in id.iter().chain([owner]) {
                bytes.extend_from_slice(&part.to_le_bytes());
            }
        }
        self.append(&bytes)
    }

    fn append(&mut self, bytes: &[u8]) -> std::io::Result<u64> {
        let at = self.end;
        self.file.seek(SeekFrom::Start(at))?;
        self.file.write_all(bytes)?;
        self.end += bytes.len() as u64;
        Ok(at)
    }

    fn bytes(&mut self, at: u64, entries: usize) -> std::io::Result<Vec<u8>> {
        let mut bytes = vec![0; entries * ENTRY];
        self.file.seek(SeekFrom::Start(at))?;
        self.file.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn read(&mut self, at: u64, entries: usize, owners: &mut Owners) -> std::io::Result<()> {
        for entry in self.bytes(at, entries)?.chunks_exact(ENTRY) {
            let mut parts = [0; ENTRY / 8];
            for (part, bytes) in parts.iter_mut().zip(entry.chunks_exact(8)) {
                *part = bytes.try_into().map_or(0, u64::from_le_bytes);
            }
            let [low, middle, high, owner] = parts;
            owners.insert(EventId([low, middle, high]), owner);
        }
        Ok(())
    }

    fn moved(&mut self, at: u64, entries: usize, to: &mut Self) -> std::io::Result<u64> {
        let bytes = self.bytes(at, entries)?;
        to.append(&bytes)
    }
}

/// The bytes of a map with room for this many entries: of eight buckets seven are used at the most, and their number is
/// a power of two.
fn bytes_of(capacity: usize) -> usize {
    match capacity {
        0 => 0,
        capacity => (capacity * 8).div_ceil(7).next_power_of_two() * BUCKET,
    }
}

fn file_error(error: std::io::Error) -> DataFusionError {
    Error::new(
        Class::Output,
        "can't use a temporary file for ids of events",
    )
    .caused_by(error)
    .into()
}

#[cfg(test)]
mod tests {
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

    fn claim(ids: &EventIds, object: u32, events: &[Candidate]) -> Vec<bool> {
        let disk = DiskManagerBuilder::default().build().unwrap();
        let mut counts = Vec::new();
        ids.claim(&disk, object, events, &mut counts).unwrap();
        counts
    }

    #[test]
    fn ids_are_the_same_only_where_their_texts_are() {
        let long = "9".repeat(57);
        let texts = [
            "31953106606966983378809025079804211143289615424298221568",
            "31953106606966983378809025079804211143289615424298221569",
            "41953106606966983378809025079804211143289615424298221568",
            "0",
            "00",
            "1",
            "01",
            "",
            "a",
            "b",
            "10000000000000000000",
            "1 ",
            &long,
            &"9".repeat(58),
        ];
        let ids: Vec<EventId> = texts
            .iter()
            .map(|text| EventId::of(text.as_bytes()))
            .collect();
        for (one, first) in ids.iter().zip(texts) {
            for (other, second) in ids.iter().zip(texts) {
                assert_eq!(one == other, first == second, "{first:?} and {second:?}");
            }
        }
    }

    #[test]
    fn the_copy_that_was_read_first_counts_in_every_scan() {
        let pool: Arc<dyn MemoryPool> = Arc::new(UnboundedMemoryPool::default());
        let ids = EventIds::new(&pool);
        let first = [candidate(1, 5, 0), candidate(2, 5, 1), candidate(1, 5, 2)];
        let second = [candidate(2, 5, 0), candidate(3, 9000, 1)];
        for _ in 0..2 {
            assert_eq!(claim(&ids, 0, &first), [true, true, false]);
            assert_eq!(claim(&ids, 1, &second), [false, true]);
        }
        drop(ids);
        assert_eq!(pool.reserved(), 0);
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
                    ids.state.lock().unwrap().most_garbage = 0;
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
        assert!(ids.state.lock().unwrap().file.is_some());
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
        ids.state.lock().unwrap().most_garbage = 0;
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
}
