//! The headers that pass the proxy.

use hyper::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, COOKIE, EXPECT, HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN,
    PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};

use crate::api::{self, ApiError};
use crate::provider::ProviderConfig;

const ANTHROPIC_BETA: HeaderName = HeaderName::from_static("anthropic-beta");

/// The headers of one connection (RFC 9110, section 7.6.1), besides those that `Connection` names.
static HOP_BY_HOP: [HeaderName; 9] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    HeaderName::from_static("proxy-connection"),
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// The headers that authenticate a program, and those that are for this proxy only.
static FOR_THE_PROXY: [HeaderName; 8] = [
    AUTHORIZATION,
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("api-key"),
    HeaderName::from_static("x-goog-api-key"),
    COOKIE,
    EXPECT,
    HOST,
    ORIGIN,
];

/// The headers that a provider's API gets with every request.
pub(super) struct ProviderHeaders {
    /// Those of the dialect, if the program sends none.
    defaults: HeaderMap,
    /// Those of the configuration, which replace the program's.
    configured: HeaderMap,
    /// Those that the configuration removes.
    removed: Vec<HeaderName>,
}

impl ProviderHeaders {
    /// # Errors
    /// [`ApiError::UnusableHeader`] for a configured header that cannot be sent.
    pub(super) fn of(provider: &ProviderConfig) -> Result<Self, ApiError> {
        let mut defaults = api::headers(provider)?;
        let mut configured = HeaderMap::new();
        let mut removed = Vec::new();
        for name in provider.api.headers.keys().filter_map(|name| HeaderName::from_bytes(name.as_bytes()).ok()) {
            match defaults.remove(&name) {
                Some(value) => {
                    configured.insert(name, value);
                }
                None => removed.push(name),
            }
        }
        Ok(Self { defaults, configured, removed })
    }

    /// Those that may contain a key.
    pub(super) fn configured(&self) -> HeaderMap {
        self.configured.clone()
    }

    /// The headers of a program's request as the API gets them, without the token.
    pub(super) fn of_request(&self, mut headers: HeaderMap) -> HeaderMap {
        if headers.contains_key(TRANSFER_ENCODING) {
            // Both together could make two servers disagree on where the request ends (RFC 9112, section 6.3).
            headers.remove(CONTENT_LENGTH);
        }
        remove_hop_by_hop(&mut headers);
        remove(&mut headers, |name| FOR_THE_PROXY.contains(name) || self.removed.contains(name));
        for (name, value) in &self.defaults {
            headers.entry(name).or_insert_with(|| value.clone());
        }
        for (name, value) in &self.configured {
            let value = if name == ANTHROPIC_BETA { merged(&headers, value) } else { value.clone() };
            headers.insert(name, value);
        }
        headers
    }
}

/// Removes the headers that are for one connection only.
pub(super) fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let named = headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let named: Vec<_> = named
        .flat_map(|names| names.split(','))
        .filter_map(|name| HeaderName::from_bytes(name.trim().as_bytes()).ok())
        .collect();
    remove(headers, |name| HOP_BY_HOP.contains(name) || named.contains(name));
}

/// Removes the headers with these names. A request has few headers, so looking at each is faster than looking up each
/// name.
fn remove(headers: &mut HeaderMap, is_removed: impl Fn(&HeaderName) -> bool) {
    let removed: Vec<_> = headers.keys().filter(|name| is_removed(name)).cloned().collect();
    for name in removed {
        headers.remove(name);
    }
}

/// The betas that the program asks for, and those of the provider, each once.
fn merged(headers: &HeaderMap, configured: &HeaderValue) -> HeaderValue {
    let values = headers.get_all(ANTHROPIC_BETA).iter().chain([configured]);
    let mut betas: Vec<&str> = Vec::new();
    for beta in values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).map(str::trim) {
        if !beta.is_empty() && !betas.contains(&beta) {
            betas.push(beta);
        }
    }
    HeaderValue::from_str(&betas.join(",")).unwrap_or_else(|_| configured.clone())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use super::*;
    use crate::secret::HeaderSecret;

    fn sent(configured: &[(&str, &str)], request: &[(&'static str, &'static str)]) -> Vec<(String, String)> {
        let mut provider = ProviderConfig::named("work");
        provider.api.headers = configured
            .iter()
            .map(|(name, value)| ((*name).to_owned(), Arc::new(HeaderSecret::new((*value).to_owned()))))
            .collect::<BTreeMap<_, _>>();
        let mut headers = HeaderMap::new();
        for (name, value) in request {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let sent = ProviderHeaders::of(&provider).unwrap().of_request(headers);
        let mut sent: Vec<_> = sent
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), value.to_str().unwrap().to_owned()))
            .filter(|(name, _)| name != "anthropic-version")
            .collect();
        sent.sort();
        sent
    }

    fn header(name: &str, value: &str) -> Vec<(String, String)> {
        vec![(name.to_owned(), value.to_owned())]
    }

    #[test]
    fn what_is_for_the_proxy_or_one_connection_does_not_pass() {
        for (name, value) in [
            ("authorization", "Bearer k"),
            ("x-api-key", "k"),
            ("cookie", "a=b"),
            ("host", "127.0.0.1"),
            ("te", "trailers"),
            ("upgrade", "websocket"),
            ("keep-alive", "timeout=5"),
            ("proxy-authorization", "Basic x"),
            ("expect", "100-continue"),
        ] {
            assert_eq!(sent(&[], &[(name, value)]), [], "{name}");
        }
        let named = [("connection", "close, X-Private"), ("x-private", "1"), ("x-other", "2")];
        assert_eq!(sent(&[], &named), header("x-other", "2"));
        let both = [("transfer-encoding", "chunked"), ("content-length", "3")];
        assert_eq!(sent(&[], &both), []);
    }

    #[test]
    fn the_betas_of_both_are_sent_once() {
        let configured = [("anthropic-beta", "oauth-2025-04-20")];
        let request = [("anthropic-beta", "a, b"), ("anthropic-beta", "b,oauth-2025-04-20")];
        assert_eq!(sent(&configured, &request), header("anthropic-beta", "a,b,oauth-2025-04-20"));
        assert_eq!(sent(&configured, &[]), header("anthropic-beta", "oauth-2025-04-20"));
        assert_eq!(sent(&[], &[("anthropic-beta", "a")]), header("anthropic-beta", "a"));
    }

    #[test]
    fn configured_headers_replace_and_remove_those_of_the_program() {
        assert_eq!(sent(&[("x-team", "7")], &[("x-team", "8"), ("x-team", "9")]), header("x-team", "7"));
        assert_eq!(sent(&[("x-team", "")], &[("x-team", "8")]), []);
    }

    #[test]
    fn the_version_of_the_program_wins_over_the_default() {
        let headers = ProviderHeaders::of(&ProviderConfig::named("work")).unwrap();
        let version = HeaderName::from_static("anthropic-version");
        assert_eq!(headers.of_request(HeaderMap::new())[&version], "2023-06-01");
        let newer = HeaderMap::from_iter([(version.clone(), HeaderValue::from_static("2027-01-01"))]);
        assert_eq!(headers.of_request(newer)[&version], "2027-01-01");
    }
}
