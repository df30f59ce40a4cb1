//! The completion scripts under `completions/` are drawn from the grammar, once, by
//! `NEXUS_WRITE_COMPLETIONS=1 cargo test --test it completions`; without that variable they are only
//! compared with it.

use std::fs;
use std::path::Path;
use std::process::Command;

use clap_complete::Shell;

use crate::nexus::Nexus;

/// Each shell's script: its name for people, who draws it, its file.
const SCRIPTS: &[(&str, Shell, &str)] = &[
    ("bash", Shell::Bash, "nexus.bash"),
    ("elvish", Shell::Elvish, "nexus.elv"),
    ("fish", Shell::Fish, "nexus.fish"),
    ("powershell", Shell::PowerShell, "_nexus.ps1"),
    ("zsh", Shell::Zsh, "_nexus"),
];

/// Asks the script what it offers for the words behind its own name, as bash would.
const ASK: &str = r#"
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
function=$(complete -p nexus | sed -E 's/.* -F ([^ ]+) .*/\1/')
"$function" nexus "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
echo "${COMPREPLY[*]}"
"#;

fn drawn(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut nexus::grammar(), "nexus", &mut script);
    String::from_utf8(script).unwrap()
}

fn committed(file: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("completions").join(file)
}

#[test]
fn the_committed_scripts_are_the_grammars() {
    #[expect(clippy::disallowed_methods, reason = "a test is told by its environment to write instead of compare")]
    let write = std::env::var_os("NEXUS_WRITE_COMPLETIONS").is_some();
    for (_, shell, file) in SCRIPTS {
        if write {
            fs::write(committed(file), drawn(*shell)).unwrap();
        }
        assert!(
            fs::read_to_string(committed(file)).unwrap() == drawn(*shell),
            "completions/{file} is out of date: run `NEXUS_WRITE_COMPLETIONS=1 cargo test --test it completions`, \
             then build again"
        );
    }
}

#[test]
fn every_file_under_completions_is_a_shells() {
    let mut files: Vec<_> =
        fs::read_dir(committed("")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    files.sort();
    let mut known: Vec<_> = SCRIPTS.iter().map(|(_, _, file)| (*file).to_owned()).collect();
    known.sort();
    assert_eq!(files, known);
}

#[test]
fn the_command_prints_exactly_the_file() {
    for (shell, _, file) in SCRIPTS {
        let script = fs::read_to_string(committed(file)).unwrap();
        assert!(!script.is_empty(), "{file}");
        assert_output!(Nexus::new().run(&["completions", shell]), 0, stdout: script, stderr: "");
    }
}

#[test]
fn bash_completes_with_the_script() {
    for (words, completed) in [
        (&["nexus", "oauth", "st"][..], "start status"),
        (&["nexus", "oauth", "lo"], "logout"),
        (&["nexus", "mo"], "models"),
        (&["nexus", "completions", "z"], "zsh"),
        (&["nexus", "oauth", "token", "--min"], "--min-ttl"),
        (&["nexus", "chat", "--max"], "--max-tokens"),
        (&["nexus", "nothing-of-the-kind"], ""),
    ] {
        let output = Command::new("bash")
            .args(["--norc", "-c", ASK, "bash"])
            .arg(committed("nexus.bash"))
            .args(words)
            .output()
            .unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        let complained = String::from_utf8(output.stderr).unwrap();
        assert_eq!((said.trim_end(), &*complained), (completed, ""), "{words:?}");
    }
}
