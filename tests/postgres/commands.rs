use nexus::sandbox::Settings;

use crate::fleet::host;
use crate::nexus::{Nexus, Output, lifetime, newest, sandbox};
use crate::server::server;

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
fn an_unusable_url_is_a_configuration_error_that_hides_the_password() {
    let sandbox = sandbox(Settings::default());
    for (url, why) in [
        ("postgres://ada:hush@db.example.com/n?sslmode=require", "NEXUS_STORE has an `sslmode` that does not verify"),
        ("postgres://ada:hush@db.example.com/n?sslmode=disable", "NEXUS_STORE has `sslmode=disable`, which is allowed"),
        ("postgres://ada:hush@db.example.com:x/n", "NEXUS_STORE is not a valid PostgreSQL URL"),
        ("mysql://ada:hush@db.example.com/n", "NEXUS_STORE does not begin with `postgres://`"),
    ] {
        let output = host(&sandbox, url, "ada").run(&["oauth", "token"]);
        assert!(output.code == Some(2) && output.stderr.contains(why), "{output}");
        assert!(!output.stderr.contains("hush"), "{output}");
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
fn a_server_that_cannot_be_reached_is_temporary() {
    let sandbox = sandbox(Settings::default());
    let output = host(&sandbox, "postgres://ada:hush@127.0.0.1:1/n?sslmode=disable", "ada").run(&["oauth", "token"]);
    let expected = "error: postgres://127.0.0.1:1/n: the session store cannot be reached: ";
    assert!(output.code == Some(75) && output.stderr.starts_with(expected), "{output}");
}

#[test]
fn a_missing_database_is_a_configuration_error() {
    let sandbox = sandbox(Settings::default());
    let url = server().database().replace("/test", "/none");
    let output = host(&sandbox, &url, "ada").run(&["oauth", "token"]);
    assert!(output.code == Some(2) && output.stderr.contains("does not exist"), "{output}");
}

#[test]
fn the_tables_are_created_and_shown() {
    let sandbox = sandbox(Settings::default());
    let url = server().database();
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
    let url = server().database();
    let sql = host(&sandbox, &url, "ada").run(&["store", "schema"]).ok();
    server().sql(&url, &sql);
    let (role, serving) = server().role(&url, "");
    for line in sql.lines().filter_map(|line| line.strip_prefix("-- GRANT ")) {
        server().sql(&url, &format!("GRANT {}", line.replace("nexus_app", &role)));
    }
    let nexus = host(&sandbox, &serving, "ada");
    nexus.sign_in();
    nexus.run(&["oauth", "token"]).ok();
    let refused = nexus.run(&["store", "migrate"]);
    assert_eq!(refused.code, Some(0), "there is nothing to do: {refused}");
}

#[test]
fn a_role_that_may_not_create_tables_is_told_so() {
    let sandbox = sandbox(Settings::default());
    let url = server().database();
    let (_, without_rights) = server().role(&url, "");
    let refused = host(&sandbox, &without_rights, "").run(&["store", "migrate"]);
    assert!(refused.code == Some(2) && refused.stderr.contains("permission denied"), "{refused}");
}

#[test]
fn sqlite_migrates_itself() {
    let nexus = Nexus::new();
    let said = "The sessions are in a SQLite file, which is migrated when it is used\n";
    ok(nexus.run(&["store", "migrate"]), "", said);
    ok(nexus.run(&["store", "status"]), &format!("{}\n", "[HOME]/data/sessions.db"), "");
}
