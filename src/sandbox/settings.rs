//! What a sandbox can be told to be.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::provider::ClientAuth;

/// How a sandbox behaves. The default is a strict server with one public client.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The one client it knows.
    pub client_id: String,
    /// The secret of a confidential client.
    pub client_secret: Option<String>,
    /// How the client must authenticate; any other way is refused.
    pub client_auth: ClientAuth,
    /// The redirect URI that is registered for the client.
    pub redirect: RedirectRule,
    /// The scopes that may be asked for; none means any.
    pub scopes: Option<Vec<String>>,
    /// How long a code is good for.
    pub code_lifetime: Duration,
    /// What is said as `expires_in`, or nothing. It is only said: access tokens end by
    /// [`Sandbox::expire_access`](super::Sandbox::expire_access), so that no test waits for a clock.
    pub token_lifetime: Option<Value>,
    /// Whether there is a refresh token at all.
    pub refresh_tokens: bool,
    /// Whether a refresh token is replaced when it is used.
    pub rotate: bool,
    /// How often a spent refresh token is honoured once more before its reuse ends the family.
    /// Stands for the grace time of real servers, without a clock.
    pub grace: u32,
    /// Whether all sign-ins are one grant, as many servers count those of one person: then one token's end
    /// is the end of all.
    pub one_grant: bool,
    /// Whether the code exchange must repeat the `state`, as the Claude Console wants it.
    pub state_at_exchange: bool,
    /// The `iss` of authorization responses (RFC 9207).
    pub issuer: Issuer,
    /// The e-mail address of the account that approves.
    pub account: String,
    /// The account's organisation.
    pub organization: String,
    /// What token answers say as their `Date`, where that is not the truth.
    pub date: Option<String>,
    /// Further members of every token answer.
    pub token_extra: Map<String, Value>,
    /// The models, newest first.
    pub models: Vec<String>,
    /// The pause before each word of a streamed answer.
    pub word_pause: Duration,
    /// How many messages it answers in a second; above that it says 429. None means any number.
    pub messages_per_second: Option<u32>,
    /// Whether what is asked is kept for [`Sandbox::requests`](super::Sandbox::requests).
    pub keep_requests: bool,
    /// A path below which everything stands as well, such as `/gateway`; empty for none.
    pub prefix: String,
}

/// Which redirect URIs a client may use.
#[derive(Debug, Clone)]
pub enum RedirectRule {
    /// This one, byte for byte.
    Exact(String),
    /// This one, written without a port, with any port (RFC 8252, section 7.3).
    AnyPort(String),
}

/// Who the server says it is.
#[derive(Debug, Clone)]
pub enum Issuer {
    /// It does not say.
    Unsaid,
    /// Its own origin.
    Own,
    /// Somebody else.
    Other(String),
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            client_id: "sandbox-client".into(),
            client_secret: None,
            client_auth: ClientAuth::None,
            redirect: RedirectRule::AnyPort("http://127.0.0.1/callback".into()),
            scopes: None,
            code_lifetime: Duration::from_secs(60),
            token_lifetime: Some(json!(8 * 3_600)),
            refresh_tokens: true,
            rotate: true,
            grace: 0,
            one_grant: false,
            state_at_exchange: false,
            issuer: Issuer::Own,
            account: "you@sandbox.example".into(),
            organization: "The nexus sandbox".into(),
            date: None,
            token_extra: Map::new(),
            models: ["sandbox-large", "sandbox-small", "sandbox-old"].map(String::from).into(),
            word_pause: Duration::ZERO,
            messages_per_second: None,
            keep_requests: true,
            prefix: String::new(),
        }
    }
}

impl RedirectRule {
    /// Whether this redirect URI is the registered one.
    pub(super) fn allows(&self, uri: &str) -> bool {
        match self {
            Self::Exact(registered) => registered == uri,
            Self::AnyPort(registered) => {
                let authority = registered.find("://").map_or(0, |at| at + 3);
                let path = registered[authority..].find('/').map_or(registered.len(), |at| authority + at);
                let (head, tail) = registered.split_at(path);
                uri.strip_prefix(head).and_then(|rest| rest.strip_suffix(tail)).is_some_and(|port| {
                    port.is_empty() || port.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok())
                })
            }
        }
    }
}

/// The date of the first model of [`Settings::models`], 2026-10-01, and a month, both in seconds.
const NEWEST: i64 = 1_790_812_800;
const MONTH: i64 = 30 * 86_400;

/// When the model at this index of [`Settings::models`] came out, in Unix seconds: each a month before the last.
pub(super) fn model_created(index: usize) -> i64 {
    NEWEST - MONTH * i64::try_from(index).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_port_may_differ() {
        let rule = RedirectRule::AnyPort("http://127.0.0.1/callback".into());
        assert!(rule.allows("http://127.0.0.1:4711/callback"));
        assert!(rule.allows("http://127.0.0.1/callback"));
        for wrong in [
            "http://localhost:4711/callback",
            "http://127.0.0.1:4711/callback/",
            "http://127.0.0.1:4711/other",
            "https://127.0.0.1:4711/callback",
            "http://127.0.0.1:4711@evil.example/callback",
            "http://127.0.0.1.evil.example/callback",
        ] {
            assert!(!rule.allows(wrong), "{wrong}");
        }
    }
}
