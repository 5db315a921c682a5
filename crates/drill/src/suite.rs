//! Many scripts, on several threads, their reports in a fixed order.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use crate::MAX_SOURCE;
use crate::drill::{self, run};
use crate::report::Report;
use crate::settings::Config;

/// How deep folders are searched.
const MAX_DEPTH: u32 = 32;

/// The scripts of `paths`: files as they are, and of folders everything that ends in `.pkt`, folders inside included, in
/// the order of their names.
///
/// # Errors
/// A path that cannot be read; the error's text names it.
pub fn find(paths: &[PathBuf]) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for path in paths {
        let named =
            |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        if fs::metadata(path).map_err(named)?.is_dir() {
            search(path, 0, &mut found)?;
        } else {
            found.push(path.clone());
        }
    }
    Ok(found)
}

fn search(folder: &Path, depth: u32, found: &mut Vec<PathBuf>) -> io::Result<()> {
    let named =
        |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", folder.display()));
    let mut entries: Vec<fs::DirEntry> = fs::read_dir(folder)
        .map_err(named)?
        .collect::<Result<_, _>>()
        .map_err(named)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        // Links to folders are not followed: they may lead in circles.
        if entry.file_type().map_err(named)?.is_dir() {
            if depth < MAX_DEPTH {
                search(&path, depth + 1, found)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "pkt") {
            found.push(path);
        }
    }
    Ok(())
}

/// Runs every file with every configuration (each given the file's path as the script's name) on `jobs` threads; zero
/// counts as one. `each` hears of every report in the order of the files, then of the configurations, as soon as it
/// can; what it is told does not depend on the number of threads.
pub fn run_files(files: &[PathBuf], configs: &[Config], jobs: usize, mut each: impl FnMut(Report)) {
    let total = files.len() * configs.len();
    let next = AtomicUsize::new(0);
    let (send, receive) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..jobs.clamp(1, total.max(1)) {
            let (send, next) = (send.clone(), &next);
            scope.spawn(move || {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let job = files
                        .get(index / configs.len().max(1))
                        .zip(configs.get(index % configs.len().max(1)));
                    let Some((file, config)) = job else { return };
                    // Who listens has gone away only when the caller has panicked.
                    if send.send((index, run_file(file, config))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(send);
        let mut early = BTreeMap::new();
        let mut told = 0;
        for (index, report) in receive {
            early.insert(index, report);
            while let Some(report) = early.remove(&told) {
                each(report);
                told += 1;
            }
        }
    });
}

fn run_file(file: &Path, config: &Config) -> Report {
    let config = Config {
        script: file.display().to_string(),
        ..config.clone()
    };
    let too_large = |size: u64| size > MAX_SOURCE as u64;
    match fs::metadata(file) {
        Ok(metadata) if too_large(metadata.len()) => {
            return drill::unreadable(&config, format!("more than {MAX_SOURCE} octets"));
        }
        Ok(_) => {}
        Err(error) => return drill::unreadable(&config, error.to_string()),
    }
    match fs::read(file) {
        Ok(octets) => run(&String::from_utf8_lossy(&octets), &config),
        Err(error) => drill::unreadable(&config, error.to_string()),
    }
}
