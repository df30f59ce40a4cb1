//! Usage errors, help, a new home and closed streams.

use std::fs::{self, File};
use std::process::Stdio;

use nexus::sandbox::{Endpoint, Settings};
use serde_json::json;

use crate::nexus::{Nexus, Output, sandbox};

const COMMANDS: &[&[&str]] = &[
    &[],
    &["login"],
    &["oauth"],
    &["oauth", "start"],
    &["oauth", "status"],
    &["oauth", "logout"],
    &["oauth", "token"],
    &["chat"],
    &["batch"],
    &["history"],
    &["provider"],
    &["provider", "list"],
    &["provider", "remove"],
    &["provider", "default"],
    &["key"],
    &["models"],
    &["demo"],
    &["completions"],
];

const NO_CLIENT: &str = "register an OAuth client, then set CLAUDE_CODE_CLIENT_ID, or set `client_id = \"...\"` \
    under [provider.claude_code] in config.toml; `nexus demo` works without one";

const NO_QUESTION: &str = "error: no question: pass one as an argument or pipe it in\n  \
    see `nexus chat --help`\n";

fn said_wrongly(words: &[&str]) -> Output {
    let output = Nexus::new().run(words);
    assert_eq!(output.code, Some(2), "{words:?}: {output}");
    assert!(!output.stderr.is_empty(), "{words:?}: {output}");
    output
}

#[test]
fn the_version_is_that_of_the_crate() {
    let version = format!("nexus {}\n", env!("CARGO_PKG_VERSION"));
    for words in [&["--version"][..], &["-V"], &["chat", "--version"]] {
        let output = Nexus::new().run(words);
        assert!(output.stdout.ends_with(&version[5..]), "{output}");
        assert_eq!((output.code, &*output.stderr), (Some(0), ""), "{output}");
    }
    assert_output!(Nexus::new().run(&["--version"]), 0, stdout: version, stderr: "");
}

#[test]
fn every_command_has_help() {
    for words in COMMANDS {
        let help = Nexus::new().run(&[words, &["--help"][..]].concat());
        assert_eq!((help.code, &*help.stderr), (Some(0), ""), "{words:?}: {help}");
        let usage = format!("\nUsage: {} ", [&["nexus"], *words].concat().join(" "));
        assert!(help.stdout.contains(&usage), "{usage:?} in {help}");
        let first = help.stdout.lines().next().unwrap_or_default();
        assert!(first.starts_with(char::is_uppercase) && first.len() > 20, "{first}");
        let lines: Vec<_> = help.stdout.lines().filter(|line| line.chars().count() > 100).collect();
        assert!(lines.is_empty(), "too wide for a terminal: {lines:#?}");
    }
}

#[test]
fn the_help_at_the_top_lists_the_exit_codes() {
    const TABLE: &str = "\nExit codes:\n\
        \x20 0      success (including a closed pipe)\n\
        \x20 1      failure; retrying unchanged will not help\n\
        \x20 2      usage or configuration error\n\
        \x20 4      not signed in: run `nexus oauth start`\n\
        \x20 75     temporary failure; retry later\n\
        \x20 128+n  ended by signal n\n";
    for flag in ["--help", "-h"] {
        let help = Nexus::new().run(&[flag]).ok();
        assert!(help.contains(TABLE), "{help}");
        for variable in ["CLAUDE_CODE_CLIENT_ID", "CLAUDE_CODE_CLIENT_SECRET", "CLAUDE_CODE_REDIRECT_URI", "NEXUS_HOME"]
        {
            assert!(help.contains(variable), "{variable} in {help}");
        }
    }
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
fn a_missing_subcommand_shows_the_help_on_stderr() {
    for words in [&[][..], &["oauth"]] {
        let output = said_wrongly(words);
        let short = Nexus::new().run(&[words, &["-h"][..]].concat()).ok();
        assert_eq!(output.stdout, "");
        // Only one of them mentions `--help`.
        let usage = |text: &str| text.lines().filter(|line| !line.contains("--help")).collect::<Vec<_>>().join("\n");
        assert_eq!(usage(&output.stderr), usage(&short));
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
fn help_with_json_prints_help_only() {
    let output = Nexus::new().run(&["chat", "--json", "--help"]);
    assert_eq!(output.stdout, Nexus::new().run(&["chat", "--help"]).ok());
    assert_eq!((output.code, &*output.stderr), (Some(0), ""));
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
fn an_empty_question_is_rejected_before_any_request() {
    let (sandbox, nexus) = Nexus::signed_in(Settings::default());
    let asked = sandbox.requests().len();
    for (words, stdin) in [
        (&["chat"][..], ""),
        (&["chat", ""], ""),
        (&["chat", "  ", "\t"], "\n"),
        (&["chat", "-"], " \n"),
        (&["chat"], "\n\n"),
    ] {
        assert_output!(nexus.run_with(words, stdin), 2, stdout: "", stderr: NO_QUESTION);
    }
    assert_output!(nexus.run_with(&["chat", "-", "x"], "y"), 2, stdout: "",
        stderr: "error: `-` reads the question from stdin and must be the only argument\n  see `nexus chat --help`\n");
    assert_output!(nexus.run_with(&["chat", "x"], b"ab\xff"), 2, stdout: "",
        stderr: "error: stdin is not text: invalid UTF-8 at byte 2\n  attach an image or a PDF with `-a -` and pass \
                 the question as an argument; convert text with `iconv -t UTF-8`\n");
    assert_eq!(sandbox.requests().len(), asked);
}

#[test]
fn a_word_with_a_hyphen_and_white_space_is_text() {
    let (sandbox, nexus) = Nexus::signed_in(Settings::default());
    let asked = |words: &[&str]| {
        nexus.run(&[&["chat"], words].concat()).ok();
        let sent = sandbox.requests_to(Endpoint::Messages).last().unwrap().json();
        (sent["messages"][0]["content"].clone(), sent["system"].clone(), sent["model"].clone())
    };
    let (large, small) = (json!("sandbox-large"), json!("sandbox-small"));
    for (words, prompt, system, model) in [
        (&["- buy milk"][..], "- buy milk", json!(null), &large),
        (&["---\ntitle: x"], "---\ntitle: x", json!(null), &large),
        (&["-1 + 2 = ?"], "-1 + 2 = ?", json!(null), &large),
        (&["-m is what?", "-msandbox-small"], "-m is what?", json!(null), &small),
        (&["sum", "- up", "it", "--model", "sandbox-small"], "sum - up it", json!(null), &small),
        (&["-s", "- be brief", "- x"], "- x", json!("- be brief"), &large),
        (&["--system=- be brief", "x"], "x", json!("- be brief"), &large),
        (&["-sBe brief", "- x"], "- x", json!("Be brief"), &large),
        (&["- x", "--", "-c", "--json"], "- x -c --json", json!(null), &large),
    ] {
        assert_eq!(asked(words), (json!(prompt), system, model.clone()), "{words:?}");
    }
    nexus.run(&["chat", "--history", "- buy milk"]).ok();
    assert!(nexus.run(&["history", "search", "- buy milk", "-n", "1"]).ok().contains("buy milk"));
}

#[test]
fn an_unknown_flag_names_the_nearest_one_and_how_to_pass_it_as_text() {
    for (words, word, nearest) in [
        (&["chat", "--modle", "x"][..], "--modle", Some("--model")),
        (&["chat", "x", "--jsn"], "--jsn", Some("--json")),
        (&["chat", "-json", "x"], "-json", Some("--json")),
        (&["chat", "--sytem=be brief", "x"], "--sytem", Some("--system")),
        (&["chat", "-1"], "-1", None),
        (&["chat", "-x", "- x"], "-x", None),
        (&["chat", "-hello"], "-hello", None),
        (&["history", "search", "--lmit", "x"], "--lmit", Some("--limit")),
    ] {
        let output = said_wrongly(words);
        assert_eq!(output.stdout, "", "{output}");
        assert!(output.stderr.contains(&format!("error: unexpected argument '{word}")), "{output}");
        assert!(
            output.stderr.contains(&format!("to pass '{word}")) && output.stderr.contains("put '--' before it"),
            "{output}"
        );
        assert!(nearest.is_none_or(|near| output.stderr.contains(&format!("'{near}'"))), "{output}");
    }
    let hint = said_wrongly(&["chat", "--json", "--modle", "x"]).json()["error"]["hint"].clone();
    assert_eq!(hint, "did you mean `--model`? To pass `--modle` as text, put `--` before it");
    assert!(Nexus::new().run(&["chat", "-vh"]).ok().contains("Usage: nexus chat"));
}

#[test]
fn a_byte_order_mark_before_piped_text_is_dropped() {
    let (sandbox, nexus) = Nexus::signed_in(Settings::default());
    for (words, prompt) in [(&["chat"][..], " a\r\n"), (&["chat", "-"], " a\r\n"), (&["chat", "x"], "x\n\n a\r\n")] {
        nexus.run_with(words, "\u{feff} a\r\n").ok();
        let sent = sandbox.requests_to(Endpoint::Messages).last().unwrap().json();
        assert_eq!(sent["messages"][0]["content"], prompt, "{words:?}");
    }
    assert_output!(nexus.run_with(&["chat", "x"], b"\xff\xfea\0"), 2, stdout: "",
        stderr: "error: stdin is not text: it is UTF-16, not UTF-8\n  convert it: `iconv -f UTF-16 -t UTF-8`\n");
    let output = nexus.run_with(&["batch", "-"], b"\xff\xfe{\0");
    assert!(output.code == Some(1) && output.stderr.contains("it is UTF-16, not UTF-8\n"), "{output}");
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
        "default = \"work\"\n[provider.work]\nauthorize_url = \"{}\"\ntoken_url = \"{}\"\nclient_id = \"sandbox-client\"\n",
        sandbox.url(Endpoint::Authorize),
        sandbox.url(Endpoint::Token),
    ));
    nexus.sign_in();
    let stderr = "error: the provider work has no `api_url`\n  \
        set `api_url = \"https://...\"` under [provider.work] in config.toml\n";
    assert_output!(nexus.run(&["chat", "--model", "m", "x"]), 2, stdout: "", stderr: stderr);
    assert_output!(nexus.run(&["models"]), 2, stdout: "", stderr: stderr);
}

#[test]
fn help_works_as_command_and_as_flag() {
    let nexus = Nexus::new();
    for (words, same) in [
        (&["help"][..], &["--help"][..]),
        (&["help", "chat"], &["chat", "--help"]),
        (&["help", "oauth", "start"], &["oauth", "start", "--help"]),
        (&["oauth", "help"], &["oauth", "--help"]),
        (&["oauth", "help", "start"], &["oauth", "start", "--help"]),
    ] {
        assert_output!(nexus.run(words), 0, stdout: nexus.run(same).ok(), stderr: "");
    }
    // A unit test checks that no other command has subcommands.
    for name in ["history", "key", "oauth"] {
        assert_output!(nexus.run(&[name, "help"]), 0, stdout: nexus.run(&[name, "--help"]).ok(), stderr: "");
    }
    let output = nexus.run(&["help", "nonsense"]);
    assert_eq!(output.code, Some(2), "{output}");
    assert!(output.stderr.starts_with("error: unrecognized subcommand 'nonsense'\n"), "{output}");
}

#[test]
fn help_config_needs_no_valid_configuration() {
    let mut nexus = Nexus::new();
    let reference = nexus.run(&["help", "config"]).ok();
    for key in ["default", "passphrase_command", "client_secret_file", "max_tokens"] {
        assert!(reference.contains(&format!("\n  {key}\n      ")), "{key} in {reference}");
    }
    assert!(reference.lines().all(|line| line.chars().count() <= 100), "{reference}");
    nexus.configure("no TOML");
    assert_output!(nexus.run(&["help", "config"]), 0, stdout: reference.clone(), stderr: "");
    nexus.set("NEXUS_HOME", "");
    nexus.set("HOME", "/nonexistent");
    assert_output!(nexus.run(&["help", "config"]), 0, stdout: reference, stderr: "");
    assert!(nexus.run(&["--help"]).ok().contains("`nexus help config`"));
    let output = nexus.run(&["config", "--help"]);
    assert_eq!(output.code, Some(2), "{output}");
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
