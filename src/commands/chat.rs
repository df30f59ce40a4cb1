//! `nexus chat`: settle the prompt, look at the session, ask, print what comes.

use std::io;

use serde_json::json;

use crate::api::{Answer, Message, Model, Piece, Question, Role};
use crate::commands::Done;
use crate::failure::{Failure, Result};
use crate::provider::Api;
use crate::session::Session;
use crate::terminal::Streamed;
use crate::world::World;

/// The longest answer where neither the person nor the server names one, in tokens. Every model
/// that is served today can write as much.
const MAX_TOKENS: u32 = 8_192;

/// Ask a question and stream the answer
///
/// What is piped in follows the words after a blank line: `nexus chat "why does this fail?" <
/// build.log`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The question, its words joined by spaces; `-` alone reads it from stdin
    prompt: Vec<String>,

    /// What the model is told before the question
    #[arg(long, short, value_name = "TEXT")]
    system: Option<String>,

    /// The model; else the configured one, else the newest that the session may use
    #[arg(long, short, value_name = "ID")]
    model: Option<String>,

    /// The longest answer, in tokens
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_tokens: Option<u32>,

    /// Use this provider of config.toml
    #[arg(long, short, value_name = "NAME")]
    provider: Option<String>,

    /// Print one object for programs, when the answer is whole
    #[arg(long)]
    pub(crate) json: bool,
}

/// Asks.
///
/// # Errors
/// Why there is no answer, or no whole one.
pub(crate) fn run(args: Args, world: &World) -> Done {
    let prompt = prompt(&args.prompt, world)?;
    let accounts = world.accounts(args.provider.as_deref())?;
    let seen = accounts.look("")?;
    let provider = accounts.provider();
    world.wait(async {
        let listed = match listed(&seen) {
            // The list could not be had at sign-in; it is asked for once, where nothing else names a model.
            None if args.model.is_none() && provider.api.model.is_none() => {
                accounts.models("", accounts.look("")?).await?
            }
            listed => listed.unwrap_or_default(),
        };
        let question = question(&args, prompt, &provider.name, &provider.api, &listed)?;
        let answer = accounts.ask("", seen, &question).await?;
        if args.json { whole(answer, world).await } else { streamed(answer, world).await }
    })
}

/// The words, a blank line, what was piped in; whichever of the two there is.
fn prompt(words: &[String], world: &World) -> Result<String> {
    let dash = words.iter().any(|word| word == "-");
    let prompt = match words {
        [] if world.stdin_is_terminal() => String::new(),
        [] => world.stdin()?,
        [_] if dash => world.stdin()?,
        _ if dash => return Err(Failure::Usage("`-` reads the question from stdin and stands alone".into())),
        words => {
            let words = words.join(" ");
            match world.piped()? {
                Some(piped) if !piped.trim().is_empty() => format!("{words}\n\n{piped}"),
                _ => words,
            }
        }
    };
    if prompt.trim().is_empty() {
        return Err(Failure::Usage("there is no question: write one behind `nexus chat`, or pipe one into it".into()));
    }
    Ok(prompt)
}

/// What is said, and for what is not said: the configuration, then what the server listed.
fn question(args: &Args, prompt: String, provider: &str, api: &Api, listed: &[Model]) -> Result<Question> {
    let model = args
        .model
        .clone()
        .or_else(|| api.model.clone())
        .or_else(|| newest(listed).map(|model| model.id.clone()))
        .ok_or_else(|| Failure::NoModel { provider: provider.to_owned() })?;
    let longest = listed.iter().find(|listed| listed.id == model).and_then(|model| model.max_tokens);
    let max_tokens = args
        .max_tokens
        .or(api.max_tokens)
        .or_else(|| longest.and_then(|longest| u32::try_from(longest).ok()).filter(|longest| *longest > 0))
        .unwrap_or(MAX_TOKENS);
    let messages = vec![Message { role: Role::User, text: prompt }];
    Ok(Question { model, max_tokens, system: args.system.clone().filter(|system| !system.is_empty()), messages })
}

/// The list that sign-in or `nexus models` kept beside the session.
fn listed(session: &Session) -> Option<Vec<Model>> {
    serde_json::from_str(session.models.as_deref()?).ok()
}

/// The latest by its date; where no dates are given, the first, as the Messages API lists them.
fn newest(listed: &[Model]) -> Option<&Model> {
    // RFC 3339 in UTC sorts as text; of equals the earlier in the list wins.
    listed.iter().rev().max_by(|one, other| one.created_at.cmp(&other.created_at))
}

async fn streamed(mut answer: Answer, world: &World) -> Done {
    let mut out = Streamed::new(io::stdout().lock(), world.stdout_is_terminal());
    let ended = loop {
        match answer.next().await {
            Ok(Some(Piece::Text(text))) => out.write(&text)?,
            Ok(None) => break Ok(()),
            Err(failure) => break Err(failure),
        }
    };
    // On a terminal an error must not begin in the middle of the answer's last line.
    if ended.is_ok() || world.stdout_is_terminal() {
        out.finish()?;
    }
    ended?;
    note_ending(&answer, world);
    Ok(0)
}

async fn whole(mut answer: Answer, world: &World) -> Done {
    let mut text = String::new();
    while let Some(Piece::Text(piece)) = answer.next().await? {
        text.push_str(&piece);
    }
    let ending = answer.ending();
    let object = json!({
        "version": 1,
        "answer": text,
        "model": ending.model,
        "stop_reason": ending.stop_reason,
        "usage": ending.usage,
        "request_id": ending.request_id,
    });
    world.print(&format!("{object}\n"))?;
    note_ending(&answer, world);
    Ok(0)
}

/// An answer that is whole as far as it goes, but goes no further because it was not allowed to.
fn note_ending(answer: &Answer, world: &World) {
    if answer.ending().stop_reason.as_deref() == Some("max_tokens") {
        world.say("note: the answer stops here because it reached --max-tokens");
    }
}

#[cfg(test)]
mod tests {
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
    }
}
