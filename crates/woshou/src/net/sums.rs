//! What shards have counted, together.

use woshou_stack::{Counters, MemoryUse};

use super::NetCounters;
use crate::shared::Shared;

/// `sum` and what `shared` counted.
pub(super) fn counters(sum: NetCounters, shared: &Shared) -> NetCounters {
    let lost = shared.ports.iter().map(|port| port.lost);
    let (handed_over, handed_over_lost) = match &shared.member {
        Some(member) => (member.handed_over, member.lost),
        None => (0, 0),
    };
    NetCounters {
        stack: of_stacks(&sum.stack, &shared.stack.counters()),
        frames_lost: lost.fold(sum.frames_lost, u64::saturating_add),
        handed_over: sum.handed_over.saturating_add(handed_over),
        handed_over_lost: sum.handed_over_lost.saturating_add(handed_over_lost),
    }
}

/// A counter a line.
fn of_stacks(one: &Counters, other: &Counters) -> Counters {
    macro_rules! sums {
        ($($counter:ident)*) => {
            Counters { $($counter: one.$counter.saturating_add(other.$counter),)* }
        };
    }
    sums! {
        packets_in packets_out acknowledged bad_ip from_ourselves martians bad_checksum not_ours resets_sent refused dropped_out
        fragments_in reassembled icmp_errors_in syn_cookies_sent syn_cookies_received syn_cookies_failed backlog_overflows
        accept_overflows icmp_errors_ignored
    }
}

/// Both together.
pub(super) fn memory(mut one: MemoryUse, other: &MemoryUse) -> MemoryUse {
    one.now = one.now.saturating_add(other.now);
    one.peak = one.peak.saturating_add(other.peak);
    one.budget = one.budget.saturating_add(other.budget);
    one.pressure = one.pressure.max(other.pressure);
    one.pruned_octets = one.pruned_octets.saturating_add(other.pruned_octets);
    one.killed = one.killed.saturating_add(other.killed);
    one.refused = one.refused.saturating_add(other.refused);
    one
}
