//! Completes a command line in a shell. The scripts of `completions/` run nexus with `COMPLETE` set to the name of the
//! shell, and after `--` the words of the command line; bash passes the line. Without arguments, nexus prints the script
//! then.

use std::borrow::Cow;
use std::ffi::OsString;
use std::io::{self, Write as _};

use clap::Command;
use clap_complete::env::{EnvCompleter, Shells};

use crate::cli::commands::completions;
use crate::cli::environment::variable;

use typed::Typed;

mod bash;
pub(crate) mod candidates;
mod files;
mod powershell;
mod typed;

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
            let words: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
            complete(shell, &words, &mut grammar(), &mut printed)
        }
        _ => return false,
    };
    // A shell has no use for an error.
    let _ = written.and_then(|()| io::stdout().write_all(&printed));
    true
}

/// Writes the candidates for what a script passes.
fn complete(
    shell: &dyn EnvCompleter,
    words: &[Cow<'_, str>],
    grammar: &mut Command,
    out: &mut Vec<u8>,
) -> io::Result<()> {
    if let ("bash", [line, replaced]) = (shell.name(), words) {
        let line = Typed::new(line);
        candidates::complete_for(&line.words);
        return bash::write(grammar, &line, replaced, out);
    }
    let words = unquoted(shell.name(), words);
    candidates::complete_for(&words);
    if shell.name() == "zsh" {
        files::leave_to_shell(grammar);
    }
    let (words, folder) = (words.into_iter().map(Into::into).collect(), std::env::current_dir().ok());
    shell.write_complete(grammar, words, folder.as_deref(), out)?;
    if shell.name() == "powershell" {
        *out = powershell::quoted(&String::from_utf8_lossy(out)).into_bytes();
    }
    Ok(())
}

/// The words of shells that pass them as they were typed: zsh all of them, fish the last one.
fn unquoted(shell: &str, words: &[Cow<'_, str>]) -> Vec<String> {
    let first = match shell {
        "zsh" => 0,
        "fish" => words.len() - 1,
        _ => words.len(),
    };
    let unquoted = |(at, word): (usize, &Cow<'_, str>)| match at < first {
        true => word.clone().into_owned(),
        false => Typed::new(word).last().to_owned(),
    };
    words.iter().enumerate().map(unquoted).collect()
}
