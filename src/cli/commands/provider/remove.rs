//! `nexus provider remove`: signs out of a provider and removes it from the configuration.

use clap_complete::engine::ArgValueCandidates;

use crate::cli::commands::Done;
use crate::cli::completion::candidates;
use crate::cli::config;
use crate::cli::config::document::{header, line};
use crate::cli::config::edit::{Edited, edit, has_section};
use crate::cli::context::Context;
use crate::cli::error::{CliError, Result};
use crate::cli::paths::Paths;
use crate::cli::session::sign_out::sign_out;
use nexus::ProviderConfig;
use nexus::internal::invisible;
use nexus::internal::provider::BUILT_IN;

const EXAMPLES: &str = "\
Examples:
  nexus provider remove work";

#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// Provider, as named in config.toml
    #[arg(add = ArgValueCandidates::new(candidates::providers))]
    name: String,
}

/// Removes it, and its registered client. If the session cannot be deleted, the configuration is not changed.
pub(crate) fn run(args: &Args, context: &Context) -> Done {
    let paths = Paths::find()?;
    let name = invisible::trim(&args.name);
    let is_configured = has_section(&paths.config, name)?;
    if name == BUILT_IN || !is_configured && ProviderConfig::built_in(name).is_some() {
        return Err(CliError::Usage {
            message: format!("{name} is built in and cannot be removed"),
            hint: format!("to sign out, run `nexus oauth logout --provider {name}`"),
        });
    }
    let has_session = context.stored_providers()?.iter().any(|stored| stored == name);
    if !is_configured && !has_session {
        config::check_name_or(&paths.config, name, "run `nexus provider list` to see which there are")?;
        let system = paths.config.system().map(|path| path.display().to_string()).unwrap_or_default();
        return Err(CliError::Configuration {
            message: format!("{name} is configured in {system}, which nexus does not change"),
            hint: "ask the administrator of this machine to remove it there".into(),
        });
    }
    let client = context.stored_client(Some(name))?;
    if has_session {
        sign_out(&client, false, context)?;
    }
    if is_configured {
        context.block_on(async { Ok(client.forget_client().await?) })?;
        remove_section(name, &paths, context)?;
    }
    Ok(0)
}

/// Removes the section, and `default` if that names the provider.
fn remove_section(name: &str, paths: &Paths, context: &Context) -> Result<()> {
    let mut was_default = false;
    let edited = edit(paths, |document| {
        document.remove_section(name);
        was_default = document.text_at_top("default") == Some(name);
        if was_default {
            document.remove_at_top("default");
        }
        Ok(())
    })?;
    let default = if was_default { format!(" and `{}`", line("default", name)) } else { String::new() };
    let (header, path) = (header(name), paths.config.display());
    match edited {
        // Another process has removed it meanwhile.
        Edited::Unchanged => {}
        Edited::Written => {
            context.say(&format!("Removed the section {header}{default} from {path}"));
        }
        Edited::Refused(why) => {
            context.say(&format!("{path} {why}\nRemove the section {header}{default} from it"));
        }
    }
    Ok(())
}
