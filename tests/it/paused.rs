//! A reader of stdout that pauses: only the output waits for it.

#![cfg(unix)]

use std::io::{PipeReader, PipeWriter, Read as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::process::Child;

use nexus::sandbox::{Endpoint, Gate, Piece, Scripted};
use rusqlite::Connection;
use serde_json::json;

use crate::chat::{delta, signed_in, stop, stop_reason};
use crate::nexus::{Nexus, block_on, lifetime, signal};
use crate::stored::Stored;

/// More than a pipe holds.
const PIECES: usize = 40;

fn piece(number: usize) -> String {
    format!("{number:05}").repeat(2_000)
}

fn long_answer() -> Vec<Piece> {
    let text = (0..PIECES).map(|number| delta(&piece(number)));
    text.chain([stop_reason("end_turn"), stop()]).collect()
}

/// Waits until the pipe that a process writes is full.
fn until_full(writer: PipeWriter, child: &mut Child) {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    // Nothing signals that a pipe has become full.
    while poll(&mut [PollFd::new(&writer, PollFlags::OUT)], Some(&Timespec::default())).unwrap() > 0 {
        assert!(child.try_wait().unwrap().is_none(), "it ended before the pipe was full");
        std::thread::yield_now();
    }
}

/// Starts a chat that fills its stdout.
fn stuck(nexus: &Nexus, command: &[&str]) -> (Child, PipeReader) {
    let (reader, writer) = std::io::pipe().unwrap();
    let ours = writer.try_clone().unwrap();
    let mut child = nexus.command(command).stdout(writer).spawn().unwrap();
    until_full(ours, &mut child);
    (child, reader)
}

/// Runs a chat, and returns what each of its writes to stdout wrote.
fn writes(nexus: &Nexus, command: &[&str]) -> Vec<String> {
    // Unlike a pipe, it keeps writes apart.
    let (reader, writer) = UnixDatagram::pair().unwrap();
    let mut child = nexus.command(command).stdout(OwnedFd::from(writer)).spawn().unwrap();
    assert!(child.wait().unwrap().success());
    reader.set_nonblocking(true).unwrap();
    let mut packet = vec![0; 1 << 16];
    std::iter::from_fn(|| reader.recv(&mut packet).ok().map(|length| String::from_utf8_lossy(&packet[..length]).into()))
        .collect()
}

#[test]
fn what_arrives_together_is_written_by_one_call() {
    let (sandbox, nexus) = signed_in();
    let together = || {
        let pieces = (0..50).map(|number| delta(&format!("{number} "))).chain([stop_reason("end_turn"), stop()]);
        let bytes = pieces.flat_map(|piece| match piece {
            Piece::Bytes(bytes) => bytes,
            other => panic!("{other:?}"),
        });
        Scripted::stream([Piece::Bytes(bytes.collect())])
    };
    let text: String = (0..50).map(|number| format!("{number} ")).collect();
    sandbox.script(Endpoint::Messages, [together(), together()]);
    assert_eq!(writes(&nexus, &["chat", "x"]), [&*text, "\n"]);
    let lines = writes(&nexus, &["chat", "x", "--output", "stream-json"]);
    let counts: Vec<_> = lines.iter().map(|lines| lines.lines().count()).collect();
    // They are larger than what fits into a pipe for sure, so they are cut between two lines.
    assert_eq!(counts.iter().sum::<usize>(), 52, "{lines:?}");
    assert!(counts.len() < 6 && lines.iter().all(|lines| lines.ends_with('\n')), "{lines:?}");
}

#[test]
fn a_signal_ends_a_command_whose_output_is_not_read() {
    let (sandbox, nexus) = signed_in();
    for form in ["text", "json", "stream-json"] {
        for (name, code) in [("INT", 130), ("TERM", 143)] {
            sandbox.script(Endpoint::Messages, [Scripted::stream(long_answer())]);
            let (child, reader) = stuck(&nexus, &["chat", "x", "--output", form]);
            signal(child.id(), name);
            assert_eq!(nexus.finish(child).code, Some(code), "{form}");
            drop(reader);
        }
    }
    let lines: String = (0..9).map(|id| format!("{}\n", json!({ "id": id, "prompt": "x" }))).collect();
    std::fs::write(nexus.path("in.jsonl"), lines).unwrap();
    sandbox.script(Endpoint::Messages, vec![Scripted::stream(long_answer()); 9]);
    let (child, _reader) = stuck(&nexus, &["batch", "in.jsonl"]);
    signal(child.id(), "INT");
    assert_eq!(nexus.finish(child).code, Some(130), "a batch");
}

#[test]
fn a_signal_ends_a_command_that_prints_after_its_work() {
    let (sandbox, nexus) = signed_in();
    let ids: Vec<_> = (0..2_000).map(|number| json!({ "id": format!("claude-{number:0100}") })).collect();
    sandbox.script(Endpoint::Models, [Scripted::json(200, &json!({ "data": ids }))]);
    let (child, reader) = stuck(&nexus, &["models"]);
    signal(child.id(), "INT");
    assert_eq!(nexus.finish(child).code, Some(130));
    drop(reader);
}

#[test]
fn a_second_signal_ends_a_blocked_command() {
    use std::io::Write as _;
    const PAGE: [u8; 4_096] = [b'x'; 4_096];

    let (_sandbox, nexus) = signed_in();
    let (mut reader, mut writer) = std::io::pipe().unwrap();
    rustix::io::ioctl_fionbio(&writer, true).unwrap();
    while writer.write(&PAGE).is_ok() {}
    rustix::io::ioctl_fionbio(&writer, false).unwrap();
    // Room for the first line of the log only.
    reader.read_exact(&mut [0; PAGE.len()]).unwrap();
    writer.write_all(&PAGE[60..]).unwrap();
    let filled = rustix::io::ioctl_fionread(&reader).unwrap();
    let mut child = nexus.command(&["chat", "x", "--verbose"]).stderr(writer).spawn().unwrap();
    while rustix::io::ioctl_fionread(&reader).unwrap() == filled {
        assert!(child.try_wait().unwrap().is_none(), "it ended before its first line");
        std::thread::yield_now();
    }
    // Pending signals of one kind merge, so they are sent until the process ends.
    while child.try_wait().unwrap().is_none() {
        signal(child.id(), "INT");
    }
    assert_eq!(child.wait().unwrap().code(), Some(130));
    drop(reader);
}

#[test]
fn a_pipe_closed_after_a_pause_is_success() {
    let (sandbox, nexus) = signed_in();
    for form in ["text", "json", "stream-json"] {
        sandbox.script(Endpoint::Messages, [Scripted::stream(long_answer())]);
        let (child, reader) = stuck(&nexus, &["chat", "x", "--output", form]);
        drop(reader);
        assert_output!(nexus.finish(child), 0, stdout: "", stderr: "");
    }
}

#[test]
fn a_background_refresh_is_saved_while_the_reader_pauses() {
    let (sandbox, nexus) = Nexus::signed_in(lifetime(3_600));
    let store = Connection::open(nexus.path("data/sessions.db")).unwrap();
    Stored::open(nexus.home()).pass(3_500);
    let generation = || store.query_row("SELECT generation FROM session", [], |row| row.get::<_, i64>(0)).unwrap();
    let (before, renewal) = (generation(), Gate::new());
    sandbox.script(Endpoint::Token, [Scripted::Paused(renewal.clone())]);
    sandbox.script(Endpoint::Messages, [Scripted::stream(long_answer())]);
    let (child, mut reader) = stuck(&nexus, &["chat", "x"]);
    block_on(renewal.arrived(1));
    renewal.open();
    // The saved session is the only sign of progress.
    block_on(async {
        while generation() == before {
            tokio::task::yield_now().await;
        }
    });
    let mut printed = String::new();
    reader.read_to_string(&mut printed).unwrap();
    let whole: String = (0..PIECES).map(piece).collect();
    assert!(printed == whole + "\n", "{} bytes", printed.len());
    assert_output!(nexus.finish(child), 0, stdout: "", stderr: "");
}

#[test]
fn the_first_line_does_not_wait_for_the_history() {
    use std::io::{BufRead as _, BufReader};

    let (sandbox, nexus) = signed_in();
    nexus.run(&["chat", "x", "--history"]).ok();
    let history = Connection::open(nexus.path("data/history.db")).unwrap();
    history.execute_batch("BEGIN IMMEDIATE").unwrap();
    let gate = Gate::new();
    let pieces = vec![delta("one"), Piece::Wait(gate.clone()), stop_reason("end_turn"), stop()];
    sandbox.script(Endpoint::Messages, [Scripted::stream(pieces)]);
    let words = ["chat", "x", "--history", "--output", "stream-json"];
    let mut child = nexus.command(&words).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || serde_json::from_str::<serde_json::Value>(&lines.next().unwrap().unwrap()).unwrap();
    let (start, text) = (next(), next());
    history.execute_batch("COMMIT").unwrap();
    gate.open();
    assert_eq!((&start["type"], &start["conversation"]), (&json!("start"), &json!(null)), "it is not kept yet");
    assert_eq!(text["text"], "one");
    let result = next();
    assert_eq!(result["conversation"].as_str().unwrap().len(), 8, "{result}");
    assert_output!(nexus.finish(child), 0, stdout: "", stderr: "");
    assert!(nexus.run(&["history", "list"]).ok().contains(result["conversation"].as_str().unwrap()));
}
