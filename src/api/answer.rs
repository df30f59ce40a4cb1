//! One answer as it comes in.

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

/// How long an answer may consist of signs of life alone: longer than the longest thinking that is not shown, as 128
/// thousand tokens at 40 a second are 53 minutes of pings.
const QUIET: Duration = Duration::from_secs(3_600);

/// The most text of one answer that is collected in memory, in bytes: many times what any model writes at once.
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

/// An answer on its way. Dropping it closes the connection.
///
/// It is a [`Stream`] of [`Delta`]s. The stream ends with `None` only if the answer is complete; an error before that is
/// its last item. [`next`](Self::next) gives the same items without a stream library, [`text`](Self::text) all of the
/// text at once.
pub struct Answer {
    incoming: Incoming,
    /// The status of the response.
    status: u16,
    exchange: Exchange,
    form: Form,
    parser: Box<dyn StreamParser>,
    /// When an answer that sends only signs of life has failed. Set while the next delta is waited for.
    quiet_until: Option<Instant>,
    /// The first delta, from [`begin`](Self::begin) until it is asked for.
    first: Option<Delta>,
    end: Option<Result<()>>,
    /// The stream has given its last item.
    drained: bool,
}

/// How the answer comes.
enum Form {
    Events(Decoder),
    /// In one piece, as far as it has come: some gateways do not stream, whatever they are asked.
    Whole(Vec<u8>),
    /// It came in one piece and has been read.
    Read,
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

    /// Waits for the next delta, at most 90 seconds from one byte to the next, and at most an hour if these are signs of
    /// life alone. `None` only if the answer is complete: after an error, every further call returns that error, so
    /// that half an answer never passes for a whole one.
    ///
    /// # Errors
    /// [`ApiError::AnswerCut`] if it ends too early, [`ApiError::Refused`] if the service gives up,
    /// [`ApiError::Declined`] and [`ApiError::ContextFull`] if what came does not answer the question,
    /// [`ApiError::InvalidResponse`] if it is not the API's.
    pub async fn next(&mut self) -> Result<Option<Delta>> {
        poll_fn(|context| self.poll_delta(context)).await
    }

    /// Waits for the first bytes of a stream, whatever they will mean. An answer in one piece is not a stream: its head
    /// is all that comes before it is whole.
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

    /// Gives the connection back, so that the next question can use it. For that the response is read to its very end:
    /// a stream's last event is not its last byte. Waits no longer than `limit`.
    pub async fn release(mut self, limit: Duration) {
        let rest = async { while let Ok(Some(_)) = self.incoming.chunk().await {} };
        let _ = timeout(limit, rest).await;
    }

    /// What is known about the answer. It is complete once [`next`](Self::next) returned `None`.
    pub fn meta(&self) -> &AnswerMeta {
        self.parser.meta()
    }

    /// The one state machine behind [`next`](Self::next) and the stream.
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
                // What follows a complete answer is usage figures at best.
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
                // A gateway may send spaces until it has something to say.
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
            // It came instead of an answer, not in the middle of one.
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
