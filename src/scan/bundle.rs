//! Objects that the engine opens as one file: a Lambda function leaves thousands of objects of a few kilobytes, and the
//! engine's own work for each file and each batch costs more than reading them.

use std::sync::Arc;

use arrow::array::RecordBatch;
use chrono::DateTime;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::error::Result;
use object_store::{ObjectMeta, ObjectStore};

use super::batch::BatchBuilder;
use super::budget::Claim;
use super::columns::reader::KeptReader;
use super::columns::{Damaged, KeptObjects, Reads, Wanted};
use super::delivered::object::DeliveredReader;
use super::delivered::parquet::RowReader;
use super::fetch::{Content, ObjectFetcher};
use super::object::{Counts, EventFilter, FillOutcome, ObjectName, ObjectReader, read_error};
use super::record_object::{Deduplication, RecordReader};
use crate::error::{Class, Error};
use crate::job::RecordShape;
use crate::layout::cloudwatch::{LogObject, ObjectFormat};
use crate::window::Range;

/// The most compressed bytes of a bundle. A larger object is a bundle of its own.
const MOST_BYTES: u64 = 1 << 20;

/// Bundles for each partition, where there are enough objects, so that all partitions end at about the same time.
const FOR_EACH_PARTITION: u64 = 16;

/// One or more objects of a table's list, in the order in which they are read.
#[derive(Debug, Clone)]
pub(super) struct Bundle {
    pub(super) objects: Arc<Vec<LogObject>>,
    /// Their places in the list.
    pub(super) numbers: Arc<[u32]>,
}

impl Bundle {
    /// The bundle of a file that the engine opens. An error where the file has none, or is only a part of one: read as
    /// the object that it is named by, it would have too few or too many events.
    pub(super) fn of(file: &PartitionedFile) -> Result<Self> {
        let wrong = |what: String| {
            let location = &file.object_meta.location;
            let message = format!("the scan's file {location} {what}");
            Err(Error::new(Class::Unexpected, message).into())
        };
        match (file.extension::<Self>(), &file.range) {
            (Some(bundle), None) => Ok(bundle.clone()),
            (_, Some(range)) => wrong(format!(
                "has the byte range {}..{}: expected whole files, since gzip can't be read from the middle",
                range.start, range.end
            )),
            (None, None) => wrong(
                "has no list of its objects: expected the files that the table `logs` planned, with their extensions"
                    .to_owned(),
            ),
        }
    }

    /// The places of its objects in the table's list.
    pub(super) fn numbers(&self) -> &[u32] {
        &self.numbers
    }

    /// Its objects.
    pub(super) fn members(&self) -> impl Iterator<Item = &LogObject> {
        let number = |number: &u32| &self.objects[*number as usize];
        self.numbers.iter().map(number)
    }

    /// The bundle as a file of the engine, with the size of all its objects.
    pub(super) fn into_file(self) -> PartitionedFile {
        let size = self.members().map(|object| object.size).sum();
        let location = self.members().next().map(LogObject::key);
        let meta = ObjectMeta {
            location: location.unwrap_or_default(),
            last_modified: DateTime::UNIX_EPOCH,
            size,
            e_tag: None,
            version: None,
        };
        PartitionedFile::new_from_meta(meta).with_extension(self)
    }
}

/// Joins neighbours among the objects with these `numbers`, as far as enough bundles for the partitions remain.
pub(super) fn bundles(
    objects: &Arc<Vec<LogObject>>,
    numbers: &[u32],
    partitions: usize,
) -> Vec<Bundle> {
    let size = |number: &u32| objects[*number as usize].size;
    let bytes: u64 = numbers.iter().map(size).sum();
    let most = (bytes / (partitions as u64 * FOR_EACH_PARTITION)).min(MOST_BYTES);
    let mut bundles = Vec::new();
    let mut rest = numbers;
    while let Some((first, behind)) = rest.split_first() {
        let mut bytes = size(first);
        let joined = behind.iter().take_while(|number| {
            bytes += size(number);
            bytes <= most
        });
        let (together, others) = rest.split_at(1 + joined.count());
        bundles.push(Bundle {
            objects: Arc::clone(objects),
            numbers: together.into(),
        });
        rest = others;
    }
    bundles
}

/// Each object as a bundle of its own.
pub(super) fn single(objects: &Arc<Vec<LogObject>>, numbers: &[u32]) -> Vec<Bundle> {
    let alone = numbers.iter().map(|number| Bundle {
        objects: Arc::clone(objects),
        numbers: Arc::new([*number]),
    });
    alone.collect()
}

/// How the objects of a scan are read.
pub(super) struct Reading {
    pub(super) objects: Arc<dyn ObjectStore>,
    /// The text before a key in messages, `s3://bucket/` or `/`.
    pub(super) place: Arc<str>,
    pub(super) filter: EventFilter,
    pub(super) claim: Arc<Claim>,
    pub(super) fetcher: Arc<ObjectFetcher>,
    pub(super) counts: Counts,
    /// The columns that the batches have.
    pub(super) wanted: Wanted,
    /// What is kept of the table's objects, where that may be used.
    pub(super) kept: Option<Arc<KeptObjects>>,
    /// Whether columns of the objects that are read are kept.
    pub(super) keeps: bool,
    /// Which events of subscriptions came twice, where the table has such objects.
    pub(super) duplicates: Option<Deduplication>,
    /// How delivered objects have their events.
    pub(super) shape: Arc<RecordShape>,
}

/// An object that is open.
enum OpenObject {
    /// Its text.
    Text(Box<ObjectReader>),
    /// Its columns, as they were kept.
    Kept(Box<KeptReader>),
    /// The records of a subscription.
    Records(Box<RecordReader>),
    /// The lines of delivered logs.
    Lines(Box<DeliveredReader>),
    /// The rows of delivered logs.
    Rows(Box<RowReader>),
}

impl Reading {
    /// Opens the object at `number` of the table's list.
    async fn open(&self, number: u32, object: &LogObject) -> Result<OpenObject> {
        self.claim.open();
        match object.format {
            ObjectFormat::Export => {}
            ObjectFormat::Records | ObjectFormat::Messages { .. } => {
                let reader = self.open_records(number, object).await?;
                return Ok(OpenObject::Records(Box::new(reader)));
            }
            ObjectFormat::Delivered => {
                let reader = self.open_lines(number, object).await?;
                return Ok(OpenObject::Lines(Box::new(reader)));
            }
            ObjectFormat::DeliveredRows => {
                let reader = self.open_rows(number, object).await?;
                return Ok(OpenObject::Rows(Box::new(reader)));
            }
        }
        let filter = self.filter_of(object);
        let needs = KeptReader::needs(&filter, self.wanted);
        let all = self.kept.as_ref();
        if let Some(kept) = all.and_then(|all| all.find(number as usize, object, needs)) {
            let all = all.filter(|_| self.keeps && self.wanted.patterns);
            let keeper = all.and_then(|all| all.keeper_of_patterns(&kept, &self.claim));
            let reader = KeptReader::new(
                kept,
                &self.name_of(object),
                number as usize,
                (filter, self.wanted),
                object.size,
                self.counts.clone(),
            );
            return Ok(OpenObject::Kept(Box::new(reader.keeping(keeper))));
        }
        let reader = self.open_text(number, object, 0).await?;
        Ok(OpenObject::Text(Box::new(reader)))
    }

    /// Opens the object's text. Other readers have made rows of the first `done` events.
    async fn open_text(&self, number: u32, object: &LogObject, done: u64) -> Result<ObjectReader> {
        let meta = object.meta();
        let name = self.name_of(object);
        let filter = self.filter_of(object);
        let kept = self.kept.as_ref().filter(|_| self.keeps);
        let keeper = kept.and_then(|kept| {
            let number = number as usize;
            let reads = Reads {
                messages: filter.messages,
                patterns: self.wanted.patterns,
            };
            kept.keeper(number, object, reads, &self.claim)
        });
        let content = self.fetch(&name, number, &meta).await?;
        let reader = ObjectReader::new(
            name,
            number as usize,
            filter,
            meta.size,
            content,
            &self.claim,
            self.counts.clone(),
        );
        Ok(reader.keeping(keeper).behind(done))
    }

    /// Opens an object of a subscription.
    async fn open_records(&self, number: u32, object: &LogObject) -> Result<RecordReader> {
        let meta = object.meta();
        let name = self.name_of(object);
        let duplicates = self.duplicates(&name)?;
        let content = self.fetch(&name, number, &meta).await?;
        Ok(RecordReader::new(
            (name, number),
            self.filter_of(object),
            (meta.size, content),
            object.format,
            &self.claim,
            self.counts.clone(),
            duplicates,
        ))
    }

    /// Opens an object of delivered logs.
    async fn open_lines(&self, number: u32, object: &LogObject) -> Result<DeliveredReader> {
        let meta = object.meta();
        let name = self.name_of(object);
        let duplicates = self.duplicates(&name)?;
        let content = self.fetch(&name, number, &meta).await?;
        Ok(DeliveredReader::new(
            (name, number),
            self.filter_of(object),
            (meta.size, content),
            (&self.shape, object.log_group.clone()),
            &self.claim,
            self.counts.clone(),
            duplicates,
        ))
    }

    /// Opens an object of delivered logs that is a Parquet file.
    async fn open_rows(&self, number: u32, object: &LogObject) -> Result<RowReader> {
        let name = self.name_of(object);
        let duplicates = self.duplicates(&name)?;
        let filter = EventFilter {
            // Texts are UTF-8 by their type, so that none is read only to count those that are not.
            messages: self.wanted.messages,
            ..self.filter_of(object)
        };
        RowReader::open(
            &self.objects,
            object.meta(),
            (name, number),
            filter,
            (&self.shape, object.log_group.clone()),
            self.counts.clone(),
            &duplicates.ids,
        )
        .await
    }

    async fn fetch(&self, name: &ObjectName, number: u32, meta: &ObjectMeta) -> Result<Content> {
        let fetched = self.fetcher.fetch(&self.objects, number, meta).await;
        fetched.map_err(|error| read_error(name, error))
    }

    fn duplicates(&self, name: &ObjectName) -> Result<Deduplication> {
        let duplicates = self.duplicates.clone().ok_or_else(|| {
            let message = format!("the scan of {name} has no ids of events");
            Error::new(Class::Unexpected, message)
        })?;
        Ok(duplicates)
    }

    fn name_of(&self, object: &LogObject) -> ObjectName {
        ObjectName {
            place: Arc::clone(&self.place),
            key: object.key(),
        }
    }

    fn filter_of(&self, object: &LogObject) -> EventFilter {
        let range = object.range.unwrap_or(Range::ALL);
        EventFilter {
            window: self.filter.window.intersect(range),
            rows: self.filter.rows.intersect(range),
            requested: object.requested.as_deref().copied().unwrap_or(Range::ALL),
            ..self.filter
        }
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        if let Some(kept) = &self.kept {
            kept.publish();
        }
    }
}

/// A bundle on its way to batches, which may have events of several of its objects.
pub(super) struct BundleReader {
    reading: Arc<Reading>,
    bundle: Bundle,
    /// The number of its objects that were opened.
    opened: usize,
    current: Option<OpenObject>,
    batch: BatchBuilder,
}

impl BundleReader {
    /// A reader that has not opened anything yet.
    pub(super) fn new(reading: Arc<Reading>, bundle: Bundle, batch: BatchBuilder) -> Self {
        Self {
            reading,
            bundle,
            opened: 0,
            current: None,
            batch,
        }
    }

    /// The next batch; `None` behind the last one.
    pub(super) async fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if let Some(object) = self.current.take() {
                let (outcome, object) = self.fill(object).await?;
                if outcome == FillOutcome::Batch {
                    self.current = Some(object);
                    return Ok(Some(self.batch.finish()?));
                }
            }
            let Some(number) = self.bundle.numbers.get(self.opened) else {
                return match self.batch.is_empty() {
                    true => Ok(None),
                    false => Ok(Some(self.batch.finish()?)),
                };
            };
            self.opened += 1;
            let object = &self.bundle.objects[*number as usize];
            self.batch.begin(object);
            self.current = Some(self.reading.open(*number, object).await?);
        }
    }

    /// Adds events of an object to the batch. Where its kept columns are damaged, its text is read from there on.
    async fn fill(&mut self, object: OpenObject) -> Result<(FillOutcome, OpenObject)> {
        let mut text = match object {
            OpenObject::Records(mut reader) => {
                let outcome = reader.fill(&mut self.batch).await?;
                return Ok((outcome, OpenObject::Records(reader)));
            }
            OpenObject::Lines(mut reader) => {
                let outcome = reader.fill(&mut self.batch).await?;
                return Ok((outcome, OpenObject::Lines(reader)));
            }
            OpenObject::Rows(mut reader) => {
                let outcome = reader.fill(&mut self.batch).await?;
                return Ok((outcome, OpenObject::Rows(reader)));
            }
            OpenObject::Text(reader) => reader,
            OpenObject::Kept(mut reader) => match reader.fill(&mut self.batch).await {
                Ok(outcome) => return Ok((outcome, OpenObject::Kept(reader))),
                Err(Damaged) => {
                    let done = reader.done();
                    reader.forget();
                    let number = self.bundle.numbers[self.opened - 1];
                    let object = &self.bundle.objects[number as usize];
                    Box::new(self.reading.open_text(number, object, done).await?)
                }
            },
        };
        let outcome = text.fill(&mut self.batch).await?;
        Ok((outcome, OpenObject::Text(text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn objects(sizes: impl IntoIterator<Item = u64>) -> (Arc<Vec<LogObject>>, Vec<u32>) {
        let object = |size| {
            let meta = ObjectMeta {
                location: format!("t/a/{size:06}.gz").into(),
                last_modified: DateTime::UNIX_EPOCH,
                size,
                e_tag: None,
                version: None,
            };
            LogObject::new(&meta, None).unwrap()
        };
        let objects: Vec<LogObject> = sizes.into_iter().map(object).collect();
        let numbers = (0..objects.len() as u32).collect();
        (Arc::new(objects), numbers)
    }

    fn sizes(bundles: &[Bundle]) -> Vec<Vec<u64>> {
        let sizes = |bundle: &Bundle| bundle.members().map(|object| object.size).collect();
        bundles.iter().map(sizes).collect()
    }

    #[test]
    fn a_file_without_its_objects_or_with_a_byte_range_is_refused() {
        let (objects, numbers) = objects([10, 20]);
        let bundle = Bundle {
            objects,
            numbers: numbers.into(),
        };
        let file = bundle.into_file();
        let refusal = |file: &PartitionedFile| {
            let error = Error::from_engine(Bundle::of(file).unwrap_err());
            assert_eq!(error.class(), Class::Unexpected);
            error.to_string()
        };
        assert_eq!(file.object_meta.size, 30);
        assert_eq!(sizes(&[Bundle::of(&file).unwrap()]), [[10, 20]]);
        // As a codec would make it that does not know the extension.
        let bare = PartitionedFile::new_from_meta(file.object_meta.clone());
        let told = refusal(&bare);
        assert!(
            told.contains("t/a/000010.gz has no list of its objects"),
            "{told}"
        );
        // As an engine would make it that splits files.
        for part in [file.clone().with_range(0, 15), bare.with_range(15, 30)] {
            let told = refusal(&part);
            assert!(told.contains("has the byte range"), "{told}");
        }
    }

    #[test]
    fn small_neighbours_are_joined_and_there_stay_enough_bundles() {
        let (objects, numbers) = objects([100; 3200]);
        let joined = bundles(&objects, &numbers, 2);
        assert_eq!(sizes(&joined), vec![vec![100; 100]; 32]);
        assert_eq!(bundles(&objects, &numbers[..20], 2).len(), 20);
        assert!(bundles(&objects, &[], 2).is_empty());
        assert_eq!(single(&objects, &numbers).len(), 3200);
    }

    #[test]
    fn large_objects_stay_alone_and_those_that_are_not_read_are_left_out() {
        let mixed = [10, 10, MOST_BYTES, 10, 10, 10];
        let (objects, mut numbers) = objects(mixed.into_iter().chain([MOST_BYTES; 40]));
        numbers.remove(4);
        let joined = bundles(&objects, &numbers, 1);
        assert_eq!(
            sizes(&joined)[..4],
            [
                vec![10, 10],
                vec![MOST_BYTES],
                vec![10, 10],
                vec![MOST_BYTES]
            ]
        );
    }
}
