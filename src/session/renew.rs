//! "A usable access token, please": two looks, one refresh.
//!
//! The order of work is the protection. Look; if the token serves, use it, without a lock or a
//! write. Else hold the session and look again, in the store: whoever waited finds what the others
//! did. Only then is the refresh token readable. Before it is spent, "refresh in flight" is
//! committed, which proves that the store can be written; after it was spent nothing happens but
//! the save. Of the server's answers `invalid_grant` alone ends a session.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::failure::{Failed, Failure, Result};
use crate::http::Http;
use crate::oauth::{Endpoint, TokenError};
pub use crate::private_fs::Notice;
use crate::provider::{self, Provider};
use crate::session::hold;
use crate::session::vault::{Held, Vault};
use crate::session::{FailedRefresh, HeldSession, Key, Need, Session};
use crate::time;

/// The time in Unix seconds, handed in.
pub type Clock = fn() -> i64;

/// How often a save is tried once a refresh token is spent, and how long apart: the new pair lives
/// nowhere else.
const SAVES: u32 = 5;
const SAVE_PAUSE: Duration = Duration::from_millis(200);

/// How long to wait for another nexus before saying so.
const PATIENCE: Duration = Duration::from_secs(1);

/// Keeps one provider's sessions alive. Clones share everything.
#[derive(Clone)]
pub struct Renewal {
    /// Where sessions are kept.
    pub vault: Vault,
    /// Sends the refresh.
    pub http: Arc<Http>,
    /// Whose sessions.
    pub provider: Arc<Provider>,
    /// What time it is.
    pub clock: Clock,
    /// Whom to tell of waiting and of trouble.
    pub notice: Notice,
    /// How many refreshes are between "sent" and "saved".
    pub flights: Arc<watch::Sender<usize>>,
}

impl Renewal {
    /// The stored session, whatever its state, as long as it belongs where the configuration says.
    ///
    /// # Errors
    /// Not signed in, ended, made elsewhere, or a store that cannot be read.
    pub fn look(&self, key: &Key) -> Result<Session> {
        let session = self.vault.look(key)?.ok_or_else(|| self.not_signed_in(key))?;
        self.usable(&session).map(|()| session)
    }

    /// As [`look`](Self::look), without blocking a runtime.
    pub async fn look_aside(&self, key: &Key) -> Result<Session> {
        let (this, key) = (self.clone(), key.clone());
        off_thread(move || this.look(&key)).await
    }

    /// A session whose access token serves this need, or is at least as fresh as the server makes
    /// them: refreshed once if it has to be.
    ///
    /// The refresh runs in a task of its own, so that dropping this future loses no token.
    ///
    /// # Errors
    /// As [`look`](Self::look), and why the token could not be refreshed when it had to be.
    pub async fn serve(&self, key: &Key, need: Need) -> Result<Session> {
        let seen = self.look_aside(key).await?;
        if seen.serves(need, (self.clock)()) {
            return Ok(seen);
        }
        self.serve_after(key, need, seen).await
    }

    /// As [`serve`](Self::serve), for a caller that has looked already.
    ///
    /// # Errors
    /// As [`serve`](Self::serve).
    pub async fn serve_after(&self, key: &Key, need: Need, seen: Session) -> Result<Session> {
        if !seen.refreshable {
            return self.without_refresh_token(seen, need);
        }
        let (this, key) = (self.clone(), key.clone());
        let since = (self.clock)();
        let renewed = tokio::spawn(async move {
            let held = match need {
                // Nobody waits for this: if another nexus is at it already, so much the better.
                Need::Ahead => this.vault.hold(&key, Duration::ZERO).await?,
                _ => this.wait_for_turn(&key).await?,
            };
            this.renew(held, need, &seen, since).await
        });
        renewed.await.map_err(|_| Failure::System { sentence: "the refresh was abandoned".into() })?
    }

    /// Waits for the session's lock, and tells of it where that takes long.
    ///
    /// # Errors
    /// The lock is held for too long, or cannot be taken.
    pub async fn wait_for_turn(&self, key: &Key) -> Result<Held> {
        let mut turn = std::pin::pin!(self.vault.hold(key, hold::WAIT));
        tokio::select! {
            held = &mut turn => return held,
            () = tokio::time::sleep(PATIENCE) => {}
        }
        (self.notice)("waiting for another nexus that is renewing this session");
        turn.await
    }

    async fn renew(&self, held: Held, need: Need, seen: &Session, since: i64) -> Result<Session> {
        let held = Arc::new(held);
        let current = {
            let held = held.clone();
            off_thread(move || held.look()).await?
        };
        let gone = || Failure::NotSignedIn { provider: self.provider.name.clone(), others: Vec::new() };
        let current = current.ok_or_else(gone)?;
        self.usable(&current.session)?;
        let now = (self.clock)();
        // A newer generation is as fresh as the server makes them: those who waited do not each
        // refresh again because a short-lived token falls short of what they would have liked.
        let moved_on = current.session.generation != seen.generation && current.session.alive(now);
        if moved_on || current.session.serves(need, now) {
            return Ok(current.session);
        }
        // Either one began since, or the one that was in flight has failed since (what was seen may be
        // old by now), or a second one has failed just now: a hundred programs that start one after the
        // other do not all knock at a server in trouble.
        if let Some(failed) = &current.session.failed
            && (failed.at >= since && (current.session.attempts != seen.attempts || seen.failed.is_none())
                || failed.again && failed.is_of_just_now(now))
        {
            let failed = failed.failed.clone();
            return self.fall_back(current.session, need, failed);
        }
        let _flight = self.fly();
        self.refresh(held, current, need).await
    }

    async fn refresh(&self, held: Arc<Held>, current: HeldSession, need: Need) -> Result<Session> {
        let Some(token) = &current.refresh_token else {
            return self.without_refresh_token(current.session, need);
        };
        let begun_at = (self.clock)();
        let begun = {
            let held = held.clone();
            off_thread(move || held.begin_refresh(begun_at)).await
        };
        if let Err(unwritable) = begun {
            // The token was not spent: while the old one lives, nothing is lost but a warning.
            let now = (self.clock)();
            if current.session.alive(now) && !matches!(need, Need::OtherThan(_)) {
                (self.notice)(&format!(
                    "the token was not refreshed, because the result could not be saved: {unwritable}"
                ));
                return Ok(current.session);
            }
            return Err(unwritable);
        }
        let home = &current.session.home;
        // A rotated client secret reaches the configuration before it reaches a stored session.
        let configured = self.provider.client.as_ref().and_then(|client| client.secret.as_ref());
        let endpoint = Endpoint {
            url: &home.token_url,
            client_id: &home.client_id,
            secret: configured.or(current.client_secret.as_ref()),
            auth: home.client_auth,
        };
        // Counted from before it is sent: the server's clock for the token starts no earlier.
        let now = (self.clock)();
        match endpoint.refresh(&self.http, token, &self.provider.refresh).await {
            Ok(grant) => {
                let (renewed, saved) = self.save(&held, current.renewed(grant, now)).await?;
                if let Err(failure) = saved {
                    // It is still good for this once.
                    (self.notice)(&format!(
                        "the refreshed session could not be saved and is lost with the next refresh or the end of this command: {failure}; {}, \
                         then run `nexus oauth start{}`",
                        failure.hint(),
                        self.provider.name.option()
                    ));
                }
                Ok(renewed.session)
            }
            Err(unredeemed) => self.refused(held, current, need, begun_at, unredeemed).await,
        }
    }

    /// Saves what lives nowhere else, and gives it back with what became of that.
    pub async fn save(&self, held: &Arc<Held>, mut session: HeldSession) -> Result<(HeldSession, Result<()>)> {
        let mut attempt = 1;
        loop {
            let (held, kept) = (held.clone(), session);
            let saved;
            (session, saved) = off_thread(move || {
                let saved = held.keep(&kept);
                Ok((kept, saved))
            })
            .await?;
            if saved.is_ok() || attempt == SAVES {
                return Ok((session, saved));
            }
            tokio::time::sleep(SAVE_PAUSE).await;
            attempt += 1;
        }
    }

    async fn refused(
        &self,
        held: Arc<Held>,
        current: HeldSession,
        need: Need,
        begun_at: i64,
        unredeemed: TokenError,
    ) -> Result<Session> {
        let now = (self.clock)();
        let session = current.session;
        // An earlier answer that was never saved: the token in it is the one that is good now.
        let cut_off = session.flight_at;
        if unredeemed.is_final() {
            let generation = session.generation;
            let newer = {
                let held = held.clone();
                off_thread(move || {
                    // Whoever renewed it without our lock (a copy of the store, another machine) has the
                    // token that is good now.
                    let newer = held.look()?.filter(|newer| newer.session.generation != generation);
                    if newer.is_none() {
                        // That it cannot be marked changes nothing of what the server said.
                        let _ = held.mark_ended(now, cut_off);
                    }
                    Ok(newer)
                })
            };
            if let Ok(Some(newer)) = newer.await {
                return self.adopt(held, newer, need).await;
            }
            return Err(Failure::SessionEnded { provider: self.provider.name.clone(), at: now, cut_off });
        }
        let perhaps_spent = matches!(
            &unredeemed,
            TokenError::PerhapsSpent { .. } | TokenError::TooLate(_) | TokenError::InvalidResponse(_)
        );
        let in_doubt = cut_off.or(perhaps_spent.then_some(begun_at));
        // Where nothing was there to be asked, the next one may find it back.
        let reached = !matches!(unredeemed, TokenError::Unsendable(_) | TokenError::NeverSent(_));
        let again = session.failed.as_ref().is_some_and(|before| before.is_of_just_now(begun_at));
        let failed = unredeemed.failed();
        {
            let told = FailedRefresh { failed: failed.clone(), at: now, reached, again: reached && again };
            let told = (!matches!(unredeemed, TokenError::Unsendable(_))).then_some(told);
            let generation = session.generation;
            // Those who wait will try for themselves if they cannot be told.
            let _ = off_thread(move || held.end_refresh(generation, told.as_ref(), in_doubt)).await;
        }
        match unredeemed {
            TokenError::Unsendable(failure) if !session.alive(now) || matches!(need, Need::OtherThan(_)) => {
                Err(failure.into())
            }
            TokenError::Refused { error, description, .. }
                if matches!(&*error, "invalid_client" | "unauthorized_client")
                    && (!session.alive(now) || matches!(need, Need::OtherThan(_))) =>
            {
                Err(Failure::ClientRefused {
                    provider: self.provider.name.clone(),
                    client_id: session.home.client_id,
                    host: provider::host(&session.home.token_url),
                    said: description,
                })
            }
            _ => self.fall_back(session, need, failed),
        }
    }

    /// Takes a generation that came without our lock as if it had been found at the first look: used
    /// while it lives, refreshed where it does not. To go round, this takes somebody who
    /// writes yet another one between each request and its answer.
    fn adopt<'a>(
        &'a self,
        held: Arc<Held>,
        newer: HeldSession,
        need: Need,
    ) -> Pin<Box<dyn Future<Output = Result<Session>> + Send + 'a>> {
        Box::pin(async move {
            self.usable(&newer.session)?;
            if newer.session.alive((self.clock)()) {
                return Ok(newer.session);
            }
            self.refresh(held, newer, need).await
        })
    }

    /// The old token while it lives, with a word; the failure when it does not.
    fn fall_back(&self, session: Session, need: Need, failed: Failed) -> Result<Session> {
        let host = provider::host(&session.home.token_url);
        let now = (self.clock)();
        if session.alive(now) && !matches!(need, Need::OtherThan(_)) {
            let left = session
                .expires_at
                .map_or_else(String::new, |at| format!(", good for {}", time::span(at.saturating_sub(now))));
            if need != Need::Ahead {
                (self.notice)(&format!("the token was not refreshed ({host} {}); using the old one{left}", failed.why));
            }
            return Ok(session);
        }
        let provider = self.provider.name.clone();
        Err(Failure::RefreshFailed { provider, host, failed })
    }

    fn without_refresh_token(&self, session: Session, need: Need) -> Result<Session> {
        let now = (self.clock)();
        if session.alive(now) && !matches!(need, Need::OtherThan(_)) {
            return Ok(session);
        }
        Err(Failure::NoRefreshToken {
            provider: self.provider.name.clone(),
            expired_at: session.expires_at.unwrap_or(now),
            now,
        })
    }

    /// Announces that a token is about to be spent: an interrupted process waits for it to be saved.
    pub fn fly(&self) -> Flight {
        self.flights.send_modify(|count| *count += 1);
        Flight(self.flights.clone())
    }

    fn usable(&self, session: &Session) -> Result<()> {
        if let Some(at) = session.ended_at {
            return Err(Failure::SessionEnded { provider: self.provider.name.clone(), at, cut_off: session.flight_at });
        }
        session.check_home(&self.provider)
    }

    /// Names the providers that the person may have meant; whose other sessions an owner of the
    /// library has is nobody's business.
    fn not_signed_in(&self, key: &Key) -> Failure {
        let others = if key.owner.is_empty() { self.vault.providers().unwrap_or_default() } else { Vec::new() };
        Failure::NotSignedIn { provider: self.provider.name.clone(), others }
    }
}

/// Something between "sent" and "saved", for as long as this lives.
pub struct Flight(Arc<watch::Sender<usize>>);

impl Drop for Flight {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

/// Waits until no refresh is between "sent" and "saved".
pub async fn settled(flights: &watch::Sender<usize>) {
    // The sender is ours, so the channel cannot have closed.
    let _ = flights.subscribe().wait_for(|count| *count == 0).await;
}

/// Runs disk work where it blocks no runtime.
pub async fn off_thread<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| Failure::System { sentence: "the disk work was abandoned".into() })?
}
