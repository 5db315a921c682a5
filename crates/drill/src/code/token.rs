//! Splits a code block into tokens.

use super::CodeError;

/// A token of a code block.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    Int(i128),
    Float(f64),
    Text(String),
    Name(String),
    /// An operator or a bracket.
    Op(&'static str),
    /// The end of a statement: a line's end outside of brackets, or `;`.
    End,
}

/// Operators, longer ones first.
const OPERATORS: [&str; 36] = [
    "**", "//=", "<<=", ">>=", "==", "!=", "<>", "<=", ">=", "<<", ">>", "//", "+=", "-=", "*=",
    "/=", "%=", "&=", "|=", "^=", "<", ">", "=", "+", "-", "*", "/", "%", "&", "|", "^", "~", "(",
    ")", ",", ".",
];

/// A token and its line, from 0.
pub(super) type Placed = (Token, u32);

/// Splits `text`; the last token is [`Token::End`].
pub(super) fn tokens(text: &str) -> Result<Vec<Placed>, CodeError> {
    let mut lexer = Lexer {
        rest: text,
        line: 0,
        depth: 0,
        out: Vec::new(),
    };
    while !lexer.rest.is_empty() {
        lexer.step()?;
    }
    lexer.push(Token::End);
    Ok(lexer.out)
}

struct Lexer<'a> {
    rest: &'a str,
    line: u32,
    /// Open brackets: a line's end inside of them ends nothing.
    depth: u32,
    out: Vec<Placed>,
}

impl<'a> Lexer<'a> {
    fn push(&mut self, token: Token) {
        self.out.push((token, self.line));
    }

    fn take(&mut self, octets: usize) -> &'a str {
        let (taken, rest) = self
            .rest
            .split_at_checked(octets)
            .unwrap_or((self.rest, ""));
        self.rest = rest;
        taken
    }

    fn run(&self, test: impl Fn(char) -> bool) -> usize {
        self.rest.find(|c| !test(c)).unwrap_or(self.rest.len())
    }

    fn error(&self, message: impl Into<String>) -> CodeError {
        CodeError::syntax(self.line, message)
    }

    fn step(&mut self) -> Result<(), CodeError> {
        let first = self.rest.chars().next().unwrap_or(' ');
        match first {
            '\n' => {
                self.take(1);
                if self.depth == 0 {
                    self.push(Token::End);
                }
                self.line += 1;
            }
            ';' => {
                self.take(1);
                self.push(Token::End);
            }
            '#' => {
                let length = self.run(|c| c != '\n');
                self.take(length);
            }
            '\\' => self.continuation()?,
            c if c.is_whitespace() => {
                self.take(c.len_utf8());
            }
            '"' | '\'' => self.text(first)?,
            '0'..='9' => self.number()?,
            '.' if self.rest[1..].starts_with(|c: char| c.is_ascii_digit()) => self.number()?,
            c if c.is_ascii_alphabetic() || c == '_' => {
                let length = self.run(|c| c.is_ascii_alphanumeric() || c == '_');
                let name = self.take(length).to_owned();
                self.push(Token::Name(name));
            }
            _ => self.operator()?,
        }
        Ok(())
    }

    /// A backslash at the end of a line.
    fn continuation(&mut self) -> Result<(), CodeError> {
        let blanks = self.rest[1..].find(|c| !matches!(c, ' ' | '\t' | '\r'));
        match blanks {
            Some(blanks) if self.rest[1 + blanks..].starts_with('\n') => {
                self.take(blanks + 2);
                self.line += 1;
                Ok(())
            }
            None => {
                self.rest = "";
                Ok(())
            }
            Some(_) => Err(self.error("a backslash may only end a line")),
        }
    }

    fn text(&mut self, quote: char) -> Result<(), CodeError> {
        let mut text = String::new();
        let mut chars = self.rest.char_indices().skip(1);
        while let Some((at, c)) = chars.next() {
            match c {
                '\n' => break,
                '\\' => match chars.next() {
                    Some((_, 'n')) => text.push('\n'),
                    Some((_, 't')) => text.push('\t'),
                    Some((_, c)) => text.push(c),
                    None => break,
                },
                c if c == quote => {
                    self.take(at + 1);
                    self.push(Token::Text(text));
                    return Ok(());
                }
                c => text.push(c),
            }
        }
        Err(self.error("a string that never ends"))
    }

    fn number(&mut self) -> Result<(), CodeError> {
        let length = self.run(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.'));
        let text: String = self.take(length).chars().filter(|c| *c != '_').collect();
        let lower = text.to_ascii_lowercase();
        let radix = |prefix: &str, radix| {
            let digits = lower.strip_prefix(prefix)?;
            i128::from_str_radix(digits, radix).ok()
        };
        let int = radix("0x", 16)
            .or_else(|| radix("0o", 8))
            .or_else(|| radix("0b", 2))
            .or_else(|| lower.trim_end_matches('l').parse().ok());
        let token = match int {
            Some(value) => Token::Int(value),
            None => match lower.parse::<f64>() {
                Ok(value) if value.is_finite() => Token::Float(value),
                _ => return Err(self.error(format!("`{}` is no number", super::short(&text)))),
            },
        };
        self.push(token);
        Ok(())
    }

    fn operator(&mut self) -> Result<(), CodeError> {
        let Some(operator) = OPERATORS.into_iter().find(|op| self.rest.starts_with(op)) else {
            let c = self.rest.chars().next().unwrap_or(' ');
            return Err(self.error(format!("`{}` is not understood here", c.escape_default())));
        };
        self.take(operator.len());
        match operator {
            "(" => self.depth += 1,
            ")" => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        self.push(Token::Op(if operator == "<>" { "!=" } else { operator }));
        Ok(())
    }
}
