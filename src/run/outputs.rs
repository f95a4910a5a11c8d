//! The keys of all that a run of a window writes.

use object_store::path::Path;

use crate::job::{ImageFormat, Job, Name, Query};
use crate::layout::Keys;
use crate::window::Window;

/// The folders of what a run of the window writes under keys that depend on its rows, each with a pattern of those keys.
pub(super) fn spread(keys: &Keys, job: &Job, window: &Window) -> Vec<(Path, Path)> {
    let of_query = |query: &Query| {
        let name = query.name.as_str();
        if query.file_size.is_some() {
            let folder = keys.parts_folder(name, window);
            return Some((folder, keys.part_pattern(name, window)));
        }
        let by = query.partition_by.iter().map(Name::as_str);
        (by.len() > 0).then(|| {
            let folder = keys.answer_folder(name, window);
            (folder, keys.partitioned_answers(name, window, by))
        })
    };
    job.queries.iter().filter_map(of_query).collect()
}

/// Everything else that a run of the window writes, the receipt last; with `is_latest`, the copies of its charts too.
pub(super) fn settled_keys(keys: &Keys, job: &Job, window: &Window, is_latest: bool) -> Vec<Path> {
    let mut outputs = Vec::new();
    for query in &job.queries {
        let name = query.name.as_str();
        if query.file_size.is_some() {
            outputs.push(keys.parts_list(name, window));
        } else if query.partition_by.is_empty() {
            outputs.push(keys.answer(name, window));
        }
        for chart in &query.charts {
            for format in &chart.formats {
                let (chart, extension) = (chart.name.as_str(), ImageFormat::extension(*format));
                outputs.push(keys.chart(name, chart, window, extension));
                if is_latest {
                    outputs.push(keys.latest_chart(name, chart, extension));
                }
            }
        }
    }
    outputs.push(keys.receipt(&window.id()));
    outputs
}
