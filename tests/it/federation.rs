//! Workload Identity Federation: the provider `claude_federation` and its variables.

use nexus::sandbox::{Endpoint, Sandbox, Scripted, Settings};
use serde_json::{Value, json};

use crate::nexus::{Nexus, config, sandbox};
use crate::stored::Stored;

const TOKEN: &str = "sk-ant-oat01-federation";

/// A CI job: the variables, the identity token in a file, and a sandbox that stands for the Claude Console.
fn job() -> (Sandbox, Nexus) {
    let (sandbox, mut nexus) = (sandbox(Settings::default()), Nexus::new());
    nexus.name(&sandbox.origin().replace("http://", ""), "[SERVER]");
    nexus.write("identity", "header.claims.signature\n", 0o600);
    let file = nexus.path("identity").to_str().unwrap().to_owned();
    for (name, value) in [
        ("ANTHROPIC_FEDERATION_RULE_ID", "fdrl_1"),
        ("ANTHROPIC_ORGANIZATION_ID", "00000000-0000-4000-8000-000000000000"),
        ("ANTHROPIC_IDENTITY_TOKEN_FILE", &file),
        ("ANTHROPIC_BASE_URL", &sandbox.origin()),
    ] {
        nexus.set(name, value);
    }
    (sandbox, nexus)
}

fn grants(sandbox: &Sandbox, lifetimes: impl IntoIterator<Item = i64>) {
    let granted = |lifetime| {
        let scope = "workspace:inference";
        json!({ "access_token": TOKEN, "token_type": "Bearer", "expires_in": lifetime, "scope": scope })
    };
    sandbox.script(Endpoint::Token, lifetimes.into_iter().map(|lifetime| Scripted::json(200, &granted(lifetime))));
}

fn exchanges(sandbox: &Sandbox) -> Vec<Value> {
    sandbox.requests_to(Endpoint::Token).iter().map(|request| request.json()).collect()
}

#[test]
fn an_account_without_a_home_folder_needs_none() {
    use std::os::unix::process::CommandExt as _;

    /// A user id that no system uses.
    const STRANGER: u32 = 54_321;

    let (sandbox, nexus) = job();
    // Only root can become another user. Without it, this account has a home folder.
    if std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(format!("/proc/{}", std::process::id())).unwrap()) != 0 {
        return;
    }
    let program = nexus.path("program");
    std::fs::copy(env!("CARGO_BIN_EXE_nexus"), &program).unwrap();
    for path in [nexus.home().to_owned(), program.clone(), nexus.path("identity")] {
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
    let run = |words: &[&str]| {
        let mut command = nexus.prepared(std::process::Command::new(&program));
        command.env_remove("NEXUS_HOME").uid(STRANGER).gid(STRANGER).args(words);
        nexus.finish(command.spawn().unwrap())
    };
    let status = run(&["oauth", "status"]);
    assert_eq!((status.code, &*status.stdout), (Some(0), "No token yet, one is fetched on next use\n"), "{status}");
    for _ in 0..2 {
        grants(&sandbox, [3_600]);
        assert_eq!(run(&["oauth", "token"]).ok(), format!("{TOKEN}\n"));
    }
    assert_eq!(exchanges(&sandbox).len(), 2, "a token ends with its process");
}

#[test]
fn the_exchange_has_the_documented_fields_and_headers() {
    let (sandbox, mut nexus) = job();
    nexus.set("ANTHROPIC_SERVICE_ACCOUNT_ID", "svac_1");
    nexus.set("ANTHROPIC_WORKSPACE_ID", "wrkspc_1");
    grants(&sandbox, [3_600]);
    assert_output!(nexus.run(&["oauth", "token"]), 0, stdout: format!("{TOKEN}\n"), stderr: "");
    let request = sandbox.requests_to(Endpoint::Token).pop().unwrap();
    assert_eq!(
        request.json(),
        json!({
            "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
            "assertion": "header.claims.signature",
            "federation_rule_id": "fdrl_1",
            "organization_id": "00000000-0000-4000-8000-000000000000",
            "service_account_id": "svac_1",
            "workspace_id": "wrkspc_1",
        })
    );
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert_eq!(request.header("anthropic-beta"), Some("oauth-2025-04-20,oidc-federation-2026-04-01"));
    assert_eq!(request.header("authorization"), None);
    nexus.run(&["models"]);
    let request = sandbox.requests_to(Endpoint::Models).pop().unwrap();
    assert_eq!(request.header("authorization"), Some(&*format!("Bearer {TOKEN}")));
    assert_eq!(request.header("anthropic-beta"), Some("oauth-2025-04-20"));
    let status = "Token active, expires in 60 minutes, auto-refresh enabled\n";
    assert_eq!(nexus.run(&["oauth", "status"]).stdout, status);
}

#[test]
fn the_identity_token_is_read_anew_for_each_exchange() {
    let (sandbox, nexus) = job();
    grants(&sandbox, [3_600, 3_600]);
    nexus.run(&["oauth", "token"]).ok();
    nexus.write("identity", "header.new.signature", 0o600);
    Stored::open(nexus.home()).pass(3_600);
    nexus.run(&["oauth", "token"]).ok();
    let sent: Vec<_> = exchanges(&sandbox).iter().map(|fields| fields["assertion"].clone()).collect();
    assert_eq!(sent, ["header.claims.signature", "header.new.signature"]);
}

#[test]
fn a_variable_may_hold_the_token_and_an_empty_one_counts_as_unset() {
    let (sandbox, mut nexus) = job();
    nexus.set("ANTHROPIC_IDENTITY_TOKEN", "header.variable.signature");
    nexus.set("ANTHROPIC_WORKSPACE_ID", "");
    grants(&sandbox, [3_600, 3_600]);
    nexus.run(&["oauth", "token"]).ok();
    nexus.set("ANTHROPIC_IDENTITY_TOKEN_FILE", "");
    nexus.run(&["oauth", "start"]);
    let sent = exchanges(&sandbox);
    assert_eq!(sent[0]["assertion"], "header.claims.signature", "the file comes first");
    assert_eq!(sent[1]["assertion"], "header.variable.signature");
    assert_eq!(sent[0].get("workspace_id"), None);
    // An API key is not looked at.
    nexus.set("ANTHROPIC_API_KEY", "sk-ant-api03-x");
    assert_eq!(nexus.run(&["oauth", "token"]).ok(), format!("{TOKEN}\n"));
    for name in ["ANTHROPIC_FEDERATION_RULE_ID", "ANTHROPIC_ORGANIZATION_ID", "ANTHROPIC_IDENTITY_TOKEN"] {
        let (_sandbox, mut nexus) = job();
        nexus.set("ANTHROPIC_IDENTITY_TOKEN_FILE", "");
        nexus.set("ANTHROPIC_IDENTITY_TOKEN", "header.variable.signature");
        nexus.set(name, "  ");
        let output = nexus.run(&["oauth", "token", "--provider", "claude_federation"]);
        assert!(output.code == Some(2) && output.stderr.contains(name), "{output}");
        let output = nexus.run(&["oauth", "token"]);
        assert!(output.code == Some(4) && output.stderr.contains("not signed in to claude_code"), "{output}");
    }
}

#[test]
fn it_is_chosen_by_itself_only_where_nothing_else_is() {
    let used = |nexus: &Nexus| {
        let output = nexus.run(&["oauth", "status", "--json"]);
        (output.json()["provider"].as_str().unwrap().to_owned(), output.stderr)
    };
    let (sandbox, mut nexus) = job();
    let note =
        "note: using claude_federation, because its environment variables are set and nothing else is configured\n";
    assert_eq!(used(&nexus), ("claude_federation".into(), note.into()));
    let output = nexus.run(&["oauth", "status"]);
    assert_output!(output, 0, stdout: "No token yet, one is fetched on next use\n", stderr: note);
    grants(&sandbox, [3_600]);
    let output = nexus.run(&["--verbose", "oauth", "token"]);
    assert!(output.stderr.contains(note), "{output}");
    nexus.configure("[provider.claude_code]\nclient_id = \"c\"\n");
    assert_eq!(used(&nexus).0, "claude_code", "it has a client id in the file");
    nexus.configure("default = \"ant\"\n");
    assert_eq!(used(&nexus).0, "ant", "it is the default");
    nexus.configure("");
    assert_eq!(used(&nexus).0, "claude_federation");
    nexus.set("CLAUDE_CODE_CLIENT_ID", "c");
    assert_eq!(used(&nexus).0, "claude_code", "it has a client id in the environment");
    nexus.set("CLAUDE_CODE_CLIENT_ID", "");
    nexus.set("NEXUS_PROVIDER", "ant");
    assert_eq!(used(&nexus).0, "ant", "a variable names it");
    // A session of the built-in provider.
    let (sandbox, mut nexus) = job();
    nexus.configure(
        &config(&sandbox, "").replace("default = \"work\"\n", "").replace("provider.work", "provider.claude_code"),
    );
    nexus.set("NEXUS_PROVIDER", "claude_code");
    nexus.sign_in();
    nexus.set("NEXUS_PROVIDER", "");
    nexus.configure("");
    assert_eq!(used(&nexus).0, "claude_code", "it has a session");
}

#[test]
fn the_base_url_is_https_or_loopback_and_of_this_provider_only() {
    let (sandbox, mut nexus) = job();
    for (url, why) in [
        ("http://llm.example.com", "ANTHROPIC_BASE_URL is http; plain http is allowed on loopback only"),
        ("ftp://llm.example.com", "ANTHROPIC_BASE_URL is ftp, but must be https"),
        ("https://user:word@llm.example.com", "ANTHROPIC_BASE_URL must not contain a user name or password"),
        ("llm.example.com", "ANTHROPIC_BASE_URL does not begin with `https://`"),
    ] {
        nexus.set("ANTHROPIC_BASE_URL", url);
        let output = nexus.run(&["oauth", "token"]);
        assert!(output.code == Some(2) && output.stderr.contains(why), "{output}");
    }
    // A path stays in front.
    nexus.set("ANTHROPIC_BASE_URL", &format!("{}/", sandbox.origin()));
    grants(&sandbox, [3_600]);
    nexus.run(&["oauth", "token"]).ok();
    nexus.configure(&config(&sandbox, "").replace("default = \"work\"\n", ""));
    nexus.set("ANTHROPIC_BASE_URL", "http://llm.example.com");
    nexus.sign_in_to("work");
}

#[test]
fn failures_name_the_file_and_the_words_of_the_server() {
    let (sandbox, nexus) = job();
    let refusal = json!({ "error": "invalid_grant", "error_description": "assertion rejected" });
    sandbox.script(Endpoint::Token, [Scripted::json(400, &refusal)]);
    let output = nexus.run(&["oauth", "token"]);
    assert_eq!(output.code, Some(4), "{output}");
    for part in [
        "no access token for claude_federation",
        "[SERVER] answered 400",
        "invalid_grant: assertion rejected",
        "[HOME]/identity",
    ] {
        assert!(output.stderr.contains(part), "{part}: {output}");
    }
    assert_eq!(nexus.run(&["oauth", "status"]).code, Some(0), "the next use tries again");
    grants(&sandbox, [3_600]);
    assert_eq!(nexus.run(&["oauth", "token"]).ok(), format!("{TOKEN}\n"));
    std::fs::remove_file(nexus.path("identity")).unwrap();
    nexus.run(&["oauth", "logout"]);
    let output = nexus.run(&["oauth", "token"]);
    assert!(output.code == Some(2) && output.stderr.contains("[HOME]/identity"), "{output}");
}

#[test]
fn oauth_start_reports_the_token() {
    let (sandbox, nexus) = job();
    grants(&sandbox, [3_600]);
    let output = nexus.run(&["oauth", "start"]);
    let expected = "There is nothing to click: claude_federation gets its tokens from [SERVER].\n\
                    Got a token, which expires in 60 minutes\n";
    assert!(output.code == Some(0) && output.stdout.is_empty() && output.stderr.ends_with(expected), "{output}");
}
