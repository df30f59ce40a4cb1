//! Sign-in: an authorization request, its answer, and the session that is saved.

use super::{Client, Revocation};
use crate::client::error::Result;
use crate::oauth::{
    AuthorizationRequest, ClientPlace, ExpectedIdToken, IdTokenProblem, SignInError, TokenResponse, Verdict,
};
use crate::provider::{self, OAuthClient};
use crate::secret::{AuthorizationCode, ClientSecret};
use crate::session::{
    EarlierSession, LockedLoad, LockedSession, Notice, Session, SessionBinding, SessionError, StoreTime, StoredSession,
};

impl Client {
    /// Begins a sign-in with the provider's redirect URI; [`AuthorizationRequest::url`] is where to send the user.
    ///
    /// Bind the request to the user's browser, for example with a cookie; otherwise `state` does not protect (RFC 6749,
    /// section 10.12). Limit how many are kept, because anyone may begin a sign-in.
    ///
    /// [`begin_sign_in`](Self::begin_sign_in) does the same for a provider without a client, which it registers.
    ///
    /// # Errors
    /// Those of [`authorization_url_for`](Self::authorization_url_for).
    pub async fn authorization_url(&self) -> std::result::Result<AuthorizationRequest, SignInError> {
        self.authorization_url_for(&self.provider().redirect_uri).await
    }

    /// Begins a sign-in with this redirect URI. The request is pushed if the provider has a `par_url` (RFC 9126).
    ///
    /// # Errors
    /// Those of [`AuthorizationRequest::begin`], and those of a request that is pushed.
    pub async fn authorization_url_for(
        &self,
        redirect_uri: &str,
    ) -> std::result::Result<AuthorizationRequest, SignInError> {
        AuthorizationRequest::begin_pushed(self.provider(), None, redirect_uri, &self.http).await
    }

    /// Finishes a sign-in with the query that came to the redirect URI, and saves the session of this owner. An earlier
    /// session of the owner is replaced. It is revoked if that is sure not to revoke the new one
    /// ([`Session::is_apart_from`], [`ProviderConfig::revoke_replaced`](crate::ProviderConfig::revoke_replaced)).
    ///
    /// The request is consumed even if this fails. To keep it when a query does not answer it, call
    /// [`AuthorizationRequest::judge`] first.
    ///
    /// # Errors
    /// [`SignInError::WrongAnswer`] if the query does not answer this request, another [`SignInError`] if the user or
    /// the server refused, and [`SessionError::Store`] if the session could not be saved.
    pub async fn exchange_code(&self, owner: &str, request: AuthorizationRequest, query: &str) -> Result<Session> {
        match request.judge(query) {
            Verdict::Granted(code) => self.redeem(owner, request, code).await,
            Verdict::Refused(error) => {
                let place = request.registered().map(|registered| &registered.place);
                Err(self.forget_refused(place, error).await)
            }
            Verdict::NotOurs(reason) | Verdict::Unclear(reason) => Err(SignInError::WrongAnswer { reason }.into()),
        }
    }

    /// Exchanges a code and saves the session. It runs in its own task, so dropping this future loses no token.
    ///
    /// # Errors
    /// The code was not exchanged, or the session could not be saved.
    pub async fn redeem(&self, owner: &str, request: AuthorizationRequest, code: AuthorizationCode) -> Result<Session> {
        let (this, its_owner) = (self.clone(), owner.to_owned());
        let signed_in = tokio::spawn(async move {
            let place = request.registered().map(|registered| registered.place.clone());
            let prepared = this.prepare_sign_in(&its_owner, request.client(this.provider())?, place.clone()).await?;
            let _pending = this.refresher.pending_saves.track_save();
            let requested_at = prepared.now();
            let expected = request.expected_id_token();
            let response = match request.redeem(code, this.provider(), &this.http).await {
                Ok(response) => response,
                Err(error) => return Err(this.forget_refused(place.as_ref(), error).await),
            };
            prepared.finish_checked(response, requested_at, expected).await
        });
        let session = signed_in.await.map_err(|_| SessionError::Abandoned("sign-in"))??;
        Ok(self.with_account_name(owner, session).await)
    }

    /// Checks the ID token. Without one, nothing is known to be wrong: it decides no access, and plain OAuth servers
    /// ignore the scope `openid`.
    fn check_id_token(
        &self,
        expected: &ExpectedIdToken,
        response: &TokenResponse,
    ) -> std::result::Result<(), IdTokenProblem> {
        let now = response.dated.unwrap_or_else(self.clock);
        if let Some(token) = &response.id_token {
            return expected.check(token, now);
        }
        let granted = response.scopes.as_ref().is_none_or(|scopes| scopes.iter().any(|scope| scope == "openid"));
        if let Some(url) = self.provider().token_url.as_ref().filter(|_| granted) {
            (self.refresher.notice)(&Notice::NoIdToken { host: provider::host(url) });
        }
        Ok(())
    }

    /// Does everything that can fail before new tokens exist: locks the owner's session, checks that the store is
    /// writable and reserves disk space. Every way to sign in calls this before it requests the tokens, which are lost
    /// unless [`PreparedSignIn::finish`] saves them.
    ///
    /// `client` is the one that signs in, and `registered` where it is kept if it was registered dynamically.
    ///
    /// # Errors
    /// The configuration does not allow a sign-in, another process holds the lock, or the store cannot be written.
    pub(super) async fn prepare_sign_in(
        &self,
        owner: &str,
        client: &OAuthClient,
        registered: Option<ClientPlace>,
    ) -> Result<PreparedSignIn> {
        let provider = self.provider();
        provider.required(provider.token_url.as_ref(), "token_url")?;
        let binding = SessionBinding::new(provider, Some(client), registered);
        let client_secret = client.secret.as_ref().map(|secret| ClientSecret::new(secret.expose().to_owned()));
        self.prepare_session(owner, binding, client_secret).await
    }

    /// [`prepare_sign_in`](Self::prepare_sign_in) for a session with this binding.
    pub(super) async fn prepare_session(
        &self,
        owner: &str,
        binding: SessionBinding,
        client_secret: Option<ClientSecret>,
    ) -> Result<PreparedSignIn> {
        let mut locked = self.refresher.lock(&self.key(owner)).await?;
        self.refresher.sessions.check_writable().await?;
        locked.reserve().await?;
        let LockedLoad { time, generation, session } = locked.load_to_replace().await?;
        // A session that does not open cannot be revoked, but it can be replaced.
        let replaced = session.ok().flatten();
        let client = self.clone();
        Ok(PreparedSignIn { client, binding, client_secret, locked, time, generation, replaced })
    }

    /// Whether revoking one of two sessions is sure not to revoke the other.
    fn are_apart(&self, one: &StoredSession, other: &StoredSession) -> bool {
        self.provider().revoke_replaced.unwrap_or_else(|| one.session.is_apart_from(&other.session))
    }

    /// The notice about a session that cannot be refreshed.
    fn no_refresh_token(&self, host: String) -> Notice {
        let provider = self.provider();
        let prompts = [provider.prompt.as_ref(), provider.authorize_params.get("prompt")];
        let consent_asked = prompts.into_iter().flatten().any(|prompt| prompt.split(' ').any(|word| word == "consent"));
        Notice::NoRefreshToken { provider: provider.name.clone(), host, consent_asked }
    }

    /// The notice about a replaced session. `revocation` is `None` if it was not revoked.
    fn replacement(&self, replaced: &Session, revocation: Option<Revocation>) -> Notice {
        let provider = self.provider();
        let binding = &replaced.binding;
        let end = match revocation {
            Some(Revocation::Revoked { .. }) => EarlierSession::Revoked,
            Some(Revocation::Failed { description, .. }) => EarlierSession::NotRevoked(description),
            _ if binding.revoke_url.is_none() => EarlierSession::NoEndpoint,
            _ if provider.revoke_replaced == Some(false) => EarlierSession::KeptByConfiguration,
            _ => EarlierSession::PerhapsShared,
        };
        let host = binding.revoke_url.as_ref().map_or_else(|| binding.host(), provider::host);
        Notice::EarlierSession { provider: provider.name.clone(), host, end }
    }
}

/// A sign-in that is ready for the token request. It holds the lock of the owner's session.
pub(super) struct PreparedSignIn {
    client: Client,
    binding: SessionBinding,
    client_secret: Option<ClientSecret>,
    locked: LockedSession,
    /// The store's time.
    time: StoreTime,
    /// The generation of the session that the new one replaces, or 0.
    generation: i64,
    /// The session that the new one replaces, if it could be opened.
    replaced: Option<StoredSession>,
}

impl PreparedSignIn {
    /// The store's time, in Unix seconds.
    pub(super) fn now(&self) -> i64 {
        self.time.now()
    }

    /// Saves the tokens as the owner's session. The replaced session is revoked if that is sure not to revoke the new
    /// one. `requested_at` is the time before the token request, in Unix seconds; the token's lifetime starts later.
    ///
    /// # Errors
    /// The session could not be saved. Its tokens are then revoked if possible.
    pub(super) async fn finish(self, response: TokenResponse, requested_at: i64) -> Result<Session> {
        let Self { client, mut binding, client_secret, mut locked, time, generation, replaced } = self;
        binding.client_auth = response.client_auth.unwrap_or(binding.client_auth);
        let (provider, refresher) = (client.provider(), &client.refresher);
        let clocks = Notice::of_clocks(response.dated, (client.clock)(), &binding.host());
        let scopes = &provider.scopes;
        let signed_in =
            StoredSession::signed_in(response, requested_at, time, binding, client_secret, scopes, generation);
        let mut signed_in = signed_in?;
        let saved = refresher.save_sign_in(&mut locked, generation, &mut signed_in).await;
        drop(locked);
        if let Some(clocks) = clocks {
            (refresher.notice)(&clocks);
        }
        let apart = |replaced: &StoredSession| client.are_apart(replaced, &signed_in);
        match saved {
            Ok(()) => {
                if provider.grant.needs_user() && provider.asks_for("offline_access") && !signed_in.session.refreshable
                {
                    let host = signed_in.session.binding.host();
                    (refresher.notice)(&client.no_refresh_token(host));
                }
                if let Some(replaced) = replaced.filter(|replaced| is_usable_sign_in(replaced, requested_at)) {
                    let revocation = if apart(&replaced) { Some(client.revoke(&replaced).await) } else { None };
                    (refresher.notice)(&client.replacement(&replaced.session, revocation));
                }
                Ok(signed_in.session)
            }
            Err(unsaved) => {
                if replaced.as_ref().is_none_or(apart) {
                    let _ = client.revoke(&signed_in).await;
                }
                Err(unsaved.into())
            }
        }
    }
}

impl PreparedSignIn {
    /// [`finish`](Self::finish) if the ID token says what is expected. Otherwise the tokens are revoked.
    ///
    /// # Errors
    /// [`SignInError::IdToken`], and those of [`finish`](Self::finish).
    pub(super) async fn finish_checked(
        self,
        response: TokenResponse,
        requested_at: i64,
        expected: Option<ExpectedIdToken>,
    ) -> Result<Session> {
        if let Some(expected) = expected
            && let Err(problem) = self.client.check_id_token(&expected, &response)
        {
            let (provider, host) = (self.client.provider().name.clone(), self.binding.host());
            self.discard(response, requested_at).await;
            return Err(SignInError::IdToken { provider, host, problem }.into());
        }
        self.finish(response, requested_at).await
    }

    /// Revokes tokens that must not be used, unless that might revoke the session that stays.
    async fn discard(self, mut response: TokenResponse, requested_at: i64) {
        let Self { client, binding, client_secret, locked, time, generation, replaced } = self;
        drop(locked);
        // The claims of a wrong ID token tell no accounts apart.
        response.metadata.remove("id");
        let binding = SessionBinding { client_auth: response.client_auth.unwrap_or(binding.client_auth), ..binding };
        let scopes = &client.provider().scopes;
        let discarded =
            StoredSession::signed_in(response, requested_at, time, binding, client_secret, scopes, generation);
        if let Ok(discarded) = discarded
            && replaced.is_none_or(|stays| client.are_apart(&stays, &discarded))
        {
            let _ = client.revoke(&discarded).await;
        }
    }
}

/// Whether a user signed in to the session, and its tokens can still be used.
fn is_usable_sign_in(stored: &StoredSession, now: i64) -> bool {
    let was_signed_in = stored.session.binding.settings.is_none();
    was_signed_in
        && stored.session.ended_at.is_none()
        && (stored.refresh_token.is_some() || stored.session.is_valid(now))
}
