//! What may reach a person's terminal: cleaning of foreign text, and where its lines end.
//!
//! Text from servers, models and files is data. On a terminal an escape sequence in it could move
//! the cursor, rewrite what was printed or answer for the person, and a bidirectional override
//! could make a host name read as another; so control characters never get there raw.

use std::borrow::Cow;

/// How much of a server's own words is worth showing.
const SERVER_WORDS: usize = 300;

/// Whether a character would act on a terminal instead of being seen: C0, DEL, C1 and the
/// bidirectional controls (Unicode Standard Annex 9). Newline and tab act as everyone expects.
fn acts(c: char) -> bool {
    (c.is_control() && !matches!(c, '\n' | '\t'))
        || matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A server's words, fit to stand inside a sentence: on one line, without controls, cut to a
/// readable length.
pub fn clean(words: &str) -> String {
    let mut cleaned = String::new();
    for (count, word) in words.split(|c: char| c.is_whitespace() || acts(c)).filter(|w| !w.is_empty()).enumerate() {
        if count > 0 {
            cleaned.push(' ');
        }
        cleaned.push_str(word);
        if cleaned.chars().count() > SERVER_WORDS {
            let cut: String = cleaned.chars().take(SERVER_WORDS).collect();
            return format!("{}...", cut.trim_end());
        }
    }
    cleaned.trim_end_matches(['.', ' ']).to_owned()
}

/// Text for a terminal, with every character that would act made visible: controls as the
/// Unicode control pictures (`␛`), the others as `<U+202E>`.
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.chars().any(acts) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            c if !acts(c) => shown.push(c),
            '\u{7f}' => shown.push('\u{2421}'),
            c @ '\0'..='\u{1f}' => shown.push(char::from_u32(0x2400 + u32::from(c)).unwrap_or('\u{fffd}')),
            c => shown.push_str(&format!("<U+{:04X}>", u32::from(c))),
        }
    }
    Cow::Owned(shown)
}

/// JSON for a terminal: the same value, with every character that would act escaped. Outside of its
/// strings JSON has none, so escaping is all there is to it.
pub fn visible_json(json: &str) -> Cow<'_, str> {
    // A newline between two objects is no part of either.
    if !json.chars().any(acts) {
        return Cow::Borrowed(json);
    }
    let mut shown = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            // All of them are below U+10000, so one escape holds each.
            c if acts(c) => shown.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => shown.push(c),
        }
    }
    Cow::Owned(shown)
}

/// Follows text that is written piece by piece, and knows what its last line lacks.
#[derive(Debug, Default)]
pub struct Lines {
    /// The last line has begun and has no end yet.
    open: bool,
}

impl Lines {
    /// The next piece is written.
    pub fn follow(&mut self, text: &str) {
        if !text.is_empty() {
            self.open = !text.ends_with('\n');
        }
    }

    /// What ends the last line, if there is one without an end.
    pub fn end(&self) -> &'static str {
        if self.open { "\n" } else { "" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_become_lines_that_end() {
        for (pieces, whole) in [
            (&[][..], ""),
            (&[""], ""),
            (&["one"], "one\n"),
            (&["one\n"], "one\n"),
            (&["one\n", ""], "one\n"),
            (&["one", "\n"], "one\n"),
            (&["one\n", "two"], "one\ntwo\n"),
            (&["one\n\n"], "one\n\n"),
        ] {
            let mut lines = Lines::default();
            pieces.iter().for_each(|piece| lines.follow(piece));
            assert_eq!(pieces.concat() + lines.end(), whole, "{pieces:?}");
        }
    }

    #[test]
    fn server_words_become_one_harmless_line() {
        assert_eq!(clean("  Bad\r\n\x1b[2Jthing \u{202e}here.\n"), "Bad [2Jthing here");
        assert_eq!(clean(""), "");
        assert_eq!(clean("No \u{7}."), "No");
        let long = clean(&"word ".repeat(1_000));
        assert!(long.ends_with("..."));
        assert!(long.chars().count() <= SERVER_WORDS + 3);
        assert!(clean(&"x".repeat(10_000)).chars().count() <= SERVER_WORDS + 3);
    }

    #[test]
    fn json_keeps_its_value_and_acts_on_no_terminal() {
        let value = serde_json::json!({ "a\u{202e}": "\x1b[2J\x7f\u{9b}2J\u{85}\u{2066}\n\t ü \\u0041 \u{1f600}" });
        let (plain, shown) = (value.to_string(), visible_json(&value.to_string()).into_owned());
        assert!(plain.chars().any(acts) && !shown.chars().any(acts), "{shown:?}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
        assert_eq!(visible_json(r#"{"a":"ü"}"#), r#"{"a":"ü"}"#);
    }

    #[test]
    fn controls_are_seen_on_a_terminal() {
        assert_eq!(visible("plain\n\ttext ü"), "plain\n\ttext ü");
        assert_eq!(visible("a\x1b[31m\x07\x7f\u{9b}\u{202e}b\r"), "a␛[31m␇␡<U+009B><U+202E>b␍");
    }
}
