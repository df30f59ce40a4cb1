//! Words of a prompt that begin with a hyphen, such as `- buy milk`.
//!
//! A word that begins with `-` and contains white space is text, because no flag is written like that. clap would
//! report it as an unknown flag; if clap accepted words with a hyphen, it would accept mistyped flags too.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Command};

use crate::cli::nearest::nearest;

/// Moves the text of a command that takes words behind `--`. Changes nothing if no word needs it; `grammar` is called
/// only then.
///
/// # Errors
/// A word such as `-hello`, which clap would read as `-h`.
pub(crate) fn protect_text(
    args: Vec<OsString>,
    grammar: impl FnOnce() -> Command,
) -> clap::error::Result<Vec<OsString>> {
    let needs_it = |word: &OsString| {
        let word = word.to_string_lossy();
        is_hyphened_text(&word)
            || (word.len() > 2 && !word.starts_with("--") && word.starts_with('-') && word.contains(['h', 'V']))
    };
    if !args.iter().take_while(|word| *word != "--").any(needs_it) {
        return Ok(args);
    }
    let mut grammar = grammar();
    grammar.build();
    let Some((command, given)) = command_with_words(&args, &grammar) else { return Ok(args) };
    let (before, words) = args.split_at(given);
    separated(before, words, command)
}

/// Says of an unknown flag which word it is, which known one is nearest, and how to pass it as text. Returns the hint.
pub(crate) fn explain_unknown_flag(error: &mut clap::Error, args: &[OsString], mut grammar: Command) -> Option<String> {
    let ContextValue::String(flag) = error.get(ContextKind::InvalidArg)?.clone() else { return None };
    grammar.build();
    let (command, given) = command_with_words(args, &grammar)?;
    // Of `-json`, clap names `-j`.
    let holds = |word: &str| match flag.strip_prefix('-').filter(|short| !short.starts_with('-')) {
        Some(short) => word.starts_with('-') && !word.starts_with("--") && word.contains(short),
        None => word.split('=').next() == Some(&flag),
    };
    let mut words = args[given..].iter().take_while(|word| *word != "--").filter_map(|word| word.to_str());
    let word = words.find(|word| holds(word)).unwrap_or(&flag).to_owned();
    let name = word.trim_start_matches('-').split('=').next().unwrap_or_default();
    let known = command.get_arguments().filter_map(Arg::get_long);
    let near = nearest(name, known).map(|near| format!("--{near}"));
    error.insert(ContextKind::InvalidArg, ContextValue::String(word.clone()));
    if let Some(near) = &near {
        error.insert(ContextKind::SuggestedArg, ContextValue::String(near.clone()));
    }
    let as_text = format!("to pass '{word}' as text, put '--' before it");
    error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![as_text.into()]));
    let meant = near.map(|near| format!("did you mean `{near}`? ")).unwrap_or_default();
    Some(format!("{meant}To pass `{word}` as text, put `--` before it"))
}

fn is_hyphened_text(word: &str) -> bool {
    word.starts_with('-') && word.contains(char::is_whitespace)
}

/// The command and the index of its first argument, if it takes any number of words.
fn command_with_words<'c>(args: &[OsString], grammar: &'c Command) -> Option<(&'c Command, usize)> {
    let (mut command, mut at) = (grammar, 1);
    while command.has_subcommands() {
        let word = args.get(at)?;
        if !word.to_string_lossy().starts_with('-') {
            command = command.find_subcommand(word)?;
        }
        at += 1;
    }
    let takes_words = |arg: &Arg| arg.get_num_args().is_some_and(|count| count.max_values() > 1);
    command.get_positionals().any(takes_words).then_some((command, at))
}

/// The arguments with all words behind `--`.
fn separated(before: &[OsString], args: &[OsString], command: &Command) -> clap::error::Result<Vec<OsString>> {
    let (mut flags, mut words) = (before.to_vec(), Vec::new());
    let mut rest = args.iter().peekable();
    while let Some(word) = rest.next() {
        let text = word.to_string_lossy();
        match role(&text, command) {
            _ if word == "--" => words.extend(rest.by_ref().cloned()),
            Role::Word => words.push(word.clone()),
            Role::Flag => flags.push(word.clone()),
            Role::HelpAndMore => {
                let mut error = clap::Error::new(ErrorKind::UnknownArgument).with_cmd(command);
                error.insert(ContextKind::InvalidArg, ContextValue::String(text.into_owned()));
                return Err(error);
            }
            Role::FlagBeforeValue => match rest.next_if(|next| is_value(&next.to_string_lossy())) {
                Some(value) if is_hyphened_text(&value.to_string_lossy()) => {
                    let mut both = word.clone();
                    both.push("=");
                    both.push(value);
                    flags.push(both);
                }
                value => flags.extend([word].into_iter().chain(value).cloned()),
            },
        }
    }
    flags.push("--".into());
    flags.extend(words);
    Ok(flags)
}

/// Whether the word after a flag can be its value.
fn is_value(word: &str) -> bool {
    word == "-" || !word.starts_with('-') || is_hyphened_text(word)
}

enum Role {
    Word,
    /// A flag, with its value if it takes one, or an unknown flag.
    Flag,
    FlagBeforeValue,
    /// `-h` or `-V` with letters that are no flags.
    HelpAndMore,
}

fn role(word: &str, command: &Command) -> Role {
    let takes_value = |arg: &Arg| arg.get_action().takes_values();
    if let Some(long) = word.strip_prefix("--") {
        let (name, value) = long.split_once('=').map_or((long, None), |(name, value)| (name, Some(value)));
        let known = command.get_arguments().find(|arg| arg.get_long() == Some(name));
        return match known {
            _ if name.contains(char::is_whitespace) => Role::Word,
            Some(arg) if value.is_none() && takes_value(arg) => Role::FlagBeforeValue,
            _ => Role::Flag,
        };
    }
    let Some(short) = word.strip_prefix('-').filter(|short| !short.is_empty()) else { return Role::Word };
    let mut helps = false;
    for (at, c) in short.char_indices() {
        let rest = &short[at + c.len_utf8()..];
        match command.get_arguments().find(|arg| arg.get_short() == Some(c)) {
            Some(arg) if takes_value(arg) && rest.is_empty() => return Role::FlagBeforeValue,
            Some(arg) if takes_value(arg) && (!is_hyphened_text(word) || holds_text(arg, rest)) => return Role::Flag,
            Some(arg) if !takes_value(arg) => helps |= matches!(c, 'h' | 'V'),
            _ if is_hyphened_text(word) => return Role::Word,
            _ => return if helps { Role::HelpAndMore } else { Role::Flag },
        }
    }
    Role::Flag
}

/// Whether a value that is attached to a short flag, as in `-s"Be brief"`, may contain white space.
fn holds_text(arg: &Arg, value: &str) -> bool {
    let names = arg.get_value_names().unwrap_or_default();
    !value.starts_with(char::is_whitespace) && names.iter().any(|name| ["TEXT", "FILE"].contains(&name.as_str()))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn text_with_a_hyphen_goes_behind_the_flags() {
        for (typed, given) in [
            (&["chat", "- buy milk"][..], &["chat", "--", "- buy milk"][..]),
            (&["chat", "---\ntitle: x", "-m", "m"], &["chat", "-m", "m", "--", "---\ntitle: x"]),
            (&["chat", "a", "-1 + 2 = ?", "--json", "b"], &["chat", "--json", "--", "a", "-1 + 2 = ?", "b"]),
            (&["-v", "chat", "- x", "-vc"], &["-v", "chat", "-vc", "--", "- x"]),
            (&["chat", "-s", "- brief", "x"], &["chat", "-s=- brief", "--", "x"]),
            (&["chat", "--system", "- brief", "-"], &["chat", "--system=- brief", "--", "-"]),
            (&["chat", "--system=be brief", "- x"], &["chat", "--system=be brief", "--", "- x"]),
            (&["chat", "-sBe brief", "- x"], &["chat", "-sBe brief", "--", "- x"]),
            (&["chat", "-s is what?"], &["chat", "--", "-s is what?"]),
            (&["chat", "-please help me"], &["chat", "--", "-please help me"]),
            (&["chat", "-v is what?"], &["chat", "--", "-v is what?"]),
            (&["chat", "-a", "-", "- x"], &["chat", "-a", "-", "--", "- x"]),
            (&["chat", "-a", "a b.txt", "- x", "--", "-c"], &["chat", "-a", "a b.txt", "--", "- x", "-c"]),
            (&["chat", "--modle", "- x"], &["chat", "--modle", "--", "- x"]),
            (&["chat", "--sytem=be brief", "x"], &["chat", "--sytem=be brief", "--", "x"]),
            (&["history", "search", "- x", "-n", "3"], &["history", "search", "-n", "3", "--", "- x"]),
            // Nothing to do, or no command that takes words.
            (&["chat", "-s", "x", "y"], &["chat", "-s", "x", "y"]),
            (&["chat", "--", "- x"], &["chat", "--", "- x"]),
            (&["models", "- x"], &["models", "- x"]),
            (&["nonsense", "- x"], &["nonsense", "- x"]),
        ] {
            let typed = ["nexus"].iter().chain(typed).map(OsString::from).collect();
            let given: Vec<_> = ["nexus"].iter().chain(given).map(OsString::from).collect();
            assert_eq!(protect_text(typed, crate::cli::Cli::command).unwrap(), given);
        }
    }
}
