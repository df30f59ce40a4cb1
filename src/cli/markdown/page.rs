//! The output: lines with the indentation of their containers, and words that are wrapped to the width.

use anstyle::Style;
use unicode_width::UnicodeWidthStr as _;

/// The longest line of running text. Longer lines are hard to read.
const MEASURE: usize = 100;

/// The distance of tab stops.
pub(super) const TAB: usize = 4;

/// The indentation of a quotation.
const QUOTE: &str = "│ ";

/// A part of a word with its style.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Span {
    pub(super) text: String,
    pub(super) style: Style,
}

/// Spaces and tabs before a word.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Space {
    pub(super) text: String,
    pub(super) style: Style,
}

impl Space {
    /// The width of it at this column.
    pub(super) fn columns(&self, at: usize) -> usize {
        let next = |column: usize, c| column + if c == '\t' { TAB - column % TAB } else { 1 };
        self.text.chars().fold(at, next) - at
    }
}

/// The shortest run of spaces in a line that was laid out by hand, such as a drawing or a table.
const ALIGNED: usize = 3;

/// The indentation of a container.
#[derive(Debug)]
enum Frame {
    Quote,
    /// A marker before the first line of the item, and spaces before the others.
    Item {
        marker: String,
        printed: bool,
    },
}

#[derive(Debug)]
pub(super) struct Page {
    out: String,
    width: usize,
    colored: bool,
    frames: Vec<Frame>,
    /// The width of the current line so far.
    column: usize,
    /// Whether a line has begun.
    open: bool,
    /// The width of the indentation of the current line.
    margin: usize,
    /// Whether the current line was laid out by hand, so that it may take the whole width.
    aligned: bool,
    /// Whether there is any output.
    begun: bool,
    /// The width of the last line, without its indentation.
    last: usize,
}

pub(super) fn columns(text: &str) -> usize {
    text.width()
}

pub(super) fn word_columns(word: &[Span]) -> usize {
    word.iter().map(|span| columns(&span.text)).sum()
}

impl Page {
    pub(super) fn new(width: usize, colored: bool) -> Self {
        Self {
            out: String::new(),
            width: width.max(1),
            colored,
            frames: Vec::new(),
            column: 0,
            open: false,
            margin: 0,
            aligned: false,
            begun: false,
            last: 0,
        }
    }

    /// Takes the output since the last call.
    pub(super) fn take(&mut self) -> String {
        std::mem::take(&mut self.out)
    }

    pub(super) fn resize(&mut self, width: usize) {
        self.width = width.max(1);
    }

    pub(super) fn is_colored(&self) -> bool {
        self.colored
    }

    /// The width inside the containers.
    pub(super) fn room(&self) -> usize {
        self.width.saturating_sub(self.indent()).max(1)
    }

    /// The width of running text.
    pub(super) fn measure(&self) -> usize {
        self.room().min(MEASURE)
    }

    /// The width of the last line, without its indentation.
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

    /// Replaces the marker of an item that has no line yet.
    pub(super) fn replace_marker(&mut self, other: &str) {
        if let Some(Frame::Item { marker, printed: false }) = self.frames.last_mut() {
            other.clone_into(marker);
        }
    }

    /// Leaves all containers except the `kept` outermost ones.
    pub(super) fn leave(&mut self, kept: usize) {
        self.end_line();
        if self.frames.iter().skip(kept).any(|frame| matches!(frame, Frame::Item { printed: false, .. })) {
            self.begin_line();
            self.end_line();
        }
        self.frames.truncate(kept);
    }

    /// Writes blank lines with the bars of quotations, unless they would be the first lines.
    pub(super) fn gap(&mut self, lines: usize) {
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
        for _ in 0..lines {
            if !line.is_empty() {
                self.put(line, self.dim());
            }
            self.out.push('\n');
        }
    }

    /// Begins a line, unless one has begun.
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
        self.aligned = false;
    }

    /// Ends the line, if one has begun.
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

    /// Goes on with the line that was ended last.
    pub(super) fn reopen_line(&mut self) {
        if self.out.pop() == Some('\n') {
            (self.open, self.column) = (true, self.margin + self.last);
        }
    }

    /// Writes text without wrapping it.
    pub(super) fn write(&mut self, text: &str, style: Style) {
        self.begin_line();
        self.put(text, style);
        self.column += columns(text);
    }

    /// Writes a line without wrapping it.
    pub(super) fn line(&mut self, spans: &[Span]) {
        self.end_line();
        self.begin_line();
        for span in spans {
            self.write(&span.text, span.style);
        }
        self.end_line();
    }

    /// Writes a word after a space, or on a new line if it does not fit. At the beginning of a line, the space is the
    /// indentation. A word is never broken.
    pub(super) fn word(&mut self, mut word: &[Span], space: Option<Space>) {
        self.begin_line();
        let at = self.column - self.margin;
        let wide = word_columns(word);
        let mut blank = space.as_ref().map_or(0, |space| space.columns(at));
        if at == 0 {
            blank = blank.min(self.room().saturating_sub(wide));
        }
        self.aligned |= blank >= ALIGNED || (at == 0 && blank > 0);
        let limit = if self.aligned { self.room() } else { self.measure() };
        if at > 0 && at + blank + wide > limit {
            self.end_line();
            self.begin_line();
        } else if let Some(space) = space.filter(|_| blank > 0) {
            let blank = " ".repeat(blank);
            if let [first, rest @ ..] = word
                && first.style == space.style
            {
                self.write(&format!("{blank}{}", first.text), space.style);
                word = rest;
            } else {
                self.write(&blank, space.style);
            }
        }
        for span in word {
            self.write(&span.text, span.style);
        }
    }

    /// The style of borders.
    pub(super) fn dim(&self) -> Style {
        self.style(Style::new().dimmed())
    }

    /// The style, or none without colors.
    pub(super) fn style(&self, style: Style) -> Style {
        if self.colored { style } else { Style::new() }
    }

    /// Writes text, with its style reset at its end, so that the terminal is not left colored when the program is
    /// killed.
    fn put(&mut self, text: &str, style: Style) {
        let style = self.style(style);
        if text.is_empty() || style == Style::new() {
            self.out.push_str(text);
        } else {
            self.out.push_str(&format!("{style}{text}{style:#}"));
        }
    }
}
