//! The list of models. It is saved with the session, so that a chat does not request it.

use std::time::Duration;

use super::Client;
use super::tries::Tries;
use crate::api::retry::ProgressEvent;
use crate::api::{self, ApiError, Model};
use crate::client::error::Result;
use crate::secret::AccessToken;
use crate::session::{Notice, Session};

/// How long the list of models may take after a sign-in, when it is not needed yet.
const MODELS_TIMEOUT: Duration = Duration::from_secs(5);

/// How much of the list is saved, in bytes of JSON. A session has a largest size, for which disk space is reserved.
const MAX_LIST_BYTES: usize = 64 * 1024;

/// What the API is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// The list of models.
    List,
    /// The list, or without one whether there is an endpoint for questions.
    Check,
}

impl Client {
    /// Lists the models that this owner may use: the [configured](crate::Api::models) ones, or those that the API
    /// lists, in the API's own order, and saves the list with the session. Transient failures are retried as those of a
    /// question are, but the deadline decides only whether to retry.
    ///
    /// # Errors
    /// Those of [`chat`](Self::chat); [`ApiError::NoModelList`] if the API has no such list.
    pub async fn models(&self, owner: &str, loaded: Session) -> Result<Vec<Model>> {
        let configured = &self.provider().api.models;
        if !configured.is_empty() {
            return Ok(configured.iter().filter_map(|id| Model::named(id)).collect());
        }
        let (session, models) = self.ask_for(Wanted::List, owner, loaded).await?;
        self.try_save_models(owner, session.generation, &models).await;
        Ok(models)
    }

    /// Checks that the API takes the token and has the endpoint for questions. It is sent no question. Saves nothing
    /// but a token that had to be refreshed.
    ///
    /// # Errors
    /// Those of [`models`](Self::models), but not [`ApiError::NoModelList`].
    #[doc(hidden)]
    pub async fn check_api(&self, owner: &str, loaded: Session) -> Result<()> {
        self.ask_for(Wanted::Check, owner, loaded).await.map(drop)
    }

    /// Asks with the token, which is refreshed as often as a question refreshes it. Returns the session that was used.
    async fn ask_for(&self, wanted: Wanted, owner: &str, loaded: Session) -> Result<(Session, Vec<Model>)> {
        let api = api::ApiClient::new(&self.http, self.provider())?;
        let mut tries = Tries::unbounded(self, owner);
        let mut session = tries.first_session(loaded).await?;
        loop {
            let error = match self.ask_once(wanted, &api, &session.access_token).await {
                Ok(models) => return Ok((session, models)),
                Err(error) => error,
            };
            session = match tries.after(session, error).await? {
                Ok(session) => session,
                Err(error) => return Err(self.fresh_token_rejected(error)),
            };
        }
    }

    async fn ask_once(
        &self,
        wanted: Wanted,
        api: &api::ApiClient<'_>,
        token: &AccessToken,
    ) -> std::result::Result<Vec<Model>, ApiError> {
        if wanted == Wanted::List || self.provider().api.models.is_empty() {
            self.report(&ProgressEvent::WaitingForModels);
            match api.models(token).await.map_err(|error| self.no_model_list(error)) {
                Err(ApiError::NoModelList { .. }) if wanted == Wanted::Check => {}
                listed => return listed,
            }
        }
        api.check_questions(token).await.map(|()| Vec::new())
    }

    /// The error if the API has no list of models.
    fn no_model_list(&self, error: ApiError) -> ApiError {
        match error {
            // Gateways without a list answer "not found", "method not allowed" or "not implemented".
            ApiError::Refused(refusal)
                if matches!(refusal.status, Some(404 | 405 | 501)) && !refusal.is_unauthorized() =>
            {
                ApiError::NoModelList { provider: self.provider().name.clone(), refusal }
            }
            other => other,
        }
    }

    /// Requests the list of models, for at most five seconds, and saves it with the session. A failed save is a notice.
    ///
    /// # Errors
    /// [`ApiError::NoModelList`] if the API has no such list. Another failed request is ignored.
    pub async fn fetch_models(&self, owner: &str, session: &Session) -> std::result::Result<(), ApiError> {
        if !self.provider().api.models.is_empty() {
            return Ok(());
        }
        let Ok(api) = api::ApiClient::new(&self.http, self.provider()) else { return Ok(()) };
        match tokio::time::timeout(MODELS_TIMEOUT, api.models(&session.access_token)).await {
            Ok(Ok(models)) => self.try_save_models(owner, session.generation, &models).await,
            Ok(Err(error)) => {
                if let error @ ApiError::NoModelList { .. } = self.no_model_list(error) {
                    return Err(error);
                }
            }
            Err(_) => {}
        }
        Ok(())
    }

    async fn try_save_models(&self, owner: &str, generation: i64, models: &[Model]) {
        // The Messages API lists the newest first, so the oldest are dropped.
        let mut size = 0;
        let fit = models.iter().take_while(|model| {
            // In the sealed record, the list is a JSON string.
            let text = serde_json::to_string(model).and_then(|model| serde_json::to_string(&model));
            size += text.map_or(0, |text| text.len());
            size < MAX_LIST_BYTES
        });
        let Ok(list) = serde_json::to_string(&fit.collect::<Vec<_>>()) else { return };
        let saved = self.amend(owner, generation, |stored| stored.session.models = Some(list)).await;
        if let Err(error) = saved {
            (self.refresher.notice)(&Notice::ModelsNotKept { error });
        }
    }
}
