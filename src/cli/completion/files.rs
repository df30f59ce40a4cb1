//! Files, which bash and zsh complete themselves: they know `~user`, variables and folders, and quote what they insert.

use std::ffi::OsStr;

use clap::{Command, ValueHint};
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};

/// Stands for every file, in the scripts too. No other candidate has control characters.
pub(super) const ANY_FILE: &str = "\u{b}";

/// Makes every argument that takes a file complete to `ANY_FILE`.
pub(super) fn leave_to_shell(grammar: &mut Command) {
    // Arguments that are deferred exist from now on.
    grammar.build();
    for command in grammar.get_subcommands_mut() {
        leave_to_shell(command);
    }
    *grammar = std::mem::take(grammar).mut_args(|argument| match argument.get_value_hint() {
        ValueHint::AnyPath | ValueHint::FilePath | ValueHint::DirPath => {
            argument.add(ArgValueCompleter::new(|_: &OsStr| vec![CompletionCandidate::new(ANY_FILE)]))
        }
        _ => argument,
    });
}
