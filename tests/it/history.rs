//! `nexus history`: saved conversations are listed, shown, searched, exported and deleted.

use std::fs;

use nexus::sandbox::Settings;
use rusqlite::{Connection, params};
use serde_json::json;

use crate::nexus::Nexus;
use crate::terminal::Terminal;

/// 2026-01-01T00:00:00Z.
const BEGIN: i64 = 1_767_225_600;

/// Ids of conversations that began at [`BEGIN`] and a minute later.
const FIRST: &str = "0y1b00ab";
const SECOND: &str = "0y1b1wcd";

/// An empty history file.
fn empty() -> (Nexus, Connection) {
    let (_sandbox, nexus) = Nexus::signed_in(Settings::default());
    nexus.run(&["chat", "--history", "x"]).ok();
    nexus.run(&["history", "delete", "--all", "--yes"]).ok();
    let history = Connection::open(nexus.path("data/history.db")).unwrap();
    // As the program sets it.
    history.execute_batch("PRAGMA secure_delete = ON").unwrap();
    (nexus, history)
}

/// Begins a conversation.
fn begin(history: &Connection, id: &str, title: &str, at: i64) {
    let insert = "INSERT INTO conversation VALUES (?1, ?2, 'work', 'large', NULL, ?3, ?3)";
    history.execute(insert, params![id, title, at]).unwrap();
}

/// Adds a question to a conversation.
fn ask(history: &Connection, id: &str, text: &str, at: i64) {
    history.execute("UPDATE conversation SET updated_at = ?2 WHERE id = ?1", params![id, at]).unwrap();
    let insert = "INSERT INTO turn (conversation, role, text, state, at) VALUES (?1, 'user', ?2, 'whole', ?3)";
    history.execute(insert, params![id, text, at]).unwrap();
}

/// Adds an answer to a conversation.
fn answer(history: &Connection, id: &str, text: &str, state: &str, at: i64) {
    history.execute("UPDATE conversation SET updated_at = ?2 WHERE id = ?1", params![id, at]).unwrap();
    let insert = "INSERT INTO turn (conversation, role, text, state, model, stop_reason, usage, request_id, at)
        VALUES (?1, 'assistant', ?2, ?3, 'large-1', 'end_turn', ?4, 'req_1', ?5)";
    let usage = json!({ "input_tokens": 3, "output_tokens": 5 }).to_string();
    history.execute(insert, params![id, text, state, usage, at]).unwrap();
}

/// Two conversations. The first was used last.
fn two() -> Nexus {
    let (mut nexus, history) = empty();
    begin(&history, FIRST, "Why is the port", BEGIN);
    ask(&history, FIRST, "Why is  the port\ntaken?", BEGIN);
    answer(&history, FIRST, "Another program\nlistens on it.\n", "whole", BEGIN + 1);
    begin(&history, SECOND, "Name a café in Größenwahn", BEGIN + 60);
    ask(&history, SECOND, "Name a café in Größenwahn", BEGIN + 60);
    answer(&history, SECOND, "I would ra", "refused", BEGIN + 61);
    history.execute("UPDATE conversation SET system = 'Be brief.' WHERE id = ?1", [FIRST]).unwrap();
    ask(&history, FIRST, "Which?", BEGIN + 3_600);
    answer(&history, FIRST, "The web", "cut", BEGIN + 3_601);
    nexus.name(FIRST, "[ONE]");
    nexus.name(SECOND, "[TWO]");
    nexus
}

#[test]
fn without_a_history_commands_say_so_and_create_no_file() {
    let nexus = Nexus::new();
    let none = "error: there are no saved conversations\n  start one with `nexus chat`; outside a terminal, pass \
                --history to save it\n";
    assert_output!(nexus.run(&["history", "list"]), 0, stdout: "", stderr: "No saved conversations\n");
    assert_output!(
        nexus.run(&["history", "list", "--json"]), 0,
        stdout: "{\"conversations\":[],\"version\":1}\n", stderr: "",
    );
    assert_output!(nexus.run(&["history", "show"]), 1, stdout: "", stderr: none);
    assert_output!(nexus.run(&["history", "search", "x"]), 0, stdout: "", stderr: "No matches\n");
    assert_output!(nexus.run(&["history", "delete", "--all", "--yes"]), 0, stdout: "", stderr: "Nothing to delete\n");
    assert_output!(
        nexus.run(&["history", "export"]), 0,
        stdout: "{\"conversations\":[],\"version\":1}\n", stderr: "",
    );
    assert!(!nexus.path("data").exists());
}

#[test]
fn conversations_are_listed_with_the_last_used_first() {
    let nexus = two();
    assert_output!(
        nexus.run(&["history", "list"]), 0,
        stdout: "[ONE]  2026-01-01T01:00:01Z  Why is the port\n[TWO]  2026-01-01T00:01:01Z  Name a café in Größenwahn\n",
        stderr: "",
    );
    assert_output!(
        nexus.run(&["history", "list", "-n", "1"]), 0,
        stdout: "[ONE]  2026-01-01T01:00:01Z  Why is the port\n", stderr: "",
    );
    assert_eq!(
        nexus.run(&["history", "list", "--json"]).json(),
        json!({ "version": 1, "conversations": [
            { "id": "[ONE]", "title": "Why is the port", "provider": "work", "model": "large", "system": "Be brief.",
              "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T01:00:01Z", "turns": 4 },
            { "id": "[TWO]", "title": "Name a café in Größenwahn", "provider": "work", "model": "large", "system": null,
              "created_at": "2026-01-01T00:01:00Z", "updated_at": "2026-01-01T00:01:01Z", "turns": 2 },
        ] })
    );
}

const ONE: &str = "# Why is the port\n\n[ONE], 2026-01-01T00:00:00Z, large at work\n\n## System\n\nBe brief.\n\n## You\n\n\
                   Why is  the port\ntaken?\n\n## large-1\n\nAnother program\nlistens on it.\n\n## You\n\nWhich?\n\n\
                   ## large-1 (cut off)\n\nThe web\n";
const TWO: &str = "# Name a café in Größenwahn\n\n[TWO], 2026-01-01T00:01:00Z, large at work\n\n## You\n\n\
                   Name a café in Größenwahn\n\n## large-1 (declined)\n\nI would ra\n";

#[test]
fn a_conversation_is_shown_by_a_prefix_of_its_id() {
    let nexus = two();
    assert_output!(nexus.run(&["history", "show"]), 0, stdout: ONE, stderr: "");
    assert_output!(nexus.run(&["history", "show", FIRST]), 0, stdout: ONE, stderr: "");
    assert_output!(nexus.run(&["history", "show", &SECOND[..6].to_uppercase()]), 0, stdout: TWO, stderr: "");
    assert_output!(
        nexus.run(&["history", "show", &FIRST[..1]]), 1, stdout: "",
        stderr: format!("error: 2 conversation ids begin with `{}`\n  run `nexus history list` to see the \
                         ids\n", &FIRST[..1]),
    );
    assert_output!(
        nexus.run(&["history", "show", "zzz\u{1b}"]), 1, stdout: "",
        stderr: "error: no conversation has the id `zzz`\n  run `nexus history list` to see the ids\n",
    );
    let shown = nexus.run(&["history", "show", "--json", SECOND]).json();
    assert_eq!(
        shown["conversation"]["turns"],
        json!([
            { "role": "user", "text": "Name a café in Größenwahn", "state": "whole", "model": null, "stop_reason": null,
              "usage": null, "request_id": null, "at": "2026-01-01T00:01:00Z" },
            { "role": "assistant", "text": "I would ra", "state": "refused", "model": "large-1",
              "stop_reason": "end_turn", "usage": { "input_tokens": 3, "output_tokens": 5 }, "request_id": "req_1",
              "at": "2026-01-01T00:01:01Z" },
        ])
    );
    let missing = nexus.run(&["history", "show", "--json", "zzz"]);
    assert_eq!((missing.code, &missing.json()["error"]["reason"]), (Some(1), &json!("no_conversation")));
}

#[test]
fn search_ignores_case_accents_and_operators() {
    let nexus = two();
    let you_one = "[ONE]  2026-01-01T00:00:00Z  you: Why is the port taken?\n";
    let answer_one = "[ONE]  2026-01-01T00:00:01Z  answer: Another program listens on it.\n";
    let you_two = "[TWO]  2026-01-01T00:01:00Z  you: Name a café in Größenwahn\n";
    for (words, lines) in [
        (&["port"][..], you_one),
        (&["PORT", "why"], you_one),
        (&["taken?"], you_one),
        (&["port taken"], you_one),
        (&["taken port"], ""),
        (&["cafe"], you_two),
        (&["grossen"], ""),
        (&["größen"], you_two),
        (&["GROSSENWAHN"], ""),
        (&["GRÖSSEN"], ""),
        (&["GRÖßEN"], you_two),
        (&["prog"], answer_one),
        (&["rogram"], ""),
        (&["port", "listens"], ""),
        // Operators of the index are plain text.
        (&["OR"], ""),
        (&["text:port"], ""),
        (&["*port*", "\"why\""], you_one),
        (&["-port"], you_one),
        (&["it."], answer_one),
    ] {
        let words: Vec<&str> = ["history", "search", "--"].into_iter().chain(words.iter().copied()).collect();
        let message = if lines.is_empty() { "No matches\n" } else { "" };
        assert_output!(nexus.run(&words), 0, stdout: lines, stderr: message);
    }
    assert_output!(
        nexus.run(&["history", "search", "?!"]), 2, stdout: "",
        stderr: "error: no word to search for: pass at least one to `nexus history search`\n  see `nexus history \
                 search --help`\n",
    );
    assert_eq!(
        nexus.run(&["history", "search", "--json", "caf"]).json(),
        json!({ "version": 1, "found": [{
            "conversation": "[TWO]", "title": "Name a café in Größenwahn", "role": "user",
            "at": "2026-01-01T00:01:00Z", "excerpt": "Name a café in Größenwahn",
        }] })
    );
}

#[test]
fn search_finds_text_in_scripts_without_spaces() {
    let (nexus, history) = empty();
    begin(&history, FIRST, "東京", BEGIN);
    ask(&history, FIRST, "東京タワーの高さはどのくらいですか", BEGIN);
    let long = format!("{}GPT模型100%_快{}", "前".repeat(40), "後".repeat(40));
    answer(&history, FIRST, &long, "whole", BEGIN + 1);
    ask(&history, FIRST, "ประเทศไทย tower 한국어를", BEGIN + 2);
    let around =
        |before: usize, after: usize| format!("...{}GPT模型100%_快{}...", "前".repeat(before), "後".repeat(after));
    for (words, message) in [
        (&["タワー"][..], "東京タワーの高さはどのくらいですか"),
        (&["高さ", "東京"], "東京タワーの高さはどのくらいですか"),
        (&["\"東京タワー\""], "東京タワーの高さはどのくらいですか"),
        (&["\"東京\" \"高さ\""], "東京タワーの高さはどのくらいですか"),
        (&["\"ประเทศไทย tower\""], "ประเทศไทย tower 한국어를"),
        (&["\"タワー東京\""], ""),
        (&["高い"], ""),
        (&["gpt模型"], &*around(24, 18)),
        (&["100%_快"], &*around(19, 24)),
        (&["100_%快"], ""),
        (&["ไทย"], "ประเทศไทย tower 한국어를"),
        (&["국어", "TOW"], "ประเทศไทย tower 한국어를"),
        (&["국어", "ower"], ""),
        (&["tower"], "ประเทศไทย tower 한국어를"),
    ] {
        let words: Vec<&str> = ["history", "search", "--json"].into_iter().chain(words.iter().copied()).collect();
        let found = nexus.run(&words).json();
        let excerpts: Vec<_> = found["found"].as_array().unwrap().iter().map(|one| one["excerpt"].clone()).collect();
        let expected: Vec<serde_json::Value> =
            [message].iter().filter(|message| !message.is_empty()).map(|message| json!(message)).collect();
        assert_eq!(excerpts, expected, "{words:?}");
    }
    let before = bytes(&nexus);
    assert!(holds(&before, "タワー"));
    nexus.run(&["history", "delete", FIRST]).ok();
    let after = bytes(&nexus);
    assert!(!holds(&after, "タワー") && !holds(&after, "模型"), "deleted from the file, too");
}

#[test]
fn a_limit_of_zero_is_rejected() {
    let nexus = two();
    for words in [&["history", "list", "-n", "0"][..], &["history", "search", "port", "--limit", "0"]] {
        let output = nexus.run(words);
        assert_eq!((output.code, &*output.stdout), (Some(2), ""), "{output}");
        assert!(output.stderr.starts_with("error: invalid value '0' for '--limit <N>': 0 is not in 1.."), "{output}");
    }
}

#[test]
fn an_empty_id_is_rejected() {
    let nexus = two();
    for words in [&["history", "show", ""][..], &["history", "show", " "], &["chat", "x", "--conversation", ""]] {
        assert_output!(
            nexus.run(words), 2, stdout: "",
            stderr: "error: the conversation id is empty; `nexus history list` shows the ids\n  see `nexus history \
                     --help`\n",
        );
    }
}

#[test]
fn search_returns_the_latest_first() {
    let (nexus, history) = empty();
    for minute in 0..30 {
        let id = format!("0y1b{minute:04}");
        begin(&history, &id, "needle", BEGIN + 60 * minute);
        ask(&history, &id, &format!("needle {minute}"), BEGIN + 60 * minute);
    }
    let found = nexus.run(&["history", "search", "-n", "2", "needle"]).ok();
    let ends: Vec<_> = found.lines().map(|line| line.rsplit(' ').next().unwrap()).collect();
    assert_eq!(ends, ["29", "28"]);
}

#[test]
fn export_writes_all_conversations_with_the_oldest_first() {
    let nexus = two();
    assert_output!(
        nexus.run(&["history", "export", "--format", "markdown"]), 0,
        stdout: format!("{TWO}\n{ONE}"), stderr: "",
    );
    let exported = nexus.run(&["history", "export"]).json();
    let ids: Vec<_> = exported["conversations"].as_array().unwrap().iter().map(|one| one["id"].clone()).collect();
    assert_eq!(ids, ["[TWO]", "[ONE]"]);
    let shown = nexus.run(&["history", "show", "--json"]).json();
    assert_eq!(exported["conversations"][1], shown["conversation"]);
}

/// The bytes of the history file and the files beside it.
fn bytes(nexus: &Nexus) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in fs::read_dir(nexus.path("data")).unwrap() {
        bytes.extend(fs::read(entry.unwrap().path()).unwrap());
    }
    bytes
}

fn holds(bytes: &[u8], word: &str) -> bool {
    bytes.windows(word.len()).any(|window| window == word.as_bytes())
}

#[test]
fn a_deleted_conversation_is_erased_from_the_file_and_its_index() {
    let (nexus, history) = empty();
    // Many turns, so that the index has several levels; and a text of several pages.
    let mut ids = Vec::new();
    for count in 0..40 {
        let id = format!("0y1b{count:04}");
        let question = format!("harmless question{count}");
        begin(&history, &id, &question, BEGIN + 60 * count);
        ask(&history, &id, &question, BEGIN + 60 * count);
        answer(&history, &id, &format!("harmless answer{count}"), "whole", BEGIN + 60 * count);
        ids.push(id);
    }
    let long = format!("Zaphodical {} Slartibartfast", "Betelgeusian ".repeat(20_000));
    ask(&history, &ids[7], &long, BEGIN + 9_000);
    answer(&history, &ids[7], "Marvinesque", "cut", BEGIN + 9_001);
    ask(&history, &ids[8], "Trillianesque", BEGIN + 9_002);
    let words = ["Zaphodical", "Slartibartfast", "Betelgeusian", "Marvinesque", "question7 "];
    let lower = ["zaphodical", "slartibartfast", "betelgeusian", "marvinesque"];
    let before = bytes(&nexus);
    assert!(words[..4].iter().chain(&lower).all(|word| holds(&before, word)), "the test looks for the right thing");
    // The index omits the prefix that a word shares with the one before.
    assert!(holds(&before, "trillianesque"));

    assert_output!(
        nexus.run(&["history", "delete", &ids[7]]), 0, stdout: "", stderr: "Deleted 1 conversation\n",
    );
    let after = bytes(&nexus);
    for word in words.iter().chain(&lower) {
        assert!(!holds(&after, word), "{word} is still there");
    }
    assert!(holds(&after, "Trillianesque"), "the others are there");
    assert!(nexus.run(&["history", "search", "trillianesque"]).ok().contains("Trillianesque"));
    assert!(nexus.run(&["history", "search", "question39"]).ok().contains("question39"));
    assert_output!(nexus.run(&["history", "search", "zaphodical"]), 0, stdout: "", stderr: "No matches\n");

    assert_output!(
        nexus.run(&["history", "delete", "--all", "--yes"]), 0, stdout: "", stderr: "Deleted 39 conversations\n",
    );
    let after = bytes(&nexus);
    for word in ["Trillianesque", "trillianesque", "harmless", "answer39"] {
        assert!(!holds(&after, word), "{word} is still there");
    }
}

#[test]
fn a_deletion_with_an_unknown_id_deletes_nothing() {
    let nexus = two();
    assert_output!(
        nexus.run(&["history", "delete", FIRST, "zzz"]), 1, stdout: "",
        stderr: "error: no conversation has the id `zzz`\n  run `nexus history list` to see the ids\n",
    );
    assert_eq!(nexus.run(&["history", "list"]).ok().lines().count(), 2);
    assert_output!(
        nexus.run(&["history", "delete", FIRST, SECOND, &FIRST[..7]]), 0, stdout: "", stderr: "Deleted 2 conversations\n",
    );
    for words in [&["history", "delete"][..], &["history", "delete", "--all", "x"]] {
        assert_eq!(nexus.run(words).code, Some(2), "{words:?}");
    }
}

#[test]
fn delete_older_than_keeps_recent_conversations() {
    let nexus = two();
    let history = Connection::open(nexus.path("data/history.db")).unwrap();
    begin(&history, "0y2a00ab", "just now", nexus::now());
    ask(&history, "0y2a00ab", "just now", nexus::now());
    assert_output!(
        nexus.run(&["history", "delete", "--older-than", "1d"]), 0, stdout: "", stderr: "Deleted 2 conversations\n",
    );
    let left = nexus.run(&["history", "list", "--json"]).json();
    assert_eq!((&left["conversations"][0]["id"], &left["conversations"][1]), (&json!("0y2a00ab"), &json!(null)));
    let without_unit = nexus.run(&["history", "delete", "--older-than", "0"]);
    assert_eq!(without_unit.code, Some(2));
    assert!(without_unit.stderr.contains("write `0d` for days"), "{}", without_unit.stderr);
    let all = nexus.run(&["history", "delete", "--older-than", "0s"]);
    assert!(all.code == Some(2) && all.stderr.contains("every conversation is older"), "{all}");
    assert_output!(
        nexus.run(&["history", "delete", "--older-than", "1d"]), 0, stdout: "", stderr: "Nothing to delete\n",
    );
}

#[cfg(unix)]
#[test]
fn the_history_file_is_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let nexus = two();
    let mode = |name: &str| fs::metadata(nexus.path(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("data"), mode("data/history.db")), (0o700, 0o600));
    fs::set_permissions(nexus.path("data/history.db"), fs::Permissions::from_mode(0o644)).unwrap();
    let message = nexus.run(&["history", "list"]).stderr;
    assert_eq!(message, "note: [HOME]/data/history.db was open to other users (mode 644); it is private now\n");
    assert_eq!(mode("data/history.db"), 0o600);
}

#[test]
fn a_damaged_or_newer_file_is_not_changed() {
    let nexus = two();
    let path = nexus.path("data/history.db");
    let sound = fs::read(&path).unwrap();
    // `user_version`, in the header of the file.
    let mut newer = sound.clone();
    newer[60..64].copy_from_slice(&99_u32.to_be_bytes());
    fs::write(&path, &newer).unwrap();
    assert_output!(
        nexus.run(&["history", "delete", "--all", "--yes"]), 1, stdout: "",
        stderr: "error: [HOME]/data/history.db: the file was written by a newer nexus (version 99); it was not changed\n  \
                 upgrade nexus\n",
    );
    fs::write(&path, b"this is no database, and it is long enough to be looked at as one").unwrap();
    assert_output!(
        nexus.run(&["history", "list"]), 1, stdout: "",
        stderr: "error: [HOME]/data/history.db: the file is damaged; it was not changed\n  move it away to \
                 start a new history\n",
    );
}

#[test]
fn times_are_local_at_a_terminal() {
    let nexus = two();
    for (words, zone, seen) in [
        (&["history", "list"][..], "UTC0", "  2026-01-01 01:00 UTC  Why is the port\n"),
        (&["history", "search", "caf"], "UTC0", "  2026-01-01 00:01 UTC  you: Name a café in Größenwahn\n"),
        (&["history", "list"], "JST-9", "  2026-01-01 10:00 JST  Why is the port\n"),
        (&["history", "list"], "<-03>3", "  2025-12-31 22:00 -03  Why is the port\n"),
        (&["history", "search", "caf"], "JST-9", "  2026-01-01 09:01 JST  you: Name a café in Größenwahn\n"),
        (&["history", "show", "--no-pager"], "JST-9", ", 2026-01-01 09:00 JST, large at work\n"),
    ] {
        let left = Terminal::open_with(&nexus, words, 100, &[("TERM", "xterm"), ("TZ", zone)]).finish();
        assert!(left.screen.contains(seen), "{}", left.screen);
    }
}

#[test]
fn control_characters_of_a_conversation_are_escaped_on_a_terminal() {
    let (_sandbox, nexus) = Nexus::signed_in(Settings::default());
    nexus.run(&["chat", "--history", "a\u{1b}[2J\u{9b}1m"]).ok();
    for words in ["history show", "history show --json", "history export --format markdown", "history list"] {
        let words: Vec<_> = words.split(' ').collect();
        let seen = Terminal::open_with(&nexus, &words, 100, &[("TERM", "dumb")]).finish().bytes;
        assert!(!seen.contains(['\u{1b}', '\u{9b}']), "{words:?}: {seen:?}");
        assert!(seen.contains("[2J"), "{words:?}: {seen:?}");
    }
    // The other end of the pipe may be a terminal.
    for words in [&["history", "list"][..], &["history", "search", "2J"]] {
        let listed = nexus.run(words).ok();
        assert!(listed.contains("a␛[2J<U+009B>1m") && !listed.contains('\u{1b}'), "{listed:?}");
    }
}
