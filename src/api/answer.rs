//! An answer that is being received.

use std::fmt;
use std::future::poll_fn;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_core::Stream;
use hyper::body::Bytes;
use tokio::time::{Instant, timeout};

use super::dialect::Dialect;
use super::error::{ApiError, Result};
use super::exchange::{Exchange, MAX_WHOLE, content_type};
use super::incoming::Incoming;
use super::meta::{AnswerMeta, StreamEvent};
use super::reader::AnswerReader;
use super::refusal::read::MAX_BODY;
use super::shape::{Declared, EVENTS, Shape, shape, trim_start};
use super::unexpected;
use crate::http::Response;

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
    reader: AnswerReader,
    /// How the body ended: with the reason if it broke off.
    closed: Option<std::result::Result<(), String>>,
    /// A part of the text that is not blank was returned.
    has_text: bool,
    /// A part of the thinking was returned.
    has_thinking: bool,
    /// When the answer fails unless a delta comes. Set while the next delta is waited for.
    quiet_until: Option<Instant>,
    /// Bytes have come, and those that came with them may not be taken in yet.
    is_arriving: bool,
    /// The first delta, between [`begin`](Self::begin) and [`next`](Self::next).
    first: Option<Delta>,
    end: Option<Result<()>>,
    /// The stream has returned its last item.
    drained: bool,
}

/// The format of the response.
enum Form {
    /// Not known yet. Holds the first bytes.
    Unknown(Declared, Vec<u8>),
    Events,
    /// The received part of an answer in one piece. Some gateways do not stream.
    Whole(Vec<u8>),
    /// An answer in one piece that was parsed.
    Read,
    /// Something else. Holds the beginning.
    Other(&'static str, Vec<u8>),
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
        exchange.check_encoding(&response)?;
        let Some(declared) = Declared::of(content_type(&response)) else {
            return Err(unexpected::content(response, &exchange).await);
        };
        let parser = dialect.parser(exchange.request_id(&response));
        Ok(Self {
            status: response.status().as_u16(),
            incoming: Incoming::new(response, exchange.silence),
            exchange,
            form: Form::Unknown(declared, Vec::new()),
            reader: AnswerReader::new(parser),
            closed: None,
            has_text: false,
            has_thinking: false,
            quiet_until: None,
            is_arriving: false,
            first: None,
            end: None,
            drained: false,
        })
    }

    /// Waits for the next delta: at most 90 seconds for the next byte, and at most an hour if only keep-alives come.
    /// `None` means that the answer is complete. After an error, every further call returns that error.
    ///
    /// # Errors
    /// [`ApiError::AnswerCut`] if it ends too early, [`ApiError::Refused`] if the service fails before the text, and
    /// [`ApiError::CutByError`] if it fails within; [`ApiError::EmptyAnswer`] if it has no text, unless it ended at a
    /// stop sequence; [`ApiError::Declined`] and [`ApiError::ContextFull`] if the model does not answer the question,
    /// [`ApiError::InvalidResponse`] if it is not in the API's format.
    pub async fn next(&mut self) -> Result<Option<Delta>> {
        poll_fn(|context| self.poll_delta(context)).await
    }

    /// The next delta that came together with the one before it. `None` if there is none: [`next`](Self::next) then
    /// waits for the next one, or says how the answer ended. A program that writes the text can so do that once for all
    /// that has come.
    pub fn next_received(&mut self) -> Option<Delta> {
        if self.first.is_some() || self.end.is_some() {
            return self.first.take();
        }
        let event = self.reader.next_event(&self.exchange).transpose()?;
        self.delta(event)
    }

    /// Waits for the first bytes of a stream. Does not wait for an answer in one piece.
    pub(crate) async fn wait_for_bytes(&mut self) {
        if !matches!(self.form, Form::Unknown(Declared::Json, _)) {
            let chunk = self.incoming.chunk().await;
            if let Err(error) = self.take_in(chunk) {
                self.end = Some(Err(error));
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
        self.reader.parser.meta()
    }

    /// Polls for the next delta, for [`next`](Self::next) and the stream.
    fn poll_delta(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Delta>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Ok(Some(first)));
        }
        if self.end.is_none() {
            let event = ready!(self.poll_event(context));
            self.quiet_until = None;
            if let Some(delta) = self.delta(event) {
                return Poll::Ready(Ok(Some(delta)));
            }
        }
        Poll::Ready(self.end.clone().unwrap_or(Ok(())).map(|()| None))
    }

    /// The delta of an event. `None` if the answer ends with it.
    fn delta(&mut self, event: Result<StreamEvent>) -> Option<Delta> {
        self.end = Some(match event {
            Ok(StreamEvent::Text(text)) => {
                self.has_text = self.has_text || !text.trim().is_empty();
                return Some(Delta::Text(text));
            }
            Ok(StreamEvent::Thinking(text)) => {
                self.has_thinking = true;
                return Some(Delta::Thinking(text));
            }
            Ok(StreamEvent::Stop | StreamEvent::Nothing) => self.verdict(),
            Err(error) if self.has_text => Err(cut_by(error)),
            Err(error) => Err(error),
        });
        None
    }

    /// The next event that matters: text, thinking or the end.
    fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<Result<StreamEvent>> {
        loop {
            if self.is_arriving {
                match ready!(self.incoming.poll_arrived(context)) {
                    Some(chunk) => {
                        self.is_arriving = matches!(chunk, Ok(Some(_)));
                        self.take_in(chunk)?;
                    }
                    None => self.is_arriving = false,
                }
                continue;
            }
            if let Some(event) = self.reader.next_event(&self.exchange)? {
                return Poll::Ready(Ok(event));
            }
            let is_finished = self.reader.parser.is_finished();
            match &self.closed {
                None if is_finished => self.incoming.silence = self.incoming.silence.min(AFTERWARDS),
                None => {}
                // Only usage figures may be missing.
                Some(_) if is_finished => return Poll::Ready(Ok(self.reader.stop())),
                Some(how) => {
                    let how = how.clone();
                    return Poll::Ready(self.ended(how));
                }
            }
            let quiet_until = *self.quiet_until.get_or_insert_with(|| Instant::now() + QUIET);
            let chunk = ready!(self.incoming.poll_chunk(context));
            self.is_arriving = matches!(chunk, Ok(Some(_)));
            if self.is_arriving && quiet_until <= Instant::now() {
                let minutes = QUIET.as_secs() / 60;
                let reason = format!("only keep-alives came for {minutes} minutes");
                return Poll::Ready(Err(self.exchange.cut(reason)));
            }
            self.take_in(chunk)?;
        }
    }

    /// Takes in the next bytes of the body, or its end.
    fn take_in(&mut self, chunk: std::result::Result<Option<Bytes>, String>) -> Result<()> {
        let bytes = match chunk {
            Ok(Some(bytes)) => bytes,
            ended => {
                self.close(ended.map(|_| ()));
                return Ok(());
            }
        };
        match &mut self.form {
            Form::Events => self.reader.push(&bytes),
            // A gateway may send spaces as keep-alives.
            Form::Whole(body) if body.len() + bytes.len() <= MAX_WHOLE => body.extend_from_slice(&bytes),
            Form::Whole(_) => return Err(self.exchange.too_large()),
            Form::Other(_, body) if body.len() < MAX_BODY => body.extend_from_slice(&bytes),
            Form::Other(..) => self.close(Ok(())),
            Form::Read => {}
            Form::Unknown(declared, start) => {
                start.extend_from_slice(&bytes);
                trim_start(start);
                if let Some(shape) = shape(start) {
                    let (declared, start) = (*declared, mem::take(start));
                    self.decide(shape, declared, start);
                }
            }
        }
        Ok(())
    }

    /// The body ended.
    fn close(&mut self, how: std::result::Result<(), String>) {
        if let Form::Unknown(declared, start) = &mut self.form {
            let (declared, start) = (*declared, mem::take(start));
            // A part of a field's name is a cut stream.
            let shape = if matches!(declared, Declared::Events) { Shape::Events } else { Shape::Other };
            self.decide(shape, declared, start);
        }
        self.reader.close();
        self.closed = Some(how);
    }

    /// Decides how to read a response that begins like this.
    fn decide(&mut self, shape: Shape, declared: Declared, start: Vec<u8>) {
        self.form = match (shape, declared) {
            (Shape::Events, _) => {
                self.reader.push(&start);
                Form::Events
            }
            (Shape::Json, _) | (Shape::Other, Declared::Json) => Form::Whole(start),
            (Shape::Other, Declared::Events) => Form::Other(EVENTS, start),
            (Shape::Other, Declared::Unclear(media_type)) => Form::Other(media_type, start),
        };
    }

    /// The meaning of the end of the body.
    fn ended(&mut self, how: std::result::Result<(), String>) -> Result<StreamEvent> {
        match mem::replace(&mut self.form, Form::Read) {
            Form::Events => {
                self.form = Form::Events;
                how.map_err(|reason| self.exchange.cut(reason))?;
                self.reader.ended(&self.exchange)
            }
            // Complete JSON is an answer even if the connection broke after it.
            Form::Whole(body) => match (self.whole(body), how) {
                (Err(_), Err(reason)) => Err(self.exchange.cut(reason)),
                (read, _) => read,
            },
            Form::Other(media_type, body) => Err(unexpected::body(media_type, &body, &self.exchange)),
            Form::Read | Form::Unknown(..) => Ok(self.reader.stop()),
        }
    }

    /// Checks that the complete answer answers the question.
    fn verdict(&self) -> Result<()> {
        self.reader.parser.verdict(&self.exchange)?;
        let host = self.exchange.host.clone();
        match self.meta().stop_reason.as_deref() {
            // The caller wanted the answer to stop there.
            Some("stop_sequence") => Ok(()),
            _ if self.has_text => Ok(()),
            reason => {
                let reached_limit = reason == Some("max_tokens");
                Err(ApiError::EmptyAnswer { host, thinking: self.has_thinking, reached_limit })
            }
        }
    }

    /// Reads an answer that came in one piece.
    fn whole(&mut self, body: Vec<u8>) -> Result<StreamEvent> {
        self.reader.whole(body, &self.exchange).map_err(|error| match error {
            // An error in one piece has a status, unlike one inside a stream.
            ApiError::Refused(mut refusal) => {
                refusal.status = refusal.status.or(Some(self.status));
                ApiError::Refused(refusal)
            }
            other => other,
        })
    }
}

/// The error of an answer that failed after a part of its text.
fn cut_by(error: ApiError) -> ApiError {
    match error {
        ApiError::Refused(refusal) => ApiError::CutByError(refusal),
        ApiError::InvalidResponse { host, description } => {
            ApiError::AnswerCut { host, reason: format!("it goes on {description}") }
        }
        other => other,
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
