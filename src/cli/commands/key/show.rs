//! `nexus key show`: who keeps the key, and whether it opens what is stored.

use serde_json::json;

use crate::cli::commands::Done;
use crate::cli::context::Context;
use nexus::internal::session::key::Found;
use nexus::internal::session::key::{Keeper, Keeping};

/// What `nexus key show` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Print an object for programs
    #[arg(long)]
    pub(crate) json: bool,
}

/// Tells it.
///
/// # Errors
/// A key that is missing or does not open what is stored.
pub(crate) fn run(args: &Args, context: &Context) -> Done {
    let (vault, keeping) = context.vault()?;
    if let Some(mismatch) = vault.keystore().mismatch() {
        context.say(&format!("warning: {mismatch}"));
    }
    let found = vault.keystore().find()?;
    vault.prove_readable()?;
    match args.json {
        true => context.print_object(&object(found.as_ref(), &keeping))?,
        false => context.print(&format!("{}\n", sentence(found.as_ref(), &keeping)))?,
    }
    Ok(0)
}

fn sentence(found: Option<&Found>, keeping: &Keeping) -> String {
    let Some(found) = found else {
        let keeper = keeping.keeper.unwrap_or(Keeper::File).as_str();
        return format!("none yet: the first sign-in makes one ({keeper})");
    };
    let keeper = found.keeper.as_str();
    match &found.entry {
        Some((service, user)) => format!("{keeper}: service {service}, user {user}"),
        None => format!("{keeper}: {}", found.path.display()),
    }
}

fn object(found: Option<&Found>, keeping: &Keeping) -> serde_json::Value {
    let entry = found.and_then(|found| found.entry.as_ref());
    json!({
        "version": 1,
        "key": found.map(|found| found.keeper.as_str()),
        "path": found.map(|found| found.path.display().to_string()),
        "entry": entry.map(|(service, user)| json!({ "service": service, "user": user })),
        "configured": keeping.keeper.map(Keeper::as_str),
    })
}
