//! The text of an object of a subscription, which may be compressed by several programs, one after the other, or by none.
//!
//! CloudWatch compresses each record with gzip. Firehose joins them, so that an object has a gzip member for each, or
//! decompresses them; and it may compress the whole again. A consumer of Kinesis may leave the records in base64, as
//! the API has them. Lambda's logs of the class Delivery are compressed with zstd. So the bytes are looked at: gzip and zstd are
//! decompressed and base64 is decoded, until none of them is left.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use datafusion::error::{DataFusionError, Result};
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt, TryStreamExt};
use tokio::sync::mpsc;
use tokio::task::coop::consume_budget;

use super::inflate::{Damage, StreamInflater};
use super::object::{BLOCK, ObjectName, read_error};
use super::records::{GZIP_IN_BASE64, LONGEST_RECORD};
use super::unzstd::{Unzstd, ZSTD};
use crate::error::Error;

/// More layers than any program writes. Each may be a thousand times as long as the one below it.
const MOST_LAYERS: usize = 3;

/// A layer that is longer than this may be at most so many times as long as the object. One layer of gzip is never a thousand times
/// as long; three of them would make days of work out of a few bytes.
const LONG_LAYER: u64 = 256 << 20;
const MOST_TIMES: u64 = 10_000;

/// The first bytes of gzip data.
pub(super) const GZIP: &[u8] = b"\x1f\x8b";

/// The bytes in which a layer shows what it is.
const HEAD: usize = 4;

/// The decompressed pieces of an object.
pub(super) enum Layer {
    /// The object itself.
    Object {
        name: ObjectName,
        pieces: BoxStream<'static, object_store::Result<Bytes>>,
        taken: Arc<AtomicU64>,
    },
    /// A layer whose first piece was looked at.
    LookedAt {
        first: Option<Bytes>,
        rest: Box<Layer>,
    },
    /// Inflated gzip data of the layer below.
    Gzip {
        name: ObjectName,
        growth: Growth,
        inflater: Box<StreamInflater>,
        piece: Bytes,
        below: Option<Box<Layer>>,
    },
    /// Decompressed zstd data of the layer below.
    Zstd {
        name: ObjectName,
        growth: Growth,
        decoder: Box<Unzstd>,
        piece: Bytes,
        below: Option<Box<Layer>>,
    },
    /// Decoded base64 of the layer below.
    Base64 {
        name: ObjectName,
        decoder: Base64,
        below: Box<Layer>,
    },
}

/// The length of a layer beside that of its object.
pub(super) struct Growth {
    /// The bytes of the object that were taken.
    taken: Arc<AtomicU64>,
    made: u64,
}

impl Growth {
    fn of(taken: &Arc<AtomicU64>) -> Self {
        Self {
            taken: Arc::clone(taken),
            made: 0,
        }
    }

    /// Counts a block of the layer. An error (damaged) where it is longer than that of any log.
    fn add(&mut self, name: &ObjectName, block: usize) -> Result<()> {
        self.made += block as u64;
        let taken = self.taken.load(Ordering::Relaxed);
        if self.made > LONG_LAYER && self.made > MOST_TIMES.saturating_mul(taken) {
            return Err(damaged(
                name,
                &format!(
                    "{taken} bytes of it become more than {} bytes, as no log does",
                    self.made
                ),
            ));
        }
        Ok(())
    }
}

impl Layer {
    /// The innermost layer of an object.
    pub(super) async fn innermost(
        name: &ObjectName,
        pieces: BoxStream<'static, object_store::Result<Bytes>>,
    ) -> Result<Self> {
        let taken = Arc::new(AtomicU64::new(0));
        let mut layer = Self::Object {
            name: name.clone(),
            pieces,
            taken: Arc::clone(&taken),
        };
        for _ in 0..MOST_LAYERS {
            let (head, looked_at) = layer.look_at().await?;
            layer = looked_at;
            layer = if head.starts_with(GZIP) {
                Self::Gzip {
                    name: name.clone(),
                    growth: Growth::of(&taken),
                    inflater: Box::new(StreamInflater::of_lines()),
                    piece: Bytes::new(),
                    below: Some(Box::new(layer)),
                }
            } else if head.starts_with(ZSTD) {
                let decoder = Unzstd::new().map_err(|wrong| damaged(name, &wrong.to_string()))?;
                Self::Zstd {
                    name: name.clone(),
                    growth: Growth::of(&taken),
                    decoder: Box::new(decoder),
                    piece: Bytes::new(),
                    below: Some(Box::new(layer)),
                }
            } else if head.starts_with(GZIP_IN_BASE64) {
                Self::Base64 {
                    name: name.clone(),
                    decoder: Base64::default(),
                    below: Box::new(layer),
                }
            } else {
                return Ok(layer);
            };
        }
        Ok(layer)
    }

    /// The text of the gzip members that are left of an object in memory, of which the `taken` bytes in front are inflated already.
    pub(super) fn of_members(name: &ObjectName, rest: Bytes, taken: u64) -> Self {
        let object = Arc::new(AtomicU64::new(taken + rest.len() as u64));
        let end = Self::Object {
            name: name.clone(),
            pieces: futures::stream::empty().boxed(),
            taken: Arc::clone(&object),
        };
        Self::Gzip {
            name: name.clone(),
            growth: Growth::of(&object),
            inflater: Box::new(StreamInflater::of_lines().behind(taken)),
            piece: rest,
            below: Some(Box::new(end)),
        }
    }

    /// The first bytes, and the layer, which still has them.
    async fn look_at(mut self) -> Result<(Bytes, Self)> {
        let mut first = Vec::new();
        while first.len() < HEAD {
            match self.next().await? {
                Some(piece) => first.extend_from_slice(&piece),
                None => break,
            }
        }
        let first = Bytes::from(first);
        let head = first.slice(..first.len().min(HEAD));
        let looked_at = Self::LookedAt {
            first: Some(first),
            rest: Box::new(self),
        };
        Ok((head, looked_at))
    }

    /// The next piece, which is not empty; `None` at the end.
    pub(super) fn next(&mut self) -> BoxFuture<'_, Result<Option<Bytes>>> {
        async move {
            match self {
                Self::Object {
                    name,
                    pieces,
                    taken,
                } => loop {
                    let next = pieces.try_next().await;
                    match next.map_err(|error| read_error(name, error))? {
                        Some(piece) if piece.is_empty() => {}
                        Some(piece) => {
                            taken.fetch_add(piece.len() as u64, Ordering::Relaxed);
                            return Ok(Some(piece));
                        }
                        None => return Ok(None),
                    }
                },
                Self::LookedAt { first, rest } => match first.take() {
                    Some(first) if !first.is_empty() => Ok(Some(first)),
                    _ => rest.next().await,
                },
                Self::Gzip {
                    name,
                    growth,
                    inflater,
                    piece,
                    below,
                } => {
                    let block = inflated(name, inflater, piece, below).await?;
                    growth.add(name, block.len())?;
                    Ok((!block.is_empty()).then(|| block.into()))
                }
                Self::Zstd {
                    name,
                    growth,
                    decoder,
                    piece,
                    below,
                } => {
                    let block = decompressed(name, decoder, piece, below).await?;
                    growth.add(name, block.len())?;
                    Ok((!block.is_empty()).then(|| block.into()))
                }
                Self::Base64 {
                    name,
                    decoder,
                    below,
                } => {
                    while let Some(piece) = below.next().await? {
                        // A layer that yields nothing for long ends with its query all the same.
                        consume_budget().await;
                        let mut bytes = Vec::with_capacity(piece.len() / 4 * 3 + 3);
                        decoder
                            .decode(&piece, &mut bytes)
                            .map_err(|wrong| damaged(name, &wrong.to_string()))?;
                        if !bytes.is_empty() {
                            return Ok(Some(bytes.into()));
                        }
                    }
                    decoder
                        .finish()
                        .map_err(|wrong| damaged(name, &wrong.to_string()))?;
                    Ok(None)
                }
            }
        }
        .boxed()
    }
}

/// The next block of text, full unless it is the last one.
async fn inflated(
    name: &ObjectName,
    inflater: &mut StreamInflater,
    piece: &mut Bytes,
    below: &mut Option<Box<Layer>>,
) -> Result<Vec<u8>> {
    let wrong = |damage: Damage| damaged(name, &damage.to_string());
    let mut block = Vec::with_capacity(BLOCK);
    while block.len() < BLOCK {
        // A layer that yields nothing for long ends with its query all the same.
        consume_budget().await;
        if piece.is_empty() {
            let Some(layer) = below else {
                break;
            };
            match layer.next().await? {
                Some(next) => *piece = next,
                None => {
                    while block.len() < BLOCK && inflater.drain(&mut block).map_err(wrong)? {}
                    if block.len() < BLOCK {
                        inflater.finish().map_err(wrong)?;
                        *below = None;
                    }
                    break;
                }
            }
        }
        let taken = inflater.inflate(piece, &mut block).map_err(wrong)?;
        *piece = piece.slice(taken..);
    }
    Ok(block)
}

/// The next block of text, full unless it is the last one.
async fn decompressed(
    name: &ObjectName,
    decoder: &mut Unzstd,
    piece: &mut Bytes,
    below: &mut Option<Box<Layer>>,
) -> Result<Vec<u8>> {
    let mut block = Vec::with_capacity(BLOCK);
    while block.len() < BLOCK {
        // A layer that yields nothing for long ends with its query all the same.
        consume_budget().await;
        if piece.is_empty() && !decoder.has_more() {
            let Some(layer) = below else {
                break;
            };
            let Some(next) = layer.next().await? else {
                *below = None;
                let ended = decoder.finish();
                ended.map_err(|wrong| damaged(name, &wrong.to_string()))?;
                break;
            };
            *piece = next;
        }
        let taken = decoder.decompress(piece, &mut block);
        let taken = taken.map_err(|wrong| damaged(name, &wrong.to_string()))?;
        *piece = piece.slice(taken..);
    }
    Ok(block)
}

fn damaged(name: &ObjectName, what: &str) -> DataFusionError {
    Error::damaged(format!("{name}: {what}")).into()
}

/// Sends the text of an object block by block, until the receiver is dropped.
pub(super) async fn send_text(
    name: ObjectName,
    pieces: BoxStream<'static, object_store::Result<Bytes>>,
    blocks: mpsc::Sender<Result<Bytes>>,
) {
    match Layer::innermost(&name, pieces).await {
        Ok(layer) => send_layer(layer, blocks).await,
        Err(error) => {
            let _closed = blocks.send(Err(error)).await;
        }
    }
}

/// The same of a layer of it.
pub(super) async fn send_layer(mut layer: Layer, blocks: mpsc::Sender<Result<Bytes>>) {
    loop {
        let (block, is_last) = match layer.next().await {
            Ok(Some(block)) => (Ok(block), false),
            Ok(None) => return,
            Err(error) => (Err(error), true),
        };
        if blocks.send(block).await.is_err() || is_last {
            return;
        }
    }
}

/// The text of the first bytes of an object, as far as they have it.
pub fn head_of_text(bytes: &[u8]) -> Vec<u8> {
    let mut head = bytes.to_vec();
    for _ in 0..MOST_LAYERS {
        if head.starts_with(GZIP) {
            let mut text = Vec::with_capacity(BLOCK);
            // It is cut, so that an error at its end shows nothing.
            let mut inflater = StreamInflater::default();
            let _cut = inflater.inflate(&head, &mut text);
            head = text;
        } else if head.starts_with(ZSTD) {
            let mut text = Vec::with_capacity(BLOCK);
            if let Ok(mut decoder) = Unzstd::new() {
                let _cut = decoder.decompress(&head, &mut text);
            }
            head = text;
        } else if head.starts_with(GZIP_IN_BASE64) {
            let mut decoded = Vec::new();
            let _cut = Base64::default().decode(&head, &mut decoded);
            head = decoded;
        } else {
            break;
        }
    }
    head
}

/// Why the text of base64 is not there.
#[derive(Debug)]
pub(super) enum NotUnpacked {
    /// What is wrong with it, in words.
    Wrong(String),
    /// There is no memory for it.
    NoMemory(Box<DataFusionError>),
}

impl From<String> for NotUnpacked {
    fn from(wrong: String) -> Self {
        Self::Wrong(wrong)
    }
}

/// Appends the text of gzip data in base64. `reserve` gets the bytes that the text is to have room for, before it has.
pub(super) fn unpacked(
    encoded: &[u8],
    text: &mut Vec<u8>,
    mut reserve: impl FnMut(usize) -> Result<()>,
) -> Result<(), NotUnpacked> {
    let mut packed = Vec::with_capacity(encoded.len() / 4 * 3 + 3);
    let mut decoder = Base64::default();
    let decoded = decoder.decode(encoded, &mut packed);
    decoded
        .and_then(|()| decoder.finish())
        .map_err(|wrong| wrong.to_string())?;
    let wrong = |damage: Damage| damage.to_string();
    let mut inflater = StreamInflater::default();
    let mut rest = &packed[..];
    loop {
        if text.len() > LONGEST_RECORD {
            return Err("it has more text than any record".to_owned().into());
        }
        let more = BLOCK.max(text.len() / 2);
        reserve(text.len() + more).map_err(|error| NotUnpacked::NoMemory(Box::new(error)))?;
        text.reserve_exact(more);
        let before = text.len();
        let taken = inflater.inflate(rest, text).map_err(wrong)?;
        rest = &rest[taken..];
        let drained = rest.is_empty() && inflater.drain(text).map_err(wrong)?;
        if text.len() == before && !drained {
            break;
        }
    }
    Ok(inflater.finish().map_err(wrong)?)
}

/// Decodes base64 that comes in pieces: texts that follow one another, each with its own end, and white space between them.
#[derive(Debug, Default)]
pub(super) struct Base64 {
    /// The bits of the characters that make no whole group yet, and their number.
    bits: u32,
    characters: u32,
    /// Padding characters that are still expected.
    padding: u32,
    taken: u64,
}

/// What is wrong with base64.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum WrongBase64 {
    /// A character that it does not have there.
    #[error("byte {0} of the base64 is no character of base64")]
    Character(u64),
    /// It ends within a group.
    #[error("the base64 is cut off after {0} bytes")]
    Cut(u64),
}

impl Base64 {
    fn decode(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(), WrongBase64> {
        for byte in input {
            let value = match byte {
                b'A'..=b'Z' => byte - b'A',
                b'a'..=b'z' => byte - b'a' + 26,
                b'0'..=b'9' => byte - b'0' + 52,
                b'+' | b'-' => 62,
                b'/' | b'_' => 63,
                b' ' | b'\n' | b'\r' | b'\t' => {
                    self.taken += 1;
                    continue;
                }
                b'=' if self.padding > 0 => {
                    self.padding -= 1;
                    self.taken += 1;
                    continue;
                }
                b'=' if self.characters >= 2 => {
                    let bytes = self.characters - 1;
                    let whole = self.bits << (6 * (4 - self.characters));
                    out.extend_from_slice(&whole.to_be_bytes()[1..=bytes as usize]);
                    self.padding = 3 - self.characters;
                    (self.bits, self.characters) = (0, 0);
                    self.taken += 1;
                    continue;
                }
                _ => return Err(WrongBase64::Character(self.taken)),
            };
            if self.padding > 0 {
                return Err(WrongBase64::Character(self.taken));
            }
            self.taken += 1;
            self.bits = self.bits << 6 | u32::from(value);
            self.characters += 1;
            if self.characters == 4 {
                out.extend_from_slice(&self.bits.to_be_bytes()[1..]);
                (self.bits, self.characters) = (0, 0);
            }
        }
        Ok(())
    }

    fn finish(&self) -> Result<(), WrongBase64> {
        match self.characters == 0 && self.padding == 0 {
            true => Ok(()),
            false => Err(WrongBase64::Cut(self.taken)),
        }
    }
}

/// Base64 of some bytes.
#[cfg(test)]
pub(super) fn base64(bytes: &[u8]) -> Vec<u8> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = Vec::new();
    for group in bytes.chunks(3) {
        let mut whole = [0; 3];
        whole[..group.len()].copy_from_slice(group);
        let bits = u32::from_be_bytes([0, whole[0], whole[1], whole[2]]);
        for place in 0..4 {
            out.push(match place <= group.len() {
                true => ALPHABET[(bits >> (18 - 6 * place) & 63) as usize],
                false => b'=',
            });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use futures::StreamExt;
    use proptest::prelude::*;
    use std::io::Write;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(text: &[u8]) -> Vec<u8> {
        zstd::bulk::compress(text, 3).unwrap()
    }

    async fn text_of(object: &[u8], piece: usize) -> Result<Vec<u8>, String> {
        let name = ObjectName {
            place: "s3://b/".into(),
            key: "k".into(),
        };
        let pieces: Vec<_> = object
            .chunks(piece)
            .map(|piece| Ok(Bytes::copy_from_slice(piece)))
            .collect();
        let pieces = futures::stream::iter(pieces).boxed();
        let failed = |error| Error::from_engine(error).to_string();
        let mut layer = Layer::innermost(&name, pieces).await.map_err(failed)?;
        let mut text = Vec::new();
        while let Some(piece) = layer.next().await.map_err(failed)? {
            text.extend_from_slice(&piece);
        }
        Ok(text)
    }

    #[tokio::test]
    async fn records_are_unpacked_however_they_were_packed() {
        let (one, two) = (
            &br#"{"messageType":1}"#[..],
            &br#"{"messageType":2}{"x":3}"#[..],
        );
        let both = [one, two].concat();
        let members = [gzip(one), gzip(two)].concat();
        let in_lines = [&base64(&gzip(one))[..], b"\n", &base64(&gzip(two)), b"\n"].concat();
        let joined = [base64(&gzip(one)), base64(&gzip(two))].concat();
        for packed in [
            both.clone(),
            gzip(&both),
            members.clone(),
            gzip(&members),
            gzip(&gzip(&members)),
            in_lines.clone(),
            gzip(&in_lines),
            joined,
            base64(&members),
        ] {
            for piece in [1, 5, 1000] {
                assert_eq!(text_of(&packed, piece).await.unwrap(), both);
            }
            assert_eq!(head_of_text(&packed)[..10], both[..10]);
        }
        // Line ends between members divide the lines of a text.
        let lines = [one, b"\n", two, b"\n"].concat();
        let with_line_ends = [&gzip(one)[..], b"\n", &gzip(two), b"\n"].concat();
        for packed in [
            with_line_ends.clone(),
            gzip(&with_line_ends),
            [&zstd(one)[..], b"\n", &zstd(two), b"\n"].concat(),
        ] {
            for piece in [1, 5, 1000] {
                assert_eq!(text_of(&packed, piece).await.unwrap(), lines);
            }
        }
        assert_eq!(text_of(b"", 1).await.unwrap(), b"");
    }

    #[tokio::test]
    async fn damage_in_any_layer_is_an_error_with_the_object() {
        let members = gzip(&[gzip(b"{}"), gzip(b"{}")].concat());
        let inner = gzip(b"{}");
        let cut_inside = gzip(&inner[..inner.len() - 3]);
        let in_base64 = base64(&gzip(b"some text"));
        for (damaged, expected) in [
            (&members[..members.len() - 1], "cut off"),
            (&cut_inside, "cut off"),
            (&in_base64[..in_base64.len() - 1], "base64 is cut off"),
            (
                &[&in_base64[..9], b"!", &in_base64[9..]].concat(),
                "byte 9 of the base64",
            ),
        ] {
            let error = text_of(damaged, 7).await.unwrap_err();
            assert!(
                error.starts_with("s3://b/k: ") && error.contains(expected),
                "{error}"
            );
        }
    }

    #[tokio::test]
    async fn layers_in_layers_do_not_work_for_days() {
        // 512 MiB of line ends in some kilobytes.
        let members = gzip(&vec![b'\n'; 1 << 20]).repeat(512);
        let bomb = gzip(&gzip(&members));
        assert!(bomb.len() < 20_000, "{}", bomb.len());
        let name = ObjectName {
            place: "s3://b/".into(),
            key: "k".into(),
        };
        let pieces = futures::stream::iter([Ok(Bytes::from(bomb))]).boxed();
        let mut layer = Layer::innermost(&name, pieces).await.unwrap();
        let mut length = 0;
        let error = loop {
            match layer.next().await {
                Ok(piece) => length += piece.unwrap().len() as u64,
                Err(error) => break Error::from_engine(error).to_string(),
            }
        };
        assert!(length <= LONG_LAYER, "{length}");
        assert!(error.contains("as no log does"), "{error}");
    }

    /// The example of an event in AWS's documentation of Lambda.
    #[test]
    fn the_documented_event_of_lambda_is_unpacked() {
        let data = "H4sIAAAAAAAAAHWPwQqCQBCGX0Xm7EFtK+smZBEUgXoLCdMhFtKV3akI8d0bLYmibvPPN3wz00CJxmQnTO41whwWQRIctmEcB6sQbFC3CjW3XW8kxpOpP+OC22d1Wml1qZkQGtoMsScxaczKN3plG8zlaHIta5KqWsozoTYw3/djzwhpLwivWFGHGpAFe7DL68JlBUk+l7KSN7tCOEJ4M3/qOI49vMHj+zCKdlFqLaU2ZHV2a4Ct/an0/ivdX8oYc1UVX860fQDQiMdxRQEAAA==";
        let mut text = Vec::new();
        unpacked(data.as_bytes(), &mut text, |_| Ok(())).unwrap();
        assert!(text.starts_with(
            br#"{"messageType":"DATA_MESSAGE","owner":"123456789123","logGroup":"testLogGroup""#
        ));
        assert_eq!(head_of_text(data.as_bytes()), text);
        for wrong in [&data[..100], "H4sI", "H4sI!", "AAAA"] {
            assert!(unpacked(wrong.as_bytes(), &mut Vec::new(), |_| Ok(())).is_err());
        }
        let long = gzip(&vec![b'x'; 3 * BLOCK]);
        let mut text = Vec::new();
        let mut reserved = 0;
        let reserve = |bytes| {
            reserved = bytes;
            Ok(())
        };
        unpacked(&base64(&long), &mut text, reserve).unwrap();
        assert_eq!(text.len(), 3 * BLOCK);
        assert!(reserved >= text.capacity(), "{reserved}");
    }

    proptest! {
        #[test]
        fn base64_is_decoded_in_any_pieces(
            texts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..50), 0..5),
            piece in 1_usize..20,
        ) {
            let encoded: Vec<u8> = texts.iter().flat_map(|text| base64(text)).collect();
            let mut decoder = Base64::default();
            let mut out = Vec::new();
            for piece in encoded.chunks(piece) {
                decoder.decode(piece, &mut out).unwrap();
            }
            decoder.finish().unwrap();
            prop_assert_eq!(out, texts.concat());
        }
    }
}
