//! A conversation at a terminal: lines, answers, words with the program, and how it ends.

use std::fs;

use nexus::sandbox::{Endpoint, Gate, Piece, Scripted};
use serde_json::json;

use crate::conversation::{delta, sent_messages, signed_in, stop, stop_reason};
use crate::nexus::{Nexus, signal};
use crate::terminal::Terminal;

const NOTE: &str = "(This is the nexus sandbox: no model is behind it.)";
const COLUMNS: u16 = 100;
const HELLO: &str = "New conversation: sandbox-large at work. /help lists commands, Ctrl-D leaves.";

/// A conversation that is about to begin, and the prompt seen.
fn open(nexus: &Nexus, words: &[&str]) -> Terminal {
    let terminal = Terminal::open(nexus, &[&["chat"], words].concat(), COLUMNS);
    terminal.until(|screen| screen.trim_end().ends_with('>'));
    terminal
}

/// Types a line, and waits until another may be typed.
fn line(terminal: &mut Terminal, text: &str, seen: &str) {
    terminal.press(&format!("{text}\r"));
    terminal.until(|screen| screen.contains(seen) && screen.trim_end().ends_with('>'));
}

#[test]
fn lines_are_answered_with_what_was_said_before_in_mind() {
    let (sandbox, nexus) = signed_in();
    let mut terminal = open(&nexus, &[]);
    line(&mut terminal, "one", "You said: one (This");
    line(&mut terminal, "two", "You said: two (This");
    assert_eq!(sent_messages(&sandbox).len(), 3);
    assert_eq!(sent_messages(&sandbox)[0], ("user".into(), "one".into()));
    terminal.press("\u{4}");
    let left = terminal.finish();
    let one = format!("> one\nYou said: one {NOTE}\n");
    assert_eq!((left.screen, left.code), (format!("{HELLO}\n{one}{}>\n", one.replace("one", "two")), 0));
    let kept = nexus.run(&["history", "show", "--json"]).json();
    assert_eq!(kept["conversation"]["turns"].as_array().unwrap().len(), 4);

    let mut terminal = open(&nexus, &["-c"]);
    // The line above is the last question of the conversation before.
    terminal.press("\u{1b}[A");
    terminal.until(|screen| screen.trim_end().ends_with("> two"));
    terminal.press(" three\r");
    terminal.until(|screen| screen.contains("You said: two three"));
    assert_eq!(sent_messages(&sandbox).len(), 5);
    terminal.press("/exit\r");
    let left = terminal.finish();
    assert!(left.screen.starts_with("Continuing \"one\": sandbox-large at work."), "{}", left.screen);
    assert_eq!(left.code, 0);
}

#[test]
fn only_what_was_typed_at_the_prompt_is_offered_again() {
    let (sandbox, nexus) = signed_in();
    let acting = "\u{1b}]52;c;aGk=\u{7}\u{1b}]0;title\u{7}\u{202e}piped";
    nexus.run_with(&["chat", "--history"], acting).ok();
    fs::write(nexus.path("notes.txt"), acting).unwrap();
    nexus.run(&["chat", "-c", "-a", "notes.txt", "attached"]).ok();
    let mut terminal = open(&nexus, &["-c"]);
    terminal.press("\u{1b}[Anothing");
    terminal.until(|screen| screen.trim_end().ends_with("> nothing"));
    terminal.press("\r");
    terminal.until(|screen| screen.contains("You said: nothing (") && screen.trim_end().ends_with('>'));
    terminal.press("\u{1b}[A\u{1b}[A");
    terminal.until(|screen| screen.trim_end().ends_with("> nothing"));
    terminal.press("\u{15}\u{4}");
    let left = terminal.finish();
    assert_eq!(sent_messages(&sandbox).last().unwrap().1, "nothing");
    assert!(!left.bytes.contains("\u{1b}]") && !left.bytes.contains('\u{202e}'), "{:?}", left.bytes);

    // What was typed in one conversation is offered in the next.
    let mut terminal = open(&nexus, &[]);
    terminal.press("\u{1b}[A");
    terminal.until(|screen| screen.trim_end().ends_with("> nothing"));
    terminal.press("\u{15}\u{4}");
    assert_eq!(terminal.finish().code, 0);
}

#[test]
fn a_file_without_words_is_asked_about() {
    let (sandbox, nexus) = signed_in();
    fs::write(nexus.path("notes.txt"), "the notes").unwrap();
    let mut terminal = Terminal::open(&nexus, &["chat", "-a", "notes.txt"], COLUMNS);
    terminal.until(|screen| screen.contains("note: reading the question from the terminal; end it with Ctrl-D"));
    terminal.press("what is this?\r\u{4}");
    let left = terminal.finish();
    assert_eq!(left.code, 0, "{}", left.screen);
    let asked = sandbox.requests_to(Endpoint::Messages).pop().unwrap().json();
    let message = &asked["messages"][0]["content"];
    assert_eq!((&message[0]["type"], &message[1]["text"]), (&"document".into(), &"what is this?\n".into()), "{asked}");
}

#[test]
fn a_template_that_needs_no_words_asks_at_once() {
    let (sandbox, nexus) = signed_in();
    fs::create_dir(nexus.path("templates")).unwrap();
    fs::write(nexus.path("templates/hi.toml"), "prompt = 'Say hi'\n").unwrap();
    assert_eq!(Terminal::open(&nexus, &["chat", "-t", "hi"], COLUMNS).finish().code, 0);
    assert_eq!(sent_messages(&sandbox), [("user".into(), "Say hi".into())]);
}

#[test]
fn a_question_may_have_several_lines() {
    let (sandbox, nexus) = signed_in();
    let mut terminal = open(&nexus, &[]);
    let last = |sandbox| sent_messages(sandbox).pop().unwrap().1;
    // A backslash, Alt-Enter, and a paste, of which the lines' ends send nothing.
    line(&mut terminal, "a\\\rb\u{1b}\rc", "You said: a");
    assert_eq!(last(&sandbox), "a\nb\nc");
    terminal.press("\u{1b}[200~d \\\ne\n\u{1b}[201~");
    terminal.until(|screen| screen.contains("\ne"));
    assert_eq!(last(&sandbox), "a\nb\nc");
    line(&mut terminal, "f", "You said: d");
    assert_eq!(last(&sandbox), "d \\\ne\nf");
    terminal.press("\u{4}");
    assert_eq!(terminal.finish().code, 0);
}

#[test]
fn what_is_typed_or_pasted_acts_on_no_terminal() {
    let (sandbox, nexus) = signed_in();
    let last = |sandbox| sent_messages(sandbox).pop().unwrap().1;
    let mut terminal = open(&nexus, &[]);
    // OSC 52 by C1 controls, a bell, and an override of the writing direction.
    terminal.press("\u{1b}[200~A\u{9d}52;c;ZXZpbA==\u{9c}B\u{9b}31m\u{7}\u{1}\t\u{202e}C\r\nD\u{1b}[201~");
    terminal.until(|screen| screen.trim_end().ends_with("\nD"));
    line(&mut terminal, "\u{202e}E", "You said: A");
    assert_eq!(last(&sandbox), "A\u{fffd}52;c;ZXZpbA==\u{fffd}B\u{fffd}31m␇␁\t<U+202E>C\nD<U+202E>E");
    // Quoted, in the search of earlier lines, and after an answer from the kill ring.
    line(&mut terminal, "q\u{16}\u{7}\u{16}\u{202e}", "You said: q␇<U+202E> (");
    terminal.press("\u{12}\u{202e}");
    terminal.until(|screen| screen.trim_end().ends_with("> <U+202E>"));
    terminal.press("\u{15}\u{19}!");
    terminal.until(|screen| screen.trim_end().ends_with("> <U+202E>!"));
    terminal.press("\u{15}\u{4}");
    let left = terminal.finish();
    assert_eq!(left.code, 0);
    for raw in ["\u{9b}", "\u{9c}", "\u{9d}", "\u{7}", "\u{202e}"] {
        assert!(!left.bytes.contains(raw), "{raw:?} in {:?}", left.bytes);
    }
}

#[test]
fn a_byte_that_is_not_utf8_does_not_end_a_conversation() {
    let (sandbox, nexus) = signed_in();
    let mut terminal = open(&nexus, &[]);
    for (typed, shown, sent) in [
        (&b"one\xff"[..], "> one", "one\u{fffd}, more"),
        // Its lines must not be sent as if they were typed.
        (b"a \x1b[200~caf\xe9\nsend\nthis\n\x1b[201~", "> a caf", "a caf\u{fffd}, more"),
    ] {
        terminal.press_bytes(typed);
        // The screen of the tests does not show U+FFFD.
        terminal.until(|screen| screen.contains("note: the input is not UTF-8") && screen.trim_end().ends_with(shown));
        line(&mut terminal, ", more", "You said: ");
        assert_eq!(sent_messages(&sandbox).pop().unwrap().1, sent);
    }
    assert_eq!(sandbox.requests_to(Endpoint::Messages).len(), 2);
    terminal.press("\u{4}");
    assert_eq!(terminal.finish().code, 0);
}

#[test]
fn ctrl_c_stops_the_answer_and_not_the_conversation() {
    let (sandbox, nexus) = signed_in();
    let mut terminal = open(&nexus, &[]);
    let gate = Gate::new();
    sandbox.script(Endpoint::Messages, [Scripted::stream([delta("As far as th\n"), Piece::Wait(gate)])]);
    terminal.press("tell\r");
    terminal.until(|screen| screen.contains("As far as th"));
    terminal.press("\u{3}");
    terminal.until(|screen| screen.contains("(stopped)") && screen.trim_end().ends_with('>'));
    // At the prompt it clears the line.
    terminal.press("never mind\u{3}");
    terminal.until(|screen| screen.contains("(Ctrl-D or /exit leaves)") && screen.trim_end().ends_with('>'));
    line(&mut terminal, "shorter", "You said:");
    assert_eq!(sent_messages(&sandbox), [("user".into(), "shorter".into())]);
    terminal.press("\u{4}");
    assert_eq!(terminal.finish().code, 0);
    assert!(nexus.run(&["history", "show"]).ok().contains("\n## Answer (cut off)\n\nAs far as th\n"));
}

#[test]
fn what_fails_does_not_end_the_conversation() {
    let (sandbox, nexus) = signed_in();
    let mut terminal = open(&nexus, &["--no-history", "--retries", "0"]);
    sandbox.script(Endpoint::Messages, [Scripted::stream([delta("I would ra"), stop_reason("refusal"), stop()])]);
    line(&mut terminal, "one", "error: the model declined to answer\n");
    line(&mut terminal, "/model no-such-model", "Switched to no-such-model (not in the model list)\n");
    line(&mut terminal, "two", "answered 404 not_found_error");
    line(&mut terminal, "/model sandbox-smal", "(not in the model list; did you mean");
    line(&mut terminal, "/model sandbox-small", "Switched to sandbox-small\n");
    line(&mut terminal, "three", "You said: three");
    assert_eq!(sent_messages(&sandbox), [("user".into(), "three".into())]);
    terminal.press("\u{4}");
    assert_eq!(terminal.finish().code, 0);
    assert!(!nexus.path("data/history.db").exists());
}

#[test]
fn what_is_saved_is_titled_by_what_was_answered_and_names_the_model_itself() {
    let (sandbox, nexus) = signed_in();
    let config = fs::read_to_string(nexus.path("config.toml")).unwrap();
    nexus.configure(&format!("{config}[aliases]\nfast = 'sandbox-small'\n"));
    let mut terminal = open(&nexus, &["--no-history", "--retries", "0"]);
    let no = json!({ "type": "error", "error": { "type": "invalid_request_error", "message": "No" } });
    let refused = Scripted::stream([delta("I would ra"), stop_reason("refusal"), stop()]);
    sandbox.script(Endpoint::Messages, [Scripted::json(400, &no), refused]);
    line(&mut terminal, "failed", "answered 400");
    line(&mut terminal, "refused", "declined to answer");
    line(&mut terminal, "/model fast", "Switched to fast\n");
    line(&mut terminal, "answered", "You said: answered");
    line(&mut terminal, "/save notes.md", "Saved to notes.md");
    terminal.press("/exit\r");
    assert_eq!(terminal.finish().code, 0);
    let saved = fs::read_to_string(nexus.path("notes.md")).unwrap();
    assert!(saved.starts_with("# answered\n\n"), "{saved}");
    assert!(saved.lines().nth(2).unwrap().ends_with(", sandbox-small at work"), "{saved}");
}

#[test]
fn words_with_a_slash_are_for_the_program() {
    let (sandbox, nexus) = signed_in();
    fs::write(nexus.path("there.md"), "precious").unwrap();
    let mut terminal = open(&nexus, &[]);
    for (text, seen) in [
        ("/system", "No system prompt; /system TEXT sets one"),
        ("/system Be brief.", "System prompt set"),
        ("/model", "sandbox-large (`nexus models` lists others)"),
        ("/save notes.md", "Nothing to save yet"),
        ("/nope", "Unknown command `/nope`: "),
        ("/help", "/save FILE"),
        ("//etc is", "You said: /etc is (Your system prompt: Be brief.)"),
        ("/save there.md", "there.md already exists; name another file"),
        ("/save notes.md", "Saved to notes.md"),
    ] {
        line(&mut terminal, text, seen);
    }
    assert_eq!(sandbox.requests_to(Endpoint::Messages).len(), 1);
    terminal.press("/exit\r");
    assert_eq!(terminal.finish().code, 0);
    assert_eq!(fs::read_to_string(nexus.path("there.md")).unwrap(), "precious");
    let saved = fs::read_to_string(nexus.path("notes.md")).unwrap();
    assert_eq!(saved, nexus.run(&["history", "show"]).ok());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(fs::metadata(nexus.path("notes.md")).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn what_is_said_at_a_terminal_is_kept_unless_somebody_says_no() {
    let (_sandbox, nexus) = signed_in();
    let words = ["chat", "x"];
    let config = fs::read_to_string(nexus.path("config.toml")).unwrap();
    for (words, line, kept) in [
        (&words[..], "", 1),
        (&["chat", "--no-history", "x"], "", 1),
        (&words, "history = false\n", 1),
        (&["chat", "-c", "x"], "history = false\n", 1),
        (&words, "history = true\n", 2),
    ] {
        nexus.configure(&format!("{line}{config}"));
        assert_eq!(Terminal::open(&nexus, words, COLUMNS).finish().code, 0);
        let listed = nexus.run(&["history", "list"]).ok();
        assert_eq!(listed.lines().count(), kept, "{words:?} with {line:?}");
    }
}

#[cfg(unix)]
#[test]
fn a_signal_leaves_the_terminal_as_it_was() {
    let (_sandbox, nexus) = signed_in();
    let mut terminal = open(&nexus, &[]);
    terminal.press("half a li");
    terminal.until(|screen| screen.trim_end().ends_with("half a li"));
    assert!(!terminal.echoes(), "a line is edited");
    signal(terminal.id(), "TERM");
    terminal.until_ended();
    assert!(terminal.echoes(), "as before");
    let left = terminal.finish();
    assert_eq!(left.code, 143);
    assert!(left.bytes.ends_with("\u{1b}[?2004l"), "pastes are no longer marked: {:?}", left.bytes);
}

#[test]
fn who_is_not_signed_in_is_told_before_anything_is_typed() {
    let nexus = Nexus::new();
    let left = Terminal::open(&nexus, &["chat"], COLUMNS).finish();
    assert_eq!(left.code, 4);
    assert!(left.screen.contains("run `nexus oauth start`"), "{}", left.screen);
}
