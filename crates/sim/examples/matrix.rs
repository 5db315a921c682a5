//! Runs the matrix (or the cells whose line contains every argument) and prints its table; how fast, to standard error.
//!
//! `cargo run --release -p woshou-sim --example matrix -- newreno 1000M`

use std::time::Instant;

use woshou_sim::Algorithm;
use woshou_sim::experiment::matrix::{Cell, run, table};

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    // Without DCTCP: nothing marks on these paths.
    let mut cells = Cell::all(&[Algorithm::NewReno, Algorithm::Cubic, Algorithm::Bbr]);
    cells.retain(|cell| {
        let name = format!(
            " {} {}M {}ms {} {} ",
            cell.algorithm,
            cell.rate / 1_000_000,
            cell.round_trip.as_millis(),
            cell.queue,
            cell.weather
        );
        wanted
            .iter()
            .all(|word| name.contains(&format!(" {word} ")))
    });
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let began = Instant::now();
    let figures = run(&cells, 1, threads);
    let took = began.elapsed().as_secs_f64();
    print!("{}", table(&cells, &figures));
    let packets: u64 = figures.iter().map(|each| each.packets).sum();
    eprintln!(
        "{} cells, {packets} packets in {took:.1} s on {threads} threads: {:.0} a second",
        cells.len(),
        packets as f64 / took
    );
}
