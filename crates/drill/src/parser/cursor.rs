//! The place in the tokens, and what was hoped for there.

use std::collections::BTreeMap;

use crate::error::{Cause, ParseError, quote};
use crate::lexer::{Kind, Token};
use crate::span::{Span, Spanned};

/// How deeply lists, structures and functions may be nested.
const MAX_DEPTH: u32 = 32;

/// Words of the language: no symbol replaces them.
const RESERVED: &str = "\
    AccECN0 AccECN1 ECN FO FOEXP Flags GREv0 TS ack ce ceb class cmsg_data cmsg_len cmsg_level \
    cmsg_type dscp e0b e1b eceb ecn ecr ect0 ect01 ect1 ee0b ee1b encap eol events fd flags \
    flowlabel gre hlim htonl htons icmp id inet6_addr inet_addr iov_base iov_len ipv4 ipv6 \
    label linger md5 mpls msg_control msg_flags msg_iov msg_name mss mtu noecn nop onoff psp \
    ptr raw revents sa_family sack sackOK sctp sin_addr sin_port spi tc tos ttl u32 u64 udp \
    udplite urg val win wscale";

/// What may stand at a place.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Hope {
    /// This sign.
    Sign(char),
    /// This word.
    Word(&'static str),
    /// Something of this description.
    Thing(&'static str),
}

/// A token after symbols were replaced.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lexeme<'a> {
    pub(super) kind: Kind,
    /// Without the quotes or braces around it.
    pub(super) text: &'a str,
    pub(super) span: Span,
}

pub(super) struct Parser<'a> {
    pub(super) source: &'a str,
    tokens: &'a [Token],
    defines: &'a BTreeMap<String, String>,
    at: usize,
    depth: u32,
    /// What was asked for at this token and is not there.
    expected: Vec<Hope>,
}

impl<'a> Parser<'a> {
    pub(super) fn new(
        source: &'a str,
        tokens: &'a [Token],
        defines: &'a BTreeMap<String, String>,
    ) -> Self {
        Self {
            source,
            tokens,
            defines,
            at: 0,
            depth: 0,
            expected: Vec::new(),
        }
    }

    /// Goes on from here with other symbols.
    pub(super) fn with_defines<'b>(self, defines: &'b BTreeMap<String, String>) -> Parser<'b>
    where
        'a: 'b,
    {
        Parser { defines, ..self }
    }

    fn token(&self, at: usize) -> Token {
        let nothing = Token {
            kind: Kind::End,
            span: Span::default(),
        };
        self.tokens
            .get(at)
            .or(self.tokens.last())
            .copied()
            .unwrap_or(nothing)
    }

    pub(super) fn look(&self) -> Lexeme<'a> {
        self.look_ahead(0)
    }

    pub(super) fn look_ahead(&self, count: usize) -> Lexeme<'a> {
        let Token { kind, span } = self.token(self.at + count);
        let whole = self.source.get(span.range()).unwrap_or("");
        let inner = |by: usize| whole.get(by..whole.len().saturating_sub(by)).unwrap_or("");
        match kind {
            Kind::Str | Kind::Command => Lexeme {
                kind,
                text: inner(1),
                span,
            },
            Kind::Code => Lexeme {
                kind,
                text: inner(2),
                span,
            },
            Kind::Word => self.symbol(whole, span),
            _ => Lexeme {
                kind,
                text: whole,
                span,
            },
        }
    }

    /// A word, or what the symbol of that name stands for.
    fn symbol(&self, word: &'a str, span: Span) -> Lexeme<'a> {
        let replaced = |_: &&String| !RESERVED.split_ascii_whitespace().any(|w| w == word);
        let Some(value) = self.defines.get(word).filter(replaced) else {
            return Lexeme {
                kind: Kind::Word,
                text: word,
                span,
            };
        };
        let quoted = |by: char| {
            value
                .strip_prefix(by)
                .and_then(|rest| rest.strip_suffix(by))
        };
        let (kind, text) = match (quoted('"'), quoted('`')) {
            (Some(text), _) => (Kind::Str, text),
            (_, Some(text)) => (Kind::Command, text),
            _ => (number_kind(value).unwrap_or(Kind::Word), value.as_str()),
        };
        Lexeme { kind, text, span }
    }

    /// The span of the token before this one.
    pub(super) fn last_span(&self) -> Span {
        self.token(self.at.saturating_sub(1)).span
    }

    pub(super) fn bump(&mut self) {
        self.at = (self.at + 1).min(self.tokens.len().saturating_sub(1));
        self.expected.clear();
    }

    /// Leaves all tokens behind that start before the offset `end`.
    pub(super) fn bump_to(&mut self, end: u32) {
        while self.look().kind != Kind::End && self.look().span.start < end {
            self.bump();
        }
    }

    /// Notes what may stand here, for the error if nothing does.
    fn hope(&mut self, what: Hope) {
        if !self.expected.contains(&what) {
            self.expected.push(what);
        }
    }

    pub(super) fn eat(&mut self, kind: Kind) -> Option<Lexeme<'a>> {
        let lexeme = self.look();
        if lexeme.kind == kind {
            // The end stays, so that every later question finds it again.
            if kind != Kind::End {
                self.bump();
            }
            return Some(lexeme);
        }
        self.hope(Hope::Thing(kind_name(kind)));
        None
    }

    pub(super) fn sees_punct(&self, c: char) -> bool {
        self.look().kind == Kind::Punct(c)
    }

    pub(super) fn eat_punct(&mut self, c: char) -> bool {
        let found = self.sees_punct(c);
        if found {
            self.bump();
        } else {
            self.hope(Hope::Sign(c));
        }
        found
    }

    pub(super) fn punct(&mut self, c: char) -> Result<Span, ParseError> {
        let span = self.look().span;
        if self.eat_punct(c) {
            Ok(span)
        } else {
            Err(self.unexpected())
        }
    }

    pub(super) fn sees_word(&self, word: &str) -> bool {
        let lexeme = self.look();
        lexeme.kind == Kind::Word && lexeme.text == word
    }

    pub(super) fn eat_word(&mut self, word: &'static str) -> Option<Span> {
        let span = self.look().span;
        if self.sees_word(word) {
            self.bump();
            return Some(span);
        }
        self.hope(Hope::Word(word));
        None
    }

    pub(super) fn word(&mut self, word: &'static str) -> Result<Span, ParseError> {
        self.eat_word(word).ok_or_else(|| self.unexpected())
    }

    /// A number from 0 to `max`; `what` names it in errors.
    pub(super) fn number(&mut self, what: &str, max: u64) -> Result<Spanned<u64>, ParseError> {
        let lexeme = self.look();
        let Some(value) = integer(lexeme) else {
            let wanted = format!("{what} (0 to {max})");
            let number = matches!(
                lexeme.kind,
                Kind::Int | Kind::Hex | Kind::Octal | Kind::Float
            );
            return Err(match number {
                true => self.out_of_range(lexeme.span, &wanted),
                false => self.wanted(&wanted),
            });
        };
        match u64::try_from(value) {
            Ok(value) if value <= max => {
                self.bump();
                Ok(Spanned::new(value, lexeme.span))
            }
            _ => Err(self.out_of_range(lexeme.span, &format!("{what} (0 to {max})"))),
        }
    }

    pub(super) fn number_u8(&mut self, what: &str, max: u8) -> Result<Spanned<u8>, ParseError> {
        let number = self.number(what, u64::from(max))?;
        Ok(Spanned::new(
            u8::try_from(number.value).unwrap_or(max),
            number.span,
        ))
    }

    pub(super) fn number_u16(&mut self, what: &str) -> Result<Spanned<u16>, ParseError> {
        let number = self.number(what, u64::from(u16::MAX))?;
        Ok(Spanned::new(
            u16::try_from(number.value).unwrap_or(u16::MAX),
            number.span,
        ))
    }

    pub(super) fn number_u32(&mut self, what: &str, max: u32) -> Result<Spanned<u32>, ParseError> {
        let number = self.number(what, u64::from(max))?;
        Ok(Spanned::new(
            u32::try_from(number.value).unwrap_or(max),
            number.span,
        ))
    }

    /// Reads `inside` one level deeper.
    pub(super) fn nested<T>(
        &mut self,
        inside: impl FnOnce(&mut Self) -> Result<T, ParseError>,
    ) -> Result<T, ParseError> {
        if self.depth >= MAX_DEPTH {
            let wanted = format!("at most {MAX_DEPTH} levels of nesting");
            return Err(self.wrong(Cause::TooDeep, self.look().span, &wanted));
        }
        self.depth += 1;
        let result = inside(self);
        self.depth -= 1;
        result
    }

    /// Skips a balanced group whose opening character is the next token; gives the text inside.
    pub(super) fn group(&mut self) -> Result<Spanned<&'a str>, ParseError> {
        let open = self.look().span;
        let mut closing = Vec::new();
        loop {
            let lexeme = self.look();
            match lexeme.kind {
                Kind::Punct('(') => closing.push(')'),
                Kind::Punct('[') => closing.push(']'),
                Kind::Punct('{') => closing.push('}'),
                Kind::Punct(c @ (')' | ']' | '}')) => {
                    let wanted = closing.pop().unwrap_or(c);
                    if wanted != c {
                        return Err(self.only(&format!("`{wanted}`")));
                    }
                }
                Kind::End => {
                    let last = closing.last().copied().unwrap_or(')');
                    return Err(self.only(&format!("`{last}`")));
                }
                _ => {}
            }
            self.bump();
            if closing.is_empty() {
                let text = self
                    .source
                    .get(open.end as usize..lexeme.span.start as usize);
                return Ok(Spanned::new(text.unwrap_or(""), open.to(lexeme.span)));
            }
        }
    }

    /// Something else was expected at this token.
    pub(super) fn unexpected(&self) -> ParseError {
        let hopes = self.expected.iter().map(|hope| match hope {
            Hope::Sign(c) => format!("`{c}`"),
            Hope::Word(word) => format!("`{word}`"),
            Hope::Thing(what) => (*what).to_owned(),
        });
        self.not_one_of(hopes.collect())
    }

    /// [`Self::unexpected`], where `what` may stand here too.
    pub(super) fn wanted(&self, what: &str) -> ParseError {
        let mut error = self.unexpected();
        error.expected.push(what.to_owned());
        error
    }

    /// [`Self::unexpected`], where each of `these` may stand here too.
    pub(super) fn wanted_any(&self, these: &[&str]) -> ParseError {
        let mut error = self.unexpected();
        error
            .expected
            .extend(these.iter().map(|what| (*what).to_owned()));
        error
    }

    /// Only `what` may stand here.
    pub(super) fn only(&self, what: &str) -> ParseError {
        self.not_one_of(vec![what.to_owned()])
    }

    fn not_one_of(&self, expected: Vec<String>) -> ParseError {
        let lexeme = self.look();
        let found = match lexeme.kind {
            Kind::End => "the end of the script".to_owned(),
            Kind::Str => format!("the string {}", quote(lexeme.text)),
            Kind::Command => format!("the command {}", quote(lexeme.text)),
            Kind::Code => "a block of code".to_owned(),
            _ => quote(lexeme.text),
        };
        ParseError::new(Cause::Syntax, self.source, lexeme.span, &found, expected)
    }

    pub(super) fn out_of_range(&self, span: Span, wanted: &str) -> ParseError {
        self.wrong(Cause::OutOfRange, span, wanted)
    }

    /// What stands at `span` should be `wanted`.
    pub(super) fn wrong(&self, cause: Cause, span: Span, wanted: &str) -> ParseError {
        let found = quote(self.source.get(span.range()).unwrap_or(""));
        ParseError::new(cause, self.source, span, &found, vec![wanted.to_owned()])
    }
}

/// The value of a number, if it is one and fits.
pub(super) fn integer(lexeme: Lexeme<'_>) -> Option<i64> {
    match lexeme.kind {
        Kind::Int => lexeme.text.trim_start().parse().ok(),
        Kind::Hex => signed(lexeme.text, 16),
        Kind::Octal => signed(lexeme.text, 8),
        _ => None,
    }
}

/// Digits behind an optional sign and an optional `0x`, as C's `strtol` reads them.
fn signed(text: &str, radix: u32) -> Option<i64> {
    let text = text.trim_start();
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let digits = match radix {
        16 => digits
            .strip_prefix("0x")
            .or_else(|| digits.strip_prefix("0X"))?,
        _ => digits,
    };
    if !digits.starts_with(|c: char| c.is_digit(radix)) {
        return None;
    }
    let value = i64::from_str_radix(digits, radix).ok()?;
    Some(if negative { -value } else { value })
}

/// The kind of a number that `strtol` with base 0 would take whole.
fn number_kind(text: &str) -> Option<Kind> {
    let digits = text.trim_start();
    let digits = digits.strip_prefix(['-', '+']).unwrap_or(digits);
    let kind = if digits.starts_with("0x") || digits.starts_with("0X") {
        Kind::Hex
    } else if digits.len() > 1 && digits.starts_with('0') {
        Kind::Octal
    } else {
        Kind::Int
    };
    let span = Span::default();
    let fits = match kind {
        Kind::Int => digits.starts_with(|c: char| c.is_ascii_digit()),
        _ => true,
    };
    (fits && integer(Lexeme { kind, text, span }).is_some()).then_some(kind)
}

fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Option => "an option line",
        Kind::Int | Kind::Hex | Kind::Octal => "a number",
        Kind::Float => "a number with a point",
        Kind::Word => "a word",
        Kind::Str => "a string",
        Kind::Command => "a command in backticks",
        Kind::Code => "`%{`",
        Kind::Ipv4 => "an IPv4 address",
        Kind::Ipv6 => "an IPv6 address",
        Kind::Ellipsis => "`...`",
        Kind::Punct(_) => "a sign",
        Kind::End => "the end of the script",
    }
}
