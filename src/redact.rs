//! Removes credentials from text of a server, which may quote them in any encoding.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use zeroize::Zeroizing;

/// Headers whose values are versions, formats and the like.
const PUBLIC_HEADERS: &[&str] =
    &["accept", "anthropic-beta", "anthropic-version", "cache-control", "connection", "content-type"];

/// In bytes. Shorter configured values are numbers and flags, which would be replaced in the middle of words.
const SHORTEST_KEY: usize = 4;

/// Replaces secrets in a text, the longest first: one secret may be part of another.
#[derive(Default)]
pub(crate) struct Redactor(Vec<Zeroizing<String>>);

impl Redactor {
    /// Redacts these secrets.
    pub(crate) fn new<'a>(secrets: impl Iterator<Item = &'a str>) -> Self {
        Self::default().with(secrets.flat_map(encodings))
    }

    /// Redacts these configured headers or fields as well, because a key may be in any of them: the whole value, and
    /// what follows a scheme such as `Bearer`.
    pub(crate) fn with_configured<'a>(self, entries: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let values = entries.filter(|(name, _)| !PUBLIC_HEADERS.iter().any(|known| known.eq_ignore_ascii_case(name)));
        let values = values.flat_map(|(_, value)| [value, value.rsplit(' ').next().unwrap_or_default()]);
        self.with(values.filter(|value| value.len() >= SHORTEST_KEY).flat_map(encodings))
    }

    /// Redacts this secret as well.
    pub(crate) fn with_secret(self, secret: &str) -> Self {
        self.with(encodings(secret).into_iter())
    }

    /// Redacts the secret of this client as well, alone and in HTTP Basic.
    pub(crate) fn with_client(self, id: &str, secret: Option<&str>) -> Self {
        let Some(secret) = secret.filter(|secret| !secret.is_empty()) else { return self };
        let basic = basic_pairs(id, secret).map(|pair| {
            let text = Zeroizing::new(STANDARD.encode(pair.as_bytes()));
            // A quotation may omit the padding.
            Zeroizing::new(text.trim_end_matches('=').to_owned())
        });
        self.with(encodings(secret).into_iter().chain(basic))
    }

    fn with(mut self, texts: impl Iterator<Item = Zeroizing<String>>) -> Self {
        self.0.extend(texts.filter(|text| !text.is_empty()));
        // Two encodings may give the same text. It is replaced once, because "(secret)" may contain it.
        self.0.sort_by(|one, other| other.len().cmp(&one.len()).then_with(|| one.cmp(other)));
        self.0.dedup();
        self
    }

    /// The text with each secret replaced by `(secret)`.
    pub(crate) fn redact(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), "(secret)"))
    }

    /// Whether a text is one of the secrets.
    pub(crate) fn contains(&self, text: &str) -> bool {
        self.0.iter().any(|secret| secret.as_str() == text)
    }
}

/// A secret in plain, form, URL and JSON encoding.
fn encodings(secret: &str) -> Vec<Zeroizing<String>> {
    // Most tokens are the same in each encoding, and every request has one.
    if secret.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_')) {
        return vec![Zeroizing::new(secret.to_owned())];
    }
    // RFC 3986, section 2.1: escapes may use either case.
    let percent = |escape: fn(u8) -> String| {
        let written = |byte: u8| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
            byte => escape(byte),
        };
        secret.bytes().map(written).collect::<String>()
    };
    let json = Zeroizing::new(Value::from(secret).to_string());
    let json = &json[1..json.len() - 1];
    let texts = [
        secret.to_owned(),
        form_encoded(secret),
        percent(|byte| format!("%{byte:02X}")),
        percent(|byte| format!("%{byte:02x}")),
        json.to_owned(),
        // PHP escapes slashes.
        json.replace('/', "\\/"),
    ];
    texts.into_iter().map(Zeroizing::new).collect()
}

fn form_encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// The credentials of HTTP Basic: form-encoded (RFC 6749, section 2.3.1), and not encoded, as many clients send them.
pub(crate) fn basic_pairs(id: &str, secret: &str) -> [Zeroizing<String>; 2] {
    let encoded = Zeroizing::new(form_encoded(secret));
    [Zeroizing::new(format!("{}:{}", form_encoded(id), *encoded)), Zeroizing::new(format!("{id}:{secret}"))]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_redacted_in_every_encoding() {
        let redactor = Redactor::new(["r/1 \"+"].into_iter()).with_client("my client", Some("s/c r\"t"));
        for (text, redacted) in [
            ("r/1 \"+ of s/c r\"t", "(secret) of (secret)"),
            ("refresh_token=r%2F1+%22%2B&scope=one", "refresh_token=(secret)&scope=one"),
            ("?refresh_token=r%2F1%20%22%2B&scope=one", "?refresh_token=(secret)&scope=one"),
            ("?refresh_token=r%2f1%20%22%2b&scope=one", "?refresh_token=(secret)&scope=one"),
            (r#"{"refresh_token":"r/1 \"+"}"#, r#"{"refresh_token":"(secret)"}"#),
            (
                r#"{"refresh_token":"r\/1 \"+","secret":"s\/c r\"t"}"#,
                r#"{"refresh_token":"(secret)","secret":"(secret)"}"#,
            ),
            // my+client:s%2Fc+r%22t and my client:s/c r"t
            ("Basic bXkrY2xpZW50OnMlMkZjK3IlMjJ0", "Basic (secret)"),
            ("Basic bXkgY2xpZW50OnMvYyByInQ=", "Basic (secret)="),
        ] {
            assert_eq!(redactor.redact(text), redacted);
        }
        let configured = [("X-Key", "Bearer hush"), ("Anthropic-Beta", "one-2"), ("x-team", "7")];
        let configured = Redactor::default().with_configured(configured.into_iter());
        assert_eq!(configured.redact("Bearer hush, hush, one-2, 7"), "(secret), (secret), one-2, 7");
        let nested = Redactor::new(["abc", "xabcx"].into_iter());
        assert_eq!(nested.redact("xabcx abc"), "(secret) (secret)");
    }
}
