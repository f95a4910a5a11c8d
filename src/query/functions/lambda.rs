//! `lambda_report(message)`: what Lambda measured of an invocation, out of its REPORT line.
//!
//! Lambda writes a report after each invocation, as text or as JSON after the function's log format, and both can be
//! mixed in one stream:
//! ```text
//! REPORT RequestId: 3604…⇥Duration: 469.40 ms⇥Billed Duration: 500 ms⇥Memory Size: 1024 MB⇥Max Memory Used: 21 MB⇥
//! XRAY TraceId: 1-5e34…⇥SegmentId: 07f0…⇥Sampled: true⇥
//!
//! {"time":"…","type":"platform.report","record":{"requestId":"3604…","status":"success","metrics":{"durationMs":469.4,…}}}
//! ```
//! The JSON form is that of the
//! [Telemetry API](https://docs.aws.amazon.com/lambda/latest/dg/telemetry-schema-reference.html#platform-report).

use super::ids::trace_root;
use super::json::{Members, Value};
use super::message::beginning;
use super::number_column::NumberColumn;
use super::text_column::TextColumn;
use arrow::array::{
    Array, ArrayRef, BooleanArray, BooleanBufferBuilder, StringViewArray, StructArray,
};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::datatypes::{DataType, Field, Fields, Float64Type, Int64Type};
use arrow::error::ArrowError;
use memchr::{memchr2_iter, memmem};
use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

const TEXT_REPORT: &str = "REPORT RequestId: ";
const JSON_REPORT: &str = "platform.report";

/// The fields of the text form behind the request id.
const NAMES: [&str; 12] = [
    "Duration",
    "Billed Duration",
    "Memory Size",
    "Max Memory Used",
    "Init Duration",
    "Restore Duration",
    "Billed Restore Duration",
    "Status",
    "Error Type",
    "XRAY TraceId",
    "SegmentId",
    "Sampled",
];

static FIND_JSON_REPORT: LazyLock<memmem::Finder> =
    LazyLock::new(|| memmem::Finder::new(JSON_REPORT));

static FIELDS: LazyLock<Fields> = LazyLock::new(|| {
    let field = |name, data_type| Field::new(name, data_type, true);
    Fields::from(vec![
        field("request_id", DataType::Utf8View),
        field("duration_ms", DataType::Float64),
        field("billed_ms", DataType::Int64),
        field("memory_mb", DataType::Int64),
        field("max_memory_mb", DataType::Int64),
        field("init_ms", DataType::Float64),
        field("restore_ms", DataType::Float64),
        field("status", DataType::Utf8View),
        field("error_type", DataType::Utf8View),
        field("trace_id", DataType::Utf8View),
    ])
});

/// Lambda's report of an invocation; what it does not say, or says malformed, is `None`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Report<'a> {
    /// The id of the invocation.
    pub request_id: Option<Cow<'a, str>>,
    /// The time that the function ran.
    pub duration_ms: Option<f64>,
    /// Whole milliseconds.
    pub billed_ms: Option<i64>,
    /// The memory that the function is configured with.
    pub memory_mb: Option<i64>,
    /// The most memory that it used.
    pub max_memory_mb: Option<i64>,
    /// Only of a cold start.
    pub init_ms: Option<f64>,
    /// Only of a start from a snapshot.
    pub restore_ms: Option<f64>,
    /// `timeout`, `error` and so on; in the text form only where the invocation failed.
    pub status: Option<Cow<'a, str>>,
    /// The error's type, such as `Runtime.ExitError`.
    pub error_type: Option<Cow<'a, str>>,
    /// Only where X-Ray traces the function.
    pub trace_id: Option<Cow<'a, str>>,
}

impl Report<'static> {
    /// The names of its members in SQL.
    pub fn members() -> Vec<&'static str> {
        FIELDS.iter().map(|field| field.name().as_str()).collect()
    }
}

impl<'a> Report<'a> {
    /// Reads a message, if it is a report.
    #[inline]
    pub fn parse(message: &'a str) -> Option<Self> {
        match Form::of(message)? {
            Form::Text(text) => Some(Self::of_text(text)),
            Form::Json(message) => Self::of_json(message),
        }
    }

    /// Whether [`parse`](Self::parse) would answer anything.
    #[inline]
    pub fn is_report(message: &str) -> bool {
        match Form::of(message) {
            Some(Form::Text(_)) => true,
            Some(Form::Json(message)) => Report::of_json(message).is_some(),
            None => false,
        }
    }

    /// Reads the text form, from the request id on.
    fn of_text(text: &'a str) -> Self {
        let mut report = Report::default();
        let mut start = 0;
        for end in memchr2_iter(b'\t', b'\n', text.as_bytes()).chain([text.len()]) {
            let field = text[start..end].trim_ascii();
            if start == 0 {
                report.set_first(field);
            } else if let Some((name, value)) = field.split_once(':') {
                report.set(name, value.trim_ascii());
            }
            start = end + 1;
        }
        report
    }

    /// The request id; and the other fields too where something between Lambda and here has made spaces of the tabs.
    fn set_first(&mut self, field: &'a str) {
        let Some((id, fields)) = field.split_once(' ') else {
            self.request_id = present(field);
            return;
        };
        self.request_id = present(id);
        let mut rest = fields.trim_ascii_start();
        while let Some((name, behind)) = rest.split_once(':') {
            let end = (1..behind.len())
                .filter(|place| behind.as_bytes()[place - 1] == b' ')
                .find(|place| {
                    NAMES
                        .iter()
                        .any(|name| begins_with_field(&behind[*place..], name))
                })
                .unwrap_or(behind.len());
            self.set(name, behind[..end].trim_ascii());
            rest = &behind[end..];
        }
    }

    fn set(&mut self, name: &str, value: &'a str) {
        match name {
            "Duration" => self.duration_ms = milliseconds(value),
            "Billed Duration" => self.billed_ms = whole(value, " ms"),
            "Memory Size" => self.memory_mb = whole(value, " MB"),
            "Max Memory Used" => self.max_memory_mb = whole(value, " MB"),
            "Init Duration" => self.init_ms = milliseconds(value),
            "Restore Duration" => self.restore_ms = milliseconds(value),
            "Status" => self.status = present(value),
            "Error Type" => self.error_type = present(value),
            "XRAY TraceId" => self.trace_id = present(value),
            _ => {}
        }
    }

    fn of_json(message: &'a str) -> Option<Self> {
        let mut is_report = false;
        let mut record = None;
        for (key, value) in Members::of(message) {
            match &*key.decoded().unwrap_or_default() {
                "type" => is_report = value.text().as_deref() == Some(JSON_REPORT),
                "record" => record = Some(value),
                _ => {}
            }
        }
        is_report.then(|| record.map(Self::of_record).unwrap_or_default())
    }

    fn of_record(record: Value<'a>) -> Self {
        let mut report = Report::default();
        for (key, value) in record.members() {
            match &*key.decoded().unwrap_or_default() {
                "requestId" => report.request_id = value.text(),
                "status" => report.status = value.text(),
                "errorType" => report.error_type = value.text(),
                "tracing" => report.trace_id = trace_root(value),
                "metrics" => report.set_metrics(value),
                _ => {}
            }
        }
        report
    }

    fn set_metrics(&mut self, metrics: Value<'a>) {
        for (key, value) in metrics.members() {
            let Value::Number(number) = value else {
                continue;
            };
            match &*key.decoded().unwrap_or_default() {
                "durationMs" => self.duration_ms = decimal(number),
                "billedDurationMs" => self.billed_ms = integer(number),
                "memorySizeMB" => self.memory_mb = integer(number),
                "maxMemoryUsedMB" => self.max_memory_mb = integer(number),
                "initDurationMs" => self.init_ms = decimal(number),
                "restoreDurationMs" => self.restore_ms = decimal(number),
                _ => {}
            }
        }
    }
}

/// What a message that looks like a report has to be read as.
enum Form<'a> {
    /// From the request id on.
    Text(&'a str),
    /// An object that may be a report: the word is somewhere in it.
    Json(&'a str),
}

impl<'a> Form<'a> {
    #[inline]
    fn of(message: &'a str) -> Option<Self> {
        let message = beginning(message);
        match message.as_bytes().first()? {
            b'R' => message.strip_prefix(TEXT_REPORT).map(Self::Text),
            // Nearly all JSON is not a report: looking for the word costs far less than walking over the members.
            b'{' if FIND_JSON_REPORT.find(message.as_bytes()).is_some() => {
                Some(Self::Json(message))
            }
            _ => None,
        }
    }
}

fn present(text: &str) -> Option<Cow<'_, str>> {
    (!text.is_empty()).then_some(Cow::Borrowed(text))
}

fn milliseconds(value: &str) -> Option<f64> {
    decimal(value.strip_suffix(" ms")?)
}

fn whole(value: &str, unit: &str) -> Option<i64> {
    integer(value.strip_suffix(unit)?)
}

/// A whole number, also written with a fraction of zero, as extensions that pass the Telemetry API's events on do.
fn integer(text: &str) -> Option<i64> {
    let whole = match text.split_once('.') {
        Some((whole, fraction)) if fraction.bytes().all(|digit| digit == b'0') => whole,
        _ => text,
    };
    whole.parse().ok()
}

fn begins_with_field(text: &str, name: &str) -> bool {
    text.strip_prefix(name)
        .is_some_and(|rest| rest.starts_with(':'))
}

/// A finite number; `parse` alone takes `inf` and `NaN` too.
fn decimal(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

/// The type of what `lambda_report` returns.
pub(super) fn report_type() -> DataType {
    DataType::Struct(FIELDS.clone())
}

/// A report for each message, NULL for those that are none.
pub(super) fn reports(messages: &StringViewArray) -> Result<ArrayRef, ArrowError> {
    let rows = messages.len();
    let mut request_id = TextColumn::new(messages);
    let mut duration_ms = NumberColumn::<Float64Type>::new(rows);
    let mut billed_ms = NumberColumn::<Int64Type>::new(rows);
    let mut memory_mb = NumberColumn::<Int64Type>::new(rows);
    let mut max_memory_mb = NumberColumn::<Int64Type>::new(rows);
    let mut init_ms = NumberColumn::<Float64Type>::new(rows);
    let mut restore_ms = NumberColumn::<Float64Type>::new(rows);
    let mut status = TextColumn::new(messages);
    let mut error_type = TextColumn::new(messages);
    let mut trace_id = TextColumn::new(messages);
    let mut validity = BooleanBufferBuilder::new(rows);
    validity.append_n(rows, false);

    for (row, message) in messages.iter().enumerate() {
        let Some(report) = message.and_then(Report::parse) else {
            continue;
        };
        validity.set_bit(row, true);
        duration_ms.set(row, report.duration_ms);
        billed_ms.set(row, report.billed_ms);
        memory_mb.set(row, report.memory_mb);
        max_memory_mb.set(row, report.max_memory_mb);
        init_ms.set(row, report.init_ms);
        restore_ms.set(row, report.restore_ms);
        for (column, text) in [
            (&mut request_id, report.request_id),
            (&mut status, report.status),
            (&mut error_type, report.error_type),
            (&mut trace_id, report.trace_id),
        ] {
            if let Some(text) = text {
                column.set(row, text);
            }
        }
    }

    let columns: Vec<ArrayRef> = vec![
        Arc::new(request_id.finish()?),
        Arc::new(duration_ms.finish()),
        Arc::new(billed_ms.finish()),
        Arc::new(memory_mb.finish()),
        Arc::new(max_memory_mb.finish()),
        Arc::new(init_ms.finish()),
        Arc::new(restore_ms.finish()),
        Arc::new(status.finish()?),
        Arc::new(error_type.finish()?),
        Arc::new(trace_id.finish()?),
    ];
    let nulls = NullBuffer::new(validity.finish());
    Ok(Arc::new(StructArray::try_new(
        FIELDS.clone(),
        columns,
        Some(nulls),
    )?))
}

/// Whether each message is a report; NULL for NULL.
pub(super) fn are_reports(messages: &StringViewArray) -> ArrayRef {
    let are = BooleanBuffer::collect_bool(messages.len(), |row| {
        messages.is_valid(row) && Report::is_report(messages.value(row))
    });
    Arc::new(BooleanArray::new(are, messages.logical_nulls()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::AsArray;
    use proptest::prelude::*;

    const ID: &str = "3604209a-e9a3-11e6-939a-754dd98c7be3";

    fn id(id: &str) -> Option<Cow<'_, str>> {
        Some(Cow::Borrowed(id))
    }

    #[test]
    fn a_cold_start_traced_by_x_ray() {
        let message = format!(
            "REPORT RequestId: {ID}\tDuration: 469.40 ms\tBilled Duration: 500 ms\tMemory Size: 1024 MB\t\
             Max Memory Used: 21 MB\tInit Duration: 100.99 ms\t\n\
             XRAY TraceId: 1-5e34a614-10bdxxxx\tSegmentId: 07f022a9f5e5ab5f\tSampled: true\t"
        );
        let expected = Report {
            request_id: id(ID),
            duration_ms: Some(469.40),
            billed_ms: Some(500),
            memory_mb: Some(1024),
            max_memory_mb: Some(21),
            init_ms: Some(100.99),
            trace_id: id("1-5e34a614-10bdxxxx"),
            ..Report::default()
        };
        assert_eq!(Report::parse(&message), Some(expected));
    }

    #[test]
    fn failures_and_snapshots() {
        let message = "REPORT RequestId: a\tDuration: 3000.00 ms\tBilled Duration: 3000 ms\tMemory Size: 128 MB\t\
            Max Memory Used: 128 MB\tRestore Duration: 500.80 ms\tBilled Restore Duration: 53 ms\tStatus: error\t\
            Error Type: Runtime.OutOfMemory";
        let report = Report::parse(message).unwrap();
        assert_eq!(report.billed_ms, Some(3000));
        assert_eq!(report.restore_ms, Some(500.80));
        assert_eq!(report.init_ms, None);
        assert_eq!(report.status, id("error"));
        assert_eq!(report.error_type, id("Runtime.OutOfMemory"));
    }

    #[test]
    fn the_json_form() {
        let message = format!(
            r#"{{"time":"2026-11-21T00:00:00.000Z","type":"platform.report","record":{{"requestId":"{ID}","status":"error",
            "errorType":"Runtime.\u0045xitError","metrics":{{"durationMs":693.92,"billedDurationMs":694,"initDurationMs":397.68,
            "maxMemoryUsedMB":84,"memorySizeMB":128}},"tracing":{{"spanId":"5","type":"X-Amzn-Trace-Id",
            "value":"Root=1-62e900b2-710d76f009d6e7785905449a;Parent=0efbd19962d95b05;Sampled=1"}}}}}}"#
        );
        let expected = Report {
            request_id: id(ID),
            duration_ms: Some(693.92),
            billed_ms: Some(694),
            memory_mb: Some(128),
            max_memory_mb: Some(84),
            init_ms: Some(397.68),
            restore_ms: None,
            status: id("error"),
            error_type: id("Runtime.ExitError"),
            trace_id: id("1-62e900b2-710d76f009d6e7785905449a"),
        };
        assert_eq!(Report::parse(&message), Some(expected));
    }

    #[test]
    fn what_is_malformed_is_missing() {
        let message = "REPORT RequestId: \tDuration: 12 s\tBilled Duration: many ms\tMemory Size: 99999999999999999999 MB\t\
            Max Memory Used: 1.5 MB\tInit Duration: NaN ms\tStatus: ";
        assert_eq!(Report::parse(message), Some(Report::default()));
        let message = r#"{"type":"platform.report","record":{"requestId":7,"metrics":{"durationMs":"1","billedDurationMs":1.5}}}"#;
        assert_eq!(Report::parse(message), Some(Report::default()));
    }

    #[test]
    fn spaces_in_place_of_tabs() {
        let message = format!(
            "REPORT RequestId: {ID} Duration: 0.62 ms  Billed Duration: 100 ms Memory Size: 128 MB Max Memory Used: 51 MB \
             Init Duration: 100.99 ms Billed Restore Duration: 5 ms Status: error Error Type: Runtime.ExitError XRAY TraceId: \
             1-5e34a614-10bd7a3f2c2b4d5e6f708192 SegmentId: 07f022a9f5e5ab5f Sampled: true "
        );
        let expected = Report {
            request_id: id(ID),
            duration_ms: Some(0.62),
            billed_ms: Some(100),
            memory_mb: Some(128),
            max_memory_mb: Some(51),
            init_ms: Some(100.99),
            restore_ms: None,
            status: id("error"),
            error_type: id("Runtime.ExitError"),
            trace_id: id("1-5e34a614-10bd7a3f2c2b4d5e6f708192"),
        };
        assert_eq!(Report::parse(&message), Some(expected));
    }

    /// As `https://github.com/open-telemetry/opentelemetry-lambda/issues/2011` has them.
    #[test]
    fn whole_numbers_with_a_fraction_of_zero() {
        let message = r#"{"type":"platform.report","record":{"metrics":{"durationMs":395.99,"billedDurationMs":662.0,
            "memorySizeMB":512.0,"maxMemoryUsedMB":301.00}}}"#;
        let report = Report::parse(message).unwrap();
        assert_eq!(
            (report.billed_ms, report.memory_mb, report.max_memory_mb),
            (Some(662), Some(512), Some(301))
        );
    }

    #[test]
    fn other_messages_are_no_reports() {
        for message in [
            "",
            "REPORT",
            "REPORT of the day",
            "START RequestId: a Version: $LATEST",
            "the REPORT RequestId: a",
            r#"{"type":"platform.start","record":{}}"#,
            r#"{"message":"platform.report"}"#,
            r#"{"nested":{"type":"platform.report"}}"#,
            r#"{"type":"platform.reportage"}"#,
        ] {
            assert_eq!(Report::parse(message), None, "{message}");
        }
    }

    #[test]
    fn a_column_of_reports_is_null_where_there_is_none() {
        let report = format!("REPORT RequestId: {ID}\tDuration: 2.50 ms\tBilled Duration: 3 ms\t");
        let messages = StringViewArray::from(vec![Some("hello"), None, Some(&report)]);
        let column = reports(&messages).unwrap();
        let column = column.as_struct();
        assert_eq!(
            (0..3).map(|row| column.is_valid(row)).collect::<Vec<_>>(),
            [false, false, true]
        );
        let ids = column
            .column_by_name("request_id")
            .unwrap()
            .as_string_view();
        assert_eq!(ids.value(2), ID);
        assert_eq!(
            ids.data_buffers()[0].as_ptr(),
            messages.data_buffers()[0].as_ptr()
        );
        let durations = column.column_by_name("duration_ms").unwrap();
        assert_eq!(
            durations
                .as_primitive::<Float64Type>()
                .iter()
                .collect::<Vec<_>>(),
            [None, None, Some(2.5)]
        );
        assert_eq!(column.column_by_name("init_ms").unwrap().null_count(), 3);
    }

    prop_compose! {
        /// Milliseconds with two decimals, as the text form has them.
        fn hundredths()(value in 0u32..90_000_000) -> f64 { f64::from(value) / 100.0 }
    }

    prop_compose! {
        fn any_report()(
            request_id in "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
            (duration_ms, billed_ms) in (hundredths(), 0..900_000i64),
            (memory_mb, max_memory_mb) in (128..10_240i64, 1..10_240i64),
            (init_ms, restore_ms) in (prop::option::of(hundredths()), prop::option::of(hundredths())),
            status in prop::option::of("success|failure|error|timeout"),
            error_type in prop::option::of("[A-Z][a-z]{1,10}\\.[A-Z][A-Za-z]{1,10}"),
            trace_id in prop::option::of("1-[0-9a-f]{8}-[0-9a-f]{24}"),
        ) -> Report<'static> {
            Report {
                request_id: Some(request_id.into()),
                duration_ms: Some(duration_ms),
                billed_ms: Some(billed_ms),
                memory_mb: Some(memory_mb),
                max_memory_mb: Some(max_memory_mb),
                init_ms,
                restore_ms,
                status: status.map(Into::into),
                error_type: error_type.map(Into::into),
                trace_id: trace_id.map(Into::into),
            }
        }
    }

    fn as_text(report: &Report, ending: &str) -> String {
        let mut text = format!(
            "REPORT RequestId: {}\tDuration: {:.2} ms\tBilled Duration: {} ms\tMemory Size: {} MB\tMax Memory Used: {} MB",
            report.request_id.as_deref().unwrap(),
            report.duration_ms.unwrap(),
            report.billed_ms.unwrap(),
            report.memory_mb.unwrap(),
            report.max_memory_mb.unwrap(),
        );
        let milliseconds = |value: f64| format!("{value:.2} ms");
        for (name, value) in [
            ("\tInit Duration", report.init_ms.map(milliseconds)),
            ("\tRestore Duration", report.restore_ms.map(milliseconds)),
            ("\tStatus", report.status.as_deref().map(str::to_owned)),
            (
                "\tError Type",
                report.error_type.as_deref().map(str::to_owned),
            ),
            (
                "\t\nXRAY TraceId",
                report.trace_id.as_deref().map(str::to_owned),
            ),
        ] {
            if let Some(value) = value {
                text += &format!("{name}: {value}");
            }
        }
        text + ending
    }

    fn as_json(report: &Report) -> String {
        let mut metrics = serde_json::json!({
            "durationMs": report.duration_ms, "billedDurationMs": report.billed_ms,
            "memorySizeMB": report.memory_mb, "maxMemoryUsedMB": report.max_memory_mb,
        });
        for (name, value) in [
            ("initDurationMs", report.init_ms),
            ("restoreDurationMs", report.restore_ms),
        ] {
            if let Some(value) = value {
                metrics[name] = value.into();
            }
        }
        let mut record = serde_json::json!({"requestId": report.request_id, "metrics": metrics});
        for (name, value) in [
            ("status", &report.status),
            ("errorType", &report.error_type),
        ] {
            if let Some(value) = value {
                record[name] = (&**value).into();
            }
        }
        if let Some(trace_id) = &report.trace_id {
            record["tracing"] =
                serde_json::json!({"value": format!("Root={trace_id};Parent=0;Sampled=1")});
        }
        serde_json::json!({"time": "2026-11-21T00:00:00.000Z", "type": "platform.report", "record": record}).to_string()
    }

    proptest! {
        #[test]
        fn reports_are_read_as_they_were_written(report in any_report(), ending in "|\t|\t\n") {
            for message in [as_text(&report, &ending), as_json(&report)] {
                let read = Report::parse(&message);
                prop_assert_eq!(read.as_ref(), Some(&report));
            }
        }

        #[test]
        fn damaged_reports_are_read_as_far_as_they_go(report in any_report(), json in any::<bool>(), at in any::<prop::sample::Index>(), by in any::<char>()) {
            let whole = if json { as_json(&report) } else { as_text(&report, "\t") };
            let places: Vec<_> = whole.char_indices().map(|(place, _)| place).collect();
            let place = places[at.index(places.len())];
            let changed = format!("{}{by}{}", &whole[..place], &whole[place + 1..]);
            for damaged in [&whole[..place], &changed] {
                let messages = StringViewArray::from_iter_values([damaged]);
                prop_assert_eq!(reports(&messages).unwrap().len(), 1);
            }
        }
    }
}
