//! Makes foreign text safe to print on a terminal.
//!
//! An escape sequence in text from a server, a model or a file could move the cursor, rewrite printed text or send
//! input, and a bidirectional override could disguise a host name.

use std::borrow::Cow;

/// The most characters of a server's message that are shown.
const SERVER_WORDS: usize = 300;

/// Whether a character controls a terminal: C0, DEL, C1 and the bidirectional embeddings, overrides and isolates
/// (Unicode Standard Annex 9, section 2), except newline and tab. The marks LRM, RLM and ALM are text: they order only
/// the characters beside them.
fn is_control(c: char) -> bool {
    (c.is_control() && !matches!(c, '\n' | '\t')) || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A server's text for the inside of a sentence: on one line, without controls, at most 300 characters.
pub fn clean(words: &str) -> String {
    let mut cleaned = String::new();
    for (count, word) in words.split(|c: char| c.is_whitespace() || is_control(c)).filter(|w| !w.is_empty()).enumerate()
    {
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

/// Text for a terminal, with controls made visible: as Unicode control pictures (`␛`) or as `<U+202E>`.
pub fn visible(text: &str) -> Cow<'_, str> {
    replace_controls(text, |c| match c {
        '\u{7f}' => "\u{2421}".into(),
        '\0'..='\u{1f}' => char::from_u32(0x2400 + u32::from(c)).unwrap_or('\u{fffd}').into(),
        c => format!("<U+{:04X}>", u32::from(c)),
    })
}

/// JSON for a terminal: the same value, with controls escaped. JSON has controls only inside strings.
pub fn visible_json(json: &str) -> Cow<'_, str> {
    // All controls are below U+10000, so one escape is enough.
    replace_controls(json, |c| format!("\\u{:04x}", u32::from(c)))
}

fn replace_controls(text: &str, replacement: impl Fn(char) -> String) -> Cow<'_, str> {
    if !text.chars().any(is_control) {
        return Cow::Borrowed(text);
    }
    let mut replaced = String::with_capacity(text.len());
    for c in text.chars() {
        if is_control(c) { replaced.push_str(&replacement(c)) } else { replaced.push(c) }
    }
    Cow::Owned(replaced)
}

/// Tracks whether text that is written piece by piece ends with a newline.
#[derive(Debug, Default)]
pub struct Lines {
    /// The last line has no newline yet.
    open: bool,
}

impl Lines {
    /// Adds a piece that was written.
    pub fn follow(&mut self, text: &str) {
        if !text.is_empty() {
            self.open = !text.ends_with('\n');
        }
    }

    /// A newline if the last line needs one, otherwise nothing.
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
        assert!(plain.chars().any(is_control) && !shown.chars().any(is_control), "{shown:?}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
        assert_eq!(visible_json(r#"{"a":"ü"}"#), r#"{"a":"ü"}"#);
    }

    #[test]
    fn controls_are_seen_on_a_terminal() {
        assert_eq!(visible("plain\n\ttext ü"), "plain\n\ttext ü");
        assert_eq!(
            visible("\u{200f}א\u{200e}\u{61c}\u{200d}\u{200c}\u{fe0f}"),
            "\u{200f}א\u{200e}\u{61c}\u{200d}\u{200c}\u{fe0f}"
        );
        assert_eq!(visible("a\x1b[31m\x07\x7f\u{9b}\u{202e}b\r"), "a␛[31m␇␡<U+009B><U+202E>b␍");
    }
}
