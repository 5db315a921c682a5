//! System calls.

use super::cursor::Parser;
use crate::ast::{Call, Expr, ExprKind, Micros, When};
use crate::error::{Cause, ParseError};
use crate::lexer::Kind;
use crate::span::Spanned;

impl Parser<'_> {
    /// `[...T2] name(arguments) = result [ERRNO [(note)]] [(note)]`
    pub(super) fn call(&mut self, starts: When) -> Result<Call, ParseError> {
        let returns = match self.eat(Kind::Ellipsis) {
            Some(_) => Some(self.returns(starts)?),
            None => None,
        };
        let Some(name) = self.eat(Kind::Word) else {
            return Err(self.only("the name of a system call"));
        };
        self.punct('(')?;
        let arguments = self.expressions(')')?;
        self.punct('=')?;
        let result = self.expression()?;
        let errno = self.eat(Kind::Word);
        let mut note = self.note()?;
        if errno.is_some()
            && let Some(second) = self.note()?
        {
            note = Some(second);
        }
        let name = Spanned::new(name.text.to_owned(), name.span);
        let errno = errno.map(|word| Spanned::new(word.text.to_owned(), word.span));
        Ok(Call {
            returns,
            name,
            arguments,
            result,
            errno,
            note,
        })
    }

    /// The return time of a blocking call, on the base of its start.
    fn returns(&mut self, starts: When) -> Result<Spanned<Micros>, ParseError> {
        let returns = self.time()?;
        match starts {
            When::Absolute(start) | When::Relative(start) if returns.value < start => {
                let wanted = format!(
                    "a time not before {}, when the call starts",
                    When::Absolute(start)
                );
                Err(self.wrong(Cause::Inconsistent, returns.span, &wanted))
            }
            _ => Ok(returns),
        }
    }

    /// A remark in parentheses.
    fn note(&mut self) -> Result<Option<Spanned<String>>, ParseError> {
        if !self.sees_punct('(') {
            self.eat_punct('(');
            return Ok(None);
        }
        let group = self.group()?;
        Ok(Some(Spanned::new(
            group.value.trim().to_owned(),
            group.span,
        )))
    }

    /// Expressions up to `closing`, which is taken too.
    pub(super) fn expressions(&mut self, closing: char) -> Result<Vec<Expr>, ParseError> {
        let mut list = Vec::new();
        if self.eat_punct(closing) {
            return Ok(list);
        }
        loop {
            list.push(self.expression()?);
            if self.eat_punct(closing) {
                return Ok(list);
            }
            self.punct(',')?;
        }
    }

    /// An argument: operands joined by `|`.
    pub(super) fn expression(&mut self) -> Result<Expr, ParseError> {
        self.nested(|parser| {
            let first = parser.operand()?;
            if !parser.eat_punct('|') {
                return Ok(first);
            }
            let start = first.span;
            let mut operands = vec![first];
            loop {
                operands.push(parser.operand()?);
                if !parser.eat_punct('|') {
                    let span = start.to(parser.last_span());
                    return Ok(Expr {
                        kind: ExprKind::Or(operands),
                        span,
                    });
                }
            }
        })
    }
}
