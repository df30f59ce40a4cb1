//! `nexus setup`: what it prints works as printed, and it writes nothing.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use nexus::sandbox::{Endpoint, Sandbox, Scripted, Settings};
use serde_json::Value;

use crate::nexus::{Nexus, Output, newest};

/// Runs a printed line in a shell, without the home that the printing had.
fn shell(nexus: &Nexus, line: &str) -> Output {
    let mut bash = Command::new("/bin/bash");
    bash.args(["--noprofile", "--norc", "-c", line]);
    let mut bash = nexus.prepared(bash);
    bash.env_remove("NEXUS_HOME").env("PATH", "/usr/local/bin:/usr/bin:/bin");
    nexus.finish(bash.spawn().unwrap())
}

fn printed(nexus: &Nexus, words: &[&str]) -> String {
    // The placeholder of the home would not run.
    nexus.run(&[&["setup"], words].concat()).ok().replace("[HOME]", nexus.home().to_str().unwrap())
}

/// The indented lines, which are for a shell.
fn lines(text: &str) -> Vec<&str> {
    text.lines().filter_map(|line| line.strip_prefix("  ")).filter(|line| !line.starts_with(['"', ' '])).collect()
}

/// Runs the line that checks what was printed, and sees it fail where the API refuses.
#[track_caller]
fn assert_works(sandbox: &Sandbox, nexus: &Nexus, text: &str) {
    let line = lines(text).last().unwrap().replace("[ORIGIN]", &sandbox.origin());
    let asked = sandbox.requests_to(Endpoint::Models).len();
    assert_output!(shell(nexus, &line), 0, stdout: "works\n", stderr: "");
    assert_eq!(sandbox.requests_to(Endpoint::Models).len(), asked + 1, "{line}");
    sandbox.script(Endpoint::Models, [Scripted::text(403, "text/plain", "no")]);
    let output = shell(nexus, &line);
    assert!(output.code != Some(0) && output.stdout.is_empty(), "{output}");
}

fn files(folder: &Path) -> BTreeSet<PathBuf> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn the_helper_of_claude_code_prints_a_token() {
    let (sandbox, nexus) = Nexus::signed_in(Settings::default());
    let before = files(nexus.home());
    let text = printed(&nexus, &["claude-code"]);
    let settings: Value = serde_json::from_str(&text[text.find('{').unwrap()..=text.rfind('}').unwrap()])
        .unwrap_or_else(|error| panic!("{error}: {text}"));
    assert_eq!(settings["env"]["ANTHROPIC_BASE_URL"], "[ORIGIN]");
    let token = format!("{}\n", newest(&sandbox, "access"));
    assert_output!(shell(&nexus, settings["apiKeyHelper"].as_str().unwrap()), 0, stdout: token, stderr: "");
    assert_works(&sandbox, &nexus, &text);
    assert_eq!(files(nexus.home()), before, "it writes nothing");
    assert!(text.contains("settings.json"), "{text}");
}

#[test]
fn an_api_with_more_headers_is_used_through_exec() {
    let (sandbox, nexus) = Nexus::signed_in_with(Settings::default(), "api_headers = { x-team = \"7\" }");
    let text = printed(&nexus, &["claude-code"]);
    assert!(text.contains("`x-team`") && lines(&text)[0].ends_with(" exec --provider work -- claude"), "{text}");
    assert_works(&sandbox, &nexus, &text);
}

#[test]
fn codex_gets_a_command_and_its_arguments() {
    let (sandbox, nexus) = Nexus::signed_in_with(Settings::default(), "dialect = \"openai\"");
    let text = printed(&nexus, &["codex"]);
    let begin = text.find("model_provider = ").unwrap();
    let config = &text[begin..text.find("\n\nThe gateway").unwrap()];
    let config: toml::Table = config.parse().unwrap_or_else(|error| panic!("{error}: {text}"));
    let provider = &config["model_providers"]["nexus"];
    assert_eq!(provider["base_url"].as_str(), Some("[ORIGIN]/v1"));
    let words = provider["auth"]["args"].as_array().unwrap().iter().map(|word| word.as_str().unwrap());
    let output = nexus.prepared({
        let mut command = Command::new(provider["auth"]["command"].as_str().unwrap());
        command.args(words);
        command
    });
    let mut output = output;
    let output = nexus.finish(output.env_remove("NEXUS_HOME").env("PATH", "/usr/bin:/bin").spawn().unwrap());
    assert_output!(output, 0, stdout: format!("{}\n", newest(&sandbox, "access")), stderr: "");
    assert_works(&sandbox, &nexus, &text);
    assert_eq!(nexus.run(&["setup", "claude-code"]).code, Some(2), "another dialect");
}

#[test]
fn llm_runs_with_the_key_of_its_plug_in() {
    let (sandbox, nexus) = Nexus::signed_in(Settings::default());
    nexus.write("llm", "#!/bin/sh\necho \"$ANTHROPIC_BASE_URL ${#ANTHROPIC_API_KEY} $*\"\n", 0o755);
    let text = printed(&nexus, &["llm"]);
    let function = lines(&text)[0].to_owned();
    let path = nexus.home().display().to_string();
    let output = shell(&nexus, &format!("PATH={path}:$PATH; {function}; llm -m model 'a  b'"));
    assert!(output.code == Some(0) && output.stdout.starts_with("http://127.0.0.1:"), "{output}");
    assert!(output.stdout.ends_with(" 43 -m model a  b\n"), "{output}");
    assert_works(&sandbox, &nexus, &text);
}

#[test]
fn programs_with_an_sdk_and_curl_reach_the_api() {
    let (sandbox, nexus) = Nexus::signed_in(Settings::default());
    let text = printed(&nexus, &["sdk"]);
    let curl = lines(&text).into_iter().find(|line| line.starts_with("curl")).unwrap();
    let output = shell(&nexus, &curl.replace("curl --fail", "curl --fail -sS").replace("[ORIGIN]", &sandbox.origin()));
    assert!(output.code == Some(0) && output.stdout.contains("sandbox-large"), "{output}");
    let exec = lines(&text)[0].replace("python app.py", "sh -c 'echo $ANTHROPIC_BASE_URL'");
    assert!(shell(&nexus, &exec).ok().starts_with("http://127.0.0.1:"), "{text}");
    assert_eq!(sandbox.requests_to(Endpoint::Models).len(), 2, "one at the sign-in");
    assert_works(&sandbox, &nexus, &text);
}
