//! `nexus key show`: where the keys are kept, which of them are in use, and whether they open the stored sessions.

use serde_json::json;

use super::reseal::count;
use crate::cli::commands::Done;
use crate::cli::context::Context;
use nexus::key::{KeyBackend, KeyConfig, KeyLocation, KeyOrigin, KeyUse};

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
    let print = |uses: &[KeyUse]| match args.json {
        true => context.print_object(&object(found.as_ref(), &config, uses)),
        false => context.print_prose(&message(found.as_ref(), &config, uses)),
    };
    if let Err(mismatch) = sessions.keystore().check_backend() {
        // The key is not opened.
        context.warn_error(&mismatch.into());
        print(&[])?;
        return Ok(0);
    }
    print(&context.block_on(async { Ok(sessions.key_uses().await?) })?)?;
    // The list tells which keys are missing.
    match context.check_readable(&sessions) {
        Ok(()) => Ok(0),
        Err(error) => {
            context.fail(&error);
            Ok(error.exit_code())
        }
    }
}

fn message(found: Option<&KeyLocation>, config: &KeyConfig, uses: &[KeyUse]) -> String {
    let mut text = match found {
        None if uses.is_empty() => {
            let backend = config.backend.unwrap_or(KeyBackend::File).as_str();
            format!("no key yet: the first sign-in creates one ({backend})\n")
        }
        None => "no key on this machine\n".to_owned(),
        Some(KeyLocation { backend, entry, origin }) => match (entry, origin) {
            (Some((service, user)), _) => format!("{}: service {service}, user {user}\n", backend.as_str()),
            (None, KeyOrigin::File(path)) => format!("{}: {}\n", backend.as_str(), path.display()),
            (None, KeyOrigin::Command(program)) => format!("{}: {program}\n", backend.as_str()),
        },
    };
    text.extend(uses.iter().map(line));
    text
}

fn line(key: &KeyUse) -> String {
    let Some(id) = &key.id else { return format!("not named, of an earlier version: seals {}\n", key.values) };
    let state = match (key.is_active, key.is_here) {
        (true, true) => "active, ",
        (true, false) => "active, not on this machine, ",
        (false, true) => "",
        (false, false) => "not on this machine, ",
    };
    format!("{id}: {state}seals {}\n", key.values)
}

fn object(found: Option<&KeyLocation>, config: &KeyConfig, uses: &[KeyUse]) -> serde_json::Value {
    let entry = found.and_then(|found| found.entry.as_ref());
    let path = found.and_then(|found| match &found.origin {
        KeyOrigin::File(path) => Some(path.display().to_string()),
        KeyOrigin::Command(_) => None,
    });
    let keys = uses
        .iter()
        .map(|key| json!({ "id": key.id, "active": key.is_active, "here": key.is_here, "values": count(&key.values) }));
    json!({
        "version": 1,
        "key": found.map(|found| found.backend.as_str()),
        "path": path,
        "entry": entry.map(|(service, user)| json!({ "service": service, "user": user })),
        "configured": config.backend.map(KeyBackend::as_str),
        "keys": keys.collect::<Vec<_>>(),
    })
}
