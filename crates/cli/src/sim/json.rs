//! `--json`: an object a line, one for each run. `docs/sim.md` lists the fields.

use serde::Serialize;
use woshou_sim::Figures;
use woshou_sim::experiment::FlowFigures;

use super::keys::Cell;
use super::plan::Plan;
use super::table::given;

/// Raised when a field changes its meaning or goes; new fields do not raise it.
const SCHEMA: u32 = 1;

#[derive(Serialize)]
struct Run<'a> {
    schema: u32,
    seed: u64,
    cell: Path<'a>,
    goodput_bps: f64,
    utilisation: f64,
    jain: f64,
    packets: u64,
    bottleneck: Bottleneck,
    flows: Vec<Flow>,
}

#[derive(Serialize)]
struct Path<'a> {
    rate_bps: u64,
    rtt_s: f64,
    queue: String,
    loss: f64,
    mtu: usize,
    duration_s: f64,
    /// Everything else, as it was written.
    given: std::collections::BTreeMap<&'a str, &'a str>,
}

#[derive(Serialize)]
struct Bottleneck {
    mean_delay_s: f64,
    p95_delay_s: f64,
    most_delay_s: f64,
    packets: u64,
    dropped: u64,
    marked: u64,
}

#[derive(Serialize)]
struct Flow {
    cc: String,
    start_s: f64,
    delivered: u64,
    goodput_bps: f64,
    finished_s: Option<f64>,
    segments: u64,
    retransmitted_segments: u64,
    retransmitted_octets: u64,
    spurious_segments: u64,
    late_segments: u64,
    timeouts: u32,
    longest_stall_s: f64,
    srtt_s: f64,
    min_rtt_s: f64,
    cwnd: u64,
    lost_data: u64,
    lost_acks: u64,
    broken: bool,
}

/// All runs, in the order of the cells and of their seeds.
pub(super) fn text(plan: &Plan, found: &[Vec<Figures>]) -> String {
    let mut text = String::new();
    for (cell, runs) in plan.cells.iter().zip(found) {
        for (seed, figures) in (plan.order.seed..).zip(runs) {
            // Numbers and strings only: there is nothing that JSON cannot say.
            if let Ok(line) = serde_json::to_string(&run(cell, seed, figures)) {
                text.push_str(&line);
                text.push('\n');
            }
        }
    }
    text
}

fn run<'a>(cell: &'a Cell, seed: u64, found: &Figures) -> Run<'a> {
    let bottleneck = &found.bottleneck;
    Run {
        schema: SCHEMA,
        seed,
        cell: Path {
            rate_bps: cell.rate,
            rtt_s: cell.rtt.as_secs_f64(),
            queue: given(cell, "queue"),
            loss: cell.loss,
            mtu: cell.mtu,
            duration_s: cell.lasts().as_secs_f64(),
            given: cell
                .given
                .iter()
                .map(|(key, text)| (*key, text.as_str()))
                .collect(),
        },
        goodput_bps: cell.goodput(found),
        utilisation: found.utilisation,
        jain: found.jain,
        packets: found.packets,
        bottleneck: Bottleneck {
            mean_delay_s: bottleneck.mean_delay.as_secs_f64(),
            p95_delay_s: bottleneck.p95_delay.as_secs_f64(),
            most_delay_s: bottleneck.most_delay.as_secs_f64(),
            packets: bottleneck.packets,
            dropped: bottleneck.dropped,
            marked: bottleneck.marked,
        },
        flows: (0..)
            .zip(&found.flows)
            .map(|(number, flow)| one(cell, number, flow))
            .collect(),
    }
}

fn one(cell: &Cell, number: usize, flow: &FlowFigures) -> Flow {
    let turns = u32::try_from(number).unwrap_or(u32::MAX);
    Flow {
        cc: cell.algorithm(number).to_string(),
        start_s: cell.stagger.saturating_mul(turns).as_secs_f64(),
        delivered: flow.delivered,
        goodput_bps: flow.goodput,
        finished_s: flow.finished_at.map(|at| at.as_secs_f64()),
        segments: flow.segments,
        retransmitted_segments: flow.retransmitted_segments,
        retransmitted_octets: flow.retransmitted_octets,
        spurious_segments: flow.spurious_segments,
        late_segments: flow.late_segments,
        timeouts: flow.timeouts,
        longest_stall_s: flow.longest_stall.as_secs_f64(),
        srtt_s: flow.smoothed_round_trip.as_secs_f64(),
        min_rtt_s: flow.least_round_trip.as_secs_f64(),
        cwnd: flow.cwnd,
        lost_data: flow.lost_data,
        lost_acks: flow.lost_acks,
        broken: flow.broken,
    }
}
