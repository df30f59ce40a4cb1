//! Sign-ins that are begun in one process and finished in another.

use std::time::Duration;

use super::Client;
use crate::client::error::Result;
use crate::oauth::AuthorizationRequest;

impl Client {
    /// Keeps an authorization request in the store for `lifetime`, sealed, so that any process with the same store and
    /// key can finish it. `owner` names the browser or the user that began it; another one does not find it.
    ///
    /// # Errors
    /// The request could not be saved.
    pub async fn keep_pending(&self, owner: &str, request: &AuthorizationRequest, lifetime: Duration) -> Result<()> {
        let (key, bytes) = (self.key(owner), request.to_bytes());
        Ok(self.refresher.sessions.put_pending(&key, request.state(), &bytes, lifetime).await?)
    }

    /// Takes the authorization request with this `state` out of the store, to finish it with
    /// [`exchange_code`](Self::exchange_code). Of several calls exactly one gets it; none does after its lifetime.
    ///
    /// # Errors
    /// The store or its key cannot be used.
    pub async fn take_pending(&self, owner: &str, state: &str) -> Result<Option<AuthorizationRequest>> {
        let bytes = self.refresher.sessions.take_pending(&self.key(owner), state).await?;
        Ok(bytes.and_then(|bytes| AuthorizationRequest::from_bytes(&bytes)))
    }
}

#[cfg(all(test, feature = "sqlite", feature = "sandbox"))]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::client::Folders;
    use crate::provider::{OAuthClient, ProviderConfig};
    use crate::sandbox::{Endpoint, Sandbox, Settings};

    const TEN_MINUTES: Duration = Duration::from_secs(600);

    #[expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
    fn client(sandbox: &Sandbox, home: &std::path::Path, clock: fn() -> i64) -> Client {
        let provider = ProviderConfig::named("sandbox")
            .with_client(OAuthClient::public("sandbox-client"))
            .with_redirect_uri("http://127.0.0.1:8080/callback")
            .with_scopes(["openid"])
            .with_authorize_url(&sandbox.url(Endpoint::Authorize))
            .unwrap()
            .with_token_url(&sandbox.url(Endpoint::Token))
            .unwrap();
        Client::new(provider, &Folders::under(home), clock, Arc::new(|_| {}))
    }

    #[tokio::test]
    async fn a_sign_in_that_one_process_began_another_one_finishes_once() {
        let (sandbox, home) = (Sandbox::start(Settings::default()).await.unwrap(), tempfile::tempdir().unwrap());
        let [first, second] = [(); 2].map(|()| client(&sandbox, home.path(), crate::now));
        let request = first.authorization_url().await.unwrap();
        first.keep_pending("browser", &request, TEN_MINUTES).await.unwrap();
        let back = Sandbox::approve(request.url().as_str()).await.unwrap();
        let query = back.split_once('?').unwrap().1;
        assert!(second.take_pending("other", request.state()).await.unwrap().is_none(), "another browser's");
        let taken = second.take_pending("browser", request.state()).await.unwrap().unwrap();
        assert!(first.take_pending("browser", request.state()).await.unwrap().is_none(), "taken already");
        let session = second.exchange_code("ada", taken, query).await.unwrap();
        assert_eq!(session.account(), Some("you@sandbox.example"));
    }

    #[tokio::test]
    async fn the_nonce_is_kept_with_a_pending_sign_in() {
        for (claims, signed_in) in [(serde_json::json!({}), true), (serde_json::json!({ "nonce": "another" }), false)] {
            let id_token_claims = claims.as_object().cloned().unwrap();
            let settings = Settings { id_token_claims, ..Settings::default() };
            let (sandbox, home) = (Sandbox::start(settings).await.unwrap(), tempfile::tempdir().unwrap());
            let [first, second] = [(); 2].map(|()| client(&sandbox, home.path(), crate::now));
            let request = first.authorization_url().await.unwrap();
            first.keep_pending("browser", &request, TEN_MINUTES).await.unwrap();
            let back = Sandbox::approve(request.url().as_str()).await.unwrap();
            let taken = second.take_pending("browser", request.state()).await.unwrap().unwrap();
            let finished = second.exchange_code("ada", taken, back.split_once('?').unwrap().1).await;
            assert_eq!(finished.is_ok(), signed_in, "{claims}");
        }
    }

    #[tokio::test]
    async fn a_pending_sign_in_ends_with_its_lifetime() {
        let (sandbox, home) = (Sandbox::start(Settings::default()).await.unwrap(), tempfile::tempdir().unwrap());
        let begun = client(&sandbox, home.path(), || 1_000_000);
        let request = begun.authorization_url().await.unwrap();
        begun.keep_pending("browser", &request, TEN_MINUTES).await.unwrap();
        let later = client(&sandbox, home.path(), || 1_000_600);
        assert!(later.take_pending("browser", request.state()).await.unwrap().is_none());
    }
}
