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
            let mut object = json!({
                "role": turn.role.as_str(),
                "text": turn.text,
                "state": turn.state.as_str(),
                "model": turn.model,
                "stop_reason": turn.stop_reason,
                "usage": turn.usage,
                "request_id": turn.request_id,
                "at": time::rfc3339(turn.at),
            });
            if let Some(why) = &turn.failure {
                object["failure"] = why.as_str().into();
            }
            object
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
    for entry in entries(turns) {
        match entry {
            Entry::Turn(turn) => section(&mut text, &heading(turn), &turn.text),
            Entry::NoAnswer(why) => section(&mut text, NO_ANSWER, why),
        }
    }
    text
}

/// The heading in place of an answer that did not come.
pub(super) const NO_ANSWER: &str = "No answer";

/// A part of a conversation as it is shown.
pub(super) enum Entry<'a> {
    Turn(&'a Turn),
    /// No answer came to the question before. Empty if it is not known why.
    NoAnswer(&'a str),
}

/// The parts of a conversation.
pub(super) fn entries(turns: &[Turn]) -> impl Iterator<Item = Entry<'_>> {
    turns.iter().enumerate().flat_map(|(at, turn)| {
        let is_answer = |turn: &Turn| turn.role == Role::Assistant;
        let is_answered = is_answer(turn) || turns.get(at + 1).is_some_and(is_answer);
        let missing = (!is_answered).then(|| Entry::NoAnswer(turn.failure.as_deref().unwrap_or_default()));
        [Some(Entry::Turn(turn)), missing].into_iter().flatten()
    })
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
    text.push_str(&format!("\n## {heading}\n"));
    if !body.trim_end().is_empty() {
        text.push_str(&format!("\n{}\n", body.trim_end()));
    }
}
