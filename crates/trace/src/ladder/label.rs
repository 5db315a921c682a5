//! The words on an arrow and beneath it.

use std::fmt::Write as _;

use woshou_tcp::Reason;

use super::story::{Arrow, Mark, Row};
use crate::words::{Lang, Word};

/// `PSH,ACK  seq 1  ack 1  win 65535  len 100`; SEG.SEQ only where the segment takes sequence space or is a RST.
pub(super) fn numbers(arrow: &Arrow) -> String {
    let header = &arrow.header;
    let mut label = header.flags.to_string();
    if arrow.len > 0 || header.flags.syn() || header.flags.fin() || header.flags.rst() {
        let _ = write!(label, "  seq {}", arrow.shown.seq);
    }
    if header.flags.ack() {
        let _ = write!(label, "  ack {}", arrow.shown.ack);
    }
    let _ = write!(label, "  win {}", header.window);
    if arrow.len > 0 {
        let _ = write!(label, "  len {}", arrow.len);
    }
    label
}

/// Reasons of everyday traffic: short enough for the arrow itself, and not worth a line of their own.
pub(super) const fn everyday(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::Data | Reason::SecondSegment | Reason::DelayedAck
    )
}

/// The reason when it belongs on the arrow.
pub(super) fn inline(arrow: &Arrow, lang: Lang) -> Option<String> {
    if arrow.copy {
        return Some(lang.word(Word::Copy).to_owned());
    }
    arrow
        .reason
        .filter(|r| everyday(*r))
        .map(|r| lang.reason(r))
}

/// What goes beneath the arrow: the reason, and what the options say.
pub(super) fn beneath(arrow: &Arrow, lang: Lang) -> Vec<String> {
    let mut lines = Vec::new();
    if arrow.copy {
        return lines;
    }
    lines.extend(
        arrow
            .reason
            .filter(|r| !everyday(*r))
            .map(|r| lang.reason(r)),
    );
    if arrow.early {
        lines.push(lang.word(Word::Early).to_owned());
    }
    if arrow.header.flags.syn() {
        let offered = offered(arrow);
        if !offered.is_empty() {
            lines.push(offered);
        }
    }
    let blocks: Vec<String> = arrow
        .header
        .options
        .sack
        .as_slice()
        .iter()
        .map(|b| {
            let base = arrow.shown.ack_base;
            format!(
                "{}–{}",
                b.left.wrapping_sub(base),
                b.right.wrapping_sub(base).wrapping_sub(1)
            )
        })
        .collect();
    if !blocks.is_empty() {
        lines.push(format!(
            "SACK: {} {}",
            lang.word(Word::Has),
            blocks.join(", ")
        ));
    }
    lines
}

/// The options of a SYN.
fn offered(arrow: &Arrow) -> String {
    let options = &arrow.header.options;
    let mut words = Vec::new();
    words.extend(options.mss.map(|mss| format!("MSS {mss}")));
    words.extend(
        options
            .window_scale
            .map(|shift| format!("window scale {shift}")),
    );
    words.extend(options.sack_permitted.then(|| "SACK permitted".to_owned()));
    words.extend(options.timestamps.map(|_| "timestamps".to_owned()));
    words.join(" · ")
}

/// The words of a row that is no arrow.
pub(super) fn note(row: &Row, lang: Lang) -> String {
    let colon = if lang == Lang::En { ": " } else { "：" };
    match &row.mark {
        Mark::State | Mark::Arrow(_) => String::new(),
        Mark::Timer(timer) if lang == Lang::En => format!("⏱ {timer} timer"),
        Mark::Timer(timer) => {
            let name = lang.timer(*timer);
            let gap = if name.is_ascii() { " " } else { "" };
            format!("⏱ {name}{gap}{}", lang.word(Word::Timer))
        }
        Mark::Refused(refusal) => {
            format!(
                "⊘ {}{colon}{}",
                lang.word(Word::Refused),
                lang.refusal(*refusal)
            )
        }
        Mark::Undone(by) => {
            let (word, by) = (lang.word(Word::Undone), lang.false_alarm(*by));
            format!("↶ {word}{colon}{by}")
        }
        Mark::Ended(ended) => format!("■ {}{colon}{}", lang.word(Word::Ended), lang.ended(*ended)),
        Mark::Late(_, 0) => format!("↯ {}", lang.word(Word::Late)),
        Mark::Late(seq, len) => format!("↯ seq {seq} len {len} · {}", lang.word(Word::Late)),
    }
}
