//! One question of a batch, and what an error means for the others.

use std::sync::Arc;
use std::time::Duration;

use super::fingerprint::Fingerprint;
use super::prompts::Id;
use crate::cli::question::answer_state::AnswerState;
use crate::cli::question::schema::Schema;
use nexus::error::{ApiError, RefusalReason};
use nexus::{Client, Delta, Error, ErrorClass, ErrorInfo as _, Question};

/// How long to wait for the end of a stream after its last event.
const END_OF_STREAM: Duration = Duration::from_millis(250);

/// What a line asks.
pub(super) struct Asked {
    pub(super) question: Question,
    /// What the answer must match.
    pub(super) schema: Option<Arc<Schema>>,
    pub(super) fingerprint: Fingerprint,
}

/// A question to ask.
pub(super) struct Job {
    pub(super) id: Id,
    pub(super) fingerprint: Fingerprint,
    question: Arc<Question>,
    /// What the answer must match.
    pub(super) schema: Option<Arc<Schema>>,
    /// How often it failed, rate limits not counted.
    pub(super) tries: u32,
}

/// What came of a question.
pub(super) struct Outcome {
    pub(super) job: Job,
    pub(super) answer: AnswerState,
    /// Why there is no complete answer.
    pub(super) failure: Option<Error>,
}

/// What an error means for the batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Every other question would fail, too.
    Fatal,
    /// The rate limit is reached.
    Throttled,
    /// The API is overloaded or cannot be reached.
    Overloaded,
    /// The answer was cut off.
    Cut,
    /// This question cannot be answered.
    Permanent,
}

impl Job {
    pub(super) fn new(id: Id, asked: Asked) -> Self {
        let Asked { question, schema, fingerprint } = asked;
        Self { id, fingerprint, question: Arc::new(question), schema, tries: 0 }
    }

    /// Asks, and waits for the complete answer.
    pub(super) async fn ask(self, client: &Client) -> Outcome {
        let mut answer_state = AnswerState::default();
        let failure = match client.chat("", &self.question).await {
            Err(failure) => Some(failure),
            Ok(mut answer) => {
                let failure = loop {
                    match answer.next().await {
                        Ok(Some(Delta::Text(text))) => match answer.collect(&mut answer_state.text, &text) {
                            Ok(()) => {}
                            Err(error) => break Some(error.into()),
                        },
                        Ok(Some(Delta::Thinking(_))) => {}
                        Ok(None) => break None,
                        Err(error) => break Some(error.into()),
                    }
                };
                answer_state.meta = answer.meta().clone();
                if failure.is_none() {
                    answer.release(END_OF_STREAM).await;
                }
                failure
            }
        };
        Outcome { job: self, answer: answer_state, failure }
    }
}

/// What this error means for the batch.
pub(super) fn meaning(error: &Error) -> Meaning {
    match error {
        Error::Api(ApiError::AnswerCut { .. }) => Meaning::Cut,
        Error::Api(ApiError::Refused(refusal) | ApiError::CutByError(refusal)) => match refusal.reason() {
            RefusalReason::Billing | RefusalReason::SpendCap | RefusalReason::Unauthorized => Meaning::Fatal,
            RefusalReason::RateLimited => Meaning::Throttled,
            _ if refusal.is_worth_retrying() => Meaning::Overloaded,
            _ if matches!(error, Error::Api(ApiError::CutByError(_))) => Meaning::Cut,
            _ => Meaning::Permanent,
        },
        Error::Api(
            ApiError::Declined { .. }
            | ApiError::ContextFull
            | ApiError::EmptyAnswer { .. }
            | ApiError::TooLong { .. }
            | ApiError::InvalidResponse { .. },
        ) => Meaning::Permanent,
        other if other.class() == ErrorClass::Temporary => Meaning::Overloaded,
        // A session that has ended, a store that cannot be read, a client that is refused.
        _ => Meaning::Fatal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    use nexus::error::{HttpError, Refusal, SessionError};
    use nexus::store::StoreError;

    #[test]
    fn an_error_concerns_one_question_or_all() {
        let refused = |status, kind: Option<&str>| {
            let refusal = Refusal { status, kind: kind.map(String::from), ..Refusal::default() };
            Error::from(ApiError::Refused(Box::new(refusal)))
        };
        let text = String::new;
        for (failure, means) in [
            (refused(Some(400), None), Meaning::Permanent),
            (refused(Some(401), None), Meaning::Fatal),
            (refused(Some(402), None), Meaning::Fatal),
            (refused(Some(403), None), Meaning::Permanent),
            (refused(Some(404), None), Meaning::Permanent),
            (refused(Some(413), None), Meaning::Permanent),
            (refused(Some(429), None), Meaning::Throttled),
            (refused(None, Some("rate_limit_error")), Meaning::Throttled),
            (refused(Some(429), Some("enforced_spend_limit_reached")), Meaning::Fatal),
            (refused(Some(500), None), Meaning::Overloaded),
            (refused(Some(529), None), Meaning::Overloaded),
            (refused(None, Some("overloaded_error")), Meaning::Overloaded),
            (HttpError::Unreachable { host: text(), reason: text() }.into(), Meaning::Overloaded),
            (HttpError::NoConnection { host: text(), reason: text() }.into(), Meaning::Overloaded),
            (ApiError::AnswerCut { host: text(), reason: text() }.into(), Meaning::Cut),
            (ApiError::CutByError(Box::default()).into(), Meaning::Cut),
            (ApiError::EmptyAnswer { host: text(), thinking: true, reached_limit: false }.into(), Meaning::Permanent),
            (ApiError::Declined { description: text() }.into(), Meaning::Permanent),
            (ApiError::ContextFull.into(), Meaning::Permanent),
            (ApiError::TooLong { host: text(), limit: 64 }.into(), Meaning::Permanent),
            (ApiError::InvalidResponse { host: text(), description: text() }.into(), Meaning::Permanent),
            (SessionError::NotSignedIn { provider: text(), others: Vec::new() }.into(), Meaning::Fatal),
            (StoreError::Busy { waited: Duration::from_secs(90) }.into(), Meaning::Overloaded),
        ] {
            assert_eq!(meaning(&failure), means, "{failure:?}");
        }
    }
}
