//! What the documents say of the program is so: `docs/ARCHITECTURE.md` of the sources, `README.md` and `docs/charts.md` of
//! the job file, `docs/SEMANTICS.md` of the tests. Tests only; none of them needs more than this checkout.

mod functions;
mod job_keys;
mod metrics;
mod rooms;
mod tests_named;

use std::path::{Path, PathBuf};

/// A path of the checkout.
fn path(relative: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(relative)
}

/// The text of a file of the checkout.
fn read(relative: &str) -> String {
    std::fs::read_to_string(path(relative)).unwrap_or_else(|error| panic!("{relative}: {error}"))
}

/// The Rust files below a folder of the checkout, as paths from there with `/`, sorted.
fn sources(folder: &str) -> Vec<String> {
    let folder = path(folder);
    let mut found: Vec<String> = walkdir::WalkDir::new(&folder)
        .into_iter()
        .map(|entry| entry.expect("the checkout is readable").into_path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .map(|path| {
            let relative = path.strip_prefix(&folder).expect("it is below the folder");
            relative.to_str().expect("names are UTF-8").to_owned()
        })
        .collect();
    found.sort();
    found
}
