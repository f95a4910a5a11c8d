//! The level that a line of text states in its head.
//!
//! A head is what a logger writes before the message: times, ids, numbers, names, `key=value` pairs and groups in
//! brackets, in any order, with spaces, tabs, `|`, `-` and `:` between them. The level is a token of it. The head ends
//! where prose or a quotation begins: at the first ordinary word where no time stands before it, at the second where
//! one does. So the words of a message are not taken for its level.

use memchr::{memchr, memchr2, memmem, memrchr};

use super::super::message::{LogType, beginning, is_uuid, platform_line, words};
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
    line == LogType::Report && memmem::find(message.as_bytes(), b"Status: timeout").is_some()
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
        Some((level, Weight::Plain | Weight::Capitals)) if is_capital(&second[..name]) => (level, name),
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
    /// The last token is a UUID.
    id: bool,
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
            id: false,
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
                b'\r' | b':' | b',' | b';' | b']' | b')' | b'}' | b'>' | b'*' | b'#' | b'~' | b'=' | b'+' | b'!'
                | b'.' => {}
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
        self.at += rest.iter().position(|byte| *byte == b' ').unwrap_or(rest.len());
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
        let priority: u8 = self.message[1..close].parse().ok().filter(|priority| *priority < 192)?;
        let mut rest = &self.message[close + 1..];
        if let Some(fields) = rest.strip_prefix("1 ") {
            rest = fields.splitn(FIELDS + 1, ' ').nth(FIELDS).unwrap_or_default();
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
                (level, Weight::Plain | Weight::Marked) if matches!(behind, [] | [b',', ..]) => Some(level),
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
            let redis = shapes::of_redis(self.line, self.rest()).filter(|_| self.levels);
            return redis.map_or(Token::Part, Token::Level);
        }
        if self.levels && let Some(level) = self.named() {
            return Token::Level(level);
        }
        if let Some(pair) = self.pair() {
            return pair;
        }
        let length = rest.iter().position(|byte| ends_word(*byte)).unwrap_or(rest.len());
        let word = &rest[..length.max(1)];
        let token = self.part(word);
        self.at += word.len();
        token
    }

    /// A level by its name, where it stands as one.
    fn named(&mut self) -> Option<Level> {
        let rest = self.rest();
        let name = &rest[..letters(rest)];
        if let [_] = name {
            let is_stated = self.timed && self.before == Before::Time;
            return shapes::of_letter_behind_time(rest).filter(|_| is_stated);
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
        let php = self.rest().strip_prefix(b": PHP message: PHP ").and_then(shapes::of_php);
        Some(php.unwrap_or(level))
    }

    fn states_in_group(&self, name: &[u8], weight: Weight, behind: Behind) -> bool {
        match behind {
            Behind::Other => false,
            Behind::Nothing if self.timed => weight != Weight::Timed || is_capital(name),
            _ if !is_capital(name) => false,
            _ if self.timed => self.words == 0,
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
            (Weight::Plain, Colon | Joint) if self.names > 0 => true,
            (Weight::Plain, Rule) if self.names > 0 => self.before == Before::Rule,
            (_, _) if self.names > 0 => false,
            // nothing but groups and numbers before it
            (Weight::Timed, _) => false,
            (Weight::Plain, Space | Column) => self.before != Before::Nothing || !self.is_prose_behind(end),
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
            (Colon, Before::Colon) => self.names == 1 && small,
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
            Some(b']') => Behind::Space,
            Some(_) => Behind::Other,
        }
    }

    /// Whether a word follows that makes a level in capitals the subject of a sentence.
    fn is_prose_behind(&self, end: usize) -> bool {
        const WORDS: [&[u8]; 13] = [
            b"handling", b"rate", b"rates", b"count", b"counts", b"level", b"levels", b"mode", b"logging", b"is",
            b"are", b"was", b"were",
        ];
        let rest = self.line[end..].trim_ascii_start();
        WORDS.contains(&&rest[..letters(rest)])
    }

    /// Whether the name of a program or module follows: `vpxd[45715]`, `wcp [auth/session.go:156]`, `com.acme : […]`.
    fn is_source(&self, end: usize) -> bool {
        let rest = self.line[end..].trim_ascii_start();
        let length = rest.iter().position(|byte| *byte == b' ').unwrap_or(rest.len());
        let (word, behind) = rest.split_at(length);
        word.contains(&b'[') || behind.starts_with(b" [") || behind.starts_with(b" : ")
    }

    /// `key=value`: the level, or a part of the head whatever its value is.
    fn pair(&mut self) -> Option<Token> {
        let rest = self.rest();
        let key = rest.iter().take_while(|byte| is_of_key(**byte)).count();
        if key == 0 || rest.get(key) != Some(&b'=') || !(rest[0].is_ascii_alphabetic() || b"_@".contains(&rest[0])) {
            return None;
        }
        let is_level = self.levels && self.words == 0 && str::from_utf8(&rest[..key]).is_ok_and(object::is_level);
        let start = self.at + key + 1;
        let value = &self.line[start..];
        let (value, length) = match value.first() {
            Some(quote @ (b'"' | b'\'')) => match quoted_length(value, *quote) {
                Some(length) => (&value[1..length - 1], length),
                None => return Some(Token::Message),
            },
            _ => {
                let length = value.iter().position(u8::is_ascii_whitespace).unwrap_or(value.len());
                let first = value[..length].iter().position(|byte| b",;".contains(byte));
                (&value[..first.unwrap_or(length)], length)
            }
        };
        self.at = start + length;
        self.before = Before::Word;
        let level = str::from_utf8(value).ok().filter(|_| is_level).and_then(names::of_value);
        Some(level.map_or(Token::Part, Token::Level))
    }

    /// Any other word: a part of the head, or the first of the message.
    fn part(&mut self, word: &[u8]) -> Token {
        let next = self.line.get(self.at + word.len());
        let before = std::mem::replace(&mut self.before, Before::Word);
        let id = std::mem::replace(&mut self.id, word.len() == 36 && str::from_utf8(word).is_ok_and(is_uuid));
        let stem = word.strip_suffix(b":").unwrap_or(word);
        if word.ends_with(b":") {
            self.before = Before::Colon;
        }
        if is_method(word) || memmem::find(word, b"://").is_some() || word.contains(&b'\'') {
            return Token::Message;
        }
        if self.before == Before::Word && before == Before::Nothing && !self.group && self.is_service() {
            let bar = memchr(b'|', self.rest()).unwrap_or_default();
            return self.of_rest(self.at + bar + 1).map_or(Token::Message, Token::Level);
        }
        if !stem.iter().all(u8::is_ascii_alphabetic) || matches!(next, Some(b'[' | b'(')) {
            self.host = false;
            return self.of_name(word);
        }
        if word == b"PHP" && self.levels {
            let kind = self.rest()[word.len()..].trim_ascii_start();
            return shapes::of_php(kind).map_or(Token::Message, Token::Level);
        }
        let text = self.rest();
        if is_month(stem) || is_weekday(stem) {
            self.host |= is_month(stem);
            return Token::Part;
        }
        if !self.timed {
            return self.of_word_without_time(stem, before);
        }
        let is_gone = text.starts_with(b"Task timed out after ") || text.starts_with(b"Process exited before ");
        if id && is_gone && self.levels {
            return Token::Level(Level::Error);
        }
        if matches!(word, b"stdout" | b"stderr")
            && let [b' ', b'F' | b'P', b' ', ..] = text[word.len()..]
        {
            return self.of_rest(self.at + word.len() + 3).map_or(Token::Message, Token::Level);
        }
        if is_prose(stem) {
            return Token::Message;
        }
        if std::mem::take(&mut self.host) || word == b"undefined" {
            return Token::Part;
        }
        if before == Before::Time && word.len() <= 5 && is_capital(word) {
            // the zone, or the half of the day
            self.before = Before::Time;
            return Token::Part;
        }
        if word.ends_with(b":") && (self.levels || next == Some(&b'{')) {
            return Token::Part;
        }
        self.words += 1;
        if self.words > 1 || !self.levels { Token::Message } else { Token::Part }
    }

    /// `web-1  | message`: a service's name, as Docker Compose writes it before each line.
    fn is_service(&self) -> bool {
        let rest = self.rest();
        let length = rest.iter().position(|byte| ends_word(*byte)).unwrap_or(rest.len());
        !self.timed && rest[length..].trim_ascii_start().starts_with(b"| ")
    }

    /// A name, an id or a number; a name may have the level joined to it: `local.ERROR:` of Monolog and Laravel,
    /// `daemon.err` of syslog, `orders:ERROR:…`.
    fn of_name(&mut self, word: &[u8]) -> Token {
        if self.levels && let Some(level) = joined(word, self.timed) {
            return Token::Level(level);
        }
        let is_number = !word.iter().any(u8::is_ascii_alphabetic);
        if !self.timed && !is_number {
            self.names += 1;
        }
        Token::Part
    }

    fn of_word_without_time(&mut self, stem: &[u8], before: Before) -> Token {
        if self.levels
            && before == Before::Nothing
            && let Some((level, length)) = localized(self.rest())
            && self.rest().get(length) == Some(&b':')
        {
            return Token::Level(level);
        }
        let behind = self.behind(self.at + stem.len());
        self.names += 1;
        match behind {
            Behind::Rule if before == Before::Nothing && !self.group => Token::Part,
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
        if stated { Token::Level(level) } else { Token::Message }
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
        b"kern", b"user", b"mail", b"daemon", b"auth", b"syslog", b"lpr", b"news", b"uucp", b"cron", b"authpriv", b"ftp",
        b"audit",
    ];
    NAMES.contains(&name) || matches!(name, [b'l', b'o', b'c', b'a', b'l', b'0'..=b'7'])
}

/// A method of HTTP: the line is one about a request.
fn is_method(word: &[u8]) -> bool {
    const METHODS: [&[u8]; 8] = [
        b"GET", b"POST", b"PUT", b"DELETE", b"HEAD", b"OPTIONS", b"PATCH", b"CONNECT",
    ];
    METHODS.contains(&word)
}

/// Words that name no logger, thread or host: behind them a level is a word of a sentence, or the value of something
/// else. Among them are the lines by which PostgreSQL continues a message.
fn is_prose(word: &[u8]) -> bool {
    const WORDS: [&str; 64] = [
        "a", "an", "and", "any", "are", "as", "at", "by", "code", "context", "detail", "every", "expected", "first", "for",
        "found", "from", "get", "got", "had", "handled", "handling", "has", "have", "hint", "if", "ignored", "ignoring",
        "in", "is", "last", "level", "location", "message", "more", "new", "no", "not", "of", "on", "or", "possible",
        "query", "reason", "received", "response", "result", "returned", "set", "some", "state", "statement", "status",
        "than", "that", "the", "this", "to", "type", "unknown", "value", "was", "with", "without",
    ];
    WORDS.iter().any(|other| word.eq_ignore_ascii_case(other.as_bytes()))
}

/// Whether what follows a colon says that there is nothing: `error: none`, `Warning: 0`.
fn says_nothing(text: &[u8]) -> bool {
    const NOTHING: [&[u8]; 10] = [
        b"none", b"null", b"nil", b"false", b"undefined", b"no", b"n/a", b"-", b"[]", b"{}",
    ];
    let text = text.trim_ascii();
    matches!(text, [b'0'] | [b'0', b' ' | b',' | b';', ..])
        || NOTHING.iter().any(|nothing| text.eq_ignore_ascii_case(nothing))
}

fn letters(text: &[u8]) -> usize {
    text.iter().take_while(|byte| byte.is_ascii_alphabetic()).count()
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

fn ends_word(byte: u8) -> bool {
    byte.is_ascii_whitespace() || b"[](){}<>|\",;".contains(&byte)
}

fn is_of_key(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_.@-".contains(&byte)
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
