use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::Duration;

use nexus::key::Keystore;
use nexus::sandbox::{Endpoint, Registration, Sandbox, Scripted, Settings};
use nexus::store::{PostgresStore, PostgresUrl, SessionKey};
use nexus::{ClientAuth, ErrorInfo as _, SealedSessions};
use serde_json::json;

use crate::fleet::{client, host};
use crate::nexus::{Nexus, block_on, config, lifetime, newest, sandbox};
use crate::server::server;

const KEY: &str = "key/session.key";

/// The key file of a host.
fn keys(nexus: &Nexus) -> String {
    fs::read_to_string(nexus.path(KEY)).unwrap()
}

/// The id of the active key.
fn active(nexus: &Nexus) -> String {
    nexus.run(&["store", "status", "--json"]).json()["active_key"].as_str().unwrap().to_owned()
}

/// Makes a key on the last host, distributes it, and makes it active. Returns the ids of the old key and the new one.
fn rotate(homes: &[Nexus]) -> (String, String) {
    let last = homes.last().unwrap();
    let old = active(last);
    let new = last.run(&["key", "add"]).ok().trim().to_owned();
    homes.iter().for_each(|nexus| nexus.write(KEY, &keys(last), 0o600));
    last.run(&["key", "activate", &new]).ok();
    (old, new)
}

#[track_caller]
fn fails(nexus: &Nexus, words: &[&str], code: i32, why: &str) {
    let output = nexus.run(words);
    assert!(output.code == Some(code) && output.stderr.contains(why), "{why}: {output}");
}

#[test]
fn the_key_of_a_fleet_is_replaced_while_hosts_use_the_store() {
    // The token has expired when it is issued, so the next command that needs it refreshes it.
    let sandbox = sandbox(lifetime(0));
    let url = server().database();
    let [first, second] = [(); 2].map(|()| host(&sandbox, &url, "ada"));
    first.sign_in();
    sandbox.change(|settings| settings.token_lifetime = Some(3_600.into()));
    let old = active(&first);
    let new = first.run(&["key", "add"]).ok().trim().to_owned();

    let not_here = format!("there is no key `{new}` in [HOME]/key/session.key");
    fails(&second, &["key", "activate", &new], 1, &not_here);
    fails(&second, &["key", "activate", &new], 1, "from a machine that has it");
    assert_eq!(active(&first), old, "nothing was changed");
    fails(&first, &["key", "retire", &old], 1, "is the active one");
    let only_old = keys(&second);

    first.run(&["key", "activate", &new]).ok();
    assert_eq!(active(&second), new, "for every host");
    second.run(&["oauth", "status"]).ok();
    let lacking = format!("error: the store's active key `{new}` is not in [HOME]/key/session.key\n");
    for words in
        [&["oauth", "token"][..], &["oauth", "start", "--no-browser"], &["key", "reseal"], &["key", "retire", &old]]
    {
        fails(&second, words, 1, &lacking);
    }
    assert_eq!(sandbox.refreshes(), 0, "no token was spent");

    fails(&first, &["key", "retire", &old], 1, "is still needed by 1 session");
    let resealed = format!("Sealed again with key {new}: 1 session; sealed with it already: nothing\n");
    assert_eq!(first.run(&["key", "reseal"]).ok(), resealed);
    let token = first.run(&["oauth", "token"]).ok();
    assert_eq!(sandbox.refreshes(), 1);
    let lacking =
        format!("error: the key `{new}`, which a stored value is sealed with, is not in [HOME]/key/session.key\n");
    fails(&second, &["oauth", "token"], 1, &lacking);
    second.write(KEY, &keys(&first), 0o600);
    assert_eq!(second.run(&["oauth", "token"]).ok(), token);
    let shown = second.run(&["key", "show"]).ok();
    assert_eq!(shown, format!("file: [HOME]/key/session.key\n{old}: seals nothing\n{new}: active, seals 1 session\n"));

    first.run(&["key", "retire", &old]).ok();
    second.run(&["key", "retire", &old]).ok();
    assert!(keys(&first) == keys(&second) && keys(&first).starts_with(&format!("{new} ")));
    assert_eq!(first.run(&["oauth", "token"]).ok().trim(), newest(&sandbox, "access"));
    second.write(KEY, &only_old, 0o600);
    assert_eq!(second.run(&["oauth", "token"]).code, Some(1), "the old key opens nothing any more");
}

#[test]
fn a_program_that_runs_meanwhile_takes_a_new_key_and_forgets_a_retired_one() {
    let sandbox = sandbox(Settings::default());
    let url = server().database();
    let homes = [host(&sandbox, &url, "ada")];
    homes[0].sign_in();
    let client = client(&sandbox, &url, homes[0].home(), nexus::now);
    block_on(async { client.get_valid("ada").await.unwrap() });
    let row = server().sql(&url, "SELECT encode(sealed, 'hex') FROM nexus.session");
    let (old, _) = rotate(&homes);
    homes[0].run(&["key", "reseal"]).ok();
    block_on(async { client.get_valid("ada").await.unwrap() });
    homes[0].run(&["key", "retire", &old]).ok();
    block_on(async { client.refresh("ada").await.unwrap() });
    // Somebody who can write to the database has the old key.
    server().sql(&url, &format!("UPDATE nexus.session SET generation = 1, sealed = '\\x{row}'"));
    let refused = block_on(async { client.get_valid("ada").await.unwrap_err() });
    assert_eq!(refused.code(), "key_missing", "{refused}");
}

#[test]
fn a_host_without_a_key_says_which_it_lacks_and_makes_none() {
    let sandbox = sandbox(Settings::default());
    let url = server().database();
    let nexus = host(&sandbox, &url, "ada");
    nexus.sign_in();
    let (other, id) = (host(&sandbox, &url, "grace"), active(&nexus));
    fs::remove_file(other.path(KEY)).unwrap();
    let lacking =
        format!("error: the store's active key `{id}` is not in [HOME]/key/session.key\n  copy the line of this key");
    for words in [&["oauth", "start", "--no-browser"][..], &["key", "reseal"], &["key", "retire", "other"]] {
        fails(&other, words, 1, &lacking);
    }
    let of_ada = host(&sandbox, &url, "ada");
    fs::remove_file(of_ada.path(KEY)).unwrap();
    let lacking =
        format!("error: the key `{id}`, which a stored value is sealed with, is not in [HOME]/key/session.key\n");
    for words in
        [&["oauth", "status"][..], &["oauth", "token"], &["oauth", "refresh"], &["oauth", "logout"], &["chat", "hi"]]
    {
        fails(&of_ada, words, 1, &lacking);
    }
    fails(&of_ada, &["key", "activate", &id], 1, &format!("there is no key `{id}` in [HOME]/key/session.key"));
    assert!(!other.path(KEY).exists() && !of_ada.path(KEY).exists());
    nexus.run(&["oauth", "token"]).ok();
    other.write(KEY, &format!("nexus-key-1 {}\n", "B".repeat(42) + "A"), 0o600);
    fails(&other, &["oauth", "start", "--no-browser"], 1, "error: the store's active key `");
}

#[test]
fn a_host_without_the_key_does_not_sign_the_others_out() {
    let sandbox = sandbox(Settings::default());
    let url = server().database();
    let (nexus, other) = (host(&sandbox, &url, "ada"), host(&sandbox, &url, "ada"));
    nexus.sign_in();
    other.write(KEY, &format!("nexus-key-1 {}\n", "B".repeat(42) + "A"), 0o600);
    fails(&other, &["oauth", "logout"], 1, "is not in [HOME]/key/session.key");
    fs::remove_file(other.path(KEY)).unwrap();
    assert_ne!(other.run(&["oauth", "logout"]).code, Some(0));
    nexus.run(&["oauth", "token"]).ok();
}

#[test]
fn hosts_take_their_keys_from_a_command() {
    let sandbox = sandbox(Settings::default());
    let url = server().database();
    let homes: Vec<_> = (0..2)
        .map(|_| {
            let nexus = host(&sandbox, &url, "ada");
            fs::rename(nexus.path(KEY), nexus.path("keys")).unwrap();
            let config = fs::read_to_string(nexus.path("config.toml")).unwrap();
            nexus.configure(&format!("key = \"command\"\nkey_command = [\"/bin/cat\", \"keys\"]\n{config}"));
            nexus
        })
        .collect();
    homes[0].sign_in();
    let old = active(&homes[0]);
    let token = homes[1].run(&["oauth", "token"]).ok();
    let line = homes[0].run(&["key", "add", "--out", "-"]).ok();
    let new = line.split(' ').next().unwrap();
    fails(&homes[0], &["key", "activate", new], 1, &format!("there is no key `{new}` in key_command `/bin/cat`"));
    for nexus in &homes {
        nexus.write("keys", &(fs::read_to_string(nexus.path("keys")).unwrap() + &line), 0o600);
    }
    homes[0].run(&["key", "activate", new]).ok();
    homes[1].run(&["key", "reseal"]).ok();
    homes[1].run(&["key", "retire", &old]).ok();
    homes.iter().for_each(|nexus| nexus.write("keys", &line, 0o600));
    assert_eq!(homes[0].run(&["oauth", "token"]).ok(), token);
    homes[0].write("keys", &format!("other {}\n", "A".repeat(43)), 0o600);
    let lacking =
        format!("error: the key `{new}`, which a stored value is sealed with, is not in key_command `/bin/cat`\n");
    fails(&homes[0], &["oauth", "token"], 1, &lacking);
}

#[test]
fn a_fleet_that_refreshes_while_everything_is_sealed_again_loses_no_session() {
    let sandbox = sandbox(lifetime(0));
    let url = server().database();
    let homes: Vec<_> = ["ada", "grace", "alan"].map(|owner| host(&sandbox, &url, owner)).into();
    homes.iter().for_each(|nexus| drop(nexus.sign_in()));
    for _ in 0..3 {
        let (old, new) = rotate(&homes);
        // Every command refreshes, because each token has expired when it is issued.
        let working: Vec<(&Nexus, Child)> = (0..8)
            .flat_map(|_| &homes)
            .map(|nexus| (nexus, nexus.command(&["oauth", "refresh"]).spawn().unwrap()))
            .collect();
        let resealing: Vec<_> = homes.iter().map(|nexus| nexus.command(&["key", "reseal"]).spawn().unwrap()).collect();
        for (nexus, child) in homes.iter().zip(resealing) {
            nexus.finish(child).ok();
        }
        for (nexus, child) in working {
            nexus.finish(child).ok();
        }
        homes[0].run(&["key", "reseal"]).ok();
        homes.iter().for_each(|nexus| drop(nexus.run(&["key", "retire", &old]).ok()));
        for nexus in &homes {
            nexus.run(&["oauth", "refresh"]).ok();
            assert_eq!(active(nexus), new);
        }
    }
    assert!(sandbox.refreshes() > 3, "{} refreshes", sandbox.refreshes());
}

#[test]
fn a_key_is_not_retired_while_a_refresh_that_began_with_it_is_in_flight() {
    let sandbox = sandbox(lifetime(0));
    let url = server().database();
    let homes = [(); 3].map(|()| host(&sandbox, &url, "ada"));
    homes[0].sign_in();
    sandbox.change(|settings| settings.token_lifetime = Some(3_600.into()));
    let (refreshing, gate) = homes[0].held(&sandbox, Scripted::Paused, &["oauth", "token"]);
    let (old, new) = rotate(&homes);
    let mut resealing = homes[1].command(&["key", "reseal"]).spawn().unwrap();
    wait_for(&url, &named("session", &new), "1");
    resealing.kill().unwrap();
    resealing.wait().unwrap();
    // Nothing is sealed with the old key, but the answer will be.
    let retiring = homes[2].command(&["key", "retire", &old]).spawn().unwrap();
    let waits = "SELECT count(*) > 0 FROM pg_stat_activity WHERE query LIKE '%lease_until < to_timestamp(%' AND datname = \
                 current_database() AND pid <> pg_backend_pid()";
    wait_for(&url, waits, "t");
    gate.open();
    let token = homes[0].finish(refreshing).ok();
    let refused = homes[2].finish(retiring);
    assert!(refused.code == Some(1) && refused.stderr.contains("is still needed by 1 session"), "{refused}");
    homes[1].run(&["key", "reseal"]).ok();
    homes[2].run(&["key", "retire", &old]).ok();
    assert_eq!(homes[2].run(&["oauth", "token"]).ok(), token);
}

/// A query for the number of values in a table that name a key.
fn named(table: &str, id: &str) -> String {
    format!("SELECT count(*) FROM nexus.{table} WHERE position('{id}'::bytea IN sealed) > 0")
}

/// The store as a program that uses the library sees it.
fn sessions(url: &str, home: &Path) -> SealedSessions {
    let store = PostgresStore::new(&PostgresUrl::parse(url).unwrap());
    SealedSessions::new(Arc::new(store), Keystore::new(&home.join("key"), &home.join("state")))
}

fn owner(number: usize) -> SessionKey {
    SessionKey { provider: "work".into(), owner: format!("p{number:03}") }
}

#[test]
fn a_reseal_that_was_killed_is_continued() {
    const VALUES: usize = 250;
    let sandbox = sandbox(Settings::default());
    let url = server().database();
    let homes = [host(&sandbox, &url, "ada")];
    homes[0].sign_in();
    let library = sessions(&url, homes[0].home());
    block_on(async {
        for number in 0..VALUES {
            library.put_pending(&owner(number), "state", b"value", Duration::from_secs(600)).await.unwrap();
        }
    });
    let (old, new) = rotate(&homes);
    // Another transaction holds a row of the second batch.
    let holding = "BEGIN; SELECT 1 FROM nexus.pending WHERE owner = 'p150' FOR UPDATE; SELECT pg_sleep(600)";
    let mut holder = server().psql(&url, holding);
    wait_for(&url, "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)' AND state = 'active'", "1");
    let mut resealing = homes[0].command(&["key", "reseal"]).stdout(Stdio::null()).spawn().unwrap();
    wait_for(&url, &named("pending", &new), "100");
    resealing.kill().unwrap();
    resealing.wait().unwrap();
    holder.kill().unwrap();
    holder.wait().unwrap();
    server().sql(&url, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%FOR UPDATE%' AND pid <> pg_backend_pid()");

    fails(&homes[0], &["key", "retire", &old], 1, "is still needed by ");
    let counts = homes[0].run(&["key", "reseal", "--json"]).json();
    assert_eq!((&counts["key"], &counts["left"]["pending_sign_ins"]), (&json!(new), &json!(0)));
    let number = |what: &str| counts[what]["pending_sign_ins"].as_u64().unwrap();
    assert!(number("already") >= 100 && number("already") + number("resealed") == 250, "{counts}");
    homes[0].run(&["key", "retire", &old]).ok();
    homes[0].run(&["oauth", "token"]).ok();
    block_on(async {
        let library = sessions(&url, homes[0].home());
        for number in 0..VALUES {
            let taken = library.take_pending(&owner(number), "state").await.unwrap();
            assert_eq!(taken.unwrap().as_slice(), b"value");
        }
    });
}

/// Waits until a query has this result.
fn wait_for(url: &str, query: &str, result: &str) {
    let found = (0..5_000).any(|_| server().sql(url, query) == result);
    assert!(found, "{query}");
}

#[test]
fn pending_sign_ins_and_registered_clients_are_sealed_again_and_counted() {
    let registration = Some(Registration::open(ClientAuth::None));
    let sandbox = sandbox(Settings { registration, ..Settings::default() });
    let url = server().database();
    let homes = [host(&sandbox, &url, "ada")];
    homes[0].configure(&registering(&sandbox));
    homes[0].sign_in();
    let library = sessions(&url, homes[0].home());
    let wait = Duration::from_secs(600);
    block_on(library.put_pending(&owner(1), "state", b"value", wait)).unwrap();
    let (old, new) = rotate(&homes);
    let all = "1 session, 1 pending sign-in and 1 registered client";
    fails(&homes[0], &["key", "retire", &old], 1, &format!("is still needed by {all}"));
    let shown = homes[0].run(&["key", "show", "--json"]).json();
    assert_eq!(shown["keys"][0]["values"], json!({ "sessions": 1, "pending_sign_ins": 1, "clients": 1 }));
    let resealed = format!("Sealed again with key {new}: {all}; sealed with it already: nothing\n");
    assert_eq!(homes[0].run(&["key", "reseal"]).ok(), resealed);
    homes[0].run(&["key", "retire", &old]).ok();
    let taken = block_on(library.take_pending(&owner(1), "state")).unwrap();
    assert_eq!(taken.unwrap().as_slice(), b"value");
    homes[0].sign_in();
    assert_eq!(sandbox.requests_to(Endpoint::Register).len(), 1, "the registered client is used again");
}

/// The configuration of a provider `work` that registers its client.
fn registering(sandbox: &Sandbox) -> String {
    let registration = format!("registration_url = \"{}\"", sandbox.url(Endpoint::Register));
    config(sandbox, "").replace("client_id = \"sandbox-client\"", &registration)
}

#[test]
fn the_keys_that_are_here_and_those_that_are_missing_are_listed() {
    let sandbox = sandbox(Settings::default());
    let url = server().database();
    let (ada, grace) = (host(&sandbox, &url, "ada"), host(&sandbox, &url, "grace"));
    ada.sign_in();
    let old = active(&ada);
    assert_eq!(
        ada.run(&["key", "show"]).ok(),
        format!("file: [HOME]/key/session.key\n{old}: active, seals 1 session\n")
    );
    let new = ada.run(&["key", "add"]).ok().trim().to_owned();
    ada.run(&["key", "activate", &new]).ok();
    grace.write(KEY, &keys(&ada), 0o600);
    grace.sign_in();
    grace.run(&["key", "activate", &old]).ok();
    let here = format!("{old}: active, seals 1 session\n");
    ada.write(KEY, keys(&ada).lines().next().unwrap(), 0o600);
    let shown = ada.run(&["key", "show"]);
    assert_eq!(
        shown.stdout,
        format!("file: [HOME]/key/session.key\n{here}{new}: not on this machine, seals 1 session\n")
    );
    let lacking =
        format!("error: the key `{new}`, which a stored value is sealed with, is not in [HOME]/key/session.key\n");
    assert!(shown.code == Some(1) && shown.stderr.starts_with(&lacking), "{shown}");
    let listed = ada.run(&["key", "show", "--json"]).json();
    assert_eq!((&listed["keys"][1]["id"], &listed["keys"][1]["here"]), (&json!(new), &json!(false)));
    fs::remove_file(ada.path(KEY)).unwrap();
    let shown = ada.run(&["key", "show"]);
    assert!(shown.code == Some(1) && shown.stdout.starts_with("no key on this machine\n"), "{shown}");
    for id in [&old, &new] {
        assert!(shown.stdout.contains(&format!("\n{id}: ")), "{shown}");
    }
}

#[test]
fn a_session_that_is_saved_with_the_old_key_meanwhile_is_counted_once() {
    let sandbox = sandbox(lifetime(0));
    let url = server().database();
    let homes = [(); 2].map(|()| host(&sandbox, &url, "ada"));
    homes[0].sign_in();
    sandbox.change(|settings| settings.token_lifetime = Some(3_600.into()));
    let (refreshing, gate) = homes[0].held(&sandbox, Scripted::Paused, &["oauth", "token"]);
    let (_, new) = rotate(&homes);
    let resealing = homes[1].command(&["key", "reseal"]).stdout(Stdio::piped()).spawn().unwrap();
    // It waits for the refresh, whose answer is sealed with the old key.
    wait_for(&url, &named("session", &new), "1");
    gate.open();
    homes[0].finish(refreshing).ok();
    let resealed = format!("Sealed again with key {new}: 1 session; sealed with it already: nothing\n");
    assert_eq!(homes[1].finish(resealing).ok(), resealed);
    assert_eq!(server().sql(&url, &named("session", &new)), "1");
}

#[test]
fn a_copy_of_the_database_opens_nothing_without_the_key() {
    let sandbox = sandbox(Settings::default());
    let url = server().database();
    let nexus = host(&sandbox, &url, "ada");
    nexus.sign_in();
    let rows = server().sql(&url, "SELECT * FROM nexus.session");
    let tokens = [newest(&sandbox, "access"), newest(&sandbox, "refresh")];
    let hex = |text: &str| text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert!(tokens.iter().all(|token| !rows.contains(token) && !rows.contains(&hex(token))), "no token is readable");
    let copy = server().copy_of(&url);
    let thief = host(&sandbox, &copy, "ada");
    fs::remove_file(thief.path(KEY)).unwrap();
    assert_eq!(thief.run(&["oauth", "token"]).code, Some(1), "there is no key");
    thief.write(KEY, &format!("thief {}\n", "B".repeat(42) + "A"), 0o600);
    fails(&thief, &["oauth", "token"], 1, "which a stored value is sealed with, is not in");
    let id = active(&thief);
    thief.write(KEY, &format!("{id} {}\n", "B".repeat(42) + "A"), 0o600);
    fails(&thief, &["oauth", "token"], 1, "the stored session cannot be decrypted with the key in");
    assert_eq!(thief.run(&["key", "reseal"]).code, Some(0), "nothing is to be sealed again");
    assert_eq!(server().sql(&copy, "SELECT * FROM nexus.session"), rows, "nothing was changed");
}

#[test]
fn a_changed_row_is_refused() {
    let sandbox = sandbox(Settings::default());
    let url = server().database();
    let (ada, eve) = (host(&sandbox, &url, "ada"), host(&sandbox, &url, "eve"));
    ada.sign_in();
    let row = server().sql(&url, "SELECT encode(sealed, 'hex') FROM nexus.session WHERE owner = 'ada'");
    let restore = format!("UPDATE nexus.session SET owner = 'ada', generation = 1, sealed = '\\x{row}'");
    for change in [
        "owner = 'eve'",
        "generation = 2",
        "sealed = set_byte(sealed, 5, get_byte(sealed, 5) # 1)",
        "sealed = set_byte(sealed, 23, get_byte(sealed, 23) # 1)",
        "sealed = set_byte(sealed, length(sealed) - 1, get_byte(sealed, length(sealed) - 1) # 1)",
        "sealed = substring(sealed FROM 1 FOR 100)",
    ] {
        server().sql(&url, &format!("UPDATE nexus.session SET {change}"));
        let nexus = if change.starts_with("owner") { &eve } else { &ada };
        let output = nexus.run(&["oauth", "token"]);
        assert!(output.code == Some(1) && output.stdout.is_empty(), "{change}: {output}");
        server().sql(&url, &restore);
        ada.run(&["oauth", "token"]).ok();
    }
    assert_eq!(sandbox.refreshes(), 0);
}
