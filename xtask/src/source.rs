//! The Rust files of the workspace.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// A source file.
pub(crate) struct Source {
    /// Its path from the workspace's root, with `/`.
    pub(crate) path: String,
    /// What it holds.
    pub(crate) text: String,
}

impl Source {
    /// Whether the whole file is tests, by where it lies.
    pub(crate) fn lies_among_tests(&self) -> bool {
        self.path.split('/').any(|part| part == "tests")
    }
}

/// All `.rs` files below the given folders of `root`, in order of their paths.
///
/// # Errors
/// A folder or a file cannot be read; a folder that does not exist holds no files.
pub(crate) fn rust_files(root: &Path, folders: &[&str]) -> Result<Vec<Source>> {
    let mut paths = Vec::new();
    for folder in folders {
        collect(&root.join(folder), &mut paths)?;
    }
    paths.sort();
    paths
        .into_iter()
        .map(|path| {
            let text =
                fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
            let path = path.strip_prefix(root).unwrap_or(&path).to_string_lossy();
            Ok(Source {
                path: path.replace('\\', "/"),
                text,
            })
        })
        .collect()
}

fn collect(folder: &Path, into: &mut Vec<PathBuf>) -> Result<()> {
    if !folder.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(folder).with_context(|| format!("listing {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            // Cargo's own output, and what fuzzing leaves behind, is not ours.
            if !path.ends_with("target") && !path.ends_with("corpus") {
                collect(&path, into)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
    Ok(())
}
