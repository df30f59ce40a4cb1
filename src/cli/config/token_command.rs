//! The command that prints the tokens of a provider.

use super::keys::Section;
use crate::cli::environment::secret_variables;
use crate::cli::error::Result;
use nexus::{Grant, TokenCommand};

impl Section {
    /// Sets the grant of `token_command`, and hides the secrets of the environment from it.
    pub(super) fn set_token_command(&mut self) -> Result<()> {
        if let Some(words) = self.token_command.take() {
            self.provider.grant = Grant::Command(TokenCommand::from_words(words));
        }
        let Grant::Command(command) = &mut self.provider.grant else {
            return match ["token_command_timeout", "token_ttl"].into_iter().find(|key| self.source.has(key)) {
                Some(key) => Err(self.source.invalid(key, "requires `token_command`", "add `token_command`")),
                None => Ok(()),
            };
        };
        command.command.hidden_variables = secret_variables();
        if let Some(limit) = self.token_command_timeout {
            command.command.time_limit = limit;
        }
        command.lifetime = self.token_ttl;
        Ok(())
    }
}
