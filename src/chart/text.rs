//! Texts made safe to draw and to print.

use icu_normalizer::ComposingNormalizerBorrowed;

/// The text as the embedded font can draw it, XML can hold it, and a terminal can print it.
///
/// - Characters are composed (Unicode's NFC): the font has Hangul syllables and no conjoining jamo, but the file names
///   of macOS have only these.
/// - Whitespace and control characters become single spaces.
/// - Invisible characters (joiners, variation selectors, direction marks) are left out.
pub fn normalize(text: &str) -> String {
    let mut visible = String::with_capacity(text.len());
    for c in text.chars().filter(|&c| !is_invisible(c)) {
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

    proptest! {
        #[test]
        fn normalizing_twice_changes_nothing(text in any::<String>()) {
            let once = normalize(&text);
            prop_assert_eq!(normalize(&once), once);
        }
    }
}
