use nexus::internal::oauth::TokenResponse;
use nexus::internal::oauth::account;

/// Values of a token response are valid in a header and as a lifetime; an error quotes nothing of the response.
pub(crate) fn holds(input: &[u8]) {
    const LONGEST: usize = 16 * 1024;
    const COMPLAINTS: &[&str] = &[
        "not a JSON object",
        "no `access_token`",
        "an `access_token` that does not fit into a header",
        "a `refresh_token` of more than 16 KiB",
        "a `token_type` other than Bearer",
    ];
    let response = match TokenResponse::parse(input, Some(1_761_575_400)) {
        Ok(response) => response,
        Err(complaint) => return assert!(COMPLAINTS.contains(&&*complaint), "{complaint}"),
    };
    let token = response.access_token.expose();
    assert!(!token.is_empty() && token.len() <= LONGEST && token.bytes().all(|byte| byte.is_ascii_graphic()));
    assert!(response.refresh_token.is_none_or(|token| !token.expose().is_empty() && token.expose().len() <= LONGEST));
    assert!(response.token_type.eq_ignore_ascii_case("bearer"));
    assert!(response.lifetime.is_none_or(|seconds| (0..=10 * 366 * 86_400).contains(&seconds)));
    for scope in response.scopes.iter().flatten() {
        assert!(!scope.is_empty() && !scope.contains(char::is_whitespace));
    }
    for kept in ["access_token", "refresh_token", "id_token", "token_type", "scope", "expires_in"] {
        assert!(!response.metadata.contains_key(kept), "{kept} is kept as metadata");
    }
    assert!(account(&response.metadata).is_none_or(|name| !name.is_empty()));
}
