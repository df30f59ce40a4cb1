//! `nexus key move`: another keeper for the same key.

use clap::builder::{PossibleValuesParser, TypedValueParser as _};

use crate::cli::commands::Done;
use crate::cli::context::Context;
use nexus::KeyBackend;
use nexus::internal::session::key::Moved;

/// What `nexus key move` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Who is to keep the key
    #[arg(value_parser = PossibleValuesParser::new(KeyBackend::ALL.map(KeyBackend::as_str))
        .try_map(|word| KeyBackend::from_word(&word).ok_or("no keeper of keys")))]
    keeper: KeyBackend,
}

/// Moves it.
///
/// # Errors
/// A key that is missing or does not open what is stored, or a keeper that does not take it.
pub(crate) fn run(args: &Args, context: &Context) -> Done {
    let (sessions, config) = context.sessions()?;
    // Where sessions are stored, a missing key must not be hidden by a new one.
    if sessions.keystore().find()?.is_none() {
        context.check_readable(&sessions)?;
    }
    let (moved, left) = sessions.keystore().move_to(args.keeper)?;
    let place = match args.keeper {
        KeyBackend::File => format!("in {}", sessions.keystore().path().display()),
        KeyBackend::Keyring => "in the operating system's keyring".to_owned(),
        KeyBackend::Passphrase => format!("in {}, wrapped with the passphrase", sessions.keystore().path().display()),
    };
    context.say(&match moved {
        Moved::Created => format!("There was no key yet; a new one is {place}"),
        Moved::AlreadyThere => format!("The key is {place} already"),
        Moved::From(_) => format!("The key is now {place}"),
    });
    if let Some(left) = left {
        context.say(&format!(
            "warning: what an earlier keeper had could not be removed: {left}; `nexus key move {}` tries again",
            args.keeper.as_str()
        ));
    }
    if config.backend.unwrap_or(KeyBackend::File) != args.keeper {
        context.say(&format!("Write `key = \"{}\"` at the top of config.toml", args.keeper.as_str()));
    }
    Ok(0)
}
