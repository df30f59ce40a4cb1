//! The models that somebody may use: listed, and kept beside the session so that a chat need not ask.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::patience::{Waiting, chance};
use super::{Accounts, rejected};
use crate::api::{self, Model};
use crate::failure::{Failure, Result};
use crate::session::Session;
use crate::session::renew;

/// How long the list of models may take after a sign-in, where it is a convenience.
const MODELS_LIMIT: Duration = Duration::from_secs(5);

/// How much of the list is kept, in bytes of JSON: it lies beside the session, and is written with it, for which
/// room is held on the disk.
const LONGEST_LIST: usize = 64 * 1024;

impl Accounts {
    /// Lists the models that this owner may use, newest first, and keeps the list beside the session.
    /// What passes is waited for as for a question; the deadline decides only whether to ask again.
    ///
    /// # Errors
    /// As [`chat`](Self::chat); [`Failure::NoModelList`] where the API has no such list.
    pub async fn models(&self, owner: &str, seen: Session) -> Result<Vec<Model>> {
        let until = self.patience.until(Instant::now());
        let client = api::Client::new(&self.renewal.http, self.provider())?;
        let mut session = self.serving(owner, seen).await?;
        let (mut renewed, mut retried) = (false, 0);
        loop {
            let failure = match client.models(&session.access_token).await {
                Ok(models) => {
                    self.keep_models(owner, session.generation, &models).await;
                    return Ok(models);
                }
                Err(failure) => failure,
            };
            if rejected(&failure) && !renewed {
                session = self.after_rejection(owner, session, failure).await?;
                renewed = true;
                continue;
            }
            let failure = self.unlisted(failure);
            let left = until.saturating_duration_since(Instant::now());
            let Some(retry) = self.patience.retry(&failure, retried, left, chance()) else {
                return Err(self.rejected_afresh(failure));
            };
            let wait = retry.wait;
            retried = retry.number;
            self.tell(&Waiting::ToAskAgain(retry));
            sleep(wait).await;
        }
    }

    /// What it means if there is nothing where the list should be.
    fn unlisted(&self, failure: Failure) -> Failure {
        match failure {
            // Not there, not allowed in any way, not made: what gateways say that only pass questions on.
            Failure::Refused(refusal) if matches!(refusal.status, Some(404 | 405 | 501)) => {
                Failure::NoModelList { provider: self.provider().name.clone(), refusal }
            }
            other => other,
        }
    }

    /// Asks which models there are, so that a chat need not name one. A convenience: it is bounded,
    /// and whatever goes wrong is left for the chat to say.
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
