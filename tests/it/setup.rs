//! `nexus setup`: what it prints works as printed, and it writes nothing.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use nexus::sandbox::{Endpoint, Sandbox, Scripted, Settings};
use serde_json::Value;

use crate::nexus::{Nexus, Output, installed, newest};

/// Runs a printed line in bash, without the home that the printing had. Programs in the home are found.
fn shell(nexus: &Nexus, line: &str) -> Output {
    shell_in(nexus, "/bin/bash", line)
}

fn shell_in(nexus: &Nexus, shell: &str, line: &str) -> Output {
    let mut command = Command::new(shell);
    command.args(["-c", line]);
    let mut command = nexus.prepared(command);
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", nexus.home().display());
    command.env_remove("NEXUS_HOME").env("PATH", path);
    nexus.finish(command.spawn().unwrap())
}

fn printed(nexus: &Nexus, words: &[&str]) -> String {
    // The placeholder of the home would not run.
    nexus.run(&[&["setup"], words].concat()).ok().replace("[HOME]", nexus.home().to_str().unwrap())
}

/// The indented lines, which are for a shell.
fn lines(text: &str) -> Vec<&str> {
    text.lines().filter_map(|line| line.strip_prefix("  ")).filter(|line| !line.starts_with(['"', ' '])).collect()
}

/// Runs the line that checks what was printed, and sees it fail where the API refuses. It needs curl.
#[track_caller]
fn assert_works(sandbox: &Sandbox, nexus: &Nexus, text: &str) {
    if !installed("curl") {
        return;
    }
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
    let output = shell(&nexus, &format!("{function}; llm -m model 'a  b'"));
    assert!(output.code == Some(0) && output.stdout.starts_with("http://127.0.0.1:"), "{output}");
    assert!(output.stdout.ends_with(" 43 -m model a  b\n"), "{output}");
    assert_works(&sandbox, &nexus, &text);
}

#[test]
fn programs_with_an_sdk_and_curl_reach_the_api() {
    let (sandbox, nexus) = Nexus::signed_in(Settings::default());
    let text = printed(&nexus, &["sdk"]);
    let exec = lines(&text)[0].replace("python app.py", "sh -c 'echo $ANTHROPIC_BASE_URL'");
    assert!(shell(&nexus, &exec).ok().starts_with("http://127.0.0.1:"), "{text}");
    let curl = lines(&text).into_iter().find(|line| line.starts_with("curl")).unwrap();
    if !installed("curl") {
        return;
    }
    let output = shell(&nexus, &curl.replace("curl --fail", "curl --fail -sS").replace("[ORIGIN]", &sandbox.origin()));
    assert!(output.code == Some(0) && output.stdout.contains("sandbox-large"), "{output}");
    assert_eq!(sandbox.requests_to(Endpoint::Models).len(), 2, "one at the sign-in");
    assert_works(&sandbox, &nexus, &text);
}

/// A folder with everything that a shell reads within or without quotes.
#[test]
fn the_lines_run_as_printed_whatever_the_home_is_called() {
    const ODD: &str = "o'dd \"home\" $HOME `x` \u{fc}n\u{ef}\\\\ \\'b";

    let (sandbox, nexus) = Nexus::signed_in_with(Settings::default(), "dialect = \"openai\"");
    let home = nexus.path(ODD);
    fs::create_dir(&home).unwrap();
    for name in ["config.toml", "data", "state", "key"] {
        fs::rename(nexus.path(name), home.join(name)).unwrap();
    }
    nexus.write("llm", "#!/bin/sh\necho \"$OPENAI_BASE_URL ${#OPENAI_API_KEY} $*\"\n", 0o755);
    nexus.write("python", "#!/bin/sh\necho \"${#OPENAI_API_KEY} $*\"\n", 0o755);
    let place =
        |text: String| text.replace("[HOME]", nexus.home().to_str().unwrap()).replace("[ORIGIN]", &sandbox.origin());
    let shells = ["/bin/bash", "/bin/sh", "/usr/bin/zsh", "/usr/bin/fish"];
    for program in ["codex", "llm", "sdk"] {
        let text = nexus.finish(nexus.command(&["setup", program]).env("NEXUS_HOME", &home).spawn().unwrap());
        let text = place(text.ok());
        // A proxy would not end.
        let is_run = |line: &&str| !line.contains(" proxy ") && (installed("curl") || !line.contains("curl"));
        for line in lines(&text).into_iter().filter(is_run) {
            for shell in shells.into_iter().filter(|shell| Path::new(shell).exists()) {
                // What the text names for some shells only.
                let is_for = |names: &[&str]| names.iter().any(|name| shell.ends_with(name));
                let call = match line.split_once([' ', '(']).unwrap().0 {
                    "llm" if is_for(&["/bash", "/zsh"]) => format!("{line}; llm a"),
                    "curl" if is_for(&["/bash", "/zsh"]) => line.to_owned(),
                    "env" => line.to_owned(),
                    _ => continue,
                };
                let output = shell_in(&nexus, shell, &call);
                let told = ["works\n", " 43 a\n", "43 app.py\n", "sandbox-large"];
                let is_done = output.code == Some(0) && told.iter().any(|told| output.stdout.contains(told));
                assert!(is_done, "{shell}: {call}\n{output}");
            }
        }
    }
}
