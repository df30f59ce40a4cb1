//! The top of the grammar. What each command takes stands at the top of its own file, where its
//! doc comment is the help text. Nothing here reads the world.

use std::ffi::OsString;

use clap::builder::Resettable;
use clap::{ArgMatches, Args, FromArgMatches, Parser, Subcommand};

pub(crate) mod commands;
pub(crate) mod config;
pub(crate) mod context;
pub(crate) mod environment;
mod error;
pub(crate) mod history;
pub(crate) mod markdown;
pub(crate) mod nearest;
mod paths;
pub(crate) mod question;
pub(crate) mod terminal;

use commands::{batch, chat, completions, demo, help, key, models, oauth};

/// Sign in once with OAuth, then let every shell, script and tool on this account talk to Claude.
///
/// A person: `nexus oauth start`, then `nexus chat "why does this fail?" < build.log`. A script: the
/// same, deciding by the exit code. Another program: `nexus oauth token`.
#[derive(Debug, Parser)]
#[command(name = "nexus", version, after_help = EXIT_CODES, propagate_version = true)]
#[command(disable_help_subcommand = true)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,

    /// Tell on stderr what happens on the wire, with secrets masked
    #[arg(long, short, global = true)]
    pub(crate) verbose: bool,
}

/// What nexus can do.
#[derive(Debug, Subcommand)]
#[expect(clippy::large_enum_variant, reason = "there is one, and it is read once")]
pub(crate) enum Command {
    /// Sign in and out, look at the session, hand out its token
    #[command(subcommand)]
    Oauth(Deferred<oauth::Command>),
    /// Ask a question and stream the answer
    Chat(Deferred<chat::Args>),
    /// Answer every line of a file, as fast as the API allows
    Batch(Deferred<batch::Args>),
    /// List, show, search, export and delete the conversations that were kept
    #[command(subcommand)]
    History(Deferred<commands::history::Command>),
    /// List the models that the session may use, one id a line
    Models(Deferred<models::Args>),
    /// Tell and choose where the key to the stored session is kept
    #[command(subcommand)]
    Key(Deferred<key::Command>),
    /// Watch the whole job happen with nothing configured and no network
    Demo(Deferred<demo::Args>),
    /// Print the completion script for a shell
    Completions(Deferred<completions::Args>),
}

/// The exit codes, as every help text and the README tell them.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0      done (also: the reader of stdout went away)
  1      failed, and trying again as is won't help
  2      said wrongly: usage, configuration, client id, redirect URI, no model known
  4      sign in (again): `nexus oauth start`
  75     temporary: the same command may work later
  128+n  ended by signal n

Settings: see `nexus help config` for config.toml. CLAUDE_CODE_CLIENT_ID, CLAUDE_CODE_CLIENT_SECRET
and CLAUDE_CODE_REDIRECT_URI describe the client of the built-in provider, NEXUS_PROVIDER chooses a
provider, and NEXUS_HOME puts everything in one folder.";

/// The commands that have subcommands.
const IN_TWO_WORDS: &[&str] = &["history", "key", "oauth"];

/// `nexus help COMMAND` as `nexus COMMAND --help`, which is the same and needs no grammar of its own;
/// likewise `nexus oauth help`.
pub(crate) fn asked_for_help(mut words: Vec<OsString>) -> Vec<OsString> {
    let is_help = |at: usize| words.get(at).is_some_and(|word| word == "help");
    let in_two_words = words.get(1).is_some_and(|word| IN_TWO_WORDS.iter().any(|first| word == first));
    let at = if is_help(1) { Some(1) } else { Some(2).filter(|at| in_two_words && is_help(*at)) };
    if let Some(at) = at {
        words.remove(at);
        words.push("--help".into());
    }
    words
}

/// A command whose own grammar is not built before it is its turn: the grammar of all of them costs
/// more than most commands' work.
#[derive(Debug)]
pub(crate) struct Deferred<T>(pub(crate) T);

/// Adds a grammar and keeps the description that the command had in its list.
fn described(command: clap::Command, add: fn(clap::Command) -> clap::Command) -> clap::Command {
    let (about, long_about) = (command.get_about().cloned(), command.get_long_about().cloned());
    add(command).about(Resettable::from(about)).long_about(Resettable::from(long_about))
}

impl<T: Args> Args for Deferred<T> {
    fn augment_args(command: clap::Command) -> clap::Command {
        command.defer(|command| described(command, T::augment_args))
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        command.defer(|command| described(command, T::augment_args_for_update))
    }
}

impl<T: Subcommand> Subcommand for Deferred<T> {
    fn augment_subcommands(command: clap::Command) -> clap::Command {
        command.defer(|command| described(command, T::augment_subcommands))
    }

    fn augment_subcommands_for_update(command: clap::Command) -> clap::Command {
        command.defer(|command| described(command, T::augment_subcommands_for_update))
    }

    fn has_subcommand(name: &str) -> bool {
        T::has_subcommand(name)
    }
}

impl<T: FromArgMatches> FromArgMatches for Deferred<T> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        T::from_arg_matches(matches).map(Self)
    }

    fn from_arg_matches_mut(matches: &mut ArgMatches) -> Result<Self, clap::Error> {
        T::from_arg_matches_mut(matches).map(Self)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.0.update_from_arg_matches(matches)
    }

    fn update_from_arg_matches_mut(&mut self, matches: &mut ArgMatches) -> Result<(), clap::Error> {
        self.0.update_from_arg_matches_mut(matches)
    }
}

/// Does what the words say, the program's name first, and gives the process's exit code.
pub(crate) fn run(words: impl IntoIterator<Item = OsString>) -> u8 {
    context::hide_memory();
    terminal::hush_panics();
    let words: Vec<_> = words.into_iter().collect();
    if help::is_config(&words) {
        return commands::help_config();
    }
    let words = asked_for_help(words);
    match Cli::try_parse_from(&words) {
        Ok(cli) => commands::run(cli),
        Err(error) => commands::misunderstood(error, &words),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_commands_with_subcommands_are_listed() {
        let mut grammar = Cli::command();
        grammar.build();
        let with_subcommands = grammar.get_subcommands().filter(|command| command.has_subcommands());
        let mut names: Vec<_> = with_subcommands.map(|command| command.get_name()).collect();
        names.sort_unstable();
        assert_eq!(names, IN_TWO_WORDS);
    }
}
