//! Lifetimes as servers state them and clocks as machines have them. Nothing of it keeps a dead token
//! alive, and nothing costs more than one refresh.

use nexus::sandbox::Settings;
use serde_json::{Map, Value};

use super::Left::Kept;
use super::{BEFORE, Ended, Row, every_row};
use crate::nexus::{Nexus, sandbox};
use crate::stored::Stored;

/// What the server says of a token's life, and what the clock does before the token is used.
pub(super) struct Told {
    /// Members of the token answer, as JSON.
    members: &'static str,
    /// The answer's `Date`, if it is not the truth.
    date: Option<&'static str>,
    /// What becomes of the stored times.
    then: Then,
}

enum Then {
    Nothing,
    /// So many seconds pass; negative, the clock is set back.
    Pass(i64),
    /// The API takes the token no more, whatever the clock says.
    Reject,
    /// The stored times are these.
    Store(i64, i64),
}

/// Days of the week and leap seconds are right: a date that is none would not be believed.
const LONG_AGO: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
const FAR_OFF: &str = "Fri, 01 Jan 2100 00:00:00 GMT";

const fn row(name: &'static str, members: &'static str, says: &'static str) -> Row<Told> {
    Row { name, does: Told { members, date: None, then: Then::Nothing }, says, code: 0, left: Kept }
}

const fn then(name: &'static str, then: Then, says: &'static str) -> Row<Told> {
    let members = r#"{"expires_in":3600}"#;
    Row { name, does: Told { members, date: None, then }, says, code: 0, left: Kept }
}

const fn dated(name: &'static str, members: &'static str, date: &'static str, says: &'static str) -> Row<Told> {
    Row { name, does: Told { members, date: Some(date), then: Then::Nothing }, says, code: 0, left: Kept }
}

const ACTIVE: &str = "active; 0 refreshes for two chats; said: \n";
const ONE: &str = "refreshable; 1 refreshes for two chats; said: \n";

pub(super) const ROWS: &[Row<Told>] = &[
    row("a number", r#"{"expires_in":3600}"#, ACTIVE),
    row("nothing", r#"{}"#, ACTIVE),
    row("for ever", r#"{"expires_in":"inf"}"#, ACTIVE),
    row("the largest number there is", r#"{"expires_in":9223372036854775807}"#, ACTIVE),
    row("zero", r#"{"expires_in":0}"#, ONE),
    row("less than zero", r#"{"expires_in":-5}"#, ONE),
    then("an hour that is over", Then::Pass(3_600), ONE),
    then("a clock that was set forward by a day", Then::Pass(86_400), ONE),
    then("a clock that was set forward by a thousand years", Then::Pass(31_556_952_000), ONE),
    then("a clock that was set back by a day", Then::Pass(-86_400), ONE),
    then("a clock that was set back by a thousand years", Then::Pass(-31_556_952_000), ONE),
    then("a clock that runs a little behind", Then::Pass(-50), ACTIVE),
    then(
        "a clock that was set back within the token's life, which the API ends",
        Then::Reject,
        "active; 1 refreshes for two chats; said: \n",
    ),
    then("times from before all time", Then::Store(i64::MIN, i64::MIN), ONE),
    then("times from after all time", Then::Store(i64::MAX, i64::MAX), ONE),
    then("a life from the beginning to the end of time", Then::Store(i64::MIN, i64::MAX), ACTIVE),
    then("a life that ends before it begins", Then::Store(i64::MAX, i64::MIN), ONE),
    dated(
        "a server whose clock is years behind",
        r#"{"expires_in":3600}"#,
        LONG_AGO,
        " days ahead of that of [SERVER]: set it, or the times shown are wrong by as much\nactive; 0 refreshes",
    ),
    dated(
        "a server whose clock is years ahead",
        r#"{"expires_in":3600}"#,
        FAR_OFF,
        " days behind that of [SERVER]: set it, or the times shown are wrong by as much\nactive; 0 refreshes",
    ),
    dated("a date that is none", r#"{"expires_in":3600}"#, "Sun, 35 Nov 1994 99:99:99 GMT", ACTIVE),
    dated(
        "an end by a clock that is years ahead, which ours would take for years",
        r#"{"expires_at":"2099-12-31T23:00:00Z"}"#,
        FAR_OFF,
        "refreshable; 1 refreshes",
    ),
];

#[test]
fn no_clock_keeps_a_dead_token_alive_or_spins() {
    every_row(ROWS, |row| {
        let Told { members, date, then } = &row.does;
        let members: Map<String, Value> = serde_json::from_str(members).unwrap();
        let date = date.map(String::from);
        let account = BEFORE.into();
        let sandbox =
            sandbox(Settings { account, token_lifetime: None, token_extra: members, date, ..Settings::default() });
        let nexus = Nexus::at(&sandbox);
        let heard: String = nexus.sign_in().stderr.lines().filter(|line| line.starts_with("note: ")).collect();
        match then {
            Then::Nothing => {}
            Then::Pass(seconds) => Stored::open(nexus.home()).pass(*seconds),
            Then::Store(issued, expires) => {
                let mut stored = Stored::open(nexus.home());
                stored.session["issued_at"] = (*issued).into();
                stored.session["expires_at"] = (*expires).into();
                stored.save();
            }
            Then::Reject => sandbox.expire_access(),
        }
        let state = nexus.run(&["oauth", "status", "--json"]).json()["state"].as_str().unwrap().to_owned();
        // What is told is told in words, too, whatever the numbers.
        assert!(!nexus.run(&["oauth", "status"]).stdout.is_empty());
        sandbox.change(|settings| {
            settings.token_extra.clear();
            settings.token_lifetime = Some(3_600.into());
            settings.date = None;
        });
        let chats = [nexus.run(&["chat", "x"]), nexus.run(&["chat", "x"])];
        let code = chats.iter().map(|chat| chat.code).max().unwrap();
        let said: String = chats.iter().map(|chat| &*chat.stderr).collect();
        let refreshes = sandbox.refreshes_asked();
        let said = format!("{heard}\n{state}; {refreshes} refreshes for two chats; said: {said}\n");
        Ended { said, code, nexus }
    });
}
