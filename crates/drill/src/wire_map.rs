//! From the script's numbers to those of the wire, and back: sequence numbers, timestamps, flow labels.

use std::collections::BTreeMap;

/// What the script's numbers of one connection are on the wire.
///
/// Segments with SYN have absolute numbers in scripts, all others count from the initial sequence number. The remote
/// side is the script's own, so that its SYN's number is that of the wire; the local one is learnt from the SYN or
/// SYN,ACK that leaves.
#[derive(Clone, Debug, Default)]
pub(crate) struct WireMap {
    /// The number that the script gives our SYN, and the one it has.
    script_local: u32,
    live_local: u32,
    live_remote: u32,
    /// TSval of ours, by the script's number for it.
    timestamps: BTreeMap<u32, u32>,
    /// Script and wire of the first one.
    first_timestamp: Option<(u32, u32)>,
    /// Flow labels of ours, by the script's number for them.
    flow_labels: BTreeMap<u32, u32>,
}

/// A timestamp that the script echoes and that never was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UnknownTimestamp(pub(crate) u32);

/// How many timestamps of one connection are remembered at most.
const MAX_TIMESTAMPS: usize = 65_536;

impl WireMap {
    /// Our SYN or SYN,ACK: the script calls its number `script`, the wire `live`.
    pub(crate) fn learn_local(&mut self, script: u32, live: u32) {
        self.script_local = script;
        self.live_local = live;
    }

    /// The peer's SYN.
    pub(crate) fn learn_remote(&mut self, seq: u32) {
        self.live_remote = seq;
    }

    /// The number on the wire of an injected segment.
    pub(crate) fn seq_in(&self, script: u32, syn: bool) -> u32 {
        if syn {
            script
        } else {
            script.wrapping_add(self.live_remote)
        }
    }

    /// The acknowledgement on the wire of an injected segment.
    pub(crate) fn ack_in(&self, script: u32, syn: bool) -> u32 {
        let base = if syn {
            self.live_local.wrapping_sub(self.script_local)
        } else {
            self.live_local
        };
        script.wrapping_add(base)
    }

    /// An edge of a SACK block, or the number that ICMP quotes: ours.
    pub(crate) fn local_in(&self, script: u32) -> u32 {
        script.wrapping_add(self.live_local)
    }

    /// The script's number of a segment that left.
    pub(crate) fn seq_out(&self, live: u32, syn: bool) -> u32 {
        let relative = live.wrapping_sub(self.live_local);
        if syn {
            relative.wrapping_add(self.script_local)
        } else {
            relative
        }
    }

    /// The script's number of an acknowledgement that left.
    pub(crate) fn ack_out(&self, live: u32, syn: bool) -> u32 {
        if syn {
            live
        } else {
            live.wrapping_sub(self.live_remote)
        }
    }

    /// An edge of a SACK block that left: the peer's.
    pub(crate) fn remote_out(&self, live: u32) -> u32 {
        live.wrapping_sub(self.live_remote)
    }

    /// A segment left with TSval `live` where the script has `script`.
    pub(crate) fn learn_timestamp(&mut self, script: u32, live: u32) {
        self.first_timestamp.get_or_insert((script, live));
        if self.timestamps.len() < MAX_TIMESTAMPS {
            self.timestamps.insert(script, live);
        }
    }

    /// TSecr on the wire of an injected segment. With `scaled` numbers between those known are as far from the first
    /// as they are in the script. A segment without ACK (`optional`) may echo anything.
    pub(crate) fn echo_in(
        &self,
        script: u32,
        scaled: bool,
        optional: bool,
    ) -> Result<u32, UnknownTimestamp> {
        if let Some(live) = self.timestamps.get(&script) {
            return Ok(*live);
        }
        match self.first_timestamp {
            Some((first, live)) if scaled => Ok(live.wrapping_add(script.wrapping_sub(first))),
            _ if optional => Ok(script),
            _ => Err(UnknownTimestamp(script)),
        }
    }

    /// The script's number for a TSval that left, by the distance from the first.
    pub(crate) fn timestamp_out(&self, live: u32) -> Option<u32> {
        let (script, first) = self.first_timestamp?;
        Some(script.wrapping_add(live.wrapping_sub(first)))
    }

    /// Whether a flow label fits those seen: the same name always the same label, another name another one.
    pub(crate) fn flow_label_fits(&mut self, script: u32, live: u32) -> bool {
        match self.flow_labels.get(&script) {
            Some(known) => *known == live,
            None if self.flow_labels.values().any(|known| *known == live) => false,
            None => {
                if self.flow_labels.len() < MAX_TIMESTAMPS {
                    self.flow_labels.insert(script, live);
                }
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map() -> WireMap {
        let mut map = WireMap::default();
        map.learn_local(100, 0xffff_fff0);
        map.learn_remote(0xffff_ff00);
        map
    }

    #[test]
    fn numbers_with_syn_are_absolute_and_others_relative() {
        let map = map();
        assert_eq!(map.seq_in(7, true), 7);
        assert_eq!(map.seq_in(1, false), 0xffff_ff01);
        assert_eq!(map.ack_in(101, true), 0xffff_fff1);
        assert_eq!(map.ack_in(0x11, false), 1);
        assert_eq!(map.seq_out(0xffff_fff0, true), 100);
        assert_eq!(map.seq_out(1, false), 0x11);
        assert_eq!(map.ack_out(0xffff_ff01, true), 0xffff_ff01);
        assert_eq!(map.ack_out(0xffff_ff01, false), 1);
        assert_eq!(map.remote_out(0x0f00), 0x1000);
        assert_eq!(map.local_in(0x20), 0x10);
    }

    #[test]
    fn there_and_back() {
        let map = map();
        for number in [0, 1, 1461, 0x7fff_ffff, u32::MAX] {
            assert_eq!(map.seq_out(map.local_in(number), false), number);
            assert_eq!(map.ack_out(map.seq_in(number, false), false), number);
        }
    }

    #[test]
    fn timestamps_are_paired_and_only_scaled_ones_are_guessed() {
        let mut map = WireMap::default();
        assert_eq!(map.echo_in(5, true, false), Err(UnknownTimestamp(5)));
        assert_eq!(map.echo_in(5, false, true), Ok(5));
        map.learn_timestamp(100, 5_000);
        map.learn_timestamp(110, 5_011);
        assert_eq!(map.echo_in(100, false, false), Ok(5_000));
        assert_eq!(map.echo_in(110, false, false), Ok(5_011));
        assert_eq!(map.echo_in(105, false, false), Err(UnknownTimestamp(105)));
        assert_eq!(map.echo_in(105, true, false), Ok(5_005));
        assert_eq!(map.timestamp_out(5_011), Some(111));
    }

    #[test]
    fn flow_labels_are_compared_for_sameness_only() {
        let mut map = WireMap::default();
        assert!(map.flow_label_fits(1, 0xabc));
        assert!(map.flow_label_fits(1, 0xabc));
        assert!(!map.flow_label_fits(1, 0xabd));
        assert!(!map.flow_label_fits(2, 0xabc));
        assert!(map.flow_label_fits(2, 0xabd));
    }
}
