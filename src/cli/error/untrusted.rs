//! Hints for files that other users can change.

use nexus::error::{Fault, Subject, Untrusted};

use crate::cli::quoted::quoted;

/// The command that fixes it.
pub(super) fn untrusted_hint(problem: &Untrusted) -> String {
    let Untrusted { path, subject, fault, owner, user } = problem;
    let path = quoted(&path.to_string_lossy());
    let (root, sudo) = (*user == 0, if [0, *owner].contains(user) { "" } else { "sudo " });
    match fault {
        Fault::Writable => format!("run `{sudo}chmod go-w {path}`, then run the command again"),
        Fault::Owner => {
            let chown = if *subject == Subject::Link { "chown -h" } else { "chown" };
            let otherwise = if root { format!("; or run nexus as the user {owner}") } else { String::new() };
            format!("run `{sudo}{chown} {user} {path}`, then run the command again{otherwise}")
        }
    }
}
