//! SQL while it is typed, cut into tokens. Any text has tokens, also one that ends inside a quote or is no SQL.
//!
//! The rules are PostgreSQL's: `''` inside quotes, a backslash inside `E'…'`, `$tag$…$tag$`, comments that nest.

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// White space.
    Space,
    /// `-- …` or `/* … */`.
    Comment,
    /// `'…'`, `E'…'` or `$$…$$`.
    Text,
    /// `"…"`.
    QuotedName,
    /// A keyword, or a name without quotes.
    Word,
    /// A number.
    Number,
    /// `$name`.
    Parameter,
    /// Any other character.
    Sign,
}

/// A part of a text; the tokens of a text make up all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token<'a> {
    /// What it is.
    pub kind: Kind,
    /// Its characters.
    pub text: &'a str,
    /// Where it begins, in bytes.
    pub start: usize,
    /// Whether it ends where the text does because its own end is missing.
    pub is_open: bool,
}

impl Token<'_> {
    /// Where it ends, in bytes.
    pub fn end(&self) -> usize {
        self.start + self.text.len()
    }

    /// Whether it is this sign.
    pub fn is(&self, sign: char) -> bool {
        self.kind == Kind::Sign && self.text.starts_with(sign)
    }

    /// Whether it is white space or a comment.
    pub fn is_blank(&self) -> bool {
        matches!(self.kind, Kind::Space | Kind::Comment)
    }
}

/// The tokens of a text, from its start.
pub fn tokens(text: &str) -> Tokens<'_> {
    Tokens { text, at: 0 }
}

/// Iterates over the tokens of a text.
#[derive(Debug, Clone)]
pub struct Tokens<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        let rest = &self.text[self.at..];
        let first = rest.chars().next()?;
        let (kind, length) = match first {
            c if c.is_whitespace() => (Kind::Space, Some(run(rest, char::is_whitespace))),
            '-' if rest.starts_with("--") => (Kind::Comment, line_comment(rest)),
            '/' if rest.starts_with("/*") => (Kind::Comment, block_comment(rest)),
            '\'' => (Kind::Text, quoted(rest, '\'', false)),
            '"' => (Kind::QuotedName, quoted(rest, '"', false)),
            'e' | 'E' if rest[1..].starts_with('\'') => {
                let length = quoted(&rest[1..], '\'', true);
                (Kind::Text, length.map(|length| length + 1))
            }
            '$' => dollar(rest),
            c if c.is_ascii_digit() => (Kind::Number, Some(number(rest))),
            c if is_of_word(c) => (Kind::Word, Some(run(rest, is_of_word))),
            c => (Kind::Sign, Some(c.len_utf8())),
        };
        let token = Token {
            kind,
            text: &rest[..length.unwrap_or(rest.len())],
            start: self.at,
            is_open: length.is_none(),
        };
        self.at = token.end();
        Some(token)
    }
}

/// Whether a character can be in a name without quotes.
pub fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$'
}

fn run(text: &str, belongs: impl Fn(char) -> bool) -> usize {
    text.find(|c| !belongs(c)).unwrap_or(text.len())
}

/// Ends before the end of its line. It is open at the end of a text without one.
fn line_comment(text: &str) -> Option<usize> {
    text.find('\n')
}

fn block_comment(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(next) = text[at..].find(['/', '*']) {
        at += next;
        let rest = &text[at..];
        if rest.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return Some(at);
            }
        } else {
            at += 1;
        }
    }
    None
}

/// The length of a quoted text with its quotes; a doubled quote is one of the text.
fn quoted(text: &str, quote: char, has_escapes: bool) -> Option<usize> {
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        if c == '\\' && has_escapes {
            chars.next();
        } else if c == quote {
            match chars.peek() {
                Some((_, next)) if *next == quote => drop(chars.next()),
                _ => return Some(at + quote.len_utf8()),
            }
        }
    }
    None
}

/// `$name`, or the text from `$tag$` to the next `$tag$`.
fn dollar(text: &str) -> (Kind, Option<usize>) {
    let name = run(&text[1..], |c| c.is_alphanumeric() || c == '_') + 1;
    if !text[name..].starts_with('$') {
        let kind = if name > 1 {
            Kind::Parameter
        } else {
            Kind::Sign
        };
        return (kind, Some(name));
    }
    let (tag, rest) = text.split_at(name + 1);
    let end = rest.find(tag).map(|end| end + 2 * tag.len());
    (Kind::Text, end)
}

/// Digits with a point, an exponent or underscores; a point that begins a name, as in `1.x`, does not matter here.
fn number(text: &str) -> usize {
    let mut length = run(text, |c| {
        c.is_ascii_alphanumeric() || matches!(c, '.' | '_')
    });
    if text[..length].ends_with(['e', 'E']) && text[length..].starts_with(['+', '-']) {
        length += 1;
        length += run(&text[length..], |c| c.is_ascii_digit());
    }
    length
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn kinds(text: &str) -> Vec<(Kind, &str)> {
        let tokens = tokens(text).filter(|token| token.kind != Kind::Space);
        tokens.map(|token| (token.kind, token.text)).collect()
    }

    #[test]
    fn each_kind_is_found() {
        use Kind::{Comment, Number, Parameter, QuotedName, Sign, Text, Word};
        for (text, expected) in [
            ("SELECT n", vec![(Word, "SELECT"), (Word, "n")]),
            ("'it''s;' x", vec![(Text, "'it''s;'"), (Word, "x")]),
            (r"E'a\'b' x", vec![(Text, r"E'a\'b'"), (Word, "x")]),
            (r"'a\' x", vec![(Text, r"'a\'"), (Word, "x")]),
            ("\"a\"\"b\"", vec![(QuotedName, "\"a\"\"b\"")]),
            ("$$a;'b$$", vec![(Text, "$$a;'b$$")]),
            ("$q$a$$b$q$;", vec![(Text, "$q$a$$b$q$"), (Sign, ";")]),
            ("$window_start", vec![(Parameter, "$window_start")]),
            (
                "1.5e-3+2",
                vec![(Number, "1.5e-3"), (Sign, "+"), (Number, "2")],
            ),
            ("-- a;\nx", vec![(Comment, "-- a;"), (Word, "x")]),
            (
                "/* a /* b */ ; */x",
                vec![(Comment, "/* a /* b */ ; */"), (Word, "x")],
            ),
            ("단어", vec![(Word, "단어")]),
            ("$", vec![(Sign, "$")]),
        ] {
            assert_eq!(kinds(text), expected, "{text}");
        }
    }

    #[test]
    fn what_lacks_its_end_is_open() {
        for text in [
            "'a", "\"a", "$$a$", "$t$ a $$", "/* /* */", "-- a", r"E'a\'",
        ] {
            let last = tokens(text).last().unwrap();
            assert!(last.is_open && last.start == 0, "{text}");
        }
    }

    proptest! {
        #[test]
        fn the_tokens_make_up_the_text(text in r"[a-zE0-9$'\x22\\/*;.\n 가-]{0,40}") {
            let whole: String = tokens(&text).map(|token| token.text).collect();
            prop_assert_eq!(&whole, &text);
            let open: Vec<Token> = tokens(&text).filter(|token| token.is_open).collect();
            prop_assert!(open.iter().all(|token| token.end() == text.len()));
        }
    }
}
