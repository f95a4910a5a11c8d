//! Times read by a template, as [`Template`] writes them: PostgreSQL's `YYYY-MM-DD HH24:MI:SS`, or chrono's with `%`.

use chrono::format::{Item, Parsed, parse_and_remainder};
use chrono::{Datelike, FixedOffset, NaiveDate};

use super::super::time::{Field, Piece, Template};
use super::cursor::Cursor;
use super::forms::{day_period, name_of_month, name_of_weekday, of_day};
use super::zones::zone;
use super::{Date, WrittenInstant, days_of};
use crate::window::local_clock::{DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS};
use crate::window::zone::Zone;

/// Reads times by a template.
#[derive(Debug)]
pub(in super::super) struct Reader(Template);

impl Reader {
    /// For a template of a query.
    ///
    /// # Errors
    /// A part that is unknown, or that no time can be read from.
    pub(in super::super) fn parse(template: &str) -> Result<Self, String> {
        let read = Template::parse(template).map_err(|error| {
            let error = error.to_string();
            error.strip_prefix("to_char: ").unwrap_or(&error).to_owned()
        })?;
        if let Template::Postgres(pieces) = &read {
            for piece in pieces {
                if let Piece::Part { field, .. } = piece
                    && !is_readable(*field)
                {
                    return Err(format!(
                        "the template '{template}' has a part that no time can be read from ({field:?}): expected parts such as 'YYYY-MM-DD HH24:MI:SS'"
                    ));
                }
            }
        }
        Ok(Self(read))
    }

    /// The time that a text begins with; behind it there may be anything but a letter or a digit.
    pub(in super::super) fn read(&self, text: &str) -> Option<WrittenInstant> {
        let text = text.trim_start();
        match &self.0 {
            Template::Chrono(items) => by_items(items, text),
            Template::Postgres(pieces) => by_pieces(pieces, text),
        }
    }
}

fn by_items(items: &[Item<'static>], text: &str) -> Option<WrittenInstant> {
    let mut parsed = Parsed::new();
    let rest = parse_and_remainder(&mut parsed, text, items.iter()).ok()?;
    if rest.starts_with(|next: char| next.is_alphanumeric()) {
        return None;
    }
    if let Some(seconds) = parsed.timestamp() {
        let ms = i64::from(parsed.nanosecond().unwrap_or(0) / 1_000_000);
        return Some(WrittenInstant::of_ms(seconds.checked_mul(1000)? + ms));
    }
    let date = match parsed.to_naive_date() {
        Ok(date) => Date::Day(days_of(date)),
        Err(_) => Date::MonthAndDay(parsed.month()?, parsed.day()?),
    };
    let time = parsed.to_naive_time();
    // A template of a date alone is midnight.
    let ms = match time {
        Ok(time) => {
            use chrono::Timelike;
            i64::from(time.num_seconds_from_midnight()) * SECOND_MS
                + i64::from(time.nanosecond() / 1_000_000)
        }
        Err(_) if parsed.hour_mod_12().is_none() => 0,
        Err(_) => {
            let hour = parsed.hour_div_12()? * 12 + parsed.hour_mod_12()?;
            i64::from(hour) * HOUR_MS + i64::from(parsed.minute().unwrap_or(0)) * MINUTE_MS
        }
    };
    let zone = parsed.offset().and_then(FixedOffset::east_opt);
    Some(WrittenInstant {
        date,
        ms,
        zone: zone.map(Zone::Fixed),
    })
}

/// Whether a time can be read from a part. What only repeats it, such as the name of the weekday, is passed over.
fn is_readable(field: Field) -> bool {
    use Field::{
        Day, DayName, DayOfYear, Fraction, HalfOfDay, HalfOfDayWithDots, Hour12, Hour24, Minute,
        Month, MonthName, Offset, OffsetHours, OffsetMinutes, Second, SecondOfDay, ShortDayName,
        ShortMonthName, Year, Zone,
    };
    matches!(
        field,
        Day | DayName
            | DayOfYear
            | Fraction(_)
            | HalfOfDay
            | HalfOfDayWithDots
            | Hour12
            | Hour24
            | Minute
            | Month
            | MonthName
            | Offset
            | OffsetHours
            | OffsetMinutes
            | Second
            | SecondOfDay
            | ShortDayName
            | ShortMonthName
            | Year(_)
            | Zone
    )
}

/// What has been read so far.
#[derive(Default)]
struct Fields {
    year: Option<u32>,
    month: Option<u32>,
    day: Option<u32>,
    day_of_year: Option<u32>,
    hour: u32,
    minute: u32,
    second: u32,
    ms: i64,
    second_of_day: Option<u32>,
    is_afternoon: Option<bool>,
    zone: Option<Zone>,
    offset_hours: Option<i32>,
    offset_minutes: i32,
}

fn by_pieces(pieces: &[Piece], text: &str) -> Option<WrittenInstant> {
    let mut cursor = Cursor::new(text.as_bytes());
    let mut fields = Fields::default();
    for piece in pieces {
        match piece {
            Piece::Text(text) => pass(text, &mut cursor)?,
            Piece::Part { field, .. } => {
                cursor.blanks();
                fields.read(*field, &mut cursor)?;
            }
        }
    }
    let continues = cursor
        .peek()
        .is_some_and(|next| next.is_ascii_alphanumeric());
    if continues { None } else { fields.time() }
}

/// Letters and digits stand as they are; for any sign any other may stand, and blanks for none, as in PostgreSQL.
fn pass(text: &str, cursor: &mut Cursor<'_>) -> Option<()> {
    for letter in text.bytes() {
        if letter == b' ' {
            cursor.blanks();
        } else if letter.is_ascii_alphanumeric() || !letter.is_ascii() {
            cursor.take(letter).then_some(())?;
        } else if cursor
            .peek()
            .is_some_and(|next| !next.is_ascii_alphanumeric())
        {
            cursor.skip(1);
        }
    }
    Some(())
}

impl Fields {
    fn read(&mut self, field: Field, cursor: &mut Cursor<'_>) -> Option<()> {
        let mut up_to = |most: usize| {
            let count = cursor.count_digits().min(most);
            (count > 0).then(|| cursor.digits(count)).flatten()
        };
        match field {
            Field::Year(4) => self.year = Some(up_to(4)?),
            Field::Year(digits) => {
                let year = up_to(digits.max(2))?;
                // As in PostgreSQL: 70 to 99 are of the last century.
                self.year = Some(
                    year + if year < 70 {
                        2000
                    } else if year < 100 {
                        1900
                    } else {
                        2000
                    },
                );
            }
            Field::Month => self.month = Some(up_to(2)?),
            Field::MonthName | Field::ShortMonthName => self.month = Some(name_of_month(cursor)?),
            Field::DayName | Field::ShortDayName => {
                name_of_weekday(cursor)?;
            }
            Field::Day => self.day = Some(up_to(2)?),
            Field::DayOfYear => self.day_of_year = Some(up_to(3)?),
            Field::Hour24 | Field::Hour12 => self.hour = up_to(2)?,
            Field::Minute => self.minute = up_to(2)?,
            Field::Second => self.second = up_to(2)?,
            Field::SecondOfDay => self.second_of_day = Some(up_to(5)?),
            Field::Fraction(_) => self.ms = cursor.fraction_ms()?,
            Field::HalfOfDay | Field::HalfOfDayWithDots => {
                self.is_afternoon = Some(day_period(cursor)?);
            }
            Field::Zone | Field::Offset => self.zone = Some(zone(cursor)?),
            Field::OffsetHours => {
                let sign = if cursor.take(b'-') { -1 } else { 1 };
                cursor.take(b'+');
                self.offset_hours = Some(sign * i32::try_from(cursor.digits(2)?).ok()?);
            }
            Field::OffsetMinutes => self.offset_minutes = i32::try_from(up_to(2)?).ok()?,
            _ => return None,
        }
        Some(())
    }

    fn time(self) -> Option<WrittenInstant> {
        let date = match (self.year, self.day_of_year) {
            (Some(year), Some(day)) => {
                let first = NaiveDate::from_yo_opt(i32::try_from(year).ok()?, day)?;
                Date::of(first.year(), first.month(), first.day())?
            }
            (Some(year), None) => Date::of(
                i32::try_from(year).ok()?,
                self.month.unwrap_or(1),
                self.day.unwrap_or(1),
            )?,
            (None, _) => Date::MonthAndDay(self.month?, self.day?),
        };
        let hour = match self.is_afternoon {
            Some(is_afternoon) if (1..=12).contains(&self.hour) => {
                self.hour % 12 + if is_afternoon { 12 } else { 0 }
            }
            Some(_) => return None,
            None => self.hour,
        };
        let ms = match self.second_of_day {
            Some(seconds) => i64::from(seconds) * SECOND_MS + self.ms,
            None => of_day(hour, self.minute, self.second, self.ms)?,
        };
        let offset = self.offset_hours.map(|hours| {
            let minutes = if hours < 0 {
                -self.offset_minutes
            } else {
                self.offset_minutes
            };
            FixedOffset::east_opt(hours * 3600 + minutes * 60).map(Zone::Fixed)
        });
        let zone = match offset {
            Some(offset) => Some(offset?),
            None => self.zone,
        };
        (ms <= DAY_MS).then_some(WrittenInstant { date, ms, zone })
    }
}
