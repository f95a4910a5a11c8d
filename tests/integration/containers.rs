//! Small containers: a query answers, or ends with an error, and is never killed for its memory.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use crate::support::events::at;
use crate::support::job::{JOB, Night};
use crate::support::program::Finished;

const DAY: &str = "2025-03-03";
const EVENTS: i64 = 100_000;
const MIB: u64 = 1 << 20;

/// A control group with a limit, and a group in it for the program. Dropping it removes both.
struct Container(PathBuf);

impl Container {
    /// `None` where this machine does not allow one, in neither version.
    fn new(name: &str, limit: u64) -> Option<Self> {
        let name = format!("logtally-{name}-{}", std::process::id());
        let root = Path::new("/sys/fs/cgroup");
        for (mount, file) in [
            (root.join("memory"), "memory.limit_in_bytes"),
            (root.to_owned(), "memory.max"),
        ] {
            let outer = mount.join(&name);
            if fs::create_dir(&outer).is_err() {
                continue;
            }
            let container = Self(outer.clone());
            // Version 2 gives limits to groups whose parent says so.
            let _ = fs::write(mount.join("cgroup.subtree_control"), "+memory");
            if outer.join(file).exists()
                && fs::write(outer.join(file), limit.to_string()).is_ok()
                && fs::create_dir(container.inner()).is_ok()
            {
                return Some(container);
            }
        }
        None
    }

    fn inner(&self) -> PathBuf {
        self.0.join("inner")
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let _ = fs::remove_dir(self.inner());
        let _ = fs::remove_dir(&self.0);
    }
}

/// Events with about 40 MB of different texts.
fn night(keys: &str) -> Night {
    let night = Night::with("", keys);
    let start = at("2025-03-03T00:00:00Z");
    let message = |n: i64| {
        let words = (0..20).map(|k| {
            format!(
                "{:016x}",
                (n * 31 + k).wrapping_mul(0x9e37_79b9_7f4a_7c15_u64.cast_signed())
            )
        });
        format!("INFO request {n} {}", words.collect::<Vec<_>>().join(" "))
    };
    let export = night.export();
    for stream in 0..4 {
        let events: Vec<(i64, String)> = (0..EVENTS / 4)
            .map(|n| (start + n, message(stream * EVENTS + n)))
            .collect();
        export.stream(&format!("web/{stream}"), &events);
    }
    night
}

/// Starts the program by a shell that first does what `before` says, with `$0`.
fn ask(night: &Night, before: &str, name: &Path, arguments: &[&str]) -> Finished {
    let script = format!("{before} && exec \"$@\"");
    let mut all: Vec<OsString> = vec!["-c".into(), script.into(), name.into()];
    all.push(env!("CARGO_BIN_EXE_logtally").into());
    all.extend(arguments.iter().map(OsString::from));
    night.dir.program("sh", all).run()
}

const DISTINCT: &str = "SELECT count(DISTINCT message) AS n FROM logs";
const GROUPS: &str = "SELECT message, count(*) AS n FROM logs GROUP BY 1 ORDER BY 1";

#[test]
fn small_containers_are_answered_in() {
    let night = night("");
    let enter = "echo $$ > \"$0\"/cgroup.procs";
    for mib in [64, 128, 512] {
        let Some(container) = Container::new(&mib.to_string(), mib * MIB) else {
            return within_an_address_space();
        };
        let ask = |sql, output: &[&str]| {
            let arguments = [&["query", "exported", sql], output].concat();
            ask(&night, enter, &container.inner(), &arguments)
        };
        ask(DISTINCT, &[])
            .assert_success()
            .stdout_contains("100000");
        ask(GROUPS, &["--format", "csv", "--output", "groups.csv"]).assert_success();
        let lines = night.dir.read_text("groups.csv").lines().count();
        assert_eq!(i64::try_from(lines), Ok(EVENTS + 1), "{mib} MiB");
        // One value of all texts does not spill.
        let kept = "SELECT length(string_agg(repeat(message, 10), '')) AS n FROM logs";
        ask(kept, &[])
            .assert_code(6)
            .stderr_contains("needs more memory");
    }
    if let Some(container) = Container::new("tiny", 40 * MIB) {
        ask(
            &night,
            enter,
            &container.inner(),
            &["query", "exported", DISTINCT],
        )
        .assert_code(6)
        .stderr_contains("the memory of 40 MiB, which this machine or container has, is too small");
    }
}

/// An answer of 70 MB is larger than what the program may have in memory, as are the row groups of its file.
#[test]
fn large_answers_are_written_in_small_containers() {
    let night = night("[[query]]\nname = \"twice\"\nsql = \"twice.sql\"");
    let double = "SELECT message || message AS twice, count(*) AS n FROM logs GROUP BY 1";
    night.dir.write("twice.sql", double);
    let enter = "echo $$ > \"$0\"/cgroup.procs";
    for (mib, expected) in [(96, None), (160, Some(0)), (256, Some(0))] {
        let Some(container) = Container::new(&format!("run-{mib}"), mib * MIB) else {
            return;
        };
        let arguments = ["run", JOB, "--window", DAY, "--force"];
        let run = ask(&night, enter, &container.inner(), &arguments);
        match expected {
            Some(code) => drop(run.assert_code(code)),
            None => assert!(
                matches!(run.code(), Some(0 | 6)),
                "{mib} MiB: {}",
                run.stderr
            ),
        }
    }
}

/// The same where no container can be made: stacks of threads take addresses too, though no memory.
fn within_an_address_space() {
    let night = night("[run]\nmemory = \"16MiB\"");
    night.run(DAY).assert_success();
    let arguments = ["query", JOB, "--window", DAY, DISTINCT];
    ask(&night, "ulimit -v 2500000", Path::new("sh"), &arguments)
        .assert_success()
        .stdout_contains("100000");
}
