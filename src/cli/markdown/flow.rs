//! Paragraphs. At the end of every word the text so far is parsed, and printed once no markup in it is open.

use anstyle::Style;

use super::inline::{Bit, literal, parts, read};
use super::marks::BLANK;
use super::page::{Page, Space};
use super::scan::Around;

/// The maximum length of text in open markup, in bytes. Longer text was not meant as markup.
const HELD: usize = 2_048;

/// Pending text is parsed again when it has grown by this part of its length. So the work is linear, however many words
/// could close markup.
const GROWTH: usize = 8;

/// Display mathematics, in which lines may begin with `-`, `+`, `=` or `>`.
#[derive(Debug, PartialEq)]
enum Mathematics {
    /// It ends with these characters.
    Until(char, char),
    /// It ends with `\end{` at the beginning of a line.
    Environment,
}

/// What begins and ends an environment of LaTeX.
const BEGIN: &str = "\\begin{";
const END: &str = "\\end{";

#[derive(Debug)]
pub(super) struct Flow {
    /// Text that is not printed yet.
    pending: String,
    /// The character before it.
    before: char,
    last: char,
    base: Style,
    /// The spaces and tabs that are due before the next word.
    space: String,
    /// Whether the printed text ends with a line break of its own, so that no space is due.
    fresh: bool,
    /// Whether the printed part of the line has LaTeX.
    latex: bool,
    /// If a line break is due before the next word: its source, which is printed if no word follows.
    line_break: Option<&'static str>,
    /// Whether the printed text ends within a word.
    cut: bool,
    /// Whether nothing that could close markup has come since the text was last parsed.
    idle: bool,
    /// The length at which the pending text is parsed again.
    retry: usize,
    /// Whether the source line contains a `|`.
    pub(super) pipes: bool,
    /// The first characters of the source line, without indentation.
    start: String,
    /// The display mathematics that the lines so far began.
    mathematics: Option<Mathematics>,
}

impl Flow {
    pub(super) fn new(base: Style) -> Self {
        Self {
            pending: String::new(),
            before: '\n',
            last: ' ',
            base,
            space: String::new(),
            fresh: false,
            latex: false,
            line_break: None,
            cut: false,
            idle: false,
            retry: 0,
            start: String::new(),
            pipes: false,
            mathematics: None,
        }
    }

    /// Whether the next line is a part of display mathematics.
    pub(super) fn is_in_mathematics(&self) -> bool {
        self.mathematics.is_some()
    }

    pub(super) fn feed(&mut self, c: char, page: &mut Page) {
        self.pipes |= c == '|';
        self.follow_mathematics(c);
        if matches!(c, ' ' | '\t') {
            if self.last != ' ' {
                self.release(page, ' ');
            }
            let due = if self.pending.is_empty() { &mut self.space } else { &mut self.pending };
            if due.len() < 2 * HELD {
                due.push(c);
            }
            self.last = ' ';
            return;
        }
        if parts(self.last, c) || self.pending.len() >= 2 * HELD {
            self.release(page, c);
        }
        if self.line_break.take().is_some() {
            page.end_line();
            self.fresh = false;
        }
        self.idle &= match c {
            // After white space, it only opens emphasis.
            '*' | '_' | '~' => matches!(self.last, ' ') || self.last == c,
            '`' | ']' | ')' | '>' | '$' => false,
            _ => true,
        };
        self.pending.push(c);
        self.last = c;
    }

    /// Display mathematics begins with `$$`, `\[` or `\begin{` at the beginning of a line.
    fn follow_mathematics(&mut self, c: char) {
        let is_start = self.start.len() < BEGIN.len() && !(self.start.is_empty() && matches!(c, ' ' | '\t'));
        if is_start {
            self.start.push(c);
        }
        match self.mathematics {
            Some(Mathematics::Until(one, other)) if (self.last, c) == (one, other) => self.mathematics = None,
            Some(Mathematics::Environment) if is_start && self.start == END => self.mathematics = None,
            None if is_start => {
                self.mathematics = match self.start.as_str() {
                    "$$" => Some(Mathematics::Until('$', '$')),
                    "\\[" => Some(Mathematics::Until('\\', ']')),
                    BEGIN => Some(Mathematics::Environment),
                    _ => None,
                };
            }
            _ => {}
        }
    }

    /// Ends a source line. Models mean their line breaks.
    pub(super) fn end_line(&mut self, page: &mut Page) {
        self.idle = false;
        let slash = self.release(page, '\n');
        if self.pending.is_empty() {
            self.line_break = Some(if slash { "\\" } else { "" });
            (self.before, self.latex) = ('\n', false);
            self.space.clear();
        } else {
            self.pending.push('\n');
            self.idle = false;
        }
        self.last = ' ';
    }

    /// Begins a source line.
    pub(super) fn begin_line(&mut self) {
        self.pipes = false;
        self.start.clear();
    }

    /// Ends the paragraph. Open markup becomes text.
    pub(super) fn finish(&mut self, page: &mut Page) {
        let pending = std::mem::take(&mut self.pending);
        let parsed = read(pending.trim_end_matches(BLANK), self.around(' '), self.base, page.is_colored());
        self.print(parsed.bits, page);
        if let Some(mark) = self.line_break.take().filter(|mark| !mark.is_empty()) {
            self.cut = true;
            self.print(literal(mark, self.base), page);
        }
        page.end_line();
    }

    fn around(&self, after: char) -> Around {
        Around { before: self.before, after, latex: self.latex }
    }

    /// Prints the pending text, unless markup in it is open. Returns whether it ended with a backslash that is a line
    /// break.
    fn release(&mut self, page: &mut Page, next: char) -> bool {
        let text = self.pending.trim_end_matches(BLANK);
        if text.is_empty() {
            return false;
        }
        let last_try = text.len() >= HELD;
        if !last_try && (self.idle || text.len() < self.retry) {
            return false;
        }
        let blank = self.pending[text.len()..].to_owned();
        let after = blank.chars().next().unwrap_or(next);
        let parsed = read(text, self.around(after), self.base, page.is_colored());
        self.idle = parsed.open && !last_try;
        if self.idle {
            self.retry = text.len() + text.len() / GROWTH;
            return false;
        }
        self.pending.clear();
        self.retry = 0;
        self.print(parsed.bits, page);
        let line = blank.rfind('\n');
        if line.is_some() {
            self.line_break = Some("");
        }
        self.latex = parsed.latex && line.is_none();
        self.before = if next.is_whitespace() { next } else { blank.chars().next_back().unwrap_or(self.last) };
        self.cut = blank.is_empty() && !next.is_whitespace() && !parts(self.last, next);
        self.space = blank[line.map_or(0, |line| line + 1)..].to_owned();
        parsed.slash
    }

    fn print(&mut self, bits: Vec<Bit>, page: &mut Page) {
        if bits.is_empty() {
            return;
        }
        let space = Space { text: std::mem::take(&mut self.space), style: self.base };
        let mut space = Some(space).filter(|space| !self.fresh && !space.text.is_empty());
        let mut cut = std::mem::take(&mut self.cut);
        self.fresh = matches!(bits.last(), Some(Bit::Break));
        for bit in bits {
            match bit {
                Bit::Word(word) if cut && space.is_none() => {
                    word.iter().for_each(|span| page.write(&span.text, span.style))
                }
                Bit::Word(word) => page.word(&word, space.take()),
                Bit::Space(blank) => space = Some(blank),
                Bit::Break => {
                    page.begin_line();
                    page.end_line();
                    space = None;
                }
            }
            cut = false;
        }
    }
}
