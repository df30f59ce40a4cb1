//! Commands that print a secret, such as a passphrase, an assertion or an access token.
//!
//! A command is run without a shell. Its standard input is empty, its standard error is that of this process, and it
//! does not inherit the environment variables that hold secrets.

use std::fmt;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use zeroize::Zeroizing;

use crate::invisible;

/// A command that prints a secret. Its `Debug` output shows the program without the arguments.
#[derive(Clone, PartialEq, Eq)]
pub struct CredentialCommand {
    /// The program and its arguments.
    pub words: Vec<String>,
    /// The environment variables that it does not inherit.
    pub hidden_variables: Vec<String>,
    /// How long it may take. After that, it is killed.
    pub time_limit: Duration,
}

/// Why a command printed no usable secret. The message completes a sentence that begins with the command.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// There is no program to run.
    #[error("names no program")]
    NoProgram,
    /// The program cannot be started. With what the system says.
    #[error("cannot be started: {0}")]
    NotStarted(String),
    /// The program cannot be waited for, or its output not be read. With what the system says.
    #[error("cannot be waited for: {0}")]
    System(String),
    /// The program ended with another status than 0. With the status in words.
    #[error("failed ({0})")]
    Failed(String),
    /// The program did not end in time.
    #[error("did not finish within {} seconds", .0.as_secs())]
    TimedOut(Duration),
    /// It printed more than this many bytes.
    #[error("prints more than {0} bytes")]
    TooLong(usize),
    /// The output is not UTF-8.
    #[error("prints no UTF-8 text")]
    NotText,
    /// The output is empty, or white space.
    #[error("prints nothing")]
    Empty,
    /// The output has several lines.
    #[error("prints more than one line")]
    SeveralLines,
}

impl fmt::Debug for CredentialCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CredentialCommand")
            .field("program", &self.program())
            .field("hidden_variables", &self.hidden_variables)
            .field("time_limit", &self.time_limit)
            .finish_non_exhaustive()
    }
}

impl CredentialCommand {
    /// The name of the program, for messages. Arguments are not shown because they may contain a secret.
    pub fn program(&self) -> &str {
        self.words.first().map_or("", String::as_str)
    }

    /// Runs the command and returns what it prints to standard output, at most `longest` bytes.
    ///
    /// # Errors
    /// All but [`NotText`](CommandError::NotText), [`Empty`](CommandError::Empty) and
    /// [`SeveralLines`](CommandError::SeveralLines).
    pub(crate) async fn output(&self, longest: usize) -> Result<Zeroizing<Vec<u8>>, CommandError> {
        let output = tokio::time::timeout(self.time_limit, self.unlimited(longest)).await;
        output.unwrap_or(Err(CommandError::TimedOut(self.time_limit)))
    }

    /// Runs the command and returns the one line that it prints, at most `longest` bytes, without white space and
    /// invisible characters at its ends.
    ///
    /// # Errors
    /// [`CommandError`].
    pub(crate) async fn line(&self, longest: usize) -> Result<Zeroizing<String>, CommandError> {
        let output = self.output(longest).await?;
        let text = std::str::from_utf8(&output).map_err(|_| CommandError::NotText)?;
        match invisible::trim(text) {
            "" => Err(CommandError::Empty),
            line if line.contains(['\n', '\r']) => Err(CommandError::SeveralLines),
            line => Ok(Zeroizing::new(line.to_owned())),
        }
    }

    async fn unlimited(&self, longest: usize) -> Result<Zeroizing<Vec<u8>>, CommandError> {
        let (program, arguments) = self.words.split_first().ok_or(CommandError::NoProgram)?;
        let mut command = tokio::process::Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit()).kill_on_drop(true);
        for name in &self.hidden_variables {
            command.env_remove(name);
        }
        let mut child = command.spawn().map_err(|error| CommandError::NotStarted(error.to_string()))?;
        let system = |error: std::io::Error| CommandError::System(error.to_string());
        // Large enough never to grow, which would leave a copy of the secret in memory.
        let mut bytes = Zeroizing::new(Vec::with_capacity(longest + 1));
        if let Some(stdout) = child.stdout.take() {
            stdout.take(longest as u64 + 1).read_to_end(&mut bytes).await.map_err(system)?;
        }
        if bytes.len() > longest {
            return Err(CommandError::TooLong(longest));
        }
        let status = child.wait().await.map_err(system)?;
        if status.success() { Ok(bytes) } else { Err(CommandError::Failed(status.to_string())) }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn command(words: &[&str]) -> CredentialCommand {
        CredentialCommand {
            words: words.iter().map(ToString::to_string).collect(),
            hidden_variables: vec!["PATH".into()],
            time_limit: Duration::from_secs(30),
        }
    }

    #[test]
    fn debug_output_has_no_arguments() {
        let shown = format!("{:?}", command(&["vault", "--pin=4711"]));
        assert!(shown.contains("vault") && !shown.contains("4711"), "{shown}");
    }

    #[tokio::test]
    async fn a_command_prints_one_line() {
        for (script, expected) in [
            ("echo token", Ok("token")),
            ("printf ' \\357\\273\\277token\\r\\n\\n'", Ok("token")),
            ("echo a token", Ok("a token")),
            ("printf 'one\\ntwo'", Err(CommandError::SeveralLines)),
            ("printf 'one\\rtwo'", Err(CommandError::SeveralLines)),
            ("echo", Err(CommandError::Empty)),
            ("printf '\\377'", Err(CommandError::NotText)),
            ("echo 123456789abcdefgh", Err(CommandError::TooLong(16))),
            ("while :; do echo for ever; done", Err(CommandError::TooLong(16))),
            ("echo token; exit 3", Err(CommandError::Failed("exit status: 3".into()))),
            // Standard input is empty.
            ("read line || echo nothing", Ok("nothing")),
            ("echo ${USER_SECRET-unset}", Ok("unset")),
        ] {
            let command = CredentialCommand {
                hidden_variables: vec!["USER_SECRET".into()],
                ..command(&["/bin/sh", "-c", script])
            };
            let line = command.line(16).await;
            assert_eq!(line.as_ref().map(|line| line.as_str()), expected.as_ref().copied(), "{script}");
        }
    }

    #[tokio::test]
    async fn a_command_that_never_ends_is_killed() {
        let endless = CredentialCommand { time_limit: Duration::from_millis(50), ..command(&["/bin/sleep", "600"]) };
        assert_eq!(endless.output(16).await.unwrap_err(), CommandError::TimedOut(Duration::from_millis(50)));
    }

    #[tokio::test]
    async fn a_command_that_cannot_be_started_says_why() {
        let error = command(&["/nowhere/at/all"]).output(16).await.unwrap_err();
        assert!(error.to_string().starts_with("cannot be started: "), "{error}");
        assert_eq!(command(&[]).output(16).await.unwrap_err(), CommandError::NoProgram);
    }
}
