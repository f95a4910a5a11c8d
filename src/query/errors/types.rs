//! The engine's names of types and its forms of values, in PostgreSQL's words.

/// A text with the engine's types and values in PostgreSQL's words; what it quotes stays as it is.
pub(in crate::query) fn in_postgres_words(text: &str) -> String {
    let mut words = String::with_capacity(text.len());
    let mut rest = text;
    let mut before = ' ';
    while let Some(next) = rest.chars().next() {
        let is_in_word = before.is_alphanumeric() || before == '_';
        if next.is_ascii_uppercase() && !is_in_word {
            let end = rest
                .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                .unwrap_or(rest.len());
            let (word, behind) = rest.split_at(end);
            if let Some((said, behind)) = type_or_value(word, behind) {
                words.push_str(&said);
                rest = behind;
                before = ')';
                continue;
            }
            words.push_str(word);
            rest = behind;
            before = 'x';
            continue;
        }
        // What is quoted: a text or a name, but no apostrophe.
        let quoted = match next {
            '\'' | '"' if !is_in_word => rest[1..].find(next).map(|end| end + 2),
            _ => None,
        };
        let length = quoted.unwrap_or(next.len_utf8());
        words.push_str(&rest[..length]);
        before = rest[..length].chars().last().unwrap_or(' ');
        rest = &rest[length..];
    }
    words
}

/// A type, or a value with its type, that begins with `word`, and what follows it.
fn type_or_value<'a>(word: &str, behind: &'a str) -> Option<(String, &'a str)> {
    let plain = match word {
        "Utf8" | "Utf8View" | "LargeUtf8" | "String" => "text",
        "Int8" | "Int16" | "UInt8" => "smallint",
        "Int32" | "UInt16" => "integer",
        "Int64" | "UInt32" | "UInt64" | "Integer" => "bigint",
        "Float16" | "Float32" => "real",
        "Float64" | "Float" => "double precision",
        "Boolean" => "boolean",
        "Date" | "Date32" | "Date64" => "date",
        "Time32" | "Time64" => "time",
        "Binary" | "BinaryView" | "LargeBinary" | "FixedSizeBinary" => "bytea",
        "Decimal32" | "Decimal64" | "Decimal128" | "Decimal256" | "Decimal" => "numeric",
        "Timestamp" => "timestamp",
        "TimestampSecond"
        | "TimestampMillisecond"
        | "TimestampMicrosecond"
        | "TimestampNanosecond" => "timestamp",
        "Duration"
        | "DurationSecond"
        | "DurationMillisecond"
        | "DurationMicrosecond"
        | "DurationNanosecond"
        | "Interval"
        | "IntervalMonthDayNano"
        | "IntervalDayTime"
        | "IntervalYearMonth" => "interval",
        "Null" => "unknown",
        "List" | "LargeList" | "ListView" | "LargeListView" | "FixedSizeList" => "array",
        "Struct" => "record",
        "Union" => "json",
        "Map" => "map",
        "Dictionary" | "RunEndEncoded" => "text",
        _ => return None,
    };
    if let ("interval", Some(parts)) = (plain, behind.strip_prefix(" { "))
        && let Some((parts, after)) = parts.split_once(" }")
    {
        return Some((format!("interval {}", interval(parts)), after));
    }
    let Some((inside, after)) = in_brackets(behind) else {
        return Some((plain.to_owned(), behind));
    };
    let said = match word {
        "Timestamp" if inside.contains("Some(") || inside.contains('"') => {
            "timestamp with time zone".to_owned()
        }
        "Timestamp" | "Struct" | "Union" | "Map" | "Duration" | "Interval" | "Time32"
        | "Time64" | "FixedSizeBinary" => plain.to_owned(),
        "Decimal32" | "Decimal64" | "Decimal128" | "Decimal256" => {
            // A value has one part, or more than two.
            match inside.split(',').count() {
                2 => format!("numeric({})", inside.replace(' ', "")),
                _ => inside
                    .split(',')
                    .next()
                    .unwrap_or(inside)
                    .replace("Some", ""),
            }
        }
        "List" | "LargeList" | "ListView" | "LargeListView" | "FixedSizeList" => {
            let item = inside.trim_start_matches("non-null ");
            let item = item.split(" x ").last().unwrap_or(item);
            match item.starts_with('[') {
                true => format!("ARRAY{}", in_postgres_words(item)),
                false => format!("{}[]", in_postgres_words(item)),
            }
        }
        "Dictionary" | "RunEndEncoded" => {
            let values = inside.split_once(", ").map_or(inside, |(_, values)| values);
            in_postgres_words(values)
        }
        "Utf8" | "Utf8View" | "LargeUtf8" => match inside.strip_prefix('"') {
            Some(text) => format!("'{}'", text.strip_suffix('"').unwrap_or(text)),
            None => inside.to_owned(),
        },
        "IntervalMonthDayNano" | "IntervalDayTime" | "IntervalYearMonth" => {
            format!("interval {}", interval(inside))
        }
        _ => inside.to_owned(),
    };
    Some((said, after))
}

/// `'7 days'` of the engine's form of an interval.
fn interval(inside: &str) -> String {
    let part = |name: &str| {
        let behind = inside.split_once(&format!("{name}: "))?.1;
        let number = behind.split([',', ' ', '}']).next()?;
        number.parse::<i64>().ok().filter(|n| *n != 0)
    };
    let seconds = part("nanoseconds")
        .map(|ns| ns / 1_000_000_000)
        .or_else(|| part("milliseconds").map(|ms| ms / 1000));
    let (seconds, unit) = match seconds {
        Some(seconds) if seconds % 3600 == 0 => (Some(seconds / 3600), "hours"),
        Some(seconds) if seconds % 60 == 0 => (Some(seconds / 60), "minutes"),
        seconds => (seconds, "seconds"),
    };
    let parts = [
        (part("months"), "months"),
        (part("days"), "days"),
        (seconds, unit),
    ];
    let parts: Vec<String> = parts
        .into_iter()
        .filter_map(|(number, unit)| Some(format!("{} {unit}", number?)))
        .collect();
    format!("'{}'", parts.join(" "))
}

/// What is in the brackets that a text begins with, and what follows them.
fn in_brackets(text: &str) -> Option<(&str, &str)> {
    if !text.starts_with('(') {
        return None;
    }
    let (mut depth, mut quoted) = (0, false);
    for (at, c) in text.char_indices() {
        match c {
            '"' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => {
                depth -= 1;
                if depth == 0 {
                    return Some((&text[1..at], &text[at + 1..]));
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_and_values_are_postgresqls() {
        for (engine, expected) in [
            (
                "Timestamp(ms, \"Asia/Seoul\") > Int64",
                "timestamp with time zone > bigint",
            ),
            ("Timestamp(ns)", "timestamp"),
            (
                "Utf8View + Int64 to Float64",
                "text + bigint to double precision",
            ),
            ("List(Int64), List(non-null Utf8)", "bigint[], text[]"),
            (
                "Struct([Field { name: \"a\", data_type: Utf8View }]).",
                "record.",
            ),
            ("Union(0: (\"null\": Null), 1: (\"b\": Int64))", "json"),
            ("Decimal128(10, 2)", "numeric(10,2)"),
            ("Dictionary(UInt16, Utf8)", "text"),
            ("count(Int64(1)) = Utf8(\"a b\")", "count(1) = 'a b'"),
            ("Boolean(true) AND Int64(NULL)", "true AND NULL"),
            (
                "IntervalMonthDayNano(\"IntervalMonthDayNano { months: 0, days: 7, nanoseconds: 0 }\")",
                "interval '7 days'",
            ),
            (
                "IntervalMonthDayNano { months: 1, days: 0, nanoseconds: 5400000000000 }: no",
                "interval '1 months 90 minutes': no",
            ),
            (
                "\"Int64\" and 'Utf8' can't be Int32",
                "\"Int64\" and 'Utf8' can't be integer",
            ),
            ("MyUtf8 UtfInt64x", "MyUtf8 UtfInt64x"),
        ] {
            assert_eq!(in_postgres_words(engine), expected, "{engine}");
        }
    }
}
