//! Wraps prose to the width of a terminal. What is to be copied stays in one piece: URLs, commands in backticks, lines of
//! a configuration file, and lines that were laid out by hand.

use anstream::adapter::strip_str;
use unicode_width::UnicodeWidthStr as _;

/// A narrower terminal wraps by itself.
const NARROWEST: usize = 20;

/// With less room after the margin, a line is left as it is.
const LEAST: usize = 16;

/// What separates columns that were laid out by hand.
const GAP: &str = "  ";

/// The text with lines of at most this many columns, unless a word is longer. Continued lines are indented as their first
/// one. Escape sequences take no columns.
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
        assert_eq!(wrapped("one two three four five", 10), "one two three four five");
        assert_eq!(wrapped("/a  one two three four five", 24), "/a  one two three four\n    five");
        assert_eq!(wrapped("/a  b  one two three four five", 24), "/a  b  one two three four five");
    }
}
