//! Whom to ask and how: what is said on the command line, and for what is not said the template, the
//! configuration, then what the server listed.

use crate::cli::commands::chat::Args;
use crate::cli::commands::chat::asked::Asked;
use crate::cli::commands::chat::object::{self, Form};
use crate::cli::commands::chat::output;
use crate::cli::commands::chat::schema::Schema;
use crate::cli::context::Context;
use crate::cli::error::{CliError, Result};
use crate::cli::nearest::nearest;
use nexus::{ApiError, Client, Dialect, Error, Message, Model, Part, Question, RetryPolicy, Role, Session};

/// The longest answer where neither the person nor the server names one, in tokens. Every model
/// that is served today can write as much.
const MAX_TOKENS: u32 = 8_192;

/// The question as it is sent.
///
/// # Errors
/// [`CliError::NoModel`] where nothing names a model, [`ApiError::UnsupportedByModel`] where the model is known not to do what is
/// asked of it, and why the models could not be listed where that was needed.
pub(super) async fn question(
    args: &Args,
    asked: Asked,
    schema: Option<&Schema>,
    (client, seen): (&Client, &Session),
    context: &Context,
) -> Result<Question> {
    let model = args.model.clone().or(asked.model);
    let asked = Asked { model, max_tokens: args.max_tokens.or(asked.max_tokens), ..asked };
    let listed = models(asked.model.is_some(), client, seen).await?;
    let question = settled(asked, client, &listed, context)?;
    // Only newer models know how to show what they think, and the others would refuse to.
    let thinks = listed.iter().any(|listed| listed.id == question.model && listed.thinks_adaptively);
    if args.thinking && !thinks && client.provider().api.dialect == Dialect::Anthropic {
        let model = &question.model;
        context.note(&format!("no list says that {model} shows what it thinks, so it is not asked to (--thinking)"));
    }
    let schema = schema.map(Schema::value);
    let question = Question { effort: args.effort.clone(), thinking: args.thinking && thinks, schema, ..question };
    able(&question, &listed)?;
    Ok(question)
}

/// Holds what a question needs against what the list says of its model. Where the list says nothing, the service will.
///
/// # Errors
/// [`ApiError::UnsupportedByModel`].
fn able(question: &Question, listed: &[Model]) -> Result<()> {
    let Some(model) = listed.iter().find(|listed| listed.id == question.model) else { return Ok(()) };
    let need = |capability: &str, wanted: &str| (capability.to_owned(), wanted.to_owned());
    let of_effort = question
        .effort
        .iter()
        .flat_map(|level| [need("effort", "--effort"), need(&format!("effort.{level}"), &format!("--effort {level}"))]);
    let of_schema = question.schema.iter().map(|_| need("structured_outputs", "--schema"));
    let parts = question.messages.iter().flat_map(|message| &message.parts);
    let of_files = parts.filter_map(|part| match part {
        Part::Image { .. } => Some(need("image_input", "-a and a picture")),
        Part::Pdf { .. } => Some(need("pdf_input", "-a and a PDF")),
        Part::Text(_) | Part::Document { .. } => None,
    });
    let mut needs = of_effort.chain(of_schema).chain(of_files);
    match needs.find(|(capability, _)| model.cannot.contains(capability)) {
        Some((_, wanted)) => Err(ApiError::UnsupportedByModel { model: question.model.clone(), wanted }.into()),
        None => Ok(()),
    }
}

/// What is known of the models, where it matters.
async fn models(named: bool, client: &Client, seen: &Session) -> Result<Vec<Model>> {
    match listed(seen) {
        // The list could not be had at sign-in; it is asked for once, where nothing else names a model.
        None if !named && client.provider().api.model.is_none() => {
            client.models("", client.load("").await?).await.map_err(unnamed)
        }
        listed => Ok(listed.unwrap_or_default()),
    }
}

/// The same for a batch, whose lines may name models themselves.
///
/// # Errors
/// Why the models could not be listed.
pub(super) async fn models_for_batch(named: bool, client: &Client, seen: &Session) -> Result<Vec<Model>> {
    match models(named, client, seen).await {
        Err(CliError::NoModel { .. }) => Ok(Vec::new()),
        models => models,
    }
}

/// The question as it is sent: what it says itself, then the configuration, then the list.
///
/// # Errors
/// [`CliError::NoModel`] where nothing names a model.
pub(super) fn settled(asked: Asked, client: &Client, listed: &[Model], context: &Context) -> Result<Question> {
    let api = &client.provider().api;
    let named = asked.model.as_ref().or(api.model.as_ref());
    let model = named
        .map(|name| api.model_called(name))
        .or_else(|| newest(listed).map(|model| model.id.clone()))
        .ok_or_else(|| CliError::NoModel { provider: client.provider().name.clone(), unlisted: None })?;
    let longest = listed.iter().find(|listed| listed.id == model).and_then(longest);
    let wanted = asked.max_tokens.or(api.max_tokens).or(longest).unwrap_or(MAX_TOKENS);
    // It is a bound, so less keeps it; the service would rather refuse.
    let max_tokens = wanted.min(longest.unwrap_or(u32::MAX));
    // What is configured is for every model, and nobody's word about this one.
    if asked.max_tokens.is_some_and(|asked| asked > max_tokens) {
        let bound = format!("{model} writes {max_tokens} tokens at most, so it is asked for no more");
        context.note(&format!("{bound}; `nexus models` asks anew what it can"));
    }
    let messages = vec![Message { role: Role::User, parts: asked.parts }];
    Ok(Question { model, max_tokens, system: asked.system, messages, ..Question::default() })
}

/// The longest answer that a model writes, in tokens, where the list says so.
fn longest(model: &Model) -> Option<u32> {
    u32::try_from(model.max_tokens?).ok().filter(|longest| *longest > 0)
}

/// Whether anybody but nexus chose the model.
pub(super) fn is_named(args: &Args, asked: &Asked, client: &Client) -> bool {
    args.model.is_some() || asked.model.is_some() || client.provider().api.model.is_some()
}

/// Whether a failure says that there is no such model any more.
pub(super) fn is_gone(error: &Error) -> bool {
    matches!(error, Error::Api(ApiError::Refused(refusal)) if refusal.status == Some(404))
}

/// A refusal that says that there is no such model, with the name that may be meant.
pub(super) fn misnamed(error: Error, model: &str, client: &Client) -> Error {
    match error {
        Error::Api(ApiError::Refused(refusal)) if refusal.status == Some(404) => match near(model, &known(client)) {
            Some(nearest) => ApiError::NoSuchModel { nearest, refusal }.into(),
            None => ApiError::Refused(refusal).into(),
        },
        other => other,
    }
}

/// What there is to say against a model that somebody names, as the end of a message: that the list does
/// not have it, and what may be meant. Where there is no list, nothing.
pub(super) fn doubt(model: &str, client: &Client) -> String {
    let known = known(client);
    let listed = client
        .try_load("")
        .and_then(std::result::Result::ok)
        .is_some_and(|seen| listed(&seen).is_some_and(|listed| !listed.is_empty()));
    match (listed && !known.iter().any(|known| known == model), near(model, &known)) {
        (false, _) => String::new(),
        (true, Some(nearest)) => format!(", which the list of models does not have: did you mean {nearest}?"),
        (true, None) => ", which the list of models does not have".into(),
    }
}

/// The names that a model may be called by: the aliases, and what the list has.
fn known(client: &Client) -> Vec<String> {
    let listed =
        client.try_load("").and_then(std::result::Result::ok).and_then(|seen| listed(&seen)).unwrap_or_default();
    let aliases = client.provider().api.aliases.keys().cloned();
    aliases.chain(listed.into_iter().map(|model| model.id)).collect()
}

/// The name that is almost this one, unless this one is known.
fn near(model: &str, known: &[String]) -> Option<String> {
    let nearest = nearest(model, known.iter().map(String::as_str))?;
    (nearest != model).then(|| nearest.to_owned())
}

/// The same question to the model that is the newest now, the list being asked for anew.
///
/// # Errors
/// The failure that is given, where there is no other model to ask; [`ApiError::UnsupportedByModel`].
pub(super) async fn anew(client: &Client, question: Question, gone: Error) -> Result<Question> {
    let Ok(listed) = client.models("", client.load("").await?).await else { return Err(gone.into()) };
    let Some(model) = newest(&listed).filter(|model| model.id != question.model) else { return Err(gone.into()) };
    let max_tokens = longest(model).map_or(question.max_tokens, |longest| question.max_tokens.min(longest));
    let thinking = question.thinking && model.thinks_adaptively;
    let question = Question { model: model.id.clone(), max_tokens, thinking, ..question };
    able(&question, &listed)?;
    Ok(question)
}

/// What it means for a question that there is no list to take a model from.
fn unnamed(error: Error) -> CliError {
    match error {
        Error::Api(ApiError::NoModelList { provider, refusal }) => {
            CliError::NoModel { provider, unlisted: Some(refusal) }
        }
        other => other.into(),
    }
}

/// How long and how often a busy service is asked.
pub(super) fn retry_policy(args: &Args, form: Form, client: &Client, context: &Context) -> RetryPolicy {
    let progress = match form {
        Form::StreamJson => Some(object::retries(context)),
        Form::Text | Form::Json => output::waits(output::awaited(form, args.schema.is_some()), client, context),
    };
    RetryPolicy { retries: args.retries, deadline: args.deadline, progress, ..RetryPolicy::default() }
}

/// A batch tries again by itself.
pub(super) fn single_try(args: &Args) -> RetryPolicy {
    RetryPolicy { retries: 0, deadline: args.deadline, ..RetryPolicy::default() }
}

/// The list that sign-in or `nexus models` kept beside the session.
fn listed(session: &Session) -> Option<Vec<Model>> {
    serde_json::from_str(session.models.as_deref()?).ok()
}

/// The latest by its date; where no dates are given, the first, as the Messages API lists them. A
/// gateway lists what draws and what embeds beside what answers, so Claude goes before all of them.
fn newest(listed: &[Model]) -> Option<&Model> {
    let is_claude = |model: &Model| model.id.contains("claude");
    // RFC 3339 in UTC sorts as text; of equals the earlier in the list wins.
    listed
        .iter()
        .rev()
        .max_by(|one, other| is_claude(one).cmp(&is_claude(other)).then_with(|| one.created_at.cmp(&other.created_at)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn model(id: &str, created_at: Option<&str>) -> Model {
        serde_json::from_value(json!({ "id": id, "created_at": created_at })).unwrap()
    }

    #[test]
    fn the_newest_model_is_the_latest_or_the_first_listed() {
        let id = |listed: &[Model]| newest(listed).map(|model| model.id.clone());
        assert_eq!(id(&[]), None);
        assert_eq!(id(&[model("a", None), model("b", None)]).as_deref(), Some("a"));
        let dated = [model("old", Some("2025-01-01T00:00:00Z")), model("new", Some("2026-01-01T00:00:00Z"))];
        assert_eq!(id(&dated).as_deref(), Some("new"));
        let (embeds, claude) = (model("embed-9", Some("2027-01-01T00:00:00Z")), model("anthropic/claude-x", None));
        assert_eq!(id(&[embeds, claude]).as_deref(), Some("anthropic/claude-x"));
    }
}
