//! The body of a response, with a time limit for each read.

use std::error::Error;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::body::Bytes;
use reqwest::Response;
use tokio::time::{Sleep, sleep};

use crate::http::{self, Body, BodyError};

/// The body of a response.
pub(super) struct Incoming {
    body: Body,
    /// The time limit until the next bytes.
    pub(super) silence: Duration,
    /// Runs while bytes are waited for.
    timer: Option<Pin<Box<Sleep>>>,
}

impl Incoming {
    pub(super) fn new(response: Response, silence: Duration) -> Self {
        Self { body: Body::from(response), silence, timer: None }
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
            let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(self.silence)));
            ready!(timer.as_mut().poll(context));
            self.timer = None;
            return Poll::Ready(Err(format!("nothing came for {} seconds", self.silence.as_secs())));
        };
        self.timer = None;
        Poll::Ready(chunk.map_err(|error| match error {
            BodyError::Connection(error) => broken_off(&error.without_url()),
            BodyError::Gzip => "its gzip encoding is invalid".into(),
        }))
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
