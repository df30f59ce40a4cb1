//! What a question, or the list of models before it, is waiting for.

use std::sync::Arc;

use crate::cli::context::Context;
use nexus::internal::provider::host;
use nexus::{Client, ProgressEvent, ProgressFn};

/// A callback that shows the status. None if the status is not shown.
pub(crate) fn progress_callback(waiting_for: &'static str, client: &Client, context: &Context) -> Option<ProgressFn> {
    if !context.shows_progress() {
        return None;
    }
    let (context, host) = (context.clone(), client.provider().api.url.as_ref().map(host).unwrap_or_default());
    Some(Arc::new(move |event| match event {
        ProgressEvent::WaitingForToken => context.waiting("refreshing the token"),
        ProgressEvent::WaitingForModels => context.waiting("listing the models"),
        ProgressEvent::WaitingForAnswer => context.waiting(format_args!("waiting for {host}")),
        ProgressEvent::WaitingForText => context.waiting(waiting_for),
        ProgressEvent::Retrying(retry) => {
            context.pausing(format_args!("retrying {host}"), retry.wait);
            context.say(&format!("note: {retry}"));
        }
    }))
}
