//! The page: lines with the indents of what they stand in, and words that are wrapped to the width.
//! It only ever adds to its end, so what was handed out is never touched again.

use anstyle::Style;
use unicode_width::UnicodeWidthStr as _;

/// The longest line of running text. On a wider terminal the eye loses the next line's beginning.
const MEASURE: usize = 100;

/// What indents the lines of a quotation.
const QUOTE: &str = "│ ";

/// A part of a word, and how it looks.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Span {
    pub(super) text: String,
    pub(super) style: Style,
}

/// What stands around the lines of a container.
#[derive(Debug)]
enum Frame {
    Quote,
    /// A marker in front of the item's first line, and as much space in front of the others.
    Item {
        marker: String,
        printed: bool,
    },
}

/// Text as it is laid out.
#[derive(Debug)]
pub(super) struct Page {
    out: String,
    width: usize,
    coloured: bool,
    frames: Vec<Frame>,
    /// Columns of the line that has begun; none has where `open` is false.
    column: usize,
    open: bool,
    /// Where the text of the line begins, behind its indents.
    margin: usize,
    /// Anything stands on the page.
    begun: bool,
    /// The width of the line that ended last, without its indents.
    last: usize,
}

/// How many columns a text takes.
pub(super) fn columns(text: &str) -> usize {
    text.width()
}

/// How many columns a word takes.
pub(super) fn word_columns(word: &[Span]) -> usize {
    word.iter().map(|span| columns(&span.text)).sum()
}

impl Page {
    pub(super) fn new(width: usize, coloured: bool) -> Self {
        Self {
            out: String::new(),
            width: width.max(1),
            coloured,
            frames: Vec::new(),
            column: 0,
            open: false,
            margin: 0,
            begun: false,
            last: 0,
        }
    }

    /// What has come since this was last asked.
    pub(super) fn take(&mut self) -> String {
        std::mem::take(&mut self.out)
    }

    /// The terminal was made wider or narrower.
    pub(super) fn resize(&mut self, width: usize) {
        self.width = width.max(1);
    }

    pub(super) fn is_coloured(&self) -> bool {
        self.coloured
    }

    /// Columns for what may use the whole width, such as a table.
    pub(super) fn room(&self) -> usize {
        self.width.saturating_sub(self.indent()).max(1)
    }

    /// Columns for running text.
    pub(super) fn measure(&self) -> usize {
        self.room().min(MEASURE)
    }

    /// The width of the line that ended last, without its indents.
    pub(super) fn last(&self) -> usize {
        self.last
    }

    fn indent(&self) -> usize {
        let width = |frame: &Frame| match frame {
            Frame::Quote => columns(QUOTE),
            Frame::Item { marker, .. } => columns(marker),
        };
        self.frames.iter().map(width).sum()
    }

    pub(super) fn enter_quote(&mut self) {
        self.frames.push(Frame::Quote);
    }

    pub(super) fn enter_item(&mut self, marker: String) {
        self.frames.push(Frame::Item { marker, printed: false });
    }

    /// Another marker for an item that has no line yet.
    pub(super) fn remark(&mut self, other: &str) {
        if let Some(Frame::Item { marker, printed: false }) = self.frames.last_mut() {
            other.clone_into(marker);
        }
    }

    /// Leaves all but the outermost containers.
    pub(super) fn leave(&mut self, kept: usize) {
        self.end_line();
        if self.frames.iter().skip(kept).any(|frame| matches!(frame, Frame::Item { printed: false, .. })) {
            self.begin_line();
            self.end_line();
        }
        self.frames.truncate(kept);
    }

    /// A blank line, but for the bars of quotations; none above the first line.
    pub(super) fn gap(&mut self) {
        self.end_line();
        if !self.begun {
            return;
        }
        let mut line = String::new();
        for frame in &self.frames {
            match frame {
                Frame::Quote => line.push_str(QUOTE),
                Frame::Item { marker, .. } => line.push_str(&" ".repeat(columns(marker))),
            }
        }
        let line = line.trim_end();
        if !line.is_empty() {
            self.put(line, self.dim());
        }
        self.out.push('\n');
    }

    /// Begins a line, where none has.
    pub(super) fn begin_line(&mut self) {
        if self.open {
            return;
        }
        self.open = true;
        self.begun = true;
        let dim = self.dim();
        let mut frames = std::mem::take(&mut self.frames);
        for frame in &mut frames {
            match frame {
                Frame::Quote => self.write(QUOTE, dim),
                Frame::Item { marker, printed: true } => self.write(&" ".repeat(columns(marker)), Style::new()),
                Frame::Item { marker, printed } => {
                    *printed = true;
                    self.write(marker, Style::new());
                }
            }
        }
        self.frames = frames;
        self.margin = self.column;
    }

    /// Ends the line, where one has begun.
    pub(super) fn end_line(&mut self) {
        if !self.open {
            return;
        }
        let end = self.out.trim_end_matches(' ').len();
        self.out.truncate(end);
        self.out.push('\n');
        self.last = self.column.saturating_sub(self.margin);
        self.open = false;
        self.column = 0;
    }

    /// Writes text as it is, wherever it ends.
    pub(super) fn write(&mut self, text: &str, style: Style) {
        self.begin_line();
        self.put(text, style);
        self.column += columns(text);
    }

    /// A line of its own, as it is.
    pub(super) fn line(&mut self, spans: &[Span]) {
        self.end_line();
        self.begin_line();
        for span in spans {
            self.write(&span.text, span.style);
        }
        self.end_line();
    }

    /// The next word of running text, with a space in front of it where one is due; on a line of its
    /// own if the line has no room. A word is never cut.
    pub(super) fn word(&mut self, mut word: &[Span], space: Option<Style>) {
        self.begin_line();
        let begun = self.column > self.margin;
        let space = space.filter(|_| begun);
        let taken = self.column - self.margin + usize::from(space.is_some()) + word_columns(word);
        if begun && taken > self.measure() {
            self.end_line();
            self.begin_line();
        } else if let Some(style) = space {
            if let [first, rest @ ..] = word
                && first.style == style
            {
                self.write(&format!(" {}", first.text), style);
                word = rest;
            } else {
                self.write(" ", style);
            }
        }
        for span in word {
            self.write(&span.text, span.style);
        }
    }

    /// For what frames the text and is not of it.
    pub(super) fn dim(&self) -> Style {
        self.style(Style::new().dimmed())
    }

    /// A style, where there are any.
    pub(super) fn style(&self, style: Style) -> Style {
        if self.coloured { style } else { Style::new() }
    }

    /// Puts text into the output, with its style begun and ended: whenever the program is stopped, the
    /// terminal is as it was.
    fn put(&mut self, text: &str, style: Style) {
        let style = self.style(style);
        if text.is_empty() || style == Style::new() {
            self.out.push_str(text);
        } else {
            self.out.push_str(&format!("{style}{text}{style:#}"));
        }
    }
}
