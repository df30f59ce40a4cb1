//! `nexus chat` for scripts: what programs are told, what is asked again, and signals.

use nexus::sandbox::{Endpoint, Gate, Piece, Sandbox, Scripted};
use serde_json::{Value, json};

use crate::chat::{NOTE, delta, event, signed_in, stop, stop_reason};
use crate::nexus::{Nexus, Output, block_on, signal};

/// An error as the Messages API writes it.
fn error(kind: &str) -> Value {
    json!({ "type": "error", "error": { "type": kind, "message": "its words" } })
}

/// A refusal that asks to come back in a millisecond.
fn soon(status: u16, kind: &str) -> Scripted {
    Scripted::json(status, &error(kind)).header("retry-after-ms", "1")
}

fn error_event(kind: &str) -> Piece {
    event("error", json!({ "error": { "type": kind, "message": "its words" } }))
}

fn asked(sandbox: &Sandbox) -> usize {
    sandbox.requests_to(Endpoint::Messages).len()
}

/// Checks a value against one of the schemas in `examples/schemas/`.
fn fits(value: &Value, schema: &str) {
    let path = format!("{}/examples/schemas/{schema}.schema.json", env!("CARGO_MANIFEST_DIR"));
    let (mut compiler, mut schemas) = (boon::Compiler::new(), boon::Schemas::new());
    // Not by its path: it has to do where the others are not beside it.
    let text = std::fs::read_to_string(path).unwrap();
    compiler.add_resource("schema:/", serde_json::from_str(&text).unwrap()).unwrap();
    let index = compiler.compile("schema:/", &mut schemas).unwrap();
    if let Err(error) = schemas.validate(value, index) {
        panic!("{value:#}\n{error:#}");
    }
}

/// The one object that was printed, which is checked to be what its schema says.
fn object(output: &Output) -> Value {
    assert_eq!(output.stdout.matches('\n').count(), 1, "{output}");
    let object = output.json();
    fits(&object, "chat");
    object
}

/// The objects of a stream, which is checked to be one and what its schema says.
fn lines(output: &Output) -> Vec<Value> {
    assert!(output.stdout.ends_with('\n'), "{output}");
    let objects: Vec<Value> = output.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    objects.iter().for_each(|object| fits(object, "chat-stream"));
    let (last, before) = objects.split_last().unwrap();
    assert!(matches!(last["type"].as_str(), Some("result" | "error")), "{output}");
    assert!(!before.iter().any(|object| matches!(object["type"].as_str(), Some("result" | "error"))), "{output}");
    objects
}

#[test]
fn an_answer_as_one_object() {
    let (_sandbox, nexus) = signed_in();
    for words in [&["chat", "x", "--json"][..], &["chat", "--output", "json", "x"]] {
        let output = nexus.run(words);
        assert_eq!((output.code, &*output.stderr), (Some(0), ""), "{output}");
        let mut object = object(&output);
        assert!(object["request_id"].take().as_str().unwrap().starts_with("req_sandbox_"));
        assert_eq!(
            object,
            json!({
                "version": 1, "answer": format!("You said: x {NOTE}"), "partial": null, "model": "sandbox-large",
                "stop_reason": "end_turn", "conversation": null, "request_id": null,
                "usage": {
                    "input_tokens": 1, "output_tokens": 13, "cache_creation_input_tokens": 0,
                    "cache_read_input_tokens": 0,
                },
            })
        );
    }
}

#[test]
fn a_failure_is_the_same_object_with_an_error_in_it() {
    let (sandbox, nexus) = signed_in();
    let refusal = Scripted::json(429, &error("rate_limit_error")).header("retry-after", "3600");
    sandbox.script(Endpoint::Messages, [refusal.header("request-id", "req_9")]);
    let output = nexus.run(&["chat", "--json", "x"]);
    assert_eq!(output.code, Some(75));
    let message = "[SERVER] answered 429 rate_limit_error: its words (request req_9)";
    assert_eq!(output.stderr, format!("error: {message}\n  try again in 60 minutes\n"));
    assert_eq!(
        object(&output),
        json!({
            "version": 1, "answer": null, "partial": null, "model": null, "stop_reason": null, "usage": null,
            "conversation": null, "request_id": "req_9",
            "error": {
                "reason": "rate_limited", "message": message, "hint": "try again in 60 minutes", "exit_code": 75,
                "http_status": 429, "type": "rate_limit_error", "request_id": "req_9", "retry_after": 3_600,
            },
        })
    );
}

#[test]
fn an_answer_object_by_object() {
    let (sandbox, nexus) = signed_in();
    let thinking = event("content_block_delta", json!({ "delta": { "type": "thinking_delta", "thinking": "Hm." } }));
    let start = event("message_start", json!({ "message": { "model": "m-1", "usage": { "input_tokens": 7 } } }));
    let pieces = vec![start, thinking, delta("one "), delta("two\n"), stop_reason("end_turn"), stop()];
    let script = Scripted::stream(pieces).header("request-id", "req_1");
    sandbox.script(Endpoint::Messages, [soon(529, "overloaded_error"), script]);
    let output = nexus.run(&["chat", "--output", "stream-json", "x"]);
    assert_eq!(output.code, Some(0), "{output}");
    let message = "[SERVER] answered 529 overloaded_error";
    assert_eq!(output.stderr, format!("note: {message}; retrying in 1 ms\n"));
    assert_eq!(
        lines(&output),
        [
            json!({
                "version": 1, "type": "retry", "retry": 1, "of": null, "wait": 0.001,
                "error": {
                    "reason": "overloaded", "message": format!("{message}: its words"), "hint": "try again in 1 second",
                    "exit_code": 75, "http_status": 529, "type": "overloaded_error", "retry_after": 1,
                },
            }),
            json!({ "version": 1, "type": "start", "model": "m-1", "conversation": null, "request_id": "req_1" }),
            json!({ "version": 1, "type": "thinking", "text": "Hm." }),
            json!({ "version": 1, "type": "text", "text": "one " }),
            json!({ "version": 1, "type": "text", "text": "two\n" }),
            json!({
                "version": 1, "type": "result", "answer": "one two\n", "partial": null, "model": "m-1",
                "stop_reason": "end_turn", "conversation": null, "request_id": "req_1",
                "usage": {
                    "input_tokens": 7, "output_tokens": 3, "cache_creation_input_tokens": null,
                    "cache_read_input_tokens": null,
                },
            }),
        ]
    );
}

#[test]
fn objects_are_flushed_as_they_come() {
    use std::io::BufRead as _;

    let (sandbox, nexus) = signed_in();
    let gate = Gate::new();
    let pieces = vec![delta("one"), Piece::Wait(gate.clone()), stop_reason("end_turn"), stop()];
    sandbox.script(Endpoint::Messages, [Scripted::stream(pieces)]);
    let mut child = nexus.command(&["chat", "x", "--output", "stream-json"]).spawn().unwrap();
    let mut stdout = std::io::BufReader::new(child.stdout.take().unwrap()).lines();
    let mut kind = || serde_json::from_str::<Value>(&stdout.next().unwrap().unwrap()).unwrap()["type"].take();
    assert_eq!((kind(), kind()), (json!("start"), json!("text")), "before the answer is whole");
    gate.open();
    assert_eq!(kind(), "result");
    assert_eq!(nexus.finish(child).code, Some(0));
}

/// Every way in which an answer can end: the exit code, the reason, the answer and the part of one.
#[test]
fn programs_are_told_how_it_ended() {
    let (sandbox, nexus) = signed_in();
    let ending = |reason| vec![delta("text"), stop_reason(reason), stop()];
    for (pieces, code, reason, answer, partial) in [
        (ending("end_turn"), 0, Value::Null, json!("text"), Value::Null),
        (ending("max_tokens"), 0, Value::Null, json!("text"), Value::Null),
        (ending("refusal"), 1, json!("refusal"), Value::Null, json!("text")),
        (vec![stop_reason("refusal"), stop()], 1, json!("refusal"), Value::Null, Value::Null),
        (ending("model_context_window_exceeded"), 1, json!("context_exceeded"), Value::Null, json!("text")),
        (vec![delta("text")], 75, json!("answer_cut"), Value::Null, json!("text")),
        (vec![delta("text"), Piece::Break], 75, json!("answer_cut"), Value::Null, json!("text")),
        (vec![delta("text"), error_event("overloaded_error")], 75, json!("answer_cut"), Value::Null, json!("text")),
        (vec![delta("text"), error_event("api_error")], 75, json!("answer_cut"), Value::Null, json!("text")),
    ] {
        sandbox.script(Endpoint::Messages, [Scripted::stream(pieces.clone()), Scripted::stream(pieces)]);
        let whole = nexus.run(&["chat", "x", "--json"]);
        let stream = nexus.run(&["chat", "x", "--output", "stream-json"]);
        assert_eq!((whole.code, stream.code), (Some(code), Some(code)), "{whole}");
        let mut last = lines(&stream).pop().unwrap();
        let kind = last.as_object_mut().unwrap().remove("type").unwrap();
        assert_eq!(kind, if reason.is_null() { "result" } else { "error" });
        let object = object(&whole);
        assert_eq!(last, object, "the last line is the object");
        assert_eq!((&object["error"]["reason"], &object["answer"], &object["partial"]), (&reason, &answer, &partial));
    }
    sandbox.script(Endpoint::Messages, [Scripted::stream(ending("refusal"))]);
    let declined = object(&nexus.run(&["chat", "x", "--json"]));
    assert_eq!((&declined["stop_reason"], &declined["usage"]["output_tokens"]), (&json!("refusal"), &json!(3)));
}

#[test]
fn a_stream_ends_with_an_error_whatever_fails() {
    let (sandbox, signed_in) = signed_in();
    for (nexus, words, code, reason) in [
        (Nexus::new(), &["x"][..], 4, "not_signed_in"),
        (Nexus::new(), &["x", "--provider", "gone"], 2, "configuration"),
        (Nexus::new(), &[""], 2, "usage"),
        (Nexus::new(), &["x", "--modle", "m"], 2, "usage"),
        (Nexus::new(), &["x", "--max-tokens", "0"], 2, "usage"),
        (Nexus::new(), &["-", "--no-stdin"], 2, "usage"),
    ] {
        for form in [&["--output", "stream-json"][..], &["--output=stream-json"]] {
            let output = nexus.run(&[&["chat"], form, words].concat());
            assert_eq!(output.code, Some(code), "{output}");
            assert_eq!(lines(&output)[0]["error"]["reason"], reason, "{output}");
            assert!(output.stderr.starts_with("error: "), "{output}");
        }
        let output = nexus.run(&[&["chat", "--json"], words].concat());
        assert_eq!((output.code, &object(&output)["error"]["reason"]), (Some(code), &json!(reason)), "{output}");
    }
    drop(sandbox);
    let output = signed_in.run(&["chat", "x", "--output", "stream-json", "--retries", "0"]);
    assert_eq!((output.code, &lines(&output)[0]["error"]["reason"]), (Some(75), &json!("unreachable")));
}

#[test]
fn what_passes_is_asked_again_before_the_first_byte() {
    let (sandbox, nexus) = signed_in();
    for script in [
        soon(408, "timeout_error"),
        soon(409, "conflict_error"),
        soon(429, "rate_limit_error"),
        soon(500, "api_error"),
        soon(503, "api_error"),
        soon(529, "overloaded_error"),
        soon(400, "invalid_request_error").header("x-should-retry", "true"),
    ] {
        let before = asked(&sandbox);
        sandbox.script(Endpoint::Messages, [script.clone(), script]);
        let output = nexus.run(&["chat", "x"]);
        assert_eq!((output.code, asked(&sandbox) - before), (Some(0), 3), "{output}");
        let notes: Vec<_> = output.stderr.lines().collect();
        assert!(
            notes[0].starts_with("note: [SERVER] answered ") && notes[0].ends_with("; retrying in 1 ms"),
            "{output}"
        );
        assert!(notes[1].ends_with("; retrying in 1 ms") && notes.len() == 2, "{output}");
    }
}

#[test]
fn what_does_not_pass_is_asked_once() {
    let (sandbox, nexus) = signed_in();
    let cap = json!({ "type": "error", "error": {
        "type": "rate_limit_error", "message": "cap", "details": { "error_code": "enforced_spend_limit_reached" },
    } });
    for (script, code) in [
        (soon(400, "invalid_request_error"), 1),
        (soon(402, "billing_error"), 1),
        (soon(402, "billing_error").header("x-should-retry", "true"), 1),
        (soon(403, "permission_error"), 1),
        (soon(404, "not_found_error"), 1),
        (soon(413, "request_too_large"), 1),
        (Scripted::json(429, &cap).header("retry-after-ms", "1"), 1),
        (soon(529, "overloaded_error").header("x-should-retry", "false"), 75),
        (Scripted::stream([delta("half"), error_event("overloaded_error")]), 75),
    ] {
        let before = asked(&sandbox);
        sandbox.script(Endpoint::Messages, [script]);
        let output = nexus.run(&["chat", "x"]);
        assert_eq!((output.code, asked(&sandbox) - before), (Some(code), 1), "{output}");
        assert!(!output.stderr.contains("retrying in"), "{output}");
    }
}

#[test]
fn retries_are_counted() {
    let (sandbox, nexus) = signed_in();
    for (retries, tries) in [("0", 1), ("1", 2), ("4", 5)] {
        let before = asked(&sandbox);
        sandbox.script(Endpoint::Messages, vec![soon(503, "api_error"); tries]);
        let output = nexus.run(&["chat", "x", "--retries", retries]);
        assert_eq!((output.code, asked(&sandbox) - before), (Some(75), tries), "{output}");
        assert_eq!(output.stderr.matches("retrying in").count(), tries - 1, "{output}");
    }
}

#[test]
fn a_renewed_token_is_no_retry() {
    let (sandbox, nexus) = signed_in();
    let renewed = soon(401, "authentication_error");
    sandbox.script(Endpoint::Messages, [soon(529, "overloaded_error"), renewed, soon(529, "overloaded_error")]);
    let output = nexus.run(&["chat", "x"]);
    assert_eq!((output.code, asked(&sandbox), sandbox.refreshes()), (Some(0), 4, 1), "{output}");
}

#[test]
fn a_wait_that_is_too_long_ends_it_at_once() {
    let (sandbox, nexus) = signed_in();
    for (script, hint) in [
        (Scripted::json(429, &error("rate_limit_error")).header("retry-after", "121"), "try again in 2 minutes"),
        (Scripted::json(529, &error("overloaded_error")).header("retry-after", "7200"), "try again in 2.0 hours"),
    ] {
        sandbox.script(Endpoint::Messages, [script]);
        let output = nexus.run(&["chat", "x"]);
        assert_eq!(output.code, Some(75), "{output}");
        assert!(output.stderr.starts_with("error: ") && output.stderr.ends_with(&format!("\n  {hint}\n")), "{output}");
    }
    assert_eq!(asked(&sandbox), 2);
}

#[test]
fn the_deadline_ends_the_wait_for_an_answer_but_not_the_answer() {
    let (sandbox, nexus) = signed_in();
    sandbox.script(Endpoint::Messages, [Scripted::Hang]);
    assert_output!(
        nexus.run(&["chat", "x", "--deadline", "1"]), 75, stdout: "",
        stderr: "error: [SERVER] did not begin to answer within 1 second\n  raise --deadline, or try again later\n",
    );
    sandbox.script(Endpoint::Messages, [Scripted::stream([Piece::Hang])]);
    assert_eq!(nexus.run(&["chat", "x", "--deadline", "1s"]).code, Some(75));
    let gate = Gate::new();
    let ping = event("ping", json!({}));
    let pieces = vec![ping, Piece::Wait(gate.clone()), delta("late"), stop_reason("end_turn"), stop()];
    sandbox.script(Endpoint::Messages, [Scripted::stream(pieces)]);
    let child = nexus.command(&["chat", "x", "--deadline", "2s"]).spawn().unwrap();
    block_on(gate.arrived(1));
    // No event tells that a deadline has passed.
    std::thread::sleep(std::time::Duration::from_millis(2_100));
    gate.open();
    assert_output!(nexus.finish(child), 0, stdout: "late\n", stderr: "");
}

#[test]
fn a_signal_ends_it_and_what_was_told_stays_told() {
    let (sandbox, nexus) = signed_in();
    for (form, name, code) in [("text", "INT", 130), ("json", "INT", 130), ("stream-json", "TERM", 143)] {
        let gate = Gate::new();
        let pieces = vec![delta("half"), Piece::Wait(gate.clone()), Piece::Hang];
        sandbox.script(Endpoint::Messages, [Scripted::stream(pieces)]);
        let mut child = nexus.command(&["chat", "x", "--output", form]).spawn().unwrap();
        match form {
            // What was printed says that it is there; of an object nothing is, until it ends.
            "text" => std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut [0; 4]).unwrap(),
            _ => block_on(gate.arrived(1)),
        }
        signal(child.id(), name);
        let output = nexus.finish(child);
        assert_eq!(output.code, Some(code), "{form}: {output}");
        let ended = match form {
            "text" => {
                assert_eq!((&*output.stdout, &*output.stderr), ("", ""));
                continue;
            }
            "json" => object(&output),
            _ => lines(&output).pop().unwrap(),
        };
        assert_eq!((&ended["error"]["reason"], &ended["error"]["exit_code"]), (&json!("interrupted"), &json!(code)));
        assert_eq!(output.stderr, format!("error: ended by signal {}\n", code - 128), "{form}");
    }
    // So does every other command that is asked for an object.
    for (words, stdout, stderr) in [
        (&["models"][..], "", ""),
        (
            &["models", "--json"],
            "{\"error\":{\"exit_code\":129,\"hint\":\"\",\"message\":\"ended by signal 1\",\"reason\":\"interrupted\"},\"version\":1}\n",
            "error: ended by signal 1\n",
        ),
    ] {
        let gate = Gate::new();
        sandbox.script(Endpoint::Models, [Scripted::Wait(gate.clone())]);
        // The shell that runs the tests may ignore it.
        let heard = ["env".into(), "--default-signal=HUP".into()];
        let child = nexus.command_after(&heard, words).spawn().unwrap();
        block_on(gate.arrived(1));
        signal(child.id(), "HUP");
        assert_output!(nexus.finish(child), 129, stdout: stdout, stderr: stderr);
    }
}

#[test]
fn a_hangup_that_is_to_be_overheard_is() {
    let (sandbox, nexus) = signed_in();
    let gate = Gate::new();
    sandbox.script(Endpoint::Messages, [Scripted::Wait(gate.clone())]);
    // As `nohup` does.
    let deaf = ["sh", "-c", "trap '' HUP; exec \"$0\" \"$@\""].map(String::from);
    let child = nexus.command_after(&deaf, &["chat", "x"]).spawn().unwrap();
    block_on(gate.arrived(1));
    signal(child.id(), "HUP");
    gate.open();
    assert!(nexus.finish(child).ok().starts_with("You said: x"));
}

#[cfg(unix)]
#[test]
fn a_reader_who_has_gone_ends_it_quietly_whatever_the_form() {
    let (_sandbox, nexus) = signed_in();
    for form in ["text", "json", "stream-json"] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let child = nexus.command(&["chat", "x", "--output", form]).stdout(writer).spawn().unwrap();
        assert_output!(nexus.finish(child), 0, stdout: "", stderr: "");
    }
}

#[cfg(unix)]
#[test]
fn what_is_said_begins_a_line_where_both_streams_are_one() {
    use std::io::Read as _;

    let (sandbox, nexus) = signed_in();
    let broken = || Scripted::stream([delta("half"), Piece::Break]);
    sandbox.script(Endpoint::Messages, [broken(), broken()]);
    let (mut reader, writer) = std::io::pipe().unwrap();
    let mut command = nexus.command(&["chat", "x"]);
    let mut child = command.stdout(writer.try_clone().unwrap()).stderr(writer).spawn().unwrap();
    drop(command);
    let mut both = String::new();
    reader.read_to_string(&mut both).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(75));
    assert!(both.starts_with("half\nnote: the answer above is incomplete\nerror: "), "{both}");
    // Where they are apart, the text is left as it came.
    assert_eq!(nexus.run(&["chat", "x"]).stdout, "half");
}
