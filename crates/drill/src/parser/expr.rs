//! Arguments of system calls: everything between two `|`.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::cursor::{Parser, integer};
use crate::ast::{Expr, ExprKind, Field};
use crate::error::{Cause, ParseError};
use crate::lexer::Kind;
use crate::span::{Span, Spanned};

const INTEGER: &str = "a number of 64 bits with a sign";

impl Parser<'_> {
    pub(super) fn operand(&mut self) -> Result<Expr, ParseError> {
        let lexeme = self.look();
        let span = lexeme.span;
        let kind = match lexeme.kind {
            Kind::Ellipsis => {
                self.bump();
                ExprKind::Ellipsis
            }
            Kind::Int | Kind::Hex | Kind::Octal => {
                let Some(value) = integer(lexeme) else {
                    return Err(self.out_of_range(span, INTEGER));
                };
                self.bump();
                ExprKind::Int {
                    value,
                    hex: lexeme.kind == Kind::Hex,
                }
            }
            Kind::Str => self.string(),
            Kind::Ipv4 | Kind::Ipv6 => {
                let Ok(address) = lexeme.text.parse() else {
                    return Err(self.unexpected());
                };
                self.bump();
                ExprKind::Address(address)
            }
            Kind::Word => return self.word_or_function(),
            Kind::Punct('[') => {
                self.bump();
                ExprKind::List(self.expressions(']')?)
            }
            Kind::Punct('{') => return self.structure(),
            _ => return Err(self.wanted("an argument: a number, name, string, list or structure")),
        };
        Ok(Expr {
            kind,
            span: span.to(self.last_span()),
        })
    }

    /// Adjacent strings are one; `...` behind them means that only the start is given.
    fn string(&mut self) -> ExprKind {
        let mut text = String::new();
        while let Some(part) = self.eat(Kind::Str) {
            text.push_str(part.text);
        }
        match self.eat(Kind::Ellipsis) {
            Some(_) => ExprKind::Prefix(text),
            None => ExprKind::Str(text),
        }
    }

    /// `NAME`, `NAME = value` or `name(arguments)`.
    fn word_or_function(&mut self) -> Result<Expr, ParseError> {
        let lexeme = self.look();
        let name = Spanned::new(lexeme.text.to_owned(), lexeme.span);
        self.bump();
        let kind = if self.eat_punct('(') {
            let arguments = self.expressions(')')?;
            self.check_function(&name.value, &arguments)?;
            ExprKind::Function(name, arguments)
        } else if self.eat_punct('=') {
            let value = if name.value == "psk" {
                self.key()?
            } else {
                self.expression()?
            };
            ExprKind::Assign(name, Box::new(value))
        } else {
            ExprKind::Word(name.value)
        };
        Ok(Expr {
            kind,
            span: lexeme.span.to(self.last_span()),
        })
    }

    /// A key in hexadecimal, which may look like a number that is too large.
    fn key(&mut self) -> Result<Expr, ParseError> {
        let lexeme = self.look();
        if !matches!(lexeme.kind, Kind::Int | Kind::Word) {
            return self.expression();
        }
        self.bump();
        Ok(Expr {
            kind: ExprKind::Word(lexeme.text.to_owned()),
            span: lexeme.span,
        })
    }

    /// Ports and addresses are checked where they are read: nothing else says where they stand.
    fn check_function(&self, name: &str, arguments: &[Expr]) -> Result<(), ParseError> {
        let Some(last) = arguments.last() else {
            return Ok(());
        };
        match (name, last.int(), last.text()) {
            ("htons", Some(port), _) if u16::try_from(port).is_err() => {
                Err(self.out_of_range(last.span, "a port (0 to 65535)"))
            }
            ("htonl", Some(value), _) if u32::try_from(value).is_err() => {
                Err(self.out_of_range(last.span, "a number (0 to 4294967295)"))
            }
            ("inet_addr", _, Some(text)) if text.parse::<IpAddr>().is_err() => {
                Err(self.wrong(Cause::Syntax, last.span, "an IP address in quotes"))
            }
            ("inet6_addr", _, Some(text)) if text.parse::<Ipv6Addr>().is_err() => {
                Err(self.wrong(Cause::Syntax, last.span, "an IPv6 address in quotes"))
            }
            _ => Ok(()),
        }
    }

    fn structure(&mut self) -> Result<Expr, ParseError> {
        let open = self.look().span;
        // An MPLS stack or a GRE header: no TCP script has them, and they have a form of their own.
        let second = self.look_ahead(1);
        let header =
            matches!(second.text, "flags" | "Flags") && self.look_ahead(2).kind != Kind::Punct('=');
        if second.kind == Kind::Punct('(') || (second.kind == Kind::Word && header) {
            let group = self.group()?;
            let kind = ExprKind::Opaque(group.value.to_owned());
            return Ok(Expr {
                kind,
                span: group.span,
            });
        }
        self.bump();
        let mut fields = Vec::new();
        if !self.eat_punct('}') {
            loop {
                fields.push(self.field()?);
                if self.eat_punct('}') {
                    break;
                }
                self.punct(',')?;
            }
        }
        self.check_family(&fields)?;
        Ok(Expr {
            kind: ExprKind::Struct(fields),
            span: open.to(self.last_span()),
        })
    }

    /// `name=value`, `name(count)=value` or a value alone.
    fn field(&mut self) -> Result<Field, ParseError> {
        let value = self.expression()?;
        match value.kind {
            ExprKind::Assign(name, inner) => Ok(Field {
                name: Some(name),
                count: None,
                value: *inner,
            }),
            ExprKind::Function(name, mut arguments) if self.sees_punct('=') => {
                self.bump();
                let count = arguments.pop();
                if !arguments.is_empty() {
                    let wanted = "one count";
                    return Err(self.wrong(Cause::Syntax, value.span, wanted));
                }
                Ok(Field {
                    name: Some(name),
                    count,
                    value: self.expression()?,
                })
            }
            kind => Ok(Field {
                name: None,
                count: None,
                value: Expr { kind, ..value },
            }),
        }
    }

    /// An address must be one of its family.
    fn check_family(&self, fields: &[Field]) -> Result<(), ParseError> {
        let named = |wanted: &str| {
            let is = |f: &&Field| f.name.as_ref().is_some_and(|name| name.value == wanted);
            fields.iter().find(is).map(|field| &field.value)
        };
        let (Some(family), Some(address)) = (named("sa_family"), named("sin_addr")) else {
            return Ok(());
        };
        let ExprKind::Function(_, arguments) = &address.kind else {
            return Ok(());
        };
        let Some(text) = arguments.last().and_then(Expr::text) else {
            return Ok(());
        };
        let sound = match family.word() {
            Some("AF_INET") => text.parse::<Ipv4Addr>().is_ok(),
            Some("AF_INET6") => text.parse::<Ipv6Addr>().is_ok(),
            _ => true,
        };
        if sound {
            return Ok(());
        }
        let wanted = format!("an address of the family {family}");
        Err(self.wrong(Cause::Inconsistent, address.span, &wanted))
    }
}

/// Octets in hexadecimal: two digits each.
pub(super) fn hex_octets(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    let value = |digit: u8| {
        char::from(digit)
            .to_digit(16)
            .and_then(|d| u8::try_from(d).ok())
    };
    let octet = |pair: &[u8]| match pair {
        [high, low] => Some(value(*high)? << 4 | value(*low)?),
        _ => None,
    };
    digits.chunks(2).map(octet).collect()
}

/// The span of the character at `index` in a text without line ends that starts at `span`.
pub(super) fn char_span(span: Span, text: &str, index: usize) -> Span {
    let before: usize = text.chars().take(index).map(char::len_utf8).sum();
    let length = text.chars().nth(index).map_or(1, char::len_utf8);
    let start = span.start + u32::try_from(before).unwrap_or(0);
    Span {
        line: span.line,
        column: span.column + u32::try_from(index).unwrap_or(0),
        start,
        end: start + u32::try_from(length).unwrap_or(1),
    }
}
