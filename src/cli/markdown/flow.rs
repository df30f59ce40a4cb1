//! A paragraph on its way to the page. Its text is read as far as it has come, at the end of every
//! word; once no markup in it waits for its other end, its words go out.

use anstyle::Style;

use super::inline::{Bit, literal, parts, read};
use super::marks::BLANK;
use super::page::Page;

/// How much text may wait for the other end of its markup, in bytes. What is longer was not meant
/// as markup.
const HELD: usize = 2_048;

/// A paragraph that is being written.
#[derive(Debug)]
pub(super) struct Flow {
    /// What waits for its end, or for the end of its markup.
    pending: String,
    /// What stood in front of that.
    before: char,
    last: char,
    base: Style,
    /// A space is due before the next word.
    space: bool,
    /// How many spaces came since the last word.
    spaces: usize,
    /// A line break is due before the next word; the text that made it, should there be none.
    hard: Option<&'static str>,
    /// Nothing came since the text was read last that could be the other end of its markup.
    idle: bool,
    /// The source's line holds what could separate the cells of a table.
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

    /// The next character of the line.
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

    /// The source's line has ended, and the paragraph goes on or not.
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

    /// The line to come is a new one of the source.
    pub(super) fn begin_line(&mut self) {
        self.pipes = false;
    }

    /// The paragraph has ended: what waits for its other end waits no more.
    pub(super) fn finish(&mut self, page: &mut Page) {
        let pending = std::mem::take(&mut self.pending);
        let reading = read(pending.trim_end_matches(BLANK), (self.before, ' '), self.base, page.is_coloured());
        self.print(reading.bits, page);
        if let Some(mark) = self.hard.take().filter(|mark| !mark.is_empty()) {
            self.space = false;
            self.print(literal(mark, self.base), page);
        }
        page.end_line();
    }

    /// Lets the text up to here go, if nothing in it is open.
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
        let reading = read(text, (self.before, next), self.base, page.is_coloured());
        self.idle = reading.open && !last_try;
        if self.idle {
            return;
        }
        self.pending.drain(..length);
        self.print(reading.bits, page);
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
