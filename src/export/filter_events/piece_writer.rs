//! The events of a piece, collected by stream and put as gzip objects.

use std::collections::BTreeMap;
use std::io::Write;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;

use crate::error::{Class, Error, Result};
use crate::export::service::LogEvent;
use crate::layout;
use crate::numbers::counted;
use crate::store::{Body, Condition, Store};

/// Text is compressed once there is this much of it.
const MOST_TEXT: usize = 16 << 20;

/// Objects are put before the end of the piece once their compressed text is this large.
const MOST_COMPRESSED: usize = 32 << 20;

/// Objects put at the same time.
const PUTS_AT_ONCE: usize = 16;

/// Collects the events of a piece by stream and puts them as objects, in memory that does not grow with the streams.
pub struct PieceWriter<'a> {
    store: &'a Store,
    attempt: &'a Path,
    folder: &'a str,
    /// By the streams' names in keys: names that differ only in a slash and a hyphen share objects.
    streams: Streams,
    /// How many objects of a stream have been put.
    numbers: BTreeMap<String, usize>,
    keys: Vec<String>,
}

/// Exported lines of each stream.
#[derive(Default)]
struct Streams {
    by_name: BTreeMap<String, StreamText>,
    text: usize,
    compressed: usize,
}

#[derive(Default)]
struct StreamText {
    text: Vec<u8>,
    /// Whole gzip members.
    compressed: Vec<u8>,
}

impl<'a> PieceWriter<'a> {
    /// A writer to a folder of an attempt.
    pub fn new(store: &'a Store, attempt: &'a Path, folder: &'a str) -> Self {
        Self {
            store,
            attempt,
            folder,
            streams: Streams::default(),
            numbers: BTreeMap::new(),
            keys: Vec::new(),
        }
    }

    /// Adds an event.
    pub fn add(&mut self, event: &LogEvent) -> Result<()> {
        self.streams.add(event)
    }

    /// Compresses the text, and puts objects, where too much of them is in memory.
    pub async fn shrink(&mut self) -> Result<()> {
        if self.streams.text >= MOST_TEXT {
            self.streams = std::mem::take(&mut self.streams).compressed().await?;
        }
        if self.streams.compressed >= MOST_COMPRESSED {
            self.put().await?;
        }
        Ok(())
    }

    /// Puts the remaining events. Returns the keys of all objects, relative to the attempt.
    pub async fn finish(mut self) -> Result<Vec<String>> {
        self.put().await?;
        self.keys.sort();
        Ok(self.keys)
    }

    async fn put(&mut self) -> Result<()> {
        let streams = std::mem::take(&mut self.streams).compressed().await?;
        let mut objects = Vec::with_capacity(streams.by_name.len());
        for (stream, text) in streams.by_name {
            let number = self.numbers.entry(stream.clone()).or_default();
            let key =
                layout::cloudwatch::exported_object(self.attempt, self.folder, &stream, *number);
            *number += 1;
            self.keys.push(layout::relative(self.attempt, &key));
            objects.push((key, Body::Bytes(Bytes::from(text.compressed))));
        }
        let store = self.store;
        futures::stream::iter(objects)
            .map(|(key, body)| async move {
                store
                    .put_if(&key, body, "application/gzip", &Condition::Absent)
                    .await
            })
            .buffer_unordered(PUTS_AT_ONCE)
            .try_for_each(|_| futures::future::ready(Ok(())))
            .await
    }
}

impl Streams {
    fn add(&mut self, event: &LogEvent) -> Result<()> {
        let name = layout::cloudwatch::exported_stream(&event.log_stream);
        let stream = self.by_name.entry(name).or_default();
        let before = stream.text.len();
        layout::lines::write_event(&mut stream.text, event.timestamp_ms, &event.message)
            .map_err(|error| error.during(format!("an event of {}", event.log_stream)))?;
        self.text += stream.text.len() - before;
        Ok(())
    }

    /// Compresses all text, each stream's into a further gzip member.
    async fn compressed(mut self) -> Result<Self> {
        let what = format!(
            "can't compress the events of {}",
            counted(self.by_name.len() as u64, "log stream")
        );
        let failed = |error: Box<dyn std::error::Error + Send + Sync>| {
            Error::new(Class::Unexpected, what.clone()).caused_by(error)
        };
        // Seconds of work: not on a thread that drives requests.
        tokio::task::spawn_blocking(move || {
            let streams = self.by_name.values_mut();
            for stream in streams.filter(|stream| !stream.text.is_empty()) {
                let before = stream.compressed.len();
                let out = std::mem::take(&mut stream.compressed);
                let mut member = GzEncoder::new(out, Compression::default());
                member.write_all(&std::mem::take(&mut stream.text))?;
                stream.compressed = member.finish()?;
                self.compressed += stream.compressed.len() - before;
            }
            self.text = 0;
            Ok(self)
        })
        .await
        .map_err(|error| failed(error.into()))?
        .map_err(|error: std::io::Error| failed(error.into()))
    }
}
