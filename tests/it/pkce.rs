//! The authorization code flow with PKCE: random values, the authorization URL, and how a response is judged.

use std::collections::{BTreeMap, BTreeSet};

use nexus::error::{ProviderError, SignInError};
use nexus::internal::oauth::pkce;
use nexus::internal::secret::Verifier;
use nexus::{AuthorizationRequest, ClientAuth, ErrorInfo as _, OAuthClient, ProviderConfig, Url, Verdict};

const REDIRECT: &str = "http://localhost:4000/oauth/claude/callback";

fn provider() -> ProviderConfig {
    let mut provider = ProviderConfig::claude_code();
    let id = "client &/1".into();
    provider.client = Some(OAuthClient { id, secret: None, auth: ClientAuth::None, assertion: None });
    provider
}

fn attempt() -> AuthorizationRequest {
    AuthorizationRequest::begin(&provider(), REDIRECT).unwrap()
}

fn query(attempt: &AuthorizationRequest) -> BTreeMap<String, String> {
    attempt.url().query_pairs().into_owned().collect()
}

/// How a request judges a query in which `{state}` is its own state.
fn verdict(attempt: &AuthorizationRequest, query: &str) -> String {
    match attempt.judge(&query.replace("{state}", attempt.state())) {
        Verdict::NotOurs(why) | Verdict::Unclear(why) => format!("not ours: {why}"),
        Verdict::Refused(error) => {
            format!("refused: {} ({:?})", error.code(), error.class())
        }
        Verdict::Granted(code) => format!("granted: {}", code.expose()),
    }
}

fn judged(query: &str) -> String {
    verdict(&attempt(), query)
}

fn judged_with_issuer(issuer: &str, query: &str) -> String {
    let mut provider = provider();
    provider.issuer = Some(issuer.into());
    verdict(&AuthorizationRequest::begin(&provider, REDIRECT).unwrap(), query)
}

/// One response a line: the test, the query, and how it is judged.
macro_rules! answers {
    ($($name:ident: $query:expr => $message:expr;)*) => { $(#[test] fn $name() { assert_eq!(judged($query), $message); })* };
}

#[test]
fn the_challenge_is_that_of_rfc_7636_appendix_b() {
    let verifier = Verifier::new("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk".into());
    assert_eq!(pkce::challenge(&verifier), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
}

#[test]
fn verifiers_are_random_and_use_the_whole_unreserved_alphabet_of_base64url() {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let verifiers: BTreeSet<_> = (0..1_000).map(|_| pkce::verifier().unwrap().expose().to_owned()).collect();
    assert_eq!(verifiers.len(), 1_000);
    assert!(verifiers.iter().all(|verifier| (43..=128).contains(&verifier.len())));
    let used: BTreeSet<_> = verifiers.iter().flat_map(|verifier| verifier.chars()).collect();
    assert_eq!(used, ALPHABET.chars().collect());
}

#[test]
fn the_state_is_random_and_says_nothing_of_the_verifier() {
    let request = attempt();
    assert_ne!(request.state(), attempt().state());
    assert_eq!(request.state().len(), 43, "256 bits");
    let challenge = &query(&request)["code_challenge"];
    assert_ne!(*challenge, query(&attempt())["code_challenge"]);
    assert!(request.state() != challenge && pkce::challenge(&Verifier::new(request.state().into())) != *challenge);
    assert!(!format!("{request:?}").contains("verifier: \""));
}

#[test]
fn the_url_has_each_parameter_of_the_standards_once_and_no_other() {
    let request = attempt();
    assert!(request.url().as_str().starts_with("https://platform.claude.com/oauth/authorize?"));
    let mut found = query(&request);
    assert_eq!(request.url().query_pairs().count(), found.len());
    assert_eq!(found.remove("code_challenge").unwrap().len(), 43);
    let expected = [
        ("client_id", "client &/1"),
        ("code_challenge_method", "S256"),
        ("redirect_uri", REDIRECT),
        ("response_type", "code"),
        ("scope", "openai.user.read model.request model.read"),
        ("state", request.state()),
    ];
    assert_eq!(found, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    let text = request.url().query().unwrap();
    assert!(text.contains("scope=openai.user.read%20model.request") && !text.contains('+'), "{text}");
}

#[test]
fn the_url_keeps_the_endpoints_query_and_adds_configured_parameters() {
    let mut provider = provider();
    provider.authorize_url = Url::parse("https://id.example.com/a?tenant=t%2B1").ok();
    provider.authorize_params = BTreeMap::from([("audience".into(), "llm & co".into())]);
    provider.scopes.clear();
    let query = query(&AuthorizationRequest::begin(&provider, REDIRECT).unwrap());
    assert_eq!((&*query["tenant"], &*query["audience"], query.get("scope")), ("t+1", "llm & co", None));
}

#[test]
fn a_client_id_and_an_authorization_endpoint_are_required() {
    let begun = AuthorizationRequest::begin(&ProviderConfig::claude_code(), REDIRECT);
    assert!(matches!(begun, Err(SignInError::Provider(ProviderError::NoClientId { .. }))));
    let mut provider = provider();
    provider.authorize_url = None;
    let begun = AuthorizationRequest::begin(&provider, REDIRECT);
    assert!(matches!(begun, Err(SignInError::Provider(ProviderError::MissingUrl { .. }))));
}

#[test]
fn a_request_rejects_the_response_to_another() {
    let (one, other) = (attempt(), attempt());
    let query = format!("code=c&state={}", other.state());
    assert_eq!(verdict(&one, &query), judged("code=c&state=x"));
}

#[test]
fn a_configured_issuer_must_match_exactly() {
    for (query, expected) in [
        ("code=c&state={state}&iss=https://id.example.com/", "refused: issuer_mismatch (SignIn)"),
        ("code=c&state={state}&iss=https://id.example.com", "granted: c"),
        ("code=c&state={state}", "granted: c"),
    ] {
        assert_eq!(judged_with_issuer("https://id.example.com", query), expected, "{query}");
    }
}

#[test]
fn a_required_issuer_must_be_named() {
    let mut provider = provider();
    provider.require_iss = true;
    let request = AuthorizationRequest::begin(&provider, REDIRECT).unwrap();
    let stored = AuthorizationRequest::from_bytes(&request.to_bytes()).unwrap();
    for (query, expected) in [
        ("code=c&state={state}", "refused: issuer_mismatch (SignIn)"),
        ("error=access_denied&state={state}", "refused: issuer_mismatch (SignIn)"),
        ("code=c&state={state}&iss=https://platform.claude.com", "granted: c"),
    ] {
        assert_eq!([verdict(&request, query), verdict(&stored, query)], [expected; 2], "{query}");
    }
}

answers! {
    the_right_answer_grants_its_code: "code=c&state={state}" => "granted: c";
    the_order_of_parameters_does_not_matter: "state={state}&code=c" => "granted: c";
    a_code_is_decoded: "code=a%2Bb+c%20d%3D&state={state}" => "granted: a+b c d=";
    unknown_parameters_are_ignored: "code=c&state={state}&session_state=x&authuser=0" => "granted: c";
    an_empty_query_is_not_ours: "" => "not ours: this response has no `state`";
    a_missing_state_is_not_ours: "code=c" => "not ours: this response has no `state`";
    an_empty_state_is_not_ours: "code=c&state=" => "not ours: this response has no `state`";
    an_empty_error_beside_a_code_is_absent: "error=&error_description=&code=c&state={state}" => "granted: c";
    an_empty_code_beside_an_error_is_absent: "error=access_denied&code=&state={state}" => "refused: sign_in_refused (SignIn)";
    an_empty_issuer_is_absent: "code=c&state={state}&iss=" => "granted: c";
    a_longer_state_is_not_ours: "code=c&state={state}x" => "not ours: this response belongs to another sign-in";
    a_state_in_other_letters_is_not_ours: "code=c&State={state}" => "not ours: this response has no `state`";
    an_error_without_the_state_is_not_ours: "error=access_denied" => "not ours: this response has no `state`";
    an_error_with_a_wrong_state_is_not_ours: "error=access_denied&state=x" => "not ours: this response belongs to another sign-in";
    two_codes_are_not_ours: "code=c&code=d&state={state}" => "not ours: this response repeats a parameter";
    two_states_are_not_ours: "code=c&state={state}&state={state}" => "not ours: this response repeats a parameter";
    two_issuers_are_not_ours: "code=c&state={state}&iss=a&iss=b" => "not ours: this response repeats a parameter";
    neither_code_nor_error_is_not_ours: "state={state}" => "not ours: this response has neither `code` nor `error`";
    an_empty_code_is_not_ours: "code=&state={state}" => "not ours: this response has neither `code` nor `error`";
    both_code_and_error_is_not_ours: "code=c&error=e&state={state}" => "not ours: this response has neither `code` nor `error`";
    a_denial_is_a_refusal: "error=access_denied&state={state}" => "refused: sign_in_refused (SignIn)";
    an_unknown_client_is_a_refusal: "error=unauthorized_client&state={state}" => "refused: invalid_client (Configuration)";
    a_wrong_redirect_uri_is_a_refusal: "error=redirect_uri_mismatch&state={state}" => "refused: redirect_uri_mismatch (Configuration)";
    a_wrong_scope_is_a_refusal: "error=invalid_scope&state={state}" => "refused: sign_in_refused (Configuration)";
    a_busy_server_is_a_passing_refusal: "error=temporarily_unavailable&state={state}" => "refused: sign_in_refused (Temporary)";
    an_issuer_from_elsewhere_is_a_refusal: "code=c&state={state}&iss=https://evil.example.com" => "refused: issuer_mismatch (SignIn)";
    an_issuer_that_is_no_url_is_a_refusal: "code=c&state={state}&iss=claude" => "refused: issuer_mismatch (SignIn)";
    an_issuer_at_the_same_origin_is_believed: "code=c&state={state}&iss=https://platform.claude.com/x" => "granted: c";
    an_issuer_elsewhere_beats_a_denial: "error=access_denied&state={state}&iss=https://evil.example.com" => "refused: issuer_mismatch (SignIn)";
}

#[test]
fn an_error_description_is_cleaned_and_cut() {
    let attempt = attempt();
    let query =
        format!("error=access_denied&error_description=No%1b[2J%0athanks{}&state={}", "x".repeat(900), attempt.state());
    let Verdict::Refused(failure) = attempt.judge(&query) else { panic!("a denial is a refusal") };
    let message = failure.to_string();
    assert!(message.starts_with("claude_code refused the sign-in (access_denied): No [2J thanksxxx"), "{message}");
    assert!(message.len() < 400, "{message}");
}
