//! Scripted responses and failures.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::Response;
use hyper::body::{Body, Bytes, Frame};
use hyper::header::{HeaderName, HeaderValue};
use serde_json::Value;
use tokio::sync::{mpsc, watch};

/// How one request is handled.
#[derive(Debug, Clone)]
pub enum Scripted {
    /// As without a script.
    Normal,
    /// With this answer. Nothing else is done.
    Answer(Answer),
    /// Normally, but only once the gate is open.
    Wait(Gate),
    /// At once, but the response is sent only once the gate is open.
    Paused(Gate),
    /// Normally, but the connection is closed without the response.
    Lose,
    /// Not at all: the connection stays open.
    Hang,
    /// Not at all: the connection is closed.
    Close,
    /// Normally, but the response ends after this many pieces (of a stream: events) as if it were complete.
    Cut(usize),
    /// Normally, but the connection breaks after this many pieces of the body.
    Break(usize),
}

/// An answer. A body of several pieces is sent in chunks.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The header fields.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<Piece>,
}

/// A part of a body, or an event between two parts.
#[derive(Debug, Clone)]
pub enum Piece {
    /// Sends these bytes.
    Bytes(Vec<u8>),
    /// Waits until the gate is open.
    Wait(Gate),
    /// Breaks the connection.
    Break,
    /// Sends nothing more and keeps the connection open.
    Hang,
}

/// A gate that requests wait at until a test opens it.
#[derive(Debug, Clone)]
pub struct Gate(Arc<watch::Sender<GateState>>);

#[derive(Debug, Default)]
struct GateState {
    open: bool,
    arrived: usize,
}

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}

impl Gate {
    /// A closed gate.
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::new(GateState::default())))
    }

    /// Opens the gate for good.
    pub fn open(&self) {
        self.0.send_modify(|state| state.open = true);
    }

    /// Waits until this many requests have arrived at the gate.
    pub async fn arrived(&self, count: usize) {
        let _ = self.0.subscribe().wait_for(|state| state.arrived >= count).await;
    }

    pub(super) async fn pass(&self) {
        self.0.send_modify(|state| state.arrived += 1);
        let _ = self.0.subscribe().wait_for(|state| state.open).await;
    }
}

impl Scripted {
    /// An answer of JSON.
    pub fn json(status: u16, body: &Value) -> Self {
        Self::Answer(Answer::json(status, body))
    }

    /// An answer of any text.
    pub fn text(status: u16, content_type: &str, body: &str) -> Self {
        Self::Answer(Answer::text(status, content_type, body))
    }

    /// A stream of server-sent events from these pieces.
    pub fn stream(body: impl IntoIterator<Item = Piece>) -> Self {
        Self::Answer(Answer::stream(body))
    }

    /// Adds a header field to an answer.
    #[must_use]
    pub fn header(self, name: &str, value: &str) -> Self {
        match self {
            Self::Answer(answer) => Self::Answer(answer.header(name, value)),
            other => other,
        }
    }
}

impl Piece {
    /// Text as a piece.
    pub fn text(text: &str) -> Self {
        Self::Bytes(text.as_bytes().to_vec())
    }

    /// A server-sent event as a piece: its name is its `type`.
    pub fn event(data: &Value) -> Self {
        Self::Bytes(format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap_or_default()).into_bytes())
    }
}

impl Answer {
    /// An answer of JSON.
    pub fn json(status: u16, body: &Value) -> Self {
        Self::text(status, "application/json", &body.to_string())
    }

    /// An answer of any text.
    pub fn text(status: u16, content_type: &str, body: &str) -> Self {
        Self { status, headers: Vec::new(), body: vec![Piece::text(body)] }.header("content-type", content_type)
    }

    /// A stream of server-sent events.
    pub fn stream(body: impl IntoIterator<Item = Piece>) -> Self {
        Self { status: 200, headers: Vec::new(), body: body.into_iter().collect() }
            .header("content-type", "text/event-stream; charset=utf-8")
            .header("cache-control", "no-cache")
    }

    /// Adds a header field.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Keeps this many pieces of bytes, and adds an end.
    pub(super) fn cut(mut self, pieces: usize, end: Option<Piece>) -> Self {
        let mut left = pieces;
        self.body.retain(|piece| {
            let keep = left > 0;
            left -= usize::from(keep && matches!(piece, Piece::Bytes(_)));
            keep
        });
        self.body.extend(end);
        self
    }

    pub(super) fn into_response(self) -> Response<AnyBody> {
        let mut response = match <[Piece; 1]>::try_from(self.body) {
            Ok([Piece::Bytes(whole)]) => boxed(Response::new(Full::new(Bytes::from(whole)))),
            Ok(piece) => Response::new(Pieces::of(piece.into()).boxed_unsync()),
            Err(pieces) => Response::new(Pieces::of(pieces).boxed_unsync()),
        };
        *response.status_mut() = self.status.try_into().unwrap_or_default();
        for (name, value) in &self.headers {
            if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse::<HeaderValue>()) {
                response.headers_mut().append(name, value);
            }
        }
        response
    }
}

/// The type of all bodies.
pub(super) type AnyBody = UnsyncBoxBody<Bytes, Broken>;

pub(super) fn boxed(response: Response<Full<Bytes>>) -> Response<AnyBody> {
    response.map(|body| body.map_err(|never| match never {}).boxed_unsync())
}

/// The body breaks off here.
#[derive(Debug)]
pub(super) struct Broken;

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("broken off as scripted")
    }
}

impl std::error::Error for Broken {}

/// A body that arrives piece by piece.
struct Pieces(mpsc::Receiver<Result<Bytes, Broken>>);

impl Pieces {
    fn of(pieces: Vec<Piece>) -> Self {
        let (sender, receiver) = mpsc::channel(1);
        tokio::spawn(async move {
            // Ends with the last piece, or when the client disconnects.
            tokio::select! {
                () = sender.closed() => {}
                () = feed(pieces, &sender) => {}
            }
        });
        Self(receiver)
    }
}

async fn feed(pieces: Vec<Piece>, sender: &mpsc::Sender<Result<Bytes, Broken>>) {
    for piece in pieces {
        let piece = match piece {
            Piece::Bytes(bytes) => Ok(bytes.into()),
            Piece::Break => Err(Broken),
            Piece::Wait(gate) => {
                gate.pass().await;
                continue;
            }
            Piece::Hang => std::future::pending().await,
        };
        if sender.send(piece).await.is_err() {
            return;
        }
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        self.0.poll_recv(cx).map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }
}
