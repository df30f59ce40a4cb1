//! The body of a response. A gzip body is decoded, because some gateways compress whatever was asked for. A byte order
//! mark at its beginning is dropped, which RFC 8259 (section 8.1) allows for JSON and WHATWG HTML (section 9.2.6) asks
//! for in streams of events.

use std::future::poll_fn;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http_body_util::combinators::BoxBody;
use hyper::body::{Body as _, Bytes};
use hyper::header::{CONTENT_ENCODING, HeaderMap};

use super::gzip::{Gunzip, InvalidGzip, MAGIC};
use super::request::Response;

/// The content codings (RFC 9110, section 8.4.1) that some gateways use and this client cannot decode.
const UNSUPPORTED: &[&str] = &["br", "compress", "dcb", "dcz", "deflate", "x-compress", "zstd"];

/// The content coding of a response that cannot be decoded.
pub(crate) fn unsupported_encoding(headers: &HeaderMap) -> Option<&'static str> {
    let values = headers.get_all(CONTENT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let mut codings = values.flat_map(|value| value.split(',')).map(str::trim);
    codings.find_map(|coding| UNSUPPORTED.iter().find(|name| name.eq_ignore_ascii_case(coding)).copied())
}

/// The byte order mark of UTF-8.
const MARK: &[u8] = "\u{feff}".as_bytes();

/// Why a body ends early.
#[derive(Debug)]
pub(crate) enum BodyError {
    /// The connection failed.
    Connection(hyper::Error),
    /// The body is not valid gzip.
    Gzip,
}

/// The body of a response, as it arrives.
pub(crate) struct Body {
    incoming: BoxBody<Bytes, hyper::Error>,
    form: Form,
    /// The first bytes, while they may be a byte order mark.
    start: Option<Vec<u8>>,
}

/// Whether the body is compressed. Its first bytes decide: some servers and proxies omit or keep the header wrongly.
enum Form {
    /// The first bytes, too few to tell.
    Unknown(Vec<u8>),
    Plain,
    Gzip(Box<Gunzip>),
}

impl From<Response> for Body {
    fn from(response: Response) -> Self {
        Self { incoming: response.into_body(), form: Form::Unknown(Vec::new()), start: Some(Vec::new()) }
    }
}

impl Body {
    /// The next bytes, or `None` at the end.
    ///
    /// # Errors
    /// Why nothing more comes.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, BodyError> {
        poll_fn(|context| self.poll_chunk(context)).await
    }

    /// [`chunk`](Self::chunk) for a caller that polls. A chunk of a gzip body has at most 16 KiB, whatever it
    /// decompresses to, so that callers can limit what they keep.
    pub(crate) fn poll_chunk(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Bytes>, BodyError>> {
        loop {
            let chunk = ready!(self.poll_decoded(context))?;
            let Some(start) = &mut self.start else { return Poll::Ready(Ok(chunk)) };
            let is_end = chunk.is_none();
            start.extend_from_slice(&chunk.unwrap_or_default());
            if !is_end && start.len() < MARK.len() && MARK.starts_with(start) {
                continue;
            }
            let mut start = Bytes::from(self.start.take().unwrap_or_default());
            if start.starts_with(MARK) {
                start = start.slice(MARK.len()..);
            }
            if is_end || !start.is_empty() {
                return Poll::Ready(Ok(Some(start).filter(|start| !start.is_empty())));
            }
        }
    }

    fn poll_decoded(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Bytes>, BodyError>> {
        loop {
            if let Form::Gzip(gunzip) = &mut self.form
                && let Some(bytes) = gunzip.next_chunk().map_err(|InvalidGzip| BodyError::Gzip)?
            {
                return Poll::Ready(Ok(Some(bytes.into())));
            }
            let frame = match ready!(Pin::new(&mut self.incoming).poll_frame(context)) {
                Some(frame) => frame.map_err(BodyError::Connection)?,
                None => {
                    return Poll::Ready(Ok(match &mut self.form {
                        Form::Unknown(start) if !start.is_empty() => Some(mem::take(start).into()),
                        _ => None,
                    }));
                }
            };
            // Trailers are no part of the body.
            let Ok(bytes) = frame.into_data() else { continue };
            match &mut self.form {
                Form::Plain => return Poll::Ready(Ok(Some(bytes))),
                Form::Gzip(gunzip) => gunzip.push(bytes),
                Form::Unknown(start) => {
                    start.extend_from_slice(&bytes);
                    let start = if start.len() < MAGIC.len() && MAGIC.starts_with(start) { continue } else { start };
                    let bytes = Bytes::from(mem::take(start));
                    if !bytes.starts_with(&MAGIC) {
                        self.form = Form::Plain;
                        return Poll::Ready(Ok(Some(bytes)));
                    }
                    let mut gunzip = Gunzip::default();
                    gunzip.push(bytes);
                    self.form = Form::Gzip(Box::new(gunzip));
                }
            }
        }
    }
}
