//! Answers the requests of programs: those of the key's holder with the API's responses.

use std::time::Duration;

use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Either, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{
    AUTHORIZATION, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE,
};
use hyper::{Request, Response, StatusCode};
use serde_json::json;

use super::ErrorTextFn;
use super::forward::{Failure, Forwarder};
use crate::client::Error;
use crate::error_info::{ErrorClass, ErrorInfo as _};
use crate::loopback::{is_for_this_host, is_own_origin};
use crate::secret::{ProxyKey, constant_time_eq};
use crate::time;

/// A response of the API, or an error of the proxy.
type Answer = Response<Either<BoxBody<Bytes, hyper::Error>, Full<Bytes>>>;

/// How much of a refused request is read, in bytes: a large question.
const DISCARDED: usize = 32 * 1024 * 1024;
/// How long a refused request is read.
const DISCARD_TIME: Duration = Duration::from_secs(5);

/// What the connections share.
pub(super) struct Answers {
    pub(super) port: u16,
    pub(super) key: ProxyKey,
    pub(super) forwarder: Forwarder,
    pub(super) error_text: ErrorTextFn,
}

impl Answers {
    pub(super) async fn answer(&self, request: Request<Incoming>) -> Answer {
        if !is_for_this_host(&request, self.port) || !is_own_origin(request.headers(), self.port) {
            let text = "this proxy is for programs on this machine, not for web pages";
            Box::pin(discard(request.into_body())).await;
            return closing(refusal(StatusCode::FORBIDDEN, "permission_error", text));
        }
        if !self.is_authenticated(request.headers()) {
            let text = "this is not the key of the proxy; it takes the key as a bearer or in x-api-key";
            Box::pin(discard(request.into_body())).await;
            let mut answer = closing(refusal(StatusCode::UNAUTHORIZED, "authentication_error", text));
            answer.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            return answer;
        }
        match self.forwarder.forward(request).await {
            Ok(response) => response.map(Either::Left),
            Err(Failure::Path) => refusal(StatusCode::BAD_REQUEST, INVALID, "the path leads out of the API"),
            Err(Failure::Body) => refusal(StatusCode::BAD_REQUEST, INVALID, "the body of the request broke off"),
            Err(Failure::Library(error)) => self.failed(&error),
        }
    }

    /// Whether a request has the key, as a bearer or in `x-api-key`.
    fn is_authenticated(&self, headers: &HeaderMap) -> bool {
        let bearers = headers.get_all(AUTHORIZATION).iter().filter_map(|value| {
            let (scheme, key) = value.to_str().ok()?.split_once(' ')?;
            scheme.eq_ignore_ascii_case("Bearer").then(|| key.trim())
        });
        let keys = headers.get_all("x-api-key").iter().filter_map(|value| value.to_str().ok());
        bearers.chain(keys).any(|key| constant_time_eq(key, self.key.expose()))
    }

    /// The response for a request that the API did not answer.
    fn failed(&self, error: &Error) -> Answer {
        let (status, kind) = match (error, error.class()) {
            (_, ErrorClass::SignIn) => (StatusCode::UNAUTHORIZED, "authentication_error"),
            (Error::Http(_), _) => (StatusCode::BAD_GATEWAY, "api_error"),
            (_, ErrorClass::Temporary) => (StatusCode::SERVICE_UNAVAILABLE, "api_error"),
            _ => (StatusCode::INTERNAL_SERVER_ERROR, "api_error"),
        };
        let mut answer = refusal(status, kind, &(self.error_text)(error));
        if let Some(wait) = error.retry_after() {
            answer.headers_mut().insert(RETRY_AFTER, time::rounded_up(wait).into());
        }
        answer
    }
}

/// Reads a body that is not used, within limits: a program that still sends would see a broken connection instead of
/// the refusal.
async fn discard(mut body: Incoming) {
    let all = async {
        let mut left = DISCARDED;
        while let Some(Ok(frame)) = body.frame().await
            && left > 0
        {
            left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
        }
    };
    let _ = tokio::time::timeout(DISCARD_TIME, all).await;
}

const INVALID: &str = "invalid_request_error";

/// An error in the format of the Messages API, which programs for Chat Completions can read, too.
fn refusal(status: StatusCode, kind: &str, text: &str) -> Answer {
    let body = json!({ "type": "error", "error": { "type": kind, "message": text } }).to_string();
    let mut answer = Response::new(Either::Right(Full::from(body)));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

/// Closes the connection after this response, so that only the holder of the key can keep one open.
fn closing(mut answer: Answer) -> Answer {
    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    answer
}
