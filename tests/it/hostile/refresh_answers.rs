//! What a token endpoint gives for a refresh token. Whatever it is, a session is kept unless the server
//! says that it is over, and what cannot be used is never stored.

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

/// An answer of the service's own kind.
fn envelope(status: u16, kind: &str, message: &str) -> Scripted {
    Scripted::json(status, &json!({ "type": "error", "error": { "type": kind, "message": message } }))
}

/// Another answer than a refusal or a grant, in vain.
const fn nonsense(name: &'static str, does: fn() -> Scripted, says: &'static str) -> Row<fn() -> Scripted> {
    Row { name, does, says, code: 75, left: Kept }
}

/// An answer that gets lost once the server has done its work. It honours no spent token, so the next
/// try finds the session ended, and says why.
const fn lost(name: &'static str, does: fn() -> Scripted, says: &'static str) -> Row<fn() -> Scripted> {
    Row { name, does, says, code: 75, left: Dead }
}

const ENDED: &str = "error: the session with work was ended by the server at ";

pub(super) const ROWS: &[Row<fn() -> Scripted>] = &[
    nonsense("a page where JSON was asked for", || Scripted::text(200, "text/html", "<html>"), "(not a JSON object)"),
    nonsense("nothing at all", || Scripted::text(204, "text/plain", ""), "(not a JSON object)"),
    nonsense("a list", || Scripted::text(200, "application/json", "[{}]"), "(not a JSON object)"),
    nonsense(
        "brackets without end",
        || Scripted::text(200, "application/json", &"[".repeat(500_000)),
        "(not a JSON object)",
    ),
    nonsense("more than anybody wants to read", || Scripted::text(200, "", &" ".repeat(3 << 20)), "(more than 1 MiB)"),
    nonsense("no access token", || grant(&json!({ "access_token": null })), "(no `access_token`)"),
    nonsense("an empty access token", || grant(&json!({ "access_token": "" })), "(no `access_token`)"),
    nonsense(
        "an access token that begins another header",
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
        "the way to another server",
        || Scripted::text(307, "", "").header("location", "http://127.0.0.1:9/token"),
        "(a redirect (307 Temporary Redirect), which is not followed)",
    ),
    nonsense("a closed connection", || Scripted::Close, "(connection closed before message completed)"),
    lost("an answer that is lost on its way", || Scripted::Lose, "(connection closed before message completed)"),
    lost("an answer that breaks off", || Scripted::Break(1), "(the connection broke)"),
    lost("half an answer that ends as if it were whole", || Scripted::Cut(0), "(not a JSON object)"),
    nonsense("a server that is down", || Scripted::text(503, "text/html", "<html>"), "(status 503)"),
    nonsense("a refusal to hurry", || refusal(429, "rate_limited"), "answered 429: rate_limited"),
    Row { name: "the end of the session", does: || refusal(400, "invalid_grant"), says: ENDED, code: 4, left: Dead },
    Row {
        name: "the end of the session, by another status",
        does: || refusal(401, "invalid_grant"),
        says: ENDED,
        code: 4,
        left: Dead,
    },
    Row {
        name: "the end of the session, in the service's own envelope",
        does: || envelope(400, "invalid_grant", "gone"),
        says: ENDED,
        code: 4,
        left: Dead,
    },
    Row {
        name: "the end of the session under a status that says something else",
        does: || refusal(500, "invalid_grant"),
        says: "sent no usable response (status 500); the session is kept",
        code: 75,
        left: Kept,
    },
    Row {
        name: "a word that only looks like the end",
        does: || refusal(400, "invalid_grant_type"),
        says: "answered 400: invalid_grant_type; the session is kept",
        code: 1,
        left: Kept,
    },
    Row {
        name: "the end of the session, but as a page's text",
        does: || Scripted::text(400, "text/html", "<html>{\"error\":\"invalid_grant\"}"),
        says: "answered 400; the session is kept",
        code: 1,
        left: Kept,
    },
    Row {
        name: "an endpoint that is not there any more",
        does: || envelope(404, "not_found_error", "no such token"),
        says: "answered 404: not_found_error: no such token; the session is kept",
        code: 1,
        left: Kept,
    },
    Row {
        name: "a refusal that would paint the terminal",
        does: || envelope(403, "some_error", "\u{1b}]0;owned\u{7}\u{202e}no\r\n\r\nerror: pay here"),
        says: "answered 403: some_error: ]0;owned no error: pay here; the session is kept",
        code: 1,
        left: Kept,
    },
    Row {
        name: "a client that is not known any more",
        does: || refusal(401, "invalid_client"),
        says: "rejected the client id `sandbox-client`",
        code: 2,
        left: Kept,
    },
    Row {
        name: "a grant without a refresh token",
        does: || grant(&json!({})),
        says: "sandbox-access-x\n",
        code: 0,
        left: Kept,
    },
    Row {
        name: "a grant with an empty refresh token",
        does: || grant(&json!({ "refresh_token": "" })),
        says: "sandbox-access-x\n",
        code: 0,
        left: Kept,
    },
    Row {
        name: "a grant whose refresh token is a number",
        does: || grant(&json!({ "refresh_token": 7 })),
        says: "sandbox-access-x\n",
        code: 0,
        left: Kept,
    },
    Row {
        name: "a grant that calls its type differently",
        does: || grant(&json!({ "token_type": "bEARER" })),
        says: "sandbox-access-x\n",
        code: 0,
        left: Kept,
    },
    Row {
        name: "a grant that tells a very long story beside",
        does: || grant(&json!({ "account": { "email_address": "x".repeat(500_000) }, "scope": "y ".repeat(100_000) })),
        says: "sandbox-access-x\n",
        code: 0,
        left: Kept,
    },
    Row {
        name: "a grant under another type of content",
        does: || {
            let body = json!({ "access_token": "sandbox-access-x" }).to_string();
            let answer = Answer { status: 200, headers: Vec::new(), body: vec![Piece::text(&body)] };
            Scripted::Answer(answer.header("content-type", "image/png").header("content-encoding", "gzip"))
        },
        says: "sandbox-access-x\n",
        code: 0,
        left: Kept,
    },
];

#[test]
fn every_answer_to_a_refresh_has_its_end() {
    every_row(ROWS, |row| {
        let (nexus, sandbox) = signed_in(Settings { token_lifetime: Some(json!(0)), ..Settings::default() }, "");
        sandbox.change(|settings| settings.account = BEFORE.into());
        sandbox.script(Endpoint::Token, [(row.does)()]);
        let output = nexus.run(&["oauth", "token"]);
        // One more try: a refresh token that was not spent is still there and good; one whose successor
        // got lost is not, and that is said.
        let lost = sandbox.refreshes() == 1;
        if output.code != Some(4) && output.code != Some(2) {
            let again = nexus.run(&["oauth", "token", "--min-ttl", "9h"]);
            let cut_off = again.stderr.contains(" was cut off before its response was saved\n");
            let expected = if lost { Some(4) } else { Some(0) };
            assert!(again.code == expected && cut_off == lost, "{}: {again}", row.name);
        }
        Ended { said: format!("{}{}", output.stdout, output.stderr), code: output.code, nexus }
    });
}
