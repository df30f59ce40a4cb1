//! `nexus chat -t`, `--system-file` and the aliases of models.

use std::fs;

use nexus::sandbox::{Endpoint, Sandbox, Scripted, Settings};
use serde_json::{Value, json};

use crate::nexus::{Nexus, config, sandbox};

const REVIEW: &str = r#"
system = "You review {{lang}} code."
prompt = "Review this {{tone}}ly:\n\n{{input}}"
model = "quick"
max_tokens = 99

[vars]
tone = "kind"
"#;

fn signed_in() -> (Sandbox, Nexus) {
    let sandbox = sandbox(Settings::default());
    let nexus = Nexus::at(&sandbox);
    nexus.configure(&format!(
        "aliases = {{ quick = 'sandbox-small', plain = 'sandbox-old' }}\n{}",
        config(&sandbox, "")
    ));
    nexus.sign_in();
    fs::create_dir(nexus.path("templates")).unwrap();
    for (name, toml) in [("review", REVIEW), ("joke", "prompt = 'Tell a joke.'"), ("brief", "system = 'Be brief.'")] {
        fs::write(nexus.path(&format!("templates/{name}.toml")), toml).unwrap();
    }
    (sandbox, nexus)
}

/// Model, `max_tokens`, system prompt and prompt of the last request.
fn asked(sandbox: &Sandbox) -> Value {
    let body = sandbox.requests_to(Endpoint::Messages).last().unwrap().json();
    json!([body["model"], body["max_tokens"], body["system"], body["messages"][0]["content"]])
}

#[test]
fn a_template_is_filled_and_flags_beat_it() {
    let (sandbox, nexus) = signed_in();
    let run = |words: &[&str], stdin: &str| {
        nexus.run_with(words, stdin).ok();
        asked(&sandbox)
    };
    let review = ["chat", "-t", "review", "--var", "lang=Rust"];
    assert_eq!(
        run(&[&review[..], &["this"]].concat(), "fn main() {}\n"),
        json!(["sandbox-small", 99, "You review Rust code.", "Review this kindly:\n\nthis\n\nfn main() {}\n"])
    );
    assert_eq!(
        run(
            &[&review[..], &["--var", "tone=stern", "-m", "plain", "--max-tokens", "5", "-s", "No.", "x"]].concat(),
            ""
        ),
        json!(["sandbox-old", 5, "No.", "Review this sternly:\n\nx"])
    );
    assert_eq!(run(&["chat", "-t", "joke"], ""), json!(["sandbox-large", 4_096, null, "Tell a joke."]));
    assert_eq!(run(&["chat", "-t", "joke", "about", "pipes"], "")[3], "Tell a joke.\n\nabout pipes");
    assert_eq!(run(&["chat", "--template", "brief"], "piped"), json!(["sandbox-large", 4_096, "Be brief.", "piped"]));
}

#[test]
fn a_template_may_begin_with_a_byte_order_mark() {
    let (sandbox, nexus) = signed_in();
    fs::write(nexus.path("templates/marked.toml"), "\u{feff}prompt = 'Go.'\nmodel = 'quick '\n").unwrap();
    nexus.run(&["chat", "-t", "marked"]).ok();
    assert_eq!(asked(&sandbox), json!(["sandbox-small", 4_096, null, "Go."]));
    let config = fs::read_to_string(nexus.path("config.toml")).unwrap();
    nexus.configure(&format!("\u{feff}{config}"));
    nexus.run(&["chat", "-m", " quick\r", "x"]).ok();
    assert_eq!(asked(&sandbox)[0], "sandbox-small");
    fs::write(nexus.path("templates/wide.toml"), b"\xff\xfep\0").unwrap();
    let output = nexus.run(&["chat", "-t", "wide"]);
    assert!(
        output.stderr.starts_with("error: [HOME]/templates/wide.toml cannot be read: it is UTF-16, not UTF-8\n"),
        "{output}"
    );
}

#[test]
fn missing_values_are_reported_before_any_request() {
    let (sandbox, nexus) = signed_in();
    let before = sandbox.requests().len();
    for (words, message, cure) in [
        (
            &["chat", "-t", "reveiw", "x"][..],
            "no template is called `reveiw` in [HOME]/templates; there are: brief, joke, review",
            "did you mean `review`?",
        ),
        (
            &["chat", "-t", "review", "--var", "lang=x"],
            "the template review needs {{input}}, but there is no question",
            "pass it as an argument or pipe it in; in a batch, give the line a `prompt`",
        ),
        (&["chat", "-t", "brief"], "no question: pass one as an argument or pipe it in", "see `nexus chat --help`"),
    ] {
        assert_output!(nexus.run(words), 2, stdout: "", stderr: format!("error: {message}\n  {cure}\n"));
    }
    for (words, message) in [
        (
            &["chat", "-t", "review", "--var", "lang", "x"][..],
            "invalid value 'lang' for '--var <NAME=VALUE>': write it as name=value",
        ),
        (
            &["chat", "-s", "x", "--system-file", "x", "x"],
            "the argument '--system <TEXT>' cannot be used with '--system-file <FILE>'",
        ),
    ] {
        let output = nexus.run(words);
        assert!(output.code == Some(2) && output.stderr.starts_with(&format!("error: {message}\n")), "{output}");
    }
    assert_eq!(nexus.run(&["chat", "--var", "lang=x", "x"]).code, Some(2), "a variable needs a template");
    assert_eq!(sandbox.requests().len(), before);
}

#[test]
fn the_system_prompt_may_be_a_file() {
    let (sandbox, nexus) = signed_in();
    fs::write(nexus.path("system.txt"), "Be \u{fc}.\n").unwrap();
    nexus.run(&["chat", "--system-file", "system.txt", "x"]).ok();
    assert_eq!(asked(&sandbox)[2], "Be \u{fc}.\n");
    nexus.run(&["chat", "-t", "brief", "--system-file", "system.txt", "x"]).ok();
    assert_eq!(asked(&sandbox)[2], "Be \u{fc}.\n", "what is said on the command line beats the template");
    fs::write(nexus.path("picture.png"), b"\x89PNG\r\n\x1a\n").unwrap();
    for (file, why, cure) in [
        ("gone", "No such file or directory (os error 2)", "check the file's name and who may read it"),
        ("templates", "it is a folder", "name a file of UTF-8 text"),
        ("picture.png", "it is not UTF-8 text", "name a file of UTF-8 text"),
    ] {
        assert_output!(nexus.run(&["chat", "--system-file", file, "x"]), 2, stdout: "",
            stderr: format!("error: the system prompt {file} cannot be used: {why}\n  {cure}\n"));
    }
}

#[test]
fn an_alias_may_replace_a_model_id() {
    let (sandbox, nexus) = signed_in();
    nexus.run(&["chat", "-m", "quick", "x"]).ok();
    assert_eq!(asked(&sandbox)[0], "sandbox-small");
    nexus.run(&["chat", "-m", "sandbox-large", "x"]).ok();
    assert_eq!(asked(&sandbox)[0], "sandbox-large", "a name that is no alias is the model's");
    let configured = |lines: &str| {
        nexus.configure(&format!("{}[aliases]\nplain = 'sandbox-old'\n", config(&sandbox, lines)));
        nexus.run(&["chat", "x"]).ok();
        asked(&sandbox)[0].clone()
    };
    assert_eq!(configured("model = 'plain'"), "sandbox-old");
    assert_eq!(configured(""), "sandbox-large");
    nexus.configure(&format!("{}[aliases]\nsandbox-small = ''\n", config(&sandbox, "")));
    nexus.run(&["chat", "-m", "sandbox-small", "x"]).ok();
    assert_eq!(asked(&sandbox)[0], "sandbox-small", "an alias for nothing is none");
}

#[test]
fn a_mistyped_model_suggests_the_nearest() {
    let (sandbox, nexus) = signed_in();
    nexus.configure(&format!("{}[aliases]\nfast = 'sandbox-small'\n", config(&sandbox, "")));
    let anyway = "Otherwise run `nexus models` to list the models; if that fails too, check `api_url`";
    for (model, hint) in [
        ("fsat", format!("did you mean `fast`? {anyway}")),
        ("sandbox-lagre", format!("did you mean `sandbox-large`? {anyway}")),
        ("gpt", "run `nexus models` to list the models; if that fails too, check `api_url`".to_owned()),
    ] {
        let output = nexus.run(&["chat", "--json", "-m", model, "x"]);
        let error = &output.json()["error"];
        assert_eq!((output.code, &error["reason"], &error["hint"]), (Some(1), &json!("not_found"), &json!(hint)));
        assert_eq!(error["http_status"], 404);
    }
    // Some gateways answer 400 to an unknown model.
    let refused = json!({ "error": { "message": "Invalid model name passed in model=fsat", "code": "400" } });
    sandbox.script(Endpoint::Messages, [Scripted::json(400, &refused)]);
    let output = nexus.run(&["chat", "-m", "fsat", "x"]);
    assert!(output.stderr.contains("did you mean `fast`?"), "{output}");
}

#[test]
fn a_value_of_the_wrong_type_is_reported() {
    let nexus = Nexus::new();
    fs::create_dir(nexus.path("templates")).unwrap();
    for (toml, message) in [
        ("prompt = 3", "line 1, `prompt` must be text in quotes"),
        ("\nmax_tokens = '8k'", "line 2, `max_tokens` must be a whole number from 1 to 4294967295, without quotes"),
        ("vars = 3", "line 1, `vars` must be a section: [vars]"),
    ] {
        fs::write(nexus.path("templates/t.toml"), toml).unwrap();
        let stderr = format!("error: [HOME]/templates/t.toml, {message}\n  fix that line\n");
        assert_output!(nexus.run(&["chat", "-t", "t", "x"]), 2, stdout: "", stderr: stderr);
    }
}
