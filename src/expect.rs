//! How an expectation compares with an answer: what the receipt has of it, and its text for charts and notifications.

use serde::{Deserialize, Serialize};

use crate::job::{Expectation, Language, Subject, percent};
use crate::numbers::{counted, format_number};

/// An expectation and what was found. Its numbers are those of the job; [`ExpectationReport::text`] is for people.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExpectationReport {
    /// The query.
    pub query: String,
    /// What is measured.
    pub of: Measure,
    /// The column, if one is measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// The least allowed number; of a share, 0.5 is 50 %.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    /// The largest allowed number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    /// The distance of the earlier window, such as `7d`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<String>,
    /// How it compares.
    pub result: Comparison,
    /// The number that was found; of several values, the one that is furthest outside the bounds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<f64>,
    /// How many values are outside the bounds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outside: Option<u64>,
    /// The total of the earlier window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub earlier: Option<f64>,
    /// Why it was not checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// What of an answer is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// The number of rows.
    Rows,
    /// Each value of the column.
    Each,
    /// The total of the column.
    Total,
    /// The total as a share of an earlier one.
    Share,
    /// The hours without a row.
    MissingHours,
}

/// How an answer compares with an expectation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Comparison {
    /// It is as expected.
    Held,
    /// It is not.
    Broken,
    /// There is nothing to compare with.
    Unchecked,
}

impl ExpectationReport {
    /// Of an expectation that is not checked yet.
    pub fn of(expectation: &Expectation) -> Self {
        let (of, previous) = match &expectation.subject {
            Subject::Rows => (Measure::Rows, None),
            Subject::Each { .. } => (Measure::Each, None),
            Subject::Total { .. } => (Measure::Total, None),
            Subject::Share { previous, .. } => (Measure::Share, Some(previous.span.to_string())),
            Subject::MissingHours { .. } => (Measure::MissingHours, None),
        };
        Self {
            query: expectation.query.to_string(),
            of,
            column: expectation.subject.column().map(str::to_owned),
            min: expectation.min,
            max: expectation.max,
            previous,
            result: Comparison::Unchecked,
            found: None,
            outside: None,
            earlier: None,
            note: None,
        }
    }

    /// With a number that is compared with the bounds.
    pub fn found(mut self, number: f64) -> Self {
        // NaN is outside of every bound.
        let is_inside = self.min.is_none_or(|min| number >= min)
            && self.max.is_none_or(|max| number <= max)
            && !number.is_nan();
        self.result = match is_inside {
            true => Comparison::Held,
            false => Comparison::Broken,
        };
        // JSON has no other numbers.
        self.found = Some(number).filter(|number| number.is_finite());
        self
    }

    /// With the reason why there is nothing to compare with.
    pub fn unchecked(mut self, why: impl Into<String>) -> Self {
        self.result = Comparison::Unchecked;
        self.note = Some(why.into());
        self
    }

    /// Whether the answer is not as expected.
    pub fn is_broken(&self) -> bool {
        self.result == Comparison::Broken
    }

    /// What was expected: `each value of events at least 1`.
    pub fn expected(&self, language: Language) -> String {
        let column = self.column.as_deref().unwrap_or_default();
        let previous = span(language, self.previous.as_deref().unwrap_or_default());
        let bounds = self.bounds(language);
        match (language, self.of) {
            (Language::English, Measure::Rows) => match (self.min, self.max) {
                (_, Some(0.0)) => "no rows".to_owned(),
                (Some(1.0), Some(1.0)) => "one row".to_owned(),
                _ => "rows".to_owned(),
            },
            (Language::Korean, Measure::Rows) => match (self.min, self.max) {
                (_, Some(0.0)) => "행 없음".to_owned(),
                (Some(1.0), Some(1.0)) => "행 1개".to_owned(),
                _ => "행 1개 이상".to_owned(),
            },
            (Language::English, Measure::Each) => format!("each value of {column} {bounds}"),
            (Language::Korean, Measure::Each) => format!("{column}의 모든 값 {bounds}"),
            (Language::English, Measure::Total) => format!("a total of {column} of {bounds}"),
            (Language::Korean, Measure::Total) => format!("{column} 합계 {bounds}"),
            (Language::English, Measure::Share) => {
                format!("a total of {column} of {bounds} of the total {previous} before")
            }
            (Language::Korean, Measure::Share) => {
                format!("{column} 합계가 {previous} 전 합계의 {bounds}")
            }
            (Language::English, Measure::MissingHours) => match self.max {
                Some(most) if most > 0.0 => format!("at most {} missing", hours(most)),
                _ => "no missing hours".to_owned(),
            },
            (Language::Korean, Measure::MissingHours) => match self.max {
                Some(most) if most > 0.0 => format!("빠진 시간 {}시간 이하", figures(most)),
                _ => "빠진 시간 없음".to_owned(),
            },
        }
    }

    fn bounds(&self, language: Language) -> String {
        let figures = |bound: f64| match self.of {
            Measure::Share => percent(bound),
            _ => figures(bound),
        };
        match (language, self.min.map(figures), self.max.map(figures)) {
            (Language::English, Some(min), Some(max)) => format!("{min} to {max}"),
            (Language::English, Some(min), None) => format!("at least {min}"),
            (Language::English, None, Some(max)) => format!("at most {max}"),
            (Language::Korean, Some(min), Some(max)) => format!("{min} 이상 {max} 이하"),
            (Language::Korean, Some(min), None) => format!("{min} 이상"),
            (Language::Korean, None, Some(max)) => format!("{max} 이하"),
            (_, None, None) => String::new(),
        }
    }

    /// What was found: `0 and 2 more outside`.
    fn in_words(&self, language: Language) -> String {
        let either = |english: &str, korean: &str| match language {
            Language::English => english.to_owned(),
            Language::Korean => korean.to_owned(),
        };
        let Some(found) = self.found else {
            return match (self.of, self.outside) {
                (Measure::Share, _) => either("some after none", "0에서 증가"),
                (_, Some(1..)) => "NaN".to_owned(),
                _ => either("no value", "값 없음"),
            };
        };
        let number = figures(found);
        match self.of {
            Measure::Rows => either(&counted(whole(found), "row"), &format!("행 {number}개")),
            Measure::MissingHours => either(&hours(found), &format!("{number}시간")),
            Measure::Share => {
                let earlier = self.earlier.unwrap_or_default();
                let (total, earlier) = (figures(found * earlier), figures(earlier));
                let share = rounded_percent(found);
                either(
                    &format!("{total} after {earlier} ({share})"),
                    &format!("{earlier}에서 {total} ({share})"),
                )
            }
            Measure::Each | Measure::Total => match self.outside {
                Some(outside @ 2..) => either(
                    &format!("{number} and {} more outside", outside - 1),
                    &format!("{number} 외 {}개", outside - 1),
                ),
                _ => number,
            },
        }
    }

    /// What was expected and what was found, or why it was not checked: `expected no rows, found 3 rows`.
    pub fn difference(&self, language: Language) -> String {
        let expected = self.expected(language);
        let note = self.note.as_deref().unwrap_or_default();
        match (language, self.result) {
            (Language::English, Comparison::Unchecked) => {
                format!("expected {expected}, not checked: {note}")
            }
            (Language::Korean, Comparison::Unchecked) => {
                format!("기대 {expected}, 확인 안 됨: {note}")
            }
            (Language::English, _) => {
                format!("expected {expected}, found {}", self.in_words(language))
            }
            (Language::Korean, _) => format!("기대 {expected}, 실제 {}", self.in_words(language)),
        }
    }

    /// The same behind the name of the query.
    pub fn text(&self, language: Language) -> String {
        format!("{}: {}", self.query, self.difference(language))
    }
}

/// A number as text, with as many decimals as it needs, four at the most.
fn figures(number: f64) -> String {
    let decimals = (0..4)
        .find(|decimals| {
            let scaled = number * 10_f64.powi(*decimals);
            (scaled - scaled.round()).abs() < 1e-6
        })
        .unwrap_or(4);
    format_number(number, decimals.unsigned_abs() as usize)
}

/// A span such as `7d` in words: `7 days`, `7일`.
fn span(language: Language, text: &str) -> String {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (count, unit) = text.split_at(digits);
    let (english, korean) = match unit {
        "h" => ("hour", "시간"),
        "d" => ("day", "일"),
        "w" => ("week", "주"),
        "mo" => ("month", "개월"),
        _ => return text.to_owned(),
    };
    match (language, count.parse()) {
        (Language::English, Ok(count)) => counted(count, english),
        _ => format!("{count}{korean}"),
    }
}

fn rounded_percent(share: f64) -> String {
    let decimals = usize::from(share < 0.1);
    format!("{}%", format_number(share * 100.0, decimals))
}

fn hours(number: f64) -> String {
    counted(whole(number), "hour")
}

fn whole(number: f64) -> u64 {
    number.max(0.0).round() as u64
}

#[cfg(test)]
mod tests;
