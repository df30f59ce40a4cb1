use nexus::internal::oauth::grant;

/// A token response. What is believed of it fits into a header and into a lifetime; what is said of
/// one that is not believed quotes not a word of it.
pub(crate) fn holds(input: &[u8]) {
    const LONGEST: usize = 16 * 1024;
    const COMPLAINTS: &[&str] = &[
        "no JSON object",
        "no access_token",
        "an access_token that fits into no header",
        "a refresh_token beyond 16 KiB",
        "a token_type other than Bearer",
    ];
    let grant = match grant::read(input, Some(1_761_575_400)) {
        Ok(grant) => grant,
        Err(complaint) => return assert!(COMPLAINTS.contains(&&*complaint), "{complaint}"),
    };
    let token = grant.access_token.expose();
    assert!(!token.is_empty() && token.len() <= LONGEST && token.bytes().all(|byte| byte.is_ascii_graphic()));
    assert!(grant.refresh_token.is_none_or(|token| !token.expose().is_empty() && token.expose().len() <= LONGEST));
    assert!(grant.token_type.eq_ignore_ascii_case("bearer"));
    assert!(grant.lifetime.is_none_or(|seconds| (0..=10 * 366 * 86_400).contains(&seconds)));
    for scope in grant.scopes.iter().flatten() {
        assert!(!scope.is_empty() && !scope.contains(char::is_whitespace));
    }
    for kept in ["access_token", "refresh_token", "id_token", "token_type", "scope", "expires_in"] {
        assert!(!grant.metadata.contains_key(kept), "{kept} is kept as metadata");
    }
    assert!(grant::account(&grant.metadata).is_none_or(|name| !name.is_empty()));
}
