//! `nexus key move`: another keeper for the same key.

use clap::builder::{PossibleValuesParser, TypedValueParser as _};

use crate::cli::commands::Done;
use crate::cli::context::Context;
use nexus::internal::session::key::Keeper;
use nexus::internal::session::key::Moved;

/// What `nexus key move` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Who is to keep the key
    #[arg(value_parser = PossibleValuesParser::new(Keeper::ALL.map(Keeper::as_str))
        .try_map(|word| Keeper::from_word(&word).ok_or("no keeper of keys")))]
    keeper: Keeper,
}

/// Moves it.
///
/// # Errors
/// A key that is missing or does not open what is stored, or a keeper that does not take it.
pub(crate) fn run(args: &Args, context: &Context) -> Done {
    let (vault, keeping) = context.vault()?;
    // Where sessions are stored, a missing key must not be hidden by a new one.
    if vault.keystore().find()?.is_none() {
        vault.prove_readable()?;
    }
    let (moved, left) = vault.keystore().move_to(args.keeper)?;
    let place = match args.keeper {
        Keeper::File => format!("in {}", vault.keystore().path().display()),
        Keeper::Keyring => "in the operating system's keyring".to_owned(),
        Keeper::Passphrase => format!("in {}, wrapped with the passphrase", vault.keystore().path().display()),
    };
    context.say(&match moved {
        Moved::Made => format!("There was no key yet; a new one is {place}"),
        Moved::Already => format!("The key is {place} already"),
        Moved::From(_) => format!("The key is now {place}"),
    });
    if let Some(left) = left {
        context.say(&format!(
            "warning: what an earlier keeper had could not be removed: {left}; `nexus key move {}` tries again",
            args.keeper.as_str()
        ));
    }
    if keeping.keeper.unwrap_or(Keeper::File) != args.keeper {
        context.say(&format!("Write `key = \"{}\"` at the top of config.toml", args.keeper.as_str()));
    }
    Ok(0)
}
