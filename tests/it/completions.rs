//! The completion scripts: what the command prints, and what bash completes. A unit test compares them with the grammar.

use std::fs;
use std::path::Path;
use std::process::Command;

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
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
function=$(complete -p nexus | sed -E 's/.* -F ([^ ]+) .*/\1/')
"$function" nexus "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
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
        assert_output!(Nexus::new().run(&["completions", shell]), 0, stdout: script, stderr: "");
    }
}

#[test]
fn bash_completes_words_with_the_script() {
    for (words, completed) in [
        (&["nexus", "oauth", "st"][..], "start status"),
        (&["nexus", "oauth", "lo"], "login logout"),
        (&["nexus", "login", "--no"], "--no-browser"),
        (&["nexus", "oauth", "login", "--no"], "--no-browser"),
        (&["nexus", "provider", "d"], "default"),
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
        let message = String::from_utf8(output.stdout).unwrap();
        let complained = String::from_utf8(output.stderr).unwrap();
        assert_eq!((message.trim_end(), &*complained), (completed, ""), "{words:?}");
    }
}
