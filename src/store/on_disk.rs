//! A location on this machine: many files listed fast, a file replaced whole under the lock of its folder, and the
//! temporary files of killed processes removed.

use std::fs::{File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path as FilePath, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use object_store::ObjectMeta;
use object_store::path::Path;

use super::{Body, Condition};
use crate::layout::Skipped;

/// Folders for each thread that lists: with fewer, some threads would end long before the others.
const FOLDERS_FOR_EACH_THREAD: usize = 16;

/// The depth down to which one thread looks for folders that the threads can share.
const SHARED_LEVELS: usize = 8;

/// The prefix of the names of files that are being written.
const TEMPORARY: &str = ".logtally-";

/// A key of a local location as a path.
pub(super) fn path_of(key: &Path) -> PathBuf {
    PathBuf::from(format!("/{key}"))
}

/// A folder and every folder in it, at any depth; empty where it does not exist.
pub(super) fn folders_in(folder: &Path) -> Vec<PathBuf> {
    let entries = walkdir::WalkDir::new(path_of(folder)).into_iter().flatten();
    let folders = entries.filter(|entry| entry.file_type().is_dir());
    folders.map(walkdir::DirEntry::into_path).collect()
}

fn is_temporary(name: &std::ffi::OsStr) -> bool {
    name.as_encoded_bytes().starts_with(TEMPORARY.as_bytes())
}

/// Every file below a folder; empty where it does not exist. The engine's own walk makes six calls for each file, on
/// one thread: with many small objects, listing takes as long as reading.
pub(super) fn list_files(prefix: &Path) -> io::Result<(Vec<ObjectMeta>, Skipped)> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut found = Found::default();
    // From the top down until there are folders for every thread.
    let mut folders = vec![path_of(prefix)];
    for _ in 0..SHARED_LEVELS {
        if folders.len() >= threads * FOLDERS_FOR_EACH_THREAD {
            break;
        }
        let mut below = Vec::new();
        for folder in folders {
            list_folder(&folder, 1, &mut found, &mut below)?;
        }
        folders = below;
    }
    let next = AtomicUsize::new(0);
    let walk = || -> io::Result<Found> {
        let mut found = Found::default();
        while let Some(folder) = folders.get(next.fetch_add(1, Ordering::Relaxed)) {
            list_folder(folder, usize::MAX, &mut found, &mut Vec::new())?;
        }
        Ok(found)
    };
    std::thread::scope(|scope| {
        let walks: Vec<_> = (0..threads.min(folders.len()))
            .map(|_| scope.spawn(walk))
            .collect();
        for walk in walks {
            match walk.join() {
                Ok(more) => {
                    let Found(objects, skipped) = more?;
                    found.0.extend(objects);
                    found.1.merge(skipped);
                }
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        Ok((found.0, found.1))
    })
}

/// Files, and what is left out.
#[derive(Default)]
struct Found(Vec<ObjectMeta>, Skipped);

/// Adds the files down to `depth` below a folder to `found`, and the folders at just that depth to `below`.
fn list_folder(
    folder: &FilePath,
    depth: usize,
    found: &mut Found,
    below: &mut Vec<PathBuf>,
) -> io::Result<()> {
    let walk = walkdir::WalkDir::new(folder)
        .follow_links(true)
        .max_depth(depth);
    for entry in walk {
        let entry = match entry {
            Err(error)
                if error
                    .io_error()
                    .is_some_and(|error| error.kind() == io::ErrorKind::NotFound) =>
            {
                continue;
            }
            entry => entry?,
        };
        if entry.file_type().is_dir() {
            if entry.depth() == depth {
                below.push(entry.into_path());
            }
            continue;
        }
        // A file that is still being written is no object.
        if !entry.file_type().is_file() || is_temporary(entry.file_name()) {
            continue;
        }
        let meta = entry.metadata()?;
        let path = entry.path().to_str();
        let Some(location) = path.and_then(|path| Path::parse(path).ok()) else {
            found.1.add(&entry.path().to_string_lossy());
            continue;
        };
        found.0.push(ObjectMeta {
            location,
            last_modified: meta.modified()?.into(),
            size: meta.len(),
            e_tag: Some(local_etag(&meta)),
            version: None,
        });
    }
    Ok(())
}

/// Removes every temporary file. Files are written and renamed under the lock of their folder, so under that lock no
/// file is being written.
pub(super) fn sweep_folder(folder: &FilePath) -> io::Result<()> {
    let handle = match File::open(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        handle => handle?,
    };
    handle.lock()?;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if is_temporary(&entry.file_name()) {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Removes the empty folders in and above `folder`, up to, but without, `root`.
pub(super) fn remove_empty_folders(folder: &FilePath, root: &FilePath) -> io::Result<()> {
    let remove = |folder: &FilePath| match std::fs::remove_dir(folder) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(false),
        Err(error) => Err(error),
    };
    for entry in walkdir::WalkDir::new(folder).contents_first(true) {
        match entry {
            Ok(entry) if entry.file_type().is_dir() => _ = remove(entry.path())?,
            _ => {}
        }
    }
    for above in folder.ancestors().skip(1) {
        if above == root || !above.starts_with(root) || !remove(above)? {
            break;
        }
    }
    Ok(())
}

/// Writes a temporary file beside the target and renames it, so that a reader sees the old file or the new one. Returns
/// the new file's tag; `None` where the condition does not hold.
pub(super) fn replace_file(
    target: &FilePath,
    body: &Body,
    condition: &Condition,
) -> io::Result<Option<String>> {
    let folder = target.parent().unwrap_or(FilePath::new("/"));
    std::fs::create_dir_all(folder)?;
    let folder_handle = File::open(folder)?;
    folder_handle.lock()?;
    let holds = match (condition, std::fs::metadata(target)) {
        (Condition::Absent, Err(error)) if error.kind() == io::ErrorKind::NotFound => true,
        (Condition::Unchanged(etag), Ok(meta)) => *etag == local_etag(&meta),
        (_, Err(error)) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => false,
    };
    if !holds {
        return Ok(None);
    }
    let mut file = tempfile::Builder::new()
        .prefix(TEMPORARY)
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(folder)?;
    match body {
        Body::Bytes(bytes) => file.write_all(bytes)?,
        Body::File(from) => {
            io::copy(&mut File::open(from)?, &mut file)?;
        }
    }
    file.as_file().sync_all()?;
    // A rename changes nothing that the tag is made of. After the rename, the name may already be another process's
    // file.
    let etag = local_etag(&file.as_file().metadata()?);
    file.persist(target)?;
    folder_handle.sync_all()?;
    Ok(Some(etag))
}

/// The tag that the engine's local store gives a file.
pub fn local_etag(meta: &std::fs::Metadata) -> String {
    use std::os::unix::fs::MetadataExt;
    let modified = meta
        .modified()
        .ok()
        .and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok())
        .unwrap_or_default()
        .as_micros();
    format!("{:x}-{modified:x}-{:x}", meta.ino(), meta.len())
}
