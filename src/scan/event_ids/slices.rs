//! Ids that are looked up one by one, by the time of their events in slices: copies of an event have one time, and events that are
//! read together are of about the same time. Where memory is short, the slices that were not used for the longest time
//! are written to a temporary file, and each is read again when an event of its time comes.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use datafusion::error::Result;
use datafusion::execution::DiskManager;

use super::Candidate;
use super::file::{ENTRY, SpillFile};
use super::id::Stream;
use super::memory::Memory;
use super::owners::{Entry, Owners, fold};

/// The length of a slice, 2^14 milliseconds.
pub(super) const SLICE_BITS: u32 = 14;

/// Parts of the file that are used no more, in bytes, above which it is written again.
const MOST_GARBAGE: u64 = 256 << 20;

/// Of the slices in memory, the part that is written to the file at once.
const SPILLED_AT_ONCE: usize = 4;

/// The bytes of a slice beside its ids, of which a growing list has twice as many as there are slices.
const SLICE: usize = 2 * (size_of::<Slice>() + size_of::<(i64, u32)>());

/// The slices of a table's events.
#[derive(Default)]
pub(super) struct Slices {
    slices: Vec<Slice>,
    /// Where the slice of a time is among them.
    by_time: HashMap<i64, u32, BuildHasherDefault<TimeHasher>>,
    /// Counts uses of slices.
    clock: u64,
    file: Option<SpillFile>,
    /// The bytes in the file that are used no more.
    garbage: u64,
    /// How many there may be.
    pub(super) most_garbage: Option<u64>,
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

/// Hashes the number of a slice, which is looked up for each few events.
#[derive(Default)]
struct TimeHasher(u64);

impl Hasher for TimeHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = fold(self.0 ^ u64::from(*byte));
        }
    }

    #[inline]
    fn write_i64(&mut self, number: i64) {
        self.0 = fold(self.0 ^ number.cast_unsigned());
    }
}

impl Slices {
    /// Finds out for each event of an object, in turn, whether it is the copy that counts: the one that is looked up first.
    pub(super) fn claim(
        &mut self,
        (memory, disk): (&mut Memory, &DiskManager),
        (object, stream): (u32, &Stream),
        events: &[Candidate],
        counts: &mut Vec<bool>,
    ) -> Result<()> {
        let slice_of = |event: &Candidate| event.timestamp_ms >> SLICE_BITS;
        for together in events.chunk_by(|one, next| slice_of(one) == slice_of(next)) {
            let number = slice_of(&together[0]);
            let mut slice = self.slice(number, 0, memory, disk)?;
            if slice.owners.room() < together.len() {
                // Those of an earlier scan need no room.
                let is_new = |event: &&Candidate| !slice.owners.has(event.id.in_stream(stream));
                let new = together.iter().filter(is_new).count();
                slice = self.slice(number, new, memory, disk)?;
            }
            let before = slice.owners.len();
            for event in together {
                let own = u64::from(object) << 32 | u64::from(event.place);
                counts.push(slice.owners.owner(event.id.in_stream(stream), own) == own);
            }
            slice.is_changed |= slice.owners.len() > before;
        }
        Ok(())
    }

    /// A slice in memory, with room for `more` entries.
    fn slice(
        &mut self,
        number: i64,
        more: usize,
        memory: &mut Memory,
        disk: &DiskManager,
    ) -> Result<&mut Slice> {
        self.clock += 1;
        let at = match self.by_time.get(&number) {
            Some(at) => *at as usize,
            None => {
                memory.try_take(SLICE)?;
                self.by_time.insert(number, self.slices.len() as u32);
                self.slices.push(Slice::default());
                self.slices.len() - 1
            }
        };
        if !self.slices[at].is_in_memory || self.slices[at].owners.room() < more {
            // It is not among the others meanwhile, so that it is not written to the file.
            let mut slice = std::mem::take(&mut self.slices[at]);
            let ready = self.prepare(&mut slice, more, memory, disk);
            self.slices[at] = slice;
            ready?;
            // Where all slices are at hand.
            self.collect_garbage(disk)?;
        }
        let slice = &mut self.slices[at];
        slice.used = self.clock;
        Ok(slice)
    }

    /// Brings a slice into memory, with room for `more` entries.
    fn prepare(
        &mut self,
        slice: &mut Slice,
        more: usize,
        memory: &mut Memory,
        disk: &DiskManager,
    ) -> Result<()> {
        let there = match (slice.is_in_memory, slice.stored) {
            (true, _) => slice.owners.len(),
            (false, Some((_, entries))) => entries,
            (false, None) => 0,
        };
        // A table that grows is in memory twice for a moment, and grows by half at least.
        let wanted = (there + more).max(there + there / 2);
        let bytes = Owners::bytes_for(wanted);
        while !memory.reserve(bytes) {
            match self.spill(disk)? {
                Some(freed) => memory.free(freed),
                None => {
                    // One slice is needed whatever it takes.
                    memory.take(bytes);
                    break;
                }
            }
        }
        let mut owners = slice.owners.with_room_for(wanted);
        if let (false, Some((at, entries)), Some(file)) =
            (slice.is_in_memory, slice.stored, &mut self.file)
        {
            let read = file.read(at, entries);
            for (id, owner) in read.inspect_err(|_| memory.free(bytes))? {
                owners.owner(id, owner);
            }
        }
        memory.free(slice.owners.bytes());
        slice.owners = owners;
        slice.is_in_memory = true;
        Ok(())
    }

    /// Writes a part of the slices to the file, those that were not used for the longest time; their bytes. `None`
    /// where none is in memory.
    pub(super) fn spill(&mut self, disk: &DiskManager) -> Result<Option<usize>> {
        let slices = self.slices.iter().enumerate();
        let in_memory = slices.filter(|(_, slice)| slice.owners.bytes() > 0);
        let mut oldest: Vec<(u64, usize)> = in_memory.map(|(at, slice)| (slice.used, at)).collect();
        if oldest.is_empty() {
            return Ok(None);
        }
        let part = oldest.len().div_ceil(SPILLED_AT_ONCE);
        oldest.select_nth_unstable(part - 1);
        let mut freed = 0;
        for (_, at) in &oldest[..part] {
            freed += self.spill_slice(*at, disk)?;
        }
        Ok(Some(freed))
    }

    fn spill_slice(&mut self, at: usize, disk: &DiskManager) -> Result<usize> {
        let slice = &mut self.slices[at];
        if slice.is_changed || slice.stored.is_none() {
            let file = match &mut self.file {
                Some(file) => file,
                none => none.insert(SpillFile::new(disk)?),
            };
            let entries = slice.owners.iter().map(|Entry { id, owner }| (id, owner));
            let place = file.write(entries)?;
            if let Some((_, entries)) = slice.stored {
                self.garbage += (entries * ENTRY) as u64;
            }
            slice.stored = Some((place, slice.owners.len()));
            slice.is_changed = false;
        }
        let freed = slice.owners.bytes();
        slice.owners = Owners::default();
        slice.is_in_memory = false;
        Ok(freed)
    }

    /// Writes the file again without what is used no more, if that is most of it. Where that fails, all is as it was.
    fn collect_garbage(&mut self, disk: &DiskManager) -> Result<()> {
        let Some(old) = &mut self.file else {
            return Ok(());
        };
        let most = self.most_garbage.unwrap_or(MOST_GARBAGE);
        if self.garbage <= most || self.garbage < old.end / 2 {
            return Ok(());
        }
        let mut new = SpillFile::new(disk)?;
        let mut moved = Vec::with_capacity(self.slices.len());
        for (number, slice) in self.slices.iter().enumerate() {
            if let Some((at, entries)) = slice.stored {
                let at = old.move_to(at, entries, &mut new)?;
                moved.push((number, (at, entries)));
            }
        }
        for (number, stored) in moved {
            self.slices[number].stored = Some(stored);
        }
        self.file = Some(new);
        self.garbage = 0;
        Ok(())
    }

    /// Whether some were written to the file.
    #[cfg(test)]
    pub(super) fn have_file(&self) -> bool {
        self.file.is_some()
    }
}
