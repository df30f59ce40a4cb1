//! The Bearer challenge in `WWW-Authenticate` (RFC 6750, section 3; RFC 9110, section 11.6.1). Gateways also send it
//! with other statuses than 401.

use hyper::header::HeaderMap;

/// What a Bearer challenge says about the token.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Challenge {
    /// The `error`, in lower case.
    pub(super) error: Option<String>,
    /// The `error_description`. Empty if there is none.
    pub(super) description: String,
}

/// The first Bearer challenge with an error, else the first with a description, else nothing.
pub(super) fn bearer(headers: &HeaderMap) -> Challenge {
    let values = headers.get_all("www-authenticate").iter().filter_map(|value| value.to_str().ok());
    let mut all: Vec<_> = values.flat_map(bearers).collect();
    let with_error = all.iter().position(|challenge| challenge.error.is_some());
    let chosen = with_error.or_else(|| all.iter().position(|challenge| !challenge.description.is_empty()));
    chosen.map(|at| all.swap_remove(at)).unwrap_or_default()
}

/// The Bearer challenges in one header.
fn bearers(header: &str) -> Vec<Challenge> {
    let mut found: Vec<Challenge> = Vec::new();
    let mut is_bearer = false;
    let mut rest = header;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',', '"']);
        let end = rest.find([' ', '\t', ',', '=', '"']).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        if rest.is_empty() {
            return found;
        }
        let Some(value) = after.trim_start().strip_prefix('=') else {
            is_bearer = word.eq_ignore_ascii_case("bearer");
            if is_bearer {
                found.push(Challenge::default());
            }
            rest = after;
            continue;
        };
        let (value, after) = read_value(value.trim_start());
        rest = after;
        let Some(challenge) = found.last_mut().filter(|_| is_bearer) else { continue };
        if word.eq_ignore_ascii_case("error") {
            challenge.error = Some(value.to_ascii_lowercase());
        } else if word.eq_ignore_ascii_case("error_description") {
            challenge.description = value;
        }
    }
}

/// The value of a parameter, a token or a quoted string, and what is after it.
fn read_value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let (token, after) = text.split_at(text.find([' ', '\t', ',']).unwrap_or(text.len()));
        return (token.to_owned(), after);
    };
    let (mut value, mut escaped) = (String::new(), false);
    for (at, c) in quoted.char_indices() {
        match c {
            '\\' if !escaped => escaped = true,
            '"' if !escaped => return (value, &quoted[at + 1..]),
            c => {
                value.push(c);
                escaped = false;
            }
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use hyper::header::{HeaderName, HeaderValue};

    use super::*;

    fn read(challenge: &str) -> (Option<String>, String) {
        let headers = [(HeaderName::from_static("www-authenticate"), HeaderValue::from_str(challenge).unwrap())];
        let Challenge { error, description } = bearer(&HeaderMap::from_iter(headers));
        (error, description)
    }

    #[test]
    fn a_challenge_says_that_the_token_is_no_good() {
        for (challenge, says) in [
            (r#"Bearer error="invalid_token""#, true),
            (r#"Bearer realm="x", error="invalid_token", error_description="It, expired""#, true),
            (r#"Basic realm="y", bearer realm="x",error = invalid_token"#, true),
            (r#"Basic abc==, Bearer error="INVALID_TOKEN""#, true),
            (r#"Bearer realm="x", Bearer error="invalid_token""#, true),
            ("Bearer", false),
            ("", false),
            ("Bearer error=", false),
            (r#"Bearer error=""#, false),
            (r#"Bearer error="invalid_request""#, false),
            (r#"Bearer error="invalid_tokens""#, false),
            (r#"Bearer other_error="invalid_token""#, false),
            (r#"Bearer error_description="invalid_token""#, false),
            (r#"DPoP error="invalid_token""#, false),
        ] {
            assert_eq!(read(challenge).0.as_deref() == Some("invalid_token"), says, "{challenge}");
        }
    }

    #[test]
    fn its_description_is_read_with_its_quotes() {
        for (challenge, description) in [
            (r#"Bearer error="invalid_token", error_description="It, \"expired\" today""#, r#"It, "expired" today"#),
            (r#"Bearer error_description="before", error=invalid_token"#, "before"),
            (r#"Bearer error="invalid_token", error_description="never closed"#, "never closed"),
            (r#"Basic error_description="other", Bearer error="invalid_token""#, ""),
            (r#"Bearer error_description="without an error""#, "without an error"),
            (r#"Bearer error_description="one", Bearer error="invalid_token""#, ""),
        ] {
            assert_eq!(read(challenge).1, description, "{challenge}");
        }
    }
}
