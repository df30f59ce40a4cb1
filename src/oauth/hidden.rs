//! What no word of a server may repeat to a person: what a request proved itself with, in every way in
//! which a refusal may quote it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use zeroize::Zeroizing;

/// The texts that are hidden, the longest first: what is part of another one must not tear that apart.
#[derive(Default)]
pub(super) struct Hidden(Vec<Zeroizing<String>>);

impl Hidden {
    /// These credentials and the client's secret.
    pub(super) fn new<'a>(
        credentials: impl Iterator<Item = &'a str>,
        client_id: &str,
        client_secret: Option<&'a str>,
    ) -> Self {
        let client_secret = client_secret.filter(|secret| !secret.is_empty());
        let plain = credentials.chain(client_secret).filter(|secret| !secret.is_empty());
        let mut hidden: Vec<_> = plain.flat_map(quoted).collect();
        for pair in client_secret.iter().flat_map(|secret| basic_pairs(client_id, secret)) {
            let text = Zeroizing::new(STANDARD.encode(pair.as_bytes()));
            // Whoever quotes it may leave out what only fills it up.
            hidden.push(Zeroizing::new(text.trim_end_matches('=').to_owned()));
        }
        // Two ways to quote it may come to the same, which is hidden once: "(secret)" may hold it again.
        hidden.sort_by(|one, other| other.len().cmp(&one.len()).then_with(|| one.cmp(other)));
        hidden.dedup();
        Self(hidden)
    }

    /// What was said, without them.
    pub(super) fn within(&self, said: &str) -> String {
        self.0.iter().fold(said.to_owned(), |said, secret| said.replace(secret.as_str(), "(secret)"))
    }

    /// Whether a text is one of them.
    pub(super) fn is(&self, text: &str) -> bool {
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

/// The id and the secret of HTTP Basic: as RFC 6749, section 2.3.1 wants them, and as those write them
/// who have not read it.
pub(super) fn basic_pairs(id: &str, secret: &str) -> [Zeroizing<String>; 2] {
    let encoded = Zeroizing::new(form_encoded(secret));
    [Zeroizing::new(format!("{}:{}", form_encoded(id), *encoded)), Zeroizing::new(format!("{id}:{secret}"))]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_request_proved_itself_with_is_hidden_however_it_is_quoted() {
        let hidden = Hidden::new(["r/1 \"+"].into_iter(), "my client", Some("s/c r\"t"));
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
            assert_eq!(hidden.within(said), shown);
        }
        let nested = Hidden::new(["abc", "xabcx"].into_iter(), "c", None);
        assert_eq!(nested.within("xabcx abc"), "(secret) (secret)");
    }
}
