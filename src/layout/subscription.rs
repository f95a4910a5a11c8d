//! The names of the objects that Firehose leaves of a subscription.

use std::sync::LazyLock;

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;
use object_store::path::Path;
use regex::Regex;

/// `<stream>-<version>-<year>-<month>-<day>-<hour>-<minute>-<second>-<uuid>`, with an ending of any kind.
static NAME: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let uuid = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}";
    let name = format!(r"-(\d{{4}})-(\d\d)-(\d\d)-(\d\d)-(\d\d)-(\d\d)-{uuid}(?:\..*)?$");
    Regex::new(&name).ok()
});

/// The folders of what Firehose failed to deliver, to any destination.
const FAILED: [&str; 5] = [
    "processing-failed",
    "format-conversion-failed",
    "elasticsearch-failed",
    "splunk-failed",
    "http-endpoint-failed",
];

/// When the first record of an object arrived, as Firehose writes it into the name, in a zone: the first and the last instant that it
/// may be, which differ in an hour that the clock repeats. `None` for other names.
pub fn arrival(key: &Path, zone: Tz) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
    let name = key.filename()?;
    let captures = NAME.as_ref()?.captures(name)?;
    let number = |group: usize| captures.get(group)?.as_str().parse::<u32>().ok();
    let year = i32::try_from(number(1)?).ok()?;
    let local = NaiveDate::from_ymd_opt(year, number(2)?, number(3)?)?.and_hms_opt(
        number(4)?,
        number(5)?,
        number(6)?,
    )?;
    let arrived = local.and_local_timezone(zone);
    // One that a clock skips does not come.
    let (first, last) = (arrived.earliest()?, arrived.latest()?);
    Some((first.with_timezone(&Utc), last.with_timezone(&Utc)))
}

/// Whether an object, by its key below the location of a subscription, may have records: it is no metadata, and nothing that Firehose
/// failed to deliver. A table of another program is none; one that Firehose converted is an error where it is read.
pub fn may_have_records(key: &str) -> bool {
    const TABLES: [&str; 2] = [".parquet", ".orc"];
    let mut folders = key.split('/');
    let name = folders.next_back().unwrap_or_default();
    let is_failed = |folder: &str| {
        let value = folder.rsplit('=').next().unwrap_or(folder);
        FAILED.contains(&value)
    };
    let is_table = TABLES.iter().any(|ending| name.ends_with(ending))
        && arrival(&Path::from(name), Tz::UTC).is_none();
    !name.is_empty()
        && !name.starts_with(['.', '_'])
        && !name.ends_with(".manifest")
        && !is_table
        && !folders.any(is_failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: &str = "5e3f2a7c-1d4b-4c8e-9f0a-2b6d8c1e7f43";

    #[test]
    fn a_name_of_firehose_has_its_time() {
        for (name, expected) in [
            (format!("logs-to-s3-1-2026-11-21-22-05-09-{UUID}"), true),
            (format!("logs-to-s3-12-2026-11-21-22-05-09-{UUID}.gz"), true),
            (format!("s-1-2026-11-21-22-05-09-{UUID}.json.gz"), true),
            (format!("s-1-2026-11-21-22-05-09-{UUID}.(1)!"), true),
            (format!("s-1-2026-13-21-22-05-09-{UUID}.gz"), false),
            ("000000.gz".to_owned(), false),
            ("s-1-2026-11-21-22-05-09.gz".to_owned(), false),
        ] {
            let key = Path::from(format!("logs/2026/11/21/22/{name}"));
            let found = arrival(&key, Tz::UTC).map(|(first, _)| first.to_rfc3339());
            let at = "2026-11-21T22:05:09+00:00".to_owned();
            assert_eq!(found, expected.then_some(at), "{name}");
        }
        let key = Path::from(format!("s-1-2026-11-22-07-05-09-{UUID}"));
        let (at, same) = arrival(&key, Tz::Asia__Seoul).unwrap();
        assert_eq!(at.to_rfc3339(), "2026-11-21T22:05:09+00:00");
        assert_eq!(at, same);
        let key = Path::from(format!("s-1-2026-11-01-01-30-00-{UUID}"));
        let (first, last) = arrival(&key, Tz::America__New_York).unwrap();
        assert_eq!((last - first).num_minutes(), 60);
    }

    #[test]
    fn what_firehose_failed_to_deliver_has_no_records() {
        for (key, expected) in [
            ("logs/2026/11/21/22/s-1", true),
            ("s.gz", true),
            ("logs/processing-failed/2026/11/21/22/s-1", false),
            ("team=processing-failed/2026/s-1", false),
            ("login-failed/2026/11/21/22/s-1", true),
            ("logs/2026/11/s.parquet", false),
            ("logs/_SUCCESS", false),
            ("logs/.part", false),
        ] {
            assert_eq!(may_have_records(key), expected, "{key}");
        }
        let converted = format!("2026/11/21/22/s-1-2026-11-21-22-05-09-{UUID}.parquet");
        assert!(may_have_records(&converted));
    }
}
