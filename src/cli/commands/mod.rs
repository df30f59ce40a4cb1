//! One file a command; the path on disk is the path on the command line. A command turns words into
//! calls of the rooms below and says what came of it; no command knows another.

use std::borrow::Cow;
use std::ffi::OsString;
use std::io;

use clap::error::{ContextKind, ContextValue};

use crate::cli::context::Context;
use crate::cli::error::{CliError, Result, json};
use crate::cli::{Cli, Command, Deferred};
use nexus::internal::clean;

pub(crate) mod batch;
pub(crate) mod chat;
pub(crate) mod completions;
pub(crate) mod demo;
pub(crate) mod help;
pub(crate) mod history;
pub(crate) mod key;
pub(crate) mod models;
pub(crate) mod oauth;

/// What a command gives back: its exit code when nothing failed (only `oauth status` has one that
/// is not 0), or what did.
pub(crate) type Done = Result<u8>;

/// Does what was said.
pub(crate) fn run(cli: Cli) -> u8 {
    let context = Context::new(cli.verbose);
    let json = wants_json(&cli.command);
    let done = match cli.command {
        Command::Oauth(Deferred(command)) => oauth::run(command, &context),
        Command::Chat(Deferred(args)) => chat::run(args, &context),
        Command::Batch(Deferred(args)) => batch::run(&args, &context),
        Command::History(Deferred(command)) => history::run(command, &context),
        Command::Models(Deferred(args)) => models::run(&args, &context),
        Command::Key(Deferred(command)) => key::run(command, &context),
        Command::Demo(Deferred(args)) => demo::run(&args, &context),
        Command::Completions(Deferred(args)) => completions::run(&args, &context),
    };
    done.unwrap_or_else(|error| report(&error, json, &context))
}

/// Does `nexus help config`.
pub(crate) fn help_config() -> u8 {
    let context = Context::new(false);
    help::config(&context).unwrap_or_else(|error| report(&error, false, &context))
}

fn wants_json(command: &Command) -> bool {
    match command {
        Command::Oauth(Deferred(command)) => command.wants_json(),
        Command::History(Deferred(command)) => command.wants_json(),
        Command::Models(Deferred(args)) => args.json,
        Command::Key(Deferred(command)) => command.wants_json(),
        // The chat has objects of its own.
        Command::Chat(_) | Command::Batch(_) | Command::Demo(_) | Command::Completions(_) => false,
    }
}

/// The commands as they are typed.
const COMMANDS: &[&str] = &["batch", "chat", "completions", "demo", "history", "key", "models", "oauth"];

/// What people type for a command of `nexus oauth`, and the command.
const OF_OAUTH: &[(&str, &str)] =
    &[("login", "start"), ("logout", "logout"), ("start", "start"), ("status", "status"), ("token", "token")];

/// Puts the whole command in place of clap's guess where one is known that is not.
fn with_tip(error: &mut clap::Error) {
    let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidSubcommand) else { return };
    let Some((_, meant)) = OF_OAUTH.iter().find(|(typed, _)| typed == word) else { return };
    error.insert(ContextKind::SuggestedSubcommand, ContextValue::String(format!("nexus oauth {meant}")));
}

/// Prints help where that was asked for, else what the words got wrong, in clap's own sentences.
pub(crate) fn misunderstood(mut error: clap::Error, words: &[OsString]) -> u8 {
    let first = words.iter().skip(1).filter_map(|word| word.to_str()).find(|word| !word.starts_with('-'));
    if first.is_some_and(|first| first == "oauth" || !COMMANDS.contains(&first)) {
        with_tip(&mut error);
    }
    let plain = error.to_string();
    let printed = match clean::visible(&plain) {
        // A word that came from a file's name or a page; clap would let it act on a terminal.
        Cow::Owned(_) if error.use_stderr() => {
            Context::new(false).say(plain.trim_end());
            Ok(())
        }
        _ => error.print(),
    };
    let code = u8::try_from(error.exit_code()).unwrap_or(2);
    if code == 0 {
        return printed.map_or_else(|lost| report(&CliError::stdout(lost), false, &Context::new(false)), |()| code);
    }
    let message = plain.lines().next().unwrap_or_default().trim_start_matches("error: ");
    let failure = match first {
        Some(command) if COMMANDS.contains(&command) => CliError::usage(command, message),
        _ => CliError::Usage { message: message.to_owned(), hint: "see `nexus --help`".into() },
    };
    let format = chat::OutputFormat::guess(words.iter().filter_map(|word| word.to_str()));
    let told = match words.iter().any(|word| word == "chat") {
        true => chat::usage_error(format, &failure),
        false if format == chat::OutputFormat::Json => format!("{}\n", json::envelope(&failure)),
        false => String::new(),
    };
    // A stderr that has gone takes no complaint, nor a stdout; the exit code has to do.
    let _ = Context::new(false).print_json(&told);
    code
}

/// Says on stderr what failed and what to do about it, with `--json` on stdout too, and gives the exit code.
pub(crate) fn report(error: &CliError, json: bool, context: &Context) -> u8 {
    match error {
        // Whoever presses Ctrl-C knows; a program's log would not.
        CliError::Interrupted(_) if json => context.say(&format!("error: {error}")),
        CliError::Interrupted(_) => {}
        // The reader of stdout having gone (`nexus chat ... | head -1`) is the reader being done, which is what Unix
        // expects of a program at the head of a pipe.
        CliError::Stdout(lost) if lost.kind() == io::ErrorKind::BrokenPipe => return 0,
        _ => context.fail(error),
    }
    if json {
        // If stdout cannot take the object, the sentence on stderr and the code have to do.
        let _ = context.print_object(&json::envelope(error));
    }
    error.exit_code()
}
