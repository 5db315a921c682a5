//! The short way for expected text leads to where the long one does: two connections that differ in nothing else are given the
//! same random life, and must be the same after each step of it.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::dice::for_seeds;
use super::hostile::{Seen, Target};

/// All there is to know of it, but for the switch itself; and what a watcher saw.
fn whole(target: &Target) -> String {
    let long = "header_prediction: false";
    let connection = format!("{:?}", target.connection).replace("header_prediction: true", long);
    format!("{connection}\n{:?}", target.seen)
}

/// Runs of ordinary text and of acknowledgements now and then, between anything.
fn live(target: &mut Target, step: u32) {
    match (step % 16, step / 16 % 2) {
        (12.., _) => target.step(step),
        (_, 0) => target.next_text(),
        _ => target.next_ack(),
    }
}

fn one(seed: u64) {
    let [mut short, mut long] = [true, false].map(|prediction| {
        let mut target = Target::new(seed);
        Arc::make_mut(&mut target.connection.config).header_prediction = prediction;
        target.seen = seed.is_multiple_of(2).then(Seen::default);
        target
    });
    for step in 0..300 {
        live(&mut short, step);
        live(&mut long, step);
        let (short, long) = (whole(&short), whole(&long));
        assert!(short == long, "step {step}:\n{short}\n{long}");
    }
    assert_eq!(short.predicted, long.predicted);
}

#[test]
fn both_ways_lead_to_the_same() {
    for_seeds("PREDICTION", 60, one);
}

/// The test above would show nothing if nothing took the short way.
#[test]
fn the_short_way_is_taken() {
    let taken = |seed| {
        let mut target = Target::new(seed);
        (0..300).for_each(|step| live(&mut target, step));
        target.predicted
    };
    let taken: Vec<[u32; 2]> = (0..50).map(taken).collect();
    for kind in 0..2 {
        let taken: u32 = taken.iter().map(|taken| taken[kind]).sum();
        assert!(taken > [500, 200][kind], "{kind}: {taken}");
    }
}
