//! A command that prints an access token.

use std::sync::Arc;

use serde_json::Map;

use super::{CredentialState, SourceError, TokenSource};
use crate::assertion::expires_at;
use crate::credential_command::CommandError;
use crate::oauth::{TokenFailure, TokenResponse};
use crate::provider::{ProviderConfig, ProviderError, TokenCommand};
use crate::secret::AccessToken;
use crate::session::stored::{SessionBinding, StoredSession};
use crate::store::BoxFuture;
use crate::time;

/// The longest token, in bytes. A longer one fits into no header.
const LONGEST: usize = 16 * 1024;

/// How long a token is used that does not say when it ends, in seconds.
const USUAL_LIFETIME: i64 = 300;

/// Runs a command for each token.
pub(crate) struct CommandSource {
    /// The provider.
    pub provider: Arc<ProviderConfig>,
    /// The command.
    pub command: TokenCommand,
}

impl TokenSource for CommandSource {
    fn binding(&self) -> Option<SessionBinding> {
        Some(SessionBinding::new(&self.provider, self.provider.client.as_ref(), None))
    }

    fn name(&self, _: &SessionBinding) -> String {
        format!("the command `{}`", self.command.command.program())
    }

    fn next_token<'a>(&'a self, stored: &'a StoredSession) -> BoxFuture<'a, Result<TokenResponse, SourceError>> {
        Box::pin(async move {
            let token = self.command.command.line(LONGEST).await.map_err(|error| self.not_run(error))?;
            if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(failed("prints a text that does not fit into a header".into(), false));
            }
            let access_token = AccessToken::new(token.as_str().to_owned());
            let now = stored.session.now();
            let left = expires_at(&access_token).map(|at| at.saturating_sub(now));
            if let Some(ended @ ..=0) = left {
                let ago = time::span(ended.saturating_neg());
                return Err(failed(format!("prints a token that expired {ago} ago"), false));
            }
            let configured = self.command.lifetime.map(|life| i64::try_from(life.as_secs()).unwrap_or(i64::MAX));
            Ok(TokenResponse {
                access_token,
                refresh_token: None,
                token_type: "Bearer".into(),
                lifetime: left.into_iter().chain(configured).min().or(Some(USUAL_LIFETIME)),
                scopes: None,
                id_token: None,
                metadata: Map::new(),
                dated: None,
                client_auth: None,
            })
        })
    }
}

impl CommandSource {
    fn not_run(&self, error: CommandError) -> SourceError {
        let temporary = matches!(error, CommandError::TimedOut(_) | CommandError::System(_));
        let failure = failed(error.to_string(), temporary);
        match error {
            CommandError::NoProgram | CommandError::NotStarted(_) => {
                let error = ProviderError::Command {
                    provider: self.provider.name.clone(),
                    program: self.command.command.program().to_owned(),
                    error,
                };
                SourceError { credential: CredentialState::NotSent(Arc::new(error)), ..failure }
            }
            _ => failure,
        }
    }
}

/// `description` completes a sentence that begins with the command.
fn failed(description: String, temporary: bool) -> SourceError {
    let failure = TokenFailure::without_response(description, temporary);
    SourceError { credential: CredentialState::Valid, failure, client_refused: None }
}
