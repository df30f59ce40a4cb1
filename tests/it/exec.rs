//! `nexus exec`: a program uses the session without seeing the token.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::process::Command;

use nexus::sandbox::{Endpoint, Sandbox, Settings};

use crate::nexus::{Nexus, Output, SECRET_VARIABLES, config, lifetime, newest, signal};
use crate::terminal::Terminal;

fn exec(nexus: &Nexus, script: &str) -> Output {
    nexus.run(&["exec", "--", "/bin/sh", "-c", script])
}

/// A home with variables that a shell needs.
fn signed_in(settings: Settings, lines: &str) -> (Sandbox, Nexus) {
    let (sandbox, mut nexus) = Nexus::signed_in_with(settings, lines);
    nexus.set("PATH", "/usr/local/bin:/usr/bin:/bin");
    (sandbox, nexus)
}

/// A request through the proxy that the variables name. It needs only bash and sed.
pub(crate) const ASK: &str = r#"bash <<'END'
server=${ANTHROPIC_BASE_URL#http://}
body='{"model":"sandbox-large","max_tokens":100,"messages":[{"role":"user","content":"hi"}]}'
exec 3<>"/dev/tcp/${server%:*}/${server#*:}"
printf '%s\r\n' 'POST /v1/messages HTTP/1.1' "host: $server" 'connection: close' "content-length: ${#body}" \
  "authorization: Bearer $ANTHROPIC_AUTH_TOKEN" 'content-type: application/json' '' >&3
printf '%s' "$body" >&3
echo "$(sed -n 's/.*"text":"\([^(]*\) (.*/\1/p' <&3)"
END
"#;

#[test]
fn a_program_asks_without_the_token() {
    let (sandbox, nexus) = signed_in(Settings::default(), "");
    assert_eq!(exec(&nexus, ASK).ok(), "You said: hi\n");
    let environment = exec(&nexus, "env").ok();
    for token in [newest(&sandbox, "access"), newest(&sandbox, "refresh")] {
        assert!(!environment.contains(&token), "{environment}");
    }
    assert!(environment.contains("ANTHROPIC_BASE_URL=http://127.0.0.1:"), "{environment}");
}

#[test]
fn a_token_that_ends_under_the_program_is_renewed() {
    let (sandbox, nexus) = signed_in(Settings::default(), "");
    sandbox.expire_access();
    assert_eq!(exec(&nexus, &format!("{ASK}{ASK}")).ok(), "You said: hi\nYou said: hi\n");
    assert_eq!(sandbox.refreshes(), 1);
}

#[test]
fn the_other_dialect_has_other_variables() {
    let (_sandbox, nexus) = signed_in(Settings::default(), "dialect = \"openai\"");
    let printed = exec(&nexus, "echo $OPENAI_BASE_URL ${#OPENAI_API_KEY} [$ANTHROPIC_BASE_URL]").ok();
    assert!(printed.starts_with("http://127.0.0.1:") && printed.ends_with("/v1 43 []\n"), "{printed}");
}

#[test]
fn variables_that_would_win_and_secrets_are_removed() {
    let (_sandbox, mut nexus) = signed_in(Settings::default(), "");
    let winning = [
        "CLAUDE_CODE_USE_BEDROCK",
        "CLAUDE_CODE_USE_VERTEX",
        "ANTHROPIC_PROFILE",
        "ANTHROPIC_UNIX_SOCKET",
        "CLAUDE_CODE_OAUTH_TOKEN_FILE_DESCRIPTOR",
        "CLAUDE_CODE_API_KEY_FILE_DESCRIPTOR",
        "CLAUDE_CODE_USE_MANTLE",
    ];
    let removed =
        winning.iter().chain(SECRET_VARIABLES).filter(|name| !["ANTHROPIC_AUTH_TOKEN", "NEXUS_STORE"].contains(name));
    let removed: Vec<_> = removed.copied().collect();
    for name in removed.iter().chain(&["ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_BASE_URL"]) {
        nexus.set(name, "of-the-user");
    }
    nexus.set("MINE", "kept");
    // The sessions are in a file.
    nexus.set("NEXUS_STORE", "");
    let output = nexus.run(&["--verbose", "exec", "--", "env"]);
    assert_eq!(output.code, Some(0), "{output}");
    assert!(!output.stdout.contains("of-the-user") && output.stdout.contains("MINE=kept"), "{output}");
    for name in removed {
        assert!(output.stderr.contains(&format!("* {name} is removed for the program\n")), "{name}: {output}");
    }
    assert_eq!(exec(&nexus, ":").stderr, "");
}

#[test]
fn the_networks_proxy_is_not_asked_for_loopback() {
    let (_sandbox, mut nexus) = signed_in(Settings::default(), "");
    nexus.set("HTTP_PROXY", "http://127.0.0.1:1");
    nexus.set("http_proxy", "http://127.0.0.1:1");
    nexus.set("NO_PROXY", "example.com");
    assert_eq!(exec(&nexus, ASK).ok(), "You said: hi\n");
    assert_eq!(exec(&nexus, "echo $NO_PROXY").ok(), "example.com,127.0.0.1\n");
}

#[test]
fn the_exit_code_is_the_programs() {
    let (sandbox, mut nexus) = signed_in(Settings::default(), "");
    for (script, code) in
        [("exit 0", 0), ("exit 7", 7), ("exit 255", 255), ("kill -TERM $$", 143), ("kill -KILL $$", 137)]
    {
        assert_eq!(exec(&nexus, script).code, Some(code), "{script}");
    }
    let output = nexus.run(&["exec", "--", "no-such-program"]);
    assert_eq!(output.code, Some(127), "{output}");
    nexus.write("not-a-program", "text", 0o644);
    for path in [nexus.path("not-a-program"), nexus.home().to_owned()] {
        let output = nexus.run(&["exec", "--", path.to_str().unwrap()]);
        assert_eq!(output.code, Some(126), "{output}");
    }
    nexus.write("tool", "#!/nowhere/python\n", 0o755);
    nexus.set("PATH", &nexus.home().display().to_string());
    for program in ["tool", nexus.path("tool").to_str().unwrap()] {
        let output = nexus.run(&["exec", "--", program]);
        let told = format!("error: cannot run `{program}`: the interpreter in its first line does not exist\n")
            .replace(nexus.home().to_str().unwrap(), "[HOME]");
        assert!(output.code == Some(126) && output.stderr.starts_with(&told), "{output}");
    }
    for words in [&["exec"][..], &["exec", "--"], &["exec", "true"], &["exec", "--unknown", "--", "true"]] {
        assert_eq!(nexus.run(words).code, Some(2), "{words:?}");
    }
    let signed_out = Nexus::at(&sandbox);
    assert_eq!(signed_out.run(&["exec", "--", "true"]).code, Some(4));
}

#[test]
fn stdin_stdout_and_arguments_are_the_programs() {
    let (_sandbox, nexus) = signed_in(Settings::default(), "");
    let output =
        nexus.run_with(&["exec", "--", "/bin/sh", "-c", "cat; echo \"$@\" >&2", "sh", "--help", "-hx y"], "in");
    assert_output!(output, 0, stdout: "in", stderr: "--help -hx y\n");
}

/// Starts a program that prints which signals it gets, and waits until it is ready.
fn listening(nexus: &Nexus) -> (std::process::Child, impl FnMut() -> String) {
    let script = "for signal in HUP INT QUIT TERM USR1 USR2 WINCH; do trap \"echo $signal\" $signal; done
        echo ready; while :; do read -r line || exit 3; [ \"$line\" = end ] && exit 5; done";
    let mut command = nexus.command(&["exec", "--", "/bin/bash", "-c", script]);
    let mut child = command.stdin(std::process::Stdio::piped()).spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = move || {
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    };
    assert_eq!(line(), "ready");
    (child, line)
}

#[test]
fn signals_of_other_processes_reach_the_program() {
    use std::io::Write as _;
    let (_sandbox, nexus) = signed_in(Settings::default(), "");
    let (mut child, mut line) = listening(&nexus);
    for name in ["USR1", "INT", "TERM", "QUIT", "HUP", "USR2", "TERM", "INT"] {
        signal(child.id(), name);
        assert_eq!(line(), name);
    }
    // bash tells of a new size of the terminal only when another signal ends its wait.
    signal(child.id(), "WINCH");
    let told = ["USR1", "USR2"].map(|name| {
        signal(child.id(), name);
        line()
    });
    assert_eq!(
        BTreeSet::from_iter(told.into_iter().chain([line()])),
        BTreeSet::from(["USR1", "USR2", "WINCH"].map(String::from))
    );
    child.stdin.take().unwrap().write_all(b"end\n").unwrap();
    assert_eq!(nexus.finish(child).code, Some(5));
}

#[test]
fn the_token_itself_is_handed_over_only_if_it_is_enough() {
    let (sandbox, mut nexus) = signed_in(lifetime(3_600), "");
    nexus.set("ANTHROPIC_API_KEY", "of-the-user");
    let script = "echo $ANTHROPIC_BASE_URL $ANTHROPIC_AUTH_TOKEN [$ANTHROPIC_API_KEY]; exit 3";
    let output = nexus.run(&["exec", "--env", "--", "/bin/sh", "-c", script]);
    let token = newest(&sandbox, "access");
    assert_output!(output, 3, stdout: format!("[ORIGIN] {token} []\n"), stderr: "");
    for (lines, why) in [
        ("api_headers = { x-team = \"7\" }", "`x-team`"),
        ("api_headers = { anthropic-beta = \"b\", x-team = \"7\" }", "`anthropic-beta`, `x-team`"),
    ] {
        nexus.configure(&config(&sandbox, lines));
        let output = nexus.run(&["exec", "--env", "--", "true"]);
        assert!(output.code == Some(2) && output.stderr.contains(why), "{output}");
    }
    let base = format!("api_url = \"{}\"", sandbox.origin());
    let with_base = |path: &str| {
        nexus.configure(&config(&sandbox, "").replace(&base, &format!("api_url = \"{}{path}\"", sandbox.origin())));
        nexus.run(&["exec", "--env", "--", "/bin/sh", "-c", "echo $ANTHROPIC_BASE_URL"])
    };
    assert_output!(with_base("/claude/v1"), 0, stdout: "[ORIGIN]/claude\n", stderr: "");
    assert_eq!(with_base("/x/messages").code, Some(2));
    assert_eq!(sandbox.requests_to(Endpoint::Messages).len(), 0);
}

/// An interactive shell at a terminal, which has `nexus` as `$NEXUS`.
fn shell(nexus: &mut Nexus) -> Terminal {
    nexus.set("NEXUS", env!("CARGO_BIN_EXE_nexus"));
    nexus.set("PS1", "prompt> ");
    let mut bash = Command::new("/bin/bash");
    bash.args(["--norc", "--noprofile", "-i"]);
    let terminal = Terminal::run(nexus, &nexus.prepared(bash), 100, &[]);
    terminal.until(|screen| screen.trim_end().ends_with("prompt>"));
    terminal
}

#[test]
fn ctrl_c_at_a_terminal_reaches_the_program_once() {
    let (_sandbox, mut nexus) = signed_in(Settings::default(), "");
    let mut terminal = shell(&mut nexus);
    let script =
        "trap 'echo got it' INT; echo ready-$((1)); while :; do read -r line && [ $line = end ] && exit 6; done";
    terminal.press(&format!("$NEXUS exec -- /bin/bash -c '{}'\r", script.replace('\'', "\"")));
    terminal.until(|screen| screen.contains("ready-1"));
    terminal.press("\u{3}");
    terminal.until(|screen| screen.matches("\ngot it").count() + screen.matches("^Cgot it").count() == 1);
    terminal.press("end\r");
    terminal.until(|screen| screen.trim_end().ends_with("prompt>"));
    terminal.press("echo code $?\r");
    let screen = terminal.shown(|screen| screen.contains("code 6"));
    assert_eq!(screen.matches("\ngot it").count() + screen.matches("^Cgot it").count(), 1, "{screen}");
    terminal.press("exit\r");
    terminal.finish();
}

#[test]
fn a_program_stops_and_continues_like_a_job_of_the_shell() {
    let (_sandbox, mut nexus) = signed_in(Settings::default(), "");
    // The second one stops itself, as an editor does that reads Ctrl-Z as a key.
    let script = "echo begun-$1; [ $1 = 2 ] && kill -STOP $$; while read -r line; do echo \"got $line\"; done";
    nexus.write("job.sh", script, 0o600);
    let job = nexus.path("job.sh").display().to_string();
    nexus.set("JOB", &job);
    let mut terminal = shell(&mut nexus);
    for round in [1, 2] {
        terminal.press(&format!("$NEXUS exec -- /bin/sh $JOB {round}\r"));
        terminal.until(|screen| screen.contains(&format!("begun-{round}")));
        if round == 1 {
            terminal.press("first\r");
            terminal.until(|screen| screen.contains("got first"));
            terminal.press("\u{1a}");
        }
        terminal.until(|screen| screen.matches("Stopped").count() == round && screen.trim_end().ends_with("prompt>"));
        terminal.press("fg; echo code-$?\r");
        // The shell prints the job's command once the terminal is the job's: after the typed one, and that of the stop.
        terminal.until(|screen| screen.matches("$NEXUS exec").count() == 3 * round);
        terminal.press("more\r");
        terminal.until(|screen| screen.matches("got more").count() == round);
        terminal.press("\u{4}");
        // What is typed before the prompt is echoed twice.
        let ended = |screen: &str| screen.matches("code-0").count() == round && screen.trim_end().ends_with("prompt>");
        terminal.until(ended);
    }
    terminal.press("exit\r");
    terminal.finish();
}
