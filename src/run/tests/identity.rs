//! What a run takes for its own: exports in a staging location that was moved, and log groups of another account.

use futures::TryStreamExt;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};

use super::*;

const DAY: &str = "2026-11-20";

fn day() -> Selection {
    Selection::Id(DAY.to_owned())
}

async fn copy(from: &dyn ObjectStore, to: &dyn ObjectStore) {
    let listed: Vec<_> = from.list(None).try_collect().await.unwrap();
    for meta in listed {
        let bytes = from.get(&meta.location).await.unwrap().bytes().await;
        let payload = PutPayload::from(bytes.unwrap());
        to.put(&meta.location, payload).await.unwrap();
    }
}

#[tokio::test]
async fn exports_in_a_staging_location_that_was_copied_are_kept_and_used() {
    let mut nights = Nights::new("2026-11-22T15:00:00Z", "UTC").await;
    let created = instant("2026-01-01T00:00:00Z");
    nights.logs.add_group("/svc/a", created);
    let noon = instant("2026-11-20T12:00:00Z");
    nights.logs.put("/svc/a", "web/1", noon, "hello");
    nights.run(day()).await.remove(0).result.unwrap();
    let staged = nights.staged(DAY).await;

    let moved = Arc::new(InMemory::new());
    copy(nights.staging().await.objects().as_ref(), moved.as_ref()).await;
    let stores = Stores::new(Arc::new(Aws::new(AwsSettings::default()))).unwrap();
    let stores = stores.with_objects("acme-moved", moved).unwrap();
    let answers = Arc::clone(nights.output.objects());
    nights.environment.stores = stores.with_objects("acme-answers", answers).unwrap();
    let job::Source::CloudWatch(source) = &mut nights.job.sources[0].logs else {
        unreachable!("the job of these nights reads CloudWatch")
    };
    source.staging = Location::parse("s3://acme-moved/exports", "/".as_ref()).unwrap();
    let location = source.staging.clone();

    let outcome = nights.run(day()).await.remove(0);
    assert!(outcome.skipped);
    let staging = nights.environment.stores.open(&location, Account::LOGS);
    let staging = staging.await.unwrap();
    let listed = staging.list(staging.root()).await.unwrap();
    let there: Vec<String> = listed
        .iter()
        .map(|meta| layout::relative(staging.root(), &meta.location))
        .collect();
    assert_eq!(there, staged, "nothing is deleted");

    // Another question is answered from the kept export.
    nights.job.queries[0].sql += " -- again";
    let outcome = nights.run(day()).await.remove(0);
    let receipt = outcome.result.unwrap();
    assert!(!outcome.skipped && receipt.exports[0].reused);
    assert_eq!(receipt.read.events, 1);
    assert_eq!(nights.logs.own_tasks().len(), 1);
}

#[tokio::test]
async fn the_kept_export_of_another_account_is_neither_used_nor_deleted() {
    let mut nights = Nights::new("2026-11-22T15:00:00Z", "UTC").await;
    let created = instant("2026-01-01T00:00:00Z");
    let noon = instant("2026-11-20T12:00:00Z");
    nights.logs.add_group("/svc/a", created);
    for _ in 0..40 {
        nights
            .logs
            .put("/svc/a", "web/1", noon, "of the first account");
    }
    nights.run(day()).await.remove(0).result.unwrap();
    let of_first = nights.staged(DAY).await;

    let objects = Arc::clone(nights.staging().await.objects());
    let other = FakeLogs::new(nights.clock.clone(), "acme-logs", objects);
    let other = Arc::new(other.in_account("210987654321"));
    other.add_group("/svc/a", created);
    for _ in 0..3 {
        other.put("/svc/a", "web/1", noon, "of the other account");
    }
    nights.environment.services = vec![other.clone()];
    let outcome = nights.run(day()).await.remove(0);
    let receipt = outcome.result.unwrap();
    assert!(
        !outcome.skipped,
        "the answers of another account are not this job's"
    );
    assert_eq!(receipt.read.events, 3);
    assert_eq!(receipt.origin.unwrap().account, "210987654321");
    assert_eq!(other.own_tasks().len(), 1);
    let staged = nights.staged(DAY).await;
    assert!(
        of_first.iter().all(|key| staged.contains(key)),
        "{staged:?}"
    );

    assert!(nights.run(day()).await.remove(0).skipped);
}
