//! The prompt of `nexus chat`: words, stdin or both.

use nexus::sandbox::Endpoint;

use crate::chat::{asked, signed_in};
use crate::nexus::signal;

#[test]
fn the_prompt_comes_from_words_stdin_or_both() {
    let (sandbox, nexus) = signed_in();
    for (words, stdin, prompt) in [
        (&["chat", "two", "words"][..], "", "two words"),
        (&["chat", "words"], "piped\n", "words\n\npiped\n"),
        (&["chat", "words"], " \n", "words"),
        (&["chat"], "piped\n", "piped\n"),
        (&["chat", "-"], "piped\n", "piped\n"),
        (&["chat", "--", "-x", "--json"], "", "-x --json"),
        (&["chat", "größer: \u{1F600}"], "", "größer: \u{1F600}"),
    ] {
        let output = nexus.run_with(words, stdin);
        assert_eq!(output.code, Some(0), "{output}");
        assert_eq!(asked(&sandbox)["messages"][0]["content"], prompt, "{words:?}");
    }
}

#[test]
fn a_prompt_that_is_none_is_refused_before_anything_else() {
    let (sandbox, nexus) = signed_in();
    sandbox.expire_access();
    let before = sandbox.requests().len();
    let empty = "error: no question: pass one as an argument or pipe it in\n  see `nexus chat --help`\n";
    let dash = "error: `-` reads the question from stdin and must be the only argument\n  see `nexus chat --help`\n";
    let utf8 = "error: stdin is not text: invalid UTF-8 at byte 2\n  attach an image or a PDF with `-a -` and pass the \
                question as an argument; convert text with `iconv -t UTF-8`\n";
    for (words, stdin, expected) in [
        (&["chat"][..], &b""[..], empty),
        (&["chat", ""], b"", empty),
        (&["chat", " ", "\t"], b"", empty),
        (&["chat", "-"], b" \n", empty),
        (&["chat", "-", "words"], b"x", dash),
        (&["chat", "words"], b"ok\xff", utf8),
    ] {
        assert_output!(nexus.run_with(words, stdin), 2, stdout: "", stderr: expected);
    }
    assert_eq!(sandbox.requests().len(), before);
}

#[test]
fn no_more_is_read_than_a_question_may_hold() {
    let (sandbox, nexus) = signed_in();
    let asked = sandbox.requests().len();
    let output = nexus.run_with(&["chat", "-"], vec![b'x'; 32 * 1024 * 1024 + 1]);
    assert_output!(output, 2, stdout: "",
        stderr: "error: stdin has more than 32 MB, the limit of a request\n  see `nexus chat --help`\n");
    assert_eq!(sandbox.requests().len(), asked);
}

#[cfg(unix)]
#[test]
fn a_silent_stdin_is_told_of_and_waited_for() {
    use std::io::{Read as _, Write as _};

    const NOTE: &str = "note: still reading stdin; --no-stdin ignores it; Ctrl-C cancels\n";

    let (sandbox, nexus) = signed_in();
    let started = || {
        let mut child = nexus.command(&["chat", "x"]).stdin(std::process::Stdio::piped()).spawn().unwrap();
        let mut message = vec![0; NOTE.len()];
        child.stderr.as_mut().unwrap().read_exact(&mut message).unwrap();
        assert_eq!(String::from_utf8(message).unwrap(), NOTE);
        child
    };
    let mut late = started();
    let mut pipe = late.stdin.take().unwrap();
    pipe.write_all(b"late").unwrap();
    drop(pipe);
    assert_eq!(nexus.finish(late).code, Some(0));
    assert_eq!(sandbox.requests_to(Endpoint::Messages)[0].json()["messages"][0]["content"], "x\n\nlate");

    let never = started();
    // Not INT, which shells ignore for background jobs.
    signal(never.id(), "TERM");
    use std::os::unix::process::ExitStatusExt as _;
    assert_eq!(never.wait_with_output().unwrap().status.signal(), Some(15), "a shell calls that 143");
}

#[test]
fn stdin_is_left_alone_where_that_is_wished() {
    let (sandbox, nexus) = signed_in();
    // The pipe stays open without data, so reading it would never end.
    let child = nexus.command(&["chat", "x", "--no-stdin"]).stdin(std::process::Stdio::piped()).spawn();
    assert_eq!(child.unwrap().wait_with_output().unwrap().status.code(), Some(0));
    nexus.run_with(&["chat", "x", "--no-stdin"], "unread").ok();
    assert_eq!(sandbox.requests_to(Endpoint::Messages)[1].json()["messages"][0]["content"], "x");
    assert_output!(
        nexus.run_with(&["chat", "--no-stdin"], "unread"), 2, stdout: "",
        stderr: "error: no question: pass one as an argument or pipe it in\n  see `nexus chat --help`\n",
    );
    assert_output!(
        nexus.run(&["chat", "-", "--no-stdin"]), 2, stdout: "",
        stderr: "error: `-` reads the question from stdin, which --no-stdin forbids\n  see `nexus chat --help`\n",
    );
}

#[cfg(unix)]
#[test]
fn whatever_stdin_is_words_are_asked() {
    let (sandbox, nexus) = signed_in();
    let program = env!("CARGO_BIN_EXE_nexus");
    std::fs::write(nexus.path("file"), "from a file").unwrap();
    for (redirected, asked) in [("</dev/null", "x"), ("<&-", "x"), ("<file", "x\n\nfrom a file"), ("0>>written", "x")] {
        let mut shell = std::process::Command::new("/bin/sh");
        shell
            .args(["-c", &format!("exec '{program}' chat x {redirected}")])
            .env_clear()
            .env("NEXUS_HOME", nexus.home())
            .current_dir(nexus.home());
        assert_eq!(shell.output().unwrap().status.code(), Some(0), "{redirected}");
        let last = sandbox.requests_to(Endpoint::Messages).pop().unwrap();
        assert_eq!(last.json()["messages"][0]["content"], asked, "{redirected}");
    }
    let too_much = vec![b'x'; 32 * 1024 * 1024 + 1];
    assert_output!(
        nexus.run_with(&["chat", "x"], &too_much), 2, stdout: "",
        stderr: "error: stdin has more than 32 MB, the limit of a request\n  see `nexus chat --help`\n",
    );
}

#[test]
fn a_byte_order_mark_at_the_head_of_arguments_is_dropped() {
    let (sandbox, nexus) = signed_in();
    nexus.run(&["chat", "-s", "\u{feff}sys", "\u{feff}hi", "there\u{feff}"]).ok();
    let request = sandbox.requests_to(Endpoint::Messages).pop().unwrap().json();
    let text = request.to_string();
    assert!(text.contains("\"sys\"") && text.contains("\"hi there\u{feff}\""), "{text}");
}
