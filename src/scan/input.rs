//! The text of an object of a subscription or of delivered logs, as it is unpacked while events are found in it.
//!
//! An object in memory whose gzip members are those of its records is inflated a few members at a time, by the task that finds the
//! events, so that the text of a member is still in the processor's cache when it is read. Any other object is unpacked by
//! a task of its own, block by block.

use std::sync::Arc;

use bytes::Bytes;
use datafusion::common::runtime::SpawnedTask;
use datafusion::error::{DataFusionError, Result};
use futures::StreamExt;
use futures::stream::BoxStream;
use tokio::sync::mpsc;
use tokio::task::coop::consume_budget;

use super::budget::{Buffer, Claim};
use super::fetch::Content;
use super::inflate::{WholeInflater, likely_text_bytes};
use super::layers::{GZIP, Layer, send_layer, send_text};
use super::libdeflate::Member;
use super::object::{BLOCK, BLOCKS_AHEAD, ObjectName};
use super::records::GZIP_IN_BASE64;
use super::text::ObjectText;
use super::unzstd::ZSTD;

/// Members are inflated until there is as much text, which fits the cache of a core beside what is made of it.
const ENOUGH: usize = 256 << 10;

/// Room for so much text at least, of an object that is as long: only the length of the last member is known beforehand.
const ROOM: usize = 2 * ENOUGH;

/// Logs are compressed to a tenth or so.
const LIKELY_RATIO: usize = 16;

/// Where the text comes from that is not there yet.
pub(super) enum Input {
    /// All text is there.
    Done,
    /// Members follow, of an object that is in memory.
    Members(Members),
    /// More text follows.
    Stream {
        blocks: mpsc::Receiver<Result<Bytes>>,
        unpacking: SpawnedTask<()>,
    },
}

impl Input {
    /// Whether all text is there.
    pub(super) fn is_done(&self) -> bool {
        matches!(self, Self::Done)
    }

    /// Drops `done` bytes in front of the text and appends more. False where there is no more.
    pub(super) async fn read(
        &mut self,
        name: &ObjectName,
        text: &mut ObjectText,
        done: usize,
    ) -> Result<bool> {
        text.drop_front(done);
        if let Self::Members(members) = self {
            // An object without rows for long ends with its query all the same.
            consume_budget().await;
            match members.append_to(text) {
                Appended::More => return Ok(true),
                Appended::Last => {
                    *self = Self::Done;
                    return Ok(true);
                }
                // Reading the rest as a stream takes less memory, or shows what is wrong with it.
                Appended::Nothing => *self = members.streamed(name),
            }
        }
        let Self::Stream { blocks, .. } = self else {
            return Ok(false);
        };
        if let Some(block) = blocks.recv().await.transpose()? {
            text.append(&block);
            return Ok(true);
        }
        if let Self::Stream { unpacking, .. } = std::mem::replace(self, Self::Done) {
            // A task that panicked has not sent all text.
            unpacking
                .join_unwind()
                .await
                .map_err(|error| DataFusionError::ExecutionJoin(Box::new(error)))?;
        }
        Ok(false)
    }
}

/// The text of an object, as far as it is there, and where the rest comes from.
pub(super) fn opened(
    name: &ObjectName,
    content: Content,
    claim: &Arc<Claim>,
) -> (ObjectText, Input) {
    match content {
        Content::Whole(bytes) => match in_memory(&bytes, claim) {
            Some(opened) => opened,
            // Too large for the budget, or damaged: reading it as a stream shows where.
            None => {
                let once = futures::stream::once(async { Ok(bytes) });
                streamed(name, once.boxed())
            }
        },
        Content::Pieces(pieces) => streamed(name, pieces),
    }
}

/// Text in blocks, unpacked by a task of its own.
fn streamed(
    name: &ObjectName,
    pieces: BoxStream<'static, object_store::Result<Bytes>>,
) -> (ObjectText, Input) {
    let (unpacked, blocks) = mpsc::channel(BLOCKS_AHEAD);
    let unpacking = send_text(name.clone(), pieces.fuse().boxed(), unpacked);
    let input = Input::Stream {
        blocks,
        unpacking: SpawnedTask::spawn(unpacking),
    };
    (ObjectText::with_capacity(2 * BLOCK), input)
}

/// The first text of an object that is in memory; `None` where the budget has no memory for it, where it is damaged, or
/// where a stream is as good.
fn in_memory(bytes: &Bytes, claim: &Arc<Claim>) -> Option<(ObjectText, Input)> {
    let packed = [GZIP, GZIP_IN_BASE64, ZSTD];
    let is_innermost = |text: &[u8]| !packed.iter().any(|begin| text.starts_with(begin));
    if !bytes.starts_with(GZIP) {
        let text = || ObjectText::shared(bytes.clone());
        return is_innermost(bytes).then(|| (text(), Input::Done));
    }
    let (mut text, mut input) = Members::open(bytes.clone(), claim)?;
    if text.bytes().starts_with(GZIP) {
        let inner = match input {
            Input::Done => text,
            _ => ObjectText::inflated(bytes, claim)?,
        };
        (text, input) = Members::open(inner.into_bytes(), claim)?;
    }
    is_innermost(text.bytes()).then_some((text, input))
}

/// The gzip members of an object that are not inflated yet. Line ends may stand between them, as Firehose puts them behind
/// records: they are text.
pub(super) struct Members {
    packed: Bytes,
    /// Behind the members that were inflated.
    at: usize,
    /// The text of the longest member so far.
    longest: usize,
}

/// What was appended to a text.
#[derive(Debug, PartialEq, Eq)]
enum Appended {
    /// Some members; others follow.
    More,
    /// All that followed.
    Last,
    /// Nothing: the next member is damaged, or there is no memory for it.
    Nothing,
}

impl Members {
    /// The text of the first members, and the others; `None` where the first one is damaged, or where there is no memory for it.
    fn open(packed: Bytes, claim: &Arc<Claim>) -> Option<(ObjectText, Input)> {
        let some = ROOM.min(packed.len().saturating_mul(LIKELY_RATIO));
        let buffer = claim.buffer(likely_text_bytes(&packed)?.max(some))?;
        let mut text = ObjectText::budgeted(buffer);
        let mut members = Self {
            packed,
            at: 0,
            longest: 0,
        };
        match members.append_to(&mut text) {
            Appended::More => Some((text, Input::Members(members))),
            Appended::Last => Some((text, Input::Done)),
            Appended::Nothing => None,
        }
    }

    /// Appends the text of the next members.
    fn append_to(&mut self, text: &mut ObjectText) -> Appended {
        let Some(buffer) = text.buffer() else {
            return Appended::Nothing;
        };
        let start = buffer.bytes.len();
        loop {
            let before = buffer.bytes.len();
            let room = buffer.bytes.capacity() - before;
            let is_enough = before - start >= ENOUGH || room < self.longest;
            if before > start && is_enough {
                return Appended::More;
            }
            let rest = &self.packed[self.at..];
            match WholeInflater::of_thread(|inflater| inflater.member(rest, &mut buffer.bytes)) {
                Member::Whole(taken) => self.at += taken,
                Member::NoRoom if before > start => return Appended::More,
                Member::NoRoom if buffer.grow() => continue,
                Member::Damaged if before > start => return Appended::More,
                Member::NoRoom | Member::Damaged => return Appended::Nothing,
            }
            self.longest = self.longest.max(buffer.bytes.len() - before);
            if !self.append_lines(buffer) {
                return Appended::Nothing;
            }
            let is_padding = |rest: &[u8]| rest.iter().all(|byte| *byte == 0);
            if is_padding(&self.packed[self.at..]) {
                return Appended::Last;
            }
        }
    }

    /// Appends the line ends behind a member. False where there is no memory for them.
    fn append_lines(&mut self, buffer: &mut Buffer) -> bool {
        let rest = &self.packed[self.at..];
        let lines = rest.iter().take_while(|byte| **byte == b'\n').count();
        while buffer.bytes.capacity() - buffer.bytes.len() < lines {
            if !buffer.grow() {
                return false;
            }
        }
        buffer.bytes.resize(buffer.bytes.len() + lines, b'\n');
        self.at += lines;
        true
    }

    /// The rest as a stream.
    fn streamed(&self, name: &ObjectName) -> Input {
        let (unpacked, blocks) = mpsc::channel(BLOCKS_AHEAD);
        let layer = Layer::of_members(name, self.packed.slice(self.at..), self.at as u64);
        Input::Stream {
            blocks,
            unpacking: SpawnedTask::spawn(send_layer(layer, unpacked)),
        }
    }
}
