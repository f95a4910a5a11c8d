//! gzip bytes to text, any number of members (RFC 1952).
//!
//! An object that fits a buffer is inflated whole by libdeflate, which is the fastest that builds without extra tools;
//! any other one as a stream by zlib-rs. Both check every member's checksum and length.

use std::cell::RefCell;

use flate2::{Decompress, FlushDecompress, Status};

use super::libdeflate::{Decompressor, Member};

/// Damage of gzip data.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// It does not begin with the bytes of gzip.
    #[error("it is not gzip data")]
    NotGzip,
    /// It ends within a member.
    #[error("{}", cut(*.0))]
    Cut(u64),
    /// It can't be inflated, or a checksum is wrong.
    #[error("the gzip data is corrupt at or before byte {0}")]
    Corrupt(u64),
    /// Something that is neither a member nor zeros follows a member.
    #[error("byte {0} begins neither a gzip member nor padding")]
    Garbage(u64),
}

fn cut(bytes: u64) -> String {
    match bytes {
        0 => "it is empty: expected gzip data, also of an export without events".to_owned(),
        bytes => format!("the gzip data is cut off after {bytes} bytes"),
    }
}

/// The flag of a member whose header has a checksum, in the byte at [`FLAGS`].
const HEADER_CHECKSUM: u8 = 2;
const FLAGS: usize = 3;

/// Inflates objects that are in memory whole.
#[derive(Default)]
pub struct WholeInflater {
    decompressor: Option<Decompressor>,
}

/// How a [`WholeInflater`] ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inflated {
    /// At the end of the object.
    Whole,
    /// At a member whose text does not fit: it can continue there with more room.
    NoRoom,
    /// At data that is damaged, or that only a [`StreamInflater`] can check, which says what is wrong.
    Damaged,
}

thread_local! {
    static INFLATER: RefCell<WholeInflater> = RefCell::default();
}

impl WholeInflater {
    /// Uses the one of this thread.
    pub fn of_thread<T>(uses: impl FnOnce(&mut Self) -> T) -> T {
        INFLATER.with_borrow_mut(uses)
    }

    /// Appends the text of the member that `packed` begins with, if it fits the capacity of `text`.
    pub(super) fn member(&mut self, packed: &[u8], text: &mut Vec<u8>) -> Member {
        if self.decompressor.is_none() {
            self.decompressor = Decompressor::new();
        }
        // libdeflate does not check it, and zlib-rs does.
        let has_header_checksum = |flags: &u8| flags & HEADER_CHECKSUM != 0;
        match &mut self.decompressor {
            _ if packed.get(FLAGS).is_some_and(has_header_checksum) => Member::Damaged,
            Some(decompressor) => decompressor.member(packed, text),
            None => Member::Damaged,
        }
    }

    /// Appends the text of members while it fits the capacity of `text`. What follows them is left in `rest`.
    pub fn inflate(&mut self, rest: &mut &[u8], text: &mut Vec<u8>) -> Inflated {
        loop {
            match self.member(rest, text) {
                Member::Whole(taken) => {
                    *rest = &rest[taken..];
                    if rest.iter().all(|byte| *byte == 0) {
                        return Inflated::Whole;
                    }
                }
                Member::NoRoom => return Inflated::NoRoom,
                Member::Damaged => return Inflated::Damaged,
            }
        }
    }
}

/// The length of the text as the last member states it, which is that of the whole text where there is one member.
///
/// Deflate can't compress to less than a 1032nd, so a larger length is wrong and must not cost memory.
pub fn likely_text_bytes(compressed: &[u8]) -> Option<usize> {
    let claimed = u32::from_le_bytes(*compressed.last_chunk::<4>()?) as usize;
    Some(claimed.clamp(64, compressed.len().saturating_mul(1032)))
}

/// Inflates a stream of pieces.
pub struct StreamInflater {
    state: Decompress,
    place: Place,
    taken: u64,
    /// Whether line ends may stand between members.
    has_lines: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Nothing was read yet.
    Start,
    /// Inside a member.
    Member,
    /// Between members, or behind the last one.
    Between,
    /// Behind the last member, in zeros.
    Padding,
}

impl Default for StreamInflater {
    fn default() -> Self {
        Self {
            state: Decompress::new_gzip(15),
            place: Place::Start,
            taken: 0,
            has_lines: false,
        }
    }
}

impl StreamInflater {
    /// The same where line ends may stand between members, as Firehose puts them behind records. They are text: without them the last
    /// line of a member and the first of the next would be one.
    pub fn of_lines() -> Self {
        Self {
            has_lines: true,
            ..Self::default()
        }
    }

    /// The same behind members of `taken` bytes.
    pub fn behind(mut self, taken: u64) -> Self {
        if taken > 0 {
            self.place = Place::Between;
            self.taken = taken;
        }
        self
    }

    /// Inflates from the start of `input` until its end, or until the capacity of `text` is full. Returns how many
    /// bytes of the input were taken.
    pub fn inflate(&mut self, input: &[u8], text: &mut Vec<u8>) -> Result<usize, Damage> {
        let mut taken = 0;
        while taken < input.len() {
            let rest = &input[taken..];
            match self.place {
                Place::Start if rest[0] == 0x1f => self.place = Place::Member,
                Place::Between if rest[0] == 0x1f => {
                    self.state.reset(true);
                    self.place = Place::Member;
                }
                Place::Start => return Err(Damage::NotGzip),
                Place::Between if self.has_lines && rest[0] == b'\n' => {
                    if text.len() == text.capacity() {
                        break;
                    }
                    text.push(b'\n');
                    self.taken += 1;
                    taken += 1;
                }
                Place::Between | Place::Padding => {
                    let zeros = rest.iter().take_while(|byte| **byte == 0).count();
                    if zeros < rest.len() {
                        return Err(Damage::Garbage(self.taken + zeros as u64));
                    }
                    self.place = Place::Padding;
                    self.taken += zeros as u64;
                    taken += zeros;
                }
                Place::Member => {
                    if text.len() == text.capacity() {
                        break;
                    }
                    let before = self.state.total_in();
                    let status = self
                        .state
                        .decompress_vec(rest, text, FlushDecompress::None)
                        .map_err(|_| self.damage())?;
                    let used = self.state.total_in() - before;
                    self.taken += used;
                    taken += used as usize;
                    match status {
                        Status::StreamEnd => self.place = Place::Between,
                        Status::Ok => {}
                        Status::BufError if used == 0 => break,
                        Status::BufError => {}
                    }
                }
            }
        }
        Ok(taken)
    }

    /// Inflates input that the decompressor has taken and still holds. True where there may be more.
    pub fn drain(&mut self, text: &mut Vec<u8>) -> Result<bool, Damage> {
        if self.place != Place::Member {
            return Ok(false);
        }
        let before = text.len();
        let status = self
            .state
            .decompress_vec(&[], text, FlushDecompress::None)
            .map_err(|_| self.damage())?;
        if status == Status::StreamEnd {
            self.place = Place::Between;
        }
        Ok(text.len() > before)
    }

    /// Checks at the end of the input whether it was complete.
    pub fn finish(&self) -> Result<(), Damage> {
        match self.place {
            Place::Between | Place::Padding => Ok(()),
            Place::Start | Place::Member => Err(Damage::Cut(self.taken)),
        }
    }

    fn damage(&self) -> Damage {
        match self.taken + self.state.total_in() {
            0 => Damage::NotGzip,
            _ => Damage::Corrupt(self.taken.max(self.state.total_in())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use proptest::prelude::*;
    use std::io::Write;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn whole(compressed: &[u8]) -> Option<Vec<u8>> {
        let mut rest = compressed;
        let mut text = Vec::with_capacity(likely_text_bytes(compressed)?);
        let mut inflater = WholeInflater::default();
        loop {
            match inflater.inflate(&mut rest, &mut text) {
                Inflated::Whole => return Some(text),
                Inflated::Damaged => return None,
                Inflated::NoRoom if text.capacity() > 1 << 24 => return None,
                Inflated::NoRoom => text.reserve_exact(2 * text.capacity() - text.len()),
            }
        }
    }

    fn streamed(compressed: &[u8], piece: usize, room: usize) -> Result<Vec<u8>, Damage> {
        let mut inflater = StreamInflater::default();
        let mut out = Vec::new();
        for piece in compressed.chunks(piece) {
            let mut taken = 0;
            while taken < piece.len() {
                let mut text = Vec::with_capacity(room);
                taken += inflater.inflate(&piece[taken..], &mut text)?;
                out.extend(text);
            }
        }
        loop {
            let mut text = Vec::with_capacity(room);
            let more = inflater.drain(&mut text)?;
            out.extend(text);
            if !more {
                break;
            }
        }
        inflater.finish().map(|()| out)
    }

    #[test]
    fn members_follow_one_another_and_zeros_may_follow_the_last() {
        let mut compressed = gzip(b"one\n");
        compressed.extend(gzip(b""));
        compressed.extend(gzip(b"two\n"));
        assert_eq!(whole(&compressed).unwrap(), b"one\ntwo\n");
        compressed.extend([0; 100]);
        assert_eq!(whole(&compressed).unwrap(), b"one\ntwo\n");
        assert_eq!(streamed(&compressed, 3, 2).unwrap(), b"one\ntwo\n");
    }

    #[test]
    fn damage_is_told_apart() {
        let good = gzip(&b"some text, some text, some text".repeat(100));
        let cut = &good[..good.len() - 1];
        assert_eq!(
            streamed(cut, 1000, 1000),
            Err(Damage::Cut(cut.len() as u64))
        );
        assert_eq!(streamed(&[], 1, 1), Err(Damage::Cut(0)));
        assert_eq!(streamed(b"plain text", 100, 100), Err(Damage::NotGzip));
        let mut garbage = good.clone();
        garbage.extend(b"garbage");
        assert_eq!(
            streamed(&garbage, 1000, 1000),
            Err(Damage::Garbage(good.len() as u64))
        );
        let mut after_zeros = good.clone();
        after_zeros.extend([0, 0, 0x1f]);
        assert_eq!(
            streamed(&after_zeros, 1, 1000),
            Err(Damage::Garbage(good.len() as u64 + 2))
        );
        for at in [15, good.len() - 6, good.len() - 2] {
            let mut flipped = good.clone();
            flipped[at] ^= 0x40;
            assert!(
                matches!(
                    streamed(&flipped, 7, 100),
                    Err(Damage::Corrupt(_) | Damage::Cut(_))
                ),
                "{at}"
            );
            assert_eq!(whole(&flipped), None, "{at}");
        }
        for bad in [cut, &garbage, &after_zeros, b"plain text", &[]] {
            assert_eq!(whole(bad), None);
        }
    }

    /// A member with a checksum of its header (RFC 1952, FHCRC), which is the lower half of its CRC-32.
    fn with_header_checksum(text: &[u8], error: u8) -> Vec<u8> {
        let plain = gzip(text);
        let mut member = plain[..10].to_vec();
        member[FLAGS] |= HEADER_CHECKSUM;
        let mut crc = flate2::Crc::new();
        crc.update(&member);
        let [low, high, ..] = crc.sum().to_le_bytes();
        member.extend([low ^ error, high]);
        member.extend(&plain[10..]);
        member
    }

    #[test]
    fn a_wrong_checksum_of_a_header_is_damage_both_ways() {
        for (text, first) in [(&b"some text\n"[..], true), (b"second\n", false)] {
            let object = |error| {
                let member = with_header_checksum(text, error);
                match first {
                    true => member,
                    false => [gzip(b"first\n"), member].concat(),
                }
            };
            let expected = [if first { &b""[..] } else { b"first\n" }, text].concat();
            assert_eq!(streamed(&object(0), 7, 100).unwrap(), expected);
            let wrong = streamed(&object(1), 7, 100);
            assert!(matches!(wrong, Err(Damage::Corrupt(_))), "{wrong:?}");
            // What is read whole goes on as a stream.
            assert_eq!(whole(&object(0)), None);
            assert_eq!(whole(&object(1)), None);
        }
    }

    #[test]
    fn a_claim_of_much_text_costs_nothing() {
        let mut liar = gzip(b"x");
        let end = liar.len();
        liar[end - 4..].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(likely_text_bytes(&liar).unwrap() <= liar.len() * 1032);
        assert_eq!(whole(&liar), None);
    }

    #[test]
    fn text_that_does_not_fit_is_not_begun() {
        let mut compressed = gzip(b"fits\n");
        let second = gzip(&vec![b'x'; 1 << 20]);
        compressed.extend(&second);
        let mut text = Vec::with_capacity(1000);
        let mut rest = &compressed[..];
        let inflated = WholeInflater::default().inflate(&mut rest, &mut text);
        assert_eq!(inflated, Inflated::NoRoom);
        assert_eq!((&text[..], rest), (&b"fits\n"[..], &second[..]));
    }

    proptest! {
        #[test]
        fn both_ways_give_the_text(
            parts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..400), 1..5),
            piece in 1usize..64,
            room in 1usize..300,
        ) {
            let compressed: Vec<u8> = parts.iter().flat_map(|part| gzip(part)).collect();
            let text = parts.concat();
            prop_assert_eq!(whole(&compressed).unwrap(), text.clone());
            prop_assert_eq!(streamed(&compressed, piece, room).unwrap(), text);
        }

        #[test]
        fn every_cut_is_seen(text in proptest::collection::vec(any::<u8>(), 0..400), cut in 0usize..400) {
            let compressed = gzip(&text);
            let cut = cut.min(compressed.len() - 1);
            prop_assert_eq!(whole(&compressed[..cut]), None);
            prop_assert_eq!(streamed(&compressed[..cut], 50, 100), Err(Damage::Cut(cut as u64)));
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut gz = vec![0x1f, 0x8b, 8, 0];
            gz.extend(bytes);
            let _ = whole(&gz);
            let _ = streamed(&gz, 9, 64);
        }
    }
}
