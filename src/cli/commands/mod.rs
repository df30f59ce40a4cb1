//! The commands. `src/cli/commands/a/b.rs` is `nexus a b`. No command depends on another.

use std::borrow::Cow;
use std::ffi::OsString;
use std::io;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory as _, Subcommand as _};

use crate::cli::context::Context;
use crate::cli::error::{CliError, Result, json};
use crate::cli::{Cli, Command, Deferred, words};
use nexus::internal::clean;

pub(crate) mod batch;
pub(crate) mod chat;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod exec;
pub(crate) mod help;
pub(crate) mod history;
pub(crate) mod key;
pub(crate) mod models;
pub(crate) mod oauth;
pub(crate) mod provider;
pub(crate) mod proxy;
pub(crate) mod setup;
#[cfg(feature = "postgres")]
pub(crate) mod store;

/// The exit code of a command, or its error. `oauth status` and `oauth logout` exit with other codes than 0 without an
/// error.
pub(crate) type Done = Result<u8>;

pub(crate) fn run(cli: Cli) -> u8 {
    let context = Context::new(cli.verbose);
    let json = wants_json(&cli.command);
    let done = match cli.command {
        Command::Login(Deferred(args)) => oauth::start::run(&args, &context),
        Command::Oauth(Deferred(command)) => oauth::run(command, &context),
        Command::Chat(Deferred(args)) => chat::run(args, &context),
        Command::Batch(Deferred(args)) => batch::run(&args, &context),
        Command::History(Deferred(command)) => history::run(command, &context),
        Command::Models(Deferred(args)) => models::run(&args, &context),
        Command::Proxy(Deferred(args)) => proxy::run(&args, &context),
        Command::Exec(Deferred(args)) => exec::run(&args, &context),
        Command::Setup(Deferred(args)) => setup::run(&args, &context),
        Command::Doctor(Deferred(args)) => doctor::run(&args, &context),
        Command::Provider(Deferred(command)) => provider::run(command, &context),
        Command::Config(Deferred(command)) => config::run(command, &context),
        Command::Key(Deferred(command)) => key::run(command, &context),
        #[cfg(feature = "postgres")]
        Command::Store(Deferred(command)) => store::run(command, &context),
        Command::Demo(Deferred(args)) => demo::run(&args, &context),
        Command::Completions(Deferred(args)) => completions::run(&args, &context),
    };
    done.unwrap_or_else(|error| report(&error, json, &context))
}

/// Runs `nexus help config`.
pub(crate) fn help_config() -> u8 {
    let context = Context::new(false);
    help::config(&context).unwrap_or_else(|error| report(&error, false, &context))
}

fn wants_json(command: &Command) -> bool {
    match command {
        Command::Oauth(Deferred(command)) => command.wants_json(),
        Command::History(Deferred(command)) => command.wants_json(),
        Command::Models(Deferred(args)) => args.json,
        Command::Proxy(Deferred(args)) => args.json,
        Command::Doctor(Deferred(args)) => args.json,
        Command::Key(Deferred(command)) => command.wants_json(),
        #[cfg(feature = "postgres")]
        Command::Store(Deferred(command)) => command.wants_json(),
        Command::Provider(Deferred(command)) => command.wants_json(),
        Command::Config(Deferred(command)) => command.wants_json(),
        // `nexus chat` prints its errors as JSON itself.
        Command::Chat(_)
        | Command::Batch(_)
        | Command::Login(_)
        | Command::Exec(_)
        | Command::Setup(_)
        | Command::Demo(_)
        | Command::Completions(_) => false,
    }
}

const COMMANDS: &[&str] = &[
    "batch",
    "chat",
    "completions",
    "config",
    "demo",
    "doctor",
    "exec",
    "history",
    "key",
    "login",
    "models",
    "oauth",
    "provider",
    "proxy",
    "setup",
    "store",
];

/// Suggests `nexus oauth start` for `nexus start`, and the like.
fn suggest_oauth(error: &mut clap::Error) {
    let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidSubcommand) else { return };
    if oauth::Command::has_subcommand(word) {
        let suggested = ContextValue::String(format!("nexus oauth {word}"));
        error.insert(ContextKind::SuggestedSubcommand, suggested);
    }
}

/// Prints the help or the usage error of clap, and a usage error as JSON where that was asked for.
pub(crate) fn report_usage_error(mut error: clap::Error, args: &[OsString]) -> u8 {
    let first = args.iter().skip(1).filter_map(|word| word.to_str()).find(|word| !word.starts_with('-'));
    if first.is_some_and(|first| first == "oauth" || !COMMANDS.contains(&first)) {
        suggest_oauth(&mut error);
    }
    let hint = match error.kind() {
        ErrorKind::UnknownArgument => words::explain_unknown_flag(&mut error, args, Cli::command()),
        _ => None,
    };
    let plain = error.to_string();
    let printed = match clean::visible(&plain) {
        // An argument has escape sequences, which clap would print to the terminal.
        Cow::Owned(_) if error.use_stderr() => {
            Context::new(false).say(plain.trim_end());
            Ok(())
        }
        _ if error.use_stderr() => {
            Context::new(false).say_styled(&error.render().ansi().to_string());
            Ok(())
        }
        _ => error.print(),
    };
    let code = u8::try_from(error.exit_code()).unwrap_or(2);
    if code == 0 {
        return printed.map_or_else(|error| report(&CliError::stdout(error), false, &Context::new(false)), |()| code);
    }
    let message = plain.lines().next().unwrap_or_default().trim_start_matches("error: ");
    let failure = match first {
        _ if let Some(hint) = hint => CliError::Usage { message: message.to_owned(), hint },
        Some(command) if COMMANDS.contains(&command) => CliError::usage(command, message),
        _ => CliError::Usage { message: message.to_owned(), hint: "see `nexus --help`".into() },
    };
    let format = chat::OutputFormat::guess(args.iter().filter_map(|word| word.to_str()));
    let json = match args.iter().any(|word| word == "chat") {
        true => chat::usage_error(format, &failure),
        false if format == chat::OutputFormat::Json => format!("{}\n", json::envelope(&failure)),
        false => String::new(),
    };
    let _ = Context::new(false).print_json(&json);
    code
}

/// Prints an error with its hint to stderr, and with `--json` to stdout too. Returns the exit code.
pub(crate) fn report(error: &CliError, json: bool, context: &Context) -> u8 {
    match error {
        // Worth a line in the log of a program, not on the terminal where Ctrl-C was pressed.
        CliError::Interrupted(_) if json => context.say(&format!("error: {error}")),
        CliError::Interrupted(_) => {}
        // The reader is done, as in `nexus chat ... | head -1`.
        CliError::Stdout(error) if error.kind() == io::ErrorKind::BrokenPipe => return 0,
        _ => context.fail(error),
    }
    if json {
        let _ = context.print_object(&json::envelope(error));
    }
    error.exit_code()
}
