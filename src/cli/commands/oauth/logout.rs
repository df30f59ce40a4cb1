//! `nexus oauth logout`: revokes the session and deletes it locally.

use crate::cli::commands::Done;
use crate::cli::context::Context;
use crate::cli::error::{CliError, exit_code};
use nexus::{Client, ErrorClass, Revocation, SignedOut};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Provider to sign out of, as named in config.toml
    #[arg(long, short, value_name = "NAME", conflicts_with = "all")]
    provider: Option<String>,

    /// Sign out of every provider
    #[arg(long)]
    all: bool,
}

/// Signs out, even with a broken configuration: a session contains its client and its endpoints.
pub(crate) fn run(args: &Args, context: &Context) -> Done {
    if !args.all {
        return sign_out(&context.stored_client(args.provider.as_deref())?, context);
    }
    let stored = context.signed_in_providers()?;
    if stored.is_empty() {
        context.say("Not signed in");
    }
    let mut codes = Vec::new();
    for provider in stored {
        let client = context.stored_client(Some(&provider))?;
        context.say(&format!("{provider}:"));
        codes.push(match sign_out(&client, context) {
            Ok(code) => code,
            Err(error @ (CliError::Interrupted(_) | CliError::Stdout(_))) => return Err(error),
            Err(error) => {
                context.fail(&error);
                error.exit_code()
            }
        });
    }
    Ok(worst(&codes))
}

/// The most severe exit code: a permanent failure before a temporary one, and the smaller of two.
fn worst(codes: &[u8]) -> u8 {
    let severity = |code: &u8| (*code != 0, *code != exit_code(ErrorClass::Temporary), u8::MAX - *code);
    codes.iter().copied().max_by_key(severity).unwrap_or(0)
}

fn sign_out(client: &Client, context: &Context) -> Done {
    // A session that cannot be read is deleted all the same.
    let signed_out = match context.find_session(client) {
        Ok(None) => None,
        _ => context.block_on(async { Ok(client.sign_out("").await?) })?,
    };
    let Some(SignedOut { revocation, not_deleted }) = signed_out else {
        context.say("Not signed in");
        // A session may belong to a provider that was removed from the configuration.
        let others = context.signed_in_providers().unwrap_or_default();
        if !others.is_empty() {
            context.say(&format!(
                "note: signed in to {}; sign out there with --provider NAME or --all",
                others.join(", ")
            ));
        }
        return Ok(0);
    };
    context.say(&match revocation {
        Revocation::Revoked { host } => format!("Revoked the session at {host}"),
        Revocation::Failed { host, description } => {
            format!("Not revoked: {host} {description}; its tokens stay valid until they expire")
        }
        Revocation::Unsupported => {
            "Not revoked: this provider has no revocation endpoint; its tokens stay valid until they expire".to_owned()
        }
        Revocation::Unreadable(error) => {
            format!("Not revoked: the stored session cannot be read: {error}; its tokens stay valid until they expire")
        }
    });
    if let Some(error) = not_deleted {
        return Err(CliError::NotDeleted(error));
    }
    context.say("Deleted the local session");
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permanent_failure_is_worse_than_a_temporary_one() {
        for (codes, code) in [(&[][..], 0), (&[0, 0], 0), (&[0, 75], 75), (&[75, 1, 0], 1), (&[2, 75], 2), (&[2, 1], 1)]
        {
            assert_eq!(worst(codes), code, "{codes:?}");
        }
    }
}
