//! `nexus batch`.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use nexus::sandbox::{Endpoint, Gate, Scripted, Settings};
use serde_json::{Value, json};

use crate::chat::{delta, stop, stop_reason};
use crate::nexus::{Nexus, block_on, signal};

const NOTE: &str = "(This is the nexus sandbox: no model is behind it.)";

pub(crate) fn prompts(nexus: &Nexus, lines: &[impl AsRef<str>]) -> PathBuf {
    let path = nexus.path("prompts.jsonl");
    let lines: Vec<_> = lines.iter().map(|line| format!("{}\n", line.as_ref())).collect();
    fs::write(&path, lines.concat()).unwrap();
    path
}

pub(crate) fn prompt(id: impl Into<Value>, prompt: &str) -> String {
    json!({ "id": id.into(), "prompt": prompt }).to_string()
}

/// One of the schemas in `examples/schemas/`.
struct Schema {
    schemas: boon::Schemas,
    index: boon::SchemaIndex,
}

impl Schema {
    fn of(name: &str) -> Self {
        let path = format!("{}/examples/schemas/{name}.schema.json", env!("CARGO_MANIFEST_DIR"));
        let (mut compiler, mut schemas) = (boon::Compiler::new(), boon::Schemas::new());
        // Not by its path: it has to do where the others are not beside it.
        let text = fs::read_to_string(path).unwrap();
        compiler.add_resource("schema:/", serde_json::from_str(&text).unwrap()).unwrap();
        let index = compiler.compile("schema:/", &mut schemas).unwrap();
        Self { schemas, index }
    }

    fn fits(&self, value: &Value) -> bool {
        self.schemas.validate(value, self.index).is_ok()
    }
}

/// Every result of a file by its id, as it is written there; each id stands there once.
fn by_id(text: &str) -> BTreeMap<String, Value> {
    let (schema, mut results) = (Schema::of("batch-result"), BTreeMap::new());
    for line in text.lines() {
        let result: Value = serde_json::from_str(line).unwrap();
        assert!(schema.fits(&result), "{result:#}");
        let before = results.insert(result["id"].to_string(), result);
        assert_eq!(before, None, "{line}");
    }
    results
}

pub(crate) fn answers(nexus: &Nexus) -> BTreeMap<String, Value> {
    by_id(&fs::read_to_string(nexus.path("answers.jsonl")).unwrap())
}

pub(crate) const BATCH: [&str; 4] = ["batch", "prompts.jsonl", "--out", "answers.jsonl"];

#[test]
fn ten_thousand_questions_are_answered_once_each_though_the_program_is_killed_three_times() {
    const LINES: usize = 10_000;
    let (sandbox, nexus) = Nexus::signed_in(Settings::default());
    let lines: Vec<_> = (0..LINES).map(|at| prompt(format!("line {at}"), &format!("question-{at}"))).collect();
    prompts(&nexus, &lines);
    // Three words of an answer are enough to tell it by.
    let words: Vec<_> = BATCH.into_iter().chain(["--max-tokens", "3"]).collect();
    for kill in 1..=3 {
        let running = nexus.watch(&mut nexus.command(&words));
        block_on(sandbox.until(|sandbox| sandbox.counts().messages >= kill * LINES / 4));
        running.kill();
    }
    let before = answers_whole(&nexus);
    let output = nexus.run(&words);
    assert_eq!((output.code, &*output.stdout), (Some(0), ""), "{output}");
    let answers = answers(&nexus);
    assert_eq!(answers.len(), LINES);
    for (at, line) in lines.iter().enumerate() {
        let asked: Value = serde_json::from_str(line).unwrap();
        let answer = &answers[&asked["id"].to_string()];
        assert_eq!(answer["answer"], format!("You said: question-{at} "), "{answer}");
    }
    // Nothing was asked again but what was on its way when the program was killed.
    let asked = sandbox.requests_to(Endpoint::Messages).len();
    assert!((LINES..=LINES + 3 * 16).contains(&asked), "{asked} questions");
    assert_eq!(sandbox.counts().refreshes, 0);
    assert!(output.stderr.contains(&format!("{before} already answered")), "{output}");
}

/// How many answers stand in the file; its last line may be broken off.
fn answers_whole(nexus: &Nexus) -> usize {
    fs::read_to_string(nexus.path("answers.jsonl")).unwrap().matches('\n').count()
}

#[test]
fn every_line_becomes_a_result_on_stdout() {
    let (_sandbox, nexus) = Nexus::signed_in(Settings::default());
    let lines = [
        prompt("a", "Hello"),
        String::new(),
        json!({ "id": 2, "prompt": "Hi", "system": "Be brief", "model": "sandbox-small" }).to_string(),
        prompt("a", "Hello"),
        json!({ "id": "short", "prompt": "Hello", "max_tokens": 2 }).to_string(),
    ];
    prompts(&nexus, &lines);
    let words = ["batch", "prompts.jsonl", "--jobs", "1", "--system", "Be kind", "--model", "sandbox-old"];
    let output = nexus.run(&words);
    let usage = |input: u32, output: u32| {
        json!({
            "input_tokens": input, "output_tokens": output,
            "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0,
        })
    };
    let result = |id: Value, answer: &str, model: &str, stop_reason: &str, usage: Value| {
        json!({
            "version": 1, "id": id, "question_hash": "[HASH]", "answer": answer, "partial": null, "model": model,
            "stop_reason": stop_reason, "usage": usage, "conversation": null, "request_id": "[REQUEST]",
        })
    };
    let kind = format!("You said: Hello (Your system prompt: Be kind) {NOTE}");
    let brief = format!("You said: Hi (Your system prompt: Be brief) {NOTE}");
    let results: Vec<Value> = output.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let results: Vec<_> = results
        .into_iter()
        .map(|mut result| {
            assert!(result["request_id"].as_str().unwrap().starts_with("req_sandbox_"), "{result}");
            result["request_id"] = "[REQUEST]".into();
            result["question_hash"] = "[HASH]".into();
            result
        })
        .collect();
    assert_eq!(
        results,
        [
            result("a".into(), &kind, "sandbox-old", "end_turn", usage(3, 18)),
            result(2.into(), &brief, "sandbox-small", "end_turn", usage(3, 18)),
            result("short".into(), "You said: ", "sandbox-old", "max_tokens", usage(3, 2)),
        ]
    );
    assert_eq!(output.stderr, "3 lines answered, 1 cut off by --max-tokens; 9 tokens in, 38 out\n");
    assert_eq!(output.code, Some(0));
}

#[test]
fn a_bad_line_is_told_of_and_harms_no_other() {
    let (sandbox, nexus) = Nexus::signed_in(Settings::default());
    let lines = [
        prompt("good", "Hello"),
        "nonsense".into(),
        json!({ "prompt": "Hello" }).to_string(),
        json!({ "id": "empty" }).to_string(),
        prompt("good", "Another question"),
        json!({ "id": "x", "prompt": "y", "max_token": 5 }).to_string(),
        prompt("unknown model", "Hello"),
        prompt("also good", "Hello"),
    ];
    prompts(&nexus, &lines);
    let mut bytes = fs::read(nexus.path("prompts.jsonl")).unwrap();
    bytes.extend(b"{\"id\":\"\xff\",\"prompt\":\"p\"}");
    fs::write(nexus.path("prompts.jsonl"), bytes).unwrap();
    let output = nexus.run(&["batch", "prompts.jsonl", "--jobs", "1"]);
    let mut told: Vec<_> = output
        .stdout
        .lines()
        .map(|line| {
            let result: Value = serde_json::from_str(line).unwrap();
            let error = &result["error"];
            let text = |value: &Value| value.as_str().map_or(value.to_string(), String::from);
            match error.is_null() {
                true => format!("{}: {}", result["id"], text(&result["answer"])),
                false => {
                    let line = format!("line {} of the input: ", error["line"]);
                    let message = text(&error["message"]);
                    assert!(message.starts_with(&line), "{message}: {line}");
                    format!("{}: {} {message}", result["id"], text(&error["reason"]))
                }
            }
        })
        .collect();
    let mut expected = [
        format!("\"good\": You said: Hello {NOTE}"),
        "null: bad_line line 2 of the input: not valid JSON: expected ident in column 2".into(),
        format!("3: You said: Hello {NOTE}"),
        "\"empty\": bad_line line 4 of the input: `prompt` is missing".into(),
        "null: bad_line line 5 of the input: an earlier line has the same `id` and another question".into(),
        "\"x\": bad_line line 6 of the input: `max_token` is unknown: there are id, prompt, attach, vars, \
         schema, system, model and max_tokens"
            .into(),
        format!("\"unknown model\": You said: Hello {NOTE}"),
        format!("\"also good\": You said: Hello {NOTE}"),
        "null: bad_line line 9 of the input: invalid UTF-8 at byte 7".into(),
    ];
    told.sort();
    expected.sort();
    assert_eq!(told, expected);
    assert_eq!(
        output.stderr,
        "4 lines answered, 5 failed; 4 tokens in, 52 out\nfailed: line 2, empty, line 5, x, line 9\n\
         error: 5 lines have no answer\n  see `error` in the results and fix the cause; with --out FILE, running the command again asks only the missing lines\n"
    );
    assert_eq!((output.code, sandbox.counts().messages), (Some(1), 4));
}

#[test]
fn the_lines_that_failed_are_named_though_not_without_end() {
    let (sandbox, nexus) = Nexus::signed_in(Settings::default());
    let bad = || Scripted::json(400, &json!({ "error": { "type": "invalid_request_error", "message": "No" } }));
    let failed = |ids: Vec<Value>| {
        sandbox.script(Endpoint::Messages, vec![bad(); ids.len()]);
        let lines: Vec<_> = ids.into_iter().map(|id| json!({ "id": id, "prompt": "x" }).to_string()).collect();
        prompts(&nexus, &lines);
        let output = nexus.run(&["batch", "prompts.jsonl", "--jobs", "1"]);
        assert_eq!(output.code, Some(1));
        output.stderr.lines().nth(1).unwrap().to_owned()
    };
    assert_eq!(failed(vec!["a b".into(), 7.into(), Value::Null]), "failed: a b, 7, 3");
    let many = (1..=13).map(Value::from).collect();
    assert_eq!(failed(many), "failed: 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 3 more");
    let odd = vec!["\u{1b}[2J\n".into(), "ü".repeat(41).into()];
    assert_eq!(failed(odd), format!("failed: ␛[2J , {}...", "ü".repeat(40)));
}

#[test]
fn a_line_without_an_id_is_called_by_its_number() {
    let (sandbox, nexus) = Nexus::signed_in(Settings::default());
    let bare = |prompt: &str| json!({ "prompt": prompt }).to_string();
    prompts(&nexus, &[bare("one"), String::new(), bare("three"), prompt(4, "four"), prompt("a", "five")]);
    assert_eq!(nexus.run(&BATCH).code, Some(0));
    let ids: Vec<_> = answers(&nexus).into_keys().collect();
    assert_eq!(ids, ["\"a\"", "1", "3", "4"]);
    assert!(answers(&nexus)["3"]["answer"].as_str().unwrap().contains("three"));
    // The numbers are the ids of the next run, too.
    assert_eq!(nexus.run(&BATCH).stderr, "0 lines answered, 4 already answered\n");
    assert_eq!(sandbox.counts().messages, 4);
    prompts(&nexus, &[prompt(2, "two"), bare("another")]);
    let clash = nexus.run(&["batch", "prompts.jsonl"]);
    assert!(
        clash.stdout.contains("line 2 of the input: an earlier line has the same `id` and another question"),
        "{clash}"
    );
}

#[test]
fn an_answer_of_a_batch_must_match_its_schema() {
    let (sandbox, nexus) = Nexus::signed_in(Settings::default());
    let said = |text: &str| Scripted::stream([delta(text), stop_reason("end_turn"), stop()]);
    let strict = json!({ "type": "object", "required": ["total"] });
    fs::write(nexus.path("invoice.json"), strict.to_string()).unwrap();
    let own = "{\"id\":\"own\",\"prompt\":\"p\",\"schema\":{\"type\":\"string\",\"description\":\"a name\"}}";
    let file = json!({ "id": "file", "prompt": "p", "schema": "invoice.json" });
    prompts(&nexus, &[prompt("good", "p"), prompt("bad", "p"), own.to_owned(), file.to_string()]);
    let replies = [said("{\"total\":5}"), said("no JSON"), said("\"Ann\""), said("{\"total\":6}")];
    sandbox.script(Endpoint::Messages, replies);
    let words = ["--jobs", "1", "--schema", "{\"type\":\"object\"}"];
    let words: Vec<_> = BATCH.into_iter().chain(words).collect();
    let output = nexus.run(&words);
    assert_eq!((output.code, output.stderr.lines().nth(1)), (Some(1), Some("failed: bad")), "{output}");
    let answers = answers(&nexus);
    assert_eq!(
        (&answers["\"good\""]["answer"], &answers["\"own\""]["answer"]),
        (&json!("{\"total\":5}"), &json!("\"Ann\""))
    );
    assert_eq!(answers["\"bad\""]["error"]["reason"], "schema_mismatch");
    assert_eq!(answers["\"bad\""]["partial"], "no JSON");
    let sent: Vec<_> = sandbox.requests_to(Endpoint::Messages).iter().map(|asked| asked.text()).collect();
    assert!(sent[0].contains("\"schema\":{\"type\":\"object\",\"additionalProperties\":false}"), "{}", sent[0]);
    assert!(
        sent[2].contains("\"schema\":{\"type\":\"string\",\"description\":\"a name\"}"),
        "in its order: {}",
        sent[2]
    );
    assert!(sent[3].contains("\"required\":[\"total\"]"), "{}", sent[3]);

    let unusable = nexus.run(&["batch", "prompts.jsonl", "--schema", "{\"type\":\"thing\"}"]);
    assert_eq!(unusable.code, Some(2), "{unusable}");
    let own = json!({ "id": "a", "prompt": "p", "schema": "no-such-file.json" });
    prompts(&nexus, &[own.to_string()]);
    let output = nexus.run(&["batch", "prompts.jsonl"]);
    assert!(
        output.stdout.contains("line 1 of the input: `schema` cannot be used: no-such-file.json: No such file"),
        "{output}"
    );
}

#[test]
fn a_line_brings_its_own_files_and_variables() {
    let (sandbox, nexus) = Nexus::signed_in(Settings::default());
    fs::create_dir(nexus.path("templates")).unwrap();
    fs::write(nexus.path("templates/say.toml"), "prompt = \"Say {{input}} in {{lang}}\"\n").unwrap();
    fs::write(nexus.path("templates/go.toml"), "prompt = \"Go to {{place}}\"\n").unwrap();
    fs::write(nexus.path("a.txt"), "the first file").unwrap();
    fs::write(nexus.path("b.txt"), "the second file").unwrap();
    let asked = |template: Option<&str>, line: Value| {
        prompts(&nexus, &[line.to_string()]);
        let template = template.into_iter().flat_map(|name| ["--template", name]);
        let output = nexus.run(&["batch", "prompts.jsonl"].into_iter().chain(template).collect::<Vec<_>>());
        let content =
            || sandbox.requests_to(Endpoint::Messages).last().unwrap().json()["messages"][0]["content"].clone();
        match output.code {
            Some(0) => Ok(content()),
            _ => Err(serde_json::from_str::<Value>(&output.stdout).unwrap()["error"]["message"].clone()),
        }
    };
    let say = |line: Value| asked(Some("say"), line);
    assert_eq!(say(json!({ "id": 1, "prompt": "yes", "vars": { "lang": "Latin" } })), Ok("Say yes in Latin".into()));
    assert_eq!(say(json!({ "id": 1, "prompt": "yes", "vars": { "lang": 7 } })), Ok("Say yes in 7".into()));
    assert_eq!(asked(Some("go"), json!({ "id": 1, "vars": { "place": "Rome" } })), Ok("Go to Rome".into()));
    let missing = say(json!({ "id": 1, "prompt": "yes" })).unwrap_err();
    assert_eq!(missing, "the template say needs a value for: lang");
    let unknown = say(json!({ "id": 1, "prompt": "yes", "vars": { "lnag": "x" } })).unwrap_err();
    assert_eq!(unknown, "the template say has no variable `lnag`; it has: lang");
    let none = asked(None, json!({ "id": 1, "prompt": "yes", "vars": { "lang": "x" } })).unwrap_err();
    assert_eq!(none, "`vars` are the variables of a template, and there is none");

    for attach in [json!("a.txt"), json!(["a.txt", "b.txt"])] {
        let content = asked(None, json!({ "id": 1, "prompt": "compare", "attach": attach })).unwrap().to_string();
        assert!(content.contains("the first file") && content.contains("compare"), "{content}");
        assert_eq!(content.contains("the second file"), attach.is_array(), "{content}");
    }
    let gone = asked(None, json!({ "id": 1, "prompt": "p", "attach": "gone.txt" })).unwrap_err();
    assert!(gone.as_str().unwrap().starts_with("cannot attach gone.txt: "), "{gone}");
}

#[test]
fn run_again_it_asks_only_what_has_no_answer() {
    let (sandbox, nexus) = Nexus::signed_in(Settings::default());
    prompts(&nexus, &["a", "b", "c", "d"].map(|id| prompt(id, id)));
    let busy = || Scripted::json(529, &json!({ "error": { "type": "overloaded_error", "message": "Overloaded" } }));
    let bad = || Scripted::json(400, &json!({ "error": { "type": "invalid_request_error", "message": "No" } }));
    let again: Vec<&str> = BATCH.into_iter().chain(["--jobs", "1", "--retries", "0"]).collect();

    sandbox.script(Endpoint::Messages, [Scripted::Normal, busy(), Scripted::Normal, busy()]);
    let output = nexus.run(&again);
    assert_output!(
        output, 75, stdout: "",
        stderr: "2 lines answered, 2 failed; 2 tokens in, 26 out\nfailed: b, d\nerror: 2 lines have no answer\n  run the same command again to ask only the missing lines\n",
    );
    let reasons = |answers: &BTreeMap<String, Value>| -> Vec<Value> {
        answers.values().map(|result| result["error"]["reason"].clone()).collect()
    };
    assert_eq!(reasons(&answers(&nexus)), [Value::Null, "overloaded".into(), Value::Null, "overloaded".into()]);

    sandbox.script(Endpoint::Messages, [busy(), bad()]);
    let output = nexus.run(&again);
    assert_output!(
        output, 1, stdout: "",
        stderr: "note: 2 lines failed in an earlier run; asking those again that are in the input\n0 lines answered, 2 already answered, 2 failed\nfailed: b, d\n\
                 error: 2 lines have no answer\n  see `error` in the results and fix the cause; run the same command again to ask only the missing lines\n",
    );
    assert_eq!(reasons(&answers(&nexus)), [Value::Null, "overloaded".into(), Value::Null, "refused".into()]);

    // As a kill leaves it.
    let path = nexus.path("answers.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, &text[..text.len() - 10]).unwrap();
    let output = nexus.run(&again);
    assert_output!(
        output, 0, stdout: "",
        stderr: "note: removed an incomplete last line; asking it again if it is in the input\nnote: 1 \
                 line failed in an earlier run; asking those again that are in the input\n2 lines answered, 2 already answered; 2 tokens in, 26 out\n",
    );
    assert_eq!(reasons(&answers(&nexus)), [Value::Null, Value::Null, Value::Null, Value::Null]);

    let asked = sandbox.requests_to(Endpoint::Messages).len();
    assert_output!(nexus.run(&again), 0, stdout: "", stderr: "0 lines answered, 4 already answered\n");
    assert_eq!(sandbox.requests_to(Endpoint::Messages).len(), asked);
}

#[test]
fn a_changed_question_is_asked_again_and_its_new_answer_replaces_the_old_one() {
    let (sandbox, nexus) = Nexus::signed_in(Settings::default());
    fs::create_dir(nexus.path("templates")).unwrap();
    let template = |text: &str| {
        fs::write(nexus.path("templates/say.toml"), format!("prompt = \"{text} {{{{input}}}}\"\n")).unwrap();
    };
    template("Say");
    fs::write(nexus.path("a.txt"), "one").unwrap();
    let attached = |id: &str| json!({ "id": id, "prompt": "p", "attach": "a.txt" }).to_string();
    let lines = |b: &str| prompts(&nexus, &[prompt("a", "a"), prompt("b", b), attached("file")]);
    let asked = || sandbox.requests_to(Endpoint::Messages).len();
    let run = |flags: &[&str]| {
        let before = asked();
        let output =
            nexus.run(&BATCH.into_iter().chain(["-t", "say"]).chain(flags.iter().copied()).collect::<Vec<_>>());
        assert_eq!((output.code, &*output.stdout), (Some(0), ""), "{output}");
        (asked() - before, output.stderr)
    };
    lines("b");
    assert_eq!(run(&[]).0, 3);
    assert_eq!(run(&[]), (0, "0 lines answered, 3 already answered\n".into()));

    lines("another");
    let (count, stderr) = run(&[]);
    assert_eq!(count, 1);
    let again = "note: asked 1 line again whose question has changed\n1 line answered, 2 already answered; ";
    assert!(stderr.starts_with(again), "{stderr}");
    // The old answer is gone: by_id demands each id once.
    assert_eq!(answers(&nexus)["\"b\""]["answer"], format!("You said: Say another {NOTE}"));
    assert_eq!(run(&[]).0, 0);

    fs::write(nexus.path("a.txt"), "two").unwrap();
    assert_eq!(run(&[]).0, 1, "an attached file");
    template("Repeat");
    assert_eq!(run(&[]).0, 3, "the template");
    for flags in [["--system", "Be kind"], ["-m", "sandbox-old"], ["--max-tokens", "50"]] {
        assert_eq!((run(&flags).0, run(&flags).0), (3, 0), "{flags:?}");
    }
    assert_eq!(answers(&nexus).len(), 3);
}

#[test]
fn a_failed_new_question_leaves_no_answer_to_the_old_one() {
    let (sandbox, nexus) = Nexus::signed_in(Settings::default());
    prompts(&nexus, &[prompt("a", "a"), prompt("b", "b")]);
    assert_eq!(nexus.run(&BATCH).code, Some(0));
    prompts(&nexus, &[prompt("a", "changed"), prompt("b", "b")]);
    let bad = json!({ "error": { "type": "invalid_request_error", "message": "No" } });
    sandbox.script(Endpoint::Messages, [Scripted::json(400, &bad)]);
    let output = nexus.run(&BATCH);
    assert_eq!(output.code, Some(1), "{output}");
    assert!(output.stderr.contains("\nfailed: a\n"), "{output}");
    assert_eq!(answers(&nexus)["\"a\""]["error"]["reason"], "refused");
    let output = nexus.run(&BATCH);
    assert!(output.stderr.contains("1 line answered, 1 already answered"), "{output}");
    assert!(answers(&nexus)["\"a\""]["answer"].as_str().unwrap().contains("changed"));
}

#[test]
fn without_ids_a_removed_line_leaves_no_answer_beside_another_question() {
    let (_sandbox, nexus) = Nexus::signed_in(Settings::default());
    let line = |text: &&str| json!({ "prompt": text }).to_string();
    prompts(&nexus, &["one", "two", "three"].iter().map(line).collect::<Vec<_>>());
    assert_eq!(nexus.run(&BATCH).code, Some(0));
    prompts(&nexus, &["one", "three"].iter().map(line).collect::<Vec<_>>());
    let output = nexus.run(&BATCH);
    assert_output!(
        output, 0, stdout: "",
        stderr: "note: asked 1 line again whose question has changed\nnote: the output file has 1 answer whose id is not in \
                 the input\n1 line answered, 1 already answered; 1 tokens in, 13 out\n",
    );
    let answers = answers(&nexus);
    for (id, text) in [("1", "one"), ("2", "three"), ("3", "three")] {
        assert_eq!(answers[id]["answer"], format!("You said: {text} {NOTE}"), "{id}");
    }
}

#[test]
fn an_answer_stays_if_its_line_cannot_be_asked_any_more_or_its_question_is_unknown() {
    let (sandbox, nexus) = Nexus::signed_in(Settings::default());
    fs::write(nexus.path("a.txt"), "one").unwrap();
    prompts(&nexus, &[json!({ "id": "a", "prompt": "p", "attach": "a.txt" }).to_string(), prompt("b", "b")]);
    assert_eq!(nexus.run(&BATCH).code, Some(0));
    fs::remove_file(nexus.path("a.txt")).unwrap();
    let before = answers(&nexus);
    let output = nexus.run(&BATCH);
    assert_output!(
        output, 0, stdout: "",
        stderr: "note: kept the answer of 1 line that cannot be asked now: cannot attach a.txt: No such file or directory \
                 (os error 2)\n0 lines answered, 2 already answered\n",
    );
    assert_eq!(answers(&nexus), before);
    // A result of an earlier version has no hash.
    fs::write(nexus.path("answers.jsonl"), "{\"version\":1,\"id\":\"b\",\"answer\":\"yes\"}\n").unwrap();
    prompts(&nexus, &[prompt("b", "changed")]);
    let asked = sandbox.requests_to(Endpoint::Messages).len();
    assert_output!(nexus.run(&BATCH), 0, stdout: "", stderr: "0 lines answered, 1 already answered\n");
    assert_eq!(sandbox.requests_to(Endpoint::Messages).len(), asked);
}

#[test]
fn two_never_write_the_same_file() {
    let (sandbox, nexus) = Nexus::signed_in(Settings::default());
    prompts(&nexus, &["a", "b"].map(|id| prompt(id, id)));
    let gate = Gate::new();
    sandbox.script(Endpoint::Messages, [Scripted::Wait(gate.clone())]);
    let first = nexus.watch(&mut nexus.command(&BATCH));
    block_on(gate.arrived(1));
    assert_output!(
        nexus.run(&BATCH), 75, stdout: "",
        stderr: "error: [HOME]/answers.jsonl: another nexus process is writing this file\n  wait until it is done, or pass another file with --out\n",
    );
    gate.open();
    assert_eq!(first.finish().code, Some(0));
    assert_eq!(answers(&nexus).len(), 2);
}

#[cfg(unix)]
#[test]
fn interrupted_it_says_how_to_go_on_and_goes_on() {
    let (sandbox, nexus) = Nexus::signed_in(Settings::default());
    prompts(&nexus, &["a", "b", "c"].map(|id| prompt(id, id)));
    let gate = Gate::new();
    sandbox.script(Endpoint::Messages, [Scripted::Normal, Scripted::Normal, Scripted::Paused(gate.clone())]);
    // One after the other: when the third is asked, the first two are in the file.
    let words: Vec<_> = BATCH.into_iter().chain(["--jobs", "1"]).collect();
    let running = nexus.watch(&mut nexus.command(&words));
    block_on(gate.arrived(1));
    signal(running.id(), "INT");
    assert_output!(
        running.finish(), 130, stdout: "",
        stderr: "stopped: 2 lines answered; 2 tokens in, 26 out; run the same command to resume\n",
    );
    gate.open();
    assert_eq!(nexus.run(&BATCH).code, Some(0));
    assert_eq!(answers(&nexus).len(), 3);
}

#[test]
fn what_cannot_be_read_or_written_is_named_before_anything_is_asked() {
    let (sandbox, nexus) = Nexus::signed_in(Settings::default());
    prompts(&nexus, &[prompt("a", "a")]);
    fs::write(nexus.path("notes.txt"), "my notes").unwrap();
    let ended = |code: i32, input: &str, out: &str| {
        let output = nexus.run(&["batch", input, "--out", out]);
        assert_eq!((&*output.stdout, output.code), ("", Some(code)), "{output}");
        output.stderr
    };
    let run = |input: &str, out: &str| ended(1, input, out);
    // As every other file that the chat cannot read.
    assert_eq!(
        ended(2, "nothing.jsonl", "answers.jsonl"),
        "error: the input cannot be read: nothing.jsonl: No such file or directory (os error 2)\n  name a file with one JSON object per line, or \
         - for stdin\n"
    );
    assert_eq!(Nexus::new().run(&["batch", "nothing.jsonl"]).code, Some(2), "signed in or not");
    assert!(ended(2, ".", "answers.jsonl").contains("cannot be read: .: "), "a folder");
    assert!(!nexus.path("answers.jsonl").exists());
    assert_eq!(
        run("prompts.jsonl", "none/answers.jsonl"),
        "error: none/answers.jsonl: No such file or directory (os error 2)\n  create the folder first\n"
    );
    assert_eq!(
        run("prompts.jsonl", "prompts.jsonl"),
        "error: [HOME]/prompts.jsonl: this is the input file\n  name another file with --out\n"
    );
    assert_eq!(
        run("prompts.jsonl", "notes.txt"),
        "error: [HOME]/notes.txt: line 1 is not a result of `nexus batch`; nothing was changed\n  name another \
         file with --out, or remove that line\n"
    );
    assert_eq!(fs::read_to_string(nexus.path("notes.txt")).unwrap(), "my notes");
    assert_eq!(sandbox.requests_to(Endpoint::Messages).len(), 0);
    let full = run("prompts.jsonl", "/dev/full");
    assert!(full.contains("error: /dev/full: No space left on device (os error 28)\n  free some space"), "{full}");
}

#[test]
fn lines_may_come_through_a_pipe_and_results_leave_through_one() {
    let (_sandbox, nexus) = Nexus::signed_in(Settings::default());
    let lines = ["a", "b", "c"].map(|id| prompt(id, id)).join("\n");
    let output = nexus.run_with(&["batch", "-"], &lines);
    assert_eq!(by_id(&output.ok()).len(), 3);
    let mut head = nexus.command(&["batch", "-", "--jobs", "1"]);
    let mut child = head.stdin(std::process::Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), lines.as_bytes()).unwrap();
    assert_eq!(nexus.finish(child).code, Some(0), "the reader is done");
}

#[test]
fn it_is_said_rightly_or_not_at_all() {
    let (_sandbox, nexus) = Nexus::signed_in(Settings::default());
    for words in [
        &["batch", "p", "Hello"][..],
        &["batch", "p", "--json"],
        &["batch", "p", "--output", "text"],
        &["chat", "--out", "a", "Hello"],
        &["chat", "--jobs", "3", "Hello"],
        &["batch", "p", "--jobs", "0"],
        &["batch", "p", "--jobs", "257"],
    ] {
        assert_eq!(nexus.run(words).code, Some(2), "{words:?}");
    }
    let empty = Nexus::new();
    prompts(&empty, &[prompt("a", "a")]);
    assert_eq!(empty.run(&BATCH).code, Some(4), "not signed in");
}

#[test]
fn a_template_and_an_alias_hold_for_every_line() {
    let (sandbox, nexus) = Nexus::signed_in(Settings::default());
    fs::create_dir(nexus.path("templates")).unwrap();
    let template = "prompt = \"Say {{input}} in {{lang}}\"\nsystem = \"Be brief\"\nmodel = \"sandbox-old\"\n";
    fs::write(nexus.path("templates/say.toml"), template).unwrap();
    let own = json!({ "id": "b", "prompt": "no", "model": "sandbox-small", "system": "Be kind" });
    prompts(&nexus, &[prompt("a", "yes"), own.to_string()]);
    let words = ["--jobs", "1", "--template", "say", "--var", "lang=Latin"];
    let words: Vec<_> = BATCH.into_iter().chain(words).collect();
    assert_eq!(nexus.run(&words).code, Some(0));
    let asked: Vec<_> = sandbox.requests_to(Endpoint::Messages).iter().map(|seen| seen.json()).collect();
    let told = |asked: &Value| json!([asked["messages"][0]["content"], asked["system"], asked["model"]]);
    assert_eq!(told(&asked[0]), json!(["Say yes in Latin", "Be brief", "sandbox-old"]));
    assert_eq!(told(&asked[1]), json!(["Say no in Latin", "Be kind", "sandbox-small"]));
}

#[test]
fn the_schema_of_a_line_and_the_program_agree() {
    let (_sandbox, nexus) = Nexus::signed_in(Settings::default());
    let lines = [
        json!({ "id": "a", "prompt": "p" }),
        json!({ "id": "", "prompt": "p" }),
        json!({ "id": 1, "prompt": "p" }),
        json!({ "id": i64::MIN, "prompt": "p" }),
        json!({ "id": u64::MAX, "prompt": "p" }),
        json!({ "id": 1.5, "prompt": "p" }),
        json!({ "id": null, "prompt": "p" }),
        json!({ "id": true, "prompt": "p" }),
        json!({ "prompt": "p" }),
        json!({}),
        json!({ "id": "b" }),
        json!({ "id": "q", "prompt": "p", "attach": null, "vars": null, "schema": null }),
        json!({ "id": "r", "prompt": "p", "attach": [], "vars": {} }),
        json!({ "id": "t", "prompt": "p", "attach": 5 }),
        json!({ "id": "u", "prompt": "p", "attach": [5] }),
        json!({ "id": "v", "prompt": "p", "vars": "x" }),
        json!({ "id": "w", "prompt": "p", "vars": { "x": [] } }),
        json!({ "id": "x", "prompt": "p", "schema": 5 }),
        json!({ "id": "c", "prompt": "" }),
        json!({ "id": "d", "prompt": " \n" }),
        json!({ "id": "e", "prompt": null }),
        json!({ "id": "f", "prompt": ["p"] }),
        json!({ "id": "g", "prompt": "p", "system": null, "model": null, "max_tokens": null }),
        json!({ "id": "h", "prompt": "p", "system": "s", "model": "sandbox-old", "max_tokens": 5 }),
        json!({ "id": "i", "prompt": "p", "system": 5 }),
        json!({ "id": "j", "prompt": "p", "model": {} }),
        json!({ "id": "k", "prompt": "p", "max_tokens": 0 }),
        json!({ "id": "l", "prompt": "p", "max_tokens": -1 }),
        json!({ "id": "m", "prompt": "p", "max_tokens": 1.5 }),
        json!({ "id": "n", "prompt": "p", "max_tokens": u32::MAX }),
        json!({ "id": "o", "prompt": "p", "max_tokens": 4_294_967_296_u64 }),
        json!({ "id": "p", "prompt": "p", "temperature": 1 }),
        json!(["id", "prompt"]),
        json!("id"),
    ];
    let schema = Schema::of("batch-prompt");
    for line in lines {
        let output = nexus.run_with(&["batch", "-"], line.to_string());
        assert_eq!(output.code == Some(0), schema.fits(&line), "{line}: {output}");
    }
}
