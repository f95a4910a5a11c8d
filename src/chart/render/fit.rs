//! Texts fitted into the space that they have: shrunk, wrapped, cut.

use super::style::Font;
use crate::chart::names::{Cutter, ELLIPSIS};

/// Between the parts of a title or footer.
const SEPARATOR: &str = " · ";

/// Lines of text below each other.
pub struct TextBlock {
    /// From the top.
    pub lines: Vec<String>,
    /// The font of all lines.
    pub font: Font,
}

impl TextBlock {
    /// The text in at most `most` lines no wider than `room`, the last one cut with an ellipsis if needed.
    pub fn wrap(text: &str, font: Font, room: i32, most: usize) -> Self {
        let mut rest = text.trim();
        let mut lines = Vec::new();
        while !rest.is_empty() {
            if lines.len() + 1 == most {
                lines.push(cut(rest, font, room));
                break;
            }
            let (line, after) = break_line(rest, font, room);
            lines.push(line.to_owned());
            rest = after;
        }
        Self { lines, font }
    }

    /// The text in one line in the first of the fonts, from large to small, in which it fits, or else in two lines in
    /// the last.
    pub fn fit<const N: usize>(text: &str, fonts: [Font; N], room: i32) -> Self {
        const { assert!(N > 0) };
        match fonts.into_iter().find(|font| font.width(text) <= room) {
            Some(fitting) => Self::wrap(text, fitting, room, 1),
            None => Self::wrap(text, fonts[N - 1], room, 2),
        }
    }

    /// From the top of the first line's capitals to the bottom of the last line's descenders.
    pub fn height(&self) -> i32 {
        self.font.block_height(self.lines.len())
    }
}

/// The text, its end replaced by an ellipsis if it is wider than `room`.
pub fn cut(text: &str, font: Font, room: i32) -> String {
    if font.width(text) <= room {
        return text.to_owned();
    }
    let kept = &text[..longest_prefix(text, font, room - font.width(ELLIPSIS))];
    format!("{}{ELLIPSIS}", kept.trim_end())
}

/// Names cut to at most `longest` pixels, in their middles, so that different ones stay different.
pub fn cut_names(names: &[String], font: Font, longest: i32) -> Vec<String> {
    let cutter = Cutter {
        room: longest,
        width: |text: &str| font.width(text),
    };
    cutter.cut_all(names)
}

/// Names that fit into a line of this width together: the widest are cut, all to the same width.
pub fn share_line(names: &[String], font: Font, room: i32) -> Vec<String> {
    let mut widths: Vec<i32> = names.iter().map(|name| font.width(name)).collect();
    widths.sort_unstable();
    let (mut room, mut longest) = (room, 0);
    for (place, width) in widths.iter().enumerate() {
        let share = room / (widths.len() - place) as i32;
        longest = (*width).min(share);
        room -= longest;
        if *width > share {
            break;
        }
    }
    cut_names(names, font, longest)
}

/// The text of the first line, and the rest.
fn break_line(text: &str, font: Font, room: i32) -> (&str, &str) {
    let fits = longest_prefix(text, font, room);
    if fits == text.len() {
        return (text, "");
    }
    // At a separator, which the line's end replaces, if at most half of the line stays empty.
    if let Some(end) = text[..fits].rfind(SEPARATOR).filter(|&end| end > fits / 2) {
        return (&text[..end], &text[end + SEPARATOR.len()..]);
    }
    let end = match text[..fits].rfind(' ') {
        _ if text[fits..].starts_with(' ') => fits,
        Some(space) => space,
        // Inside a word that is wider than a line; at least one character, so that the rest gets shorter.
        None => fits.max(text.chars().next().map_or(0, char::len_utf8)),
    };
    let joint = [' ', '·'];
    (
        text[..end].trim_end_matches(joint),
        text[end..].trim_start_matches(joint),
    )
}

/// The length in bytes of the longest beginning that fits into `room`.
fn longest_prefix(text: &str, font: Font, room: i32) -> usize {
    let ends = text.char_indices().map(|(start, c)| start + c.len_utf8());
    ends.take_while(|&end| font.width(&text[..end]) <= room)
        .last()
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use plotters::style::{BLACK, FontStyle};

    use super::*;
    use crate::chart::text::normalize;

    const FOOTER: Font = Font {
        size: 23,
        style: FontStyle::Normal,
        color: BLACK,
    };
    const TITLE: Font = Font {
        size: 48,
        style: FontStyle::Bold,
        color: BLACK,
    };

    #[test]
    fn keeps_words_whole_and_cuts_the_last_line() {
        let room = FOOTER.width("checkout payments");
        let wrap = |text| TextBlock::wrap(text, FOOTER, room, 2).lines;
        assert_eq!(wrap(""), Vec::<String>::new());
        assert_eq!(wrap("checkout"), ["checkout"]);
        assert_eq!(wrap("checkout payments"), ["checkout payments"]);
        assert_eq!(
            wrap("checkout payments orders"),
            ["checkout payments", "orders"]
        );
        assert_eq!(wrap("checkout paymentss"), ["checkout", "paymentss"]);
        let cut = wrap("checkout payments orders and customers");
        assert_eq!(cut[0], "checkout payments");
        assert!(
            cut[1].starts_with("orders and") && cut[1].ends_with(ELLIPSIS),
            "{cut:?}"
        );
    }

    #[test]
    fn names_are_told_apart_by_what_is_left_of_them() {
        let room = FOOTER.width("/aws/lambda/checkout…-prod");
        let name = "/aws/lambda/checkout-of-the-whole-company-prod";
        let cut = &cut_names(&[name.to_owned()], FOOTER, room)[0];
        assert!(cut.starts_with("/aws/") && cut.ends_with("-prod"), "{cut}");
        assert!(FOOTER.width(cut) <= room);

        let alike = ["a", "b"].map(|end| format!("{}{end}{}", "x".repeat(60), "y".repeat(60)));
        let cut = cut_names(&alike, FOOTER, room);
        assert!(cut[0] != cut[1], "{cut:?}");

        let names = ["/a".to_owned(), "n".repeat(80), "m".repeat(80)];
        let room = 600;
        let shared = share_line(&names, FOOTER, room);
        let width: i32 = shared.iter().map(|name| FOOTER.width(name)).sum();
        assert!(
            shared[0] == "/a" && width <= room && width > room * 9 / 10,
            "{shared:?}"
        );
    }

    #[test]
    fn breaks_at_separators() {
        let room = FOOTER.width("checkout, payments · as of 01:10");
        let wrap = |text| TextBlock::wrap(text, FOOTER, room, 2).lines;
        assert_eq!(
            wrap("checkout, payments · as of 01:10 KST"),
            ["checkout, payments", "as of 01:10 KST"]
        );
        let early = wrap("checkout · payments and orders and invoices");
        assert_eq!(
            early[0], "checkout · payments and orders",
            "an early separator would leave the line empty"
        );
    }

    #[test]
    fn breaks_inside_a_word_that_is_wider_than_a_line() {
        let lines =
            TextBlock::wrap(&"가".repeat(25), FOOTER, FOOTER.width(&"가".repeat(10)), 3).lines;
        assert_eq!(lines, ["가".repeat(10), "가".repeat(10), "가".repeat(5)]);
    }

    #[test]
    fn shrinks_before_it_wraps() {
        let text = "checkout · 2026-11-21";
        let width = |size| Font { size, ..TITLE }.width(text);
        let fit = |room| {
            let fitted = TextBlock::fit(text, [40, 30].map(|size| Font { size, ..TITLE }), room);
            (fitted.font.size, fitted.lines.join("|"))
        };
        assert_eq!(fit(width(40)), (40, text.to_owned()));
        assert_eq!(fit(width(40) - 1), (30, text.to_owned()));
        assert_eq!(fit(width(30) - 1), (30, "checkout|2026-11-21".to_owned()));
    }

    proptest! {
        #[test]
        fn no_line_is_wider_than_its_room(text in "\\PC{0,60}", room in 60..400i32, most in 1..4usize) {
            let lines = TextBlock::wrap(&normalize(&text), FOOTER, room, most).lines;
            prop_assert!(lines.len() <= most);
            for line in lines {
                prop_assert!(FOOTER.width(&line) <= room, "{:?}", line);
            }
        }
    }
}
