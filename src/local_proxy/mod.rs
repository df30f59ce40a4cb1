//! A proxy on loopback for other programs: they authenticate with a static key, and it sends their requests to the API
//! with the access token of a session.
//!
//! A program that takes only a static key can use the session, and never sees the token, which may end while the
//! program runs. Only the holder of the key gets through: other accounts of this machine can connect, and web pages in
//! a local browser can send requests.

use std::sync::Arc;

use crate::api;
use crate::client::{Client, Error};
use crate::loopback::{BindError, Listener};
use crate::secret::ProxyKey;

mod answer;
mod body;
pub(crate) mod error;
mod forward;
mod headers;
mod tokens;
mod upstream;

pub use error::LocalProxyError;

use answer::Answers;
use forward::Forwarder;
use headers::ProviderHeaders;
use tokens::Tokens;

/// The text of an error for the program whose request failed.
pub type ErrorTextFn = Arc<dyn Fn(&Error) -> String + Send + Sync>;

/// A proxy that listens on loopback. [`serve`](Self::serve) answers requests.
pub struct LocalProxy {
    listener: Listener,
    host: String,
    client: Client,
    owner: String,
    key: ProxyKey,
    headers: ProviderHeaders,
    error_text: ErrorTextFn,
}

impl LocalProxy {
    /// Listens for programs that use this owner's session. `host` is a loopback address or `localhost`; port 0 is any
    /// free port.
    ///
    /// # Errors
    /// [`Error::LocalProxy`] if the address cannot be used. [`Error::Api`] for a provider without the URL of an API,
    /// and for a configured header that cannot be sent.
    pub async fn bind(client: Client, owner: &str, key: ProxyKey, host: &str, port: u16) -> Result<Self, Error> {
        api::resource_url(client.provider(), "/")?;
        let headers = ProviderHeaders::of(client.provider())?;
        let listener = Listener::bind(host, port).await.map_err(|error| match error {
            BindError::Taken(address) => LocalProxyError::AddressTaken { address },
            BindError::Unusable(reason) => {
                LocalProxyError::AddressUnusable { address: format!("{host}:{port}"), reason }
            }
        })?;
        Ok(Self {
            listener: listener.kept_alive(),
            host: host.to_owned(),
            client,
            owner: owner.to_owned(),
            key,
            headers,
            error_text: Arc::new(Error::to_string),
        })
    }

    /// Writes errors to programs with this text instead of the error's own message.
    #[must_use]
    pub fn with_error_text(self, error_text: ErrorTextFn) -> Self {
        Self { error_text, ..self }
    }

    /// The base URL for programs: `http://HOST:PORT`, without a slash at its end. The Chat Completions API is below
    /// `/v1`.
    pub fn url(&self) -> String {
        format!("http://{}:{}", self.host, self.listener.port())
    }

    /// Answers requests until `end` completes, then finishes those in flight. Dropping the future closes all
    /// connections.
    pub async fn serve(self, end: impl Future<Output = ()> + Send) {
        let port = self.listener.port();
        let tokens = Tokens::new(self.client.clone(), self.owner, self.headers.configured());
        let forwarder = Forwarder { client: self.client, tokens, headers: self.headers };
        let answers = Arc::new(Answers { port, key: self.key, forwarder, error_text: self.error_text });
        let answer = move |request| {
            let answers = answers.clone();
            async move { Some(answers.answer(request).await) }
        };
        self.listener.serve(answer, end).await;
    }
}
