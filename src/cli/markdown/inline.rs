//! Turns running text into styled words.

use anstyle::{AnsiColor, Color, Style};
use unicode_width::UnicodeWidthChar as _;

use super::emphasis::Run;
use super::marks::BLANK;
use super::page::{Space, Span};
use super::scan::{Around, Token, scan};
use super::work::work;
use nexus::internal::clean;

const CODE: Style = Style::new().fg_color(Some(Color::Ansi(AnsiColor::Cyan)));

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Bit {
    Word(Vec<Span>),
    Space(Space),
    Break,
}

/// Parsed text.
pub(super) struct Parsed {
    pub(super) bits: Vec<Bit>,
    /// Whether markup in it may be closed by text to come.
    pub(super) open: bool,
    /// Whether its last line has LaTeX.
    pub(super) latex: bool,
    /// Whether it ends with a backslash that is a line break.
    pub(super) slash: bool,
}

/// Whether a line may break between two characters without a space: beside wide characters, but not before closing or
/// after opening punctuation.
pub(super) fn parts(one: char, other: char) -> bool {
    let wide = |c: char| c.width() == Some(2);
    let opens = |c| "([{（［｛「『【《〈〔“‘".contains(c);
    let closes = |c| "、。，．・：；？！）］｝」』】》〉〕ー々…”’～".contains(c);
    let joins = |c: char| c.width() == Some(0) || ('\u{1f3fb}'..='\u{1f3ff}').contains(&c);
    (wide(one) || wide(other))
        && !(opens(one) || joins(other) || one == '\u{200d}')
        && (other.is_alphanumeric() || opens(other) || (wide(other) && !closes(other)))
}

/// Parses running text.
pub(super) fn read(text: &str, around: Around, base: Style, colored: bool) -> Parsed {
    work(text.len());
    let scanned = scan(text, around);
    let mut printer = Printer { bits: Bits::default(), styles: vec![base], links: Vec::new(), colored };
    for token in &scanned.tokens {
        match token {
            Token::Text(words) => printer.text(words, None),
            Token::Run(run) => printer.run(&scanned.runs[*run]),
            Token::Code { source, content } => {
                let style = printer.style().fg_color(CODE.get_fg_color());
                printer.text(&(if colored { content } else { source }).replace('\n', " "), Some(style));
            }
            Token::Break => printer.line(),
            Token::LinkStart => printer.begin_link(),
            Token::LinkEnd { address, title, image } => printer.end_link(address, title, *image),
        }
    }
    Parsed { bits: printer.bits.end(), open: scanned.open, latex: scanned.latex, slash: scanned.slash }
}

/// Text without markup.
pub(super) fn literal(text: &str, style: Style) -> Vec<Bit> {
    let mut bits = Bits::default();
    bits.push(&clean::visible(text), style);
    bits.end()
}

/// Turns tokens into words.
struct Printer {
    bits: Bits,
    styles: Vec<Style>,
    /// The texts of the open links.
    links: Vec<String>,
    colored: bool,
}

impl Printer {
    fn style(&self) -> Style {
        self.styles.last().copied().unwrap_or_default()
    }

    fn text(&mut self, words: &str, style: Option<Style>) {
        let style = style.unwrap_or_else(|| self.style());
        for link in &mut self.links {
            link.push_str(words);
        }
        self.bits.push(&clean::visible(words), style);
    }

    fn line(&mut self) {
        self.links.iter_mut().for_each(|link| link.push(' '));
        self.bits.line();
    }

    fn run(&mut self, run: &Run) {
        for length in &run.closed {
            self.styles.pop();
            self.unless_colored(run.mark, *length);
        }
        self.text(&run.mark.to_string().repeat(run.left), None);
        for length in run.opened.iter().rev() {
            self.unless_colored(run.mark, *length);
            let style = self.style();
            self.styles.push(match (run.mark, length) {
                ('~', _) => style.strikethrough(),
                (_, 1) => style.italic(),
                _ => style.bold(),
            });
        }
    }

    /// Prints marks, which say without colors what a style says otherwise.
    fn unless_colored(&mut self, mark: char, length: usize) {
        if !self.colored {
            self.text(&mark.to_string().repeat(length), None);
        }
    }

    fn begin_link(&mut self) {
        self.links.push(String::new());
        self.styles.push(self.style().underline());
    }

    /// Prints the address after the text of a link, unless they are the same.
    fn end_link(&mut self, address: &str, title: &str, image: bool) {
        self.styles.pop();
        let text = self.links.pop().unwrap_or_default();
        if image && text.is_empty() {
            self.text("image", None);
        }
        if text == address && title.is_empty() {
            return;
        }
        let title = if title.is_empty() { String::new() } else { format!(" \"{title}\"") };
        self.text(&format!(" ({address}{title})"), Some(self.style().dimmed()));
    }
}

#[derive(Default)]
struct Bits {
    done: Vec<Bit>,
    word: Vec<Span>,
    last: Option<char>,
}

impl Bits {
    fn push(&mut self, text: &str, style: Style) {
        for c in text.chars() {
            if BLANK.contains(&c) {
                self.end_word();
                let c = if c == '\n' { ' ' } else { c };
                match self.done.last_mut() {
                    Some(Bit::Space(space)) => space.text.push(c),
                    _ => self.done.push(Bit::Space(Space { text: c.into(), style })),
                }
                continue;
            }
            if self.last.is_some_and(|last| parts(last, c)) {
                self.end_word();
            }
            self.last = Some(c);
            match self.word.last_mut().filter(|span| span.style == style) {
                Some(span) => span.text.push(c),
                None => self.word.push(Span { text: c.into(), style }),
            }
        }
    }

    fn line(&mut self) {
        self.end_word();
        if matches!(self.done.last(), Some(Bit::Space(_))) {
            self.done.pop();
        }
        self.done.push(Bit::Break);
    }

    fn end_word(&mut self) {
        self.last = None;
        if !self.word.is_empty() {
            self.done.push(Bit::Word(std::mem::take(&mut self.word)));
        }
    }

    fn end(mut self) -> Vec<Bit> {
        self.end_word();
        self.done
    }
}
