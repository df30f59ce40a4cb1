//! The Chat Completions API (`POST /v1/chat/completions`), the dialect that OpenAI began and most
//! gateways speak: how a question is written in it, and how what comes is read.

pub(super) mod body;
pub(super) mod reading;
#[cfg(test)]
mod tests;
