//! zstd data → text, as a stream of any number of frames. Lambda's logs of the class Delivery have this form.
//!
//! Line ends between frames are text, as they are between members of gzip data.

use thiserror::Error;
use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation, OutBuffer};

/// The first bytes of a frame.
pub const ZSTD: &[u8] = b"\x28\xb5\x2f\xfd";

/// The largest window that a frame may ask for, 2^25 bytes: the decoder keeps as much text, beside the memory of the engine. Encoders
/// keep to 2^23 (RFC 8878, 3.1.1.1.2), unless a person asks for more.
const WINDOW_BITS: u32 = 25;

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
        let mut taken = 0;
        while (taken < input.len() || self.has_more) && text.len() < text.capacity() {
            if !self.is_within && input.get(taken) == Some(&b'\n') {
                text.push(b'\n');
                taken += 1;
                continue;
            }
            let mut from = InBuffer::around(&input[taken..]);
            let end = text.len();
            let mut to = OutBuffer::around_pos(&mut *text, end);
            let left = self.decoder.run(&mut from, &mut to);
            taken += from.pos();
            let left = left.map_err(|error| DamagedZstd::At {
                at: self.taken + taken as u64,
                what: error.to_string(),
            })?;
            // Zero behind a frame whose text was given out to the end.
            self.is_within = left > 0;
            self.has_more = self.is_within && to.pos() == to.capacity();
        }
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

    #[test]
    fn line_ends_between_frames_are_text() {
        let data = [&zstd(b"one")[..], b"\n\n", &zstd(b"two\n"), b"\n"].concat();
        for (piece, block) in [(1, 1), (2, 100), (100, 2), (100, 100)] {
            let text = text_of(&data, piece, block).unwrap();
            assert_eq!(text, b"one\n\ntwo\n\n");
        }
    }

    #[test]
    fn a_frame_of_a_larger_window_is_refused() {
        // The magic number, and a header without a length, of a window of 2^26 bytes.
        let data = [ZSTD, &[0, 16 << 3, 0, 0, 0]].concat();
        let wrong = text_of(&data, data.len(), 100).unwrap_err();
        assert!(wrong.to_string().contains("memory"), "{wrong}");
    }
}
