//! Runs the real program in a folder of its own, without the machine's AWS settings. Failed assertions show the output.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// The default time after which a program is killed and its test fails.
///
/// Only a program that hangs takes so long, on however busy a machine. So a test that a program ends needs no time of its own.
const TIME_LIMIT: Duration = Duration::from_secs(600);

/// Looks again and again, until something is so. Panics where it still is not after a long time.
pub fn poll(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + TIME_LIMIT;
    while !is_so() {
        assert!(Instant::now() < deadline, "waited too long until {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Runs what follows a run that was killed or suspended. What that one sent last, a renewal of its lease, may arrive late and
/// look like a sign of life. So a follower that finds the window held (8) is run once more.
pub fn run_behind_a_dead_run(program: impl Fn() -> Program) -> Finished {
    let finished = program().run();
    match finished.code() {
        Some(8) => program().run(),
        _ => finished,
    }
}

/// A folder for one test. Dropping it deletes it.
pub struct Dir {
    root: TempDir,
    /// The cache of a machine of its own.
    cache: TempDir,
}

impl Dir {
    pub fn new() -> Self {
        let folder = || TempDir::new().expect("a temporary folder");
        Self {
            root: folder(),
            cache: folder(),
        }
    }

    /// The folder of the user's caches.
    pub fn cache(&self) -> &Path {
        self.cache.path()
    }

    pub fn path(&self) -> &Path {
        self.root.path()
    }

    /// The absolute path of a file in it.
    pub fn join(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.path().join(relative)
    }

    /// Writes a file and the folders above it; returns its absolute path.
    pub fn write(&self, relative: impl AsRef<Path>, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.join(relative);
        let parent = path.parent().expect("a file has a folder");
        fs::create_dir_all(parent).expect("the test's folder is writable");
        fs::write(&path, contents).expect("the test's folder is writable");
        path
    }

    /// The bytes of a file. Panics with the list of files if it does not exist.
    pub fn read(&self, relative: impl AsRef<Path>) -> Vec<u8> {
        let relative = relative.as_ref();
        fs::read(self.join(relative)).unwrap_or_else(|error| {
            panic!(
                "{}: {error}; there are:\n{}",
                relative.display(),
                self.files().join("\n")
            )
        })
    }

    pub fn read_text(&self, relative: impl AsRef<Path>) -> String {
        String::from_utf8(self.read(relative)).expect("the file holds UTF-8")
    }

    pub fn read_json(&self, relative: impl AsRef<Path>) -> Value {
        serde_json::from_slice(&self.read(relative)).expect("the file holds JSON")
    }

    /// A folder in it for temporary files, as `TMPDIR`, so that what a stopped program leaves there is found.
    pub fn temporary(&self) -> PathBuf {
        let folder = self.join("tmp");
        fs::create_dir_all(&folder).expect("the test's folder is writable");
        folder
    }

    /// All files at any depth: relative paths with `/`, sorted.
    pub fn files(&self) -> Vec<String> {
        files_below(self.path())
    }

    /// The program under test, to be run in this folder with these arguments.
    pub fn logtally<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Program {
        self.program(env!("CARGO_BIN_EXE_logtally"), arguments)
    }

    /// Another program, to be run in this folder with the same environment.
    pub fn program<A: AsRef<OsStr>>(
        &self,
        program: impl AsRef<OsStr>,
        arguments: impl IntoIterator<Item = A>,
    ) -> Program {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(self.path());
        forget_aws(&mut command);
        for variable in inherited("LOGTALLY_") {
            command.env_remove(variable);
        }
        command.env_remove("RUST_LOG").env_remove("RUST_BACKTRACE");
        command.env("XDG_CACHE_HOME", self.cache());
        Program {
            command,
            input: Vec::new(),
            open_input: false,
            unread_stderr: false,
            time_limit: TIME_LIMIT,
        }
    }
}

/// The folder of runs' states.
pub const STATES: &str = "_state";

/// All files below a folder at any depth: relative paths with `/`, sorted. The states of runs are left out, since they are
/// no outputs and failed runs write them too.
pub fn files_below(folder: &Path) -> Vec<String> {
    everything_below(folder)
        .into_iter()
        .filter(|path| !path.ends_with('/') && !path.split('/').any(|segment| segment == STATES))
        .collect()
}

/// All files below a folder, and all empty folders with `/` at their end: relative paths, sorted.
pub fn everything_below(folder: &Path) -> Vec<String> {
    fn walk(folder: &Path, prefix: &str, found: &mut Vec<String>) {
        let before = found.len();
        for entry in fs::read_dir(folder).expect("a readable folder") {
            let entry = entry.expect("a readable folder");
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            if entry.file_type().expect("a readable folder").is_dir() {
                walk(&entry.path(), &format!("{name}/"), found);
            } else {
                found.push(name);
            }
        }
        if found.len() == before {
            found.push(prefix.to_owned());
        }
    }
    let mut found = Vec::new();
    walk(folder, "", &mut found);
    found.retain(|path| !path.is_empty());
    found.sort();
    found
}

/// Removes the AWS settings that a command would inherit: keys, profile, Region, endpoint, the configuration files and the
/// instance's metadata service. Removes proxies too, since tests use this machine only.
pub fn forget_aws(command: &mut Command) {
    let proxies = [
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "http_proxy",
        "https_proxy",
        "all_proxy",
    ];
    for variable in inherited("AWS_")
        .into_iter()
        .chain(proxies.map(OsString::from))
    {
        command.env_remove(variable);
    }
    command
        // The files exist and are empty, since some SDKs warn of missing ones.
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .env("AWS_EC2_METADATA_DISABLED", "true");
}

fn inherited(prefix: &str) -> Vec<OsString> {
    std::env::vars_os()
        .map(|(name, _)| name)
        .filter(|name| name.to_string_lossy().starts_with(prefix))
        .collect()
}

/// A program that is not started yet.
pub struct Program {
    command: Command,
    input: Vec<u8>,
    /// Whether its standard input stays open.
    open_input: bool,
    unread_stderr: bool,
    time_limit: Duration,
}

impl Program {
    /// Adds an argument.
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Sets environment variables, such as those of [`Moto::environment`](super::moto::Moto::environment).
    pub fn envs<N: AsRef<OsStr>, V: AsRef<OsStr>>(
        mut self,
        variables: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        self.command.envs(variables);
        self
    }

    /// Sets the folder in which it runs.
    pub fn current_dir(mut self, folder: impl AsRef<Path>) -> Self {
        self.command.current_dir(folder);
        self
    }

    /// Sets its standard input, which is empty by default.
    pub fn stdin(mut self, input: impl Into<Vec<u8>>) -> Self {
        self.input = input.into();
        self
    }

    /// Keeps its standard input open, so that it waits for more.
    pub fn open_stdin(mut self) -> Self {
        self.open_input = true;
        self
    }

    /// Gives it a stderr that is a pipe without a reader.
    pub fn unread_stderr(mut self) -> Self {
        self.unread_stderr = true;
        self
    }

    /// Sets the time after which it is killed and its test fails.
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = limit;
        self
    }

    /// Runs it to its end.
    pub fn run(self) -> Finished {
        self.spawn().wait()
    }

    /// Starts it without waiting.
    pub fn spawn(mut self) -> Running {
        let command_line = format!("{:?}", self.command);
        let mut child = self
            .command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(match self.unread_stderr {
                true => Stdio::from(std::io::pipe().expect("a pipe can be made").1),
                false => Stdio::piped(),
            })
            .spawn()
            .unwrap_or_else(|error| panic!("{command_line} does not start: {error}"));
        let mut stdin = child.stdin.take().expect("stdin is piped");
        let input = self.input;
        let open_input = self.open_input.then(|| {
            let stdin = stdin.as_fd().try_clone_to_owned();
            stdin.expect("a pipe can be had twice")
        });
        // The writer has its own thread and ignores errors, since a program may end before it has read everything.
        thread::spawn(move || {
            let _ = stdin.write_all(&input);
        });
        Running {
            _input: open_input,
            stdout: Collected::from(child.stdout.take().expect("stdout is piped")),
            stderr: match child.stderr.take() {
                Some(stderr) => Collected::from(stderr),
                None => Collected::from(std::io::empty()),
            },
            deadline: Instant::now() + self.time_limit,
            command_line,
            child,
        }
    }
}

/// A program that runs in the background. Dropping it kills it.
pub struct Running {
    child: Child,
    /// The standard input, if it stays open.
    _input: Option<OwnedFd>,
    stdout: Collected,
    stderr: Collected,
    deadline: Instant,
    command_line: String,
}

impl Running {
    /// Sends a signal by its short name, such as `INT`, `TERM` or `KILL`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args([format!("-{name}"), self.child.id().to_string()])
            .status()
            .expect("kill is a command of every Unix");
        assert!(
            sent.success(),
            "kill -{name} of {}: {sent}",
            self.command_line
        );
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it is still running.
    pub fn is_running(&mut self) -> bool {
        self.child
            .try_wait()
            .expect("a child can be waited for")
            .is_none()
    }

    /// Its peak memory so far, in bytes; `None` if it has ended or the system does not report it.
    pub fn peak_memory(&self) -> Option<u64> {
        let peak = self.status("VmHWM:")?;
        let kib: u64 = peak.strip_suffix(" kB")?.parse().ok()?;
        Some(kib * 1024)
    }

    /// Whether it has handlers for SIGINT and SIGTERM.
    pub fn listens_to_signals(&self) -> bool {
        const BOTH: u64 = 1 << (2 - 1) | 1 << (15 - 1);
        self.status("SigCgt:")
            .and_then(|caught| u64::from_str_radix(&caught, 16).ok())
            .is_some_and(|caught| caught & BOTH == BOTH)
    }

    /// A line of Linux's `/proc/<pid>/status`.
    fn status(&self, name: &str) -> Option<String> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let value = status.lines().find_map(|line| line.strip_prefix(name))?;
        Some(value.trim().to_owned())
    }

    /// Its stderr so far.
    pub fn stderr(&self) -> String {
        self.stderr.so_far()
    }

    /// Waits until its stderr contains this text. Panics if it ends or times out before.
    pub fn wait_for_stderr(&mut self, text: &str) {
        self.wait_until(&format!("stderr contains {text:?}"), |running| {
            running.stderr().contains(text)
        });
    }

    /// Waits until a condition is true, such as that a file exists. Panics if the program ends or times out before.
    pub fn wait_until(&mut self, what: &str, condition: impl Fn(&Self) -> bool) {
        loop {
            // The end is checked first, so that the last output before it counts.
            let ended = !self.is_running();
            if ended {
                self.stdout.finish();
                self.stderr.finish();
            }
            if condition(self) {
                return;
            }
            assert!(
                !ended,
                "{} ended before {what}{}",
                self.command_line,
                self.streams()
            );
            self.check_time(&format!("until {what}"));
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits for its end.
    pub fn wait(mut self) -> Finished {
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("a child can be waited for") {
                break status;
            }
            self.check_time("to end");
            thread::sleep(Duration::from_millis(2));
        };
        self.stdout.finish();
        self.stderr.finish();
        Finished {
            status,
            stdout: self.stdout.so_far(),
            stderr: self.stderr.so_far(),
            command_line: std::mem::take(&mut self.command_line),
        }
    }

    fn check_time(&mut self, what: &str) {
        if Instant::now() > self.deadline {
            let _ = self.child.kill();
            let _ = self.child.wait();
            panic!(
                "{} took too long {what}, and was killed{}",
                self.command_line,
                self.streams()
            );
        }
    }

    fn streams(&self) -> String {
        show(&self.stdout.so_far(), &self.stderr.so_far())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The output of a pipe, read by a thread so that the writer never blocks.
struct Collected {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl Collected {
    fn from(mut pipe: impl Read + Send + 'static) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let written = Arc::clone(&bytes);
        let reader = thread::spawn(move || {
            let mut block = [0; 8192];
            while let Ok(size @ 1..) = pipe.read(&mut block) {
                let mut bytes = written.lock().unwrap_or_else(PoisonError::into_inner);
                bytes.extend_from_slice(&block[..size]);
            }
        });
        Self {
            bytes,
            reader: Some(reader),
        }
    }

    fn so_far(&self) -> String {
        let bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn finish(&mut self) {
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

/// A program that has ended, with its output. Failed assertions show both streams.
#[must_use = "a run whose result is not checked tests nothing"]
pub struct Finished {
    pub stdout: String,
    pub stderr: String,
    status: ExitStatus,
    command_line: String,
}

impl Finished {
    /// The exit code; `None` if a signal ended it.
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    #[track_caller]
    pub fn assert_code(&self, expected: i32) -> &Self {
        assert_eq!(
            self.code(),
            Some(expected),
            "exit code, left is what came\n{self}"
        );
        self
    }

    /// Asserts that it ended with exit code 0.
    #[track_caller]
    pub fn assert_success(&self) -> &Self {
        self.assert_code(0)
    }

    /// Asserts that the signal with this number ended it.
    #[track_caller]
    pub fn assert_signal(&self, expected: i32) -> &Self {
        assert_eq!(
            self.status.signal(),
            Some(expected),
            "signal, left is what came\n{self}"
        );
        self
    }

    #[track_caller]
    pub fn stdout_contains(&self, text: &str) -> &Self {
        assert!(self.stdout.contains(text), "stdout lacks {text:?}\n{self}");
        self
    }

    #[track_caller]
    pub fn stdout_is(&self, text: &str) -> &Self {
        assert_eq!(self.stdout, text, "stdout, left is what came\n{self}");
        self
    }

    #[track_caller]
    pub fn stderr_contains(&self, text: &str) -> &Self {
        assert!(self.stderr.contains(text), "stderr lacks {text:?}\n{self}");
        self
    }

    #[track_caller]
    pub fn stderr_lacks(&self, text: &str) -> &Self {
        assert!(
            !self.stderr.contains(text),
            "stderr contains {text:?}\n{self}"
        );
        self
    }

    /// The only window in the document of a `run --json`.
    #[track_caller]
    pub fn stdout_run(&self) -> Value {
        let mut document = self.stdout_json();
        match document["runs"]
            .as_array_mut()
            .map(|runs| (runs.pop(), runs.len()))
        {
            Some((Some(run), 0)) => run,
            _ => panic!("stdout is not the document of one window\n{self}"),
        }
    }

    /// Its stdout as one JSON document.
    #[track_caller]
    pub fn stdout_json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("stdout is not one JSON document: {error}\n{self}"))
    }
}

impl fmt::Display for Finished {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{}: {}{}",
            self.command_line,
            self.status,
            show(&self.stdout, &self.stderr)
        )
    }
}

fn show(stdout: &str, stderr: &str) -> String {
    format!("\n--- stdout\n{stdout}\n--- stderr\n{stderr}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_seen_from_outside() {
        let dir = Dir::new();
        dir.write("in/note.txt", "hello");
        let script = "cat in/note.txt; cat; echo trouble >&2; echo ok > made.txt; exit 3";
        dir.program("sh", ["-c", script])
            .stdin(" world")
            .run()
            .assert_code(3)
            .stdout_is("hello world")
            .stderr_contains("trouble")
            .stderr_lacks("hello");
        assert_eq!(dir.files(), ["in/note.txt", "made.txt"]);
        assert_eq!(dir.read_text("made.txt"), "ok\n");
    }

    #[test]
    fn json_is_read_from_stdout_and_files() {
        let dir = Dir::new();
        dir.write("sub/answer.json", "{\"events\": 3}");
        let shown = dir
            .program("cat", ["answer.json"])
            .current_dir(dir.join("sub"))
            .run();
        assert_eq!(shown.stdout_json(), dir.read_json("sub/answer.json"));
    }

    #[test]
    fn a_program_inherits_nothing_of_aws() {
        let dir = Dir::new();
        let names = "env | sed -n 's/^\\(AWS_[A-Z0-9_]*\\)=.*/\\1/p' | sort";
        dir.program("sh", ["-c", names])
            .env("AWS_REGION", "eu-west-1")
            .run()
            .assert_success()
            .stdout_is("AWS_CONFIG_FILE\nAWS_EC2_METADATA_DISABLED\nAWS_REGION\nAWS_SHARED_CREDENTIALS_FILE\n");
    }

    #[test]
    fn a_program_in_the_background_takes_signals() {
        let dir = Dir::new();
        let script = "trap 'echo bye; exit 143' TERM; echo ready >&2; while :; do sleep 0.01; done";
        let mut running = dir.program("sh", ["-c", script]).spawn();
        running.wait_for_stderr("ready");
        assert!(running.is_running());
        running.signal("TERM");
        running.wait().assert_code(143).stdout_contains("bye");

        let killed = dir.program("sleep", ["60"]).spawn();
        killed.signal("KILL");
        killed.wait().assert_signal(9);
    }

    #[test]
    #[should_panic(expected = "took too long to end, and was killed")]
    fn a_program_that_hangs_is_killed() {
        let _ = Dir::new()
            .program("sleep", ["60"])
            .time_limit(Duration::from_millis(50))
            .run();
    }

    #[test]
    #[should_panic(expected = "--- stderr\nwhat went wrong")]
    fn a_failed_assertion_shows_the_streams() {
        let script = "echo what went wrong >&2; exit 1";
        Dir::new()
            .program("sh", ["-c", script])
            .run()
            .assert_success();
    }
}
