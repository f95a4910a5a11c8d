//! Texts made safe to draw and to print.

use std::borrow::Cow;
use std::fmt::Write;

use icu_normalizer::ComposingNormalizerBorrowed;
use unicode_width::UnicodeWidthChar;

/// The most marks that one character has, as in Unicode's stream-safe text. No language has so many; a message could have a
/// million of them, which take no room and so are never cut.
const MOST_MARKS: usize = 30;

/// The text as the embedded font can draw it, XML can hold it, and a terminal can print it.
///
/// - Characters are composed (Unicode's NFC): the font has Hangul syllables and no conjoining jamo, but the file names
///   of macOS have only these.
/// - Whitespace and control characters become single spaces.
/// - Invisible characters (joiners, variation selectors, direction marks) are left out, and so are more marks upon a character
///   than any language has.
pub fn normalize(text: &str) -> String {
    let mut visible = String::with_capacity(text.len());
    let mut marks = 0;
    for c in text.chars().filter(|&c| !is_invisible(c)) {
        marks = match c.width() {
            Some(0) => marks + 1,
            _ => 0,
        };
        if marks > MOST_MARKS {
            continue;
        }
        if !c.is_whitespace() && !c.is_control() {
            visible.push(c);
        } else if !visible.is_empty() && !visible.ends_with(' ') {
            visible.push(' ');
        }
    }
    // Last, as an invisible character keeps its neighbours from being composed.
    let composed = ComposingNormalizerBorrowed::new_nfc().normalize(visible.trim_end());
    composed.into_owned()
}

fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' | '\u{e0000}'..='\u{e01ef}')
}

/// Whether a character would act on a terminal rather than be shown: it moves the cursor, breaks the line, or turns the
/// direction of the text. The joiners of emoji do none of that.
pub fn controls(c: char) -> bool {
    let is_joiner = matches!(c, '\u{200c}' | '\u{200d}' | '\u{fe00}'..='\u{fe0f}');
    let is_format = matches!(c, '\u{61c}' | '\u{180e}' | '\u{fff9}'..='\u{fffb}');
    c.is_control()
        || is_format
        || matches!(c, '\u{2028}' | '\u{2029}')
        || is_invisible(c) && !is_joiner
}

/// The text as a terminal may get it: what would act on it is shown by its code. Line ends and tabs stay.
pub fn printable(text: &str) -> Cow<'_, str> {
    let acts = |c: char| controls(c) && !matches!(c, '\n' | '\t');
    replaced(text, acts, |c, out| out.extend(c.escape_unicode()))
}

/// The JSON as a terminal may get it, with the same values: what would act on it stands in strings only, where each character
/// has an escape.
pub fn printable_json(json: &str) -> Cow<'_, str> {
    let acts = |c: char| controls(c) && !matches!(c, '\n' | '\t');
    replaced(json, acts, |c, out| {
        for unit in c.encode_utf16(&mut [0; 2]) {
            // Writing to a String can't fail.
            let _ = write!(out, "\\u{unit:04x}");
        }
    })
}

fn replaced(
    text: &str,
    acts: impl Fn(char) -> bool,
    write: impl Fn(char, &mut String),
) -> Cow<'_, str> {
    if !text.contains(&acts) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match acts(c) {
            true => write(c, &mut out),
            false => out.push(c),
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn spaces_are_single_and_invisible_characters_are_left_out() {
        assert_eq!(normalize("  a\t\r\n b\u{0} "), "a b");
        assert_eq!(normalize("👩\u{200d}💻\u{fe0f}"), "👩💻");
    }

    #[test]
    fn characters_are_composed() {
        let decomposed = "\u{1112}\u{1161}\u{11ab}\u{1100}\u{1173}\u{11af}";
        assert_eq!(normalize(decomposed), "한글");
        assert_eq!(normalize("가\u{11a8}\u{11a8}"), "각\u{11a8}");
        assert_eq!(normalize("\u{1112}\u{200d}\u{1161}"), "하");
        assert_eq!(normalize("cafe\u{301}"), "café");
    }

    #[test]
    fn a_character_has_no_more_marks_than_a_language_has() {
        let marked = format!("e{}x", "\u{338}".repeat(100_000));
        assert_eq!(normalize(&marked).chars().count(), MOST_MARKS + 2);
    }

    #[test]
    fn what_acts_on_a_terminal_is_shown_by_its_code() {
        assert_eq!(
            printable("a\n\tb\r\u{1b}[2J\u{9b}\u{202e}é"),
            "a\n\tb\\u{d}\\u{1b}[2J\\u{9b}\\u{202e}é"
        );
    }

    proptest! {
        #[test]
        fn printable_json_has_the_same_values(text in ".{0,20}", tag in prop::char::range('\u{e0000}', '\u{e01ef}')) {
            let text = format!("{text}\u{1b}\u{9b}\u{202e}{tag}");
            let json = serde_json::to_string_pretty(&[&text]).unwrap();
            let shown = printable_json(&json);
            prop_assert!(!shown.chars().any(|c| controls(c) && c != '\n'));
            let [read]: [String; 1] = serde_json::from_str(&shown).unwrap();
            prop_assert_eq!(read, text);
        }

        #[test]
        fn normalizing_twice_changes_nothing(text in any::<String>()) {
            let once = normalize(&text);
            prop_assert_eq!(normalize(&once), once);
        }
    }
}
