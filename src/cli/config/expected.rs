//! What a key's value has to be, in the words of a person who writes the file and not of the parser.

use crate::cli::nearest::nearest;

/// The keys whose value is one of a few words.
const CHOICES: &[(&str, &[&str])] = &[
    ("client_auth", &["none", "basic", "post"]),
    ("code_request", &["form", "json"]),
    ("refresh_request", &["form", "json"]),
    ("dialect", &["anthropic", "openai"]),
    ("key", &["file", "keyring", "passphrase"]),
];

/// What the value of this key, as a complaint names it, must be: the end of a sentence.
pub(super) fn of(key: &str) -> String {
    let words: Vec<&str> = key.split('.').collect();
    let last = match *words {
        // A section that is none.
        ["provider"] | ["provider", _] => return "must be a section: [provider.NAME]".into(),
        _ => words.last().copied().unwrap_or_default(),
    };
    if let Some(choices) = choices(last) {
        let choices: Vec<_> = choices.iter().map(|choice| format!("\"{choice}\"")).collect();
        return format!("must be one of {}", choices.join(", "));
    }
    match last {
        "history" | "revoke_replaced" => "must be true or false, without quotes".into(),
        "max_tokens" => format!("must be a whole number from 1 to {}, without quotes", u32::MAX),
        "scopes" => "must be a list of texts in quotes: [\"one\", \"two\"]".into(),
        "aliases" | "authorize_params" | "code_params" | "code_headers" | "refresh_params" | "refresh_headers"
        | "api_headers" => "must be a table of texts in quotes: { name = \"value\" }".into(),
        _ => "must be text in quotes".into(),
    }
}

/// The word that a value stands for most likely, of those that this key may have.
pub(super) fn meant(key: &str, value: &str) -> Option<&'static str> {
    nearest(value, choices(key.rsplit('.').next()?)?.iter().copied())
}

fn choices(last: &str) -> Option<&'static [&'static str]> {
    CHOICES.iter().find(|(key, _)| *key == last).map(|(_, choices)| *choices)
}

/// Why a client id is none, as the end of a sentence: a line of instructions that was pasted as it stood waits
/// for ten minutes for a server that cannot say what it dislikes. A space may be part of one (RFC 6749,
/// appendix A.1), but whoever has it at an end has copied too much.
pub(super) fn no_client_id(id: &str) -> Option<&'static str> {
    let dots = !id.is_empty() && id.chars().all(|c| matches!(c, '.' | '\u{2026}'));
    if dots || (id.starts_with('<') && id.ends_with('>')) {
        Some("is a placeholder")
    } else if id.trim() != id || id.chars().any(char::is_control) {
        Some("has white space around it, or a line's end in it")
    } else {
        None
    }
}
