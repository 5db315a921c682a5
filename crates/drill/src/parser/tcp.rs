//! TCP segments: flags, sequence numbers and the rest of the header.

use super::cursor::Parser;
use super::expr::char_span;
use crate::ast::{Direction, EcnFlags, Flags, Options, Ports, Seq, TcpPacket};
use crate::error::{Cause, ParseError};
use crate::lexer::Kind;
use crate::span::{Span, Spanned};

const FLAGS: &str = "flags: letters of `.FSRPUEWA`, a digit 0 to 7 for ACE, or `-` for none";
const WINDOW: &str = "a window";

impl Parser<'_> {
    /// `FLAGS SEQ [ack N] [win N] [urg N] [<options>] [/udp(s > d)]`
    pub(super) fn tcp(
        &mut self,
        ports: Option<Ports>,
        direction: Direction,
    ) -> Result<TcpPacket, ParseError> {
        let flags = self.flags()?;
        let seq = self.seq()?;
        if matches!(seq.value, Seq::Any { .. }) && direction == Direction::In {
            let wanted = "the sequence numbers of an injected packet";
            return Err(self.wrong(Cause::Misplaced, seq.span, wanted));
        }
        let ack = match self.eat_word("ack") {
            Some(_) => Some(self.number_u32("an acknowledgment number", u32::MAX)?),
            None => None,
        };
        let window = match self.eat_word("win") {
            Some(_) => Some(self.number_u16(WINDOW)?),
            None if direction == Direction::In => {
                return Err(self.only("`win`: an injected packet states its window"));
            }
            None => None,
        };
        let urgent = match self.eat_word("urg") {
            Some(_) => Some(self.number_u16("an urgent pointer")?),
            None => None,
        };
        let options = self.tcp_options(direction)?;
        let udp = self.in_udp()?;
        Ok(TcpPacket {
            ports,
            flags,
            seq,
            ack,
            window,
            urgent,
            options,
            udp,
        })
    }

    /// The flags are read from the source itself: `.5` is a number to the lexer, `P5.` a word and a point.
    fn flags(&mut self) -> Result<Spanned<Flags>, ParseError> {
        let lexeme = self.look();
        if self.eat_punct('-') {
            return Ok(Spanned::new(Flags::default(), lexeme.span));
        }
        let start = lexeme.span.start as usize;
        let rest = self.source.get(start..).unwrap_or("");
        let is_part = |c: char| c == '.' || c == '_' || c.is_ascii_alphanumeric();
        let length = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        let end = lexeme.span.start + u32::try_from(length).unwrap_or(0);
        // A symbol may stand for all of the flags.
        let whole = lexeme.kind == Kind::Word && lexeme.span.end == end;
        let text = if whole {
            lexeme.text
        } else {
            rest.get(..length).unwrap_or("")
        };
        if text.is_empty() || lexeme.span.end > end {
            return Err(self.only(FLAGS));
        }
        let span = Span { end, ..lexeme.span };
        let mut flags = Flags::default();
        for (index, letter) in text.chars().enumerate() {
            let at = if whole && text.len() != length {
                span
            } else {
                char_span(span, text, index)
            };
            if !set_flag(&mut flags, letter) {
                return Err(self.wrong(Cause::Syntax, at, FLAGS));
            }
        }
        if mixes_ecn(text) {
            let wanted = "either the letters E, W and A or one digit, not both";
            return Err(self.wrong(Cause::Inconsistent, span, wanted));
        }
        self.bump_to(end);
        Ok(Spanned::new(flags, span))
    }

    /// `a:b(n)`, `a:b(n)!` or `...(n)`
    pub(super) fn seq(&mut self) -> Result<Spanned<Seq>, ParseError> {
        let start = self.look().span;
        if self.eat(Kind::Ellipsis).is_some() {
            let length = self.payload_length()?;
            return Ok(Spanned::new(
                Seq::Any { length },
                start.to(self.last_span()),
            ));
        }
        let first = self.number_u32("a sequence number", u32::MAX)?;
        self.punct(':')?;
        let end = self.number_u32("a sequence number", u32::MAX)?;
        let length = self.payload_length()?;
        let sum = first.value.wrapping_add(u32::from(length));
        if sum != end.value {
            let wanted = format!("{}:{sum}({length})", first.value);
            return Err(self.wrong(Cause::Inconsistent, start.to(self.last_span()), &wanted));
        }
        let absolute = self.eat_punct('!');
        let seq = Seq::Range {
            start: first.value,
            length,
            absolute,
        };
        Ok(Spanned::new(seq, start.to(self.last_span())))
    }

    /// `(n)`
    pub(super) fn payload_length(&mut self) -> Result<u16, ParseError> {
        self.punct('(')?;
        let length = self.number_u16("a payload length")?.value;
        self.punct(')')?;
        Ok(length)
    }

    /// `[<options>]` or `<...>`
    fn tcp_options(&mut self, direction: Direction) -> Result<Spanned<Options>, ParseError> {
        let open = self.look().span;
        if !self.eat_punct('<') {
            let end = self.last_span().end;
            let none = Span {
                start: end,
                end,
                ..self.last_span()
            };
            return Ok(Spanned::new(Options::Exact(Vec::new()), none));
        }
        if self.eat(Kind::Ellipsis).is_some() {
            let span = open.to(self.punct('>')?);
            if direction == Direction::In {
                let wanted = "the options of an injected packet, or none";
                return Err(self.wrong(Cause::Misplaced, span, wanted));
            }
            return Ok(Spanned::new(Options::Unchecked, span));
        }
        let list = self.option_list(direction)?;
        Ok(Spanned::new(
            Options::Exact(list),
            open.to(self.last_span()),
        ))
    }
}

fn set_flag(flags: &mut Flags, letter: char) -> bool {
    match letter {
        '.' => flags.ack = true,
        'F' => flags.fin = true,
        'S' => flags.syn = true,
        'R' => flags.rst = true,
        'P' => flags.psh = true,
        'U' => flags.urg = true,
        '0'..='7' => {
            let value = letter
                .to_digit(8)
                .and_then(|digit| u8::try_from(digit).ok());
            // A second digit would be the start of a number.
            if matches!(flags.ecn, EcnFlags::Ace(_)) {
                return false;
            }
            flags.ecn = EcnFlags::Ace(value.unwrap_or(0));
        }
        'E' | 'W' | 'A' => {
            if let EcnFlags::Letters { ece, cwr, ae } = &mut flags.ecn {
                match letter {
                    'E' => *ece = true,
                    'W' => *cwr = true,
                    _ => *ae = true,
                }
            }
        }
        _ => return false,
    }
    true
}

fn mixes_ecn(text: &str) -> bool {
    text.contains(['E', 'W', 'A']) && text.contains(|c: char| c.is_ascii_digit())
}
