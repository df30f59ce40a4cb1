//! Rules of the code that the compiler and clippy cannot check.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The only files that read the clock or the environment.
const OUTSIDE: &[(&str, &[&str])] = &[("env::var", &["cli/environment.rs"]), ("SystemTime::now", &["time.rs"])];

/// Where a secret is taken out of its wrapper, and how often.
const EXPOSED: &[(&str, usize)] = &[];

/// Groups of files that depend on each other. This list may only shrink.
const KNOWN_CYCLES: &[&[&str]] = &[];

/// A file below `src`, without its unit tests.
struct Source {
    name: String,
    /// Its module, as `crate::a::b`.
    module: String,
    /// Without comments, and with string literals emptied.
    code: String,
}

fn sources() -> Vec<Source> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let rust = files(&src).into_iter().filter(|path| path.extension().is_some_and(|kind| kind == "rs"));
    let sources = rust.filter(|path| !path.ends_with("tests.rs") && !path.ends_with("property.rs")).map(|path| {
        let name = path.strip_prefix(&src).unwrap().to_string_lossy().replace('\\', "/");
        let names = name.trim_end_matches(".rs").split('/').filter(|name| !["lib", "main", "mod"].contains(name));
        let module = ["crate"].into_iter().chain(names).collect::<Vec<_>>().join("::");
        let text = fs::read_to_string(&path).unwrap();
        let (code, _) = taken_apart(text.split("\n#[cfg(test)]\nmod tests {").next().unwrap());
        Source { name, module, code }
    });
    sources.collect()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// Code without its comments and literals, and the string literals.
fn taken_apart(text: &str) -> (String, Vec<&str>) {
    let (mut code, mut literals, mut rest) = (String::new(), Vec::new(), text);
    while let Some(c) = rest.chars().next() {
        let is_char = rest.starts_with("'\\") || (c == '\'' && rest.chars().nth(2) == Some('\''));
        let end = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if c == '"' || is_char {
            let mut escaped = false;
            let ends = |next: char| {
                let ends = next == c && !escaped;
                escaped = next == '\\' && !escaped;
                ends
            };
            rest[1..].find(ends).unwrap() + 2
        } else {
            code.push(c);
            c.len_utf8()
        };
        if c == '"' {
            literals.push(&rest[1..end - 1]);
        }
        rest = &rest[end..];
    }
    (code, literals)
}

#[test]
fn few_files_read_the_clock_and_the_environment() {
    for (what, places) in OUTSIDE {
        let sources = sources();
        let named = sources.iter().filter(|source| source.code.contains(what)).map(|source| &*source.name);
        assert_eq!(named.collect::<Vec<_>>(), *places, "{what}");
    }
}

#[test]
fn secrets_are_exposed_in_few_places() {
    let sources = sources();
    let count = |code: &str| code.matches(".expose()").count() + code.matches("::expose)").count();
    let exposed = sources.iter().map(|source| (&*source.name, count(&source.code)));
    assert_eq!(exposed.filter(|(_, count)| *count > 0).collect::<Vec<_>>(), EXPOSED);
}

/// The paths of code, those of `a::{b, c}` one by one.
fn paths(code: &str) -> Vec<String> {
    let (mut paths, mut before, mut word) = (Vec::new(), vec![String::new()], String::new());
    for c in code.chars() {
        if c.is_alphanumeric() || matches!(c, '_' | ':') {
            word.push(c);
            continue;
        }
        let path = before.last().map_or_else(String::new, |before| format!("{before}{word}"));
        match c {
            '{' if word.ends_with("::") => before.push(path),
            '{' => before.push(String::new()),
            _ if word.is_empty() => {}
            _ => paths.push(path),
        }
        if c == '}' {
            before.pop();
        }
        word.clear();
    }
    paths
}

/// A path from the crate's root, if it leads into this crate.
fn in_full(path: &str, module: &str, modules: &BTreeSet<&str>) -> Option<String> {
    match path.split_once("::")? {
        ("crate", _) => Some(path.to_owned()),
        ("self", rest) => Some(format!("{module}::{rest}")),
        ("super", rest) => {
            let parent = module.rsplit_once("::")?.0;
            if rest.starts_with("super::") { in_full(rest, parent, modules) } else { Some(format!("{parent}::{rest}")) }
        }
        (first, _) => modules.contains(&*format!("{module}::{first}")).then(|| format!("{module}::{path}")),
    }
}

/// A file depends on the file of each module that its paths lead through last; what a module re-exports is its own.
/// Ancestors do not count: a module puts its children together, and they share what it declares.
#[test]
fn no_files_depend_on_each_other() {
    let sources = sources();
    let modules: BTreeSet<&str> = sources.iter().map(|source| &*source.module).collect();
    let mut needs: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for Source { module, code, .. } in &sources {
        for path in paths(code).iter().filter_map(|path| in_full(path, module, &modules)) {
            let ends = path.match_indices("::").map(|(at, _)| at).chain([path.len()]);
            let owner = ends.filter_map(|end| modules.get(&path[..end])).last().unwrap();
            if !format!("{module}::").starts_with(&format!("{owner}::")) {
                needs.entry(module).or_default().insert(owner);
            }
        }
    }
    let reached = |from| {
        let (mut reached, mut left) = (BTreeSet::new(), vec![from]);
        while let Some(next) = left.pop() {
            left.extend(needs.get(next).into_iter().flatten().copied().filter(|to| reached.insert(*to)));
        }
        reached
    };
    let reached: BTreeMap<&str, BTreeSet<&str>> = modules.iter().map(|module| (*module, reached(*module))).collect();
    let cycle = |module| reached[module].iter().copied().filter(|other| reached[other].contains(module)).collect();
    let cycles: BTreeSet<Vec<&str>> =
        modules.iter().copied().map(cycle).filter(|cycle: &Vec<_>| !cycle.is_empty()).collect();
    let known = KNOWN_CYCLES.iter().map(|cycle| cycle.to_vec()).collect();
    assert_eq!(cycles, known, "modules that depend on each other (left), and the known ones (right)");
}
