//! The beginning of a session: an attempt, its answer, and what is kept of it.

use std::sync::Arc;

use super::{Accounts, Revocation};
use crate::failure::{Failure, Result};
use crate::oauth::{AuthorizationRequest, SignInError, Verdict};
use crate::provider;
use crate::secret::{AuthorizationCode, ClientSecret};
use crate::session::renew;
use crate::session::{self, HeldSession, Home, Session};

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
            let home = Home {
                client_id: client.id.value.clone(),
                client_auth: client.auth,
                token_url: provider.required(provider.token_url.as_ref(), "token_url")?.clone(),
                revoke_url: provider.revoke_url.clone(),
                api_url: provider.api.url.clone(),
            };
            let secret = client.secret.as_ref().map(|secret| ClientSecret::new(secret.expose().to_owned()));
            let held = this.renewal.wait_for_turn(&key).await?;
            let vault = this.renewal.vault.clone();
            let (held, replaced) = renew::off_thread(move || {
                vault.prove_writable()?;
                held.make_room()?;
                // What cannot be read cannot be revoked; `keep` refuses what must not be overwritten.
                let replaced = held.look().ok().flatten();
                Ok((Arc::new(held), replaced))
            })
            .await?;
            // To the end: an interrupted process waits until the tokens are saved, and until those that they
            // replace are revoked, which nobody else knows by then.
            let _flight = this.renewal.fly();
            // Counted from before it is sent: the server's clock for the token starts no earlier.
            let now = (this.renewal.clock)();
            let grant = attempt.redeem(code, provider, &this.renewal.http).await?;
            let generation = replaced.as_ref().map(|held| held.session.generation);
            let clocks = session::clocks_apart(grant.dated, (this.renewal.clock)(), &provider::host(&home.token_url));
            let signed_in = HeldSession::signed_in(grant, now, home, secret, &provider.scopes, generation);
            let (signed_in, kept) = this.renewal.save(&held, signed_in).await?;
            drop(held);
            if let Some(sentence) = clocks {
                (this.renewal.notice)(&sentence);
            }
            // Neither end may take the session that is to stay along; the person is told which happened.
            let apart = |replaced: &HeldSession| {
                let known = provider.revoke_replaced;
                known.unwrap_or_else(|| replaced.session.is_apart_from(&signed_in.session))
            };
            match kept {
                Ok(()) => {
                    if let Some(replaced) = replaced.filter(|replaced| is_good_for_something(replaced, now)) {
                        let revocation = if apart(&replaced) { Some(this.revoke(&replaced).await) } else { None };
                        (this.renewal.notice)(&this.replacement(&replaced.session, revocation));
                    }
                    Ok(signed_in.session)
                }
                Err(unsaved) => {
                    if replaced.as_ref().is_none_or(apart) {
                        let _ = this.revoke(&signed_in).await;
                    }
                    Err(unsaved)
                }
            }
        });
        signed_in.await.map_err(|_| Failure::System { sentence: "the sign-in was abandoned".into() })?
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

/// Whether anybody could still do something with a session's tokens.
fn is_good_for_something(held: &HeldSession, now: i64) -> bool {
    held.session.ended_at.is_none() && (held.refresh_token.is_some() || held.session.alive(now))
}
