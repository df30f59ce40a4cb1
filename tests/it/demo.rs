//! `nexus demo`: it needs no configuration and leaves no files.

use crate::nexus::{Nexus, Output, deny, visit};

/// Runs the demo with its temporary files in the home.
fn demo(words: &[&str]) -> (Output, Nexus) {
    let mut nexus = Nexus::new();
    std::fs::create_dir(nexus.path("tmp")).unwrap();
    nexus.set("TMPDIR", &nexus.path("tmp").to_string_lossy());
    (nexus.run(words), nexus)
}

/// The line with placeholders for addresses and random values.
fn steady(line: &str) -> String {
    let words = line.split(' ').map(|word| match word.find("127.0.0.1:") {
        _ if word.contains("/authorize?") => "[URL]".to_owned(),
        Some(at) => {
            let (host, port) = word.split_at(at + "127.0.0.1:".len());
            let rest = port.trim_start_matches(|c: char| c.is_ascii_digit());
            format!("{host}[PORT]{rest}")
        }
        None => word.to_owned(),
    });
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn the_demo_signs_in_asks_and_signs_out() {
    let (output, nexus) = demo(&["demo", "Hello, Claude!"]);
    let stderr: Vec<_> = output.stderr.lines().map(steady).collect();
    assert_eq!(
        stderr.join("\n"),
        "nexus demo: a sandbox on http://127.0.0.1:[PORT] acts as the authorization server and the model.\nThe answers come from the sandbox, not from Claude. Nothing leaves this machine, and nothing is left on it.\nThe demo approves the sign-in itself (no browser here).\n\n1. Sign in\n$ nexus oauth start\nTo sign in, open this URL in a browser on this machine:\n\n[URL]\n\nWaiting for the redirect to http://127.0.0.1:[PORT]/callback, for up to 10 minutes (Ctrl-C cancels).\n(approving the sign-in: no browser here)\nSigned in as you@sandbox.example, token expires in 8.0 hours\n\n2. Ask a question\n$ nexus chat 'Hello, Claude!'\n\n3. Show the session\n$ nexus oauth status\n\n4. Sign out\n$ nexus oauth logout\nRevoked the session at 127.0.0.1:[PORT]\nDeleted the local session\n\nDone. To use Claude, run `nexus oauth start URL` with the URL of your gateway or authorization server. The README has the other ways to sign in."
    );
    assert_eq!(
        (output.stdout.as_str(), output.code),
        (
            "You said: Hello, Claude! (This is the nexus sandbox: no model is behind it.)\n\
             Token active, expires in 8.0 hours, auto-refresh enabled\n",
            Some(0)
        )
    );
    let left: Vec<_> = std::fs::read_dir(nexus.home()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["tmp"], "nothing but what the test itself made");
    assert_eq!(std::fs::read_dir(nexus.path("tmp")).unwrap().count(), 0, "nothing stays behind");
}

#[test]
fn a_question_may_look_like_a_flag() {
    let (output, _nexus) = demo(&["demo", "--yes", "--", "--help"]);
    assert_eq!(output.code, Some(0), "{output}");
    assert!(output.stdout.starts_with("You said: --help "), "{output}");
    assert!(output.stderr.contains("\n$ nexus chat -- --help\n"), "{output}");
    assert!(output.stderr.contains("\n(approving the sign-in: --yes)\n"), "{output}");
}

#[test]
fn an_unusable_temporary_folder_is_named() {
    let (mut nexus, cure) = (Nexus::new(), "set TMPDIR to a writable folder, then run `nexus demo` again");
    std::fs::write(nexus.path("file"), "").unwrap();
    for (name, why) in [
        ("nowhere", "the folder for temporary files does not exist"),
        ("file", "cannot create a temporary folder: not a directory"),
    ] {
        nexus.set("TMPDIR", &nexus.path(name).to_string_lossy());
        let stderr = format!("error: [HOME]/{name}: {why}\n  {cure}\n");
        assert_output!(nexus.run(&["demo"]), 1, stdout: "", stderr: stderr);
    }
}

#[cfg(unix)]
#[test]
fn a_denial_says_how_to_run_the_demo_again() {
    use std::cell::RefCell;

    use crate::terminal::Terminal;

    let mut nexus = Nexus::new();
    nexus.set("BROWSER", "/bin/true");
    let at_terminal = Terminal::open(&nexus, &["demo"], 500);
    let url = RefCell::new(String::new());
    at_terminal.until(|screen| {
        *url.borrow_mut() = screen.lines().find(|line| line.contains("/authorize?")).unwrap_or_default().to_owned();
        screen.contains("Waiting for the redirect to ")
    });
    visit(&deny(url.borrow().trim()));
    let left = at_terminal.finish();
    assert_eq!(left.code, 4, "{}", left.screen);
    let end = "\nThe demo stops here. Run `nexus demo` to start again.";
    assert!(left.screen.trim_end().ends_with(end), "{}", left.screen);
}

#[test]
fn the_demo_ignores_configuration_and_environment() {
    let mut nexus = Nexus::new();
    nexus.configure("this is no TOML");
    nexus.set("NEXUS_PROVIDER", "gone");
    nexus.set("CLAUDE_CODE_CLIENT_SECRET", "hush");
    nexus.set("HTTP_PROXY", "http://127.0.0.1:1");
    assert_eq!(nexus.run(&["demo"]).code, Some(0));
}

#[test]
fn an_empty_question_is_rejected_before_the_sign_in() {
    for question in ["", " ", "-"] {
        let (output, nexus) = demo(&["demo", question]);
        assert_output!(output, 2, stdout: "",
            stderr: "error: no question: pass one as an argument, or no argument at all\n  see `nexus demo --help`\n");
        assert_eq!(std::fs::read_dir(nexus.path("tmp")).unwrap().count(), 0);
    }
}

/// Runs a program, then prints its exit code and whether the terminal echoes.
#[cfg(unix)]
const THEN_STATE: &str =
    "trap : INT; sh -c 'echo $$ > id; exec \"$@\"' sh \"$@\"; echo \"exit $?\"; stty -a | grep -ow -e -echo -e echo";

#[cfg(unix)]
#[test]
fn a_signal_leaves_the_terminal_as_it_was() {
    use crate::nexus::signal;
    use crate::terminal::Terminal;

    let mut nexus = Nexus::new();
    nexus.set("BROWSER", "/bin/true");
    let before = ["/bin/sh", "-c", THEN_STATE, "sh"].map(str::to_owned);
    // The command that hides the input and the demo race after Ctrl-C.
    for (end, code) in [("Ctrl-C", 130), ("Ctrl-C", 130), ("Ctrl-C", 130), ("TERM", 143)] {
        let command = nexus.command_after(&before, &["demo"]);
        let mut terminal = Terminal::run(&nexus, &command, 500, &[("TERM", "xterm")]);
        terminal.until(|screen| screen.contains("Waiting for the redirect to "));
        assert!(!terminal.echoes(), "{end}");
        match end {
            "Ctrl-C" => terminal.press("\u{3}"),
            // Only to the demo.
            name => signal(std::fs::read_to_string(nexus.path("id")).unwrap().trim().parse().unwrap(), name),
        }
        let left = terminal.finish();
        assert!(left.screen.ends_with(&format!("exit {code}\necho\n")), "{end}: {}", left.screen);
    }
}
