//! The memory of many small objects, counted byte by byte: their list, and queries that group by log stream.
//!
//! `cargo bench --bench memory --features testing [-- OBJECTS]`; each object is a log stream of its own.

#![expect(clippy::print_stdout, reason = "it prints what it has counted")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use flate2::{Compression, write::GzEncoder};
use futures::TryStreamExt;
use logtally::aws::{Account, Aws};
use logtally::job::{AwsSettings, Location};
use logtally::query::Engine;
use logtally::scan::LogsTable;
use logtally::store::Stores;
use logtally::window::Range;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload};

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

/// The system's allocator, which counts.
struct Counting;

fn grown(bytes: usize) {
    let live = LIVE.fetch_add(bytes, Ordering::Relaxed) + bytes;
    PEAK.fetch_max(live, Ordering::Relaxed);
}

// SAFETY: each call is handed to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grown(layout.size());
        // SAFETY: the caller's promises are those that the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn live() -> usize {
    LIVE.load(Ordering::Relaxed)
}

/// The live bytes from here on are the peak.
fn restart() -> usize {
    let live = live();
    PEAK.store(live, Ordering::Relaxed);
    live
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).expect("memory");
    encoder.finish().expect("memory")
}

fn main() {
    let objects = std::env::args().find_map(|argument| argument.parse().ok());
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(measure(objects.unwrap_or(1_000_000)));
}

async fn measure(count: usize) {
    let content = gzip("2026-11-21T00:00:00.000Z one event\n");
    let bucket = InMemory::new();
    for number in 0..count {
        let stream = format!(
            "ecs-web-{:032x}",
            (number as u128).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)
        );
        let key = format!("exports/e37ac5c7-5d9a-4b1c-8f6e-0c1b8a2d4f60/{stream}/000000.gz");
        let payload = PutPayload::from(content.clone());
        bucket.put(&Path::from(key), payload).await.expect("memory");
    }
    let scratch = tempfile::tempdir().expect("a folder");
    let stores = Stores::new(Arc::new(Aws::new(AwsSettings::default()))).expect("stores");
    let stores = stores
        .with_objects("bench", Arc::new(bucket))
        .expect("a name");
    let location = Location::parse("s3://bench/exports", scratch.path()).expect("a location");
    let store = stores
        .open(&location, Account::LOGS)
        .await
        .expect("a store");
    let engine = Engine::new(1 << 30, scratch.path()).expect("an engine");

    let before = restart();
    let listed = store
        .list_logs(store.root(), Some("/ecs/web"))
        .await
        .expect("objects");
    assert_eq!(listed.len(), count);
    let each = (live() - before) / count;
    let most = (PEAK.load(Ordering::Relaxed) - before) / count;
    // The bucket in memory makes a list of its own for a listing; S3 sends pages.
    println!("list: {each} bytes an object, {most} while it is made, with that of the bucket");

    let logs = LogsTable::new(&store, listed, Range::ALL, engine.pool());
    let session = engine.session(chrono_tz::UTC).expect("a session");
    let session = session.with_logs(logs, Some(&store)).expect("a table");
    for sql in [
        "SELECT count(*) FROM logs",
        "SELECT count(DISTINCT log_stream) FROM logs",
        "SELECT approx_distinct(log_stream) FROM logs",
        "SELECT log_stream, count(*) AS n FROM logs GROUP BY 1 ORDER BY n DESC, 1 LIMIT 3",
    ] {
        restart();
        let statement = session.statement(sql, "SQL").await.expect("a plan");
        let execution = session.run(&statement).await.expect("a stream");
        let batches: Vec<_> = execution.batches.try_collect().await.expect("an answer");
        let rows: usize = batches.iter().map(|batch| batch.num_rows()).sum();
        // The list is counted, the bucket in memory is not.
        let most = (PEAK.load(Ordering::Relaxed) - before) >> 20;
        println!("{most} MiB, {rows} rows: {sql}");
    }
}
