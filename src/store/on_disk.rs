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

/// The failure of the system inside an error of the library.
pub(super) fn io_error(error: &object_store::Error) -> Option<&io::Error> {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    let mut found = None;
    while let Some(error) = next {
        found = error.downcast_ref().or(found);
        next = error.source();
    }
    found
}

/// The file in a path where a folder should be, if there is one.
pub(super) fn file_in_the_way(key: &Path) -> Option<Path> {
    let path = path_of(key);
    let file = path.ancestors().skip(1).find(|folder| folder.is_file())?;
    Path::from_absolute_path(file).ok()
}

/// A folder and every folder in it, at any depth; empty where it does not exist.
pub(super) fn folders_in(folder: &Path) -> Vec<PathBuf> {
    let entries = walkdir::WalkDir::new(path_of(folder)).into_iter().flatten();
    let folders = entries.filter(|entry| entry.file_type().is_dir());
    folders.map(walkdir::DirEntry::into_path).collect()
}

/// The names of the folders in a folder; empty where it does not exist.
pub(super) fn folder_names(folder: &Path) -> io::Result<Vec<String>> {
    let entries = match std::fs::read_dir(path_of(folder)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.path().is_dir() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    Ok(names)
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
    let mut walk = walkdir::WalkDir::new(folder)
        .follow_links(true)
        .max_depth(depth)
        .into_iter();
    while let Some(entry) = walk.next() {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) if is_loop(&error) => {
                found.1.add_loop(error.path().unwrap_or(folder));
                continue;
            }
            Err(error) if error.io_error().is_some_and(is_not_found) => continue,
            Err(error) => return Err(error.into()),
        };
        if entry.file_type().is_dir() {
            if entry.depth() > 0 && entry.path_is_symlink() && leads_back(entry.path()) {
                found.1.add_loop(entry.path());
                walk.skip_current_dir();
            } else if entry.depth() == depth {
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
        found.0.push(object_meta(location, &meta)?);
    }
    Ok(())
}

fn object_meta(location: Path, meta: &std::fs::Metadata) -> io::Result<ObjectMeta> {
    Ok(ObjectMeta {
        location,
        last_modified: meta.modified()?.into(),
        size: meta.len(),
        e_tag: Some(local_etag(meta)),
        version: None,
    })
}

fn is_not_found(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
}

/// Whether a link leads nowhere but back: to a folder above it, or through other links to itself.
fn is_loop(error: &walkdir::Error) -> bool {
    let is_circle = |link: &FilePath| {
        use io::ErrorKind::{NotFound, PermissionDenied};
        let resolved = link.canonicalize().map_err(|error| error.kind());
        link.is_symlink() && !matches!(resolved, Ok(_) | Err(NotFound | PermissionDenied))
    };
    error.loop_ancestor().is_some() || error.path().is_some_and(is_circle)
}

/// Whether a link to a folder leads to one of the folders that it is in, so that what is below it is listed already.
fn leads_back(link: &FilePath) -> bool {
    let Ok(target) = link.canonicalize() else {
        return false;
    };
    let mut above = link.ancestors().skip(1);
    above.any(|folder| folder.canonicalize().is_ok_and(|folder| folder == target))
}

/// The files of a folder, and the folders in it; empty where it does not exist. What no key can name is left out.
pub(super) fn list_level(folder: &Path) -> io::Result<(Vec<ObjectMeta>, Vec<Path>)> {
    let mut found = Found::default();
    let mut below = Vec::new();
    list_folder(&path_of(folder), 1, &mut found, &mut below)?;
    let folders = below
        .iter()
        .filter_map(|folder| Path::parse(folder.to_str()?).ok());
    Ok((found.0, folders.collect()))
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::symlink;

    fn list(folder: &FilePath) -> (Vec<String>, Skipped) {
        let key = Path::from_absolute_path(folder).unwrap();
        let (objects, skipped) = list_files(&key).unwrap();
        let keys = objects.iter().map(|object| object.location.as_ref());
        let below = |key: &str| key[key.len().min(folder.as_os_str().len())..].to_owned();
        let mut keys: Vec<String> = keys.map(below).collect();
        keys.sort();
        (keys, skipped)
    }

    #[test]
    fn a_link_that_leads_back_is_told_and_nothing_is_listed_twice() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        for file in ["a/1.gz", "b/c/2.gz", "other/3.gz"] {
            let file = root.join(file);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, "x").unwrap();
        }
        assert_eq!(list(&root).1, Skipped::default());
        symlink(&root, root.join("a/up")).unwrap();
        symlink("/", root.join("b/c/top")).unwrap();
        symlink(root.join("a"), root.join("b/aside")).unwrap();
        symlink("one", root.join("two")).unwrap();
        symlink("two", root.join("one")).unwrap();
        symlink("nowhere", root.join("broken")).unwrap();
        let (keys, skipped) = list(&root);
        // A link aside is followed, also where it has a link back.
        assert_eq!(keys, ["a/1.gz", "b/aside/1.gz", "b/c/2.gz", "other/3.gz"]);
        let note = skipped.note("here").unwrap();
        assert!(
            note.starts_with("5 links below here are not followed"),
            "{note}"
        );
        let (files, folders) = list_level(&Path::from_absolute_path(&root).unwrap()).unwrap();
        assert_eq!((files.len(), folders.len()), (0, 3));
    }

    #[test]
    fn names_that_no_key_can_have_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        for name in [&b"1.gz"[..], b"a\nb.gz", b"caf\xe9.gz", b"\x01.gz"] {
            std::fs::write(root.join(OsStr::from_bytes(name)), "x").unwrap();
        }
        std::fs::create_dir(root.join("folder\n")).unwrap();
        std::fs::write(root.join("folder\n/2.gz"), "x").unwrap();
        let (keys, skipped) = list(&root);
        assert_eq!(keys, ["1.gz"]);
        let note = skipped.note("here").unwrap();
        assert!(
            note.starts_with("4 objects below here are not read"),
            "{note}"
        );
        let (files, folders) = list_level(&Path::from_absolute_path(&root).unwrap()).unwrap();
        assert_eq!((files.len(), folders.len()), (1, 0));
    }
}
