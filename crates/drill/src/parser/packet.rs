//! Packet lines, up to the protocol.

use super::cursor::Parser;
use crate::ast::{Body, Direction, ForeignPacket, Packet, Ports, UdpPacket};
use crate::error::ParseError;
use crate::lexer::Kind;
use crate::span::{Span, Spanned};

/// Protocols that are read and not run.
const FOREIGN: [&str; 2] = ["sctp", "udplite"];

impl Parser<'_> {
    /// `dir [outer...] [ipinfo] [encap psp spi N] [sport > dport] ...`
    pub(super) fn packet(&mut self) -> Result<Packet, ParseError> {
        let start = self.look().span;
        let direction = if self.eat_punct('<') {
            Direction::In
        } else {
            self.punct('>')?;
            Direction::Out
        };
        let outer = self.outer(direction)?;
        let ip = self.ip_info(direction)?;
        let psp_spi = match self.eat_word("encap") {
            Some(_) => {
                self.word("psp")?;
                self.word("spi")?;
                Some(self.number_u32("a security parameters index", u32::MAX)?)
            }
            None => None,
        };
        let ports = self.ports()?;
        let body = if self.eat_word("udp").is_some() {
            Body::Udp(self.udp(ports)?)
        } else if ports.is_none() && self.eat_word("icmp").is_some() {
            Body::Icmp(self.icmp()?)
        } else if FOREIGN.iter().any(|protocol| self.sees_word(protocol)) {
            Body::Foreign(self.foreign()?)
        } else {
            Body::Tcp(self.tcp(ports, direction)?)
        };
        Ok(Packet {
            span: start.to(self.last_span()),
            direction,
            outer,
            ip,
            psp_spi,
            body,
        })
    }

    /// `[sport > dport]`
    fn ports(&mut self) -> Result<Option<Ports>, ParseError> {
        // A digit alone may also be the flags: the ACE field.
        if self.look_ahead(1).kind != Kind::Punct('>') {
            return Ok(None);
        }
        self.port_pair().map(Some)
    }

    fn port_pair(&mut self) -> Result<Ports, ParseError> {
        let source = self.number_u16("a source port")?;
        self.punct('>')?;
        let destination = self.number_u16("a destination port")?;
        Ok(Ports {
            source,
            destination,
        })
    }

    fn udp(&mut self, before: Option<Ports>) -> Result<UdpPacket, ParseError> {
        let ports = match before {
            Some(ports) => Some(ports),
            None => self.ports()?,
        };
        self.punct('(')?;
        let length = self.number_u16("a payload length")?;
        self.punct(')')?;
        Ok(UdpPacket { ports, length })
    }

    /// `[/udp(sport > dport)]`
    pub(super) fn in_udp(&mut self) -> Result<Option<Ports>, ParseError> {
        if !self.eat_punct('/') {
            return Ok(None);
        }
        self.word("udp")?;
        self.punct('(')?;
        let ports = self.port_pair()?;
        self.punct(')')?;
        Ok(Some(ports))
    }

    /// A protocol whose chunks are `NAME[...]` lists: skipped as a whole.
    fn foreign(&mut self) -> Result<ForeignPacket, ParseError> {
        let lexeme = self.look();
        let protocol = Spanned::new(lexeme.text.to_owned(), lexeme.span);
        self.bump();
        if self.sees_punct('(') {
            self.group()?;
        }
        self.in_udp()?;
        if self.eat_punct(':') {
            loop {
                self.chunk()?;
                if !self.eat_punct(',') {
                    break;
                }
            }
        }
        let text = Span {
            start: lexeme.span.end,
            end: self.last_span().end,
            ..lexeme.span
        };
        Ok(ForeignPacket {
            protocol,
            text: self.source.get(text.range()).unwrap_or("").to_owned(),
        })
    }

    /// `NAME[...]`, `NAME-NAME[...]` or `[...]`.
    fn chunk(&mut self) -> Result<(), ParseError> {
        if !self.sees_punct('[') {
            self.eat(Kind::Word).ok_or_else(|| self.unexpected())?;
            while self.eat_punct('-') {
                self.eat(Kind::Word).ok_or_else(|| self.unexpected())?;
            }
        }
        if self.sees_punct('[') {
            self.group()?;
        }
        Ok(())
    }
}
