//! `nexus batch` with a service that is busy, limits requests, rejects a token or keeps one connection.

use std::fs;

use nexus::sandbox::{Endpoint, Gate, Sandbox, Scripted, Settings};
use serde_json::{Value, json};

use crate::batch::{BATCH, answers, prompt, prompts};
use crate::nexus::{Nexus, Running, block_on};

#[test]
fn a_busy_service_is_asked_again() {
    let (sandbox, nexus) = Nexus::signed_in(Settings::default());
    prompts(&nexus, &["a", "b"].map(|id| prompt(id, id)));
    let busy = || Scripted::json(503, &json!({})).header("retry-after-ms", "1");
    sandbox.script(Endpoint::Messages, [busy(), Scripted::Cut(4), Scripted::Lose]);
    assert_eq!(nexus.run(&BATCH).code, Some(0));
    assert_eq!(answers(&nexus).len(), 2);
    assert_eq!(sandbox.requests_to(Endpoint::Messages).len(), 5);
}

#[test]
fn a_service_that_is_asked_too_often_gets_fewer_questions_and_no_answer_is_lost() {
    let (sandbox, nexus) = Nexus::signed_in(Settings { messages_per_second: Some(100), ..Settings::default() });
    prompts(&nexus, &(0..300).map(|id| prompt(id, "Hello")).collect::<Vec<_>>());
    let output = nexus.run(&BATCH);
    assert_eq!(output.code, Some(0), "{output}");
    assert_eq!(answers(&nexus).len(), 300);
    assert_eq!(sandbox.counts().messages, 300);
}

#[test]
fn a_wait_beyond_the_deadline_ends_the_batch_at_once() {
    let (sandbox, nexus) = Nexus::signed_in(Settings::default());
    prompts(&nexus, &["a", "b"].map(|id| prompt(id, id)));
    let limit = || json!({ "error": { "type": "rate_limit_error", "message": "Too many" } });
    sandbox.script(Endpoint::Messages, [Scripted::Normal, Scripted::json(429, &limit()).header("retry-after", "7200")]);
    let words: Vec<_> = BATCH.into_iter().chain(["--jobs", "1"]).collect();
    assert_output!(
        nexus.run(&words), 75, stdout: "",
        stderr: "1 line answered; 1 tokens in, 13 out\nerror: [SERVER] answered 429 rate_limit_error: Too many\n  \
                 try again in 2.0 hours\n",
    );
    assert_eq!(answers(&nexus).len(), 1);
}

#[test]
fn a_long_pause_is_noted_with_its_reason() {
    let (sandbox, nexus) = Nexus::signed_in(Settings::default());
    prompts(&nexus, &[prompt("a", "a")]);
    let busy = Scripted::json(503, &json!({})).header("retry-after-ms", "2100");
    sandbox.script(Endpoint::Messages, [busy]);
    assert_output!(
        nexus.run(&BATCH), 0, stdout: "",
        stderr: "note: pausing for 3 seconds: [SERVER] answered 503\n1 line answered; 1 tokens in, 13 out\n",
    );
}

/// A running batch of 60 prompts, whose eleventh request waits at the gate.
fn waiting_after_ten_answers() -> (Sandbox, Nexus, Gate, Running) {
    let (sandbox, nexus) = Nexus::signed_in(Settings::default());
    prompts(&nexus, &(0..60).map(|id| prompt(id, "Hello")).collect::<Vec<_>>());
    let gate = Gate::new();
    sandbox.script(Endpoint::Messages, (0..10).map(|_| Scripted::Normal));
    sandbox.script(Endpoint::Messages, [Scripted::Wait(gate.clone())]);
    let running = nexus.watch(&mut nexus.command(&BATCH));
    block_on(gate.arrived(1));
    (sandbox, nexus, gate, running)
}

#[test]
fn a_rejected_token_is_renewed_once_for_all() {
    let (sandbox, nexus, gate, running) = waiting_after_ten_answers();
    sandbox.expire_access();
    gate.open();
    assert_eq!(running.finish().code, Some(0));
    assert_eq!((answers(&nexus).len(), sandbox.refreshes_asked()), (60, 1));
}

#[test]
fn a_session_that_has_ended_ends_the_batch_at_once() {
    let (sandbox, nexus, gate, running) = waiting_after_ten_answers();
    sandbox.end_session();
    gate.open();
    let output = running.finish();
    assert_eq!(output.code, Some(4), "{output}");
    assert!(output.stderr.contains("run `nexus oauth start`"), "{output}");
    assert!(answers(&nexus).values().all(|result| result["answer"].is_string()));
    assert_eq!(sandbox.refreshes_asked(), 1);
}

/// A service that goes on listening on a connection that it has answered on, and that takes no other.
#[test]
fn one_connection_is_used_for_one_question_after_the_other() {
    use std::io::{BufRead as _, BufReader, Read as _, Write as _};
    const LINES: usize = 5;

    let (_sandbox, nexus) = Nexus::signed_in(Settings::default());
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let answering = std::thread::spawn(move || {
        // The sign-in asks for the models, and does without.
        drop(listener.accept().unwrap());
        let (stream, _) = listener.accept().unwrap();
        drop(listener);
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        for _ in 0..LINES {
            let mut length = 0;
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                let line = line.to_ascii_lowercase();
                match line.strip_prefix("content-length:") {
                    Some(value) => length = value.trim().parse().unwrap(),
                    None if line == "\r\n" => break,
                    None => {}
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            let event = |data: &Value| format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap());
            let delta = json!({ "type": "text_delta", "text": "Yes" });
            let events = [
                json!({ "type": "message_start", "message": { "model": "m", "content": [], "usage": {} } }),
                json!({ "type": "content_block_delta", "index": 0, "delta": delta }),
                json!({ "type": "message_delta", "delta": { "stop_reason": "end_turn" } }),
                json!({ "type": "message_stop" }),
            ];
            let mut out = &stream;
            let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
            out.write_all(head.as_bytes()).unwrap();
            for event in events.iter().map(event) {
                out.write_all(format!("{:x}\r\n{event}\r\n", event.len()).as_bytes()).unwrap();
            }
            // The end of the body comes on its own, after the last event.
            out.write_all(b"0\r\n\r\n").unwrap();
        }
    });
    let config = fs::read_to_string(nexus.path("config.toml")).unwrap();
    let lines: Vec<_> = config.lines().filter(|line| !line.starts_with("api_url")).collect();
    nexus.configure(&format!("{}\napi_url = \"{origin}\"\n", lines.join("\n")));
    nexus.sign_in();
    prompts(&nexus, &(0..LINES).map(|id| prompt(id, "Hello")).collect::<Vec<_>>());
    let words: Vec<_> = BATCH.into_iter().chain(["--jobs", "1", "--model", "m", "--retries", "0"]).collect();
    let output = nexus.run(&words);
    assert_eq!(output.code, Some(0), "{output}");
    answering.join().unwrap();
    assert_eq!(answers(&nexus).len(), LINES);
}

#[test]
fn what_is_on_its_way_when_it_has_to_stop_is_not_lost() {
    let (sandbox, nexus) = Nexus::signed_in(Settings::default());
    prompts(&nexus, &["a", "b", "c"].map(|id| prompt(id, "Hello")));
    let (gate, limit) = (Gate::new(), json!({ "error": { "type": "rate_limit_error", "message": "Too many" } }));
    let later = Scripted::json(429, &limit).header("retry-after", "7200");
    sandbox.script(Endpoint::Messages, [Scripted::Wait(gate.clone()), later]);
    let words: Vec<_> = BATCH.into_iter().chain(["--jobs", "2"]).collect();
    let running = nexus.watch(&mut nexus.command(&words));
    block_on(async {
        gate.arrived(1).await;
        sandbox.until(|sandbox| sandbox.requests_to(Endpoint::Messages).len() == 2).await;
    });
    gate.open();
    assert_output!(
        running.finish(), 75, stdout: "",
        stderr: "1 line answered; 1 tokens in, 13 out\nerror: [SERVER] answered 429 rate_limit_error: Too many\n  \
                 try again in 2.0 hours\n",
    );
    assert_eq!((answers(&nexus).len(), sandbox.requests_to(Endpoint::Messages).len()), (1, 2));
}

#[test]
fn a_service_that_answers_nothing_but_later_is_left_alone_in_the_end() {
    let (sandbox, nexus) = Nexus::signed_in(Settings::default());
    prompts(&nexus, &["a", "b", "c"].map(|id| prompt(id, "Hello")));
    let busy = json!({ "error": { "type": "overloaded_error", "message": "Overloaded" } });
    sandbox.script(Endpoint::Messages, (0..100).map(|_| Scripted::json(529, &busy)));
    let words: Vec<_> = BATCH.into_iter().chain(["--retries", "1000", "--deadline", "1s"]).collect();
    assert_output!(
        nexus.run(&words), 75, stdout: "",
        stderr: "0 lines answered\nerror: [SERVER] answered 529 overloaded_error: Overloaded\n  try again in a \
                 minute\n",
    );
    assert!(sandbox.requests_to(Endpoint::Messages).len() < 20);
}
