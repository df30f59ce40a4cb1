//! An answer as far as it has been read, in whichever dialect it comes.

use super::message::{Ending, Step};
use super::sse::Event;
use super::{Peer, completions, message};
use crate::failure::Result;
use crate::provider::Dialect;

/// Hands on to the reader of the dialect.
#[derive(Debug)]
pub(super) enum Reading {
    Message(message::Reading),
    Completion(completions::reading::Reading),
}

use Reading::{Completion, Message};

impl Reading {
    pub(super) fn new(dialect: Dialect, request_id: Option<String>) -> Self {
        match dialect {
            Dialect::Anthropic => Message(message::Reading::new(request_id)),
            Dialect::Openai => Completion(completions::reading::Reading::new(request_id)),
        }
    }

    pub(super) fn ending(&self) -> &Ending {
        match self {
            Message(reading) => &reading.ending,
            Completion(reading) => &reading.ending,
        }
    }

    /// Reads one event of a stream.
    pub(super) fn event(&mut self, event: Event<'_>, peer: &Peer) -> Result<Step> {
        match self {
            Message(reading) => reading.event(event, peer),
            Completion(reading) => reading.event(event, peer),
        }
    }

    /// Reads an answer that came in one piece.
    pub(super) fn whole(&mut self, body: &[u8], peer: &Peer) -> Result<Step> {
        match self {
            Message(reading) => reading.whole(body, peer),
            Completion(reading) => reading.whole(body, peer),
        }
    }

    /// What the last event brought beside what it was read as.
    pub(super) fn held(&mut self) -> Option<Step> {
        match self {
            Message(reading) => reading.held(),
            Completion(reading) => reading.held(),
        }
    }

    /// Whether nothing of the answer is missing, though the stream goes on.
    pub(super) fn is_finished(&self) -> bool {
        match self {
            Message(_) => false,
            Completion(reading) => reading.is_finished(),
        }
    }

    /// What it means that the stream has ended.
    pub(super) fn ended(&self, between_events: bool, peer: &Peer) -> Result<Step> {
        match self {
            Message(reading) => Err(reading.cut(between_events, peer)),
            Completion(reading) => reading.ended(between_events, peer),
        }
    }

    /// Whether what came is an answer, now that it is complete.
    pub(super) fn verdict(&self, peer: &Peer) -> Result<()> {
        match self {
            Message(reading) => reading.verdict(),
            Completion(reading) => reading.verdict(peer),
        }
    }
}
