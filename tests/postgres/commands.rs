use nexus::sandbox::Settings;
use nexus::store::PostgresStore;

use crate::fleet::host;
use crate::nexus::{Nexus, Output, lifetime, newest, sandbox};
use crate::server::server;

/// Gives a role the rights that the documentation names.
fn grant(url: &str, role: &str) {
    server().sql(url, &PostgresStore::grants(role));
}

fn ok(output: Output, stdout: &str, stderr: &str) {
    assert!(output.code == Some(0) && output.stdout == stdout && output.stderr == stderr, "{output}");
}

#[test]
fn a_sign_in_on_one_host_is_the_session_of_another() {
    let sandbox = sandbox(Settings::default());
    let url = server().database();
    let (first, second) = (host(&sandbox, &url, "ada"), host(&sandbox, &url, "ada"));
    assert_eq!(first.run(&["oauth", "status"]).code, Some(4), "an empty database has no session");
    first.sign_in();
    let token = second.run(&["oauth", "token"]).ok();
    assert_eq!(token.trim(), newest(&sandbox, "access"));
    assert!(second.run(&["oauth", "status"]).ok().starts_with("Token active, expires in "));
    assert!(second.run(&["chat", "Hello"]).ok().contains("Hello"));
    let other = host(&sandbox, &url, "grace");
    assert_eq!(other.run(&["oauth", "token"]).code, Some(4), "another owner has another session");
    second.run(&["oauth", "logout"]).ok();
    assert_eq!(first.run(&["oauth", "token"]).code, Some(4), "signed out everywhere");
    assert!(!first.path("data/sessions.db").exists(), "nothing is stored beside the database");
}

#[test]
fn a_refresh_leaves_no_lease_behind() {
    let sandbox = sandbox(lifetime(0));
    let url = server().database();
    let nexus = host(&sandbox, &url, "ada");
    nexus.sign_in();
    sandbox.change(|settings| settings.token_lifetime = Some(3_600.into()));
    nexus.run(&["oauth", "token"]).ok();
    assert_eq!(sandbox.refreshes(), 1);
    assert_eq!(server().sql(&url, "SELECT generation, lease IS NULL FROM nexus.session"), "2|t");
}

#[test]
fn the_url_may_be_in_the_configuration_or_in_a_file() {
    let sandbox = sandbox(Settings::default());
    let url = server().database();
    let signed_in = host(&sandbox, &url, "ada");
    signed_in.sign_in();
    let config = std::fs::read_to_string(signed_in.path("config.toml")).unwrap();
    for line in [format!("store = \"{url}\"\n"), "store_file = \"url\"\n".to_owned()] {
        let nexus = host(&sandbox, "", "");
        nexus.write("url", &format!("{url}\n"), 0o600);
        nexus.configure(&format!("owner = \"ada\"\n{line}{config}"));
        nexus.run(&["oauth", "token"]).ok();
    }
}

#[test]
fn a_shared_store_needs_an_owner() {
    let sandbox = sandbox(Settings::default());
    let url = server().database();
    let nexus = host(&sandbox, &url, "");
    for words in [&["oauth", "token"][..], &["oauth", "status"], &["chat", "hi"], &["oauth", "start", "--no-browser"]] {
        let output = nexus.run(words);
        assert!(output.code == Some(2) && output.stderr.contains("`owner` is not set"), "{output}");
    }
}

#[test]
fn tls_is_required_on_loopback_too_unless_it_is_turned_off() {
    let sandbox = sandbox(Settings::default());
    let url = server().database().replace("?sslmode=disable", "");
    let output = host(&sandbox, &url, "ada").run(&["oauth", "token"]);
    assert!(output.code == Some(2) && output.stderr.contains("the server does not support TLS"), "{output}");
    assert!(output.stderr.contains("?sslmode=disable"), "{output}");
}

#[test]
fn the_tables_are_created_and_shown() {
    let sandbox = sandbox(Settings::default());
    let url = server().empty_database();
    let mut nexus = host(&sandbox, &url, "");
    nexus.name(url.trim_start_matches("postgres://nexus@").split('?').next().unwrap(), "[DATABASE]");
    let missing = nexus.run(&["store", "status"]);
    assert!(missing.code == Some(2) && missing.stderr.contains("run `nexus store migrate`"), "{missing}");
    ok(nexus.run(&["store", "migrate"]), "", "Created the tables in postgres://[DATABASE] (version 3)\n");
    ok(nexus.run(&["store", "migrate"]), "", "The tables in postgres://[DATABASE] are up to date (version 3)\n");
    ok(nexus.run(&["store", "status"]), "postgres://[DATABASE], tables of version 3\n", "");
    let object = nexus.run(&["store", "status", "--json"]).json();
    assert_eq!((&object["kind"], &object["schema"]), (&"postgres".into(), &3.into()));
    server().sql(&url, "UPDATE nexus.version SET version = 9");
    let newer = nexus.run(&["store", "status"]);
    assert!(newer.code == Some(2) && newer.stderr.contains("newer nexus (version 9)"), "{newer}");
    assert_eq!(host(&sandbox, &url, "ada").run(&["oauth", "token"]).code, Some(2));
}

#[test]
fn the_printed_sql_creates_what_a_second_role_can_use() {
    let sandbox = sandbox(Settings::default());
    let url = server().empty_database();
    let sql = host(&sandbox, &url, "ada").run(&["store", "schema"]).ok();
    server().sql(&url, &sql);
    let (role, serving) = server().role(&url, "");
    grant(&url, &role);
    let nexus = host(&sandbox, &serving, "ada");
    nexus.sign_in();
    nexus.run(&["oauth", "token"]).ok();
    let refused = nexus.run(&["store", "migrate"]);
    assert_eq!(refused.code, Some(0), "there is nothing to do: {refused}");
}

#[test]
fn sqlite_migrates_itself() {
    let nexus = Nexus::new();
    let said = "The sessions are in a SQLite file, which is migrated when it is used\n";
    ok(nexus.run(&["store", "migrate"]), "", said);
    ok(nexus.run(&["store", "status"]), &format!("{}\n", "[HOME]/data/sessions.db"), "");
}
