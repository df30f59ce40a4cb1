//! The body of a response, with a time limit for each read.

use std::error::Error;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::body::Bytes;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::http::{self, Body, BodyError, Response};

/// How many bytes are handed over at once. A server that sends faster than they are used must not fill the memory.
const MAX_ARRIVED: usize = 64 * 1024;

/// The body of a response.
pub(super) struct Incoming {
    body: Body,
    /// The bytes that were handed over since they were last waited for.
    arrived: usize,
    /// The connection has been given the time to hand over what else has arrived.
    has_yielded: bool,
    /// The time limit until the next bytes.
    pub(super) silence: Duration,
    /// Since when bytes are waited for.
    waiting_since: Option<Instant>,
    /// Set for an earlier wait or for this one, because bytes come far more often than it runs out.
    timer: Option<Pin<Box<Sleep>>>,
}

impl Incoming {
    pub(super) fn new(response: Response, silence: Duration) -> Self {
        Self { body: Body::from(response), arrived: 0, has_yielded: false, silence, waiting_since: None, timer: None }
    }

    /// The next bytes, or `None` at the end.
    ///
    /// # Errors
    /// Why nothing more comes, as the end of a sentence.
    pub(super) async fn chunk(&mut self) -> Result<Option<Bytes>, String> {
        poll_fn(|context| self.poll_chunk(context)).await
    }

    /// [`chunk`](Self::chunk) for a caller that polls.
    pub(super) fn poll_chunk(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Bytes>, String>> {
        let Poll::Ready(chunk) = self.body.poll_chunk(context) else {
            ready!(self.poll_silence(context));
            return Poll::Ready(Err(format!("nothing came for {} seconds", self.silence.as_secs())));
        };
        self.waiting_since = None;
        self.arrived = 0;
        Poll::Ready(self.hand_over(chunk))
    }

    /// The next bytes of those that have arrived with the last chunk, or the end. `None` if there are none, or if there
    /// is enough to do. Does not wait for the server.
    pub(super) fn poll_arrived(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Option<Bytes>, String>>> {
        if self.arrived >= MAX_ARRIVED {
            return Poll::Ready(None);
        }
        match self.body.poll_chunk(context) {
            Poll::Ready(chunk) => Poll::Ready(Some(self.hand_over(chunk))),
            Poll::Pending if self.has_yielded => Poll::Ready(None),
            Poll::Pending => {
                // The task of the connection hands over one chunk each time it runs.
                self.has_yielded = true;
                context.waker().wake_by_ref();
                Poll::Pending
            }
        }
    }

    fn hand_over(&mut self, chunk: Result<Option<Bytes>, BodyError>) -> Result<Option<Bytes>, String> {
        self.has_yielded = false;
        self.arrived += chunk.as_ref().ok().and_then(Option::as_ref).map_or(0, Bytes::len);
        chunk.map_err(|error| match error {
            BodyError::Connection(error) => broken_off(&error),
            BodyError::Gzip => "its gzip encoding is invalid".into(),
        })
    }

    /// Waits for the end of the time limit.
    fn poll_silence(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let end = *self.waiting_since.get_or_insert_with(Instant::now) + self.silence;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(end)));
        // The limit may have become shorter.
        if timer.deadline() > end {
            timer.as_mut().reset(end);
        }
        while timer.as_mut().poll(context).is_ready() {
            if timer.deadline() >= end {
                return Poll::Ready(());
            }
            timer.as_mut().reset(end);
        }
        Poll::Pending
    }
}

/// Why a body broke off.
fn broken_off(error: &(dyn Error + 'static)) -> String {
    let mut causes = std::iter::successors(Some(error), |error| (*error).source());
    let is_end = |cause: &(dyn Error + 'static)| {
        cause.downcast_ref::<io::Error>().is_some_and(|cause| cause.kind() == io::ErrorKind::UnexpectedEof)
    };
    if causes.any(is_end) { "the connection broke".into() } else { http::reason(error) }
}
