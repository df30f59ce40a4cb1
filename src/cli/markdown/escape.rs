//! Backslashes. One is dropped only where it keeps a character from being markup. LaTeX, paths, regular expressions and
//! commands of a shell keep theirs: a word keeps all of its backslashes if one of them is no escape, and so does a line
//! with a command of LaTeX.

use super::link::{self, Found};

/// The longest number of a list item.
const DIGITS: usize = 9;

/// The text around a backslash.
pub(super) struct Place<'a> {
    /// The line before it. None if its beginning is not known.
    pub(super) line: Option<&'a str>,
    pub(super) previous: char,
    /// The text behind it.
    pub(super) text: &'a str,
    /// The character behind the text.
    pub(super) after: char,
}

/// The backslashes that may be escapes, as places in the list of tokens.
#[derive(Debug, Default)]
pub(super) struct Escapes {
    /// Those of the current word.
    word: Vec<usize>,
    /// Those of the other words of the line.
    line: Vec<usize>,
    dropped: Vec<usize>,
    /// Whether a backslash of the current word is no escape.
    keeps: bool,
    /// Whether the current line has an escaped `<`.
    angle: bool,
    /// Whether the line has LaTeX.
    pub(super) latex: bool,
}

impl Escapes {
    pub(super) fn new(latex: bool) -> Self {
        Self { latex, ..Self::default() }
    }

    pub(super) fn add(&mut self, token: usize) {
        self.word.push(token);
    }

    pub(super) fn keep_word(&mut self) {
        self.keeps = true;
    }

    pub(super) fn end_word(&mut self) {
        if std::mem::take(&mut self.keeps) {
            self.word.clear();
        }
        self.line.append(&mut self.word);
    }

    pub(super) fn end_line(&mut self) {
        self.end_word();
        self.angle = false;
        if std::mem::take(&mut self.latex) {
            self.line.clear();
        }
        self.dropped.append(&mut self.line);
    }

    /// Ends the text. Returns the escapes, and whether the rest of the line may have LaTeX, so that they are none.
    pub(super) fn end(mut self, after: char) -> (Vec<usize>, bool) {
        self.end_word();
        let open = !self.latex && !self.line.is_empty() && after != '\n';
        self.end_line();
        (self.dropped, open)
    }

    /// Whether a backslash keeps this character from being markup, or from looking like it.
    pub(super) fn is_escape(&mut self, c: char, place: &Place<'_>) -> bool {
        let rest = &place.text[c.len_utf8()..];
        let next = rest.chars().next().unwrap_or(place.after);
        let begins = place.line.is_some_and(|line| line.trim_start().is_empty());
        match c {
            '*' | '_' | '`' => true,
            '<' => {
                self.angle = true;
                true
            }
            '>' => begins || self.angle,
            '~' => !(place.previous.is_alphabetic() && next.is_alphabetic()),
            '!' => rest.trim_start_matches('\\').starts_with('['),
            '[' => is_bracket(rest, begins),
            ']' => is_address(rest),
            '&' => link::reference(place.text).is_some(),
            // The others are variables of a shell or mathematics.
            '$' => !(next.is_alphabetic() || "_{(".contains(next)),
            '#' => place.line.is_some_and(|line| line.len() <= 12 && line.chars().all(|c| "#\\ ".contains(c))),
            '+' | '-' => begins && (next.is_whitespace() || next == c || next == '\\'),
            '=' => begins && next == c,
            '.' | ')' => place.line.is_some_and(is_number) && next.is_whitespace(),
            _ => false,
        }
    }
}

/// Whether a backslash at the end of a line is a line break of Markdown after this text, and no part of a drawing, a
/// path or a command.
pub(super) fn is_line_break(text: &str, before: char) -> bool {
    let bare = text.trim_end_matches(['*', '_', '`']);
    let last = bare.chars().next_back().unwrap_or(before);
    last.is_alphanumeric() || ".,;:!?)]}\"'…”’»—。，！？」".contains(last)
}

/// Whether a word is a path of Windows.
pub(super) fn is_path(word: &str) -> bool {
    let word = word.trim_start_matches(|c| "\"'([*".contains(c));
    let is_drive = matches!(word.as_bytes(), [letter, b':', ..] if letter.is_ascii_alphabetic());
    is_drive || ["\\\\", ".\\", "..\\", "%"].iter().any(|start| word.starts_with(start))
}

/// Whether a line so far is the number of an item, with marks of emphasis or not.
fn is_number(line: &str) -> bool {
    let digits = line.get(..line.len().min(2 * DIGITS)).unwrap_or_default().trim_start();
    let digits = digits.trim_start_matches(['*', '_']);
    line.len() <= 2 * DIGITS && (1..=DIGITS).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether `[` before this text would begin a link, a footnote, a task or a definition.
fn is_bracket(text: &str, begins: bool) -> bool {
    let Some(end) = text.find(['[', ']', '\n']).filter(|end| text[*end..].starts_with(']')) else { return false };
    let (name, after) = (&text[..end], &text[end + 1..]);
    is_address(after)
        || (!name.ends_with('\\') && name.starts_with('^'))
        || (begins && (after.starts_with(':') || matches!(name, " " | "x" | "X")))
}

fn is_address(text: &str) -> bool {
    matches!(link::target(text), Found::Yes(target) if target.address.contains([':', '/', '.', '#']))
}
