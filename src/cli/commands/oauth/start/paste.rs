//! A response that the user pastes, because the redirect of the browser does not reach this machine.

use std::convert::Infallible;

use url::form_urlencoded;
use zeroize::Zeroizing;

use crate::cli::context::Context;
use crate::cli::terminal::hidden_input::HiddenInput;
use nexus::AuthorizationRequest;
use nexus::internal::invisible;
use nexus::internal::oauth::ResponseSender;

/// Passes on what is pasted until one response is accepted.
pub(super) struct Pasting {
    input: Option<HiddenInput>,
    responses: ResponseSender,
    redirect_uri: String,
    /// Whether the response must name its issuer (RFC 9207), which `code#state` does not.
    needs_issuer: bool,
}

impl Pasting {
    /// Begins to read the terminal, if there is one.
    pub(super) fn begin(responses: ResponseSender, request: &AuthorizationRequest, needs_issuer: bool) -> Self {
        let redirect_uri = request.redirect_uri().to_owned();
        Self { input: HiddenInput::open(), responses, redirect_uri, needs_issuer }
    }

    /// Whether something can be pasted.
    pub(super) fn is_possible(&self) -> bool {
        self.input.is_some()
    }

    /// Reads lines. Never returns: the listener ends the wait.
    pub(super) async fn pass_on(&mut self, context: &Context) -> Infallible {
        let Some(input) = &mut self.input else { return std::future::pending().await };
        loop {
            let line = input.next().await;
            let text = invisible::trim(&line);
            if text.is_empty() {
                continue;
            }
            let refused = match query(text, self.needs_issuer) {
                Ok(query) => self.responses.send(&query).await.err(),
                Err(why) => Some(why),
            };
            if let Some(why) = refused {
                context.say(&format!(
                    "note: what you pasted was not used: {why}; paste the whole URL that the browser was sent to, which \
                     begins with {}",
                    self.redirect_uri
                ));
            }
        }
    }
}

/// The query of a response: of the whole redirect URL, or made from `code#state`, which some servers show.
///
/// # Errors
/// Why this is no response, as the end of a sentence.
fn query(text: &str, needs_issuer: bool) -> Result<Zeroizing<String>, &'static str> {
    let text = text.trim_matches(['"', '\'', '<', '>', '`']);
    if let Some((_, query)) = text.split_once('?') {
        return Ok(Zeroizing::new(query.split('#').next().unwrap_or_default().to_owned()));
    }
    if text.starts_with("http://") || text.starts_with("https://") {
        return Err("this URL has no `code` and no `state`");
    }
    match text.rsplit_once('#') {
        Some((code, state)) if !code.is_empty() && !state.is_empty() => {
            if needs_issuer {
                return Err("this server names itself in the redirect URL, which has to be checked");
            }
            let mut query = form_urlencoded::Serializer::new(String::new());
            Ok(Zeroizing::new(query.append_pair("code", code).append_pair("state", state).finish()))
        }
        _ => Err("a code alone does not show that it belongs to this sign-in"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_url_and_a_code_with_its_state_are_responses() {
        for (pasted, read) in [
            ("http://localhost:4000/callback?code=a%2Bb&state=s", Ok("code=a%2Bb&state=s")),
            ("http://localhost:4000/callback?code=c&state=s&iss=i#_=_", Ok("code=c&state=s&iss=i")),
            ("localhost:4000/callback?code=c&state=s", Ok("code=c&state=s")),
            ("'http://localhost/?error=access_denied&state=s'", Ok("error=access_denied&state=s")),
            ("<http://localhost/?code=c>", Ok("code=c")),
            ("c/+=d#s-_", Ok("code=c%2F%2B%3Dd&state=s-_")),
            ("http://localhost:4000/callback", Err("this URL has no `code` and no `state`")),
            ("bare-code", Err("a code alone does not show that it belongs to this sign-in")),
            ("#state", Err("a code alone does not show that it belongs to this sign-in")),
            ("code#", Err("a code alone does not show that it belongs to this sign-in")),
        ] {
            assert_eq!(query(pasted, false).as_deref().map(String::as_str).map_err(|why| *why), read, "{pasted}");
        }
        assert!(query("http://localhost/?code=c&state=s", true).is_ok());
        assert!(query("code#state", true).is_err());
    }
}
