//! The image of `deploy/Dockerfile`, built by buildah without a network from the program under test, and run by bubblewrap as
//! a container is: as user 65532 with process id 1, a read-only root, and an empty environment.
//!
//! These tests need Linux, root, buildah and bubblewrap, so they run only where they are asked for:
//! `cargo test --test integration image -- --ignored`. `.ci/run` installs what they need.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Instant;

use serde_json::Value;

use crate::support::cloud::{Cloud, JOB, recent_day};
use crate::support::moto::Moto;
use crate::support::program::{Dir, Finished, Program};
use crate::support::python;

/// The image, as a folder with its root and its settings.
struct Image {
    root: PathBuf,
    config: Value,
}

/// Builds the image once for all tests of a process.
fn image() -> &'static Image {
    static IMAGE: OnceLock<Image> = OnceLock::new();
    IMAGE.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("image");
        // A killed test may have left one.
        let _ = fs::remove_dir_all(&folder);
        let context = folder.join("context");
        fs::create_dir_all(context.join("deploy")).expect("the target folder is writable");
        let sources = Path::new(env!("CARGO_MANIFEST_DIR"));
        for file in ["deploy/Dockerfile", "deploy/image-root", ".dockerignore"] {
            fs::copy(sources.join(file), context.join(file)).expect("a file of the image");
        }
        let binary = folder.join("logtally");
        python::output(
            Command::new("strip")
                .arg("-o")
                .args([&binary, Path::new(env!("CARGO_BIN_EXE_logtally"))]),
        );
        python::output(
            Command::new(context.join("deploy/image-root"))
                .args([&binary, &context.join("deploy/image")]),
        );
        let name = "localhost/logtally-test";
        let buildah = |arguments: &[&str]| {
            let mut command = Command::new("buildah");
            command
                .args(["--storage-driver", "vfs"])
                .arg("--root")
                .arg(folder.join("storage"))
                .arg("--runroot")
                .arg(folder.join("run"))
                .args(arguments)
                .current_dir(&context);
            python::output(&mut command)
        };
        buildah(&[
            "build",
            "--isolation",
            "chroot",
            "--pull-never",
            "--build-arg",
            "ROOT=given",
            "--file",
            "deploy/Dockerfile",
            "--tag",
            name,
            ".",
        ]);
        let described: Value =
            serde_json::from_str(&buildah(&["inspect", "--type", "image", name]))
                .expect("buildah prints JSON");
        let container = buildah(&["from", "--pull-never", name]);
        let mounted = buildah(&["mount", container.trim()]);
        let root = folder.join("root");
        // As it is, also its owners and modes.
        python::output(Command::new("cp").arg("-a").arg(mounted.trim()).arg(&root));
        buildah(&["rm", container.trim()]);
        let _ = fs::remove_dir_all(folder.join("storage"));
        Image {
            root,
            config: described["OCIv1"].clone(),
        }
    })
}

/// Shows the image's root at `/mnt` to the commands that follow, and to them alone: the target folder may lie where another
/// user may not go.
const REACHABLE: &str = r#"mount --bind "$0" /mnt && exec "$@""#;

/// How a container differs from the usual one.
#[derive(Default)]
struct Container<'a> {
    /// `/tmp`: none, or with a size.
    tmp: Tmp,
    /// Folders of this machine that are there too, writable.
    folders: &'a [(&'a Path, &'a str)],
    /// This machine's network.
    network: bool,
    environment: Vec<(&'static str, String)>,
}

#[derive(Default)]
enum Tmp {
    #[default]
    Usual,
    OfBytes(u64),
    Missing,
}

impl Container<'_> {
    /// The entry point of the image with arguments, not started.
    fn program(&self, dir: &Dir, arguments: &[&str]) -> Program {
        let image = image();
        let root = image.root.display().to_string();
        let as_user = [
            "--mount",
            "sh",
            "-c",
            REACHABLE,
            &root,
            "setpriv",
            "--reuid",
            "65532",
            "--regid",
            "65532",
            "--clear-groups",
            "--inh-caps=-all",
        ];
        let mut words: Vec<String> = as_user.map(str::to_owned).into();
        let mut add = |more: &[&str]| words.extend(more.iter().map(|word| (*word).to_owned()));
        add(&[
            "bwrap",
            "--unshare-all",
            "--as-pid-1",
            "--die-with-parent",
            "--clearenv",
        ]);
        if self.network {
            add(&["--share-net"]);
        }
        add(&["--tmpfs", "/"]);
        for entry in fs::read_dir(&image.root).expect("the root of the image") {
            let inside = format!("/{}", entry.expect("an entry").file_name().display());
            if inside != "/tmp" {
                add(&["--ro-bind", &format!("/mnt{inside}"), &inside]);
            }
        }
        add(&["--proc", "/proc", "--dev", "/dev"]);
        for (folder, inside) in self.folders {
            add(&["--bind", &folder.display().to_string(), inside]);
        }
        match self.tmp {
            Tmp::Usual => add(&["--tmpfs", "/tmp"]),
            Tmp::OfBytes(bytes) => add(&["--size", &bytes.to_string(), "--tmpfs", "/tmp"]),
            Tmp::Missing => {}
        }
        add(&["--remount-ro", "/", "--chdir", "/"]);
        let of_image = image.config["config"]["Env"].as_array().expect("a list");
        let of_image = of_image.iter().filter_map(Value::as_str);
        for (name, value) in of_image.filter_map(|variable| variable.split_once('=')) {
            add(&["--setenv", name, value]);
        }
        for (name, value) in &self.environment {
            add(&["--setenv", name, value]);
        }
        let entry = image.config["config"]["Entrypoint"][0]
            .as_str()
            .expect("an entry point");
        add(&["--", entry]);
        add(arguments);
        dir.program("unshare", words)
    }

    fn run(&self, arguments: &[&str]) -> Finished {
        self.program(&Dir::new(), arguments).run()
    }
}

/// A folder with the demo's job, which writes below `/out`, and an empty folder `out`. Every user may write.
fn demo() -> Dir {
    let dir = Dir::new();
    let jobs = Path::new(env!("CARGO_MANIFEST_DIR")).join("jobs");
    python::output(Command::new("cp").arg("-R").arg(jobs).arg(dir.join("jobs")));
    let job = dir
        .read_text("jobs/demo.toml")
        .replace("../demo-output", "/out");
    dir.write("jobs/demo.toml", job);
    fs::create_dir(dir.join("out")).expect("the test's folder is writable");
    python::output(Command::new("chmod").args(["-R", "a+rwX"]).arg(dir.path()));
    dir
}

#[test]
#[ignore = "needs buildah and bubblewrap: .ci/run installs them"]
fn the_image_has_the_program_and_nothing_that_runs_beside_it() {
    let image = image();
    let config = &image.config["config"];
    assert_eq!(config["User"], "65532:65532");
    assert_eq!(config["Entrypoint"], serde_json::json!(["/logtally"]));
    assert!(config["Volumes"]["/tmp"].is_object(), "{config}");
    let entries = fs::read_dir(&image.root).expect("the root of the image");
    let mut entries: Vec<String> = entries
        .map(|entry| entry.expect("an entry").file_name().display().to_string())
        .collect();
    entries.sort();
    entries.retain(|name| name != "lib64");
    assert_eq!(entries, ["etc", "lib", "logtally", "tmp"]);
    assert!(
        image
            .root
            .join("etc/ssl/certs/ca-certificates.crt")
            .exists()
    );
    for shell in ["bin/sh", "usr/bin/env", "bin/busybox"] {
        assert!(!image.root.join(shell).exists());
    }
    let version = concat!("logtally ", env!("CARGO_PKG_VERSION"), "\n");
    Container::default()
        .run(&["--version"])
        .assert_success()
        .stdout_is(version);
}

#[test]
#[ignore = "needs buildah and bubblewrap: .ci/run installs them"]
fn a_container_without_a_network_and_an_environment_runs_the_demo() {
    let demo = demo();
    let (jobs, out) = (demo.join("jobs"), demo.join("out"));
    let container = Container {
        folders: &[(&jobs, "/jobs"), (&out, "/out")],
        ..Container::default()
    };
    container
        .run(&["run", "/jobs/demo.toml"])
        .assert_success()
        .stdout_contains("2,643 events");
    assert!(
        demo.files()
            .iter()
            .any(|file| file.ends_with("hourly_count.parquet"))
    );
    // What it wrote is its user's.
    let receipt = demo.join("out/demo/runs/2026-11-21.json");
    let owner = std::os::unix::fs::MetadataExt::uid(&fs::metadata(receipt).expect("a receipt"));
    assert_eq!(owner, 65532);
    container
        .run(&[
            "query",
            "/jobs/demo.toml",
            "--window",
            "2026-11-21",
            "--format",
            "csv",
            "SELECT count(*) AS n FROM logs",
        ])
        .assert_success()
        .stdout_is("n\n2643\n");
}

#[test]
#[ignore = "needs buildah and bubblewrap: .ci/run installs them"]
fn without_tmp_a_run_names_tmpdir_and_plan_and_status_work() {
    let demo = demo();
    let (jobs, out) = (demo.join("jobs"), demo.join("out"));
    let folders = [(jobs.as_path(), "/jobs"), (out.as_path(), "/out")];
    let without_tmp = || Container {
        tmp: Tmp::Missing,
        folders: &folders,
        ..Container::default()
    };
    without_tmp()
        .run(&["run", "/jobs/demo.toml"])
        .assert_code(7)
        .stderr_contains("/tmp")
        .stderr_contains("TMPDIR");
    assert!(fs::read_dir(&out).expect("a folder").next().is_none());
    for arguments in [&["plan"][..], &["status"], &["ddl", "--format", "duckdb"]] {
        let arguments = [arguments, &["/jobs/demo.toml"]].concat();
        without_tmp().run(&arguments).assert_success();
    }
    // Another folder does.
    let elsewhere = Container {
        environment: vec![("TMPDIR", "/out".to_owned())],
        ..without_tmp()
    };
    elsewhere.run(&["run", "/jobs/demo.toml"]).assert_success();
    let left = fs::read_dir(&out).expect("a folder").filter_map(Result::ok);
    let left: Vec<_> = left.map(|entry| entry.file_name()).collect();
    assert!(
        left.iter()
            .all(|name| !name.display().to_string().starts_with("logtally-scratch")),
        "{left:?}"
    );
}

#[test]
#[ignore = "needs buildah and bubblewrap: .ci/run installs them"]
fn a_small_tmp_is_enough_or_named() {
    let demo = demo();
    let (jobs, out) = (demo.join("jobs"), demo.join("out"));
    let folders = [(jobs.as_path(), "/jobs"), (out.as_path(), "/out")];
    let of_bytes = |bytes| Container {
        tmp: Tmp::OfBytes(bytes),
        folders: &folders,
        ..Container::default()
    };
    // A page holds no answer.
    of_bytes(8 << 10)
        .run(&["run", "/jobs/demo.toml"])
        .assert_code(7)
        .stderr_contains("/tmp")
        .stderr_contains("No space left on device");
    assert!(
        !demo
            .files()
            .iter()
            .any(|file| file.ends_with(".parquet") || file.contains("/runs/")),
        "{:?}",
        demo.files()
    );
    of_bytes(200 << 10)
        .run(&["run", "/jobs/demo.toml"])
        .assert_success();
}

#[test]
#[ignore = "needs buildah and bubblewrap: .ci/run installs them"]
fn a_task_that_is_stopped_ends_with_143_and_the_next_one_adopts_its_export() {
    let moto = Moto::start_with([("EXPORT_TASK_LOOKS", "3")]);
    let cloud = Cloud::new(&moto, "stopped");
    let (day, _) = recent_day();
    let job = format!("s3://{}/jobs/night.toml", cloud.answers());
    moto.put_object(
        &cloud.answers(),
        "jobs/night.toml",
        cloud.dir.read_text(JOB).as_bytes(),
    );
    let container = Container {
        network: true,
        environment: moto.environment(),
        ..Container::default()
    };
    let dir = Dir::new();
    let run = |arguments: &[&str]| {
        let words = [&["run", &job, "--window", &day], arguments].concat();
        container.program(&dir, &words)
    };
    let mut running = run(&[]).spawn();
    running.wait_for_stderr("PENDING");
    let task = pid_one_of(running.id());
    let sent = Instant::now();
    python::output(Command::new("kill").args(["-TERM", &task.to_string()]));
    let stopped = running.wait();
    println!("it ended {:?} after SIGTERM", sent.elapsed());
    stopped.assert_code(143).stderr_contains("SIGTERM");
    let begun = cloud.tasks().len();
    run(&["--json"]).run().assert_success();
    assert_eq!(
        (begun, cloud.tasks().len()),
        (1, 2),
        "the task that was begun is adopted"
    );
}

/// The process that bubblewrap has started, which is the first of its own process ids.
fn pid_one_of(bubblewrap: u32) -> u32 {
    let children = format!("/proc/{bubblewrap}/task/{bubblewrap}/children");
    let children = fs::read_to_string(children).expect("the kernel lists children");
    children
        .split_whitespace()
        .next()
        .and_then(|id| id.parse().ok())
        .expect("a child")
}
