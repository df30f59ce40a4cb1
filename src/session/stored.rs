//! A session: the tokens of a sign-in.

use std::mem;
use std::time::Instant;

use serde_json::{Map, Value};

use super::error::SessionError;
use super::failed_refresh::FailedRefresh;
use super::seal;
use crate::oauth::{self, ClientPlace, Endpoint, IdToken, TokenResponse, without_slash};
use crate::provider::{self, ClientAuth, Grant, OAuthClient, ProviderConfig, Url, without_query};
use crate::secret::{AccessToken, ClientSecret, IdTokenText, RefreshToken};

/// The store's time. It advances with the monotonic clock of this process.
#[derive(Debug, Clone, Copy)]
pub struct StoreTime {
    read: i64,
    at: Instant,
}

impl StoreTime {
    /// The store's time that was read just now, in Unix seconds.
    pub fn read_now(read: i64) -> Self {
        Self { read, at: Instant::now() }
    }

    /// The store's time now, in Unix seconds.
    pub fn now(self) -> i64 {
        self.read.saturating_add(i64::try_from(self.at.elapsed().as_secs()).unwrap_or(i64::MAX))
    }
}

/// A session without its refresh token.
#[derive(Debug)]
pub struct Session {
    /// Incremented by every refresh. Tells whether the session was refreshed, without comparing secrets.
    pub generation: i64,
    /// The access token (RFC 6749, section 1.4).
    pub access_token: AccessToken,
    /// Its type, as the server spells it (RFC 6749, section 7.1).
    pub token_type: String,
    /// The last ID token (OpenID Connect Core, section 2), if the server sent one. It may have expired.
    pub id_token: Option<IdTokenText>,
    /// The granted scopes (RFC 6749, section 3.3).
    pub scopes: Vec<String>,
    /// When the access token was requested, in Unix seconds of the store's time.
    pub issued_at: i64,
    /// When it expires, in Unix seconds of the store's time. `None` if the server does not say.
    pub expires_at: Option<i64>,
    /// The other members of the token response.
    pub metadata: Map<String, Value>,
    /// The client and servers it belongs to.
    pub binding: SessionBinding,
    /// Whether there is a refresh token.
    pub refreshable: bool,
    /// When the authorization server ended the session, in Unix seconds.
    pub ended_at: Option<i64>,
    /// The number of refreshes that were begun.
    pub attempts: i64,
    /// The failure of the last refresh, if it failed.
    #[doc(hidden)]
    pub failed: Option<FailedRefresh>,
    /// Since when a refresh is in flight, or its response lost, in Unix seconds.
    pub refreshing_since: Option<i64>,
    /// The list of models that was saved with the session, as JSON.
    pub models: Option<String>,
    /// The store's time when it was loaded.
    #[doc(hidden)]
    pub time: StoreTime,
}

/// A session with its secrets. Only a [`LockedSession`](super::LockedSession) returns one, so the refresh token is
/// readable only while the session is locked.
#[derive(Debug)]
pub struct StoredSession {
    /// Random. It stays the same from the sign-in to the end of the session.
    pub(super) id: [u8; 16],
    /// The session.
    pub session: Session,
    /// The refresh token (RFC 6749, section 1.5).
    pub refresh_token: Option<RefreshToken>,
    /// The secret of the client that it belongs to.
    pub client_secret: Option<ClientSecret>,
}

/// The client and servers that a session belongs to. Its tokens are sent nowhere else.
#[derive(Debug, Clone, PartialEq)]
pub struct SessionBinding {
    /// The authorization server's issuer identifier, if it is known.
    pub issuer: Option<String>,
    /// The client that the tokens were issued to.
    pub client_id: String,
    /// How that client authenticates.
    pub client_auth: ClientAuth,
    /// The token endpoint. `None` if the tokens come from elsewhere, such as from a command.
    pub token_url: Option<Url>,
    /// The revocation endpoint, if there is one.
    pub revoke_url: Option<Url>,
    /// Whether revoking the session unlinks the customer's organization.
    pub revoking_unlinks: bool,
    /// How that client authenticates at the revocation endpoint, if not as at the token endpoint.
    pub revoke_auth: Option<ClientAuth>,
    /// The API, if there is one.
    pub api_url: Option<Url>,
    /// The resource that the tokens were requested for (RFC 8707), if one was named.
    pub resource: Option<String>,
    /// Where the client is kept, if it was registered dynamically (RFC 7591).
    pub registered: Option<ClientPlace>,
    /// A hash of the settings that the session was made from, if it was made without a user. `None` if a user signed
    /// in.
    pub settings: Option<String>,
}

impl SessionBinding {
    /// The endpoint at `url` for the client of the session. What is configured for this client comes first, because a
    /// secret may have been rotated; `secret` is the one that the session was made with. `auth` is how the client
    /// authenticates there: the session remembers what a sign-in found out, but whether an assertion is used is only
    /// configured.
    pub(crate) fn endpoint<'a>(
        &'a self,
        url: &'a Url,
        auth: ClientAuth,
        configured: Option<&'a OAuthClient>,
        secret: Option<&'a ClientSecret>,
    ) -> Endpoint<'a> {
        let by_assertion = |client: &&OAuthClient| [client.auth, auth].contains(&ClientAuth::PrivateKeyJwt);
        Endpoint {
            url,
            client_id: &self.client_id,
            secret: configured.and_then(|client| client.secret.as_ref()).or(secret),
            auth: configured.filter(by_assertion).map_or(auth, |client| client.auth),
            assertion: configured.and_then(|client| client.assertion.as_ref()),
            audience: self.issuer.as_deref().unwrap_or(self.token_url.as_ref().unwrap_or(url).as_str()),
        }
    }
}

impl Session {
    /// A session that has no token yet, of this generation. It counts as expired.
    pub(super) fn without_token(binding: SessionBinding, time: StoreTime, generation: i64) -> Self {
        Self {
            generation,
            access_token: AccessToken::new(String::new()),
            token_type: "Bearer".into(),
            id_token: None,
            scopes: Vec::new(),
            issued_at: 0,
            expires_at: Some(0),
            metadata: Map::new(),
            binding,
            refreshable: false,
            ended_at: None,
            attempts: 0,
            failed: None,
            refreshing_since: None,
            models: None,
            time,
        }
    }

    /// The store's time now, in Unix seconds.
    pub fn now(&self) -> i64 {
        self.time.now()
    }

    /// The account that signed in, if the server named it.
    pub fn account(&self) -> Option<&str> {
        oauth::account(&self.metadata)
    }

    /// When the server last refused to refresh the session, in Unix seconds. `None` if it has not, if a refresh has
    /// succeeded since, or if the next request has a new credential.
    pub fn refused_at(&self) -> Option<i64> {
        let failed = self.failed.as_ref().filter(|_| self.binding.settings.is_none());
        failed.and_then(FailedRefresh::refused_at)
    }

    /// Whether there was a token at all. A session that is made without a user is stored before its first token is
    /// requested.
    pub fn has_token(&self) -> bool {
        !self.access_token.is_empty()
    }

    /// Whether revoking one of the two sessions is sure not to revoke the other: they have different servers, clients,
    /// grants (the server's `grant_id`) or accounts.
    ///
    /// A server may treat all sign-ins of one user with one client as one grant, and revoke it with any of its tokens
    /// (RFC 7009, section 2.1). Keycloak's `session_state` proves nothing: until 2025, Keycloak ended all sessions of a
    /// user with a client at once.
    pub fn is_apart_from(&self, other: &Self) -> bool {
        let (mine, others) = (oauth::grant_id(&self.metadata), oauth::grant_id(&other.metadata));
        let host = |session: &Self| session.binding.token_url.as_ref().and_then(Url::host_str).map(str::to_owned);
        host(self) != host(other)
            || self.binding.client_id != other.binding.client_id
            || match mine.zip(others) {
                Some((mine, others)) => mine != others,
                None => oauth::accounts_differ(&self.metadata, &other.metadata),
            }
    }

    /// Checks that the session belongs to the configured client and servers. What the configuration omits is not
    /// checked.
    ///
    /// # Errors
    /// [`SessionError::BoundElsewhere`], naming the setting.
    pub fn check_binding(&self, provider: &ProviderConfig) -> Result<(), SessionError> {
        let elsewhere = |setting, bound: &str, configured: &str| {
            Err(SessionError::BoundElsewhere {
                provider: provider.name.clone(),
                setting,
                bound: bound.to_owned(),
                configured: configured.to_owned(),
            })
        };
        if !provider.grant.needs_user() {
            // A session that was made from other settings is replaced.
            if self.binding.settings.is_some() {
                return Ok(());
            }
            return elsewhere("grant", Grant::default().as_str(), provider.grant.as_str());
        }
        if let Some(client) = &provider.client
            && client.id != self.binding.client_id
        {
            return elsewhere("client_id", &self.binding.client_id, &client.id);
        }
        if let (Some(is), Some(was)) = (&provider.token_url, &self.binding.token_url)
            && is != was
        {
            return elsewhere("token_url", &without_query(was), &without_query(is));
        }
        // With a configured token endpoint, the issuer does not decide where tokens are sent.
        if let (None, Some(is), Some(was)) = (&provider.token_url, &provider.issuer, &self.binding.issuer)
            && without_slash(is) != without_slash(was)
        {
            return elsewhere("issuer", was, is);
        }
        if let (Some(is), Some(was)) = (&provider.api.url, &self.binding.api_url)
            && is.origin() != was.origin()
        {
            return elsewhere("api_url", &without_query(was), &without_query(is));
        }
        Ok(())
    }
}

impl SessionBinding {
    /// The host that issued the tokens, or that they are for if none is known to have issued them.
    pub(crate) fn host(&self) -> String {
        self.token_url.as_ref().or(self.api_url.as_ref()).map(provider::host).unwrap_or_default()
    }

    /// The binding of a new session with this provider. `client` is the one that the tokens are issued to, if there is
    /// one, and `registered` is where it is kept if it was registered dynamically.
    pub(crate) fn new(
        provider: &ProviderConfig,
        client: Option<&OAuthClient>,
        registered: Option<ClientPlace>,
    ) -> Self {
        Self {
            issuer: provider.issuer.clone(),
            client_id: client.map(|client| client.id.clone()).unwrap_or_default(),
            client_auth: client.map_or(ClientAuth::None, |client| client.auth),
            token_url: provider.token_url.clone(),
            revoke_url: provider.revoke_url.clone(),
            revoking_unlinks: provider.revoking_unlinks,
            revoke_auth: provider.revoke_auth,
            api_url: provider.api.url.clone(),
            resource: provider.resource.clone().filter(|resource| !resource.is_empty()),
            registered,
            settings: provider.settings_hash(),
        }
    }
}

impl StoredSession {
    /// A session that has no token yet, of this generation.
    ///
    /// # Errors
    /// [`SessionError::Seal`] without random bytes.
    pub(crate) fn without_token(
        binding: SessionBinding,
        time: StoreTime,
        generation: i64,
    ) -> Result<Self, SessionError> {
        let session = Session::without_token(binding, time, generation);
        Ok(Self { id: seal::random()?, session, refresh_token: None, client_secret: None })
    }

    /// A new session from a sign-in. `time` is the store's, from before the token was requested; `replaced` is the
    /// generation of the session that it replaces, or 0.
    ///
    /// # Errors
    /// [`SessionError::Seal`] without random bytes.
    pub fn signed_in(
        response: TokenResponse,
        issued_at: i64,
        time: StoreTime,
        binding: SessionBinding,
        client_secret: Option<ClientSecret>,
        asked: &[String],
        replaced: i64,
    ) -> Result<Self, SessionError> {
        let session = Session {
            generation: replaced.saturating_add(1),
            access_token: response.access_token,
            token_type: response.token_type,
            id_token: response.id_token.and_then(IdToken::into_text),
            scopes: response.scopes.unwrap_or_else(|| asked.to_vec()),
            issued_at,
            expires_at: response.lifetime.map(|life| issued_at.saturating_add(life)),
            metadata: response.metadata,
            binding,
            refreshable: response.refresh_token.is_some(),
            ended_at: None,
            attempts: 0,
            failed: None,
            refreshing_since: None,
            models: None,
            time,
        };
        Ok(Self { id: seal::random()?, session, refresh_token: response.refresh_token, client_secret })
    }

    /// The next generation of this session. A refresh token (RFC 6749, section 6), scopes and metadata that are not in
    /// the token response stay.
    pub fn renewed(self, response: TokenResponse, issued_at: i64) -> Self {
        let Self { id, session, refresh_token, client_secret } = self;
        let refresh_token = response.refresh_token.or(refresh_token);
        let session = Session {
            generation: session.generation.saturating_add(1),
            access_token: response.access_token,
            token_type: response.token_type,
            id_token: response.id_token.and_then(IdToken::into_text).or(session.id_token),
            scopes: response.scopes.unwrap_or(session.scopes),
            issued_at,
            expires_at: response.lifetime.map(|life| issued_at.saturating_add(life)),
            metadata: oauth::merge_metadata(session.metadata, response.metadata),
            refreshable: refresh_token.is_some(),
            ended_at: None,
            failed: None,
            refreshing_since: None,
            ..session
        };
        Self { id, session, refresh_token, client_secret }
    }

    /// [`renewed`](Self::renewed), but with the present access token if that lives longer than the new one.
    pub fn renewed_for_longer(mut self, mut response: TokenResponse, mut issued_at: i64) -> Self {
        let session = &mut self.session;
        let ends_sooner = |life: i64| session.expires_at.is_none_or(|at| at > issued_at.saturating_add(life));
        if session.is_valid(session.now()) && response.lifetime.is_some_and(ends_sooner) {
            mem::swap(&mut response.access_token, &mut session.access_token);
            mem::swap(&mut response.token_type, &mut session.token_type);
            issued_at = session.issued_at;
            response.lifetime = session.expires_at.map(|at| at.saturating_sub(issued_at));
            response.scopes = None;
        }
        self.renewed(response, issued_at)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;

    pub(in crate::session) fn session(issued_at: i64, expires_at: Option<i64>) -> Session {
        Session {
            generation: 3,
            access_token: AccessToken::new("a".into()),
            token_type: "Bearer".into(),
            id_token: None,
            scopes: Vec::new(),
            issued_at,
            expires_at,
            metadata: Map::new(),
            binding: SessionBinding {
                issuer: None,
                client_id: "c".into(),
                client_auth: ClientAuth::None,
                token_url: Url::parse("https://id.example.com/token").ok(),
                revoke_url: None,
                revoking_unlinks: true,
                revoke_auth: Some(ClientAuth::Basic),
                resource: Some("https://llm.example.com/".into()),
                api_url: Url::parse("https://llm.example.com/base").ok(),
                registered: None,
                settings: None,
            },
            refreshable: true,
            ended_at: None,
            attempts: 0,
            failed: None,
            refreshing_since: None,
            models: None,
            time: StoreTime::read_now(0),
        }
    }

    #[test]
    fn sessions_are_apart_where_no_grant_can_stand_behind_both() {
        let known = |metadata: serde_json::Value| {
            let Value::Object(metadata) = metadata else { panic!("metadata is an object") };
            Session { metadata, ..session(0, None) }
        };
        let ada = json!({ "account": "ada" });
        for (one, other, apart) in [
            (json!({}), json!({}), false),
            (ada.clone(), ada.clone(), false),
            (ada.clone(), json!({}), false),
            (ada.clone(), json!({ "account": "mary" }), true),
            (json!({ "grant_id": "1" }), json!({ "grant_id": "2" }), true),
            (json!({ "grant_id": "1" }), json!({}), false),
            (json!({ "grant_id": "" }), json!({ "grant_id": "2" }), false),
            (json!({ "grant_id": 1 }), json!({ "grant_id": 2 }), false),
            (json!({ "account": "ada", "grant_id": "1" }), json!({ "account": "ada", "grant_id": "2" }), true),
            (json!({ "account": "ada", "grant_id": "1" }), json!({ "account": "mary", "grant_id": "1" }), false),
            (json!({ "session_state": "1" }), json!({ "session_state": "2" }), false),
            // What was asked for, or an address, may have changed; an identifier does not.
            (json!({ "id": { "email": "a@x", "sub": "1" } }), json!({ "id": { "sub": "1" } }), false),
            (json!({ "id": { "email": "a@x" } }), json!({ "id": { "sub": "1" } }), false),
            (json!({ "id": { "email": "a@x", "sub": "1" } }), json!({ "id": { "email": "b@x", "sub": "1" } }), false),
            (json!({ "id": { "email": "a@x", "sub": "1" } }), json!({ "id": { "email": "a@x", "sub": "2" } }), true),
            (json!({ "email": "A@x" }), json!({ "email": "a@x" }), false),
            (json!({ "account": { "uuid": "1" } }), json!({ "account": { "uuid": "2" } }), true),
        ] {
            assert_eq!(known(one.clone()).is_apart_from(&known(other.clone())), apart, "{one} {other}");
        }
        let elsewhere = |change: fn(&mut SessionBinding)| {
            let mut session = session(0, None);
            change(&mut session.binding);
            session
        };
        for (other, apart) in [
            (elsewhere(|home| home.client_id = "another".into()), true),
            (elsewhere(|home| home.token_url = Url::parse("https://another.example/token").ok()), true),
            // One server may answer at two paths.
            (elsewhere(|home| home.token_url = Url::parse("https://id.example.com/another").ok()), false),
        ] {
            assert_eq!(session(0, None).is_apart_from(&other), apart, "{:?}", other.binding);
        }
    }

    #[test]
    fn a_session_stays_where_it_was_made() {
        let session = session(0, None);
        let mut provider = ProviderConfig::named("p");
        assert!(session.check_binding(&provider).is_ok(), "an open configuration contradicts nothing");
        provider.api.url = Url::parse("https://llm.example.com/other").ok();
        assert!(session.check_binding(&provider).is_ok(), "another path on the same origin is the same server");
        provider.api.url = Url::parse("https://evil.example.com/base").ok();
        assert!(matches!(
            session.check_binding(&provider),
            Err(SessionError::BoundElsewhere { setting: "api_url", .. })
        ));
        provider.api.url = None;
        provider.token_url = Url::parse("https://id.example.com/token2?key=k-1").ok();
        let elsewhere = session.check_binding(&provider).unwrap_err();
        assert!(matches!(elsewhere, SessionError::BoundElsewhere { setting: "token_url", .. }));
        let shown = "now names `https://id.example.com/token2?...`";
        assert!(elsewhere.to_string().contains(shown), "{elsewhere}");
    }
}
