//! What packet lines say of IP headers, and the headers around a packet.

use core::net::{Ipv4Addr, Ipv6Addr};

use super::cursor::Parser;
use crate::ast::{Direction, Encapsulation, IpEcn, IpInfo, MplsLabel};
use crate::error::{Cause, ParseError};
use crate::lexer::Kind;
use crate::span::{Span, Spanned};

/// Names of code points (RFC 2474, RFC 2597, RFC 3246, RFC 5865, RFC 8622).
const CODE_POINTS: [(&str, u8); 24] = [
    ("cs0", 0),
    ("le", 1),
    ("cs1", 8),
    ("af11", 10),
    ("af12", 12),
    ("af13", 14),
    ("cs2", 16),
    ("af21", 18),
    ("af22", 20),
    ("af23", 22),
    ("cs3", 24),
    ("af31", 26),
    ("af32", 28),
    ("af33", 30),
    ("cs4", 32),
    ("af41", 34),
    ("af42", 36),
    ("af43", 38),
    ("cs5", 40),
    ("voice-admit", 44),
    ("voice_admit", 44),
    ("ef", 46),
    ("cs6", 48),
    ("cs7", 56),
];

/// A label of 20 bits (RFC 8200 3, RFC 3032 2.1).
const MAX_LABEL: u32 = 0xf_ffff;

impl Parser<'_> {
    /// `[(info)]`, in parentheses or brackets.
    pub(super) fn ip_info(&mut self, direction: Direction) -> Result<IpInfo, ParseError> {
        let mut info = IpInfo::default();
        let closing = if self.eat_punct('(') {
            ')'
        } else if self.eat_punct('[') {
            ']'
        } else {
            return Ok(info);
        };
        loop {
            self.ip_item(&mut info)?;
            if self.eat_punct(closing) {
                break;
            }
            self.punct(',')?;
        }
        match info.ecn {
            Some(ecn) if ecn.value == IpEcn::Ect0Or1 && direction == Direction::In => {
                let wanted = "one of `noecn`, `ect0`, `ect1` or `ce` in an injected packet";
                Err(self.wrong(Cause::Misplaced, ecn.span, wanted))
            }
            _ => Ok(info),
        }
    }

    fn ip_item(&mut self, info: &mut IpInfo) -> Result<(), ParseError> {
        let start = self.look().span;
        let fresh = if self.eat_word("tos").is_some() || self.eat_word("class").is_some() {
            let tos = self.number_u8("a type of service", u8::MAX)?;
            info.dscp.is_none() && info.ecn.is_none() && info.tos.replace(tos).is_none()
        } else if self.eat_word("ttl").is_some() {
            info.ttl
                .replace(self.number_u8("a time to live", u8::MAX)?)
                .is_none()
        } else if self.eat_word("hlim").is_some() {
            info.ttl
                .replace(self.number_u8("a hop limit", u8::MAX)?)
                .is_none()
        } else if self.eat_word("flowlabel").is_some() {
            info.flow_label
                .replace(self.number_u32("a flow label", MAX_LABEL)?)
                .is_none()
        } else if self.eat_word("dscp").is_some() {
            let dscp = self.code_point()?;
            info.tos.is_none() && info.dscp.replace(dscp).is_none()
        } else {
            if self.eat_word("ecn").is_none() {
                self.eat_word("ECN");
            }
            let ecn = self.ip_ecn()?;
            info.tos.is_none() && info.ecn.replace(ecn).is_none()
        };
        if fresh {
            return Ok(());
        }
        let span = start.to(self.last_span());
        Err(self.wrong(
            Cause::Inconsistent,
            span,
            "each part of the IP header only once",
        ))
    }

    fn ip_ecn(&mut self) -> Result<Spanned<IpEcn>, ParseError> {
        let names = [
            ("noecn", IpEcn::NotEct),
            ("ect0", IpEcn::Ect0),
            ("ect1", IpEcn::Ect1),
            ("ce", IpEcn::Ce),
            ("ect01", IpEcn::Ect0Or1),
        ];
        for (name, value) in names {
            if let Some(span) = self.eat_word(name) {
                return Ok(Spanned::new(value, span));
            }
        }
        Err(self.unexpected())
    }

    fn code_point(&mut self) -> Result<Spanned<u8>, ParseError> {
        let lexeme = self.look();
        if lexeme.kind != Kind::Word {
            return self.number_u8("a code point", 63);
        }
        let named = CODE_POINTS
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(lexeme.text));
        let Some((_, value)) = named else {
            return Err(self.only("a code point such as `cs1`, `af11`, `ef` or 0x2e"));
        };
        self.bump();
        Ok(Spanned::new(*value, lexeme.span))
    }

    /// The headers around a packet, outermost first.
    pub(super) fn outer(&mut self, way: Direction) -> Result<Vec<Encapsulation>, ParseError> {
        let mut outer = Vec::new();
        loop {
            if self.eat_word("ipv4").is_some() {
                let ip = self.ip_info(way)?;
                let source = self.ipv4()?;
                self.punct('>')?;
                let destination = self.ipv4()?;
                outer.push(Encapsulation::Ipv4 {
                    ip,
                    source,
                    destination,
                });
            } else if self.eat_word("ipv6").is_some() {
                let ip = self.ip_info(way)?;
                let source = self.ipv6()?;
                self.punct('>')?;
                let destination = self.ipv6()?;
                outer.push(Encapsulation::Ipv6 {
                    ip,
                    source,
                    destination,
                });
            } else if self.eat_word("gre").is_some() || self.eat_word("GREv0").is_some() {
                outer.push(Encapsulation::Gre(self.gre()));
            } else if self.eat_word("mpls").is_some() {
                outer.push(Encapsulation::Mpls(self.mpls()?));
            } else {
                return Ok(outer);
            }
            self.punct(':')?;
        }
    }

    fn ipv4(&mut self) -> Result<Spanned<Ipv4Addr>, ParseError> {
        let lexeme = self.eat(Kind::Ipv4).ok_or_else(|| self.unexpected())?;
        let address = lexeme.text.parse().unwrap_or(Ipv4Addr::UNSPECIFIED);
        Ok(Spanned::new(address, lexeme.span))
    }

    fn ipv6(&mut self) -> Result<Spanned<Ipv6Addr>, ParseError> {
        let lexeme = self.eat(Kind::Ipv6).ok_or_else(|| self.unexpected())?;
        let address = lexeme.text.parse().unwrap_or(Ipv6Addr::UNSPECIFIED);
        Ok(Spanned::new(address, lexeme.span))
    }

    /// The fields of a GRE header, raw: no TCP script has them.
    fn gre(&mut self) -> Spanned<String> {
        if self.sees_punct(',') {
            self.bump();
        }
        let first = self.look().span;
        let mut last = Span {
            end: first.start,
            ..first
        };
        while !self.sees_punct(':') && self.look().kind != Kind::End {
            last = self.look().span;
            self.bump();
        }
        let span = Span {
            end: last.end,
            ..first
        };
        Spanned::new(self.source.get(span.range()).unwrap_or("").to_owned(), span)
    }

    fn mpls(&mut self) -> Result<Vec<MplsLabel>, ParseError> {
        let mut labels = Vec::new();
        while self.eat_punct('(') {
            self.word("label")?;
            let label = self.number_u32("a label", MAX_LABEL)?.value;
            self.punct(',')?;
            self.word("tc")?;
            let traffic_class = self.number_u8("a traffic class", 7)?.value;
            self.punct(',')?;
            let bottom = self.eat_punct('[');
            if bottom {
                self.word("S")?;
                self.punct(']')?;
                self.punct(',')?;
            }
            self.word("ttl")?;
            let ttl = self.number_u8("a time to live", u8::MAX)?.value;
            self.punct(')')?;
            labels.push(MplsLabel {
                label,
                traffic_class,
                bottom,
                ttl,
            });
        }
        Ok(labels)
    }
}
