//! The matrix of one flow on one path, in virtual time, as tables that are kept: a change of the protocol shows in their diff.
//!
//! `WOSHOU_BLESS=1` writes the tables anew. The whole matrix wants a release build:
//! `cargo test --release -p woshou-sim --test sim -- --ignored --nocapture whole_matrix`

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use woshou_sim::Algorithm;
use woshou_sim::experiment::matrix::{Cell, Weather, run, table};

const SEED: u64 = 1;

/// Those of the matrix; DCTCP wants marks, and has a table of its own elsewhere.
const ALGORITHMS: [Algorithm; 3] = [Algorithm::NewReno, Algorithm::Cubic, Algorithm::Bbr];

fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Compares a table with the one that is kept, or keeps it.
fn compare(name: &str, table: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/snapshots")
        .join(name);
    if std::env::var_os("WOSHOU_BLESS").is_some() {
        fs::write(&path, table).expect("the folder of the tables is there");
        return;
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    let wrong: Vec<_> = kept
        .lines()
        .zip(table.lines())
        .filter(|(a, b)| a != b)
        .collect();
    assert!(
        kept == table,
        "{} is no longer so; look at the difference, and if it is meant, WOSHOU_BLESS=1.\n{}",
        path.display(),
        wrong
            .iter()
            .map(|(kept, now)| format!("- {kept}\n+ {now}\n"))
            .collect::<String>()
    );
}

/// Up to 100 Mbit/s and 20 ms, with a queue of one product: what a debug build does in seconds.
#[test]
fn a_corner_of_the_matrix() {
    let mut cells = Cell::all(&ALGORITHMS);
    cells.retain(|cell| {
        cell.rate <= 100_000_000
            && cell.round_trip == Duration::from_millis(20)
            && cell.queue == 1.0
    });
    assert_eq!(cells.len(), 3 * 2 * Weather::ALL.len());
    compare(
        "matrix-corner.txt",
        &table(&cells, &run(&cells, SEED, threads())),
    );
}

#[test]
fn every_cell_is_the_same_twice_and_on_any_thread() {
    let cells: Vec<_> = Cell::all(&ALGORITHMS)
        .into_iter()
        .filter(|cell| cell.rate <= 10_000_000)
        .step_by(5)
        .collect();
    let figures = run(&cells, 2, 3);
    assert!(cells.len() > 20);
    assert_eq!(figures, run(&cells, 2, 1));
    assert_ne!(figures, run(&cells, 3, 3));
}

#[test]
#[ignore = "some 100 million packets: for a release build"]
fn whole_matrix() {
    let cells = Cell::all(&ALGORITHMS);
    let began = Instant::now();
    let figures = run(&cells, SEED, threads());
    let took = began.elapsed();
    let packets: u64 = figures.iter().map(|each| each.packets).sum();
    println!(
        "{} cells, {packets} packets in {took:.1?} on {} threads",
        cells.len(),
        threads()
    );
    compare("matrix.txt", &table(&cells, &figures));
    assert!(took < Duration::from_secs(60), "{took:?}");
}
