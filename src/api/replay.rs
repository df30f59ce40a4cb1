//! Reads the bytes of a streamed answer without a network, for the unit tests, the properties and the fuzz targets.

use std::time::Duration;

use hyper::header::HeaderMap;

use super::client;
use super::dialect::StreamParser;
use super::error::ApiError;
use super::exchange::Exchange;
use super::meta::{AnswerMeta, StreamEvent};
use super::reader::AnswerReader;
use crate::provider::{Dialect, Url};
use crate::secret::AccessToken;

/// What was read from a stream.
#[derive(Debug, Default, PartialEq)]
pub struct Replayed {
    /// The text of the answer.
    pub text: String,
    /// The thinking.
    pub thinking: String,
    /// Whether the answer ended as a whole answer does.
    pub complete: bool,
    /// Why the stream is no whole answer.
    pub failure: Option<ApiError>,
    /// What was told about the answer.
    pub meta: AnswerMeta,
    /// Why the answer does not answer the question.
    pub verdict: Option<ApiError>,
}

/// Reads a stream of this API, in these chunks. Secrets are not redacted.
///
/// # Errors
/// If the exchange cannot be set up.
pub fn replay<'a>(
    dialect: Dialect,
    chunks: impl IntoIterator<Item = &'a [u8]>,
) -> std::result::Result<Replayed, url::ParseError> {
    let url = Url::parse("https://llm.example.com/")?;
    let exchange = Exchange::new(&url, &AccessToken::new(String::new()), &HeaderMap::new(), Duration::MAX);
    Ok(read(client::dialect(dialect).parser(None), chunks, &exchange))
}

pub(super) fn read<'a>(
    parser: Box<dyn StreamParser>,
    chunks: impl IntoIterator<Item = &'a [u8]>,
    exchange: &Exchange,
) -> Replayed {
    let (mut reader, mut replayed) = (AnswerReader::new(parser), Replayed::default());
    let mut chunks = chunks.into_iter();
    let mut is_closed = false;
    while !replayed.complete && replayed.failure.is_none() {
        let event = match reader.next_event(exchange) {
            Ok(None) if is_closed => reader.ended(exchange),
            Ok(None) => {
                match chunks.next() {
                    Some(chunk) => reader.push(chunk),
                    None => {
                        reader.close();
                        is_closed = true;
                    }
                }
                continue;
            }
            event => event.map(|event| event.unwrap_or(StreamEvent::Nothing)),
        };
        match event {
            Ok(StreamEvent::Text(text)) => replayed.text += &text,
            Ok(StreamEvent::Thinking(text)) => replayed.thinking += &text,
            Ok(StreamEvent::Stop) => replayed.complete = true,
            Ok(StreamEvent::Nothing) => {}
            Err(failure) => replayed.failure = Some(failure),
        }
    }
    replayed.verdict = reader.parser.verdict(exchange).err();
    replayed.meta = reader.parser.meta().clone();
    replayed
}
