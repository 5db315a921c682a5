//! As much of the shell's grammar as scripts use.

/// A command without what surrounds it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Simple {
    /// The program and its arguments, quotes resolved; assignments in front are left out.
    pub(super) words: Vec<String>,
    /// Where its output goes, when it is redirected.
    pub(super) output: Option<String>,
    /// Its output goes to `/dev/null`.
    pub(super) silent: bool,
}

enum Piece {
    Word(String),
    /// `;`, a line's end, `&&`, `||`, `&`.
    Next,
    Pipe,
    /// `>` and the like; the file follows.
    Into,
    From,
}

/// The commands of `text`, each a list of simple ones joined by pipes; or the name of what is not understood.
pub(super) fn pipelines(text: &str) -> Result<Vec<Vec<Simple>>, String> {
    let mut pipelines = Vec::new();
    let mut pipeline: Vec<Simple> = Vec::new();
    let mut simple = Simple::default();
    let mut redirect = None;
    for piece in pieces(text)? {
        match piece {
            Piece::Word(word) => match redirect.take() {
                Some(Piece::Into) => {
                    simple.silent |= word == "/dev/null";
                    simple.output = Some(word);
                }
                Some(_) => {}
                None if simple.words.is_empty() && is_assignment(&word) => {}
                None if simple.words.is_empty() && is_keyword(&word) => {
                    return Err(format!("the shell's `{word}`"));
                }
                None => simple.words.push(word),
            },
            Piece::Pipe => pipeline.push(core::mem::take(&mut simple)),
            Piece::Next => {
                pipeline.push(core::mem::take(&mut simple));
                pipelines.push(core::mem::take(&mut pipeline));
            }
            into_or_from => redirect = Some(into_or_from),
        }
    }
    pipeline.push(simple);
    pipelines.push(pipeline);
    pipelines.retain(|pipeline| pipeline.iter().any(|simple| *simple != Simple::default()));
    Ok(pipelines)
}

fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| {
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    })
}

fn is_keyword(word: &str) -> bool {
    [
        "if", "for", "while", "until", "case", "function", "{", "(", "!", "then", "do",
    ]
    .contains(&word)
}

fn pieces(text: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut chars = text.chars().peekable();
    let mut word: Option<String> = None;
    while let Some(c) = chars.next() {
        match c {
            '\\' if chars.peek() == Some(&'\n') => {
                chars.next();
            }
            '\\' => word.get_or_insert_default().extend(chars.next()),
            '\'' | '"' => quoted(c, &mut chars, word.get_or_insert_default())?,
            '`' => return Err("the shell's command substitution".to_owned()),
            '$' if chars.peek() == Some(&'(') => {
                substitution(&mut chars, word.get_or_insert_default())?;
            }
            '#' if word.is_none() => while chars.next_if(|c| *c != '\n').is_some() {},
            '\n' | ';' | '|' | '&' | '>' | '<' | ' ' | '\t' | '\r' => {
                // A number right in front of `>` names what is redirected.
                let descriptor =
                    |w: &String| matches!(c, '>' | '<') && w.bytes().all(|b| b.is_ascii_digit());
                let taken = word.take();
                let other = taken.as_ref().is_some_and(|w| descriptor(w) && w != "1");
                pieces.extend(taken.filter(|w| !descriptor(w)).map(Piece::Word));
                separator(c, &mut chars, &mut pieces, other);
            }
            c => word.get_or_insert_default().push(c),
        }
    }
    pieces.extend(word.map(Piece::Word));
    Ok(pieces)
}

type Chars<'a> = core::iter::Peekable<core::str::Chars<'a>>;

fn separator(c: char, chars: &mut Chars<'_>, pieces: &mut Vec<Piece>, other: bool) {
    match c {
        '\n' | ';' => pieces.push(Piece::Next),
        '|' if chars.next_if_eq(&'|').is_some() => pieces.push(Piece::Next),
        '|' => pieces.push(Piece::Pipe),
        '&' if chars.peek() == Some(&'>') => {}
        '&' => {
            chars.next_if_eq(&'&');
            pieces.push(Piece::Next);
        }
        '>' | '<' => {
            chars.next_if_eq(&c);
            if chars.next_if_eq(&'&').is_some() {
                // `2>&1`: another descriptor.
                while chars.next_if(|c| c.is_ascii_digit() || *c == '-').is_some() {}
            } else {
                pieces.push(if c == '<' || other {
                    Piece::From
                } else {
                    Piece::Into
                });
            }
        }
        _ => {}
    }
}

fn quoted(quote: char, chars: &mut Chars<'_>, word: &mut String) -> Result<(), String> {
    while let Some(c) = chars.next() {
        match c {
            c if c == quote => return Ok(()),
            '\\' if quote == '"' => word.extend(chars.next()),
            '$' if quote == '"' && chars.peek() == Some(&'(') => substitution(chars, word)?,
            c => word.push(c),
        }
    }
    Err("a quote without its end".to_owned())
}

/// `$(dirname $0)` and the like stand for a folder; nothing else is understood.
fn substitution(chars: &mut Chars<'_>, word: &mut String) -> Result<(), String> {
    let mut inner = String::new();
    let mut depth = 0_u32;
    for c in chars.by_ref() {
        match c {
            '(' => depth += 1,
            ')' if depth == 1 => {
                let first = inner
                    .trim_start_matches('(')
                    .split_whitespace()
                    .next()
                    .unwrap_or("");
                return match first {
                    "dirname" | "pwd" | "basename" | "realpath" => {
                        word.push('.');
                        Ok(())
                    }
                    _ => Err(format!(
                        "the shell's $({})",
                        first.chars().take(30).collect::<String>()
                    )),
                };
            }
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        inner.push(c);
    }
    Err("a quote without its end".to_owned())
}
