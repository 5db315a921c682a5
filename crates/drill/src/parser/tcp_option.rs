//! TCP options of packet lines.

use super::cursor::Parser;
use super::expr::hex_octets;
use crate::ast::{AccEcnOrder, Cookie, Direction, Md5, SackBlock, TcpOption};
use crate::error::{Cause, ParseError};
use crate::lexer::Kind;
use crate::span::Spanned;

/// The most octets that options can take (RFC 9293 3.1).
const MAX_OPTIONS: usize = 40;
/// A counter of 24 bits (RFC 9768 3.2.3).
const MAX_COUNTER: u32 = 0xff_ffff;
/// A rate of 11 bits.
const MAX_RATE: u64 = 2047;

const OPTION: &str = "an option: `mss`, `wscale`, `sackOK`, `sack`, `TS`, `nop`, `eol`, `md5`, `FO`, `FOEXP`, \
     `exp-FO`, `ECN`, `AccECN0`, `AccECN1`, `exp-AccECN0`, `exp-AccECN1`, `exp-tarr` or `gen-KIND`";

impl Parser<'_> {
    /// Options up to `>`, which is taken too. Their octets fit the header and fill it to a multiple of four.
    pub(super) fn option_list(
        &mut self,
        direction: Direction,
    ) -> Result<Vec<Spanned<TcpOption>>, ParseError> {
        let start = self.look().span;
        let mut list = Vec::new();
        let mut octets = Some(0_usize);
        loop {
            let option = self.tcp_option(direction)?;
            octets = octets
                .zip(option.value.wire_length())
                .map(|(sum, length)| sum + length);
            let too_long = octets.is_some_and(|octets| octets > MAX_OPTIONS);
            let span = start.to(option.span);
            list.push(option);
            if too_long || list.len() > MAX_OPTIONS {
                let wanted = format!("at most {MAX_OPTIONS} octets of options");
                return Err(self.wrong(Cause::OutOfRange, span, &wanted));
            }
            if self.eat_punct('>') {
                break;
            }
            self.punct(',')?;
        }
        match octets {
            Some(octets) if !octets.is_multiple_of(4) => {
                let wanted =
                    format!("options of a multiple of 4 octets, not {octets}: add `nop` or `eol`");
                let last = list.last().map_or(start, |option| option.span);
                Err(self.wrong(Cause::Inconsistent, start.to(last), &wanted))
            }
            _ => Ok(list),
        }
    }

    fn tcp_option(&mut self, direction: Direction) -> Result<Spanned<TcpOption>, ParseError> {
        let name = self.look();
        if name.kind != Kind::Word {
            return Err(self.only(OPTION));
        }
        let option = match name.text {
            "nop" => self.plain(TcpOption::Nop),
            "eol" => self.plain(TcpOption::Eol),
            "sackOK" => self.plain(TcpOption::SackPermitted),
            "mss" => {
                self.bump();
                TcpOption::Mss(self.number_u16("a segment size")?.value)
            }
            "wscale" => {
                self.bump();
                TcpOption::WindowScale(self.number_u8("a shift count", u8::MAX)?.value)
            }
            "sack" => self.sack()?,
            "TS" => self.timestamp(direction)?,
            "md5" => self.md5()?,
            "FO" => self.fast_open(false)?,
            "FOEXP" | "exp-FO" => self.fast_open(true)?,
            "ECN" => self.ecn()?,
            "AccECN0" => self.acc_ecn(AccEcnOrder::E0First, false)?,
            "AccECN1" => self.acc_ecn(AccEcnOrder::E1First, false)?,
            "exp-AccECN0" => self.acc_ecn(AccEcnOrder::E0First, true)?,
            "exp-AccECN1" => self.acc_ecn(AccEcnOrder::E1First, true)?,
            "exp-tarr" => self.ack_rate()?,
            _ => self.generic()?,
        };
        Ok(Spanned::new(option, name.span.to(self.last_span())))
    }

    fn plain(&mut self, option: TcpOption) -> TcpOption {
        self.bump();
        option
    }

    fn sack(&mut self) -> Result<TcpOption, ParseError> {
        self.bump();
        let mut blocks = Vec::new();
        // What is too long is refused when the list is added up.
        while blocks.is_empty() || (self.sees_number() && blocks.len() <= MAX_OPTIONS / 8) {
            let left = self.number_u32("a left edge", u32::MAX)?.value;
            self.punct(':')?;
            let right = self.number_u32("a right edge", u32::MAX)?.value;
            blocks.push(SackBlock { left, right });
        }
        Ok(TcpOption::Sack(blocks))
    }

    fn sees_number(&self) -> bool {
        matches!(self.look().kind, Kind::Int | Kind::Hex | Kind::Octal)
    }

    fn timestamp(&mut self, direction: Direction) -> Result<TcpOption, ParseError> {
        self.bump();
        self.word("val")?;
        let any = self.eat(Kind::Ellipsis);
        let value = match any {
            Some(any) if direction == Direction::In => {
                let wanted = "the timestamp of an injected packet";
                return Err(self.wrong(Cause::Misplaced, any.span, wanted));
            }
            Some(_) => None,
            None => Some(self.number_u32("a timestamp", u32::MAX)?.value),
        };
        self.word("ecr")?;
        let echo = self.number_u32("a timestamp", u32::MAX)?.value;
        Ok(TcpOption::Timestamp {
            value,
            echo,
            echo_absolute: self.eat_punct('!'),
        })
    }

    fn md5(&mut self) -> Result<TcpOption, ParseError> {
        self.bump();
        if self.eat_word("valid").is_some() {
            return Ok(TcpOption::Md5(Md5::Valid));
        }
        let digest = hex_octets(self.look().text).and_then(|octets| octets.try_into().ok());
        let Some(digest) = digest.filter(|_| self.sees_blob()) else {
            return Err(self.only("`valid` or a digest of 32 hexadecimal digits"));
        };
        self.bump();
        Ok(TcpOption::Md5(Md5::Digest(digest)))
    }

    /// Whether a word of hexadecimal digits may stand here: it can look like a number.
    fn sees_blob(&self) -> bool {
        matches!(self.look().kind, Kind::Word | Kind::Int | Kind::Octal)
    }

    fn fast_open(&mut self, experimental: bool) -> Result<TcpOption, ParseError> {
        self.bump();
        let lexeme = self.look();
        if !self.sees_blob() {
            return Ok(TcpOption::FastOpen {
                cookie: Cookie::Request,
                experimental,
            });
        }
        let looks_hex = lexeme.text.chars().all(|c| c.is_ascii_hexdigit());
        let cookie = match hex_octets(lexeme.text) {
            Some(octets) => Cookie::Octets(octets),
            None if looks_hex || lexeme.kind != Kind::Word => {
                let wanted = "a cookie: an even number of hexadecimal digits";
                return Err(self.wrong(Cause::Inconsistent, lexeme.span, wanted));
            }
            None => Cookie::Named(lexeme.text.to_owned()),
        };
        self.bump();
        Ok(TcpOption::FastOpen {
            cookie,
            experimental,
        })
    }

    /// `ECN [e0b N [ceb N [e1b N]]]`, where the first counter decides the order.
    fn ecn(&mut self) -> Result<TcpOption, ParseError> {
        self.bump();
        let order = match self.look().text {
            "e1b" | "ee1b" => AccEcnOrder::E1First,
            _ => AccEcnOrder::E0First,
        };
        self.counters(order, false)
    }

    fn acc_ecn(&mut self, order: AccEcnOrder, experimental: bool) -> Result<TcpOption, ParseError> {
        self.bump();
        self.counters(order, experimental)
    }

    fn counters(
        &mut self,
        order: AccEcnOrder,
        experimental: bool,
    ) -> Result<TcpOption, ParseError> {
        let names = match order {
            AccEcnOrder::E0First => [("e0b", "ee0b"), ("ceb", "eceb"), ("e1b", "ee1b")],
            AccEcnOrder::E1First => [("e1b", "ee1b"), ("ceb", "eceb"), ("e0b", "ee0b")],
        };
        let mut counters = Vec::new();
        for (google, nplab) in names {
            if self.eat_word(google).is_none() && self.eat_word(nplab).is_none() {
                break;
            }
            counters.push(self.number_u32("a counter", MAX_COUNTER)?.value);
        }
        Ok(TcpOption::AccEcn {
            order,
            counters,
            experimental,
        })
    }

    fn ack_rate(&mut self) -> Result<TcpOption, ParseError> {
        self.bump();
        if !self.sees_number() {
            return Ok(TcpOption::AckRate(None));
        }
        let rate = self.number("a rate", MAX_RATE)?.value;
        Ok(TcpOption::AckRate(u16::try_from(rate).ok()))
    }

    /// `gen-KIND [hex]`
    fn generic(&mut self) -> Result<TcpOption, ParseError> {
        let lexeme = self.look();
        let Some(kind) = lexeme.text.strip_prefix("gen-") else {
            return Err(self.only(OPTION));
        };
        let number = match kind.strip_prefix("0x") {
            Some(digits) => u8::from_str_radix(digits, 16),
            None => kind.parse(),
        };
        let Ok(kind) = number else {
            return Err(self.out_of_range(lexeme.span, "`gen-` and a kind (0 to 255)"));
        };
        self.bump();
        if !self.sees_blob() && self.look().kind != Kind::Hex {
            return Ok(TcpOption::Generic {
                kind,
                data: Vec::new(),
            });
        }
        let text = self.look().text;
        let Some(data) = hex_octets(text.strip_prefix("0x").unwrap_or(text)) else {
            return Err(self.only("an even number of hexadecimal digits"));
        };
        self.bump();
        Ok(TcpOption::Generic { kind, data })
    }
}
