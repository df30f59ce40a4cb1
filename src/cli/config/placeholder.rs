//! Recognizes what stands in examples for a value of one's own. With it, a sign-in would fail only after the user has
//! approved it in the browser, or at a host that is not theirs.

use nexus::{ProviderConfig, Url};

/// The names that are reserved for documentation (RFC 2606, section 3).
const RESERVED: &[&str] = &["example.com", "example.net", "example.org"];

/// Placeholders without another mark, in lower case and with hyphens.
const WORDS: &[&str] = &["its-secret", "my-client-id", "my-client-secret", "changeme", "change-me"];

/// Placeholders as help texts write them.
const NAMES: &[&str] = &["ID", "NAME", "SECRET", "CLIENT_ID", "CLIENT_SECRET"];

/// Whether a text stands for a value: `...`, `<id>`, `{id}`, `$ID`, `YOUR_CLIENT_ID`, `your-secret`, `xxx`.
pub(crate) fn is_placeholder(text: &str) -> bool {
    let word = text.to_ascii_lowercase().replace(['_', ' '], "-");
    let is_only = |allowed: fn(char) -> bool| !text.is_empty() && text.chars().all(allowed);
    is_only(|c| matches!(c, '.' | '\u{2026}'))
        || (text.len() > 2 && is_only(|c| matches!(c, 'x' | 'X')))
        || (text.starts_with('<') && text.ends_with('>'))
        || (text.starts_with('{') && text.ends_with('}'))
        || text.strip_prefix('$').is_some_and(is_variable)
        || word.starts_with("your-")
        || WORDS.contains(&&*word)
        || NAMES.contains(&text)
}

/// Whether a text is the name of an environment variable, perhaps in braces.
fn is_variable(text: &str) -> bool {
    let name = text.strip_prefix('{').and_then(|name| name.strip_suffix('}')).unwrap_or(text);
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// The end of a sentence about a URL whose host is a placeholder.
pub(crate) fn in_url(url: &Url) -> Option<String> {
    let host = url.host_str()?;
    let reserved = RESERVED
        .iter()
        .find(|name| host.strip_suffix(*name).is_some_and(|rest| rest.is_empty() || rest.ends_with('.')));
    match reserved {
        Some(name) => Some(format!("is a placeholder: {name} is reserved for examples")),
        None => is_placeholder(host.split('.').next()?).then(|| "is a placeholder".to_owned()),
    }
}

/// The key of the first URL of a server that is a placeholder, and the end of a sentence about it.
pub(super) fn in_provider(provider: &ProviderConfig) -> Option<(&'static str, String)> {
    let urls = [
        // The URL of the API may come from it.
        ("gateway", &provider.gateway),
        ("authorize_url", &provider.authorize_url),
        ("token_url", &provider.token_url),
        ("api_url", &provider.api.url),
        ("device_url", &provider.device_url),
        ("par_url", &provider.par_url),
        ("userinfo_url", &provider.userinfo_url),
        ("revoke_url", &provider.revoke_url),
        ("registration_url", &provider.registration.url),
    ];
    let found = urls.iter().find_map(|(key, url)| Some((*key, in_url(url.as_ref()?)?)));
    // An issuer that is not asked may be a name.
    let is_asked = provider.authorize_url.is_none() && provider.token_url.is_none();
    let issuer = || in_url(&Url::parse(provider.issuer.as_deref()?).ok()?).filter(|_| is_asked);
    found.or_else(|| Some(("issuer", issuer()?)))
}

/// The cure.
pub(crate) const HINT: &str = "it stands for the URL of your own gateway or authorization server: ask its operator for that; `nexus demo` works \
     without one";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_for_a_value_is_no_value() {
        for text in [
            "...",
            "\u{2026}",
            "<client id>",
            "{client_id}",
            "${CLIENT_ID}",
            "$CLIENT_ID",
            "YOUR_CLIENT_ID",
            "your-client-id",
            "your client id",
            "its-secret",
            "xxx",
            "XxX",
            "ID",
            "my_client_id",
            "changeme",
        ] {
            assert!(is_placeholder(text), "{text}");
        }
        for text in
            ["", "x", "c", "work", "my-client", "client", "id", "yourself", "$2a$10$abc", "{", "a...", "9d1c250a-e61b"]
        {
            assert!(!is_placeholder(text), "{text}");
        }
    }

    #[test]
    fn hosts_of_examples_are_no_hosts() {
        let found = |url| in_url(&Url::parse(url).unwrap()).is_some();
        for url in
            ["https://example.com", "https://llm.example.org/v1", "https://YOUR_GATEWAY/v1", "https://your-gateway.com"]
        {
            assert!(found(url), "{url}");
        }
        for url in
            ["https://notexample.com", "https://example.company.com", "https://llm.example", "http://127.0.0.1:1"]
        {
            assert!(!found(url), "{url}");
        }
    }
}
