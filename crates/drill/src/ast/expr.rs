//! Arguments and results of system calls.

use core::net::{IpAddr, SocketAddr};

use crate::span::{Span, Spanned};

/// An argument or a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// Where it stands.
    pub span: Span,
}

/// The forms of an argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExprKind {
    /// `...`: whatever is right, or anything.
    Ellipsis,
    /// A number.
    Int {
        /// Its value.
        value: i64,
        /// It was written in hexadecimal.
        hex: bool,
    },
    /// A name of a constant, such as `SOCK_STREAM`.
    Word(String),
    /// A string, raw; adjacent strings are joined.
    Str(String),
    /// `"text"...`: a string that starts with the text.
    Prefix(String),
    /// An address that is no string.
    Address(IpAddr),
    /// `A|B|C`; two or more.
    Or(Vec<Expr>),
    /// `NAME = value`, outside of a structure.
    Assign(Spanned<String>, Box<Expr>),
    /// `[a, b]`
    List(Vec<Expr>),
    /// `{...}`
    Struct(Vec<Field>),
    /// `htons(80)`, `inet_addr("192.0.2.1")` and the like.
    Function(Spanned<String>, Vec<Expr>),
    /// A structure that no TCP script uses (an MPLS stack or a GRE header), raw.
    Opaque(String),
}

/// A member of a structure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name, absent in `{..., 1000}`.
    pub name: Option<Spanned<String>>,
    /// What is in parentheses behind the name: the count of `msg_iov(1)=[..]`.
    pub count: Option<Expr>,
    /// Its value.
    pub value: Expr,
}

impl Expr {
    /// The value of a number.
    #[must_use]
    pub fn int(&self) -> Option<i64> {
        match self.kind {
            ExprKind::Int { value, .. } => Some(value),
            _ => None,
        }
    }

    /// The name of a constant.
    #[must_use]
    pub fn word(&self) -> Option<&str> {
        match &self.kind {
            ExprKind::Word(word) => Some(word),
            _ => None,
        }
    }

    /// The text of a string.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match &self.kind {
            ExprKind::Str(text) => Some(text),
            _ => None,
        }
    }

    /// The elements of a list.
    #[must_use]
    pub fn list(&self) -> Option<&[Self]> {
        match &self.kind {
            ExprKind::List(elements) => Some(elements),
            _ => None,
        }
    }

    /// The members of a structure.
    #[must_use]
    pub fn fields(&self) -> Option<&[Field]> {
        match &self.kind {
            ExprKind::Struct(fields) => Some(fields),
            _ => None,
        }
    }

    /// The member `name` of a structure.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Self> {
        let named = |field: &&Field| field.name.as_ref().is_some_and(|n| n.value == name);
        self.fields()?.iter().find(named).map(|field| &field.value)
    }

    /// The operands of `A|B|C`; a single operand is its own.
    #[must_use]
    pub fn operands(&self) -> &[Self] {
        match &self.kind {
            ExprKind::Or(operands) => operands,
            _ => core::slice::from_ref(self),
        }
    }

    /// The address in a socket address: members `sin_port` and `sin_addr`, or those of IPv6.
    #[must_use]
    pub fn socket_addr(&self) -> Option<SocketAddr> {
        let port = self
            .field("sin_port")
            .or_else(|| self.field("sin6_port"))?
            .port()?;
        let addr = self
            .field("sin_addr")
            .or_else(|| self.field("sin6_addr"))?
            .ip()?;
        Some(SocketAddr::new(addr, port))
    }

    /// The address of `inet_addr("..")` or `inet6_addr("..")`, or a bare one.
    fn ip(&self) -> Option<IpAddr> {
        match &self.kind {
            ExprKind::Address(address) => Some(*address),
            ExprKind::Function(_, arguments) => arguments.last()?.text()?.parse().ok(),
            _ => None,
        }
    }

    /// The port of `htons(N)`.
    fn port(&self) -> Option<u16> {
        match &self.kind {
            ExprKind::Function(_, arguments) => u16::try_from(arguments.first()?.int()?).ok(),
            _ => None,
        }
    }
}
