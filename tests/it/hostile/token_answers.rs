//! Responses of the token endpoint to an authorization code. An invalid one keeps the earlier session.

use nexus::sandbox::{Answer, Endpoint, Piece, Scripted, Settings};
use serde_json::{Value, json};

use super::Left::{Kept, Replaced};
use super::{Ended, Left, Row, every_row, signed_in, waiting};
use crate::nexus::{approve, visit};

type Does = fn() -> Scripted;

const fn row(name: &'static str, does: Does, says: &'static str, code: i32) -> Row<Does> {
    Row { name, does, says, code, left: Kept }
}

const fn taken(name: &'static str, does: Does, says: &'static str) -> Row<Does> {
    Row { name, does, says, code: 0, left: Replaced }
}

fn ok(body: &Value) -> Scripted {
    Scripted::json(200, body)
}

fn html(status: u16) -> Scripted {
    Scripted::text(status, "text/html", "<!doctype html><title>Oops</title>")
}

fn refused(status: u16, error: &str, message: &str) -> Scripted {
    Scripted::json(status, &json!({ "error": error, "error_description": message }))
}

const NO_JSON: &str = "[SERVER] sent an invalid token response: not a JSON object\n";
const NO_TOKEN: &str = "[SERVER] sent an invalid token response: no `access_token`\n";
const UNUSABLE: &str = "[SERVER] sent an invalid token response: an `access_token` that does not fit into a header\n";

pub(super) const ROWS: &[Row<Does>] = &[
    row("HTML", || html(200), NO_JSON, 1),
    row("an empty body", || Scripted::text(200, "application/json", ""), NO_JSON, 1),
    row("a list", || ok(&json!([])), NO_JSON, 1),
    row("an empty object", || ok(&json!({})), NO_TOKEN, 1),
    row("a line break in the token", || ok(&json!({ "access_token": "a\r\nX-Evil: 1" })), UNUSABLE, 1),
    row("a token of 20 kB", || ok(&json!({ "access_token": "x".repeat(20_000) })), UNUSABLE, 1),
    row(
        "a refresh token of 20 kB",
        || ok(&json!({ "access_token": "a", "refresh_token": "x".repeat(20_000) })),
        "[SERVER] sent an invalid token response: a `refresh_token` of more than 16 KiB\n",
        1,
    ),
    row(
        "a token of another type",
        || ok(&json!({ "access_token": "a", "token_type": "DPoP" })),
        "[SERVER] sent an invalid token response: a `token_type` other than Bearer\n",
        1,
    ),
    row(
        "a body of 2 MiB",
        || Scripted::text(200, "application/json", &" ".repeat(2 * 1024 * 1024)),
        "[SERVER] sent an invalid token response: more than 1 MiB\n",
        1,
    ),
    row("a truncated response", || Scripted::Break(0), "sent no usable response (the connection broke)\n", 75),
    row(
        "a 302 redirect",
        || Scripted::text(302, "text/plain", "").header("location", "http://127.0.0.1:1/token"),
        "[SERVER] sent an invalid token response: a redirect (302 Found), which is not followed\n",
        1,
    ),
    row(
        "a 307 redirect",
        || Scripted::text(307, "text/plain", "").header("location", "http://127.0.0.1:1/token"),
        "[SERVER] sent an invalid token response: a redirect (307 Temporary Redirect), which is not followed\n",
        1,
    ),
    row(
        "an error with status 200",
        || ok(&json!({ "error": "bad_verification_code", "error_description": "The code is expired." })),
        "exchanged: [SERVER] answered 200: bad_verification_code: The code is expired\n",
        1,
    ),
    row(
        "invalid_grant",
        || refused(400, "invalid_grant", "used before"),
        "[SERVER] rejected the authorization code: answered 400: invalid_grant: used before\n",
        4,
    ),
    row(
        "an error of the Messages API",
        || Scripted::json(404, &json!({ "type": "error", "error": { "type": "not_found_error", "message": "gone" } })),
        "exchanged: [SERVER] answered 404: not_found_error: gone\n",
        1,
    ),
    row("403 without a reason", || html(403), "could not be exchanged: [SERVER] answered 403\n", 1),
    row(
        "terminal escapes",
        || refused(400, "\u{1b}]0;evil\u{7}", "\u{1b}[2J\u{202e}drow\u{9b}1m\r\nerror: all is lost"),
        "exchanged: [SERVER] answered 400: ]0;evil: [2J drow 1m error: all is lost\n",
        1,
    ),
    row(
        "a very long description",
        || refused(400, "invalid_grant", &"word ".repeat(10_000)),
        "word word word...\n  run `nexus oauth start`\n",
        4,
    ),
    row("invalid_client", || refused(401, "invalid_client", ""), "rejected the client id", 2),
    row("429", || html(429), "could not be exchanged: [SERVER] answered 429\n", 75),
    row("503", || html(503), "[SERVER] sent no usable response (status 503)\n", 75),
    row(
        "a closed connection",
        || Scripted::Close,
        "could not be exchanged: [SERVER] sent no usable response (connection closed",
        75,
    ),
    row(
        "a connection closed after the code was spent",
        || Scripted::Lose,
        "could not be exchanged: [SERVER] sent no usable response (connection closed",
        75,
    ),
    taken(
        "a response that breaks off after its object",
        || {
            let body = json!({ "access_token": "a", "email": "ada" }).to_string();
            let body = vec![Piece::text(&body), Piece::Break];
            Scripted::Answer(Answer { status: 200, headers: Vec::new(), body })
        },
        "Signed in as ada",
    ),
    taken(
        "terminal escapes in the account",
        || ok(&json!({ "access_token": "a", "email": "\u{1b}[31mroot\u{1b}[0m\n\u{202e}oot" })),
        "Signed in as [31mroot [0m oot\n",
    ),
    taken("a very long account", || ok(&json!({ "access_token": "a", "email": "x".repeat(1_000) })), "xxx..."),
    taken("an account that is no text", || ok(&json!({ "access_token": "a", "email": [1, 2] })), "Signed in to work"),
    taken(
        "an invalid identity token",
        || ok(&json!({ "access_token": "a", "id_token": "..%%..", "expires_in": 60 })),
        "Signed in to work, token expires in 60 seconds\n",
    ),
];

#[test]
fn an_invalid_token_response_keeps_the_earlier_session() {
    every_row(ROWS, |row| {
        let (nexus, sandbox) = signed_in(Settings::default(), "");
        let (started, url) = waiting(&nexus);
        let right = approve(&url);
        sandbox.script(Endpoint::Token, [(row.does)()]);
        let (status, address, page) = visit(&right);
        assert!(status == 200 && !address.contains('?'), "{}: {status} {address}", row.name);
        let harmless = |c: char| !c.is_control() || c == '\n';
        assert!(page.chars().all(|c| harmless(c) && c != '\u{202e}'), "{}: {page:?}", row.name);
        let output = started.finish();
        assert_eq!(row.left == Left::Kept, page.contains("Sign-in failed"), "{}: {page}", row.name);
        assert!(output.stderr.chars().all(harmless), "{}: {:?}", row.name, output.stderr);
        Ended { message: output.stderr, code: output.code, nexus }
    });
}
