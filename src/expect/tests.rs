//! The texts of expectations, in each language.

use super::*;
use crate::job::{Compare, Name};

fn report(subject: Subject, min: Option<f64>, max: Option<f64>) -> ExpectationReport {
    ExpectationReport::of(&Expectation {
        query: Name::new("orders").unwrap(),
        subject,
        min,
        max,
    })
}

fn texts(report: &ExpectationReport) -> [String; 2] {
    [Language::English, Language::Korean].map(|language| report.text(language))
}

fn column() -> String {
    "events".to_owned()
}

#[test]
fn an_expectation_is_told_with_what_was_found() {
    let week = || Compare {
        span: "7 days".parse().unwrap(),
        windows: 7,
    };
    let each = || report(Subject::Each { column: column() }, Some(1.0), None);
    let share = |min, max| {
        let (column, previous) = (column(), week());
        report(Subject::Share { column, previous }, min, max)
    };
    let with_earlier = |mut report: ExpectationReport, earlier| {
        report.earlier = Some(earlier);
        report
    };
    let several = |mut report: ExpectationReport| {
        report.outside = Some(3);
        report
    };
    let missing = |most| report(Subject::MissingHours { column: None }, None, Some(most));
    for (report, expected, korean) in [
        (
            report(Subject::Rows, None, Some(0.0)).found(3.0),
            "orders: expected no rows, found 3 rows",
            "orders: 기대 행 없음, 실제 행 3개",
        ),
        (
            report(Subject::Rows, Some(1.0), Some(1.0)).found(0.0),
            "orders: expected one row, found 0 rows",
            "orders: 기대 행 1개, 실제 행 0개",
        ),
        (
            each().found(0.0),
            "orders: expected each value of events at least 1, found 0",
            "orders: 기대 events의 모든 값 1 이상, 실제 0",
        ),
        (
            several(each().found(0.25)),
            "orders: expected each value of events at least 1, found 0.25 and 2 more outside",
            "orders: 기대 events의 모든 값 1 이상, 실제 0.25 외 2개",
        ),
        (
            report(Subject::Total { column: column() }, Some(1000.0), Some(2e6)).found(12.0),
            "orders: expected a total of events of 1,000 to 2,000,000, found 12",
            "orders: 기대 events 합계 1,000 이상 2,000,000 이하, 실제 12",
        ),
        (
            with_earlier(share(Some(0.5), None), 2000.0).found(0.4),
            "orders: expected a total of events of at least 50% of the total 7 days before, found 800 after 2,000 (40%)",
            "orders: 기대 events 합계가 7일 전 합계의 50% 이상, 실제 2,000에서 800 (40%)",
        ),
        (
            missing(0.0).found(1.0),
            "orders: expected no missing hours, found 1 hour",
            "orders: 기대 빠진 시간 없음, 실제 1시간",
        ),
        (
            missing(2.0).found(3.0),
            "orders: expected at most 2 hours missing, found 3 hours",
            "orders: 기대 빠진 시간 2시간 이하, 실제 3시간",
        ),
    ] {
        assert!(report.is_broken(), "{report:?}");
        assert_eq!(texts(&report), [expected, korean]);
    }
    let unchecked = share(Some(0.5), Some(2.0)).unchecked("no answer of 2026-11-14");
    assert!(!unchecked.is_broken());
    assert_eq!(
        unchecked.text(Language::English),
        "orders: expected a total of events of 50% to 200% of the total 7 days before, not checked: no answer of 2026-11-14"
    );
}

#[test]
fn bounds_are_included_and_nan_is_outside() {
    let each = |min, max| report(Subject::Each { column: column() }, min, max);
    let is_broken = |number| each(Some(1.0), Some(2.0)).found(number).is_broken();
    assert_eq!(
        [0.999, 1.0, 2.0, 2.001].map(is_broken),
        [true, false, false, true]
    );
    assert!(is_broken(f64::NAN));
    assert!(each(None, Some(2.0)).found(f64::NAN).is_broken());
}

#[test]
fn a_report_is_flat_json() {
    let report = report(Subject::Rows, None, Some(0.0)).found(3.0);
    let json = serde_json::json!({"query": "orders", "of": "rows", "max": 0.0, "result": "broken", "found": 3.0});
    assert_eq!(serde_json::to_value(&report).unwrap(), json);
    assert_eq!(
        serde_json::from_value::<ExpectationReport>(json).unwrap(),
        report
    );
}
