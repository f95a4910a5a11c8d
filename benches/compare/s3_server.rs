//! A read-only S3 server: one bucket over a folder, with a latency for each response and counts of the requests. `run.py`
//! compiles it with `rustc`; it needs only the standard library.
//!
//! ```text
//! s3_server serve FOLDER LATENCY_MS     prints its port; serves until its standard input ends
//! s3_server fetch PORT CONNECTIONS      gets every object with a bare client; prints seconds and bytes
//! ```
//!
//! It serves HEAD of the bucket, `ListObjectsV2` and GET of whole objects, for path-style addresses, and does not check
//! signatures. Any other request gets a 501. `GET /-/counts` returns the counts since the last such request, as JSON, and
//! `GET /-/keys` returns all keys.
//!
//! Each connection has a thread, so a latency is a sleep. A response costs about 20 µs of one core.

use std::env;
use std::error::Error;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant, UNIX_EPOCH};

const USAGE: &str = "usage: s3_server serve FOLDER LATENCY_MS | s3_server fetch PORT CONNECTIONS";

/// The keys on a page, as on S3.
const KEYS_OF_PAGE: usize = 1000;

/// A larger object is sent from its file without being read into memory.
const LARGEST_IN_MEMORY: u64 = 1 << 20;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments[..] {
        ["serve", folder, latency] => serve(Path::new(folder), latency),
        ["fetch", port, connections] => fetch(port, connections),
        _ => Err(USAGE.into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("s3_server: {error}");
            ExitCode::FAILURE
        }
    }
}

struct Object {
    key: String,
    path: PathBuf,
    bytes: u64,
    /// Seconds since 1970.
    modified: u64,
}

impl Object {
    /// The files do not change during a benchmark, so time and size at the start are the tag.
    fn etag(&self) -> String {
        format!("\"{:x}-{:x}\"", self.modified, self.bytes)
    }
}

struct Bucket {
    /// Sorted by the bytes of the key, as S3 lists them.
    objects: Vec<Object>,
    latency: Duration,
    counts: Counts,
}

#[derive(Default)]
struct Counts {
    heads: AtomicU64,
    lists: AtomicU64,
    gets: AtomicU64,
    refused: AtomicU64,
    bytes: AtomicU64,
    under_way: AtomicU64,
    most_under_way: AtomicU64,
}

impl Counts {
    /// Returns the counts and resets them.
    fn take(&self) -> String {
        let take = |count: &AtomicU64| count.swap(0, Relaxed);
        format!(
            r#"{{"heads": {}, "lists": {}, "gets": {}, "refused": {}, "bytes": {}, "most_under_way": {}}}"#,
            take(&self.heads),
            take(&self.lists),
            take(&self.gets),
            take(&self.refused),
            take(&self.bytes),
            take(&self.most_under_way),
        )
    }
}

fn serve(folder: &Path, latency: &str) -> Result<()> {
    let latency = latency
        .parse()
        .map_err(|_| format!("{latency:?} is not a valid latency: expected milliseconds"))?;
    let mut objects = Vec::new();
    collect(folder, "", &mut objects)?;
    objects.sort_by(|a, b| a.key.cmp(&b.key));
    let bucket = Arc::new(Bucket {
        objects,
        latency: Duration::from_millis(latency),
        counts: Counts::default(),
    });
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    println!("{}", listener.local_addr()?.port());
    thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            let bucket = Arc::clone(&bucket);
            // A client that closes its connection is not an error.
            thread::spawn(move || bucket.converse(connection).ok());
        }
    });
    io::copy(&mut io::stdin(), &mut io::sink())?;
    Ok(())
}

fn collect(folder: &Path, prefix: &str, objects: &mut Vec<Object>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name
            .to_str()
            .ok_or_else(|| format!("{} is not UTF-8", entry.path().display()))?;
        let key = format!("{prefix}{name}");
        let metadata = entry.metadata()?;
        if metadata.is_dir() {
            collect(&entry.path(), &format!("{key}/"), objects)?;
        } else {
            objects.push(Object {
                key,
                path: entry.path(),
                bytes: metadata.len(),
                modified: metadata.modified()?.duration_since(UNIX_EPOCH)?.as_secs(),
            });
        }
    }
    Ok(())
}

/// The used parts of a request.
struct Request {
    method: String,
    target: String,
    range: Option<String>,
    if_match: Option<String>,
}

impl Request {
    /// The next request of a connection; `None` at its end.
    fn read(connection: &mut impl BufRead) -> Result<Option<Self>> {
        let mut line = String::new();
        if connection.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let mut words = line.split_ascii_whitespace();
        let mut word = || words.next().unwrap_or_default().to_owned();
        let mut request = Self {
            method: word(),
            target: word(),
            range: None,
            if_match: None,
        };
        loop {
            line.clear();
            if connection.read_line(&mut line)? == 0 {
                return Err("a request ends within its headers".into());
            }
            let header = line.trim_end();
            if header.is_empty() {
                return Ok(Some(request));
            }
            let (name, value) = header.split_once(':').unwrap_or((header, ""));
            match name.to_ascii_lowercase().as_str() {
                "range" => request.range = Some(value.trim().to_owned()),
                "if-match" => request.if_match = Some(value.trim().to_owned()),
                _ => {}
            }
        }
    }
}

/// The part of an object that a header asks for: `bytes=0-9`, `bytes=10-` or `bytes=-5`.
fn part_of(range: &str, bytes: u64) -> Option<Range<u64>> {
    let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    let part = match (first.parse::<u64>().ok(), last.parse::<u64>().ok()) {
        (Some(first), Some(last)) => first..bytes.min(last + 1),
        (Some(first), None) => first..bytes,
        (None, Some(length)) => bytes.saturating_sub(length)..bytes,
        (None, None) => return None,
    };
    (part.start < part.end).then_some(part)
}

enum Answer<'a> {
    Found,
    Text(&'static str, String),
    Object(&'a Object),
    Part(&'a Object, Range<u64>),
    Refused(&'static str),
}

impl Bucket {
    fn converse(&self, mut connection: TcpStream) -> Result<()> {
        connection.set_nodelay(true)?;
        let mut requests = BufReader::new(connection.try_clone()?);
        while let Some(request) = Request::read(&mut requests)? {
            let counts = &self.counts;
            let answer = match request.target.as_str() {
                "/-/counts" => Answer::Text("application/json", counts.take()),
                "/-/keys" => Answer::Text("text/plain", self.keys()),
                _ => {
                    let under_way = counts.under_way.fetch_add(1, Relaxed) + 1;
                    counts.most_under_way.fetch_max(under_way, Relaxed);
                    if !self.latency.is_zero() {
                        thread::sleep(self.latency);
                    }
                    self.answer(&request)
                }
            };
            let sent = self.send(&mut connection, &answer);
            if !request.target.starts_with("/-/") {
                counts.under_way.fetch_sub(1, Relaxed);
            }
            sent?;
            if let Answer::Refused(_) = answer {
                // The refused request may have a body, which would be read as the next request.
                return Ok(());
            }
        }
        Ok(())
    }

    fn keys(&self) -> String {
        self.objects.iter().fold(String::new(), |mut keys, object| {
            keys.push_str(&encode(&object.key));
            keys.push('\n');
            keys
        })
    }

    fn answer(&self, request: &Request) -> Answer<'_> {
        let (path, query) = request
            .target
            .split_once('?')
            .unwrap_or((&request.target, ""));
        let path = path.trim_start_matches('/');
        let (_bucket, key) = path.split_once('/').unwrap_or((path, ""));
        let parameters: Vec<(&str, String)> = query
            .split('&')
            .filter_map(|parameter| parameter.split_once('='))
            .map(|(name, value)| (name, decode(value)))
            .collect();
        let parameter = |name| {
            parameters
                .iter()
                .find(|(known, _)| *known == name)
                .map_or("", |(_, value)| value.as_str())
        };
        let counts = &self.counts;
        match request.method.as_str() {
            "HEAD" if key.is_empty() => {
                counts.heads.fetch_add(1, Relaxed);
                Answer::Found
            }
            "GET" if key.is_empty() && parameter("list-type") == "2" => {
                counts.lists.fetch_add(1, Relaxed);
                self.list(
                    &parameters,
                    parameter("prefix"),
                    parameter("continuation-token"),
                )
            }
            "GET" if !key.is_empty() => {
                counts.gets.fetch_add(1, Relaxed);
                let range = request.range.as_deref();
                self.get(&decode(key), request.if_match.as_deref(), range)
            }
            _ => self.refuse("501 Not Implemented"),
        }
    }

    fn refuse(&self, status: &'static str) -> Answer<'_> {
        self.counts.refused.fetch_add(1, Relaxed);
        Answer::Refused(status)
    }

    fn get(&self, key: &str, if_match: Option<&str>, range: Option<&str>) -> Answer<'_> {
        let found = self
            .objects
            .binary_search_by(|object| object.key.as_str().cmp(key));
        match found.ok().and_then(|at| self.objects.get(at)) {
            None => self.refuse("404 Not Found"),
            Some(object) if if_match.is_some_and(|etag| etag != object.etag()) => {
                self.refuse("412 Precondition Failed")
            }
            Some(object) => {
                let part = match range.map(|range| part_of(range, object.bytes)) {
                    None => None,
                    Some(Some(part)) => Some(part),
                    Some(None) => return self.refuse("416 Range Not Satisfiable"),
                };
                let bytes = part.as_ref().map_or(object.bytes, |part| part.end - part.start);
                self.counts.bytes.fetch_add(bytes, Relaxed);
                match part {
                    None => Answer::Object(object),
                    Some(part) => Answer::Part(object, part),
                }
            }
        }
    }

    /// A page of keys. The token is the last key of the previous page.
    fn list(&self, parameters: &[(&str, String)], prefix: &str, token: &str) -> Answer<'_> {
        let spoken = ["list-type", "prefix", "continuation-token"];
        if parameters.iter().any(|(name, _)| !spoken.contains(name)) {
            return self.refuse("501 Not Implemented");
        }
        let from = token.max(prefix);
        let first = self
            .objects
            .partition_point(|object| object.key.as_str() < from || object.key == token);
        let mut rest = self
            .objects
            .get(first..)
            .unwrap_or_default()
            .iter()
            .take_while(|object| object.key.starts_with(prefix));
        let page: Vec<&Object> = rest.by_ref().take(KEYS_OF_PAGE).collect();
        let truncated = rest.next().is_some();
        let mut xml = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult><KeyCount>{}</KeyCount><MaxKeys>{KEYS_OF_PAGE}</MaxKeys>\
             <IsTruncated>{truncated}</IsTruncated>",
            page.len()
        );
        for object in &page {
            // Writing to a string can't fail.
            let _ = write!(
                xml,
                "<Contents><Key>{}</Key><LastModified>{}</LastModified><ETag>{}</ETag><Size>{}</Size></Contents>",
                escape(&object.key),
                iso(object.modified),
                escape(&object.etag()),
                object.bytes
            );
        }
        if let Some(last) = page.last().filter(|_| truncated) {
            let token = escape(&last.key);
            xml += &format!("<NextContinuationToken>{token}</NextContinuationToken>");
        }
        xml += "</ListBucketResult>";
        Answer::Text("application/xml", xml)
    }

    fn send(&self, connection: &mut TcpStream, answer: &Answer<'_>) -> Result<()> {
        match answer {
            Answer::Found => connection.write_all(
                b"HTTP/1.1 200 OK\r\nx-amz-bucket-region: us-east-1\r\nContent-Length: 0\r\n\r\n",
            )?,
            Answer::Refused(status) => connection.write_all(
                format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                    .as_bytes(),
            )?,
            Answer::Text(kind, text) => connection.write_all(
                format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n{text}",
                    text.len()
                )
                .as_bytes(),
            )?,
            Answer::Part(object, part) => {
                let mut bytes = vec![0; usize::try_from(part.end - part.start)?];
                let mut file = File::open(&object.path)?;
                file.seek(SeekFrom::Start(part.start))?;
                file.read_exact(&mut bytes)?;
                let head = format!(
                    "HTTP/1.1 206 Partial Content\r\nETag: {}\r\nLast-Modified: Thu, 01 Jan 2026 00:00:00 GMT\r\nContent-Range: bytes {}-{}/{}\r\nContent-Length: {}\r\n\r\n",
                    object.etag(),
                    part.start,
                    part.end - 1,
                    object.bytes,
                    bytes.len()
                );
                connection.write_all(head.as_bytes())?;
                connection.write_all(&bytes)?;
            }
            Answer::Object(object) => {
                let mut answer = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: application/gzip\r\nETag: {}\r\nContent-Length: {}\r\n\r\n",
                    object.etag(),
                    object.bytes
                )
                .into_bytes();
                let mut file = File::open(&object.path)?;
                if object.bytes <= LARGEST_IN_MEMORY {
                    file.read_to_end(&mut answer)?;
                    connection.write_all(&answer)?;
                } else {
                    connection.write_all(&answer)?;
                    io::copy(&mut file, connection)?;
                }
            }
        }
        Ok(())
    }
}

/// Gets every object over several connections and drops it, to measure the cost of the server and the network.
fn fetch(port: &str, connections: &str) -> Result<()> {
    let port: u16 = port.parse().map_err(|_| format!("{port:?} is not a valid port"))?;
    let connections: usize = connections
        .parse()
        .map_err(|_| format!("{connections:?} is not a valid number of connections"))?;
    let mut keys = Vec::new();
    Client::connect(port)?.get("/-/keys", &mut keys)?;
    let keys = String::from_utf8(keys)?;
    let keys: Vec<&str> = keys.lines().filter(|key| key.ends_with(".gz")).collect();
    let next = AtomicUsize::new(0);
    let bytes = AtomicU64::new(0);
    let begun = Instant::now();
    let get_some = || -> Result<()> {
        let mut client = Client::connect(port)?;
        while let Some(key) = keys.get(next.fetch_add(1, Relaxed)) {
            let got = client.get(&format!("/bucket/{key}"), &mut io::sink())?;
            bytes.fetch_add(got, Relaxed);
        }
        Ok(())
    };
    thread::scope(|scope| {
        let clients: Vec<_> = (0..connections).map(|_| scope.spawn(get_some)).collect();
        clients.into_iter().try_for_each(|client| {
            client
                .join()
                .unwrap_or_else(|_| Err("a client panicked".into()))
        })
    })?;
    println!("{} {}", begun.elapsed().as_secs_f64(), bytes.into_inner());
    Ok(())
}

struct Client(BufReader<TcpStream>);

impl Client {
    fn connect(port: u16) -> Result<Self> {
        let connection = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        connection.set_nodelay(true)?;
        Ok(Self(BufReader::new(connection)))
    }

    fn get(&mut self, target: &str, body: &mut impl Write) -> Result<u64> {
        let request = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        self.0.get_mut().write_all(request.as_bytes())?;
        let mut length = None;
        let mut status = String::new();
        self.0.read_line(&mut status)?;
        if !status.contains(" 200 ") {
            return Err(format!("GET {target}: {}", status.trim_end()).into());
        }
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line)?;
            match line.trim_end().split_once(": ") {
                Some(("Content-Length", value)) => length = Some(value.parse()?),
                Some(_) => {}
                None => break,
            }
        }
        let length = length.ok_or_else(|| format!("GET {target}: no length"))?;
        match io::copy(&mut (&mut self.0).take(length), body)? {
            got if got == length => Ok(got),
            got => Err(format!("GET {target}: {got} bytes of {length}").into()),
        }
    }
}

/// Percent-encodes all but unreserved characters and slashes.
fn encode(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

fn decode(text: &str) -> String {
    let mut decoded = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let hex = after
            .get(..2)
            .filter(|_| byte == b'%')
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        decoded.push(hex.unwrap_or(if byte == b'+' { b' ' } else { byte }));
        rest = match hex {
            Some(_) => &after[2..],
            None => after,
        };
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

/// Seconds since 1970 as `2026-11-21T05:00:00.000Z`: the days-to-civil algorithm of Howard Hinnant's
/// [date algorithms](https://howardhinnant.github.io/date_algorithms.html#civil_from_days).
fn iso(seconds: u64) -> String {
    let (days, second) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = (shifted_month + 2) % 12 + 1;
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.000Z",
        second / 3600,
        second / 60 % 60,
        second % 60
    )
}
