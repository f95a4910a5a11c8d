//! A proxy in front of [`Moto`] that makes requests fail; see `tools/faults.py`.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;

use serde::Deserialize;
use serde_json::{Value, json};

use super::moto::{Moto, environment_of};
use super::python;
use super::server::Server;

/// A running proxy. Dropping it ends it.
pub struct Faults(Server);

/// What the proxy did since its last plan.
#[derive(Debug, Deserialize)]
pub struct Did {
    /// The number of requests of each kind.
    pub requests: BTreeMap<String, u64>,
    /// The number of failures, by kind and way: `put lost`.
    pub failed: BTreeMap<String, u64>,
    /// The number of requests that were held, by kind.
    pub held: BTreeMap<String, u64>,
}

impl Did {
    /// The number of requests of all kinds that failed in a way.
    pub fn failed_by(&self, way: &str) -> u64 {
        let end = format!(" {way}");
        self.failed
            .iter()
            .filter(|(name, _)| name.ends_with(&end))
            .map(|(_, count)| count)
            .sum()
    }

    /// The number of requests that failed.
    pub fn failures(&self) -> u64 {
        self.failed.values().sum()
    }

    /// The number of requests of a kind that were or are held.
    pub fn held(&self, kind: &str) -> u64 {
        self.held.get(kind).copied().unwrap_or(0)
    }
}

impl Faults {
    /// Starts a proxy that forwards all requests, except as `plan` says.
    pub fn before(moto: &Moto, plan: Value) -> Self {
        let mut command = python::tool("faults.py");
        command.arg(moto.port().to_string());
        let faults = Self(Server::start(command));
        faults.plan(plan);
        faults
    }

    /// Replaces the plan and resets the counts.
    pub fn plan(&self, plan: Value) {
        self.control("PUT", &plan);
    }

    /// What it did since the last plan.
    pub fn did(&self) -> Did {
        serde_json::from_value(self.control("GET", &json!({}))).expect("counts")
    }

    /// The environment with which a program uses this proxy as its endpoint.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        environment_of(&format!("http://127.0.0.1:{}", self.0.port()))
    }

    fn control(&self, method: &str, body: &Value) -> Value {
        let body = body.to_string();
        let mut stream =
            TcpStream::connect(("127.0.0.1", self.0.port())).expect("the proxy listens");
        write!(
            stream,
            "{method} /-faults HTTP/1.1\r\nHost: proxy\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .expect("the proxy reads");
        stream
            .shutdown(std::net::Shutdown::Write)
            .expect("the proxy is there");
        let mut answer = String::new();
        stream
            .read_to_string(&mut answer)
            .unwrap_or_else(|error| panic!("{error}; the proxy says:\n{}", self.0.log()));
        let (_, json) = answer
            .split_once("\r\n\r\n")
            .unwrap_or_else(|| panic!("{answer:?}; the proxy says:\n{}", self.0.log()));
        serde_json::from_str(json).expect("the proxy answers in JSON")
    }
}
