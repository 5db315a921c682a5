//! Arguments of calls as values.

use std::net::SocketAddr;
use std::time::Duration;

use woshou_posix::{Errno, Personality, Value, constants};

use crate::ast::{Expr, ExprKind};
use crate::report::Stop;
use crate::span::Span;

/// Octets that one call may hand over or ask for.
const MAX_TEXT: i64 = 64 << 20;

/// A piece of memory of the script: so many zeros, or an address that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) len: usize,
    pub(super) valid: bool,
}

/// The number that `expr` stands for: a number, a constant, or several joined by `|`.
pub(super) fn int(expr: &Expr) -> Result<i64, Stop> {
    match &expr.kind {
        ExprKind::Int { value, .. } => Ok(*value),
        ExprKind::Word(word) => symbol(word, expr.span),
        ExprKind::Or(operands) => operands
            .iter()
            .try_fold(0, |all, operand| Ok(all | int(operand)?)),
        _ => Err(Stop::error(
            expr.span,
            "a number or a constant is expected here",
        )),
    }
}

pub(super) fn symbol(word: &str, span: Span) -> Result<i64, Stop> {
    match word {
        "NULL" | "null" => return Ok(0),
        "INFINITE_TIMEOUT" => return Ok(-1),
        _ => {}
    }
    if let Some(errno) = Errno::from_name(word) {
        return Ok(errno.number(Personality::Linux).into());
    }
    constants::by_name(word)
        .map(i64::from)
        .ok_or_else(|| Stop::unsupported(span, format!("the constant {word}")))
}

pub(super) fn int32(expr: &Expr) -> Result<i32, Stop> {
    let value = int(expr)?;
    // Flags may be written as unsigned numbers.
    i32::try_from(value)
        .or_else(|_| u32::try_from(value).map(u32::cast_signed))
        .map_err(|_| Stop::error(expr.span, "a number of at most 32 bits is expected here"))
}

/// How much memory `expr` means, in octets.
pub(super) fn length(expr: &Expr) -> Result<usize, Stop> {
    let value = int(expr)?;
    if !(0..=MAX_TEXT).contains(&value) {
        return Err(Stop::error(
            expr.span,
            "at most 64 MiB may be read or written by one call",
        ));
    }
    usize::try_from(value).map_err(|_| Stop::error(expr.span, "a length is expected here"))
}

/// A buffer and its length, from two arguments.
pub(super) fn piece(buffer: &Expr, len: &Expr) -> Result<Piece, Stop> {
    let valid = !is_null(buffer);
    Ok(Piece {
        len: length(len)?,
        valid,
    })
}

/// `NULL`, or a number where an address should be.
pub(super) fn is_null(expr: &Expr) -> bool {
    matches!(&expr.kind, ExprKind::Word(word) if word == "NULL") || expr.int().is_some()
}

/// `[{..., 100}, {..., 200}]`, or one of them alone.
pub(super) fn pieces(expr: &Expr) -> Result<Vec<Piece>, Stop> {
    let elements = expr.list().unwrap_or(core::slice::from_ref(expr));
    let mut total = 0_usize;
    let mut pieces = Vec::new();
    for element in elements {
        let fields = element.fields().unwrap_or(&[]);
        let [base, len] = fields else {
            return Err(Stop::error(
                element.span,
                "a piece `{..., length}` is expected here",
            ));
        };
        let piece = piece(&base.value, &len.value)?;
        total = total.saturating_add(piece.len);
        if i64::try_from(total).unwrap_or(i64::MAX) > MAX_TEXT {
            return Err(Stop::error(
                expr.span,
                "at most 64 MiB may be read or written by one call",
            ));
        }
        pieces.push(piece);
    }
    Ok(pieces)
}

/// A socket address: `...` stands for `usual`, NULL for none.
pub(super) fn address(expr: &Expr, usual: SocketAddr) -> Result<Option<SocketAddr>, Stop> {
    match &expr.kind {
        ExprKind::Ellipsis => Ok(Some(usual)),
        _ if is_null(expr) => Ok(None),
        _ => match expr.socket_addr() {
            Some(address) => Ok(Some(address)),
            None => Err(Stop::error(expr.span, "a socket address is expected here")),
        },
    }
}

/// What `setsockopt` is handed.
pub(super) fn value(expr: &Expr) -> Result<Value, Stop> {
    match &expr.kind {
        ExprKind::List(elements) => match elements.as_slice() {
            [one] => value(one),
            _ => Err(Stop::unsupported(
                expr.span,
                "an option with several values",
            )),
        },
        ExprKind::Str(text) => Ok(Value::Name(text.clone())),
        ExprKind::Struct(_) => structure(expr),
        ExprKind::Ellipsis => Ok(Value::Int(0)),
        ExprKind::Word(word) if word == "NULL" => Ok(Value::Invalid),
        _ => Ok(Value::Int(int(expr)?)),
    }
}

fn structure(expr: &Expr) -> Result<Value, Stop> {
    let number = |name: &str| expr.field(name).map(int).transpose();
    if let Some(on) = number("onoff")?.or(number("l_onoff")?) {
        let seconds = number("linger")?.or(number("l_linger")?).unwrap_or(0);
        let seconds =
            u16::try_from(seconds).map_err(|_| Stop::error(expr.span, "a time to linger"))?;
        return Ok(Value::Linger {
            on: on != 0,
            seconds,
        });
    }
    if let Some(seconds) = number("tv_sec")? {
        let micros = number("tv_usec")?.unwrap_or(0);
        let seconds = u64::try_from(seconds).unwrap_or(0);
        let micros = u64::try_from(micros).unwrap_or(0);
        let time = Duration::from_secs(seconds).saturating_add(Duration::from_micros(micros));
        return Ok(Value::Time(time));
    }
    let name = expr
        .fields()
        .and_then(|fields| fields.first())
        .and_then(|field| field.name.as_ref())
        .map_or("?", |name| name.value.as_str());
    Err(Stop::unsupported(
        expr.span,
        format!("the structure with {name}"),
    ))
}
