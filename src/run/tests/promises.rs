//! What a run promises of its writes, while another run writes at the same time: each test fails without the step that it
//! is about.

use std::sync::Mutex;

use super::*;
use crate::progress::{Progress, Step};
use crate::state::Lease;
use crate::store::fake::{FakeStore, When};

const DAY: &str = "2026-11-20";

fn day() -> Selection {
    Selection::Id(DAY.to_owned())
}

/// A day with one event that has settled, whose answers go to a store that other writers use at the same time.
async fn nights_beside_others() -> (Nights, Arc<FakeStore>) {
    let mut nights = Nights::new("2026-11-22T15:00:00Z", "UTC").await;
    nights
        .logs
        .add_group("/svc/a", instant("2026-01-01T00:00:00Z"));
    let noon = instant("2026-11-20T12:00:00Z");
    nights.logs.put("/svc/a", "web/1", noon, "hello");
    let answers = Arc::new(FakeStore::default());
    let staged = Arc::clone(nights.staging().await.objects());
    let stores = Stores::new(Arc::new(Aws::new(AwsSettings::default()))).unwrap();
    let stores = stores.with_objects("acme-logs", staged).unwrap();
    let stores = stores
        .with_objects("acme-answers", answers.clone())
        .unwrap();
    let location = Location::parse("s3://acme-answers", "/".as_ref()).unwrap();
    nights.output = stores.open(&location, Account::Output).await.unwrap();
    nights.environment.stores = stores;
    (nights, answers)
}

impl Nights {
    fn only_window(&self) -> Window {
        self.windows(DAY, DAY).remove(0)
    }

    async fn is_done(&self) -> bool {
        let receipt = self.output.get(&self.keys.receipt(DAY)).await.unwrap();
        receipt.is_some()
    }
}

/// The state of the window as a run writes it that took the lease over.
fn taken_over() -> Vec<u8> {
    let state = WindowState {
        lease: Some(Lease {
            run: "of the other run".to_owned(),
            host: "elsewhere".to_owned(),
            process: 1,
            since: instant("2026-11-22T15:00:00Z"),
            seconds: 30.0,
            renewals: 0,
        }),
        ..WindowState::default()
    };
    serde_json::to_vec(&state).unwrap()
}

#[tokio::test]
async fn a_run_that_lost_its_lease_behind_its_last_answer_puts_no_receipt() {
    let (nights, answers) = nights_beside_others().await;
    let state = nights.keys.state(DAY);
    answers.meanwhile(When::After, "total.parquet", state, taken_over());
    let outcome = nights.run(day()).await.remove(0);
    assert_eq!(outcome.result.unwrap_err().class(), Class::Held);
    assert!(!nights.is_done().await);
}

/// Another run with other bytes: the answer of neither is a mixture, and this one says so.
#[tokio::test]
async fn what_another_run_has_put_since_is_not_replaced() {
    for end in ["total.parquet", "runs/2026-11-20.json"] {
        let (nights, answers) = nights_beside_others().await;
        let key = match end {
            "total.parquet" => nights.keys.answer("total", &nights.only_window()),
            _ => nights.keys.receipt(DAY),
        };
        answers.meanwhile(When::Before, end, key.clone(), "of another run");
        let outcome = nights.run(day()).await.remove(0);
        assert_eq!(outcome.result.unwrap_err().class(), Class::Output, "{end}");
        let there = nights.output.get(&key).await.unwrap().unwrap();
        assert_eq!(&there[..], b"of another run", "{end}");
    }
}

/// The condition is what the run saw when it took the window, not what is there when its turn comes.
#[tokio::test]
async fn what_another_run_has_put_while_this_one_put_other_answers_is_not_replaced() {
    let (mut nights, answers) = nights_beside_others().await;
    let mut second = nights.job.queries[0].clone();
    second.name = job::Name::new("second").unwrap();
    nights.job.queries.push(second);
    let key = nights.keys.answer("second", &nights.only_window());
    answers.meanwhile(When::After, "total.parquet", key.clone(), "of another run");
    let outcome = nights.run(day()).await.remove(0);
    assert_eq!(outcome.result.unwrap_err().class(), Class::Output);
    let there = nights.output.get(&key).await.unwrap().unwrap();
    assert_eq!(&there[..], b"of another run");
}

/// The same where the run saw an earlier answer at the key when it took the window.
#[tokio::test]
async fn an_earlier_answer_is_replaced_only_if_it_is_still_there() {
    let (mut nights, answers) = nights_beside_others().await;
    nights.run(day()).await.remove(0).result.unwrap();
    nights.job.queries[0].sql += " WHERE message <> 'x'";
    let key = nights.keys.answer("total", &nights.only_window());
    answers.meanwhile(When::Before, "total.parquet", key.clone(), "of another run");
    nights.job.queries[0].sql = "SELECT count(*) + 1 AS events, 0 AS messages FROM logs".to_owned();
    nights.run(day()).await.remove(0).result.unwrap_err();
    let there = nights.output.get(&key).await.unwrap().unwrap();
    assert_eq!(&there[..], b"of another run");
}

/// The steps of a run that draw and write, in their order.
#[derive(Default)]
struct Steps(Mutex<Vec<&'static str>>);

impl Progress for Steps {
    fn report(&self, step: Step<'_>) {
        let name = match step {
            Step::Drawing { .. } => "draw",
            Step::Writing { .. } => "write",
            _ => return,
        };
        self.0.lock().unwrap().push(name);
    }
}

#[tokio::test]
async fn nothing_is_put_before_every_chart_is_drawn() {
    let (mut nights, _) = nights_beside_others().await;
    let folder = nights.environment.scratch().join("night.toml");
    let text = r#"
        name = "night"
        [source]
        kind = "cloudwatch"
        log_groups = ["/svc/*"]
        staging = "s3://acme-logs/exports"
        [output]
        location = "s3://acme-answers"
        [[query]]
        use = "hourly_count"
        [[query]]
        use = "hour_of_day"
    "#;
    nights.job = job::parse(&folder, text).unwrap();
    let steps = Arc::new(Steps::default());
    nights.environment.progress = steps.clone();
    nights.run(day()).await.remove(0).result.unwrap();
    let steps = steps.0.lock().unwrap();
    // Two answers and their charts; the latest charts and the receipt are not told.
    assert_eq!(
        steps[..],
        ["draw", "draw", "write", "write", "write", "write"]
    );
}

/// A backfill of a window that settled weeks ago: its export is as new as the run.
#[tokio::test]
async fn keep_is_counted_from_the_export_of_a_window_that_settled_long_ago() {
    let nights = Nights::with("2026-11-22T15:00:00Z", "UTC", "keep = \"7d\"").await;
    nights
        .logs
        .add_group("/svc/a", instant("2026-01-01T00:00:00Z"));
    let noon = instant("2026-10-01T12:00:00Z");
    nights.logs.put("/svc/a", "web/1", noon, "hello");
    let backfill = Selection::Id("2026-10-01".to_owned());
    nights.run(backfill).await.remove(0).result.unwrap();
    for _ in 0..6 {
        nights.clock.sleep(24 * HOUR).await;
        nights.run(Selection::Default).await;
        assert!(!nights.staged("2026-10-01").await.is_empty());
    }
    nights.clock.sleep(25 * HOUR).await;
    nights.run(Selection::Default).await;
    assert!(nights.staged("2026-10-01").await.is_empty());
}
