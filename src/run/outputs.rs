//! The keys of all that a run of a window writes.

use object_store::path::Path;

use crate::job::{ImageFormat, Job, Query};
use crate::layout;
use crate::store::Store;
use crate::window::Window;

/// The folders of what a run of the window writes under keys that depend on its rows, each with how the files in it look.
pub(super) fn spread(output: &Store, job: &Job, window: &Window) -> Vec<(Path, String)> {
    let (root, name) = (output.root(), job.name.as_str());
    let of_query = |query: &Query| {
        let query_name = query.name.as_str();
        if query.file_size.is_some() {
            let folder = layout::parts_folder(root, name, query_name, window);
            return Some((folder, format!("{query_name}-*.parquet")));
        }
        let by = query.partition_by.iter();
        let folders: String = by.map(|column| format!("{column}=*/")).collect();
        let folder = layout::answer_folder(root, name, query_name, window);
        (!folders.is_empty()).then(|| (folder, folders + &layout::answer_file(query_name)))
    };
    job.queries.iter().filter_map(of_query).collect()
}

/// Everything else that a run of the window writes, the receipt last; with `is_latest`, the copies of its charts too.
pub(super) fn keys(output: &Store, job: &Job, window: &Window, is_latest: bool) -> Vec<Path> {
    let (root, name) = (output.root(), job.name.as_str());
    let mut keys = Vec::new();
    for query in &job.queries {
        let query_name = query.name.as_str();
        if query.file_size.is_some() {
            keys.push(layout::parts_list(root, name, query_name, window));
        } else if query.partition_by.is_empty() {
            keys.push(layout::answer(root, name, query_name, window));
        }
        for chart in &query.charts {
            for format in &chart.formats {
                let (chart, extension) = (chart.name.as_str(), ImageFormat::extension(*format));
                keys.push(layout::chart(
                    root, name, query_name, chart, window, extension,
                ));
                if is_latest {
                    keys.push(layout::latest_chart(
                        root, name, query_name, chart, extension,
                    ));
                }
            }
        }
    }
    keys.push(layout::receipt(root, name, &window.id()));
    keys
}
