//! Parses running text into styled words, and finds out whether markup in it is still open.

use anstyle::{AnsiColor, Color, Style};
use pulldown_cmark::{CowStr, Event, LinkType, Options, Parser, Tag};
use unicode_width::UnicodeWidthChar as _;

use super::marks::BLANK;
use super::page::Span;
use nexus::internal::clean;

const CODE: Style = Style::new().fg_color(Some(Color::Ansi(AnsiColor::Cyan)));

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Bit {
    Word(Vec<Span>),
    Space(Style),
    Break,
}

/// Parsed text.
pub(super) struct Parsed {
    pub(super) bits: Vec<Bit>,
    /// Whether markup in it may be closed by text to come.
    pub(super) open: bool,
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

/// Parses running text between these two characters.
pub(super) fn read(text: &str, (before, after): (char, char), base: Style, coloured: bool) -> Parsed {
    // The letter prevents that the text begins a block; the character before it decides what is markup.
    let whole = format!("x{before}{text}");
    let skipped = whole.len() - text.len();
    let mut reader = Reader { bits: Bits::default(), styles: vec![base], links: Vec::new(), coloured };
    let mut markup = OpenMarkup { whole: &whole, after, brackets: 0 };
    let mut open = false;
    for (event, range) in Parser::new_ext(&whole, Options::ENABLE_STRIKETHROUGH).into_offset_iter() {
        if let Event::Text(words) = event {
            open |= markup.is_open_in(range.start.max(skipped), range.end.max(skipped));
            let words = words.get(skipped.saturating_sub(range.start)..).unwrap_or_default();
            reader.text(words, None);
        } else if !reader.take(event) {
            return Parsed { bits: literal(text, base), open: false };
        }
    }
    Parsed { bits: reader.bits.end(), open: open || markup.brackets > 0 }
}

/// Text without markup.
pub(super) fn literal(text: &str, style: Style) -> Vec<Bit> {
    let mut bits = Bits::default();
    bits.push(&clean::visible(text), style);
    bits.end()
}

/// Finds markup that was parsed as text and could still be closed.
struct OpenMarkup<'a> {
    whole: &'a str,
    after: char,
    brackets: usize,
}

impl OpenMarkup<'_> {
    fn is_open_in(&mut self, start: usize, end: usize) -> bool {
        let before = &self.whole[..start];
        let escaped = before.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1;
        let mut before = before.chars().next_back().unwrap_or(' ');
        let plain = |c: char| !c.is_whitespace() && !is_punctuation(c);
        let mut at = start + if escaped { self.whole[start..end].chars().next().map_or(0, char::len_utf8) } else { 0 };
        while let Some(c) = self.whole[at..end].chars().next() {
            let run = match c {
                '*' | '_' | '~' | '`' => self.whole[at..end].chars().take_while(|next| *next == c).count(),
                _ => c.len_utf8(),
            };
            at += run;
            let after = self.whole[at..].chars().next().unwrap_or(self.after);
            let opens = !after.is_whitespace() && (plain(after) || !plain(before));
            let is_open = match c {
                '`' => true,
                '[' => {
                    self.brackets += 1;
                    false
                }
                ']' => {
                    self.brackets = self.brackets.saturating_sub(1);
                    // The address may be incomplete.
                    after == '(' && !balanced(&self.whole[at..])
                }
                '<' => {
                    (after.is_ascii_alphabetic() || matches!(after, '/' | '!' | '?')) && !self.whole[at..].contains('>')
                }
                '*' => opens,
                '_' => opens && !plain(before),
                // A single tilde mostly means "about".
                '~' => opens && run > 1,
                _ => false,
            };
            if is_open {
                return true;
            }
            before = c;
        }
        false
    }
}

/// Whether the bracket at the beginning of the text is closed.
fn balanced(text: &str) -> bool {
    let mut depth = 0_usize;
    text.chars().any(|c| {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0
    })
}

fn is_punctuation(c: char) -> bool {
    c.is_ascii_punctuation() || (!c.is_ascii() && !c.is_alphanumeric() && !c.is_whitespace())
}

/// Turns the events of the parser into words.
struct Reader {
    bits: Bits,
    styles: Vec<Style>,
    links: Vec<Link>,
    coloured: bool,
}

struct Link {
    address: String,
    title: String,
    text: String,
    /// Whether the text is the address.
    bare: bool,
    image: bool,
}

impl Reader {
    fn style(&self) -> Style {
        self.styles.last().copied().unwrap_or_default()
    }

    fn text(&mut self, words: &str, style: Option<Style>) {
        let style = style.unwrap_or_else(|| self.style());
        for link in &mut self.links {
            link.text.push_str(words);
        }
        self.bits.push(&clean::visible(words), style);
    }

    /// Handles an event other than text. False if it does not belong in running text.
    fn take(&mut self, event: Event<'_>) -> bool {
        match event {
            Event::Start(Tag::Paragraph) | Event::End(pulldown_cmark::TagEnd::Paragraph) => {}
            Event::Start(Tag::Emphasis) => self.styles.push(self.style().italic()),
            Event::Start(Tag::Strong) => self.styles.push(self.style().bold()),
            Event::Start(Tag::Strikethrough) => {
                self.unless_coloured("~~");
                self.styles.push(self.style().strikethrough());
            }
            Event::Start(Tag::Link { link_type, dest_url, title, .. }) => {
                let bare = matches!(link_type, LinkType::Autolink | LinkType::Email);
                self.link(&dest_url, &title, bare, false);
            }
            Event::Start(Tag::Image { dest_url, title, .. }) => self.link(&dest_url, &title, false, true),
            Event::End(end) => {
                self.styles.pop();
                match end {
                    pulldown_cmark::TagEnd::Strikethrough => self.unless_coloured("~~"),
                    pulldown_cmark::TagEnd::Link | pulldown_cmark::TagEnd::Image => self.address(),
                    _ => {}
                }
            }
            Event::Code(code) => {
                self.unless_coloured("`");
                let style = self.style().fg_color(CODE.get_fg_color());
                self.text(&code, Some(style));
                self.unless_coloured("`");
            }
            Event::InlineHtml(tag) | Event::Html(tag) => self.tag(&tag),
            Event::SoftBreak => self.text(" ", None),
            Event::HardBreak => self.bits.line(),
            _ => return false,
        }
        true
    }

    /// Prints a mark that replaces a style if there are no colours.
    fn unless_coloured(&mut self, mark: &str) {
        if !self.coloured {
            self.text(mark, None);
        }
    }

    fn tag(&mut self, tag: &CowStr<'_>) {
        let name: String = tag.chars().filter(char::is_ascii_alphabetic).collect();
        if name.eq_ignore_ascii_case("br") {
            self.bits.line();
        } else {
            self.text(tag, None);
        }
    }

    fn link(&mut self, address: &str, title: &str, bare: bool, image: bool) {
        let link = Link { address: address.into(), title: title.into(), text: String::new(), bare, image };
        self.links.push(link);
        self.styles.push(self.style().underline());
    }

    /// Prints the address after the text of a link, unless they are the same.
    fn address(&mut self) {
        let Some(link) = self.links.pop() else { return };
        if link.image && link.text.is_empty() {
            self.text("image", None);
        }
        if link.bare || (link.address == link.text && link.title.is_empty()) {
            return;
        }
        let title = if link.title.is_empty() { String::new() } else { format!(" \"{}\"", link.title) };
        self.text(&format!(" ({}{title})", link.address), Some(self.style().dimmed()));
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
                if !matches!(self.done.last(), Some(Bit::Space(_) | Bit::Break)) {
                    self.done.push(Bit::Space(style));
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
