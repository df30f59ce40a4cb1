//! An answer that is being received.

use std::fmt;
use std::future::poll_fn;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_core::Stream;
use reqwest::Response;
use tokio::time::{Instant, timeout};

use super::dialect::{Dialect, StreamParser};
use super::error::{ApiError, Result};
use super::exchange::{Exchange, MAX_WHOLE, content_type, is_json};
use super::incoming::Incoming;
use super::meta::{AnswerMeta, StreamEvent};
use super::sse::{Decoder, MAX_EVENT, TooLarge};
use super::unexpected;

/// How long a complete answer waits for its usage figures, or for the end of its stream.
const AFTERWARDS: Duration = Duration::from_secs(5);

/// How long an answer may consist of keep-alives only. Hidden thinking of 128,000 tokens at 40 a second takes 53
/// minutes.
const QUIET: Duration = Duration::from_secs(3_600);

/// The most text of one answer that is collected in memory, in bytes.
const MAX_COLLECTED: usize = 64 * 1024 * 1024;

#[cfg(test)]
mod tests;

/// A part of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delta {
    /// The next part of the text.
    Text(String),
    /// The next part of what the model thinks before it answers, if the service shows that.
    Thinking(String),
}

/// An answer that is being received. Dropping it closes the connection.
///
/// It is a [`Stream`] of [`Delta`]s. The stream ends with `None` only if the answer is complete; an error before that
/// is its last item. [`next`](Self::next) gives the same items without a stream library, [`text`](Self::text) all of
/// the text at once.
pub struct Answer {
    incoming: Incoming,
    /// The status of the response.
    status: u16,
    exchange: Exchange,
    form: Form,
    parser: Box<dyn StreamParser>,
    /// When the answer fails unless a delta comes. Set while the next delta is waited for.
    quiet_until: Option<Instant>,
    /// The first delta, between [`begin`](Self::begin) and [`next`](Self::next).
    first: Option<Delta>,
    end: Option<Result<()>>,
    /// The stream has returned its last item.
    drained: bool,
}

/// The format of the response.
enum Form {
    Events(Decoder),
    /// The received part of an answer in one piece. Some gateways do not stream.
    Whole(Vec<u8>),
    /// An answer in one piece that was parsed.
    Read,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").field("status", &self.status).field("meta", self.meta()).finish_non_exhaustive()
    }
}

impl Answer {
    /// The answer in a successful response.
    ///
    /// # Errors
    /// [`ApiError::InvalidResponse`] if it is neither a stream of events nor JSON.
    pub(super) async fn new(response: Response, exchange: Exchange, dialect: &'static dyn Dialect) -> Result<Self> {
        let kind = content_type(&response);
        let form = if kind.eq_ignore_ascii_case("text/event-stream") {
            Form::Events(Decoder::default())
        } else if is_json(kind) {
            Form::Whole(Vec::new())
        } else {
            return Err(unexpected::content(response, &exchange).await);
        };
        let parser = dialect.parser(exchange.request_id(&response));
        Ok(Self {
            status: response.status().as_u16(),
            incoming: Incoming::new(response, exchange.silence),
            exchange,
            form,
            parser,
            quiet_until: None,
            first: None,
            end: None,
            drained: false,
        })
    }

    /// Waits for the next delta: at most 90 seconds for the next byte, and at most an hour if only keep-alives come.
    /// `None` means that the answer is complete. After an error, every further call returns that error.
    ///
    /// # Errors
    /// [`ApiError::AnswerCut`] if it ends too early, [`ApiError::Refused`] if the service fails,
    /// [`ApiError::Declined`] and [`ApiError::ContextFull`] if the model does not answer the question,
    /// [`ApiError::InvalidResponse`] if it is not in the API's format.
    pub async fn next(&mut self) -> Result<Option<Delta>> {
        poll_fn(|context| self.poll_delta(context)).await
    }

    /// Waits for the first bytes of a stream. Does not wait for an answer in one piece.
    pub(crate) async fn wait_for_bytes(&mut self) {
        if let Form::Events(decoder) = &mut self.form {
            match self.incoming.chunk().await {
                Ok(Some(bytes)) => decoder.push(&bytes),
                Ok(None) => {}
                Err(reason) => self.end = Some(Err(self.exchange.cut(reason))),
            }
        }
    }

    /// Waits for the first delta. [`next`](Self::next) still returns it.
    ///
    /// # Errors
    /// Those of [`next`](Self::next), which returns them again.
    pub async fn begin(&mut self) -> Result<()> {
        self.first = self.next().await?;
        Ok(())
    }

    /// All of the text from here on, without the thinking.
    ///
    /// # Errors
    /// Those of [`next`](Self::next), and [`ApiError::TooLong`] above 64 MiB. What came until then is not an answer.
    pub async fn text(&mut self) -> Result<String> {
        let mut text = String::new();
        while let Some(delta) = self.next().await? {
            if let Delta::Text(more) = delta {
                self.collect(&mut text, &more)?;
            }
        }
        Ok(text)
    }

    /// Appends more of the answer to its text.
    ///
    /// # Errors
    /// [`ApiError::TooLong`] if the text would be longer than 64 MiB.
    pub fn collect(&self, text: &mut String, more: &str) -> Result<()> {
        if text.len() + more.len() > MAX_COLLECTED {
            let limit = MAX_COLLECTED / 1024 / 1024;
            return Err(ApiError::TooLong { host: self.exchange.host.clone(), limit });
        }
        text.push_str(more);
        Ok(())
    }

    /// Releases the connection for the next question. Waits at most `limit` for the end of the response, which is after
    /// the last event.
    pub async fn release(mut self, limit: Duration) {
        let rest = async { while let Ok(Some(_)) = self.incoming.chunk().await {} };
        let _ = timeout(limit, rest).await;
    }

    /// What is known about the answer. It is complete once [`next`](Self::next) returned `None`.
    pub fn meta(&self) -> &AnswerMeta {
        self.parser.meta()
    }

    /// Polls for the next delta, for [`next`](Self::next) and the stream.
    fn poll_delta(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Delta>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Ok(Some(first)));
        }
        if self.end.is_none() {
            self.quiet_until.get_or_insert_with(|| Instant::now() + QUIET);
            let event = ready!(self.poll_event(context));
            self.quiet_until = None;
            self.end = Some(match event {
                Ok(StreamEvent::Text(text)) => return Poll::Ready(Ok(Some(Delta::Text(text)))),
                Ok(StreamEvent::Thinking(text)) => return Poll::Ready(Ok(Some(Delta::Thinking(text)))),
                Ok(StreamEvent::Stop | StreamEvent::Nothing) => self.parser.verdict(&self.exchange),
                Err(error) => Err(error),
            });
        }
        Poll::Ready(self.end.clone().unwrap_or(Ok(())).map(|()| None))
    }

    /// The next event that matters: text, thinking or the end.
    fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<Result<StreamEvent>> {
        if let Some(held) = self.parser.held() {
            return Poll::Ready(Ok(held));
        }
        loop {
            match &mut self.form {
                Form::Read => return Poll::Ready(Ok(StreamEvent::Stop)),
                Form::Whole(_) => {}
                Form::Events(decoder) => match next_event(decoder, &mut *self.parser, &self.exchange)? {
                    Some(event) => return Poll::Ready(Ok(event)),
                    None if self.parser.is_finished() => {
                        self.incoming.silence = self.incoming.silence.min(AFTERWARDS);
                    }
                    None => {}
                },
            }
            let chunk = match ready!(self.incoming.poll_chunk(context)) {
                Ok(chunk) => chunk,
                // Only usage figures may be missing.
                Err(_) if self.parser.is_finished() => return Poll::Ready(Ok(StreamEvent::Stop)),
                Err(reason) => return Poll::Ready(Err(self.exchange.cut(reason))),
            };
            if chunk.is_some() && self.quiet_until.is_some_and(|until| until <= Instant::now()) {
                let minutes = QUIET.as_secs() / 60;
                let reason = format!("only keep-alives came for {minutes} minutes");
                return Poll::Ready(Err(self.exchange.cut(reason)));
            }
            match (&mut self.form, chunk) {
                (Form::Events(decoder), Some(bytes)) => decoder.push(&bytes),
                (Form::Events(decoder), None) => {
                    return Poll::Ready(self.parser.ended(decoder.is_between_events(), &self.exchange));
                }
                // A gateway may send spaces as keep-alives.
                (Form::Whole(body), Some(bytes)) if body.len() + bytes.len() <= MAX_WHOLE => {
                    body.extend_from_slice(&bytes);
                }
                (Form::Whole(_), Some(_)) => return Poll::Ready(Err(self.exchange.too_large())),
                (Form::Whole(body), None) => {
                    let body = mem::take(body);
                    self.form = Form::Read;
                    return Poll::Ready(self.whole(&body));
                }
                (Form::Read, _) => return Poll::Ready(Ok(StreamEvent::Stop)),
            }
        }
    }

    /// Reads an answer that came in one piece.
    fn whole(&mut self, body: &[u8]) -> Result<StreamEvent> {
        self.parser.whole(body, &self.exchange).map_err(|error| match error {
            // An error in one piece has a status, unlike one inside a stream.
            ApiError::Refused(mut refusal) => {
                refusal.status = refusal.status.or(Some(self.status));
                ApiError::Refused(refusal)
            }
            other => other,
        })
    }
}

/// The next event that matters of those that are complete.
fn next_event(
    decoder: &mut Decoder,
    parser: &mut dyn StreamParser,
    exchange: &Exchange,
) -> Result<Option<StreamEvent>> {
    loop {
        match decoder.next_event() {
            Ok(Some(event)) => match parser.event(event, exchange)? {
                StreamEvent::Nothing => {}
                event => return Ok(Some(event)),
            },
            Ok(None) => return Ok(None),
            Err(TooLarge) => {
                let limit = MAX_EVENT / 1024 / 1024;
                return Err(exchange.invalid(format!("with an event of more than {limit} MiB")));
            }
        }
    }
}

impl Stream for Answer {
    type Item = Result<Delta>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.drained {
            return Poll::Ready(None);
        }
        let item = ready!(self.poll_delta(context)).transpose();
        self.drained = !matches!(item, Some(Ok(_)));
        Poll::Ready(item)
    }
}
