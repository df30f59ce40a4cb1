//! The authorization code flow with PKCE, case by case: what is drawn, what is sent, what is
//! believed of the answer.

use std::collections::{BTreeMap, BTreeSet};

use nexus::internal::oauth::pkce;
use nexus::internal::secret::Verifier;
use nexus::{
    AuthorizationRequest, ClientAuth, ErrorInfo as _, OAuthClient, ProviderConfig, ProviderError, SignInError, Url,
    Verdict,
};

const REDIRECT: &str = "http://localhost:4000/oauth/claude/callback";

fn provider() -> ProviderConfig {
    let mut provider = ProviderConfig::claude_code();
    let id = "client &/1".into();
    provider.client = Some(OAuthClient { id, secret: None, auth: ClientAuth::None });
    provider
}

fn attempt() -> AuthorizationRequest {
    AuthorizationRequest::begin(&provider(), REDIRECT).unwrap()
}

fn query(attempt: &AuthorizationRequest) -> BTreeMap<String, String> {
    attempt.url().query_pairs().into_owned().collect()
}

/// What an attempt says of a query in which `{state}` stands for its own state.
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

/// One case a line: a name, and what must hold.
macro_rules! cases {
    ($($name:ident: $holds:expr;)*) => { $(#[test] fn $name() { assert!($holds); })* };
}

/// One answer a line: a name, the query, and what is made of it.
macro_rules! answers {
    ($($name:ident: $query:expr => $said:expr;)*) => { $(#[test] fn $name() { assert_eq!(judged($query), $said); })* };
}

const UNRESERVED: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";

cases! {
    the_challenge_is_that_of_rfc_7636_appendix_b:
        pkce::challenge(&Verifier::new("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk".into()))
            == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
    the_challenge_of_nothing_is_the_hash_of_nothing:
        pkce::challenge(&Verifier::new(String::new())) == "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU";
    the_verifier_is_at_least_43_characters_long: pkce::verifier().unwrap().expose().len() >= 43;
    the_verifier_is_at_most_128_characters_long: pkce::verifier().unwrap().expose().len() <= 128;
    the_verifier_uses_the_unreserved_alphabet_only:
        pkce::verifier().unwrap().expose().chars().all(|c| UNRESERVED.contains(c));
    the_verifier_is_fresh_each_time: {
        let drawn: BTreeSet<_> = (0..1_000).map(|_| pkce::verifier().unwrap().expose().to_owned()).collect();
        drawn.len() == 1_000
    };
    the_verifier_uses_its_whole_alphabet: {
        let drawn: BTreeSet<_> = (0..1_000).flat_map(|_| pkce::verifier().unwrap().expose().chars().collect::<Vec<_>>()).collect();
        drawn.len() == 64
    };
    the_challenge_is_43_characters_without_padding: query(&attempt())["code_challenge"].len() == 43;
    the_challenge_is_fresh_each_time: query(&attempt())["code_challenge"] != query(&attempt())["code_challenge"];
    the_state_is_fresh_each_time: attempt().state() != attempt().state();
    the_state_holds_256_bits: attempt().state().len() == 43;
    the_state_is_not_the_challenge: { let a = attempt(); a.state() != query(&a)["code_challenge"] };
    the_state_says_nothing_of_the_verifier: {
        let a = attempt();
        pkce::challenge(&Verifier::new(a.state().into())) != query(&a)["code_challenge"]
    };
    the_url_is_the_authorization_endpoint:
        attempt().url().as_str().starts_with("https://platform.claude.com/oauth/authorize?");
    the_url_asks_for_a_code: query(&attempt())["response_type"] == "code";
    the_url_names_the_client: query(&attempt())["client_id"] == "client &/1";
    the_url_names_the_redirect_uri_exactly: query(&attempt())["redirect_uri"] == REDIRECT;
    the_url_asks_for_the_default_scopes:
        query(&attempt())["scope"] == "openai.user.read model.request model.read";
    the_url_carries_the_state: { let a = attempt(); query(&a)["state"] == a.state() };
    the_url_says_s256: query(&attempt())["code_challenge_method"] == "S256";
    the_url_has_these_parameters_and_no_others: query(&attempt()).keys().collect::<Vec<_>>()
        == ["client_id", "code_challenge", "code_challenge_method", "redirect_uri", "response_type", "scope", "state"];
    the_url_says_nothing_twice: { let a = attempt(); a.url().query_pairs().count() == query(&a).len() };
    the_url_writes_a_space_as_percent_20: {
        let a = attempt();
        a.url().query().unwrap().contains("scope=openai.user.read%20model.request") && !a.url().query().unwrap().contains('+')
    };
    the_url_keeps_what_the_endpoint_already_asks: {
        let mut provider = provider();
        provider.authorize_url = Url::parse("https://id.example.com/a?tenant=t%2B1").ok();
        query(&AuthorizationRequest::begin(&provider, REDIRECT).unwrap())["tenant"] == "t+1"
    };
    the_url_carries_configured_parameters: {
        let mut provider = provider();
        provider.authorize_params = BTreeMap::from([("audience".into(), "llm & co".into())]);
        query(&AuthorizationRequest::begin(&provider, REDIRECT).unwrap())["audience"] == "llm & co"
    };
    without_scopes_none_are_asked_for: {
        let mut provider = provider();
        provider.scopes.clear();
        !query(&AuthorizationRequest::begin(&provider, REDIRECT).unwrap()).contains_key("scope")
    };
    without_a_client_id_nothing_begins: matches!(
        AuthorizationRequest::begin(&ProviderConfig::claude_code(), REDIRECT), Err(SignInError::Provider(ProviderError::NoClientId { .. })));
    without_an_authorization_endpoint_nothing_begins: {
        let mut provider = provider();
        provider.authorize_url = None;
        matches!(AuthorizationRequest::begin(&provider, REDIRECT), Err(SignInError::Provider(ProviderError::MissingUrl { .. })))
    };
    an_attempt_shows_no_verifier: !format!("{:?}", attempt()).contains("verifier: \"");
    an_attempt_refuses_the_answer_to_another: {
        let (one, other) = (attempt(), attempt());
        verdict(&one, &format!("code=c&state={}", other.state())) == "not ours: this response belongs to another sign-in"
    };
    a_configured_issuer_must_match_to_the_letter:
        judged_with_issuer("https://id.example.com", "code=c&state={state}&iss=https://id.example.com/") == "refused: issuer_mismatch (SignIn)";
    a_configured_issuer_that_matches_is_believed:
        judged_with_issuer("https://id.example.com", "code=c&state={state}&iss=https://id.example.com") == "granted: c";
    an_issuer_that_is_not_sent_is_not_missed:
        judged_with_issuer("https://id.example.com", "code=c&state={state}") == "granted: c";
}

answers! {
    the_right_answer_grants_its_code: "code=c&state={state}" => "granted: c";
    the_order_of_parameters_does_not_matter: "state={state}&code=c" => "granted: c";
    a_code_is_decoded: "code=a%2Bb+c%20d%3D&state={state}" => "granted: a+b c d=";
    unknown_parameters_are_ignored: "code=c&state={state}&session_state=x&authuser=0" => "granted: c";
    an_empty_query_is_not_ours: "" => "not ours: this response has no `state`";
    a_missing_state_is_not_ours: "code=c" => "not ours: this response has no `state`";
    an_empty_state_is_not_ours: "code=c&state=" => "not ours: this response belongs to another sign-in";
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
fn a_servers_words_are_cleaned_and_cut() {
    let attempt = attempt();
    let query =
        format!("error=access_denied&error_description=No%1b[2J%0athanks{}&state={}", "x".repeat(900), attempt.state());
    let Verdict::Refused(failure) = attempt.judge(&query) else { panic!("a denial is a refusal") };
    let said = failure.to_string();
    assert!(said.starts_with("claude_code refused the sign-in (access_denied): No [2J thanksxxx"), "{said}");
    assert!(said.len() < 400, "{said}");
}
