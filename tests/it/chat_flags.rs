//! What `nexus chat` is asked for beside the answer: its cost, its thinking, its effort, its form.

use nexus::sandbox::{Endpoint, Piece, Sandbox, Scripted, Settings};
use serde_json::{Value, json};

use crate::chat::{delta, event, signed_in, stop, stop_reason};
use crate::nexus::{Nexus, sandbox};

const SCHEMA: &str = r#"{"type":"object","properties":{"age":{"type":"integer"}},"required":["age"]}"#;

pub(crate) fn thinking(text: &str) -> Piece {
    event("content_block_delta", json!({ "delta": { "type": "thinking_delta", "thinking": text } }))
}

fn script(sandbox: &Sandbox, pieces: impl IntoIterator<Item = Piece>) {
    let end = [stop_reason("end_turn"), stop()];
    sandbox.script(Endpoint::Messages, [Scripted::stream(pieces.into_iter().chain(end))]);
}

fn asked(sandbox: &Sandbox) -> Value {
    sandbox.requests_to(Endpoint::Messages).last().unwrap().json()
}

#[test]
fn the_cost_is_told_where_it_is_asked_for() {
    let (sandbox, nexus) = signed_in();
    let output = nexus.run(&["chat", "x", "--usage"]);
    let line = output.stderr.strip_prefix("usage: 1 tokens in, 13 out; first text after ").unwrap();
    let (first, all) = line.strip_suffix(" s\n").unwrap().split_once(" s, complete after ").unwrap();
    let (first, all): (f64, f64) = (first.parse().unwrap(), all.parse().unwrap());
    assert!(first <= all, "{output}");
    assert_eq!(output.code, Some(0));
    // What was refused was paid for all the same.
    sandbox.script(Endpoint::Messages, [Scripted::stream([delta("x"), stop_reason("refusal"), stop()])]);
    let output = nexus.run(&["chat", "x", "--usage", "--json"]);
    assert!(output.stderr.starts_with("usage: ? tokens in, 3 out; "), "{output}");
    assert_eq!(Nexus::new().run(&["chat", "x", "--usage"]).stderr.lines().count(), 2, "nothing was spent");
}

#[test]
fn thinking_is_shown_aside_where_it_is_asked_for() {
    let (sandbox, nexus) = signed_in();
    let told = "note: sandbox-large is not listed as supporting thinking; ignoring --thinking\nHm.\nSo.\n";
    for (words, message) in [(&["chat", "x"][..], ""), (&["chat", "x", "--thinking"], told)] {
        script(&sandbox, [thinking("Hm.\n"), thinking("So."), delta("text")]);
        assert_output!(nexus.run(words), 0, stdout: "text\n", stderr: message);
        assert_eq!(asked(&sandbox).get("thinking"), None, "a model that is not known to think is not asked to");
    }
}

#[test]
fn thinking_is_asked_for_where_the_list_says_that_the_model_can() {
    let sandbox = sandbox(Settings::default());
    let adaptive = json!({ "thinking": { "supported": true, "types": { "adaptive": { "supported": true } } } });
    let listed = json!({ "data": [
        { "id": "sandbox-large", "owned_by": "anthropic", "max_tokens": 9_000, "capabilities": adaptive },
        { "id": "sandbox-small", "max_tokens": 9_000, "capabilities": null },
    ] });
    sandbox.script(Endpoint::Models, [Scripted::json(200, &listed)]);
    let nexus = Nexus::at(&sandbox);
    nexus.sign_in();
    let shown = json!({ "type": "adaptive", "display": "summarized" });
    for (words, sent) in [
        (&["chat", "x"][..], None),
        (&["chat", "x", "--thinking"], Some(&shown)),
        (&["chat", "x", "--thinking", "--model", "sandbox-small"], None),
    ] {
        let output = nexus.run(words);
        assert_eq!(output.stderr.contains("note: "), words.len() > 2 && sent.is_none(), "{output}");
        output.ok();
        assert_eq!(asked(&sandbox).get("thinking"), sent, "{words:?}");
    }
}

#[test]
fn what_a_model_is_known_not_to_do_is_not_asked_of_it() {
    let sandbox = sandbox(Settings::default());
    let no = || json!({ "supported": false });
    let effort = json!({ "supported": true, "low": { "supported": true }, "max": no() });
    let listed = json!({ "data": [
        { "id": "sandbox-large", "owned_by": "anthropic", "capabilities": { "effort": effort, "pdf_input": { "supported": true } } },
        { "id": "sandbox-small", "capabilities": {
            "effort": no(), "structured_outputs": no(), "image_input": no(), "pdf_input": no(),
        } },
        { "id": "sandbox-old", "capabilities": null },
    ] });
    sandbox.script(Endpoint::Models, [Scripted::json(200, &listed)]);
    let nexus = Nexus::at(&sandbox);
    nexus.sign_in();
    std::fs::write(nexus.path("a.pdf"), "%PDF-1.7\n%%EOF\n").unwrap();
    std::fs::write(nexus.path("a.gif"), b"GIF89a\x01\0\x01\0\0\0\0;").unwrap();
    let asked = || sandbox.requests_to(Endpoint::Messages).len();
    for (words, wanted) in [
        (&["--effort", "low"][..], "--effort"),
        (&["--schema", "{}"], "--schema"),
        (&["-a", "a.gif"], "-a and a picture"),
        (&["-a", "a.pdf"], "-a and a PDF"),
    ] {
        let before = asked();
        assert_output!(
            nexus.run(&[&["chat", "x", "-m", "sandbox-small"], words].concat()), 2, stdout: "",
            stderr: format!(
                "error: the model sandbox-small does not support {wanted}, according to the provider's list of models\n  \
                 drop that option, or choose another model with --model; `nexus models` refreshes the list\n"
            ),
        );
        let object = nexus.run(&[&["chat", "x", "-m", "sandbox-small", "--json"], words].concat()).json();
        assert_eq!(object["error"]["reason"], "unsupported");
        assert_eq!(asked(), before, "nothing was sent");
        // Of this one the list knows nothing, so the service is the one to say no.
        let sent = nexus.run(&[&["chat", "x", "-m", "sandbox-old"], words].concat());
        assert_eq!(asked(), before + 1, "{sent}");
    }
    let output = nexus.run(&["chat", "x", "--effort", "max"]);
    assert!(output.stderr.contains("sandbox-large does not support --effort max, "), "{output}");
    nexus.run(&["chat", "x", "--effort", "low", "-a", "a.pdf"]).ok();
    nexus.run(&["chat", "x", "--effort", "high"]).ok();
}

#[test]
fn no_more_is_asked_of_a_model_than_it_is_known_to_write() {
    let sandbox = sandbox(Settings::default());
    let listed = json!({ "data": [{ "id": "sandbox-large", "owned_by": "anthropic", "max_tokens": 500 }, { "id": "sandbox-small", "max_tokens": 0 }] });
    sandbox.script(Endpoint::Models, [Scripted::json(200, &listed)]);
    let nexus = Nexus::at_with(&sandbox, "max_tokens = 8192");
    nexus.sign_in();
    let note =
        "note: sandbox-large supports at most 500 tokens; using that (`nexus models` updates the saved limits)\n";
    for (words, max_tokens, message) in [
        (&["--max-tokens", "9999"][..], 500, note),
        (&["--max-tokens", "500"], 500, ""),
        (&["--max-tokens", "99"], 99, ""),
        (&[], 500, ""),
        (&["-m", "sandbox-small", "--max-tokens", "9999"], 9_999, ""),
        (&["-m", "sandbox-old", "--max-tokens", "9999"], 9_999, ""),
    ] {
        let output = nexus.run(&[&["chat", "x"], words].concat());
        assert_eq!((output.code, &*output.stderr), (Some(0), message), "{words:?}: {output}");
        assert_eq!(asked(&sandbox)["max_tokens"], max_tokens, "{words:?}");
    }
    let output = nexus.run_with(&["batch", "-"], r#"{"id":"a","prompt":"x","max_tokens":9999}"#);
    assert!(output.code == Some(0) && output.stderr.starts_with(note), "{output}");
    assert_eq!(asked(&sandbox)["max_tokens"], 500);
}

#[test]
fn effort_is_sent_as_it_was_said() {
    let (sandbox, nexus) = signed_in();
    for level in ["low", "medium", "high", "xhigh", "max"] {
        nexus.run(&["chat", "x", "--effort", level]).ok();
        assert_eq!(asked(&sandbox)["output_config"], json!({ "effort": level }));
    }
    let wrong = nexus.run(&["chat", "x", "--effort", "huge"]);
    assert_eq!(wrong.code, Some(2), "{wrong}");
}

#[test]
fn an_answer_that_fits_its_schema_is_printed() {
    let (sandbox, nexus) = signed_in();
    std::fs::write(nexus.path("schema.json"), SCHEMA).unwrap();
    std::fs::write(nexus.path("marked.json"), format!("\u{feff}{SCHEMA}\r\n")).unwrap();
    let marked = format!("\u{feff}{SCHEMA}\r\n");
    for message in [SCHEMA, "schema.json", "marked.json", &marked, " schema.json\r"] {
        script(&sandbox, [delta("{\"age\""), delta(":7}")]);
        assert_output!(nexus.run(&["chat", "x", "--schema", message]), 0, stdout: "{\"age\":7}\n", stderr: "");
        let mut schema: Value = serde_json::from_str(SCHEMA).unwrap();
        schema["additionalProperties"] = json!(false);
        assert_eq!(asked(&sandbox)["output_config"], json!({ "format": { "type": "json_schema", "schema": schema } }));
    }
    script(&sandbox, [delta("{\"age\":7}")]);
    let object = nexus.run(&["chat", "x", "--schema", SCHEMA, "--json"]).json();
    assert_eq!((&object["answer"], &object["partial"]), (&json!("{\"age\":7}"), &Value::Null));
}

/// `--schema <(command)`.
#[cfg(unix)]
#[test]
fn a_schema_may_come_from_a_pipe() {
    let (sandbox, nexus) = signed_in();
    let pipe = nexus.path("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    script(&sandbox, [delta("{\"age\":7}")]);
    let writer = std::thread::spawn(move || std::fs::write(pipe, SCHEMA).unwrap());
    assert_output!(nexus.run(&["chat", "x", "--schema", "pipe"]), 0, stdout: "{\"age\":7}\n", stderr: "");
    writer.join().unwrap();
}

#[test]
fn a_schema_is_sent_in_its_order_and_in_the_services_words_and_held_to_as_it_was_meant() {
    let (sandbox, nexus) = signed_in();
    let schema =
        r#"{"type":"object","properties":{"zreason":{"type":"string","minLength":3},"answer":{"type":"integer"}}}"#;
    let as_sent = r#""schema":{"type":"object","properties":{"zreason":{"type":"string","description":"{\"minLength\":3}"},"answer":{"type":"integer"}},"additionalProperties":false}"#;
    script(&sandbox, [delta("{\"zreason\":\"no\",\"answer\":7}")]);
    let output = nexus.run(&["chat", "x", "--schema", schema]);
    let sent = sandbox.requests_to(Endpoint::Messages).last().unwrap().text();
    assert!(sent.contains(as_sent), "{sent}");
    assert_eq!((output.code, &*output.stdout), (Some(1), ""), "{output}");
    assert!(output.stderr.contains("at `/zreason`, length must be >=3, but got 2"), "{output}");
}

#[test]
fn an_answer_that_does_not_fit_is_none() {
    let (sandbox, nexus) = signed_in();
    for (text, why) in [
        ("{\"age\":\"7\"}", "at `/age`, want integer, but got string"),
        ("{}", "at the top, missing properties 'age'"),
        ("Seven.", "not valid JSON: expected value at line 1 column 1"),
    ] {
        script(&sandbox, [delta(text)]);
        assert_output!(
            nexus.run(&["chat", "x", "--schema", SCHEMA]), 1, stdout: "",
            stderr: format!("error: the answer does not match the schema: {why}\n  ask again, or rephrase the \
                             question; --json prints the answer as it came\n"),
        );
        script(&sandbox, [delta(text)]);
        let output = nexus.run(&["chat", "x", "--schema", SCHEMA, "--json"]);
        let object = output.json();
        assert_eq!((output.code, &object["error"]["reason"]), (Some(1), &json!("schema_mismatch")));
        assert_eq!((&object["answer"], &object["partial"]), (&Value::Null, &json!(text)));
    }
}

#[test]
fn an_answer_that_was_cut_is_said_to_be_cut_and_not_only_not_to_fit() {
    let (sandbox, nexus) = signed_in();
    let pieces = [delta("{\"age\":"), stop_reason("max_tokens"), stop()];
    sandbox.script(Endpoint::Messages, [Scripted::stream(pieces)]);
    assert_output!(
        nexus.run(&["chat", "x", "--schema", SCHEMA]), 1, stdout: "",
        stderr: "error: the answer was cut off at --max-tokens and does not match the schema: not valid JSON: EOF \
                 while parsing a value at line 1 column 7\n  raise --max-tokens; --json prints the answer as it came\n",
    );
}

#[test]
fn a_schema_that_is_none_is_refused_before_anything_is_asked() {
    let (sandbox, nexus) = signed_in();
    let before = sandbox.requests().len();
    std::fs::write(nexus.path("utf-16.json"), b"\xff\xfe{\0}\0").unwrap();
    for message in ["{", "{\"type\":\"thing\"}", "gone.json", "utf-16.json"] {
        let output = nexus.run(&["chat", "x", "--schema", message]);
        assert_eq!(output.code, Some(2), "{output}");
        assert!(output.stderr.starts_with("error: --schema cannot be used: "), "{output}");
    }
    assert_eq!(sandbox.requests().len(), before);
}
