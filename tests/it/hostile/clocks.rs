//! Token lifetimes and wrong clocks. An expired token is not used, and two commands refresh at most once.

use nexus::sandbox::Settings;
use serde_json::{Map, Value};

use super::Left::Kept;
use super::{BEFORE, Ended, Row, every_row};
use crate::nexus::{Nexus, sandbox};
use crate::stored::Stored;

/// The token response, and what happens before the token is used.
pub(super) struct Reported {
    /// Members of the token answer, as JSON.
    members: &'static str,
    /// The `Date` header, if it is wrong.
    date: Option<&'static str>,
    then: Then,
}

enum Then {
    Nothing,
    /// This many seconds pass; a negative number sets the clock back.
    Pass(i64),
    /// The API rejects the token.
    Reject,
    /// These times are stored.
    Store(i64, i64),
}

const LONG_AGO: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
const FAR_OFF: &str = "Fri, 01 Jan 2100 00:00:00 GMT";

const fn row(name: &'static str, members: &'static str, says: &'static str) -> Row<Reported> {
    Row { name, does: Reported { members, date: None, then: Then::Nothing }, says, code: 0, left: Kept }
}

const fn then(name: &'static str, then: Then, says: &'static str) -> Row<Reported> {
    let members = r#"{"expires_in":3600}"#;
    Row { name, does: Reported { members, date: None, then }, says, code: 0, left: Kept }
}

const fn dated(name: &'static str, members: &'static str, date: &'static str, says: &'static str) -> Row<Reported> {
    Row { name, does: Reported { members, date: Some(date), then: Then::Nothing }, says, code: 0, left: Kept }
}

const ACTIVE: &str = "active; 0 refreshes for two chats; said: \n";
const ONE: &str = "refreshable; 1 refreshes for two chats; said: \n";

pub(super) const ROWS: &[Row<Reported>] = &[
    row("a number", r#"{"expires_in":3600}"#, ACTIVE),
    row("no lifetime", r#"{}"#, ACTIVE),
    row("infinity", r#"{"expires_in":"inf"}"#, ACTIVE),
    row("the largest number there is", r#"{"expires_in":9223372036854775807}"#, ACTIVE),
    row("zero", r#"{"expires_in":0}"#, ONE),
    row("a negative number", r#"{"expires_in":-5}"#, ONE),
    then("an hour that is over", Then::Pass(3_600), ONE),
    then("a clock that was set forward by a day", Then::Pass(86_400), ONE),
    then("a clock that was set forward by a thousand years", Then::Pass(31_556_952_000), ONE),
    then("a clock that was set back by a day", Then::Pass(-86_400), ONE),
    then("a clock that was set back by a thousand years", Then::Pass(-31_556_952_000), ONE),
    then("a clock that is 50 seconds behind", Then::Pass(-50), ACTIVE),
    then(
        "a clock that was set back within the token's life, which the API ends",
        Then::Reject,
        "active; 1 refreshes for two chats; said: \n",
    ),
    then("the smallest times", Then::Store(i64::MIN, i64::MIN), ONE),
    then("the largest times", Then::Store(i64::MAX, i64::MAX), ONE),
    then("from the smallest to the largest time", Then::Store(i64::MIN, i64::MAX), ACTIVE),
    then("an end before the beginning", Then::Store(i64::MAX, i64::MIN), ONE),
    dated(
        "a server whose clock is years behind",
        r#"{"expires_in":3600}"#,
        LONG_AGO,
        " days ahead of that of [SERVER]; displayed times are wrong by as much\nactive; 0 refreshes",
    ),
    dated(
        "a server whose clock is years ahead",
        r#"{"expires_in":3600}"#,
        FAR_OFF,
        " days behind that of [SERVER]; displayed times are wrong by as much\nactive; 0 refreshes",
    ),
    dated("an invalid date", r#"{"expires_in":3600}"#, "Sun, 35 Nov 1994 99:99:99 GMT", ACTIVE),
    dated(
        "an end by the server's clock",
        r#"{"expires_at":"2099-12-31T23:00:00Z"}"#,
        FAR_OFF,
        "refreshable; 1 refreshes",
    ),
];

#[test]
fn no_clock_keeps_an_expired_token_or_refreshes_twice() {
    every_row(ROWS, |row| {
        let Reported { members, date, then } = &row.does;
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
        assert!(!nexus.run(&["oauth", "status"]).stdout.is_empty());
        sandbox.change(|settings| {
            settings.token_extra.clear();
            settings.token_lifetime = Some(3_600.into());
            settings.date = None;
        });
        let chats = [nexus.run(&["chat", "x"]), nexus.run(&["chat", "x"])];
        let code = chats.iter().map(|chat| chat.code).max().unwrap();
        let message: String = chats.iter().map(|chat| &*chat.stderr).collect();
        let refreshes = sandbox.refreshes_asked();
        let message = format!("{heard}\n{state}; {refreshes} refreshes for two chats; said: {message}\n");
        Ended { message, code, nexus }
    });
}
