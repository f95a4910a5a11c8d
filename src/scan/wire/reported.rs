//! What a process has read of a scan that was sent to it, as it reports it: while the scan goes on, and at its end.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::{Class, Error, Result};
use crate::layout::cloudwatch::LogObject;
use crate::scan::budget::Budget;
use crate::scan::columns::Columns;
use crate::scan::edges::{EdgeLog, Edges};
use crate::scan::object::Counts;
use crate::scan::report::ObjectReport;
use crate::scan::source::LogSource;
use crate::scan::tally::{Hours, Tally};
use crate::window::Range;

/// What the scans that a process receives share.
#[derive(Debug)]
pub struct Received {
    pub(super) budget: Arc<Budget>,
    pub(super) columns: Option<Arc<Columns>>,
    /// The scans that were received, by their ids, as long as their plans are there.
    reported: Mutex<HashMap<String, Weak<Reported>>>,
}

impl Received {
    /// `budget` is the memory of the objects that the scans hold. The columns of what they read are kept in `columns`.
    pub fn new(budget: Arc<Budget>, columns: Option<Arc<Columns>>) -> Self {
        Self {
            budget,
            columns,
            reported: Mutex::default(),
        }
    }

    /// What a scan has read behind the first `known` objects, as JSON; `None` where that is nothing, or the scan is not here.
    pub fn so_far(&self, scan: &str, known: usize) -> Option<String> {
        let reported = self.reported().get(scan).and_then(Weak::upgrade)?;
        reported.so_far(known)
    }

    pub(super) fn add(&self, scan: &str, reported: &Arc<Reported>) {
        let mut all = self.reported();
        all.retain(|_, reported| reported.strong_count() > 0);
        all.insert(scan.to_owned(), Arc::downgrade(reported));
    }

    fn reported(&self) -> MutexGuard<'_, HashMap<String, Weak<Reported>>> {
        self.reported.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a process has read of a scan that was sent to it, as a report to the sender.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct ReadMessage {
    scan: String,
    /// By the places of the objects in the sender's list.
    objects: Vec<(u32, ObjectReport)>,
    hours: Vec<(u32, Hours)>,
    edges: Vec<(u32, Edges)>,
}

/// The objects that were read of a scan that goes on, as a report to the sender.
#[derive(Debug, Serialize, Deserialize)]
struct ReadSoFarMessage {
    scan: String,
    /// How many the sender knows already.
    known: usize,
    /// Those behind them, by their places in the sender's list.
    objects: Vec<(u32, ObjectReport)>,
}

/// A report of a scan that goes on has at most so many objects: one message takes them.
const MOST_AT_ONCE: usize = 10_000;

/// What was read of a scan that was sent to this process.
#[derive(Debug)]
pub struct Reported {
    /// The places of the objects in the sender's list.
    pub(super) numbers: Vec<u32>,
    read: Mutex<ReadMessage>,
}

impl Reported {
    pub(super) fn new(scan: Uuid, numbers: Vec<u32>) -> Self {
        let read = ReadMessage {
            scan: scan.to_string(),
            ..ReadMessage::default()
        };
        Self {
            numbers,
            read: Mutex::new(read),
        }
    }

    /// What was read so far, as JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string(&*self.lock()).unwrap_or_default()
    }

    fn so_far(&self, known: usize) -> Option<String> {
        let read = self.lock();
        let objects = read.objects.get(known..).filter(|more| !more.is_empty())?;
        let message = ReadSoFarMessage {
            scan: read.scan.clone(),
            known,
            objects: objects[..objects.len().min(MOST_AT_ONCE)].to_vec(),
        };
        serde_json::to_string(&message).ok()
    }

    pub(in crate::scan) fn add(&self, number: usize, report: ObjectReport) {
        self.lock().objects.push((self.numbers[number], report));
    }

    pub(in crate::scan) fn add_hours(&self, number: usize, hours: &Hours) {
        let hours = (self.numbers[number], hours.clone());
        self.lock().hours.push(hours);
    }

    pub(in crate::scan) fn add_edges(&self, number: usize, edges: Edges) {
        self.lock().edges.push((self.numbers[number], edges));
    }

    fn lock(&self) -> MutexGuard<'_, ReadMessage> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A scan that was sent to another process.
struct SentScan {
    objects: Arc<Vec<LogObject>>,
    window: Range,
    tally: Option<Arc<Tally>>,
    edges: Option<EdgeLog>,
    counts: Counts,
    /// How many of the objects that are reported were counted.
    counted: usize,
}

impl SentScan {
    fn object(&self, number: u32) -> Result<&LogObject> {
        let object = self.objects.get(number as usize);
        object.ok_or_else(|| wrong_report(&format!("is of object {number}, which was not sent")))
    }

    fn count(&mut self, objects: impl IntoIterator<Item = (u32, ObjectReport)>) -> Result<()> {
        for (number, read) in objects {
            self.object(number)?;
            self.counts.add(number as usize, read);
            self.counted += 1;
        }
        Ok(())
    }
}

fn read_report<'r, T: Deserialize<'r>>(report: &'r str) -> Result<T> {
    serde_json::from_str(report).map_err(|error| wrong_report("can't be read").caused_by(error))
}

fn wrong_report(what: &str) -> Error {
    Error::new(Class::Unexpected, format!("a worker's report {what}"))
}

/// The scans of a query that were sent to other processes: what these report is counted as if this process had read it.
#[derive(Default)]
pub struct SentScans(Mutex<HashMap<String, SentScan>>);

impl fmt::Debug for SentScans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SentScans")
            .field(&self.lock().len())
            .finish()
    }
}

impl SentScans {
    /// Adds a scan of objects, which are counted as `source` counts them.
    pub(super) fn add(&self, id: Uuid, source: &LogSource, objects: Arc<Vec<LogObject>>) {
        let (tally, edges) = (&source.tally, &source.edges);
        let scan = SentScan {
            objects,
            window: source.filter.window,
            tally: tally.clone(),
            edges: edges.clone(),
            counts: Counts::new(
                &source.metrics,
                0,
                source.read.clone(),
                tally.clone(),
                edges.clone(),
            ),
            counted: 0,
        };
        self.lock().insert(id.to_string(), scan);
    }

    /// The scans that are not reported yet, with the number of their objects that were counted.
    pub fn open(&self) -> Vec<(String, usize)> {
        let scans = self.lock();
        let open = scans.iter().map(|(id, scan)| (id.clone(), scan.counted));
        open.collect()
    }

    /// Counts the objects of a scan that goes on. A report that came before, or behind that of the end, counts nothing.
    ///
    /// # Errors
    /// `Unexpected` for a report that can't be read, or is of an object that was not sent.
    pub fn count_so_far(&self, report: &str) -> Result<()> {
        let report: ReadSoFarMessage = read_report(report)?;
        let mut scans = self.lock();
        let Some(scan) = scans.get_mut(&report.scan) else {
            return Ok(());
        };
        if scan.counted == report.known {
            scan.count(report.objects)?;
        }
        Ok(())
    }

    /// Counts the report of a scan's end, once.
    ///
    /// # Errors
    /// `Unexpected` for a report that can't be read, or is of no scan that was sent or was reported before.
    pub fn count(&self, report: &str) -> Result<()> {
        let report: ReadMessage = read_report(report)?;
        let scan = self.lock().remove(&report.scan);
        let mut scan = scan.ok_or_else(|| {
            wrong_report("is of a scan that was not sent to it, or that was reported before")
        })?;
        let counted = scan.counted;
        scan.count(report.objects.into_iter().skip(counted))?;
        if let Some(tally) = &scan.tally {
            for (number, hours) in &report.hours {
                let object = scan.object(*number)?;
                let own = object.range.unwrap_or(Range::ALL).intersect(scan.window);
                tally.add_hours(&object.key(), own, hours);
            }
        }
        if let Some(log) = &scan.edges {
            for (number, edges) in report.edges {
                scan.object(number)?;
                log.add(number as usize, edges);
            }
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, SentScan>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
