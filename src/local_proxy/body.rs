//! The body of a program's request.

use std::pin::Pin;
use std::task::{Context, Poll};

use http_body_util::BodyExt as _;
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};

use crate::http;

/// The largest body that is kept, to be sent again after the API rejected the token, in bytes.
pub(super) const KEPT: usize = 1024 * 1024;

/// The body of a request.
pub(super) enum RequestBody {
    /// All of it.
    Kept(Bytes),
    /// More than [`KEPT`] bytes, passed on as they arrive.
    Streamed(http::RequestBody),
}

impl RequestBody {
    /// Reads a body that can be kept.
    ///
    /// # Errors
    /// The program went away.
    pub(super) async fn read(mut body: Incoming) -> Result<Self, hyper::Error> {
        let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
        if announced > KEPT {
            return Ok(Self::Streamed(http::streamed(body)));
        }
        let mut kept = Vec::with_capacity(announced);
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame?.into_data() else { continue };
            kept.extend_from_slice(&data);
            if kept.len() > KEPT {
                return Ok(Self::Streamed(http::streamed(Rest { begun: Some(kept.into()), body })));
            }
        }
        Ok(Self::Kept(kept.into()))
    }
}

/// A body whose beginning was read.
struct Rest {
    begun: Option<Bytes>,
    body: Incoming,
}

impl Body for Rest {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match self.begun.take() {
            Some(begun) => Poll::Ready(Some(Ok(Frame::data(begun)))),
            None => Pin::new(&mut self.body).poll_frame(context),
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
