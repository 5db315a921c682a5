//! Reads the statements of a code block.

use super::CodeError;
use super::token::{Placed, Token};

/// How deep expressions nest at most; no assertion comes near it.
const MAX_DEPTH: u32 = 64;
/// The most operators of one statement: the tree of `a + b + c` is as deep as the chain is long.
const MAX_OPERATORS: u32 = 256;

/// An expression.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    Int(i128),
    Float(f64),
    Text(String),
    Name(String),
    Unary(&'static str, Box<Node>),
    Binary(&'static str, Box<Node>, Box<Node>),
    /// `a < b <= c`: the first operand, then operators with theirs.
    Compare(Box<Node>, Vec<(&'static str, Node)>),
    Tuple(Vec<Node>),
    Call(String, Vec<Node>),
}

/// A statement and its line in the block, from 0.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Statement {
    pub(super) line: u32,
    pub(super) kind: Kind,
}

/// What a statement does.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    Assert {
        test: Node,
        message: Option<Node>,
    },
    Print(Vec<Node>),
    /// `name = value` or, with an operator, `name += value`.
    Assign {
        name: String,
        operator: Option<&'static str>,
        value: Node,
    },
    Expression(Node),
}

/// Reads all statements.
pub(super) fn statements(tokens: &[Placed]) -> Result<Vec<Statement>, CodeError> {
    let mut parser = Parser {
        tokens,
        at: 0,
        depth: 0,
        operators: 0,
    };
    let mut statements = Vec::new();
    while parser.at < tokens.len() {
        if parser.peek() == Some(&Token::End) {
            parser.at += 1;
            continue;
        }
        let line = parser.line();
        parser.operators = 0;
        let kind = parser.statement()?;
        if let Some(kind) = kind {
            statements.push(Statement { line, kind });
        }
        match parser.peek() {
            Some(Token::End) | None => {}
            Some(_) => return Err(parser.unexpected("the end of the statement")),
        }
    }
    Ok(statements)
}

struct Parser<'a> {
    tokens: &'a [Placed],
    at: usize,
    depth: u32,
    /// In this statement.
    operators: u32,
}

impl Parser<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|(token, _)| token)
    }

    fn line(&self) -> u32 {
        self.tokens
            .get(self.at)
            .or(self.tokens.last())
            .map_or(0, |(_, line)| *line)
    }

    fn unexpected(&self, expected: &str) -> CodeError {
        let found = match self.peek() {
            Some(Token::Name(name)) => format!("`{}`", super::short(name)),
            Some(Token::Op(op)) => format!("`{op}`"),
            Some(Token::Int(value)) => format!("`{value}`"),
            Some(Token::Float(value)) => format!("`{value}`"),
            Some(Token::Text(_)) => "a string".to_owned(),
            Some(Token::End) | None => "the end of the statement".to_owned(),
        };
        CodeError::syntax(self.line(), format!("found {found}, expected {expected}"))
    }

    fn keyword(&mut self, word: &str) -> bool {
        let there = matches!(self.peek(), Some(Token::Name(name)) if name == word);
        self.at += usize::from(there);
        there
    }

    /// The operator that comes next, when it is one of `any`.
    fn operator(&mut self, any: &[&'static str]) -> Option<&'static str> {
        let Some(Token::Op(op)) = self.peek() else {
            return None;
        };
        let op = *op;
        any.contains(&op).then(|| {
            self.at += 1;
            op
        })
    }

    fn statement(&mut self) -> Result<Option<Kind>, CodeError> {
        if self.keyword("pass") {
            return Ok(None);
        }
        if self.keyword("assert") {
            let test = self.expression()?;
            let message = match self.operator(&[","]) {
                Some(_) => Some(self.expression()?),
                None => None,
            };
            return Ok(Some(Kind::Assert { test, message }));
        }
        if self.keyword("print") {
            return self.print().map(Some);
        }
        const ASSIGN: [&str; 11] = [
            "=", "+=", "-=", "*=", "/=", "%=", "//=", "&=", "|=", "^=", "<<=",
        ];
        if let (Some((Token::Name(name), _)), Some((Token::Op(op), _))) =
            (self.tokens.get(self.at), self.tokens.get(self.at + 1))
            && ASSIGN.contains(op)
        {
            self.at += 2;
            let operator = match *op {
                "=" => None,
                "+=" => Some("+"),
                "-=" => Some("-"),
                "*=" => Some("*"),
                "/=" => Some("/"),
                "%=" => Some("%"),
                "//=" => Some("//"),
                "&=" => Some("&"),
                "|=" => Some("|"),
                "^=" => Some("^"),
                _ => Some("<<"),
            };
            let value = self.tuple()?;
            return Ok(Some(Kind::Assign {
                name: name.clone(),
                operator,
                value,
            }));
        }
        self.tuple().map(|node| Some(Kind::Expression(node)))
    }

    /// `print a, b` as well as `print(a, b)`; a comma at the end is allowed.
    fn print(&mut self) -> Result<Kind, CodeError> {
        if matches!(self.peek(), Some(Token::End) | None) {
            return Ok(Kind::Print(Vec::new()));
        }
        Ok(Kind::Print(match self.tuple()? {
            Node::Tuple(items) => items,
            one => vec![one],
        }))
    }

    /// One expression, or several with commas between them.
    fn tuple(&mut self) -> Result<Node, CodeError> {
        let first = self.expression()?;
        if self.operator(&[","]).is_none() {
            return Ok(first);
        }
        let mut items = vec![first];
        while !matches!(self.peek(), Some(Token::End | Token::Op(")")) | None) {
            items.push(self.expression()?);
            if self.operator(&[","]).is_none() {
                break;
            }
        }
        Ok(Node::Tuple(items))
    }

    fn expression(&mut self) -> Result<Node, CodeError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(CodeError::syntax(self.line(), "nested too deeply"));
        }
        let node = self.either();
        self.depth -= 1;
        node
    }

    fn either(&mut self) -> Result<Node, CodeError> {
        let mut left = self.both()?;
        while self.keyword("or") {
            self.link()?;
            left = binary("or", left, self.both()?);
        }
        Ok(left)
    }

    fn link(&mut self) -> Result<(), CodeError> {
        self.operators += 1;
        if self.operators > MAX_OPERATORS {
            return Err(CodeError::syntax(
                self.line(),
                "an expression that is too long",
            ));
        }
        Ok(())
    }

    fn both(&mut self) -> Result<Node, CodeError> {
        let mut left = self.not()?;
        while self.keyword("and") {
            self.link()?;
            left = binary("and", left, self.not()?);
        }
        Ok(left)
    }

    fn not(&mut self) -> Result<Node, CodeError> {
        let mut negations = 0_u32;
        while self.keyword("not") {
            negations += 1;
        }
        let node = self.comparison()?;
        Ok(match negations {
            0 => node,
            n if n % 2 == 1 => Node::Unary("not", Box::new(node)),
            _ => Node::Unary("bool", Box::new(node)),
        })
    }

    fn comparison(&mut self) -> Result<Node, CodeError> {
        let first = self.arithmetic(0)?;
        let mut rest = Vec::new();
        while let Some(op) = self.operator(&["==", "!=", "<=", ">=", "<", ">"]) {
            self.link()?;
            rest.push((op, self.arithmetic(0)?));
        }
        Ok(if rest.is_empty() {
            first
        } else {
            Node::Compare(Box::new(first), rest)
        })
    }

    /// Binary operators, from `|` up to `*`.
    fn arithmetic(&mut self, level: usize) -> Result<Node, CodeError> {
        const LEVELS: [&[&str]; 6] = [
            &["|"],
            &["^"],
            &["&"],
            &["<<", ">>"],
            &["+", "-"],
            &["*", "//", "/", "%"],
        ];
        let Some(operators) = LEVELS.get(level) else {
            return self.unary();
        };
        let mut left = self.arithmetic(level + 1)?;
        while let Some(op) = self.operator(operators) {
            self.link()?;
            left = binary(op, left, self.arithmetic(level + 1)?);
        }
        Ok(left)
    }

    fn unary(&mut self) -> Result<Node, CodeError> {
        let mut signs = Vec::new();
        while let Some(op) = self.operator(&["-", "+", "~"]) {
            self.link()?;
            signs.push(op);
        }
        let mut node = self.atom()?;
        for sign in signs.into_iter().rev() {
            node = Node::Unary(sign, Box::new(node));
        }
        Ok(node)
    }

    fn atom(&mut self) -> Result<Node, CodeError> {
        let Some(token) = self.peek().cloned() else {
            return Err(self.unexpected("a value"));
        };
        match token {
            Token::Int(value) => {
                self.at += 1;
                Ok(Node::Int(value))
            }
            Token::Float(value) => {
                self.at += 1;
                Ok(Node::Float(value))
            }
            Token::Text(mut text) => {
                self.at += 1;
                while let Some(Token::Text(more)) = self.peek() {
                    text.push_str(more);
                    self.at += 1;
                }
                Ok(Node::Text(text))
            }
            Token::Name(name) => {
                self.at += 1;
                if self.operator(&["("]).is_none() {
                    return Ok(Node::Name(name));
                }
                Ok(Node::Call(name, self.parenthesised()?))
            }
            Token::Op("(") => {
                self.at += 1;
                let trailing = self.at;
                let mut items = self.parenthesised()?;
                let comma = self
                    .tokens
                    .get(self.at.wrapping_sub(2))
                    .map(|(token, _)| token);
                let tuple =
                    items.len() != 1 || comma == Some(&Token::Op(",")) && self.at > trailing;
                Ok(match items.pop() {
                    Some(one) if !tuple => one,
                    Some(last) => {
                        items.push(last);
                        Node::Tuple(items)
                    }
                    None => Node::Tuple(items),
                })
            }
            Token::Op(_) | Token::End => Err(self.unexpected("a value")),
        }
    }

    /// What follows an opening parenthesis, with its closing one.
    fn parenthesised(&mut self) -> Result<Vec<Node>, CodeError> {
        let mut items = Vec::new();
        while self.operator(&[")"]).is_none() {
            items.push(self.expression()?);
            if self.operator(&[","]).is_none() {
                if self.operator(&[")"]).is_none() {
                    return Err(self.unexpected("`)`"));
                }
                break;
            }
        }
        Ok(items)
    }
}

fn binary(op: &'static str, left: Node, right: Node) -> Node {
    Node::Binary(op, Box::new(left), Box::new(right))
}
