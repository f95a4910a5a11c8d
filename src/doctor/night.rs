//! How much a night reads, and so how long it takes, how much disk it needs, and what it costs. All estimates.

use serde::Serialize;

use super::prices::{self, Prices};

/// Gzip makes logs this many times smaller: 1.9 GB became 319 MB (docs/PERFORMANCE.md).
const COMPRESSION: f64 = 6.0;

/// The text that a task of one vCPU reads from S3 and counts in a second. A disk is several times as fast.
const TEXT_PER_SECOND: f64 = 200e6;

/// What an export task takes at the least, with its turn at the slot. CloudWatch promises nothing.
const TASK_MINUTES: f64 = 2.0;

/// What an export task takes for each gigabyte.
const MINUTES_PER_GB: f64 = 1.0;

/// A night begins and ends: the image is fetched, locations are listed, charts are drawn.
const START_MINUTES: f64 = 1.0;

/// The vCPUs and gigabytes of memory of the task that the estimate is for.
const TASK_VCPUS: f64 = 1.0;
const TASK_MEMORY_GB: f64 = 2.0;

/// An exported object has about this many bytes.
const OBJECT_BYTES: f64 = 1e6;

/// Requests of a run to S3 that do not depend on the volume, for each log group and query.
const PUTS_PER_PART: f64 = 20.0;

/// How long exports are stored where the job has no `keep`, for the estimate.
const DAYS_OF_A_MONTH: f64 = 30.0;

/// What is known of a job's volume.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Volume {
    /// How many log groups.
    pub log_groups: usize,
    /// The events of the last days, and how many days these are; `None` where the metric can't be read.
    pub events: Option<f64>,
    /// The bytes of these events.
    pub bytes: Option<f64>,
    /// The days that both are of.
    pub days: f64,
    /// The bytes that the log groups store.
    pub stored_bytes: i64,
    /// The days of a window.
    pub window_days: f64,
}

/// How a job reads its volume.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reading {
    /// Whether it exports with tasks.
    pub with_tasks: bool,
    /// How many queries it has.
    pub queries: usize,
    /// Whether objects are kept on disk for a further query.
    pub reads_again: bool,
    /// The days for which exports are kept; a month is counted where they stay.
    pub keep_days: Option<f64>,
    /// The memory of the queries.
    pub memory: u64,
}

/// A part of the cost.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Cost {
    /// What for.
    pub item: &'static str,
    /// US dollars.
    pub usd: f64,
}

/// An estimate of one night.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Night {
    /// The events of a window, where the metric says so.
    pub events: Option<u64>,
    /// Their bytes as they came in.
    pub bytes: u64,
    /// What the estimate is made from.
    pub from: &'static str,
    /// The bytes of the exported objects.
    pub exported_bytes: u64,
    /// The minutes that exports take, one after the other.
    pub export_minutes: f64,
    /// The minutes that the run takes beside.
    pub compute_minutes: f64,
    /// The bytes of scratch on disk.
    pub disk_bytes: u64,
    /// The bytes of memory of the queries.
    pub memory_bytes: u64,
    /// What it costs, part by part.
    pub costs: Vec<Cost>,
    /// What it costs.
    pub usd: f64,
    /// What as many Logs Insights queries over the same window cost.
    pub insights_usd: f64,
    /// The Region of the prices.
    pub prices_of: &'static str,
    /// The month of the prices.
    pub prices_as_of: &'static str,
}

impl Night {
    /// A night of several sources: each has an export slot of its own, and all are used at the same time.
    #[must_use]
    pub fn beside(self, other: Self) -> Self {
        let both = |one: Option<u64>, two: Option<u64>| Some(one? + two?);
        let costs = self.costs.into_iter().map(|cost| {
            let mut same = other.costs.iter().filter(|other| other.item == cost.item);
            let usd = cost.usd + same.next().map_or(0.0, |other| other.usd);
            Cost { usd, ..cost }
        });
        Self {
            events: both(self.events, other.events),
            bytes: self.bytes + other.bytes,
            exported_bytes: self.exported_bytes + other.exported_bytes,
            export_minutes: self.export_minutes.max(other.export_minutes),
            compute_minutes: self.compute_minutes + other.compute_minutes - START_MINUTES,
            disk_bytes: self.disk_bytes + other.disk_bytes,
            memory_bytes: self.memory_bytes.max(other.memory_bytes),
            costs: costs.collect(),
            usd: self.usd + other.usd,
            insights_usd: self.insights_usd + other.insights_usd,
            ..self
        }
    }
}

/// The estimate; `None` where nothing is known of the volume.
pub fn estimate(volume: &Volume, reading: &Reading, region: &str) -> Option<Night> {
    let prices = prices::of_region(region);
    let share = volume.window_days / volume.days;
    let (bytes, from) = match volume.bytes {
        Some(bytes) if bytes > 0.0 => (bytes * share, "the metric IncomingBytes of the last days"),
        _ if volume.stored_bytes > 0 => {
            // Without a metric, all that is stored may be of one window.
            #[expect(clippy::cast_precision_loss, reason = "an estimate")]
            let stored = volume.stored_bytes as f64;
            (
                stored,
                "all bytes that the log groups store, as there is no metric",
            )
        }
        _ => return None,
    };
    let gigabytes = bytes / 1e9;
    let exported = bytes / COMPRESSION;
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    let (groups, queries) = (volume.log_groups as f64, reading.queries as f64);
    let export_minutes = match reading.with_tasks {
        true => groups * TASK_MINUTES + gigabytes * MINUTES_PER_GB,
        false => gigabytes * MINUTES_PER_GB,
    };
    let compute_minutes = START_MINUTES + queries * bytes / TEXT_PER_SECOND / 60.0;
    let costs = costs(
        &prices,
        reading,
        &Work {
            gigabytes,
            exported,
            parts: groups + queries,
            groups,
            hours: (export_minutes + compute_minutes) / 60.0,
        },
    );
    Some(Night {
        events: volume
            .events
            .filter(|events| *events > 0.0)
            .map(|events| whole(events * share)),
        bytes: whole(bytes),
        from,
        exported_bytes: whole(exported),
        export_minutes,
        compute_minutes,
        disk_bytes: match reading.reads_again {
            true => whole(exported),
            false => 0,
        },
        memory_bytes: reading.memory,
        usd: costs.iter().map(|cost| cost.usd).sum(),
        costs,
        insights_usd: gigabytes * queries * prices.insights_gb,
        prices_of: prices.region,
        prices_as_of: prices::AS_OF,
    })
}

/// What a night does.
struct Work {
    gigabytes: f64,
    exported: f64,
    parts: f64,
    groups: f64,
    hours: f64,
}

fn costs(prices: &Prices, reading: &Reading, work: &Work) -> Vec<Cost> {
    let objects = work.exported / OBJECT_BYTES + work.groups;
    let puts = objects + work.parts * PUTS_PER_PART;
    let gets = objects + work.parts * PUTS_PER_PART;
    let months = reading.keep_days.unwrap_or(DAYS_OF_A_MONTH) / DAYS_OF_A_MONTH;
    let cost = |item, usd| Cost { item, usd };
    let requests = puts * prices.s3_puts_thousand + gets * prices.s3_gets_thousand;
    let metrics = work.groups * prices.metrics_thousand / 1e3;
    let storage = work.exported / 1e9 * prices.s3_gb_month * months;
    let fargate = TASK_VCPUS * prices.fargate_vcpu_hour + TASK_MEMORY_GB * prices.fargate_gb_hour;
    vec![
        cost("export tasks", work.gigabytes * prices.export_gb),
        cost("requests", requests / 1e3 + metrics),
        cost("storage of the export", storage),
        cost("Fargate (1 vCPU, 2 GB, ARM)", fargate * work.hours),
    ]
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a positive estimate, far below the largest number"
)]
fn whole(value: f64) -> u64 {
    value.max(0.0).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const VOLUME: Volume = Volume {
        log_groups: 2,
        events: Some(7e6),
        bytes: Some(70e9),
        days: 7.0,
        stored_bytes: 1,
        window_days: 1.0,
    };

    const READING: Reading = Reading {
        with_tasks: true,
        queries: 3,
        reads_again: true,
        keep_days: Some(15.0),
        memory: 1 << 30,
    };

    #[test]
    fn a_night_is_its_share_of_the_last_days() {
        let night = estimate(&VOLUME, &READING, "us-east-1").unwrap();
        assert_eq!(
            (night.events, night.bytes),
            (Some(1_000_000), 10_000_000_000)
        );
        assert_eq!(night.exported_bytes, 1_666_666_667);
        assert_eq!(night.disk_bytes, night.exported_bytes);
        assert!((night.export_minutes - 14.0).abs() < 1e-9);
        // Three questions over 10 GB.
        assert!((night.insights_usd - 0.15).abs() < 1e-9);
        let storage = night
            .costs
            .iter()
            .find(|cost| cost.item.starts_with("storage"));
        assert!((storage.unwrap().usd - 1.666_666_667 * 0.023 / 2.0).abs() < 1e-9);
        assert!(night.usd < night.insights_usd, "{night:?}");
        let seoul = estimate(&VOLUME, &READING, "ap-northeast-2").unwrap();
        assert_eq!(seoul.prices_of, "ap-northeast-2");
        assert!(seoul.insights_usd > night.insights_usd);
        let elsewhere = estimate(&VOLUME, &READING, "eu-west-1").unwrap();
        assert_eq!(elsewhere.prices_of, "us-east-1");
    }

    #[test]
    fn without_a_metric_the_stored_bytes_are_the_most_that_a_night_reads() {
        let stored = Volume {
            events: None,
            bytes: None,
            stored_bytes: 6_000_000,
            ..VOLUME
        };
        let night = estimate(&stored, &READING, "us-east-1").unwrap();
        assert_eq!((night.events, night.exported_bytes), (None, 1_000_000));
        let nothing = Volume {
            stored_bytes: 0,
            ..stored
        };
        assert_eq!(estimate(&nothing, &READING, "us-east-1"), None);
    }
}
