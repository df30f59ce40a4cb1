use nexus::sandbox::{Endpoint, Settings};
use nexus::store::PostgresStore;

use crate::fleet::host;
use crate::nexus::{Output, sandbox};
use crate::server::{Server, server};

const TOKEN: &[&str] = &["oauth", "token"];

/// A configuration error with this text, which shows no password.
#[track_caller]
fn assert_refused(output: &Output, why: &str) {
    assert!(output.code == Some(2) && output.stderr.contains(why), "{why}: {output}");
    assert!(!output.stderr.contains("hush") && !output.stdout.contains("hush"), "{output}");
}

#[test]
fn an_unusable_url_is_a_configuration_error_that_names_the_parameter_and_hides_the_password() {
    let sandbox = sandbox(Settings::default());
    for (url, why) in [
        ("postgres://ada:hush@db.example.com/n?sslmode=require", "NEXUS_STORE has an `sslmode` that does not verify"),
        ("postgres://ada:hush@db.example.com/n?sslmode=disable", "NEXUS_STORE has `sslmode=disable`, which is allowed"),
        (
            "postgres://ada:hush@db.example.com/n?sslmode=VERIFY-FULL",
            "NEXUS_STORE has a value of `sslmode` that is not",
        ),
        (
            "postgres://ada:hush@db.example.com/n?SSLMODE=verify-full",
            "NEXUS_STORE has the parameter `SSLMODE`, which is",
        ),
        ("postgres://ada:hush@db.example.com/n?pool_size=3", "NEXUS_STORE has the parameter `pool_size`, which is not"),
        (
            "postgres://ada:hush@db.example.com/n?connect_timeout=soon",
            "NEXUS_STORE has a value of `connect_timeout` that",
        ),
        ("postgres://ada:hush@db.example.com/n?user=a&user=b", "NEXUS_STORE has the parameter `user` twice"),
        ("postgres://ada:?hush=x@db.example.com/n", "NEXUS_STORE is not a valid PostgreSQL URL"),
        ("postgres://ada:hush@db.example.com:x/n", "NEXUS_STORE is not a valid PostgreSQL URL"),
        ("mysql://ada:hush@db.example.com/n", "NEXUS_STORE does not begin with `postgres://`"),
        // The server cannot be reached either.
        (
            "postgres://ada:hush@127.0.0.1:1/n?sslrootcert=/none/ca.pem",
            "the file of `sslrootcert` cannot be used: /none/ca",
        ),
    ] {
        assert_refused(&host(&sandbox, url, "ada").run(TOKEN), why);
    }
}

#[test]
fn an_owner_is_one_short_line() {
    let sandbox = sandbox(Settings::default());
    let long = "a".repeat(256);
    for (owner, why) in [
        (&*long, "NEXUS_OWNER has 256 bytes, and an owner may have 255"),
        ("ada\nlovelace", "NEXUS_OWNER has a line break in it"),
        ("ada\u{1b}[2J", "NEXUS_OWNER has an invisible character (U+001B) in it"),
    ] {
        assert_refused(&host(&sandbox, "", owner).run(TOKEN), why);
        assert_refused(&host(&sandbox, &server().database(), owner).run(&["oauth", "start", "--no-browser"]), why);
    }
    let nexus = host(&sandbox, "", "");
    let config = std::fs::read_to_string(nexus.path("config.toml")).unwrap();
    for (owner, why) in [
        (&*long, "line 1, has 256 bytes, and an owner may have 255"),
        ("ada\\nlovelace", "has a line break in it"),
        ("ada\\u001b[2J", "has an invisible character"),
    ] {
        nexus.configure(&format!("owner = \"{owner}\"\n{config}"));
        assert_refused(&nexus.run(TOKEN), why);
    }
    host(&sandbox, &server().database(), &long[1..]).sign_in();
}

#[test]
fn a_server_that_cannot_be_reached_is_temporary() {
    let sandbox = sandbox(Settings::default());
    let nexus = host(&sandbox, "postgres://ada:hush@127.0.0.1:1/n?sslmode=disable", "ada");
    let commands = [TOKEN, &["oauth", "logout"], &["oauth", "status"]];
    for child in commands.map(|words| nexus.command(words).spawn().unwrap()) {
        let output = nexus.finish(child);
        let expected = "error: postgres://127.0.0.1:1/n: the session store cannot be reached: ";
        assert!(output.code == Some(75) && output.stderr.contains(expected), "{output}");
        let waits = "note: waiting for the session store postgres://127.0.0.1:1/n\n";
        assert!(output.stderr.contains(waits) && !output.stderr.contains("another nexus process"), "{output}");
    }
}

#[test]
fn what_the_server_or_a_pooler_refuses_is_a_configuration_error() {
    let sandbox = sandbox(Settings::default());
    let url = server().database();
    let user = |name: &str| url.replace("nexus@", &format!("{name}@"));
    server().sql(&url, "CREATE ROLE locked LOGIN PASSWORD 'open'");
    for (url, why) in [
        (url.replace("/test", "/none"), "does not exist"),
        (server().pooled(&url.replace("/test", "/none")), "does not exist"),
        (user("stranger"), "role \"stranger\" does not exist"),
        (server().pooled(&user("stranger")), "authentication failed"),
        (user("locked:hush"), "password authentication failed"),
        (format!("{url}&options=-c%20nonsense%3D1"), "unrecognized configuration parameter"),
        (server().pooled(&format!("{url}&options=-c%20nonsense%3D1")), "unsupported startup parameter: options"),
    ] {
        // Once: pgbouncer lets clients wait for 15 seconds after a failure.
        let output = host(&sandbox, &url, "ada").run(TOKEN);
        assert_refused(&output, "the server refused the connection: ");
        assert_refused(&output, why);
    }
}

#[test]
fn a_user_who_may_not_write_is_told_before_a_sign_in_begins() {
    let sandbox = sandbox(Settings::default());
    let url = server().database();
    let (role, reading) = server().role(&url, "");
    server().sql(
        &url,
        &format!("GRANT USAGE ON SCHEMA nexus TO {role}; GRANT SELECT ON ALL TABLES IN SCHEMA nexus TO {role}"),
    );
    let nexus = host(&sandbox, &reading, "ada");
    let start = ["oauth", "start", "--no-browser"];
    for words in [&start[..], &["store", "status"], &["doctor", "--offline"]] {
        let output = nexus.run(words);
        let text = format!("{}{}", output.stdout, output.stderr);
        assert!(output.code == Some(2) && text.contains("INSERT, UPDATE on nexus.active_key; "), "{output}");
        assert!(text.contains("INSERT, UPDATE, DELETE on nexus.session"), "{output}");
        assert!(text.contains("the rights that `nexus store schema` lists"), "{output}");
    }
    server().sql(&url, &PostgresStore::grants(&role));
    nexus.run(&["store", "status"]).ok();
    server().sql(&url, &format!("ALTER ROLE {role} SET default_transaction_read_only = on"));
    for words in [&start[..], &["store", "status"], TOKEN] {
        assert_refused(&nexus.run(words), "the transactions of the store's user are read-only");
    }
    assert_eq!(sandbox.requests_to(Endpoint::Authorize).len() + sandbox.requests_to(Endpoint::Token).len(), 0);
    server().sql(&url, &format!("ALTER ROLE {role} RESET default_transaction_read_only"));
    nexus.sign_in();
}

#[test]
fn a_user_who_may_not_create_tables_is_told_so() {
    let sandbox = sandbox(Settings::default());
    let url = server().empty_database();
    let (_, without_rights) = server().role(&url, "");
    assert_refused(&host(&sandbox, &without_rights, "").run(&["store", "migrate"]), "permission denied");
}

/// Commands that need the tables.
const COMMANDS: &[&[&str]] = &[
    TOKEN,
    &["oauth", "status"],
    &["oauth", "status", "--all"],
    &["oauth", "refresh"],
    &["oauth", "logout"],
    &["oauth", "logout", "--all"],
    &["oauth", "start", "--no-browser"],
    &["chat", "hi"],
    &["models"],
    &["doctor", "--offline"],
    &["key", "show"],
    &["key", "reseal"],
    &["store", "status"],
];

#[test]
fn a_database_without_tables_is_migrated_by_nothing_but_store_migrate() {
    let sandbox = sandbox(Settings::default());
    let url = server().empty_database();
    let nexus = host(&sandbox, &url, "ada");
    for words in COMMANDS {
        let output = nexus.run(words);
        let text = format!("{}{}", output.stdout, output.stderr);
        assert!(output.code == Some(2) && text.contains("the database has no schema of nexus"), "{words:?}: {output}");
        assert!(text.contains("run `nexus store migrate`"), "{words:?}: {output}");
    }
    let to = nexus.path("data/sessions.db").to_string_lossy().into_owned();
    let mut old = host(&sandbox, "", "");
    old.set("NEXUS_OWNER", "ada");
    old.sign_in();
    assert_refused(&old.run(&["store", "move", "--to", &url]), "the database has no schema of nexus");
    assert_refused(&nexus.run(&["store", "move", "--to", &to]), "the database has no schema of nexus");
    old.run(TOKEN).ok();
    assert_eq!(server().sql(&url, "SELECT count(*) FROM pg_namespace WHERE nspname = 'nexus'"), "0");
    nexus.run(&["store", "migrate"]).ok();
    nexus.sign_in();
}

#[test]
fn tables_without_a_version_are_not_used() {
    let sandbox = sandbox(Settings::default());
    let url = server().database();
    let nexus = host(&sandbox, &url, "ada");
    nexus.sign_in();
    server().sql(&url, "DELETE FROM nexus.version");
    for words in COMMANDS.iter().chain([&&["store", "migrate"][..]]) {
        let output = nexus.run(words);
        let text = format!("{}{}", output.stdout, output.stderr);
        assert!(output.code == Some(2) && text.contains("nexus.version is empty"), "{words:?}: {output}");
        assert!(text.contains("then run `nexus store migrate`"), "{words:?}: {output}");
    }
    let version = Server::database_of(&url);
    server().sql(version, "INSERT INTO nexus.version (version) VALUES (3)");
    nexus.run(TOKEN).ok();
}
