//! Reads a script: one grammar for both dialects, by recursive descent.

mod call;
mod cursor;
mod event;
mod expr;
mod icmp;
mod ip;
mod packet;
mod tcp;
mod tcp_option;

use std::collections::BTreeMap;

use crate::ast::{Command, OptionLine, OptionValue, Script};
use crate::error::ParseError;
use crate::lexer::{Kind, tokens};
use crate::span::Spanned;
use cursor::{Lexeme, Parser};

/// Reads a script.
///
/// `defines` are the symbols of the command line (`-D NAME=VALUE`); they win over the script's own
/// `--define` lines. A value in quotes stands for a string, one in backticks for a command, one that C's
/// `strtol` takes whole for a number, any other for a word.
///
/// # Errors
///
/// The first mistake in the script: see [`ParseError`].
pub fn parse(source: &str, defines: &BTreeMap<String, String>) -> Result<Script, ParseError> {
    let tokens = tokens(source)?;
    let none = BTreeMap::new();
    let mut head = Parser::new(source, &tokens, &none);
    let options = head.options()?;
    let mut symbols = BTreeMap::new();
    for option in &options {
        if let (
            name,
            Some(OptionValue::Define {
                name: symbol,
                value,
            }),
        ) = (
            option.name.value.as_str(),
            option.value.as_ref().map(|value| &value.value),
        ) && name == "define"
        {
            symbols.insert(symbol.clone(), value.clone());
        }
    }
    symbols.extend(
        defines
            .iter()
            .map(|(name, value)| (name.clone(), value.clone())),
    );
    let mut body = head.with_defines(&symbols);
    let init = body.command();
    let events = body.events()?;
    let cleanup = body.command();
    body.end()?;
    Ok(Script {
        options,
        init,
        events,
        cleanup,
        defines: symbols,
    })
}

impl Parser<'_> {
    /// `options*`
    fn options(&mut self) -> Result<Vec<OptionLine>, ParseError> {
        let mut options = Vec::new();
        while let Some(flag) = self.eat(Kind::Option) {
            let name = flag.text.get(2..).unwrap_or("").to_owned();
            let value = if self.eat_punct('=') {
                Some(self.option_value()?)
            } else {
                None
            };
            let span = flag.span.to(self.last_span());
            options.push(OptionLine {
                name: Spanned::new(name, flag.span),
                value,
                span,
            });
        }
        Ok(options)
    }

    fn option_value(&mut self) -> Result<Spanned<OptionValue>, ParseError> {
        let lexeme = self.look();
        let plain = matches!(
            lexeme.kind,
            Kind::Int | Kind::Hex | Kind::Float | Kind::Word | Kind::Str | Kind::Ipv4 | Kind::Ipv6
        );
        if !plain {
            return Err(self.wanted("a value: a number, a word, a string or an address"));
        }
        self.bump();
        if lexeme.kind != Kind::Word || !self.eat_punct('=') {
            let value = OptionValue::Text(lexeme.text.to_owned());
            return Ok(Spanned::new(value, lexeme.span));
        }
        let defined = self.look();
        let value = match defined.kind {
            Kind::Str => format!("\"{}\"", defined.text),
            Kind::Command => format!("`{}`", defined.text),
            Kind::Word | Kind::Int | Kind::Hex | Kind::Float | Kind::Ipv4 | Kind::Ipv6 => {
                defined.text.to_owned()
            }
            _ => return Err(self.wanted("the value of the symbol")),
        };
        self.bump();
        let name = lexeme.text.to_owned();
        Ok(Spanned::new(
            OptionValue::Define { name, value },
            lexeme.span.to(defined.span),
        ))
    }

    fn command(&mut self) -> Option<Command> {
        let Lexeme { text, span, .. } = self.eat(Kind::Command)?;
        Some(Command {
            text: text.to_owned(),
            span,
        })
    }

    fn end(&mut self) -> Result<(), ParseError> {
        match self.eat(Kind::End) {
            Some(_) => Ok(()),
            None => Err(self.unexpected()),
        }
    }
}
