//! Sign-in on another device (RFC 8628).

use std::sync::Arc;

use super::Client;
use crate::client::error::{Error, Result};
use crate::oauth::{
    DeviceAuthorization, Poll, RedirectListener, RegisteredClient, SignInError, Undecided, Waited, poll_until_decided,
};
use crate::provider::{self, Url};
use crate::session::{Notice, Session, SessionError};

/// The session, or why another poll is needed.
type Polled = Result<std::result::Result<Session, Undecided>>;

impl Client {
    /// Begins a sign-in that the user approves on another device: show the
    /// [code](DeviceAuthorization::user_code) and the [address](DeviceAuthorization::verification_uri), and call
    /// [`redeem_device`](Self::redeem_device). If no client is configured, one is registered as in
    /// [`begin_sign_in`](Self::begin_sign_in).
    ///
    /// # Errors
    /// [`SignInError::Provider`] without a client, `device_url` or `token_url`; [`SignInError::DeviceFlowRefused`] if
    /// the client may not use the device flow, other [`SignInError`]s if the server refused, could not be reached or
    /// sent codes that cannot be used; and those of the registration.
    pub async fn authorize_device(&self) -> Result<DeviceAuthorization> {
        if !self.registers_itself() {
            return Ok(DeviceAuthorization::begin(self.provider(), None, &self.http).await?);
        }
        self.refresher.sessions.check_writable().await?;
        if let Some(known) = self.registered_client().await? {
            match self.authorize_device_as(known).await {
                // It may have been registered for the browser only.
                Err(Error::SignIn(error)) if error.is_about_device_client() => {}
                begun => return begun,
            }
        }
        self.authorize_device_as(self.register_device_client().await?).await
    }

    /// [`authorize_device`](Self::authorize_device) with a registered client. One that the server does not accept is
    /// deleted from the store.
    ///
    /// # Errors
    /// Those of [`authorize_device`](Self::authorize_device).
    pub async fn authorize_device_as(&self, registered: RegisteredClient) -> Result<DeviceAuthorization> {
        let place = registered.place.clone();
        match DeviceAuthorization::begin(self.provider(), Some(registered), &self.http).await {
            Ok(begun) => Ok(begun),
            Err(error) => Err(self.forget_refused(Some(&place), error).await),
        }
    }

    /// Waits until the user has approved, and saves the session of this owner as
    /// [`exchange_code`](Self::exchange_code) does. Asks the server as often as it allows, until the code expires.
    ///
    /// Dropping this future ends the waiting. A poll that was sent is finished in its own task, so no token is lost;
    /// [`wait_for_saves`](Self::wait_for_saves) waits for it once the server has sent tokens.
    ///
    /// # Errors
    /// [`SignInError::Refused`] if the user or the server refused, [`SignInError::DeviceCodeExpired`] if the user did
    /// not approve in time, [`SignInError::DeviceExchangeFailed`] or [`SignInError::Http`] if the server failed until
    /// then, and [`SessionError::Store`] if the session could not be saved.
    pub async fn redeem_device(&self, owner: &str, authorization: DeviceAuthorization) -> Result<Session> {
        let authorization = Arc::new(authorization);
        let waited = poll_until_decided(
            authorization.interval(),
            authorization.expires(),
            || self.poll_device(owner, authorization.clone()),
            |failure, pause| {
                let (host, failure) = (self.token_host(), failure.clone());
                (self.refresher.notice)(&Notice::NotPolled { host, failure, pause });
            },
        );
        let provider = self.provider().name.clone();
        match waited.await? {
            Waited::Decided(session) => Ok(self.with_account_name(owner, session).await),
            Waited::Expired(Some(failure)) => {
                Err(SignInError::DeviceExchangeFailed { provider, host: self.token_host(), failure }.into())
            }
            Waited::Expired(None) => {
                let (waited, description) = (Some(authorization.lifetime()), String::new());
                Err(SignInError::DeviceCodeExpired { provider, waited, description }.into())
            }
        }
    }

    fn token_host(&self) -> String {
        self.provider().token_url.as_ref().map(provider::host).unwrap_or_default()
    }

    /// Polls once. It runs in its own task, so dropping this future loses no token.
    async fn poll_device(&self, owner: &str, authorization: Arc<DeviceAuthorization>) -> Polled {
        let (this, owner) = (self.clone(), owner.to_owned());
        let polled = tokio::spawn(async move {
            let provider = this.provider();
            let place = authorization.registered().map(|registered| registered.place.clone());
            let prepared = this.prepare_sign_in(&owner, authorization.client(provider)?, place.clone()).await?;
            let requested_at = prepared.now();
            let response = match authorization.poll(provider, &this.http).await {
                Ok(Poll::Granted(response)) => *response,
                Ok(Poll::Undecided(undecided)) => return Ok(Err(undecided)),
                Err(error) => return Err(this.forget_refused(place.as_ref(), error).await),
            };
            let _pending = this.refresher.pending_saves.track_save();
            let expected = authorization.expected_id_token(provider);
            prepared.finish_checked(response, requested_at, expected).await.map(Ok)
        });
        polled.await.map_err(|_| SessionError::Abandoned("sign-in"))?
    }

    /// Registers a client that may use the device flow too (RFC 8628, section 4), and saves it in place of an earlier
    /// one. [`authorize_device_as`](Self::authorize_device_as) begins a sign-in with it.
    ///
    /// # Errors
    /// Those of [`register_client`](Self::register_client).
    pub async fn register_device_client(&self) -> Result<RegisteredClient> {
        let redirect_uri = &self.provider().redirect_uri;
        let any_port = Url::parse(redirect_uri).is_ok_and(|uri| uri.port() == Some(0));
        let listener = match any_port {
            // A server may refuse port 0.
            true => Some(RedirectListener::bind_any(self.provider(), None).await?),
            false => None,
        };
        let redirect_uri = listener.as_ref().map_or(&**redirect_uri, RedirectListener::redirect_uri);
        self.register(redirect_uri, true).await
    }
}
