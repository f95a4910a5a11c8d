//! A file of the blocks of many objects, with a list of these at its end: thousands of small objects are a few files.
//!
//! ```text
//! blocks … │ the list: JSON in a zstd frame with a checksum │ its length, 8 bytes, little-endian │ MAGIC
//! ```
//!
//! It is written under a temporary name, and has its own one only when it is whole.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use super::block::{Block, BlockWriter, Coding, Damaged, Events, Wanted};
use super::key::ObjectKey;
use crate::pattern::GRAMMAR;

/// The last bytes of every pack.
const MAGIC: &[u8; 8] = b"tally\0c3";

/// The length of the list, and [`MAGIC`].
const TAIL: u64 = 16;

/// What is known of an object beside its events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Whether its messages are there, and which of them were not UTF-8 is known.
    pub has_messages: bool,
    /// Whether which of them were not UTF-8 is known.
    pub is_checked: bool,
    /// Lines before its first timestamp.
    pub stray_lines: u32,
    /// Events that are more than two weeks older than the one before them.
    pub backdated_events: u32,
    /// What a file of this machine was like when it was read; 0 for other objects.
    pub stamp: u64,
    /// Whether the patterns of its messages are there.
    pub patterns: PatternsKept,
}

/// Whether the patterns of an object's messages are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PatternsKept {
    /// No query has read them.
    No,
    /// By the grammar of this number.
    Of(u32),
    /// There are too many, by the grammar of this number.
    TooMany(u32),
}

impl Summary {
    /// Whether it has the patterns.
    pub(super) fn has_patterns(&self) -> bool {
        self.patterns == PatternsKept::Of(GRAMMAR)
    }

    /// Whether it would have the patterns if it was kept anew.
    pub(super) fn may_have_patterns(&self) -> bool {
        match self.patterns {
            PatternsKept::No => self.has_messages,
            PatternsKept::Of(grammar) | PatternsKept::TooMany(grammar) => grammar != GRAMMAR,
        }
    }
}

/// An object's events in a pack.
#[derive(Debug)]
pub struct Entry {
    pack: Arc<Pack>,
    pub(super) summary: Summary,
    blocks: Vec<Block>,
}

impl Entry {
    /// Its blocks, in the order of the events.
    pub(super) fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// The pack that it is in.
    pub(super) fn pack(&self) -> &Arc<Pack> {
        &self.pack
    }

    /// Reads the wanted columns of a block.
    pub(super) fn read(
        &self,
        block: &Block,
        wanted: Wanted,
        buffer: &mut Vec<u8>,
        events: &mut Events,
    ) -> Result<(), Damaged> {
        let span = block.span(wanted);
        self.pack.read(block.offset, span, buffer)?;
        block.read(buffer, wanted, events)
    }

    /// Reads which messages of a block were not UTF-8.
    pub(super) fn read_broken(&self, block: &Block) -> Result<Vec<u32>, Damaged> {
        let mut buffer = Vec::new();
        self.pack
            .read(block.offset, block.broken_span(), &mut buffer)?;
        block.read_broken(&buffer)
    }
}

/// A file of blocks that can be read.
#[derive(Debug)]
pub struct Pack {
    /// Where it is, unless it is a file without a name.
    path: Mutex<Option<PathBuf>>,
    file: OnceLock<Option<File>>,
    /// Whether it was used in this process.
    is_used: AtomicBool,
}

impl Pack {
    /// Reads its list of objects. An error where it is no whole pack.
    pub(super) fn open(path: &Path) -> io::Result<Vec<(ObjectKey, Entry)>> {
        let file = File::open(path)?;
        let wrong = || io::Error::from(io::ErrorKind::InvalidData);
        let length = file.metadata()?.len();
        let end = length.checked_sub(TAIL).ok_or_else(wrong)?;
        let mut tail = [0; TAIL as usize];
        file.read_exact_at(&mut tail, end)?;
        let (list_bytes, magic) = tail.split_first_chunk::<8>().ok_or_else(wrong)?;
        let list_bytes = u64::from_le_bytes(*list_bytes);
        let start = end.checked_sub(list_bytes).ok_or_else(wrong)?;
        if magic != MAGIC {
            return Err(wrong());
        }
        let mut list = vec![0; usize::try_from(list_bytes).map_err(|_| wrong())?];
        file.read_exact_at(&mut list, start)?;
        let list = zstd::stream::decode_all(&list[..])?;
        let list: Vec<(ObjectKey, Summary, Vec<Block>)> = serde_json::from_slice(&list)?;
        let pack = Arc::new(Self {
            path: Mutex::new(Some(path.to_owned())),
            file: OnceLock::new(),
            is_used: AtomicBool::new(false),
        });
        let entries = list.into_iter().map(|(key, summary, blocks)| {
            let pack = Arc::clone(&pack);
            let entry = Entry {
                pack,
                summary,
                blocks,
            };
            (key, entry)
        });
        Ok(entries.collect())
    }

    /// Where it is; `None` while it has no name of its own.
    pub(super) fn path(&self) -> Option<PathBuf> {
        let path = self.path.lock().unwrap_or_else(PoisonError::into_inner);
        path.clone()
    }

    /// Notes in the file that it is used: the least recently used packs are the first to go.
    pub(super) fn note_use(&self) {
        if !self.is_used.swap(true, Ordering::Relaxed)
            && let Some(file) = self.file()
        {
            // At worst it goes earlier.
            let _ = file.set_modified(SystemTime::now());
        }
    }

    /// Its file; `None` where it is gone.
    fn file(&self) -> Option<&File> {
        let open = || File::open(self.path()?).ok();
        self.file.get_or_init(open).as_ref()
    }

    fn read(
        &self,
        offset: u64,
        span: std::ops::Range<usize>,
        buffer: &mut Vec<u8>,
    ) -> Result<(), Damaged> {
        buffer.resize(span.len(), 0);
        let file = self.file().ok_or(Damaged)?;
        file.read_exact_at(buffer, offset + span.start as u64)
            .map_err(|_| Damaged)
    }
}

/// Writes a pack. Its objects can be read as soon as they are whole.
pub(super) struct PackWriter {
    pack: Arc<Pack>,
    /// The file's temporary name; `None` for a file without one, which ends with the process.
    named: Option<NamedTempFile>,
    file: File,
    /// The bytes of whole objects.
    length: u64,
    listed: Vec<(ObjectKey, Summary, Vec<Block>)>,
    blocks: BlockWriter,
    bytes: Vec<u8>,
}

impl PackWriter {
    /// A pack without objects in `folder`; one that gets a name if `named` has the ends of its temporary one.
    pub(super) fn new(
        folder: &Path,
        named: Option<(&str, &str)>,
        coding: Coding,
    ) -> io::Result<Self> {
        let (named, file) = match named {
            Some((prefix, suffix)) => {
                let named = tempfile::Builder::new()
                    .prefix(prefix)
                    .suffix(suffix)
                    .tempfile_in(folder)?;
                // As long as it is written.
                named.as_file().lock()?;
                let file = named.as_file().try_clone()?;
                (Some(named), file)
            }
            None => (None, tempfile::tempfile_in(folder)?),
        };
        let pack = Pack {
            path: Mutex::new(None),
            file: OnceLock::from(Some(file.try_clone()?)),
            is_used: AtomicBool::new(true),
        };
        Ok(Self {
            pack: Arc::new(pack),
            named,
            file,
            length: 0,
            listed: Vec::new(),
            blocks: BlockWriter::new(coding),
            bytes: Vec::new(),
        })
    }

    /// The bytes of the objects in it.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// What collects the events of the present object.
    pub(super) fn blocks(&mut self) -> &mut BlockWriter {
        &mut self.blocks
    }

    /// Encodes the events that were collected. Their bytes are [written](Self::write) behind `object_bytes` of the same object.
    pub(super) fn encode(&mut self, object_bytes: u64) -> io::Result<Vec<Block>> {
        self.bytes.clear();
        let offset = self.length + object_bytes;
        self.blocks.finish(offset, &mut self.bytes)
    }

    /// Writes what was encoded at its offset.
    pub(super) fn write(&mut self, blocks: &[Block]) -> io::Result<()> {
        match blocks.first() {
            Some(first) => self.file.write_all_at(&self.bytes, first.offset),
            None => Ok(()),
        }
    }

    /// Adds an object whose blocks are written.
    pub(super) fn add(&mut self, key: ObjectKey, summary: Summary, blocks: Vec<Block>) -> Entry {
        self.length += blocks.iter().map(Block::bytes).sum::<u64>();
        if self.named.is_some() {
            self.listed.push((key, summary, blocks.clone()));
        }
        Entry {
            pack: Arc::clone(&self.pack),
            summary,
            blocks,
        }
    }

    /// Makes the file as long as it is with `bytes` more bytes of the present object or of the list, of which `object_bytes` were
    /// written, so that its length has what is written next.
    pub(super) fn extend(&self, object_bytes: u64, bytes: u64) -> io::Result<()> {
        self.file.set_len(self.length + object_bytes + bytes)
    }

    /// Ends the list of its objects; the bytes that it takes, 0 where there are no objects.
    pub(super) fn close(&mut self) -> io::Result<u64> {
        self.bytes.clear();
        if self.named.is_none() || self.listed.is_empty() {
            return Ok(0);
        }
        let list = serde_json::to_vec(&self.listed)?;
        let mut compressor = zstd::bulk::Compressor::new(1)?;
        compressor.include_checksum(true)?;
        self.bytes = compressor.compress(&list)?;
        let list_bytes = self.bytes.len() as u64;
        self.bytes.extend(list_bytes.to_le_bytes());
        self.bytes.extend(MAGIC);
        Ok(self.bytes.len() as u64)
    }

    /// Writes the list and gives the pack, which was [closed](Self::close), its name, `path`. A pack without objects gets none.
    pub(super) fn finish(mut self, path: &Path) -> io::Result<()> {
        let Some(named) = self.named.take().filter(|_| !self.listed.is_empty()) else {
            return Ok(());
        };
        // Behind the last whole object may be the beginning of another one.
        self.file.set_len(self.length)?;
        self.file.write_all_at(&self.bytes, self.length)?;
        named.persist(path).map_err(|error| error.error)?;
        let mut own = self
            .pack
            .path
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *own = Some(path.to_owned());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: Wanted = Wanted {
        times: true,
        messages: true,
        patterns: false,
    };

    fn summary() -> Summary {
        Summary {
            has_messages: true,
            is_checked: true,
            stray_lines: 1,
            backdated_events: 2,
            stamp: 3,
            patterns: PatternsKept::No,
        }
    }

    fn add(writer: &mut PackWriter, name: &str, messages: &[&str]) -> Entry {
        for (at, message) in (0..).zip(messages) {
            writer.blocks().push(at, Some(message), None, false);
        }
        let blocks = writer.encode(0).unwrap();
        writer.write(&blocks).unwrap();
        writer.add(ObjectKey::named(name), summary(), blocks)
    }

    fn text(entry: &Entry) -> Result<String, Damaged> {
        let (mut buffer, mut events) = (Vec::new(), Events::default());
        let mut text = String::new();
        for block in entry.blocks() {
            entry.read(block, BOTH, &mut buffer, &mut events)?;
            text += &events.text;
        }
        Ok(text)
    }

    #[test]
    fn a_pack_has_the_objects_that_were_added() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = PackWriter::new(folder.path(), Some((".", ".part")), Coding::Lz4).unwrap();
        let first = add(&mut writer, "a", &["one", "two"]);
        // An object that was given up leaves bytes that the next one overwrites.
        writer.blocks().push(7, Some("given up"), None, false);
        let blocks = writer.encode(0).unwrap();
        writer.write(&blocks).unwrap();
        add(&mut writer, "b", &["three"]);
        add(&mut writer, "empty", &[]);
        assert_eq!(text(&first).unwrap(), "onetwo");

        let path = folder.path().join("whole.columns");
        writer.close().unwrap();
        writer.finish(&path).unwrap();
        assert_eq!(first.pack().path(), Some(path.clone()));
        let listed = Pack::open(&path).unwrap();
        let keys: Vec<ObjectKey> = listed.iter().map(|(key, _)| *key).collect();
        assert_eq!(keys, ["a", "b", "empty"].map(ObjectKey::named));
        let texts = listed.iter().map(|(_, entry)| text(entry).unwrap());
        assert_eq!(texts.collect::<Vec<_>>(), ["onetwo", "three", ""]);
        assert!(listed.iter().all(|(_, entry)| entry.summary == summary()));
    }

    #[test]
    fn a_pack_that_is_cut_or_changed_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = PackWriter::new(folder.path(), Some((".", ".part")), Coding::Lz4).unwrap();
        add(&mut writer, "a", &["one", "two"]);
        let blocks = usize::try_from(writer.length()).unwrap();
        let path = folder.path().join("whole.columns");
        writer.close().unwrap();
        writer.finish(&path).unwrap();
        let whole = std::fs::read(&path).unwrap();
        for cut in 0..whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            assert!(Pack::open(&path).is_err(), "cut at {cut}");
        }
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 0x20;
            std::fs::write(&path, &changed).unwrap();
            match Pack::open(&path) {
                Ok(listed) => {
                    assert_eq!(listed[0].1.summary, summary());
                    // A bit of a frame's header may change nothing.
                    let is_as_before = text(&listed[0].1).map(|text| text == "onetwo");
                    assert!(is_as_before.unwrap_or(at < blocks), "changed at {at}");
                }
                Err(_) => assert!(at >= blocks, "changed at {at}"),
            }
        }
    }

    #[test]
    fn a_pack_without_objects_gets_no_name() {
        let folder = tempfile::tempdir().unwrap();
        let writer = PackWriter::new(folder.path(), Some((".", ".part")), Coding::Lz4).unwrap();
        writer.finish(&folder.path().join("empty.columns")).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
