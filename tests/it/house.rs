//! The plan of the code, as far as a machine can hold it to it: who knows whom, where each foreign
//! crate lives, where a secret is exposed. A table here changes when the plan does, on purpose and
//! in the same commit.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Which room names which; the lower a room, the less it knows. Not a word more than is used.
const ROOMS: &[(&str, &[&str])] = &[
    ("main", &[]),
    ("lib", &["account", "cli", "commands", "failure", "provider"]),
    ("cli", &["commands"]),
    (
        "commands",
        &[
            "account", "api", "batch", "cli", "failure", "history", "markdown", "moment", "oauth", "private",
            "provider", "sandbox", "session", "terminal", "world",
        ],
    ),
    ("world", &["account", "failure", "history", "http", "provider", "secret", "session", "terminal"]),
    ("account", &["api", "failure", "http", "moment", "oauth", "provider", "secret", "session"]),
    ("history", &["api", "database", "failure", "moment", "private", "terminal"]),
    ("session", &["database", "failure", "http", "moment", "oauth", "private", "provider", "secret", "terminal"]),
    ("batch", &["failure", "private"]),
    ("database", &["failure", "private"]),
    ("api", &["failure", "http", "moment", "provider", "secret", "terminal"]),
    ("oauth", &["failure", "http", "loopback", "moment", "provider", "secret", "terminal"]),
    // It is a server and needs nobody; `person` is the browser that visits it, and so a client.
    ("sandbox", &["failure", "http", "loopback", "moment", "provider"]),
    ("loopback", &[]),
    ("http", &["failure", "moment", "provider", "terminal"]),
    ("provider", &["failure", "secret", "terminal"]),
    // The name of the built-in provider, for the hints that differ for it.
    ("failure", &["moment", "provider"]),
    ("markdown", &["terminal"]),
    ("terminal", &[]),
    ("moment", &[]),
    ("secret", &[]),
    ("private", &[]),
];

/// Where each crate that has one home, or a few, may be named.
const HOMES: &[(&str, &[&str])] = &[
    ("rusqlite", &["database.rs"]),
    ("chacha20poly1305", &["session/seal.rs"]),
    ("toml", &["commands/chat/template.rs", "config/file.rs", "config/kind.rs"]),
    ("strsim", &["failure/nearest.rs"]),
    ("infer", &["commands/chat/attachment.rs"]),
    ("imagesize", &["commands/chat/attachment.rs"]),
    ("boon", &["commands/chat/schema.rs"]),
    ("open", &["world.rs"]),
    ("directories", &["world.rs"]),
    ("anstream", &["world/aside.rs", "world/progress.rs", "world/screen.rs", "world.rs"]),
    (
        "anstyle",
        &[
            "markdown/code.rs",
            "markdown/compose.rs",
            "markdown/flow.rs",
            "markdown/inline.rs",
            "markdown/page.rs",
            "markdown/table.rs",
            "world/aside.rs",
            "world/progress.rs",
            "world.rs",
        ],
    ),
    ("terminal_size", &["world/screen.rs"]),
    ("pulldown_cmark", &["markdown/inline.rs"]),
    ("syntect", &["markdown/code.rs"]),
    ("two_face", &["markdown/code.rs"]),
    ("unicode_width", &["markdown/inline.rs", "markdown/page.rs"]),
    ("jiff", &["moment.rs"]),
    ("subtle", &["secret.rs"]),
    ("rustix", &["private.rs", "world/attending.rs", "world/stdin.rs", "world/stdout.rs", "world.rs"]),
    ("rustyline", &["commands/chat/editor.rs"]),
    ("signal_hook", &["private.rs"]),
    ("argon2", &["session/key/passphrase.rs"]),
    ("keyring", &["session/key/os_keyring.rs"]),
    ("rustls", &["http/lost.rs", "http.rs"]),
    ("rustls_native_certs", &["http.rs"]),
    ("tower_layer", &["http/connecting.rs"]),
    ("tower_service", &["http/connecting.rs"]),
    ("tempfile", &["commands/demo.rs"]),
    (
        "anyhow",
        &[
            "commands/chat/batch/mod.rs",
            "commands/chat/batch/results.rs",
            "commands/chat/keep.rs",
            "commands/chat/mod.rs",
            "commands/chat/output.rs",
            "commands/chat/talk.rs",
            "commands/demo.rs",
            "commands/mod.rs",
            "commands/told.rs",
            "world/attending.rs",
        ],
    ),
    (
        "rand",
        &[
            "account/patience.rs",
            "history/id.rs",
            "oauth/pkce.rs",
            "sandbox/grants.rs",
            "session/key/passphrase.rs",
            "session/key/record.rs",
            "session/room.rs",
            "session/seal.rs",
        ],
    ),
    (
        "clap",
        &[
            "cli.rs",
            "commands/chat/batch/mod.rs",
            "commands/chat/mod.rs",
            "commands/chat/object.rs",
            "commands/completions.rs",
            "commands/demo.rs",
            "commands/history/delete.rs",
            "commands/history/export.rs",
            "commands/history/list.rs",
            "commands/history/mod.rs",
            "commands/history/search.rs",
            "commands/history/show.rs",
            "commands/key/mod.rs",
            "commands/key/move.rs",
            "commands/key/show.rs",
            "commands/mod.rs",
            "commands/models.rs",
            "commands/oauth/logout.rs",
            "commands/oauth/mod.rs",
            "commands/oauth/start.rs",
            "commands/oauth/status.rs",
            "commands/oauth/token.rs",
            "lib.rs",
        ],
    ),
    // The client. Requests are built where their protocol is known, and sent by `http` alone.
    (
        "reqwest",
        &[
            "api/chat.rs",
            "api/mod.rs",
            "api/models.rs",
            "api/refusal.rs",
            "http/lost.rs",
            "http.rs",
            "oauth/endpoint.rs",
            "sandbox/person.rs",
        ],
    ),
    // Only `loopback` listens and serves; the others name the types of requests and answers.
    // `http` asks it which proxy leads to a server, as reqwest does.
    ("hyper_util", &["http.rs", "loopback/mod.rs"]),
    (
        "hyper",
        &[
            "loopback/mod.rs",
            "loopback/page.rs",
            "loopback/wire.rs",
            "oauth/callback.rs",
            "oauth/page.rs",
            "sandbox/authorization.rs",
            "sandbox/mod.rs",
            "sandbox/script.rs",
            "sandbox/seen.rs",
        ],
    ),
    (
        "http_body_util",
        &[
            "loopback/page.rs",
            "oauth/callback.rs",
            "oauth/page.rs",
            "sandbox/authorization.rs",
            "sandbox/mod.rs",
            "sandbox/script.rs",
        ],
    ),
];

/// Crates that are at home everywhere: data, time to wait, encodings.
const EVERYWHERE: &[&str] = &["base64", "serde", "serde_json", "sha2", "tokio", "url", "zeroize"];

/// Where a secret is taken out of its wrapping, and how often: every one of them was looked at.
const EXPOSED: &[(&str, usize)] = &[
    // Into the store, and to be revoked.
    ("account/sign_in.rs", 1),
    ("account/sign_out.rs", 2),
    // Into the Authorization header, and to be hidden in what the service says.
    ("api/mod.rs", 3),
    // What the command is for.
    ("commands/oauth/token.rs", 2),
    // Into the body or the header of a token request, and to be hidden in what the server says.
    ("oauth/endpoint.rs", 3),
    // The challenge.
    ("oauth/pkce.rs", 1),
    // Into the derivation of the key.
    ("session/key/passphrase.rs", 1),
    // Sealed.
    ("session/vault.rs", 1),
];

/// The same, written as a function: `.map(RefreshToken::expose)`.
const EXPOSED_BY_NAME: &[(&str, usize)] = &[("oauth/endpoint.rs", 2), ("session/vault.rs", 2)];

/// Commands that are too large for one file; the other folders of `commands` are groups of commands.
const SEVERAL_FILES: &[&str] = &["chat"];

/// Files whose one thing is longer than 400 lines, and what that is.
const LONG: &[(&str, &str)] = &[
    ("failure.rs", "four columns over every failure there is"),
    ("session/vault.rs", "every statement and every complaint of the one database"),
];

/// The longest file, its tests not counted.
const MAX_LINES: usize = 400;

struct Source {
    /// Below `src`.
    name: String,
    /// Without its tests, its comments and what stands in quotes.
    code: String,
    /// Without its tests.
    lines: usize,
}

impl Source {
    fn read(path: &Path, below: &Path) -> Option<Self> {
        let name = path.strip_prefix(below).unwrap().to_string_lossy().replace('\\', "/");
        if name.ends_with("tests.rs") {
            return None;
        }
        let text = fs::read_to_string(path).unwrap();
        let own = ["\n#[cfg(test)]\nmod tests {", "\n#[cfg(test)]\npub(crate) mod tests {"];
        let text = own.iter().fold(&*text, |text, start| text.split(start).next().unwrap_or_default());
        Some(Self { name, code: bare(text), lines: text.lines().count() })
    }

    fn room(&self) -> &str {
        self.name.split(['/', '.']).next().unwrap()
    }

    /// What follows each mention of a path that begins with this name.
    fn paths(&self, start: &str) -> Vec<&str> {
        let begins = |at: usize| {
            let before = self.code[..at].chars().next_back();
            !before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | ':' | '.' | '"'))
        };
        let path = format!("{start}::");
        self.code
            .match_indices(&path)
            .filter(|(at, _)| begins(*at))
            .map(|(at, _)| &self.code[at + path.len()..])
            .collect()
    }
}

/// Code with its comments and its texts emptied, so that neither is taken for code.
fn bare(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        // A quote as a character begins no text.
        let skipped = if rest.starts_with("'\"'") {
            3
        } else if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if c == '"' {
            code.push('"');
            text_length(rest)
        } else {
            code.push(c);
            c.len_utf8()
        };
        rest = &rest[skipped..];
    }
    code
}

/// The length of the text in quotes that something begins with.
fn text_length(quoted: &str) -> usize {
    let mut escaped = false;
    let end = quoted.char_indices().skip(1).find(|(_, c)| {
        let ends = *c == '"' && !escaped;
        escaped = *c == '\\' && !escaped;
        ends
    });
    end.map_or(quoted.len(), |(at, _)| at + 1)
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn sources() -> Vec<Source> {
    let src = root().join("src");
    let rust = files(&src).into_iter().filter(|path| path.extension().is_some_and(|kind| kind == "rs"));
    let sources: Vec<_> = rust.filter_map(|path| Source::read(&path, &src)).collect();
    assert!(sources.len() > 30, "the sources are found");
    sources
}

/// The name that a text begins with.
fn first_name(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

#[test]
fn a_room_knows_those_below_it_and_no_other() {
    let mut known: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for source in sources() {
        let names = known.entry(source.room().to_owned()).or_default();
        for path in source.paths("crate") {
            let name = first_name(path);
            assert!(!name.is_empty(), "{}: write one `use` a room, which can be read and checked", source.name);
            names.extend((name != source.room()).then_some(name));
        }
    }
    // What stands at the top of the crate is named without `crate`.
    for path in ["account", "cli", "commands", "failure", "provider"] {
        known.get_mut("lib").unwrap().insert(path.to_owned());
    }
    let planned: BTreeMap<String, BTreeSet<String>> = ROOMS
        .iter()
        .map(|(room, names)| ((*room).to_owned(), names.iter().map(|name| (*name).to_owned()).collect()))
        .collect();
    for (room, names) in &known {
        let planned = planned.get(room).unwrap_or_else(|| panic!("src/{room} stands in no plan"));
        assert_eq!(names, planned, "{room} knows (left), and should (right)");
    }
    assert_eq!(known.len(), planned.len(), "a room of the plan is gone");
}

#[test]
fn the_plan_itself_keeps_its_promises() {
    let knows = |room: &str, other: &str| ROOMS.iter().any(|(name, names)| *name == room && names.contains(&other));
    for (room, other) in [("oauth", "api"), ("api", "oauth"), ("api", "session"), ("oauth", "session")] {
        assert!(!knows(room, other), "{room} must never know {other}");
    }
    for (room, _) in ROOMS.iter().filter(|(room, _)| !matches!(*room, "lib" | "cli" | "commands" | "world")) {
        for above in ["commands", "cli", "world", "account"] {
            assert!(!knows(room, above), "{room} must never know {above}");
        }
    }
    // Nobody knows, however far around, somebody who knows him: the failures' hints alone do.
    let mut below: BTreeSet<&str> = BTreeSet::from(["provider"]);
    let mut left: Vec<_> = ROOMS.iter().collect();
    while let Some(at) = left.iter().position(|(room, names)| {
        names.iter().all(|name| below.contains(name) || (*room, *name) == ("cli", "commands"))
    }) {
        below.insert(left.remove(at).0);
    }
    assert!(left.is_empty(), "these know each other in a circle: {left:?}");
}

#[test]
fn no_command_knows_another() {
    for source in sources().iter().filter(|source| source.room() == "commands" && !source.name.ends_with("mod.rs")) {
        // A command of several files is one command.
        let own = SEVERAL_FILES.iter().find(|command| source.name.starts_with(&format!("commands/{command}/")));
        for path in source.paths("crate") {
            let to_command = path.strip_prefix("commands::").is_some_and(|rest| {
                !["Done;", "told;"].iter().any(|shared| rest.starts_with(shared))
                    && own.is_none_or(|own| !rest.starts_with(&format!("{own}::")))
            });
            assert!(!to_command, "{} names {}", source.name, path.lines().next().unwrap_or_default());
        }
        assert!(source.paths("super").is_empty(), "{} looks at its neighbours", source.name);
    }
}

#[test]
fn every_foreign_crate_has_its_home() {
    let sources = sources();
    for (name, home) in HOMES {
        let named: Vec<_> =
            sources.iter().filter(|source| !source.paths(name).is_empty()).map(|source| &*source.name).collect();
        assert_eq!(named, *home, "files that name {name} (left), and its home (right)");
    }
}

#[test]
fn every_dependency_stands_in_a_table() {
    let manifest: toml::Table = fs::read_to_string(root().join("Cargo.toml")).unwrap().parse().unwrap();
    let homes: BTreeSet<_> = HOMES.iter().map(|(name, _)| *name).chain(EVERYWHERE.iter().copied()).collect();
    for name in manifest["dependencies"].as_table().unwrap().keys() {
        assert!(homes.contains(&*name.replace('-', "_")), "where is {name} at home?");
    }
}

#[test]
fn every_dependency_has_its_reason_and_its_features() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let sections = manifest.split("\n[").filter(|section| section.contains("dependencies]\n"));
    let mut reason = false;
    for line in sections.flat_map(|section| section.lines().skip(1)) {
        if line.starts_with('#') {
            reason = true;
        } else if let Some((name, _)) = line.split_once(" = ") {
            // Two that explain themselves, and one that was explained above.
            assert!(reason || ["anstyle", "serde", "serde_json", "tokio"].contains(&name), "why is {name} here?");
            reason = false;
        }
    }
}

#[test]
fn the_judge_of_what_comes_in_lets_nothing_pass_unasked() {
    let rules: toml::Table = fs::read_to_string(root().join("deny.toml")).unwrap().parse().unwrap();
    let said = |section: &str, key: &str| rules[section].get(key).cloned().unwrap_or_else(|| panic!("no {key}"));
    for (section, key) in [
        ("bans", "multiple-versions"),
        ("bans", "wildcards"),
        ("sources", "unknown-registry"),
        ("sources", "unknown-git"),
    ] {
        assert_eq!(said(section, key).as_str(), Some("deny"), "{section}.{key}");
    }
    assert!(said("sources", "allow-git").as_array().unwrap().is_empty());
    let texts = |section: &str, key: &str, text: fn(&toml::Value) -> &toml::Value| -> Vec<String> {
        let values = said(section, key);
        values.as_array().unwrap().iter().map(|value| text(value).as_str().unwrap().to_owned()).collect()
    };
    // Each of these was read, and allows a program under MIT to be given away.
    let read = ["Apache-2.0", "BSD-3-Clause", "BSL-1.0", "ISC", "MIT", "MIT-0", "MPL-2.0", "Unicode-3.0"];
    assert_eq!(texts("licenses", "allow", |name| name), read);
    assert!(!rules["licenses"].as_table().unwrap().contains_key("exceptions"), "one crate's licence is everybody's");
    assert_eq!(texts("bans", "deny", |ban| &ban["crate"]), ["openssl-sys", "native-tls", "aws-lc-sys"]);
    assert!(texts("bans", "skip", |twice| &twice["reason"]).iter().all(|reason| !reason.is_empty()));
    // And it is asked.
    let ci = fs::read_to_string(root().join(".ci/run")).unwrap();
    assert!(ci.contains("/cargo-deny\" --offline check bans licenses sources"), ".ci/run does not ask it");
}

#[test]
fn secrets_are_exposed_in_few_places() {
    let count = |pattern: &str| -> Vec<(String, usize)> {
        let counts = sources().into_iter().map(|source| {
            let count = source.code.matches(pattern).count();
            (source.name, count)
        });
        counts.filter(|(name, count)| *count > 0 && name != "secret.rs").collect()
    };
    let planned = |table: &[(&str, usize)]| -> Vec<(String, usize)> {
        table.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
    };
    assert_eq!(count(".expose()"), planned(EXPOSED));
    assert_eq!(count("::expose)"), planned(EXPOSED_BY_NAME));
}

#[test]
fn the_outside_is_handed_in_by_the_world() {
    const OUTSIDE: &[(&str, &[&str])] = &[
        ("std::env::var", &["world.rs"]),
        ("SystemTime::now", &["world.rs"]),
        ("io::stdin()", &["world/attending.rs", "world/stdin.rs", "world.rs"]),
        ("io::stderr()", &["world/aside.rs", "world/progress.rs", "world/stdout.rs", "world.rs"]),
        ("io::stdout()", &["world/aside.rs", "world/attending.rs", "world/screen.rs", "world/stdout.rs", "world.rs"]),
        ("std::env::current_exe", &["commands/demo.rs"]),
        ("TcpSocket::new", &["loopback/mod.rs"]),
    ];
    for (what, places) in OUTSIDE {
        let sources = sources();
        let named = sources.iter().filter(|source| source.code.contains(what)).map(|source| &*source.name);
        assert_eq!(named.collect::<Vec<_>>(), *places, "{what}");
    }
}

#[test]
fn the_state_is_compared_in_constant_time_and_in_no_other_way() {
    let sources = sources();
    let code = |name: &str| &sources.iter().find(|source| source.name == name).unwrap().code;
    let attempt = code("oauth/attempt.rs");
    assert_eq!(attempt.matches("same(state, &self.state)").count(), 1, "it is compared once");
    for line in attempt.lines().filter(|line| line.contains("state")) {
        for other in ["==", "!=", ".eq(", ".ne(", "cmp(", "starts_with", "contains(", "matches!"] {
            assert!(!line.contains(other), "a state is compared by `{other}`: {line}");
        }
    }
    let compared = code("secret.rs").split("fn same(").nth(1).unwrap().split("\n}").next().unwrap();
    assert!(compared.contains(".ct_eq(") && !compared.contains("=="), "{compared}");
    // Whoever else is shown the state does not decide by it.
    for source in sources.iter().filter(|source| source.name.starts_with("oauth/") && source.name != "oauth/attempt.rs")
    {
        assert!(!source.code.contains(".state() ==") && !source.code.contains("== attempt.state"), "{}", source.name);
    }
}

#[test]
fn nothing_panics_prints_or_exits_on_its_own() {
    for source in sources() {
        for forbidden in [
            "println!",
            "print!(",
            "dbg!(",
            "process::exit",
            "process::abort",
            ".unwrap()",
            ".expect(",
            "panic!(",
            "todo!(",
            "unimplemented!(",
            "unreachable!(",
            "unsafe ",
            "thread::sleep",
        ] {
            assert!(!source.code.contains(forbidden), "src/{} says {forbidden}", source.name);
        }
    }
}

#[test]
fn no_file_is_longer_than_one_thing_needs() {
    let long: Vec<_> =
        sources().into_iter().filter(|source| source.lines > MAX_LINES).map(|source| source.name).collect();
    let planned: Vec<_> = LONG.iter().map(|(name, _)| *name).collect();
    assert_eq!(long, planned, "files of more than {MAX_LINES} lines (left), and those with a reason (right)");
}

#[test]
fn names_say_what_a_file_owns() {
    for path in files(&root().join("src")).into_iter().chain(files(&root().join("tests"))) {
        let name = path.strip_prefix(root()).unwrap().to_string_lossy().to_lowercase();
        for vague in ["util", "helper", "common", "manager", "service", "handler", "types", "misc"] {
            assert!(!name.contains(vague), "{name} is called {vague}");
        }
    }
}

#[test]
fn every_test_file_stands_in_the_table_of_contents() {
    let folder = root().join("tests/it");
    let contents = fs::read_to_string(folder.join("main.rs")).unwrap();
    for path in fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
        let name = path.file_stem().unwrap().to_string_lossy();
        let rust = path.extension().is_some_and(|kind| kind == "rs");
        if rust && !matches!(&*name, "main" | "nexus") {
            let documented = contents
                .lines()
                .zip(contents.lines().skip(1))
                .any(|(doc, module)| doc.starts_with("/// ") && module == format!("mod {name};"));
            assert!(documented, "tests/it/{name}.rs has no line and no word in main.rs");
        }
    }
}

#[test]
fn every_test_runs() {
    let ignored = concat!("#[", "ignore");
    for path in files(&root().join("src")).into_iter().chain(files(&root().join("tests"))) {
        if path.extension().is_some_and(|kind| kind == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            assert!(!text.contains(ignored), "{} holds a test that does not run", path.display());
        }
    }
}

#[test]
fn nothing_names_the_machine_it_was_written_on() {
    // What is built, and what is not ours to read.
    const SKIPPED: &[&str] = &["target", ".git"];
    // Written apart, so that this file does not name them either.
    let forbidden = [concat!("/wo", "rk/"), concat!("/ho", "me/"), concat!("/ro", "ot/"), concat!("/Us", "ers/")];
    let entries = fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().path());
    let kept = entries.filter(|path| !SKIPPED.iter().any(|name| path.ends_with(name)));
    for path in kept.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }) {
        let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
        for folder in forbidden {
            assert!(!text.contains(folder), "{} names a path below {folder}", path.display());
        }
    }
}
