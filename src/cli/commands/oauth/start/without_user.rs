//! A sign-in where there is nothing to approve.

use super::fetch_models;
use crate::cli::commands::Done;
use crate::cli::context::Context;
use nexus::Client;
use nexus::internal::time;

/// Gets a token once, and reports it.
pub(super) fn run(client: &Client, context: &Context) -> Done {
    let provider = nexus::internal::clean::clean(&client.provider().name);
    let source = client.token_source_name();
    context.say(&format!("There is nothing to click: {provider} gets its tokens from {source}."));
    context.block_on(async {
        let progress = context.progress();
        context.waiting(format!("waiting for a token from {source}"));
        client.check_writable().await?;
        let session = client.fetch_token("").await?;
        drop(progress);
        let left = session.expires_at.map(|at| time::span(at.saturating_sub(session.issued_at)));
        let expires = left.map_or_else(String::new, |left| format!(", which expires in {left}"));
        context.say(&format!("Got a token{expires}"));
        fetch_models(client, &session, context).await;
        Ok(0)
    })
}
