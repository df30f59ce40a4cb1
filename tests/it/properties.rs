//! Properties of all input from outside. They are in `tests/properties/`, because the targets of `fuzz/` use them too;
//! here they run on the fuzzers' corpus and on random input.

use std::fs;
use std::path::Path;

use proptest::prelude::*;

#[path = "../properties/answer.rs"]
mod answer;
#[path = "../properties/callback.rs"]
mod callback;
#[path = "../properties/row.rs"]
mod row;
#[path = "../properties/stream.rs"]
mod stream;
#[path = "../properties/token.rs"]
mod token;

/// Panics if the property does not hold of this input.
type Holds = fn(&[u8]);

const PROPERTIES: &[(&str, Holds)] = &[
    ("answer", answer::holds),
    ("callback", callback::holds),
    ("row", row::holds),
    ("stream", stream::holds),
    ("token", token::holds),
];

/// The pieces between the bars, in any order, with any bytes between them.
fn any_of(pieces: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    let pieces: Vec<_> = pieces.iter().flat_map(|line| line.split('|')).collect();
    let piece = prop_oneof![
        4 => prop::sample::select(pieces).prop_map(|piece| piece.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..4),
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

const ANSWER: &[&str] = &[
    "\0\u{1}\u{7f}|data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n|data: [DONE]\n\n|: \n|\n\n|\r\n",
    "data: {\"choices\":[{\"delta\":{\"content\":\"\\ud83d\"}}]}\n\n|data: {\"choices\":[{\"delta\":{\"content\":\"\\ude00\"}}]}\n\n",
    "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n|data: {\"choices\":[],\"usage\":{}}\n\n|error: {\"code\":4}\n\n",
    "data: {\"choices\":[{\"delta\":{\"reasoning_content\":\"b\"}}]}\n\n|data: {\"detail\":\"x\"}\n\n|data: {\"error\":{}}\n\n",
    "event: content_block_delta\n|data: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\",\"text\":\"c\"}}\n\n",
    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"model\":\"m\"}}\n\n|event: error\ndata: {}\n\n",
    "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n|data: {\"type\":\"ping\"}\n\n|\"stop_reason\":\"end_turn\"",
    "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"}}\n\n",
];

const CALLBACK: &[&str] = &[
    "localhost|127.0.0.1|[::1]|evil.example|:4000|:|@|.|\n|state={state}|state=|code=|code=c",
    "error=access_denied|error=|error_description=|iss=https://platform.claude.com|iss=|&|=|%|%00",
    "%1b[2J|+|%E2%80%AE|redirect_uri|{state}|c%6fde=d",
];

const TOKEN: &[&str] = &[
    r#"{|}|[|]|,|:|"|null|-1|1e999|0.5|99999999999999999999|"access_token":"a"|"access_token":"#,
    r#""refresh_token":"r"|"refresh_token":|"token_type":"bearer"|"token_type":|"expires_in":"#,
    r#""expires_in":"60"|"scope":"a  b"|"id_token":"x.eyJlbWFpbCI6ImFAYiJ9.y"|"account":|"email":"""#,
    r#"\u0000|\u001b|\ud800|""#,
];

const STREAM: &[&str] = &["data|event|id|retry|:|: |\n|\r|\r\n|\n\n|\u{feff}|{\"type\":\"ping\"}|é|\0"];

proptest! {
    #[test]
    fn of_any_answer(input in any_of(ANSWER)) {
        answer::holds(&input);
    }

    #[test]
    fn of_any_callback(input in any_of(CALLBACK)) {
        callback::holds(&input);
    }

    #[test]
    fn of_any_token_response(input in any_of(TOKEN)) {
        token::holds(&input);
    }

    #[test]
    fn of_any_stream(input in any_of(STREAM)) {
        stream::holds(&input);
    }

    #[test]
    fn of_any_row(input in prop::collection::vec(any::<u8>(), 0..200)) {
        row::holds(&input);
    }
}

#[test]
fn of_the_corpus() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/properties/corpus");
    for (name, holds) in PROPERTIES {
        let kept: Vec<_> = fs::read_dir(corpus.join(name)).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(!kept.is_empty(), "{name}");
        for path in kept {
            let input = fs::read(&path).unwrap();
            let held = std::panic::catch_unwind(|| holds(&input));
            assert!(held.is_ok(), "{} no longer holds of {}", name, path.display());
        }
    }
}
