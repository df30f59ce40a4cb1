//! The examples of README.md and `docs/`: each is run, with a sandbox in place of the servers that they name. A unit
//! test of the command line checks the commands inside the text.

#![cfg(unix)]

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use nexus::ClientAuth;
use nexus::sandbox::{Endpoint, Registration, Sandbox, Settings};

use crate::attachments::PNG;
use crate::nexus::{Nexus, Output, approve, config, sandbox, visit};

/// Pages whose examples need a PostgreSQL server.
const NEED_A_SERVER: &[&str] = &["postgres.md"];

/// What the program names in the examples stand for. Everything that is not here comes from the system.
const PROGRAMS: &[(&str, &str)] = &[
    (
        "cargo",
        "case \"$*\" in test | 'install --locked --path .') ;; 'run --release -- '*) shift 3; exec nexus \"$@\" ;; *) exit 64 ;; esac",
    ),
    ("claude", "test -n \"$ANTHROPIC_BASE_URL\" && test -n \"$ANTHROPIC_AUTH_TOKEN\""),
    // `curl --fail -H @FILE URL`, where the file has the header.
    ("curl", "test \"$1 $2\" = '--fail -H' && grep -q '^Authorization: Bearer ' \"${3#@}\""),
    ("git", "echo '+1'"),
];

/// The files that the examples read.
const FILES: &[(&str, &str)] = &[
    ("build.log", "error: port taken\n"),
    ("main.py", "print(1)\n"),
    ("plan.pdf", "%PDF-1.4\n%%EOF\n"),
    ("prompts.jsonl", "{\"id\":\"1\",\"prompt\":\"one\"}\n{\"id\":\"2\",\"prompt\":\"two\"}\n"),
    ("question.txt", "What is a monad?\n"),
    ("questions.txt", "-\n\n--help\n  \nlast, without a line end"),
];

/// A fenced block of a page.
pub(crate) struct Block {
    /// The page and the line, for messages.
    place: String,
    language: String,
    pub(crate) text: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn pages() -> Vec<PathBuf> {
    let docs = fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let mut pages: Vec<_> = docs.filter(|path| path.extension().is_some_and(|extension| extension == "md")).collect();
    pages.push(root().join("README.md"));
    pages.sort();
    pages
}

/// The blocks in this language of all pages that can be run here.
pub(crate) fn blocks(language: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    for page in pages() {
        let name = page.file_name().unwrap().to_string_lossy().into_owned();
        if NEED_A_SERVER.contains(&&*name) {
            continue;
        }
        let text = fs::read_to_string(&page).unwrap();
        let mut lines = (1..).zip(text.lines());
        while let Some((number, line)) = lines.next() {
            let Some(language) = line.strip_prefix("```") else { continue };
            let place = format!("{name}, line {number}");
            let known = ["sh", "toml", "toml template", "rust"];
            assert!(known.contains(&language), "{place}: no test runs blocks in {language:?}");
            let text = lines.by_ref().map(|(_, line)| line).take_while(|line| *line != "```");
            let text = text.map(|line| format!("{line}\n")).collect();
            blocks.push(Block { place, language: language.to_owned(), text });
        }
    }
    blocks.retain(|block| block.language == language);
    assert!(!blocks.is_empty(), "{language}");
    blocks
}

/// The server that a script signs in at. It tells how, and registers clients.
fn server(script: &str) -> Sandbox {
    let mut settings = Settings { registration: Some(Registration::open(ClientAuth::None)), ..Settings::default() };
    settings.publishes = match script.contains("start https://llm.example.com") {
        true => vec![Endpoint::LitellmContract, Endpoint::ServerMetadata, Endpoint::ProtectedResource],
        false => vec![Endpoint::ServerMetadata],
    };
    if script.contains("its-secret") {
        settings.client_secret = Some("hush".into());
        settings.client_auth = ClientAuth::Post;
    }
    sandbox(settings)
}

/// Approves each sign-in whose URL the program at `BROWSER` is called with. Returns that program's text.
fn browser() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for connection in listener.incoming() {
            let mut url = String::new();
            BufReader::new(connection.unwrap()).read_line(&mut url).unwrap();
            visit(&approve(url.trim()));
        }
    });
    format!("#!/bin/bash\nprintf '%s\\n' \"$1\" > /dev/tcp/127.0.0.1/{port}\n")
}

/// A home with the files and the programs of the examples, for a server.
pub(crate) fn home(server: &Sandbox, config: &str) -> Nexus {
    let mut nexus = Nexus::new();
    fs::create_dir_all(nexus.path("bin")).unwrap();
    symlink(env!("CARGO_BIN_EXE_nexus"), nexus.path("bin/nexus")).unwrap();
    symlink(root().join("man"), nexus.path("man")).unwrap();
    for (name, text) in PROGRAMS {
        nexus.write(&format!("bin/{name}"), &format!("#!/bin/sh\n{text}\n"), 0o700);
    }
    nexus.write("bin/browser", &browser(), 0o700);
    for (name, text) in FILES {
        nexus.write(name, text, 0o600);
    }
    fs::write(nexus.path("photo.png"), PNG).unwrap();
    fs::create_dir(nexus.path("templates")).unwrap();
    fs::set_permissions(nexus.path("templates"), fs::Permissions::from_mode(0o700)).unwrap();
    nexus.write("templates/review.toml", &blocks("toml template")[0].text, 0o600);
    if !config.is_empty() {
        nexus.configure(config);
    }
    nexus.name(&server.origin(), "[ORIGIN]");
    for (name, value) in [
        ("HOME", nexus.home().to_string_lossy().into_owned()),
        ("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", nexus.path("bin").display())),
        ("BROWSER", nexus.path("bin/browser").to_string_lossy().into_owned()),
        ("question", "- is \"this\" $safe?".to_owned()),
    ] {
        nexus.set(name, &value);
    }
    nexus
}

/// Runs a script, with the server in place of those that it names.
fn run(nexus: &Nexus, server: &Sandbox, script: &str) -> Output {
    let script = script
        .replace("https://llm.example.com", &server.origin())
        .replace("https://id.example.com", &server.origin())
        .replace("--client-id ID", "--client-id sandbox-client --redirect-uri http://127.0.0.1:0/callback")
        .replace("your-client-id", "sandbox-client")
        .replace("its-secret", "hush")
        .replace("http://localhost:4000/oauth/claude/callback", "http://127.0.0.1:0/callback");
    let mut command = Command::new("bash");
    command.args(["-e", "-c", &script]);
    nexus.finish(nexus.prepared(command).spawn().unwrap())
}

/// The configuration of the provider in `script`, signed in unless the script signs in.
fn home_for(server: &Sandbox, script: &str) -> Nexus {
    let work = config(server, "\n[aliases]\nfast = \"sandbox-large\"");
    if script.contains("CLAUDE_CODE_CLIENT_ID") {
        return home(
            server,
            &work
                .replace("\"work\"", "\"claude_code\"")
                .replace(".work]", ".claude_code]")
                .replace("client_id = \"sandbox-client\"\n", ""),
        );
    }
    let nexus = home(server, &work);
    nexus.sign_in();
    nexus.run(&["chat", "--history", "port taken"]).ok();
    nexus
}

#[test]
fn every_shell_example_runs() {
    for block in blocks("sh") {
        let server = server(&block.text);
        let output = run(&home_for(&server, &block.text), &server, &block.text);
        assert_eq!(output.code, Some(0), "{}:\n{}{output}", block.place, block.text);
    }
}

#[test]
fn every_sign_in_by_url_works() {
    let mut commands = BTreeSet::new();
    for page in pages() {
        let text = fs::read_to_string(page).unwrap();
        let code = text.split('`').skip(1).step_by(2).map(str::to_owned);
        commands.extend(code.filter(|code| code.starts_with("nexus oauth start https://")));
    }
    assert!(commands.len() >= 3, "{commands:?}");
    for command in commands {
        let server = server(&command);
        let nexus = home(&server, "");
        let output = run(&nexus, &server, &format!("{command}\nnexus chat x"));
        assert_eq!(output.code, Some(0), "{command}: {output}");
    }
}

#[test]
fn every_configuration_is_valid() {
    for block in blocks("toml") {
        if block.text.starts_with("[dependencies]") {
            assert!(block.text.contains("nexus = { path = "), "{}", block.text);
            continue;
        }
        let nexus = Nexus::new();
        // The names of examples are refused.
        nexus.configure(&block.text.replace("example.com", "corp.example"));
        nexus.write("ci.secret", "hush", 0o600);
        let section = block.text.split_once("[provider.").map(|(_, rest)| rest.split_once(']').unwrap().0);
        let provider = section.map_or(vec![], |name| vec!["--provider", name]);
        let output = nexus.run(&[&["config", "show"], &*provider].concat());
        assert_eq!((output.code, &*output.stderr), (Some(0), ""), "{}: {output}", block.place);
    }
}

#[test]
fn every_link_leads_somewhere() {
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link) {
            if link.starts_with("https://") {
                continue;
            }
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let file = if file.is_empty() { page.clone() } else { page.parent().unwrap().join(file) };
            assert!(file.exists(), "{}: {link}", page.display());
            assert!(heading.is_empty() || headings(&file).contains(heading), "{}: {link}", page.display());
        }
    }
}

/// The headings of a page, as links name them.
fn headings(page: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(page).unwrap();
    let headings = text.lines().filter_map(|line| line.strip_prefix('#'));
    headings.map(|heading| heading.trim_start_matches('#').trim().to_lowercase().replace(' ', "-")).collect()
}

#[test]
fn the_readme_is_short() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    assert!(readme.lines().count() <= 200, "{} lines", readme.lines().count());
}
