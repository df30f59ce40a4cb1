//! `nexus key move`: replaces the key by a new one in another backend.

use clap::builder::{PossibleValuesParser, TypedValueParser as _};

use crate::cli::commands::Done;
use crate::cli::context::{Context, runtime};
use nexus::key::KeyBackend;
use nexus::key::Moved;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where to keep the key
    #[arg(value_parser = PossibleValuesParser::new(KeyBackend::ALL.map(KeyBackend::as_str))
        .try_map(|word| KeyBackend::from_word(&word).ok_or("unknown key backend")))]
    backend: KeyBackend,
}

pub(crate) fn run(args: &Args, context: &Context) -> Done {
    let (sessions, config) = context.sessions()?;
    let (moved, left) = runtime()?.block_on(sessions.move_key(args.backend))?;
    let place = match args.backend {
        KeyBackend::File => format!("in {}", sessions.keystore().path().display()),
        KeyBackend::Keyring => "in the operating system's keyring".to_owned(),
        KeyBackend::Passphrase => format!("in {}, wrapped with the passphrase", sessions.keystore().path().display()),
    };
    context.say(&match moved {
        Moved::Created => format!("There was no key; created a new one {place}"),
        Moved::AlreadyThere => format!("The key is already {place}"),
        Moved::From(_) => format!("The key is now {place}"),
    });
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
