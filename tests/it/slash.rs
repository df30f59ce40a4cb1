//! Slash commands of a conversation.

#![cfg(unix)]

use std::fs;

use nexus::sandbox::{Endpoint, Gate, Piece, Sandbox, Scripted};
use serde_json::{Value, json};

use crate::attachments::PNG;
use crate::conversation::{delta, sent_messages, signed_in, stop, stop_reason};
use crate::nexus::Nexus;
use crate::terminal::Terminal;

fn open(nexus: &Nexus, words: &[&str], variables: &[(&str, &str)]) -> Terminal {
    let variables: Vec<_> = [("TERM", "xterm")].iter().chain(variables).copied().collect();
    let terminal = Terminal::open_with(nexus, &[&["chat"], words].concat(), 100, &variables);
    terminal.until(|screen| screen.trim_end().ends_with('>'));
    terminal
}

/// Types a line, and waits until another may be typed.
fn line(terminal: &mut Terminal, text: &str, seen: &str) {
    terminal.press(&format!("{text}\r"));
    terminal.until(|screen| screen.contains(seen) && screen.trim_end().ends_with('>'));
}

fn answer(text: &str) -> Scripted {
    Scripted::stream([delta(text), stop_reason("end_turn"), stop()])
}

fn user(text: &str) -> (String, String) {
    ("user".into(), text.into())
}

#[test]
fn a_new_conversation_remembers_nothing() {
    let (sandbox, nexus) = signed_in();
    let mut terminal = open(&nexus, &[], &[]);
    line(&mut terminal, "one", "You said: one");
    line(&mut terminal, "/new", "New conversation: sandbox-large at work. /help lists commands, Ctrl-D leaves.\n>");
    line(&mut terminal, "/retry", "Nothing to ask again yet");
    line(&mut terminal, "/copy", "Nothing to copy yet");
    line(&mut terminal, "two", "You said: two");
    assert_eq!(sent_messages(&sandbox), [user("two")]);
    terminal.press("/exit\r");
    assert_eq!(terminal.finish().code, 0);
    let listed = nexus.run(&["history", "list", "--json"]).json();
    let titles: Vec<_> = listed["conversations"].as_array().unwrap().iter().map(|one| one["title"].clone()).collect();
    assert_eq!(titles, ["two", "one"]);
}

#[test]
fn a_retry_replaces_the_last_answer() {
    let (sandbox, nexus) = signed_in();
    let mut terminal = open(&nexus, &["--retries", "0"], &[]);
    line(&mut terminal, "/retry", "Nothing to ask again yet");
    sandbox.script(Endpoint::Messages, [answer("First."), answer("Second.")]);
    line(&mut terminal, "one", "First.");
    line(&mut terminal, "/retry", "Second.");
    assert_eq!(sent_messages(&sandbox), [user("one")], "without the first answer");
    // A retry that fails or is stopped loses nothing, and can be tried again.
    let busy = json!({ "type": "error", "error": { "type": "overloaded_error", "message": "busy" } });
    sandbox.script(Endpoint::Messages, [Scripted::json(529, &busy)]);
    line(&mut terminal, "/retry", "busy");
    let gate = Gate::new();
    sandbox.script(Endpoint::Messages, [Scripted::stream([delta("Half.\n"), Piece::Wait(gate)])]);
    terminal.press("/retry\r");
    terminal.until(|screen| screen.contains("Half."));
    terminal.press("\u{3}");
    terminal.until(|screen| screen.contains("(stopped)") && screen.trim_end().ends_with('>'));
    sandbox.script(Endpoint::Messages, [answer("Third.")]);
    line(&mut terminal, "/retry", "Third.");
    assert_eq!(sent_messages(&sandbox), [user("one")]);
    line(&mut terminal, "two", "You said: two");
    let third = ("assistant".to_owned(), "Third.".to_owned());
    assert_eq!(sent_messages(&sandbox), [user("one"), third.clone(), user("two")]);
    terminal.press("/exit\r");
    assert_eq!(terminal.finish().code, 0);
    let states = || {
        let shown = nexus.run(&["history", "show", "--json"]).json();
        let turns = shown["conversation"]["turns"].as_array().unwrap().clone();
        let answers = turns.iter().filter(|turn| turn["role"] == "assistant");
        answers.map(|turn| turn["state"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(states(), ["replaced", "replaced", "cut", "whole", "whole"]);
    assert!(nexus.run(&["history", "show"]).ok().contains("(replaced)\n\nFirst.\n"));
    nexus.run(&["chat", "-c", "three"]).ok();
    assert_eq!(sent_messages(&sandbox)[..3], [user("one"), third, user("two")], "the others are not sent");
    // The last question of a conversation that is continued.
    let mut terminal = open(&nexus, &["-c"], &[]);
    sandbox.script(Endpoint::Messages, [answer("Fourth.")]);
    line(&mut terminal, "/retry", "Fourth.");
    assert_eq!(sent_messages(&sandbox).last(), Some(&user("three")));
    assert_eq!(sent_messages(&sandbox).len(), 5);
    terminal.press("/exit\r");
    assert_eq!(terminal.finish().code, 0);
    assert_eq!(states(), ["replaced", "replaced", "cut", "whole", "whole", "replaced", "whole"]);
}

#[test]
fn a_file_is_attached_to_the_next_question() {
    let (sandbox, mut nexus) = signed_in();
    let home = nexus.home().to_string_lossy().into_owned();
    nexus.set("HOME", &home);
    fs::write(nexus.path("my notes.txt"), "the notes").unwrap();
    fs::write(nexus.path("other.txt"), "the others").unwrap();
    fs::write(nexus.path("binary"), [0, 1, 2]).unwrap();
    let mut terminal = open(&nexus, &["--retries", "0"], &[]);
    line(&mut terminal, "/attach -", "Nothing was attached");
    line(&mut terminal, "/attach", "Nothing is attached; `/attach FILE` attaches a file to the next question");
    line(&mut terminal, "/attach missing.txt", "cannot attach missing.txt: ");
    line(&mut terminal, "/attach binary", "cannot attach binary: ");
    line(&mut terminal, "/attach 'my notes.txt'", "Attached to the next question: my notes.txt");
    line(&mut terminal, "/attach -", "Nothing is attached any more");
    line(&mut terminal, "/attach my notes.txt", "Attached to the next question: my notes.txt");
    line(&mut terminal, "/attach ~/other.txt", "Attached to the next question: my notes.txt, ");
    let documents = || {
        let asked = sandbox.requests_to(Endpoint::Messages).pop().unwrap().json();
        let content = asked["messages"].as_array().unwrap().last().unwrap()["content"].clone();
        content.as_array().map_or(0, |parts| parts.iter().filter(|part| part["type"] == "document").count())
    };
    sandbox.script(Endpoint::Messages, [answer("Read.")]);
    line(&mut terminal, "what is this?", "Read.");
    assert_eq!(documents(), 2);
    sandbox.script(Endpoint::Messages, [answer("Again.")]);
    line(&mut terminal, "/retry", "Again.");
    assert_eq!(documents(), 2, "it is the same question");
    line(&mut terminal, "and now?", "You said: and now?");
    assert_eq!(documents(), 0);
    terminal.press("/exit\r");
    assert_eq!(terminal.finish().code, 0);
}

/// The types of what the last request has in its first message, or its text.
fn first_content(sandbox: &Sandbox) -> Value {
    let asked = sandbox.requests_to(Endpoint::Messages).pop().unwrap().json();
    match &asked["messages"][0]["content"] {
        Value::Array(parts) => parts.iter().map(|part| part["type"].clone()).collect(),
        text => text.clone(),
    }
}

#[test]
fn a_picture_is_sent_again_as_long_as_the_process_has_it() {
    let (sandbox, nexus) = signed_in();
    fs::write(nexus.path("pic.png"), PNG).unwrap();
    let mut terminal = open(&nexus, &["--retries", "0"], &[]);
    line(&mut terminal, "/attach pic.png", "Attached to the next question: pic.png");
    line(&mut terminal, "what pic", "what pic (This");
    sandbox.script(Endpoint::Messages, [answer("Again.")]);
    line(&mut terminal, "/retry", "Again.");
    for question in ["and now", "and then"] {
        line(&mut terminal, question, &format!("You said: {question} (This"));
        assert_eq!(first_content(&sandbox), json!(["image", "text"]));
    }
    let busy = json!({ "type": "error", "error": { "type": "overloaded_error", "message": "busy" } });
    line(&mut terminal, "/attach pic.png", "Attached to the next question: pic.png\n>");
    sandbox.script(Endpoint::Messages, [Scripted::json(529, &busy)]);
    line(&mut terminal, "and this", "busy");
    terminal.press("/exit\r");
    assert_eq!(terminal.finish().code, 0);

    // One question with a picture was answered, twice, and another one was not.
    let note = "1 attachment of this conversation was not saved; attach again with";
    let mut terminal = open(&nexus, &["-c"], &[]);
    terminal.until(|screen| screen.contains(&format!("note: {note} /attach if needed\n")));
    let asked = sandbox.requests_to(Endpoint::Messages).len();
    let refusal = "What was attached to that question was not saved; attach it with /attach and ask again\n>";
    line(&mut terminal, "/retry", refusal);
    assert_eq!(sandbox.requests_to(Endpoint::Messages).len(), asked);
    line(&mut terminal, "more", "You said: more (This");
    assert_eq!(first_content(&sandbox), "[a picture, which is not kept]\n\nwhat pic");
    sandbox.script(Endpoint::Messages, [answer("More.")]);
    line(&mut terminal, "/retry", "More.");
    terminal.press("/exit\r");
    assert_eq!(terminal.finish().code, 0);
    let output = nexus.run(&["chat", "-c", "yet more"]);
    assert_eq!(output.stderr, format!("note: {note} -a if needed\n"));
}

#[test]
fn tab_completes_commands_and_names_of_files() {
    let (sandbox, nexus) = signed_in();
    fs::create_dir(nexus.path("notes")).unwrap();
    fs::write(nexus.path("notes/my plan.txt"), "the plan").unwrap();
    let mut terminal = open(&nexus, &[], &[]);
    line(&mut terminal, "/mo\t", "sandbox-large (`nexus models` lists others)");
    line(&mut terminal, "/att\t not\tm\t", "Attached to the next question: notes/my plan.txt");
    // Several: the second Tab lists them.
    terminal.press("/s\t\t");
    terminal.until(|screen| screen.contains("system") && screen.contains("save"));
    terminal.press("\u{15}");
    line(&mut terminal, "a\tb", "\nab (This is");
    assert_eq!(sandbox.requests_to(Endpoint::Messages).len(), 1);
    terminal.press("/exit\r");
    assert_eq!(terminal.finish().code, 0);
}

#[test]
fn a_copy_of_an_incomplete_answer_is_called_that() {
    let (sandbox, nexus) = signed_in();
    let mut terminal = open(&nexus, &["--retries", "0"], &[]);
    let incomplete = "Sent the last answer, which is incomplete, to the clipboard";
    let count = |screen: &str| screen.matches(incomplete).count();
    sandbox.script(Endpoint::Messages, [Scripted::stream([delta("Half.\n"), Piece::Wait(Gate::new())])]);
    terminal.press("one\r");
    terminal.until(|screen| screen.contains("Half."));
    terminal.press("\u{3}");
    terminal.until(|screen| screen.contains("(stopped)") && screen.trim_end().ends_with('>'));
    line(&mut terminal, "/copy", incomplete);
    sandbox.script(
        Endpoint::Messages,
        [
            Scripted::stream([delta("Broken."), Piece::Break]),
            Scripted::stream([delta("Long."), stop_reason("max_tokens"), stop()]),
        ],
    );
    for (times, seen) in [(2, "error: "), (3, "it reached --max-tokens")] {
        line(&mut terminal, "again", seen);
        terminal.press("/copy\r");
        terminal.until(|screen| count(screen) == times && screen.trim_end().ends_with('>'));
    }
    sandbox.script(Endpoint::Messages, [answer("Whole.")]);
    line(&mut terminal, "whole", "Whole.");
    line(&mut terminal, "/copy", "Sent the last answer to the clipboard");
    terminal.press("/exit\r");
    assert_eq!(terminal.finish().code, 0);
}

#[test]
fn the_last_answer_is_copied_without_controls() {
    let (sandbox, nexus) = signed_in();
    // "A ␛[31mred␛[0m word", and below "hi".
    let copied = "\u{1b}]52;c;QSDikJtbMzFtcmVk4pCbWzBtIHdvcmQ=\u{7}";
    let hi = "\u{1b}]52;c;aGk=\u{7}";
    let mut terminal = open(&nexus, &[], &[]);
    sandbox.script(
        Endpoint::Messages,
        [answer("A \u{1b}[31mred\u{1b}[0m word\n"), answer("hi"), answer(&"x".repeat(80_000))],
    );
    line(&mut terminal, "one", "red");
    line(&mut terminal, "/copy", "Sent the last answer to the clipboard");
    line(&mut terminal, "two", "hi");
    line(&mut terminal, "/copy", "Sent the last answer to the clipboard");
    terminal.press("/exit\r");
    let left = terminal.finish();
    assert_eq!(left.bytes.matches("\u{1b}]52;").count(), 2, "{:?}", left.bytes);
    assert!(left.bytes.contains(copied) && left.bytes.contains(hi), "{:?}", left.bytes);

    let mut terminal = open(&nexus, &["-c"], &[("TMUX", "/tmp/tmux,1,0")]);
    line(&mut terminal, "/copy", "Sent the last answer to the clipboard");
    terminal.press("/exit\r");
    let left = terminal.finish();
    let wrapped = "\u{1b}Ptmux;\u{1b}\u{1b}]52;c;aGk=\u{7}\u{1b}\\";
    assert!(left.bytes.contains(&format!("{hi}{wrapped}")), "{:?}", left.bytes);

    let mut terminal = open(&nexus, &["-c", "--raw"], &[]);
    terminal.press("long\r");
    terminal.until(|screen| screen.matches('x').count() > 1_000 && screen.trim_end().ends_with('>'));
    terminal.press("/copy\r");
    terminal.until(|screen| screen.contains("too long for the clipboard"));
    terminal.press("/exit\r");
    assert!(!terminal.finish().bytes.contains("\u{1b}]52;"));
}

#[test]
fn an_unknown_command_is_answered_with_the_nearest_one() {
    let (sandbox, nexus) = signed_in();
    let mut terminal = open(&nexus, &[], &[]);
    let told = "Unknown command `/modle`: did you mean `/model`? To send a line that begins with a slash, type two:\n`//modle`";
    line(&mut terminal, "/modle", told);
    line(&mut terminal, "/retry now", "`/retry` takes no text; to send the line as a question, type `//retry`");
    for command in ["/new", "/retry", "/attach [FILE]", "/copy", "/model [ID]", "/system [TEXT]", "/save FILE", "/exit"]
    {
        line(&mut terminal, "/help", command);
    }
    line(&mut terminal, "/", "/attach [FILE]  attach a file");
    assert_eq!(sandbox.requests_to(Endpoint::Messages).len(), 0);
    line(&mut terminal, "//modle", "You said: /modle");
    terminal.press("/exit\r");
    assert_eq!(terminal.finish().code, 0);
}
