//! `nexus oauth logout`: revoke there, forget here, and say which of the two happened.

use crate::cli::commands::Done;
use crate::cli::context::Context;
use crate::cli::error::{CliError, exit_code};
use nexus::{Client, ErrorClass, Revocation, SignedOut};

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

/// Signs out, whatever the configuration says: a session knows its client and its servers.
///
/// # Errors
/// A store that cannot be written.
pub(crate) fn run(args: &Args, context: &Context) -> Done {
    if !args.all {
        return sign_out(&context.stored_client(args.provider.as_deref())?, context);
    }
    let stored = context.providers()?;
    if stored.is_empty() {
        context.say("Nothing to forget");
    }
    let mut codes = Vec::new();
    for provider in stored {
        let client = context.stored_client(Some(&provider))?;
        context.say(&format!("{provider}:"));
        codes.push(match sign_out(&client, context) {
            Ok(code) => code,
            // The others are signed out all the same.
            Err(error @ (CliError::Interrupted(_) | CliError::Stdout(_))) => return Err(error),
            Err(error) => {
                context.fail(&error);
                error.exit_code()
            }
        });
    }
    Ok(worst(&codes))
}

/// What can be mended by trying again is the least of it.
fn worst(codes: &[u8]) -> u8 {
    let severity = |code: &u8| (*code != 0, *code != exit_code(ErrorClass::Temporary), u8::MAX - *code);
    codes.iter().copied().max_by_key(severity).unwrap_or(0)
}

fn sign_out(client: &Client, context: &Context) -> Done {
    if matches!(context.found(client), Ok(None)) {
        context.say("Nothing to forget");
        // A configuration that no longer names a provider leaves its session where it is.
        let others = context.providers().unwrap_or_default();
        if !others.is_empty() {
            context.say(&format!("note: you are signed in to {}: say --provider NAME, or --all", others.join(", ")));
        }
        return Ok(0);
    }
    let signed_out = context.wait(async { Ok(client.sign_out("").await?) })?;
    let Some(SignedOut { revocation, not_deleted }) = signed_out else {
        context.say("Nothing to forget");
        return Ok(0);
    };
    context.say(&match revocation {
        Revocation::Revoked { host } => format!("Revoked at {host}"),
        Revocation::Failed { host, description } => {
            format!("Not revoked: {host} {description}; its tokens live until they expire")
        }
        Revocation::Unsupported => {
            "Not revoked: this provider has no revocation endpoint; its tokens live until they expire".to_owned()
        }
        Revocation::Unreadable(error) => {
            format!("Not revoked, because it cannot be read: {error}; its tokens live until they expire")
        }
    });
    if let Some(error) = not_deleted {
        return Err(CliError::NotDeleted(error));
    }
    context.say("Forgotten here");
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_code_is_the_one_that_wants_most_doing() {
        for (codes, code) in [(&[][..], 0), (&[0, 0], 0), (&[0, 75], 75), (&[75, 1, 0], 1), (&[2, 75], 2), (&[2, 1], 1)]
        {
            assert_eq!(worst(codes), code, "{codes:?}");
        }
    }
}
