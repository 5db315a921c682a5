//! Splits a script into tokens.
//!
//! Two peculiarities of the language are settled here: `.5` is one number token although it may be
//! meant as the flags "ACK, ACE 5", and `1:1001` is not an IPv6 address although it looks like one.

use core::net::{Ipv4Addr, Ipv6Addr};

use crate::MAX_SOURCE;
use crate::error::{Cause, ParseError, quote};
use crate::span::Span;

/// What a token is. Its text is the source at its span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `--name`
    Option,
    /// Decimal digits, perhaps after a minus.
    Int,
    /// `0x` and hexadecimal digits.
    Hex,
    /// A number whose value comes from a symbol and starts with `0`: read as C does, in octal.
    Octal,
    /// Digits with a point and digits after it.
    Float,
    /// Letters, digits and underscores.
    Word,
    /// `"..."`, taken raw.
    Str,
    /// `` `...` ``, taken raw.
    Command,
    /// `%{ ... }%`, taken raw.
    Code,
    /// An IPv4 address.
    Ipv4,
    /// An IPv6 address.
    Ipv6,
    /// `...`
    Ellipsis,
    /// Any other character.
    Punct(char),
    /// Behind the last token.
    End,
}

/// A token of a script.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) span: Span,
}

/// The longest text of an IPv6 address, in octets (RFC 4291 2.2, with an IPv4 tail).
const MAX_IPV6: usize = 45;
/// First parts of the words that contain a dash: `exp-FO`, `gen-30`, `voice-admit`.
const DASHED: [&str; 3] = ["exp", "gen", "voice"];

/// Splits `source` into tokens; the last one is [`Kind::End`].
pub(crate) fn tokens(source: &str) -> Result<Vec<Token>, ParseError> {
    if source.len() > MAX_SOURCE {
        let span = Span {
            line: 1,
            column: 1,
            start: 0,
            end: 0,
        };
        let found = format!("{} octets", source.len());
        let expected = vec![format!("a script of at most {MAX_SOURCE} octets")];
        return Err(ParseError::new(
            Cause::TooLarge,
            source,
            span,
            &found,
            expected,
        ));
    }
    let mut lexer = Lexer {
        source,
        bytes: source.as_bytes(),
        at: 0,
        line: 1,
        column: 1,
    };
    if source.starts_with('\u{feff}') {
        lexer.at = '\u{feff}'.len_utf8();
    }
    let mut tokens = Vec::new();
    loop {
        lexer.skip_blanks()?;
        let token = lexer.token()?;
        tokens.push(token);
        if token.kind == Kind::End {
            return Ok(tokens);
        }
    }
}

struct Lexer<'a> {
    source: &'a str,
    bytes: &'a [u8],
    at: usize,
    line: u32,
    column: u32,
}

impl Lexer<'_> {
    fn byte(&self, ahead: usize) -> u8 {
        self.bytes.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn rest(&self) -> &[u8] {
        self.bytes.get(self.at..).unwrap_or(&[])
    }

    /// How many octets from `from` on satisfy `test`.
    fn run(&self, from: usize, test: impl Fn(u8) -> bool) -> usize {
        self.bytes
            .get(self.at + from..)
            .unwrap_or(&[])
            .iter()
            .take_while(|b| test(**b))
            .count()
    }

    /// Moves on by `count` octets and gives their span.
    fn take(&mut self, count: usize) -> Span {
        let start = self.at;
        let (line, column) = (self.line, self.column);
        let end = (start + count).min(self.bytes.len());
        for byte in self.bytes.get(start..end).unwrap_or(&[]) {
            if *byte == b'\n' {
                self.line += 1;
                self.column = 1;
            } else if *byte & 0xc0 != 0x80 {
                self.column += 1;
            }
        }
        self.at = end;
        Span {
            line,
            column,
            start: offset(start),
            end: offset(end),
        }
    }

    fn skip_blanks(&mut self) -> Result<(), ParseError> {
        loop {
            let blanks = self.run(0, |b| b.is_ascii_whitespace());
            if blanks > 0 {
                self.take(blanks);
            } else if self.rest().starts_with(b"//") {
                let length = self.run(0, |b| b != b'\n');
                self.take(length);
            } else if self.rest().starts_with(b"/*") {
                let Some(length) = find(self.rest(), 2, b"*/") else {
                    return Err(self.unterminated("/*", "`*/` at the end of the comment"));
                };
                self.take(length + 2);
            } else {
                return Ok(());
            }
        }
    }

    fn unterminated(&mut self, opening: &str, expected: &str) -> ParseError {
        let span = self.take(opening.len());
        let found = format!("{} without an end", quote(opening));
        let expected = vec![expected.to_owned()];
        ParseError::new(Cause::Unterminated, self.source, span, &found, expected)
    }

    fn token(&mut self) -> Result<Token, ParseError> {
        let (kind, length) = match self.byte(0) {
            0 if self.at >= self.bytes.len() => (Kind::End, 0),
            b'"' => (Kind::Str, self.quoted(b'"', "a closing `\"`")?),
            b'`' => (Kind::Command, self.quoted(b'`', "a closing backtick")?),
            b'%' if self.byte(1) == b'{' => match find(self.rest(), 2, b"}%") {
                Some(length) => (Kind::Code, length + 2),
                None => return Err(self.unterminated("%{", "`}%` at the end of the code")),
            },
            b'.' if self.rest().starts_with(b"...") => (Kind::Ellipsis, 3),
            b'-' if self.byte(1) == b'-' && is_word(self.byte(2)) => {
                (Kind::Option, 2 + self.run(2, is_word))
            }
            _ => self
                .address()
                .or_else(|| self.number())
                .unwrap_or_else(|| self.word()),
        };
        Ok(Token {
            kind,
            span: self.take(length),
        })
    }

    /// The length of a quoted text with its quotes. A backslash keeps the quote behind it from
    /// closing, but stays part of the text.
    fn quoted(&mut self, quote: u8, expected: &str) -> Result<usize, ParseError> {
        let mut escaped = false;
        for (index, byte) in self.rest().iter().enumerate().skip(1) {
            if escaped {
                escaped = false;
            } else if *byte == b'\\' {
                escaped = true;
            } else if *byte == quote {
                return Ok(index + 1);
            }
        }
        Err(self.unterminated(if quote == b'"' { "\"" } else { "`" }, expected))
    }

    /// An IP address. The IPv6 form needs `::` or eight groups, so that `1:1001` is none.
    fn address(&self) -> Option<(Kind, usize)> {
        if let Some(length) = self.ipv4() {
            return Some((Kind::Ipv4, length));
        }
        let near = self.rest().iter().take(MAX_IPV6);
        let run = near
            .take_while(|b| b.is_ascii_hexdigit() || matches!(b, b':' | b'.'))
            .count();
        let text = self.source.get(self.at..self.at + run)?;
        if !text.contains("::") && text.bytes().filter(|b| *b == b':').count() < 7 {
            return None;
        }
        let length = (2..=run).rev().find(|end| {
            text.get(..*end)
                .is_some_and(|t| t.parse::<Ipv6Addr>().is_ok())
        })?;
        Some((Kind::Ipv6, length))
    }

    fn ipv4(&self) -> Option<usize> {
        let mut length = 0;
        for group in 0..4 {
            if group > 0 {
                (self.byte(length) == b'.').then_some(())?;
                length += 1;
            }
            let digits = self.run(length, |b| b.is_ascii_digit());
            (1..=3).contains(&digits).then_some(())?;
            length += digits;
        }
        let text = self.source.get(self.at..self.at + length)?;
        text.parse::<Ipv4Addr>().is_ok().then_some(length)
    }

    fn number(&self) -> Option<(Kind, usize)> {
        let sign = usize::from(self.byte(0) == b'-');
        let digits = sign + self.run(sign, |b| b.is_ascii_digit());
        if self.byte(digits) == b'.' && self.byte(digits + 1).is_ascii_digit() {
            return Some((
                Kind::Float,
                digits + 1 + self.run(digits + 1, |b| b.is_ascii_digit()),
            ));
        }
        if digits == sign {
            return None;
        }
        let word = self.run(0, is_word);
        if word <= digits {
            return Some((Kind::Int, digits));
        }
        let prefixed = self.byte(0) == b'0' && self.byte(1) == b'x';
        let all_hex = self.run(2, |b| b.is_ascii_hexdigit()) + 2 == word;
        (prefixed && word > 2 && all_hex).then_some((Kind::Hex, word))
    }

    fn word(&self) -> (Kind, usize) {
        let mut length = self.run(0, is_word);
        if length == 0 {
            let c = self
                .source
                .get(self.at..)
                .and_then(|rest| rest.chars().next())
                .unwrap_or(' ');
            return (Kind::Punct(c), c.len_utf8());
        }
        let first = self.source.get(self.at..self.at + length).unwrap_or("");
        let dashed = DASHED.iter().any(|word| word.eq_ignore_ascii_case(first));
        if dashed && self.byte(length) == b'-' {
            let second = self.run(length + 1, is_word);
            length += if second > 0 { 1 + second } else { 0 };
        }
        (Kind::Word, length)
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Sources are at most [`MAX_SOURCE`] long, so that every offset fits.
fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

fn find(text: &[u8], from: usize, needle: &[u8]) -> Option<usize> {
    let rest = text.get(from..)?;
    rest.windows(needle.len())
        .position(|window| window == needle)
        .map(|index| index + from)
}
