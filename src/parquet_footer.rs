//! The footer of a Parquet file, checked before it is read. The reader of Parquet reserves memory for as many row groups as a
//! footer says that it has, and takes a part of the stack for each level of its columns: a damaged file of a hundred bytes could end
//! the process.

mod lengths;

use bytes::Bytes;
use parquet::DecodeResult;
use parquet::arrow::async_reader::MetadataFetch;
use parquet::errors::{ParquetError, Result};
use parquet::file::FOOTER_SIZE;
use parquet::file::metadata::{
    FooterTail, PageIndexPolicy, ParquetMetaData, ParquetMetaDataPushDecoder, ParquetMetaDataReader,
};

/// Reads the footer of a file of `size` bytes, and its page indexes as `pages` says. The first request is for `hint` bytes of its
/// end.
///
/// # Errors
/// Those of `fetch`; otherwise the file is no Parquet, or damaged.
pub async fn load(
    mut fetch: impl MetadataFetch,
    size: u64,
    hint: usize,
    pages: PageIndexPolicy,
) -> Result<ParquetMetaData> {
    let first = size.saturating_sub(hint.max(FOOTER_SIZE) as u64)..size;
    let mut end = fetch.fetch(first).await?;
    if let Err(ParquetError::NeedMoreData(more)) = check(&end, size) {
        end = fetch.fetch(size - more as u64..size).await?;
    }
    check(&end, size)?;
    let mut decoder = ParquetMetaDataPushDecoder::try_new(size)?.with_page_index_policy(pages);
    decoder.push_range(size - end.len() as u64..size, end)?;
    loop {
        match decoder.try_decode()? {
            DecodeResult::Data(metadata) => return Ok(metadata),
            DecodeResult::NeedsData(ranges) => {
                for range in ranges {
                    if range.end > size {
                        let what =
                            "its footer has the place of an index behind the end of the file";
                        return Err(ParquetError::General(what.to_owned()));
                    }
                    let bytes = fetch.fetch(range.clone()).await?;
                    decoder.push_range(range, bytes)?;
                }
            }
            DecodeResult::Finished => {
                return Err(ParquetError::General("its footer has no end".to_owned()));
            }
        }
    }
}

/// The footer in the last bytes of a file of `size` bytes, without page indexes.
///
/// # Errors
/// `NeedMoreData` with the number of bytes that the footer takes, where these are fewer; otherwise the file is no Parquet, or
/// damaged.
pub fn parse(end: &Bytes, size: u64) -> Result<ParquetMetaData> {
    check(end, size)?;
    let mut reader = ParquetMetaDataReader::new();
    reader.try_parse_sized(end, size)?;
    reader.finish()
}

fn check(end: &[u8], size: u64) -> Result<()> {
    let wrong = |what: &str| ParquetError::General(what.to_owned());
    let Some(tail) = end.last_chunk::<FOOTER_SIZE>() else {
        return Err(match size < FOOTER_SIZE as u64 {
            true => wrong("the file is shorter than the end of a footer"),
            false => ParquetError::NeedMoreData(FOOTER_SIZE),
        });
    };
    let tail = FooterTail::try_new(tail)?;
    let length = FOOTER_SIZE + tail.metadata_length();
    if length as u64 > size {
        return Err(wrong("its footer says that it is longer than the file"));
    }
    let Some(begin) = end.len().checked_sub(length) else {
        return Err(ParquetError::NeedMoreData(length));
    };
    match tail.is_encrypted_footer() {
        // The reader refuses it.
        true => Ok(()),
        false => lengths::check(&end[begin..end.len() - FOOTER_SIZE]).map_err(wrong),
    }
}

#[cfg(test)]
mod tests;
