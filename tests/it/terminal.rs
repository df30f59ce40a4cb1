//! The program in a pseudo-terminal, and its screen. `NEXUS_WRITE_SNAPSHOTS=1 cargo test --test it terminal` writes the
//! snapshots.

#![cfg(unix)]

use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use nexus::sandbox::{Answer, Endpoint, Gate, Piece, Scripted, Settings};
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use serde_json::json;

use crate::batch;
use crate::chat::{delta, stop, stop_reason};
use crate::nexus::{Nexus, sandbox};
use crate::token_command::borrowing;

/// A program that runs longer than this hangs.
const LIMIT: Duration = Duration::from_secs(60);

/// Enough rows that nothing scrolls.
const ROWS: u16 = 150;

/// A program at a terminal.
pub(crate) struct Terminal {
    child: Box<dyn Child + Send + Sync>,
    master: Box<dyn MasterPty + Send>,
    /// Kept open: dropping it sends a newline.
    keys: Box<dyn Write + Send>,
    message: Arc<(Mutex<Said>, Condvar)>,
    columns: u16,
}

#[derive(Default)]
struct Said {
    bytes: Vec<u8>,
    ended: bool,
}

/// The output and the exit code of a program.
pub(crate) struct Left {
    pub(crate) screen: String,
    pub(crate) bytes: String,
    pub(crate) code: u32,
}

impl Terminal {
    pub(crate) fn open(nexus: &Nexus, words: &[&str], columns: u16) -> Self {
        Self::open_with(nexus, words, columns, &[("TERM", "xterm-256color")])
    }

    pub(crate) fn open_with(nexus: &Nexus, words: &[&str], columns: u16, variables: &[(&str, &str)]) -> Self {
        Self::run(nexus, &nexus.command(words), columns, variables)
    }

    /// A command that [`Nexus`] has prepared.
    pub(crate) fn run(nexus: &Nexus, plain: &Command, columns: u16, variables: &[(&str, &str)]) -> Self {
        Self::run_in(nexus, plain, (columns, ROWS), variables)
    }

    /// Such a command in a terminal that says that it has these columns and rows. Nothing scrolls all the same.
    pub(crate) fn run_in(nexus: &Nexus, plain: &Command, size: (u16, u16), variables: &[(&str, &str)]) -> Self {
        let (columns, rows) = size;
        let size = PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).unwrap();
        let mut command = CommandBuilder::new(plain.get_program());
        command.args(plain.get_args());
        command.env_clear();
        for (name, value) in plain.get_envs() {
            command.env(name, value.map_or_else(OsString::new, OsString::from));
        }
        for (name, value) in variables {
            command.env(name, value);
        }
        command.cwd(nexus.home());
        let child = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave);
        let message: Arc<(Mutex<Said>, Condvar)> = Arc::default();
        let (mut reader, heard) = (pair.master.try_clone_reader().unwrap(), message.clone());
        thread::spawn(move || {
            let mut bytes = [0; 4_096];
            loop {
                // A closed terminal is an error on some systems and an end of file on others.
                let read = reader.read(&mut bytes).unwrap_or(0);
                let mut message = heard.0.lock().unwrap();
                message.bytes.extend_from_slice(&bytes[..read]);
                message.ended = read == 0;
                heard.1.notify_all();
                if read == 0 {
                    break;
                }
            }
        });
        let keys = pair.master.take_writer().unwrap();
        Self { child, master: pair.master, keys, message, columns }
    }

    /// Waits until the screen matches.
    pub(crate) fn until(&self, has: impl Fn(&str) -> bool) {
        self.shown(has);
    }

    /// Waits until the screen matches, and returns it.
    pub(crate) fn shown(&self, has: impl Fn(&str) -> bool) -> String {
        let screen = self.wait(|message| message.ended || has(&screen(&message.bytes, self.columns)));
        assert!(has(&screen), "{screen}");
        screen
    }

    /// Waits until the program has ended.
    pub(crate) fn until_ended(&self) {
        self.wait(|message| message.ended);
    }

    fn wait(&self, done: impl Fn(&Said) -> bool) -> String {
        let message = self.message.0.lock().unwrap();
        let (message, timeout) = self.message.1.wait_timeout_while(message, LIMIT, |message| !done(message)).unwrap();
        let screen = screen(&message.bytes, self.columns);
        assert!(!timeout.timed_out(), "{screen} is still shown");
        screen
    }

    pub(crate) fn press(&mut self, keys: &str) {
        self.press_bytes(keys.as_bytes());
    }

    pub(crate) fn press_bytes(&mut self, keys: &[u8]) {
        self.keys.write_all(keys).unwrap();
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.process_id().unwrap()
    }

    /// The device of the terminal.
    pub(crate) fn device(&self) -> PathBuf {
        self.master.tty_name().unwrap()
    }

    /// Whether the terminal echoes typed characters.
    #[cfg(unix)]
    pub(crate) fn echoes(&self) -> bool {
        let modes = format!("{:?}", self.master.get_termios().unwrap().local_flags);
        modes.split(|c: char| !c.is_alphanumeric()).any(|mode| mode == "ECHO")
    }

    pub(crate) fn finish(mut self) -> Left {
        let screen = self.wait(|message| message.ended);
        let bytes = String::from_utf8(self.message.0.lock().unwrap().bytes.clone()).unwrap();
        Left { screen, bytes, code: self.child.wait().unwrap().exit_code() }
    }
}

/// The screen after these bytes, without empty lines at the end.
fn screen(bytes: &[u8], columns: u16) -> String {
    let size = |lines| NonZeroU16::new(lines).unwrap();
    let mut parser = vt100::Parser::new(size(ROWS), size(columns), 0);
    parser.process(bytes);
    let rows: Vec<_> = parser.screen().rows(0, columns).map(|row| row.trim_end().to_owned()).collect();
    format!("{}\n", rows.join("\n").trim_end())
}

fn ending() -> [Piece; 2] {
    [stop_reason("end_turn"), stop()]
}

/// A stream of this text in pieces of this many characters.
fn answer(text: &str, length: usize) -> Answer {
    let characters: Vec<_> = text.chars().collect();
    let pieces = characters.chunks(length).map(|piece| delta(&piece.iter().collect::<String>()));
    Answer::stream(pieces.chain(ending()))
}

fn kept(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/snapshots").join(name)
}

#[track_caller]
fn assert_kept(name: &str, screen: &str) {
    #[expect(clippy::disallowed_methods, reason = "a test is told by its environment to write instead of compare")]
    let write = std::env::var_os("NEXUS_WRITE_SNAPSHOTS").is_some();
    if write {
        fs::write(kept(name), screen).unwrap();
    }
    let kept = fs::read_to_string(kept(name)).unwrap();
    assert!(kept == screen, "tests/it/snapshots/{name} is:\n{kept}\nthe screen is:\n{screen}");
}

#[test]
fn an_answer_is_laid_out_the_same_in_any_pieces() {
    let (sandbox, nexus) = Nexus::signed_in(Settings::default());
    let text = fs::read_to_string(kept("answer.md")).unwrap();
    for columns in [40, 80] {
        for length in [usize::MAX, 1, 2, 7] {
            sandbox.script(Endpoint::Messages, [Scripted::Answer(answer(&text, length))]);
            let left = Terminal::open(&nexus, &["chat", "x"], columns).finish();
            assert_eq!(left.code, 0, "{}", left.screen);
            assert_kept(&format!("answer-{columns}.txt"), &left.screen);
        }
    }
}

#[test]
fn the_colors_match_the_snapshot() {
    let (sandbox, nexus) = Nexus::signed_in(Settings::default());
    let text = fs::read_to_string(kept("answer.md")).unwrap();
    sandbox.script(Endpoint::Messages, [Scripted::Answer(answer(&text, 5))]);
    let left = Terminal::open(&nexus, &["chat", "x"], 80).finish();
    let shown: Vec<_> = left.bytes.split("\r\n").map(|line| line.replace('\u{1b}', "␛")).collect();
    assert_kept("answer-80-colors.txt", &shown.join("\n"));
}

#[test]
fn no_color_dumb_terminals_and_raw_disable_styles() {
    let (sandbox, nexus) = Nexus::signed_in(Settings::default());
    let text = "# Title\n\n- *one* `two`\n\n\u{1b}[2Jx\n";
    for (words, variables, shown) in [
        (
            &["chat", "x"][..],
            &[("TERM", "xterm"), ("NO_COLOR", "1")][..],
            "# Title\r\n\r\n• *one* `two`\r\n\r\n␛[2Jx\r\n",
        ),
        (&["chat", "x"], &[("TERM", "dumb")], "# Title\r\n\r\n• *one* `two`\r\n\r\n␛[2Jx\r\n"),
        (&["chat", "--raw", "x"], &[("TERM", "xterm")], "# Title\r\n\r\n- *one* `two`\r\n\r\n␛[2Jx\r\n"),
    ] {
        sandbox.script(Endpoint::Messages, [Scripted::Answer(answer(text, 3))]);
        let left = Terminal::open_with(&nexus, words, 80, variables).finish();
        assert!(left.bytes.ends_with(shown), "{:?}", left.bytes);
        assert_eq!(left.bytes.trim_start_matches("\r\u{1b}[K").len(), shown.len(), "{:?}", left.bytes);
    }
}

/// What is written and what a terminal shows of it, in colors. `␛` is the escape character.
const WRITTEN: &[(&str, &str)] = &[
    ("\\mathbf{x}_a + y_{b}", "\\mathbf{x}_a + y_{b}"),
    ("$x_1 * y_1$ and $$a_b * c_d$$", "$x_1 * y_1$ and $$a_b * c_d$$"),
    ("\\(x_*1*\\) and \\[\\{a\\_b\\}\\]", "\\(x_*1*\\) and \\[\\{a\\_b\\}\\]"),
    ("$$\n- a\n+ b \\\\\n= c\n$$", "$$\r\n- a\r\n+ b \\\\\r\n= c\r\n$$"),
    ("5*4*3*2*1 and x**2 + y**3 are 2*3*4", "5*4*3*2*1 and x**2 + y**3 are 2*3*4"),
    ("*args, **kwargs, *.rs and *.toml", "*args, **kwargs, *.rs and *.toml"),
    ("char *a, *b; __init__ snake_case_name", "char *a, *b; __init__ snake_case_name"),
    ("*italic* and **bold**", "␛[3mitalic␛[0m and ␛[1mbold␛[0m"),
    ("これは**「重要」**です。", "これは␛[1m「重␛[0m␛[1m要」␛[0mです。"),
    ("**「a。」**b", "␛[1m「a。」␛[0mb"),
    ("A line of verse,\nand its second line.", "A line of verse,\r\nand its second line."),
    (
        "\u{200f}שלום\u{200e} a\u{61c}b 👩\u{200d}👧 \u{202e}x\u{2066}y",
        "\u{200f}שלום\u{200e} a\u{61c}b 👩\u{200d}👧 <U+202E>x<U+2066>y",
    ),
    ("a < b > c <tag> &nosuch; [^1] [x] C:\\_x", "a < b > c <tag> &nosuch; [^1] [x] C:\\_x"),
    ("1986. A great year\n1984. Another", "1986. A great year\r\n1984. Another"),
    ("#hashtag\n+1", "#hashtag\r\n+1"),
];

#[test]
fn what_is_no_markup_is_shown_as_it_is_written() {
    let (sandbox, nexus) = Nexus::signed_in(Settings::default());
    let text = WRITTEN.iter().map(|(written, _)| *written).collect::<Vec<_>>().join("\n\n");
    let shown = WRITTEN.iter().map(|(_, shown)| *shown).collect::<Vec<_>>().join("\r\n\r\n");
    sandbox.script(Endpoint::Messages, [Scripted::Answer(answer(&text, 3))]);
    let left = Terminal::open(&nexus, &["chat", "x"], 80).finish();
    let bytes = left.bytes.replace('\u{1b}', "␛");
    assert!(bytes.ends_with(&format!("{shown}\r\n")), "{bytes}");
}

#[test]
fn without_styles_the_marks_are_shown() {
    let (sandbox, nexus) = Nexus::signed_in(Settings::default());
    let text = "# One\n\n**two** *three* _four_ ~~five~~ `six` ``se`ven`` [eight](https://h/9)";
    let shown = "# One\r\n\r\n**two** *three* _four_ ~~five~~ `six` ``se`ven`` eight (https://h/9)\r\n";
    for variables in [&[("TERM", "xterm"), ("NO_COLOR", "1")][..], &[("TERM", "dumb")]] {
        sandbox.script(Endpoint::Messages, [Scripted::Answer(answer(text, 3))]);
        let left = Terminal::open_with(&nexus, &["chat", "x"], 80, variables).finish();
        assert!(left.bytes.ends_with(shown), "{:?}", left.bytes);
    }
}

#[test]
fn a_small_answer_causes_no_large_output() {
    let (sandbox, nexus) = Nexus::signed_in(Settings::default());
    let table = format!("{}\n{}\n{}", "|a".repeat(3_000), "|-".repeat(3_000), "|b\n".repeat(3_000));
    let (rules, marks) = ("---\n".repeat(5_000), ">".repeat(20_000));
    for text in [table, "[".repeat(20_000), "<a ".repeat(5_000), "*a ".repeat(5_000), marks, rules] {
        sandbox.script(Endpoint::Messages, [Scripted::Answer(answer(&text, 4_000))]);
        let terminal = Terminal::open(&nexus, &["chat", "x"], 80);
        terminal.until_ended();
        let written = terminal.message.0.lock().unwrap().bytes.len();
        let most = if text.starts_with('-') { 30 } else { 10 };
        assert!(written <= most * text.len() + 4_000, "{written} of {} bytes", text.len());
    }
}

#[test]
fn text_is_as_wide_as_columns_says_and_at_most_100_columns() {
    let (sandbox, nexus) = Nexus::signed_in(Settings::default());
    sandbox.script(Endpoint::Messages, [Scripted::Answer(answer("aaaa bbbb cccc", 3))]);
    let left = Terminal::open_with(&nexus, &["chat", "x"], 80, &[("COLUMNS", "10")]).finish();
    assert_eq!(left.screen, "aaaa bbbb\ncccc\n");

    let (line, rest) = ("word ".repeat(20), "word ".repeat(7));
    sandbox.script(Endpoint::Messages, [Scripted::Answer(answer(&format!("{line}{rest}\n\n---"), 3))]);
    let left = Terminal::open(&nexus, &["chat", "x"], 200).finish();
    assert_eq!(left.screen, format!("{}\n{}\n\n{}\n", line.trim(), rest.trim(), "─".repeat(100)));
}

#[test]
fn help_config_fits_the_terminal() {
    let plain = [("TERM", "xterm-256color"), ("PAGER", "cat")];
    let left = Terminal::open_with(&Nexus::new(), &["help", "config"], 60, &plain).finish();
    let longest = left.bytes.lines().filter(|line| line.starts_with("      ")).map(|line| line.chars().count()).max();
    assert!(longest.is_some_and(|columns| (50..=60).contains(&columns)), "{longest:?} in {}", left.bytes);
    assert!(!left.bytes.contains('\u{1b}'), "{:?}", left.bytes);
}

#[test]
fn resizing_the_terminal_changes_the_layout() {
    let (sandbox, nexus) = Nexus::signed_in(Settings::default());
    let gate = Gate::new();
    let pieces = [delta("one two three four\n\n"), Piece::Wait(gate.clone()), delta("one two three four\n")];
    sandbox.script(Endpoint::Messages, [Scripted::stream(pieces.into_iter().chain(ending()))]);
    let terminal = Terminal::open(&nexus, &["chat", "x"], 80);
    terminal.until(|screen| screen.contains("four"));
    terminal.master.resize(PtySize { rows: ROWS, cols: 10, pixel_width: 0, pixel_height: 0 }).unwrap();
    gate.open();
    let left = terminal.finish();
    assert!(left.bytes.ends_with("one two three four\r\n\r\none two\r\nthree four\r\n"), "{:?}", left.bytes);
}

#[test]
fn progress_is_shown_until_the_first_text() {
    let (sandbox, nexus) = Nexus::signed_in(Settings::default());
    let host = sandbox.origin().replace("http://", "");
    let (refreshed, begun, answered) = (Gate::new(), Gate::new(), Gate::new());
    sandbox.change(|settings| settings.token_lifetime = Some(json!(0)));
    nexus.sign_in();
    sandbox.change(|settings| settings.token_lifetime = Some(json!(3_600)));
    sandbox.script(Endpoint::Token, [Scripted::Wait(refreshed.clone())]);
    let busy =
        Scripted::json(529, &json!({ "type": "error", "error": { "type": "overloaded_error", "message": "busy" } }));
    let start = Piece::event(&json!({ "type": "message_start", "message": {} }));
    let pieces = [Piece::Wait(begun.clone()), start, Piece::Wait(answered.clone()), delta("Here it is.")];
    sandbox.script(Endpoint::Messages, [busy, Scripted::stream(pieces.into_iter().chain(ending()))]);
    let terminal = Terminal::open(&nexus, &["chat", "x"], 200);
    terminal.until(|screen| screen == "refreshing the token ...\n");
    refreshed.open();
    terminal.until(|screen| screen.ends_with(&format!("\nwaiting for {host} ...\n")));
    begun.open();
    terminal.until(|screen| screen.ends_with("\nwaiting for the first words ...\n"));
    answered.open();
    let left = terminal.finish();
    assert!(left.screen.starts_with("note: ") && left.screen.ends_with("\nHere it is.\n"), "{}", left.screen);
    assert_eq!((left.screen.lines().count(), left.code), (2, 0), "{}", left.screen);
    assert!(left.bytes.contains(&format!("retrying {host} in ")), "{:?}", left.bytes);
    let (mark, answer) = left.bytes.rsplit_once("\r\u{1b}[K").unwrap();
    assert!(mark.ends_with(" ...\u{1b}[0m\u{1b}[K") && answer == "Here it is.\r\n", "{:?}", left.bytes);
}

#[test]
fn progress_shows_a_slow_connection() {
    let sandbox = sandbox(Settings::default());
    let nexus = Nexus::at(&sandbox);
    // Sends nothing: closes the connection of the sign-in, which lists the models, and keeps later ones.
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = mute.local_addr().unwrap().to_string();
    let config = fs::read_to_string(nexus.path("config.toml")).unwrap();
    let elsewhere =
        config.replace(&format!("api_url = \"{}", sandbox.origin()), &format!("api_url = \"https://{host}"));
    assert_ne!(elsewhere, config);
    nexus.configure(&elsewhere);
    let kept = Arc::new(Mutex::new(None::<Vec<_>>));
    let keeps = kept.clone();
    thread::spawn(move || {
        for connection in mute.incoming() {
            if let Some(kept) = keeps.lock().unwrap().as_mut() {
                kept.push(connection);
            }
        }
    });
    nexus.sign_in();
    *kept.lock().unwrap() = Some(Vec::new());
    let terminal = Terminal::open(&nexus, &["chat", "-m", "sandbox-small", "--retries", "0", "x"], 200);
    terminal.until(|screen| screen == format!("waiting for {host} (connecting) ...\n"));
    *kept.lock().unwrap() = None;
    let left = terminal.finish();
    assert!(left.screen.starts_with("error: ") && !left.screen.contains("connecting"), "{}", left.screen);
}

#[test]
fn progress_counts_the_seconds_of_a_long_wait() {
    let (sandbox, nexus) = Nexus::signed_in(Settings::default());
    let host = sandbox.origin().replace("http://", "");
    for (columns, text) in [(200, format!("waiting for {host} (")), (20, "waiting… (".to_owned())] {
        let gate = Gate::new();
        sandbox.script(Endpoint::Messages, [Scripted::Wait(gate.clone())]);
        let terminal = Terminal::open(&nexus, &["chat", "x"], columns);
        terminal.until(|screen| screen.starts_with(&text) && screen.ends_with(" s) ...\n"));
        gate.open();
        assert_eq!(terminal.finish().code, 0);
    }
}

#[test]
fn progress_tells_the_list_of_models_from_the_token_and_the_answer() {
    for command in ["chat", "batch", "models"] {
        let (sandbox, nexus) = borrowing("");
        let host = sandbox.origin().replace("http://", "");
        let prompts = batch::prompts(&nexus, &[batch::prompt("a", "Hello")]);
        let argument = if command == "batch" { prompts.to_str() } else { Some("Hello") };
        let asks = command != "models";
        let words: Vec<_> = [command, "-p", "cmd"].into_iter().chain(argument.filter(|_| asks)).collect();
        let (listed, answered) = (Gate::new(), Gate::new());
        sandbox.script(Endpoint::Models, [Scripted::Wait(listed.clone())]);
        sandbox.script(Endpoint::Messages, [Scripted::Wait(answered.clone())]);
        let terminal = Terminal::open(&nexus, &words, 200);
        terminal.until(|screen| screen == "listing the models ...\n");
        listed.open();
        if asks {
            terminal.until(|screen| screen == format!("waiting for {host} ...\n"));
            answered.open();
        }
        let left = terminal.finish();
        assert_eq!(left.code, 0, "{}", left.screen);
    }
}

#[test]
fn other_lines_appear_above_the_progress_line() {
    let (sandbox, nexus) = Nexus::signed_in(Settings::default());
    let gate = Gate::new();
    let pieces = [Piece::Wait(gate.clone()), Piece::Break];
    sandbox.script(Endpoint::Messages, [Scripted::stream(pieces)]);
    let terminal = Terminal::open(&nexus, &["chat", "--verbose", "--retries", "0", "x"], 200);
    terminal.until(|screen| screen.ends_with(" ...\n"));
    gate.open();
    let left = terminal.finish();
    assert!(left.screen.contains("\nerror: ") && !left.screen.contains(" ..."), "{}", left.screen);
    assert_eq!(left.code, 75);
}

#[test]
fn an_interrupt_prints_the_text_that_was_held_back() {
    let (sandbox, nexus) = Nexus::signed_in(Settings::default());
    let gate = Gate::new();
    let pieces = [delta("one **two"), Piece::Wait(gate.clone())];
    sandbox.script(Endpoint::Messages, [Scripted::stream(pieces)]);
    let mut terminal = Terminal::open(&nexus, &["chat", "x"], 80);
    terminal.until(|screen| screen == "one\n");
    terminal.press("\u{3}");
    let left = terminal.finish();
    assert_eq!((&*left.screen, left.code), ("one^C **two\n", 130));
}

#[test]
fn an_error_begins_on_a_line_of_its_own() {
    let (sandbox, nexus) = Nexus::signed_in(Settings::default());
    sandbox.script(Endpoint::Messages, [Scripted::stream([delta("half an"), Piece::Break])]);
    let left = Terminal::open(&nexus, &["chat", "x"], 120).finish();
    assert!(left.screen.starts_with("half an\nnote: ") && left.screen.contains("\nerror: "), "{}", left.screen);
    assert_eq!(left.code, 75);
}

#[test]
fn the_status_at_a_terminal_has_a_second_line_with_provider_and_account() {
    let (_sandbox, nexus) = Nexus::signed_in(crate::nexus::lifetime(12_270));
    let line = "Token active, expires in 3.4 hours, auto-refresh enabled\n";
    for (words, second) in [
        (&["oauth", "status"][..], "Provider work, account you@sandbox.example\n"),
        (&["oauth", "status", "--provider", "claude_code"], "Provider claude_code\n"),
    ] {
        let left = Terminal::open(&nexus, words, 200).finish();
        assert!(left.screen.ends_with(second), "{}", left.screen);
        assert_eq!(left.screen.contains(line), left.code == 0, "{}", left.screen);
    }
    assert_eq!(nexus.run(&["oauth", "status"]).ok(), line, "there is none in a pipe");
}
