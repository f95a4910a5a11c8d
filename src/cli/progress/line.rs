//! The progress of a query: a line on a terminal, once the query takes longer than half a second.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use indicatif::{BinaryBytes, ProgressBar, ProgressDrawTarget};

use super::{filled, style};
use crate::cli::logging::Show;
use crate::numbers::counted;
use crate::query::ScanProgress;
use crate::scan::ScanReport;

/// What ends sooner shows no line.
const SHOWN_AFTER: Duration = Duration::from_millis(500);

/// How often the line is drawn.
const DRAWN_EVERY: Duration = Duration::from_millis(100);

/// The share of the bytes that has to be read before the time left is estimated.
const LEAST_SHARE: f64 = 0.02;

/// The line. Dropping it erases it.
pub struct QueryLine {
    doing: Arc<Mutex<Doing>>,
    bar: ProgressBar,
    /// Dropped, it ends the drawing.
    stop: Option<Sender<()>>,
    drawing: Option<JoinHandle<()>>,
}

/// What the query does.
enum Doing {
    /// Something whose end is unknown, in words.
    Step(&'static str),
    /// Reading, since a time.
    Reading(ScanProgress, Instant),
}

impl QueryLine {
    /// The line on stderr; `None` where that is no terminal, or is to be quiet. It is drawn by a thread of its own, as a
    /// query can keep all threads of the runtime busy.
    pub fn start(show: Show) -> Option<Self> {
        if !show.terminal || show.quiet {
            return None;
        }
        let bar =
            ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden()).with_style(style());
        let doing = Arc::new(Mutex::new(Doing::Step("looking for what is to be read")));
        let (shown, shared) = (bar.clone(), Arc::clone(&doing));
        let (stop, stopped) = channel();
        let drawing = thread::spawn(move || {
            let goes_on = |wait| stopped.recv_timeout(wait) == Err(RecvTimeoutError::Timeout);
            if goes_on(SHOWN_AFTER) {
                shown.set_draw_target(ProgressDrawTarget::stderr());
                let draw = || {
                    let text = lock(&shared).text();
                    shown.set_message(text);
                    shown.tick();
                };
                draw();
                while goes_on(DRAWN_EVERY) {
                    draw();
                }
            }
        });
        Some(Self {
            doing,
            bar,
            stop: Some(stop),
            drawing: Some(drawing),
        })
    }

    /// Shows how far the scans of a query are from now on.
    pub fn watch(&self, scans: ScanProgress) {
        *lock(&self.doing) = Doing::Reading(scans, Instant::now());
    }
}

impl Drop for QueryLine {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(drawing) = self.drawing.take() {
            let _ = drawing.join();
        }
        self.bar.finish_and_clear();
    }
}

fn lock(doing: &Mutex<Doing>) -> impl std::ops::DerefMut<Target = Doing> {
    doing.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Doing {
    fn text(&self) -> String {
        match self {
            Self::Step(words) => (*words).to_owned(),
            Self::Reading(scans, since) => reading(scans.so_far(), scans.bytes(), since.elapsed()),
        }
    }
}

/// `██████░░░░  1,204,311 events  412.00 MiB of 1.20 GiB  180.00 MiB/s  5 s left`
fn reading(read: ScanReport, of_bytes: u64, elapsed: Duration) -> String {
    if of_bytes == 0 {
        return "computing".to_owned();
    }
    let read_all = read.bytes >= of_bytes;
    let seconds = elapsed.as_secs_f64();
    let mut text = format!(
        "{}  {}  {} of {}",
        filled(read.bytes, of_bytes),
        counted(read.events, "event"),
        BinaryBytes(read.bytes),
        BinaryBytes(of_bytes),
    );
    if read_all {
        return text + "  computing";
    }
    let rate = read.bytes as f64 / seconds.max(f64::EPSILON);
    if read.bytes > 0 && seconds > 0.0 {
        text += &format!("  {}/s", BinaryBytes(rate as u64));
    }
    if read.bytes as f64 / of_bytes as f64 >= LEAST_SHARE {
        let left = (of_bytes - read.bytes) as f64 / rate;
        text += &format!("  {} left", length(left));
    }
    text
}

/// `5 s`, `2 min 5 s`, `1 h 12 min`
fn length(seconds: f64) -> String {
    let seconds = seconds.ceil().max(1.0) as u64;
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_has_events_bytes_rate_and_the_time_left() {
        let read = ScanReport {
            bytes: 256 << 20,
            events: 1_204_311,
            ..ScanReport::default()
        };
        let shown = reading(read, 1 << 30, Duration::from_secs(2));
        assert_eq!(
            shown,
            "█████░░░░░░░░░░░░░░░  1,204,311 events  256.00 MiB of 1.00 GiB  128.00 MiB/s  6 s left"
        );
        let all = ScanReport {
            bytes: 1 << 30,
            ..read
        };
        assert!(reading(all, 1 << 30, Duration::from_secs(9)).ends_with("1.00 GiB  computing"));
        let none = ScanReport::default();
        let shown = reading(none, 1 << 30, Duration::from_secs(2));
        assert!(shown.ends_with("0 events  0 B of 1.00 GiB"), "{shown}");
        assert_eq!(reading(none, 0, Duration::ZERO), "computing");
        assert_eq!(length(0.2), "1 s");
        assert_eq!(length(125.0), "2 min 5 s");
        assert_eq!(length(4320.0), "1 h 12 min");
    }
}
