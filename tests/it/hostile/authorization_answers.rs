//! Authorization responses with the right state: errors, other issuers, forged codes. The earlier session is kept.

use nexus::Url;
use nexus::sandbox::{Endpoint, Issuer, Settings};

use super::Left::Kept;
use super::{Ended, Row, every_row, signed_in, waiting};
use crate::nexus::{Nexus, approve, sandbox, visit};

/// A query in which `{code}` and `{state}` are the right ones.
const fn row(name: &'static str, does: &'static str, says: &'static str, code: i32) -> Row<&'static str> {
    Row { name, does, says, code, left: Kept }
}

pub(super) const ROWS: &[Row<&str>] = &[
    row(
        "a denial with a reason",
        "error=access_denied&error_description=Not+on+my+watch.&state={state}",
        "error: work refused the sign-in (access_denied): Not on my watch\n",
        4,
    ),
    row(
        "an error of control characters",
        "error=%1b%07&state={state}",
        "error: work refused the sign-in (unreadable)\n",
        4,
    ),
    row(
        "terminal escapes",
        "error=%1b%5b31m&error_description=%1b%5b2J%0d%0aSigned+in+as+root%E2%80%AE%C2%9b1m&state={state}",
        "error: work refused the sign-in ([31m): [2J Signed in as root 1m\n",
        4,
    ),
    row(
        "HTML",
        "error=%3Cscript%3Ealert(1)%3C/script%3E&error_description=%3Cimg+src=x%3E&state={state}",
        "error: work refused the sign-in (<script>alert(1)</script>): <img src=x>\n",
        4,
    ),
    row("invalid_scope", "error=invalid_scope&state={state}", "(invalid_scope)\n  fix `scopes` under", 2),
    row(
        "invalid_target",
        "error=invalid_target&state={state}",
        "(invalid_target)\n  fix `resource` or `audience` under",
        2,
    ),
    row(
        "unsupported_response_type",
        "error=unsupported_response_type&state={state}",
        "(unsupported_response_type)\n  allow the authorization code flow (response type `code`)",
        2,
    ),
    row("login_required", "error=login_required&state={state}", "(login_required)\n  remove `prompt` from", 4),
    row("a code that no standard has", "error=nope&state={state}", "(nope)\n  ask the operator of the server what", 4),
    row("an empty code beside an error", "code=&error=nope&iss=&state={state}", "work refused the sign-in (nope)\n", 4),
    row("invalid_request", "error=invalid_request&state={state}", "(invalid_request)\n  compare `client_id`,", 2),
    row(
        "unauthorized_client",
        "error=unauthorized_client&state={state}",
        "error: [SERVER] rejected the client id `sandbox-client`\n",
        2,
    ),
    row(
        "redirect_uri_mismatch",
        "error=redirect_uri_mismatch&state={state}",
        "error: [SERVER] rejected the redirect URI `http://127.0.0.1:",
        2,
    ),
    row(
        "server_error",
        "error=server_error&state={state}",
        "(server_error)\n  wait a while, then run `nexus oauth start",
        75,
    ),
    row(
        "the right code from another issuer",
        "code={code}&state={state}&iss=https://evil.example",
        "error: the authorization response is from issuer `https://evil.example`; expected `[ORIGIN]`\n",
        4,
    ),
    row("an invalid issuer", "code={code}&state={state}&iss=%0aroot", "is from issuer `root`; expected", 4),
    row(
        "an error from another issuer",
        "error=access_denied&state={state}&iss=https://evil.example",
        "is from issuer `https://evil.example`; expected `[ORIGIN]`\n",
        4,
    ),
    row("a forged code", "code=forged&state={state}", "rejected the authorization code: answered 400", 4),
    row("a longer code", "code={code}x&state={state}", "rejected the authorization code: answered 400", 4),
    row(
        "a code with a form field in it",
        "code=forged%26code%3D{code}&state={state}",
        "rejected the authorization code: answered 400",
        4,
    ),
    row("a code of control characters", "code=%00%0a%1b&state={state}", "rejected the authorization code", 4),
];

#[test]
fn a_response_that_lacks_a_required_issuer_is_refused() {
    let sandbox = sandbox(Settings { issuer: Issuer::Absent, ..Settings::default() });
    let nexus = Nexus::at_with(&sandbox, "require_iss = true");
    let (started, url) = waiting(&nexus);
    visit(&approve(&url));
    let output = started.finish();
    assert_eq!(output.code, Some(4));
    assert!(output.stderr.contains("error: the authorization response names no issuer; expected"), "{}", output.stderr);
    assert_eq!(sandbox.counts().exchanges, 0);
}

#[test]
fn no_authorization_response_costs_the_earlier_session() {
    every_row(ROWS, |row| {
        let (nexus, sandbox) = signed_in(Settings { issuer: Issuer::Absent, ..Settings::default() }, "");
        let (started, url) = waiting(&nexus);
        let mut answer = Url::parse(&approve(&url)).unwrap();
        let part = |name: &str| answer.query_pairs().find(|(known, _)| known == name).unwrap().1.into_owned();
        let query = row.does.replace("{state}", &part("state")).replace("{code}", &part("code"));
        answer.set_query(Some(&query));
        let exchanges = sandbox.counts().exchanges;
        let (status, address, page) = visit(answer.as_str());
        assert!(status == 200 && !address.contains('?'), "{}: {status} {address}", row.name);
        assert!(page.contains("Sign-in failed"), "{}: {page}", row.name);
        assert!(!page.contains("<script") && !page.contains("<img"), "{}: {page}", row.name);
        let output = started.finish();
        assert_eq!(sandbox.counts().exchanges, exchanges, "{}", row.name);
        let asked = sandbox.requests_to(Endpoint::Token).len() > 1;
        assert_eq!(asked, row.says.contains("rejected the authorization code"), "{}", row.name);
        let harmless = |c: char| (!c.is_control() || c == '\n') && c != '\u{202e}';
        assert!(output.stderr.chars().all(harmless), "{}: {:?}", row.name, output.stderr);
        Ended { message: output.stderr, code: output.code, nexus }
    });
}
