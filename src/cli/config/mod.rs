//! From the configuration file and the environment to a [`Provider`].
//!
//! The file is read if it is there. A key that nexus does not know is an error that names it, the
//! file and the nearest known key: a misspelt setting that is silently ignored costs an evening. A
//! complaint never quotes the file's lines, because one of them may hold a secret.

use std::path::Path;

use crate::cli::nearest::nearest;
use nexus::internal::failure::{Failure, Result};
use nexus::internal::provider::{BUILT_IN, Client, ClientAuth, Name, Origin, Provider, Setting};
use nexus::internal::secret::ClientSecret;
use nexus::internal::session::key::{Keeper, Keeping, PassphraseSource};

mod expected;
mod extras;
mod file;
#[cfg(test)]
mod property;
mod section;

use file::{File, read};
use section::{Reader, default_auth, warn_if_readable};

/// The environment as far as the configuration asks for it. An empty variable counts as unset.
pub type Variables<'a> = &'a dyn Fn(&'static str) -> Option<String>;

/// A provider, and what the person should know about how it was configured.
#[derive(Debug)]
pub struct Configured {
    /// The provider.
    pub provider: Provider,
    /// How the key to the stored sessions is to be kept.
    pub keeping: Keeping,
    /// Whether what is said at a terminal is kept.
    pub history: bool,
    /// Sentences for stderr.
    pub warnings: Vec<String>,
}

/// Every provider that is configured, the built-in one first.
///
/// # Errors
/// As [`load`].
pub fn names(path: &Path) -> Result<Vec<String>> {
    let mut names = vec![BUILT_IN.to_owned()];
    let file = read(path)?.unwrap_or_default();
    names.extend(file.provider.into_keys().filter(|name| name != BUILT_IN));
    Ok(names)
}

/// The provider that was asked for: `chosen` on the command line, else `NEXUS_PROVIDER`, else
/// `default` in the file, else the built-in one.
///
/// # Errors
/// [`Failure::Configuration`], naming the setting and its place.
pub fn load(path: &Path, variables: Variables<'_>, chosen: Option<&str>) -> Result<Configured> {
    let mut file = read(path)?.unwrap_or_default();
    let default = default_of(&mut file, variables);
    let name = chosen.unwrap_or(&default).to_owned();
    let section = file.provider.remove(&name);
    let mut provider = match (&section, &*name) {
        (_, BUILT_IN) => Provider::claude_code(),
        (Some(_), name) => Provider::named(name),
        (None, name) => return Err(unknown_provider(name, path, file.provider.into_keys())),
    };
    provider.name = Name::beside(&name, &default);
    let mut warnings = Vec::new();
    let keeping = file.keeping(path, &mut warnings)?;
    let history = file.history.unwrap_or(true);
    if let Some(section) = section {
        Reader { path, name: &name }.apply(section, &mut provider, &mut warnings)?;
    }
    provider.api.aliases = file.aliases.unwrap_or_default();
    if name == BUILT_IN {
        warnings.extend(apply_variables(variables, &mut provider)?);
    }
    Ok(Configured { provider, keeping, history, warnings })
}

/// As [`load`], for a command that needs no more of a provider than its session: that brings its
/// client and its servers along, so it can be looked at and ended whatever the file says. `stored`
/// names the providers that there is a session with. What the file gets wrong comes back beside it.
///
/// # Errors
/// A provider that neither the file nor the store knows.
pub fn load_stored(
    path: &Path,
    variables: Variables<'_>,
    chosen: Option<&str>,
    stored: &dyn Fn() -> Vec<String>,
) -> Result<(Configured, Option<Failure>)> {
    let failure = match load(path, variables, chosen) {
        Ok(configured) => return Ok((configured, None)),
        Err(failure) => failure,
    };
    let stored = stored();
    let file = read(path).ok().map(Option::unwrap_or_default);
    let default = variables("NEXUS_PROVIDER").or_else(|| file.as_ref()?.default.clone());
    let said = chosen.map(str::to_owned).or_else(|| default.clone());
    // A session outlives its section, and that is nothing to complain of.
    let left = |name: &String| name != BUILT_IN && file.as_ref().is_some_and(|file| !file.provider.contains_key(name));
    let left = said.as_ref().is_some_and(left);
    let name = match (said, &*stored) {
        (Some(name), stored) if left && !stored.contains(&name) => return Err(failure),
        (Some(name), _) => name,
        (None, [only]) if file.is_none() => only.clone(),
        (None, _) => BUILT_IN.into(),
    };
    let (keeping, warnings) = keeping(path).unwrap_or_default();
    let mut provider = Provider::named(&name);
    provider.name = Name::beside(&name, default.as_deref().unwrap_or(BUILT_IN));
    Ok((Configured { provider, keeping, history: true, warnings }, (!left).then_some(failure)))
}

/// The provider that is chosen where a command names none.
fn default_of(file: &mut File, variables: Variables<'_>) -> String {
    let default = variables("NEXUS_PROVIDER").or_else(|| file.default.take());
    default.unwrap_or_else(|| BUILT_IN.into())
}

/// How the key to the stored sessions is to be kept, and what the person should know about that.
///
/// # Errors
/// As [`load`].
pub fn keeping(path: &Path) -> Result<(Keeping, Vec<String>)> {
    let mut warnings = Vec::new();
    let keeping = read(path)?.unwrap_or_default().keeping(path, &mut warnings)?;
    Ok((keeping, warnings))
}

impl File {
    fn keeping(&mut self, path: &Path, warnings: &mut Vec<String>) -> Result<Keeping> {
        let wrong = |key: &str, why: &str, cure: &str| Failure::Configuration {
            sentence: format!("{} {why}", Origin::File(path.to_owned(), key.to_owned())),
            cure: cure.into(),
        };
        let passphrase = match (self.passphrase_file.take(), self.passphrase_command.take()) {
            (Some(_), Some(_)) => {
                return Err(wrong("passphrase_file", "stands beside `passphrase_command`", "keep one of the two"));
            }
            (Some(file), None) => {
                let file = path.parent().map_or_else(|| file.clone(), |folder| folder.join(&file));
                warn_if_readable(&file, warnings);
                Some(PassphraseSource::File(file))
            }
            (None, Some(command)) => {
                let words: Vec<String> = command.split_whitespace().map(String::from).collect();
                if words.is_empty() {
                    return Err(wrong("passphrase_command", "is empty", "write a program and its arguments"));
                }
                Some(PassphraseSource::Command(words))
            }
            (None, None) if self.key == Some(Keeper::Passphrase) => {
                let cure = "write `passphrase_file = \"...\"` or `passphrase_command = \"...\"` beside it";
                return Err(wrong("key", "is passphrase, but nothing says where the passphrase comes from", cure));
            }
            (None, None) => None,
        };
        Ok(Keeping { keeper: self.key, passphrase })
    }
}

fn unknown_provider(name: &str, path: &Path, others: impl Iterator<Item = String>) -> Failure {
    let known: Vec<_> = [BUILT_IN.to_owned()].into_iter().chain(others.filter(|other| other != BUILT_IN)).collect();
    let name = nexus::internal::clean::clean(name);
    let write = format!("write a section [provider.{name}] in {}", path.display());
    Failure::Configuration {
        sentence: format!("no provider is called `{name}`; known are: {}", known.join(", ")),
        cure: match nearest(&name, known.iter().map(String::as_str)) {
            Some(nearest) => format!("did you mean `{nearest}`? If not, {write}"),
            None => write,
        },
    }
}

/// The three variables beat the file, for the built-in provider alone. Gives a sentence where that
/// leaves a secret unused.
fn apply_variables(variables: Variables<'_>, provider: &mut Provider) -> Result<Option<String>> {
    let setting = |name| variables(name).map(|value| Setting { value, origin: Origin::Variable(name) });
    if let Some(uri) = setting("CLAUDE_CODE_REDIRECT_URI") {
        provider.redirect_uri = uri;
    }
    let secret = variables("CLAUDE_CODE_CLIENT_SECRET").map(ClientSecret::new);
    let mut dropped = None;
    let id = setting("CLAUDE_CODE_CLIENT_ID");
    if let Some((id, why)) = id.as_ref().and_then(|id| Some((id, expected::no_client_id(&id.value)?))) {
        let cure = format!("set {} to the id of the client that you registered", id.origin);
        return Err(Failure::Configuration { sentence: format!("{} {why}", id.origin), cure });
    }
    match (id, &mut provider.client) {
        (Some(id), client) => {
            let file = client.take();
            if let Some(file) = file.as_ref().filter(|file| file.id.value != id.value && file.secret.is_some())
                && secret.is_none()
            {
                dropped = Some(format!(
                    "{} names another client than {}, whose secret is not sent for it: if this one has a secret, set \
                     CLAUDE_CODE_CLIENT_SECRET",
                    id.origin, file.id.origin
                ));
            }
            // A secret in the file belongs to the client id in the file.
            let same = file.filter(|file| file.id.value == id.value);
            let (kept, auth) = same.map_or((None, None), |file| (file.secret, Some(file.auth)));
            let secret = secret.or(kept);
            let auth = auth.filter(|auth| *auth != ClientAuth::None || secret.is_none());
            let auth = auth.unwrap_or_else(|| default_auth(BUILT_IN, secret.is_some()));
            *client = Some(Client { id, secret, auth });
        }
        (None, Some(client)) if secret.is_some() => {
            client.secret = secret;
            if client.auth == ClientAuth::None {
                client.auth = default_auth(BUILT_IN, true);
            }
        }
        (None, _) => {}
    }
    Ok(dropped)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;

    use super::*;
    use nexus::internal::provider::Encoding;

    pub(super) fn configured(
        toml: &str,
        variables: &[(&'static str, &str)],
        chosen: Option<&str>,
    ) -> std::result::Result<Configured, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        fs::write(&path, toml).unwrap();
        let variables: BTreeMap<_, _> = variables.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        load(&path, &|name| variables.get(name).cloned(), chosen)
            .map_err(|failure| format!("{failure} | {}", failure.hint()).replace(&*path.to_string_lossy(), "FILE"))
    }

    pub(super) fn provider(toml: &str, variables: &[(&'static str, &str)]) -> Provider {
        configured(toml, variables, None).unwrap().provider
    }

    #[test]
    fn without_a_file_the_built_in_provider_stands() {
        let provider = load(Path::new("/nonexistent/config.toml"), &|_| None, None).unwrap().provider;
        assert_eq!(provider.name, "claude_code");
        assert_eq!(provider.redirect_uri.value, "http://localhost:4000/oauth/claude/callback");
        assert_eq!(provider.scopes, ["openai.user.read", "model.request", "model.read"]);
        assert_eq!(provider.authorize_url.unwrap().as_str(), "https://platform.claude.com/oauth/authorize");
        assert_eq!(provider.token_url.unwrap().as_str(), "https://api.anthropic.com/v1/oauth/token");
        assert_eq!(provider.api.url.unwrap().as_str(), "https://api.anthropic.com/");
        assert!(provider.client.is_none());
        assert!(provider.code.with_state);
        assert_eq!(provider.refresh.encoding, Encoding::Json);
        assert_eq!(provider.refresh.headers["anthropic-beta"], "oauth-2025-04-20");
    }

    #[test]
    fn variables_beat_the_file_for_the_built_in_provider() {
        let file =
            "[provider.claude_code]\nclient_id = 'file'\nclient_secret = 's'\nredirect_uri = 'http://127.0.0.1:1/'";
        let client = provider(file, &[]).client.unwrap();
        assert_eq!((&*client.id.value, client.auth), ("file", ClientAuth::Post));

        let both = provider(file, &[("CLAUDE_CODE_CLIENT_ID", "env"), ("CLAUDE_CODE_REDIRECT_URI", "http://[::1]:2/")]);
        assert_eq!(both.redirect_uri.value, "http://[::1]:2/");
        let client = both.client.unwrap();
        assert_eq!(client.id.origin, Origin::Variable("CLAUDE_CODE_CLIENT_ID"));
        assert!(client.secret.is_none(), "the file's secret belongs to the file's client");
        let warnings = |variables: &[_]| {
            let warnings = configured(file, variables, None).unwrap().warnings;
            warnings.into_iter().filter(|warning| !warning.contains("chmod")).collect::<Vec<_>>()
        };
        let other = ("CLAUDE_CODE_CLIENT_ID", "env");
        let [said] = &warnings(&[other])[..] else { panic!("the secret is dropped without a word") };
        assert!(
            said.starts_with("CLAUDE_CODE_CLIENT_ID names another client than `provider.claude_code.client_id` in ")
        );
        assert_eq!(warnings(&[other, ("CLAUDE_CODE_CLIENT_SECRET", "x")]), [""; 0]);

        let client = provider(file, &[("CLAUDE_CODE_CLIENT_ID", "file")]).client.unwrap();
        assert!(client.secret.is_some(), "the same client keeps its secret");
        assert_eq!(warnings(&[("CLAUDE_CODE_CLIENT_ID", "file")]), [""; 0]);

        let variables = [("CLAUDE_CODE_CLIENT_ID", "env"), ("CLAUDE_CODE_CLIENT_SECRET", "x")];
        let client = provider("", &variables).client.unwrap();
        assert_eq!(client.auth, ClientAuth::Post);
        assert_eq!(client.secret.unwrap().expose(), "x");

        let other = "default = 'work'\n[provider.work]\nclient_id = 'w'";
        assert_eq!(provider(other, &variables).client.unwrap().id.value, "w", "they are for claude_code only");
    }

    #[test]
    fn a_client_id_that_is_none_is_refused_where_it_stands() {
        for (id, why) in [
            ("...", "is a placeholder"),
            ("\u{2026}", "is a placeholder"),
            ("<client id>", "is a placeholder"),
            (" c", "has white space around it, or a line's end in it"),
            ("c\n", "has white space around it, or a line's end in it"),
        ] {
            let said = configured("", &[("CLAUDE_CODE_CLIENT_ID", id)], None).unwrap_err();
            let cure = "set CLAUDE_CODE_CLIENT_ID to the id of the client that you registered";
            assert_eq!(said, format!("CLAUDE_CODE_CLIENT_ID {why} | {cure}"), "{id:?}");
        }
        assert!(configured("", &[("CLAUDE_CODE_CLIENT_ID", "a.b<c>...d e")], None).is_ok());
    }

    #[test]
    fn the_provider_is_chosen_by_flag_then_variable_then_file() {
        let file = "default = 'a'\n[provider.a]\n[provider.b]\n[provider.c]";
        let name = |variables: &[_], chosen| configured(file, variables, chosen).unwrap().provider.name;
        assert_eq!(name(&[], None), "a");
        assert_eq!(name(&[("NEXUS_PROVIDER", "b")], None), "b");
        assert_eq!(name(&[("NEXUS_PROVIDER", "b")], Some("c")), "c");
        assert_eq!(name(&[], Some("claude_code")), "claude_code");
    }

    #[test]
    fn the_passphrase_comes_from_beside_the_file_or_from_a_command_in_words() {
        let keeping = |toml| configured(toml, &[], None).unwrap().keeping;
        assert_eq!(keeping(""), Keeping::default());
        let words = |text: &str| text.split(' ').map(String::from).collect();
        assert_eq!(
            keeping("key = 'passphrase'\npassphrase_command = 'pass  show $x'"),
            Keeping {
                keeper: Some(Keeper::Passphrase),
                passphrase: Some(PassphraseSource::Command(words("pass show $x")))
            }
        );
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("config.toml"), "passphrase_file = 'pass'").unwrap();
        let (keeping, _) = super::keeping(&folder.path().join("config.toml")).unwrap();
        assert_eq!(keeping.passphrase, Some(PassphraseSource::File(folder.path().join("pass"))));
    }
}
