//! Ids of events, each with its owner, in one block of memory. Pure.
//!
//! There are as many ids as events, and each is looked up once, mostly in memory that is in no cache. So an entry is found
//! with one access: ids and owners stand beside one another, and an empty place shows it by its owner.

use super::id::EventId;

/// Mixes the parts of an id by folded multiplication. Ids of AWS need no defence against chosen collisions.
#[inline]
fn hash(id: EventId) -> u64 {
    id.0.iter().fold(0, |hash, part| fold(hash ^ part))
}

/// Both halves of a product as one.
#[inline]
pub(super) fn fold(value: u64) -> u64 {
    let value = u128::from(value ^ 0x9e37_79b9_7f4a_7c15);
    let product = value * u128::from(0xd6e8_feb8_6659_fd93_u64);
    (product as u64) ^ ((product >> 64) as u64)
}

/// An id and its owner.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) id: EventId,
    pub(super) owner: u64,
}

/// The owner of an empty place: no list of objects is as long.
const NONE: u64 = u64::MAX;

const EMPTY: Entry = Entry {
    id: EventId([0; 3]),
    owner: NONE,
};

/// The fewest places of a table.
const FEWEST: usize = 16;

/// A table of ids in which an entry stands at its hash, or at the next empty place behind it. Three quarters of the places are used at
/// the most.
#[derive(Debug, Default)]
pub(super) struct Owners {
    places: Box<[Entry]>,
    entries: usize,
}

impl Owners {
    /// Places for so many entries.
    fn places_for(entries: usize) -> usize {
        match entries {
            0 => 0,
            entries => (entries * 4).div_ceil(3).next_power_of_two().max(FEWEST),
        }
    }

    /// The bytes of a table with room for so many entries.
    pub(super) fn bytes_for(entries: usize) -> usize {
        Self::places_for(entries) * size_of::<Entry>()
    }

    /// Its bytes.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.places)
    }

    /// How many ids it has.
    pub(super) fn len(&self) -> usize {
        self.entries
    }

    /// How many more ids it has room for.
    #[inline]
    pub(super) fn room(&self) -> usize {
        self.places.len() / 4 * 3 - self.entries
    }

    /// The same entries, with room for so many in all.
    pub(super) fn with_room_for(&self, entries: usize) -> Self {
        let mut larger = Self {
            places: vec![EMPTY; Self::places_for(entries)].into(),
            entries: 0,
        };
        for Entry { id, owner } in self.iter() {
            larger.owner(id, owner);
        }
        larger
    }

    /// The entries in any order.
    pub(super) fn iter(&self) -> impl Iterator<Item = Entry> {
        self.places
            .iter()
            .filter(|entry| entry.owner != NONE)
            .copied()
    }

    /// Whether it has an id.
    pub(super) fn has(&self, id: EventId) -> bool {
        !self.places.is_empty() && self.places[self.place(id)].owner != NONE
    }

    /// The owner of an id: `own` where it had none, for which there must be room.
    #[inline]
    pub(super) fn owner(&mut self, id: EventId, own: u64) -> u64 {
        let place = self.place(id);
        let entry = &mut self.places[place];
        if entry.owner == NONE {
            *entry = Entry { id, owner: own };
            self.entries += 1;
        }
        entry.owner
    }

    /// Where an id is, or would be. There must be an empty place.
    #[inline]
    fn place(&self, id: EventId) -> usize {
        let last = self.places.len() - 1;
        let mut place = hash(id) as usize & last;
        loop {
            let entry = &self.places[place];
            if entry.owner == NONE || entry.id == id {
                return place;
            }
            place = (place + 1) & last;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn the_first_owner_of_an_id_stays() {
        let mut owners = Owners::default();
        let mut expected = HashMap::new();
        for round in 0..2_u64 {
            for number in 0..1000_u64 {
                let id = EventId([number % 700, 0, 0]);
                if owners.room() == 0 {
                    owners = owners.with_room_for(owners.len() + 1);
                }
                let own = round << 32 | number;
                assert_eq!(owners.has(id), expected.contains_key(&id.0));
                let first = *expected.entry(id.0).or_insert(own);
                assert_eq!(owners.owner(id, own), first);
            }
        }
        assert_eq!((owners.len(), owners.iter().count()), (700, 700));
        assert!(owners.bytes() <= Owners::bytes_for(1400));
    }
}
