//! A server in Python for one test, on a free port of this machine.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use super::program::forget_aws;

/// A running server. Dropping it ends it, also while a test panics. It also ends with the tests' process, which closes the
/// server's standard input.
pub struct Server {
    process: Child,
    port: u16,
    log: Arc<Mutex<String>>,
}

impl Server {
    /// Starts a server, and waits for the port that it prints first.
    pub fn start(mut command: Command) -> Self {
        forget_aws(&mut command);
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("Python starts");
        let log = Arc::new(Mutex::new(String::new()));
        let stderr = BufReader::new(process.stderr.take().expect("stderr is piped"));
        let written = Arc::clone(&log);
        let reader = thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let mut log = written.lock().unwrap_or_else(PoisonError::into_inner);
                log.push_str(&line);
                log.push('\n');
            }
        });
        let mut first = String::new();
        let stdout = process.stdout.as_mut().expect("stdout is piped");
        let announced = BufReader::new(stdout).read_line(&mut first);
        let Some(port) = announced.ok().and_then(|_| first.trim().parse().ok()) else {
            let _ = process.kill();
            let _ = process.wait();
            let _ = reader.join();
            panic!(
                "{command:?} does not start:\n{}",
                log.lock().unwrap_or_else(PoisonError::into_inner)
            );
        };
        Self { process, port, log }
    }

    /// The port of this machine that it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its stderr so far.
    pub fn log(&self) -> String {
        self.log
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
