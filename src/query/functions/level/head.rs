//! The level that a line of text states in its head.
//!
//! A head is what a logger writes before the message: times, ids, numbers, names, `key=value` pairs and groups in
//! brackets, in any order, with spaces, tabs, `|`, `-` and `:` between them. The level is a token of it. The head ends
//! where prose or a quotation begins: at the first ordinary word where no time stands before it, at the second where
//! one does. So the words of a message are not taken for its level.

use memchr::{memchr, memchr2, memrchr};

use super::super::message::{beginning, platform_line};
use super::names::{self, Weight, localized, lookup};
use super::place::{Before, Behind, Context, Place, rule_length};
use super::times::{is_month, is_weekday, time};
use super::words::{
    group_length, is_address, is_capital, is_client, is_method, is_prose, is_source, joined,
    key_length, letters, numbering_length, quoted_length, says_nothing, word_length,
};
use super::{Level, object, platform, shapes, without_colours};

const ESCAPE: u8 = 0x1b;

/// Tokens of a head.
const MOST_TOKENS: usize = 32;

/// The level of a message that is no object.
pub(super) fn level(message: &str, depth: u8) -> Option<Level> {
    if let Some(line) = platform_line(message) {
        return platform::of_line(line, message);
    }
    if platform::is_end_of_process(message) {
        return Some(Level::Error);
    }
    let end = memchr2(b'\n', ESCAPE, message.as_bytes()).unwrap_or(message.len());
    if message.as_bytes().get(end) == Some(&ESCAPE) {
        return Level::within(&without_colours(message), depth);
    }
    Head::new(message, end, depth)
        .level()
        .or_else(|| shapes::of_second_line(message, end))
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
    context: Context,
    before: Before,
    /// Several spaces stand before the token.
    column: bool,
    /// The time has the name of a month: as in syslog, the name of a host follows.
    host: bool,
    /// A process of Redis stands before.
    redis: bool,
    /// The last token is a UUID.
    id: bool,
    /// The last token is a number.
    number: bool,
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
            context: Context::default(),
            before: Before::Nothing,
            column: false,
            host: false,
            redis: false,
            id: false,
            number: false,
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
                b'-' => match rule_length(self.rest()) {
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

    /// The length of a character that is no letter: a frame, an arrow, an emoji.
    fn symbol(&self) -> Option<usize> {
        let symbol = self.message.get(self.at..)?.chars().next()?;
        (!symbol.is_alphanumeric()).then(|| symbol.len_utf8())
    }

    fn is_object(&self) -> bool {
        !self.group && self.context.words == 0 && object::begins(&self.message[self.at..])
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
        self.context.words = 0;
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
            context: Context {
                timed: self.context.timed,
                ..Context::default()
            },
            group: true,
            levels: self.levels && bracket == b'[',
            ..Head::new(self.message, 0, 0)
        };
        let level = match bracket {
            _ if !self.levels => None,
            b'[' => self.of_brackets(inner),
            b'<' | b'{' if !self.context.timed => None,
            _ => self.of_whole_group(inner),
        };
        let level = level.or_else(|| inside.walk());
        self.at += length;
        self.context.timed |= inside.context.timed;
        self.context.iso |= inside.context.iso;
        self.context.slashed |= inside.context.slashed;
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
            .or_else(|| shapes::of_group_letter(inner, self.context.timed))
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
            Weight::Timed => self.context.timed && name[0].is_ascii_uppercase(),
        };
        stated.then_some(level)
    }

    /// `2024-02-13T21:01:04 [SOURCE_CAPTURE  ]E:  …` of AWS Database Migration Service.
    fn of_letter_behind_group(&self) -> Token {
        match self.rest() {
            [letter, b':', b' ', b' ', ..] if self.context.timed && self.levels => {
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
            self.context.timed = true;
            self.context.iso = time.iso;
            self.context.slashed |= time.slashed;
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
        let word = &rest[..word_length(rest)];
        let token = self.part(word);
        self.at += word.len();
        token
    }

    /// A level by its name, where it stands as one.
    fn named(&mut self) -> Option<Level> {
        let rest = self.rest();
        let name = &rest[..letters(rest)];
        if let [_, _] = name {
            let behind_time = self.context.timed && self.before == Before::Time;
            return shapes::of_esx(rest).filter(|_| behind_time);
        }
        if let [_] = name {
            return match self.before {
                Before::Time | Before::Colon if self.context.timed => {
                    shapes::of_letter_behind_time(rest)
                }
                Before::Word if self.context.timed && self.number => {
                    shapes::of_letter_behind_ids(rest)
                }
                _ => None,
            };
        }
        if rest.get(name.len()) == Some(&b'=') {
            return None;
        }
        let (level, weight) = lookup(name)?;
        let end = self.at + name.len() + numbering_length(&rest[name.len()..]);
        let text = &self.line[end..];
        let place = Place {
            context: &self.context,
            before: self.before,
            column: self.column,
            behind: Behind::of(text),
            text,
        };
        let stated = match self.group {
            true => place.states_in_group(name, weight),
            false => place.states(name, weight),
        };
        if !stated || (place.behind == Behind::Colon && says_nothing(&text[1..])) {
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

    /// `key=value`: the level, or a part of the head whatever its value is.
    fn pair(&mut self) -> Option<Token> {
        let rest = self.rest();
        let key = key_length(rest);
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
        let level = (self.levels && self.context.words == 0 && object::is_level(key))
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
        self.context.source = false;
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
            return self.of_name(word, before);
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
        match self.context.timed {
            true => self.of_word_behind_time(word, stem, before, id),
            false => self.of_word_without_time(stem, before),
        }
    }

    fn of_word_behind_time(&mut self, word: &[u8], stem: &[u8], before: Before, id: bool) -> Token {
        let text = self.rest();
        if id && self.levels && platform::is_end_of_task(text) {
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
        let is_name = is_capital(word) && !self.context.slashed && self.levels;
        if is_label || is_name {
            return Token::Part;
        }
        self.context.words += 1;
        if self.context.words > 1 || !self.levels {
            Token::Message
        } else {
            Token::Part
        }
    }

    /// A zone's abbreviation, or the half of the day. Behind Go's time a word in capitals is as likely an abbreviation of
    /// something else.
    fn is_zone(&self, word: &[u8]) -> bool {
        match self.context.slashed {
            true => matches!(word, b"UTC" | b"GMT" | b"AM" | b"PM"),
            false => word.len() <= 5 && is_capital(word),
        }
    }

    /// `web-1  | message`: a service's name, as Docker Compose writes it before each line.
    fn is_service(&self, length: usize) -> bool {
        !self.context.timed && self.rest()[length..].trim_ascii_start().starts_with(b"| ")
    }

    /// A name, an id or a number; a name may have the level joined to it: `local.ERROR:` of Monolog and Laravel,
    /// `daemon.err` of syslog, `orders:ERROR:…`.
    fn of_name(&mut self, word: &[u8], before: Before) -> Token {
        self.host &= !self.context.timed;
        if memchr(b'\'', word).is_some() {
            return Token::Message;
        }
        if before == Before::Nothing
            && is_client(word)
            && self.rest()[word.len()..].starts_with(b" - ")
        {
            return Token::Message;
        }
        self.id = word.len() == 36 && word[8] == b'-';
        self.number = word.iter().all(u8::is_ascii_digit);
        if !self.context.timed && word.iter().any(u8::is_ascii_alphabetic) {
            self.context.names += 1;
        }
        if memchr2(b':', b'.', word).is_none() {
            return Token::Part;
        }
        if is_address(word) {
            return Token::Message;
        }
        self.context.source = is_source(word);
        self.redis |= shapes::is_redis(word);
        if !self.levels {
            return Token::Part;
        }
        joined(word, self.context.timed)
            .or_else(|| self.of_postgres(word))
            .map_or(Token::Part, Token::Level)
    }

    /// PostgreSQL puts its level, a colon and two spaces behind a prefix that anything may end: `…:psqlERROR:  …` with
    /// the longer of the two prefixes that RDS has.
    fn of_postgres(&self, word: &[u8]) -> Option<Level> {
        let stem = word
            .strip_suffix(b":")
            .filter(|_| self.rest()[word.len()..].starts_with(b"  "))?;
        let start = stem.iter().rposition(|byte| !byte.is_ascii_uppercase())? + 1;
        let (level, _) = lookup(&stem[start..]).filter(|_| self.context.timed)?;
        Some(level)
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
        let behind = Behind::of(&self.rest()[stem.len()..]);
        self.context.names += 1;
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
        let stated = match Behind::of(&self.rest()[length..]) {
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
