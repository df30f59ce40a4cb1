//! The models that an owner may use. The list is saved with the session, so that a chat need not ask for it.

use std::time::Duration;

use super::Client;
use super::tries::Tries;
use crate::api::{self, ApiError, Model};
use crate::client::error::Result;
use crate::session::{Notice, Session, SessionError};
use crate::store::StoreError;

/// How long the list of models may take after a sign-in, when it is not needed yet.
const MODELS_LIMIT: Duration = Duration::from_secs(5);

/// How long to wait for another process that renews the session, before the list is not saved.
const LOCK_LIMIT: Duration = Duration::from_secs(1);

/// How much of the list is saved, in bytes of JSON: it is written with the session, for which disk space is reserved.
const LONGEST_LIST: usize = 64 * 1024;

impl Client {
    /// Lists the models that this owner may use, newest first, and saves the list with the session.
    /// Transient failures are retried as those of a question are, but the deadline decides only whether to retry.
    ///
    /// # Errors
    /// Those of [`chat`](Self::chat); [`ApiError::NoModelList`] if the API has no such list.
    pub async fn models(&self, owner: &str, seen: Session) -> Result<Vec<Model>> {
        let api = api::ApiClient::new(&self.http, self.provider())?;
        let mut tries = Tries::unbounded(self, owner);
        let mut session = tries.first_session(seen).await?;
        loop {
            let error = match api.models(&session.access_token).await {
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
        let Ok(api) = api::ApiClient::new(&self.http, self.provider()) else { return };
        if let Ok(Ok(models)) = tokio::time::timeout(MODELS_LIMIT, api.models(&session.access_token)).await {
            self.keep_models(owner, session.generation, &models).await;
        }
    }

    async fn keep_models(&self, owner: &str, generation: i64, models: &[Model]) {
        // The newest come first.
        let mut size = 0;
        let fit = models.iter().take_while(|model| {
            // As it is in the sealed record: a text inside of JSON.
            let text = serde_json::to_string(model).and_then(|model| serde_json::to_string(&model));
            size += text.map_or(0, |text| text.len());
            size < LONGEST_LIST
        });
        let Ok(list) = serde_json::to_string(&fit.collect::<Vec<_>>()) else { return };
        if let Err(error) = self.save_models(owner, generation, list).await {
            (self.refresher.notice)(&Notice::ModelsNotKept { error });
        }
    }

    /// Saves the list with the session that it was fetched with: after another sign-in it may be another account's.
    /// If another process has the lock, the list is not saved.
    async fn save_models(&self, owner: &str, generation: i64, list: String) -> std::result::Result<(), SessionError> {
        let mut locked = match self.refresher.sessions.lock(&self.key(owner), LOCK_LIMIT).await {
            Err(SessionError::Store(StoreError::Busy { .. })) => return Ok(()),
            locked => locked?,
        };
        let Some(mut stored) = locked.load().await?.session? else { return Ok(()) };
        if stored.session.generation != generation {
            return Ok(());
        }
        stored.session.models = Some(list);
        locked.amend(&stored).await
    }
}
