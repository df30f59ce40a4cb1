//! Reads what a token or revocation endpoint says when it refuses.

use std::time::Duration;

use serde_json::Value;

use super::token_error::TokenError;
use crate::clean::clean;
use crate::redact::Redactor;

/// Where an error code stands, as JSON pointers (RFC 6901): RFC 6749 and the Messages API, then the formats of others.
const CODES: [&str; 15] = [
    "/error",
    "/error/type",
    "/error/code",
    "/error/status",
    "/errors/0/code",
    "/errors/0/type",
    "/error_code",
    "/errorCode",
    "/errcode",
    "/err_code",
    "/fault/detail/errorcode",
    "/detail/error",
    "/detail/code",
    "/__type",
    "/code",
];

/// How many of [`CODES`] are [standard](TokenError::Refused).
const STANDARD: usize = 2;

/// How many of [`CODES`] name an error even in a successful response, where a mere `code` may be one of success.
const IN_SUCCESS: usize = 10;

/// Where a description stands.
const DESCRIPTIONS: [&str; 23] = [
    "/error_description",
    "/error/message",
    "/error/description",
    "/error/error_description",
    "/errors/0/message",
    "/errors/0/detail",
    "/errors/0/description",
    "/errors/0",
    "/message",
    "/error_message",
    "/error_msg",
    "/errorMessage",
    "/errorSummary",
    "/errmsg",
    "/fault/faultstring",
    "/detail/error_description",
    "/detail/message",
    "/detail/0/msg",
    "/detail",
    "/description",
    "/msg",
    "/reason",
    "/title",
];

/// Reads a refusal: an error of RFC 6749 (section 5.2), one of the Messages API
/// (`{"type":"error","error":{"type":"...","message":"..."}}`), or one in another server's own format. Credentials
/// are redacted. Of another body, only [`prose`] is quoted, and only if the refusal is not temporary.
pub(super) fn refusal(status: u16, retry_after: Option<Duration>, body: &[u8], redactor: &Redactor) -> TokenError {
    // Redact before shortening, which could leave a part of a secret.
    let words = |text: &str| clean(&redactor.redact(text));
    let text = String::from_utf8_lossy(body);
    let is_final = (400..500).contains(&status) && !matches!(status, 408 | 425 | 429);
    let quoted = || prose(&text).filter(|quoted| is_final && redactor.redact(quoted) == *quoted);
    let body: Value = serde_json::from_slice(body).unwrap_or_else(|_| quoted().map(Value::from).unwrap_or_default());
    let places = if status < 300 { &CODES[..IN_SUCCESS] } else { &CODES[..] };
    let found = places.iter().enumerate().find_map(|(at, place)| Some((at, code(body.pointer(place)?, status)?)));
    let (standard, error) = found.map(|(at, error)| (at < STANDARD, error)).unwrap_or_default();
    let text = |place: &&str| body.pointer(place).and_then(Value::as_str).filter(|text| !text.is_empty());
    let description = body.as_str().or_else(|| DESCRIPTIONS.iter().find_map(text)).unwrap_or_default();
    // An error code is not redacted: a one-letter secret would change `invalid_grant`.
    let error = match error.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_') {
        true if !redactor.contains(&error) => clean(&error),
        _ => words(&error),
    };
    TokenError::Refused { status, error, standard, description: words(description), retry_after, assertion: None }
}

/// The text if it is one short line of plain words and numbers. A secret that a server repeats in an encoding which is
/// not masked, such as base64 or percent-encoding, is none of these.
fn prose(text: &str) -> Option<&str> {
    let is_word = |word: &str| {
        let rest = word.get(1..).unwrap_or_default();
        let is_number = word.len() <= 3 && word.bytes().all(|byte| byte.is_ascii_digit());
        let is_letters = word.len() <= 20 && word.bytes().all(|byte| byte.is_ascii_alphabetic());
        let is_in_one_case =
            rest.bytes().all(|byte| byte.is_ascii_lowercase()) || word.bytes().all(|byte| byte.is_ascii_uppercase());
        is_number || is_letters && is_in_one_case
    };
    let text = text.trim();
    let mut words = text.split([' ', '/', '-']).map(|word| {
        word.trim_start_matches(['(', '"', '\'']).trim_end_matches([')', '"', '\'', '.', ',', ':', ';', '!', '?'])
    });
    let is_short = (1..=200).contains(&text.len());
    (is_short && words.all(|word| word.is_empty() || is_word(word))).then_some(text)
}

/// An error code: a text, or a number other than 0 and the HTTP status.
fn code(value: &Value, status: u16) -> Option<String> {
    match value {
        Value::String(code) if !code.is_empty() => Some(code.clone()),
        Value::Number(code) if ![0, status.into()].map(Some).contains(&code.as_u64()) => Some(code.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_read_in_every_format() {
        for (body, error, standard, description) in [
            (
                r#"{"error":"invalid_grant","error_description":"Token \u001b[1m gone"}"#,
                "invalid_grant",
                true,
                "Token [1m gone",
            ),
            (r#"{"error":"invalid_grant"}"#, "invalid_grant", true, ""),
            (r#"{"error":"invalid_grant","message":"used"}"#, "invalid_grant", true, "used"),
            (
                r#"{"type":"error","error":{"type":"not_found_error","message":"no token"}}"#,
                "not_found_error",
                true,
                "no token",
            ),
            (r#"{"error":{"type":"invalid_grant","message":"used"}}"#, "invalid_grant", true, "used"),
            (r#"{"error":{"code":"invalid_grant","message":"used"}}"#, "invalid_grant", false, "used"),
            (
                r#"{"error":{"code":400,"message":"Expired","status":"UNAUTHENTICATED"}}"#,
                "UNAUTHENTICATED",
                false,
                "Expired",
            ),
            (r#"{"errorCode":"E0000011","errorSummary":"Invalid token"}"#, "E0000011", false, "Invalid token"),
            (r#"{"errors":[{"code":"expired","message":"Sign in"}]}"#, "expired", false, "Sign in"),
            (r#"{"errors":["no such token"]}"#, "", false, "no such token"),
            (r#"{"code":"invalid_grant","msg":"gone"}"#, "invalid_grant", false, "gone"),
            (r#"{"errcode":40029,"errmsg":"invalid code"}"#, "40029", false, "invalid code"),
            (r#"{"__type":"NotAuthorizedException","message":"Revoked"}"#, "NotAuthorizedException", false, "Revoked"),
            (
                r#"{"fault":{"faultstring":"Expired","detail":{"errorcode":"oauth.expired"}}}"#,
                "oauth.expired",
                false,
                "Expired",
            ),
            (r#"{"detail":{"error":"invalid_grant","error_description":"gone"}}"#, "invalid_grant", false, "gone"),
            (r#"{"detail":[{"loc":["body"],"msg":"field required"}]}"#, "", false, "field required"),
            (r#"{"detail":"Session not found"}"#, "", false, "Session not found"),
            (r#"{"type":"about:blank","title":"Bad Request","status":400}"#, "", false, "Bad Request"),
            (r#"{"error":"","code":0,"message":"no"}"#, "", false, "no"),
            (r#""no such session""#, "", false, "no such session"),
            ("no such session", "", false, "no such session"),
            ("<html><head><TITLE>\n403 Forbidden\n</title>no token r", "", false, ""),
            ("{\"error\":\"invalid_grant\"", "", false, ""),
            ("<html>", "", false, ""),
            ("", "", false, ""),
            ("[]", "", false, ""),
        ] {
            let (error, description) = (error.into(), description.into());
            let (retry_after, assertion) = (None, None);
            let expected = TokenError::Refused { status: 400, error, standard, description, retry_after, assertion };
            assert_eq!(refusal(400, None, body.as_bytes(), &Redactor::default()), expected, "{body}");
        }
    }

    #[test]
    fn only_plain_words_are_quoted_outside_json() {
        for (body, quoted) in [
            ("RBAC: access denied\n", "RBAC: access denied"),
            (
                "upstream connect error or disconnect/reset before headers.",
                "upstream connect error or disconnect/reset before headers",
            ),
            ("503 Service Temporarily Unavailable", "503 Service Temporarily Unavailable"),
            ("<!doctype html><title>Sign in</title>", ""),
            ("two\nlines", ""),
            ("no token r-1", ""),
            ("no token cnQtMQ==", ""),
            ("no token cnQtMa", ""),
            ("no token dGhlU2VjcmV0", ""),
            ("no token 72742d31", ""),
            ("no token r%2D1", ""),
            ("no token &#114;", ""),
            ("no token hush", ""),
            ("<title>token dGhlU2VjcmV0</title>", ""),
            ("<html>no title", ""),
        ] {
            let TokenError::Refused { description, .. } =
                refusal(400, None, body.as_bytes(), &Redactor::new(["r-1", "hush"].into_iter()))
            else {
                panic!("not a refusal")
            };
            assert_eq!(description, quoted, "{body}");
        }
    }

    #[test]
    fn credentials_are_redacted_and_codes_kept() {
        let body = br#"{"error":"invalid_grant","error_description":"no such token r-1 of s-2"}"#;
        let expected = "answered 400: invalid_grant: no such token (secret) of (secret)";
        assert_eq!(
            refusal(400, None, body, &Redactor::new(["r-1"].into_iter()).with_client("c", Some("s-2"))).to_string(),
            expected
        );
        let short = refusal(400, None, body, &Redactor::new(["a", "grant"].into_iter()));
        assert!(short.is_final(), "a secret of one letter tears no code apart: {short:?}");
    }

    #[test]
    fn only_an_error_is_a_refusal_in_a_successful_response() {
        for (body, refused) in [
            (r#"{"error":"bad_refresh_token"}"#, true),
            (r#"{"errcode":40029}"#, true),
            (r#"{"code":"ok","message":"fine"}"#, false),
            (r#"{"errcode":0}"#, false),
        ] {
            let read = refusal(200, None, body.as_bytes(), &Redactor::default());
            assert_eq!(read.names_an_error(), refused, "{body}");
        }
    }
}
