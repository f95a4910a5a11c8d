//! Files of other sizes than their footers, and footers that are damaged at any place.

use std::ops::Range;
use std::sync::{Arc, Mutex};

use arrow::array::{Int64Array, RecordBatch, StructArray};
use arrow::datatypes::{DataType, Field};
use futures::FutureExt;
use futures::future::BoxFuture;
use parquet::arrow::ArrowWriter;
use proptest::prelude::*;

use super::*;

/// A file of three rows and a column in a column.
fn file() -> Bytes {
    let numbers = Arc::new(Int64Array::from(vec![1, 2, 3]));
    let inner = Arc::new(Field::new("b", DataType::Int64, false));
    let outer = StructArray::from(vec![(inner, numbers as _)]);
    let batch = RecordBatch::try_from_iter([("a", Arc::new(outer) as _)]).unwrap();
    let mut written = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut written, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    written.into()
}

/// A file in memory, with the ranges that were requested.
#[derive(Clone, Default)]
struct Requested {
    file: Bytes,
    ranges: Arc<Mutex<Vec<Range<u64>>>>,
}

impl MetadataFetch for Requested {
    fn fetch(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes>> {
        self.ranges.lock().unwrap().push(range.clone());
        let bytes = self.file.slice(range.start as usize..range.end as usize);
        async move { Ok(bytes) }.boxed()
    }
}

fn loaded(file: &Bytes, hint: usize, pages: PageIndexPolicy) -> (Result<ParquetMetaData>, usize) {
    let requested = Requested {
        file: file.clone(),
        ..Requested::default()
    };
    let size = file.len() as u64;
    let read = load(requested.clone(), size, hint, pages).now_or_never();
    let requests = requested.ranges.lock().unwrap().len();
    (read.unwrap(), requests)
}

#[test]
fn a_footer_takes_one_request_or_two() {
    let file = file();
    for (hint, requests) in [(1 << 16, 1), (100, 2), (8, 2), (0, 2)] {
        let (read, made) = loaded(&file, hint, PageIndexPolicy::Skip);
        assert_eq!(read.unwrap().file_metadata().num_rows(), 3, "{hint}");
        assert_eq!(made, requests, "{hint}");
    }
    let (read, _) = loaded(&file, 8, PageIndexPolicy::Required);
    assert!(read.unwrap().offset_index().is_some());
}

#[test]
fn what_is_no_parquet_is_an_error() {
    let cut = file().slice(..50);
    for wrong in [
        &b""[..],
        b"PAR1",
        b"no parquet at all",
        b"\xff\xff\xff\x7fPAR1",
        &cut,
    ] {
        let wrong = Bytes::copy_from_slice(wrong);
        assert!(loaded(&wrong, 1 << 16, PageIndexPolicy::Skip).0.is_err());
        assert!(loaded(&wrong, 0, PageIndexPolicy::Optional).0.is_err());
        assert!(parse(&wrong, wrong.len() as u64).is_err());
    }
}

#[test]
fn the_end_of_a_file_says_how_much_is_missing() {
    let file = file();
    let size = file.len() as u64;
    let Err(ParquetError::NeedMoreData(wanted)) = parse(&file.slice(file.len() - 8..), size) else {
        panic!("the whole footer in eight bytes");
    };
    let read = parse(&file.slice(file.len() - wanted..), size).unwrap();
    assert_eq!(read.file_metadata().num_rows(), 3);
}

proptest! {
    #[test]
    fn a_footer_with_any_bytes_replaced_is_read_or_refused(
        replaced in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut file = file().to_vec();
        let places = file.len() - 8;
        for (place, byte) in replaced {
            let place = place.index(places);
            file[place] = byte;
        }
        let file = Bytes::from(file);
        let _ = parse(&file, file.len() as u64);
        let _ = loaded(&file, 1 << 16, PageIndexPolicy::Optional);
    }
}
