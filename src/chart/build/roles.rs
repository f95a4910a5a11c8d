//! Which colour a series has: one that stays the same from day to day.

use crate::chart::model::{MOST_SERIES, Role};

/// Log levels from the worst to the least, the order in which they are stacked.
const LEVELS: [&str; 8] = [
    "fatal", "critical", "error", "warn", "warning", "info", "debug", "trace",
];

/// Names with a fixed colour, the one that readers expect.
const FIXED: [(&str, Role); 14] = [
    ("error", Role::Errors),
    ("errors", Role::Errors),
    ("failed", Role::Errors),
    ("5xx", Role::Errors),
    ("fatal", Role::Fatal),
    ("critical", Role::Fatal),
    ("info", Role::Series(0)),
    ("warn", Role::Series(1)),
    ("warning", Role::Series(1)),
    ("debug", Role::Series(2)),
    ("trace", Role::Series(3)),
    // Events without a level: the least interesting, and often the most.
    ("", Role::Unnamed),
    ("(none)", Role::Unnamed),
    ("(없음)", Role::Unnamed),
];

/// The place of a log level among all, the worst first; anything else comes last.
pub fn severity(name: &str) -> usize {
    LEVELS
        .iter()
        .position(|level| level.eq_ignore_ascii_case(name))
        .unwrap_or(LEVELS.len())
}

/// The roles of series, each of which decides a colour. Fixed names have theirs. Other names have one that follows from
/// the name alone, so that it does not change with the other series of a day; where it is taken, they have the next
/// free one.
pub fn roles<'a>(names: impl Iterator<Item = Option<&'a str>>) -> Vec<Role> {
    let names: Vec<&str> = names.map(Option::unwrap_or_default).collect();
    let mut taken: Vec<Role> = Vec::new();
    let mut roles: Vec<Option<Role>> = Vec::with_capacity(names.len());
    for name in &names {
        let mut fixed = FIXED.iter();
        let role = fixed.find(|(fixed, _)| fixed.eq_ignore_ascii_case(name));
        // Two series of one colour could not be told apart.
        let role = role.map(|(_, role)| *role);
        let role = role.filter(|role| !taken.contains(role));
        taken.extend(role);
        roles.push(role);
    }
    for (role, name) in roles.iter_mut().zip(&names) {
        if role.is_none() {
            let first = place_of(name);
            let mut from_first =
                (0..MOST_SERIES).map(|step| Role::Series((first + step) % MOST_SERIES));
            *role = from_first.find(|role| !taken.contains(role));
            taken.extend(*role);
        }
    }
    let roles = roles.into_iter();
    roles.map(|role| role.unwrap_or(Role::Other)).collect()
}

/// A place among the colours that follows from the name alone. FNV-1a, as the standard library's hash may change with a
/// release.
fn place_of(name: &str) -> usize {
    let hash = name.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    hash as usize % MOST_SERIES
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roles_of(names: &[&str]) -> Vec<Role> {
        roles(names.iter().map(|name| Some(*name)))
    }

    #[test]
    fn levels_have_the_colours_that_readers_expect() {
        assert_eq!(
            roles_of(&["ERROR", "WARN", "INFO", "DEBUG"]),
            [
                Role::Errors,
                Role::Series(1),
                Role::Series(0),
                Role::Series(2)
            ]
        );
        assert_eq!(roles_of(&["fatal", "error"]), [Role::Fatal, Role::Errors]);
        let unnamed = roles([Some("INFO"), None].into_iter());
        assert_eq!(unnamed, [Role::Series(0), Role::Unnamed]);
        assert_eq!(
            roles_of(&["FATAL"]),
            [Role::Fatal],
            "also on a day without errors"
        );
        let many: Vec<String> = (0..12).map(|n| n.to_string()).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(!roles_of(&many).contains(&Role::Other));
    }

    #[test]
    fn a_name_has_its_colour_beside_any_other_names() {
        let all = ["/a", "api", "orders", "payments"];
        let together = roles_of(&all);
        for (name, role) in all.iter().zip(&together) {
            assert_eq!(roles_of(&[name]), [*role], "{name}");
        }
        for (place, role) in together.iter().enumerate() {
            assert!(!together[..place].contains(role), "{together:?}");
        }
    }
}
