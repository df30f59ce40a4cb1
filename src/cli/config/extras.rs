//! The further parameters and headers of a section: what they may not say.
//!
//! A parameter that the protocol sets already would come twice or replace it; a header that no
//! request can carry would be found out only when somebody has approved in the browser.

use std::collections::BTreeMap;

use crate::cli::config::file::Section;
use nexus::internal::provider::ClientAuth;

/// What is wrong with one of them: its key, why, and what to do instead.
pub(super) type Wrong = (String, String, &'static str);

/// What a sign-in puts into the authorization URL itself (RFC 6749, section 4.1.1; RFC 7636, section
/// 4.3).
const AUTHORIZE: &[&str] =
    &["client_id", "code_challenge", "code_challenge_method", "redirect_uri", "response_type", "state"];

/// What the two token requests say themselves (RFC 6749, sections 2.3.1, 4.1.3 and 6; RFC 7636,
/// section 4.5).
const TOKEN: &[&str] =
    &["client_id", "client_secret", "code", "code_verifier", "grant_type", "redirect_uri", "refresh_token", "state"];

/// What a question to the API says itself.
const API: &[&str] = &["accept", "authorization"];

/// Where a client proves itself in a header (RFC 6749, section 2.3.1).
const BASIC: &[&str] = &["authorization"];

/// What frames a request, which only its sender knows.
const FRAMING: &[&str] = &["connection", "content-length", "content-type", "host", "transfer-encoding"];

type Map = Option<BTreeMap<String, String>>;

/// The first that cannot be used by a client that authenticates so.
pub(super) fn unusable(section: &Section, auth: ClientAuth) -> Option<Wrong> {
    let params: [(&str, &Map, &[&str]); 3] = [
        ("authorize_params", &section.authorize_params, AUTHORIZE),
        ("code_params", &section.code_params, TOKEN),
        ("refresh_params", &section.refresh_params, TOKEN),
    ];
    let taken = if auth == ClientAuth::Basic { BASIC } else { &[] };
    let headers: [(&str, &Map, &[&str]); 3] = [
        ("code_headers", &section.code_headers, taken),
        ("refresh_headers", &section.refresh_headers, taken),
        ("api_headers", &section.api_headers, API),
    ];
    let params = params.into_iter().find_map(|(key, map, taken)| {
        let name = map.as_ref()?.keys().find(|name| taken.contains(&name.as_str()))?;
        let why = "is set by nexus itself, as the protocol wants it".to_owned();
        Some((format!("{key}.{name}"), why, "remove it"))
    });
    params.or_else(|| scope_twice(section)).or_else(|| {
        headers.into_iter().find_map(|(key, map, taken)| {
            let wrong = |(name, value): (&String, &String)| Some((name.clone(), header(name, value, taken)?));
            let (name, (why, cure)) = map.as_ref()?.iter().find_map(wrong)?;
            Some((format!("{key}.{}", nexus::internal::clean::clean(&name)), why.to_owned(), cure))
        })
    })
}

fn scope_twice(section: &Section) -> Option<Wrong> {
    let asked = section.scopes.as_ref().is_none_or(|scopes| !scopes.is_empty());
    let twice = asked && section.authorize_params.as_ref()?.contains_key("scope");
    let why = "stands beside `scopes`, which says the same".to_owned();
    twice.then(|| ("authorize_params.scope".to_owned(), why, "write it in `scopes`"))
}

/// Why a header cannot be sent, if it cannot (RFC 9110, sections 5.1 and 5.5), and what to do instead.
fn header(name: &str, value: &str, taken: &[&str]) -> Option<(&'static str, &'static str)> {
    let is_one_of = |names: &[&str]| names.iter().any(|known| name.eq_ignore_ascii_case(known));
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let shown = |byte: u8| matches!(byte, b'\t' | b' '..=b'~');
    if name.is_empty() || !name.bytes().all(token) {
        Some(("is no header's name, which is letters, digits and hyphens", "mend or remove it"))
    } else if is_one_of(taken) && name.eq_ignore_ascii_case("authorization") {
        Some(("is where nexus itself signs in", "remove it; a gateway's own key goes into another header"))
    } else if is_one_of(FRAMING) || is_one_of(taken) {
        Some(("is set by nexus itself", "remove it"))
    } else if !value.bytes().all(shown) {
        Some(("has characters that no header can carry", "mend or remove it"))
    } else {
        None
    }
}
