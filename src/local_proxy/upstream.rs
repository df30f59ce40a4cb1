//! Where the request of a program is sent to.

use hyper::Uri;

use crate::api::{self, ApiError};
use crate::provider::{ProviderConfig, Url};

/// The URL for a program's request, or `None` if its path could lead out of the API's.
///
/// # Errors
/// [`ApiError::NoApiUrl`].
pub(super) fn url(provider: &ProviderConfig, uri: &Uri) -> Result<Option<Url>, ApiError> {
    let path = uri.path();
    if !path.starts_with('/') || path.contains('\\') || path.split('/').any(is_dots) {
        return Ok(None);
    }
    let mut url = api::resource_url(provider, path)?;
    let query = match (url.query(), uri.query()) {
        (Some(own), Some(asked)) => Some(format!("{own}&{asked}")),
        (own, asked) => own.or(asked).map(str::to_owned),
    };
    url.set_query(query.as_deref());
    Ok(Some(url))
}

/// Whether a part of a path means this or the upper folder (RFC 3986, section 5.2.4), however it is written.
fn is_dots(segment: &str) -> bool {
    segment.starts_with(['.', '%']) && matches!(&*segment.to_ascii_lowercase().replace("%2e", "."), "." | "..")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::Dialect;

    fn url_of(base: &str, dialect: Dialect, path: &str) -> Option<String> {
        let mut provider = ProviderConfig::named("work").with_api_url(base).unwrap();
        provider.api.dialect = dialect;
        url(&provider, &path.parse().unwrap()).unwrap().map(String::from)
    }

    #[test]
    fn the_paths_of_the_api_follow_its_base() {
        for (base, dialect, path, expected) in [
            ("https://a", Dialect::Anthropic, "/v1/messages", "https://a/v1/messages"),
            (
                "https://a/claude/",
                Dialect::Anthropic,
                "/v1/messages?beta=true",
                "https://a/claude/v1/messages?beta=true",
            ),
            ("https://a/claude/v1", Dialect::Anthropic, "/v1/models", "https://a/claude/v1/models"),
            (
                "https://a/x/messages",
                Dialect::Anthropic,
                "/v1/messages/count_tokens",
                "https://a/x/messages/count_tokens",
            ),
            ("https://a/x/chat/completions", Dialect::Openai, "/v1/embeddings", "https://a/x/embeddings"),
            ("https://a/v1?key=1", Dialect::Openai, "/v1/models?after=b", "https://a/v1/models?key=1&after=b"),
            ("https://a/claude/v1", Dialect::Anthropic, "/", "https://a/claude/"),
            ("https://a/claude", Dialect::Anthropic, "/api/hello", "https://a/claude/api/hello"),
            ("https://a", Dialect::Anthropic, "/v1/files/a%20b%2Fc", "https://a/v1/files/a%20b%2Fc"),
        ] {
            assert_eq!(url_of(base, dialect, path).as_deref(), Some(expected), "{base} {path}");
        }
    }

    #[test]
    fn no_path_leads_out_of_the_api() {
        for path in ["/v1/../admin", "/v1/%2e%2E/admin", "/./v1", "*"] {
            assert_eq!(url_of("https://a/claude", Dialect::Anthropic, path), None, "{path}");
        }
    }
}
