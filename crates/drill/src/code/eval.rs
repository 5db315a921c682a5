//! Evaluates the statements of code blocks.

use std::collections::BTreeMap;

use super::parse::{self, Kind, Node, Statement};
use super::{CodeError, CodeErrorKind, Named, Snapshot, short, token};

/// The longest text, in octets, that a block may make.
const MAX_TEXT: usize = 4096;
/// The most that all blocks may print, in octets.
const MAX_OUTPUT: usize = 64 * 1024;
/// The most variables.
const MAX_VARIABLES: usize = 1024;

/// A value.
#[derive(Clone, Debug, PartialEq)]
enum Value {
    Int(i128),
    Float(f64),
    Text(String),
    Tuple(Vec<Value>),
    None,
}

/// Evaluates blocks one after the other: variables persist, and what was printed is kept.
#[derive(Clone, Debug, Default)]
pub struct Evaluator {
    variables: BTreeMap<String, Value>,
    output: String,
}

/// Why an expression has no value.
struct Trouble {
    kind: CodeErrorKind,
    message: String,
}

fn trouble(message: impl Into<String>) -> Trouble {
    Trouble {
        kind: CodeErrorKind::Error,
        message: message.into(),
    }
}

impl Evaluator {
    /// Evaluates `text` over `snapshot`; stops at the first statement that fails.
    ///
    /// # Errors
    /// [`CodeError`]: an assertion that does not hold, a name that woshou cannot tell, or code that is not understood.
    pub fn run(&mut self, text: &str, snapshot: &dyn Snapshot) -> Result<(), CodeError> {
        let statements = parse::statements(&token::tokens(text)?)?;
        // The runner states the snapshot anew before every block: what the script assigned to its names is gone.
        self.variables
            .retain(|name, _| snapshot.value(name) == Named::Unknown);
        for statement in &statements {
            self.statement(statement, snapshot)
                .map_err(|trouble| CodeError {
                    line: statement.line,
                    kind: trouble.kind,
                    message: trouble.message,
                })?;
        }
        Ok(())
    }

    /// What was printed, a line a statement.
    #[must_use]
    pub fn output(&self) -> &str {
        &self.output
    }

    fn statement(&mut self, statement: &Statement, snapshot: &dyn Snapshot) -> Result<(), Trouble> {
        match &statement.kind {
            Kind::Assert { test, message } => self.assert(test, message.as_ref(), snapshot),
            Kind::Print(items) => {
                let mut line = Vec::new();
                for item in items {
                    line.push(self.value(item, snapshot)?.to_string());
                }
                let line = line.join(" ");
                if self.output.len() + line.len() > MAX_OUTPUT {
                    return Err(trouble("too much is printed"));
                }
                self.output.push_str(&line);
                self.output.push('\n');
                Ok(())
            }
            Kind::Assign {
                name,
                operator,
                value,
            } => {
                let mut value = self.value(value, snapshot)?;
                if let Some(operator) = operator {
                    let before = self.name(name, snapshot)?;
                    value = binary(operator, &before, &value)?;
                }
                if self.variables.len() >= MAX_VARIABLES && !self.variables.contains_key(name) {
                    return Err(trouble("too many variables"));
                }
                self.variables.insert(name.clone(), value);
                Ok(())
            }
            Kind::Expression(node) => self.value(node, snapshot).map(drop),
        }
    }

    fn assert(
        &self,
        test: &Node,
        message: Option<&Node>,
        snapshot: &dyn Snapshot,
    ) -> Result<(), Trouble> {
        if self.value(test, snapshot)?.is_true() {
            return Ok(());
        }
        let mut text = "the assertion does not hold".to_owned();
        let mut names = Vec::new();
        collect_names(test, &mut names);
        for (index, name) in names.iter().take(8).enumerate() {
            if let Ok(value) = self.name(name, snapshot) {
                text.push_str(if index == 0 { ": " } else { ", " });
                text.push_str(&format!("{name} = {}", short(&value.to_string())));
            }
        }
        if let Some(message) = message {
            let message = self.value(message, snapshot)?.to_string();
            text.push_str(&format!(
                " ({})",
                message.chars().take(200).collect::<String>()
            ));
        }
        Err(Trouble {
            kind: CodeErrorKind::Assertion,
            message: text,
        })
    }

    fn name(&self, name: &str, snapshot: &dyn Snapshot) -> Result<Value, Trouble> {
        if let Some(value) = self.variables.get(name) {
            return Ok(value.clone());
        }
        match name {
            "True" => return Ok(Value::Int(1)),
            "False" => return Ok(Value::Int(0)),
            "None" => return Ok(Value::None),
            _ => {}
        }
        match snapshot.value(name) {
            Named::Value(value) => Ok(Value::Int(value.into())),
            Named::Missing => Err(Trouble {
                kind: CodeErrorKind::Unsupported,
                message: short(name),
            }),
            Named::Unknown => Err(trouble(format!(
                "the name `{}` is not defined",
                short(name)
            ))),
        }
    }

    fn value(&self, node: &Node, snapshot: &dyn Snapshot) -> Result<Value, Trouble> {
        match node {
            Node::Int(value) => Ok(Value::Int(*value)),
            Node::Float(value) => Ok(Value::Float(*value)),
            Node::Text(text) => Ok(Value::Text(text.clone())),
            Node::Name(name) => self.name(name, snapshot),
            Node::Unary(op, operand) => unary(op, &self.value(operand, snapshot)?),
            Node::Binary(op @ ("and" | "or"), left, right) => {
                let left = self.value(left, snapshot)?;
                if left.is_true() == (*op == "or") {
                    return Ok(left);
                }
                self.value(right, snapshot)
            }
            Node::Binary(op, left, right) => binary(
                op,
                &self.value(left, snapshot)?,
                &self.value(right, snapshot)?,
            ),
            Node::Compare(first, rest) => {
                let mut left = self.value(first, snapshot)?;
                for (op, right) in rest {
                    let right = self.value(right, snapshot)?;
                    if !compare(op, &left, &right)? {
                        return Ok(Value::Int(0));
                    }
                    left = right;
                }
                Ok(Value::Int(1))
            }
            Node::Tuple(items) => {
                let values: Result<_, _> = items
                    .iter()
                    .map(|item| self.value(item, snapshot))
                    .collect();
                Ok(Value::Tuple(values?))
            }
            Node::Call(name, arguments) => {
                let values: Result<Vec<_>, _> = arguments
                    .iter()
                    .map(|item| self.value(item, snapshot))
                    .collect();
                call(name, &values?)
            }
        }
    }
}

fn collect_names(node: &Node, names: &mut Vec<String>) {
    match node {
        Node::Name(name) if !names.contains(name) && names.len() < 16 => names.push(name.clone()),
        Node::Unary(_, operand) => collect_names(operand, names),
        Node::Binary(_, left, right) => {
            collect_names(left, names);
            collect_names(right, names);
        }
        Node::Compare(first, rest) => {
            collect_names(first, names);
            rest.iter().for_each(|(_, node)| collect_names(node, names));
        }
        Node::Tuple(items) | Node::Call(_, items) => {
            items.iter().for_each(|node| collect_names(node, names));
        }
        _ => {}
    }
}

impl Value {
    fn is_true(&self) -> bool {
        match self {
            Self::Int(value) => *value != 0,
            Self::Float(value) => *value != 0.0,
            Self::Text(text) => !text.is_empty(),
            Self::Tuple(items) => !items.is_empty(),
            Self::None => false,
        }
    }

    const fn kind(&self) -> &'static str {
        match self {
            Self::Int(_) => "a whole number",
            Self::Float(_) => "a number",
            Self::Text(_) => "a string",
            Self::Tuple(_) => "a tuple",
            Self::None => "None",
        }
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "Python's own conversion rounds too"
    )]
    const fn float(&self) -> Option<f64> {
        match self {
            Self::Int(value) => Some(*value as f64),
            Self::Float(value) => Some(*value),
            _ => None,
        }
    }
}

impl core::fmt::Display for Value {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Int(value) => write!(f, "{value}"),
            Self::Float(value) => write!(f, "{value:?}"),
            Self::Text(text) => f.write_str(text),
            Self::Tuple(items) => {
                f.write_str("(")?;
                for (index, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if index > 0 { ", " } else { "" })?;
                }
                f.write_str(")")
            }
            Self::None => f.write_str("None"),
        }
    }
}

fn unary(op: &str, operand: &Value) -> Result<Value, Trouble> {
    match (op, operand) {
        ("not", value) => Ok(Value::Int(i128::from(!value.is_true()))),
        ("bool", value) => Ok(Value::Int(i128::from(value.is_true()))),
        ("+", Value::Int(_) | Value::Float(_)) => Ok(operand.clone()),
        ("-", Value::Int(value)) => value.checked_neg().map(Value::Int).ok_or_else(too_large),
        ("-", Value::Float(value)) => Ok(Value::Float(-value)),
        ("~", Value::Int(value)) => Ok(Value::Int(!value)),
        _ => Err(trouble(format!("`{op}` of {}", operand.kind()))),
    }
}

fn too_large() -> Trouble {
    trouble("a number that is too large")
}

fn binary(op: &str, left: &Value, right: &Value) -> Result<Value, Trouble> {
    match (left, right) {
        (Value::Text(template), _) if op == "%" => format_text(template, right).map(Value::Text),
        (Value::Text(a), Value::Text(b)) if op == "+" && a.len() + b.len() <= MAX_TEXT => {
            Ok(Value::Text(format!("{a}{b}")))
        }
        (Value::Int(a), Value::Int(b)) if op != "/" => integers(op, *a, *b).map(Value::Int),
        _ => match (left.float(), right.float()) {
            (Some(a), Some(b)) => floats(op, a, b).map(Value::Float),
            _ => Err(trouble(format!(
                "`{op}` of {} and {}",
                left.kind(),
                right.kind()
            ))),
        },
    }
}

fn integers(op: &str, a: i128, b: i128) -> Result<i128, Trouble> {
    let shift = |value: i128| u32::try_from(value).ok().filter(|s| *s < 126);
    if b == 0 && matches!(op, "//" | "%") {
        return Err(trouble("division by zero"));
    }
    let value = match op {
        "+" => a.checked_add(b),
        "-" => a.checked_sub(b),
        "*" => a.checked_mul(b),
        "//" => a.checked_div_euclid(b).map(|q| floor(a, b, q)),
        "%" => a.checked_rem(b).map(|r| {
            if r != 0 && (r < 0) != (b < 0) {
                r + b
            } else {
                r
            }
        }),
        "&" => Some(a & b),
        "|" => Some(a | b),
        "^" => Some(a ^ b),
        "<<" => shift(b).and_then(|s| a.checked_mul(1_i128.checked_shl(s)?)),
        ">>" if b < 0 => None,
        ">>" => Some(a >> shift(b).unwrap_or(126)),
        _ => return Err(trouble(format!("`{op}` is not understood"))),
    };
    value.ok_or_else(too_large)
}

/// Python rounds quotients down; Euclid's is one off where the divisor is negative and does not divide.
const fn floor(a: i128, b: i128, euclid: i128) -> i128 {
    if b < 0 && a.rem_euclid(b) != 0 {
        euclid - 1
    } else {
        euclid
    }
}

fn floats(op: &str, a: f64, b: f64) -> Result<f64, Trouble> {
    if b == 0.0 && matches!(op, "/" | "//" | "%") {
        return Err(trouble("division by zero"));
    }
    let value = match op {
        "+" => a + b,
        "-" => a - b,
        "*" => a * b,
        "/" => a / b,
        "//" => (a / b).floor(),
        "%" => a - b * (a / b).floor(),
        _ => return Err(trouble(format!("`{op}` of numbers with a point"))),
    };
    if value.is_finite() {
        Ok(value)
    } else {
        Err(too_large())
    }
}

fn compare(op: &str, left: &Value, right: &Value) -> Result<bool, Trouble> {
    let order = match (left, right) {
        (Value::Int(a), Value::Int(b)) => Some(a.cmp(b)),
        (Value::Text(a), Value::Text(b)) => Some(a.cmp(b)),
        (Value::Int(_) | Value::Float(_), Value::Int(_) | Value::Float(_)) => left
            .float()
            .zip(right.float())
            .and_then(|(a, b)| a.partial_cmp(&b)),
        _ => None,
    };
    match (op, order) {
        ("==", _) if order.is_none() => Ok(left == right),
        ("!=", _) if order.is_none() => Ok(left != right),
        ("==", Some(order)) => Ok(order.is_eq()),
        ("!=", Some(order)) => Ok(order.is_ne()),
        ("<", Some(order)) => Ok(order.is_lt()),
        ("<=", Some(order)) => Ok(order.is_le()),
        (">", Some(order)) => Ok(order.is_gt()),
        (">=", Some(order)) => Ok(order.is_ge()),
        _ => Err(trouble(format!(
            "`{op}` between {} and {}",
            left.kind(),
            right.kind()
        ))),
    }
}

fn call(name: &str, arguments: &[Value]) -> Result<Value, Trouble> {
    let arguments = match arguments {
        [Value::Tuple(items)] if matches!(name, "min" | "max") => items,
        all => all,
    };
    match (name, arguments) {
        ("abs", [Value::Int(value)]) => value.checked_abs().map(Value::Int).ok_or_else(too_large),
        ("abs", [Value::Float(value)]) => Ok(Value::Float(value.abs())),
        ("int", [Value::Int(value)]) => Ok(Value::Int(*value)),
        #[expect(
            clippy::cast_possible_truncation,
            reason = "saturates, and Python truncates"
        )]
        ("int", [Value::Float(value)]) => Ok(Value::Int(value.trunc() as i128)),
        ("float", [value]) if value.float().is_some() => {
            Ok(Value::Float(value.float().unwrap_or_default()))
        }
        ("str", [value]) => Ok(Value::Text(value.to_string())),
        ("len", [Value::Text(text)]) => Ok(Value::Int(text.chars().count() as i128)),
        ("min" | "max", [first, rest @ ..]) => {
            let mut best = first;
            let op = if name == "min" { "<" } else { ">" };
            for value in rest {
                if compare(op, value, best)? {
                    best = value;
                }
            }
            Ok(best.clone())
        }
        ("abs" | "int" | "float" | "str" | "len" | "min" | "max", _) => {
            Err(trouble(format!("`{name}` of something else than it takes")))
        }
        _ => Err(trouble(format!(
            "the function `{}` is not known",
            short(name)
        ))),
    }
}

/// `template % values`, as C's printf would.
fn format_text(template: &str, values: &Value) -> Result<String, Trouble> {
    let values = match values {
        Value::Tuple(items) => items.as_slice(),
        one => core::slice::from_ref(one),
    };
    let mut values = values.iter();
    let mut text = String::new();
    let mut rest = template;
    while let Some(at) = rest.find('%') {
        text.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        // Flags, width and precision change only how it looks.
        let skip = rest.find(|c: char| !matches!(c, '0'..='9' | '-' | '+' | ' ' | '.' | '#'));
        rest = rest.get(skip.unwrap_or(rest.len())..).unwrap_or("");
        let mut chars = rest.chars();
        let conversion = chars.next();
        rest = chars.as_str();
        if conversion == Some('%') {
            text.push('%');
            continue;
        }
        let Some(value) = values.next() else {
            return Err(trouble("not enough values for the format"));
        };
        match (conversion, value) {
            (Some('x'), Value::Int(value)) => text.push_str(&format!("{value:x}")),
            (Some('X'), Value::Int(value)) => text.push_str(&format!("{value:X}")),
            (Some('d' | 'i' | 'u'), Value::Int(value)) => text.push_str(&value.to_string()),
            (Some('d' | 'i' | 'u'), Value::Float(value)) => {
                text.push_str(&value.trunc().to_string());
            }
            (Some('f' | 'g' | 'e'), value) if value.float().is_some() => {
                text.push_str(&value.float().unwrap_or_default().to_string());
            }
            (Some('s' | 'r'), value) => text.push_str(&value.to_string()),
            _ => return Err(trouble("a value that does not fit the format")),
        }
        if text.len() > MAX_TEXT {
            return Err(trouble("a string that is too long"));
        }
    }
    text.push_str(rest);
    if values.next().is_some() {
        return Err(trouble("too many values for the format"));
    }
    if text.len() > MAX_TEXT {
        Err(trouble("a string that is too long"))
    } else {
        Ok(text)
    }
}

#[cfg(test)]
mod tests;
