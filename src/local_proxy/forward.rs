//! Sends the request of a program to the API, with a token.

use hyper::body::Incoming;
use hyper::header::HeaderMap;
use hyper::{Method, StatusCode, Version};

use super::body::RequestBody;
use super::headers::{ProviderHeaders, remove_hop_by_hop};
use super::tokens::{Token, Tokens};
use super::upstream;
use crate::api::ApiError;
use crate::client::{Client, Error};
use crate::http::{self, Request, Response};
use crate::provider::Url;

/// Sends requests to one API.
pub(super) struct Forwarder {
    pub(super) client: Client,
    pub(super) tokens: Tokens,
    pub(super) headers: ProviderHeaders,
}

/// Why a request got no response of the API.
pub(super) enum Failure {
    /// Its path could lead out of the API's.
    Path,
    /// Its body broke off.
    Body,
    /// There is no token, or no response.
    Library(Box<Error>),
}

impl<E: Into<Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Library(Box::new(error.into()))
    }
}

impl Forwarder {
    /// The response of the API, as it arrives. If it rejects the token, that is renewed, and a request with a small
    /// body is sent once more.
    pub(super) async fn forward(&self, request: hyper::Request<Incoming>) -> Result<Response, Failure> {
        let (head, body) = request.into_parts();
        let url = upstream::url(self.client.provider(), &head.uri)?.ok_or(Failure::Path)?;
        let headers = self.headers.of_request(head.headers);
        let (body, kept) = match RequestBody::read(body).await.map_err(|_| Failure::Body)? {
            RequestBody::Kept(kept) => (http::whole(kept.clone()), Some(kept)),
            RequestBody::Streamed(body) => (body, None),
        };
        let token = self.tokens.current().await?;
        let response = self.send(&token, head.method.clone(), url.clone(), headers.clone(), body).await?;
        if response.status() != StatusCode::UNAUTHORIZED {
            if response.status().is_success() {
                self.tokens.resume();
            }
            return Ok(response);
        }
        let renewed = Box::pin(self.tokens.after_rejection(&token)).await?;
        let (Some(renewed), Some(body)) = (renewed, kept) else { return Ok(response) };
        drop(response);
        let response = self.send(&renewed, head.method, url, headers, http::whole(body)).await?;
        if response.status() == StatusCode::UNAUTHORIZED {
            self.tokens.pause();
        }
        Ok(response)
    }

    async fn send(
        &self,
        token: &Token,
        method: Method,
        url: Url,
        mut headers: HeaderMap,
        body: http::RequestBody,
    ) -> Result<Response, Error> {
        let (name, value) = token.header.clone();
        headers.insert(name, value);
        let route = self.client.http().route(&url).map_err(ApiError::from)?;
        let request = Request::new(method, url.clone()).with_headers(headers).with_body(body);
        let mut response = route.send(request, &token.secrets).await.map_err(|error| error.at(&url))?;
        remove_hop_by_hop(response.headers_mut());
        // What the program speaks with the proxy does not depend on what the proxy speaks with the API.
        *response.version_mut() = Version::HTTP_11;
        Ok(response)
    }
}
