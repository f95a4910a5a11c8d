//! The settings of a connection: `SET`, `SHOW`, and which of them are reported to a client. Those of PostgreSQL that clients set are
//! kept as they are set; the few that decide something here are checked.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono_tz::Tz;

use super::errors::Refusal;
use crate::job::{parse_length, parse_zone};

/// The version of PostgreSQL that the protocol, the catalogue and the errors are those of.
pub const VERSION: &str = "15.12";

/// The same as a number.
pub const VERSION_NUMBER: &str = "150012";

/// The name of the window's setting.
pub const WINDOW: &str = "logtally.window";

/// The settings that clients read or set, with their values. A name ends in `*` where each change is reported to the client.
/// Source: <https://www.postgresql.org/docs/15/runtime-config.html>.
const DEFAULTS: &[(&str, &str)] = &[
    ("DateStyle*", "ISO, MDY"),
    ("IntervalStyle*", "postgres"),
    ("TimeZone*", "UTC"),
    ("application_name*", ""),
    ("array_nulls", "on"),
    ("backslash_quote", "safe_encoding"),
    ("bytea_output", "hex"),
    ("check_function_bodies", "on"),
    ("client_encoding*", "UTF8"),
    ("client_min_messages", "notice"),
    ("cursor_tuple_fraction", "0.1"),
    ("default_text_search_config", "pg_catalog.simple"),
    ("default_transaction_deferrable", "off"),
    ("default_transaction_isolation", "read committed"),
    ("default_transaction_read_only*", "on"),
    ("escape_string_warning", "on"),
    ("extra_float_digits", "1"),
    ("geqo", "on"),
    ("idle_in_transaction_session_timeout", "0"),
    ("idle_session_timeout", "0"),
    ("in_hot_standby*", "off"),
    ("integer_datetimes*", "on"),
    ("is_superuser*", "off"),
    ("jit", "off"),
    ("lc_collate", "C"),
    ("lc_ctype", "C"),
    ("lc_messages", "C"),
    ("lc_monetary", "C"),
    ("lc_numeric", "C"),
    ("lc_time", "C"),
    ("lock_timeout", "0"),
    ("log_statement", "none"),
    (WINDOW, "all"),
    ("max_connections", "100"),
    ("max_identifier_length", "63"),
    ("max_index_keys", "32"),
    ("quote_all_identifiers", "off"),
    ("row_security", "on"),
    ("search_path", "public"),
    ("server_encoding*", "UTF8"),
    ("server_version*", VERSION),
    ("server_version_num", VERSION_NUMBER),
    ("session_authorization*", "logtally"),
    ("ssl", "off"),
    ("standard_conforming_strings*", "on"),
    ("statement_timeout", "0"),
    ("synchronize_seqscans", "on"),
    ("timezone_abbreviations", "Default"),
    ("transaction_deferrable", "off"),
    ("transaction_isolation", "read committed"),
    ("transaction_read_only", "on"),
    ("vacuum_defer_cleanup_age", "0"),
    ("wal_level", "replica"),
    ("work_mem", "4MB"),
    ("xmlbinary", "base64"),
    ("xmloption", "content"),
];

/// What no client sets.
const FIXED: [&str; 14] = [
    "in_hot_standby",
    "integer_datetimes",
    "is_superuser",
    "lc_collate",
    "lc_ctype",
    "max_connections",
    "max_identifier_length",
    "max_index_keys",
    "server_encoding",
    "server_version",
    "server_version_num",
    "ssl",
    "wal_level",
    "timezone_abbreviations",
];

/// A setting.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Setting {
    name: &'static str,
    value: String,
    /// What `RESET` sets.
    initial: String,
    is_reported: bool,
}

/// The settings of a connection, by their names in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings(BTreeMap<String, Setting>);

/// What a change of a setting changes beyond its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Nothing.
    Value,
    /// Which tables there are, or their zone.
    Tables,
}

impl Settings {
    /// Those of a connection in a zone, over windows as they were asked for when the server was started.
    pub fn new(zone: Tz, window: &str) -> Self {
        let all = DEFAULTS.iter().map(|(name, value)| {
            let is_reported = name.ends_with('*');
            let name = name.trim_end_matches('*');
            let value = match name {
                "TimeZone" => zone.name(),
                WINDOW => window,
                _ => value,
            };
            let setting = Setting {
                name,
                value: value.to_owned(),
                initial: value.to_owned(),
                is_reported,
            };
            (name.to_lowercase(), setting)
        });
        Self(all.collect())
    }

    /// Makes the present value the one that `RESET` sets, as what a client asks for at its start is.
    pub fn keep(&mut self, name: &str) {
        if let Some(setting) = self.0.get_mut(&name.to_lowercase()) {
            setting.initial.clone_from(&setting.value);
        }
    }

    /// Names the user that the client has authenticated as.
    pub fn authorize(&mut self, user: &str) {
        if let Some(setting) = self.0.get_mut("session_authorization") {
            user.clone_into(&mut setting.value);
            user.clone_into(&mut setting.initial);
        }
    }

    /// The value of a setting.
    pub fn get(&self, name: &str) -> Result<&str, Refusal> {
        let found = self.0.get(&name.to_lowercase());
        found
            .map(|it| it.value.as_str())
            .ok_or_else(|| unknown(name))
    }

    /// Names and values, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.values().map(|it| (it.name, it.value.as_str()))
    }

    /// The settings that are reported to clients.
    pub fn reported(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let told = self.0.values().filter(|it| it.is_reported);
        told.map(|it| (it.name, it.value.as_str()))
    }

    /// Sets a value; the initial one where there is none.
    ///
    /// # Errors
    /// No such setting, a value that it can't have.
    pub fn set(&mut self, name: &str, value: Option<&str>) -> Result<Change, Refusal> {
        let key = name.to_lowercase();
        let setting = self.0.get_mut(&key).ok_or_else(|| unknown(name))?;
        let value = value.map_or_else(|| setting.initial.clone(), str::to_owned);
        if value == setting.value {
            return Ok(Change::Value);
        }
        if FIXED.contains(&setting.name) {
            let what = format!("parameter \"{}\" can't be changed", setting.name);
            return Err(Refusal::new("55P02", what));
        }
        let wrong = |expected: String| {
            let what = format!("{} can't be {value:?}: expected {expected}", setting.name);
            Refusal::new("22023", what)
        };
        let (value, change) = match key.as_str() {
            "timezone" => {
                let zone = zone(&value).map_err(|message| Refusal::new("22023", message))?;
                (zone.name().to_owned(), Change::Tables)
            }
            WINDOW => (value, Change::Tables),
            "datestyle" if !value.to_lowercase().starts_with("iso") => {
                return Err(wrong("ISO, the only style here".to_owned()));
            }
            // Some clients send it in quotes.
            "client_encoding" => match value
                .trim_matches('\'')
                .to_lowercase()
                .replace(['-', '_'], "")
                .as_str()
            {
                "utf8" | "unicode" => ("UTF8".to_owned(), Change::Value),
                _ => return Err(wrong("UTF8, the only encoding here".to_owned())),
            },
            "standard_conforming_strings" if !is_on(&value) => {
                return Err(wrong("on".to_owned()));
            }
            "intervalstyle" if value != "postgres" => {
                return Err(wrong("postgres, the only style here".to_owned()));
            }
            "bytea_output" if value != "hex" => {
                return Err(wrong("hex, the only form here".to_owned()));
            }
            "default_transaction_read_only" | "transaction_read_only" if !is_on(&value) => {
                return Err(wrong("on: queries only read".to_owned()));
            }
            "statement_timeout" => {
                timeout(&value).map_err(wrong)?;
                (value, Change::Value)
            }
            _ => (value, Change::Value),
        };
        setting.value = value;
        Ok(change)
    }

    /// Sets everything back; whether that changes the tables.
    pub fn reset(&mut self) -> Change {
        let mut change = Change::Value;
        for setting in self.0.values_mut() {
            if setting.value != setting.initial && matches!(setting.name, "TimeZone" | WINDOW) {
                change = Change::Tables;
            }
            setting.value.clone_from(&setting.initial);
        }
        change
    }

    /// The zone that the client has set; `None` where it is that of the job.
    pub fn zone(&self) -> Option<Tz> {
        let setting = self.0.get("timezone")?;
        (setting.value != setting.initial).then(|| setting.value.parse().ok())?
    }

    /// How long a statement may take, where the client says so.
    pub fn timeout(&self) -> Option<Duration> {
        let text = self.get("statement_timeout").unwrap_or("0");
        timeout(text).ok().filter(|limit| !limit.is_zero())
    }
}

fn unknown(name: &str) -> Refusal {
    let what = format!("unrecognized configuration parameter \"{name}\"");
    Refusal::new("42704", what)
}

fn is_on(value: &str) -> bool {
    ["on", "true", "yes", "1", "t"].contains(&value.to_lowercase().as_str())
}

/// A zone by its name in any case, or an offset of whole hours (`+09`, `9`).
fn zone(value: &str) -> Result<Tz, String> {
    let value = value.trim();
    let found = chrono_tz::TZ_VARIANTS
        .iter()
        .find(|zone| zone.name().eq_ignore_ascii_case(value));
    if let Some(zone) = found {
        return Ok(*zone);
    }
    if let Ok(hours) = value.parse::<i32>() {
        // The names of POSIX count westwards.
        let name = match hours {
            0 => "Etc/UTC".to_owned(),
            hours => format!("Etc/GMT{:+}", -hours),
        };
        return name
            .parse()
            .map_err(|_| format!("{value:?} is no offset of a zone"));
    }
    parse_zone(value)
}

/// Milliseconds, or a number with a unit: `30s`, `500ms`, `5min`.
fn timeout(value: &str) -> Result<Duration, String> {
    let value = value.trim();
    match value.parse() {
        Ok(ms) => Ok(Duration::from_millis(ms)),
        Err(_) => parse_length(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings::new(Tz::Asia__Seoul, "2026-11-21")
    }

    #[test]
    fn settings_have_names_in_any_case() {
        let mut settings = settings();
        assert_eq!(settings.get("timezone").unwrap(), "Asia/Seoul");
        assert_eq!(settings.zone(), None);
        assert_eq!(settings.get(WINDOW).unwrap(), "2026-11-21");
        assert_eq!(
            settings.set("TIMEZONE", Some("utc")).unwrap(),
            Change::Tables
        );
        assert_eq!(settings.zone(), Some(Tz::UTC));
        assert_eq!(
            settings.set("Application_Name", Some("psql")).unwrap(),
            Change::Value
        );
        assert_eq!(
            settings.set("statement_timeout", Some("1500")).unwrap(),
            Change::Value
        );
        assert_eq!(settings.timeout(), Some(Duration::from_millis(1500)));
        settings.set("statement_timeout", Some("30s")).unwrap();
        assert_eq!(settings.timeout(), Some(Duration::from_secs(30)));
        assert_eq!(settings.reset(), Change::Tables);
        assert_eq!(settings, self::settings());
    }

    #[test]
    fn values_that_decide_something_are_checked() {
        for (name, value, code) in [
            ("nope", "1", "42704"),
            ("server_version", "16", "55P02"),
            ("TimeZone", "Mars/Base", "22023"),
            ("client_encoding", "LATIN1", "22023"),
            ("DateStyle", "German", "22023"),
            ("standard_conforming_strings", "off", "22023"),
            ("default_transaction_read_only", "off", "22023"),
            ("statement_timeout", "soon", "22023"),
        ] {
            let refused = settings().set(name, Some(value)).unwrap_err();
            assert_eq!(refused.code, code, "{name}: {}", refused.message);
        }
        for (name, value) in [
            ("client_encoding", "utf-8"),
            ("client_encoding", "'utf-8'"),
            ("DateStyle", "ISO"),
            ("extra_float_digits", "3"),
            ("TimeZone", "+09"),
        ] {
            assert!(settings().set(name, Some(value)).is_ok(), "{name}");
        }
    }

    #[test]
    fn a_client_is_told_what_libpq_reads() {
        let told: Vec<String> = settings()
            .reported()
            .map(|(name, _)| name.to_owned())
            .collect();
        for name in [
            "server_version",
            "TimeZone",
            "client_encoding",
            "standard_conforming_strings",
        ] {
            assert!(told.contains(&name.to_owned()), "{name}");
        }
    }
}
