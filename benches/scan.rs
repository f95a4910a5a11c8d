//! The parts of the scan, measured separately: inflating, finding events, making batches; and the functions that rewrite
//! messages.
//!
//! `cargo bench --bench scan`. To measure a change, run it before and after on the same machine.

use std::hint::black_box;
use std::io::Write;
use std::sync::Arc;

use arrow::array::{ArrayRef, StringViewBuilder};
use arrow::datatypes::{DataType, Field};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs};
use flate2::{Compression, write::GzEncoder};
use logtally::job::OriginColumns;
use logtally::query::functions::all;
use logtally::scan::batch::BatchBuilder;
use logtally::scan::events::{Event, PREFIX, Split, Splitter, TimestampReader};
use logtally::scan::inflate::{StreamInflater, WholeInflater};
use logtally::scan::source::file_schema;
use logtally::scan::text::ObjectText;

const EVENTS: i64 = 40_000;

/// The text of an object of Lambda logs: JSON, Lambda's own lines with their blank lines, and some stack traces.
fn text() -> Vec<u8> {
    let mut text = Vec::new();
    for n in 0..EVENTS {
        let ms = 1_695_168_000_000 + n * 37;
        let id = format!(
            "{:032x}",
            (n as u128).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)
        );
        let message = match n % 10 {
            0 => format!("START RequestId: {id} Version: $LATEST\n"),
            1 => format!("END RequestId: {id}\n"),
            2 => format!(
                "REPORT RequestId: {id}\tDuration: {}.25 ms\tBilled Duration: {} ms\tMemory Size: 512 MB\t\n",
                n % 900,
                n % 900 + 1
            ),
            3 if n % 100 == 3 => format!(
                "[ERROR]\t{id}\tunhandled\nTraceback:\n  File \"handler.py\", line 42\nValueError: 재고가 부족합니다\n"
            ),
            _ => format!(
                r#"{{"level":"INFO","message":"handled request","service":"checkout","function_request_id":"{id}","route":"/orders","status":200,"latency_ms":{}}}"#,
                n % 900
            ),
        };
        logtally::layout::cloudwatch::write_line(&mut text, ms, &message)
            .expect("a timestamp of our time");
    }
    text
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).expect("memory");
    encoder.finish().expect("memory")
}

fn each_event(text: &[u8], mut take: impl FnMut(Event)) {
    let mut splitter = Splitter::default();
    while let Split::Event(event) = splitter.next(text, true) {
        take(event);
    }
}

fn inflate(c: &mut Criterion) {
    let text = text();
    let compressed = gzip(&text);
    let mut group = c.benchmark_group("inflate");
    group.throughput(Throughput::Bytes(text.len() as u64));
    group.bench_function("whole object (libdeflate)", |b| {
        let mut inflater = WholeInflater::default();
        let mut out = Vec::with_capacity(text.len());
        b.iter(|| {
            out.clear();
            inflater.inflate(&mut black_box(&compressed[..]), &mut out)
        });
    });
    group.bench_function("stream (zlib-rs)", |b| {
        let mut out = Vec::with_capacity(1 << 20);
        b.iter(|| {
            let mut inflater = StreamInflater::default();
            let mut rest = &compressed[..];
            while !rest.is_empty() {
                out.clear();
                let taken = inflater
                    .inflate(black_box(rest), &mut out)
                    .expect("good data");
                rest = &rest[taken..];
            }
        });
    });
    group.finish();
}

fn split(c: &mut Criterion) {
    let text = text();
    let mut group = c.benchmark_group("events");
    group.throughput(Throughput::Elements(EVENTS as u64));
    let mut prefixes: Vec<[u8; PREFIX]> = Vec::new();
    each_event(&text, |event| {
        let prefix = text[..event.message.start].last_chunk();
        prefixes.push(*prefix.expect("a timestamp stands before the message"));
    });
    group.bench_function("read timestamps", |b| {
        b.iter(|| {
            let mut timestamps = TimestampReader::default();
            let read = |prefix| timestamps.read(prefix).expect("a timestamp");
            black_box(&prefixes)
                .iter()
                .map(read)
                .fold(0, i64::wrapping_add)
        });
    });
    group.bench_function("find and read timestamps", |b| {
        b.iter(|| {
            let mut sum = 0i64;
            each_event(black_box(&text), |event| {
                sum = sum.wrapping_add(event.timestamp_ms);
            });
            sum
        });
    });
    for (name, columns) in [
        ("batches of timestamps", &[0][..]),
        ("batches of timestamps and messages", &[0, 1]),
    ] {
        let schema = Arc::new(
            file_schema(chrono_tz::UTC, OriginColumns::default())
                .project(columns)
                .expect("both columns"),
        );
        let mut checked = ObjectText::with_capacity(text.len());
        checked.advance(0, &text);
        group.bench_function(name, |b| {
            b.iter(|| {
                let mut builder = BatchBuilder::new(Arc::clone(&schema), columns, 8192);
                let mut rows = 0;
                each_event(black_box(&text), |event| {
                    if builder.push(event.timestamp_ms, checked.message(event.message)) {
                        rows += builder.finish().expect("a batch").num_rows();
                    }
                });
                rows
            });
        });
    }
    group.finish();
}

/// The functions that rewrite every message, beside which the time of a scan stands.
fn rewrite(c: &mut Criterion) {
    let text = text();
    let mut messages = StringViewBuilder::new();
    each_event(&text, |event| {
        messages.append_value(String::from_utf8_lossy(&text[event.message]));
    });
    let messages: ArrayRef = Arc::new(messages.finish());
    let mut group = c.benchmark_group("messages");
    group.throughput(Throughput::Elements(EVENTS as u64));
    let functions = all(chrono_tz::UTC);
    for name in ["pattern", "pattern_id", "mask", "level"] {
        let function = functions
            .iter()
            .find(|function| function.name() == name)
            .expect("the function");
        let field = Arc::new(Field::new(name, DataType::Utf8View, true));
        group.bench_function(name, |b| {
            b.iter(|| {
                let arguments = ScalarFunctionArgs {
                    args: vec![ColumnarValue::Array(Arc::clone(&messages))],
                    arg_fields: vec![Arc::clone(&field)],
                    number_rows: messages.len(),
                    return_field: Arc::clone(&field),
                    config_options: Arc::default(),
                };
                function.invoke_with_args(arguments).expect("texts")
            });
        });
    }
    group.finish();
}

criterion_group!(benches, inflate, split, rewrite);
criterion_main!(benches);
