//! `nexus key move`: replaces the key by a new one in another backend.
//!
//! A key that is elsewhere than configured may have been put there, together with another account's sessions. So its
//! move shows the accounts and asks before it writes anything.

use clap::builder::{PossibleValuesParser, TypedValueParser as _};

use crate::cli::commands::Done;
use crate::cli::context::{Context, runtime};
use crate::cli::error::{CliError, Result};
use nexus::SealedSessions;
use nexus::key::KeyBackend;
use nexus::key::Moved;

const EXAMPLES: &str = "\
Examples:
  nexus key move keyring
  nexus key move passphrase";

#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// Where to keep the key
    #[arg(value_parser = PossibleValuesParser::new(KeyBackend::MOVABLE.map(KeyBackend::as_str))
        .try_map(|word| KeyBackend::from_word(&word).ok_or("unknown key backend")))]
    backend: KeyBackend,

    /// Take over sessions without asking, although their key is not where config.toml says
    #[arg(long, short)]
    yes: bool,
}

pub(crate) fn run(args: &Args, context: &Context) -> Done {
    let (sessions, config) = context.sessions()?;
    if !args.yes
        && let Some(found) = sessions.keystore().moves_from_unconfigured(args.backend)?
        && !confirm(args.backend, found, &sessions, context)?
    {
        context.say("Nothing was changed");
        return Ok(1);
    }
    let (moved, left) = runtime()?.block_on(sessions.move_key(args.backend))?;
    let place = match args.backend {
        KeyBackend::File | KeyBackend::Command => format!("in {}", sessions.keystore().path().display()),
        KeyBackend::Keyring => "in the operating system's keyring".to_owned(),
        KeyBackend::Passphrase => format!("in {}, wrapped with the passphrase", sessions.keystore().path().display()),
    };
    context.say(&match moved {
        Moved::Created => format!("There was no key; created a new one {place}"),
        Moved::AlreadyThere => format!("The key is already {place}"),
        Moved::From(_) => format!("The key is now {place}"),
    });
    if let Moved::From(_) = moved {
        // They are read after the move: what was shown before it may have been replaced since.
        match whose(&sessions) {
            Ok(accounts) => accounts.iter().for_each(|account| context.say(&format!("Sealed again: {account}"))),
            Err(error) => context.warn_error(&error),
        }
    }
    if let Some(left) = left {
        context.say(&format!(
            "warning: the old copy of the key could not be removed: {left}; run `nexus key move {}` to try again",
            args.backend.as_str()
        ));
    }
    if config.backend.unwrap_or(KeyBackend::File) != args.backend {
        context.say(&format!("Set `key = \"{}\"` at the top of config.toml", args.backend.as_str()));
    }
    Ok(0)
}

/// Shows whose sessions would be taken over from the key in the backend `found`, and asks whether to go on.
fn confirm(wanted: KeyBackend, found: KeyBackend, sessions: &SealedSessions, context: &Context) -> Result<bool> {
    let (path, found, wanted) = (sessions.keystore().path().display(), found.as_str(), wanted.as_str());
    let why = format!("{path}: a key is in the backend `{found}`, which is not the configured one");
    let accounts = whose(sessions)?;
    context.say(&format!("warning: {why}. These sessions would be sealed again and used from now on:"));
    accounts.iter().for_each(|account| context.say(&format!("  {account}")));
    if accounts.is_empty() {
        context.say("  (none)");
    }
    if context.is_attended() {
        return context.confirm("Are they yours? Move the key?");
    }
    Err(CliError::Usage {
        message: format!("{why}, and there is no terminal to ask at"),
        hint: format!(
            "if the sessions above are yours, run `nexus key move {wanted} --yes`; otherwise remove {path} and run \
             `nexus oauth start` to sign in again"
        ),
    })
}

/// Provider and account of each stored session.
fn whose(sessions: &SealedSessions) -> Result<Vec<String>> {
    let accounts = runtime()?.block_on(sessions.accounts())?;
    let name = |(key, account): (nexus::store::SessionKey, Option<String>)| match account {
        Some(account) => format!("{} ({account})", key.provider),
        None => format!("{} (account unknown)", key.provider),
    };
    Ok(accounts.into_iter().map(name).collect())
}
