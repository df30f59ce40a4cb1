//! A sign-out, as the terminal tells it.

use crate::cli::context::Context;
use crate::cli::error::{CliError, Result};
use nexus::{Client, Revocation, SignedOut};

/// Revokes the session, deletes it locally and says which was done. Returns whether there was one.
pub(crate) fn sign_out(client: &Client, context: &Context) -> Result<bool> {
    // A session that cannot be read is deleted all the same.
    let signed_out = match context.find_session(client) {
        Ok(None) => None,
        _ => context.block_on(async { Ok(client.sign_out("").await?) })?,
    };
    let Some(SignedOut { revocation, not_deleted }) = signed_out else { return Ok(false) };
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
    Ok(true)
}
