//! The client of the Messages API and of the Chat Completions API.

mod answer;
mod error;
mod ordered;
mod question;
pub(crate) mod retry;
pub mod sse;

mod anthropic;
mod client;
mod content;
mod dialect;
mod each;
mod excerpt;
mod exchange;
mod incoming;
mod json;
mod meta;
mod model_list;
mod models;
mod openai_chat;
mod reader;
mod refusal;
pub mod replay;
mod shape;
pub(crate) mod spelling;
mod surrogates;
#[cfg(test)]
mod tests;
mod unexpected;

pub use answer::{Answer, Delta};
pub(crate) use client::{ApiClient, credential, headers};
pub use client::{SILENCE, resource_url};
pub use error::ApiError;
pub use meta::{AnswerMeta, Usage};
pub use models::Model;
pub use ordered::Ordered;
pub use question::{Message, Part, Question, Role};
pub use refusal::{Refusal, RefusalReason};
pub use retry::{ProgressEvent, ProgressFn, Retry, RetryPolicy};
