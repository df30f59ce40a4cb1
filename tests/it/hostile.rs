//! Misbehaving servers, web pages, programs and files. Each group is a table; each row has an error message, an exit
//! code, and what must be left of the session.

use nexus::sandbox::{Sandbox, Settings};

use crate::nexus::{Nexus, Running};

/// What the authorization server sends back through the browser.
mod authorization_answers;
/// Other requests to the redirect URI.
mod callback_requests;
/// Token lifetimes and wrong clocks.
mod clocks;
/// Configurations that are wrong or point elsewhere.
mod configuration;
/// Connections to the listener that send no proper request.
mod connections;
/// Damaged or replaced files.
#[cfg(unix)]
mod files;
/// Responses of the token endpoint to a refresh.
mod refresh_answers;
/// Responses of the token endpoint to an authorization code.
mod token_answers;

/// One case.
pub(crate) struct Row<D> {
    name: &'static str,
    does: D,
    /// The message, or its distinctive part. `[ORIGIN]`, `[SERVER]` and `[HOME]` are placeholders.
    says: &'static str,
    code: i32,
    left: Left,
}

/// What is left of the earlier session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Left {
    /// It is stored and still valid.
    Kept,
    /// It is stored, but marked as ended by the server.
    Dead,
    /// Another session has replaced it.
    Replaced,
}

/// The result of a case.
pub(crate) struct Ended {
    message: String,
    code: Option<i32>,
    nexus: Nexus,
}

/// The account of the earlier session.
const BEFORE: &str = "before@sandbox.example";
/// The account that approves a sign-in during a case.
const MEANWHILE: &str = "meanwhile@sandbox.example";

/// A home that is signed in as [`BEFORE`]. The next sign-in is as [`MEANWHILE`].
fn signed_in(settings: Settings, lines: &str) -> (Nexus, Sandbox) {
    let (sandbox, nexus) = Nexus::signed_in_with(Settings { account: BEFORE.into(), ..settings }, lines);
    sandbox.change(|settings| settings.account = MEANWHILE.into());
    (nexus, sandbox)
}

/// A sign-in that waits for the redirect, and its authorization URL.
fn waiting(nexus: &Nexus) -> (Running, String) {
    let mut started = nexus.start(&["--no-browser"]);
    let url = started.url();
    started.line_that(|line| line.starts_with("Waiting"));
    (started, url)
}

fn left(nexus: &Nexus) -> Left {
    let status = nexus.run(&["oauth", "status", "--json"]).json();
    match (status["state"].as_str(), status["account"].as_str()) {
        (Some("active" | "refreshable" | "refused" | "expired"), Some(BEFORE)) => Left::Kept,
        (Some("active" | "refreshable" | "refused" | "expired"), _) => Left::Replaced,
        (Some("dead"), _) => Left::Dead,
        _ => panic!("{status}"),
    }
}

/// Runs every row of a table, and fails with all the rows that end differently.
fn every_row<D>(rows: &[Row<D>], happens: impl Fn(&Row<D>) -> Ended) {
    let mut wrong = String::new();
    for row in rows {
        let Ended { message, code, nexus } = happens(row);
        let left = left(&nexus);
        if !message.contains(row.says) || code != Some(row.code) || left != row.left {
            wrong += &format!(
                "\n* {}\n  expected: {}\n  exit {}, {:?}\n  got: {message}\n  exit {code:?}, {left:?}\n",
                row.name, row.says, row.code, row.left
            );
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
