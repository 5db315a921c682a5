//! Stories of two connections in virtual time, one connection against segments made by hand, and both at random.

mod alarms;
mod attacks;
mod bench;
mod chaos;
mod dice;
mod dsack;
mod ecn;
mod edges;
mod figures;
mod hostile;
mod matrix;
mod mtu;
mod opening;
mod pacing;
mod pair;
mod prediction;
mod repair;
mod segments;
mod silly;
mod stories;
mod urgent;
mod user;
mod windows;

use crate::{Config, LossDetection};

/// Without tail loss probes, which come before the timer of retransmissions does.
fn unprobed() -> Config {
    Config {
        loss_detection: LossDetection {
            tail_loss_probe: false,
            ..LossDetection::default()
        },
        ..Config::default()
    }
}
