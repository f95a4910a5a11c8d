//! `cache`: the columns that `query` keeps on this machine of the events that it has read; and the options about them.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use chrono::{DateTime, Utc};
use clap::Args;
use serde::Serialize;

use super::{print, print_json};
use crate::error::{Class, Error, Result};
use crate::job::ByteSize;
use crate::numbers::counted;
use crate::scan::columns::Columns;
use crate::scan::columns::cache::{Cache, Contents};

/// The heading of the options of `query` about the cache.
const HEADING: &str = "What is kept for the next query";

/// The options of `query`.
#[derive(Debug, Args)]
pub(super) struct KeepArgs {
    /// The folder in which columns of the events that are read are kept, for the next query over the same objects
    /// [default: $XDG_CACHE_HOME/logtally or ~/.cache/logtally]
    #[arg(long, value_name = "DIR", help_heading = HEADING)]
    cache: Option<PathBuf>,

    /// The most that is kept, such as 20GiB [default: a tenth of the disk that is free]
    #[arg(long, value_name = "SIZE", help_heading = HEADING)]
    cache_size: Option<ByteSize>,

    /// Read every object again, and keep nothing
    #[arg(long, conflicts_with_all = ["cache", "cache_size"], help_heading = HEADING)]
    no_cache: bool,
}

impl KeepArgs {
    /// Where columns are kept; `None` where they are not.
    ///
    /// # Errors
    /// `Usage` for a folder of the arguments that can't be used. One that is only the default is done without.
    pub(super) fn columns(&self) -> Result<Option<Arc<Columns>>> {
        if self.no_cache {
            return Ok(None);
        }
        let limit = self.cache_size.map(|size| size.0);
        let cache = match (&self.cache, default_folder()) {
            (Some(folder), _) => Some(open(folder, limit)?),
            (None, Some(folder)) => open(&folder, limit)
                .inspect_err(|error| tracing::debug!("nothing is kept for the next query: {error}"))
                .ok(),
            (None, None) => None,
        };
        Ok(cache.map(Columns::cached))
    }
}

#[derive(Debug, Args)]
pub(super) struct CacheArgs {
    /// Print where the cache is, what it has and how large it may be; so does the command without an option
    #[arg(long)]
    show: bool,

    /// Remove all that is kept
    #[arg(long, conflicts_with = "show")]
    clear: bool,

    /// The folder of the cache [default: $XDG_CACHE_HOME/logtally or ~/.cache/logtally]
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,

    /// Print it as JSON
    #[arg(long, conflicts_with = "clear")]
    json: bool,
}

/// What a cache has, as JSON.
#[derive(Debug, Serialize)]
struct Shown<'a> {
    folder: &'a Path,
    bytes: u64,
    limit_bytes: u64,
    files: usize,
    objects: usize,
    first_used: Option<DateTime<Utc>>,
    last_used: Option<DateTime<Utc>>,
}

pub(super) fn cache(args: &CacheArgs) -> Result<u8> {
    let folder = match &args.cache {
        Some(folder) => folder.clone(),
        None => default_folder().ok_or_else(|| {
            Error::usage("there is no cache without XDG_CACHE_HOME or HOME: expected --cache DIR")
        })?,
    };
    let cache = open(&folder, None)?;
    if args.clear {
        let removed = cache.clear().map_err(|error| {
            let what = format!("can't clear the cache in {}", folder.display());
            Error::new(Class::Output, what).caused_by(error)
        })?;
        print(&format!(
            "removed {} from {}\n",
            in_mib(removed),
            cache.folder().display()
        ))?;
        return Ok(0);
    }
    let contents = cache.contents();
    match args.json {
        true => print_json(&shown(&cache, &contents))?,
        false => print(&in_words(&cache, &contents))?,
    }
    Ok(0)
}

fn shown<'a>(cache: &'a Cache, contents: &Contents) -> Shown<'a> {
    let (last, first) = contents.used.unzip();
    let instant = |at: Option<SystemTime>| at.map(DateTime::<Utc>::from);
    Shown {
        folder: cache.folder(),
        bytes: contents.bytes,
        limit_bytes: contents.limit,
        files: contents.files,
        objects: contents.objects,
        first_used: instant(first),
        last_used: instant(last),
    }
}

fn in_words(cache: &Cache, contents: &Contents) -> String {
    let used = match contents.used {
        None => String::new(),
        Some((last, first)) => {
            let at = |at: SystemTime| DateTime::<Utc>::from(at).format("%Y-%m-%d %H:%M UTC");
            format!("last used  {} to {}\n", at(first), at(last))
        }
    };
    format!(
        "folder     {}\nsize       {} of at most {}\nholds      the columns of {}, in {}\n{used}",
        cache.folder().display(),
        in_mib(contents.bytes),
        in_mib(contents.limit),
        counted(contents.objects as u64, "object"),
        counted(contents.files as u64, "file"),
    )
}

fn in_mib(bytes: u64) -> String {
    #[expect(
        clippy::cast_precision_loss,
        reason = "it is shown with one digit behind the point"
    )]
    let mib = bytes as f64 / f64::from(1 << 20);
    format!("{mib:.1} MiB")
}

fn open(folder: &Path, limit: Option<u64>) -> Result<Cache> {
    Cache::open(folder, limit).map_err(|error| {
        let what = format!(
            "can't use the cache in {}: expected a folder that can be written",
            folder.display()
        );
        Error::usage(what).caused_by(error)
    })
}

/// `$XDG_CACHE_HOME/logtally`, by default `~/.cache/logtally`; `None` without a home.
/// Source: the XDG Base Directory Specification, which takes only absolute paths.
fn default_folder() -> Option<PathBuf> {
    folder_in(|name| std::env::var_os(name))
}

fn folder_in(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let folder = |name| {
        let folder = variable(name).map(PathBuf::from)?;
        folder.is_absolute().then_some(folder)
    };
    let caches = folder("XDG_CACHE_HOME").or_else(|| Some(folder("HOME")?.join(".cache")))?;
    Some(caches.join("logtally"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_is_that_of_the_users_caches() {
        let folder = |caches: Option<&str>, home: Option<&str>| {
            let folder = folder_in(|name| match name {
                "XDG_CACHE_HOME" => caches.map(OsString::from),
                _ => home.map(OsString::from),
            });
            folder.map(|folder| folder.display().to_string())
        };
        let some = |path: &str| Some(path.to_owned());
        assert_eq!(folder(Some("/c"), Some("/h")), some("/c/logtally"));
        assert_eq!(folder(None, Some("/h")), some("/h/.cache/logtally"));
        assert_eq!(
            folder(Some("relative"), Some("/h")),
            some("/h/.cache/logtally")
        );
        assert_eq!(folder(Some(""), None), None);
    }
}
