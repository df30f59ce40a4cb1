//! What may reach a person's terminal: cleaning of foreign text, and whether there is a person.
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

#[cfg(test)]
mod tests {
    use super::*;

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
    fn controls_are_seen_on_a_terminal() {
        assert_eq!(visible("plain\n\ttext ü"), "plain\n\ttext ü");
        assert_eq!(visible("a\x1b[31m\x07\x7f\u{9b}\u{202e}b\r"), "a␛[31m␇␡<U+009B><U+202E>b␍");
    }
}
