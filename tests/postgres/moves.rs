use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};

use nexus::sandbox::{Sandbox, Settings};

use crate::fleet::host;
use crate::nexus::{Nexus, newest, sandbox};
use crate::proxy::{Fault, Proxy, Side};
use crate::server::{Server, server};

const TOKEN: &[&str] = &["oauth", "token"];

/// A home whose sessions are in a SQLite file. It has the key of all homes.
fn sqlite(sandbox: &Sandbox) -> Nexus {
    host(sandbox, "", "")
}

fn file(nexus: &Nexus) -> String {
    nexus.path("data/sessions.db").to_string_lossy().into_owned()
}

#[track_caller]
fn assert_moved(nexus: &Nexus, to: &str) {
    let refused = nexus.run(TOKEN);
    let expected = format!("error: the session with work was moved to {to}\n  use that store: ");
    assert!(refused.code == Some(2) && refused.stderr.starts_with(&expected), "{refused}");
}

/// The name of a database in messages.
fn name(url: &str) -> String {
    url.replace("nexus@", "").split('?').next().unwrap().to_owned()
}

#[test]
fn a_session_moves_from_sqlite_to_postgresql_and_back() {
    let (sandbox, url) = (sandbox(Settings::default()), server().database());
    let old = sqlite(&sandbox);
    old.sign_in();
    let token = old.run(TOKEN).ok();
    let without_owner = old.run(&["store", "move", "--to", &url]);
    assert!(without_owner.code == Some(2) && without_owner.stderr.contains("set NEXUS_OWNER"), "{without_owner}");
    assert_eq!(old.run(TOKEN).ok(), token, "nothing was moved");

    let host = host(&sandbox, &url, "ada");
    let moved = host.run(&["store", "move", "--from", &file(&old)]);
    let expected = format!(
        "Moved 1 session from {} to {}\nSessions without an owner belong to `ada` there\n\
         Sign-ins that were not finished in the old store have to be started again\n",
        file(&old),
        name(&url)
    );
    assert!(moved.code == Some(0) && moved.stderr.ends_with(&expected), "{moved}");
    assert_moved(&old, &name(&url));
    assert_eq!(host.run(TOKEN).ok(), token);
    host.run(&["oauth", "refresh", "--force"]).ok();
    assert_eq!(sandbox.refreshes(), 1);

    // It comes back with its owner.
    let mut back = sqlite(&sandbox);
    back.set("NEXUS_OWNER", "ada");
    back.run(&["store", "move", "--from", &url]).ok();
    assert_eq!(back.run(TOKEN).ok().trim(), newest(&sandbox, "access"));
    back.run(&["oauth", "refresh", "--force"]).ok();
    assert_moved(&host, &file(&back));
}

#[test]
fn two_sessions_that_would_have_one_owner_are_not_moved() {
    let (sandbox, url) = (sandbox(Settings::default()), server().database());
    let mut old = sqlite(&sandbox);
    old.sign_in();
    old.set("NEXUS_OWNER", "ada");
    old.sign_in();
    let refused = old.run(&["store", "move", "--to", &url]);
    let expected = "error: two sessions with work in [HOME]/data/sessions.db would be the session of the owner `ada` in the \
                    other store\n";
    assert!(refused.code == Some(2) && refused.stderr.starts_with(expected), "{refused}");
    assert!(refused.stderr.contains("set NEXUS_OWNER to another owner"), "{refused}");
    old.set("NEXUS_OWNER", "grace");
    old.run(&["store", "move", "--to", &url]).ok();
    for owner in ["ada", "grace"] {
        host(&sandbox, &url, owner).run(TOKEN).ok();
    }
}

#[test]
fn a_session_that_the_other_store_has_is_named_with_its_owner() {
    let (sandbox, url) = (sandbox(Settings::default()), server().database());
    let (old, new) = (sqlite(&sandbox), host(&sandbox, &url, "ada"));
    old.sign_in();
    new.sign_in();
    let refused = new.run(&["store", "move", "--from", &file(&old)]);
    let expected =
        format!("error: {} already has another session with work of the owner `ada`; it was not", name(&url));
    assert!(refused.code == Some(2) && refused.stderr.starts_with(&expected), "{refused}");
    old.run(TOKEN).ok();
}

#[test]
fn a_move_needs_one_of_the_two_stores() {
    let refused = Nexus::new().run(&["store", "move"]);
    let expected = "error: `store move` needs --from or --to; the configured store is the other one\n";
    assert!(refused.code == Some(2) && refused.stderr.starts_with(expected), "{refused}");
}

#[test]
fn nothing_is_moved_to_a_store_whose_active_key_is_elsewhere() {
    let (sandbox, url) = (sandbox(Settings::default()), server().database());
    let of_others = host(&sandbox, &url, "grace");
    of_others.write("key/session.key", &format!("nexus-key-1 {}\n", "B".repeat(42) + "A"), 0o600);
    of_others.sign_in();
    of_others.run(&["oauth", "logout"]).ok();
    let old = sqlite(&sandbox);
    old.sign_in();
    let refused = host(&sandbox, &url, "ada").run(&["store", "move", "--from", &file(&old)]);
    assert!(refused.code == Some(1) && refused.stderr.contains("the store's active key"), "{refused}");
    old.run(TOKEN).ok();
}

#[test]
fn a_moved_row_is_refused_on_every_host_without_its_password() {
    let (sandbox, url) = (sandbox(Settings::default()), server().database());
    let target = server().database();
    let (first, second) = (host(&sandbox, &url, "ada"), host(&sandbox, &url, "ada"));
    first.sign_in();
    second.run(TOKEN).ok();
    let mut moving = host(&sandbox, &url, "");
    moving.set("TARGET", &target.replace("nexus@", "nexus:hush@"));
    let moved = moving.run(&["store", "move", "--to", "env:TARGET", "--json"]);
    let object = moved.json();
    assert_eq!((&object["sessions"], &object["to"]), (&1.into(), &name(&target).into()), "{moved}");
    assert!(!moved.stdout.contains("hush") && !moved.stderr.contains("hush"), "{moved}");
    for host in [&first, &second] {
        assert_moved(host, &name(&target));
    }
    assert_eq!(
        server().sql(&url, "SELECT octet_length(sealed) < 20 FROM nexus.session"),
        "t",
        "no token is left behind"
    );
    host(&sandbox, &target, "ada").run(&["oauth", "refresh", "--force"]).ok();
    // A move of all sessions that were signed in since leaves the mark.
    let again = moving.run(&["store", "move", "--to", "env:TARGET", "--json"]).json();
    assert_eq!((&again["sessions"], &again["earlier"]), (&0.into(), &1.into()));
}

#[test]
fn the_mark_of_a_session_whose_database_is_gone_can_be_replaced_or_deleted() {
    let (sandbox, url) = (sandbox(Settings::default()), server().database());
    let host = host(&sandbox, &url, "ada");
    let move_and_drop = || {
        let target = server().database();
        host.run(&["store", "move", "--to", &target]).ok();
        assert_moved(&host, &name(&target));
        server().sql("postgres", &format!("DROP DATABASE {}", Server::database_of(&target)));
    };
    host.sign_in();
    move_and_drop();
    host.sign_in();
    assert_eq!(host.run(TOKEN).ok().trim(), newest(&sandbox, "access"));
    host.run(&["oauth", "refresh", "--force"]).ok();
    move_and_drop();
    let signed_out = host.run(&["oauth", "logout"]);
    let expected = "Not revoked: the session was moved to ";
    assert!(signed_out.code == Some(0) && signed_out.stderr.contains(expected), "{signed_out}");
    assert_eq!(host.run(TOKEN).code, Some(4));
    assert_eq!(server().sql(&url, "SELECT count(*) FROM nexus.session"), "0");
}

#[test]
fn a_database_is_recognized_behind_a_pooler() {
    let (sandbox, url) = (sandbox(Settings::default()), server().database());
    let host = host(&sandbox, &url, "ada");
    host.sign_in();
    let pooled = server().pooled(&url);
    for (from, to) in [(&url, &pooled), (&pooled, &url)] {
        let refused = host.run(&["store", "move", "--from", from, "--to", to]);
        let expected = format!("error: {} and {} are the same store\n", name(from), name(to));
        assert!(refused.code == Some(2) && refused.stderr.starts_with(&expected), "{refused}");
    }
    host.run(&["oauth", "refresh", "--force"]).ok();
    assert_eq!(server().sql(&url, "SELECT count(*) FROM nexus.pending"), "0");
}

#[test]
fn a_move_says_that_it_waits_for_a_lease() {
    let (sandbox, url) = (sandbox(Settings::default()), server().database());
    let host = host(&sandbox, &url, "ada");
    host.sign_in();
    let lease = "UPDATE nexus.session SET lease = 'dead', lease_until = clock_timestamp() + interval '4 seconds'";
    server().sql(&url, lease);
    let moved = host.run(&["store", "move", "--to", &server().database()]);
    let note = "note: waiting for another nexus process that is refreshing this session\n";
    assert!(moved.code == Some(0) && moved.stderr.contains(note), "{moved}");
}

#[test]
fn hosts_that_work_on_a_session_while_it_moves_lose_nothing() {
    let (sandbox, url) = (sandbox(Settings::default()), server().database());
    let target = server().database();
    let hosts: Vec<_> = (0..3).map(|_| host(&sandbox, &url, "ada")).collect();
    hosts[0].sign_in();
    let refreshed = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for host in &hosts {
            scope.spawn(|| {
                loop {
                    let output = host.run(&["oauth", "refresh", "--force"]);
                    match output.code {
                        Some(0) => refreshed.fetch_add(1, Ordering::SeqCst),
                        Some(2) if output.stderr.contains("was moved to") => return,
                        _ => panic!("{output}"),
                    };
                }
            });
        }
        scope.spawn(|| {
            while refreshed.load(Ordering::SeqCst) < hosts.len() {
                std::thread::yield_now();
            }
            host(&sandbox, &url, "").run(&["store", "move", "--to", &target]).ok();
        });
    });
    let after = host(&sandbox, &target, "ada");
    after.run(&["oauth", "refresh", "--force"]).ok();
    assert_eq!(after.run(TOKEN).ok().trim(), newest(&sandbox, "access"));
}

/// Kills a move after each message that it sends to the database, as `prepare` sets it up, and moves again.
fn killed_at_every_message(prepare: impl Fn(&Sandbox, &str) -> (Nexus, Vec<String>, Nexus, Nexus)) {
    let proxy = Proxy::start(server());
    let mut kills = 0;
    for at in 0.. {
        let (sandbox, url) = (sandbox(Settings::default()), server().database());
        // Signed in, in the store that `from` uses. `moving` runs the words.
        let (moving, words, from, to) = prepare(&sandbox, &url);
        let token = from.run(TOKEN).ok();
        proxy.interfere(at, Side::After, Fault::Stall);
        let killed: Vec<_> =
            words.iter().map(|word| if *word == url { proxy.url(word) } else { word.clone() }).collect();
        let mut child = moving.command(&killed).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let ended = loop {
            match child.try_wait().unwrap() {
                Some(status) => break Some(status),
                None if proxy.has_happened() => break None,
                None => std::thread::yield_now(),
            }
        };
        if ended.is_none() {
            child.kill().unwrap();
            child.wait().unwrap();
            kills += 1;
        }
        let usable = [&from, &to].map(|nexus| nexus.run(TOKEN).code == Some(0));
        assert_ne!(usable, [true, true], "two usable sessions after message {at}");
        // The leases of a dead holder expire.
        server().sql(&url, "UPDATE nexus.session SET lease_until = clock_timestamp()");
        moving.run(&words).ok();
        assert_eq!(to.run(TOKEN).ok(), token, "after message {at}");
        assert_ne!(from.run(TOKEN).code, Some(0), "after message {at}");
        if let Some(status) = ended {
            assert!(status.success());
            break;
        }
    }
    assert!(kills > 10, "{kills}");
}

#[test]
fn a_move_to_postgresql_that_is_killed_anywhere_is_finished_by_the_next_one() {
    killed_at_every_message(|sandbox, url| {
        let (from, to) = (sqlite(sandbox), host(sandbox, url, "ada"));
        to.run(&["store", "migrate"]).ok();
        from.sign_in();
        let mut moving = sqlite(sandbox);
        moving.set("NEXUS_OWNER", "ada");
        let words = ["store", "move", "--from", &file(&from), "--to", url].map(String::from).to_vec();
        (moving, words, from, to)
    });
}

#[test]
fn a_move_from_postgresql_that_is_killed_anywhere_is_finished_by_the_next_one() {
    killed_at_every_message(|sandbox, url| {
        let (from, mut to) = (host(sandbox, url, "ada"), sqlite(sandbox));
        to.set("NEXUS_OWNER", "ada");
        from.sign_in();
        let words = ["store", "move", "--from", url, "--to", &file(&to)].map(String::from).to_vec();
        (sqlite(sandbox), words, from, to)
    });
}
