//! `nexus oauth logout`: revokes the session and deletes it locally.

use clap_complete::engine::ArgValueCandidates;

use crate::cli::commands::Done;
use crate::cli::completion::candidates;
use crate::cli::context::Context;
use crate::cli::error::{CliError, Result, worst};
use crate::cli::session;
use nexus::Client;
use nexus::internal::clean::clean;

const EXAMPLES: &str = "\
Examples:
  nexus oauth logout
  nexus oauth logout --all";

#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// Provider to sign out of, as named in config.toml
    #[arg(long, short, value_name = "NAME", conflicts_with = "all")]
    #[arg(add = ArgValueCandidates::new(candidates::providers))]
    provider: Option<String>,

    /// Sign out of every provider
    #[arg(long)]
    all: bool,

    /// Revoke the session even if that unlinks the customer's organization (claude_platform)
    #[arg(long, conflicts_with = "all")]
    unlink: bool,

    /// Do not ask before unlinking
    #[arg(long, requires = "unlink")]
    yes: bool,
}

/// Signs out, even with a broken configuration: a session contains its client and its endpoints.
pub(crate) fn run(args: &Args, context: &Context) -> Done {
    if !args.all {
        let client = context.stored_client(args.provider.as_deref())?;
        if args.unlink && !may_unlink(args, &client, context)? {
            return Ok(1);
        }
        let code = sign_out(&client, args.unlink, context)?;
        say_what_stays(context);
        return Ok(code);
    }
    let stored = context.stored_providers()?;
    if stored.is_empty() {
        context.say("Not signed in");
    }
    let mut codes = Vec::new();
    for provider in stored {
        let client = context.stored_client(Some(&provider))?;
        context.say(&format!("{provider}:"));
        codes.push(match sign_out(&client, false, context) {
            Ok(code) => code,
            Err(error @ (CliError::Interrupted(_) | CliError::Stdout(_))) => return Err(error),
            Err(error) => {
                context.fail(&error);
                error.exit_code()
            }
        });
    }
    say_what_stays(context);
    Ok(worst(&codes))
}

/// Says that a sign-out deletes no conversations, if there are any.
fn say_what_stays(context: &Context) {
    let saved = context.history().and_then(|history| history.newest());
    if saved.is_ok_and(|newest| newest.is_some()) {
        context.say("The history of conversations stays here; `nexus history delete --all` deletes it");
    }
}

/// Whether the user wants the organization to be unlinked.
fn may_unlink(args: &Args, client: &Client, context: &Context) -> Result<bool> {
    let provider = clean(&client.provider().name);
    if args.yes {
        return Ok(true);
    }
    if !context.is_attended() {
        return Err(CliError::usage("oauth logout", "--unlink needs --yes where it cannot ask"));
    }
    context.confirm(&format!(
        "Unlink the organization of {provider}? Its requests are no longer billed to it, and it must be linked anew."
    ))
}

fn sign_out(client: &Client, unlink: bool, context: &Context) -> Done {
    if !session::sign_out::sign_out(client, unlink, context)? {
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
