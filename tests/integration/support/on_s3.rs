//! Jobs over exported objects on S3.

use std::collections::BTreeMap;
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use super::events::{HOUR, at};
use super::export::{self, Export};
use super::moto::Moto;
use super::program::{Dir, Program, Running};

/// The window of the events.
pub const WINDOW: &str = "2025-03-03";

/// The size of an object that is read in ranges.
const LARGE: usize = 34 << 20;

/// A query whose answer is as large as the events.
pub const EVERYTHING: &str = "[[query]]\nname = \"everything\"\nsql = \"everything.sql\"\n";

/// A job over exported objects on S3: sixty small ones, and optionally a large one, which is read in ranges. With
/// [`EVERYTHING`], an answer is so large that it is uploaded in parts.
pub struct Exported<'a> {
    pub moto: &'a Moto,
    pub dir: Dir,
    pub bucket: String,
}

impl<'a> Exported<'a> {
    pub fn new(moto: &'a Moto, bucket: &str) -> Self {
        moto.create_bucket(bucket);
        let this = Self {
            moto,
            dir: Dir::new(),
            bucket: bucket.to_owned(),
        };
        let midnight = at("2025-03-03T00:00:00Z");
        let folder = Dir::new();
        let small = Export::new(folder.path());
        for stream in 0..60 {
            let time = midnight + stream * HOUR / 3;
            small.stream(&format!("web/{stream}"), &[(time, "x"), (time + 1, "한글")]);
        }
        moto.put_folder(bucket, "exported", folder.path());
        this
    }

    /// Adds a large object whose events compress badly, also in Parquet.
    pub fn with_large(self) -> Self {
        let object = incompressible(at("2025-03-03T05:00:00Z"), LARGE);
        self.with_object(&object)
    }

    /// Adds so many objects of some megabytes, whose events compress as badly.
    #[cfg(feature = "cluster")]
    pub fn with_several(self, objects: i64) -> Self {
        for number in 0..objects {
            let first = at("2025-03-03T05:00:00Z") + number * HOUR;
            let object = incompressible(first, 3 << 20);
            let key = format!("exported/large/web-{number}/000000.gz");
            self.moto.put_object(&self.bucket, &key, &object);
        }
        self
    }

    /// Adds an object.
    pub fn with_object(self, object: &[u8]) -> Self {
        let key = "exported/large/web-large/000000.gz";
        self.moto.put_object(&self.bucket, key, object);
        self
    }

    /// Writes a job with its answers in a folder of their own, and starts it.
    pub fn start(
        &self,
        name: &str,
        more: &str,
        environment: Vec<(&'static str, String)>,
    ) -> Running {
        self.program(name, more, WINDOW).envs(environment).spawn()
    }

    /// Writes a job for any window, as a program that is not started.
    pub fn program(&self, name: &str, more: &str, window: &str) -> Program {
        let job = format!("{name}.toml");
        let bucket = &self.bucket;
        self.write_once("everything.sql", "SELECT timestamp, message FROM logs");
        let text = format!(
            "name = \"night\"\n[source]\nkind = \"exported\"\npath = \"s3://{bucket}/exported\"\n\
             [output]\nlocation = \"s3://{bucket}/{name}\"\n[[query]]\nuse = \"hourly_count\"\n{more}"
        );
        self.write_once(&job, &text);
        self.dir
            .logtally(["run", &job, "--window", window, "--json"])
    }

    /// Writes a file unless it has this text already, since another run may be reading it.
    fn write_once(&self, name: &str, text: &str) {
        if std::fs::read(self.dir.join(name)).ok().as_deref() != Some(text.as_bytes()) {
            self.dir.write(name, text);
        }
    }

    /// The state of the window.
    pub fn state(&self, name: &str) -> Value {
        let key = format!("{name}/night/runs/_state/{WINDOW}.json");
        let state = self.moto.get_object(&self.bucket, &key);
        serde_json::from_slice(&state).expect("the state is JSON")
    }

    /// The ETags of all objects below a job's folder but the receipt and the state, which contain times.
    pub fn answers(&self, name: &str) -> BTreeMap<String, Value> {
        let prefix = format!("{name}/");
        self.moto
            .list_objects(&self.bucket, &prefix)
            .into_iter()
            .map(|object| {
                let key = object["Key"].as_str().expect("a key is a text");
                (key[prefix.len()..].to_owned(), object["ETag"].clone())
            })
            .filter(|(key, _)| !key.contains("/runs/"))
            .collect()
    }

    pub fn assert_no_unfinished_uploads(&self) {
        let arguments = json!({"Bucket": self.bucket});
        let unfinished = self.moto.call("s3", "list_multipart_uploads", arguments);
        assert!(unfinished["Uploads"].is_null(), "{unfinished}");
    }
}

/// A query whose answer is as large as the events, in parts of a size.
#[cfg(feature = "cluster")]
pub const IN_PARTS: &str =
    "[[query]]\nname = \"everything\"\nsql = \"everything.sql\"\nfile_size = \"1MiB\"\n";

/// A gzip object of `bytes` bytes, with messages that Parquet compresses to three quarters at best.
fn incompressible(midnight: i64, bytes: usize) -> Vec<u8> {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut random = fastrand::Rng::with_seed(7);
    let mut object = GzEncoder::new(Vec::with_capacity(bytes), Compression::none());
    let mut written = 0;
    while written < bytes {
        let mut message = String::with_capacity(1010);
        while message.len() < 1000 {
            let mut bits = random.u64(..);
            for _ in 0..10 {
                message.push(char::from(LETTERS[(bits % 64) as usize]));
                bits /= 64;
            }
        }
        let line = export::line(
            midnight + i64::try_from(written / 1000).expect("small"),
            &message,
        );
        object.write_all(line.as_bytes()).expect("memory takes it");
        written += line.len();
    }
    object.finish().expect("memory takes it")
}
