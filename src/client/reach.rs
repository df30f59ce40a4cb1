//! Whether the provider's servers can be reached, without a credential.

use std::time::Duration;

use hyper::Method;
use hyper::header::{CONTENT_TYPE, DATE};
use tokio::net::TcpStream;

use super::Client;
use crate::client::error::Result;
use crate::http::{HttpError, Request, SendError};
use crate::provider::Url;
use crate::redact::Redactor;
use crate::time;

/// How long a server may take to answer.
const TIME_LIMIT: Duration = Duration::from_secs(10);

/// What a server answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[doc(hidden)]
pub struct Reached {
    /// The status of the response.
    pub status: u16,
    /// Whether it is a web page.
    pub is_page: bool,
    /// The server's time in Unix seconds, if it tells.
    pub date: Option<i64>,
}

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

    /// Whether a request to this URL goes through a proxy.
    #[doc(hidden)]
    pub fn uses_proxy(&self, url: &Url) -> bool {
        self.http.proxy_address(url).is_ok_and(|address| address.is_some())
    }

    /// Connects to the proxy for a URL, if there is one, and sends nothing.
    ///
    /// # Errors
    /// [`Error::Http`](super::Error::Http) if there is no connection.
    #[doc(hidden)]
    pub async fn reach_proxy(&self, url: &Url) -> Result<()> {
        // An unusable setting is the error of `check_route`.
        let Ok(Some((host, port))) = self.http.proxy_address(url) else { return Ok(()) };
        let connecting = tokio::time::timeout(TIME_LIMIT, TcpStream::connect((host.trim_matches(['[', ']']), port)));
        let reason = match connecting.await {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no connection within {} seconds", TIME_LIMIT.as_secs()),
        };
        Err(HttpError::NoConnection { host: format!("the proxy {host}:{port}"), reason }.into())
    }

    /// Asks for a response of any status, without a credential: with GET, or with POST and an empty form.
    ///
    /// # Errors
    /// [`Error::Http`](super::Error::Http) if there is no response.
    #[doc(hidden)]
    pub async fn reach(&self, url: &Url, is_post: bool) -> Result<Reached> {
        let route = self.http.route(url)?;
        let request = match is_post {
            true => Request::post(url.clone(), "application/x-www-form-urlencoded", "", "*/*"),
            false => Request::new(Method::GET, url.clone()),
        };
        let secrets = Redactor::default();
        let sent = tokio::time::timeout(TIME_LIMIT, route.send(request, &secrets)).await;
        let silent = || {
            let proxy = self.http.proxy_address(url).ok().flatten();
            let through = proxy.map(|(host, port)| format!("through the proxy {host}:{port}: ")).unwrap_or_default();
            SendError::MaybeSent(format!("{through}no answer within {} seconds", TIME_LIMIT.as_secs()))
        };
        let response = sent.unwrap_or_else(|_| Err(silent())).map_err(|error| error.at(url))?;
        let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
        Ok(Reached {
            status: response.status().as_u16(),
            is_page: header(CONTENT_TYPE).is_some_and(|kind| kind.to_ascii_lowercase().starts_with("text/html")),
            date: header(DATE).and_then(time::parse_http_date),
        })
    }
}
