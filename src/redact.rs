//! Removes credentials from the words of a server: a refusal may quote what the request authenticated with, in any
//! encoding.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use zeroize::Zeroizing;

/// Replaces secrets in a text. The longest comes first: a secret that is part of another must not split it.
#[derive(Default)]
pub(crate) struct Redactor(Vec<Zeroizing<String>>);

impl Redactor {
    /// Redacts these credentials and the client's secret.
    pub(crate) fn new<'a>(
        credentials: impl Iterator<Item = &'a str>,
        client_id: &str,
        client_secret: Option<&'a str>,
    ) -> Self {
        let client_secret = client_secret.filter(|secret| !secret.is_empty());
        let plain = credentials.chain(client_secret).filter(|secret| !secret.is_empty());
        let mut secrets: Vec<_> = plain.flat_map(quoted).collect();
        for pair in client_secret.iter().flat_map(|secret| basic_pairs(client_id, secret)) {
            let text = Zeroizing::new(STANDARD.encode(pair.as_bytes()));
            // A quotation may leave out the padding.
            secrets.push(Zeroizing::new(text.trim_end_matches('=').to_owned()));
        }
        // Two encodings may give the same text. It is replaced once, because "(secret)" may contain it.
        secrets.sort_by(|one, other| other.len().cmp(&one.len()).then_with(|| one.cmp(other)));
        secrets.dedup();
        Self(secrets)
    }

    /// The text with each of them replaced by `(secret)`.
    pub(crate) fn redact(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), "(secret)"))
    }

    /// Whether a text is one of them.
    pub(crate) fn is(&self, text: &str) -> bool {
        self.0.iter().any(|secret| secret.as_str() == text)
    }
}

/// A secret as it is, and as a form, a URL and JSON write it.
fn quoted(secret: &str) -> [Zeroizing<String>; 6] {
    // RFC 3986, section 2.1: the digits of an escape may be of either case.
    let percent = |escape: fn(u8) -> String| {
        let written = |byte: u8| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
            byte => escape(byte),
        };
        secret.bytes().map(written).collect::<String>()
    };
    let json = Zeroizing::new(Value::from(secret).to_string());
    let json = &json[1..json.len() - 1];
    [
        secret.to_owned(),
        form_encoded(secret),
        percent(|byte| format!("%{byte:02X}")),
        percent(|byte| format!("%{byte:02x}")),
        json.to_owned(),
        // PHP escapes slashes, too.
        json.replace('/', "\\/"),
    ]
    .map(Zeroizing::new)
}

fn form_encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// The id and the secret of HTTP Basic: form-encoded as in RFC 6749, section 2.3.1, and not encoded, as many clients
/// write them.
pub(crate) fn basic_pairs(id: &str, secret: &str) -> [Zeroizing<String>; 2] {
    let encoded = Zeroizing::new(form_encoded(secret));
    [Zeroizing::new(format!("{}:{}", form_encoded(id), *encoded)), Zeroizing::new(format!("{id}:{secret}"))]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_request_proved_itself_with_is_hidden_however_it_is_quoted() {
        let redactor = Redactor::new(["r/1 \"+"].into_iter(), "my client", Some("s/c r\"t"));
        for (said, shown) in [
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
            assert_eq!(redactor.redact(said), shown);
        }
        let nested = Redactor::new(["abc", "xabcx"].into_iter(), "c", None);
        assert_eq!(nested.redact("xabcx abc"), "(secret) (secret)");
    }
}
