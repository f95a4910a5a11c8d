//! How often a run writes the state of its window, and how much: both grow no faster than the log groups.

use super::*;
use crate::store::fake::{Change, FakeStore};

/// What a run wrote to the state of its window, its pages included.
struct Writes {
    puts: usize,
    bytes: usize,
    largest: usize,
}

/// Runs a window of this number of log groups, each with one event.
async fn writes(groups: usize) -> Writes {
    let mut nights = Nights::new("2026-11-21T15:00:00Z", "UTC").await;
    let answers = Arc::new(FakeStore::default());
    let staging = Arc::clone(nights.staging().await.objects());
    let stores = Stores::new(Arc::new(Aws::new(AwsSettings::default()))).unwrap();
    let stores = stores.with_objects("acme-logs", staging).unwrap();
    let stores = stores.with_objects("acme-answers", answers.clone());
    nights.environment.stores = stores.unwrap();
    for group in 0..groups {
        let name = format!("/svc/{group:04}");
        nights
            .logs
            .add_group(&name, instant("2026-01-01T00:00:00Z"));
        let noon = instant("2026-11-20T12:00:00Z");
        nights.logs.put(&name, "web/1", noon, "hello");
    }
    let window = Selection::Id("2026-11-20".to_owned());
    let receipt = nights.run(window).await.remove(0).result.unwrap();
    assert_eq!(receipt.read.events, groups as u64);
    let written = answers
        .changes()
        .into_iter()
        .filter_map(|change| match change {
            Change::Put(key, content) if key.as_ref().contains("/_state/") => Some(content.len()),
            _ => None,
        });
    let written: Vec<usize> = written.collect();
    Writes {
        puts: written.len(),
        bytes: written.iter().sum(),
        largest: written.iter().copied().max().unwrap_or_default(),
    }
}

#[tokio::test]
async fn the_state_is_written_for_what_matters_and_not_for_each_step() {
    let few = writes(3).await;
    // The lease, each attempt before its task is requested, the answer and the receipt, the end; and renewals.
    assert!((7..=9).contains(&few.puts), "{} puts", few.puts);
}

#[tokio::test]
async fn the_states_writes_grow_no_faster_than_the_log_groups() {
    let (some, many) = (writes(300).await, writes(1000).await);
    for (groups, writes) in [(300, &some), (1000, &many)] {
        let most = groups + groups / 10 + 20;
        assert!(writes.puts <= most, "{groups}: {} puts", writes.puts);
        // But for the one page that all attempts come to be in.
        assert!(writes.largest <= 500 * groups, "{}", writes.largest);
        let each = (writes.bytes - writes.largest) / writes.puts;
        assert!(each <= 8_000, "{groups}: {each} bytes a put");
    }
    let growth = many.bytes as f64 / some.bytes as f64;
    assert!(growth <= 1000.0 / 300.0 * 1.1, "{growth} times the bytes");
}
