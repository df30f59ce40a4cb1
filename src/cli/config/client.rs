//! The OAuth client of a provider, from the keys of its section and, for the built-in provider, from the three
//! `CLAUDE_CODE_*` variables.

use std::path::Path;

use super::checks::{self, visible, warn_if_readable};
use super::keys::{PRESET, Section};
use super::kind::SecretValue;
use super::placeholder::is_placeholder;
use super::{Variables, invalid};
use crate::cli::environment;
use crate::cli::error::Result;
use nexus::internal::invisible;
use nexus::internal::provider::BUILT_IN;
use nexus::{ClientAuth, ClientSecret, FromMetadata, OAuthClient, ProviderConfig};

/// The Claude Console takes the secret in the body. Other servers must support Basic (RFC 6749, section 2.3.1).
fn default_auth(provider: &str, secret: bool) -> ClientAuth {
    match (secret, provider) {
        (false, _) => ClientAuth::None,
        (true, BUILT_IN) => ClientAuth::Post,
        (true, _) => ClientAuth::Basic,
    }
}

impl Section {
    pub(super) fn into_provider(
        mut self,
        variables: Variables<'_>,
        warnings: &mut Vec<String>,
    ) -> Result<ProviderConfig> {
        if let Some(failure) = self.unusable.take() {
            return Err(failure);
        }
        if self.source.has(PRESET) && ProviderConfig::built_in(&self.provider.name).is_some() {
            let why = "cannot be set for a provider that is built in itself";
            return Err(self.source.invalid(PRESET, why, "remove it, or give the section another name"));
        }
        self.read_header_files(warnings)?;
        self.provider.tls = self.tls(warnings)?;
        let secret = self.secret(variables, warnings)?;
        let assertion = self.client_assertion(warnings)?;
        if self.provider.api.url.is_none() {
            self.provider.api.url.clone_from(&self.provider.gateway);
        }
        let configured = |key| self.source.has(key);
        self.provider.from_metadata = FromMetadata {
            client_auth: self.client_auth.is_none() && assertion.is_none() && self.provider.name != *BUILT_IN,
            require_iss: !configured("require_iss"),
            scopes: !configured("scopes"),
        };
        let auth = self.client_auth.unwrap_or_else(|| match assertion {
            Some(_) => ClientAuth::PrivateKeyJwt,
            None => default_auth(&self.provider.name, secret.is_some()),
        });
        self.check_duplicates(auth)?;
        if self.provider.revoking_unlinks && self.provider.revoke_replaced == Some(true) {
            let why = "cannot be true here, because revoking a session unlinks the customer's organization";
            return Err(self.source.invalid("revoke_replaced", why, "remove it"));
        }
        self.check_assertion(auth, assertion.is_some(), secret.is_some())?;
        self.set_token_command()?;
        self.set_grant()?;
        self.check_credentials(auth)?;
        let Self { source, mut provider, client_id, client_auth, .. } = self;
        let Some(id) = client_id else {
            if secret.is_some() {
                let key = if self.client_secret_file.is_some() { "client_secret_file" } else { "client_secret" };
                return Err(source.invalid(key, "requires `client_id`", "add `client_id`"));
            }
            if auth == ClientAuth::PrivateKeyJwt {
                let why = "is private_key_jwt, but there is no `client_id`";
                return Err(source.invalid("client_auth", why, "add the `client_id` that the key is registered with"));
            }
            provider.registration.auth_methods = client_auth.map(|auth| vec![auth]);
            return Ok(provider);
        };
        if auth == ClientAuth::None && secret.is_some() {
            let hint = "remove the secret, or set `client_auth` to \"basic\" or \"post\"";
            return Err(source.invalid("client_auth", "is none, but there is a client secret", hint));
        }
        let needs_secret = !matches!(auth, ClientAuth::None | ClientAuth::PrivateKeyJwt);
        if needs_secret && secret.is_none() && provider.name != *BUILT_IN {
            let why = format!("is {}, but there is no client secret", auth.as_str());
            return Err(source.invalid("client_auth", &why, "add `client_secret` or `client_secret_file`"));
        }
        if auth == ClientAuth::BasicRaw && id.contains(':') {
            let why = "is basic_raw, which cannot carry a `client_id` with a colon";
            return Err(source.invalid("client_auth", why, "set `client_auth` to \"basic\" or \"post\""));
        }
        provider.client = Some(OAuthClient { id, secret, auth, assertion });
        Ok(provider)
    }

    /// Rejects a method that does not fit the assertion and the secret.
    fn check_assertion(&self, auth: ClientAuth, has_assertion: bool, has_secret: bool) -> Result<()> {
        let by_assertion = auth == ClientAuth::PrivateKeyJwt;
        let (why, hint) = match (by_assertion, has_assertion) {
            (true, false) => (
                "is private_key_jwt, but there is no key and no assertion",
                "add `client_assertion_key_file`, `client_assertion_file` or `client_assertion_command`",
            ),
            (false, true) => (
                "is not private_key_jwt, but there is a client assertion",
                "remove one of the two, or set it to \"private_key_jwt\"",
            ),
            (true, true) if has_secret => ("is private_key_jwt, but there is a client secret", "keep one of the two"),
            _ => return Ok(()),
        };
        Err(self.source.invalid("client_auth", why, hint))
    }

    /// Sets the client secret. A variable that contains it is kept from child processes.
    pub(super) fn set_client_secret(&mut self, secret: SecretValue) {
        if let SecretValue::Variable(name) = &secret {
            environment::add_secret_variable(name);
        }
        self.client_secret = Some(secret);
    }

    /// Rejects a parameter or header that another key sets.
    fn check_duplicates(&self, auth: ClientAuth) -> Result<()> {
        let Self { source, provider, .. } = self;
        let asks = !provider.scopes.is_empty() || !source.has("scopes");
        if asks && provider.authorize_params.contains_key("scope") {
            let why = "contains `scope`, which belongs in `scopes`";
            return Err(source.invalid("authorize_params", why, "move it to `scopes`"));
        }
        for (key, is_set) in [("resource", provider.resource.is_some()), ("prompt", provider.prompt.is_some())] {
            let tables = [
                ("authorize_params", &provider.authorize_params),
                ("code_params", &provider.code.params),
                ("refresh_params", &provider.refresh.params),
            ];
            if let Some((table, _)) = tables.iter().find(|(_, params)| is_set && params.contains_key(key)) {
                let why = format!("contains `{key}`, which is also a key of its own");
                return Err(source.invalid(table, &why, "keep one of the two"));
            }
        }
        if !matches!(auth, ClientAuth::Basic | ClientAuth::BasicRaw) {
            return Ok(());
        }
        for (key, style) in [("code_headers", &provider.code), ("refresh_headers", &provider.refresh)] {
            if style.headers.keys().any(|name| name.eq_ignore_ascii_case(checks::AUTHORIZATION)) {
                let why = "contains `Authorization`, which carries the client secret";
                return Err(source.invalid(key, why, checks::USE_ANOTHER_HEADER));
            }
        }
        Ok(())
    }

    fn secret(&mut self, variables: Variables<'_>, warnings: &mut Vec<String>) -> Result<Option<ClientSecret>> {
        let Some(file) = &self.client_secret_file else {
            return match self.client_secret.take() {
                None => Ok(None),
                Some(SecretValue::Text(secret)) => {
                    warn_if_readable(self.source.path_of("client_secret"), warnings);
                    Ok(Some(secret))
                }
                Some(SecretValue::Variable(name)) => {
                    let secret = self.source.variable("client_secret", &name, "the client secret", variables)?;
                    Ok(Some(ClientSecret::new(secret)))
                }
            };
        };
        if self.client_secret.is_some() {
            let why = "cannot be combined with `client_secret_file`";
            return Err(self.source.invalid("client_secret", why, "keep one of the two"));
        }
        let secret = self.source.read_secret("client_secret_file", file, "the secret", warnings)?;
        match invisible::inside(&secret, true) {
            Some(why) => {
                Err(self.source.unusable("client_secret_file", file, &why, "write only the secret into the file"))
            }
            None if is_placeholder(&secret) => {
                let hint = "write the secret of the registered client into the file";
                Err(self.source.unusable("client_secret_file", file, "contains a placeholder", hint))
            }
            None => Ok(Some(ClientSecret::new(secret.as_str().to_owned()))),
        }
    }
}

/// Applies the three variables to the built-in provider. Returns a warning if they make the secret in the file unused.
pub(super) fn apply_variables(
    variables: Variables<'_>,
    path: &Path,
    provider: &mut ProviderConfig,
) -> Result<Option<String>> {
    if let Some(uri) = variables("CLAUDE_CODE_REDIRECT_URI") {
        visible("CLAUDE_CODE_REDIRECT_URI", invisible::inside(&uri, false))?;
        provider.redirect_uri = uri;
    }
    let secret = variables("CLAUDE_CODE_CLIENT_SECRET");
    visible("CLAUDE_CODE_CLIENT_SECRET", secret.as_ref().and_then(|secret| invisible::inside(secret, true)))?;
    if secret.as_deref().is_some_and(is_placeholder) {
        let hint = "set CLAUDE_CODE_CLIENT_SECRET to the secret of the client, or unset it if the client has none";
        return Err(invalid("CLAUDE_CODE_CLIENT_SECRET is a placeholder", hint));
    }
    let secret = secret.map(ClientSecret::new);
    let Some(id) = variables("CLAUDE_CODE_CLIENT_ID") else {
        if let Some(client) = provider.client.as_mut().filter(|_| secret.is_some()) {
            client.secret = secret;
            if client.auth == ClientAuth::None {
                client.auth = default_auth(BUILT_IN, true);
            }
        }
        return Ok(None);
    };
    if let Some(why) = checks::not_a_client_id(&id) {
        let hint = "set CLAUDE_CODE_CLIENT_ID to the id of the client that you registered";
        return Err(invalid(format!("CLAUDE_CODE_CLIENT_ID {why}"), hint));
    }
    let (mut secret, mut auth, mut assertion, mut warning) = (secret, None, None, None);
    match provider.client.take() {
        // The file's secret belongs to the client id in the file.
        Some(file) if file.id == id => {
            secret = secret.or(file.secret);
            assertion = file.assertion;
            auth = Some(file.auth).filter(|auth| *auth != ClientAuth::None || secret.is_none());
        }
        Some(file) if file.secret.is_some() && secret.is_none() => {
            warning = Some(format!(
                "CLAUDE_CODE_CLIENT_ID differs from `provider.{BUILT_IN}.client_id` in {}, so the secret there is not \
                 used; if this client has a secret, set CLAUDE_CODE_CLIENT_SECRET",
                path.display()
            ));
        }
        _ => {}
    }
    let auth = auth.unwrap_or_else(|| default_auth(BUILT_IN, secret.is_some()));
    provider.client = Some(OAuthClient { id, secret, auth, assertion });
    Ok(warning)
}
