//! The words of `nexus chat` and its stdin: which are the prompt, and which are flags.

use nexus::sandbox::{Endpoint, Settings};
use serde_json::json;

use crate::nexus::Nexus;
use crate::usage::said_wrongly;

const NO_QUESTION: &str = "error: no question: pass one as an argument or pipe it in\n  \
    see `nexus chat --help`\n";

#[test]
fn an_empty_question_is_rejected_before_any_request() {
    let (sandbox, nexus) = Nexus::signed_in(Settings::default());
    let asked = sandbox.requests().len();
    for (words, stdin) in [
        (&["chat"][..], ""),
        (&["chat", ""], ""),
        (&["chat", "  ", "\t"], "\n"),
        (&["chat", "-"], " \n"),
        (&["chat"], "\n\n"),
    ] {
        assert_output!(nexus.run_with(words, stdin), 2, stdout: "", stderr: NO_QUESTION);
    }
    assert_output!(nexus.run_with(&["chat", "-", "x"], "y"), 2, stdout: "",
        stderr: "error: `-` reads the question from stdin and must be the only argument\n  see `nexus chat --help`\n");
    assert_output!(nexus.run_with(&["chat", "x"], b"ab\xff"), 2, stdout: "",
        stderr: "error: stdin is not text: invalid UTF-8 at byte 2\n  attach an image or a PDF with `-a -` and pass \
                 the question as an argument; convert text with `iconv -t UTF-8`\n");
    assert_eq!(sandbox.requests().len(), asked);
}

#[test]
fn a_word_with_a_hyphen_and_white_space_is_text() {
    let (sandbox, nexus) = Nexus::signed_in(Settings::default());
    let asked = |words: &[&str]| {
        nexus.run(&[&["chat"], words].concat()).ok();
        let sent = sandbox.requests_to(Endpoint::Messages).last().unwrap().json();
        (sent["messages"][0]["content"].clone(), sent["system"].clone(), sent["model"].clone())
    };
    let (large, small) = (json!("sandbox-large"), json!("sandbox-small"));
    for (words, prompt, system, model) in [
        (&["- buy milk"][..], "- buy milk", json!(null), &large),
        (&["---\ntitle: x"], "---\ntitle: x", json!(null), &large),
        (&["-1 + 2 = ?"], "-1 + 2 = ?", json!(null), &large),
        (&["-m is what?", "-msandbox-small"], "-m is what?", json!(null), &small),
        (&["sum", "- up", "it", "--model", "sandbox-small"], "sum - up it", json!(null), &small),
        (&["-s", "- be brief", "- x"], "- x", json!("- be brief"), &large),
        (&["--system=- be brief", "x"], "x", json!("- be brief"), &large),
        (&["-sBe brief", "- x"], "- x", json!("Be brief"), &large),
        (&["- x", "--", "-c", "--json"], "- x -c --json", json!(null), &large),
    ] {
        assert_eq!(asked(words), (json!(prompt), system, model.clone()), "{words:?}");
    }
    nexus.run(&["chat", "--history", "- buy milk"]).ok();
    assert!(nexus.run(&["history", "search", "- buy milk", "-n", "1"]).ok().contains("buy milk"));
}

#[test]
fn an_unknown_flag_names_the_nearest_one_and_how_to_pass_it_as_text() {
    for (words, word, nearest) in [
        (&["chat", "--modle", "x"][..], "--modle", Some("--model")),
        (&["chat", "x", "--jsn"], "--jsn", Some("--json")),
        (&["chat", "-json", "x"], "-json", Some("--json")),
        (&["chat", "--sytem=be brief", "x"], "--sytem", Some("--system")),
        (&["chat", "-1"], "-1", None),
        (&["chat", "-x", "- x"], "-x", None),
        (&["chat", "-x"], "-x", None),
        (&["chat", "-hello"], "-hello", Some("--help")),
        (&["history", "search", "--lmit", "x"], "--lmit", Some("--limit")),
    ] {
        let output = said_wrongly(words);
        assert_eq!(output.stdout, "", "{output}");
        assert!(output.stderr.contains(&format!("error: unexpected argument '{word}")), "{output}");
        assert!(
            output.stderr.contains(&format!("to pass '{word}")) && output.stderr.contains("put '--' before it"),
            "{output}"
        );
        let similar = output.stderr.lines().find(|line| line.contains("similar argument"));
        assert_eq!(similar.is_some(), nearest.is_some(), "{output}");
        assert!(nearest.is_none_or(|near| output.stderr.contains(&format!("'{near}'"))), "{output}");
    }
    let hint = said_wrongly(&["chat", "--json", "--modle", "x"]).json()["error"]["hint"].clone();
    assert_eq!(hint, "did you mean `--model`? To pass `--modle` as text, put `--` before it");
    assert!(Nexus::new().run(&["chat", "-vh"]).ok().contains("Usage: nexus chat"));
}

#[test]
fn a_byte_order_mark_before_piped_text_is_dropped() {
    let (sandbox, nexus) = Nexus::signed_in(Settings::default());
    for (words, prompt) in [(&["chat"][..], " a\r\n"), (&["chat", "-"], " a\r\n"), (&["chat", "x"], "x\n\n a\r\n")] {
        nexus.run_with(words, "\u{feff} a\r\n").ok();
        let sent = sandbox.requests_to(Endpoint::Messages).last().unwrap().json();
        assert_eq!(sent["messages"][0]["content"], prompt, "{words:?}");
    }
    assert_output!(nexus.run_with(&["chat", "x"], b"\xff\xfea\0"), 2, stdout: "",
        stderr: "error: stdin is not text: it is UTF-16, not UTF-8\n  convert it: `iconv -f UTF-16 -t UTF-8`\n");
    let output = nexus.run_with(&["batch", "-"], b"\xff\xfe{\0");
    assert!(output.code == Some(1) && output.stderr.contains("it is UTF-16, not UTF-8\n"), "{output}");
}
