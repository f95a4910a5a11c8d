//! Names cut to a width, so that different names stay different.

use std::collections::HashMap;

/// Stands for what was cut.
pub const ELLIPSIS: &str = "…";

/// Cuts names to a width, in whatever unit the measure has.
pub struct Cutter<F> {
    /// The most that a name may take.
    pub room: i32,
    /// The width of a text.
    pub width: F,
}

impl<F: Fn(&str) -> i32> Cutter<F> {
    /// The name, its middle replaced by an ellipsis if it is too wide: names differ most at their beginnings and ends.
    pub fn cut(&self, name: &str) -> String {
        if (self.width)(name) <= self.room {
            return name.to_owned();
        }
        let room = self.room - (self.width)(ELLIPSIS);
        let head = self.head(name, room * 2 / 5).trim_end();
        let tail = self.tail(name, room - (self.width)(head)).trim_start();
        format!("{head}{ELLIPSIS}{tail}")
    }

    /// The names, each cut. Where cutting makes different names equal, they lose what they share instead; where even that
    /// does not tell them apart, they are numbered.
    pub fn cut_all(&self, names: &[String]) -> Vec<String> {
        let mut short: Vec<String> = names.iter().map(|name| self.cut(name)).collect();
        let ways: [fn(&Self, &str, usize) -> String; 3] =
            [Self::only_tail, Self::only_head, Self::without_shared];
        for way in ways {
            for group in equal(&short, names) {
                let shared = shared_beginning(group.iter().map(|&place| names[place].as_str()));
                let shorter: Vec<String> = group
                    .iter()
                    .map(|&place| way(self, &names[place], shared))
                    .collect();
                let taken = |text: &String| {
                    let others = short.iter().enumerate();
                    let mut others = others.filter(|(place, _)| !group.contains(place));
                    others.any(|(_, other)| other == text)
                };
                let are_different = equal_within(&shorter, &group, names).is_empty();
                if are_different && !shorter.iter().any(taken) {
                    for (&place, text) in group.iter().zip(shorter) {
                        short[place] = text;
                    }
                }
            }
        }
        for group in equal(&short, names) {
            let mut numbers: HashMap<&str, usize> = HashMap::new();
            for place in group {
                let next = numbers.len() + 1;
                let number = *numbers.entry(&names[place]).or_insert(next);
                let mark = format!(" #{number}");
                let room = self.room - (self.width)(&mark);
                let cutter = Cutter {
                    room,
                    width: &self.width,
                };
                short[place] = cutter.cut(&names[place]) + &mark;
            }
        }
        short
    }

    fn only_tail(&self, name: &str, _: usize) -> String {
        let room = self.room - (self.width)(ELLIPSIS);
        format!("{ELLIPSIS}{}", self.tail(name, room).trim_start())
    }

    fn only_head(&self, name: &str, _: usize) -> String {
        let room = self.room - (self.width)(ELLIPSIS);
        format!("{}{ELLIPSIS}", self.head(name, room).trim_end())
    }

    /// The name without what all share.
    fn without_shared(&self, name: &str, shared: usize) -> String {
        let rest = &name[shared..];
        let room = self.room - (self.width)(ELLIPSIS);
        match (self.width)(rest) <= room {
            true => format!("{ELLIPSIS}{rest}"),
            false => {
                let room = room - (self.width)(ELLIPSIS);
                format!("{ELLIPSIS}{}{ELLIPSIS}", self.head(rest, room))
            }
        }
    }

    /// The longest beginning that fits.
    fn head<'t>(&self, text: &'t str, room: i32) -> &'t str {
        let ends = text.char_indices().map(|(start, c)| start + c.len_utf8());
        let fitting = ends.take_while(|&end| (self.width)(&text[..end]) <= room);
        &text[..fitting.last().unwrap_or(0)]
    }

    /// The longest end that fits.
    fn tail<'t>(&self, text: &'t str, room: i32) -> &'t str {
        let starts = text.char_indices().rev().map(|(start, _)| start);
        let fitting = starts.take_while(|&start| (self.width)(&text[start..]) <= room);
        &text[fitting.last().unwrap_or(text.len())..]
    }
}

/// The places of different names that have become equal, in groups.
fn equal(short: &[String], names: &[String]) -> Vec<Vec<usize>> {
    let places: Vec<usize> = (0..names.len()).collect();
    equal_within(short, &places, names)
}

/// The same among some places only, for which the short names are given.
fn equal_within(short: &[String], places: &[usize], names: &[String]) -> Vec<Vec<usize>> {
    let mut by_text: HashMap<&str, Vec<usize>> = HashMap::new();
    for (text, &place) in short.iter().zip(places) {
        by_text.entry(text).or_default().push(place);
    }
    let mut groups: Vec<Vec<usize>> = by_text
        .into_values()
        .filter(|group| group.iter().any(|&place| names[place] != names[group[0]]))
        .collect();
    groups.sort();
    groups
}

/// The length in bytes of the beginning that all texts share.
fn shared_beginning<'t>(mut texts: impl Iterator<Item = &'t str>) -> usize {
    let Some(first) = texts.next() else {
        return 0;
    };
    let shared = |text: &str| -> usize {
        let pairs = first.chars().zip(text.chars());
        let same = pairs.take_while(|(a, b)| a == b);
        same.map(|(c, _)| c.len_utf8()).sum()
    };
    texts.map(shared).min().unwrap_or(first.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cut(names: &[&str], room: i32) -> Vec<String> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let width = |text: &str| text.chars().count() as i32;
        Cutter { room, width }.cut_all(&names)
    }

    #[test]
    fn names_lose_their_middles() {
        assert_eq!(
            cut(&["/aws/lambda/checkout-api"], 24),
            ["/aws/lambda/checkout-api"]
        );
        assert_eq!(cut(&["/aws/lambda/checkout-api"], 16), ["/aws/l…ckout-api"]);
    }

    /// Names such as those of ifc-lite#4983 and elastic-charts#1925: long, with a shared beginning.
    #[test]
    fn names_that_differ_stay_different() {
        let groups = [
            "/aws/lambda/acme-prod-checkout-api-handler",
            "/aws/lambda/acme-prod-checkout-web-handler",
            "/aws/lambda/acme-stage-checkout-api-handler",
            "/ecs/acme-prod-web",
        ];
        for room in [8, 12, 16, 24] {
            let short = cut(&groups, room);
            for (place, name) in short.iter().enumerate() {
                assert!(name.chars().count() as i32 <= room, "{short:?}");
                assert!(!short[..place].contains(name), "{short:?}");
            }
        }
        assert_eq!(cut(&["x", "x"], 4), ["x", "x"], "equal names stay equal");
    }

    proptest! {
        #[test]
        fn no_two_different_names_are_equal(
            names in prop::collection::hash_set("[ab/]{0,24}", 1..12),
            room in 8..20i32,
        ) {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let short = cut(&names, room);
            for (place, name) in short.iter().enumerate() {
                prop_assert!(!short[..place].contains(name), "{:?} of {:?}", short, names);
                prop_assert!(name.chars().count() as i32 <= room, "{:?}", short);
            }
        }
    }
}
