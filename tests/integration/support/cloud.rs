//! Log groups in CloudWatch and a job over them. Each test has buckets, log groups and files of its own.

use std::ffi::OsStr;
use std::sync::OnceLock;

use serde_json::Value;

use super::events::{DAY, HOUR};
use super::moto::Moto;
use super::program::{Dir, Finished, Program};

/// The job file.
pub const JOB: &str = "night.toml";

/// The names begin with the test's name, since tests share the server.
pub struct Cloud<'a> {
    pub moto: &'a Moto,
    pub dir: Dir,
    pub name: &'static str,
}

/// A settled day of UTC within the last two weeks, since CloudWatch accepts no older events. It stays the same while the
/// tests run, also over midnight.
pub fn recent_day() -> (String, i64) {
    static TODAY: OnceLock<chrono::NaiveDate> = OnceLock::new();
    let today = TODAY.get_or_init(|| chrono::Utc::now().date_naive());
    let day = *today - chrono::Days::new(3);
    let midnight = day.and_time(chrono::NaiveTime::MIN).and_utc();
    (day.to_string(), midnight.timestamp_millis())
}

impl<'a> Cloud<'a> {
    /// Makes the buckets `NAME-logs` and `NAME-answers`, three log groups with an event in every quarter of an hour of the
    /// five days around [`recent_day`], and a job `night` that counts the events by hour of the two log groups that match
    /// `/aws/lambda/NAME-*`.
    pub fn new(moto: &'a Moto, name: &'static str) -> Self {
        moto.create_bucket(&format!("{name}-logs"));
        moto.create_bucket(&format!("{name}-answers"));
        let cloud = Self::without_logs(moto, name);
        let (_, midnight) = recent_day();
        let events: Vec<(i64, String)> = (midnight - DAY..midnight + 2 * DAY)
            .step_by(usize::try_from(HOUR / 4).expect("positive"))
            .map(|time| (time, format!("tick {time}\n\tsecond line\n")))
            .collect();
        let stream = "2026/11/20/[$LATEST]8384fc4f4204e4521a5c7742b76ea1ef";
        moto.put_events(&cloud.group("api"), stream, &events);
        moto.put_events(
            &cloud.group("worker"),
            "web/app/7",
            // The first and the last millisecond of the day.
            &[
                (midnight - 1, "before"),
                (midnight, "first"),
                (midnight + DAY - 1, "last: 한글"),
                (midnight + DAY, "after"),
            ],
        );
        moto.put_events(
            &format!("/ecs/{name}"),
            "other",
            &[(midnight, "not asked for")],
        );
        cloud
    }

    /// Makes only the job, without buckets and logs.
    pub fn without_logs(moto: &'a Moto, name: &'static str) -> Self {
        let dir = Dir::new();
        dir.write(
            JOB,
            format!(
                r#"name = "night"
[source]
kind = "cloudwatch"
log_groups = ["/aws/lambda/{name}-*"]
staging = "s3://{name}-logs/exports"
[output]
location = "s3://{name}-answers/logtally"
[[query]]
use = "hourly_count"
"#
            ),
        );
        Self { moto, dir, name }
    }

    /// The log group `/aws/lambda/NAME-…`.
    pub fn group(&self, of: &str) -> String {
        format!("/aws/lambda/{}-{of}", self.name)
    }

    /// The bucket of the answers.
    pub fn answers(&self) -> String {
        format!("{}-answers", self.name)
    }

    /// The bucket of the exports.
    pub fn logs(&self) -> String {
        format!("{}-logs", self.name)
    }

    /// Replaces a text of the job file.
    pub fn edit(&self, from: &str, to: &str) {
        let job = self.dir.read_text(JOB);
        assert!(job.contains(from), "{from:?} is not in\n{job}");
        self.dir.write(JOB, job.replace(from, to));
    }

    /// The program, with the server as its endpoint.
    pub fn logtally<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Program {
        self.dir.logtally(arguments).envs(self.moto.environment())
    }

    /// Runs `logtally run` for [`recent_day`] with more arguments, to its end.
    pub fn run<'b>(&self, arguments: impl IntoIterator<Item = &'b str>) -> Finished {
        self.program(arguments).run()
    }

    /// `logtally run` for [`recent_day`] with more arguments, not started.
    pub fn program<'b>(&self, arguments: impl IntoIterator<Item = &'b str>) -> Program {
        let (day, _) = recent_day();
        let first = ["run", JOB, "--window", &day].map(str::to_owned);
        let arguments = arguments.into_iter().map(str::to_owned);
        self.logtally(first.into_iter().chain(arguments))
    }

    /// The receipt that `logtally run --json` prints, which must succeed.
    pub fn receipt<'b>(&self, arguments: impl IntoIterator<Item = &'b str>) -> Value {
        let finished = self.run(["--json"].into_iter().chain(arguments));
        finished.assert_success().stdout_run()
    }

    /// The export tasks of this test's log groups.
    pub fn tasks(&self) -> Vec<Value> {
        self.moto.export_tasks(self.name)
    }
}
