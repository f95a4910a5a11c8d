//! A job of several sources: accounts with an export slot each, whose events are one table.

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;

use super::*;
use crate::export::fake::Call;
use crate::export::service::ServiceErrorKind;
use crate::run::catalog::{self, CatalogRequest, Subject, Windows};
use crate::store::fake::FakeStore;

const DAY: &str = "2026-11-20";

/// The accounts of the fakes.
const SEOUL: &str = "123456789012";
const OTHER: &str = "210987654321";

fn day() -> Selection {
    Selection::Id(DAY.to_owned())
}

/// The nights of a job over two accounts, which have their exports in one bucket.
struct Accounts {
    nights: Nights,
    other: Arc<FakeLogs>,
}

/// The sections of the two sources.
const SOURCES: &str = r#"
    [[source]]
    kind = "cloudwatch"
    log_groups = ["/svc/*"]
    staging = "s3://acme-logs/exports"
    [[source]]
    name = "other"
    kind = "cloudwatch"
    log_groups = ["/svc/*"]
    staging = "s3://acme-logs/exports"
    role_arn = "arn:aws:iam::210987654321:role/logs"
"#;

const SQL: &str =
    "SELECT account, region, log_group, count(*) AS events FROM logs GROUP BY 1, 2, 3";

impl Accounts {
    async fn new() -> Self {
        let mut accounts = Self::of_one_source().await;
        accounts.have(SOURCES, SQL);
        accounts
    }

    /// The same with the first of them alone, as `[source]`.
    async fn of_one_source() -> Self {
        let mut nights = Nights::new("2026-11-22T15:00:00Z", "UTC").await;
        let objects = Arc::clone(nights.staging().await.objects());
        let other = FakeLogs::new(nights.clock.clone(), "acme-logs", objects);
        let other = Arc::new(other.in_account(OTHER));
        nights.environment.services = vec![nights.logs.clone(), other.clone()];
        for logs in [&nights.logs, &other] {
            logs.add_group("/svc/a", instant("2026-01-01T00:00:00Z"));
        }
        let accounts = Self { nights, other };
        let noon = instant("2026-11-20T12:00:00Z");
        for number in 0..3 {
            let message = format!("of the first account {number}");
            accounts.nights.logs.put("/svc/a", "web/1", noon, &message);
        }
        for number in 0..5 {
            let message = format!("of the other account {number}");
            accounts.other.put("/svc/a", "web/1", noon, &message);
        }
        accounts
    }

    /// Gives the job other sources and another query.
    fn have(&mut self, sources: &str, sql: &str) {
        let folder = self.nights.environment.scratch();
        std::fs::write(folder.join("accounts.sql"), sql).unwrap();
        // No answer changes its columns.
        let name = match sql == SQL {
            true => "accounts",
            false => "total",
        };
        let text = format!(
            "name = \"night\"\n{sources}\n[window]\nsettled_after = \"12h\"\n[output]\nlocation = \"s3://acme-answers\"\n[[query]]\nname = \"{name}\"\nsql = \"accounts.sql\"\n"
        );
        self.nights.job = job::parse(&folder.join("night.toml"), &text).unwrap();
    }

    /// The rows of the answer: account, Region, log group, events.
    async fn rows(&self) -> Vec<(String, String, String, i64)> {
        let window = self.nights.windows(DAY, DAY).remove(0);
        let key = self.nights.keys.answer("accounts", &window);
        let parquet = self.nights.output.get(&key).await.unwrap().unwrap();
        let reader = ParquetRecordBatchReaderBuilder::try_new(parquet).unwrap();
        let mut rows = Vec::new();
        for batch in reader.build().unwrap() {
            let batch = batch.unwrap();
            let text = |column: usize, row: usize| {
                let column = batch.column(column);
                let column = arrow::compute::cast(column, &arrow::datatypes::DataType::Utf8);
                column.unwrap().as_string::<i32>().value(row).to_owned()
            };
            for row in 0..batch.num_rows() {
                let events = batch.column(3).as_primitive::<Int64Type>().value(row);
                rows.push((text(0, row), text(1, row), text(2, row), events));
            }
        }
        rows.sort();
        rows
    }
}

fn row(account: &str, events: i64) -> (String, String, String, i64) {
    let text = str::to_owned;
    (
        text(account),
        text("ap-northeast-2"),
        text("/svc/a"),
        events,
    )
}

#[tokio::test]
async fn two_accounts_are_exported_at_once_and_answered_as_one() {
    let accounts = Accounts::new().await;
    // Without a slot of its own, the second account would wait for the first.
    let from = accounts.nights.clock.now();
    accounts.nights.logs.occupy_slot(from, 5 * HOUR);
    let receipt = accounts.nights.run(day()).await.remove(0).result.unwrap();
    assert_eq!(receipt.read.events, 8);
    assert_eq!(accounts.rows().await, [row(SEOUL, 3), row(OTHER, 5)]);
    let began = |logs: &FakeLogs| logs.own_tasks()[0].created;
    let (first, other) = (began(&accounts.nights.logs), began(&accounts.other));
    assert!(other < first && from + 4 * HOUR < first, "{other} {first}");

    // The receipt says whose each export is.
    let of_sources: Vec<_> = receipt
        .sources
        .iter()
        .map(|source| {
            let account = source.origin.as_ref().unwrap().account.as_str();
            (source.number, source.name.as_deref(), account)
        })
        .collect();
    assert_eq!(of_sources, [(1, None, SEOUL), (2, Some("other"), OTHER)]);
    let exports: Vec<_> = receipt
        .exports
        .iter()
        .map(|export| (export.source, export.hours.as_ref().unwrap().events()))
        .collect();
    assert_eq!(exports, [(Some(1), 3), (Some(2), 5)]);
    assert_eq!(receipt.origin, None);

    assert!(accounts.nights.run(day()).await.remove(0).skipped);
    assert_eq!(accounts.other.own_tasks().len(), 1);
}

#[tokio::test]
async fn each_account_has_a_task_of_its_own_for_several_windows() {
    let accounts = Accounts::new().await;
    for day in ["2026-11-19", "2026-11-21"] {
        let noon = instant(&format!("{day}T12:00:00Z"));
        for logs in [&accounts.nights.logs, &accounts.other] {
            logs.put("/svc/a", "web/1", noon, &format!("of {day}"));
        }
    }
    let days = || Selection::FromTo("2026-11-19".to_owned(), "2026-11-21".to_owned());
    let outcomes = accounts.nights.run(days()).await;
    let mut events = Vec::new();
    for outcome in outcomes {
        let receipt = outcome.result.unwrap();
        events.push(receipt.read.events);
        let windows = receipt.exports.iter().map(|export| {
            let hours = export.hours.as_ref().unwrap();
            assert!(hours.events() > 0, "{export:?}");
            (export.source, export.windows.as_deref())
        });
        let stretch = Some("2026-11-19--2026-11-21");
        let expected = [(Some(1), stretch), (Some(2), stretch)];
        assert_eq!(windows.collect::<Vec<_>>(), expected);
    }
    assert_eq!(events, [2, 8, 2]);
    assert_eq!(accounts.rows().await, [row(SEOUL, 3), row(OTHER, 5)]);
    for logs in [&accounts.nights.logs, &accounts.other] {
        assert_eq!(logs.own_tasks().len(), 1);
    }
    let again = accounts.nights.run(days()).await;
    assert!(again.iter().all(|outcome| outcome.skipped));
}

#[tokio::test]
async fn a_source_that_fails_leaves_the_exports_of_the_others_to_the_next_run() {
    let accounts = Accounts::new().await;
    let refused = ServiceErrorKind::Refused;
    accounts.other.fail(Call::Create, 0..1, refused, "no");
    let error = accounts
        .nights
        .run(day())
        .await
        .remove(0)
        .result
        .unwrap_err();
    assert_eq!(error.class(), Class::Source);
    let error = error.to_string();
    assert!(error.contains("[[source]] 2 (other)"), "{error}");
    assert_eq!(accounts.nights.logs.own_tasks().len(), 1);
    let key = accounts.nights.keys.receipt(DAY);
    assert!(accounts.nights.output.get(&key).await.unwrap().is_none());

    let receipt = accounts.nights.run(day()).await.remove(0).result.unwrap();
    assert_eq!(receipt.read.events, 8);
    let reused: Vec<bool> = receipt.exports.iter().map(|export| export.reused).collect();
    assert_eq!(reused, [true, false]);
    assert_eq!(accounts.nights.logs.own_tasks().len(), 1);
}

#[tokio::test]
async fn a_source_that_is_not_reached_leaves_the_exports_of_the_others_to_the_next_run() {
    let accounts = Accounts::new().await;
    let nights = &accounts.nights;
    let refused = ServiceErrorKind::Refused;
    accounts.other.fail(Call::Groups, 0..1, refused, "no");
    let error = nights.run(day()).await.remove(0).result.unwrap_err();
    assert_eq!(error.class(), Class::Source);
    let error = error.to_string();
    assert!(
        error.contains("[[source]] 2 (other): could not list the log groups"),
        "{error}"
    );
    assert_eq!(nights.logs.own_tasks().len(), 1);
    assert!(accounts.other.own_tasks().is_empty());
    let key = nights.keys.receipt(DAY);
    assert!(nights.output.get(&key).await.unwrap().is_none());

    let receipt = nights.run(day()).await.remove(0).result.unwrap();
    assert_eq!(receipt.read.events, 8);
    let reused: Vec<bool> = receipt.exports.iter().map(|export| export.reused).collect();
    assert_eq!(reused, [true, false]);

    // A window that is done needs no source, and nothing is deleted without all of them.
    accounts.other.fail(Call::Groups, 0..1, refused, "no");
    assert!(nights.run(day()).await.remove(0).skipped);
    assert_eq!(nights.state(DAY).await.attempts.len(), 2);
}

#[tokio::test]
async fn a_plan_says_which_sources_are_not_reached() {
    let accounts = Accounts::new().await;
    let nights = &accounts.nights;
    let request = Request {
        selection: day(),
        force: Force::No,
        provisional: false,
    };
    let refused = ServiceErrorKind::Refused;
    accounts.other.fail(Call::Groups, 0..2, refused, "no");
    let planned = plan(&nights.environment, &nights.job, &request).await;
    let mut planned = planned.unwrap_or_else(|error| panic!("{error}"));
    let error = planned.ensure_exported().await.unwrap_err();
    assert!(error.to_string().contains("[[source]] 2 (other)"));

    // Where none is reached, there is nothing to do at all.
    nights.logs.fail(Call::Groups, 0..1, refused, "no");
    let planned = plan(&nights.environment, &nights.job, &request).await;
    let error = planned.err().unwrap();
    assert_eq!(error.class(), Class::Source);
    let error = error.to_string();
    for section in ["[[source]] 1: ", "; [[source]] 2 (other): "] {
        assert!(error.contains(section), "{error}");
    }
}

#[tokio::test]
async fn a_source_that_is_added_leaves_the_export_of_the_first_in_use() {
    let mut accounts = Accounts::of_one_source().await;
    let receipt = accounts.nights.run(day()).await.remove(0).result.unwrap();
    assert_eq!((receipt.read.events, receipt.sources.len()), (3, 0));
    assert_eq!(receipt.exports[0].source, None);
    let staged = accounts.nights.staged(DAY).await;

    accounts.have(SOURCES, SQL);
    let receipt = accounts.nights.run(day()).await.remove(0).result.unwrap();
    let reused: Vec<bool> = receipt.exports.iter().map(|export| export.reused).collect();
    assert_eq!((receipt.read.events, &reused[..]), (8, &[true, false][..]));
    let both = accounts.nights.staged(DAY).await;
    assert!(staged.iter().all(|key| both.contains(key)), "{both:?}");
    assert_eq!(accounts.rows().await, [row(SEOUL, 3), row(OTHER, 5)]);

    // Without the first one again: its export stays, as no source of the job owns it.
    let (_, other) = SOURCES.split_once("name =").unwrap();
    let other = format!("[source]\nname ={other}");
    accounts.have(
        &other,
        "SELECT count(*) AS events, 1::bigint AS messages FROM logs",
    );
    accounts.nights.environment.services = vec![accounts.other.clone()];
    let receipt = accounts.nights.run(day()).await.remove(0).result.unwrap();
    assert_eq!(receipt.read.events, 5);
    assert!(receipt.exports[0].reused);
    let left = accounts.nights.staged(DAY).await;
    assert!(staged.iter().all(|key| left.contains(key)), "{left:?}");
}

#[tokio::test]
async fn exports_of_each_source_go_after_its_own_keep() {
    let mut accounts = Accounts::new().await;
    let sources = SOURCES.replacen("name =", "keep = \"1d\"\n    name =", 1);
    accounts.have(&sources, SQL);
    accounts.nights.run(day()).await.remove(0).result.unwrap();
    let both = accounts.nights.state(DAY).await.attempts;
    assert_eq!(both.len(), 2);
    let of_account = |attempts: &[Attempt]| -> Vec<String> {
        let origins = attempts.iter().filter_map(|attempt| attempt.origin.clone());
        let mut accounts: Vec<String> = origins.map(|origin| origin.account).collect();
        accounts.sort();
        accounts
    };
    assert_eq!(of_account(&both), [SEOUL, OTHER]);
    let staging = Some("s3://acme-logs/exports");
    assert!(both.iter().all(|one| one.staging.as_deref() == staging));

    accounts.nights.clock.sleep(48 * HOUR).await;
    assert!(accounts.nights.run(day()).await.remove(0).skipped);
    let left = accounts.nights.state(DAY).await.attempts;
    assert_eq!(of_account(&left), [SEOUL]);
}

#[tokio::test]
async fn sources_of_one_account_take_turns_at_its_slot() {
    let mut accounts = Accounts::of_one_source().await;
    let logs = Arc::clone(&accounts.nights.logs);
    logs.add_group("/ecs/b", instant("2026-01-01T00:00:00Z"));
    let noon = instant("2026-11-20T12:00:00Z");
    logs.put("/ecs/b", "web/1", noon, "of another group");
    let source = |group: &str| {
        format!(
            "[[source]]\nkind = \"cloudwatch\"\nlog_groups = [\"{group}\"]\nstaging = \"s3://acme-logs/exports\"\n"
        )
    };
    accounts.have(&format!("{}{}", source("/svc/*"), source("/ecs/*")), SQL);
    let receipt = accounts.nights.run(day()).await.remove(0).result.unwrap();
    assert_eq!(receipt.read.events, 4);
    let tasks = logs.own_tasks();
    assert_eq!(tasks.len(), 2);
    assert!(accounts.nights.run(day()).await.remove(0).skipped);
}

#[tokio::test]
async fn a_log_group_in_two_sources_is_refused_before_anything_is_exported() {
    let mut accounts = Accounts::of_one_source().await;
    let source = |group: &str| {
        format!(
            "[[source]]\nkind = \"cloudwatch\"\nlog_groups = [\"{group}\"]\nstaging = \"s3://acme-logs/exports\"\n"
        )
    };
    accounts.have(&format!("{}{}", source("/svc/*"), source("/svc/a")), SQL);
    let request = Request {
        selection: day(),
        force: Force::No,
        provisional: false,
    };
    let planned = plan(&accounts.nights.environment, &accounts.nights.job, &request).await;
    let error = planned.err().unwrap();
    assert_eq!(error.class(), Class::Usage);
    let error = error.to_string();
    assert!(
        error
            .starts_with("[[source]] 1 and [[source]] 2 both have the log group /svc/a of account"),
        "{error}"
    );
    assert!(accounts.nights.logs.asked().is_empty());
}

#[tokio::test]
async fn late_events_of_one_source_are_joined_and_the_other_export_stays() {
    let accounts = Accounts::new().await;
    accounts.nights.run(day()).await.remove(0).result.unwrap();
    // Retention has eaten what the other account had; the export of before still has it.
    let other = &accounts.other;
    other.expire("/svc/a", instant("2026-11-21T00:00:00Z"));
    other.put("/svc/a", "web/1", instant("2026-11-20T18:00:00Z"), "late");
    let key = accounts.nights.keys.receipt(DAY);
    let (json, seen) = accounts
        .nights
        .output
        .get_to_replace(&key)
        .await
        .unwrap()
        .unwrap();
    let mut receipt: crate::receipt::Receipt = serde_json::from_slice(&json).unwrap();
    receipt.window.provisional = true;
    receipt.as_of = None;
    let body = Body::Bytes(serde_json::to_vec(&receipt).unwrap().into());
    let put = accounts
        .nights
        .output
        .put_if(&key, body, "application/json", &seen);
    put.await.unwrap();
    // Exports from before the window had settled are made again.
    let staging = accounts.nights.staging().await;
    for meta in staging.list(staging.root()).await.unwrap() {
        if layout::is_manifest(&meta.location) {
            let (json, seen) = staging
                .get_to_replace(&meta.location)
                .await
                .unwrap()
                .unwrap();
            let mut manifest: serde_json::Value = serde_json::from_slice(&json).unwrap();
            manifest["as_of"] = "2026-11-21T01:00:00Z".into();
            let body = Body::Bytes(serde_json::to_vec(&manifest).unwrap().into());
            let put = staging.put_if(&meta.location, body, "application/json", &seen);
            put.await.unwrap();
        }
    }
    accounts
        .nights
        .edit_state(DAY, |state| {
            for attempt in &mut state.attempts {
                attempt.asked_at = instant("2026-11-21T01:00:00Z");
            }
        })
        .await;
    let receipt = accounts.nights.run(day()).await.remove(0).result.unwrap();
    assert_eq!(receipt.read.events, 9);
    assert_eq!(accounts.rows().await, [row(SEOUL, 3), row(OTHER, 6)]);
    let notes = receipt.notes.join("\n");
    assert!(notes.contains("5 events from the export of"), "{notes}");
}

/// A monitoring account has log groups of one name in two linked accounts.
#[tokio::test]
async fn log_groups_of_linked_accounts_are_told_apart_by_their_arns() {
    let mut accounts = Accounts::of_one_source().await;
    let arn = |account: &str| format!("arn:aws:logs:ap-northeast-2:{account}:log-group:/svc/a");
    let logs = Arc::clone(&accounts.nights.logs);
    let noon = instant("2026-11-20T12:00:00Z");
    for (account, events) in [("111111111111", 2), ("222222222222", 4)] {
        logs.add_group(&arn(account), instant("2026-01-01T00:00:00Z"));
        for number in 0..events {
            logs.put(&arn(account), "web/1", noon, &format!("event {number}"));
        }
    }
    let groups = format!("{:?}, {:?}", arn("111111111111"), arn("222222222222"));
    let source = format!(
        "[source]\nkind = \"cloudwatch\"\nvia = \"events\"\nlog_groups = [{groups}]\nstaging = \"s3://acme-logs/exports\"\n"
    );
    accounts.have(&source, SQL);
    let receipt = accounts.nights.run(day()).await.remove(0).result.unwrap();
    assert_eq!(receipt.read.events, 6);
    let expected = [row("111111111111", 2), row("222222222222", 4)];
    assert_eq!(accounts.rows().await, expected);
    let group = receipt.exports[0].log_group.as_deref();
    assert_eq!(group, Some(arn("111111111111").as_str()));
    let hours: Vec<u64> = receipt
        .exports
        .iter()
        .map(|export| export.hours.as_ref().unwrap().events())
        .collect();
    assert_eq!(hours, [2, 4]);
    assert!(logs.own_tasks().is_empty());

    // Another question is answered from the kept exports of both.
    accounts.nights.job.queries[0].sql += " -- again";
    let receipt = accounts.nights.run(day()).await.remove(0).result.unwrap();
    assert!(receipt.exports.iter().all(|export| export.reused));
}

/// A source with a log group of a linked account beside its own ones shares its staging location with another account.
#[tokio::test]
async fn a_source_with_linked_log_groups_takes_no_export_of_another_account() {
    let mut accounts = Accounts::of_one_source().await;
    let arn = "arn:aws:logs:ap-northeast-2:333333333333:log-group:/svc/a";
    let logs = Arc::clone(&accounts.nights.logs);
    logs.add_group(arn, instant("2026-01-01T00:00:00Z"));
    logs.put(arn, "web/1", instant("2026-11-20T12:00:00Z"), "linked");
    let sources = SOURCES.replacen(
        "log_groups = [\"/svc/*\"]",
        &format!("via = \"events\"\nlog_groups = [\"/svc/*\", \"{arn}\"]"),
        1,
    );
    // The export of the other account is there first.
    let (first, other) = sources.rsplit_once("[[source]]").unwrap();
    let of_one = "SELECT log_group, count(*) AS events FROM logs GROUP BY 1";
    accounts.have(&format!("[source]{other}"), of_one);
    let services = &mut accounts.nights.environment.services;
    services.swap(0, 1);
    accounts.nights.run(day()).await.remove(0).result.unwrap();
    accounts.nights.environment.services.swap(0, 1);
    accounts.have(&format!("{first}[[source]]{other}"), SQL);
    let receipt = accounts.nights.run(day()).await.remove(0).result.unwrap();
    assert_eq!(receipt.read.events, 9);
    let expected = [row(SEOUL, 3), row(OTHER, 5), row("333333333333", 1)];
    assert_eq!(accounts.rows().await, expected);
}

/// A log group of an account that one source reaches by its role, and another as one of a linked account.
#[tokio::test]
async fn a_linked_log_group_that_another_source_has_by_its_name_is_refused() {
    let mut accounts = Accounts::of_one_source().await;
    let arn = format!("arn:aws:logs:ap-northeast-2:{OTHER}:log-group:/svc/a");
    let logs = Arc::clone(&accounts.nights.logs);
    logs.add_group(&arn, instant("2026-01-01T00:00:00Z"));
    let linked = SOURCES.replacen(
        "log_groups = [\"/svc/*\"]",
        &format!("via = \"events\"\nlog_groups = [\"{arn}\"]"),
        1,
    );
    accounts.have(&linked, SQL);
    let request = Request {
        selection: day(),
        force: Force::No,
        provisional: false,
    };
    let planned = plan(&accounts.nights.environment, &accounts.nights.job, &request).await;
    let error = planned.err().unwrap().to_string();
    assert!(
        error.contains("both have the log group /svc/a of account 210987654321"),
        "{error}"
    );
}

/// Two accounts may have their exports in one bucket, of which each reads its own.
#[tokio::test]
async fn a_query_reads_each_export_as_its_own_source_does() {
    use futures::TryStreamExt;
    let mut accounts = Accounts::new().await;
    accounts.nights.run(day()).await.remove(0).result.unwrap();
    let objects = Arc::clone(accounts.nights.staging().await.objects());
    let [own, others] = [0, 1].map(|_| Arc::new(FakeStore::over(Arc::clone(&objects))));
    for (access, store) in [(0, &own), (1, &others)] {
        let account = Account::Source(access);
        let stores = accounts.nights.environment.stores.clone();
        accounts.nights.environment.stores = stores
            .with_objects_of(account, "acme-logs", Arc::clone(store) as _)
            .unwrap();
    }
    let request = CatalogRequest {
        windows: Windows::One(DAY.to_owned()),
        ..CatalogRequest::default()
    };
    let subject = Subject::Job(Box::new(accounts.nights.job.clone()));
    let opened = catalog::open(&accounts.nights.environment, [subject], &request).await;
    let session = opened.unwrap_or_else(|error| panic!("{error}")).session;
    let sql = "SELECT account, count(*) FROM logs GROUP BY 1 ORDER BY 1";
    let statement = session.statement(sql, "test").await.unwrap();
    let batches = session.run(&statement).await.unwrap().batches;
    let batches: Vec<_> = batches.try_collect().await.unwrap();
    let counted = batches[0].column(1).as_primitive::<Int64Type>();
    assert_eq!(counted.values().to_vec(), [3, 5]);
    // The first source lists what is there, with the manifests of all.
    assert!(own.reads().0 > 0, "{:?}", own.reads());
    let (gets, listings) = others.reads();
    assert!(gets > 0 && listings == 0, "{gets} {listings}");
}
