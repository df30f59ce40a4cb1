//! The Messages API (`POST /v1/messages`).

use super::dialect::{self, Dialect, StreamParser, v1};
use super::error::Result;
use super::question::Question;
use super::refusal::Refusal;
use super::spelling::{Respelling, Spelling};
use crate::provider::Url;

mod body;
mod schema;
mod stream;
#[cfg(test)]
mod tests;

const QUESTIONS: &str = "messages";

/// The largest page of models that the API gives.
const PAGE: &str = "1000";

/// The Messages API.
pub(super) struct Messages;

impl Dialect for Messages {
    fn default_headers(&self) -> &'static [(&'static str, &'static str)] {
        // The one version there is (https://platform.claude.com/docs/en/api/versioning).
        &[("anthropic-version", "2023-06-01")]
    }

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

    fn models_url(&self, base: &Url, after: Option<&str>) -> Url {
        let mut url = v1(base, QUESTIONS, "models");
        url.query_pairs_mut().append_pair("limit", PAGE).extend_pairs(after.map(|id| ("after_id", id)));
        url
    }
}
