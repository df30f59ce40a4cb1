//! `nexus history` at a terminal: layout, pager, questions.

#![cfg(unix)]

use std::fs;

use nexus::sandbox::{Endpoint, Sandbox, Scripted, Settings};

use crate::chat::{delta, stop};
use crate::nexus::Nexus;
use crate::terminal::{Left, Terminal};

/// The pager gets no variable that is not set here: tests have no terminfo to rely on.
const PLAIN: &[(&str, &str)] = &[("TERM", "xterm"), ("PAGER", ""), ("TZ", "JST-9")];

/// A home with a saved conversation about a port, whose answer is Markdown.
fn saved() -> (Sandbox, Nexus) {
    let (sandbox, nexus) = Nexus::signed_in(Settings::default());
    let answer = "# Ports\n\nThe **port** is `taken`.\n\n```sh\nss -ltnp\n";
    sandbox.script(Endpoint::Messages, [Scripted::stream([delta(answer), stop()])]);
    let question = "why is the port *8080* taken when I start the server after a reboot of this machine?";
    nexus.run(&["chat", "--history", question]).ok();
    (sandbox, nexus)
}

fn at(nexus: &Nexus, words: &[&str], columns: u16, variables: &[(&str, &str)]) -> Left {
    let words: Vec<_> = ["history"].into_iter().chain(words.iter().copied()).collect();
    let variables: Vec<_> = PLAIN.iter().chain(variables).copied().collect();
    Terminal::open_with(nexus, &words, columns, &variables).finish()
}

#[test]
fn a_conversation_is_rendered_on_a_terminal() {
    let (_sandbox, nexus) = saved();
    let left = at(&nexus, &["show"], 100, &[]);
    assert_eq!(left.code, 0);
    for shown in ["\u{1b}[1mport\u{1b}[0m", "port *8080* taken", "JST", "Ports\u{1b}[0m", "\u{1b}[1mYou\u{1b}[0m"] {
        assert!(left.bytes.contains(shown), "{shown:?} in {:?}", left.bytes);
    }
    assert!(!left.bytes.contains("**port**") && !left.bytes.contains("# Ports"), "{}", left.screen);
    // In a pipe and with --raw it is Markdown.
    let plain = nexus.run(&["history", "show"]).ok();
    assert!(plain.contains("The **port** is `taken`."), "{plain}");
    assert_eq!(at(&nexus, &["show", "--raw"], 200, &[]).bytes.replace("\r\n", "\n"), plain);
    let left = at(&nexus, &["show"], 100, &[("NO_COLOR", "1")]);
    assert!(left.screen.contains("\n## You\n") && !left.bytes.contains("\u{1b}["), "{:?}", left.bytes);
}

#[test]
fn the_pager_gets_the_conversation() {
    let (_sandbox, mut nexus) = saved();
    nexus.set("PATH", "/usr/bin:/bin");
    nexus.set("ANTHROPIC_API_KEY", "hush");
    let pager = "echo \"<$LESS|$ANTHROPIC_API_KEY>\"; sed 's/^/| /'";
    let left = at(&nexus, &["show"], 100, &[("PAGER", pager)]);
    assert!(left.screen.starts_with("<FRX|>\n| why is the port") && left.code == 0, "{}", left.screen);
    for (words, pager) in [
        (&["show", "--no-pager"][..], "sed 's/^/| /'"),
        (&["show"], ""),
        (&["show"], "cat"),
        // One that does not exist is told, and does not keep the text back.
        (&["show"], "no-such-pager --of-the-kind"),
    ] {
        let left = at(&nexus, words, 100, &[("PAGER", pager)]);
        assert!(left.screen.contains("\nThe port is taken.\n") && left.code == 0, "{pager}: {}", left.screen);
        let told = left.screen.contains("note: the pager `no-such-pager --of-the-kind` (PAGER) cannot be run");
        assert_eq!(told, pager.starts_with("no-such"), "{}", left.screen);
    }
    let left = at(&nexus, &["show"], 100, &[("PAGER", "sed 's/^/| /'"), ("TERM", "dumb")]);
    assert!(left.screen.contains("\nThe **port** is `taken`.\n"), "{}", left.screen);
}

#[test]
fn a_pager_may_be_left_before_it_has_read_everything() {
    let (sandbox, mut nexus) = saved();
    sandbox.script(Endpoint::Messages, [Scripted::stream([delta(&"word ".repeat(100_000)), stop()])]);
    nexus.run(&["chat", "-c", "long"]).ok();
    nexus.set("PATH", "/usr/bin:/bin");
    let left = at(&nexus, &["show"], 100, &[("PAGER", "head -n 1")]);
    assert_eq!((left.code, left.screen.lines().count()), (0, 1), "{}", left.screen);
    assert!(left.screen.starts_with("why is the port"), "{}", left.screen);
}

#[test]
fn a_pipe_gets_no_pager() {
    let (_sandbox, mut nexus) = saved();
    let plain = nexus.run(&["history", "show"]).ok();
    nexus.set("PAGER", "false");
    nexus.set("TERM", "xterm");
    assert_eq!(nexus.run(&["history", "show"]).ok(), plain);
}

#[test]
fn lists_fit_the_terminal_and_matches_are_highlighted() {
    let (_sandbox, nexus) = saved();
    for columns in [40, 80, 200] {
        for words in [&["list"][..], &["search", "machine"], &["search", "port"]] {
            let left = at(&nexus, words, columns, &[]);
            let widest = left.screen.lines().map(|line| line.chars().count()).max().unwrap();
            assert!(widest <= usize::from(columns), "{columns}: {}", left.screen);
            let lines = left.bytes.matches("\r\n").count();
            assert_eq!(left.screen.lines().count(), lines, "no line is wrapped by the terminal: {}", left.screen);
        }
        let left = at(&nexus, &["search", "machine"], columns, &[]);
        assert!(left.bytes.contains("\u{1b}[1m\u{1b}[31mmachine\u{1b}[0m"), "{columns}: {:?}", left.bytes);
    }
    let left = at(&nexus, &["list"], 60, &[]);
    assert!(left.screen.contains(" JST  why is the") && left.screen.ends_with("...\n"), "{}", left.screen);
    let left = at(&nexus, &["search", "port"], 200, &[("NO_COLOR", "1")]);
    assert!(!left.bytes.contains('\u{1b}') && left.screen.contains("port"), "{:?}", left.bytes);
    assert!(!nexus.run(&["history", "search", "port"]).ok().contains(['\u{1b}', '\u{fdd0}', '\u{fdd1}']));
}

#[test]
fn deleting_everything_is_asked_about() {
    let (_sandbox, nexus) = saved();
    let count = || nexus.run(&["history", "list"]).ok().lines().count();
    let refused = nexus.run(&["history", "delete", "--all"]);
    assert_output!(
        refused, 2, stdout: "",
        stderr: "error: --all deletes every conversation, and there is no terminal to ask at\n  to delete them without \
                 being asked, run `nexus history delete --all --yes`\n",
    );
    for (answer, code, told, left) in [
        ("\r", 1, "Nothing was deleted\n", 1),
        ("n\r", 1, "Nothing was deleted\n", 1),
        ("y\r", 0, "Deleted 1 conversation\n", 0),
    ] {
        assert_eq!(count(), 1);
        let mut terminal = Terminal::open(&nexus, &["history", "delete", "--all"], 100);
        terminal.until(|screen| screen.ends_with("Delete the only saved conversation permanently? [y/N]\n"));
        terminal.press(answer);
        let ended = terminal.finish();
        assert!(ended.code == code && ended.screen.ends_with(told), "{answer:?}: {}", ended.screen);
        assert_eq!(count(), left);
    }
    let none = Terminal::open(&nexus, &["history", "delete", "--all"], 100).finish();
    assert_eq!((&*none.screen, none.code), ("Nothing to delete\n", 0));
    assert_eq!(nexus.run(&["history", "delete", "--yes", "abc"]).code, Some(2));
}

#[test]
fn a_sign_out_says_that_the_history_stays() {
    let (_sandbox, nexus) = saved();
    let told = "The history of conversations stays here; `nexus history delete --all` deletes it\n";
    let output = nexus.run(&["oauth", "logout"]);
    assert!(output.code == Some(0) && output.stderr.ends_with(told), "{output}");
    assert!(nexus.run(&["oauth", "logout", "--all"]).stderr.ends_with(told));
    assert_eq!(nexus.run(&["history", "list"]).ok().lines().count(), 1);
    fs::remove_file(nexus.path("data/history.db")).unwrap();
    assert_output!(nexus.run(&["oauth", "logout"]), 0, stdout: "", stderr: "Not signed in\n");
}
