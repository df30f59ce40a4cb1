//! Conversations as JSON and as Markdown.

use serde_json::{Value, json};

use super::store::Found;
use super::{Conversation, State, Turn};
use nexus::Role;
use nexus::internal::time;

/// A conversation as JSON, without its turns.
pub(crate) fn summary(conversation: &Conversation) -> Value {
    json!({
        "id": conversation.id,
        "title": conversation.title,
        "provider": conversation.provider,
        "model": conversation.model,
        "system": conversation.system,
        "created_at": time::rfc3339(conversation.created_at),
        "updated_at": time::rfc3339(conversation.updated_at),
    })
}

/// A conversation as JSON, with its turns.
pub(crate) fn object(conversation: &Conversation, turns: &[Turn]) -> Value {
    let mut object = summary(conversation);
    object["turns"] = turns
        .iter()
        .map(|turn| {
            json!({
                "role": turn.role.as_str(),
                "text": turn.text,
                "state": turn.state.as_str(),
                "model": turn.model,
                "stop_reason": turn.stop_reason,
                "usage": turn.usage,
                "request_id": turn.request_id,
                "at": time::rfc3339(turn.at),
            })
        })
        .collect();
    object
}

/// A match as JSON.
pub(crate) fn found(found: &Found) -> Value {
    json!({
        "conversation": found.conversation.id,
        "title": found.conversation.title,
        "role": found.role.as_str(),
        "at": time::rfc3339(found.at),
        "excerpt": found.excerpt,
    })
}

/// A conversation as Markdown.
pub(crate) fn markdown(conversation: &Conversation, turns: &[Turn]) -> String {
    let Conversation { id, title, provider, model, system, created_at, .. } = conversation;
    let id = if id.is_empty() { String::new() } else { format!("{id}, ") };
    let mut text = format!("# {title}\n\n{id}{}, {model} at {provider}\n", time::rfc3339(*created_at));
    if let Some(system) = system {
        section(&mut text, "System", system);
    }
    for turn in turns {
        section(&mut text, &heading(turn), &turn.text);
    }
    text
}

/// Whose turn it is, and how it ended.
pub(super) fn heading(turn: &Turn) -> String {
    let speaker = match turn.role {
        Role::User => "You",
        Role::Assistant => turn.model.as_deref().unwrap_or("Answer"),
    };
    match turn.state {
        State::Whole => speaker.to_owned(),
        State::Cut => format!("{speaker} (cut off)"),
        State::Refused => format!("{speaker} (declined)"),
        State::Replaced => format!("{speaker} (replaced)"),
    }
}

fn section(text: &mut String, heading: &str, body: &str) {
    text.push_str(&format!("\n## {heading}\n\n{}\n", body.trim_end()));
}
