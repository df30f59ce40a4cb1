//! The models that an owner may use. The list is saved with the session, so that a chat need not ask for it.

use std::time::Duration;

use super::Accounts;
use super::tries::Tries;
use crate::api::{self, ApiError, Model};
use crate::failure::Result;
use crate::session::Session;
use crate::session::renew;

/// How long the list of models may take after a sign-in, when it is not needed yet.
const MODELS_LIMIT: Duration = Duration::from_secs(5);

/// How much of the list is saved, in bytes of JSON: it is written with the session, for which disk space is reserved.
const LONGEST_LIST: usize = 64 * 1024;

impl Accounts {
    /// Lists the models that this owner may use, newest first, and saves the list with the session.
    /// Transient failures are retried as those of a question are, but the deadline decides only whether to retry.
    ///
    /// # Errors
    /// Those of [`chat`](Self::chat); [`ApiError::NoModelList`] if the API has no such list.
    pub async fn models(&self, owner: &str, seen: Session) -> Result<Vec<Model>> {
        let client = api::Client::new(&self.renewal.http, self.provider())?;
        let mut tries = Tries::unbounded(self, owner);
        let mut session = tries.first_session(seen).await?;
        loop {
            let error = match client.models(&session.access_token).await {
                Ok(models) => {
                    self.keep_models(owner, session.generation, &models).await;
                    return Ok(models);
                }
                Err(error) => self.unlisted(error),
            };
            session = match tries.after(session, error).await? {
                Ok(session) => session,
                Err(error) => return Err(self.rejected_afresh(error)),
            };
        }
    }

    /// The error if there is nothing where the list should be.
    fn unlisted(&self, error: ApiError) -> ApiError {
        match error {
            // Not found, not allowed at all, not implemented: the answers of gateways that only pass questions on.
            ApiError::Refused(refusal)
                if matches!(refusal.status, Some(404 | 405 | 501)) && !refusal.is_unauthorized() =>
            {
                ApiError::NoModelList { provider: self.provider().name.clone(), refusal }
            }
            other => other,
        }
    }

    /// Fetches the list of models after a sign-in, so that a chat need not name one. It takes at most five seconds, and
    /// errors are ignored: the chat reports them.
    pub async fn learn_models(&self, owner: &str, session: &Session) {
        let Ok(client) = api::Client::new(&self.renewal.http, self.provider()) else { return };
        if let Ok(Ok(models)) = tokio::time::timeout(MODELS_LIMIT, client.models(&session.access_token)).await {
            self.keep_models(owner, session.generation, &models).await;
        }
    }

    async fn keep_models(&self, owner: &str, generation: i64, models: &[Model]) {
        // The newest come first.
        let mut size = 0;
        let fit = models.iter().take_while(|model| {
            size += serde_json::to_string(model).map_or(0, |model| model.len() + 1);
            size < LONGEST_LIST
        });
        let Ok(list) = serde_json::to_string(&fit.collect::<Vec<_>>()) else { return };
        let (vault, key) = (self.renewal.vault.clone(), self.key(owner));
        let kept = renew::off_thread(move || vault.keep_models(&key, generation, &list)).await;
        if let Err(failure) = kept {
            (self.renewal.notice)(&format!("the list of models could not be kept: {failure}"));
        }
    }
}
