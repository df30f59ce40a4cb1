//! `nexus models`, and the model that `nexus chat` asks.

use nexus::sandbox::{Endpoint, Scripted, Settings};
use serde_json::json;

use crate::chat::{asked, signed_in};
use crate::nexus::{Nexus, sandbox};

#[test]
fn a_list_that_was_not_to_be_had_at_sign_in_is_asked_for_when_it_is_needed() {
    let sandbox = sandbox(Settings::default());
    sandbox.script(Endpoint::Models, [Scripted::text(503, "text/plain", "busy")]);
    let nexus = Nexus::at(&sandbox);
    nexus.sign_in();
    nexus.run(&["chat", "--model", "sandbox-old", "x"]).ok();
    assert_eq!(sandbox.counts().models, 0, "a model that is named needs no list");
    nexus.run(&["chat", "x"]).ok();
    nexus.run(&["chat", "x"]).ok();
    assert_eq!((&asked(&sandbox)["model"], sandbox.counts().models), (&json!("sandbox-large"), 1));
}

#[test]
fn a_list_of_models_is_asked_for_again_where_that_may_help() {
    let (sandbox, nexus) = signed_in();
    let busy = || Scripted::text(503, "text/plain", "").header("retry-after-ms", "1");
    sandbox.script(Endpoint::Models, [busy(), busy()]);
    let note = |number| format!("note: [SERVER] answered 503; retrying in 1 ms{number}\n");
    let listed = "sandbox-large\nsandbox-small\nsandbox-old\n";
    assert_output!(nexus.run(&["models"]), 0, stdout: listed, stderr: note("") + &note(""));
    sandbox.script(Endpoint::Models, [busy(), busy(), busy()]);
    assert_output!(nexus.run(&["models", "--retries", "2"]), 75, stdout: "",
        stderr: note(" (1 of 2)") + &note(" (2 of 2)") + "error: [SERVER] answered 503\n  try again in 1 second\n");
    let asked = sandbox.requests_to(Endpoint::Models).len();
    sandbox.script(Endpoint::Models, [Scripted::text(501, "text/plain", "")]);
    assert_eq!(nexus.run(&["models"]).code, Some(1));
    assert_eq!(sandbox.requests_to(Endpoint::Models).len(), asked + 1, "what is not made will not be in a moment");
    // Each may still fail once for its token.
    sandbox.expire_access();
    sandbox.script(Endpoint::Models, [Scripted::Normal, busy()]);
    assert_output!(nexus.run(&["models"]), 0, stdout: listed, stderr: note(""));
}

#[test]
fn without_a_known_model_nothing_is_asked() {
    let sandbox = sandbox(Settings::default());
    let nexus = Nexus::at(&sandbox);
    let none = || Scripted::json(200, &json!({ "data": [], "has_more": false }));
    sandbox.script(Endpoint::Models, [none(), none()]);
    nexus.sign_in();
    assert_output!(
        nexus.run(&["chat", "x"]), 2, stdout: "",
        stderr: "error: no model is set for work, and it lists none\n  pass --model, or set `model = \"...\"` in \
                 config.toml\n",
    );
    assert_eq!(sandbox.requests_to(Endpoint::Messages).len(), 0);
    // An empty list is requested again.
    nexus.run(&["chat", "x"]).ok();
}

#[test]
fn models_are_listed_newest_first() {
    let (sandbox, nexus) = signed_in();
    assert_output!(nexus.run(&["models"]), 0, stdout: "sandbox-large\nsandbox-small\nsandbox-old\n", stderr: "");
    let object = nexus.run(&["models", "--json"]).json();
    assert_eq!((&object["version"], &object["models"][0]["id"]), (&json!(1), &json!("sandbox-large")));
    sandbox.script(Endpoint::Models, [Scripted::json(200, &json!({ "object": "list", "data": [{ "id": "gpt" }] }))]);
    assert_output!(nexus.run(&["models"]), 0, stdout: "gpt\n", stderr: "");
    sandbox.script(Endpoint::Models, [Scripted::text(404, "text/html", "")]);
    assert_eq!(nexus.run(&["models"]).code, Some(1));
}

#[test]
fn a_model_that_nexus_chose_and_the_server_retired_is_chosen_anew() {
    let (sandbox, nexus) = signed_in();
    sandbox.change(|settings| settings.models = vec!["sandbox-next".into(), "sandbox-small".into()]);
    nexus.run(&["chat", "x"]).ok();
    let models: Vec<_> =
        sandbox.requests_to(Endpoint::Messages).iter().map(|seen| seen.json()["model"].clone()).collect();
    assert_eq!(models, ["sandbox-large", "sandbox-next"]);
    assert_eq!(sandbox.counts().models, 2);
    // What was learnt is kept.
    nexus.run(&["chat", "x"]).ok();
    assert_eq!((sandbox.requests_to(Endpoint::Messages).len(), sandbox.counts().models), (3, 2));
}

#[test]
fn a_model_that_was_named_is_the_one_that_is_asked() {
    let (sandbox, nexus) = signed_in();
    assert_eq!(nexus.run(&["chat", "--model", "gone", "x"]).code, Some(1));
    nexus.configure(&crate::nexus::config(&sandbox, "model = 'gone'"));
    assert_eq!(nexus.run(&["chat", "x"]).code, Some(1));
    assert_eq!((sandbox.requests_to(Endpoint::Messages).len(), sandbox.counts().models), (2, 1));
    // There is no second request if the list has no other model.
    nexus.configure(&crate::nexus::config(&sandbox, ""));
    let gone = json!({ "type": "error", "error": { "type": "not_found_error", "message": "not here" } });
    sandbox.script(Endpoint::Messages, [Scripted::json(404, &gone)]);
    let output = nexus.run(&["chat", "x"]);
    assert_eq!(output.code, Some(1), "{output}");
    assert!(output.stderr.contains("answered 404 not_found_error: not here"), "{output}");
    assert_eq!(sandbox.requests_to(Endpoint::Messages).len(), 3);
}

#[test]
fn a_model_is_one_line_whatever_its_id_holds() {
    let sandbox = sandbox(Settings { models: vec!["one\ntwo\r".into(), "three".into()], ..Settings::default() });
    let nexus = Nexus::at(&sandbox);
    nexus.sign_in();
    assert_output!(nexus.run(&["models"]), 0, stdout: "one\u{240a}two\u{240d}\nthree\n", stderr: "");
    assert_eq!(nexus.run(&["models", "--json"]).json()["models"][0]["id"], "one\ntwo\r");
}

#[test]
fn a_model_without_a_name_is_none() {
    let output = Nexus::new().run(&["chat", "x", "-m", ""]);
    assert_eq!(output.code, Some(2), "{output}");
    assert!(output.stderr.contains("'--model <ID>'"), "{output}");
}
