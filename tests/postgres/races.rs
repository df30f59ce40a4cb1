use std::process::Child;

use nexus::sandbox::{Sandbox, Scripted};

use crate::commands::home;
use crate::nexus::{Nexus, lifetime, newest, sandbox};
use crate::server::{Server, server};

/// A sandbox, and homes of different hosts that share one session with an expired token.
fn expired(server: &Server, pooled: bool) -> (Sandbox, Vec<Nexus>, String) {
    let sandbox = sandbox(lifetime(0));
    let url = server.database();
    let used = if pooled { server.pooled(&url) } else { url.clone() };
    let homes: Vec<_> = (0..3).map(|_| home(&sandbox, &used, "ada")).collect();
    homes[0].sign_in();
    sandbox.change(|settings| settings.token_lifetime = Some(3_600.into()));
    (sandbox, homes, url)
}

fn one_refresh_a_round(pooled: bool) {
    let (sandbox, homes, url) = expired(server(), pooled);
    for round in 0..ROUNDS {
        if round > 0 {
            sandbox.change(|settings| settings.token_lifetime = Some(0.into()));
            homes[round % homes.len()].sign_in();
            sandbox.change(|settings| settings.token_lifetime = Some(3_600.into()));
        }
        let before = sandbox.refreshes();
        let children: Vec<(&Nexus, Child)> = (0..PROCESSES)
            .flat_map(|_| &homes)
            .map(|nexus| (nexus, nexus.command(&["oauth", "token"]).spawn().unwrap()))
            .collect();
        let tokens: Vec<_> = children.into_iter().map(|(nexus, child)| nexus.finish(child).ok()).collect();
        assert_eq!(sandbox.refreshes() - before, 1, "round {round}");
        assert!(tokens.iter().all(|token| token.trim() == newest(&sandbox, "access")), "round {round}");
        assert_eq!(server().sql(&url, "SELECT lease IS NULL FROM nexus.session"), "t", "round {round}");
    }
}

const ROUNDS: usize = 5;
const PROCESSES: usize = 40;

#[test]
fn hosts_and_processes_refresh_an_expired_session_once() {
    one_refresh_a_round(false);
}

#[test]
fn hosts_and_processes_refresh_an_expired_session_once_behind_a_pooler() {
    one_refresh_a_round(true);
}

#[test]
fn a_lease_that_was_lost_costs_no_session() {
    let (sandbox, homes, url) = expired(server(), false);
    let (holder, gate) = homes[0].held(&sandbox, Scripted::Paused, &["oauth", "token"]);
    // As if the lease had expired: another host takes over while the first one waits for its answer.
    server().sql(&url, "UPDATE nexus.session SET lease_until = clock_timestamp()");
    let second = homes[1].run(&["oauth", "token"]);
    assert_eq!(second.code, Some(4), "the server says that the token is spent: {second}");
    gate.open();
    let token = homes[0].finish(holder).ok();
    assert_eq!(token.trim(), newest(&sandbox, "access"));
    for nexus in &homes {
        assert_eq!(nexus.run(&["oauth", "token"]).ok(), token, "the late answer is the session of every host");
    }
}

#[test]
fn a_holder_that_was_killed_before_it_sent_the_token_costs_no_session() {
    let (sandbox, homes, url) = expired(server(), false);
    let (mut holder, gate) = homes[0].held(&sandbox, Scripted::Wait, &["oauth", "token"]);
    holder.kill().unwrap();
    holder.wait().unwrap();
    drop(gate);
    // The lease of a dead holder expires.
    let left = "SELECT lease_until > clock_timestamp() + interval '60 seconds' FROM nexus.session";
    assert_eq!(server().sql(&url, left), "t");
    server().sql(&url, "UPDATE nexus.session SET lease_until = clock_timestamp()");
    let output = homes[1].run(&["oauth", "token"]);
    assert_eq!(output.ok().trim(), newest(&sandbox, "access"));
}

#[test]
fn a_token_is_saved_although_the_server_was_restarted_meanwhile() {
    // A server of its own: the other tests go on with theirs.
    let server = Server::start();
    let (sandbox, homes, _) = expired(&server, false);
    let (holder, gate) = homes[0].held(&sandbox, Scripted::Paused, &["oauth", "token"]);
    server.down();
    gate.open();
    std::thread::scope(|scope| {
        scope.spawn(|| server.up());
    });
    let token = homes[0].finish(holder).ok();
    assert_eq!(homes[1].run(&["oauth", "token"]).ok(), token);
    assert_eq!(sandbox.refreshes(), 1);
}
