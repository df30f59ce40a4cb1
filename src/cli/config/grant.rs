//! How a provider gets tokens without a user, from the keys `grant`, `assertion_*`, `subject_token_type` and
//! `requested_token_type`.

use super::client_assertion::command_source;
use super::keys::{GrantKeys, GrantKind, Section};
use crate::cli::error::Result;
use nexus::{AssertionFrom, AssertionSource, ClientAuth, Grant, TokenExchange};

/// The keys of a grant that needs an assertion.
const OF_ASSERTION: [&str; 4] = ["assertion_file", "assertion_command", "assertion_from", "assertion_token"];

/// The keys of `grant = "token-exchange"`.
const OF_EXCHANGE: [&str; 2] = ["subject_token_type", "requested_token_type"];

impl Section {
    /// Sets the grant.
    pub(super) fn set_grant(&mut self) -> Result<()> {
        let source = &self.source;
        let Some(kind) = self.grant.kind else {
            // A built-in provider has its own grant.
            let needs_user = self.provider.grant.needs_user();
            let alone = OF_ASSERTION.into_iter().chain(OF_EXCHANGE).chain(["audience"]);
            return match alone.into_iter().find(|key| needs_user && source.has(key)) {
                Some(key) => Err(source.invalid(
                    key,
                    "requires `grant`",
                    "set `grant` to \"client_credentials\", \"jwt-bearer\" or \"token-exchange\"",
                )),
                None => Ok(()),
            };
        };
        if source.has("token_command") {
            return Err(source.invalid("grant", "cannot be combined with `token_command`", "keep one of the two"));
        }
        let without = |keys: &[&'static str], word: &str| match keys.iter().find(|key| source.has(key)) {
            Some(key) => {
                Err(source.invalid(key, &format!("does not go with `grant = \"{word}\"`"), "remove one of the two"))
            }
            None => Ok(()),
        };
        self.provider.grant = match kind {
            GrantKind::AuthorizationCode => {
                without(&OF_ASSERTION, "authorization_code")?;
                without(&OF_EXCHANGE, "authorization_code")?;
                without(&["audience"], "authorization_code")?;
                Grant::AuthorizationCode
            }
            GrantKind::ClientCredentials => {
                without(&OF_ASSERTION, "client_credentials")?;
                without(&OF_EXCHANGE, "client_credentials")?;
                Grant::ClientCredentials
            }
            GrantKind::JwtBearer => {
                without(&OF_EXCHANGE, "jwt-bearer")?;
                Grant::JwtBearer(self.assertion("jwt-bearer")?)
            }
            GrantKind::TokenExchange => Grant::TokenExchange(TokenExchange {
                subject: self.assertion("token-exchange")?,
                subject_token_type: self.grant.subject_token_type.clone(),
                requested_token_type: self.grant.requested_token_type.clone(),
            }),
        };
        Ok(())
    }

    /// Where the assertion comes from.
    fn assertion(&self, word: &str) -> Result<AssertionFrom> {
        let GrantKeys { file, command, from, token, .. } = &self.grant;
        let source = &self.source;
        let set: Vec<_> = OF_ASSERTION[..3].iter().filter(|key| source.has(key)).collect();
        if let [first, other, ..] = set[..] {
            return Err(source.invalid(other, &format!("cannot be combined with `{first}`"), "keep one of the two"));
        }
        if token.is_some() && from.is_none() {
            return Err(source.invalid("assertion_token", "requires `assertion_from`", "add `assertion_from`"));
        }
        match (file, command, from) {
            (Some(file), ..) => Ok(AssertionFrom::Source(AssertionSource::File(source.beside("assertion_file", file)))),
            (_, Some(words), _) => Ok(AssertionFrom::Source(command_source(words))),
            (_, _, Some(provider)) => {
                Ok(AssertionFrom::Session { provider: provider.clone(), token: token.unwrap_or_default() })
            }
            (None, None, None) => {
                let why = format!("is {word}, but there is no assertion");
                Err(source.invalid("grant", &why, "add `assertion_file`, `assertion_command` or `assertion_from`"))
            }
        }
    }

    /// Rejects client credentials without a client, or without anything that a client proves itself with.
    pub(super) fn check_credentials(&self, auth: ClientAuth) -> Result<()> {
        if !matches!(self.provider.grant, Grant::ClientCredentials) {
            return Ok(());
        }
        let refused = |why: &str, hint: &str| Err(self.source.invalid("grant", why, hint));
        if self.client_id.is_none() {
            return refused("is client_credentials, but there is no `client_id`", "add `client_id`");
        }
        if auth == ClientAuth::None && self.tls_files.certificate.is_none() {
            return refused(
                "is client_credentials, but the client has no credentials",
                "add `client_secret`, `client_secret_file` or `client_assertion_key_file`",
            );
        }
        Ok(())
    }
}
