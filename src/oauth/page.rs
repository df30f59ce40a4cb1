//! The pages that the browser shows after a sign-in.

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Response, StatusCode};

use crate::clean::{clean, visible};
use crate::loopback::page::{self, Page, Tone, capitalized, escape, sentence};

const FOOT: &str = "This page is served by nexus on your own machine. It contains no scripts, trackers or secrets.";

const REPEATED: &str = "The server no longer knows this program, so nexus registers itself again. Approve the sign-in in \
                        the new tab, or open the new URL in the terminal.";

/// How a sign-in ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The session was saved.
    SignedIn {
        /// The account's name, if the server returned it.
        account: Option<String>,
    },
    /// The sign-in failed.
    Failed {
        /// What happened.
        message: String,
        /// What the user can do next. Backticks mark commands.
        next_step: String,
    },
    /// The server does not accept the registered client. The sign-in goes on with a new one.
    Repeated,
}

/// The page that shows the outcome.
pub(super) fn outcome(outcome: &Outcome) -> Response<Full<Bytes>> {
    let page = match outcome {
        Outcome::SignedIn { account } => {
            let who = match account {
                Some(account) => format!("Signed in as <strong>{}</strong>.", escape(&clean(account))),
                None => "The session was saved.".into(),
            };
            let body = format!("<p>{who}</p>\n<p>You can close this tab.</p>");
            Page { title: "Signed in", tone: Tone::Done, label: "", body, foot: FOOT }
        }
        Outcome::Failed { message, next_step } => {
            let body = format!(
                "<dl>\n<div><dt>What happened</dt><dd>{}</dd></div>\n<div class=\"way-out\"><dt>What to do \
                 next</dt><dd>{}</dd></div>\n</dl>\n<p>You can close this tab.</p>",
                sentence(&visible(message)),
                sentence(&visible(next_step)),
            );
            Page { title: "Sign-in failed", tone: Tone::Failed, label: "", body, foot: FOOT }
        }
        Outcome::Repeated => {
            let body = format!("<p>{}</p>\n<p>You can close this tab.</p>", escape(REPEATED));
            Page { title: "Approve once more", tone: Tone::Notice, label: "", body, foot: FOOT }
        }
    };
    page.answer(StatusCode::OK)
}

/// The outcome as text for a client that is not a browser.
pub(super) fn outcome_text(outcome: &Outcome) -> Response<Full<Bytes>> {
    let text = match outcome {
        Outcome::SignedIn { account: Some(account) } => format!("Signed in as {}\n", visible(account)),
        Outcome::SignedIn { account: None } => "Signed in\n".into(),
        Outcome::Failed { message, next_step } => {
            format!("Sign-in failed: {}\n  {}\n", visible(message), visible(next_step))
        }
        Outcome::Repeated => format!("{REPEATED}\n"),
    };
    page::text(StatusCode::OK, &text)
}

/// The page for a query that does not answer the authorization request.
pub(super) fn not_ours(why: &str) -> Response<Full<Bytes>> {
    let body = format!(
        "<p>{}. It was ignored.</p>\n<p>This may be an old tab. Use the newest one, or start the sign-in again.</p>",
        sentence(&capitalized(why)),
    );
    let page = Page { title: "Not this sign-in", tone: Tone::Notice, label: "", body, foot: FOOT };
    page.answer(StatusCode::BAD_REQUEST)
}
