//! Rules of the source text that no compiler checks: layers, who may do what, departures from Karpenter, sizes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use karpsim::scenario::manifest::REFUSED;
use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// Each module with the modules that it may import, lowest layer first.
const LAYERS: [(&str, &[&str]); 17] = [
    ("units", &[]),
    ("diagnostic", &[]),
    ("engine", &["units"]),
    ("kube", &["units"]),
    ("ec2", &["units", "engine", "kube"]),
    ("world", &["units", "engine", "kube", "ec2"]),
    ("scheduling", MODEL),
    ("karpenter", CONTROLLER),
    ("kube_scheduler", MODEL),
    ("workload", MODEL),
    ("simulation", RUN),
    ("outcome", &["units", "kube", "ec2", "engine", "world"]),
    ("scenario", INPUT),
    ("conformance", RUNNER),
    ("experiment", RUNNER),
    (
        "report",
        &["units", "diagnostic", "engine", "ec2", "world", "outcome", "scenario", "experiment"],
    ),
    ("cli", PROGRAM),
];
const MODEL: &[&str] = &["units", "engine", "kube", "ec2", "world"];
const CONTROLLER: &[&str] = &["units", "engine", "kube", "ec2", "world", "scheduling"];
const RUN: &[&str] = &[
    "units",
    "engine",
    "kube",
    "ec2",
    "world",
    "scheduling",
    "karpenter",
    "kube_scheduler",
    "workload",
];
const INPUT: &[&str] =
    &["units", "diagnostic", "engine", "kube", "ec2", "world", "simulation", "outcome"];
const RUNNER: &[&str] = &[
    "units",
    "diagnostic",
    "engine",
    "kube",
    "ec2",
    "world",
    "scheduling",
    "karpenter",
    "kube_scheduler",
    "workload",
    "simulation",
    "outcome",
    "scenario",
];
const PROGRAM: &[&str] = &[
    "units",
    "diagnostic",
    "world",
    "ec2",
    "simulation",
    "outcome",
    "scenario",
    "conformance",
    "experiment",
    "report",
];

/// Modules in which a run is computed: no files, no formats, no threads, no clock of the machine.
const MODEL_MODULES: [&str; 12] = [
    "units",
    "diagnostic",
    "engine",
    "kube",
    "ec2",
    "world",
    "scheduling",
    "karpenter",
    "kube_scheduler",
    "workload",
    "simulation",
    "outcome",
];

/// Lines of a function, signature and closing brace included.
const MOST_FUNCTION_LINES: usize = 70;
/// Lines of a source file.
const MOST_FILE_LINES: usize = 700;
/// Characters of a line.
const MOST_CHARACTERS: usize = 120;

/// A token outside of tests; delimiters are tokens too.
#[derive(Clone, Debug)]
struct Token {
    text: String,
    line: usize,
}

/// A source file without its tests.
struct Source {
    /// `src/world/mod.rs`.
    path: String,
    text: String,
    tokens: Vec<Token>,
}

impl Source {
    /// The top-level module: `world` for `src/world/mod.rs`, empty for `src/lib.rs` and `src/main.rs`.
    fn module(&self) -> &str {
        let inner = self.path.strip_prefix("src/").unwrap_or(&self.path);
        match inner.split_once('/') {
            Some((folder, _)) => folder,
            None => inner
                .strip_suffix(".rs")
                .filter(|name| !["lib", "main"].contains(name))
                .unwrap_or(""),
        }
    }

    /// Modules between the crate's root and this file's items: 1 for `src/world/mod.rs`.
    fn depth(&self) -> usize {
        let folders = self.path.matches('/').count() - 1;
        if ["/mod.rs", "/lib.rs", "/main.rs"].iter().any(|end| self.path.ends_with(end)) {
            folders
        } else {
            folders + 1
        }
    }

    fn at(&self, index: usize) -> &str {
        self.tokens.get(index).map_or("", |token| token.text.as_str())
    }

    fn place(&self, index: usize) -> String {
        format!("{}:{}", self.path, self.tokens.get(index).map_or(0, |token| token.line))
    }

    /// True when the tokens from `index` on are these.
    fn starts(&self, index: usize, expected: &[&str]) -> bool {
        expected.iter().enumerate().all(|(i, text)| self.at(index + i) == *text)
    }

    /// The index after the group that opens at `open`.
    fn after_group(&self, open: usize) -> usize {
        let mut level = 0_usize;
        for index in open..self.tokens.len() {
            match self.at(index) {
                "(" | "[" | "{" => level += 1,
                ")" | "]" | "}" => level -= 1,
                _ => {}
            }
            if level == 0 {
                return index + 1;
            }
        }
        self.tokens.len()
    }

    /// The places of all tokens among `words`.
    fn uses(&self, words: &[&str]) -> Vec<String> {
        let found = self.tokens.iter().filter(|token| words.contains(&token.text.as_str()));
        found.map(|token| format!("{}:{}: {}", self.path, token.line, token.text)).collect()
    }

    /// Top-level modules that are named through `crate::` or by climbing with `super::`, with the places.
    fn imports(&self) -> Vec<(String, usize)> {
        let mut found = Vec::new();
        for index in 0..self.tokens.len() {
            let root = if self.starts(index, &["crate", ":", ":"]) {
                index + 3
            } else {
                let climbs =
                    (0..).take_while(|n| self.starts(index + 3 * n, &["super", ":", ":"])).count();
                if climbs < self.depth() || climbs == 0 {
                    continue;
                }
                index + 3 * climbs
            };
            found.extend(self.first_names(root).into_iter().map(|at| (self.at(at).to_owned(), at)));
        }
        found
    }

    /// The first names of a path or of a group of paths.
    fn first_names(&self, root: usize) -> Vec<usize> {
        if self.at(root) != "{" {
            return vec![root];
        }
        let (end, mut names, mut index) = (self.after_group(root), Vec::new(), root + 1);
        let mut first = true;
        while index + 1 < end {
            match self.at(index) {
                "," => first = true,
                "{" => index = self.after_group(index) - 1,
                _ if first => {
                    names.push(index);
                    first = false;
                }
                _ => {}
            }
            index += 1;
        }
        names
    }
}

/// All files under `src`, ascending.
fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    collect(&root.join("src"), &mut paths);
    paths.sort();
    let read = |path: &PathBuf| {
        let text = std::fs::read_to_string(path).expect("a source file");
        let stream: TokenStream = text.parse().expect("Rust");
        let mut tokens = Vec::new();
        flatten(stream, &mut tokens);
        let path =
            path.strip_prefix(root).expect("below the root").to_string_lossy().replace('\\', "/");
        Source { path, text, tokens }
    };
    paths.iter().map(read).collect()
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
}

/// Tokens in order, without attributes and without items under `#[cfg(test)]`; none of a file under `#![cfg(test)]`.
fn flatten(stream: TokenStream, tokens: &mut Vec<Token>) {
    let mut stream = stream.into_iter().peekable();
    while let Some(tree) = stream.next() {
        if matches!(&tree, TokenTree::Punct(punct) if punct.as_char() == '#') {
            let inner = stream
                .next_if(|next| matches!(next, TokenTree::Punct(punct) if punct.as_char() == '!'));
            let attribute = stream.next().map_or(String::new(), |group| group.to_string());
            if attribute.replace(' ', "") == "[cfg(test)]" {
                if inner.is_some() {
                    return;
                }
                // The item ends with its body or with a semicolon.
                let ends = |tree: &TokenTree| match tree {
                    TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
                    TokenTree::Punct(punct) => punct.as_char() == ';',
                    _ => false,
                };
                stream.by_ref().find(ends);
            }
            continue;
        }
        let line = tree.span().start().line;
        match tree {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Bracket => ("[", "]"),
                    _ => ("{", "}"),
                };
                tokens.push(Token { text: open.to_owned(), line });
                flatten(group.stream(), tokens);
                tokens
                    .push(Token { text: close.to_owned(), line: group.span_close().start().line });
            }
            other => tokens.push(Token { text: other.to_string(), line }),
        }
    }
}

#[track_caller]
fn assert_none(rule: &str, found: Vec<String>) {
    assert!(found.is_empty(), "{rule}:\n  {}", found.join("\n  "));
}

#[test]
fn modules_import_from_lower_layers_only() {
    let sources = sources();
    let allowed: BTreeMap<&str, &[&str]> = LAYERS.into_iter().collect();
    let mut found = Vec::new();
    for source in sources.iter().filter(|source| !source.module().is_empty()) {
        let module = source.module();
        let Some(lower) = allowed.get(module) else {
            found.push(format!("{}: the layer table does not have `{module}`", source.path));
            continue;
        };
        for (name, index) in source.imports() {
            if name != module && !lower.contains(&name.as_str()) {
                found.push(format!("{}: `{module}` names `{name}`", source.place(index)));
            }
        }
    }
    assert_none("a module may import only what the layer table of this test allows it", found);
    let rank: BTreeMap<&str, usize> =
        LAYERS.iter().enumerate().map(|(i, (name, _))| (*name, i)).collect();
    for (module, lower) in LAYERS {
        assert!(lower.iter().all(|name| rank[name] < rank[module]), "`{module}` imports upwards");
    }
}

#[test]
fn imports_are_found_in_groups_and_through_super() {
    let read = |path: &str, text: &str| {
        let mut tokens = Vec::new();
        flatten(text.parse().expect("Rust"), &mut tokens);
        let source = Source { path: path.to_owned(), text: text.to_owned(), tokens };
        source.imports().into_iter().map(|(name, _)| name).collect::<Vec<_>>()
    };
    let text =
        "use crate::{a::{b, c}, d, e::f}; fn g() { crate::h::i(); format!(\"{}\", crate::j::K) }
        #[cfg(test)] mod tests { use crate::z; } pub(crate) use super::inner; use super::super::k;";
    assert_eq!(read("src/x/y.rs", text), ["a", "d", "e", "h", "j", "k"]);
    assert_eq!(read("src/x.rs", "use super::a; use self::b;"), ["a"]);
    assert_eq!(read("src/x/mod.rs", "use super::a;"), ["a"]);
    assert_eq!(read("src/x/y/mod.rs", "use super::a; use super::super::{b, c};"), ["b", "c"]);
}

/// Refuses words outside of the places that may use them; a place is a prefix of a path.
#[track_caller]
fn only(rule: &str, words: &[&str], places: &[&str]) {
    let elsewhere = |source: &Source| !places.iter().any(|place| source.path.starts_with(place));
    let found =
        sources().iter().filter(|source| elsewhere(source)).flat_map(|s| s.uses(words)).collect();
    assert_none(rule, found);
}

#[test]
fn the_model_uses_no_files_formats_or_streams() {
    const WORDS: [&str; 18] = [
        "fs",
        "env",
        "io",
        "process",
        "net",
        "stdin",
        "stdout",
        "stderr",
        "print",
        "println",
        "eprint",
        "eprintln",
        "serde_saphyr",
        "ron",
        "csv",
        "flate2",
        "from_str",
        "include_str",
    ];
    let sources = sources();
    let model = sources.iter().filter(|source| MODEL_MODULES.contains(&source.module()));
    let found = model.flat_map(|source| source.uses(&WORDS)).collect();
    assert_none("text formats, files and streams belong into scenario and above", found);
}

#[test]
fn who_may_do_what() {
    only(
        "only the experiment and the program have threads",
        &["thread", "rayon"],
        &["src/experiment", "src/cli"],
    );
    let clock = ["Instant", "SystemTime", "indicatif"];
    only(
        "only the experiment and the program see the machine's clock",
        &clock,
        &["src/experiment", "src/cli"],
    );
    let generator =
        ["rand_chacha", "ChaCha8Rng", "ChaCha12Rng", "ChaCha20Rng", "next_u64", "next_u32"];
    only("only engine::random touches the generator", &generator, &["src/engine/random.rs"]);
    let advance = ["src/engine/clock.rs", "src/simulation/mod.rs", "src/conformance/"];
    only("only the loop moves the clock", &["advance_to"], &advance);
    only("only world and below see arenas, others hold ids", &["Arena"], &["src/world/"]);
    only(
        "packing is pure: it sees a ClusterView",
        &["World"],
        &[
            "src/world/",
            "src/karpenter/",
            "src/kube_scheduler/",
            "src/workload/",
            "src/simulation/",
            "src/conformance/",
        ],
    );
}

/// Methods that change a collection.
const CHANGES: [&str; 12] = [
    "get_mut",
    "insert",
    "remove",
    "push",
    "pop",
    "clear",
    "iter_mut",
    "values_mut",
    "retain",
    "entry",
    "extend",
    "truncate",
];

/// Only `world` writes the cluster; `simulation` puts objects into it and `workload` keeps the counters of its
/// Deployments.
#[test]
fn other_modules_write_the_cluster_through_mutators() {
    let mut found = Vec::new();
    for source in sources() {
        if !["karpenter", "kube_scheduler", "scheduling", "outcome", "conformance"]
            .contains(&source.module())
        {
            continue;
        }
        for start in 0..source.tokens.len() {
            if source.starts(start, &["cluster", "."]) && writes(&source, start) {
                found.push(source.place(start));
            }
        }
    }
    assert_none("the cluster is written by the mutators of world alone", found);
}

/// Whether the place expression around `cluster` at `start` is assigned to, borrowed mutably or changed.
fn writes(source: &Source, start: usize) -> bool {
    let mut first = start;
    while first >= 2 && source.at(first - 1) == "." {
        first -= 2;
    }
    let borrowed = first >= 2 && source.at(first - 1) == "mut" && source.at(first - 2) == "&";
    let mut index = start + 1;
    loop {
        match source.at(index) {
            "." => index += 2,
            "(" | "[" => {
                if CHANGES.contains(&source.at(index - 1)) {
                    return true;
                }
                index = source.after_group(index);
            }
            "=" => return borrowed || source.at(index + 1) != "=",
            "+" | "-" => return borrowed || source.at(index + 1) == "=",
            _ => return borrowed,
        }
    }
}

#[test]
fn writes_to_the_cluster_are_recognised() {
    for (text, expected) in [
        ("w.cluster.pods[id].node = None;", true),
        ("w.cluster.count += 1;", true),
        ("let c = &mut w.cluster.claims[id];", true),
        ("w.cluster.pending.remove(&key);", true),
        ("if w.cluster.pods[id].node == None {}", false),
        ("let n = w.cluster.pods[id].priority + 1;", false),
        ("f(&w.cluster.claims[id])", false),
    ] {
        let mut tokens = Vec::new();
        flatten(text.parse().expect("Rust"), &mut tokens);
        let source = Source { path: String::new(), text: String::new(), tokens };
        let start = (0..source.tokens.len()).find(|i| source.at(*i) == "cluster").expect("cluster");
        assert_eq!(writes(&source, start), expected, "{text}");
    }
}

#[test]
fn functions_fit_a_screen() {
    let mut found = Vec::new();
    for source in sources() {
        for index in 0..source.tokens.len() {
            let is_function = source.at(index) == "fn" && source.at(index + 1) != "(";
            let Some(open) =
                (index..source.tokens.len()).find(|i| ["{", ";"].contains(&source.at(*i)))
            else {
                continue;
            };
            if is_function && source.at(open) == "{" {
                let last = source.tokens[source.after_group(open) - 1].line;
                let lines = last - source.tokens[index].line + 1;
                if lines > MOST_FUNCTION_LINES {
                    found.push(format!(
                        "{}: {} has {lines} lines",
                        source.place(index),
                        source.at(index + 1)
                    ));
                }
            }
        }
    }
    assert_none(&format!("functions have at most {MOST_FUNCTION_LINES} lines"), found);
}

#[test]
fn files_and_lines_are_not_too_long() {
    let mut found = Vec::new();
    for source in sources() {
        let count = source.text.lines().count();
        if count > MOST_FILE_LINES {
            found.push(format!(
                "{} has {count} lines, at most {MOST_FILE_LINES} are wanted",
                source.path
            ));
        }
        for (i, line) in source.text.lines().enumerate() {
            let characters = line.chars().count();
            if characters > MOST_CHARACTERS && !line.contains("http") {
                found.push(format!("{}:{} has {characters} characters", source.path, i + 1));
            }
        }
    }
    assert_none("files and lines are short", found);
}

#[test]
fn file_names_say_what_is_inside() {
    let vague = ["util", "utils", "common", "types", "helpers", "misc"];
    let stem = |source: &Source| source.path.rsplit('/').next().map(|name| name.replace(".rs", ""));
    let found = sources()
        .into_iter()
        .filter(|source| stem(source).is_some_and(|stem| vague.contains(&&*stem)));
    assert_none("find the noun", found.map(|source| source.path).collect());
}

#[test]
fn panics_have_a_reason_beside_them() {
    let mut found = Vec::new();
    for source in sources() {
        let lines: Vec<&str> = source.text.lines().collect();
        for index in 0..source.tokens.len() {
            let never = source.starts(index, &[".", "unwrap", "(", ")"])
                || ["todo", "unimplemented", "dbg"]
                    .iter()
                    .any(|name| source.starts(index, &[name, "!"]));
            let panics = source.starts(index, &[".", "expect", "("])
                || ["panic", "unreachable"].iter().any(|name| source.starts(index, &[name, "!"]));
            let line = source.tokens[index].line;
            let above = &lines[line.saturating_sub(4)..line];
            let explained = above.iter().any(|text| text.contains("//"));
            if never || (panics && !explained) {
                found.push(format!("{}: {}", source.place(index), lines[line - 1].trim()));
            }
        }
    }
    assert_none(
        "no unwrap, todo or dbg; a panic has a comment above it that says why it cannot happen",
        found,
    );
}

/// The departures marked in the code: file and text up to the end of the paragraph or the next mark.
fn marks() -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    for source in sources() {
        let comments = source.text.lines().map(|line| {
            let line = line.trim_start();
            let comment = ["//!", "///", "//"].iter().find_map(|start| line.strip_prefix(start));
            comment.map_or("", str::trim)
        });
        let mut open: Option<String> = None;
        for comment in comments.chain([""]) {
            let start = comment.split_once("DEVIATION:").map(|(_, text)| text.trim().to_owned());
            if start.is_some() || comment.is_empty() {
                found.extend(open.take().map(|text| (source.path.clone(), text)));
            }
            match (&mut open, start) {
                (_, Some(text)) => open = Some(text),
                (Some(text), None) => *text = format!("{text} {comment}"),
                (None, None) => {}
            }
        }
    }
    found
}

fn fidelity() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/fidelity.md");
    std::fs::read_to_string(path).expect("docs/fidelity.md")
}

#[test]
fn every_departure_is_listed() {
    let mut listed = BTreeSet::new();
    for line in fidelity().lines() {
        let entry = line.strip_prefix("- `src/").and_then(|rest| rest.split_once("`: "));
        listed.extend(entry.map(|(file, text)| (format!("src/{file}"), text.to_owned())));
    }
    let marks = marks();
    assert!(!marks.is_empty());
    let lines: Vec<String> =
        marks.iter().map(|(file, text)| format!("- `{file}`: {text}")).collect();
    assert_eq!(listed, marks, "the list in docs/fidelity.md should be\n{}\n", lines.join("\n"));
}

#[test]
fn every_refusal_is_listed() {
    let mut fields = BTreeSet::new();
    for source in sources().iter().filter(|source| source.module() == "scenario") {
        for index in 0..source.tokens.len() {
            let name =
                source.at(index + 3).strip_prefix('"').and_then(|name| name.strip_suffix('"'));
            if source.starts(index, &[".", "refuse", "("]) {
                fields.extend(name.map(|name| format!("`{name}`")));
            }
        }
    }
    let kinds: BTreeSet<String> = REFUSED.iter().map(|(kind, _)| format!("`{kind}`")).collect();
    let line = |what: &str, names: BTreeSet<String>| {
        format!("- {what}: {}", names.into_iter().collect::<Vec<_>>().join(", "))
    };
    for expected in [line("Kinds", kinds), line("Fields", fields)] {
        assert!(
            fidelity().lines().any(|line| line == expected),
            "docs/fidelity.md should hold\n{expected}\n"
        );
    }
}
