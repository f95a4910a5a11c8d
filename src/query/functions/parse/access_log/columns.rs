//! The struct of `parse_access_log`, column by column.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanBufferBuilder, StringViewArray, StructArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{
    DataType, Field, Fields, Float64Type, Int32Type, Int64Type, TimestampMillisecondType,
};
use datafusion::common::Result;

use super::AccessLine;
use crate::query::functions::number_column::NumberColumn;
use crate::query::functions::text_column::TextColumn;
use crate::query::functions::time::instants_in;
use crate::window::local_clock::LocalClock;

/// Takes a text out of a line.
type TakeText = for<'l, 'a> fn(&'l mut AccessLine<'a>) -> Option<Cow<'a, str>>;

/// The texts among the members, in the struct's order.
const TEXTS: [(&str, TakeText); 11] = [
    ("client", |line| line.client.take()),
    ("user", |line| line.user.take()),
    ("method", |line| line.method.take()),
    ("host", |line| line.host.take()),
    ("path", |line| line.path.take()),
    ("query", |line| line.query.take()),
    ("protocol", |line| line.protocol.take()),
    ("referer", |line| line.referer.take()),
    ("user_agent", |line| line.user_agent.take()),
    ("forwarded_for", |line| line.forwarded_for.take()),
    ("request_id", |line| line.request_id.take()),
];

/// The type of what `parse_access_log` returns in a session of a zone.
pub(in super::super) fn access_type(zone: &Arc<str>) -> DataType {
    DataType::Struct(fields(zone))
}

fn fields(zone: &Arc<str>) -> Fields {
    let field = |name: &str, data_type| Field::new(name, data_type, true);
    let numbers = [
        field("timestamp", instants_in(zone)),
        field("status", DataType::Int32),
        field("bytes", DataType::Int64),
        field("request_ms", DataType::Float64),
    ];
    let texts = TEXTS
        .iter()
        .map(|(name, _)| field(name, DataType::Utf8View));
    numbers.into_iter().chain(texts).collect()
}

/// A struct for each message, NULL for those that are no line of an access log.
pub(in super::super) fn lines(
    messages: &StringViewArray,
    zone: &Arc<str>,
    clock: &mut LocalClock,
) -> Result<ArrayRef> {
    let rows = messages.len();
    let mut times = NumberColumn::<TimestampMillisecondType>::new(rows);
    let mut status = NumberColumn::<Int32Type>::new(rows);
    let mut bytes = NumberColumn::<Int64Type>::new(rows);
    let mut request_ms = NumberColumn::<Float64Type>::new(rows);
    let mut texts: [TextColumn; TEXTS.len()] = std::array::from_fn(|_| TextColumn::new(messages));
    let mut validity = BooleanBufferBuilder::new(rows);
    validity.append_n(rows, false);
    for (row, message) in messages.iter().enumerate() {
        let Some(mut line) = message.and_then(AccessLine::parse) else {
            continue;
        };
        validity.set_bit(row, true);
        let time = line.time.take();
        times.set(row, time.and_then(|time| time.instant_ms(clock, None)));
        status.set(row, line.status);
        bytes.set(row, line.bytes);
        request_ms.set(row, line.request_ms);
        for (column, (_, text)) in texts.iter_mut().zip(TEXTS) {
            if let Some(text) = text(&mut line) {
                column.set(row, text);
            }
        }
    }
    let times = times.finish().with_timezone(Arc::clone(zone));
    let mut columns: Vec<ArrayRef> = vec![
        Arc::new(times),
        Arc::new(status.finish()),
        Arc::new(bytes.finish()),
        Arc::new(request_ms.finish()),
    ];
    for column in texts {
        columns.push(Arc::new(column.finish()?));
    }
    let nulls = NullBuffer::new(validity.finish());
    let lines = StructArray::try_new(fields(zone), columns, Some(nulls))?;
    Ok(Arc::new(lines))
}
