//! `nexus oauth logout`: revoke there, forget here, and say which of the two happened.

use crate::account::Revocation;
use crate::commands::Done;
use crate::world::World;

/// Revoke the session at the server where that can be done, and forget it here
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Sign out of this provider of config.toml
    #[arg(long, short, value_name = "NAME", conflicts_with = "all")]
    provider: Option<String>,

    /// Sign out of every provider
    #[arg(long)]
    all: bool,
}

/// Signs out.
///
/// # Errors
/// A store that cannot be written.
pub(crate) fn run(args: &Args, world: &World) -> Done {
    if !args.all {
        return sign_out(args.provider.as_deref(), world);
    }
    let stored = world.folders()?.vault().providers()?;
    if stored.is_empty() {
        world.say("Nothing to forget");
    }
    for provider in stored {
        world.say(&format!("{provider}:"));
        sign_out(Some(&provider), world)?;
    }
    Ok(0)
}

fn sign_out(provider: Option<&str>, world: &World) -> Done {
    let accounts = world.accounts(provider)?;
    if matches!(accounts.peek(""), Ok(None)) {
        world.say("Nothing to forget");
        return Ok(0);
    }
    let revocation = world.wait(async { Ok(accounts.sign_out("").await?) })?;
    let Some(revocation) = revocation else {
        world.say("Nothing to forget");
        return Ok(0);
    };
    world.say(&match revocation {
        Revocation::Revoked { host } => format!("Revoked at {host}"),
        Revocation::Failed { host, why } => format!("Not revoked: {host} {why}; its tokens live until they expire"),
        Revocation::Unsupported => {
            "Not revoked: this provider has no revocation endpoint; its tokens live until they expire".to_owned()
        }
    });
    world.say("Forgotten here");
    Ok(0)
}
