//! Control characters in text from servers and arguments: escaped on a terminal, unchanged in a pipe.

use nexus::sandbox::{Endpoint, Piece, Sandbox, Scripted, Settings};
use serde_json::json;

use crate::chat::{delta, stop};
use crate::chat_flags::thinking;
use crate::nexus::Nexus;
use crate::terminal::Terminal;

/// An escape sequence, a bell, DEL, a C1 escape sequence, and a direction override.
const ACTS: &str = "\u{1b}[2J\u{7}\u{7f}\u{9b}1m\u{202e}";
/// [`ACTS`] on a terminal.
const SEEN: &str = "␛[2J␇␡<U+009B>1m<U+202E>";
/// [`ACTS`] in JSON on a terminal.
const IN_JSON: &str = r"\u001b[2J\u0007\u007f\u009b1m\u202e";

fn on_a_terminal(nexus: &Nexus, words: &[&str]) -> String {
    Terminal::open(nexus, words, 200).finish().bytes
}

fn answer(text: &str) -> Scripted {
    Scripted::stream([delta(text), stop()])
}

/// A home that is signed in at a server whose names all have control characters.
fn acting() -> (Nexus, Sandbox) {
    let (sandbox, nexus) = Nexus::signed_in(Settings {
        account: format!("a{ACTS}b"),
        models: vec![format!("m{ACTS}n")],
        token_extra: json!({ "email": format!("a{ACTS}b") }).as_object().unwrap().clone(),
        ..Settings::default()
    });
    (nexus, sandbox)
}

#[track_caller]
fn assert_harmless(message: &str) {
    // The escapes of nexus itself: the label of an error, and the progress line.
    let own = ["\u{1b}[1m\u{1b}[31m", "\u{1b}[0m", "\u{1b}[2m", "\r\u{1b}[K"];
    let message = own.iter().fold(message.to_owned(), |message, own| message.replace(own, ""));
    let acting = |c: char| (c.is_control() && !matches!(c, '\r' | '\n' | '\t')) || c == '\u{202e}';
    assert!(!message.chars().any(acting), "{message:?}");
}

#[test]
fn an_answer_is_escaped_on_a_terminal_only() {
    let (nexus, sandbox) = acting();
    let ask = &["chat", "--model", "m", "x"];
    sandbox.script(Endpoint::Messages, [answer(ACTS), answer(ACTS)]);
    assert_eq!(on_a_terminal(&nexus, ask), format!("{SEEN}\r\n"));
    assert_eq!(nexus.run(ask).ok(), format!("{ACTS}\n"));
}

#[test]
fn a_list_is_escaped_on_a_terminal_only() {
    let (nexus, _sandbox) = acting();
    assert_eq!(on_a_terminal(&nexus, &["models"]), format!("m{SEEN}n\r\n"));
    assert_eq!(nexus.run(&["models"]).ok(), format!("m{ACTS}n\n"));
}

#[test]
fn json_has_the_same_value_on_a_terminal() {
    let (nexus, sandbox) = acting();
    for words in [
        &["oauth", "status", "--json"][..],
        &["models", "--json"],
        &["chat", "--no-history", "--json", "--model", "m", "x"],
    ] {
        sandbox.script(Endpoint::Messages, [answer(ACTS), answer(ACTS)]);
        let (seen, piped) = (on_a_terminal(&nexus, words), nexus.run(words).ok());
        assert_harmless(&seen);
        assert!(seen.contains(IN_JSON), "{seen:?}");
        assert!(piped.contains("\u{7f}\u{9b}1m\u{202e}"), "{piped:?}");
        let object = |text: &str| -> serde_json::Value {
            let mut object: serde_json::Value = serde_json::from_str(text).unwrap();
            object["expires_in"].take();
            object
        };
        assert_eq!(object(&seen), object(&piped));
    }
}

#[test]
fn errors_are_escaped() {
    let (nexus, sandbox) = acting();
    let refusal = json!({ "type": "error", "error": { "type": ACTS, "message": format!("no{ACTS}\r\nerror: yes") } });
    let page = format!("<title>{ACTS}</title>");
    for answer in [
        Scripted::json(400, &refusal),
        Scripted::json(403, &refusal).header("request-id", "\u{9b}1m"),
        Scripted::text(502, "text/html", &page),
        Scripted::stream([Piece::event(&json!({ "type": "error", "error": refusal["error"] }))]),
    ] {
        let once = ["chat", "--retries", "0", "--model", "m", "x"];
        for words in [&once[..], &[&once[..], &["--json", "--verbose"]].concat()] {
            sandbox.script(Endpoint::Messages, [answer.clone()]);
            let message = on_a_terminal(&nexus, words);
            assert!(message.contains("error"), "{message:?}");
            assert_harmless(&message);
        }
    }
}

#[test]
fn usage_errors_are_escaped() {
    let (nexus, _sandbox) = acting();
    let word = format!("--x{ACTS}");
    for words in [&["chat", &*word][..], &[&word], &["chat", "--provider", ACTS, "x"], &["oauth", "start", "-p", ACTS]]
    {
        let message = on_a_terminal(&nexus, words);
        assert!(message.contains("error:"), "{message:?}");
        assert_harmless(&message);
    }
}

#[test]
fn prose_on_stderr_is_wrapped_and_what_is_copied_is_not() {
    let (nexus, _sandbox) = acting();
    let messages: [(&[&str], &[&str]); 4] = [
        (&["history", "show"], &["`nexus chat`"]),
        (&["chat", "--provider", "nope", "x"], &[]),
        (&["chat", "--frobnicate", "x"], &["Usage: nexus chat [OPTIONS] [PROMPT]..."]),
        (&["oauth", "logout", "--unlink"], &[]),
    ];
    for (words, whole) in messages {
        for columns in [40, 80] {
            let mut terminal = Terminal::open(&nexus, words, columns);
            if words.contains(&"--unlink") {
                terminal.until(|screen| screen.trim_end().ends_with("[y/N]"));
                terminal.press("n\r");
            }
            let left = terminal.finish();
            // A line that the terminal wraps has no end of its own.
            let lines = left.bytes.trim_end().split("\r\n").map(|line| anstream::adapter::strip_str(line).to_string());
            for line in lines {
                let fits = line.chars().count() <= usize::from(columns);
                assert!(fits || !line.trim().contains(' '), "{words:?} at {columns}: {line:?} of\n{}", left.screen);
            }
            for text in whole {
                assert!(left.screen.contains(text), "{text} in\n{}", left.screen);
            }
        }
        let piped = nexus.run(words).stderr;
        assert!(piped.lines().count() <= 8, "a pipe gets it unwrapped: {piped}");
    }
}

#[test]
fn the_url_and_the_command_of_a_sign_in_stay_whole() {
    let (mut nexus, sandbox) = acting();
    nexus.set("SSH_CONNECTION", "1");
    let mut terminal = Terminal::open(&nexus, &["oauth", "start", "--no-browser"], 40);
    terminal.until(|screen| screen.contains("Waiting for the redirect"));
    terminal.press("\u{3}");
    let bytes = terminal.finish().bytes;
    let url = format!("\r\n{}", sandbox.url(Endpoint::Authorize));
    let whole = |begin: &str| bytes.split(begin).nth(1).unwrap().split("\r\n").next().unwrap().to_owned();
    assert!(whole(&url).len() > 100, "{bytes:?}");
    assert!(bytes.contains("\r\nssh -L ") && whole("\r\nssh -L ").contains(":localhost:"), "{bytes:?}");
}

/// No word of these screens is broken: each line ends where a word does.
#[track_caller]
fn assert_wrapped(screen: &str, columns: u16, text: &str) {
    let words: Vec<_> = text.split_whitespace().filter(|word| word.len() < columns.into()).collect();
    let shown: Vec<_> = screen.split_whitespace().collect();
    let missing: Vec<_> = words.iter().filter(|word| !shown.contains(word)).collect();
    assert!(missing.is_empty() && screen.lines().count() > text.lines().count(), "{missing:?} in {screen}");
}

#[test]
fn prose_on_stdout_is_wrapped_at_a_terminal_and_one_line_in_a_pipe() {
    let nexus = Nexus::new();
    for words in [&["doctor", "--offline"][..], &["oauth", "status"], &["oauth", "status", "--all"]] {
        let piped = nexus.run(words);
        let columns = if words[0] == "doctor" { 50 } else { 25 };
        let left = Terminal::open(&nexus, words, columns).finish();
        assert_wrapped(&left.screen, columns, &piped.stdout);
    }
}

#[test]
fn thinking_is_wrapped_at_a_terminal() {
    let (sandbox, nexus) = Nexus::signed_in(Settings::default());
    let text = "A thought that is longer than the terminal is wide, and that arrives in pieces.\n\nAnother one.";
    let pieces: Vec<_> = text.as_bytes().chunks(3).map(|piece| thinking(str::from_utf8(piece).unwrap())).collect();
    sandbox.script(Endpoint::Messages, [Scripted::stream(pieces.into_iter().chain([delta("Yes."), stop()]))]);
    let left = Terminal::open(&nexus, &["chat", "x", "--thinking"], 30).finish();
    let shown =
        "A thought that is longer than\nthe terminal is wide, and that\narrives in pieces.\n\nAnother one.\n\nYes.\n";
    assert!(left.screen.ends_with(shown), "{}", left.screen);
}

#[test]
fn the_reference_of_the_keys_is_paged() {
    let mut nexus = Nexus::new();
    nexus.set("PATH", "/usr/bin:/bin");
    let variables = [("TERM", "xterm"), ("PAGER", "head -n 1 | sed 's/^/| /'")];
    let left = Terminal::open_with(&nexus, &["help", "config"], 80, &variables).finish();
    assert_eq!((left.code, left.screen.lines().count()), (0, 1), "{}", left.screen);
    assert!(left.screen.starts_with("| config.toml of this account: "), "{}", left.screen);
    let left = Terminal::open_with(&nexus, &["help", "config"], 50, &[("TERM", "xterm"), ("PAGER", "")]).finish();
    assert!(left.screen.lines().all(|line| line.chars().count() <= 50), "{}", left.screen);
}
