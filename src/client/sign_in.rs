//! The beginning of a session: an attempt, its answer, and what is kept of it.

use super::{Accounts, Revocation};
use crate::failure::Result;
use crate::oauth::{AuthorizationRequest, SignInError, Verdict};
use crate::provider;
use crate::secret::{AuthorizationCode, ClientSecret};
use crate::session::{EarlierSession, LockedLoad, Notice, Session, SessionBinding, SessionError, StoredSession};

impl Accounts {
    /// Begins a sign-in with the provider's redirect URI; [`AuthorizationRequest::url`] is where the person goes.
    /// The attempt must be filed where only this browser leads to it, or `state` protects nobody
    /// (RFC 6749, section 10.12); and the file needs a limit, as anybody may begin.
    ///
    /// # Errors
    /// [`Failure::NoClientId`], [`Failure::Configuration`] without an `authorize_url` or `token_url`, or
    /// [`Failure::System`] without random numbers.
    pub fn authorization_url(&self) -> Result<AuthorizationRequest> {
        Ok(AuthorizationRequest::begin(self.provider(), &self.provider().redirect_uri.value)?)
    }

    /// Finishes a sign-in with the query that came to the redirect URI, and stores the session under
    /// its owner. One that the owner had before is replaced; then it is revoked, if that is sure to leave
    /// the new one alone ([`Session::is_apart_from`], [`provider::Provider::revoke_replaced`]).
    ///
    /// The attempt is spent, whatever comes of it. To keep it where somebody sends a query that does
    /// not answer it, ask [`AuthorizationRequest::judge`] first.
    ///
    /// # Errors
    /// [`Failure::Usage`] where the query does not answer this attempt, [`Failure::SignInRefused`]
    /// and its like where the answer is no, [`Failure::CodeRefused`], [`Failure::Unreachable`] and
    /// others where the code could not be redeemed, [`Failure::Store`] where the session could not
    /// be stored.
    pub async fn exchange_code(&self, owner: &str, attempt: AuthorizationRequest, query: &str) -> Result<Session> {
        match attempt.judge(query) {
            Verdict::Granted(code) => self.redeem(owner, attempt, code).await,
            Verdict::Refused(error) => Err(error.into()),
            Verdict::NotOurs(reason) | Verdict::Unclear(reason) => Err(SignInError::WrongAnswer { reason }.into()),
        }
    }

    /// Redeems a code and stores the session, in a task of its own, so that dropping this future
    /// loses no token. The session that is replaced is revoked, if at all, once the new one is safe.
    ///
    /// All that can fail here comes before the code is spent: what it buys lives nowhere else until
    /// it is saved.
    pub async fn redeem(&self, owner: &str, attempt: AuthorizationRequest, code: AuthorizationCode) -> Result<Session> {
        let (this, key) = (self.clone(), self.key(owner));
        let signed_in = tokio::spawn(async move {
            let provider = this.provider();
            let client = provider.client()?;
            let binding = SessionBinding {
                client_id: client.id.value.clone(),
                client_auth: client.auth,
                token_url: provider.required(provider.token_url.as_ref(), "token_url")?.clone(),
                revoke_url: provider.revoke_url.clone(),
                api_url: provider.api.url.clone(),
            };
            let secret = client.secret.as_ref().map(|secret| ClientSecret::new(secret.expose().to_owned()));
            let failed = |error| this.failure(error);
            let mut locked = this.refresher.lock(&key).await.map_err(failed)?;
            this.refresher.sessions.check_writable().await.map_err(failed)?;
            locked.reserve().await.map_err(failed)?;
            let LockedLoad { time, generation, session } = locked.load().await.map_err(failed)?;
            // What cannot be opened cannot be revoked; its generation is known all the same.
            let replaced = session.ok().flatten();
            // To the end: an interrupted process waits until the tokens are saved, and until those that they replace
            // are revoked, which no other process knows by then.
            let _pending = this.refresher.pending_saves.track_save();
            // From before the request is sent: the server's clock for the token starts no earlier.
            let issued_at = time.now();
            let response = attempt.redeem(code, provider, &this.http).await?;
            let host = provider::host(&binding.token_url);
            let clocks = Notice::of_clocks(response.dated, (this.clock)(), &host);
            let mut signed_in =
                StoredSession::signed_in(response, issued_at, time, binding, secret, &provider.scopes, generation)
                    .map_err(failed)?;
            let saved = this.refresher.save_sign_in(&mut locked, generation, &mut signed_in).await;
            drop(locked);
            if let Some(clocks) = clocks {
                (this.refresher.notice)(&clocks);
            }
            // Revoking one of the two sessions must not revoke the other.
            let apart = |replaced: &StoredSession| {
                let known = provider.revoke_replaced;
                known.unwrap_or_else(|| replaced.session.is_apart_from(&signed_in.session))
            };
            match saved {
                Ok(()) => {
                    if let Some(replaced) = replaced.filter(|replaced| is_usable(replaced, issued_at)) {
                        let revocation = if apart(&replaced) { Some(this.revoke(&replaced).await) } else { None };
                        (this.refresher.notice)(&this.replacement(&replaced.session, revocation));
                    }
                    Ok(signed_in.session)
                }
                Err(unsaved) => {
                    if replaced.as_ref().is_none_or(apart) {
                        let _ = this.revoke(&signed_in).await;
                    }
                    Err(this.failure(unsaved))
                }
            }
        });
        signed_in.await.map_err(|_| self.failure(SessionError::Abandoned("sign-in")))?
    }

    /// What became of a session that another one replaced; `None` if it was left alone.
    fn replacement(&self, replaced: &Session, revocation: Option<Revocation>) -> Notice {
        let provider = self.provider();
        let binding = &replaced.binding;
        let end = match revocation {
            Some(Revocation::Revoked { .. }) => EarlierSession::Revoked,
            Some(Revocation::Failed { why, .. }) => EarlierSession::NotRevoked(why),
            _ if binding.revoke_url.is_none() => EarlierSession::NoEndpoint,
            _ if provider.revoke_replaced == Some(false) => EarlierSession::KeptByConfiguration,
            _ => EarlierSession::PerhapsShared,
        };
        let host = provider::host(binding.revoke_url.as_ref().unwrap_or(&binding.token_url));
        Notice::EarlierSession { provider: provider.name.to_string(), host, end }
    }
}

/// Whether a session's tokens are good for anything.
fn is_usable(stored: &StoredSession, now: i64) -> bool {
    stored.session.ended_at.is_none() && (stored.refresh_token.is_some() || stored.session.alive(now))
}
