//! ICMP messages.

use super::cursor::Parser;
use crate::ast::{IcmpPacket, Quoted};
use crate::error::ParseError;
use crate::lexer::Kind;
use crate::span::Spanned;

impl Parser<'_> {
    /// `TYPE [CODE] [mtu N] [id N] [[quoted]]`
    pub(super) fn icmp(&mut self) -> Result<IcmpPacket, ParseError> {
        let Some(kind) = self.eat(Kind::Word) else {
            return Err(self.only("the name of an ICMP type, or `type_N`"));
        };
        let kind = Spanned::new(kind.text.to_owned(), kind.span);
        let code = match self.sees_word("mtu") || self.sees_word("id") {
            true => None,
            false => self
                .eat(Kind::Word)
                .map(|c| Spanned::new(c.text.to_owned(), c.span)),
        };
        let mtu = match self.eat_word("mtu") {
            Some(_) => Some(self.number_u32("an MTU", u32::MAX)?),
            None => None,
        };
        let id = match self.eat_word("id") {
            Some(_) => Some(self.number_u16("an identifier")?),
            None => None,
        };
        let mut message = IcmpPacket {
            kind,
            code,
            mtu,
            id,
            quoted: None,
            udp: None,
        };
        let open = self.look().span;
        if self.eat_punct('[') {
            let quoted = self.quoted()?;
            message.udp = self.in_udp()?;
            let span = open.to(self.punct(']')?);
            message.quoted = Some(Spanned::new(quoted, span));
        }
        Ok(message)
    }

    fn quoted(&mut self) -> Result<Quoted, ParseError> {
        if self.eat_word("udp").is_some() {
            Ok(Quoted::Udp(self.payload_length()?))
        } else if self.eat_word("raw").is_some() {
            Ok(Quoted::Raw(self.payload_length()?))
        } else {
            Ok(Quoted::Tcp(self.seq()?.value))
        }
    }
}
