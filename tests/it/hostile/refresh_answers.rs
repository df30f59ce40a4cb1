//! Responses of the token endpoint to a refresh. Only `invalid_grant` ends the session; an invalid response is not
//! stored.

use nexus::sandbox::{Answer, Endpoint, Piece, Scripted, Settings};
use serde_json::json;

use super::Left::{Dead, Kept};
use super::{BEFORE, Ended, Row, every_row, signed_in};

/// A token type, a lifetime and these members.
fn grant(members: &serde_json::Value) -> Scripted {
    let mut body = json!({ "access_token": "sandbox-access-x", "token_type": "Bearer", "expires_in": 3600 });
    for (name, value) in members.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    Scripted::json(200, &body)
}

fn refusal(status: u16, error: &str) -> Scripted {
    Scripted::json(status, &json!({ "error": error }))
}

/// An error in the format of the Messages API.
fn envelope(status: u16, kind: &str, message: &str) -> Scripted {
    Scripted::json(status, &json!({ "type": "error", "error": { "type": kind, "message": message } }))
}

/// A response that is neither an error nor a token response.
const fn nonsense(name: &'static str, does: fn() -> Scripted, says: &'static str) -> Row<fn() -> Scripted> {
    Row { name, does, says, code: 75, left: Kept }
}

/// A response that is lost after the server has spent the refresh token. The next refresh finds the session ended.
const fn lost(name: &'static str, does: fn() -> Scripted, says: &'static str) -> Row<fn() -> Scripted> {
    Row { name, does, says, code: 75, left: Dead }
}

/// A grant whose response does not end as HTTP asks.
fn unended(length: Option<usize>, end: Option<Piece>) -> Scripted {
    let body = json!({ "access_token": "sandbox-access-x", "token_type": "Bearer", "expires_in": 3600 }).to_string();
    let body = [Some(Piece::text(&body)), end].into_iter().flatten().collect();
    let answer = Answer { status: 200, headers: Vec::new(), body }.header("content-type", "application/json");
    Scripted::Answer(match length {
        Some(length) => answer.header("content-length", &length.to_string()),
        None => answer,
    })
}

/// A refusal that does not end the session.
const fn refused(name: &'static str, does: fn() -> Scripted, says: &'static str) -> Row<fn() -> Scripted> {
    kept(name, does, says, 4)
}

/// An answer after which the session is kept.
const fn kept(name: &'static str, does: fn() -> Scripted, says: &'static str, code: i32) -> Row<fn() -> Scripted> {
    Row { name, does, says, code, left: Kept }
}

/// A refusal that ends the session.
const fn ended(name: &'static str, does: fn() -> Scripted) -> Row<fn() -> Scripted> {
    Row { name, does, says: ENDED, code: 4, left: Dead }
}

/// A response whose access token is used.
const fn granted(name: &'static str, does: fn() -> Scripted) -> Row<fn() -> Scripted> {
    kept(name, does, "sandbox-access-x\n", 0)
}

const ENDED: &str = "error: the session with work was ended by the server at ";

pub(super) const ROWS: &[Row<fn() -> Scripted>] = &[
    nonsense("HTML", || Scripted::text(200, "text/html", "<html>"), "(not a JSON object)"),
    nonsense("an empty response", || Scripted::text(204, "text/plain", ""), "(not a JSON object)"),
    nonsense("a list", || Scripted::text(200, "application/json", "[{}]"), "(not a JSON object)"),
    nonsense("nested lists", || Scripted::text(200, "application/json", &"[".repeat(500_000)), "(not a JSON object)"),
    nonsense("a body of 3 MiB", || Scripted::text(200, "", &" ".repeat(3 << 20)), "(more than 1 MiB)"),
    nonsense("no access token", || grant(&json!({ "access_token": null })), "(no `access_token`)"),
    nonsense("an empty access token", || grant(&json!({ "access_token": "" })), "(no `access_token`)"),
    nonsense(
        "a line break in the access token",
        || grant(&json!({ "access_token": "x\r\nx-evil: 1" })),
        "(an `access_token` that does not fit into a header)",
    ),
    nonsense(
        "an access token of 20 KiB",
        || grant(&json!({ "access_token": "x".repeat(20 << 10) })),
        "(an `access_token` that does not fit into a header)",
    ),
    nonsense(
        "a refresh token of 20 KiB",
        || grant(&json!({ "refresh_token": "x".repeat(20 << 10) })),
        "(a `refresh_token` of more than 16 KiB)",
    ),
    nonsense(
        "a token of another type",
        || grant(&json!({ "token_type": "DPoP" })),
        "(a `token_type` other than Bearer)",
    ),
    nonsense(
        "a redirect",
        || Scripted::text(307, "", "").header("location", "http://127.0.0.1:9/token"),
        "(a redirect (307 Temporary Redirect), which is not followed)",
    ),
    nonsense("a closed connection", || Scripted::Close, "(connection closed before message completed)"),
    lost("a lost response", || Scripted::Lose, "(connection closed before message completed)"),
    lost("a truncated response", || Scripted::Break(0), "(the connection broke)"),
    kept("a complete response that breaks off", || Scripted::Break(1), "sandbox-access-", 0),
    lost("half a body", || Scripted::Cut(0), "(not a JSON object)"),
    nonsense("503", || Scripted::text(503, "text/html", "<html>"), "(status 503)"),
    nonsense("429", || refusal(429, "rate_limited"), "answered 429: rate_limited"),
    refused(
        "invalid_grant with status 403",
        || refusal(403, "invalid_grant"),
        "answered 403: invalid_grant; the session",
    ),
    refused(
        "invalid_grant as another member",
        || Scripted::json(400, &json!({ "error": { "code": "invalid_grant", "message": "gone" } })),
        "answered 400: invalid_grant: gone; the session is kept",
    ),
    refused(
        "a refusal behind a byte order mark",
        || {
            Scripted::text(
                400,
                "application/json",
                "\u{feff}{\"error\":\"invalid_request\",\"error_description\":\"no\"}",
            )
        },
        "answered 400: invalid_request: no; the session is kept",
    ),
    refused("400 with an empty body", || Scripted::text(400, "text/plain", ""), "answered 400; the session is kept"),
    ended("invalid_grant", || refusal(400, "invalid_grant")),
    ended("invalid_grant with status 401", || refusal(401, "invalid_grant")),
    ended("invalid_grant in an error of the Messages API", || envelope(400, "invalid_grant", "gone")),
    Row {
        name: "invalid_grant with status 500",
        does: || refusal(500, "invalid_grant"),
        says: "sent no usable response (status 500); the session is kept",
        code: 75,
        left: Kept,
    },
    refused(
        "an error code that begins with invalid_grant",
        || refusal(400, "invalid_grant_type"),
        "answered 400: invalid_grant_type; the session is kept",
    ),
    refused(
        "invalid_grant in HTML",
        || Scripted::text(400, "text/html", "<html>{\"error\":\"invalid_grant\"}"),
        "answered 400; the session is kept",
    ),
    refused(
        "404",
        || envelope(404, "not_found_error", "no such token"),
        "answered 404: not_found_error: no such token; the session is kept",
    ),
    refused(
        "terminal escapes",
        || envelope(403, "some_error", "\u{1b}]0;owned\u{7}\u{202e}no\r\n\r\nerror: pay here"),
        "answered 403: some_error: ]0;owned no error: pay here; the session is kept",
    ),
    Row {
        name: "invalid_client",
        does: || refusal(401, "invalid_client"),
        says: "rejected the client id `sandbox-client`",
        code: 2,
        left: Kept,
    },
    granted("chunks without the last one", || unended(None, Some(Piece::Break))),
    granted("a connection that stays open", || unended(None, Some(Piece::Hang))),
    granted("a content length that is too large", || unended(Some(500), Some(Piece::Break))),
    granted("a byte order mark", || {
        let body = json!({ "access_token": "sandbox-access-x", "expires_in": 3600 });
        Scripted::text(200, "application/json", &format!("\u{feff}{body}"))
    }),
    granted("a byte order mark in pieces", || {
        let body = "\u{feff}{\"access_token\":\"sandbox-access-x\",\"expires_in\":3600}";
        let body = body.bytes().map(|byte| Piece::Bytes(vec![byte])).collect();
        Scripted::Answer(Answer { status: 200, headers: Vec::new(), body })
    }),
    granted("no refresh token", || grant(&json!({}))),
    granted("an empty refresh token", || grant(&json!({ "refresh_token": "" }))),
    granted("a refresh token that is a number", || grant(&json!({ "refresh_token": 7 }))),
    granted("another case of the token type", || grant(&json!({ "token_type": "bEARER" }))),
    granted("very long metadata", || {
        grant(&json!({ "account": { "email_address": "x".repeat(500_000) }, "scope": "y ".repeat(100_000) }))
    }),
    granted("another content type", || {
        let body = json!({ "access_token": "sandbox-access-x" }).to_string();
        let answer = Answer { status: 200, headers: Vec::new(), body: vec![Piece::text(&body)] };
        Scripted::Answer(answer.header("content-type", "image/png").header("content-encoding", "gzip"))
    }),
];

#[test]
fn only_invalid_grant_ends_the_session() {
    every_row(ROWS, |row| {
        let (nexus, sandbox) = signed_in(Settings { token_lifetime: Some(json!(0)), ..Settings::default() }, "");
        sandbox.change(|settings| settings.account = BEFORE.into());
        sandbox.script(Endpoint::Token, [(row.does)()]);
        let output = nexus.run(&["oauth", "token"]);
        let state = nexus.run(&["oauth", "status", "--json"]).json()["state"].clone();
        assert_eq!(state == "dead", row.left == Dead && row.code == 4, "{}: the refresh token is kept", row.name);
        // Refresh again: an unspent refresh token still works; if its successor was lost, the message says so.
        let lost = sandbox.refreshes() == 1 && output.code != Some(0);
        if output.code != Some(4) && output.code != Some(2) {
            let again = nexus.run(&["oauth", "token", "--min-ttl", "9h"]);
            let told = again.stderr.contains(" was cut off before its response was saved\n")
                || again.stderr.contains(", probably because it sent no usable response (not a JSON object)");
            let expected = if lost { Some(4) } else { Some(0) };
            assert!(again.code == expected && told == lost, "{}: {again}", row.name);
        }
        Ended { message: format!("{}{}", output.stdout, output.stderr), code: output.code, nexus }
    });
}
