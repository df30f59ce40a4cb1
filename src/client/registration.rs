//! Clients that are registered dynamically (RFC 7591), for providers without a configured one.

use super::Client;
use crate::client::error::{Error, Result};
use crate::oauth::{AuthorizationRequest, ClientPlace, RegisteredClient, RegistrationRequest, SignInError};
use crate::provider::{ClientAuth, ProviderError};

/// A client whose secret expires within this time is registered anew, in seconds: the user may take so long to approve.
const LEAST_LIFE: i64 = 600;

impl Client {
    /// Whether a sign-in registers an OAuth client: none is configured, and the provider has a registration endpoint.
    pub fn registers_itself(&self) -> bool {
        self.provider().client.is_none() && self.provider().registration.url.is_some()
    }

    /// Begins a sign-in with the provider's redirect URI, as [`authorization_url`](Self::authorization_url) does. If no
    /// client is configured, it registers one first, unless the store has one from an earlier sign-in. A client whose
    /// secret has expired, or that the server no longer accepts, is registered anew.
    ///
    /// A server learns of an unknown client in the browser, where most servers show an error instead of redirecting
    /// back. If users report that, call [`forget_client`](Self::forget_client).
    ///
    /// # Errors
    /// [`SignInError::RegistrationFailed`] and [`SignInError::InvalidRegistration`] if no client could be registered, a
    /// [`SessionError`](crate::error::SessionError) if the client could not be saved, and those of
    /// [`authorization_url_for`](Self::authorization_url_for).
    pub async fn begin_sign_in(&self) -> Result<AuthorizationRequest> {
        if !self.registers_itself() {
            return Ok(self.authorization_url().await?);
        }
        self.refresher.sessions.check_writable().await?;
        let redirect_uri = &self.provider().redirect_uri;
        let known = self.registered_client().await?.filter(|known| known.redirect_uri == *redirect_uri);
        if let Some(known) = known {
            match self.authorization_url_as(known).await {
                Err(Error::SignIn(SignInError::ClientRefused { .. })) => {}
                begun => return begun,
            }
        }
        self.authorization_url_as(self.register_client(redirect_uri).await?).await
    }

    /// Begins a sign-in with a registered client and its redirect URI. The request is pushed if the provider has a
    /// `par_url` (RFC 9126). A client that the server does not accept is deleted from the store.
    ///
    /// # Errors
    /// Those of [`AuthorizationRequest::begin`], and those of a request that is pushed.
    pub async fn authorization_url_as(&self, registered: RegisteredClient) -> Result<AuthorizationRequest> {
        let place = registered.place.clone();
        match AuthorizationRequest::begin_pushed(self.provider(), Some(registered), "", &self.http).await {
            Ok(request) => Ok(request),
            Err(error) => Err(self.forget_refused(Some(&place), error).await),
        }
    }

    /// The registered client in the store. `None` if there is none, if its secret has expired, or if a client is
    /// configured. Does not use the network.
    ///
    /// # Errors
    /// The store or its key cannot be used.
    pub async fn registered_client(&self) -> Result<Option<RegisteredClient>> {
        let Some(place) = self.provider().client_place().filter(|_| self.registers_itself()) else { return Ok(None) };
        let known = self.refresher.sessions.load_client(&place).await?;
        let usable_until = (self.clock)().saturating_add(LEAST_LIFE);
        Ok(known.filter(|known| known.secret_expires_at.is_none_or(|at| at > usable_until)))
    }

    /// Registers a client with this redirect URI, which may differ from the provider's in its port, and saves it in
    /// place of an earlier one. [`authorization_url_as`](Self::authorization_url_as) begins a sign-in with it.
    ///
    /// # Errors
    /// Those of [`begin_sign_in`](Self::begin_sign_in), and [`ProviderError::MissingUrl`] without a registration
    /// endpoint.
    pub async fn register_client(&self, redirect_uri: &str) -> Result<RegisteredClient> {
        self.register(redirect_uri, false).await
    }

    /// Registers a client with this redirect URI, `for_device` for the device flow too (RFC 8628).
    pub(super) async fn register(&self, redirect_uri: &str, for_device: bool) -> Result<RegisteredClient> {
        let provider = self.provider();
        let registration = &provider.registration;
        let url = provider.required(registration.url.as_ref(), "registration_url")?;
        let place =
            provider.client_place().ok_or_else(|| ProviderError::NoClientId { provider: provider.name.clone() })?;
        // No key of nexus is registered.
        provider.check_client_auth(ClientAuth::None)?;
        let is_listed = |scope: &&str| {
            registration.scopes_supported.as_ref().is_none_or(|known| known.iter().any(|known| known == scope))
        };
        let scopes = provider.scopes.iter().flat_map(|scopes| scopes.split_whitespace());
        let of_api = |scope: &&str| registration.resource_scopes.iter().any(|known| known == scope);
        let mut scopes: Vec<Vec<_>> = vec![scopes.filter(|scope| is_listed(scope) || of_api(scope)).collect()];
        // Servers need not list all scopes that they support (RFC 8414, section 2), but may refuse those that they do
        // not.
        let listed: Vec<_> = scopes[0].iter().copied().filter(is_listed).collect();
        if listed != scopes[0] {
            scopes.push(listed);
        }
        let request = RegistrationRequest {
            provider: &provider.name,
            url,
            token: registration.token.as_deref(),
            client_name: &registration.client_name,
            redirect_uri,
            scopes: &scopes,
            auth_methods: registration.auth_methods.as_deref(),
            with_device: for_device,
        };
        let registered = request.send(&self.http, place).await?;
        self.refresher.sessions.save_client(&registered).await?;
        Ok(registered)
    }

    /// Deletes the registered client from the store, so that the next sign-in registers a new one. Sessions keep the
    /// client that they were made with.
    ///
    /// # Errors
    /// It could not be deleted.
    pub async fn forget_client(&self) -> Result<()> {
        match self.provider().client_place() {
            Some(place) => Ok(self.refresher.sessions.delete_client(&place).await?),
            None => Ok(()),
        }
    }

    /// Deletes the registered client that is kept in this place if the server did not accept it.
    pub(super) async fn forget_refused(&self, registered: Option<&ClientPlace>, error: SignInError) -> Error {
        if let (
            Some(place),
            SignInError::ClientRefused { client_id, .. } | SignInError::DeviceFlowRefused { client_id, .. },
        ) = (registered, &error)
        {
            // If this fails, the next sign-in fails in the same way and tries again.
            let _ = self.refresher.sessions.forget_client(place, client_id).await;
        }
        error.into()
    }
}
