//! The response of a token endpoint (RFC 6749, section 5.1). Parsing is lenient where servers differ.

use serde_json::{Map, Value};

use super::id_token::IdToken;
use crate::provider::ClientAuth;
use crate::secret::{AccessToken, RefreshToken};
use crate::time;

/// The longest lifetime, in seconds: ten years. A longer one is cut to it.
const LONGEST_LIFE: i64 = 10 * 366 * 86_400;

/// The longest token, in bytes. A longer one fits into no header.
const LONGEST_TOKEN: usize = 16 * 1024;

/// The longest list of scopes, in bytes. A longer one is treated as absent.
const LONGEST_SCOPES: usize = 16 * 1024;

/// The largest metadata, in bytes of JSON. Disk space for a session is reserved before its tokens are requested, so a
/// session has a largest size.
const LARGEST_METADATA: usize = 64 * 1024;

/// A successful token response.
#[derive(Debug)]
pub struct TokenResponse {
    /// The new access token.
    pub access_token: AccessToken,
    /// The new refresh token. `None` means that the old one stays valid (RFC 6749, section 6).
    pub refresh_token: Option<RefreshToken>,
    /// `Bearer`, as the server spells it.
    pub token_type: String,
    /// Seconds until the access token expires. `None` if the server does not say.
    pub lifetime: Option<i64>,
    /// The granted scopes. `None` means those that were requested (RFC 6749, section 5.1).
    pub scopes: Option<Vec<String>>,
    /// The ID token (OpenID Connect Core, section 3.1.3.3), if there is one.
    pub id_token: Option<IdToken>,
    /// All other members, such as account and organization. `id` has the names of the account in the ID token.
    pub metadata: Map<String, Value>,
    /// The `Date` of the response, in Unix seconds.
    pub dated: Option<i64>,
    /// How the client authenticated, if the server did not accept the configured method.
    pub client_auth: Option<ClientAuth>,
}

impl TokenResponse {
    /// Parses the body of a 2xx response. `dated` is its `Date` in Unix seconds. An absolute expiry is relative to it.
    ///
    /// # Errors
    /// What is wrong with the body, without quoting it: it may contain a token.
    pub fn parse(body: &[u8], dated: Option<i64>) -> Result<Self, String> {
        let Ok(Value::Object(mut fields)) = serde_json::from_slice(body) else {
            return Err("not a JSON object".into());
        };
        let mut text = |name: &str| match fields.remove(name) {
            Some(Value::String(text)) => Some(text),
            _ => None,
        };
        let access_token = text("access_token").filter(|token| !token.is_empty()).ok_or("no `access_token`")?;
        if access_token.len() > LONGEST_TOKEN || !access_token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("an `access_token` that does not fit into a header".into());
        }
        let refresh_token = text("refresh_token").filter(|token| !token.is_empty());
        if refresh_token.as_ref().is_some_and(|token| token.len() > LONGEST_TOKEN) {
            return Err("a `refresh_token` of more than 16 KiB".into());
        }
        let token_type = text("token_type").unwrap_or_else(|| "Bearer".into());
        if !token_type.eq_ignore_ascii_case("bearer") {
            return Err("a `token_type` other than Bearer".into());
        }
        let id_token = text("id_token").filter(|token| !token.is_empty()).map(IdToken::read);
        let scopes = fields.remove("scope").and_then(|value| scopes(&value));
        let lifetime = match fields.remove("expires_in").and_then(|value| lifetime(&value)) {
            Some(seconds) => Some(seconds),
            None => life_until(&fields, dated),
        };
        if let Some(names) = id_token.as_ref().and_then(IdToken::names) {
            fields.insert("id".into(), Value::Object(names));
        }
        if fields.iter().map(|(name, value)| json_size(name, value)).sum::<usize>() > LARGEST_METADATA {
            fields.clear();
        }
        Ok(Self {
            access_token: AccessToken::new(access_token),
            refresh_token: refresh_token.map(RefreshToken::new),
            token_type,
            lifetime,
            scopes,
            id_token,
            metadata: fields,
            dated,
            client_auth: None,
        })
    }
}

/// Merges the metadata of a refresh into that of the session. Known members are replaced first, then new ones are added
/// while they fit, so that metadata does not grow without limit and that of the sign-in stays.
pub(crate) fn merge_metadata(mut known: Map<String, Value>, received: Map<String, Value>) -> Map<String, Value> {
    let mut size: usize = known.iter().map(|(name, value)| json_size(name, value)).sum();
    let (replaced, added): (Vec<_>, Vec<_>) = received.into_iter().partition(|(name, _)| known.contains_key(name));
    for (name, value) in replaced.into_iter().chain(added) {
        let old = known.get(&name).map_or(0, |value| json_size(&name, value));
        let grown = size - old + json_size(&name, &value);
        // Metadata of an earlier version may be above the limit already.
        if grown <= LARGEST_METADATA.max(size) {
            known.insert(name, value);
            size = grown;
        }
    }
    known
}

/// The size of a member of an object, in bytes of JSON.
fn json_size(name: &str, value: &Value) -> usize {
    Value::from(name).to_string().len() + value.to_string().len() + ":,".len()
}

/// Reads `scope`. RFC 6749 (section 3.3) says words separated by spaces; some servers send a JSON list of them.
fn scopes(scope: &Value) -> Option<Vec<String>> {
    let texts: Vec<&str> = match scope {
        Value::String(text) => vec![text],
        Value::Array(list) => list.iter().map(Value::as_str).collect::<Option<_>>()?,
        _ => return None,
    };
    let fits = texts.iter().map(|text| text.len()).sum::<usize>() <= LONGEST_SCOPES;
    fits.then(|| texts.iter().flat_map(|text| text.split_whitespace()).map(String::from).collect())
}

/// Reads `expires_in`. RFC 6749 says a number; servers also send numeric strings, fractions and other values. A
/// negative number means expired.
fn lifetime(expires_in: &Value) -> Option<i64> {
    let seconds = match expires_in {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => text.trim().parse().ok()?,
        _ => return None,
    };
    seconds.is_finite().then(|| (seconds as i64).clamp(0, LONGEST_LIFE))
}

/// The lifetime from an absolute expiry. It is relative to the server's `Date`, because this machine's clock may
/// differ.
fn life_until(fields: &Map<String, Value>, dated: Option<i64>) -> Option<i64> {
    let end = match ["expires_at", "expires_on"].iter().find_map(|name| fields.get(*name))? {
        Value::Number(number) => number.as_f64()? as i64,
        Value::String(text) => text.trim().parse().ok().or_else(|| time::parse_rfc3339(text.trim()))?,
        _ => return None,
    };
    Some(end.saturating_sub(dated?).clamp(0, LONGEST_LIFE))
}

/// Where the metadata has a name of the account, best first. `userinfo` is what the UserInfo endpoint answered.
const NAMES: [(&str, &str); 9] = [
    ("account", "email_address"),
    ("account", "email"),
    ("id", "email"),
    ("userinfo", "email"),
    ("id", "preferred_username"),
    ("userinfo", "preferred_username"),
    ("id", "name"),
    ("userinfo", "name"),
    ("account", "name"),
];

/// Where it has an identifier of the account.
const IDENTIFIERS: [(&str, &str); 3] = [("account", "uuid"), ("id", "sub"), ("userinfo", "sub")];

fn found<'a>(metadata: &'a Map<String, Value>, places: &[(&str, &str)]) -> Option<&'a str> {
    let text = |(outer, inner): &(&str, &str)| metadata.get(*outer)?.get(*inner)?.as_str();
    places.iter().filter_map(text).find(|name| !name.is_empty())
}

/// The name of the account in the metadata. An e-mail address is preferred.
pub fn account(metadata: &Map<String, Value>) -> Option<&str> {
    found(metadata, &NAMES)
        .or_else(|| found(metadata, &IDENTIFIERS))
        .or_else(|| ["email", "account"].iter().find_map(|name| metadata.get(*name)?.as_str()))
}

/// Whether the metadata has a name of the account, and not only an identifier.
pub(crate) fn is_named(metadata: &Map<String, Value>) -> bool {
    found(metadata, &NAMES).is_some()
        || account(metadata).is_some_and(|name| found(metadata, &IDENTIFIERS) != Some(name))
}

/// Whether the metadata of two sessions name different accounts. The first member that both have decides: an identifier
/// before an address, which users change and write in more than one way.
pub(crate) fn accounts_differ(one: &Map<String, Value>, other: &Map<String, Value>) -> bool {
    const PLACES: &[&str] = &[
        "/account/uuid",
        "/id/sub",
        "/account/email_address",
        "/account/email",
        "/id/email",
        "/id/preferred_username",
        "/email",
        "/account",
    ];
    let text = |metadata: &Map<String, Value>, place: &str| {
        let mut names = place.split('/').skip(1);
        let first = metadata.get(names.next()?)?;
        let name = names.try_fold(first, |value, name| value.get(name))?.as_str()?.to_lowercase();
        (!name.is_empty()).then_some(name)
    };
    PLACES.iter().find_map(|place| text(one, place).zip(text(other, place))).is_some_and(|(one, other)| one != other)
}

/// The grant that the tokens belong to, if the server names it (`grant_id` of Grant Management for OAuth 2.0).
pub(crate) fn grant_id(metadata: &Map<String, Value>) -> Option<&str> {
    metadata.get("grant_id")?.as_str().filter(|id| !id.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes_are_read_as_servers_write_them() {
        for (text, seconds) in [
            (r#"3600"#, Some(3_600)),
            (r#""3600""#, Some(3_600)),
            (r#"" 3600 ""#, Some(3_600)),
            (r#"59.9"#, Some(59)),
            (r#""1e3""#, Some(1_000)),
            (r#"0"#, Some(0)),
            (r#"-5"#, Some(0)),
            (r#"1e300"#, Some(LONGEST_LIFE)),
            (r#"99999999999999999999"#, Some(LONGEST_LIFE)),
            (r#"null"#, None),
            (r#""soon""#, None),
            (r#""NaN""#, None),
            (r#""inf""#, None),
            (r#"[3600]"#, None),
            (r#"true"#, None),
        ] {
            assert_eq!(lifetime(&serde_json::from_str(text).unwrap()), seconds, "{text}");
        }
    }

    #[test]
    fn an_end_by_the_servers_clock_is_counted_from_the_servers_date() {
        const DATED: i64 = 1_700_000_000;
        for (text, dated, seconds) in [
            (r#""expires_at":1700003600"#, Some(DATED), Some(3_600)),
            (r#""expires_on":"1700003600""#, Some(DATED), Some(3_600)),
            (r#""expires_at":"2023-11-14T23:13:20Z""#, Some(DATED), Some(3_600)),
            (r#""expires_at":1699999999"#, Some(DATED), Some(0)),
            (r#""expires_at":1e300"#, Some(DATED), Some(LONGEST_LIFE)),
            (r#""expires_at":-1e300"#, Some(DATED), Some(0)),
            (r#""expires_at":1700003600"#, None, None),
            (r#""expires_at":"soon""#, Some(DATED), None),
            (r#""expires_at":[1700003600]"#, Some(DATED), None),
            (r#""expires_in":60,"expires_at":1700003600"#, Some(DATED), Some(60)),
            (r#""expires_in":"soon","expires_at":1700003600"#, Some(DATED), Some(3_600)),
        ] {
            let body = format!(r#"{{"access_token":"a",{text}}}"#);
            assert_eq!(TokenResponse::parse(body.as_bytes(), dated).unwrap().lifetime, seconds, "{text}, {dated:?}");
        }
    }

    #[test]
    fn what_is_kept_has_a_largest_size() {
        let long = "x".repeat(LARGEST_METADATA);
        let body = format!(r#"{{"access_token":"a","scope":"{long}","note":"{long}","account":"ada"}}"#);
        let response = TokenResponse::parse(body.as_bytes(), None).unwrap();
        assert_eq!((response.scopes, response.metadata.len()), (None, 0));
    }

    #[test]
    fn what_is_kept_stays_bounded_over_any_number_of_answers() {
        let object = |text: String| -> Map<String, Value> { serde_json::from_str(&text).unwrap() };
        let mut known = object(r#"{"account":{"email":"ada@example.com"},"plan":"small"}"#.into());
        let long = "x".repeat(LARGEST_METADATA / 8);
        for number in 0..100 {
            known = merge_metadata(known, object(format!(r#"{{"note-{number}":"{long}"}}"#)));
        }
        assert!(Value::Object(known.clone()).to_string().len() <= LARGEST_METADATA);
        assert!(known.contains_key("note-0") && !known.contains_key("note-99"), "the oldest stay");
        let known = merge_metadata(known, object(format!(r#"{{"plan":"large","account":"{long}{long}"}}"#)));
        assert_eq!(known["plan"], "large", "what has room is news");
        assert_eq!(account(&known), Some("ada@example.com"), "what has none does not push out what is known");
        let shrunk = merge_metadata(known, object(r#"{"note-0":"","more":"x"}"#.into()));
        assert_eq!(shrunk["more"], "x", "room that was given back is used");
    }

    #[test]
    fn a_grant_is_read_whole() {
        // {"email":"ada@example.com","aud":"me"}
        let body = br#"{"access_token":"a","refresh_token":"r","token_type":"bearer","expires_in":60,
            "scope":"one  two","id_token":"x.eyJlbWFpbCI6ImFkYUBleGFtcGxlLmNvbSIsImF1ZCI6Im1lIn0.y",
            "organization":{"name":"Analytical"}}"#;
        let response = TokenResponse::parse(body, None).unwrap();
        assert_eq!(response.access_token.expose(), "a");
        assert_eq!(response.refresh_token.as_ref().unwrap().expose(), "r");
        assert_eq!(response.scopes, Some(vec!["one".to_owned(), "two".to_owned()]));
        assert_eq!(account(&response.metadata), Some("ada@example.com"));
        let metadata = Value::Object(response.metadata).to_string();
        assert_eq!(metadata, r#"{"id":{"email":"ada@example.com"},"organization":{"name":"Analytical"}}"#);
    }

    #[test]
    fn scopes_are_words_or_a_list() {
        for (scope, expected) in [
            (r#""one two""#, Some(&["one", "two"][..])),
            (r#"["one","two"]"#, Some(&["one", "two"])),
            (r#"["one two"]"#, Some(&["one", "two"])),
            (r#""one,two""#, Some(&["one,two"])),
            (r#""""#, Some(&[])),
            ("[]", Some(&[])),
            ("null", None),
            ("7", None),
            ("[7]", None),
        ] {
            let body = format!(r#"{{"access_token":"a","scope":{scope}}}"#);
            let read = TokenResponse::parse(body.as_bytes(), None).unwrap().scopes;
            assert_eq!(read.as_ref().map(Vec::len), expected.map(<[_]>::len), "{scope}");
            assert!(read.into_iter().flatten().eq(expected.into_iter().flatten().copied()), "{scope}");
        }
        let long = format!(r#"{{"access_token":"a","scope":{:?}}}"#, vec!["xy"; LONGEST_SCOPES]);
        assert_eq!(TokenResponse::parse(long.as_bytes(), None).unwrap().scopes, None);
    }

    #[test]
    fn what_could_not_be_used_is_refused_without_quoting_it() {
        for (body, why) in [
            ("", "not a JSON object"),
            ("<html>tok</html>", "not a JSON object"),
            ("[]", "not a JSON object"),
            ("{}", "no `access_token`"),
            (r#"{"access_token":""}"#, "no `access_token`"),
            (r#"{"access_token":7}"#, "no `access_token`"),
            (r#"{"access_token":"two words"}"#, "an `access_token` that does not fit into a header"),
            (r#"{"access_token":"line\nbreak"}"#, "an `access_token` that does not fit into a header"),
            (r#"{"access_token":"t","token_type":"DPoP"}"#, "a `token_type` other than Bearer"),
        ] {
            assert_eq!(TokenResponse::parse(body.as_bytes(), None).err().as_deref(), Some(why), "{body}");
        }
        let long = format!(r#"{{"access_token":"{}"}}"#, "x".repeat(LONGEST_TOKEN + 1));
        assert!(TokenResponse::parse(long.as_bytes(), None).is_err());
    }

    #[test]
    fn the_account_is_the_best_name_there_is() {
        for (metadata, name) in [
            (r#"{"account":{"uuid":"u","email_address":"a@b"}}"#, Some("a@b")),
            (r#"{"account":{"uuid":"u"}}"#, Some("u")),
            (r#"{"id":{"sub":"s","name":"n"}}"#, Some("n")),
            (r#"{"email":"e"}"#, Some("e")),
            (r#"{"account":"who"}"#, Some("who")),
            (r#"{"account":{"email_address":""}}"#, None),
            (r#"{}"#, None),
        ] {
            let metadata: Map<String, Value> = serde_json::from_str(metadata).unwrap();
            assert_eq!(account(&metadata), name);
        }
    }
}
