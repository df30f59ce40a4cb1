//! Runs `examples/web_app.rs` with browsers and the sandbox.

use std::io::{BufRead as _, BufReader};

use nexus::Url;
use nexus::sandbox::{Endpoint, Gate, Sandbox, Scripted};
use serde_json::json;
use tempfile::TempDir;

use crate::browsers::{App, Browser, sandbox};
use crate::nexus::block_on;

/// A home, a sandbox, the application at it.
fn setup() -> (TempDir, Sandbox, App) {
    let (home, sandbox) = (tempfile::tempdir().unwrap(), sandbox());
    let app = App::start(home.path(), &sandbox);
    (home, sandbox, app)
}

/// The bearer tokens of the questions so far.
fn bearers(sandbox: &Sandbox) -> Vec<String> {
    let asked = sandbox.requests_to(Endpoint::Messages);
    asked.iter().map(|seen| seen.header("authorization").unwrap().to_owned()).collect()
}

fn owners(home: &TempDir) -> Vec<String> {
    let database = rusqlite::Connection::open(home.path().join("data/sessions.db")).unwrap();
    let mut statement = database.prepare("SELECT owner FROM session").unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
}

#[test]
fn two_users_have_separate_sessions() {
    let (home, sandbox, app) = setup();
    let (ada, bob) = (Browser::default(), Browser::default());
    assert_eq!(ada.chat(&app, "too early").refusal(), (401, "not_signed_in".into()));
    ada.sign_in(&app);
    assert_eq!(bob.chat(&app, "as whom?").refusal(), (401, "not_signed_in".into()));
    bob.sign_in(&app);
    ada.assert_answered(&app, "I am Ada");
    bob.assert_answered(&app, "I am Bob");
    let bearers = bearers(&sandbox);
    assert_eq!(bearers.len(), 2);
    assert_ne!(bearers[0], bearers[1]);
    let owners = owners(&home);
    assert_eq!(owners.len(), 2);
    for browser in [&ada, &bob] {
        let cookie = &browser.cookies.lock().unwrap()["user"];
        assert!(!owners.contains(cookie), "the database must not contain a usable cookie");
    }
}

#[test]
fn many_users_sign_in_at_once_in_a_new_home() {
    let (home, sandbox, app) = setup();
    // The key and the database do not exist yet.
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                let browser = Browser::default();
                browser.sign_in(&app);
                browser.assert_answered(&app, "hello");
            });
        }
    });
    assert_eq!((owners(&home).len(), sandbox.counts().exchanges), (16, 16));
}

#[test]
fn browsers_get_no_token_and_only_httponly_cookies() {
    let (_home, sandbox, app) = setup();
    let browser = Browser::default();
    let start = browser.get(&format!("{}/oauth/claude/authorize", app.origin));
    let back = crate::nexus::approve(&start.location);
    let end = browser.get(&back);
    let chat = browser.chat(&app, "hello");
    let code = Url::parse(&back).unwrap().query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned();
    for page in [start, end, chat] {
        for secret in sandbox.issued().iter().filter(|secret| **secret != code) {
            assert!(!page.body.contains(secret) && !page.location.contains(secret), "{}", page.body);
            assert!(!page.set_cookies.iter().any(|cookie| cookie.contains(secret)));
        }
        assert!(page.set_cookies.iter().all(|cookie| cookie.ends_with("; Path=/; HttpOnly; SameSite=Lax")));
    }
}

#[test]
fn a_wrong_state_is_rejected_and_the_right_one_works_once() {
    let (_home, sandbox, app) = setup();
    let browser = Browser::default();
    let back = crate::nexus::approve(&browser.begin(&app));
    let wrong = back.replace("state=", "state=x");
    for address in [wrong, back.split('?').next().unwrap().to_owned(), format!("{back}&state=again")] {
        assert_eq!(browser.get(&address).refusal(), (400, "no_such_sign_in".into()), "{address}");
    }
    assert_eq!(sandbox.counts().exchanges, 0);
    assert_eq!(browser.get(&back).status, 303);
    assert_eq!(browser.get(&back).refusal(), (400, "no_such_sign_in".into()), "a response works once");
    assert_eq!(sandbox.requests_to(Endpoint::Token).len(), 1);
    browser.assert_answered(&app, "signed in after all");
}

#[test]
fn a_response_is_accepted_only_from_the_browser_that_started() {
    let (_home, sandbox, app) = setup();
    let (ada, mallory) = (Browser::default(), Browser::default());
    let back = crate::nexus::approve(&ada.begin(&app));
    // Without a sign-in of her own, and with one.
    for _ in 0..2 {
        assert_eq!(mallory.get(&back).refusal(), (400, "no_such_sign_in".into()));
        mallory.begin(&app);
    }
    assert_eq!(sandbox.counts().exchanges, 0);
    assert_eq!(mallory.chat(&app, "let me in").status, 401);
    assert_eq!(ada.get(&back).status, 303);
}

#[test]
fn pending_sign_ins_are_limited() {
    let (_home, _sandbox, app) = setup();
    let (first, last) = (Browser::default(), Browser::default());
    let (early, late) = (first.begin(&app), last.begin(&app));
    let stranger = Browser::default();
    block_on(async {
        for _ in 0..99 {
            stranger.send("GET", &format!("{}/oauth/claude/authorize", app.origin), None).await;
        }
    });
    assert_eq!(first.get(&crate::nexus::approve(&early)).status, 400, "the oldest made place");
    assert_eq!(last.get(&crate::nexus::approve(&late)).status, 303);
}

#[test]
fn a_denial_does_not_sign_in() {
    let (_home, sandbox, app) = setup();
    let browser = Browser::default();
    let back = crate::nexus::deny(&browser.begin(&app));
    assert_eq!(browser.get(&back).refusal(), (403, "sign_in_refused".into()));
    assert_eq!(browser.chat(&app, "anyway").status, 401);
    assert_eq!(sandbox.counts().exchanges, 0);
}

#[test]
fn two_requests_that_are_both_rejected_refresh_once() {
    let (_home, sandbox, app) = setup();
    let browser = Browser::default();
    browser.sign_in(&app);
    browser.assert_answered(&app, "before");
    sandbox.expire_access();
    let refused = sandbox.requests_to(Endpoint::Models).len();
    let gate = Gate::new();
    sandbox.script(Endpoint::Token, [Scripted::Wait(gate.clone())]);
    let answers = block_on(async {
        tokio::join!(browser.ask(&app, "one"), browser.ask(&app, "two"), async {
            // Both are rejected before either gets another token.
            sandbox.until(|sandbox| sandbox.requests_to(Endpoint::Models).len() == refused + 2).await;
            gate.arrived(1).await;
            gate.open();
        })
    });
    assert_eq!((answers.0.status, answers.1.status), (200, 200));
    assert_eq!(sandbox.refreshes_asked(), 1);
}

#[test]
fn an_ended_session_needs_a_new_sign_in() {
    let (_home, sandbox, app) = setup();
    let browser = Browser::default();
    browser.sign_in(&app);
    sandbox.end_session();
    assert_eq!(browser.chat(&app, "gone?").refusal(), (401, "session_ended".into()));
    browser.sign_in(&app);
    browser.assert_answered(&app, "back again");
}

#[test]
fn a_second_sign_in_and_a_logout_leave_no_session() {
    let (home, sandbox, app) = setup();
    let browser = Browser::default();
    browser.sign_in(&app);
    let before = browser.cookies.lock().unwrap()["user"].clone();
    browser.sign_in(&app);
    assert_ne!(browser.cookies.lock().unwrap()["user"], before, "a planted cookie must not become signed in");
    assert_eq!(owners(&home).len(), 1);
    assert!(sandbox.counts().revocations > 0);
    assert_eq!(block_on(browser.send("POST", &format!("{}/logout", app.origin), None)).status, 204);
    assert_eq!(owners(&home), [""; 0]);
    assert_eq!(browser.chat(&app, "still me?").status, 401);
}

#[test]
fn an_unknown_cookie_is_rejected() {
    let (_home, _sandbox, app) = setup();
    for made_up in ["", "x", "../../etc", "%00"] {
        let browser = Browser::default();
        browser.cookies.lock().unwrap().insert("user".into(), made_up.into());
        assert_eq!(browser.chat(&app, "let me in").refusal(), (401, "not_signed_in".into()), "{made_up:?}");
    }
}

#[cfg(unix)]
#[test]
fn ctrl_c_waits_until_a_refresh_is_saved() {
    let (home, sandbox, mut app) = setup();
    let browser = Browser::default();
    sandbox.change(|settings| settings.token_lifetime = Some(json!(0)));
    browser.sign_in(&app);
    sandbox.change(|settings| settings.token_lifetime = Some(json!(3_600)));
    let gate = Gate::new();
    sandbox.script(Endpoint::Token, [Scripted::Paused(gate.clone())]);
    block_on(async {
        {
            // The browser closes the connection before the new tokens arrive.
            let asked = browser.ask(&app, "never mind");
            tokio::select! {
                _ = asked => panic!("the server has not answered"),
                () = gate.arrived(1) => {}
            }
        }
        let id = rustix::process::Pid::from_child(&app.child);
        rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
        let mut line = String::new();
        BufReader::new(app.child.stderr.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "Finishing what has begun\n");
        gate.open();
    });
    assert!(app.child.wait().unwrap().success());
    let app = App::start(home.path(), &sandbox);
    browser.assert_answered(&app, "nothing was lost");
    assert_eq!(sandbox.refreshes_asked(), 1);
}
