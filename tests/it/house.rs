//! Rules of the code that the compiler and clippy cannot check.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Where a secret is taken out of its wrapper, and how often.
const EXPOSED: &[(&str, usize)] = &[
    ("api/client.rs", 3),
    ("api/exchange.rs", 1),
    ("assertion/mod.rs", 1),
    ("assertion/source.rs", 1),
    ("cli/child_environment.rs", 2),
    ("cli/commands/exec.rs", 1),
    ("cli/commands/oauth/token.rs", 2),
    ("cli/commands/proxy.rs", 2),
    ("cli/config/store.rs", 1),
    ("client/assertion_from.rs", 2),
    ("client/sign_in.rs", 1),
    ("client/sign_out.rs", 2),
    ("local_proxy/answer.rs", 1),
    ("local_proxy/tokens.rs", 1),
    ("oauth/authorization_code.rs", 6),
    ("oauth/device_authorization.rs", 1),
    ("oauth/pkce.rs", 1),
    ("oauth/registration.rs", 3),
    ("oauth/token.rs", 7),
    ("oauth/userinfo.rs", 2),
    ("oauth/without_user.rs", 2),
    ("session/key/passphrase.rs", 1),
    ("session/record.rs", 4),
];

/// The name of each file below `src`, and its code without unit tests and lines of comment.
fn sources() -> Vec<(String, String)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let rust = files(&src).into_iter().filter(|path| path.extension().is_some_and(|kind| kind == "rs"));
    let sources = rust.filter(|path| !path.ends_with("tests.rs") && !path.ends_with("property.rs")).map(|path| {
        let name = path.strip_prefix(&src).unwrap().to_string_lossy().replace('\\', "/");
        let text = fs::read_to_string(&path).unwrap();
        let code = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap().lines();
        (name, code.filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n"))
    });
    sources.filter(|(name, _)| !name.contains("/tests/")).collect()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// How often each file holds one of these.
fn count(wanted: &[&str]) -> Vec<(String, usize)> {
    let count = |code: &str| wanted.iter().map(|wanted| code.matches(wanted).count()).sum();
    let counts = sources().into_iter().map(|(name, code)| (name, count(&code)));
    counts.filter(|(_, count)| *count > 0).collect()
}

#[test]
fn one_file_reads_the_clock_and_one_the_environment() {
    assert_eq!(count(&["SystemTime::now"]), [("time.rs".to_owned(), 1)]);
    assert_eq!(count(&["env::var"]), [("cli/environment.rs".to_owned(), 2)]);
}

#[test]
fn secrets_are_exposed_in_few_places() {
    let exposed = EXPOSED.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect::<Vec<_>>();
    assert_eq!(count(&[".expose()", "::expose)"]), exposed);
}

/// Each of them removes the variables that hold secrets: `cli/environment.rs` lists them.
#[test]
fn processes_are_started_in_few_places() {
    let starting: Vec<_> =
        count(&[" Command::new(", "::Command::new(", "open::commands("]).into_iter().map(|(name, _)| name).collect();
    assert_eq!(
        starting,
        [
            "cli/commands/demo.rs",
            "cli/commands/exec.rs",
            "cli/context/terminal.rs",
            "cli/terminal/browser.rs",
            "cli/terminal/pager.rs",
            "credential_command.rs",
        ]
    );
}

#[test]
fn the_state_is_compared_in_constant_time_only() {
    let oauth: String =
        sources().into_iter().filter(|(name, _)| name.starts_with("oauth/")).map(|(_, code)| code).collect();
    assert_eq!(oauth.matches("constant_time_eq(state, &self.state)").count(), 1);
    for comparison in ["state ==", "state() ==", "== state", "== &self.state", "== self.state", "state !=", "!= state"]
    {
        assert!(!oauth.contains(comparison), "{comparison}");
    }
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
    let module = |name: String| {
        let names = name.trim_end_matches(".rs").split('/').filter(|name| !["lib", "main", "mod"].contains(name));
        ["crate"].into_iter().chain(names).collect::<Vec<_>>().join("::")
    };
    let sources: Vec<_> = sources().into_iter().map(|(name, code)| (module(name), code)).collect();
    let modules: BTreeSet<&str> = sources.iter().map(|(module, _)| &**module).collect();
    let mut needs: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (module, code) in &sources {
        for path in paths(code).iter().filter_map(|path| in_full(path, module, &modules)) {
            let ends = path.match_indices("::").map(|(at, _)| at).chain([path.len()]);
            let owner = ends.filter_map(|end| modules.get(&path[..end])).last().unwrap();
            if !format!("{module}::").starts_with(&format!("{owner}::")) {
                needs.entry(module).or_default().insert(owner);
            }
        }
    }
    // What needs no other is in no cycle, nor is what no other needs.
    let mut left = modules;
    loop {
        let before = left.clone();
        let needed: BTreeSet<&str> = left.iter().filter_map(|module| needs.get(module)).flatten().copied().collect();
        left.retain(|module| needed.contains(module) && needs.get(module).is_some_and(|all| !all.is_disjoint(&before)));
        if left == before {
            break;
        }
    }
    assert!(left.is_empty(), "these depend on each other: {left:?}");
}

/// What only the command line has: its own name, its flags, variables and files.
#[test]
fn the_library_names_nothing_of_the_command_line() {
    for (name, code) in
        sources().into_iter().filter(|(name, _)| !["cli/", "sandbox/"].iter().any(|own| name.starts_with(own)))
    {
        for line in code.lines() {
            for word in ["`nexus ", " --", "NEXUS_", "CLAUDE_CODE_", "config.toml"] {
                assert!(!line.contains(word), "{name} says {word}: {line}");
            }
        }
    }
}
