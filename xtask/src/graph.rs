//! `graph`: who may use whom, and what the core must and must not have (`docs/architecture.md`).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use proc_macro2::{TokenStream, TokenTree};
use serde::Deserialize;

use crate::Report;
use crate::source::rust_files;

/// Each package of ours, and which of ours it may use.
const MAY_USE: [(&str, &[&str]); 12] = [
    ("woshou-wire", &[]),
    ("woshou-tcp", &["woshou-wire"]),
    ("woshou-stack", &["woshou-tcp", "woshou-wire"]),
    ("woshou-link", &["woshou-wire"]),
    ("woshou", &["woshou-stack", "woshou-tcp", "woshou-link"]),
    ("woshou-sim", &["woshou-stack", "woshou-tcp", "woshou-wire"]),
    ("woshou-trace", &["woshou-tcp", "woshou-wire"]),
    (
        "woshou-posix",
        &["woshou-stack", "woshou-tcp", "woshou-wire"],
    ),
    (
        "woshou-drill",
        &[
            "woshou-posix",
            "woshou-stack",
            "woshou-sim",
            "woshou-tcp",
            "woshou-wire",
            "woshou-trace",
        ],
    ),
    (
        "woshou-cli",
        &[
            "woshou",
            "woshou-stack",
            "woshou-tcp",
            "woshou-wire",
            "woshou-link",
            "woshou-sim",
            "woshou-trace",
            "woshou-drill",
        ],
    ),
    (
        "woshou-bench",
        &[
            "woshou",
            "woshou-stack",
            "woshou-tcp",
            "woshou-wire",
            "woshou-link",
            "woshou-sim",
        ],
    ),
    ("xtask", &[]),
];

/// The crates without I/O, clocks, features and unsafe code.
const CORE: [&str; 3] = ["woshou-wire", "woshou-tcp", "woshou-stack"];

/// Where `unsafe` may stand: what talks to the kernel, and the C interface.
const UNSAFE_IN: [&str; 2] = ["crates/link/", "crates/capi/"];

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    dependencies: Vec<Dependency>,
    features: BTreeMap<String, Vec<String>>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    /// `dev`, `build`, or nothing for an ordinary one.
    kind: Option<String>,
}

impl Dependency {
    fn is_dev(&self) -> bool {
        self.kind.as_deref() == Some("dev")
    }
}

pub(crate) fn check(root: &Path) -> Result<Report> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--no-deps", "--offline"])
        .current_dir(root)
        .output()
        .context("starting cargo metadata")?;
    ensure!(
        output.status.success(),
        "cargo metadata: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    let metadata: Metadata =
        serde_json::from_slice(&output.stdout).context("reading cargo metadata")?;
    let mut violations = directions(&metadata);
    violations.extend(core_attributes(root)?);
    violations.extend(unsafe_places(root)?);
    Ok(Report {
        text: table(&metadata),
        violations,
    })
}

fn allowed(package: &str) -> Option<&'static [&'static str]> {
    MAY_USE
        .iter()
        .find(|(name, _)| *name == package)
        .map(|(_, may_use)| *may_use)
}

/// Which arrows between our packages, and which features, should not be there.
fn directions(metadata: &Metadata) -> Vec<String> {
    let mut violations = Vec::new();
    for package in &metadata.packages {
        let name = package.name.as_str();
        let Some(may_use) = allowed(name) else {
            violations.push(format!(
                "{name}: unknown package; give it a line in xtask/src/graph.rs"
            ));
            continue;
        };
        let is_core = CORE.contains(&name);
        for dependency in &package.dependencies {
            let used = dependency.name.as_str();
            if allowed(used).is_none() || may_use.contains(&used) {
                continue;
            }
            // A test may look upwards, but not the core's: it would meet a second copy of itself.
            let test_looks_up = dependency.is_dev() && !is_core && used != "woshou-cli";
            if !test_looks_up {
                violations.push(format!("{name} uses {used}"));
            }
        }
        if is_core && !package.features.is_empty() {
            let features: Vec<_> = package.features.keys().map(String::as_str).collect();
            violations.push(format!(
                "{name} has Cargo features ({}); the core chooses at run time",
                features.join(", ")
            ));
        }
    }
    violations
}

/// A line a package: what of ours it uses.
fn table(metadata: &Metadata) -> String {
    let mut text = String::new();
    for (name, _) in MAY_USE {
        let Some(package) = metadata
            .packages
            .iter()
            .find(|package| package.name == name)
        else {
            continue;
        };
        let mut used: Vec<_> = package
            .dependencies
            .iter()
            .filter(|dependency| !dependency.is_dev() && allowed(&dependency.name).is_some())
            .map(|dependency| dependency.name.as_str())
            .collect();
        used.sort_unstable();
        let used = if used.is_empty() {
            "-".to_owned()
        } else {
            used.join(" ")
        };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{name:<13} uses {used}");
    }
    text
}

/// The attributes that make the core's promises the compiler's business.
fn core_attributes(root: &Path) -> Result<Vec<String>> {
    let mut violations = Vec::new();
    for name in CORE {
        let path = format!("crates/{}/src/lib.rs", name.trim_start_matches("woshou-"));
        let text =
            std::fs::read_to_string(root.join(&path)).with_context(|| format!("reading {path}"))?;
        violations.extend(
            missing_attributes(&text)?
                .into_iter()
                .map(|it| format!("{path}:1: no {it}")),
        );
    }
    Ok(violations)
}

fn missing_attributes(text: &str) -> Result<Vec<&'static str>> {
    let file = syn::parse_file(text)?;
    let no_std = file
        .attrs
        .iter()
        .any(|attribute| attribute.path().is_ident("no_std"));
    let forbids = file.attrs.iter().any(|attribute| {
        attribute.path().is_ident("forbid")
            && attribute
                .meta
                .require_list()
                .is_ok_and(|list| list.tokens.to_string().contains("unsafe_code"))
    });
    let wanted = [(no_std, "#![no_std]"), (forbids, "#![forbid(unsafe_code)]")];
    Ok(wanted
        .into_iter()
        .filter(|(found, _)| !found)
        .map(|(_, name)| name)
        .collect())
}

/// Every `unsafe` outside of where it may stand.
fn unsafe_places(root: &Path) -> Result<Vec<String>> {
    let mut violations = Vec::new();
    for source in rust_files(root, &["crates", "tests", "examples", "benches", "xtask"])? {
        if UNSAFE_IN.iter().any(|place| source.path.starts_with(place)) {
            continue;
        }
        let tokens: TokenStream = source
            .text
            .parse()
            .map_err(|error| anyhow::anyhow!("{}: {error}", source.path))?;
        let mut lines = Vec::new();
        unsafe_lines(tokens, &mut lines);
        violations.extend(
            lines
                .into_iter()
                .map(|line| format!("{}:{line}: unsafe", source.path)),
        );
    }
    Ok(violations)
}

/// Tokens, not text: a comment or a string that says "unsafe" is none.
fn unsafe_lines(tokens: TokenStream, lines: &mut Vec<usize>) {
    for token in tokens {
        match token {
            TokenTree::Ident(ident) if ident == "unsafe" => lines.push(ident.span().start().line),
            TokenTree::Group(group) => unsafe_lines(group.stream(), lines),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata(packages: &str) -> Metadata {
        serde_json::from_str(&format!("{{\"packages\":[{packages}]}}")).unwrap()
    }

    fn package(name: &str, uses: &[(&str, Option<&str>)]) -> String {
        let uses: Vec<_> = uses
            .iter()
            .map(|(name, kind)| serde_json::json!({ "name": name, "kind": kind }))
            .collect();
        serde_json::json!({ "name": name, "dependencies": uses, "features": {} }).to_string()
    }

    #[test]
    fn arrows() {
        let cases: [(&str, &str, Option<&str>, bool); 12] = [
            ("woshou-tcp", "woshou-wire", None, true),
            ("woshou-tcp", "woshou-stack", None, false),
            ("woshou-tcp", "woshou-trace", None, false),
            ("woshou-tcp", "woshou-trace", Some("dev"), false),
            ("woshou-stack", "woshou-trace", None, false),
            ("woshou-wire", "zerocopy", None, true),
            ("woshou-link", "woshou-tcp", None, false),
            ("woshou-link", "woshou-stack", Some("dev"), true),
            ("woshou-sim", "woshou-trace", None, false),
            ("woshou-cli", "woshou-sim", None, true),
            ("woshou", "woshou-cli", Some("dev"), false),
            ("newcomer", "serde", None, false),
        ];
        for (from, to, kind, fine) in cases {
            let found = directions(&metadata(&package(from, &[(to, kind)])));
            assert_eq!(
                found.is_empty(),
                fine,
                "{from} -> {to} ({kind:?}): {found:?}"
            );
        }
    }

    #[test]
    fn features_only_outside_the_core() {
        let with = |name: &str| {
            metadata(&format!(
                "{{\"name\":\"{name}\",\"dependencies\":[],\"features\":{{\"fast\":[]}}}}"
            ))
        };
        assert_eq!(directions(&with("woshou-tcp")).len(), 1);
        assert!(directions(&with("woshou")).is_empty());
    }

    #[test]
    fn attributes() {
        let both = "//! Text.\n#![no_std]\n#![forbid(unsafe_code)]\n";
        assert!(missing_attributes(both).unwrap().is_empty());
        assert_eq!(
            missing_attributes("#![no_std]").unwrap(),
            ["#![forbid(unsafe_code)]"]
        );
        assert_eq!(
            missing_attributes("// #![no_std]\n#![deny(unsafe_code)]").unwrap(),
            ["#![no_std]", "#![forbid(unsafe_code)]"]
        );
    }

    #[test]
    fn unsafe_is_found_by_token() {
        let text = "// unsafe\nconst A: &str = \"unsafe\";\nfn f() {\n    m!(unsafe { g() });\n}\n";
        let mut lines = Vec::new();
        unsafe_lines(text.parse().unwrap(), &mut lines);
        assert_eq!(lines, [4]);
    }
}
