//! The retries of one request: once with a fresh token if the API rejects the token, and after transient failures.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use super::Client;
use crate::api::ApiError;
use crate::api::retry::{ProgressEvent, random};
use crate::client::error::Result;
use crate::provider::{self, Url};
use crate::session::{Notice, Session};

/// How a request has been tried so far.
pub(super) struct Tries<'a> {
    client: &'a Client,
    owner: &'a str,
    until: Instant,
    /// Whether the deadline ends a refresh of the token, too.
    bounded: bool,
    refreshed: bool,
    retried: u32,
    /// Since when no connection can be made.
    unconnected_since: Option<Instant>,
}

impl<'a> Tries<'a> {
    /// The deadline decides whether to try again, and ends every wait for a server.
    pub(super) fn within_deadline(client: &'a Client, owner: &'a str) -> Self {
        let until = client.retry_policy.until(Instant::now());
        Self { client, owner, until, bounded: true, refreshed: false, retried: 0, unconnected_since: None }
    }

    /// The deadline decides only whether to try again.
    pub(super) fn unbounded(client: &'a Client, owner: &'a str) -> Self {
        Self { bounded: false, ..Self::within_deadline(client, owner) }
    }

    /// The session that was loaded, or a refreshed one if its token is about to expire.
    pub(super) async fn first_session(&self, loaded: Session) -> Result<Session> {
        self.client.report(&ProgressEvent::WaitingForToken);
        self.token(self.client.fresh_for_request(self.owner, loaded)).await
    }

    /// Prepares another try after an error: refreshes the token once if it was rejected, or waits.
    ///
    /// # Errors
    /// Why the token could not be refreshed. The inner error is the given one, if another try does not help.
    pub(super) async fn after(
        &mut self,
        session: Session,
        error: ApiError,
    ) -> Result<std::result::Result<Session, ApiError>> {
        if error.is_unauthorized() && !self.refreshed {
            self.refreshed = true;
            self.client.report(&ProgressEvent::WaitingForToken);
            return self.token(self.client.after_rejection(self.owner, session, error)).await.map(Ok);
        }
        let left = self.left(&error);
        let Some(retry) = self.client.retry_policy.retry(&error, self.retried, left, random()) else {
            return Ok(Err(error));
        };
        let wait = retry.wait;
        self.retried = retry.number;
        self.client.report(&ProgressEvent::Retrying(retry));
        sleep(wait).await;
        Ok(Ok(session))
    }

    /// The time that is left for retries after this error.
    fn left(&mut self, error: &ApiError) -> Duration {
        let now = Instant::now();
        let left = self.until.saturating_duration_since(now);
        if !error.is_no_connection() {
            self.unconnected_since = None;
            return left;
        }
        let since = *self.unconnected_since.get_or_insert(now);
        left.min(self.client.retry_policy.limit(error).saturating_sub(now - since))
    }

    /// Waits for a response of the API until the deadline.
    pub(super) async fn response<T>(
        &self,
        work: impl Future<Output = std::result::Result<T, ApiError>>,
    ) -> std::result::Result<T, ApiError> {
        let ended = timeout_at(self.until, work).await;
        ended.unwrap_or_else(|_| Err(self.deadline_exceeded(self.client.provider().api.url.as_ref())))
    }

    /// Waits for a token until the deadline. A refresh that has been sent is finished all the same.
    async fn token(&self, work: impl Future<Output = Result<Session>>) -> Result<Session> {
        if !self.bounded {
            return work.await;
        }
        let ended = timeout_at(self.until, work).await;
        ended.unwrap_or_else(|_| Err(self.deadline_exceeded(self.client.provider().token_url.as_ref()).into()))
    }

    fn deadline_exceeded(&self, url: Option<&Url>) -> ApiError {
        let host = url.map_or_else(|| self.client.provider().name.clone(), provider::host);
        ApiError::DeadlineExceeded { host, waited: self.client.retry_policy.deadline }
    }
}

impl Client {
    pub(super) fn report(&self, event: &ProgressEvent) {
        match (&self.retry_policy.progress, event) {
            (Some(progress), event) => progress(event),
            (None, ProgressEvent::Retrying(retry)) => {
                (self.refresher.notice)(&Notice::Retrying { description: retry.to_string() })
            }
            (None, _) => {}
        }
    }
}
