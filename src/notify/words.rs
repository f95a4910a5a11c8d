//! The words of messages, in each language of a job.

use super::{Moved, Since};
use crate::job::Language;
use crate::numbers::{counted, format_number};

fn number(count: u64) -> String {
    format_number(count as f64, 0)
}

/// A window that failed, with its exit code.
pub fn failed(language: Language, job: &str, window: &str, code: u8) -> String {
    match language {
        Language::English => format!("{job} · {window} failed ({code})"),
        Language::Korean => format!("{job} · {window} 실패 ({code})"),
    }
}

/// A window that is done and has no chart.
pub fn done(
    language: Language,
    job: &str,
    window: &str,
    events: u64,
    is_provisional: bool,
) -> String {
    let events = match language {
        Language::English => counted(events, "event"),
        Language::Korean => format!("이벤트 {}건", number(events)),
    };
    let state = match (language, is_provisional) {
        (_, false) => "",
        (Language::English, true) => " (provisional)",
        (Language::Korean, true) => " (잠정)",
    };
    format!("{job} · {window}: {events}{state}")
}

/// A broken expectation.
pub fn broken(language: Language, text: &str) -> String {
    match language {
        Language::English => format!("Not as expected: {text}"),
        Language::Korean => format!("기대와 다름: {text}"),
    }
}

/// How many more expectations are broken.
pub fn more_broken(language: Language, count: usize) -> String {
    match language {
        Language::English => format!("… and {count} more"),
        Language::Korean => format!("… 외 {count}개"),
    }
}

/// How the number of events moved.
pub fn moved(language: Language, moved: &Moved) -> String {
    let Moved { before, now, since } = moved;
    let change = match before {
        0 => String::new(),
        _ => {
            let percent = (*now as f64 - *before as f64) / *before as f64 * 100.0;
            let sign = if percent < 0.0 { "−" } else { "+" };
            format!(" ({sign}{}%)", format_number(percent.abs(), 0))
        }
    };
    let (before, now) = (number(*before), number(*now));
    match (language, since) {
        (Language::English, Since::WeekBefore) => {
            format!("Events moved: {now}, and {before} a week before{change}")
        }
        (Language::English, Since::LastRun) => {
            format!("Events moved: {now}, and {before} in the run before{change}")
        }
        (Language::Korean, Since::WeekBefore) => {
            format!("이벤트 수 변동: {now}건, 1주 전 {before}건{change}")
        }
        (Language::Korean, Since::LastRun) => {
            format!("이벤트 수 변동: {now}건, 이전 실행 {before}건{change}")
        }
    }
}
