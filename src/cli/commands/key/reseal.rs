//! `nexus key reseal`: seals everything that is stored with the active key.

use serde_json::json;

use crate::cli::commands::Done;
use crate::cli::context::Context;
use crate::cli::error::{CliError, json as error_json};
use nexus::key::{Resealed, ValueCount};

const EXAMPLES: &str = "\
Examples:
  nexus key reseal
  nexus key reseal --json";

#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

pub(crate) fn run(args: &Args, context: &Context) -> Done {
    let (sessions, _) = context.sessions()?;
    let progress = context.progress();
    let done = context.block_on(async {
        context.waiting("sealing everything that is stored again");
        Ok(sessions.reseal().await?)
    })?;
    drop(progress);
    let error = done.error.clone().map(CliError::from);
    match args.json {
        true => context.print_object(&object(&done, error.as_ref()))?,
        false => context.print(&format!(
            "Sealed again with key {}: {}; sealed with it already: {}\n",
            done.key, done.resealed, done.already
        ))?,
    }
    let Some(error) = error else { return Ok(0) };
    context.warn(&format!("not sealed again: {}", done.left));
    context.warn_error(&error);
    Ok(error.exit_code())
}

fn object(done: &Resealed, error: Option<&CliError>) -> serde_json::Value {
    let mut object = json!({
        "version": 1,
        "key": done.key,
        "resealed": count(&done.resealed),
        "already": count(&done.already),
        "left": count(&done.left),
    });
    if let Some(error) = error {
        object["error"] = error_json::object(error);
    }
    object
}

/// A number of values in JSON.
pub(super) fn count(values: &ValueCount) -> serde_json::Value {
    json!({
        "sessions": values.sessions,
        "pending_sign_ins": values.pending_sign_ins,
        "clients": values.clients,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use nexus::error::SessionError;
    use nexus::store::StoreError;

    #[test]
    fn what_is_left_comes_with_an_error_in_json() {
        let done = Resealed {
            key: "new".into(),
            resealed: ValueCount::default(),
            already: ValueCount::default(),
            left: ValueCount::default(),
            error: None,
        };
        assert!(object(&done, None).get("error").is_none());
        let error = CliError::from(SessionError::Store(StoreError::LockLost));
        let shown = object(&done, Some(&error));
        assert_eq!(shown["error"]["exit_code"], error.exit_code());
    }
}
