//! What the values of arguments can be completed to, from what is on this machine. Nothing is asked, sent, waited for
//! or written, and what cannot be read is left out.

use std::sync::{Arc, OnceLock, mpsc};
use std::thread;
use std::time::Duration;

use clap_complete::engine::CompletionCandidate;

use crate::cli::config::{self, Configured};
use crate::cli::environment::variable;
use crate::cli::error::Result;
use crate::cli::history::store::History;
use crate::cli::paths::Paths;
use crate::cli::session::models::saved;
use crate::cli::template_files;
use nexus::internal::clean::{clean, visible};
use nexus::internal::private_fs::Privacy;
use nexus::internal::provider::{ANT, BUILT_IN, FEDERATION, PLATFORM};
use nexus::key::{KeyBackend, KeyConfig};
use nexus::{Client, SealedSessions};

/// How long a shell may wait, for example for a locked database.
const LIMIT: Duration = Duration::from_secs(1);

/// The provider that the command line names.
static PROVIDER: OnceLock<Option<String>> = OnceLock::new();

/// A value, and what it stands for.
type Value = (String, Option<String>);

/// Completes the command line of these words.
pub(super) fn complete_for(words: &[String]) {
    let _ = PROVIDER.set(provider_in(words));
}

/// The configured providers, those that are built in, and those that there is a session with.
pub(crate) fn providers() -> Vec<CompletionCandidate> {
    candidates(|| {
        let paths = Paths::find()?;
        let mut names = config::names(&paths.config).unwrap_or_default();
        names.extend(signed_in(&paths));
        names.extend([BUILT_IN, FEDERATION, PLATFORM, ANT].map(str::to_owned));
        Ok(names.into_iter().map(|name| (name, None)).collect())
    })
}

/// The aliases, and the models that are configured or that were listed last for the provider of the command line.
pub(crate) fn models() -> Vec<CompletionCandidate> {
    candidates(|| {
        let paths = Paths::find()?;
        let chosen = PROVIDER.get().and_then(Option::as_deref);
        let configured = config::load(&paths.config, &variable, chosen, &|| signed_in(&paths))?;
        let api = &configured.provider.api;
        let aliases = api.aliases.iter().map(|(alias, model)| (alias.clone(), Some(model.clone())));
        let mut values: Vec<Value> = aliases.collect();
        values.extend(api.model.iter().chain(&api.models).map(|id| (id.clone(), None)));
        values.extend(listed(configured, &paths).into_iter().map(|id| (id, None)));
        Ok(values)
    })
}

/// The templates beside `config.toml`.
pub(crate) fn templates() -> Vec<CompletionCandidate> {
    candidates(|| {
        let names = template_files::names(&template_files::folder(&Paths::find()?.config));
        Ok(names.into_iter().map(|name| (name, None)).collect())
    })
}

/// The ids of the saved conversations, most recently used first.
pub(crate) fn conversations() -> Vec<CompletionCandidate> {
    candidates(|| {
        let listed = History::new(&Paths::find()?.folders.data, Privacy::default().only_looking()).list(None)?;
        Ok(listed.into_iter().map(|(conversation, _)| (conversation.id, Some(conversation.title))).collect())
    })
}

/// The values that a shell can insert, each once.
fn candidates(values: impl FnOnce() -> Result<Vec<Value>> + Send + 'static) -> Vec<CompletionCandidate> {
    let (send, found) = mpsc::channel();
    let started = thread::Builder::new().spawn(move || drop(send.send(values().unwrap_or_default())));
    let values = started.ok().and_then(|_| found.recv_timeout(LIMIT).ok()).unwrap_or_default();
    let mut known: Vec<String> = Vec::new();
    let mut candidates = Vec::new();
    for (value, meaning) in values {
        if !is_typeable(&value) || known.contains(&value) {
            continue;
        }
        let meaning = meaning.map(|meaning| clean(&meaning).into());
        candidates.push(CompletionCandidate::new(&value).help(meaning));
        known.push(value);
    }
    candidates
}

/// Whether the text can be typed in one line, and as a value. Servers choose the names of models.
fn is_typeable(text: &str) -> bool {
    !text.is_empty() && !text.starts_with('-') && !text.contains(char::is_control) && visible(text) == text
}

fn provider_in(words: &[String]) -> Option<String> {
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let named = words.windows(2).find_map(|pair| match pair {
        ["--provider" | "-p", name] => Some(*name),
        _ => None,
    });
    let joined = || words.iter().find_map(|word| word.strip_prefix("--provider="));
    named.or_else(joined).filter(|name| !name.is_empty()).map(str::to_owned)
}

/// The providers that the local store has a session with.
fn signed_in(paths: &Paths) -> Vec<String> {
    let Ok((store, _)) = config::usable_store_config(&paths.config, &variable) else { return Vec::new() };
    let Ok(owner) = store.owner() else { return Vec::new() };
    let listed = if store.is_shared() { None } else { sessions(paths).try_list(&owner) };
    listed.and_then(|listed| listed.ok()).unwrap_or_default().into_iter().map(|listed| listed.key.provider).collect()
}

/// The models that were saved with the session.
fn listed(configured: Configured, paths: &Paths) -> Vec<String> {
    if configured.store.is_shared() {
        return Vec::new();
    }
    let client = Client::with_sessions(configured.provider, sessions(paths), nexus::now, Arc::new(|_| {}));
    let session = client.with_default_owner(&configured.owner).try_find("").and_then(|found| found.ok()).flatten();
    let models = session.as_ref().and_then(saved).unwrap_or_default();
    models.into_iter().map(|model| model.id).collect()
}

/// The local sessions, as far as a key in a file opens them: a passphrase or a keyring could ask the user.
fn sessions(paths: &Paths) -> SealedSessions {
    let key = KeyConfig { backend: Some(KeyBackend::File), ..KeyConfig::default() };
    let privacy = Privacy::default().only_looking();
    paths.folders.sessions_in(&paths.folders.data.join("sessions.db"), key, nexus::now, privacy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_can_be_typed() {
        for text in ["work", "claude-haiku-5-5", "eu.anthropic/claude:0", "größe", "$(id)", "a b", "a'b", "~a", "a*"]
        {
            assert!(is_typeable(text), "{text}");
        }
        for text in ["", "-x", "a\nb", "a\tb", "\u{1b}[2J", "a\u{202e}b"] {
            assert!(!is_typeable(text), "{text}");
        }
    }

    #[test]
    fn the_provider_of_the_command_line_is_found() {
        for (words, provider) in [
            (&["nexus", "chat"][..], None),
            (&["nexus", "chat", "-p", "work", "-m", ""], Some("work")),
            (&["nexus", "chat", "--provider=work"], Some("work")),
            (&["nexus", "chat", "--provider", ""], None),
        ] {
            let words: Vec<_> = words.iter().map(|word| (*word).to_owned()).collect();
            assert_eq!(provider_in(&words).as_deref(), provider, "{words:?}");
        }
    }
}
