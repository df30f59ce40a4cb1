//! `nexus oauth logout`: revokes the session and deletes it locally.

use crate::cli::commands::Done;
use crate::cli::context::Context;
use crate::cli::error::{CliError, worst};
use crate::cli::session;
use nexus::Client;

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

fn sign_out(client: &Client, context: &Context) -> Done {
    if !session::sign_out::sign_out(client, context)? {
        context.say("Not signed in");
        // A session may belong to a provider that was removed from the configuration.
        let others = context.signed_in_providers().unwrap_or_default();
        if !others.is_empty() {
            context.say(&format!(
                "note: signed in to {}; sign out there with --provider NAME or --all",
                others.join(", ")
            ));
        }
    }
    Ok(0)
}
