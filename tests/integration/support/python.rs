//! A Python environment for the tests, with pinned versions. The first test makes it in the target folder, also where
//! tests run in several processes.

use std::fs::{self, File};
use std::io::{Seek, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde::de::DeserializeOwned;
use serde_json::Value;
use sha2::{Digest, Sha256};

const REQUIREMENTS: &str = include_str!("../requirements.txt");

/// The oldest Python of the pinned pyarrow and duckdb.
const OLDEST_PYTHON: (u32, u32) = (3, 11);

/// The interpreter of the environment, which is made if it does not exist. Panics with what to install if that fails.
pub fn interpreter() -> &'static Path {
    static INTERPRETER: OnceLock<PathBuf> = OnceLock::new();
    INTERPRETER.get_or_init(|| {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let name = environment_name(&system_python());
        // A file with the environment's path, written when the environment is complete.
        let marker = target.join(format!("{name}.path"));
        finished_interpreter(&marker).unwrap_or_else(|| {
            let lock = File::create(target.join(format!("{name}.lock")))
                .expect("the target folder is writable");
            lock.lock().expect("the target folder can be locked");
            finished_interpreter(&marker).unwrap_or_else(|| {
                let folder = make_environment(target, &name);
                let path = folder.to_str().expect("the target folder's path is UTF-8");
                fs::write(&marker, path).expect("the target folder is writable");
                interpreter_of(&folder)
            })
        })
    })
}

fn finished_interpreter(marker: &Path) -> Option<PathBuf> {
    let folder = fs::read_to_string(marker).ok()?;
    let interpreter = interpreter_of(Path::new(&folder));
    interpreter.exists().then_some(interpreter)
}

fn interpreter_of(environment: &Path) -> PathBuf {
    environment.join("bin/python")
}

/// A command that runs a script of `tests/integration/tools/`.
pub fn tool(script: &str) -> Command {
    let mut command = Command::new(interpreter());
    command.arg(
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/integration/tools")
            .join(script),
    );
    command
}

/// A command that runs Python code. Its arguments are in `sys.argv[1:]`.
pub fn snippet(code: &str) -> Command {
    let mut command = Command::new(interpreter());
    command.args(["-c", code]);
    command
}

/// Runs a command with JSON on its stdin; returns what it prints as JSON. Panics with both streams if it fails.
pub fn ask<T: DeserializeOwned>(command: &mut Command, input: &Value) -> T {
    let mut file = tempfile::tempfile().expect("a temporary file");
    write!(file, "{input}").expect("the temporary folder is writable");
    file.rewind().expect("a file can be read again");
    let printed = output(command.stdin(file));
    serde_json::from_str(&printed)
        .unwrap_or_else(|error| panic!("{command:?} prints no JSON: {error}\n{printed}"))
}

/// Runs a command to its end; returns its stdout. Panics with both streams if it fails.
pub fn output(command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {}\n--- stdout\n{}\n--- stderr\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    String::from_utf8(output.stdout).expect("Python prints UTF-8")
}

/// The version and path of the machine's `python3`, which change when it is replaced.
fn system_python() -> String {
    let code = "import sys; print(*sys.version_info[:2], sys.version, sys.executable)";
    let found = Command::new("python3").args(["-c", code]).output();
    let identity = match found {
        Ok(output) if output.status.success() => {
            String::from_utf8_lossy(&output.stdout).into_owned()
        }
        _ => panic!(
            "the integration tests need python3 in the PATH: {}",
            advice()
        ),
    };
    let mut numbers = identity
        .split(' ')
        .map_while(|word| word.parse::<u32>().ok());
    let version = numbers.next().zip(numbers.next());
    assert!(
        version.is_some_and(|version| version >= OLDEST_PYTHON),
        "the integration tests need Python {}.{} or newer, and python3 is {identity}",
        OLDEST_PYTHON.0,
        OLDEST_PYTHON.1,
    );
    identity
}

/// A name that depends on the pinned versions and on the Python.
fn environment_name(system_python: &str) -> String {
    let digest = Sha256::new()
        .chain_update(REQUIREMENTS)
        .chain_update(system_python)
        .finalize();
    let hash: String = digest[..6]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("python-env-{hash}")
}

/// Makes the environment in a new folder, in which no pip of a killed test is still writing. It stays there, since its
/// scripts contain its path.
fn make_environment(target: &Path, name: &str) -> PathBuf {
    let folder = tempfile::Builder::new()
        .prefix(&format!("{name}-"))
        .tempdir_in(target)
        .expect("the target folder is writable");
    eprintln!(
        "making the tests' Python environment in {}",
        folder.path().display()
    );
    let mut venv = Command::new("python3");
    venv.args(["-m", "venv"]).arg(folder.path());
    let made = venv.output().expect("python3 was started before");
    assert!(
        made.status.success(),
        "python3 cannot make a virtual environment: {}\n{}{}",
        advice(),
        String::from_utf8_lossy(&made.stdout),
        String::from_utf8_lossy(&made.stderr),
    );
    let requirements =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/integration/requirements.txt");
    output(
        Command::new(interpreter_of(folder.path()))
            .args(["-m", "pip", "install", "--quiet", "--requirement"])
            .arg(requirements),
    );
    folder.keep()
}

fn advice() -> &'static str {
    "install Python with its venv and pip modules (Debian and Ubuntu: apt-get install python3 python3-venv; \
     Fedora: dnf install python3; macOS: brew install python3)"
}
