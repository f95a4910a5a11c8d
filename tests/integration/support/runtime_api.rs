//! Lambda's Runtime API on a free port of this machine: it gives a function events, and keeps what the function posts.
//!
//! As documented in <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

/// What a function posted for an invocation.
#[derive(Debug, Clone)]
pub enum Posted {
    Response(Value),
    /// The failure: `errorType`, `errorMessage`.
    Error(Value),
}

impl Posted {
    pub fn response(self) -> Value {
        match self {
            Self::Response(response) => response,
            Self::Error(error) => panic!("the invocation failed: {error}"),
        }
    }

    /// The type, the message, and the document behind it.
    pub fn error(self) -> (String, String, Value) {
        let Self::Error(error) = self else {
            panic!("the invocation succeeded: {self:?}");
        };
        let text = |key: &str| error[key].as_str().expect("a text").to_owned();
        let message = text("errorMessage");
        let (message, document) = message.split_once('\n').expect("a document");
        let document = serde_json::from_str(document).expect("JSON");
        (text("errorType"), message.to_owned(), document)
    }
}

/// A running API. It listens until the tests' process ends.
pub struct RuntimeApi {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    invocations: usize,
    /// Ids, events and timeouts that no function has taken.
    waiting: VecDeque<(String, Value, Duration)>,
    posted: BTreeMap<String, Posted>,
}

impl RuntimeApi {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("it listens").port();
        let shared = Arc::new(Shared::default());
        let of_requests = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let shared = Arc::clone(&of_requests);
                thread::spawn(move || take(stream.expect("a connection"), &shared));
            }
        });
        Self { port, shared }
    }

    /// The environment of a function with this memory.
    pub fn environment(&self, mib: u32) -> Vec<(&'static str, String)> {
        vec![
            ("AWS_LAMBDA_RUNTIME_API", format!("127.0.0.1:{}", self.port)),
            ("AWS_LAMBDA_FUNCTION_NAME", "logtally".to_owned()),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST".to_owned()),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", mib.to_string()),
        ]
    }

    /// Gives an event to the function, with the time that it may take from when it takes the event. Returns what it posts.
    pub fn invoke(&self, event: &Value, timeout: Duration) -> Posted {
        let id = self.send(event, timeout);
        self.posted(&id)
    }

    /// Gives an event without waiting; returns the invocation's id.
    pub fn send(&self, event: &Value, timeout: Duration) -> String {
        let mut state = self.shared.lock();
        state.invocations += 1;
        let id = format!("invocation-{}", state.invocations);
        let event = (id.clone(), event.clone(), timeout);
        state.waiting.push_back(event);
        self.shared.changed.notify_all();
        id
    }

    /// Waits for what is posted for an invocation.
    pub fn posted(&self, id: &str) -> Posted {
        const LIMIT: Duration = Duration::from_secs(600);
        let state = self.shared.lock();
        let is_open = |state: &mut State| !state.posted.contains_key(id);
        let waited = self
            .shared
            .changed
            .wait_timeout_while(state, LIMIT, is_open)
            .unwrap_or_else(PoisonError::into_inner);
        waited.0.posted.get(id).expect("an answer").clone()
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self) -> (String, Value, Duration) {
        let mut state = self.lock();
        loop {
            if let Some(next) = state.waiting.pop_front() {
                return next;
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

fn take(stream: TcpStream, shared: &Shared) {
    let mut answers = stream.try_clone().expect("a socket can be had twice");
    let mut reader = BufReader::new(stream);
    // A connection has several requests, and ends with the process of the function.
    while let Some((line, body)) = request(&mut reader) {
        let path = line
            .split(' ')
            .nth(1)
            .and_then(|path| path.strip_prefix("/2018-06-01/runtime/invocation/"))
            .unwrap_or_else(|| panic!("no path of the API: {line}"));
        let answer = match path.rsplit_once('/') {
            None if path == "next" => {
                let (id, event, timeout) = shared.next();
                let now = SystemTime::now().duration_since(UNIX_EPOCH);
                let deadline = now.expect("after 1970") + timeout;
                let headers = format!(
                    "lambda-runtime-aws-request-id: {id}\r\nlambda-runtime-deadline-ms: {}\r\n\
                     lambda-runtime-invoked-function-arn: arn:aws:lambda:ap-northeast-2:123456789012:function:logtally\r\n",
                    deadline.as_millis()
                );
                http("200 OK", &headers, &event.to_string())
            }
            Some((id, kind)) => {
                let body = serde_json::from_slice(&body).expect("JSON");
                let posted = match kind {
                    "response" => Posted::Response(body),
                    "error" => Posted::Error(body),
                    _ => panic!("no path of the API: {line}"),
                };
                let mut state = shared.lock();
                let earlier = state.posted.insert(id.to_owned(), posted);
                assert!(earlier.is_none(), "{id} has two answers");
                shared.changed.notify_all();
                http("202 Accepted", "", r#"{"status":"OK"}"#)
            }
            None => panic!("no path of the API: {line}"),
        };
        // A function that has ended takes no answer.
        let _ = answers.write_all(answer.as_bytes());
    }
}

fn http(status: &str, headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\n{headers}content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// The first line and the body of the next request.
fn request(reader: &mut impl BufRead) -> Option<(String, Vec<u8>)> {
    let mut line = || {
        let mut line = String::new();
        let read = reader.read_line(&mut line).ok()?;
        (read > 0).then(|| line.trim_end().to_owned())
    };
    let first = line()?;
    let mut length = 0;
    loop {
        let header = line()?;
        let Some((name, value)) = header.split_once(':') else {
            break;
        };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().expect("a length");
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((first, body))
}
