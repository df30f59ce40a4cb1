//! Usage errors, a new home and closed streams.

use std::fs::{self, File};
use std::process::Stdio;

use nexus::sandbox::{Endpoint, Settings};
use serde_json::json;

use crate::nexus::{Nexus, Output, sandbox};

const NO_CLIENT: &str = "run `nexus oauth start URL` with the URL of your gateway or authorization server; or register an OAuth client, then set CLAUDE_CODE_CLIENT_ID, or set `client_id = \"...\"` \
    under [provider.claude_code] in config.toml; `nexus demo` works without one";

/// A usage error.
pub(crate) fn said_wrongly(words: &[&str]) -> Output {
    let output = Nexus::new().run(words);
    assert_eq!(output.code, Some(2), "{words:?}: {output}");
    assert!(!output.stderr.is_empty(), "{words:?}: {output}");
    output
}

#[test]
fn a_usage_error_is_exit_2_with_empty_stdout() {
    for (words, message) in [
        (&["oauth", "stat"][..], "error: unrecognized subcommand 'stat'\n"),
        (
            &["chat", "x", "--max-tokens", "0"],
            "error: invalid value '0' for '--max-tokens <N>': 0 is not in 1..=4294967295\n",
        ),
        (
            &["oauth", "start", "--timeout", "soon"],
            "error: invalid value 'soon' for '--timeout <DURATION>': write it as 90s, 5m, 1h or 2d\n",
        ),
        (
            &["oauth", "token", "--min-ttl", "5 fortnights"],
            "error: invalid value '5 fortnights' for '--min-ttl <DURATION>': write it as 90s, 5m, 1h or 2d\n",
        ),
        (
            &["oauth", "status", "--all", "--provider", "x"],
            "error: the argument '--all' cannot be used with '--provider <NAME>'\n",
        ),
        (
            &["oauth", "logout", "--all", "--provider", "x"],
            "error: the argument '--all' cannot be used with '--provider <NAME>'\n",
        ),
    ] {
        let output = said_wrongly(words);
        assert!(output.stderr.starts_with(message), "{message} in {output}");
        assert!(output.stderr.ends_with("For more information, try '--help'.\n"), "{output}");
        assert_eq!(output.stdout, "", "{words:?}");
    }
}

#[test]
fn an_oauth_command_without_oauth_is_suggested() {
    for word in ["start", "logout", "status", "token"] {
        let output = said_wrongly(&[word]);
        assert!(output.stderr.contains(&format!("'nexus oauth {word}'")), "{output}");
    }
    assert!(!said_wrongly(&["history", "status"]).stderr.contains("oauth"));
    for (words, hint) in [
        (&["models", "--json", "more"][..], "see `nexus models --help`"),
        (&["-v", "history", "list", "--json", "more"], "see `nexus history --help`"),
        (&["provider", "list", "--json", "more"], "see `nexus provider --help`"),
        (&["login", "--json"], "see `nexus login --help`"),
        (&["nonsense", "--json"], "see `nexus --help`"),
    ] {
        assert_eq!(said_wrongly(words).json()["error"]["hint"], hint, "{words:?}");
    }
}

#[test]
fn a_usage_error_with_json_is_an_object_on_stdout() {
    let output = said_wrongly(&["chat", "--json", "--max-tokens", "0", "x"]);
    let message = "invalid value '0' for '--max-tokens <N>': 0 is not in 1..=4294967295";
    assert_eq!(
        output.json(),
        json!({
            "version": 1, "answer": null, "partial": null, "model": null, "stop_reason": null, "usage": null,
            "conversation": null, "request_id": null,
            "error": { "reason": "usage", "message": message, "hint": "see `nexus chat --help`", "exit_code": 2 },
        })
    );
    assert_eq!(output.stderr, format!("error: {message}\n\nFor more information, try '--help'.\n"));
    assert_eq!(output.stdout.matches('\n').count(), 1, "one object, one line");
}

#[test]
fn no_escape_reaches_a_pipe() {
    for variables in [&[][..], &[("NO_COLOR", "1")], &[("TERM", "xterm-256color"), ("COLORTERM", "truecolor")]] {
        let mut nexus = Nexus::new();
        for (name, value) in variables {
            nexus.set(name, value);
        }
        for words in [
            &["--help"][..],
            &["chat", "--help"],
            &["--version"],
            &["nonsense"],
            &["oauth"],
            &["chat", "x"],
            &["chat", "--json", "x"],
            &["oauth", "start"],
            &["oauth", "status"],
            &["oauth", "logout"],
            &["chat", "x", "--provider", "gone"],
        ] {
            let output = nexus.run(words);
            let escapes = [&output.stdout, &output.stderr].into_iter().any(|text| text.contains('\x1b'));
            assert!(!escapes, "{words:?} {variables:?}: {output:?}");
        }
    }
}

#[test]
fn commands_in_a_new_home_say_how_to_sign_in() {
    let nexus = Nexus::new();
    let sign_in = "error: not signed in to claude_code\n  run `nexus oauth start`\n";
    assert_output!(nexus.run(&["chat", "x"]), 4, stdout: "", stderr: sign_in);
    assert_output!(nexus.run(&["oauth", "token"]), 4, stdout: "", stderr: sign_in);
    assert_output!(nexus.run(&["models"]), 4, stdout: "", stderr: sign_in);
    assert_output!(nexus.run(&["oauth", "status"]), 4,
        stdout: "Not signed in: run nexus oauth start\n", stderr: "");
    assert_output!(nexus.run(&["oauth", "logout"]), 0, stdout: "", stderr: "Not signed in\n");
    assert_output!(nexus.run(&["oauth", "logout", "--all"]), 0, stdout: "", stderr: "Not signed in\n");
    assert_output!(nexus.run(&["oauth", "start"]), 2,
        stdout: "", stderr: format!("error: no client id is configured for claude_code\n  {NO_CLIENT}\n"));
    let left = fs::read_dir(nexus.home()).unwrap().count();
    assert_eq!(left, 0, "what finds nothing leaves nothing");
}

#[test]
fn json_errors_in_a_new_home_say_not_signed_in() {
    let nexus = Nexus::new();
    let not_signed_in = json!({
        "reason": "not_signed_in",
        "message": "not signed in to claude_code",
        "hint": "run `nexus oauth start`",
        "exit_code": 4,
    });
    for words in [&["chat", "x", "--json"][..], &["oauth", "token", "--json"], &["models", "--json"]] {
        let output = nexus.run(words);
        let object = output.json();
        assert_eq!((&object["version"], &object["error"]), (&json!(1), &not_signed_in), "{words:?}");
        assert_eq!(output.stderr, "error: not signed in to claude_code\n  run `nexus oauth start`\n");
        assert_eq!(output.code, Some(4));
    }
}

#[test]
fn another_configured_provider_is_suggested() {
    let nexus = Nexus::new();
    nexus.configure("[provider.gw]\n[provider.play]\n[provider.claude_code]\nmodel = 'm'\n");
    let register = NO_CLIENT.split_once("; `nexus demo`").unwrap().0;
    let hint =
        "to use gw or play, pass `--provider gw`, or set `default = \"gw\"` at the top of config.toml; otherwise";
    assert_output!(nexus.run(&["oauth", "start"]), 2,
        stdout: "", stderr: format!("error: no client id is configured for claude_code\n  {hint} {register}\n"));
}

#[test]
fn an_empty_variable_counts_as_unset() {
    let mut nexus = Nexus::new();
    nexus.set("CLAUDE_CODE_CLIENT_ID", "");
    nexus.set("NEXUS_PROVIDER", " \r\n\u{feff}");
    assert_output!(nexus.run(&["oauth", "start"]), 2,
        stdout: "", stderr: format!("error: no client id is configured for claude_code\n  {NO_CLIENT}\n"));
}

#[test]
fn an_unknown_provider_is_reported_with_the_known_ones() {
    let mut nexus = Nexus::new();
    nexus.configure("[provider.work]\n[provider.home]\n");
    let stderr = "error: unknown provider `gone`; configured: claude_code, home, work\n  \
        add a section [provider.gone] to [HOME]/config.toml\n";
    for words in [
        &["chat", "x", "--provider", "gone"][..],
        &["models", "-p", "gone"],
        &["oauth", "start", "-p", "gone"],
        &["oauth", "status", "-p", "gone"],
        &["oauth", "token", "-p", "gone"],
        &["oauth", "logout", "-p", "gone"],
    ] {
        assert_output!(nexus.run(words), 2, stdout: "", stderr: stderr);
    }
    nexus.set("NEXUS_PROVIDER", "gone");
    assert_output!(nexus.run(&["oauth", "status"]), 2, stdout: "", stderr: stderr);
    let output = nexus.run(&["oauth", "status", "--json"]);
    assert_eq!(
        output.json(),
        json!({ "version": 1, "error": {
            "reason": "configuration",
            "message": "unknown provider `gone`; configured: claude_code, home, work",
            "hint": "add a section [provider.gone] to [HOME]/config.toml",
            "exit_code": 2,
        }})
    );
}

/// Commands that print, in a home that is signed in.
const PRINTING: &[&[&str]] = &[
    &["--help"],
    &["--version"],
    &["help", "config"],
    &["completions", "bash"],
    &["chat", "--model", "sandbox-large", "x"],
    &["chat", "--model", "sandbox-large", "--json", "x"],
    &["models"],
    &["oauth", "status"],
    &["oauth", "token"],
];

#[cfg(unix)]
#[test]
fn a_closed_stdout_is_success() {
    let (_sandbox, nexus) = Nexus::signed_in(Settings::default());
    for words in PRINTING {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let child = nexus.command(words).stdout(Stdio::from(writer)).spawn().unwrap();
        assert_output!(nexus.finish(child), 0, stdout: "", stderr: "");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_behind_stdout_is_exit_1() {
    let (_sandbox, nexus) = Nexus::signed_in(Settings::default());
    for words in PRINTING {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let child = nexus.command(words).stdout(Stdio::from(full)).spawn().unwrap();
        assert_output!(nexus.finish(child), 1, stdout: "",
            stderr: "error: writing to stdout: No space left on device (os error 28)\n  fix that, then run the command again\n");
    }
}

#[cfg(unix)]
#[test]
fn a_closed_stderr_does_not_change_the_exit_code() {
    for (words, code) in
        [(&["chat", "x"][..], 4), (&["nonsense"], 2), (&["oauth", "start"], 2), (&["oauth", "logout"], 0)]
    {
        let nexus = Nexus::new();
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let child = nexus.command(words).stderr(Stdio::from(writer)).spawn().unwrap();
        assert_output!(nexus.finish(child), code, stdout: "", stderr: "");
    }
}

#[test]
fn a_provider_without_api_url_says_so() {
    let sandbox = sandbox(Settings::default());
    let mut nexus = Nexus::new();
    nexus.name(&sandbox.origin(), "[ORIGIN]");
    nexus.configure(&format!(
        "default = \"work\"\n[provider.work]\nauthorize_url = \"{}\"\ntoken_url = \"{}\"\nclient_id = \"sandbox-client\"\n\
         redirect_uri = \"http://127.0.0.1:0/callback\"\n",
        sandbox.url(Endpoint::Authorize),
        sandbox.url(Endpoint::Token),
    ));
    nexus.sign_in();
    let stderr = "error: the provider work has no `api_url`\n  \
        set `api_url = \"https://...\"` under [provider.work] in config.toml\n";
    assert_output!(nexus.run(&["chat", "--model", "m", "x"]), 2, stdout: "", stderr: stderr);
    assert_output!(nexus.run(&["models"]), 2, stdout: "", stderr: stderr);
}

#[cfg(target_os = "linux")]
#[test]
fn the_configuration_must_be_a_regular_file_of_limited_size() {
    use std::os::unix::fs::symlink;
    for (make, why) in [
        (
            (|path| assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success()))
                as fn(&std::path::Path),
            "not a regular file",
        ),
        (|path| symlink("/dev/zero", path).unwrap(), "not a regular file"),
        (|path| std::fs::create_dir(path).unwrap(), "not a regular file"),
        (|path| std::fs::write(path, vec![b'#'; 1024 * 1024 + 1]).unwrap(), "larger than 1 MiB"),
    ] {
        let nexus = Nexus::new();
        make(&nexus.path("config.toml"));
        let sentence = format!("[HOME]/config.toml cannot be read: {why}\n");
        let hint = "  make it a readable file of UTF-8 text, or remove it\n";
        assert_output!(nexus.run(&["oauth", "token"]), 2, stdout: "", stderr: format!("error: {sentence}{hint}"));
        let line = "Not signed in: run nexus oauth start\n";
        assert_output!(nexus.run(&["oauth", "status"]), 4, stdout: line, stderr: format!("warning: {sentence}{hint}"));
    }
}
