//! What came out of an experiment, in numbers.

use std::time::Duration;

/// What became of one flow.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FlowFigures {
    /// Octets that the receiver's program was given, in all.
    pub delivered: u64,
    /// Bits a second of them, from [`Experiment::measure_from`](super::Experiment::measure_from) or its own start, whichever is
    /// later, until the end of the experiment or its own, whichever is earlier.
    pub goodput: f64,
    /// When all octets of a flow with an end had come; `None`: not all did, or it has no end.
    pub finished_at: Option<Duration>,
    /// Segments with text that left the sender, retransmissions included.
    pub segments: u64,
    /// Segments that it sent again, by its own count.
    pub retransmitted_segments: u64,
    /// Octets that it sent again, by its own count.
    pub retransmitted_octets: u64,
    /// Segments all of whose text the receiver had already when they came, as the network saw it; second copies that the network
    /// made are not counted.
    pub spurious_segments: u64,
    /// Segments with text that came from [`Experiment::measure_from`](super::Experiment::measure_from) on.
    pub measured_segments: u64,
    /// Of these: spurious, as above.
    pub measured_spurious: u64,
    /// Octets that came although the receiver had them.
    pub spurious_octets: u64,
    /// Segments that the receiver missed until text beyond them had come: what reordering and losses do.
    pub late_segments: u64,
    /// Retransmission timeouts.
    pub timeouts: u32,
    /// The longest that the receiver waited for the next octet in order, the time until the end of an unfinished flow included.
    pub longest_stall: Duration,
    /// Smoothed round trip at the end.
    pub smoothed_round_trip: Duration,
    /// The least round trip it saw.
    pub least_round_trip: Duration,
    /// Its congestion window at the end, octets.
    pub cwnd: u64,
    /// Packets with its text that were lost, for whatever cause.
    pub lost_data: u64,
    /// Packets of its receiver that were lost.
    pub lost_acks: u64,
    /// Whether its connection broke, or never came to be.
    pub broken: bool,
}

impl FlowFigures {
    /// Spurious segments among all that left; zero where none did.
    #[must_use]
    pub fn spurious_share(&self) -> f64 {
        share(self.spurious_segments, self.segments)
    }

    /// Spurious segments among those that came since the measurement began; zero where none did.
    #[must_use]
    pub fn measured_spurious_share(&self) -> f64 {
        share(self.measured_spurious, self.measured_segments)
    }

    /// Retransmitted segments among all that left; zero where none did.
    #[must_use]
    pub fn retransmitted_share(&self) -> f64 {
        share(self.retransmitted_segments, self.segments)
    }
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}

/// What the bottleneck did from [`Experiment::measure_from`](super::Experiment::measure_from) on.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct BottleneckFigures {
    /// The mean time in its queue.
    pub mean_delay: Duration,
    /// 95 % of all packets waited no longer (to a sixteenth of it).
    pub p95_delay: Duration,
    /// The longest time in its queue.
    pub most_delay: Duration,
    /// Packets that it took.
    pub packets: u64,
    /// Packets that it dropped.
    pub dropped: u64,
    /// Packets that it marked.
    pub marked: u64,
}

/// What became of all flows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures {
    /// Each flow, in the order of the experiment.
    pub flows: Vec<FlowFigures>,
    /// The bottleneck of the way forth.
    pub bottleneck: BottleneckFigures,
    /// The share of the time in which the bottleneck was busy, 0 to 1; 0 without a rate.
    pub utilisation: f64,
    /// The sum of all goodputs, bits a second.
    pub goodput: f64,
    /// Jain's index of the goodputs: 1 when all are equal, 1/n when one has it all.
    pub jain: f64,
    /// Packets that left any host: what the simulation had to do.
    pub packets: u64,
}

/// Jain's fairness index (Jain, Chiu, Hawe 1984): the square of the sum by `n` times the sum of the squares. 1 for no shares or
/// shares of nothing.
#[must_use]
pub fn jain(shares: &[f64]) -> f64 {
    let sum: f64 = shares.iter().sum();
    let squares: f64 = shares.iter().map(|share| share * share).sum();
    if squares > 0.0 {
        sum * sum / (shares.len() as f64 * squares)
    } else {
        1.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jains_index() {
        for (shares, index) in [
            (&[][..], 1.0),
            (&[0.0, 0.0], 1.0),
            (&[5.0], 1.0),
            (&[3.0, 3.0, 3.0], 1.0),
            (&[4.0, 0.0, 0.0, 0.0], 0.25),
            (&[1.0, 3.0], 0.8),
        ] {
            assert!((jain(shares) - index).abs() < 1e-12, "{shares:?}");
        }
    }
}
