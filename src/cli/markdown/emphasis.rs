//! Emphasis: `*`, `_` and `~~`.
//!
//! CommonMark would read `2*3*4` and `{x}_a + y_{b}` as emphasis, and would not read `これは**「重要」**です` as it. The rules
//! here differ from it where a mark stands between letters or digits, or beside text without spaces between words. In
//! doubt a mark is text.

use unicode_width::UnicodeWidthChar as _;

/// The number of openers of one mark that a closer is compared with.
const COMPARED: usize = 16;

/// What was counted before a place in the text.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    letters: usize,
    /// Letters and digits.
    alphanumerics: usize,
    underscores: usize,
    /// Characters that are in no lowercase identifier.
    others: usize,
}

impl Counts {
    pub(super) fn add(&mut self, c: char) {
        self.letters += usize::from(c.is_alphabetic() || !c.is_ascii());
        self.alphanumerics += usize::from(c.is_alphanumeric() || !c.is_ascii());
        self.underscores += usize::from(c == '_');
        self.others += usize::from(!(c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'));
    }
}

/// A run of one, two or three equal marks.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) mark: char,
    /// The marks that are text.
    pub(super) left: usize,
    opens: bool,
    closes: bool,
    before: Counts,
    /// What was counted with the run.
    after: Counts,
    /// The lengths of the marks that open emphasis, the innermost first.
    pub(super) opened: Vec<usize>,
    /// The lengths of the marks that close emphasis, the innermost first.
    pub(super) closed: Vec<usize>,
}

impl Run {
    /// The run between two characters and the next two. None if it can be nothing but text. Adds it to the counts.
    pub(super) fn new(
        mark: char,
        length: usize,
        before: &[char; 2],
        next: &[char; 2],
        counts: &mut Counts,
    ) -> Option<Self> {
        let counted = *counts;
        counts.underscores += if mark == '_' { length } else { 0 };
        let fits = if mark == '~' { length == 2 } else { length <= 3 };
        let (opens, closes) = (opens(mark, length, before, next), closes(mark, length, before[1], next));
        (fits && (opens || closes)).then(|| Self {
            mark,
            left: length,
            opens,
            closes,
            before: counted,
            after: *counts,
            opened: Vec::new(),
            closed: Vec::new(),
        })
    }
}

/// Whether the script of a character has no spaces between words.
fn is_spaceless(c: char) -> bool {
    c.width() == Some(2) || matches!(c, '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}')
}

/// Whether a character belongs to a word that ends at a space.
fn is_in_word(c: char) -> bool {
    c.is_alphanumeric() && !is_spaceless(c)
}

fn opens(mark: char, length: usize, before: &[char; 2], after: &[char; 2]) -> bool {
    let ([earlier, before], [next, second]) = (*before, *after);
    if next.is_whitespace() || ")]},;:!?|=^%".contains(next) {
        return false;
    }
    if mark == '_' {
        let starts = before.is_whitespace() || "([{\"'-:;,!?|>*~".contains(before);
        let starts = starts || (!before.is_ascii() && !before.is_alphanumeric());
        // `*_test.go` and `test_*.py` are no emphasis, `**_a_**` is.
        let is_glob = before == '*' && earlier != '*';
        return starts && !is_glob && (next.is_alphanumeric() || !next.is_ascii() || "\"'([*~`<$@#\\".contains(next));
    }
    if length == 1 {
        // `*.rs`, `*_a` and `*/` are no emphasis, `*...` is.
        let is_glob = next == '/' || ("._".contains(next) && second != next);
        let is_product = next.is_ascii_digit() && before.is_alphanumeric();
        let starts = before.is_whitespace() || "([{<\"'-:;,!?|>~_".contains(before);
        return !is_glob && !is_product && (starts || (!before.is_ascii() && !is_in_word(before)));
    }
    if next == '/' && second == '*' {
        return false;
    }
    let starts = before.is_whitespace() || "([{<\"'-:;,!?|>~_./=#".contains(before);
    starts || (!before.is_ascii() && !is_in_word(before)) || (is_in_word(before) && is_spaceless(next))
}

fn closes(mark: char, length: usize, before: char, after: &[char; 2]) -> bool {
    let [next, second] = *after;
    if before.is_whitespace() || "([{".contains(before) {
        return false;
    }
    if mark == '_' {
        let is_glob = next == '*' && second != '*';
        return !next.is_alphanumeric() && !is_glob && before != '/' && !"([{=".contains(next);
    }
    if length == 1 {
        let is_glob = next == '.' && second.is_ascii_alphanumeric();
        return !is_glob && next != '=' && next != '/' && !next.is_ascii_digit() && !is_in_word(next);
    }
    if next.is_ascii_digit() {
        return !before.is_ascii() || ":.,;!?".contains(before);
    }
    // As in `**S**cience`.
    !is_in_word(next) || !(before.is_ascii_digit() || ")]}".contains(before))
}

/// The length of the marks that this opener and this closer share.
fn shared(opener: &Run, closer: &Run) -> Option<usize> {
    if opener.left >= 2 && closer.left >= 2 {
        return Some(2);
    }
    (opener.left != 2 && closer.left != 2).then_some(1)
}

/// Whether the text between an opener and a closer of this length is emphasized.
fn is_emphasis(opener: &Run, closer: &Run, length: usize) -> bool {
    let (before, after) = (opener.after, closer.before);
    // As in `_snake_case_`.
    if opener.mark == '_' && after.underscores > before.underscores {
        return false;
    }
    if length == 2 {
        // `__init__` is a name.
        let is_name = opener.mark == '_' && after.others == before.others;
        return after.alphanumerics > before.alphanumerics && !is_name;
    }
    after.letters > before.letters
}

/// Pairs the runs. Returns whether one of them could be closed by text to come.
pub(super) fn pair(runs: &mut [Run]) -> bool {
    let mut openers: [Vec<usize>; 3] = Default::default();
    for at in 0..runs.len() {
        let (passed, rest) = runs.split_at_mut(at);
        let Some(run) = rest.first_mut() else { break };
        let kind = match run.mark {
            '*' => 0,
            '_' => 1,
            _ => 2,
        };
        while run.closes && run.left > 0 {
            let compared = openers[kind].iter().rev().take(COMPARED);
            let found = compared.copied().find_map(|opener| Some((opener, shared(&passed[opener], run)?)));
            let Some((opener, length)) = found else { break };
            // What opens between the two is text, and so are the two themselves in `2 *3* 4`.
            let is_emphasis = is_emphasis(&passed[opener], run, length);
            for openers in &mut openers {
                while openers.last().is_some_and(|other| *other > opener || (*other == opener && !is_emphasis)) {
                    openers.pop();
                }
            }
            if !is_emphasis {
                break;
            }
            passed[opener].left -= length;
            passed[opener].opened.push(length);
            if passed[opener].left == 0 {
                openers[kind].pop();
            }
            run.left -= length;
            run.closed.push(length);
        }
        if run.opens && run.left > 0 {
            openers[kind].push(at);
        }
        (run.opens, run.closes) = (false, false);
    }
    openers.iter().any(|openers| !openers.is_empty())
}
