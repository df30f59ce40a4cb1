//! Paragraphs. At the end of every word the text so far is parsed, and printed once no markup in it is open.

use anstyle::Style;

use super::inline::{Bit, literal, parts, read};
use super::marks::BLANK;
use super::page::Page;

/// The maximum length of text in open markup, in bytes. Longer text was not meant as markup.
const HELD: usize = 2_048;

#[derive(Debug)]
pub(super) struct Flow {
    /// Text that is not printed yet.
    pending: String,
    /// The character before it.
    before: char,
    last: char,
    base: Style,
    /// Whether a space is due before the next word.
    space: bool,
    /// The number of spaces since the last word.
    spaces: usize,
    /// If a line break is due before the next word: its source, which is printed if no word follows.
    hard: Option<&'static str>,
    /// Whether nothing that could close markup has come since the text was last parsed.
    idle: bool,
    /// Whether the source line contains a `|`.
    pub(super) pipes: bool,
}

impl Flow {
    pub(super) fn new(base: Style) -> Self {
        Self {
            pending: String::new(),
            before: ' ',
            last: ' ',
            base,
            space: false,
            spaces: 0,
            hard: None,
            idle: false,
            pipes: false,
        }
    }

    pub(super) fn feed(&mut self, c: char, page: &mut Page) {
        self.pipes |= c == '|';
        if matches!(c, ' ' | '\t') {
            self.spaces += 1;
            if self.spaces == 1 {
                self.release(self.pending.len(), page, (' ', ' '));
            }
            if !self.pending.is_empty() {
                self.pending.push(c);
            }
            self.last = ' ';
            return;
        }
        if self.hard.take().is_some() {
            page.end_line();
            self.space = false;
        }
        if parts(self.last, c) {
            self.release(self.pending.len(), page, (self.last, c));
        }
        self.spaces = 0;
        self.idle &= !matches!(c, '*' | '_' | '~' | '`' | ']' | ')' | '>');
        self.pending.push(c);
        self.last = c;
    }

    /// Ends a source line.
    pub(super) fn end_line(&mut self, page: &mut Page) {
        let slashes = self.pending.bytes().rev().take_while(|byte| *byte == b'\\').count();
        if slashes % 2 == 1 {
            self.release(self.pending.len() - 1, page, (' ', ' '));
            if self.pending == "\\" {
                self.pending.clear();
                self.hard = Some("\\");
            }
        } else {
            self.release(self.pending.len(), page, (' ', ' '));
        }
        if !self.pending.is_empty() {
            self.pending.push('\n');
        } else if self.spaces > 1 {
            self.hard = self.hard.or(Some(""));
        }
        self.space |= self.pending.is_empty();
        self.spaces = 0;
        self.last = ' ';
    }

    /// Begins a source line.
    pub(super) fn begin_line(&mut self) {
        self.pipes = false;
    }

    /// Ends the paragraph. Open markup becomes text.
    pub(super) fn finish(&mut self, page: &mut Page) {
        let pending = std::mem::take(&mut self.pending);
        let parsed = read(pending.trim_end_matches(BLANK), (self.before, ' '), self.base, page.is_coloured());
        self.print(parsed.bits, page);
        if let Some(mark) = self.hard.take().filter(|mark| !mark.is_empty()) {
            self.space = false;
            self.print(literal(mark, self.base), page);
        }
        page.end_line();
    }

    /// Prints the text up to here, unless markup in it is open.
    fn release(&mut self, length: usize, page: &mut Page, (last, next): (char, char)) {
        let text = self.pending[..length].trim_end_matches(BLANK);
        if text.is_empty() {
            if self.pending.trim_end_matches(BLANK).is_empty() {
                self.pending.clear();
            }
            self.space |= last == ' ';
            return;
        }
        let last_try = text.len() >= HELD;
        if self.idle && !last_try {
            return;
        }
        let parsed = read(text, (self.before, next), self.base, page.is_coloured());
        self.idle = parsed.open && !last_try;
        if self.idle {
            return;
        }
        self.pending.drain(..length);
        self.print(parsed.bits, page);
        self.before = last;
        self.space = last == ' ';
    }

    fn print(&mut self, bits: Vec<Bit>, page: &mut Page) {
        let mut space = self.space.then_some(self.base);
        for bit in bits {
            match bit {
                Bit::Word(word) => page.word(&word, space.take()),
                Bit::Space(style) => space = Some(style),
                Bit::Break => {
                    page.begin_line();
                    page.end_line();
                    space = None;
                }
            }
        }
    }
}
