//! Where each answer goes, and in what form: Parquet for Athena, in one file or divided, and tables over it.

pub mod athena;
pub mod columns;
pub mod division;
pub mod parquet;
pub mod partitioned;

use object_store::path::Path;

use self::division::KeysByRows;
use crate::job::Job;
use crate::layout::Keys;
use crate::window::Window;

/// The keys of all that a run of a window writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowKeys {
    /// Those that depend on the rows of an answer.
    pub by_rows: Vec<KeysByRows>,
    /// All others, the receipt last.
    pub fixed: Vec<Path>,
}

impl WindowKeys {
    /// What a run of the window writes; with `is_latest`, the copies of its charts too.
    pub fn of(keys: &Keys, job: &Job, window: &Window, is_latest: bool) -> Self {
        let (mut by_rows, mut fixed) = (Vec::new(), Vec::new());
        for query in &job.queries {
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

    /// All of them for people: patterns, then keys.
    pub fn patterns(&self) -> impl Iterator<Item = &Path> {
        let by_rows = self.by_rows.iter().map(|keys| &keys.pattern);
        by_rows.chain(&self.fixed)
    }
}
