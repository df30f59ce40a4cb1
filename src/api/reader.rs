//! Reads an answer from its bytes, with the parser of its dialect. No I/O.

use serde::de::IgnoredAny;

use super::dialect::StreamParser;
use super::error::Result;
use super::exchange::Exchange;
use super::meta::StreamEvent;
use super::sse::{Decoder, Event, MAX_EVENT, TooLarge};
use super::surrogates::{self, Joiner};

/// An answer as far as it has been read.
pub(super) struct AnswerReader {
    pub(super) parser: Box<dyn StreamParser>,
    decoder: Decoder,
    joiner: Joiner,
    /// The last JSON that was parsed has marked halves of characters.
    is_marked: bool,
    /// An event that comes after the one that was returned.
    next: Option<StreamEvent>,
    /// No more bytes come.
    is_closed: bool,
    /// The bytes ended inside an event.
    is_cut: bool,
}

impl AnswerReader {
    pub(super) fn new(parser: Box<dyn StreamParser>) -> Self {
        Self {
            parser,
            decoder: Decoder::default(),
            joiner: Joiner::default(),
            is_marked: false,
            next: None,
            is_closed: false,
            is_cut: false,
        }
    }

    /// Takes in the next bytes of a stream.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.decoder.push(bytes);
    }

    /// The stream ended. Its last event counts if only the blank line after it is missing.
    pub(super) fn close(&mut self) {
        self.is_closed = true;
    }

    /// The next event of a stream that matters, of those that are complete. `None` if it needs more bytes, or at its
    /// end.
    ///
    /// # Errors
    /// Those of [`StreamParser::event`]; `InvalidResponse` for a too large event.
    pub(super) fn next_event(&mut self, exchange: &Exchange) -> Result<Option<StreamEvent>> {
        loop {
            let Some(event) = self.parse_next(exchange)? else { return Ok(None) };
            match self.join(event) {
                StreamEvent::Nothing => {}
                event => return Ok(Some(event)),
            }
        }
    }

    /// Reads an answer in one piece, up to its first delta. [`next_event`](Self::next_event) gives the others.
    ///
    /// # Errors
    /// Those of [`StreamParser::whole`].
    pub(super) fn whole(&mut self, mut body: Vec<u8>, exchange: &Exchange) -> Result<StreamEvent> {
        let marked = std::str::from_utf8(&body).ok().and_then(surrogates::mark);
        self.is_marked = marked.is_some();
        if let Some(marked) = marked {
            body = marked.into_bytes();
        }
        let event = self.parser.whole(&body, exchange)?;
        // The text may be as long as the body, and is copied to join its halves.
        drop(body);
        match self.join(event) {
            StreamEvent::Nothing => self.next_event(exchange).map(|event| event.unwrap_or_else(|| self.stop())),
            event => Ok(event),
        }
    }

    /// The answer is complete.
    pub(super) fn stop(&mut self) -> StreamEvent {
        self.join(StreamEvent::Stop)
    }

    /// The meaning of the end of the stream.
    ///
    /// # Errors
    /// Those of [`StreamParser::ended`].
    pub(super) fn ended(&mut self, exchange: &Exchange) -> Result<StreamEvent> {
        let between_events = self.decoder.is_between_events() && !self.is_cut;
        self.parser.ended(between_events, exchange).map(|event| self.join(event))
    }

    fn join(&mut self, event: StreamEvent) -> StreamEvent {
        match self.joiner.close_before(&event) {
            Some(replacement) => {
                self.next = Some(event);
                replacement
            }
            None => self.joiner.join(event, self.is_marked),
        }
    }

    fn parse_next(&mut self, exchange: &Exchange) -> Result<Option<StreamEvent>> {
        if let Some(event) = self.next.take().or_else(|| self.parser.held()) {
            return Ok(Some(event));
        }
        let event = match self.decoder.next_event() {
            Ok(Some(event)) => event,
            Ok(None) if !self.is_closed || self.is_cut => return Ok(None),
            Ok(None) => match self.decoder.last_event() {
                Some(event) if is_complete(event) => event,
                last => {
                    self.is_cut = last.is_some();
                    return Ok(None);
                }
            },
            Err(TooLarge) => {
                let limit = MAX_EVENT / 1024 / 1024;
                return Err(exchange.invalid(format!("with an event of more than {limit} MiB")));
            }
        };
        let marked = surrogates::mark(event.data);
        self.is_marked = marked.is_some();
        match marked {
            None => self.parser.event(event, exchange),
            Some(data) => self.parser.event(Event { data: &data, ..event }, exchange).or_else(|_| {
                // An error has no continuation.
                self.parser.event(Event { data: &surrogates::replaced(event.data), ..event }, exchange)
            }),
        }
        .map(Some)
    }
}

/// Whether nothing but the blank line is missing at the end of this event.
fn is_complete(event: Event<'_>) -> bool {
    let data = event.data.trim();
    data == "[DONE]" || event.name == "error" || serde_json::from_str::<IgnoredAny>(data).is_ok()
}
