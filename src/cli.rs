//! The top of the grammar. What each command takes stands at the top of its own file, where its
//! doc comment is the help text. Nothing here reads the world.

use clap::{Parser, Subcommand};

use crate::commands::{chat, completions, demo, models, oauth};

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
pub(crate) enum Command {
    /// Sign in and out, look at the session, hand out its token
    #[command(subcommand)]
    Oauth(oauth::Command),
    /// Ask a question and stream the answer
    Chat(chat::Args),
    /// List the models that the session may use, one id a line
    Models(models::Args),
    /// Watch the whole job happen with nothing configured and no network
    Demo(demo::Args),
    /// Print the completion script for a shell
    Completions(completions::Args),
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

Settings stand in config.toml and in CLAUDE_CODE_CLIENT_ID, CLAUDE_CODE_CLIENT_SECRET and
CLAUDE_CODE_REDIRECT_URI; NEXUS_HOME puts everything in one folder, NEXUS_PROVIDER chooses a provider.";
