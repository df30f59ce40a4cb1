//! A request to a server, and the response.

use http_body_util::combinators::BoxBody;
use http_body_util::{Either, Full};
use hyper::Method;
use hyper::body::{Body, Bytes};
use hyper::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::http::uri::{InvalidUri, Uri};

use crate::provider::Url;

/// The body of a request: all of it, or what still arrives.
pub(crate) type RequestBody = Either<Full<Bytes>, BoxBody<Bytes, hyper::Error>>;

/// A response whose body still arrives.
pub(crate) type Response = hyper::Response<BoxBody<Bytes, hyper::Error>>;

/// A request that was not sent yet.
pub(crate) struct Request {
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: RequestBody,
}

impl Request {
    /// A request without a body.
    pub(crate) fn new(method: Method, url: Url) -> Self {
        Self { method, url, headers: HeaderMap::new(), body: whole(Bytes::new()) }
    }

    /// A GET request for this type of content.
    pub(crate) fn get(url: Url, accept: &'static str) -> Self {
        let mut request = Self::new(Method::GET, url);
        request.headers.insert(ACCEPT, HeaderValue::from_static(accept));
        request
    }

    /// A POST request with a body of the first type, for content of the second.
    pub(crate) fn post(url: Url, content_type: &'static str, body: impl Into<Bytes>, accept: &'static str) -> Self {
        let mut request = Self::get(url, accept);
        request.method = Method::POST;
        request.headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        request.with_body(whole(body))
    }

    pub(crate) fn with_headers(self, headers: HeaderMap) -> Self {
        Self { headers, ..self }
    }

    pub(crate) fn with_body(self, body: RequestBody) -> Self {
        Self { body, ..self }
    }

    pub(crate) fn method(&self) -> &Method {
        &self.method
    }

    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    pub(crate) fn headers_mut(&mut self) -> &mut HeaderMap {
        &mut self.headers
    }

    /// The same request, unless its body can be read only once.
    pub(super) fn try_clone(&self) -> Option<Self> {
        let Either::Left(body) = &self.body else { return None };
        Some(Self {
            method: self.method.clone(),
            url: self.url.clone(),
            headers: self.headers.clone(),
            body: Either::Left(body.clone()),
        })
    }

    /// As hyper sends it.
    ///
    /// # Errors
    /// The URL is longer than hyper takes.
    pub(super) fn into_hyper(self) -> Result<hyper::Request<RequestBody>, InvalidUri> {
        let mut request = hyper::Request::new(self.body);
        *request.method_mut() = self.method;
        *request.uri_mut() = Uri::try_from(self.url.as_str())?;
        *request.headers_mut() = self.headers;
        Ok(request)
    }
}

/// A body that is all here.
pub(crate) fn whole(body: impl Into<Bytes>) -> RequestBody {
    Either::Left(Full::from(body.into()))
}

/// A body that still arrives.
pub(crate) fn streamed(body: impl Body<Data = Bytes, Error = hyper::Error> + Send + Sync + 'static) -> RequestBody {
    Either::Right(BoxBody::new(body))
}
