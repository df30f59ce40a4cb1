//! A connection that adds the security headers to the responses that hyper itself writes.
//!
//! hyper answers malformed requests without calling the service.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use hyper::Response;
use hyper::header::CONNECTION;
use hyper::rt::{Read, ReadBufCursor, Write};

use super::page;

const LINE_END: &[u8] = b"\r\n";

/// A connection. While `idle` is set, the service has not been called, so a response is hyper's own.
pub(super) struct HardenedStream<S> {
    stream: S,
    idle: Arc<AtomicBool>,
    /// hyper's own response with the headers, and how many of its bytes were sent.
    refusal: Option<(Vec<u8>, usize)>,
}

impl<S> HardenedStream<S> {
    pub(super) fn new(stream: S, idle: Arc<AtomicBool>) -> Self {
        Self { stream, idle, refusal: None }
    }
}

impl<S: Write + Unpin> HardenedStream<S> {
    /// Sends hyper's own response, which comes in one piece, with the headers after its first line.
    fn refuse(&mut self, cx: &mut Context<'_>, response: &[u8]) -> Poll<io::Result<usize>> {
        let (refusal, sent) = self.refusal.get_or_insert_with(|| (with_headers(response), 0));
        while *sent < refusal.len() {
            match ready!(Pin::new(&mut self.stream).poll_write(cx, &refusal[*sent..]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => *sent += count,
            }
        }
        self.refusal = None;
        Poll::Ready(Ok(response.len()))
    }
}

fn with_headers(response: &[u8]) -> Vec<u8> {
    let line = response.windows(LINE_END.len()).position(|bytes| bytes == LINE_END);
    let Some(line) = line else { return response.to_vec() };
    let (line, rest) = response.split_at(line + LINE_END.len());
    let mut hardened = Response::new(());
    page::harden(&mut hardened, None);
    let mut bytes = line.to_vec();
    // hyper writes `connection` itself.
    for (name, value) in hardened.headers().iter().filter(|(name, _)| **name != CONNECTION) {
        bytes.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), LINE_END].concat());
    }
    bytes.extend(rest);
    bytes
}

impl<S: Read + Unpin> Read for HardenedStream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl<S: Write + Unpin> Write for HardenedStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.idle.load(Ordering::Relaxed) {
            true => self.refuse(cx, bytes),
            false => Pin::new(&mut self.stream).poll_write(cx, bytes),
        }
    }

    // A stream that writes only one slice at a time makes hyper copy every chunk of a body.
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.idle.load(Ordering::Relaxed) {
            true => self.refuse(cx, &slices.iter().flat_map(|slice| &**slice).copied().collect::<Vec<_>>()),
            false => Pin::new(&mut self.stream).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
