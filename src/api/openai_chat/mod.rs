//! The Chat Completions API (`POST /v1/chat/completions`), which OpenAI began and most gateways speak.

use super::dialect::{self, Dialect, StreamParser, v1};
use super::error::Result;
use super::question::Question;
use super::refusal::Refusal;
use super::spelling::{Respelling, Spelling};
use crate::provider::Url;

mod body;
mod stream;
#[cfg(test)]
mod tests;

const QUESTIONS: &str = "chat/completions";

/// The Chat Completions API.
pub(super) struct ChatCompletions;

impl Dialect for ChatCompletions {
    fn question_url(&self, base: &Url, _question: &Question) -> Url {
        v1(base, QUESTIONS, QUESTIONS)
    }

    fn resource_url(&self, base: &Url, path: &str) -> Url {
        dialect::resource_url(base, QUESTIONS, path)
    }

    fn question_body(&self, question: &Question, spelling: Spelling) -> Result<Vec<u8>> {
        let question = spelling.of_system(question);
        dialect::body(&body::Body::new(&question, spelling), &question.extra)
    }

    fn respell(&self, question: &Question, spelling: Spelling, refusal: &Refusal) -> Respelling {
        spelling.after(refusal, question, |field| body::remedy(field, question, spelling, refusal))
    }

    fn parser(&self, request_id: Option<String>) -> Box<dyn StreamParser> {
        Box::new(stream::Parser::new(request_id))
    }

    fn models_url(&self, base: &Url, _after: Option<&str>) -> Url {
        v1(base, QUESTIONS, "models")
    }
}
