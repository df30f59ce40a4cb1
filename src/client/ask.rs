//! Asking a question as an owner.

use super::Client;
use super::tries::Tries;
use crate::api::retry::{ProgressEvent, RetryPolicy};
use crate::api::{self, Answer, Question};
use crate::client::error::Result;
use crate::session::Session;

impl Client {
    /// Sets when questions are retried, and their deadline.
    #[must_use]
    pub fn with_retry_policy(mut self, retry_policy: RetryPolicy) -> Self {
        self.retry_policy = retry_policy;
        self
    }

    /// Asks a question as this owner, and returns with the first delta of the answer. [`Answer::next`] gives the
    /// deltas, [`Answer::text`] all of the text.
    ///
    /// Transient failures are retried by the [`RetryPolicy`]: by default for two minutes, or for ten seconds while no
    /// connection can be made.
    ///
    /// # Errors
    /// Those of [`get_valid`](Self::get_valid); [`ApiError::Refused`](api::ApiError::Refused) with what the API says,
    /// [`ApiError::TokenRejected`](api::ApiError::TokenRejected) if it rejects even a fresh token,
    /// [`ApiError::DeadlineExceeded`](api::ApiError::DeadlineExceeded) if it does not begin to answer in time.
    pub async fn chat(&self, owner: &str, question: &Question) -> Result<Answer> {
        let loaded = self.load(owner).await?;
        self.ask(owner, loaded, question).await
    }

    /// [`chat`](Self::chat) with a session that was loaded before. It is refreshed if its token is about to expire, and
    /// once more if the API rejects the token before the first delta of an answer.
    ///
    /// # Errors
    /// Those of [`chat`](Self::chat).
    pub async fn ask(&self, owner: &str, loaded: Session, question: &Question) -> Result<Answer> {
        let api = api::ApiClient::new(&self.http, self.provider())?.without_head_limit();
        let mut tries = Tries::within_deadline(self, owner);
        let mut session = tries.first_session(loaded).await?;
        let mut spelling = self.spellings.of(&question.model);
        loop {
            self.report(&ProgressEvent::WaitingForAnswer);
            let beginning = async {
                let mut answer = api.ask(&session.access_token, question, &mut spelling).await?;
                answer.wait_for_bytes().await;
                Ok(answer)
            };
            let (error, answer) = match tries.response(beginning).await {
                Err(error) => (error, None),
                // The deadline is kept. Whether the bytes become an answer or an error is not known yet.
                Ok(mut answer) => {
                    self.report(&ProgressEvent::WaitingForText);
                    match answer.begin().await {
                        Ok(()) => {
                            self.spellings.remember(&question.model, spelling);
                            return Ok(answer);
                        }
                        // A gateway may refuse with a status of success.
                        Err(error) => match api.respell(question, &mut spelling, error) {
                            Ok(()) => continue,
                            Err(error) => (error, Some(answer)),
                        },
                    }
                }
            };
            session = match tries.after(session, error).await? {
                Ok(session) => session,
                // An answer that failed returns its error on every call, and knows its metadata.
                Err(error) => return answer.ok_or_else(|| self.fresh_token_rejected(error)),
            };
        }
    }
}
