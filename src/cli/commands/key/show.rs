//! `nexus key show`: where the key is kept, and whether it opens the stored sessions.

use serde_json::json;

use crate::cli::commands::Done;
use crate::cli::context::Context;
use nexus::key::KeyLocation;
use nexus::key::{KeyBackend, KeyConfig};

const EXAMPLES: &str = "\
Examples:
  nexus key show
  nexus key show --json";

#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

pub(crate) fn run(args: &Args, context: &Context) -> Done {
    let (sessions, config) = context.sessions()?;
    let found = sessions.keystore().find()?;
    match sessions.keystore().check_backend() {
        // The key is not opened.
        Err(mismatch) => context.warn_error(&mismatch.into()),
        Ok(()) => context.check_readable(&sessions)?,
    }
    match args.json {
        true => context.print_object(&object(found.as_ref(), &config))?,
        false => context.print(&format!("{}\n", message(found.as_ref(), &config)))?,
    }
    Ok(0)
}

fn message(found: Option<&KeyLocation>, config: &KeyConfig) -> String {
    let Some(found) = found else {
        let backend = config.backend.unwrap_or(KeyBackend::File).as_str();
        return format!("no key yet: the first sign-in creates one ({backend})");
    };
    let backend = found.backend.as_str();
    match &found.entry {
        Some((service, user)) => format!("{backend}: service {service}, user {user}"),
        None => format!("{backend}: {}", found.path.display()),
    }
}

fn object(found: Option<&KeyLocation>, config: &KeyConfig) -> serde_json::Value {
    let entry = found.and_then(|found| found.entry.as_ref());
    json!({
        "version": 1,
        "key": found.map(|found| found.backend.as_str()),
        "path": found.map(|found| found.path.display().to_string()),
        "entry": entry.map(|(service, user)| json!({ "service": service, "user": user })),
        "configured": config.backend.map(KeyBackend::as_str),
    })
}
