//! Kills, broken connections and restarts of the server at every step of a refresh.

use std::process::Child;

use nexus::sandbox::{Endpoint, Scripted, Settings};

use crate::fleet::Fleet;
use crate::nexus::{Nexus, Output, lifetime, newest};
use crate::proxy::{Fault, Message, Proxy, SIDES};
use crate::server::{Server, restartable, server};

const TOKEN: &[&str] = &["oauth", "token"];

/// The messages of one refresh by a new process. They are the same each time.
fn steps(fleet: &Fleet, proxy: &Proxy, host: &Nexus) -> Vec<Message> {
    fleet.expire();
    proxy.forward_all();
    host.run(TOKEN).ok();
    assert_eq!(fleet.sandbox.refreshes(), 1);
    let mut messages = proxy.messages();
    messages.retain(|message| *message != Message::Terminate);
    messages
}

/// Runs a refresh for each side of each step that `chosen` accepts, with this fault there.
fn at_each_step(
    server: &Server,
    fault: Fault,
    chosen: impl Fn(&Message) -> bool,
    check: impl Fn(&Fleet, &Proxy, &Nexus, i64, &str),
) {
    let (proxy, fleet) = (Proxy::start(server), Fleet::new(server, lifetime(0)));
    let host = fleet.host_at(&proxy.url(&fleet.url));
    let steps = steps(&fleet, &proxy, &host);
    let mut checked = 0;
    for (at, step) in steps.iter().enumerate().filter(|(_, step)| chosen(step)) {
        for side in SIDES {
            let generation = fleet.expire();
            proxy.interfere(at, side, fault);
            check(&fleet, &proxy, &host, generation, &format!("{side:?} {step:?}"));
            assert!(proxy.has_happened(), "{side:?} {step:?}");
            checked += 1;
        }
    }
    assert!(checked >= 8, "a refresh takes a lease, begins, commits and releases");
}

/// Whether a statement changes something.
fn writes(message: &Message) -> bool {
    matches!(message, Message::Statement { text, .. } if text.contains("UPDATE"))
}

/// The session was refreshed once, and every host has it.
fn assert_refreshed(fleet: &Fleet, output: &Output, before: usize, when: &str) {
    assert_eq!(output.code, Some(0), "{when}: {output}");
    assert_eq!(output.stdout.trim(), newest(&fleet.sandbox, "access"), "{when}");
    assert_eq!(fleet.sandbox.refreshes() - before, 1, "{when}");
    assert_eq!(fleet.host().run(TOKEN).ok(), output.stdout, "{when}");
}

/// The lease of a dead holder expires.
fn expire_lease(server: &Server, url: &str) {
    server.sql(url, "UPDATE nexus.session SET lease_until = clock_timestamp() WHERE lease IS NOT NULL");
}

fn kill(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_connection_that_breaks_at_any_statement_costs_no_session() {
    at_each_step(
        server(),
        Fault::Break,
        |_| true,
        |fleet, _, host, _, when| {
            let before = fleet.sandbox.refreshes();
            let attempts = || server().sql(&fleet.url, "SELECT attempts FROM nexus.session").parse::<i64>().unwrap();
            let attempts_before = attempts();
            let output = host.run(TOKEN);
            assert_eq!(attempts() - attempts_before, 1, "{when}: a repeated statement counts once");
            assert_refreshed(fleet, &output, before, when);
            assert_eq!(server().sql(&fleet.url, "SELECT lease IS NULL FROM nexus.session"), "t", "{when}");
        },
    );
}

#[test]
fn a_holder_that_is_killed_at_any_statement_costs_no_session() {
    at_each_step(
        server(),
        Fault::Stall,
        |_| true,
        |fleet, proxy, host, generation, when| {
            let before = fleet.sandbox.refreshes();
            let child = host.command(TOKEN).spawn().unwrap();
            proxy.wait_until(|_, happened| happened);
            kill(child);
            expire_lease(server(), &fleet.url);
            let saved = server().sql(&fleet.url, "SELECT generation FROM nexus.session") != generation.to_string();
            let output = fleet.host().run(TOKEN);
            if fleet.sandbox.refreshes() - before == 1 && !saved && output.code != Some(0) {
                // The answer was in the memory of the process.
                assert_eq!(output.code, Some(4), "{when}: {output}");
                assert!(output.stderr.contains(" was cut off before its response was saved"), "{when}: {output}");
            } else {
                assert_refreshed(fleet, &output, before, when);
            }
        },
    );
}

#[test]
fn a_server_that_crashes_at_any_statement_costs_no_session() {
    let server = restartable();
    at_each_step(&server, Fault::Stall, writes, |fleet, proxy, host, _, when| {
        let before = fleet.sandbox.refreshes();
        let child = host.command(TOKEN).spawn().unwrap();
        proxy.wait_until(|_, happened| happened);
        server.down();
        server.up();
        assert_refreshed(fleet, &host.finish(child), before, when);
    });
}

#[test]
fn a_holder_that_was_killed_before_the_token_was_spent_costs_no_session() {
    let fleet = Fleet::new(server(), lifetime(0));
    fleet.expire();
    let (holder, _gate) = fleet.host().held(&fleet.sandbox, Scripted::Wait, TOKEN);
    kill(holder);
    let left = "SELECT lease_until > clock_timestamp() + interval '60 seconds' FROM nexus.session";
    assert_eq!(server().sql(&fleet.url, left), "t");
    expire_lease(server(), &fleet.url);
    assert_refreshed(&fleet, &fleet.host().run(TOKEN), 0, "before the token was spent");
}

#[test]
fn a_lost_answer_is_reported_by_its_name() {
    let fleet = Fleet::new(server(), lifetime(0));
    fleet.expire();
    let (holder, _gate) = fleet.host().held(&fleet.sandbox, Scripted::Paused, TOKEN);
    kill(holder);
    expire_lease(server(), &fleet.url);
    let output = fleet.host().run(TOKEN);
    assert_eq!(output.code, Some(4), "{output}");
    assert!(output.stderr.contains(" was cut off before its response was saved"), "{output}");
    assert_eq!(fleet.sandbox.refreshes_asked(), 2, "the successor presents the token once");
    assert_eq!(fleet.host().run(TOKEN).code, Some(4));
    assert_eq!(fleet.sandbox.refreshes_asked(), 2, "and nobody does it again");
}

#[test]
fn a_server_that_accepts_a_spent_token_once_more_costs_no_session() {
    let fleet = Fleet::new(server(), Settings { grace: 1, ..lifetime(0) });
    fleet.expire();
    let (holder, _gate) = fleet.host().held(&fleet.sandbox, Scripted::Paused, TOKEN);
    kill(holder);
    expire_lease(server(), &fleet.url);
    let output = fleet.host().run(TOKEN);
    assert_eq!(output.ok().trim(), newest(&fleet.sandbox, "access"));
    assert_eq!(fleet.sandbox.refreshes_asked(), 2);
}

#[test]
fn a_late_answer_is_the_session_of_every_host() {
    let fleet = Fleet::new(server(), lifetime(0));
    fleet.expire();
    let late = fleet.host();
    let (holder, gate) = late.held(&fleet.sandbox, Scripted::Paused, TOKEN);
    // Another host takes over while the first one waits for its answer.
    expire_lease(server(), &fleet.url);
    let output = fleet.host().run(TOKEN);
    assert_eq!(output.code, Some(4), "the server says that the token is spent: {output}");
    assert_eq!(server().sql(&fleet.url, "SELECT ended_at IS NOT NULL FROM nexus.session"), "t");
    gate.open();
    let token = late.finish(holder).ok();
    assert_eq!(token.trim(), newest(&fleet.sandbox, "access"));
    assert_eq!(fleet.host().run(TOKEN).ok(), token);
}

#[test]
fn a_late_answer_replaces_no_newer_session() {
    let fleet = Fleet::new(server(), Settings { grace: 1, ..lifetime(0) });
    fleet.expire();
    let late = fleet.host();
    let (holder, gate) = late.held(&fleet.sandbox, Scripted::Paused, TOKEN);
    expire_lease(server(), &fleet.url);
    let token = fleet.host().run(TOKEN).ok();
    gate.open();
    late.finish(holder).ok();
    assert_eq!(fleet.host().run(TOKEN).ok(), token);
}

#[test]
fn a_late_answer_replaces_no_newer_sign_in() {
    let fleet = Fleet::new(server(), lifetime(0));
    fleet.expire();
    let late = fleet.host();
    let (holder, gate) = late.held(&fleet.sandbox, Scripted::Paused, TOKEN);
    expire_lease(server(), &fleet.url);
    fleet.host().run(&["oauth", "logout"]).ok();
    fleet.host().sign_in();
    let token = fleet.host().run(TOKEN).ok();
    gate.open();
    late.finish(holder);
    assert_eq!(fleet.host().run(TOKEN).ok(), token);
}

#[test]
fn a_token_is_saved_although_the_server_was_restarted_meanwhile() {
    let server = restartable();
    let fleet = Fleet::new(&server, lifetime(0));
    fleet.expire();
    let holder = fleet.host();
    let (child, gate) = holder.held(&fleet.sandbox, Scripted::Paused, TOKEN);
    server.down();
    gate.open();
    server.up();
    assert_refreshed(&fleet, &holder.finish(child), 0, "restarted while the answer was awaited");
}

#[test]
fn every_statement_is_unnamed_and_leaves_nothing_in_its_connection() {
    let (proxy, fleet) = (Proxy::start(server()), Fleet::new(server(), lifetime(0)));
    let host = fleet.host_at(&proxy.url(&fleet.url));
    for message in steps(&fleet, &proxy, &host) {
        match message {
            Message::StartUp => {}
            // Asks whether this is the primary.
            Message::Simple(text) => assert_eq!(text, "SHOW transaction_read_only"),
            Message::Statement { name, text } => {
                assert_eq!(name, "", "{text}");
                for word in ["LISTEN", "NOTIFY", "PREPARE", "DECLARE", "TEMP", "pg_advisory_lock", "SET SESSION"] {
                    assert!(!text.contains(word), "{text}");
                }
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn what_matters_is_on_disk_before_a_refresh_goes_on_whatever_the_databases_setting() {
    let fleet = Fleet::new(server(), lifetime(0));
    fleet.expire();
    let database = Server::database_of(&fleet.url);
    server().sql(&fleet.url, &format!("ALTER DATABASE {database} SET synchronous_commit = off"));
    // Runs as a transaction commits. A lease may be lost.
    let watch = "CREATE TABLE lax (write text);
        CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
          IF current_setting('synchronous_commit') <> 'on' THEN
            INSERT INTO lax VALUES (OLD || ' ' || NEW);
          END IF;
          RETURN NULL;
        END $$;
        CREATE CONSTRAINT TRIGGER note AFTER UPDATE ON nexus.session DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
          WHEN ((OLD.generation, OLD.attempts, OLD.sealed, OLD.refreshing_since, OLD.ended_at)
            IS DISTINCT FROM (NEW.generation, NEW.attempts, NEW.sealed, NEW.refreshing_since, NEW.ended_at))
          EXECUTE FUNCTION note();";
    server().sql(&fleet.url, watch);
    let host = fleet.host();
    host.run(TOKEN).ok();
    fleet.expire();
    fleet.sandbox.script(Endpoint::Token, [Scripted::json(503, &serde_json::json!({}))]);
    assert_eq!(host.run(TOKEN).code, Some(75), "a failure is kept");
    host.run(&["oauth", "logout"]).ok();
    host.sign_in();
    assert_eq!(server().sql(&fleet.url, "SELECT write FROM lax"), "");
    server().sql(&fleet.url, "UPDATE nexus.session SET attempts = attempts + 1");
    assert_eq!(server().sql(&fleet.url, "SELECT count(*) FROM lax"), "1", "the trigger works");
}
