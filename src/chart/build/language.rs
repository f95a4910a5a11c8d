//! The words that figures use, in each language of a job.

use chrono::{Datelike, NaiveDate};

use crate::chart::model::StateLabels;
use crate::job::Language;
use crate::numbers::format_number;
use crate::window::{Size, Window};

/// The text in the language.
fn either(language: Language, english: &'static str, korean: &'static str) -> &'static str {
    match language {
        Language::English => english,
        Language::Korean => korean,
    }
}

/// A name such as `hourly_errors` as words. Column names of the built-in questions are translated.
pub fn words(language: Language, name: &str) -> String {
    let korean = match name {
        "events" => "이벤트",
        "errors" => "오류",
        "calls" => "호출",
        "timeouts" => "시간 초과",
        "cold_starts" => "콜드 스타트",
        "level" | "levels" => "레벨",
        "latency" => "응답 시간",
        "no_level" => "레벨 없음",
        "log_group" => "로그 그룹",
        "hour" | "hour_local" => "시각",
        "day" | "date" => "날짜",
        "month" => "월",
        "week" => "주",
        "requests" => "요청",
        "count" => "건수",
        "service" => "서비스",
        "path" => "경로",
        "method" => "메서드",
        "status" => "상태",
        "message" => "메시지",
        // The built-in queries, whose names are titles.
        "hourly_count" => "시간별 이벤트 수",
        "hour_of_day" => "시각별 이벤트 수",
        "hourly_errors" => "시간별 오류",
        "hourly_levels" => "시간별 레벨",
        "hourly_latency" => "시간별 응답 시간",
        _ => "",
    };
    match language {
        Language::Korean if !korean.is_empty() => korean.to_owned(),
        _ => name.replace('_', " "),
    }
}

/// Whether a column's name says what it has: not a letter such as `n`, and not an expression such as `count(*)`.
pub fn is_name(column: &str) -> bool {
    column.chars().nth(1).is_some() && !column.contains(['(', ')'])
}

/// The title of an axis of times.
pub fn time(language: Language) -> &'static str {
    either(language, "Time", "시각")
}

/// The title of an axis of counts.
pub fn number(language: Language) -> &'static str {
    either(language, "number", "건수")
}

/// The title of a logarithmic axis: what its values are, and how they are spaced.
pub fn log_scale(language: Language, title: &str) -> String {
    let scale = either(language, "log scale", "로그 스케일");
    match title {
        "" => scale.to_owned(),
        title => format!("{title} · {scale}"),
    }
}

/// An answer without rows.
pub fn no_rows(language: Language) -> &'static str {
    either(
        language,
        "The answer has no rows to draw.",
        "답에 그릴 행이 없습니다.",
    )
}

/// The text with a capital first letter.
pub fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_uppercase().chain(chars).collect(),
        None => String::new(),
    }
}

/// A count with the noun of its column: `2,643 events`, `이벤트 2,643건`. A label from the job is the noun as it is.
pub fn counted(language: Language, count: f64, column: &str, label: Option<&str>) -> String {
    let figures = format_number(count, 0);
    match (label, language) {
        (Some(label), _) => format!("{figures} {label}"),
        (None, Language::Korean) if !is_name(column) => format!("합계 {figures}"),
        (None, Language::English) if !is_name(column) => format!("{figures} in total"),
        (None, Language::Korean) => format!("{} {figures}건", words(language, column)),
        (None, Language::English) => {
            let words = words(language, column);
            let words = match words.strip_suffix('s') {
                Some(singular) if count == 1.0 => singular.to_owned(),
                _ => words,
            };
            format!("{figures} {words}")
        }
    }
}

/// The highest value, and the name of its series.
pub fn up_to(language: Language, name: &str, value: &str) -> String {
    let text = match language {
        Language::English => format!("{name} up to {value}"),
        Language::Korean => format!("{name} 최대 {value}"),
    };
    text.trim_start().to_owned()
}

/// The change against an earlier total: `+12.3% against 2026-11-14 (Sat)`. `only_so_far` if both totals end at the hour
/// until which the later window is known.
pub fn change(
    language: Language,
    total: f64,
    earlier: f64,
    when: &str,
    only_so_far: bool,
) -> String {
    let text = match (language, earlier == 0.0) {
        (Language::English, true) => format!("none on {when}"),
        (Language::Korean, true) => format!("{when} 0건"),
        (Language::English, false) => format!("{} against {when}", percent(total, earlier)),
        (Language::Korean, false) => format!("{when} 대비 {}", percent(total, earlier)),
    };
    match (only_so_far, language) {
        (false, _) => text,
        (true, Language::English) => format!("{text} up to the same hour"),
        (true, Language::Korean) => format!("{text} (같은 시각까지)"),
    }
}

/// The change in percent, `+12.3%` or `±0%`; from ten times the earlier total on as a factor, `×25.0`.
fn percent(total: f64, earlier: f64) -> String {
    let change = (total - earlier) / earlier.abs() * 100.0;
    if change >= 900.0 {
        return format!("×{}", format_number(total / earlier, 1));
    }
    match format_number(change, 1).as_str() {
        "0" => "±0%".to_owned(),
        figures if change > 0.0 => format!("+{figures}%"),
        figures => format!("{figures}%"),
    }
}

/// A part of a whole in percent: `2.4%`.
pub fn share(part: f64, whole: f64) -> String {
    let percent = part / whole * 100.0;
    let decimals = if percent < 10.0 { 1 } else { 0 };
    format!("{}%", format_number(percent, decimals))
}

/// How many of the events have no level: `62% of the events have no level`.
pub fn without_level(language: Language, none: f64, all: f64) -> String {
    let share = share(none, all);
    match language {
        Language::English => format!("{share} of the events have no level"),
        Language::Korean => format!("이벤트의 {share}는 레벨 없음"),
    }
}

/// The legend's texts for provisional and missing values; `not_yet` if the missing ones are still to come.
pub fn state_labels(language: Language, not_yet: bool) -> StateLabels {
    let no_data = match not_yet {
        true => either(language, "no data yet", "아직 없음"),
        false => either(language, "no data", "데이터 없음"),
    };
    StateLabels {
        no_data: no_data.to_owned(),
        provisional: provisional(language).to_owned(),
    }
}

/// Late events may still change the values.
pub fn provisional(language: Language) -> &'static str {
    either(language, "provisional", "잠정")
}

/// The values are final.
pub fn settled(language: Language) -> &'static str {
    either(language, "settled", "확정")
}

/// The values less their errors.
pub fn without_errors(language: Language) -> &'static str {
    either(language, "without errors", "정상")
}

/// The name of a series, or label of a category, that is NULL.
pub fn none(language: Language) -> &'static str {
    either(language, "(none)", "(없음)")
}

/// The sum of the series that have no colour of their own.
pub fn other(language: Language, count: usize) -> String {
    match language {
        Language::English => format!("other ({count})"),
        Language::Korean => format!("기타 ({count})"),
    }
}

/// The number of series that are left out, as their sum has no meaning.
pub fn not_shown(language: Language, count: usize) -> String {
    match language {
        Language::English => format!("{count} more not shown"),
        Language::Korean => format!("{count}개는 생략"),
    }
}

/// The number of names that are left out; no text if none.
pub fn more(language: Language, count: usize) -> String {
    match (count, language) {
        (0, _) => String::new(),
        (_, Language::English) => format!(" and {count} more"),
        (_, Language::Korean) => format!(" 외 {count}개"),
    }
}

/// From one local time to another.
pub fn from_to(language: Language, from: &str, to: &str) -> String {
    match language {
        Language::English => format!("{from} to {to}"),
        Language::Korean => format!("{from} ~ {to}"),
    }
}

/// Until when the events are known.
pub fn as_of(language: Language, at: &str) -> String {
    match language {
        Language::English => format!("as of {at}"),
        Language::Korean => format!("{at} 기준"),
    }
}

/// An independent count is equal.
pub fn verified(language: Language, method: &str) -> String {
    match language {
        Language::English => format!("verified against {method}"),
        Language::Korean => format!("{method} 대조 일치"),
    }
}

/// An independent count differs.
pub fn differs(language: Language, expected: u64, counted: u64) -> String {
    let (expected, counted) = (
        format_number(expected as f64, 0),
        format_number(counted as f64, 0),
    );
    match language {
        Language::English => format!("NOT VERIFIED: {counted} counted, {expected} expected"),
        Language::Korean => format!("대조 불일치: 집계 {counted}건, 기대 {expected}건"),
    }
}

/// An independent count differs, in a word.
pub fn differs_badge(language: Language) -> &'static str {
    either(language, "NOT VERIFIED", "대조 불일치")
}

/// An answer is not as the job expects it, in a few words.
pub fn not_as_expected(language: Language) -> &'static str {
    either(language, "NOT AS EXPECTED", "기대와 다름")
}

/// The independent count failed.
pub fn unverified(language: Language) -> &'static str {
    either(language, "could not be verified", "대조하지 못함")
}

/// No independent count was asked for.
pub fn not_verified(language: Language) -> &'static str {
    either(language, "not verified", "대조 안 함")
}

/// The title of an axis of local hours.
pub fn hour_of_day(language: Language, zone: &str) -> String {
    format!("{} ({zone})", either(language, "Hour of day", "시각"))
}

/// The title of an axis of hours of UTC.
pub fn hour_utc(language: Language) -> &'static str {
    either(language, "Hour (UTC)", "시각 (UTC)")
}

/// The title of an axis of days.
pub fn day(language: Language) -> &'static str {
    either(language, "Day", "날짜")
}

/// The title of an axis of months.
pub fn month(language: Language) -> &'static str {
    either(language, "Month", "월")
}

/// The change of the clocks at the start of a category: `clocks +1 h`.
pub fn clocks(language: Language, seconds: i32) -> String {
    let sign = if seconds < 0 { "−" } else { "+" };
    let amount = duration(language, seconds.unsigned_abs());
    match language {
        Language::English => format!("clocks {sign}{amount}"),
        Language::Korean => format!("시계 {sign}{amount}"),
    }
}

/// A length of time in hours and minutes: `25 h`, `23시간 30분`.
pub fn duration(language: Language, seconds: u32) -> String {
    let (hours, minutes) = (seconds / 3600, seconds % 3600 / 60);
    let parts = match language {
        Language::English => [(hours, "h", " "), (minutes, "min", " ")],
        Language::Korean => [(hours, "시간", ""), (minutes, "분", "")],
    };
    let parts: Vec<String> = parts
        .into_iter()
        .filter(|&(count, ..)| count > 0)
        .map(|(count, unit, gap)| format!("{count}{gap}{unit}"))
        .collect();
    parts.join(" ")
}

/// `Sat`, `토`.
pub fn weekday(language: Language, date: NaiveDate) -> &'static str {
    let day = date.weekday().num_days_from_monday() as usize;
    let names = match language {
        Language::English => ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"],
        Language::Korean => ["월", "화", "수", "목", "금", "토", "일"],
    };
    names[day]
}

/// `2026-11-21 (Sat)`
pub fn date(language: Language, date: NaiveDate) -> String {
    format!("{} ({})", date.format("%Y-%m-%d"), weekday(language, date))
}

/// `11-21 (Sat)`
pub fn short_date(language: Language, date: NaiveDate) -> String {
    format!("{} ({})", date.format("%m-%d"), weekday(language, date))
}

/// `November 2026`, `2026년 11월`
pub fn year_month(language: Language, date: NaiveDate) -> String {
    match language {
        Language::English => date.format("%B %Y").to_string(),
        Language::Korean => format!("{}년 {}월", date.year(), date.month()),
    }
}

/// `Nov`, `11월`
pub fn short_month(language: Language, date: NaiveDate) -> String {
    match language {
        Language::English => date.format("%b").to_string(),
        Language::Korean => format!("{}월", date.month()),
    }
}

/// `2026`, `2026년`
pub fn year(language: Language, date: NaiveDate) -> String {
    match language {
        Language::English => date.year().to_string(),
        Language::Korean => format!("{}년", date.year()),
    }
}

/// The window in words: `2026-11-21 (Sat)`.
pub fn window(language: Language, window: &Window) -> String {
    let begins = window.local_date();
    match window.size() {
        Size::Hour => format!("{} {:02}:00", date(language, begins), window.local_hour()),
        Size::Day => date(language, begins),
        Size::Week => {
            let ends = begins + chrono::Days::new(6);
            let (from, to) = (begins.format("%m-%d"), ends.format("%m-%d"));
            let days = from_to(language, &from.to_string(), &to.to_string());
            format!("{} ({days})", window.id())
        }
        Size::Month => year_month(language, begins),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Language::{English, Korean};

    #[test]
    fn changes_are_in_percent_and_large_ones_a_factor() {
        let change = |total, earlier| change(English, total, earlier, "Sat", false);
        assert_eq!(change(110.0, 100.0), "+10.0% against Sat");
        assert_eq!(change(90.0, 100.0), "−10.0% against Sat");
        assert_eq!(change(100.0, 100.0), "±0% against Sat");
        assert_eq!(change(2500.0, 100.0), "×25.0 against Sat");
        assert_eq!(change(7.0, 0.0), "none on Sat");
        assert_eq!(
            super::change(Korean, 110.0, 100.0, "11-14 (토)", true),
            "11-14 (토) 대비 +10.0% (같은 시각까지)"
        );
    }

    #[test]
    fn counts_have_their_noun() {
        assert_eq!(counted(English, 1.0, "events", None), "1 event");
        assert_eq!(
            counted(English, 2643.0, "cold_starts", None),
            "2,643 cold starts"
        );
        assert_eq!(counted(Korean, 2643.0, "events", None), "이벤트 2,643건");
        assert_eq!(counted(English, 7.0, "n", None), "7 in total");
        assert_eq!(counted(Korean, 7.0, "count(*)", None), "합계 7");
        assert_eq!(counted(Korean, 64.0, "errors", Some("건")), "64 건");
        assert_eq!(
            (share(64.0, 2643.0), share(1.0, 4.0)),
            ("2.4%".into(), "25%".into())
        );
    }

    #[test]
    fn dates_are_in_the_language() {
        let day = |id| Window::parse(Size::Day, "Asia/Seoul".parse().unwrap(), id).unwrap();
        assert_eq!(window(Korean, &day("2026-11-21")), "2026-11-21 (토)");
        assert_eq!(window(English, &day("2026-11-22")), "2026-11-22 (Sun)");
        let of = |size, id| Window::parse(size, chrono_tz::UTC, id).unwrap();
        assert_eq!(
            window(Korean, &of(Size::Week, "2026-W47")),
            "2026-W47 (11-16 ~ 11-22)"
        );
        assert_eq!(window(Korean, &of(Size::Month, "2026-11")), "2026년 11월");
        assert_eq!(
            window(English, &of(Size::Hour, "2026-11-21T05")),
            "2026-11-21 (Sat) 05:00"
        );
        assert_eq!(duration(English, 25 * 3600), "25 h");
        assert_eq!(duration(Korean, 23 * 3600 + 1800), "23시간 30분");
        assert_eq!(clocks(English, -3600), "clocks −1 h");
    }
}
