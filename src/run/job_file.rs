//! Reading a job with its SQL files, and SQL for a query, from this machine, a bucket or standard input.

use std::collections::HashMap;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use crate::aws::{Account, Aws};
use crate::error::{Class, Error, Result};
use crate::job::{AwsSettings, Job, JobDraft, Location, TextFile, read_local};
use crate::query::check_format;
use crate::store::Stores;

/// The job in the file that an argument names: `s3://bucket/key`, `-` or a path. A bucket is reached with the settings of
/// the environment, since the job's own are not known yet.
///
/// # Errors
/// `Usage` for a file that does not exist or has mistakes, `Source` for a bucket that can't be read.
pub async fn load(argument: &Path) -> Result<Job> {
    let hint = |error| hint_at_locations(argument, error);
    let file = TextFile::parse(argument).map_err(|error| hint(Error::usage(error)))?;
    let mut reader = Reader::default();
    let text = reader.read(&file).await.map_err(hint)?.map_err(|error| {
        let what = format!("can't read the job file {}: {error}", file.name());
        hint(Error::usage(what))
    })?;
    let job = JobDraft::parse(file, text)?;
    let mut sql = HashMap::new();
    for file in job.sql_files() {
        let text = reader.read(&file).await?;
        sql.insert(file, text);
    }
    let read = |file: &TextFile| match sql.get(file) {
        Some(text) => text.clone(),
        None => Err("it was not read".to_owned()),
    };
    job.resolve(&read, &check_format)
}

/// The SQL in the file that an argument names: `s3://bucket/key`, `-` or a path.
///
/// # Errors
/// `Usage` for a file that can't be read, `Source` for a bucket that can't be read.
pub async fn load_sql(argument: &Path) -> Result<String> {
    let file = TextFile::parse(argument).map_err(Error::usage)?;
    let text = Reader::default().read(&file).await?;
    text.map_err(|error| {
        Error::usage(format!(
            "can't read the question from {}: {error}",
            file.name()
        ))
    })
}

/// Adds what was meant to the failure of an argument that is a location, where a job file is expected.
fn hint_at_locations(argument: &Path, error: Error) -> Error {
    let name = argument.to_string_lossy();
    // Of a folder on this machine, the error of reading it says so.
    if !name.starts_with("s3://") || name.ends_with(".toml") {
        return error;
    }
    let folder = name.trim_end_matches('/');
    error.with_hint(format!(
        "expected a job file, such as {folder}/nightly.toml; `logtally query {name} \"SELECT …\"` reads exported objects without a job"
    ))
}

/// Reads texts. The clients for buckets are made when the first is needed.
#[derive(Default)]
struct Reader {
    stores: Option<Stores>,
}

impl Reader {
    /// The text of a file; within, why it can't be had where that is the fault of the file.
    async fn read(&mut self, file: &TextFile) -> Result<Result<String, String>> {
        let text = match file {
            TextFile::Local(path) => read_local(path),
            TextFile::Stdin => stdin().await?,
            TextFile::S3 { bucket, key } => {
                let folder = Location::S3 {
                    bucket: bucket.clone(),
                    prefix: object_store::path::Path::default(),
                };
                let stores = match &mut self.stores {
                    Some(stores) => stores,
                    none => {
                        let aws = Aws::new(AwsSettings::default());
                        none.insert(Stores::new(Arc::new(aws))?)
                    }
                };
                let opened = stores.open(&folder, Account::LOGS).await;
                let store = opened.map_err(|error| error.during(file))?;
                match store.get(key).await? {
                    Some(bytes) => String::from_utf8(bytes.into())
                        .map_err(|error| format!("it is not UTF-8: {}", error.utf8_error())),
                    None => Err("the bucket has no such object".to_owned()),
                }
            }
        };
        Ok(text)
    }
}

/// Reads standard input on a thread of its own, which a signal need not wait for.
async fn stdin() -> Result<Result<String, String>> {
    let (sent, text) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let mut text = String::new();
        let read = std::io::stdin().read_to_string(&mut text);
        // The process ends already where the text is not waited for.
        let _ = sent.send(read.map(|_| text).map_err(|error| error.to_string()));
    });
    text.await.map_err(|error| {
        Error::new(Class::Unexpected, "can't read standard input").caused_by(error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::FormatKind;

    const JOB: &str = "name = \"night\"\n[source]\nkind = \"exported\"\npath = \"exports\"\n\
        [output]\nlocation = \"answers\"\n[[query]]\nuse = \"hourly_count\"\n";

    fn read(formats: &str) -> Result<Job> {
        let file = TextFile::Local("night.toml".into());
        let draft = JobDraft::parse(file, format!("{JOB}{formats}"))?;
        draft.resolve(&|_| Err("no file".to_owned()), &check_format)
    }

    #[test]
    fn formats_are_checked_when_the_job_is_read() {
        let job = read(
            "[formats.b]\nglob = \"took {ms:float} ms\"\n[formats.a]\ngrok = \"%{IP:client}\"\n",
        );
        let formats = job.unwrap().formats;
        let names: Vec<_> = formats
            .iter()
            .map(|format| (format.name.as_str(), format.kind))
            .collect();
        assert_eq!(names, [("a", FormatKind::Grok), ("b", FormatKind::Glob)]);
        for (formats, line, part) in [
            (
                "[formats.a]\ngrok = \"%{IPP:client}\"\n",
                10,
                "[formats.a] grok: the pattern '%{IPP:client}' has %{IPP}, which is unknown: did you mean IP?",
            ),
            (
                "[formats.a]\nregex = \"(\"\n",
                10,
                "is no regular expression",
            ),
            ("[formats.a]\nglob = \"took * ms\"\n", 10, "1 * and 0 names"),
            ("[formats.a]\n", 9, "expected one of grok, regex and glob"),
            (
                "[formats.a]\ngrok = \"%{IP:a}\"\nregex = \"(?<a>b)\"\n",
                9,
                "expected one of grok, regex and glob",
            ),
            ("[formats.a]\ngrokk = \"%{IP:a}\"\n", 10, "grok"),
            (
                "[formats.\"A b\"]\ngrok = \"%{IP:a}\"\n",
                9,
                "is not a valid name",
            ),
        ] {
            let error = read(formats).map(drop).expect_err(formats);
            assert_eq!(error.class(), Class::Usage, "{error}");
            let said = error.to_string();
            assert!(
                said.contains(&format!("night.toml:{line}:")) && said.contains(part),
                "{said}"
            );
        }
    }

    fn hint(argument: &Path) -> Option<String> {
        let error = hint_at_locations(argument, Error::usage("can't read it"));
        error.hint().map(str::to_owned)
    }

    #[test]
    fn a_location_in_the_place_of_a_job_is_named_as_such() {
        for location in ["s3://acme/exports", "s3://acme/exports/", "s3://acme"] {
            let hint = hint(Path::new(location)).expect("a hint");
            assert!(
                hint.contains(&format!("logtally query {location} ")),
                "{hint}"
            );
            assert!(hint.contains("/nightly.toml"), "{hint}");
        }
        for file in ["s3://acme/jobs/night.toml", "night.toml", "-"] {
            assert_eq!(hint(Path::new(file)), None, "{file}");
        }
    }
}
