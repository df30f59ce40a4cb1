//! Whether the provider's servers can be reached, without a credential.

use std::time::Duration;

use hyper::Method;

use super::Client;
use crate::client::error::Result;
use crate::http::{Request, SendError};
use crate::provider::Url;
use crate::redact::Redactor;
use crate::time;

/// How long a server may take to answer.
const TIME_LIMIT: Duration = Duration::from_secs(10);

impl Client {
    /// Checks that a request to this URL could be sent: the URL, the proxy's settings and the certificate authorities.
    /// Does not use the network.
    ///
    /// # Errors
    /// [`Error::Http`](super::Error::Http) with what is wrong.
    #[doc(hidden)]
    pub fn check_route(&self, url: &Url) -> Result<()> {
        self.http.route(url)?;
        Ok(())
    }

    /// Asks the server of a URL for a response of any status. Returns the server's time in Unix seconds, if it tells.
    ///
    /// # Errors
    /// [`Error::Http`](super::Error::Http) if there is no response.
    #[doc(hidden)]
    pub async fn reach(&self, url: &Url) -> Result<Option<i64>> {
        let (route, secrets) = (self.http.route(url)?, Redactor::default());
        let sent = tokio::time::timeout(TIME_LIMIT, route.send(Request::new(Method::GET, url.clone()), &secrets)).await;
        let silent = || SendError::MaybeSent(format!("no answer within {} seconds", TIME_LIMIT.as_secs()));
        let response = sent.unwrap_or_else(|_| Err(silent())).map_err(|error| error.at(url))?;
        let date = response.headers().get("date").and_then(|date| date.to_str().ok());
        Ok(date.and_then(time::parse_http_date))
    }
}
