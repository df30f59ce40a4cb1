//! A sign-out, as the terminal tells it.

use crate::cli::context::Context;
use crate::cli::error::{CliError, Result};
use nexus::{Client, Revocation, Session, SignedOut};

/// Revokes the session, deletes it locally and says which was done. `unlink` revokes it even if that unlinks an
/// organization. Returns whether there was one.
pub(crate) fn sign_out(client: &Client, unlink: bool, context: &Context) -> Result<bool> {
    let found = context.find_session(client);
    // Of a provider that needs no user, there may only be a record that the first token could not be had.
    let had_token = found.as_ref().map_or(true, |found| found.as_ref().is_some_and(Session::has_token));
    // A session that cannot be read is deleted all the same.
    let signed_out = match found {
        Ok(None) => None,
        _ => context.block_on(async {
            Ok(match unlink {
                true => client.sign_out_and_unlink("").await?,
                false => client.sign_out("").await?,
            })
        })?,
    };
    let Some(SignedOut { revocation, not_deleted }) = signed_out else { return Ok(false) };
    if !had_token && not_deleted.is_none() {
        return Ok(false);
    }
    context.say(&match revocation {
        Revocation::Revoked { host } => format!("Revoked the session at {host}"),
        Revocation::Failed { host, description } => {
            format!("Not revoked: {host} {description}; its tokens stay valid until they expire")
        }
        Revocation::WouldUnlink { host } => format!(
            "Not revoked, because that would unlink the organization at {host}; its tokens stay valid until they expire; \
             `nexus oauth logout --unlink` revokes"
        ),
        Revocation::Unsupported => {
            "Not revoked: this provider has no revocation endpoint; its tokens stay valid until they expire".to_owned()
        }
        Revocation::Moved { to } => format!("Not revoked: the session was moved to {to}, where it stays signed in"),
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
