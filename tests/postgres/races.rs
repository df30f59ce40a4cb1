use std::process::Child;

use crate::fleet::Fleet;
use crate::nexus::{Nexus, lifetime, newest};
use crate::server::server;

const ROUNDS: usize = 5;
const HOSTS: usize = 3;
const PROCESSES: usize = 40;

fn one_refresh_a_round(url: impl Fn(&str) -> String) {
    let fleet = Fleet::new(server(), lifetime(0));
    let hosts: Vec<_> = (0..HOSTS).map(|_| fleet.host_at(&url(&fleet.url))).collect();
    for round in 0..ROUNDS {
        fleet.expire();
        let before = fleet.sandbox.refreshes();
        let children: Vec<(&Nexus, Child)> = (0..PROCESSES)
            .flat_map(|_| &hosts)
            .map(|host| (host, host.command(&["oauth", "token"]).spawn().unwrap()))
            .collect();
        let tokens: Vec<_> = children.into_iter().map(|(host, child)| host.finish(child).ok()).collect();
        assert_eq!(fleet.sandbox.refreshes() - before, 1, "round {round}");
        assert_eq!(tokens.len(), HOSTS * PROCESSES);
        assert!(tokens.iter().all(|token| token.trim() == newest(&fleet.sandbox, "access")), "round {round}");
        assert_eq!(server().sql(&fleet.url, "SELECT lease IS NULL FROM nexus.session"), "t", "round {round}");
    }
}

#[test]
fn hosts_and_processes_refresh_an_expired_session_once() {
    one_refresh_a_round(str::to_owned);
}

#[test]
fn hosts_and_processes_refresh_an_expired_session_once_behind_a_pooler() {
    one_refresh_a_round(|url| server().pooled(url));
}
