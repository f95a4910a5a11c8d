//! Where a name stands in a head, which decides whether it is a level there.
//!
//! Levels in capitals are taken most readily. In small letters a name is as likely a word of the message, so it needs a
//! colon behind it, or a column of its own, or a place that only a machine gives it.

use super::names::Weight;
use super::words::{folded, is_among, is_capital, letters};

/// What stands directly before a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Before {
    /// The line begins with it.
    Nothing,
    Time,
    Group,
    /// A tab, `|`, or `-` with spaces around it.
    Rule,
    Colon,
    /// A name, an id, a number or a pair.
    Word,
}

/// What stands directly behind a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Behind {
    /// It ends the line or the group.
    Nothing,
    Space,
    /// Several spaces: a column ends.
    Column,
    /// A tab, `|`, or `-` with spaces around it.
    Rule,
    /// A colon before a space or the end.
    Colon,
    /// A colon before something else.
    Joint,
    Bracket,
    Slash,
    Comma,
    /// Something that makes it a part of a longer word.
    Other,
}

impl Behind {
    /// What a text begins with, which stands behind a token.
    pub(super) fn of(text: &[u8]) -> Self {
        match text {
            [] | [b'\r', ..] => Behind::Nothing,
            [b'\t' | b'|', ..] => Behind::Rule,
            [b':'] | [b':', b' ' | b'\t' | b'\r', ..] => Behind::Colon,
            [b':', ..] => Behind::Joint,
            [b'[' | b'(', ..] => Behind::Bracket,
            [b']' | b'>' | b'*' | b'!', ..] => Behind::Space,
            [b'/', ..] => Behind::Slash,
            [b',' | b';', ..] => Behind::Comma,
            [b' ', ..] => Self::of_spaces(text),
            _ => Behind::Other,
        }
    }

    fn of_spaces(text: &[u8]) -> Self {
        let spaces = text.iter().take_while(|byte| **byte == b' ').count();
        match &text[spaces..] {
            [] => Behind::Nothing,
            [b'|' | b'\t', ..] => Behind::Rule,
            [b':'] | [b':', b' ', ..] => Behind::Colon,
            rest if rule_length(rest).is_some() => Behind::Rule,
            _ if spaces > 1 => Behind::Column,
            _ => Behind::Space,
        }
    }
}

/// The length of the hyphens that a text begins with, where they are no part of a word: before a space, a bracket or the
/// end.
pub(super) fn rule_length(text: &[u8]) -> Option<usize> {
    let length = text.iter().take_while(|byte| **byte == b'-').count();
    let ends = matches!(text.get(length), None | Some(b' ' | b'\t' | b'['));
    (length > 0 && ends).then_some(length)
}

/// What a head has had so far.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Context {
    /// A time.
    pub timed: bool,
    /// The time is ISO 8601's, with a `T`.
    pub iso: bool,
    /// The time may be that of Go's package log, behind which prose stands.
    pub slashed: bool,
    /// Ordinary words behind a time.
    pub words: usize,
    /// Names before any time.
    pub names: usize,
    /// The last token is a place in the source: `main.c:12:5:`.
    pub source: bool,
}

/// A name in a head.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub context: &'a Context,
    pub before: Before,
    /// Several spaces stand before it.
    pub column: bool,
    pub behind: Behind,
    /// The text from there on.
    pub text: &'a [u8],
}

impl Place<'_> {
    /// Whether a name is a level there.
    pub(super) fn states(&self, name: &[u8], weight: Weight) -> bool {
        match is_capital(name) {
            true => self.states_in_capitals(weight),
            false => self.states_in_small(name, weight),
        }
    }

    /// The same, where it is in brackets with other things.
    pub(super) fn states_in_group(&self, name: &[u8], weight: Weight) -> bool {
        match self.behind {
            Behind::Other => false,
            Behind::Nothing if self.before == Before::Time => weight != Weight::Timed,
            _ if !is_capital(name) => false,
            _ if self.context.timed => self.context.words == 0 || weight == Weight::Plain,
            Behind::Comma | Behind::Slash => false,
            _ => self.before == Before::Nothing && weight != Weight::Timed,
        }
    }

    fn states_in_capitals(&self, weight: Weight) -> bool {
        use Behind::{Bracket, Colon, Column, Comma, Joint, Other, Rule, Slash, Space};
        let Context {
            timed,
            slashed,
            words,
            names,
            source,
            ..
        } = *self.context;
        let marked = matches!(self.behind, Colon | Joint | Rule);
        match (weight, self.behind) {
            (_, Other | Slash) => false,
            // a time before it
            (Weight::Plain, _) if timed && words > 0 => !slashed,
            (_, _) if timed => words == 0 || marked,
            // names before it
            (Weight::Plain, _) if source => true,
            (Weight::Plain, Rule) if names > 0 => self.before == Before::Rule,
            (_, _) if names > 0 => false,
            // nothing but groups and numbers before it
            (Weight::Timed, _) => false,
            (Weight::Plain, Space | Column) => self.before != Before::Nothing || !self.is_subject(),
            (Weight::Plain, _) => true,
            (_, Comma) => false,
            (_, _) => marked || self.behind == Bracket || self.before != Before::Nothing,
        }
    }

    fn states_in_small(&self, name: &[u8], weight: Weight) -> bool {
        use Behind::{Bracket, Colon, Column, Rule, Space};
        let Context {
            timed,
            iso,
            words,
            source,
            ..
        } = *self.context;
        let small = name.iter().all(u8::is_ascii_lowercase);
        match weight {
            Weight::Plain => {}
            Weight::Marked if small => {}
            _ => return false,
        }
        match (self.behind, self.before) {
            // `info:`, `error: …`
            (Colon, Before::Nothing | Before::Group | Before::Time) => words == 0,
            (Colon, Before::Rule | Before::Colon) if timed => words == 0,
            (Colon, Before::Word) if timed => words == 0 || self.column,
            // a compiler's: `src/main.c:12:5: error: …`, `error[E0425]: …`
            (Colon, Before::Colon) => source && small,
            (Bracket, Before::Nothing) => self.text.starts_with(b"[E0"),
            // a column of its own
            (Rule, Before::Rule | Before::Time) if timed => true,
            (Rule, Before::Nothing) => true,
            (Column, Before::Rule | Before::Time) if timed => words == 0,
            // `2022-06-02T12:25:11.537Z info vpxd[45715] …`
            (Space, Before::Time) => iso && self.is_before_source(),
            _ => false,
        }
    }

    /// Whether a word follows that makes a level in capitals the subject of a sentence: `ERROR handling is on`.
    fn is_subject(&self) -> bool {
        const WORDS: [u64; 13] = folded([
            "handling", "rate", "rates", "count", "counts", "level", "levels", "mode", "logging",
            "is", "are", "was", "were",
        ]);
        let text = self.text.trim_ascii_start();
        is_among(&text[..letters(text)], &WORDS)
    }

    /// Whether the name of a program or module follows: `vpxd[45715]`, `wcp [auth/session.go:156]`, `com.acme : […]`.
    fn is_before_source(&self) -> bool {
        let text = self.text.trim_ascii_start();
        let length = text
            .iter()
            .position(|byte| *byte == b' ')
            .unwrap_or(text.len());
        let (word, behind) = text.split_at(length);
        word.contains(&b'[')
            || behind.trim_ascii_start().starts_with(b"[")
            || behind.starts_with(b" : ")
    }
}
