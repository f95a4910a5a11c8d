//! The pictures of `docs/charts.md`, drawn by a run of the jobs in `docs/gallery/` at a fixed time.
//!
//! The tests compare the structure of each SVG with a text file that can be reviewed, and the bytes of each PNG, so that
//! the page always shows what this program draws. `UPDATE_EXPECTED=1 cargo test --test integration gallery` writes the
//! files and the pictures anew; review both before a commit.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use logtally::aws::Aws;
use logtally::clock::Clock;
use logtally::job::{self, AwsSettings};
use logtally::progress::{Progress, Step};
use logtally::query::Engine;
use logtally::run::{self, Environment, Force, Request, Selection};
use logtally::store::Stores;

use crate::support::program::{Dir, files_below};

/// The runs in order: job, window and the time of the run.
const RUNS: [(&str, &str, &str); 9] = [
    ("day", "2026-11-20", "2026-11-22T01:10:00Z"),
    ("day", "2026-11-21", "2026-11-23T01:10:00Z"),
    ("morning", "2026-11-21", "2026-11-21T09:25:00Z"),
    ("clocks", "2026-11-01", "2026-11-03T01:10:00Z"),
    ("week", "2026-W46", "2026-11-17T01:10:00Z"),
    ("week_so_far", "2026-W47", "2026-11-21T09:25:00Z"),
    ("weekday", "2026-11-14", "2026-11-16T06:10:00Z"),
    ("weekday", "2026-11-21", "2026-11-23T06:10:00Z"),
    ("made_up", "2026-03", "2026-04-02T01:10:00Z"),
];

/// A clock that stands still.
struct FixedClock(DateTime<Utc>);

#[async_trait]
impl Clock for FixedClock {
    fn now(&self) -> DateTime<Utc> {
        self.0
    }

    async fn sleep(&self, _: Duration) {}
}

struct Silent;

impl Progress for Silent {
    fn report(&self, _: Step<'_>) {}
}

fn checkout() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Runs a job of the gallery, whose files are in `dir`, as `logtally run --provisional` does.
async fn run(dir: &Dir, job: &str, window: &str, now: &str) {
    let scratch = tempfile::tempdir().expect("a temporary folder");
    let environment = Environment {
        stores: Stores::new(Arc::new(Aws::new(AwsSettings::default()))).expect("no AWS is asked"),
        clock: Arc::new(FixedClock(now.parse().expect("a time"))),
        progress: Arc::new(Silent),
        services: Vec::new(),
        counter: None,
        engine: Engine::new(1 << 30, scratch.path()).expect("an engine"),
        scratch: Some(scratch.into()),
        columns: None,
    };
    let file = dir.join(format!("docs/gallery/{job}.toml"));
    let text = std::fs::read_to_string(&file).expect("a job file");
    let job = job::parse(&file, &text).expect("a job");
    let request = Request {
        selection: Selection::Id(window.to_owned()),
        force: Force::No,
        provisional: true,
    };
    let plan = run::plan(&environment, &job, &request)
        .await
        .expect("a plan");
    let outcomes = run::execute(&environment, &plan, |_, _| {}).await;
    for outcome in outcomes.expect("a run") {
        outcome.result.expect("a run");
    }
}

/// The files of the newest charts, by chart name.
fn drawn(dir: &Dir, extension: &str) -> BTreeMap<String, PathBuf> {
    let suffix = format!("-latest.{extension}");
    let mut charts = BTreeMap::new();
    for file in dir.files() {
        let name = file.rsplit('/').next().expect("a file has a name");
        if let Some(chart) = name.strip_suffix(&suffix) {
            let other = charts.insert(chart.to_owned(), dir.join(&file));
            assert_eq!(other, None, "two charts of the gallery are named {chart}");
        }
    }
    charts
}

/// The contents of an SVG in order: texts with their positions, and shapes, with consecutive shapes of one kind counted.
fn structure(svg: &str) -> String {
    let document = roxmltree::Document::parse(svg).expect("well-formed SVG");
    let root = document.root_element();
    let attribute = |node: &roxmltree::Node<'_, '_>, name: &str| {
        node.attribute(name).unwrap_or_default().to_owned()
    };
    let mut out = format!(
        "size {} × {}\n",
        attribute(&root, "width"),
        attribute(&root, "height")
    );
    let mut shapes: Option<(String, usize, [f64; 4])> = None;
    let flush = |shapes: &mut Option<(String, usize, [f64; 4])>, out: &mut String| {
        if let Some((kind, count, [left, top, right, bottom])) = shapes.take() {
            let _ = writeln!(out, "{kind} ×{count} in {left},{top} to {right},{bottom}");
        }
    };
    for node in root.children().filter(roxmltree::Node::is_element) {
        let name = node.tag_name().name();
        if let Some(text) = node.attribute("aria-label") {
            flush(&mut shapes, &mut out);
            let box_ = bounds(&attribute(&node, "d"));
            let (left, bottom) = (box_[0].round(), box_[3].round());
            let _ = writeln!(
                out,
                "text {left},{bottom} {} {text:?}",
                attribute(&node, "fill")
            );
            continue;
        }
        if matches!(name, "title" | "desc") {
            let _ = writeln!(out, "{name} {:?}", node.text().unwrap_or_default());
            continue;
        }
        let color = match attribute(&node, "fill").as_str() {
            "none" => format!(
                "{} {}",
                attribute(&node, "stroke"),
                attribute(&node, "stroke-width")
            ),
            fill => fill.to_owned(),
        };
        let kind = format!("{name} {color}");
        let box_ = shape_bounds(&node);
        match &mut shapes {
            Some((known, count, all)) if *known == kind => {
                *count += 1;
                *all = [
                    all[0].min(box_[0]),
                    all[1].min(box_[1]),
                    all[2].max(box_[2]),
                    all[3].max(box_[3]),
                ];
            }
            _ => {
                flush(&mut shapes, &mut out);
                shapes = Some((kind, 1, box_));
            }
        }
    }
    flush(&mut shapes, &mut out);
    out
}

/// The bounding box of a list of points: left, top, right, bottom.
fn bounds(coordinates: &str) -> [f64; 4] {
    let numbers: Vec<f64> = coordinates
        .split(|c: char| !(c.is_ascii_digit() || c == '.' || c == '-'))
        .filter_map(|number| number.parse().ok())
        .collect();
    let pairs = || numbers.chunks_exact(2);
    let least = |of: usize| pairs().map(|pair| pair[of]).fold(f64::INFINITY, f64::min);
    let most = |of: usize| {
        pairs()
            .map(|pair| pair[of])
            .fold(f64::NEG_INFINITY, f64::max)
    };
    [least(0), least(1), most(0), most(1)]
}

fn shape_bounds(node: &roxmltree::Node<'_, '_>) -> [f64; 4] {
    let number = |name: &str| -> f64 {
        let value = node.attribute(name).expect("the attribute of a shape");
        value.parse().expect("a number")
    };
    match node.tag_name().name() {
        "rect" => {
            let (left, top) = (number("x"), number("y"));
            [left, top, left + number("width"), top + number("height")]
        }
        "circle" => {
            let (x, y, radius) = (number("cx"), number("cy"), number("r"));
            [x - radius, y - radius, x + radius, y + radius]
        }
        _ => bounds(node.attribute("points").unwrap_or_default()),
    }
}

#[test]
fn the_gallery_is_what_the_program_draws() {
    let dir = Dir::new();
    for folder in ["docs/gallery", "jobs"] {
        for file in files_below(&checkout().join(folder)) {
            let content = std::fs::read(checkout().join(folder).join(&file)).expect("the checkout");
            dir.write(Path::new(folder).join(&file), content);
        }
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    for (job, window, now) in RUNS {
        runtime.block_on(run(&dir, job, window, now));
    }

    let update = std::env::var_os("UPDATE_EXPECTED").is_some();
    let expected = checkout().join("tests/gallery");
    let images = checkout().join("docs/images/gallery");
    let (svgs, pngs) = (drawn(&dir, "svg"), drawn(&dir, "png"));
    let mut wrong = Vec::new();
    for (chart, file) in &svgs {
        let svg = std::fs::read_to_string(file).expect("an SVG");
        let structure = structure(&svg);
        let known = expected.join(format!("{chart}.txt"));
        let image = images.join(format!("{chart}.png"));
        if update {
            std::fs::create_dir_all(&expected).expect("a writable checkout");
            std::fs::create_dir_all(&images).expect("a writable checkout");
            std::fs::write(&known, &structure).expect("a writable checkout");
            std::fs::copy(&pngs[chart], image).expect("a writable checkout");
            continue;
        }
        if std::fs::read_to_string(&known).unwrap_or_default() != structure {
            wrong.push(format!("{}:\n{structure}", known.display()));
        }
        if std::fs::read(&image).unwrap_or_default() != std::fs::read(&pngs[chart]).expect("a PNG")
        {
            wrong.push(format!("{}: other pixels\n", image.display()));
        }
    }
    assert!(
        wrong.is_empty(),
        "these charts are not as in their files (UPDATE_EXPECTED=1 writes them):\n{}",
        wrong.join("\n")
    );

    // The pictures drawn, the expected files and the pictures on the page are the same set.
    let drawn: BTreeSet<String> = svgs.into_keys().collect();
    let names = |folder: &Path, suffix: &str| -> BTreeSet<String> {
        let files = files_below(folder).into_iter();
        files
            .filter_map(|file| file.strip_suffix(suffix).map(str::to_owned))
            .collect()
    };
    assert_eq!(names(&expected, ".txt"), drawn);
    assert_eq!(names(&images, ".png"), drawn);
    let page = std::fs::read_to_string(checkout().join("docs/charts.md")).expect("the page");
    for chart in &drawn {
        let image = format!("](images/gallery/{chart}.png)");
        assert!(
            page.contains(&image),
            "docs/charts.md does not show {chart}"
        );
    }
    assert_eq!(page.matches("](images/gallery/").count(), drawn.len());
}
