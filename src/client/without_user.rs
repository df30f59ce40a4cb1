//! Sessions that begin without a user.

use super::Client;
use crate::client::error::Result;
use crate::session::source::SourceError;
use crate::session::{Session, SessionBinding, SessionError, StoreTime, StoredSession};

impl Client {
    /// Requests a new token without a user, and saves it as the owner's session. An earlier session of the owner is
    /// kept if that fails. It is not necessary before other calls, which request a token if there is none.
    ///
    /// # Errors
    /// [`SessionError::NotSignedIn`] if a user has to sign in ([`Grant::needs_user`](crate::Grant::needs_user)),
    /// [`SessionError::NotFetched`] if there is no token, and [`SessionError::Store`] if it could not be saved.
    pub async fn fetch_token(&self, owner: &str) -> Result<Session> {
        let (this, owner) = (self.clone(), owner.to_owned());
        let fetched = tokio::spawn(async move {
            let refresher = &this.refresher;
            let Some(binding) = refresher.source.binding() else {
                let provider = this.provider().name.clone();
                return Err(SessionError::NotSignedIn { provider, others: Vec::new() }.into());
            };
            if let Err(error) = refresher.source.prepare().await {
                return Err(refresher.not_fetched(&binding, SourceError::not_sent(error)).into());
            }
            let prepared = this.prepare_session(&owner, binding.clone(), None).await?;
            let requested_at = prepared.now();
            let empty = StoredSession::without_token(binding.clone(), StoreTime::read_now(requested_at), 0)?;
            match refresher.source.next_token(&empty).await {
                Ok(response) => prepared.finish(response, requested_at).await,
                Err(error) => Err(refresher.not_fetched(&binding, error).into()),
            }
        });
        fetched.await.map_err(|_| SessionError::Abandoned("request for a token"))?
    }

    /// Where the tokens come from, in words: a host, or a command.
    pub fn token_source_name(&self) -> String {
        let source = &self.refresher.source;
        source.name(&source.binding().unwrap_or_else(|| SessionBinding::new(self.provider(), None, None)))
    }

    /// Whether the next use requests the first token without a user. `stored` is the stored session, if there is one.
    pub fn begins_without_user(&self, stored: Option<&Session>) -> bool {
        self.refresher.to_begin(stored).is_some() || stored.is_some_and(|session| !session.has_token())
    }
}
