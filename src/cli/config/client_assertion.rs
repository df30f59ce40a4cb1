//! What a client authenticates with instead of a secret, from the keys `client_assertion_*`.

use std::time::Duration;

use super::checks::warn_if_readable;
use super::keys::{ClientAssertionKeys, Section};
use crate::cli::environment;
use crate::cli::error::Result;
use nexus::{AssertionSource, ClientAssertion, CredentialCommand};

/// How long the command of an assertion may take.
const COMMAND_LIMIT: Duration = Duration::from_secs(60);

impl Section {
    /// The key or the assertion that is configured.
    pub(super) fn client_assertion(&self, warnings: &mut Vec<String>) -> Result<Option<ClientAssertion>> {
        let ClientAssertionKeys { key_file, key_id, audience, file, command } = &self.client_assertion;
        let source = &self.source;
        let set = [
            ("client_assertion_key_file", key_file.is_some()),
            ("client_assertion_file", file.is_some()),
            ("client_assertion_command", command.is_some()),
        ];
        let set: Vec<_> = set.into_iter().filter_map(|(key, is_set)| is_set.then_some(key)).collect();
        if let [first, other, ..] = set[..] {
            return Err(source.invalid(other, &format!("cannot be combined with `{first}`"), "keep one of the two"));
        }
        let of_key = [("client_assertion_key_id", key_id), ("client_assertion_audience", audience)];
        if let (None, Some((key, _))) = (key_file, of_key.iter().find(|(_, value)| value.is_some())) {
            let hint = "add `client_assertion_key_file`, or remove it";
            return Err(source.invalid(key, "requires `client_assertion_key_file`", hint));
        }
        Ok(match (key_file, file, command) {
            (Some(file), ..) => {
                let file = source.beside("client_assertion_key_file", file);
                warn_if_readable(&file, warnings);
                Some(ClientAssertion::Key { file, id: key_id.clone(), audience: audience.clone() })
            }
            (_, Some(file), _) => {
                let file = source.beside("client_assertion_file", file);
                Some(ClientAssertion::Source(AssertionSource::File(file)))
            }
            (_, _, Some(words)) => Some(ClientAssertion::Source(command_source(words))),
            _ => None,
        })
    }
}

/// An assertion that this command prints.
pub(super) fn command_source(words: &[String]) -> AssertionSource {
    AssertionSource::Command(CredentialCommand {
        words: words.to_vec(),
        hidden_variables: environment::secret_variables(),
        time_limit: COMMAND_LIMIT,
    })
}
