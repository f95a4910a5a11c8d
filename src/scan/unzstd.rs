//! zstd data → text, as a stream of any number of frames. Lambda's logs of the class Delivery have this form.

use thiserror::Error;
use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation, OutBuffer};

/// The first bytes of a frame.
pub const ZSTD: &[u8] = b"\x28\xb5\x2f\xfd";

/// The largest window that a frame may ask for, 2^27 bytes: the decoder keeps as much text.
const WINDOW_BITS: u32 = 27;

/// What is wrong with zstd data.
#[derive(Debug, PartialEq, Eq, Error)]
pub enum DamagedZstd {
    /// The data is not what it should be.
    #[error("damaged zstd data at byte {at}: {what}")]
    At {
        /// The compressed bytes that were taken before.
        at: u64,
        /// What the decoder says of it.
        what: String,
    },
    /// It ends within a frame.
    #[error("the zstd data is cut off after {0} bytes")]
    Cut(u64),
}

/// A decoder of zstd data that comes in pieces.
pub struct Unzstd {
    decoder: Decoder<'static>,
    /// Whether the last frame has begun and not ended.
    is_within: bool,
    /// Whether the decoder has text that had no room.
    has_more: bool,
    taken: u64,
}

impl Unzstd {
    /// A decoder of new data.
    pub fn new() -> Result<Self, DamagedZstd> {
        let failed = |error: std::io::Error| DamagedZstd::At {
            at: 0,
            what: error.to_string(),
        };
        let mut decoder = Decoder::new().map_err(failed)?;
        decoder
            .set_parameter(DParameter::WindowLogMax(WINDOW_BITS))
            .map_err(failed)?;
        Ok(Self {
            decoder,
            is_within: false,
            has_more: false,
            taken: 0,
        })
    }

    /// Whether there is text for which no input is needed.
    pub fn has_more(&self) -> bool {
        self.has_more
    }

    /// Appends text until the end of the input, or until the capacity of `text` is full. How many bytes of the input were taken.
    pub fn decompress(&mut self, input: &[u8], text: &mut Vec<u8>) -> Result<usize, DamagedZstd> {
        let mut from = InBuffer::around(input);
        let end = text.len();
        let mut to = OutBuffer::around_pos(text, end);
        while (from.pos() < input.len() || self.has_more) && to.pos() < to.capacity() {
            let left = self.decoder.run(&mut from, &mut to);
            let left = left.map_err(|error| DamagedZstd::At {
                at: self.taken + from.pos() as u64,
                what: error.to_string(),
            })?;
            // Zero behind a frame whose text was given out to the end.
            self.is_within = left > 0;
            self.has_more = self.is_within && to.pos() == to.capacity();
        }
        let taken = from.pos();
        self.taken += taken as u64;
        Ok(taken)
    }

    /// An error where the data ends within a frame.
    pub fn finish(&self) -> Result<(), DamagedZstd> {
        match self.is_within {
            true => Err(DamagedZstd::Cut(self.taken)),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The text of data that comes in pieces, in blocks of some bytes.
    fn text_of(data: &[u8], piece: usize, block: usize) -> Result<Vec<u8>, DamagedZstd> {
        let mut decoder = Unzstd::new()?;
        let mut text = Vec::new();
        for mut piece in data.chunks(piece) {
            while !piece.is_empty() || decoder.has_more() {
                let mut room = Vec::with_capacity(block);
                let taken = decoder.decompress(piece, &mut room)?;
                piece = &piece[taken..];
                text.append(&mut room);
            }
        }
        decoder.finish()?;
        Ok(text)
    }

    fn zstd(text: &[u8]) -> Vec<u8> {
        zstd::bulk::compress(text, 3).unwrap()
    }

    proptest! {
        #[test]
        fn any_frames_in_any_pieces_are_their_text(
            texts in proptest::collection::vec(proptest::collection::vec(0_u8..4, 0..5000), 0..4),
            piece in 1_usize..300,
            block in 1_usize..300,
        ) {
            let data: Vec<u8> = texts.iter().flat_map(|text| zstd(text)).collect();
            prop_assert_eq!(text_of(&data, piece, block).unwrap(), texts.concat());
        }
    }

    #[test]
    fn what_is_cut_or_damaged_is_an_error_with_the_place() {
        let data = zstd(&b"an event of some length, and so on".repeat(100));
        let cut = text_of(&data[..data.len() - 1], 10, 100).unwrap_err();
        assert_eq!(cut, DamagedZstd::Cut(data.len() as u64 - 1));
        let behind = [&data[..], b"no frame"].concat();
        let wrong = text_of(&behind, behind.len(), 10_000).unwrap_err();
        assert!(matches!(wrong, DamagedZstd::At { .. }), "{wrong}");
        assert_eq!(text_of(b"", 1, 1), Ok(Vec::new()));
    }
}
