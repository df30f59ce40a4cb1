//! Completes a command line in a shell. The scripts of `completions/` run nexus with `COMPLETE` set to the name of the
//! shell, and after `--` the words of the command line. Without arguments, nexus prints the script then.

use std::ffi::OsString;
use std::io::{self, Write as _};

use clap::Command;
use clap_complete::env::Shells;

use crate::cli::commands::completions;
use crate::cli::environment::variable;

mod bash;
pub(crate) mod candidates;

/// The variable that a script sets to the name of its shell.
const SHELL: &str = "COMPLETE";

/// Prints how the command line can be completed, if a shell asks for that. Returns whether one does.
pub(crate) fn is_answered(args: &[OsString], grammar: impl FnOnce() -> Command) -> bool {
    let Some(shell) = variable(SHELL) else { return false };
    let shells = Shells::builtins();
    let Some(shell) = shells.completer(&shell) else { return false };
    let mut printed = Vec::new();
    let written = match args {
        [_] => printed.write_all(completions::script(shell.name()).as_bytes()),
        [_, dashes, words @ ..] if dashes == "--" && !words.is_empty() => {
            candidates::complete_for(words);
            let mut grammar = grammar();
            match shell.name() {
                "bash" => bash::write(&mut grammar, words, &mut printed),
                _ => {
                    let folder = std::env::current_dir().ok();
                    shell.write_complete(&mut grammar, words.to_vec(), folder.as_deref(), &mut printed)
                }
            }
        }
        _ => return false,
    };
    // A shell has no use for an error.
    let _ = written.and_then(|()| io::stdout().write_all(&printed));
    true
}
