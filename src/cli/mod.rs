//! The command line. Each command declares its arguments in its own file, where doc comments are the help texts.

use std::ffi::OsString;

use clap::builder::Resettable;
use clap::{ArgMatches, Args, CommandFactory as _, FromArgMatches, Parser, Subcommand};

mod child_environment;
pub(crate) mod commands;
mod completion;
pub(crate) mod config;
pub(crate) mod context;
pub(crate) mod environment;
mod error;
#[cfg(test)]
mod examples;
mod findings;
pub(crate) mod history;
mod listen_address;
mod local_proxy;
mod local_time;
#[cfg(test)]
mod man;
pub(crate) mod markdown;
pub(crate) mod nearest;
mod paths;
mod program;
pub(crate) mod question;
mod quoted;
pub(crate) mod session;
mod template_files;
pub(crate) mod terminal;
mod text;
mod words;

use commands::{batch, chat, completions, demo, doctor, exec, help, key, models, oauth, provider, proxy, setup};

/// Sign in once with OAuth, then use Claude in every shell and script
///
/// Start with `nexus oauth start`, then ask: `nexus chat "why does this fail?" < build.log`. Scripts can
/// rely on the exit codes below. Other programs get an access token from `nexus oauth token`.
#[derive(Debug, Parser)]
#[command(name = "nexus", version, after_long_help = AFTER_HELP, propagate_version = true)]
#[command(disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,

    /// Log HTTP requests and responses to stderr, with secrets masked
    #[arg(long, short, global = true)]
    pub(crate) verbose: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Sign in: open the browser and wait (same as `nexus oauth start`)
    Login(Deferred<oauth::start::Args>),
    /// Sign in and out, show the session, print its access token
    #[command(subcommand)]
    Oauth(Deferred<oauth::Command>),
    /// Ask a question and stream the answer
    ///
    /// Piped input is added to the question after a blank line: `nexus chat "why does this fail?" <
    /// build.log`. Without a question, a conversation starts on a terminal.
    Chat(Deferred<chat::Args>),
    /// Answer every line of a file, as fast as the API allows
    ///
    /// Each line of the input is a JSON object with a `prompt`, and each line of the output one with the `answer` or
    /// the `error` of an `id`. With --out, running the same command again asks only the lines that have no answer yet,
    /// and those whose question has changed. The ids that failed are named on stderr.
    ///
    /// A rate limit slows the batch down and does not count as a retry. If nothing but transient failures
    /// arrives for the time of --deadline, the batch ends.
    Batch(Deferred<batch::Args>),
    /// List, show, search, export and delete saved conversations
    #[command(subcommand)]
    History(Deferred<commands::history::Command>),
    /// List the available models, one id per line
    Models(Deferred<models::Args>),
    /// Lend the session to programs that take only a static key
    ///
    /// Prints the base URL and the key, each on a line. Programs send the key as a bearer or in `x-api-key`; the
    /// proxy sends their requests to the API with a fresh access token. It listens on loopback only, and runs until
    /// Ctrl-C.
    Proxy(Deferred<proxy::Args>),
    /// Run a program that uses the session: `nexus exec -- claude`
    ///
    /// The program gets the base URL and the key of a proxy that ends with it, as ANTHROPIC_BASE_URL and
    /// ANTHROPIC_AUTH_TOKEN, or as OPENAI_BASE_URL and OPENAI_API_KEY. It does not get the access token, which
    /// is renewed while it runs. Variables that would win over these are removed. The exit code is the
    /// program's, 127 if there is no such program, and 126 if it cannot run.
    Exec(Deferred<exec::Args>),
    /// Show what to put where, so that another program uses the session
    ///
    /// Prints the settings and a line that checks them. Writes nothing.
    Setup(Deferred<setup::Args>),
    /// Find what is wrong, and how to fix it
    ///
    /// Checks the configuration, the store and its key, permissions, the clock, proxy settings, certificates, the
    /// provider's servers, the session, and variables that take the place of something else. Prints each problem
    /// with its cure, and nothing if there is none. The exit code is that of the most severe problem: 2, 4, 1, 75.
    Doctor(Deferred<doctor::Args>),
    /// List and remove the configured providers, choose the default one
    #[command(subcommand)]
    Provider(Deferred<provider::Command>),
    /// Show the configuration
    #[command(subcommand)]
    Config(Deferred<commands::config::Command>),
    /// Show or choose where the key to the stored sessions is kept
    #[command(subcommand)]
    Key(Deferred<key::Command>),
    /// Show the store of the sessions, create its tables in PostgreSQL
    #[cfg(feature = "postgres")]
    #[command(subcommand)]
    Store(Deferred<commands::store::Command>),
    /// Try nexus with a built-in sandbox: no configuration, no network
    ///
    /// The sandbox acts as the authorization server and the model, so the answers come from the sandbox, not
    /// from Claude. Nothing leaves this machine, and nothing is left on it.
    Demo(Deferred<demo::Args>),
    /// Print the completion script for a shell
    ///
    /// The script asks nexus, so that providers, models, templates and conversations complete too. bash reads the
    /// folder of the example only with the package bash-completion; without it, add `source <(nexus completions bash)`
    /// to ~/.bashrc.
    Completions(Deferred<completions::Args>),
}

/// The end of the long help text. The README has the same exit codes.
const AFTER_HELP: &str = "\
Examples:
  nexus demo            # try it: needs no account and no network
  nexus oauth start     # sign in
  nexus chat \"why does this fail?\" < build.log

Exit codes:
  0      success (including a closed pipe)
  1      failure; retrying unchanged will not help
  2      usage or configuration error
  4      not signed in: run `nexus oauth start`
  75     temporary failure; retry later
  128+n  ended by signal n

Environment:
  CLAUDE_CODE_CLIENT_ID, CLAUDE_CODE_CLIENT_SECRET, CLAUDE_CODE_REDIRECT_URI
                  the OAuth client of the built-in provider
  ANTHROPIC_FEDERATION_RULE_ID, ANTHROPIC_ORGANIZATION_ID, ANTHROPIC_IDENTITY_TOKEN_FILE, ...
                  Workload Identity Federation: the built-in provider claude_federation
  NEXUS_PROVIDER  the provider to use
  NEXUS_HOME      the folder for configuration, data and state
  NEXUS_STORE     the URL of a PostgreSQL store
  NEXUS_OWNER     whose sessions are used

`nexus help config` describes the keys of config.toml.";

/// The commands that have subcommands.
const GROUPS: &[&str] = &["config", "history", "key", "oauth", "provider", "store"];

/// Turns `nexus help COMMAND` into `nexus COMMAND --help`, and `nexus oauth help` into `nexus oauth --help`.
pub(crate) fn rewrite_help(mut args: Vec<OsString>) -> Vec<OsString> {
    let is_help = |at: usize| args.get(at).is_some_and(|word| word == "help");
    let has_group = args.get(1).is_some_and(|word| GROUPS.iter().any(|group| word == group));
    let at = if is_help(1) { Some(1) } else { Some(2).filter(|at| has_group && is_help(*at)) };
    if let Some(at) = at {
        args.remove(at);
        args.push("--help".into());
    }
    args
}

/// A command whose arguments are built only when it is used. Building those of all commands takes longer than most
/// commands run.
#[derive(Debug)]
pub(crate) struct Deferred<T>(pub(crate) T);

/// Adds arguments and keeps the description that the command has in the list of commands.
fn keep_about(command: clap::Command, add: fn(clap::Command) -> clap::Command) -> clap::Command {
    let (about, long_about) = (command.get_about().cloned(), command.get_long_about().cloned());
    add(command).about(Resettable::from(about)).long_about(Resettable::from(long_about))
}

impl<T: Args> Args for Deferred<T> {
    fn augment_args(command: clap::Command) -> clap::Command {
        command.defer(|command| keep_about(command, T::augment_args))
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        command.defer(|command| keep_about(command, T::augment_args_for_update))
    }
}

impl<T: Subcommand> Subcommand for Deferred<T> {
    fn augment_subcommands(command: clap::Command) -> clap::Command {
        command.defer(|command| keep_about(command, T::augment_subcommands))
    }

    fn augment_subcommands_for_update(command: clap::Command) -> clap::Command {
        command.defer(|command| keep_about(command, T::augment_subcommands_for_update))
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

/// Runs a command line, which begins with the name of the program. Returns the exit code.
pub(crate) fn run(args: impl IntoIterator<Item = OsString>) -> u8 {
    context::hide_memory();
    terminal::install_panic_hook();
    let args: Vec<_> = args.into_iter().collect();
    if completion::is_answered(&args, Cli::command) {
        return 0;
    }
    if help::is_config(&args) {
        return commands::help_config();
    }
    let args = rewrite_help(args);
    let parsed = words::protect_text(args.clone(), Cli::command)
        .and_then(|words| Cli::try_parse_from(&words).map_err(|error| help::with_files(error, words)));
    match parsed {
        Ok(cli) => commands::run(cli),
        Err(error) => commands::report_usage_error(error, &args),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commands_with_subcommands_are_listed() {
        let mut grammar = Cli::command();
        grammar.build();
        let with_subcommands = grammar.get_subcommands().filter(|command| command.has_subcommands());
        let mut names: Vec<_> = with_subcommands.map(|command| command.get_name()).collect();
        names.sort_unstable();
        assert_eq!(names, GROUPS);
    }
}
