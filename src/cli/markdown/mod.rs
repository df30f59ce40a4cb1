//! Renders Markdown for a terminal while it arrives.
//!
//! Output is never revised. The kind of a line is decided as early as possible (`block`); its words are then printed
//! one by one (`inline`). The rest is held back: a word until it ends, markup until it closes, a line of code until it
//! ends, a table until its last row. Markup that never closes is printed as text. The output does not depend on how the
//! input is split.

mod block;
mod code;
mod compose;
mod emphasis;
mod escape;
mod flow;
mod inline;
mod link;
mod marks;
mod page;
mod scan;
mod table;
mod work;

use anstyle::Style;
use nexus::internal::clean;

use block::{Container, Leaf, Line, Start};
use code::Code;
use flow::Flow;
use marks::NeedMore;
use page::Page;
use table::Table;

/// The longest part of a line that is held back, in bytes. What is longer is a line of code or no Markdown.
const HELD: usize = 8 * 1_024;

/// How many columns of rules the first ones may take together.
const RULES: usize = 1_000;

/// How many more columns of rules each character allows. Three characters are enough for a rule of 100 columns.
const RULE_GROWTH: usize = 8;

pub(crate) struct Rendered {
    page: Page,
    /// The current line, until its kind is known.
    line: String,
    state: LineState,
    /// The last character was a carriage return, which is ignored before a newline.
    returned: bool,
    containers: Vec<Container>,
    /// The last item, by depth.
    lists: Vec<Option<LastItem>>,
    block: Block,
    /// The number of blank lines since the last block.
    blank: usize,
    /// Whether the last block needs a blank line below it.
    spaced: bool,
    /// How many columns further rules may take.
    rule_columns: usize,
}

/// The last item of a list.
#[derive(Debug, Clone, Copy)]
struct LastItem {
    mark: char,
    /// The number in the source, and the one that was printed.
    written: u64,
    number: u64,
}

/// How far the current line is understood.
#[derive(Debug, PartialEq)]
enum LineState {
    /// It has only characters of markers so far.
    Markers,
    /// Its kind is undecided, and every character may decide it.
    Undecided,
    /// Its kind is known only when it is complete.
    WholeLine,
    /// It is text of the paragraph.
    Text,
    /// It is printed as it is.
    Verbatim,
}

/// The innermost block.
enum Block {
    None,
    Paragraph(Flow),
    Fenced {
        fence: char,
        length: usize,
        indent: usize,
        code: Code,
    },
    /// Code by indentation, and the number of blank lines that belong to it if more code follows.
    Indented {
        code: Code,
        blank: usize,
    },
    Html(Option<&'static str>),
    /// A table, and the number of blank lines that are due above it if it turns out to be text.
    Table(Table, usize),
}

impl std::fmt::Debug for Rendered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rendered").field("line", &self.line).field("state", &self.state).finish_non_exhaustive()
    }
}

impl Rendered {
    pub(crate) fn new(width: usize, colored: bool) -> Self {
        Self {
            page: Page::new(width, colored),
            line: String::new(),
            state: LineState::Markers,
            returned: false,
            containers: Vec::new(),
            lists: Vec::new(),
            block: Block::None,
            blank: 0,
            spaced: false,
            rule_columns: RULES,
        }
    }

    /// Sets the width of further output.
    pub(crate) fn resize(&mut self, width: usize) {
        self.page.resize(width);
    }

    /// Adds input. Returns further output.
    pub(crate) fn push(&mut self, piece: &str) -> String {
        for c in piece.chars() {
            self.feed(c);
        }
        self.page.take()
    }

    /// Ends the input. Returns the rest of the output.
    pub(crate) fn finish(&mut self) -> String {
        if std::mem::take(&mut self.returned) {
            self.read('\r');
        }
        if self.state == LineState::Text || !self.line.is_empty() {
            self.end_line();
        }
        self.close();
        self.leave(0);
        self.page.take()
    }

    fn feed(&mut self, c: char) {
        self.rule_columns += RULE_GROWTH;
        let returned = std::mem::replace(&mut self.returned, c == '\r');
        if returned && c != '\n' {
            self.read('\r');
        }
        match c {
            '\r' => {}
            '\n' => self.end_line(),
            c => self.read(c),
        }
    }

    fn read(&mut self, c: char) {
        match self.state {
            LineState::Text => {
                if let Block::Paragraph(flow) = &mut self.block {
                    flow.feed(c, &mut self.page);
                }
                return;
            }
            LineState::Verbatim => {
                self.page.write(&clean::visible(c.encode_utf8(&mut [0; 4])).replace('\t', " "), Style::new());
                return;
            }
            LineState::Markers | LineState::Undecided | LineState::WholeLine => self.line.push(c),
        }
        let decides = match self.state {
            LineState::Markers => !marks::is_mark(c),
            LineState::Undecided => true,
            _ => false,
        };
        if decides {
            match self.classify(false) {
                Ok(line) => {
                    self.apply(line);
                    self.state = LineState::Text;
                }
                Err(NeedMore::Character) => self.state = LineState::Undecided,
                Err(NeedMore::WholeLine) => self.state = LineState::WholeLine,
            }
        }
        if self.line.len() >= HELD {
            self.overflow();
        }
    }

    /// Prints the beginning of a line that is too long to be held back.
    fn overflow(&mut self) {
        let Ok(line) = self.classify(true) else { return };
        match line.start {
            Start::Blank => self.line.clear(),
            Start::Code | Start::Html(_) => {
                let spaces = line.text.len() - line.text.trim_end_matches(' ').len();
                self.apply(line);
                self.page.reopen_line();
                self.page.write(&" ".repeat(spaces), Style::new());
                self.state = LineState::Verbatim;
            }
            _ => {
                self.apply(Line { start: Start::Text, ..line });
                self.state = LineState::Text;
            }
        }
    }

    fn end_line(&mut self) {
        match self.state {
            LineState::Text => {}
            LineState::Verbatim => self.page.end_line(),
            LineState::Markers | LineState::Undecided | LineState::WholeLine => {
                if let Ok(line) = self.classify(true) {
                    self.apply(line);
                }
            }
        }
        if let Block::Paragraph(flow) = &mut self.block {
            flow.end_line(&mut self.page);
        }
        self.line.clear();
        self.state = LineState::Markers;
    }

    fn classify(&self, complete: bool) -> Result<Line, NeedMore> {
        let leaf = match &self.block {
            Block::None => Leaf::None,
            Block::Paragraph(flow) => Leaf::Paragraph { pipes: flow.pipes, mathematics: flow.is_in_mathematics() },
            Block::Fenced { fence, length, indent, .. } => {
                Leaf::Fenced { fence: *fence, length: *length, indent: *indent }
            }
            Block::Indented { .. } => Leaf::Indented,
            Block::Html(end) => Leaf::Html(*end),
            Block::Table(..) => Leaf::Table,
        };
        block::classify(&self.line, complete, &self.containers, leaf)
    }
}

#[cfg(test)]
mod tests;
