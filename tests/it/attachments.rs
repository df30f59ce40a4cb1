//! `nexus chat -a`: what is sent along, and what is refused before anything is asked.

use std::fs::{self, File};

use nexus::sandbox::{Endpoint, Sandbox, Settings};
use serde_json::{Value, json};

use crate::nexus::{Nexus, sandbox};

pub(crate) const PNG: &[u8] =
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\0\0\0\0\0\0\0\0IEND\xae\x42\x60\x82";
const PDF: &[u8] = b"%PDF-1.7\n";

fn signed_in(lines: &str) -> (Sandbox, Nexus) {
    let sandbox = sandbox(Settings::default());
    let nexus = Nexus::at_with(&sandbox, lines);
    nexus.sign_in();
    for (name, bytes) in [("picture.txt", PNG), ("paper", PDF), ("notes.png", "Größe: 5\n".as_bytes())] {
        fs::write(nexus.path(name), bytes).unwrap();
    }
    (sandbox, nexus)
}

fn content(sandbox: &Sandbox, endpoint: Endpoint) -> Value {
    sandbox.requests_to(endpoint).last().unwrap().json()["messages"][0]["content"].clone()
}

#[test]
fn files_are_sent_before_the_words_as_what_they_contain() {
    let (sandbox, nexus) = signed_in("");
    let output =
        nexus.run(&["chat", "-a", "picture.txt", "What", "is", "--attach", "paper", "this?", "-a", "notes.png"]);
    let message = "You said: [image]\n[document]\n[document]\nWhat is this? (This is the nexus sandbox: no model is behind it.)\n";
    assert_output!(output, 0, stdout: message, stderr: "");
    let base64 = |kind, data| json!({ "type": "base64", "media_type": kind, "data": data });
    let png = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAAAAAAAAAAAElFTkSuQmCC";
    assert_eq!(
        content(&sandbox, Endpoint::Messages),
        json!([
            { "type": "image", "source": base64("image/png", png) },
            { "type": "document", "title": "paper", "source": base64("application/pdf", "JVBERi0xLjcK") },
            { "type": "document", "title": "notes.png",
              "source": { "type": "text", "media_type": "text/plain", "data": "Größe: 5\n" } },
            { "type": "text", "text": "What is this?" },
        ])
    );
    let (sandbox, nexus) = signed_in("dialect = 'openai'");
    nexus.run(&["chat", "-a", "picture.txt", "-a", "paper", "-a", "notes.png", "What is this?"]).ok();
    let content = content(&sandbox, Endpoint::Completions);
    assert_eq!(content[0]["image_url"]["url"], format!("data:image/png;base64,{png}"));
    assert_eq!(content[1]["file"]["filename"], "paper");
    assert_eq!(
        (&content[2]["text"], &content[3]["text"]),
        (&json!("notes.png:\n\nGröße: 5\n"), &json!("What is this?"))
    );
}

#[test]
fn a_conversation_says_which_files_it_did_not_keep_and_is_called_by_the_words() {
    let (sandbox, nexus) = signed_in("");
    nexus.run(&["chat", "--history", "-a", "notes.png", "-a", "picture.txt", "-a", "paper", "What is this?"]).ok();
    let listed = nexus.run(&["history", "list", "--json"]).json();
    assert_eq!(listed["conversations"][0]["title"], "What is this?");
    let answer = |words| format!("You said: {words} (This is the nexus sandbox: no model is behind it.)\n");
    let note = "note: 2 attachments of this conversation were not saved; attach again with -a if needed\n";
    assert_output!(nexus.run(&["chat", "-c", "And now?"]), 0, stdout: answer("And now?"), stderr: note);
    let output = nexus.run(&["chat", "-c", "-a", "picture.txt", "Here it is"]);
    assert_output!(output, 0, stdout: answer("[image]\nHere it is"), stderr: "");

    nexus.run(&["chat", "--history", "-a", "paper", "Sum up"]).ok();
    let note = "note: 1 attachment of this conversation was not saved; attach again with -a if needed\n";
    assert_output!(nexus.run(&["chat", "-c", "Go on"]), 0, stdout: answer("Go on"), stderr: note);
    nexus.run(&["chat", "--history", "-a", "notes.png", "How much?"]).ok();
    assert_output!(nexus.run(&["chat", "-c", "Sure?"]), 0, stdout: answer("Sure?"), stderr: "");
    let sent = sandbox.requests_to(Endpoint::Messages).last().unwrap().json();
    assert_eq!(sent["messages"][0]["content"], "[notes.png]\nGröße: 5\n\n\nHow much?");
}

#[cfg(unix)]
#[test]
fn a_pipe_is_read_to_its_end_or_until_it_is_too_much() {
    let (sandbox, nexus) = signed_in("");
    let made = std::process::Command::new("mkfifo").arg(nexus.path("pipe")).status().unwrap();
    assert!(made.success());
    let written = |words: &[&str], bytes: Vec<u8>| {
        let child = nexus.command(words).spawn().unwrap();
        let pipe = nexus.path("pipe");
        // On a thread, because the program may not read the pipe to its end.
        std::thread::spawn(move || drop(fs::write(pipe, bytes)));
        nexus.finish(child)
    };
    written(&["chat", "-a", "pipe", "What is this?"], PNG.to_vec()).ok();
    assert_eq!(content(&sandbox, Endpoint::Messages)[0]["source"]["media_type"], "image/png");
    written(&["chat", "--system-file", "pipe", "x"], b"Be brief.".to_vec()).ok();
    assert_eq!(sandbox.requests_to(Endpoint::Messages).last().unwrap().json()["system"], "Be brief.");
    let output = written(&["chat", "-a", "pipe", "x"], vec![b'x'; (32 << 20) + 1]);
    assert_output!(output, 2, stdout: "",
        stderr: "error: cannot attach pipe: it is more than 32 MiB; the limit for a question is 32 MiB\n  send a part of it\n");
}

#[test]
fn stdin_may_be_the_file_or_belong_to_the_words() {
    let (sandbox, nexus) = signed_in("");
    nexus.run_with(&["chat", "-a", "-", "What is this?"], PNG).ok();
    let sent = content(&sandbox, Endpoint::Messages);
    assert_eq!((&sent[0]["source"]["media_type"], &sent[1]["text"]), (&json!("image/png"), &json!("What is this?")));
    nexus.run_with(&["chat", "-a", "-", "What is this?"], "text").ok();
    assert_eq!(content(&sandbox, Endpoint::Messages)[0]["title"], "stdin");
    nexus.run(&["chat", "-a", &nexus.path("paper").to_string_lossy(), "Sum up"]).ok();
    assert_eq!(content(&sandbox, Endpoint::Messages)[0]["title"], "paper");
    nexus.run_with(&["chat", "-a", "paper", "Sum up"], "in one line").ok();
    assert_eq!(content(&sandbox, Endpoint::Messages)[1]["text"], "Sum up\n\nin one line");
    let asked = sandbox.requests().len();
    for (words, message) in [
        (&["chat", "-a", "-", "-a", "-", "x"][..], "stdin can be attached only once"),
        (&["chat", "-a", "-", "-"], "stdin is attached, so pass the question as an argument"),
        (&["chat", "-a", "-"], "no question: pass one as an argument or pipe it in"),
    ] {
        assert_output!(nexus.run_with(words, "x"), 2, stdout: "", stderr: format!("error: {message}\n  see `nexus chat --help`\n"));
    }
    assert_eq!(sandbox.requests().len(), asked);
}

#[test]
fn a_byte_order_mark_is_not_sent() {
    let (sandbox, nexus) = signed_in("");
    fs::write(nexus.path("marked.txt"), "\u{feff}text \r\n").unwrap();
    nexus.run(&["chat", "-a", "marked.txt", "--system-file", "marked.txt", "x"]).ok();
    let sent = content(&sandbox, Endpoint::Messages);
    assert_eq!(sent[0]["source"]["data"], "text \r\n");
    assert_eq!(sandbox.requests_to(Endpoint::Messages).last().unwrap().json()["system"], "text \r\n");
    nexus.run_with(&["chat", "-a", "-", "x"], "\u{feff}text").ok();
    assert_eq!(content(&sandbox, Endpoint::Messages)[0]["source"]["data"], "text");
}

#[test]
fn a_word_that_is_a_file_beside_an_attachment_is_a_warning() {
    let (_sandbox, nexus) = signed_in("");
    fs::write(nexus.path("two words.txt"), "x").unwrap();
    for (words, warning) in [
        (
            &["-a", "notes.png", "paper", "sum up"][..],
            "`paper` is taken as a word of the question: to attach it, write -a paper\n",
        ),
        (
            &["sum up", "-a", "notes.png", "two words.txt"],
            "`two words.txt` is taken as a word of the question: to attach it, write -a 'two words.txt'\n",
        ),
        (
            &["-a", "notes.png", "paper", "picture.txt", "sum up"],
            "`paper` and other names of files are taken as words of the question: to attach a file, write -a before it, as in -a paper\n",
        ),
    ] {
        let output = nexus.run(&[&["chat"], words].concat());
        assert_eq!((output.code, output.stderr), (Some(0), format!("warning: {warning}")), "{words:?}");
    }
    for words in [&["paper", "sum up"][..], &["-a", "paper", "sum up"], &["-a", "paper", "folder", "-"]] {
        let output = nexus.run_with(&[&["chat"], words].concat(), "x");
        assert!(!output.stderr.contains("warning"), "{words:?}: {output}");
    }
}

#[test]
fn what_cannot_be_sent_is_refused_before_anything_is_asked() {
    let (sandbox, nexus) = signed_in("");
    let file = |name: &str, bytes: &[u8]| fs::write(nexus.path(name), bytes).unwrap();
    fs::create_dir(nexus.path("folder")).unwrap();
    File::create(nexus.path("huge.log")).unwrap().set_len(1 << 42).unwrap();
    file("a.zip", b"PK\x03\x04\x14\0\0\0\x08\0\xff");
    file("empty.txt", b"");
    file("latin.txt", b"caf\xe9 au lait");
    file("wide.txt", b"\xff\xfea\0");
    let mut picture = PNG.to_vec();
    picture.resize(8 << 20, 0);
    file("photo.png", &picture);
    picture.truncate(PNG.len());
    picture[16..20].copy_from_slice(&9_000_u32.to_be_bytes());
    file("wide.png", &picture);
    let mut paper = PDF.to_vec();
    paper.resize(25 << 20, b' ');
    file("long.pdf", &paper);
    paper.truncate(15 << 20);
    file("half.pdf", &paper);
    let mut table = vec![
        ("gone.txt", "No such file or directory (os error 2)", "check the file's name and who may read it"),
        ("folder", "it is a folder", "attach the files in it, one by one"),
        ("huge.log", "it is 4194304 MiB; the limit for a question is 32 MiB", "send a part of it"),
        (
            "a.zip",
            "it looks like application/zip; models read text, PNG, JPEG, GIF, WebP and PDF",
            "convert it to one of those",
        ),
        ("empty.txt", "it is empty", "leave it out"),
        (
            "latin.txt",
            "it is not UTF-8 text (invalid at byte 3); models read text, PNG, JPEG, GIF, WebP and PDF",
            "convert it: `iconv -t UTF-8` reads many encodings",
        ),
        ("wide.txt", "it looks like UTF-16 text", "convert it: `iconv -f UTF-16 -t UTF-8`"),
        ("photo.png", "it is 8 MiB, 10.7 MiB in base64; the limit for an image is 10 MiB", "scale it down"),
        ("wide.png", "it is 9000 x 1 pixels; the limit is 8000 per side", "scale it down"),
        ("long.pdf", "it is 25 MiB, 33.4 MiB in base64; the limit for a question is 32 MiB", "send a part of it"),
        ("half.pdf", "the question would be 40.1 MiB; the limit is 32 MiB", "send fewer or smaller files"),
    ];
    if cfg!(unix) {
        table.push(("/dev/zero", "it is not a regular file", "pipe it in and attach `-`"));
    }
    let asked = sandbox.requests().len();
    for (name, why, cure) in &table {
        // The second half makes it too much.
        let words = ["chat", "x", "-a", "half.pdf", "-a", name];
        let words = if *name == "half.pdf" { &words[..] } else { &["chat", "x", "-a", name] };
        assert_output!(nexus.run(words), 2, stdout: "", stderr: format!("error: cannot attach {name}: {why}\n  {cure}\n"));
    }
    assert_eq!(sandbox.requests().len(), asked);
    // Errors name the path; a model gets only the file's name.
    file("folder/b.zip", b"PK\x03\x04\x14\0\0\0\x08\0\xff");
    let output = nexus.run(&["chat", "-a", "folder/b.zip", "x"]);
    assert!(output.stderr.starts_with("error: cannot attach folder/b.zip: "), "{output}");
    let output = nexus.run(&["chat", "--json", "-a", "a.zip", "x"]);
    assert_eq!(output.json()["error"]["reason"], "attachment");
    // Stdin has the same limit, and the rest of it is not read.
    let output = nexus.run_with(&["chat", "-a", "-", "x"], vec![b'x'; 40 << 20]);
    assert_output!(output, 2, stdout: "",
        stderr: "error: cannot attach stdin: it is more than 32 MiB; the limit for a question is 32 MiB\n  send a part of it\n");
    assert_eq!(sandbox.requests().len(), asked);
}
