use super::*;
use chrono::{DateTime, Utc};
use proptest::prelude::*;

fn ms(text: &str) -> i64 {
    text.parse::<DateTime<Utc>>().unwrap().timestamp_millis()
}

/// The times and messages of the lines of an object.
fn read(shape: &RecordShape, text: &str) -> Result<Vec<(i64, String)>, String> {
    let mut lines = Lines::new(shape);
    let mut events = Vec::new();
    for line in text.lines() {
        if let Some(event) = lines.event(line.as_bytes())? {
            let message = line[event.message.at].to_owned();
            events.push((event.timestamp_ms, message));
        }
    }
    Ok(events)
}

fn times(shape: &RecordShape, text: &str) -> Result<Vec<i64>, String> {
    let events = read(shape, text)?;
    Ok(events.into_iter().map(|(time, _)| time).collect())
}

fn shape() -> RecordShape {
    RecordShape::default()
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// Records as the documentation of each service shows them. docs/sources.md names the pages.
#[test]
fn documented_records_have_their_times_and_are_messages_as_a_whole() {
    for (line, time) in [
        // AWS PCS, "Example scheduler log records": in seconds, and in milliseconds.
        (
            r#"{"resource_id":"s3431v9rx2","resource_type":"PCS_CLUSTER","event_timestamp":1721230979,"log_level":"info","log_name":"slurmctld","scheduler_type":"slurm","scheduler_major_version":"25.11","scheduler_patch_version":"2","node_type":"controller_primary","message":"[2024-07-17T15:42:58.614+00:00] Running as primary controller\n"}"#,
            "2024-07-17T15:42:59Z",
        ),
        (
            r#"{"resource_id":"pcs_bu93qsds2j","event_timestamp":1774485082772,"log_name":"slurmdbd","message":"[2026-03-26T00:31:22.772+00:00] mysql_common: storage token refreshed"}"#,
            "2026-03-26T00:31:22.772Z",
        ),
        // Amazon Bedrock, "Examples of knowledge base logs".
        (
            r#"{"event_timestamp":1718677300000,"event":{"ingestion_job_id":"<IngestionJobId>","message":"Crawling started"},"event_version":"1.0","event_type":"StartIngestionJob.StatusChanged","level":"INFO"}"#,
            "2024-06-18T02:21:40Z",
        ),
        // Amazon EventBridge, "Amazon EventBridge event bus log schema".
        (
            r#"{"resource_arn":"arn:aws:events:us-east-1:123456789012:event-bus/b","message_timestamp_ms":1735689600123,"message_type":"EVENT_RECEIPT","log_level":"TRACE"}"#,
            "2025-01-01T00:00:00.123Z",
        ),
        // Amazon CloudFront, "Example access log sent to Firehose".
        (
            r#"{"date":"2024-11-15","time":"19:45:51","x-edge-location":"SOF50-P2","asn":"16509","timestamp(ms)":"1731699951183","x-host-header":"d111111abcdef8.cloudfront.net"}"#,
            "2024-11-15T19:45:51.183Z",
        ),
        // The same with the default fields, which have no milliseconds.
        (
            r#"{"date":"2024-11-15","time":"19:45:51","x-edge-location":"SOF50-P2"}"#,
            "2024-11-15T19:45:51Z",
        ),
        // Amazon Route 53, "Values that appear in VPC Resolver query logs".
        (
            r#"{"version":"1.100000","account_id":"123456789012","query_timestamp":"2024-01-15T10:30:00Z","query_name":"a.","answers":[{"Rdata":"0.0.0.0"}]}"#,
            "2024-01-15T10:30:00Z",
        ),
    ] {
        let expected = vec![(ms(time), line.to_owned())];
        assert_eq!(read(&shape(), line).unwrap(), expected);
    }
}

/// As a table over objects of Lambda's class Delivery has them, which its author has observed. docs/sources.md says where.
#[test]
fn a_record_of_lambda_has_its_message_and_its_origin() {
    let line = r#"{"accountId":"123456789012","logGroup":"/aws/lambda/pay","logStream":"2026/11/21/[$LATEST]0067","id":"319","timestamp":1795298709123,"message":"a \"b\"\n"}"#;
    let event = Lines::new(&shape())
        .event(line.as_bytes())
        .unwrap()
        .unwrap();
    let text = |text: &Option<JsonText>| line[text.clone().unwrap().at].to_owned();
    assert_eq!(&line[event.message.at], r#"a \"b\"\n"#);
    assert!(event.message.escaped);
    let LineOrigin::Said(origin) = event.origin else {
        panic!("{:?}", event.origin);
    };
    assert_eq!(text(&event.id), "319");
    assert_eq!(text(&origin.account), "123456789012");
    assert_eq!(text(&origin.log_group), "/aws/lambda/pay");
    assert_eq!(text(&origin.log_stream), "2026/11/21/[$LATEST]0067");
    // A program that wrote the line again made them numbers.
    let line = r#"{"accountId":123456789012,"logGroup":"g","logStream":"s","id":319,"timestamp":1795298709123,"message":"a"}"#;
    let event = Lines::new(&shape())
        .event(line.as_bytes())
        .unwrap()
        .unwrap();
    let LineOrigin::Said(origin) = event.origin else {
        panic!("{:?}", event.origin);
    };
    assert_eq!(&line[event.id.unwrap().at], "319");
    assert_eq!(&line[origin.account.unwrap().at], "123456789012");
    // With JSON logging, the message is an object.
    let line = r#"{"logGroup":"g","logStream":"s","timestamp":1795298709123,"message":{"time":"t","type":"platform.start"}}"#;
    let message = read(&shape(), line).unwrap().remove(0).1;
    assert_eq!(message, r#"{"time":"t","type":"platform.start"}"#);
}

#[test]
fn the_job_names_the_time_and_the_message() {
    let line = r#"{"timestamp":1,"at":"2026-11-21T22:05:09Z","text":"hello","message":"other"}"#;
    let shape = RecordShape {
        time: Some("at".to_owned()),
        message: Some("text".to_owned()),
        ..shape()
    };
    let time = ms("2026-11-21T22:05:09Z");
    assert_eq!(read(&shape, line).unwrap(), [(time, "hello".to_owned())]);
    // Nothing is left out where a record has no such member.
    let line = r#"{"at":"2026-11-21T22:05:09Z"}"#;
    assert_eq!(read(&shape, line).unwrap(), [(time, line.to_owned())]);
    let wrong = read(&shape, r#"{"timestamp":1795298709123}"#).unwrap_err();
    assert!(wrong.contains("has no time: expected \"at\""), "{wrong}");
}

/// Amazon CloudFront, "Example access log sent to Amazon S3".
#[test]
fn a_header_says_which_field_is_the_time() {
    let text = "#Fields: date time x-edge-location asn timestamp(ms) x-host-header cs(Cookie)\n\
                2024-11-14\t22:30:25\tSOF50-P2\t16509\t1731623425421\td111111abcdef8.cloudfront.net\texamplecookie=value2\n";
    let events = read(&shape(), text).unwrap();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].0, ms("2024-11-14T22:30:25.421Z"));
    assert!(events[0].1.ends_with("\texamplecookie=value2"));
    let text = "#Version: 1.0\n#Fields: date time cs-uri-stem\n2024-11-14 22:30:25 /\n\n#Fields: time date\n22:30:26 2024-11-14\n";
    let expected = [ms("2024-11-14T22:30:25Z"), ms("2024-11-14T22:30:26Z")];
    assert_eq!(times(&shape(), text).unwrap(), expected);
    let wrong = read(&shape(), "#Fields: a b\n1 2\n").unwrap_err();
    assert!(
        wrong.contains("names the fields a b, without the time"),
        "{wrong}"
    );
}

#[test]
fn fields_of_the_job_and_their_delimiter_stand_for_a_header() {
    let of = |fields: &[&str], delimiter: Option<&str>| RecordShape {
        fields: names(fields),
        delimiter: delimiter.map(str::to_owned),
        message: Some("text".to_owned()),
        ..shape()
    };
    let second = "2026-11-21T22:05:09Z";
    for (fields, delimiter, line) in [
        (
            &["date", "time", "text"][..],
            None,
            "2026-11-21\t22:05:09\thello",
        ),
        (
            &["date", "time", "text"],
            None,
            "2026-11-21 22:05:09  hello",
        ),
        (&["text", "timestamp"], Some("||"), "hello||1795298709"),
        (
            &["text", "timestamp"],
            Some(","),
            "hello,1795298709000,more",
        ),
    ] {
        let events = read(&of(fields, delimiter), line).unwrap();
        assert_eq!(events, [(ms(second), "hello".to_owned())], "{line}");
    }
    // A line with the names themselves is a header.
    let with_names = "date\ttime\ttext\n2026-11-21\t22:05:09\thello\n";
    assert_eq!(
        times(&of(&["date", "time", "text"], None), with_names).unwrap(),
        [ms(second)]
    );
    // One that begins with `#` is left out only where it is a directive.
    let with_hash = "#Version: 1.0\n#1,1795298709\n";
    assert_eq!(
        times(&of(&["a", "timestamp"], Some(",")), with_hash).unwrap(),
        [ms(second)]
    );
    let wrong = read(&of(&["a", "timestamp"], Some(",")), "x").unwrap_err();
    assert!(
        wrong.contains("has fewer fields than the time needs"),
        "{wrong}"
    );
}

#[test]
fn a_text_begins_with_its_time() {
    for line in [
        "2026-11-21T22:05:09.000Z hello",
        "[2026-11-21T22:05:09.000+00:00] Running as primary controller",
        "2026-11-21 22:05:09 INFO x",
        "2026-11-21 22:05:09,000 INFO x",
        "1795298709000\thello",
        "1795298709|x",
    ] {
        assert_eq!(
            read(&shape(), line).unwrap(),
            [(ms("2026-11-21T22:05:09Z"), line.to_owned())]
        );
    }
    // A comment behind the first line is text like any other.
    let wrong = read(&shape(), "1795298709 x\n# no time\n").unwrap_err();
    assert!(
        wrong.contains("does not begin with a time, but with \"# no time\""),
        "{wrong}"
    );
}

#[test]
fn what_has_no_time_that_can_be_read_is_an_error_in_words() {
    for (line, expected) in [
        (
            "hello",
            "is no JSON and does not begin with a time, but with \"hello\"",
        ),
        (
            r#"{"a":1}"#,
            "has no time: expected one of event_timestamp, timestamp(ms)",
        ),
        (r#"{"timestamp":null}"#, "has no time"),
        (
            r#"{"timestamp":"soon"}"#,
            "has timestamp = \"soon\": expected a time",
        ),
        (r#"{"timestamp":5}"#, "has timestamp = \"5\""),
        (
            r#"{"timestamp":1795298709123"#,
            "is no JSON object: expected a comma or the end of the object, at its byte 26",
        ),
        (
            r#"{"timestamp":1795298709123}{"timestamp":1795298709123}"#,
            "each line is an event, at its byte 27",
        ),
        (
            r#"{"date":"2026-11-21","time":"25:00:00"}"#,
            "has time = \"25:00:00\"",
        ),
    ] {
        let wrong = read(&shape(), line).unwrap_err();
        assert!(wrong.contains(expected), "{line}: {wrong}");
    }
    // JSON stays JSON.
    let wrong = read(&shape(), "{\"timestamp\":1795298709123}\nhello\n").unwrap_err();
    assert!(wrong.contains("is no JSON object"), "{wrong}");
}

#[test]
fn objects_that_say_what_they_are_need_no_job() {
    use super::super::begins_with_event;
    for (head, expected) in [
        (&b"{\"event_timestamp\":1774485082772}\n{\"ev"[..], true),
        (b"#Fields: date time\n2024-11-14 22:30:25\n", true),
        (b"#Fields: date time\n", false),
        (b"1795298709 x\n", false),
        (b"{\"level\":\"INFO\"}\n", false),
        (b"{\"event_timestamp\":1774485082772", false),
        (b"{\"event_timestamp\":1774485082772}", true),
        (b"", false),
    ] {
        assert_eq!(
            begins_with_event(head),
            expected,
            "{}",
            String::from_utf8_lossy(head)
        );
    }
}

proptest! {
    #[test]
    fn any_line_is_an_event_or_an_error(lines in proptest::collection::vec("[#{\\[\"]?[ -~]{0,40}", 0..4)) {
        let given = RecordShape { fields: names(&["a", "time"]), ..shape() };
        for shape in [shape(), given] {
            let mut found = Lines::new(&shape);
            for line in &lines {
                if let Ok(Some(event)) = found.event(line.as_bytes()) {
                    prop_assert!(event.message.at.end <= line.len());
                }
            }
        }
    }
}
