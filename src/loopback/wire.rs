//! A connection as hyper sees it, so that no answer leaves without its headers.
//!
//! A request that cannot be read never reaches us: hyper refuses it in words of its own, which know
//! nothing of what every answer here must carry. They pass through here, and get it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use hyper::Response;
use hyper::header::CONNECTION;
use hyper::rt::{Read, ReadBufCursor, Write};

use super::page;

/// What ends the first line of an answer.
const END: &[u8] = b"\r\n";

/// A connection whose other side has asked for nothing yet as long as `silent` holds.
pub(super) struct Wire<S> {
    stream: S,
    silent: Arc<AtomicBool>,
    /// hyper's own words with our headers, and how far they are sent.
    refusal: Option<(Vec<u8>, usize)>,
}

impl<S> Wire<S> {
    pub(super) fn new(stream: S, silent: Arc<AtomicBool>) -> Self {
        Self { stream, silent, refusal: None }
    }
}

impl<S: Write + Unpin> Wire<S> {
    /// Sends hyper's own words, which always come in one piece, with our headers behind their first
    /// line. It counts as sent when all of it is.
    fn refuse(&mut self, cx: &mut Context<'_>, words: &[u8]) -> Poll<io::Result<usize>> {
        let (refusal, sent) = self.refusal.get_or_insert_with(|| (with_headers(words), 0));
        while *sent < refusal.len() {
            match ready!(Pin::new(&mut self.stream).poll_write(cx, &refusal[*sent..]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => *sent += count,
            }
        }
        self.refusal = None;
        Poll::Ready(Ok(words.len()))
    }
}

fn with_headers(words: &[u8]) -> Vec<u8> {
    let Some(line) = words.windows(END.len()).position(|two| two == END) else { return words.to_vec() };
    let (line, rest) = words.split_at(line + END.len());
    let mut hardened = Response::new(());
    page::harden(&mut hardened, None);
    let mut dressed = line.to_vec();
    // That the connection closes, hyper says itself.
    for (name, value) in hardened.headers().iter().filter(|(name, _)| **name != CONNECTION) {
        dressed.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), END].concat());
    }
    dressed.extend(rest);
    dressed
}

impl<S: Read + Unpin> Read for Wire<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl<S: Write + Unpin> Write for Wire<S> {
    // hyper writes through the vectored form only where `is_write_vectored` says so.
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.silent.load(Ordering::Relaxed) {
            true => self.refuse(cx, bytes),
            false => Pin::new(&mut self.stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
