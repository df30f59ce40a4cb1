//! A simulated browser that submits the sandbox's consent page.

use http_body_util::BodyExt as _;
use hyper::Method;

use super::Sandbox;
use crate::error_info::{ErrorClass, ErrorInfo};
use crate::http::{Http, HttpError, Request, Response};
use crate::provider::{self, Url};
use crate::redact::Redactor;

type Result<T> = std::result::Result<T, BrowserError>;

/// Why the simulated browser failed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum BrowserError {
    /// The server sent an unexpected response.
    #[error("{host} answered {description}")]
    UnexpectedPage {
        /// The server's host.
        host: String,
        /// What came instead.
        description: String,
    },
    /// The address is not a URL.
    #[error("`{address}` is not a URL ({reason})")]
    InvalidUrl {
        /// The address.
        address: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The request failed.
    #[error(transparent)]
    Http(#[from] HttpError),
}

impl ErrorInfo for BrowserError {
    fn code(&self) -> &'static str {
        match self {
            Self::UnexpectedPage { .. } => "invalid_response",
            Self::InvalidUrl { .. } => "usage",
            Self::Http(error) => error.code(),
        }
    }

    fn class(&self) -> ErrorClass {
        match self {
            Self::UnexpectedPage { .. } => ErrorClass::Permanent,
            Self::InvalidUrl { .. } => ErrorClass::Usage,
            Self::Http(error) => error.class(),
        }
    }
}

impl Sandbox {
    /// Opens the authorization URL and submits "Allow". Returns the URL of the redirect, without following it.
    ///
    /// # Errors
    /// The server cannot be reached, or does not show its consent page.
    pub async fn approve(authorize_url: &str) -> Result<String> {
        decide(authorize_url, "allow").await
    }

    /// Opens the authorization URL and submits "Deny". Returns the URL of the redirect, without following it.
    ///
    /// # Errors
    /// The server cannot be reached, or does not show its consent page.
    pub async fn deny(authorize_url: &str) -> Result<String> {
        decide(authorize_url, "deny").await
    }

    /// Opens a URL and follows redirects. Returns the status, URL and text of the last page.
    ///
    /// # Errors
    /// The server cannot be reached, or there are too many redirects.
    pub async fn visit(address: &str) -> Result<(u16, String, String)> {
        let http = Http::default();
        let mut url = parse(address)?;
        for _ in 0..MOST_REDIRECTS {
            let page = send(&http, Request::get(url.clone(), "text/html")).await?;
            match location(&page).and_then(|to| url.join(&to).ok()) {
                Some(next) => url = next,
                None => {
                    let status = page.status().as_u16();
                    return Ok((status, url.into(), text(page).await));
                }
            }
        }
        Err(unexpected(&url, "with too many redirects".into()))
    }
}

/// As many redirects as browsers follow.
const MOST_REDIRECTS: usize = 20;

async fn decide(authorize_url: &str, decision: &str) -> Result<String> {
    let http = Http::default();
    let url = parse(authorize_url)?;
    let page = send(&http, Request::new(Method::GET, url.clone())).await?;
    if let Some(location) = location(&page) {
        return Ok(location);
    }
    let status = page.status().as_u16();
    let html = text(page).await;
    let ticket = html.split_once("name=\"ticket\" value=\"").and_then(|(_, rest)| rest.split_once('"'));
    let Some((ticket, _)) = ticket else {
        return Err(unexpected(&url, format!("{status} and no consent page")));
    };
    let action = parse(&format!("{}/decision", url.as_str().split('?').next().unwrap_or_default()))?;
    let form = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("ticket", ticket)
        .append_pair("decision", decision)
        .finish();
    let answer =
        send(&http, Request::post(action.clone(), "application/x-www-form-urlencoded", form, "text/html")).await?;
    location(&answer).ok_or_else(|| unexpected(&action, format!("{} to a decision", answer.status().as_u16())))
}

fn unexpected(url: &Url, description: String) -> BrowserError {
    BrowserError::UnexpectedPage { host: provider::host(url), description }
}

async fn send(http: &Http, request: Request) -> Result<Response> {
    let url = request.url().clone();
    http.route(&url)?.send(request, &Redactor::default()).await.map_err(|error| error.at(&url).into())
}

/// The body of a page, as far as it arrives.
async fn text(page: Response) -> String {
    let body = page.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    String::from_utf8_lossy(&body).into_owned()
}

fn location(response: &Response) -> Option<String> {
    response.headers().get("location").and_then(|to| to.to_str().ok()).map(str::to_owned)
}

fn parse(address: &str) -> Result<Url> {
    Url::parse(address)
        .map_err(|error| BrowserError::InvalidUrl { address: address.to_owned(), reason: error.to_string() })
}
