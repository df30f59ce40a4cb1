//! Hints for files that other users can change.

use nexus::error::{Fault, Subject, Untrusted};

use nexus::store::{FileProblem, StoreError};

use crate::cli::quoted::quoted;

/// What is wrong with a file of a store, if that is the error.
pub(super) fn of_store(error: &StoreError) -> Option<&Untrusted> {
    match error {
        StoreError::File { problem: FileProblem::Untrusted(problem), .. } => Some(problem),
        _ => None,
    }
}

/// The command that fixes it.
pub(super) fn untrusted_hint(problem: &Untrusted) -> String {
    let Untrusted { path, subject, fault, owner, user } = problem;
    let path = quoted(&path.to_string_lossy());
    let (root, sudo) = (*user == 0, if [0, *owner].contains(user) { "" } else { "sudo " });
    match fault {
        Fault::Writable => format!("run `{sudo}chmod go-w {path}`, then run the command again"),
        Fault::Owner => {
            let chown = if *subject == Subject::Link { "chown -h" } else { "chown" };
            let command = format!("`{sudo}{chown} {user} {path}`");
            match subject {
                _ if root => format!("run nexus as the user {owner}, or run {command}"),
                // What another user wrote does not become trustworthy with another owner.
                Subject::File | Subject::Target => {
                    format!("if you trust what is in it, run {command}; if not, remove it")
                }
                Subject::Folder | Subject::Link => format!("run {command}, then run the command again"),
            }
        }
    }
}
