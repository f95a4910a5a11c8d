//! A gate between the program and AWS that records every request; see `tools/gate.py`.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::Value;

use super::moto::{Moto, REGION, environment_of};
use super::program::Dir;
use super::python;
use super::server::Server;

/// A running gate. Dropping it ends it.
pub struct Gate {
    server: Server,
    folder: Dir,
}

/// A request that came by.
#[derive(Debug, Deserialize)]
pub struct Seen {
    /// The host that was asked for, with its port where it is that of a tunnel.
    pub host: String,
    /// The kind, as in `tools/kinds.py`.
    pub kind: String,
    /// `proxy` or `direct`.
    pub by: String,
    pub path: String,
    /// In lower case.
    pub headers: BTreeMap<String, String>,
}

impl Seen {
    /// The value of a header; empty where it has none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// Whether the SDK sent it, and not the engine's client.
    pub fn is_of_sdk(&self) -> bool {
        self.header("user-agent").starts_with("aws-sdk-rust")
    }
}

impl Gate {
    /// A gate that answers by itself.
    pub fn start() -> Self {
        Self::with(None)
    }

    /// A gate before a server.
    pub fn before(moto: &Moto) -> Self {
        Self::with(Some(moto.port()))
    }

    fn with(upstream: Option<u16>) -> Self {
        let folder = Dir::new();
        let mut command = python::tool("gate.py");
        command.arg(folder.join("ca.pem"));
        command.args(upstream.map(|port| port.to_string()));
        Self {
            server: Server::start(command),
            folder,
        }
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.server.port())
    }

    /// The address without `http://`, where one belongs behind a user.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.server.port())
    }

    /// The certificate of the authority that it has the certificates of all hosts from.
    pub fn ca(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// The environment with which a program uses it as its endpoint.
    pub fn as_endpoint(&self) -> Vec<(&'static str, String)> {
        environment_of(&self.url())
    }

    /// The environment with which a program uses it as its proxy, and trusts it.
    pub fn as_proxy(&self) -> Vec<(&'static str, String)> {
        vec![
            ("HTTPS_PROXY", self.url()),
            ("AWS_CA_BUNDLE", self.ca().display().to_string()),
            ("AWS_REGION", REGION.to_owned()),
            ("AWS_ACCESS_KEY_ID", "test".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
        ]
    }

    /// Replaces the plan, and forgets what came by.
    pub fn plan(&self, plan: &Value) {
        self.control("PUT", plan);
    }

    /// The requests since the last plan.
    pub fn seen(&self) -> Vec<Seen> {
        serde_json::from_value(self.control("GET", &Value::Null)).expect("requests")
    }

    fn control(&self, method: &str, body: &Value) -> Value {
        let body = body.to_string();
        let mut stream =
            TcpStream::connect(("127.0.0.1", self.server.port())).expect("the gate listens");
        write!(
            stream,
            "{method} /-gate HTTP/1.1\r\nHost: gate\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .expect("the gate reads");
        let mut answer = String::new();
        stream
            .read_to_string(&mut answer)
            .unwrap_or_else(|error| panic!("{error}; the gate says:\n{}", self.server.log()));
        let (_, json) = answer
            .split_once("\r\n\r\n")
            .unwrap_or_else(|| panic!("{answer:?}; the gate says:\n{}", self.server.log()));
        serde_json::from_str(json).expect("the gate answers in JSON")
    }
}
