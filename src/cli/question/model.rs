//! The model of a question: the one that was named, else the configured one, else the newest of the provider's list.

use crate::cli::context::Context;
use crate::cli::error::{CliError, Result};
use crate::cli::nearest::nearest;
use crate::cli::question::PromptInput;
use crate::cli::session::models::saved;
use nexus::error::ApiError;
use nexus::internal::clean::clean;
use nexus::{Client, Error, Message, Model, Part, Question, Role, Session};

/// The maximum length of an answer if neither a flag, the configuration nor the list of models has one, in tokens.
/// Every current model supports it.
const MAX_TOKENS: u32 = 8_192;

/// The list of models that sign-in or `nexus models` saved with the session. It is fetched if no model is named and it
/// has no default model.
///
/// # Errors
/// [`CliError::NoModel`] without a list, or why it could not be fetched.
pub(crate) async fn models(named: bool, client: &Client, session: &Session) -> Result<Vec<Model>> {
    let saved = saved(session).unwrap_or_default();
    if named || client.provider().api.model.is_some() || newest(&saved).is_some() {
        return Ok(saved);
    }
    client.models("", client.load("").await?).await.map_err(without_list)
}

/// The question as it is sent: the input's own settings, then the configured ones, then those of the list.
///
/// # Errors
/// [`CliError::NoModel`] if nothing names a model.
pub(crate) fn question(input: PromptInput, client: &Client, models: &[Model], context: &Context) -> Result<Question> {
    let api = &client.provider().api;
    let named = input.model.as_ref().or(api.model.as_ref());
    let model = named
        .map(|name| api.model_called(name))
        .or_else(|| newest(models).map(|model| model.id.clone()))
        .ok_or_else(|| CliError::NoModel {
            provider: client.provider().name.clone(),
            listed: models.iter().map(|model| clean(&model.id)).collect(),
            unlisted: None,
        })?;
    let limit = models.iter().find(|listed| listed.id == model).and_then(limit);
    let wanted = input.max_tokens.or(api.max_tokens).or(limit).unwrap_or(MAX_TOKENS);
    // The API refuses a larger value.
    let max_tokens = wanted.min(limit.unwrap_or(u32::MAX));
    // The configured value is for all models, so it may be too large for this one without a note.
    if input.max_tokens.is_some_and(|wanted| wanted > max_tokens) {
        context.note(&format!(
            "{model} supports at most {max_tokens} tokens; using that (`nexus models` updates the saved limits)"
        ));
    }
    let messages = vec![Message { role: Role::User, parts: input.parts }];
    let max_tokens_is_default = input.max_tokens.or(api.max_tokens).is_none();
    Ok(Question { model, max_tokens, max_tokens_is_default, system: input.system, messages, ..Question::default() })
}

/// Checks a question against the capabilities that the list has of its model.
///
/// # Errors
/// [`ApiError::UnsupportedByModel`].
pub(crate) fn check_capabilities(question: &Question, models: &[Model]) -> Result<()> {
    let Some(model) = models.iter().find(|listed| listed.id == question.model) else { return Ok(()) };
    let need = |capability: &str, wanted: &str| (capability.to_owned(), wanted.to_owned());
    let effort = question
        .effort
        .iter()
        .flat_map(|level| [need("effort", "--effort"), need(&format!("effort.{level}"), &format!("--effort {level}"))]);
    let schema = question.schema.iter().map(|_| need("structured_outputs", "--schema"));
    let parts = question.messages.iter().flat_map(|message| &message.parts);
    let files = parts.filter_map(|part| match part {
        Part::Image { .. } => Some(need("image_input", "-a and a picture")),
        Part::Pdf { .. } => Some(need("pdf_input", "-a and a PDF")),
        Part::Text(_) | Part::Document { .. } => None,
    });
    match effort.chain(schema).chain(files).find(|(capability, _)| model.cannot.contains(capability)) {
        Some((_, wanted)) => Err(ApiError::UnsupportedByModel { model: question.model.clone(), wanted }.into()),
        None => Ok(()),
    }
}

/// Whether this error says that the model does not exist.
pub(crate) fn is_unknown_model(error: &Error) -> bool {
    matches!(error, Error::Api(ApiError::Refused(refusal)) if refusal.status == Some(404))
}

/// The question for the newest model of a list that is fetched again.
///
/// # Errors
/// `unknown` if the list cannot be fetched or has no other model; [`ApiError::UnsupportedByModel`].
pub(crate) async fn with_newest(
    client: &Client,
    question: Question,
    unknown: Error,
    always_thinking: bool,
) -> Result<Question> {
    let Ok(models) = client.models("", client.load("").await?).await else { return Err(unknown.into()) };
    let Some(model) = newest(&models).filter(|model| model.id != question.model) else { return Err(unknown.into()) };
    let max_tokens = limit(model).map_or(question.max_tokens, |limit| question.max_tokens.min(limit));
    let thinking = question.thinking && (always_thinking || model.thinks_adaptively);
    let question = Question { model: model.id.clone(), max_tokens, thinking, ..question };
    check_capabilities(&question, &models)?;
    Ok(question)
}

/// The error of an unknown model, with the known name that is most similar.
pub(crate) fn suggest(error: Error, model: &str, client: &Client) -> Error {
    match error {
        // Some gateways say 400.
        Error::Api(ApiError::Refused(refusal)) if matches!(refusal.status, Some(400 | 404)) => {
            match similar(model, &known(client)) {
                Some(nearest) => ApiError::NoSuchModel { nearest, refusal }.into(),
                None => ApiError::Refused(refusal).into(),
            }
        }
        other => other,
    }
}

/// A remark on a model that the saved list does not have, such as ` (not in the model list)`. Empty without a list.
pub(crate) fn remark(model: &str, client: &Client) -> String {
    let known = known(client);
    let listed = client.try_load("").and_then(std::result::Result::ok).and_then(|session| saved(&session));
    if listed.is_none_or(|listed| listed.is_empty()) || known.iter().any(|known| known == model) {
        return String::new();
    }
    match similar(model, &known) {
        Some(nearest) => format!(" (not in the model list; did you mean {nearest}?)"),
        None => " (not in the model list)".into(),
    }
}

/// The aliases, and the ids of the saved list.
fn known(client: &Client) -> Vec<String> {
    let session = client.try_load("").and_then(std::result::Result::ok);
    let listed = session.and_then(|session| saved(&session)).unwrap_or_default();
    let aliases = client.provider().api.aliases.keys().cloned();
    aliases.chain(listed.into_iter().map(|model| model.id)).collect()
}

fn similar(model: &str, known: &[String]) -> Option<String> {
    let nearest = nearest(model, known.iter().map(String::as_str))?;
    (nearest != model).then(|| nearest.to_owned())
}

fn without_list(error: Error) -> CliError {
    match error {
        Error::Api(ApiError::NoModelList { provider, refusal }) => {
            CliError::NoModel { provider, listed: Vec::new(), unlisted: Some(refusal) }
        }
        other => other.into(),
    }
}

/// The maximum length of a model's answer, in tokens.
fn limit(model: &Model) -> Option<u32> {
    u32::try_from(model.max_tokens?).ok().filter(|limit| *limit > 0)
}

/// The latest Claude model by its date; without dates the first, as the Messages API lists the newest first. Gateways
/// list models for images and embeddings too, so no other model is a default.
fn newest(models: &[Model]) -> Option<&Model> {
    // Dates in RFC 3339 and UTC sort as text. Of equals, the earlier in the list wins.
    models.iter().filter(|model| model.is_claude).rev().max_by(|one, other| one.created_at.cmp(&other.created_at))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn model(id: &str, created_at: Option<&str>) -> Model {
        let is_claude = !id.starts_with("embed");
        serde_json::from_value(json!({ "id": id, "created_at": created_at, "is_claude": is_claude })).unwrap()
    }

    #[test]
    fn the_newest_model_is_the_latest_or_the_first_listed() {
        let id = |models: &[Model]| newest(models).map(|model| model.id.clone());
        assert_eq!(id(&[]), None);
        assert_eq!(id(&[model("a", None), model("b", None)]).as_deref(), Some("a"));
        let dated = [model("old", Some("2025-01-01T00:00:00Z")), model("new", Some("2026-01-01T00:00:00Z"))];
        assert_eq!(id(&dated).as_deref(), Some("new"));
        let (embeds, claude) = (model("embed-9", Some("2027-01-01T00:00:00Z")), model("anthropic/claude-x", None));
        assert_eq!(id(std::slice::from_ref(&embeds)), None);
        assert_eq!(id(&[embeds, claude]).as_deref(), Some("anthropic/claude-x"));
    }
}
