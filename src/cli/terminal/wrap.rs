//! Wraps prose to the width of a terminal. What is to be copied stays in one piece: URLs, commands in backticks, lines
//! of a configuration file, and lines that were laid out by hand.

use anstream::adapter::strip_str;
use unicode_width::UnicodeWidthStr as _;

/// A narrower terminal wraps by itself.
const NARROWEST: usize = 20;

/// With less room after the margin, a line is left as it is.
const LEAST: usize = 16;

/// What separates columns that were laid out by hand.
const GAP: &str = "  ";

/// The text with lines of at most this many columns, unless a word is longer. Continued lines are indented as their
/// first one. Escape sequences take no columns.
pub(crate) fn wrapped(text: &str, width: usize) -> String {
    if width < NARROWEST {
        return text.to_owned();
    }
    let lines: Vec<_> = text.split('\n').map(|line| wrapped_line(line, width)).collect();
    lines.join("\n")
}

/// The columns that a text takes, without its escape sequences.
pub(crate) fn columns(text: &str) -> usize {
    strip_str(text).to_string().width()
}

/// The rows of a terminal of this width that a text takes once it is [`wrapped`].
pub(crate) fn rows(text: &str, width: usize) -> usize {
    wrapped(text, width).lines().map(|line| columns(line).div_ceil(width.max(1)).max(1)).sum()
}

/// Wraps text that arrives in pieces, at the spaces between its words. What belongs together in prose is not known
/// then.
#[derive(Debug, Default)]
pub(crate) struct WrappedStream {
    /// The column after what was returned.
    column: usize,
    /// The spaces that are due before the next word.
    space: String,
    /// The beginning of a word.
    word: String,
}

impl WrappedStream {
    /// What can be written after this piece: all but its last word, which may go on.
    pub(crate) fn push(&mut self, piece: &str, width: usize) -> String {
        let mut ready = String::new();
        for c in piece.chars() {
            if c != '\n' && !matches!(c, ' ' | '\t') {
                self.word.push(c);
                // It has no room in a line of its own either.
                if columns(&self.word) < width {
                    continue;
                }
            }
            ready.push_str(&self.take_word(width));
            match c {
                '\n' => {
                    self.space.clear();
                    self.column = 0;
                    ready.push('\n');
                }
                ' ' | '\t' => self.space.push(c),
                _ => {}
            }
        }
        ready
    }

    /// The last word.
    pub(crate) fn finish(&mut self, width: usize) -> String {
        self.take_word(width)
    }

    fn take_word(&mut self, width: usize) -> String {
        if self.word.is_empty() {
            return String::new();
        }
        let (word, space) = (std::mem::take(&mut self.word), std::mem::take(&mut self.space));
        let wide = columns(&word);
        let fits = self.column == 0 || width < NARROWEST || self.column + columns(&space) + wide <= width;
        let before = if fits { space } else { "\n".to_owned() };
        self.column = if fits { self.column + columns(&before) + wide } else { wide };
        if self.column > width {
            // The terminal breaks a longer word.
            self.column %= width.max(1);
        }
        before + &word
    }
}

fn wrapped_line(line: &str, width: usize) -> String {
    let (margin, text) = line.split_at(margin(line));
    let indent = columns(margin);
    if columns(line) <= width || !is_prose(text) || width < indent + LEAST {
        return line.to_owned();
    }
    let mut wrapped = margin.to_owned();
    let mut column = indent;
    for word in words(text) {
        let wide = columns(word);
        let begins = column == indent;
        if !begins && column + 1 + wide > width {
            wrapped.push('\n');
            wrapped.push_str(&" ".repeat(indent));
            column = indent;
        } else if !begins {
            wrapped.push(' ');
            column += 1;
        }
        wrapped.push_str(word);
        column += wide;
    }
    wrapped
}

/// Where the prose of a line begins: after its indentation, or in the second column of a row of two.
fn margin(line: &str) -> usize {
    let indent = line.len() - line.trim_start_matches(' ').len();
    match line[indent..].find(GAP).map(|gap| indent + gap) {
        Some(gap) => line.len() - line[gap..].trim_start_matches(' ').len(),
        None => indent,
    }
}

/// Whether a line is neither laid out by hand, nor code.
fn is_prose(text: &str) -> bool {
    let text = strip_str(text).to_string();
    let key = text.split_once(" = ").map(|(key, _)| key);
    let is_code =
        text.starts_with(['[', '$']) || text.starts_with("Usage: ") || key.is_some_and(|key| !key.contains(' '));
    !is_code && !text.contains(GAP) && !text.contains('\t')
}

/// The words of a line. A command with spaces is one: in backticks, or at the end after a colon.
fn words(text: &str) -> Vec<&str> {
    let command = text.rfind(": ").map(|colon| colon + 2).filter(|at| is_command(&text[*at..])).unwrap_or(text.len());
    let mut words = Vec::new();
    let mut start = 0;
    for (at, _) in text.match_indices(' ') {
        let word = &text[start..at];
        let opens = word.matches('`').count() % 2 == 1;
        if at < command && !(opens && text[at..].contains('`')) {
            words.push(word);
            start = at + 1;
        }
    }
    words.push(&text[start..]);
    words
}

/// Whether a text begins with a program and a flag.
fn is_command(text: &str) -> bool {
    let mut words = text.split(' ');
    let program =
        words.next().is_some_and(|word| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase()));
    program && words.next().is_some_and(|word| word.starts_with('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prose_is_wrapped_and_what_is_copied_is_not() {
        for (text, shown) in [
            ("one two three four five six", "one two three four\nfive six"),
            ("  one two three fourth five", "  one two three\n  fourth five"),
            ("short\n\none two three four five", "short\n\none two three four\nfive"),
            ("see https://id.example/a/very/long/path?x=1 now", "see\nhttps://id.example/a/very/long/path?x=1\nnow"),
            ("now run `nexus oauth start`, then", "now run\n`nexus oauth start`,\nthen"),
            ("first run there: ssh -L 1:localhost:1 host", "first run there:\nssh -L 1:localhost:1 host"),
            ("a ` is alone in this line here", "a ` is alone in this\nline here"),
            ("token_url = \"https://id.example a\"", "token_url = \"https://id.example a\""),
            ("[provider.\"a name with spaces in it\"]", "[provider.\"a name with spaces in it\"]"),
            ("/exit           leave, as Ctrl-D does", "/exit           leave, as Ctrl-D does"),
            ("\u{1b}[1mone\u{1b}[0m two three four five", "\u{1b}[1mone\u{1b}[0m two three four\nfive"),
            ("日本語 日本語 日本語 日本語", "日本語 日本語 日本語\n日本語"),
        ] {
            assert_eq!(wrapped(text, 20), shown);
        }
        for text in ["one two three four five six", "short\n\none two three four five", "  a  b\n"] {
            for length in 1..8 {
                let mut stream = WrappedStream::default();
                let pieces: Vec<_> =
                    text.as_bytes().chunks(length).map(|piece| str::from_utf8(piece).unwrap()).collect();
                let shown: String = pieces.into_iter().map(|piece| stream.push(piece, 20)).collect();
                assert_eq!(shown + &stream.finish(20), wrapped(text, 20), "{length}");
            }
        }
        let mut stream = WrappedStream::default();
        assert_eq!(
            stream.push(&"x".repeat(50), 20),
            "x".repeat(20) + "\n" + &"x".repeat(20),
            "no longer held than a line"
        );
        assert_eq!(rows("one two three four five six\n\nshort", 20), 4);
        assert_eq!(rows(&"x".repeat(41), 20), 3);
        assert_eq!(wrapped("one two three four five", 10), "one two three four five");
        assert_eq!(wrapped("/a  one two three four five", 24), "/a  one two three four\n    five");
        assert_eq!(wrapped("/a  b  one two three four five", 24), "/a  b  one two three four five");
    }
}
