//! A path that carries less all of a sudden, and says nothing.

use alloc::boxed::Box;
use core::time::Duration;

use super::super::*;
use super::pair::{Pair, octets};

/// What SACK reported of before the path changed does not excuse it: the first timeout already sends small segments.
#[test]
fn reports_from_before_do_not_excuse_the_path() {
    let mut pair = Pair::open(Config {
        mtu_probing: true,
        initial_window: 20,
        ..Config::default()
    });
    // The first segment is lost by chance, the others of its flight arrive; from then on nothing large passes.
    let mut changed = false;
    pair.drop = Box::new(move |side, _, flying| {
        let first = side == 0 && !changed && !flying.text.is_empty();
        changed |= side == 0 && flying.reason == Reason::FastRetransmit;
        let lost = first && flying.reason == Reason::Data && flying.header.seq == SeqNum(0);
        lost || (changed && flying.text.len() > 1024)
    });
    let text = octets(100_000);
    let begun = pair.now;
    pair.write(0, &text);
    while pair.end(1).readable() < text.len() {
        assert!(pair.step(), "it goes on");
    }
    assert!(pair.reasons(0).contains(&Reason::FastRetransmit));
    let timeouts = pair.log.iter().filter(|sent| sent.1 == Reason::Timeout);
    for (_, _, _, len) in timeouts {
        assert!(*len <= 1024, "{len} octets at a timeout");
    }
    assert!(pair.now.since(begun) < Duration::from_secs(2));
}
