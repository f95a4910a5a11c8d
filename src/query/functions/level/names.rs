//! The names and numbers of levels.

use super::{Level, without_colours};

/// Where a name is a level, and not an ordinary word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weight {
    /// Wherever the head of a line has room for one: `ERROR`, `warning`.
    Plain,
    /// With a time, a bracket or a colon beside it: `ERR`, `alert`, `fail`.
    Marked,
    /// The same, and in capitals: what java.util.logging calls `FINE` and `CONFIG`.
    Capitals,
    /// In capitals behind a time: PostgreSQL's `LOG`, Loguru's `SUCCESS`.
    Timed,
}

/// A name, what it means, and where it is a level.
type Name = (u64, Level, Weight);

/// The names by their length, which is eight at most.
///
/// They are those of syslog (RFC 5424), Python, Log4j and its kin, java.util.logging (as SLF4J's bridge maps them), .NET
/// and its console's four letters, Serilog, Go's zap, zerolog and logrus, npm, RabbitMQ and PostgreSQL.
const NAMES: [&[Name]; 9] = {
    use Level::*;
    use Weight::*;
    [
        &[],
        &[],
        &[],
        &[
            (folded(b"err"), Error, Marked),
            (folded(b"wrn"), Warn, Marked),
            (folded(b"inf"), Info, Marked),
            (folded(b"dbg"), Debug, Marked),
            (folded(b"trc"), Trace, Marked),
            (folded(b"vrb"), Trace, Marked),
            (folded(b"ftl"), Fatal, Marked),
            (folded(b"pnc"), Fatal, Marked),
            (folded(b"log"), Info, Timed),
        ],
        &[
            (folded(b"info"), Info, Plain),
            (folded(b"warn"), Warn, Plain),
            (folded(b"crit"), Fatal, Marked),
            (folded(b"fail"), Error, Marked),
            (folded(b"erro"), Error, Marked),
            (folded(b"eror"), Error, Marked),
            (folded(b"dbug"), Debug, Marked),
            (folded(b"debg"), Debug, Marked),
            (folded(b"debu"), Debug, Marked),
            (folded(b"trce"), Trace, Marked),
            (folded(b"trac"), Trace, Marked),
            (folded(b"verb"), Trace, Marked),
            (folded(b"noti"), Info, Marked),
            (folded(b"fatl"), Fatal, Marked),
            (folded(b"fata"), Fatal, Marked),
            (folded(b"pani"), Fatal, Marked),
            (folded(b"fine"), Debug, Capitals),
            (folded(b"note"), Info, Timed),
        ],
        &[
            (folded(b"error"), Error, Plain),
            (folded(b"debug"), Debug, Plain),
            (folded(b"trace"), Trace, Plain),
            (folded(b"fatal"), Fatal, Plain),
            (folded(b"panic"), Fatal, Plain),
            (folded(b"alert"), Fatal, Marked),
            (folded(b"emerg"), Fatal, Marked),
            (folded(b"silly"), Trace, Marked),
            (folded(b"finer"), Debug, Capitals),
            (folded(b"audit"), Info, Timed),
        ],
        &[
            (folded(b"notice"), Info, Plain),
            (folded(b"severe"), Error, Plain),
            (folded(b"dpanic"), Fatal, Marked),
            (folded(b"finest"), Trace, Capitals),
            (folded(b"config"), Info, Capitals),
            (folded(b"system"), Info, Timed),
        ],
        &[
            (folded(b"warning"), Warn, Plain),
            (folded(b"verbose"), Trace, Plain),
            (folded(b"success"), Info, Timed),
        ],
        &[(folded(b"critical"), Fatal, Plain)],
    ]
};

/// Up to eight letters as a number, in small letters: comparing numbers is much faster than comparing texts.
pub(super) const fn folded(name: &[u8]) -> u64 {
    let mut folded = 0;
    let mut at = 0;
    while at < name.len() {
        folded = folded << 8 | (name[at] | 0x20) as u64;
        at += 1;
    }
    folded
}

/// A level by one of its names in any case, with where that name is one.
#[inline]
pub(super) fn lookup(name: &[u8]) -> Option<(Level, Weight)> {
    if let Some(names) = NAMES.get(name.len()) {
        let wanted = folded(name);
        let (_, level, weight) = names.iter().find(|(folded, ..)| *folded == wanted)?;
        return Some((*level, *weight));
    }
    let is = |other: &str| name.eq_ignore_ascii_case(other.as_bytes());
    Some(match name.len() {
        9 if is("emergency") => (Level::Fatal, Weight::Plain),
        11 if is("information") => (Level::Info, Weight::Plain),
        11 if is("deprecation") => (Level::Warn, Weight::Capitals),
        13 if is("informational") => (Level::Info, Weight::Plain),
        _ => return None,
    })
}

/// What java.util.logging writes in place of its names in other languages, as OpenJDK has them. Names that begin
/// alike stand behind the longer ones.
const LOCALIZED: [(&str, Level); 49] = [
    // Korean
    ("심각", Level::Error),
    ("경고", Level::Warn),
    ("정보", Level::Info),
    ("구성", Level::Info),
    ("미세", Level::Debug),
    ("보다 미세", Level::Debug),
    ("가장 미세", Level::Trace),
    // Japanese
    ("重大", Level::Error),
    ("警告", Level::Warn),
    ("情報", Level::Info),
    ("構成", Level::Info),
    ("普通", Level::Debug),
    ("詳細", Level::Debug),
    ("最も詳細", Level::Trace),
    // Chinese, simplified
    ("严重", Level::Error),
    ("信息", Level::Info),
    ("配置", Level::Info),
    ("详细", Level::Debug),
    ("较详细", Level::Debug),
    ("非常详细", Level::Trace),
    // Chinese, traditional
    ("嚴重", Level::Error),
    ("資訊", Level::Info),
    ("組態", Level::Info),
    ("較詳細", Level::Debug),
    ("最詳細", Level::Trace),
    // French, Spanish, Portuguese, Italian, German, Swedish
    ("Grave", Level::Error),
    ("GRAVE", Level::Error),
    ("Avertissement", Level::Warn),
    ("AVERTISSEMENT", Level::Warn),
    ("Infos", Level::Info),
    ("INFOS", Level::Info),
    ("Advertencia", Level::Warn),
    ("ADVERTENCIA", Level::Warn),
    ("Información", Level::Info),
    ("INFORMACIÓN", Level::Info),
    ("Advertência", Level::Warn),
    ("ADVERTÊNCIA", Level::Warn),
    ("Informações", Level::Info),
    ("INFORMAÇÕES", Level::Info),
    ("Avvertenza", Level::Warn),
    ("AVVERTENZA", Level::Warn),
    ("Informazioni", Level::Info),
    ("INFORMAZIONI", Level::Info),
    ("Schwerwiegend", Level::Error),
    ("SCHWERWIEGEND", Level::Error),
    ("Warnung", Level::Warn),
    ("WARNUNG", Level::Warn),
    ("Allvarlig", Level::Error),
    ("Varning", Level::Warn),
];

/// The localized name that a text begins with, and its length.
pub(super) fn localized(text: &[u8]) -> Option<(Level, usize)> {
    LOCALIZED
        .iter()
        .find(|(name, _)| text.starts_with(name.as_bytes()))
        .map(|(name, level)| (*level, name.len()))
}

/// One letter, where a format has only that.
pub(super) fn letter(letter: u8) -> Option<Level> {
    Some(match letter {
        b'T' | b'V' => Level::Trace,
        b'D' => Level::Debug,
        b'I' | b'N' => Level::Info,
        b'W' => Level::Warn,
        b'E' => Level::Error,
        b'F' | b'C' => Level::Fatal,
        _ => return None,
    })
}

/// A level as the value of a key that can have no other meaning: by name, also padded, in brackets, coloured, numbered
/// (`DEBUG5`, log/slog's `INFO+2`), qualified (`LogLevel.Error`) or shortened to a letter.
#[inline]
pub(super) fn of_value(text: &str) -> Option<Level> {
    match lookup(text.as_bytes()) {
        Some((level, _)) => Some(level),
        None => of_odd_value(text),
    }
}

#[cold]
fn of_odd_value(text: &str) -> Option<Level> {
    let text = without_colours(text);
    let text = text.trim_matches(|c| " \t\r\n[]()<>:,".contains(c));
    let text = text.rsplit('.').next().unwrap_or(text);
    let length = text.bytes().take_while(u8::is_ascii_alphabetic).count();
    let (name, suffix) = text.as_bytes().split_at(length);
    match (name, suffix) {
        ([], _) => {}
        // MongoDB numbers the letter for debugging
        ([one], [] | [b'1'..=b'5']) => return letter(one.to_ascii_uppercase()),
        ([_], _) => {}
        _ if is_numbering(suffix) => return lookup(name).map(|(level, _)| level),
        _ => {}
    }
    localized(text.as_bytes())
        .filter(|(_, length)| *length == text.len())
        .map(|(level, _)| level)
}

/// What may follow a name: nothing, a digit, or a distance.
fn is_numbering(suffix: &[u8]) -> bool {
    match suffix {
        [] | [b'0'..=b'9'] => true,
        [b'+' | b'-', digits @ ..] => !digits.is_empty() && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

/// The numbers of pino, bunyan and Python.
pub(super) fn of_tens(number: &str) -> Option<Level> {
    Some(match number {
        "10" => Level::Trace,
        "20" => Level::Debug,
        "30" => Level::Info,
        "40" => Level::Warn,
        "50" => Level::Error,
        "60" => Level::Fatal,
        _ => return None,
    })
}

/// The numbers of Python's `levelno`, which has no level for traces.
pub(super) fn of_python(number: &str) -> Option<Level> {
    Some(match number {
        "10" => Level::Debug,
        "20" => Level::Info,
        "30" => Level::Warn,
        "40" => Level::Error,
        "50" => Level::Fatal,
        _ => return None,
    })
}

/// The severities of syslog (RFC 5424), as text.
pub(super) fn of_syslog(number: &str) -> Option<Level> {
    match number.as_bytes() {
        [digit @ b'0'..=b'7'] => syslog(digit - b'0'),
        _ => None,
    }
}

/// A severity of syslog: 0 is an emergency, 7 is for debugging.
pub(super) fn syslog(severity: u8) -> Option<Level> {
    Some(match severity {
        0..=2 => Level::Fatal,
        3 => Level::Error,
        4 => Level::Warn,
        5 | 6 => Level::Info,
        7 => Level::Debug,
        _ => return None,
    })
}

/// The severity numbers of OpenTelemetry: four to a level, from 1.
pub(super) fn of_opentelemetry(number: &str) -> Option<Level> {
    Some(match number.parse::<u8>().ok()? {
        1..=4 => Level::Trace,
        5..=8 => Level::Debug,
        9..=12 => Level::Info,
        13..=16 => Level::Warn,
        17..=20 => Level::Error,
        21..=24 => Level::Fatal,
        _ => return None,
    })
}
