//! An answer's Markdown, laid out for a terminal while it comes.
//!
//! Text goes in as pieces, terminal text comes out; what came out stands. A line's kind is settled as
//! soon as its first letter tells it (`block`), and from then on its words go out one by one
//! (`inline`). What cannot be told so early is held: a word until it ends, markup until it closes, a
//! line of code until it is whole, a table until its last row. What never closes is shown as it was
//! written, and whatever the pieces, the output is the same.

mod block;
mod code;
mod compose;
mod flow;
mod inline;
mod marks;
mod page;
mod table;

use block::{Container, Leaf, Line};
use code::Code;
use flow::Flow;
use marks::More;
use page::Page;
use table::Table;

/// Markdown that is laid out as it comes.
pub(crate) struct Rendered {
    page: Page,
    /// What has come of the line whose kind is not known yet, or that is used as a whole.
    line: String,
    reading: Reading,
    /// A carriage return has come, which is nothing if a newline follows.
    returned: bool,
    containers: Vec<Container>,
    /// By depth: the mark and the number of the item that came last there.
    lists: Vec<Option<(char, u64)>>,
    block: Block,
    /// A blank line has come since the last block.
    blank: bool,
    /// The last block wants a blank line below it.
    airy: bool,
}

/// What is done with the characters of the line.
#[derive(Debug, PartialEq)]
enum Reading {
    /// They are held until something else than marks comes.
    Marks,
    /// They are held, and looked at with every new one.
    Closely,
    /// They are held until the line is whole.
    WholeLine,
    /// They are words of the paragraph.
    Words,
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
    /// Code that is told by its indent, and the blank lines that belong to it if more of it follows.
    Indented {
        code: Code,
        blank: usize,
    },
    Html(Option<&'static str>),
    /// A table, and whether a blank line is due above what turns out to be none.
    Table(Table, bool),
}

impl std::fmt::Debug for Rendered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rendered").field("line", &self.line).field("reading", &self.reading).finish_non_exhaustive()
    }
}

impl Rendered {
    /// Nothing yet, on a terminal of so many columns, that shows colours and the like or does not.
    pub(crate) fn new(width: usize, coloured: bool) -> Self {
        Self {
            page: Page::new(width, coloured),
            line: String::new(),
            reading: Reading::Marks,
            returned: false,
            containers: Vec::new(),
            lists: Vec::new(),
            block: Block::None,
            blank: false,
            airy: false,
        }
    }

    /// What comes from here on is laid out for so many columns.
    pub(crate) fn resize(&mut self, width: usize) {
        self.page.resize(width);
    }

    /// The next piece of the answer; gives what can be shown now.
    pub(crate) fn push(&mut self, piece: &str) -> String {
        for c in piece.chars() {
            self.feed(c);
        }
        self.page.take()
    }

    /// The answer has ended; gives what was held, and the end of its last line.
    pub(crate) fn finish(&mut self) -> String {
        if std::mem::take(&mut self.returned) {
            self.read('\r');
        }
        if self.reading == Reading::Words || !self.line.is_empty() {
            self.end_line();
        }
        self.close();
        self.leave(0);
        self.page.take()
    }

    fn feed(&mut self, c: char) {
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
        if self.reading == Reading::Words {
            if let Block::Paragraph(flow) = &mut self.block {
                flow.feed(c, &mut self.page);
            }
            return;
        }
        self.line.push(c);
        let tells = match self.reading {
            Reading::Marks => !marks::is_mark(c),
            Reading::Closely => true,
            Reading::WholeLine | Reading::Words => false,
        };
        if tells {
            match self.understand(false) {
                Ok(line) => {
                    self.take(line);
                    self.reading = Reading::Words;
                }
                Err(More::Character) => self.reading = Reading::Closely,
                Err(More::WholeLine) => self.reading = Reading::WholeLine,
            }
        }
    }

    fn end_line(&mut self) {
        if self.reading != Reading::Words
            && let Ok(line) = self.understand(true)
        {
            self.take(line);
        }
        if let Block::Paragraph(flow) = &mut self.block {
            flow.end_line(&mut self.page);
        }
        self.line.clear();
        self.reading = Reading::Marks;
    }

    fn understand(&self, complete: bool) -> Result<Line, More> {
        let leaf = match &self.block {
            Block::None => Leaf::None,
            Block::Paragraph(flow) => Leaf::Paragraph { pipes: flow.pipes },
            Block::Fenced { fence, length, indent, .. } => {
                Leaf::Fenced { fence: *fence, length: *length, indent: *indent }
            }
            Block::Indented { .. } => Leaf::Indented,
            Block::Html(end) => Leaf::Html(*end),
            Block::Table(..) => Leaf::Table,
        };
        block::understand(&self.line, complete, &self.containers, leaf)
    }
}

#[cfg(test)]
mod tests;
