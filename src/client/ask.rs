//! Asking as somebody: with a token that serves, once more if it is rejected, and again after what
//! passes.

use tokio::time::{Instant, sleep, timeout_at};

use super::patience::{Patience, Waiting, chance};
use super::{Accounts, rejected};
use crate::api::{self, Answer, Question};
use crate::failure::{Failure, Result};
use crate::provider::{self, Url};
use crate::session::Session;
use crate::time;

impl Accounts {
    /// The same accounts, as patient as this with every question.
    #[must_use]
    pub fn with_patience(mut self, patience: Patience) -> Self {
        self.patience = patience;
        self
    }

    /// Asks a question as this owner, and returns with the first piece of the answer; the text is in
    /// [`Answer::next`], or all of it in [`Answer::text`].
    ///
    /// What passes is waited for as [`Patience`] says: by default it is asked up to two times more,
    /// within two minutes.
    ///
    /// # Errors
    /// As [`get_valid`](Self::get_valid); [`Failure::Refused`] with what the API says,
    /// [`Failure::TokenRejected`] where it rejects even a fresh token, [`Failure::Unreachable`] and
    /// [`Failure::Overdue`] where it does not answer.
    pub async fn chat(&self, owner: &str, question: &Question) -> Result<Answer> {
        let seen = self.renewal.look_aside(&self.key(owner)).await?;
        self.ask(owner, seen, question).await
    }

    /// As [`chat`](Self::chat), with a session that was looked at already: renewed if it does not
    /// serve, and once more if the API rejects its token before the first piece of an answer.
    ///
    /// # Errors
    /// As [`chat`](Self::chat).
    pub async fn ask(&self, owner: &str, seen: Session, question: &Question) -> Result<Answer> {
        let until = self.patience.until(Instant::now());
        let client = api::Client::new(&self.renewal.http, self.provider())?.patient();
        self.tell(&Waiting::ForToken);
        let mut session = self.within(until, self.provider().token_url.as_ref(), self.serving(owner, seen)).await?;
        let (mut renewed, mut retried) = (false, 0);
        loop {
            self.tell(&Waiting::ForAnswer);
            let beginning = async {
                let mut answer = client.ask(&session.access_token, question).await?;
                answer.hear().await;
                Ok(answer)
            };
            let (failure, answer) = match self.within(until, self.provider().api.url.as_ref(), beginning).await {
                Err(failure) => (failure, None),
                // The deadline is kept. Whether it becomes an answer or an error is yet to be seen.
                Ok(mut answer) => {
                    self.tell(&Waiting::ForText);
                    match answer.begin().await {
                        Ok(()) => return Ok(answer),
                        Err(failure) => (failure, Some(answer)),
                    }
                }
            };
            if rejected(&failure) && !renewed {
                self.tell(&Waiting::ForToken);
                let renewal = self.after_rejection(owner, session, failure);
                session = self.within(until, self.provider().token_url.as_ref(), renewal).await?;
                renewed = true;
                continue;
            }
            let left = until.saturating_duration_since(Instant::now());
            let Some(retry) = self.patience.retry(&failure, retried, left, chance()) else {
                // An answer that failed says so whenever it is asked, and knows how it ended.
                return answer.ok_or_else(|| self.rejected_afresh(failure));
            };
            let wait = retry.wait;
            retried = retry.number;
            self.tell(&Waiting::ToAskAgain(retry));
            sleep(wait).await;
        }
    }

    /// Waits for this URL's host until the deadline and no longer. What has been sent is finished all
    /// the same.
    async fn within<T>(&self, until: Instant, url: Option<&Url>, work: impl Future<Output = Result<T>>) -> Result<T> {
        timeout_at(until, work).await.unwrap_or_else(|_| {
            let host = url.map_or_else(|| self.provider().name.to_string(), provider::host);
            Err(Failure::Overdue { host, waited: time::rounded_up(self.patience.deadline) })
        })
    }

    pub(super) fn tell(&self, waiting: &Waiting) {
        match (&self.patience.told, waiting) {
            (Some(told), waiting) => told(waiting),
            (None, Waiting::ToAskAgain(retry)) => (self.renewal.notice)(&retry.to_string()),
            (None, _) => {}
        }
    }
}
