//! The completion scripts, and what a command line can be completed to.

use std::fs;
use std::path::Path;
use std::process::Command;

use nexus::sandbox::{Sandbox, Settings};

use crate::nexus::Nexus;

/// Each shell's name and the file of its script.
const SCRIPTS: &[(&str, &str)] = &[
    ("bash", "nexus.bash"),
    ("elvish", "nexus.elv"),
    ("fish", "nexus.fish"),
    ("powershell", "_nexus.ps1"),
    ("zsh", "_nexus"),
];

/// Calls the script's completion function as bash does.
const ASK: &str = r#"
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_TYPE=9
function=$(complete -p nexus | sed -E 's/.* -F ([^ ]+) .*/\1/')
"$function" nexus "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
IFS=' '
echo "${COMPREPLY[*]}"
"#;

fn committed(file: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("completions").join(file)
}

#[test]
fn the_command_prints_the_committed_script() {
    for (shell, file) in SCRIPTS {
        let script = fs::read_to_string(committed(file)).unwrap();
        assert!(!script.is_empty(), "{file}");
        let mut nexus = Nexus::new();
        assert_output!(nexus.run(&["completions", shell]), 0, stdout: script.as_str(), stderr: "");
        nexus.set("COMPLETE", shell);
        assert_output!(nexus.run(&[] as &[&str]), 0, stdout: script, stderr: "");
    }
}

#[test]
fn the_variable_of_completion_changes_no_other_command() {
    let mut nexus = Nexus::new();
    for (value, words) in
        [("bash", &["history", "list"][..]), ("1", &["history", "list"]), ("nosuch", &["history", "list"])]
    {
        nexus.set("COMPLETE", value);
        assert_output!(nexus.run(words), 0, stdout: "", stderr: "No saved conversations\n");
    }
}

/// What bash completes the last word to.
#[track_caller]
fn in_bash(nexus: &Nexus, words: &[&str]) -> String {
    let program = Path::new(env!("CARGO_BIN_EXE_nexus"));
    let mut bash = Command::new("bash");
    bash.args(["--norc", "-c", ASK, "bash"]).arg(committed("nexus.bash")).args(words);
    let path = format!("{}:/usr/bin:/bin", program.parent().unwrap().display());
    let output = nexus.prepared(bash).env("PATH", path).output().unwrap();
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "", "{words:?}");
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

#[test]
fn bash_completes_words_with_the_script() {
    for (words, completed) in [
        (&["nexus", "oauth", "st"][..], "start status"),
        (&["nexus", "oauth", ""], "start status logout token refresh --verbose --help --version"),
        (&["nexus", "login", "--no"], "--no-browser"),
        (&["nexus", "oauth", "login", "--no"], "--no-browser"),
        (&["nexus", "provider", "d"], "default"),
        (&["nexus", "mo"], "models"),
        (&["nexus", "completions", "z"], "zsh"),
        (&["nexus", "oauth", "token", "--min"], "--min-ttl"),
        (&["nexus", "chat", "--max"], "--max-tokens"),
        (&["nexus", "history", "show", "--no"], "--no-pager"),
        (&["nexus", "help", "ba"], "batch"),
        (&["nexus", "help", "conf"], "config"),
        (&["nexus", "help", "oauth", "st"], "start status"),
        (&["nexus", "nothing-of-the-kind"], ""),
    ] {
        assert_eq!(in_bash(&Nexus::new(), words), completed, "{words:?}");
    }
}

/// A home with an alias, a template and a conversation, that is signed in at a server with these models.
fn home(models: &[&str], lines: &str) -> (Sandbox, Nexus, String) {
    let models = models.iter().map(|id| (*id).to_owned()).collect();
    let (sandbox, nexus) = Nexus::signed_in(Settings { models, ..Settings::default() });
    let config = fs::read_to_string(nexus.path("config.toml")).unwrap();
    nexus.configure(&format!(
        "{lines}{config}[provider.second]\nmodels = ['only-there']\nauthorize_url = 'https://id.corp.example/a'\n\
         token_url = 'https://id.corp.example/t'\nclient_id = 'c'\n[aliases]\nfast = 'small'\n"
    ));
    fs::create_dir(nexus.path("templates")).unwrap();
    fs::write(nexus.path("templates/review.toml"), "prompt = 'x'\n").unwrap();
    fs::write(nexus.path("templates/notes.md"), "").unwrap();
    nexus.run(&["chat", "--history", "-m", "large", "x"]).ok();
    let id = nexus.run(&["history", "list", "--json"]).json()["conversations"][0]["id"].as_str().unwrap().to_owned();
    (sandbox, nexus, id)
}

/// What the last word can be completed to.
#[track_caller]
fn completed(nexus: &Nexus, words: &[&str]) -> Vec<String> {
    let words: Vec<_> = ["--", "nexus"].iter().chain(words).copied().collect();
    let mut command = nexus.command(&words);
    command.env("COMPLETE", "bash").env("_CLAP_COMPLETE_INDEX", (words.len() - 2).to_string());
    let output = nexus.finish(command.spawn().unwrap());
    assert_eq!(output.stderr, "", "{words:?}");
    output.ok().split('\u{b}').filter(|value| !value.is_empty()).map(str::to_owned).collect()
}

#[test]
fn values_are_completed_from_what_is_on_this_machine() {
    let (sandbox, nexus, id) = home(&["large", "small-1", "eu.large:2"], "");
    let requests = sandbox.counts();
    let providers = ["claude_code", "second", "work", "claude_federation", "claude_platform", "ant"];
    for (words, values) in [
        (&["chat", "--provider", ""][..], &providers[..]),
        (&["chat", "-p", "w"], &["work"]),
        (&["oauth", "logout", "--provider", "s"], &["second"]),
        (&["oauth", "start", "-p", "w"], &["work"]),
        (&["provider", "default", "w"], &["work"]),
        (&["provider", "remove", "w"], &["work"]),
        (&["models", "--provider=w"], &["--provider=work"]),
        (&["chat", "--model", ""], &["fast", "large", "small-1", "eu.large:2"]),
        (&["batch", "-m", "s"], &["small-1"]),
        (&["chat", "-p", "second", "-m", ""], &["fast", "only-there"]),
        (&["chat", "-t", ""], &["review"]),
        (&["batch", "--template", "re"], &["review"]),
        (&["chat", "--conversation", ""], &[&*id]),
        (&["history", "show", &id[..3]], &[&*id]),
        (&["history", "delete", &id[..3]], &[&*id]),
    ] {
        let completed = completed(&nexus, words);
        // Flags follow where one may stand.
        let completed: Vec<_> = completed
            .iter()
            .map(String::as_str)
            .filter(|value| values.contains(value) || !value.starts_with('-'))
            .collect();
        assert_eq!(completed, values, "{words:?}");
    }
    assert_eq!(sandbox.counts(), requests, "nothing is asked");
    // The parts that bash splits words into.
    assert_eq!(in_bash(&nexus, &["nexus", "chat", "--model", "=", "fa"]), "fast");
    assert_eq!(in_bash(&nexus, &["nexus", "chat", "--model", "=", "eu.large", ":", "2"]), "2");
    let mut command = nexus.command(&["--", "nexus", "history", "show", ""]);
    command.env("COMPLETE", "zsh").env("_CLAP_COMPLETE_INDEX", "3");
    assert!(nexus.finish(command.spawn().unwrap()).ok().starts_with(&format!("{id}:x\n")), "a title says what it is");
}

#[test]
fn names_that_a_shell_would_obey_are_left_out() {
    let (_sandbox, nexus, _) = home(&["large", "$(touch x)", "a b", "`id`", "x;y", "-m", "a\u{1b}[2J", "e\nf"], "");
    assert_eq!(completed(&nexus, &["chat", "-m", ""]), ["fast", "large"]);
}

#[test]
fn no_passphrase_is_asked_for() {
    let asks = "key = 'passphrase'\npassphrase_command = ['sh', '-c', 'touch asked; echo secret-words']\n";
    let (_sandbox, mut nexus, id) = home(&["large"], "");
    nexus.set("PATH", "/usr/bin:/bin");
    let config = fs::read_to_string(nexus.path("config.toml")).unwrap();
    nexus.configure(&format!("{asks}{config}"));
    nexus.run(&["key", "move", "passphrase", "--yes"]).ok();
    fs::remove_file(nexus.path("asked")).unwrap();
    assert_eq!(completed(&nexus, &["chat", "-m", ""]), ["fast"]);
    assert_eq!(completed(&nexus, &["chat", "--conversation", ""]), [id]);
    assert!(completed(&nexus, &["chat", "-p", ""]).contains(&"work".to_owned()));
    assert!(!nexus.path("asked").exists());
}

#[test]
fn what_cannot_be_read_completes_to_nothing() {
    let nexus = Nexus::new();
    for words in [&["chat", "-m", ""][..], &["chat", "-t", ""], &["chat", "--conversation", ""]] {
        assert_eq!(completed(&nexus, words), [""; 0], "{words:?}");
    }
    assert!(fs::read_dir(nexus.home()).unwrap().next().is_none(), "nothing is created");
    nexus.configure("[provider.work\n");
    fs::create_dir(nexus.path("data")).unwrap();
    fs::write(nexus.path("data/history.db"), "no database").unwrap();
    for words in [&["chat", "-m", ""][..], &["chat", "--conversation", ""]] {
        assert_eq!(completed(&nexus, words), [""; 0], "{words:?}");
    }
}
