//! Commands that print the passphrase or the keys.

use std::io;
use std::time::Duration;

use zeroize::Zeroizing;

use super::wait::PATIENCE;
use crate::credential_command::{CommandError, CredentialCommand};

/// How long a command may take. It may ask a user.
const TIME_LIMIT: Duration = Duration::from_secs(30);

/// A command of these words.
pub(super) fn of(words: &[String], hidden_variables: &[String]) -> CredentialCommand {
    CredentialCommand { words: words.to_vec(), hidden_variables: hidden_variables.to_vec(), time_limit: TIME_LIMIT }
}

/// Runs a command and returns its output, at most `longest` bytes. A thread with its own runtime waits for it, because
/// the caller may be inside another runtime. `on_wait` is called after [`PATIENCE`].
pub(super) fn run(
    command: CredentialCommand,
    longest: usize,
    on_wait: impl FnOnce() + Send + 'static,
) -> Result<Zeroizing<Vec<u8>>, CommandError> {
    let system = |error: io::Error| CommandError::System(error.to_string());
    // `std::thread::spawn` panics if the thread cannot be created.
    let waiting = std::thread::Builder::new().spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(system)?;
        let tell = async move {
            tokio::time::sleep(PATIENCE).await;
            on_wait();
            std::future::pending().await
        };
        runtime.block_on(async {
            tokio::select! { done = command.output(longest) => done, never = tell => never }
        })
    });
    let joined = waiting.map_err(system)?.join();
    joined.unwrap_or_else(|_| Err(CommandError::System("its thread panicked".into())))
}
