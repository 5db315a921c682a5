//! `shape`: how long functions and files are, and how many parameters functions take. Tests do not count.
//!
//! - A function: at most 60 lines of code in its body, counted as clippy's `too_many_lines` does (neither blank lines
//!   nor comments), so that one `#[expect]` answers both; and at most 5 parameters, `self` among them. More needs
//!   `#[expect(clippy::too_many_lines, reason = "..")]`, or `clippy::too_many_arguments`.
//! - A file: at most 500 lines, comments and blank lines included. Up to 700 with a line `// shape: <reason>`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result};
use proc_macro2::{TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use crate::Report;
use crate::source::{Source, rust_files};

const MAX_LINES: usize = 60;
const MAX_PARAMETERS: usize = 5;
const MAX_FILE: usize = 500;
const MAX_FILE_WITH_REASON: usize = 700;

const LINES_LINT: &str = "too_many_lines";
const PARAMETERS_LINT: &str = "too_many_arguments";

pub(crate) fn check(root: &Path) -> Result<Report> {
    let sources = rust_files(root, &["crates", "benches", "examples", "xtask"])?;
    let mut files = Vec::new();
    for source in sources.iter().filter(|source| !source.lies_among_tests()) {
        files.push(measure(source).with_context(|| format!("parsing {}", source.path))?);
    }
    let test_modules: Vec<String> = files
        .iter()
        .flat_map(|file| file.test_modules.iter().cloned())
        .collect();
    files.retain(|file| {
        !test_modules
            .iter()
            .any(|module| is_in_module(&file.path, module))
    });
    Ok(Report {
        text: table(&files),
        violations: files.iter().flat_map(violations).collect(),
    })
}

/// What was measured in one file.
#[derive(Debug, Default)]
struct File {
    path: String,
    /// Lines that are not tests.
    lines: usize,
    /// What `// shape:` says.
    reason: Option<String>,
    functions: Vec<Function>,
    /// Modules that are tests and lie in files of their own, as paths without `.rs`.
    test_modules: Vec<String>,
}

#[derive(Debug)]
struct Function {
    name: String,
    line: usize,
    /// Lines of code in its body.
    lines: usize,
    parameters: usize,
    /// The attribute that permits more lines.
    long: Option<Deviation>,
    /// The attribute that permits more parameters.
    wide: Option<Deviation>,
}

/// An `#[expect]` or `#[allow]` of one of the two lints.
#[derive(Clone, Debug)]
struct Deviation {
    reason: Option<String>,
}

fn measure(source: &Source) -> Result<File> {
    let file = syn::parse_file(&source.text)?;
    let tokens: TokenStream = source
        .text
        .parse()
        .map_err(|error| anyhow::anyhow!("no tokens: {error}"))?;
    let mut code = BTreeSet::new();
    code_lines(tokens, &mut code);
    for (index, line) in source.text.lines().enumerate() {
        if line.trim_start().starts_with("//") {
            code.remove(&(index + 1));
        }
    }
    let mut walk = Walk {
        code,
        folder: module_folder(&source.path),
        scopes: vec![deviations(&file.attrs)],
        ..Walk::default()
    };
    walk.visit_file(&file);
    let total = source.text.lines().count();
    let tests = if is_test(&file.attrs) {
        total
    } else {
        walk.test_lines
    };
    let reason = source
        .text
        .lines()
        .find_map(|line| line.trim().strip_prefix("// shape: "))
        .map(str::to_owned);
    Ok(File {
        path: source.path.clone(),
        lines: total.saturating_sub(tests),
        reason,
        functions: walk.functions,
        test_modules: walk.test_modules,
    })
}

/// The lines on which a token stands.
fn code_lines(tokens: TokenStream, lines: &mut BTreeSet<usize>) {
    for token in tokens {
        match token {
            TokenTree::Group(group) => {
                lines.insert(group.span_open().start().line);
                lines.insert(group.span_close().end().line);
                code_lines(group.stream(), lines);
            }
            other => {
                let span = other.span();
                lines.extend(span.start().line..=span.end().line);
            }
        }
    }
}

/// Where the files of a file's child modules lie.
fn module_folder(path: &str) -> String {
    let stem = path.trim_end_matches(".rs");
    let (folder, name) = stem.rsplit_once('/').unwrap_or(("", stem));
    if matches!(name, "lib" | "main" | "mod") {
        folder.to_owned()
    } else {
        stem.to_owned()
    }
}

fn is_in_module(path: &str, module: &str) -> bool {
    path.strip_prefix(module)
        .is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
}

/// Whether an item exists only in tests: `#[test]`, `#[cfg(test)]`, `#[cfg(all(test, ..))]`.
fn is_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        syn::Meta::Path(path) => path.is_ident("test"),
        syn::Meta::List(list) if list.path.is_ident("cfg") => {
            let condition = list.tokens.to_string();
            let names = |wanted: &str| {
                condition
                    .split(|c: char| !c.is_alphanumeric() && c != '_')
                    .any(|it| it == wanted)
            };
            names("test") && !names("not") && !names("any") && !names("feature")
        }
        _ => false,
    })
}

/// The deviations that attributes permit, by lint.
fn deviations(attributes: &[syn::Attribute]) -> BTreeMap<String, Deviation> {
    let mut found = BTreeMap::new();
    for attribute in attributes {
        if !attribute.path().is_ident("expect") && !attribute.path().is_ident("allow") {
            continue;
        }
        let mut lints = Vec::new();
        let mut reason = None;
        // What does not parse is no lint attribute, and the compiler says so.
        let _ = attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("reason") {
                reason = Some(meta.value()?.parse::<syn::LitStr>()?.value());
            } else if let Some(last) = meta.path.segments.last() {
                lints.push(last.ident.to_string());
            }
            Ok(())
        });
        lints.retain(|lint| lint == LINES_LINT || lint == PARAMETERS_LINT);
        found.extend(lints.into_iter().map(|lint| {
            (
                lint,
                Deviation {
                    reason: reason.clone(),
                },
            )
        }));
    }
    found
}

/// Walks the items of a file, past its tests.
#[derive(Default)]
struct Walk {
    code: BTreeSet<usize>,
    folder: String,
    /// The deviations that the enclosing items permit, outermost first.
    scopes: Vec<BTreeMap<String, Deviation>>,
    test_lines: usize,
    test_modules: Vec<String>,
    functions: Vec<Function>,
}

impl Walk {
    fn permitted(&self, lint: &str) -> Option<Deviation> {
        self.scopes
            .iter()
            .rev()
            .find_map(|scope| scope.get(lint))
            .cloned()
    }

    fn function(&mut self, signature: &syn::Signature, body: &syn::Block) {
        let open = body.brace_token.span.open().start().line;
        let close = body.brace_token.span.close().start().line;
        let inner = if close > open {
            self.code.range(open + 1..close).count()
        } else {
            0
        };
        self.functions.push(Function {
            name: signature.ident.to_string(),
            line: signature.ident.span().start().line,
            lines: inner,
            parameters: signature.inputs.len(),
            long: self.permitted(LINES_LINT),
            wide: self.permitted(PARAMETERS_LINT),
        });
    }

    /// Enters what carries `attributes`, unless it is a test of these lines.
    fn enter(&mut self, attributes: &[syn::Attribute], lines: usize) -> bool {
        if is_test(attributes) {
            self.test_lines += lines;
            return false;
        }
        self.scopes.push(deviations(attributes));
        true
    }

    fn leave(&mut self) {
        self.scopes.pop();
    }
}

fn lines_of(spanned: &impl Spanned) -> usize {
    let span = spanned.span();
    span.end().line - span.start().line + 1
}

/// The attributes of an item; kinds without a body of their own carry nothing of interest but `cfg`.
fn attributes_of(item: &syn::Item) -> &[syn::Attribute] {
    match item {
        syn::Item::Const(it) => &it.attrs,
        syn::Item::Enum(it) => &it.attrs,
        syn::Item::ExternCrate(it) => &it.attrs,
        syn::Item::Fn(it) => &it.attrs,
        syn::Item::Impl(it) => &it.attrs,
        syn::Item::Macro(it) => &it.attrs,
        syn::Item::Mod(it) => &it.attrs,
        syn::Item::Static(it) => &it.attrs,
        syn::Item::Struct(it) => &it.attrs,
        syn::Item::Trait(it) => &it.attrs,
        syn::Item::Type(it) => &it.attrs,
        syn::Item::Use(it) => &it.attrs,
        _ => &[],
    }
}

impl<'ast> Visit<'ast> for Walk {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        let attributes = attributes_of(item);
        if let syn::Item::Mod(module) = item
            && module.content.is_none()
            && is_test(attributes)
        {
            self.test_modules
                .push(format!("{}/{}", self.folder, module.ident));
        }
        if self.enter(attributes, lines_of(item)) {
            visit::visit_item(self, item);
            self.leave();
        }
    }

    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        self.function(&function.sig, &function.block);
        visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        if self.enter(&function.attrs, lines_of(function)) {
            self.function(&function.sig, &function.block);
            visit::visit_impl_item_fn(self, function);
            self.leave();
        }
    }

    fn visit_trait_item_fn(&mut self, function: &'ast syn::TraitItemFn) {
        if self.enter(&function.attrs, lines_of(function)) {
            if let Some(body) = &function.default {
                self.function(&function.sig, body);
            }
            visit::visit_trait_item_fn(self, function);
            self.leave();
        }
    }
}

fn violations(file: &File) -> Vec<String> {
    let path = &file.path;
    let mut found = Vec::new();
    if file.lines > MAX_FILE_WITH_REASON {
        found.push(format!(
            "{path}:1: {} lines, more than {MAX_FILE_WITH_REASON}",
            file.lines
        ));
    } else if file.lines > MAX_FILE && file.reason.is_none() {
        found.push(format!(
            "{path}:1: {} lines, more than {MAX_FILE}",
            file.lines
        ));
    }
    for function in &file.functions {
        let Function { name, line, .. } = function;
        let limits = [
            (function.lines, MAX_LINES, "lines", &function.long),
            (
                function.parameters,
                MAX_PARAMETERS,
                "parameters",
                &function.wide,
            ),
        ];
        for (value, most, what, deviation) in limits {
            if value <= most {
                continue;
            }
            match deviation {
                None => found.push(format!(
                    "{path}:{line}: fn {name} has {value} {what}, more than {most}"
                )),
                Some(Deviation { reason: None }) => found.push(format!(
                    "{path}:{line}: fn {name} has {value} {what}, and no reason for it"
                )),
                Some(_) => {}
            }
        }
    }
    found
}

/// The folder of the package that a file belongs to: `crates/tcp`, `benches`, `examples`.
fn package_of(path: &str) -> &str {
    let depth = if path.starts_with("crates/") { 2 } else { 1 };
    path.match_indices('/')
        .nth(depth - 1)
        .map_or(path, |(end, _)| &path[..end])
}

/// The figures of one package's files, then every deviation with its reason.
fn table(files: &[File]) -> String {
    let mut packages: BTreeMap<&str, Vec<&File>> = BTreeMap::new();
    for file in files {
        let package = package_of(&file.path);
        packages.entry(package).or_default().push(file);
    }
    let mut text = String::from(
        "package          files  lines  longest file  functions  median  longest  most parameters\n",
    );
    for (package, files) in packages {
        let mut lengths: Vec<_> = files
            .iter()
            .flat_map(|file| &file.functions)
            .map(|it| it.lines)
            .collect();
        lengths.sort_unstable();
        let parameters = files
            .iter()
            .flat_map(|file| &file.functions)
            .map(|it| it.parameters)
            .max();
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{package:<15} {:>6} {:>6} {:>13} {:>10} {:>7} {:>8} {:>16}",
            files.len(),
            files.iter().map(|file| file.lines).sum::<usize>(),
            files.iter().map(|file| file.lines).max().unwrap_or(0),
            lengths.len(),
            lengths.get(lengths.len() / 2).unwrap_or(&0),
            lengths.last().unwrap_or(&0),
            parameters.unwrap_or(0),
        );
    }
    for deviation in files.iter().flat_map(permitted) {
        let _ = writeln!(text, "{deviation}");
    }
    text
}

/// What is over a limit and says why.
fn permitted(file: &File) -> Vec<String> {
    let mut found = Vec::new();
    if let Some(reason) = &file.reason
        && file.lines > MAX_FILE
    {
        found.push(format!(
            "deviation: {}: {} lines: {reason}",
            file.path, file.lines
        ));
    }
    for function in &file.functions {
        let limits = [
            (function.lines, MAX_LINES, "lines", &function.long),
            (
                function.parameters,
                MAX_PARAMETERS,
                "parameters",
                &function.wide,
            ),
        ];
        for (value, most, what, deviation) in limits {
            if let Some(Deviation {
                reason: Some(reason),
            }) = deviation
                && value > most
            {
                let Function { name, line, .. } = function;
                let path = &file.path;
                found.push(format!(
                    "deviation: {path}:{line}: fn {name}: {value} {what}: {reason}"
                ));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(text: &str) -> File {
        measure(&Source {
            path: "crates/a/src/b.rs".to_owned(),
            text: text.to_owned(),
        })
        .unwrap()
    }

    fn body(lines: usize) -> String {
        "    work();\n".repeat(lines)
    }

    #[test]
    fn lines_are_counted_as_clippy_counts() {
        let cases = [
            ("one line", "fn f() { g() }", 0),
            ("empty", "fn f() {\n}", 0),
            ("plain", "fn f() {\n    g();\n    h();\n}", 2),
            (
                "blank and comment",
                "fn f() {\n    g();\n\n    // why\n    /* and\n    how */\n    h();\n}",
                2,
            ),
            (
                "signature over lines",
                "fn f(\n    a: u8,\n    b: u8,\n) -> u8 {\n    a + b\n}",
                1,
            ),
            (
                "string over lines",
                "fn f() {\n    g(\"a\n    b\n    c\");\n}",
                3,
            ),
            ("code beside a comment", "fn f() {\n    g(); // why\n}", 1),
            (
                "group over lines",
                "fn f() {\n    g(\n        1,\n    );\n}",
                3,
            ),
        ];
        for (name, text, lines) in cases {
            let file = measured(text);
            assert_eq!(file.functions[0].lines, lines, "{name}");
        }
    }

    /// `WORK` stands for 61 lines of code; an empty `wanted` for no violation.
    fn expect_violation(text: &str, wanted: &str) {
        let found = violations(&measured(&text.replace("WORK", &body(61))));
        let fits = found.iter().any(|it| it.contains(wanted));
        assert_eq!(
            (found.is_empty(), fits),
            (wanted.is_empty(), !wanted.is_empty()),
            "{text}: {found:?}"
        );
    }

    #[test]
    fn long_functions() {
        let sixty = format!("fn f() {{\n{}}}", body(60));
        for (text, wanted) in [
            (sixty.as_str(), ""),
            (
                "\nfn f() {\nWORK}",
                "crates/a/src/b.rs:2: fn f has 61 lines",
            ),
            (
                "#[expect(clippy::too_many_lines, reason = \"one table\")]\nfn f() {\nWORK}",
                "",
            ),
            (
                "#[allow(clippy::too_many_lines)]\nfn f() {\nWORK}",
                "no reason",
            ),
            (
                "#[expect(clippy::too_many_lines, reason = \"a\")]\nimpl A { fn f() {\nWORK} }",
                "",
            ),
            ("impl A { fn f() {\nWORK} }", "61 lines"),
            ("trait A { fn f() {\nWORK} }", "61 lines"),
            ("fn g() { fn f() {\nWORK} }", "fn f"),
            ("#[test]\nfn f() {\nWORK}", ""),
            ("#[cfg(test)]\nmod t { fn f() {\nWORK} }", ""),
            ("#[cfg(not(test))]\nfn f() {\nWORK}", "61 lines"),
        ] {
            expect_violation(text, wanted);
        }
    }

    #[test]
    fn wide_functions() {
        for (text, wanted) in [
            ("fn f(a: A, b: B, c: C, d: D, e: E) {}", ""),
            (
                "fn f(a: A, b: B, c: C, d: D, e: E, f: F) {}",
                "6 parameters",
            ),
            (
                "impl A { fn f(&self, a: A, b: B, c: C, d: D, e: E) {} }",
                "6 parameters",
            ),
            (
                "#[expect(clippy::too_many_lines, reason = \"a\")]\nfn f(a: A, b: B, c: C, d: D, e: E, f: F) {}",
                "6 parameters",
            ),
            (
                "#[expect(clippy::too_many_arguments, reason = \"a\")]\nfn f(a: A, b: B, c: C, d: D, e: E, f: F) {}",
                "",
            ),
        ] {
            expect_violation(text, wanted);
        }
    }

    #[test]
    fn files() {
        let lines = |count: usize| "const A: u8 = 1;\n".repeat(count);
        let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", lines(600));
        let cases = [
            ("500", lines(500), None),
            ("501", lines(501), Some("501 lines, more than 500")),
            ("tests do not count", lines(500) + &tests, None),
            (
                "501 with a reason",
                format!("// shape: one table\n{}", lines(500)),
                None,
            ),
            (
                "701 with a reason",
                format!("// shape: one table\n{}", lines(700)),
                Some("more than 700"),
            ),
            ("all tests", format!("#![cfg(test)]\n{}", lines(800)), None),
        ];
        for (name, text, wanted) in cases {
            let found = violations(&measured(&text));
            match wanted {
                None => assert!(found.is_empty(), "{name}: {found:?}"),
                Some(part) => assert!(found[0].contains(part), "{name}: {found:?}"),
            }
        }
    }

    #[test]
    fn test_modules_in_files_of_their_own() {
        let file = measured("#[cfg(test)]\nmod tests;\nmod plain;\n");
        assert_eq!(file.test_modules, ["crates/a/src/b/tests"]);
        assert!(is_in_module(
            "crates/a/src/b/tests.rs",
            &file.test_modules[0]
        ));
        assert!(is_in_module(
            "crates/a/src/b/tests/more.rs",
            &file.test_modules[0]
        ));
        assert!(!is_in_module(
            "crates/a/src/b/tests_too.rs",
            &file.test_modules[0]
        ));
        assert_eq!(module_folder("crates/a/src/lib.rs"), "crates/a/src");
        assert_eq!(package_of("crates/a/examples/b.rs"), "crates/a");
        assert_eq!(package_of("benches/src/main.rs"), "benches");
    }
}
