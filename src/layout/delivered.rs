//! The keys of objects that CloudWatch Logs delivers vended logs to.
//!
//! A key is a destination prefix or `AWSLogs/<account>/…`, a suffix path, which may have the variables `{yyyy}/{MM}/{dd}/{HH}`
//! anywhere, and a name of the service's own. With Hive-compatible paths, a variable is `year=2026` in place of `2026`.
//! So the time is looked for, first in the folders, then in the name. It is in UTC.

use std::sync::LazyLock;
use std::time::Duration;

use chrono::{DateTime, NaiveDate, TimeDelta};
use regex::{Captures, Regex};

use super::cloudwatch::WRITE_TEST;
use crate::window::Range;

/// The time in a name is at most so far from that in its folders: one may be of the first event, and the other of the last.
const ONE_DAY: Duration = Duration::from_secs(24 * 3600);

/// What load balancers and CloudWatch write to test their permission.
const WRITE_TESTS: [&str; 2] = [WRITE_TEST, "ELBAccessLogTestFile"];

/// A date in folders, as far as an hour: `2026/11/21/22/`, `year=2026/month=11/`, `dt=2026-11-21/`. A year alone may be any number.
static FOLDERS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let key = "(?:[A-Za-z_-]+=)?";
    let folders = format!(
        r"(?:^|/){key}(20[0-9]{{2}})[/-]{key}(0[1-9]|1[0-2])(?:[/-]{key}(0[1-9]|[12][0-9]|3[01])(?:[/T-]{key}([01][0-9]|2[0-3]))?)?/"
    );
    Regex::new(&folders).ok()
});

/// A time in a name: `E2EXAMPLE.2026-11-21-22.a1b2c3.gz`, `PCS_slurmctld_25.11_2026-11-21-22_…`, `…_20261121T2205Z_….log.gz`.
static NAME: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let dashes = "(20[0-9]{2})-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])-([01][0-9]|2[0-3])";
    let compact =
        "(20[0-9]{2})(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3])[0-5][0-9]Z";
    Regex::new(&format!("(?:^|[._-])(?:{dashes}|{compact})(?:[._-]|$)")).ok()
});

/// The account in a key.
static ACCOUNT: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new("(?:^|/)(?:AWSLogs/(?:aws-account-id=)?|accountid=)([0-9]{12})/").ok()
});

/// The calendar unit that folders name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FolderTime {
    /// Its instants.
    pub range: Range,
    /// Whether it is an hour, so that no folder in it has a time of its own.
    pub is_hour: bool,
}

/// The time that the folders of a key name, from the location of the source on; each ends with a slash. `None` where they have none, and
/// where the date is that of a log stream of Lambda, `2026/11/21/[$LATEST]…`, which began then and has later events too.
pub fn time_of_folders(folders: &str) -> Option<FolderTime> {
    let found = FOLDERS.as_ref()?.captures(folders)?;
    let behind = &folders[found.get(0)?.end()..];
    let is_of_stream = behind
        .split('/')
        .next()
        .is_some_and(|name| name.contains('['));
    if is_of_stream {
        return None;
    }
    let is_hour = found.get(4).is_some();
    let range = unit(&found, 1)?;
    Some(FolderTime { range, is_hour })
}

/// The time of the events of an object, as its key says it: that of its folders to the hour, else that of its name, else that of
/// its folders. A name with a time that is far from that of its folders was given by another program, and means something else.
pub fn time_of_key(key: &str) -> Option<Range> {
    let (folders, name) = key.split_at(key.rfind('/').map_or(0, |slash| slash + 1));
    let Some(FolderTime { range, is_hour }) = time_of_folders(folders) else {
        return time_of_name(name);
    };
    if is_hour {
        return Some(range);
    }
    let near = range.padded(ONE_DAY, ONE_DAY);
    let of_name = time_of_name(name).filter(|time| !time.intersect(near).is_empty());
    Some(of_name.unwrap_or(range))
}

fn time_of_name(name: &str) -> Option<Range> {
    let found = NAME.as_ref()?.captures(name)?;
    let first = if found.get(1).is_some() { 1 } else { 5 };
    unit(&found, first)
}

/// The month, day or hour of four groups, of which the last ones may be missing.
fn unit(found: &Captures<'_>, first: usize) -> Option<Range> {
    let number = |group: usize| found.get(first + group)?.as_str().parse::<u32>().ok();
    let year = i32::try_from(number(0)?).ok()?;
    let month = number(1)?;
    let start = NaiveDate::from_ymd_opt(year, month, number(2).unwrap_or(1))?;
    let (start, end) = match (number(2), number(3)) {
        (Some(_), Some(hour)) => {
            let start = start.and_hms_opt(hour, 0, 0)?;
            (start, start + TimeDelta::hours(1))
        }
        (Some(_), None) => {
            let start = start.and_hms_opt(0, 0, 0)?;
            (start, start + TimeDelta::days(1))
        }
        (None, _) => {
            let next = start.checked_add_months(chrono::Months::new(1))?;
            (start.and_hms_opt(0, 0, 0)?, next.and_hms_opt(0, 0, 0)?)
        }
    };
    let ms = |at: chrono::NaiveDateTime| DateTime::timestamp_millis(&at.and_utc());
    Some(Range {
        start_ms: ms(start),
        end_ms: ms(end),
    })
}

/// The account whose logs an object has, where its key says it.
pub fn account(key: &str) -> Option<&str> {
    let found = ACCOUNT.as_ref()?.captures(key)?;
    found.get(1).map(|account| account.as_str())
}

/// Whether an object, by its key, may have events: it is no test of a permission and no metadata of another program. The names of
/// Lambda's objects begin with `_`.
pub fn may_have_events(key: &str) -> bool {
    let name = key.rsplit('/').next().unwrap_or_default();
    let is_metadata = name.starts_with('_') && !name.contains('.');
    let is_other = name.is_empty()
        || name.starts_with('.')
        || name.ends_with(".manifest")
        || is_metadata
        || WRITE_TESTS.contains(&name);
    !is_other
}

/// Whether an object, by its key, is a Parquet file.
pub fn is_parquet(key: &str) -> bool {
    key.ends_with(".parquet")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(start: &str, hours: i64) -> Range {
        let start = start.parse::<DateTime<chrono::Utc>>().unwrap();
        Range {
            start_ms: start.timestamp_millis(),
            end_ms: (start + TimeDelta::hours(hours)).timestamp_millis(),
        }
    }

    /// Keys of the documentation: CloudWatch Logs, "Amazon S3 object key format"; CloudFront, "Example paths to access logs"; AWS
    /// PCS, "Scheduler log stream paths and names"; VPC, "Flow log files".
    #[test]
    fn documented_keys_have_their_times() {
        for (key, start, hours) in [
            (
                "AWSLogs/111122223333/elasticloadbalancing/us-east-1/2026/09/10/a.gz",
                "2026-09-10T00:00:00Z",
                24,
            ),
            (
                "AWSLogs/aws-account-id=111122223333/elasticloadbalancing/region=us-east-1/year=2026/month=09/day=10/a.gz",
                "2026-09-10T00:00:00Z",
                24,
            ),
            (
                "MyLogPrefix/us-east-1/2026/09/10/a.gz",
                "2026-09-10T00:00:00Z",
                24,
            ),
            (
                "cloudfront/DistributionId=E1/my_distribution_log_data/year=2026/month=09/day=10/hour=07/logs/a.gz",
                "2026-09-10T07:00:00Z",
                1,
            ),
            (
                "AWSLogs/111111111111/PCS/us-east-2/abcdef0123/slurmctld/24.05/2024/09/01/00/PCS_slurmctld_24.05_2024-09-01-00_abcdef0123_0123abcdef.log.gz",
                "2024-09-01T00:00:00Z",
                1,
            ),
            (
                "AWSLogs/111122223333/CloudFront/E2EXAMPLE.2019-12-04-21.d111111abcdef8.gz",
                "2019-12-04T21:00:00Z",
                1,
            ),
            (
                "AWSLogs/123456789012/vpcflowlogs/us-east-1/2018/06/20/123456789012_vpcflowlogs_us-east-1_fl-1234abcd_20180620T1620Z_fe123456.log.gz",
                "2018-06-20T16:00:00Z",
                1,
            ),
            ("dt=2026-11-21/22/a", "2026-11-21T22:00:00Z", 1),
            ("2026/11/21/a", "2026-11-21T00:00:00Z", 24),
            ("2026/02/a", "2026-02-01T00:00:00Z", 28 * 24),
            // The name's time is that of the last event.
            (
                "2026/11/21/E1.2026-11-22-00.a.gz",
                "2026-11-22T00:00:00Z",
                1,
            ),
            // Another program has named the object.
            (
                "2026/11/21/copy_2020-01-01-00_x.log",
                "2026-11-21T00:00:00Z",
                24,
            ),
        ] {
            assert_eq!(time_of_key(key), Some(range(start, hours)), "{key}");
        }
    }

    #[test]
    fn other_numbers_are_no_times() {
        for key in [
            "AWSLogs/111122223333/CloudFront/a.gz",
            "2026/a.gz",
            "v2026/11/21/a.gz",
            "1126/11/21/a.gz",
            "2026/13/21/a.gz",
            // The date of a log stream, which is older than its events.
            "AWSLogs/111122223333/us-east-1/_aws_lambda_pay/2026/11/20/[$LATEST]0067aa/_1.log.zst",
            "2026/02/30/a.gz",
        ] {
            assert_eq!(time_of_key(key), None, "{key}");
        }
    }

    #[test]
    fn folders_say_which_of_them_are_looked_into() {
        let folder = |folders| time_of_folders(folders).map(|time| (time.range, time.is_hour));
        assert_eq!(folder("AWSLogs/1/x/2026/"), None);
        assert_eq!(
            folder("x/2026/11/"),
            Some((range("2026-11-01T00:00:00Z", 30 * 24), false))
        );
        assert_eq!(
            folder("x/year=2026/month=11/day=21/"),
            Some((range("2026-11-21T00:00:00Z", 24), false))
        );
        assert_eq!(
            folder("x/2026/11/21/05/"),
            Some((range("2026-11-21T05:00:00Z", 1), true))
        );
        // What follows is no hour.
        assert_eq!(
            folder("x/2026/11/21/logs/"),
            Some((range("2026-11-21T00:00:00Z", 24), false))
        );
    }

    #[test]
    fn the_account_is_in_the_key() {
        for (key, expected) in [
            ("AWSLogs/111122223333/CloudFront/a.gz", Some("111122223333")),
            (
                "p/AWSLogs/aws-account-id=111122223333/x/a.gz",
                Some("111122223333"),
            ),
            (
                "myFolderA/accountid=111122223333/a.gz",
                Some("111122223333"),
            ),
            ("111122223333/a.gz", None),
        ] {
            assert_eq!(account(key), expected, "{key}");
        }
    }

    #[test]
    fn tests_of_permissions_and_metadata_have_no_events() {
        for (key, expected) in [
            ("AWSLogs/1/us-east-1/_aws_lambda_pay/_a1b2.log.zst", true),
            ("a/E2.2026-11-21-22.a1.gz", true),
            ("a/_SUCCESS", false),
            ("a/.part", false),
            ("aws-logs-write-test", false),
            ("AWSLogs/1/ELBAccessLogTestFile", false),
            ("a/x.manifest", false),
        ] {
            assert_eq!(may_have_events(key), expected, "{key}");
        }
    }
}
