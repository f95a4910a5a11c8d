//! Answers as files and as tables: Parquet that Athena reads, in one file or divided, and the SQL of tables over it.

pub mod archive;
pub mod athena;
pub mod columns;
pub mod division;
pub mod parquet;
pub mod partitioned;
#[cfg(feature = "cluster")]
pub mod parts;

use object_store::path::Path;

use self::division::KeysByRows;
use crate::job::Job;
use crate::layout::Keys;
use crate::window::Window;

/// The keys of everything that a run of a window writes, except its state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowKeys {
    /// Keys that depend on the rows of an answer.
    pub by_rows: Vec<KeysByRows>,
    /// All other keys, the receipt's last.
    pub fixed: Vec<Path>,
}

impl WindowKeys {
    /// The keys of a run of the window; with `is_latest`, also those of the copies of its charts.
    pub fn of(keys: &Keys, job: &Job, window: &Window, is_latest: bool) -> Self {
        let (mut by_rows, mut fixed) = (Vec::new(), Vec::new());
        for query in job.answers() {
            let name = query.name.as_str();
            let answer = keys.of_answer(name, window);
            by_rows.extend(query.division.keys_by_rows(answer));
            fixed.extend(query.division.fixed_key(answer));
            for chart in &query.charts {
                let extensions = chart.formats.iter().map(|format| format.extension());
                for extension in extensions {
                    let chart = chart.name.as_str();
                    fixed.push(keys.chart(name, chart, window, extension));
                    if is_latest {
                        fixed.push(keys.latest_chart(name, chart, extension));
                    }
                }
            }
        }
        fixed.push(keys.receipt(&window.id()));
        Self { by_rows, fixed }
    }

    /// All of them for display: patterns first, then keys.
    pub fn patterns(&self) -> impl Iterator<Item = &Path> {
        let by_rows = self.by_rows.iter().map(|keys| &keys.pattern);
        by_rows.chain(&self.fixed)
    }
}
