//! Sign-in: an authorization request, its answer, and the session that is saved.

use std::sync::Arc;

use super::{Accounts, Revocation};
use crate::failure::{Failure, Result};
use crate::oauth::{AuthorizationRequest, SignInError, TokenResponse, Verdict};
use crate::provider;
use crate::secret::{AuthorizationCode, ClientSecret};
use crate::session::renew::{self, Flight};
use crate::session::vault::Held;
use crate::session::{self, HeldSession, Home, Session};

impl Accounts {
    /// Begins a sign-in with the provider's redirect URI; [`AuthorizationRequest::url`] is where to send the user.
    ///
    /// Keep the request where only this user's browser leads to it, or `state` protects nobody (RFC 6749, section
    /// 10.12). Limit how many are kept, because anyone may begin a sign-in.
    ///
    /// # Errors
    /// As [`AuthorizationRequest::begin`].
    pub fn authorization_url(&self) -> std::result::Result<AuthorizationRequest, SignInError> {
        AuthorizationRequest::begin(self.provider(), &self.provider().redirect_uri.value)
    }

    /// Finishes a sign-in with the query that came to the redirect URI, and stores the session under its owner. It
    /// replaces an earlier session of the owner, which is then revoked if that is sure to leave the new one alone
    /// ([`Session::is_apart_from`], [`provider::Provider::revoke_replaced`]).
    ///
    /// The request is spent, whatever comes of it. Call [`AuthorizationRequest::judge`] first to keep it when a query
    /// does not answer it.
    ///
    /// # Errors
    /// [`SignInError::WrongAnswer`] if the query does not answer this request, [`SignInError::Refused`] and others if the
    /// answer is a refusal or the code could not be redeemed, and [`Failure::Store`] if the session could not be stored.
    pub async fn exchange_code(&self, owner: &str, request: AuthorizationRequest, query: &str) -> Result<Session> {
        match request.judge(query) {
            Verdict::Granted(code) => self.redeem(owner, request, code).await,
            Verdict::Refused(error) => Err(error.into()),
            Verdict::NotOurs(reason) | Verdict::Unclear(reason) => Err(SignInError::WrongAnswer { reason }.into()),
        }
    }

    /// Redeems a code and stores the session. It runs in a task of its own, so that dropping this future loses no token.
    ///
    /// # Errors
    /// Why the code was not redeemed, or why the session could not be stored.
    pub async fn redeem(&self, owner: &str, request: AuthorizationRequest, code: AuthorizationCode) -> Result<Session> {
        let (this, owner) = (self.clone(), owner.to_owned());
        let signed_in = tokio::spawn(async move {
            let prepared = this.prepare_sign_in(&owner).await?;
            let requested_at = prepared.now();
            let response = request.redeem(code, this.provider(), &this.renewal.http).await?;
            prepared.finish(response, requested_at).await
        });
        signed_in.await.map_err(|_| Failure::System { sentence: "the sign-in was abandoned".into() })?
    }

    /// Does everything that can fail before new tokens exist: locks the owner's session, proves that the store can be
    /// written and reserves disk space. Every way to sign in calls this before the request whose response brings the
    /// tokens, because they exist nowhere else until [`PreparedSignIn::finish`] has saved them.
    ///
    /// # Errors
    /// The configuration does not allow a sign-in, another process holds the lock, or the store cannot be written.
    pub(super) async fn prepare_sign_in(&self, owner: &str) -> Result<PreparedSignIn> {
        let provider = self.provider();
        let client = provider.client()?;
        let binding = Home {
            client_id: client.id.value.clone(),
            client_auth: client.auth,
            token_url: provider.required(provider.token_url.as_ref(), "token_url")?.clone(),
            revoke_url: provider.revoke_url.clone(),
            api_url: provider.api.url.clone(),
        };
        let client_secret = client.secret.as_ref().map(|secret| ClientSecret::new(secret.expose().to_owned()));
        let held = self.renewal.wait_for_turn(&self.key(owner)).await?;
        let vault = self.renewal.vault.clone();
        let (held, replaced) = renew::off_thread(move || {
            vault.prove_writable()?;
            held.make_room()?;
            // A session that cannot be read cannot be revoked. Saving refuses what must not be overwritten.
            let replaced = held.look().ok().flatten();
            Ok((Arc::new(held), replaced))
        })
        .await?;
        let flight = self.renewal.fly();
        Ok(PreparedSignIn { accounts: self.clone(), binding, client_secret, held, replaced, _flight: flight })
    }

    /// What became of a session that another has taken the place of; none: it was left alone.
    fn replacement(&self, replaced: &Session, revocation: Option<Revocation>) -> String {
        let url = replaced.home.revoke_url.as_ref().unwrap_or(&replaced.home.token_url);
        let stays = format!("the earlier session stays at {} until it expires", provider::host(url));
        match revocation {
            Some(Revocation::Revoked { host }) => format!("the earlier session was revoked at {host}"),
            Some(Revocation::Failed { host, why }) => format!("{stays}: not revoked, {host} {why}"),
            _ if replaced.home.revoke_url.is_none() => format!("{stays}: this provider has no revocation endpoint"),
            _ if self.provider().revoke_replaced == Some(false) => format!("{stays}, as `revoke_replaced` wants it"),
            _ => format!(
                "{stays}; where this server keeps sign-ins apart, `revoke_replaced = true` under [provider.{}] revokes \
                 it next time",
                self.provider().name
            ),
        }
    }
}

/// A sign-in that lacks only its tokens. It holds the lock of the owner's session.
pub(super) struct PreparedSignIn {
    accounts: Accounts,
    binding: Home,
    client_secret: Option<ClientSecret>,
    held: Arc<Held>,
    /// The session that the new one replaces.
    replaced: Option<HeldSession>,
    /// An interrupted process waits until the tokens are saved and those that they replace are revoked.
    _flight: Flight,
}

impl PreparedSignIn {
    /// The time, in Unix seconds.
    pub(super) fn now(&self) -> i64 {
        (self.accounts.renewal.clock)()
    }

    /// Saves the tokens as the owner's session. Then the session that it replaces is revoked, if that is sure to leave
    /// the new one alone. `requested_at` is the time before the token request was sent, in Unix seconds: the lifetime of
    /// the token begins no earlier on the server.
    ///
    /// # Errors
    /// The session could not be saved. Its tokens are then revoked as far as that is possible.
    pub(super) async fn finish(self, response: TokenResponse, requested_at: i64) -> Result<Session> {
        let now = self.now();
        let Self { accounts, binding, client_secret, held, replaced, _flight } = self;
        let (provider, renewal) = (accounts.provider(), &accounts.renewal);
        let generation = replaced.as_ref().map(|held| held.session.generation);
        let clocks = session::clocks_apart(response.dated, now, &provider::host(&binding.token_url));
        let signed_in =
            HeldSession::signed_in(response, requested_at, binding, client_secret, &provider.scopes, generation);
        let (signed_in, saved) = renewal.save(&held, signed_in).await?;
        drop(held);
        if let Some(sentence) = clocks {
            (renewal.notice)(&sentence);
        }
        // Revoking one of the two sessions must not revoke the other.
        let apart = |replaced: &HeldSession| {
            let known = provider.revoke_replaced;
            known.unwrap_or_else(|| replaced.session.is_apart_from(&signed_in.session))
        };
        match saved {
            Ok(()) => {
                if let Some(replaced) = replaced.filter(|replaced| is_good_for_something(replaced, requested_at)) {
                    let revocation = if apart(&replaced) { Some(accounts.revoke(&replaced).await) } else { None };
                    (renewal.notice)(&accounts.replacement(&replaced.session, revocation));
                }
                Ok(signed_in.session)
            }
            Err(unsaved) => {
                if replaced.as_ref().is_none_or(apart) {
                    let _ = accounts.revoke(&signed_in).await;
                }
                Err(unsaved)
            }
        }
    }
}

/// Whether anybody could still do something with a session's tokens.
fn is_good_for_something(held: &HeldSession, now: i64) -> bool {
    held.session.ended_at.is_none() && (held.refresh_token.is_some() || held.session.alive(now))
}
