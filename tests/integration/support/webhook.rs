//! A webhook on a free port of this machine, which keeps what it receives.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use serde_json::Value;

/// What a webhook does with a request.
#[derive(Debug, Clone)]
pub enum Answer {
    /// Answers with this status and body.
    With(u16, String),
    /// Leads to another URL.
    Redirect(String),
    /// Takes the request and never answers.
    Never,
}

impl Answer {
    pub fn ok() -> Self {
        Self::With(200, "ok".to_owned())
    }
}

/// A webhook. It listens until the tests' process ends.
pub struct Webhook {
    port: u16,
    received: Arc<Mutex<Vec<Received>>>,
}

/// A request.
#[derive(Debug, Clone)]
pub struct Received {
    pub path: String,
    /// The header `authorization`.
    pub authorization: String,
    pub bytes: Vec<u8>,
    /// The same as JSON; null if it is not.
    pub body: Value,
}

/// The part of the URL that is a secret.
pub const SECRET: &str = "T0AAAAAAA/B0BBBBBBB/surely-a-secret";

impl Webhook {
    /// A webhook with an answer to each request in turn; the last one is repeated.
    pub fn start(answers: &[Answer]) -> Self {
        Self::start_with(|_| answers.to_vec())
    }

    /// The same, with answers that know the webhook's own address, such as `http://127.0.0.1:1234`.
    pub fn start_with(answers: impl FnOnce(&str) -> Vec<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("it listens").port();
        let answers = answers(&format!("http://127.0.0.1:{port}"));
        let received = Arc::new(Mutex::new(Vec::new()));
        let all = Arc::clone(&received);
        thread::spawn(move || {
            for (number, stream) in listener.incoming().enumerate() {
                let answer = answers.get(number).or(answers.last()).cloned();
                let (all, answer) = (Arc::clone(&all), answer.expect("an answer"));
                thread::spawn(move || take(stream.expect("a connection"), &all, &answer));
            }
        });
        Self { port, received }
    }

    pub fn url(&self) -> String {
        format!("{}/services/{SECRET}", self.address())
    }

    pub fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What it received so far.
    pub fn received(&self) -> Vec<Received> {
        locked(&self.received).clone()
    }

    /// The texts of the messages that it received so far.
    pub fn texts(&self) -> Vec<String> {
        let text = |received: Received| received.body["text"].as_str().map(str::to_owned);
        let texts = self.received().into_iter().map(text);
        texts
            .map(|text| text.expect("a message in Slack's form"))
            .collect()
    }
}

fn locked(received: &Mutex<Vec<Received>>) -> MutexGuard<'_, Vec<Received>> {
    received.lock().unwrap_or_else(PoisonError::into_inner)
}

fn take(mut stream: TcpStream, all: &Mutex<Vec<Received>>, answer: &Answer) {
    let mut reader = BufReader::new(stream.try_clone().expect("a socket can be had twice"));
    let mut line = || {
        let mut line = String::new();
        reader.read_line(&mut line).expect("a request");
        line.trim_end().to_owned()
    };
    let first = line();
    let (mut length, mut authorization) = (0, String::new());
    loop {
        let header = line();
        if header.is_empty() {
            break;
        }
        let (name, value) = header.split_once(':').expect("a header");
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().expect("a length"),
            "authorization" => value.trim().clone_into(&mut authorization),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("a body");
    locked(all).push(Received {
        path: first.split(' ').nth(1).unwrap_or_default().to_owned(),
        authorization,
        body: serde_json::from_slice(&body).unwrap_or_default(),
        bytes: body,
    });
    let (status, header, body) = match answer {
        Answer::With(status, body) => (*status, String::new(), body.as_str()),
        Answer::Redirect(url) => (302, format!("location: {url}\r\n"), ""),
        Answer::Never => loop {
            thread::park();
        },
    };
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 {status} Status\r\n{header}content-length: {length}\r\nconnection: close\r\n\r\n{body}"
    );
    // A client that was killed takes no answer.
    let _ = stream.write_all(answer.as_bytes());
}
