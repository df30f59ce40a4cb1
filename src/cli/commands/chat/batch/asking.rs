//! One question of a batch on its way, and what it means for the others if it fails.

use std::sync::Arc;
use std::time::Duration;

use crate::cli::commands::chat::batch::prompts::Id;
use crate::cli::commands::chat::object::Known;
use nexus::{ApiError, Client, Delta, Error, ErrorClass, ErrorInfo as _, Question, RefusalReason};

/// How long to wait for the end of a stream whose last event has come.
const END_OF_STREAM: Duration = Duration::from_millis(250);

/// A question that is to be asked.
pub(super) struct Job {
    pub(super) id: Id,
    question: Arc<Question>,
    /// How often it failed, not counting that the service was asked too often.
    pub(super) tries: u32,
}

/// A question that was asked.
pub(super) struct Asked {
    pub(super) job: Job,
    pub(super) known: Known,
    /// Why there is no answer, or no whole one.
    pub(super) failure: Option<Error>,
}

/// What a failure means for the batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// No other question would fare better.
    Everybodys,
    /// The service is asked too often.
    Throttled,
    /// The service is overloaded or out of reach.
    Overloaded,
    /// The answer broke off.
    Cut,
    /// This question is answered with a no.
    Its,
}

impl Job {
    pub(super) fn new(id: Id, question: Question) -> Self {
        Self { id, question: Arc::new(question), tries: 0 }
    }

    /// Asks, and waits for the whole answer.
    pub(super) async fn ask(self, client: &Client) -> Asked {
        let mut known = Known::default();
        let failure = match client.chat("", &self.question).await {
            Err(failure) => Some(failure),
            Ok(mut answer) => {
                let failure = loop {
                    match answer.next().await {
                        Ok(Some(Delta::Text(text))) => match answer.collect(&mut known.text, &text) {
                            Ok(()) => {}
                            Err(error) => break Some(error.into()),
                        },
                        Ok(Some(Delta::Thinking(_))) => {}
                        Ok(None) => break None,
                        Err(error) => break Some(error.into()),
                    }
                };
                known.ending = answer.meta().clone();
                if failure.is_none() {
                    answer.release(END_OF_STREAM).await;
                }
                failure
            }
        };
        Asked { job: self, known, failure }
    }
}

/// What this error means.
pub(super) fn meaning(error: &Error) -> Meaning {
    match error {
        Error::Api(ApiError::AnswerCut { .. }) => Meaning::Cut,
        Error::Api(ApiError::Refused(refusal)) => match refusal.reason() {
            RefusalReason::Billing | RefusalReason::SpendCap | RefusalReason::Unauthorized => Meaning::Everybodys,
            RefusalReason::RateLimited => Meaning::Throttled,
            _ if refusal.is_worth_retrying() => Meaning::Overloaded,
            _ => Meaning::Its,
        },
        Error::Api(
            ApiError::Declined { .. }
            | ApiError::ContextFull
            | ApiError::TooLong { .. }
            | ApiError::InvalidResponse { .. },
        ) => Meaning::Its,
        other if other.class() == ErrorClass::Temporary => Meaning::Overloaded,
        // A session that has ended, a store that cannot be read, a client that is refused.
        _ => Meaning::Everybodys,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    use nexus::store::StoreError;
    use nexus::{HttpError, Refusal, SessionError};

    #[test]
    fn a_failure_concerns_one_question_or_all() {
        let refused = |status, kind: Option<&str>| {
            let refusal = Refusal { status, kind: kind.map(String::from), ..Refusal::default() };
            Error::from(ApiError::Refused(Box::new(refusal)))
        };
        let text = String::new;
        for (failure, means) in [
            (refused(Some(400), None), Meaning::Its),
            (refused(Some(401), None), Meaning::Everybodys),
            (refused(Some(402), None), Meaning::Everybodys),
            (refused(Some(403), None), Meaning::Its),
            (refused(Some(404), None), Meaning::Its),
            (refused(Some(413), None), Meaning::Its),
            (refused(Some(429), None), Meaning::Throttled),
            (refused(None, Some("rate_limit_error")), Meaning::Throttled),
            (refused(Some(429), Some("enforced_spend_limit_reached")), Meaning::Everybodys),
            (refused(Some(500), None), Meaning::Overloaded),
            (refused(Some(529), None), Meaning::Overloaded),
            (refused(None, Some("overloaded_error")), Meaning::Overloaded),
            (HttpError::Unreachable { host: text(), reason: text() }.into(), Meaning::Overloaded),
            (ApiError::AnswerCut { host: text(), reason: text() }.into(), Meaning::Cut),
            (ApiError::Declined { description: text() }.into(), Meaning::Its),
            (ApiError::ContextFull.into(), Meaning::Its),
            (ApiError::TooLong { host: text(), limit: 64 }.into(), Meaning::Its),
            (ApiError::InvalidResponse { host: text(), description: text() }.into(), Meaning::Its),
            (SessionError::NotSignedIn { provider: text(), others: Vec::new() }.into(), Meaning::Everybodys),
            (StoreError::Busy { waited: Duration::from_secs(90) }.into(), Meaning::Overloaded),
        ] {
            assert_eq!(meaning(&failure), means, "{failure:?}");
        }
    }
}
