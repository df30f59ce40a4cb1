//! What the person reads in the browser after signing in.

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Response, StatusCode};

use crate::clean::{clean, visible};
use crate::failure::Failure;
use crate::loopback::page::{self, Page, Tone, escape, sentence};

const FOOT: &str = "This page comes from nexus on your own machine and holds no script, no tracker and no secret.";

/// How a sign-in ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The session is stored.
    SignedIn {
        /// Whose it is, where the server said so.
        account: Option<String>,
    },
    /// It is not.
    Failed(Failure),
}

/// The page that tells how it ended.
pub(super) fn outcome(outcome: &Outcome) -> Response<Full<Bytes>> {
    let page = match outcome {
        Outcome::SignedIn { account } => {
            let who = match account {
                Some(account) => format!("Signed in as <strong>{}</strong>.", escape(&clean(account))),
                None => "The session is stored.".into(),
            };
            let body = format!("<p>{who}</p>\n<p>You can close this tab and go back to the terminal.</p>");
            Page { title: "Signed in", tone: Tone::Done, label: "", body, foot: FOOT }
        }
        Outcome::Failed(failure) => {
            // As a list, since a sentence that begins with a host or a name must keep its small letter.
            let body = format!(
                "<dl>\n<div><dt>What happened</dt><dd>{}</dd></div>\n<div class=\"way-out\"><dt>What to do \
                 next</dt><dd>{}</dd></div>\n</dl>\n<p>The terminal says the same. You can close this tab.</p>",
                sentence(&visible(&failure.to_string())),
                sentence(&visible(&failure.hint())),
            );
            Page { title: "Sign-in failed", tone: Tone::Failed, label: "", body, foot: FOOT }
        }
    };
    page.answer(StatusCode::OK)
}

/// The same for a program, as text.
pub(super) fn told(outcome: &Outcome) -> Response<Full<Bytes>> {
    let text = match outcome {
        Outcome::SignedIn { account: Some(account) } => format!("Signed in as {}\n", visible(account)),
        Outcome::SignedIn { account: None } => "Signed in\n".into(),
        Outcome::Failed(failure) => {
            format!("Sign-in failed: {}\n  {}\n", visible(&failure.to_string()), visible(&failure.hint()))
        }
    };
    page::text(StatusCode::OK, &text)
}

/// The page for an answer that is not the one waited for.
pub(super) fn not_ours(why: &str) -> Response<Full<Bytes>> {
    let body = format!(
        "<p>{}. It changed nothing.</p>\n<p>This may be an old tab. Go on in the newest one, or open the address again \
         that the terminal shows.</p>",
        sentence(&capitalized(why)),
    );
    let page = Page { title: "Not this sign-in", tone: Tone::Notice, label: "", body, foot: FOOT };
    page.answer(StatusCode::BAD_REQUEST)
}

fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
