//! The level that a line of text states in its head.
//!
//! A head is what a logger writes before the message: times, ids, numbers, names, `key=value` pairs and groups in
//! brackets, in any order, with spaces, tabs, `|`, `-` and `:` between them. The level is a token of it. The head ends
//! where prose or a quotation begins: at the first ordinary word where no time stands before it, at the second where
//! one does. So the words of a message are not taken for its level.

use std::sync::LazyLock;

use memchr::{memchr, memchr2, memmem, memrchr};

use super::super::message::{LogType, beginning, platform_line, words};
use super::names::{self, Weight, localized, lookup};
use super::times::{is_month, is_weekday, time};
use super::{Level, object, shapes, without_colours};

const ESCAPE: u8 = 0x1b;

/// Tokens of a head.
const MOST_TOKENS: usize = 32;

/// Bytes of a group in brackets.
const LONGEST_GROUP: usize = 240;

/// The level of a message that is no object.
pub(super) fn level(message: &str, depth: u8) -> Option<Level> {
    if let Some(line) = platform_line(message) {
        return is_timeout(line, message).then_some(Level::Error);
    }
    if is_failure(message) {
        return Some(Level::Error);
    }
    let end = memchr2(b'\n', ESCAPE, message.as_bytes()).unwrap_or(message.len());
    if message.as_bytes().get(end) == Some(&ESCAPE) {
        return Level::within(&without_colours(message), depth);
    }
    Head::new(message, end, depth)
        .level()
        .or_else(|| of_second_line(message, end))
}

/// The level of an object in a message whose words are prose.
pub(super) fn level_of_object(message: &str, depth: u8) -> Option<Level> {
    let message = beginning(message);
    if object::begins(message) {
        return object::level(message, depth);
    }
    let end = memchr(b'\n', message.as_bytes()).unwrap_or(message.len());
    let mut head = Head::new(message, end, depth);
    head.levels = false;
    head.walk()
}

/// A report that the time was over: since 2026 the only line about it.
fn is_timeout(line: LogType, message: &str) -> bool {
    static STATUS: LazyLock<memmem::Finder> =
        LazyLock::new(|| memmem::Finder::new("Status: timeout"));
    line == LogType::Report && STATUS.find(message.as_bytes()).is_some()
}

/// Whether Lambda's platform writes that the process of a runtime ended.
pub(super) fn is_failure(message: &str) -> bool {
    let Some(rest) = message.strip_prefix("RequestId: ") else {
        return false;
    };
    let reason = rest.split_once(' ').map_or("", |(_, reason)| reason);
    reason.starts_with("Error: ") || reason.starts_with("Process exited before completing")
}

/// The two lines of java.util.logging: the first has time and method, the second level and message.
fn of_second_line(message: &str, end: usize) -> Option<Level> {
    /// `Feb 13, 2024 9:01:04 PM org.apache.catalina.core.StandardService startInternal`
    const MOST_WORDS: usize = 9;
    let second = message.as_bytes().get(end + 1..)?;
    let name = letters(second);
    let (level, length) = match lookup(&second[..name]) {
        Some((level, Weight::Plain | Weight::Capitals)) if is_capital(&second[..name]) => {
            (level, name)
        }
        _ => localized(second)?,
    };
    if second.get(length) != Some(&b':') {
        return None;
    }
    let first = &message[..end];
    let is_clock = |word: &str| word.contains(':') && time(word.as_bytes()).is_some();
    (words(first).any(is_clock) && words(first).count() <= MOST_WORDS).then_some(level)
}

/// What stands directly before a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
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
enum Behind {
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

/// What a token came to.
enum Token {
    Level(Level),
    /// A part of the head.
    Part,
    /// The first of the message.
    Message,
}

/// A walk over the head of a line.
struct Head<'a> {
    /// From the line on: an object behind the head may have more lines.
    message: &'a str,
    line: &'a [u8],
    at: usize,
    depth: u8,
    before: Before,
    /// Several spaces stand before the token.
    column: bool,
    /// A time stands before.
    timed: bool,
    /// The time is ISO 8601's, with a `T`.
    iso: bool,
    /// The time may be that of Go's package log, behind which prose stands.
    slashed: bool,
    /// The time has the name of a month: as in syslog, the name of a host follows.
    host: bool,
    /// A process of Redis stands before.
    redis: bool,
    /// The last token is a UUID.
    id: bool,
    /// The last token is a number.
    number: bool,
    /// The last token is a place in the source: `main.c:12:5:`.
    source: bool,
    /// Ordinary words behind a time.
    words: usize,
    /// Names and other tokens before any time.
    names: usize,
    /// It is the head of what a group has in its brackets.
    group: bool,
    /// Levels count; else only an object behind the head does.
    levels: bool,
}

impl<'a> Head<'a> {
    fn new(message: &'a str, end: usize, depth: u8) -> Self {
        Head {
            message,
            line: &message.as_bytes()[..end],
            at: 0,
            depth,
            before: Before::Nothing,
            column: false,
            timed: false,
            iso: false,
            slashed: false,
            host: false,
            redis: false,
            id: false,
            number: false,
            source: false,
            words: 0,
            names: 0,
            group: false,
            levels: true,
        }
    }

    fn level(&mut self) -> Option<Level> {
        if let [b'<', b'0'..=b'9', ..] = self.line
            && let Some(level) = self.of_syslog()
        {
            return Some(level);
        }
        match shapes::of_phrase(self.line).or_else(|| shapes::of_first_letter(self.line)) {
            Some(level) => {
                self.skip_word();
                Some(self.or_of_object(level))
            }
            None => self.walk(),
        }
    }

    fn walk(&mut self) -> Option<Level> {
        for _ in 0..MOST_TOKENS {
            self.gap();
            let token = match self.rest().first()? {
                b'{' if self.is_object() => {
                    return object::level(&self.message[self.at..], self.depth.checked_sub(1)?);
                }
                b'[' | b'(' | b'<' | b'{' => self.group(),
                b'"' | b'\'' | b'`' => Token::Message,
                byte if byte.is_ascii() => self.word(),
                _ => self.foreign_word(),
            };
            match token {
                Token::Level(level) => return Some(self.or_of_object(level)),
                Token::Part => {}
                Token::Message => return None,
            }
        }
        None
    }

    fn rest(&self) -> &'a [u8] {
        &self.line[self.at..]
    }

    /// The level within another message, which the rest of this one is.
    fn of_rest(&self, at: usize) -> Option<Level> {
        Level::within(&self.message[at..], self.depth.checked_sub(1)?)
    }

    /// Steps over what separates tokens.
    fn gap(&mut self) {
        let mut spaces = 0;
        while let Some(byte) = self.line.get(self.at) {
            match byte {
                b' ' => spaces += 1,
                b'\t' | b'|' => self.before = Before::Rule,
                b':' if self.before != Before::Rule => self.before = Before::Colon,
                b'-' => match self.rule(self.at) {
                    Some(length) => {
                        if spaces > 0 || self.at == 0 {
                            self.before = Before::Rule;
                        }
                        self.at += length - 1;
                    }
                    None => break,
                },
                b'\r' | b':' | b',' | b';' | b']' | b')' | b'}' | b'>' | b'*' | b'#' | b'~'
                | b'=' | b'+' | b'!' | b'.' => {}
                byte if byte.is_ascii() => break,
                _ => match self.symbol() {
                    Some(length) => self.at += length - 1,
                    None => break,
                },
            }
            self.at += 1;
        }
        self.column = spaces > 1;
    }

    /// The length of the hyphens at a place, where they are no part of a word: before a space, a bracket or the end.
    fn rule(&self, at: usize) -> Option<usize> {
        let rest = self.line.get(at..)?;
        let length = rest.iter().take_while(|byte| **byte == b'-').count();
        let ends = matches!(rest.get(length), None | Some(b' ' | b'\t' | b'['));
        (length > 0 && ends).then_some(length)
    }

    /// The length of a character that is no letter: a frame, an arrow, an emoji.
    fn symbol(&self) -> Option<usize> {
        let symbol = self.message.get(self.at..)?.chars().next()?;
        (!symbol.is_alphanumeric()).then(|| symbol.len_utf8())
    }

    fn is_object(&self) -> bool {
        !self.group && self.words == 0 && object::begins(&self.message[self.at..])
    }

    fn skip_word(&mut self) {
        let rest = self.rest();
        self.at += rest
            .iter()
            .position(|byte| *byte == b' ')
            .unwrap_or(rest.len());
    }

    /// The level of the object that is the message behind a head, or else that of the head.
    fn or_of_object(&mut self, level: Level) -> Level {
        if !self.levels || self.group || memchr(b'{', self.rest()).is_none() {
            return level;
        }
        self.levels = false;
        self.words = 0;
        self.walk().unwrap_or(level)
    }

    /// RFC 3164 and 5424: `<11>Feb 13 …`, `<11>1 2024-02-13T… host app 1 - - message`. What the message states goes
    /// before the priority.
    fn of_syslog(&self) -> Option<Level> {
        const FIELDS: usize = 5;
        let close = memchr(b'>', self.line.get(..6).unwrap_or(self.line))?;
        let priority: u8 = self.message[1..close]
            .parse()
            .ok()
            .filter(|priority| *priority < 192)?;
        let mut rest = &self.message[close + 1..];
        if let Some(fields) = rest.strip_prefix("1 ") {
            rest = fields
                .splitn(FIELDS + 1, ' ')
                .nth(FIELDS)
                .unwrap_or_default();
            rest = rest.strip_prefix("- ").unwrap_or(rest);
        }
        let own = || Level::within(rest, self.depth.checked_sub(1)?);
        own().or_else(|| names::syslog(priority & 7))
    }

    /// A group in brackets: a level, or a part of the head, which may have the time in it.
    fn group(&mut self) -> Token {
        let Some(length) = group_length(self.rest()) else {
            self.at += 1;
            return Token::Part;
        };
        let bracket = self.rest()[0];
        let inner = self.rest()[1..length - 1].trim_ascii();
        let mut inside = Head {
            line: &self.line[..self.at + length - 1],
            at: self.at + 1,
            timed: self.timed,
            group: true,
            levels: self.levels && bracket == b'[',
            ..Head::new(self.message, 0, 0)
        };
        let level = match bracket {
            _ if !self.levels => None,
            b'{' => None,
            b'[' => self.of_brackets(inner),
            b'<' if !self.timed => None,
            _ => self.of_whole_group(inner),
        };
        let level = level.or_else(|| inside.walk());
        self.at += length;
        self.timed |= inside.timed;
        self.iso |= inside.iso;
        self.slashed |= inside.slashed;
        self.redis |= inside.redis || (bracket == b'[' && inner.iter().all(u8::is_ascii_digit));
        self.before = Before::Group;
        match level {
            Some(level) => Token::Level(level),
            None => self.of_letter_behind_group(),
        }
    }

    /// `[ERROR]`, `[core:error]` of Apache, `[ns_server:error,2024-…]` of Couchbase, `[Server thread/ERROR]`.
    fn of_brackets(&self, inner: &[u8]) -> Option<Level> {
        let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
        let of_module = || {
            let colon = memchr(b':', inner).filter(|colon| inner[..*colon].iter().all(is_name))?;
            let part = &inner[colon + 1..];
            let (name, behind) = part.split_at(letters(part));
            match lookup(name)? {
                (level, Weight::Plain | Weight::Marked) if matches!(behind, [] | [b',', ..]) => {
                    Some(level)
                }
                _ => None,
            }
        };
        let of_thread = || {
            let name = &inner[memrchr(b'/', inner)? + 1..];
            let (level, _) = lookup(name).filter(|_| is_capital(name))?;
            Some(level)
        };
        self.of_whole_group(inner)
            .or_else(|| shapes::of_group_letter(inner, self.timed))
            .or_else(of_module)
            .or_else(of_thread)
    }

    /// A level alone in its brackets.
    fn of_whole_group(&self, inner: &[u8]) -> Option<Level> {
        let name = &inner[..letters(inner)];
        if !matches!(inner[name.len()..], [] | [b'0'..=b'9']) {
            return None;
        }
        let (level, weight) = lookup(name)?;
        let stated = match weight {
            Weight::Plain | Weight::Marked => true,
            Weight::Capitals => is_capital(name),
            // MySQL has [System] and [Note]
            Weight::Timed => self.timed && name[0].is_ascii_uppercase(),
        };
        stated.then_some(level)
    }

    /// `2024-02-13T21:01:04 [SOURCE_CAPTURE  ]E:  …` of AWS Database Migration Service.
    fn of_letter_behind_group(&self) -> Token {
        match self.rest() {
            [letter, b':', b' ', b' ', ..] if self.timed && self.levels => {
                names::letter(*letter).map_or(Token::Part, Token::Level)
            }
            _ => Token::Part,
        }
    }

    /// A word that begins with a letter or a digit, or with a sign that does not separate.
    fn word(&mut self) -> Token {
        let rest = self.rest();
        if let Some(time) = time(rest) {
            self.at += time.length;
            self.timed = true;
            self.iso = time.iso;
            self.slashed |= time.slashed;
            self.before = Before::Time;
            let redis = shapes::of_redis(self.rest()).filter(|_| self.redis && self.levels);
            return redis.map_or(Token::Part, Token::Level);
        }
        if self.levels
            && let Some(level) = self.named()
        {
            return Token::Level(level);
        }
        if let Some(pair) = self.pair() {
            return pair;
        }
        let length = rest
            .iter()
            .position(|byte| ends_word(*byte))
            .unwrap_or(rest.len());
        let word = &rest[..length.max(1)];
        let token = self.part(word);
        self.at += word.len();
        token
    }

    /// A level by its name, where it stands as one.
    fn named(&mut self) -> Option<Level> {
        let rest = self.rest();
        let name = &rest[..letters(rest)];
        if let [_, _] = name {
            let behind_time = self.timed && self.before == Before::Time;
            return shapes::of_esx(rest).filter(|_| behind_time);
        }
        if let [_] = name {
            return match self.before {
                Before::Time | Before::Colon if self.timed => shapes::of_letter_behind_time(rest),
                Before::Word if self.timed && self.number => shapes::of_letter_behind_ids(rest),
                _ => None,
            };
        }
        if rest.get(name.len()) == Some(&b'=') {
            return None;
        }
        let (level, weight) = lookup(name)?;
        let end = self.at + name.len() + numbering_length(&rest[name.len()..]);
        let behind = self.behind(end);
        let stated = match is_capital(name) {
            _ if self.group => self.states_in_group(name, weight, behind),
            true => self.states_in_capitals(weight, behind, end),
            false => self.states_in_small(name, weight, behind, end),
        };
        if !stated || (behind == Behind::Colon && says_nothing(&self.line[end + 1..])) {
            return None;
        }
        self.at = end;
        self.before = Before::Word;
        // PHP's own words for it stand in what its process manager writes.
        let php = self
            .rest()
            .strip_prefix(b": PHP message: PHP ")
            .and_then(shapes::of_php);
        Some(php.unwrap_or(level))
    }

    fn states_in_group(&self, name: &[u8], weight: Weight, behind: Behind) -> bool {
        match behind {
            Behind::Other => false,
            Behind::Nothing if self.before == Before::Time => weight != Weight::Timed,
            _ if !is_capital(name) => false,
            _ if self.timed => self.words == 0 || weight == Weight::Plain,
            Behind::Comma | Behind::Slash => false,
            _ => self.before == Before::Nothing && weight != Weight::Timed,
        }
    }

    fn states_in_capitals(&self, weight: Weight, behind: Behind, end: usize) -> bool {
        use Behind::{Bracket, Colon, Column, Comma, Joint, Other, Rule, Slash, Space};
        let marked = matches!(behind, Colon | Joint | Rule);
        match (weight, behind) {
            (_, Other | Slash) => false,
            // a time before it
            (Weight::Plain, _) if self.timed && self.words > 0 => !self.slashed,
            (_, _) if self.timed => self.words == 0 || marked,
            // names before it
            (Weight::Plain, _) if self.source => true,
            (Weight::Plain, Rule) if self.names > 0 => self.before == Before::Rule,
            (_, _) if self.names > 0 => false,
            // nothing but groups and numbers before it
            (Weight::Timed, _) => false,
            (Weight::Plain, Space | Column) => {
                self.before != Before::Nothing || !self.is_prose_behind(end)
            }
            (Weight::Plain, _) => true,
            (_, Comma) => false,
            (_, _) => marked || behind == Bracket || self.before != Before::Nothing,
        }
    }

    fn states_in_small(&self, name: &[u8], weight: Weight, behind: Behind, end: usize) -> bool {
        use Behind::{Bracket, Colon, Column, Rule, Space};
        let small = name.iter().all(u8::is_ascii_lowercase);
        match weight {
            Weight::Plain => {}
            Weight::Marked if small => {}
            _ => return false,
        }
        match (behind, self.before) {
            // `info:`, `error: …`
            (Colon, Before::Nothing | Before::Group | Before::Time) => self.words == 0,
            (Colon, Before::Rule | Before::Colon) if self.timed => self.words == 0,
            (Colon, Before::Word) if self.timed => self.words == 0 || self.column,
            // a compiler's: `src/main.c:12:5: error: …`, `error[E0425]: …`
            (Colon, Before::Colon) => self.source && small,
            (Bracket, Before::Nothing) => self.line[end..].starts_with(b"[E0"),
            // a column of its own
            (Rule, Before::Rule | Before::Time) if self.timed => true,
            (Rule, Before::Nothing) => true,
            (Column, Before::Rule | Before::Time) if self.timed => self.words == 0,
            // `2022-06-02T12:25:11.537Z info vpxd[45715] …`
            (Space, Before::Time) => self.iso && self.is_source(end),
            _ => false,
        }
    }

    fn behind(&self, end: usize) -> Behind {
        match self.line.get(end) {
            None | Some(b'\r') => Behind::Nothing,
            Some(b'\t' | b'|') => Behind::Rule,
            Some(b':') => match self.line.get(end + 1) {
                None | Some(b' ' | b'\t' | b'\r') => Behind::Colon,
                Some(_) => Behind::Joint,
            },
            Some(b' ') => {
                let rest = &self.line[end..];
                let spaces = rest.iter().take_while(|byte| **byte == b' ').count();
                match (rest.get(spaces), rest.get(spaces + 1)) {
                    (None, _) => Behind::Nothing,
                    (Some(b'|' | b'\t'), _) => Behind::Rule,
                    (Some(b':'), None | Some(b' ')) => Behind::Colon,
                    (Some(b'-'), _) if self.rule(end + spaces).is_some() => Behind::Rule,
                    _ if spaces > 1 => Behind::Column,
                    _ => Behind::Space,
                }
            }
            Some(b'[' | b'(') => Behind::Bracket,
            Some(b'/') => Behind::Slash,
            Some(b',') => Behind::Comma,
            Some(b']' | b'>') => Behind::Space,
            Some(_) => Behind::Other,
        }
    }

    /// Whether a word follows that makes a level in capitals the subject of a sentence.
    fn is_prose_behind(&self, end: usize) -> bool {
        const WORDS: [&[u8]; 13] = [
            b"handling",
            b"rate",
            b"rates",
            b"count",
            b"counts",
            b"level",
            b"levels",
            b"mode",
            b"logging",
            b"is",
            b"are",
            b"was",
            b"were",
        ];
        const FOLDED: [u64; WORDS.len()] = folded(WORDS);
        let rest = self.line[end..].trim_ascii_start();
        is_among(&rest[..letters(rest)], &FOLDED)
    }

    /// Whether the name of a program or module follows: `vpxd[45715]`, `wcp [auth/session.go:156]`, `com.acme : […]`.
    fn is_source(&self, end: usize) -> bool {
        let rest = self.line[end..].trim_ascii_start();
        let length = rest
            .iter()
            .position(|byte| *byte == b' ')
            .unwrap_or(rest.len());
        let (word, behind) = rest.split_at(length);
        word.contains(&b'[')
            || behind.trim_ascii_start().starts_with(b"[")
            || behind.starts_with(b" : ")
    }

    /// `key=value`: the level, or a part of the head whatever its value is.
    fn pair(&mut self) -> Option<Token> {
        let rest = self.rest();
        let key = rest.iter().take_while(|byte| is_of_key(**byte)).count();
        if rest.get(key) != Some(&b'=') || rest[0].is_ascii_digit() || key == 0 {
            return None;
        }
        let start = self.at + key + 1;
        let value = &self.line[start..];
        let (length, from, to) = match value.first() {
            Some(quote @ (b'"' | b'\'' | b'`')) => match quoted_length(value, *quote) {
                Some(length) => (length, 1, length - 1),
                None => return Some(Token::Message),
            },
            _ => {
                let length = value
                    .iter()
                    .position(u8::is_ascii_whitespace)
                    .unwrap_or(value.len());
                let first = value[..length].iter().position(|byte| b",;".contains(byte));
                (length, 0, first.unwrap_or(length))
            }
        };
        let key = &self.message[self.at..start - 1];
        let level = (self.levels && self.words == 0 && object::is_level(key))
            .then(|| names::of_value(&self.message[start + from..start + to]))
            .flatten();
        self.at = start + length;
        self.before = Before::Word;
        Some(level.map_or(Token::Part, Token::Level))
    }

    /// Any other word: a part of the head, or the first of the message.
    fn part(&mut self, word: &[u8]) -> Token {
        let before = std::mem::replace(&mut self.before, Before::Word);
        let id = std::mem::replace(&mut self.id, false);
        self.number = false;
        self.source = false;
        if before == Before::Nothing && !self.group && self.is_service(word.len()) {
            let bar = self.at + memchr(b'|', self.rest()).unwrap_or_default();
            return self.of_rest(bar + 1).map_or(Token::Message, Token::Level);
        }
        let stem = word.strip_suffix(b":").unwrap_or(word);
        if stem.len() < word.len() {
            self.before = Before::Colon;
        }
        let next = self.line.get(self.at + word.len());
        if letters(stem) < stem.len() || matches!(next, Some(b'[' | b'(')) {
            return self.of_name(word);
        }
        if is_month(stem) || is_weekday(stem) {
            self.host |= is_month(stem);
            return Token::Part;
        }
        if word == b"PHP" && self.levels {
            let kind = self.rest()[word.len()..].trim_ascii_start();
            return shapes::of_php(kind).map_or(Token::Message, Token::Level);
        }
        if is_method(word) {
            return Token::Message;
        }
        match self.timed {
            true => self.of_word_behind_time(word, stem, before, id),
            false => self.of_word_without_time(stem, before),
        }
    }

    fn of_word_behind_time(&mut self, word: &[u8], stem: &[u8], before: Before, id: bool) -> Token {
        let text = self.rest();
        if id && self.levels && is_gone(text) {
            return Token::Level(Level::Error);
        }
        // containerd, before each line
        if matches!(word, b"stdout" | b"stderr")
            && let [b' ', b'F' | b'P', b' ', ..] = text[word.len()..]
        {
            let line = self.of_rest(self.at + word.len() + 3);
            return line.map_or(Token::Message, Token::Level);
        }
        if is_prose(stem) {
            return Token::Message;
        }
        if std::mem::take(&mut self.host) || word == b"undefined" {
            return Token::Part;
        }
        if before == Before::Time && self.is_zone(word) {
            self.before = Before::Time;
            return Token::Part;
        }
        let is_label =
            self.before == Before::Colon && (self.levels || text.get(word.len()) == Some(&b'{'));
        let is_name = is_capital(word) && !self.slashed && self.levels;
        if is_label || is_name {
            return Token::Part;
        }
        self.words += 1;
        if self.words > 1 || !self.levels {
            Token::Message
        } else {
            Token::Part
        }
    }

    /// A zone's abbreviation, or the half of the day. Behind Go's time a word in capitals is as likely an abbreviation of
    /// something else.
    fn is_zone(&self, word: &[u8]) -> bool {
        match self.slashed {
            true => matches!(word, b"UTC" | b"GMT" | b"AM" | b"PM"),
            false => word.len() <= 5 && is_capital(word),
        }
    }

    /// `web-1  | message`: a service's name, as Docker Compose writes it before each line.
    fn is_service(&self, length: usize) -> bool {
        !self.timed && self.rest()[length..].trim_ascii_start().starts_with(b"| ")
    }

    /// A name, an id or a number; a name may have the level joined to it: `local.ERROR:` of Monolog and Laravel,
    /// `daemon.err` of syslog, `orders:ERROR:…`.
    fn of_name(&mut self, word: &[u8]) -> Token {
        self.host &= !self.timed;
        if memchr(b'\'', word).is_some() {
            return Token::Message;
        }
        self.id = word.len() == 36 && word[8] == b'-';
        self.number = word.iter().all(u8::is_ascii_digit);
        if !self.timed && word.iter().any(u8::is_ascii_alphabetic) {
            self.names += 1;
        }
        if memchr2(b':', b'.', word).is_none() {
            return Token::Part;
        }
        if is_address(word) {
            return Token::Message;
        }
        self.source = is_source(word);
        self.redis |= shapes::is_redis(word);
        if !self.levels {
            return Token::Part;
        }
        let of_prefix = || self.of_postgres(word).filter(|_| self.timed);
        of_label(word)
            .or_else(|| joined(word, self.timed))
            .or_else(of_prefix)
            .map_or(Token::Part, Token::Level)
    }

    /// PostgreSQL puts its level, a colon and two spaces behind a prefix that anything may end: `…:psqlERROR:  …` with
    /// the longer of the two prefixes that RDS has.
    fn of_postgres(&self, word: &[u8]) -> Option<Level> {
        let stem = word
            .strip_suffix(b":")
            .filter(|_| self.rest()[word.len()..].starts_with(b"  "))?;
        let start = stem.iter().rposition(|byte| !byte.is_ascii_uppercase())? + 1;
        lookup(&stem[start..]).map(|(level, _)| level)
    }

    fn of_word_without_time(&mut self, stem: &[u8], before: Before) -> Token {
        if self.levels
            && before == Before::Nothing
            && self.before == Before::Colon
            && let Some((level, length)) = localized(self.rest())
            && self.rest().get(length) == Some(&b':')
        {
            return Token::Level(level);
        }
        let behind = self.behind(self.at + stem.len());
        self.names += 1;
        match behind {
            Behind::Rule if before == Before::Nothing && !self.group => Token::Part,
            // a program on a terminal: `nginx: [emerg] …`
            Behind::Colon
                if before == Before::Nothing && self.rest()[stem.len()..].starts_with(b": [") =>
            {
                Token::Part
            }
            Behind::Joint if !self.levels => Token::Part,
            _ => Token::Message,
        }
    }

    /// A word that begins with a letter beyond ASCII: a localized level, or the message.
    fn foreign_word(&mut self) -> Token {
        let Some((level, length)) = localized(self.rest()).filter(|_| self.levels) else {
            return Token::Message;
        };
        let stated = match self.behind(self.at + length) {
            Behind::Colon | Behind::Joint => true,
            Behind::Space | Behind::Column => self.before == Before::Time,
            _ => false,
        };
        self.at += length;
        if stated {
            Token::Level(level)
        } else {
            Token::Message
        }
    }
}

/// `level:error` of Labeled Tab-separated Values.
fn of_label(word: &[u8]) -> Option<Level> {
    let word = str::from_utf8(word).ok()?;
    let (_, value) = word
        .split_once(':')
        .filter(|(label, _)| object::is_level(label))?;
    names::of_value(value)
}

/// What Lambda's platform writes behind a request's id.
fn is_gone(text: &[u8]) -> bool {
    text.starts_with(b"Task timed out after ") || text.starts_with(b"Process exited before ")
}

/// A place in the source: `src/main.c:12:5:`.
fn is_source(word: &[u8]) -> bool {
    match word {
        [name @ .., b'0'..=b'9', b':'] => memchr(b':', name).is_some(),
        _ => false,
    }
}

/// A level in capitals that is joined to a name by a dot or colons, or a severity to a facility of syslog.
fn joined(word: &[u8], timed: bool) -> Option<Level> {
    let of = |name: &[u8]| match lookup(name)? {
        (level, Weight::Plain | Weight::Marked) if is_capital(name) => Some(level),
        _ => None,
    };
    let of_channel = || {
        let channel = word.strip_suffix(b":")?;
        of(&channel[memrchr(b'.', channel)? + 1..])
    };
    let of_facility = || {
        let dot = memchr(b'.', word).filter(|dot| timed && is_facility(&word[..*dot]))?;
        lookup(&word[dot + 1..]).map(|(level, _)| level)
    };
    let between_colons = || {
        let mut parts = word.split(|byte| *byte == b':').skip(1).peekable();
        while let Some(part) = parts.next() {
            if let Some(level) = of(part).filter(|_| parts.peek().is_some()) {
                return Some(level);
            }
        }
        None
    };
    of_channel().or_else(of_facility).or_else(between_colons)
}

fn is_facility(name: &[u8]) -> bool {
    const NAMES: [&[u8]; 13] = [
        b"kern",
        b"user",
        b"mail",
        b"daemon",
        b"auth",
        b"syslog",
        b"lpr",
        b"news",
        b"uucp",
        b"cron",
        b"authpriv",
        b"ftp",
        b"audit",
    ];
    NAMES.contains(&name) || matches!(name, [b'l', b'o', b'c', b'a', b'l', b'0'..=b'7'])
}

fn is_address(word: &[u8]) -> bool {
    memchr(b':', word).is_some_and(|colon| word[colon..].starts_with(b"://"))
}

/// A method of HTTP: the line is one about a request.
fn is_method(word: &[u8]) -> bool {
    matches!(
        word,
        b"GET" | b"POST" | b"PUT" | b"DELETE" | b"HEAD" | b"OPTIONS" | b"PATCH" | b"CONNECT"
    )
}

/// Words that name no logger, thread or host: behind them a level is a word of a sentence, or the value of something
/// else. Among them are the lines by which PostgreSQL continues a message.
fn is_prose(word: &[u8]) -> bool {
    const WORDS: [&[u8]; 68] = [
        b"a",
        b"an",
        b"and",
        b"any",
        b"are",
        b"as",
        b"at",
        b"by",
        b"code",
        b"context",
        b"delete",
        b"detail",
        b"every",
        b"expected",
        b"first",
        b"for",
        b"found",
        b"from",
        b"get",
        b"got",
        b"had",
        b"handled",
        b"handling",
        b"has",
        b"have",
        b"hint",
        b"if",
        b"ignored",
        b"ignoring",
        b"in",
        b"insert",
        b"is",
        b"last",
        b"level",
        b"location",
        b"message",
        b"more",
        b"new",
        b"no",
        b"not",
        b"of",
        b"on",
        b"or",
        b"possible",
        b"query",
        b"reason",
        b"received",
        b"response",
        b"result",
        b"returned",
        b"select",
        b"set",
        b"some",
        b"state",
        b"status",
        b"than",
        b"that",
        b"the",
        b"this",
        b"to",
        b"type",
        b"unknown",
        b"update",
        b"value",
        b"was",
        b"where",
        b"with",
        b"without",
    ];
    const FOLDED: [u64; WORDS.len()] = folded(WORDS);
    is_among(word, &FOLDED) || word == b"STATEMENT"
}

/// Words of up to eight letters as numbers.
const fn folded<const N: usize>(words: [&[u8]; N]) -> [u64; N] {
    let mut folded = [0; N];
    let mut at = 0;
    while at < N {
        folded[at] = names::folded(words[at]);
        at += 1;
    }
    folded
}

/// Whether a word, in any case, is one of those.
fn is_among(word: &[u8], folded: &[u64]) -> bool {
    word.len() <= 8 && folded.contains(&names::folded(word))
}

/// Whether what follows a colon says that there is nothing: `error: none`, `Warning: 0`.
fn says_nothing(text: &[u8]) -> bool {
    const NOTHING: [&[u8]; 10] = [
        b"none",
        b"null",
        b"nil",
        b"false",
        b"undefined",
        b"no",
        b"n/a",
        b"-",
        b"[]",
        b"{}",
    ];
    let text = text.trim_ascii();
    matches!(text, [b'0'] | [b'0', b' ' | b',' | b';', ..])
        || NOTHING
            .iter()
            .any(|nothing| text.eq_ignore_ascii_case(nothing))
}

fn letters(text: &[u8]) -> usize {
    text.iter()
        .take_while(|byte| byte.is_ascii_alphabetic())
        .count()
}

fn is_capital(name: &[u8]) -> bool {
    name.iter().all(u8::is_ascii_uppercase)
}

/// The digit of `DEBUG1` and the distance of log/slog's `INFO+2`.
fn numbering_length(text: &[u8]) -> usize {
    let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    match text {
        [b'+' | b'-', rest @ ..] if digits(rest) > 0 => 1 + digits(rest),
        [b'0'..=b'9', ..] if digits(text) == 1 => 1,
        _ => 0,
    }
}

/// What a byte is to a head: looked up, as every byte of one is asked for.
const CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < classes.len() {
        classes[byte] = match byte as u8 {
            b' ' | b'\t' | b'\r' | b'\n' | b'[' | b']' | b'(' | b')' | b'{' | b'}' | b'<'
            | b'>' | b'|' | b'"' | b',' | b';' => ENDS_WORD,
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'_' | b'.' | b'@' | b'-' => OF_KEY,
            _ => 0,
        };
        byte += 1;
    }
    classes
};
const ENDS_WORD: u8 = 1;
const OF_KEY: u8 = 2;

fn ends_word(byte: u8) -> bool {
    CLASSES[usize::from(byte)] == ENDS_WORD
}

fn is_of_key(byte: u8) -> bool {
    CLASSES[usize::from(byte)] == OF_KEY
}

/// The length of a quoted text with its quotes.
fn quoted_length(text: &[u8], quote: u8) -> Option<usize> {
    let mut at = 1;
    loop {
        at += memchr2(quote, b'\\', text.get(at..)?)?;
        if text[at] == quote {
            return Some(at + 1);
        }
        at += 2;
    }
}

/// The length of a group with its brackets, other groups of the kind in it included.
fn group_length(text: &[u8]) -> Option<usize> {
    let open = *text.first()?;
    let close = match open {
        b'[' => b']',
        b'(' => b')',
        b'<' => b'>',
        _ => b'}',
    };
    let mut depth = 0;
    for (at, byte) in text.iter().take(LONGEST_GROUP).enumerate() {
        if *byte == open {
            depth += 1;
        } else if *byte == close {
            depth -= 1;
            if depth == 0 {
                return Some(at + 1);
            }
        }
    }
    None
}
