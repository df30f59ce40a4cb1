//! Servers, pages, programs and files that mean harm: one table a group, one row a misbehaviour, and
//! what must come of it: the sentence, the exit code, what is left of the session.

use nexus::sandbox::{Sandbox, Settings};

use crate::nexus::{Nexus, Running, sandbox};

/// What the authorization server sends back through the browser.
mod authorization_answers;
/// What comes to the redirect URI beside the answer.
mod callback_requests;
/// What a configuration can say.
mod configuration;
/// What connections to the listener do instead of asking for something.
mod connections;
/// What the token endpoint answers to an authorization code.
mod token_answers;

/// Lifetimes and clocks.
mod clocks;
/// What is done to the files.
#[cfg(unix)]
mod files;
/// What a token endpoint gives for a refresh token.
mod refresh_answers;

/// How many rows each group must have at least.
const LEAST: usize = 10;

/// How many rows each group has.
const GROUPS: &[(&str, usize)] = &[
    ("callback requests", callback_requests::ROWS.len()),
    ("clocks and lifetimes", clocks::ROWS.len()),
    #[cfg(unix)]
    ("files", files::ROWS.len()),
    ("refresh answers", refresh_answers::ROWS.len()),
];

/// One misbehaviour.
pub(crate) struct Row<D> {
    /// What it is, in words.
    name: &'static str,
    /// What is done.
    does: D,
    /// What is said of it, or the part of that which nothing else says. `[ORIGIN]`, `[SERVER]` and
    /// `[HOME]` stand for what differs each time.
    says: &'static str,
    /// How the command ends.
    code: i32,
    /// What is left of the session.
    left: Left,
}

/// What is left of the session that was there before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Left {
    /// It is there, and as good as it was.
    Kept,
    /// It is there, but the server has ended it: nobody tries it again.
    Dead,
    /// Another has taken its place.
    Replaced,
    /// None is there.
    Nothing,
}

/// What came of a row.
pub(crate) struct Ended {
    /// Everything in which the row's sentence may stand.
    said: String,
    /// How the command ended.
    code: Option<i32>,
    /// The home it ran in.
    nexus: Nexus,
}

/// Whose session is there before a row happens.
const BEFORE: &str = "before@sandbox.example";
/// Who approves while a row happens.
const MEANWHILE: &str = "meanwhile@sandbox.example";

/// A home that is signed in at a sandbox, where from now on somebody else would approve.
fn signed_in(settings: Settings, lines: &str) -> (Nexus, Sandbox) {
    let sandbox = sandbox(Settings { account: BEFORE.into(), ..settings });
    let nexus = Nexus::at_with(&sandbox, lines);
    nexus.sign_in();
    sandbox.change(|settings| settings.account = MEANWHILE.into());
    (nexus, sandbox)
}

/// A sign-in that waits, and its authorization URL.
fn waiting(nexus: &Nexus) -> (Running, String) {
    let mut started = nexus.start(&["--no-browser"]);
    let url = started.url();
    started.line_that(|line| line.starts_with("Waiting"));
    (started, url)
}

/// What is left, as far as the store says.
fn left(nexus: &Nexus) -> Left {
    let status = nexus.run(&["oauth", "status", "--json"]).json();
    match (status["state"].as_str(), status["account"].as_str()) {
        (Some("active" | "refreshable" | "expired"), Some(BEFORE)) => Left::Kept,
        (Some("active" | "refreshable" | "expired"), _) => Left::Replaced,
        (Some("dead"), _) => Left::Dead,
        (Some("none"), _) => Left::Nothing,
        _ => panic!("{status}"),
    }
}

/// Lets every row of a table happen, and complains of all those that ended otherwise than they say.
fn every_row<D>(rows: &[Row<D>], happens: impl Fn(&Row<D>) -> Ended) {
    let mut wrong = String::new();
    for row in rows {
        let Ended { said, code, nexus } = happens(row);
        let left = left(&nexus);
        if !said.contains(row.says) || code != Some(row.code) || left != row.left {
            wrong += &format!(
                "\n* {}\n  expected: {}\n  exit {}, {:?}\n  got: {said}\n  exit {code:?}, {left:?}\n",
                row.name, row.says, row.code, row.left
            );
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn no_group_is_thin() {
    for (group, rows) in GROUPS {
        assert!(*rows >= LEAST, "{group}: {rows} rows");
    }
}
