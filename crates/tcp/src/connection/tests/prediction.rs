//! The short way for expected text leads to where the long one does: two connections that differ in nothing else are given the
//! same random life, and must be the same after each step of it.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;

use super::dice::for_seeds;
use super::hostile::Target;

/// All there is to know of it, but for the switch itself.
fn whole(target: &Target) -> String {
    let long = "header_prediction: false";
    format!("{:?}", target.connection).replace("header_prediction: true", long)
}

/// A run of ordinary text now and then, between anything.
fn live(target: &mut Target, step: u32) {
    if step % 16 < 12 {
        target.next_text();
    } else {
        target.step(step);
    }
}

fn one(seed: u64) {
    let [mut short, mut long] = [true, false].map(|prediction| {
        let mut target = Target::new(seed);
        Arc::make_mut(&mut target.connection.config).header_prediction = prediction;
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
    let taken: u32 = (0..50).map(taken).sum();
    assert!(taken > 500, "{taken}");
}
