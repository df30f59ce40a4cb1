//! One question, and the answer as it comes.

use std::time::Duration;

use reqwest::{Method, Response};
use serde::Serialize;
use tokio::time::{Instant, timeout};

use super::body::Body;
use super::completions::body as completion;
use super::message::{Ending, Step};
use super::question::Question;
use super::reading::Reading;
use super::sse::{Decoder, MAX_EVENT, TooLarge};
use super::{Client, Peer, content_type, is_json, request, request_id};
use crate::failure::{Failure, Result};
use crate::provider::Dialect;
use crate::secret::AccessToken;

/// How long a whole answer is waited for to be followed by its figures, or by its end.
const AFTERWARDS: Duration = Duration::from_secs(5);

/// How long an answer may consist of signs of life alone: longer than the longest thinking that is not shown, as 128
/// thousand tokens at 40 a second are 53 minutes of pings.
const QUIET: Duration = Duration::from_secs(3_600);

/// The most text of one answer that is kept in memory, in bytes: many times what any model writes at once.
const MAX_COLLECTED: usize = 64 * 1024 * 1024;

#[cfg(test)]
mod tests;

/// A part of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// The next of its text.
    Text(String),
    /// The next of what the model thinks before it answers, where the service shows that.
    Thinking(String),
}

impl Client<'_> {
    /// Asks, and returns as soon as the service begins to answer, before any text. It may take five
    /// minutes to begin, for a gateway that does not stream is silent while the model thinks.
    ///
    /// # Errors
    /// [`Failure::Refused`] with what the service says, [`Failure::Unreachable`] where there is no
    /// answer, [`Failure::Nonsense`] where it is neither a stream of events nor JSON.
    pub async fn ask(&self, token: &AccessToken, question: &Question) -> Result<Answer> {
        if self.dialect == Dialect::Anthropic {
            return self.asked(token, &Body::of(question)).await;
        }
        let mut style = completion::Style::default();
        loop {
            match self.asked(token, &completion::Body::of(question, style)).await {
                Err(Failure::Refused(refusal)) => {
                    style = style.after(&refusal).ok_or(Failure::Refused(refusal))?;
                }
                asked => return asked,
            }
        }
    }

    async fn asked(&self, token: &AccessToken, question: &(impl Serialize + Sync)) -> Result<Answer> {
        let body = serde_json::to_vec(question)
            .map_err(|error| Failure::System { sentence: format!("writing the question: {error}") })?;
        let url = self.url(self.dialect.resource());
        let (response, peer) = self.send(token, request(Method::POST, url, "text/event-stream", Some(body))).await?;
        let kind = content_type(&response);
        let form = if kind.eq_ignore_ascii_case("text/event-stream") {
            Form::Events(Decoder::default())
        } else if is_json(kind) {
            Form::Whole
        } else {
            return Err(peer.unexpected(response).await);
        };
        let reading = Reading::new(self.dialect, request_id(&response, &peer));
        Ok(Answer { response, peer, form, reading, quiet_until: None, first: None, end: None })
    }
}

/// An answer on its way. Dropping it hangs up.
pub struct Answer {
    response: Response,
    peer: Peer,
    form: Form,
    reading: Reading,
    /// When it has said nothing for too long; set while it is waited for.
    quiet_until: Option<Instant>,
    /// What came first, until it is asked for.
    first: Option<Piece>,
    end: Option<Result<()>>,
}

fn quiet(peer: &Peer) -> Failure {
    peer.cut(format!("nothing but signs of life came for {} minutes", QUIET.as_secs() / 60))
}

/// How the answer comes.
enum Form {
    Events(Decoder),
    /// In one piece: some gateways do not stream, whatever they are asked.
    Whole,
    /// It was in one piece and has been read.
    Read,
}

impl Answer {
    /// Waits for the next piece, at most 90 seconds from one byte to the next, and at most an hour where these are
    /// signs of life alone. None only when the
    /// answer is complete; a failure before that stays the answer to every further call, so that
    /// half an answer never passes for a whole one.
    ///
    /// # Errors
    /// [`Failure::AnswerCut`] where it ends too early, [`Failure::Refused`] where the service gives
    /// up, [`Failure::Declined`] and [`Failure::ContextFull`] where what came is no answer,
    /// [`Failure::Nonsense`] where it is none of the API's.
    pub async fn next(&mut self) -> Result<Option<Piece>> {
        if let Some(first) = self.first.take() {
            return Ok(Some(first));
        }
        if self.end.is_none() {
            self.quiet_until = Some(Instant::now() + QUIET);
            self.end = Some(match self.step().await {
                Ok(Step::Text(text)) => return Ok(Some(Piece::Text(text))),
                Ok(Step::Thinking(text)) => return Ok(Some(Piece::Thinking(text))),
                Ok(Step::Stop | Step::Nothing) => self.reading.verdict(&self.peer),
                Err(failure) => Err(failure),
            });
        }
        self.end.clone().unwrap_or(Ok(())).map(|()| None)
    }

    /// Waits until a stream's first bytes are there, whatever they will mean. An answer in one piece
    /// is not a stream: its head is all that comes before it is whole.
    pub async fn hear(&mut self) {
        if let Form::Events(decoder) = &mut self.form {
            match self.peer.chunk(&mut self.response).await {
                Ok(Some(bytes)) => decoder.push(bytes.as_ref()),
                Ok(None) => {}
                Err(failure) => self.end = Some(Err(failure)),
            }
        }
    }

    /// Waits for the first piece, which [`next`](Self::next) gives.
    ///
    /// # Errors
    /// Those of [`next`](Self::next), which goes on to have them.
    pub async fn begin(&mut self) -> Result<()> {
        self.first = self.next().await?;
        Ok(())
    }

    /// All of its text from here on; what the model thought is left out.
    ///
    /// # Errors
    /// Those of [`next`](Self::next), and [`Failure::TooLong`] above 64 MiB; what came until then is no answer.
    pub async fn text(&mut self) -> Result<String> {
        let mut text = String::new();
        while let Some(piece) = self.next().await? {
            if let Piece::Text(piece) = piece {
                self.collect(&mut text, &piece)?;
            }
        }
        Ok(text)
    }

    /// Puts a piece of text behind the others.
    ///
    /// # Errors
    /// [`Failure::TooLong`] where that is more than anybody should keep in memory: 64 MiB.
    pub fn collect(&self, text: &mut String, piece: &str) -> Result<()> {
        if text.len() + piece.len() > MAX_COLLECTED {
            let limit = MAX_COLLECTED / 1024 / 1024;
            return Err(Failure::TooLong { host: self.peer.host.clone(), limit });
        }
        text.push_str(piece);
        Ok(())
    }

    /// Lets go of an answer whose connection the next question could use, for which it has to be read
    /// to its very end: a stream's last event is not its last byte. Waits no longer than this.
    pub async fn release(mut self, limit: Duration) {
        let rest = async { while let Ok(Some(_)) = self.response.chunk().await {} };
        let _ = timeout(limit, rest).await;
    }

    /// What is known of how it ended; everything once [`next`](Self::next) has said none.
    pub fn ending(&self) -> &Ending {
        self.reading.ending()
    }

    /// The next thing that matters: text, thinking or the end.
    async fn step(&mut self) -> Result<Step> {
        if let Some(held) = self.reading.held() {
            return Ok(held);
        }
        match &mut self.form {
            Form::Events(decoder) => loop {
                match decoder.next_event() {
                    Ok(Some(event)) => {
                        let step = self.reading.event(event, &self.peer)?;
                        if self.reading.is_finished() {
                            self.peer.silence = self.peer.silence.min(AFTERWARDS);
                        }
                        if step != Step::Nothing {
                            return Ok(step);
                        }
                    }
                    Ok(None) => match self.peer.chunk(&mut self.response).await {
                        Ok(Some(_)) if self.quiet_until.is_some_and(|until| until <= Instant::now()) => {
                            return Err(quiet(&self.peer));
                        }
                        Ok(Some(bytes)) => decoder.push(bytes.as_ref()),
                        Ok(None) => return self.reading.ended(decoder.is_between_events(), &self.peer),
                        // What follows a whole answer is figures at best.
                        Err(_) if self.reading.is_finished() => return Ok(Step::Stop),
                        Err(failure) => return Err(failure),
                    },
                    Err(TooLarge) => {
                        let limit = MAX_EVENT / 1024 / 1024;
                        return Err(self.peer.nonsense(format!("with an event of more than {limit} MiB")));
                    }
                }
            },
            Form::Whole => {
                // A gateway may send spaces until it has something to say.
                let body = timeout(QUIET, self.peer.whole(&mut self.response)).await;
                let body = body.unwrap_or_else(|_| Err(quiet(&self.peer)))?;
                self.form = Form::Read;
                self.reading.whole(&body, &self.peer).map_err(|failure| match failure {
                    // It came instead of an answer, not in the middle of one.
                    Failure::Refused(mut refusal) => {
                        refusal.status = refusal.status.or(Some(self.response.status().as_u16()));
                        Failure::Refused(refusal)
                    }
                    other => other,
                })
            }
            Form::Read => Ok(Step::Stop),
        }
    }
}
