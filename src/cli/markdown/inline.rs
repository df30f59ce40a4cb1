//! Running text: its markup, and the words of it. It says too whether some of the markup could still
//! find its other end in what is to come.

use anstyle::{AnsiColor, Color, Style};
use pulldown_cmark::{CowStr, Event, LinkType, Options, Parser, Tag};
use unicode_width::UnicodeWidthChar as _;

use super::marks::BLANK;
use super::page::Span;
use nexus::internal::clean;

const CODE: Style = Style::new().fg_color(Some(Color::Ansi(AnsiColor::Cyan)));

/// A piece of running text.
#[derive(Debug, PartialEq)]
pub(super) enum Bit {
    Word(Vec<Span>),
    Space(Style),
    Break,
}

/// A text that was read.
pub(super) struct Reading {
    pub(super) bits: Vec<Bit>,
    /// Some markup in it may have its other end in what is still to come.
    pub(super) open: bool,
}

/// Whether a line may end between these two characters though no space is there: beside wide
/// characters, but not in front of what closes or behind what opens.
pub(super) fn parts(one: char, other: char) -> bool {
    let wide = |c: char| c.width() == Some(2);
    let opens =
        |c| matches!(c, '(' | '[' | '{' | '（' | '［' | '｛' | '「' | '『' | '【' | '《' | '〈' | '〔' | '“' | '‘');
    let joins = |c: char| c.width() == Some(0) || ('\u{1f3fb}'..='\u{1f3ff}').contains(&c);
    (wide(one) || wide(other))
        && !(opens(one) || joins(other) || one == '\u{200d}')
        && (other.is_alphanumeric() || opens(other) || (wide(other) && !closes(other)))
}

fn closes(c: char) -> bool {
    matches!(
        c,
        '、' | '。'
            | '，'
            | '．'
            | '・'
            | '：'
            | '；'
            | '？'
            | '！'
            | '）'
            | '］'
            | '｝'
            | '」'
            | '』'
            | '】'
            | '》'
            | '〉'
            | '〕'
            | 'ー'
            | '々'
            | '…'
            | '”'
            | '’'
            | '～'
    )
}

/// Reads running text that stands between these two characters.
pub(super) fn read(text: &str, (before, after): (char, char), base: Style, coloured: bool) -> Reading {
    // No text begins a block behind a letter, and what stands before it decides what markup may be.
    let whole = format!("x{before}{text}");
    let skipped = whole.len() - text.len();
    let mut reader = Reader { bits: Bits::default(), styles: vec![base], links: Vec::new(), coloured };
    let mut waiting = Waiting { whole: &whole, after, brackets: 0 };
    let mut open = false;
    for (event, range) in Parser::new_ext(&whole, Options::ENABLE_STRIKETHROUGH).into_offset_iter() {
        if let Event::Text(words) = event {
            open |= waiting.in_piece(range.start.max(skipped), range.end.max(skipped));
            let words = words.get(skipped.saturating_sub(range.start)..).unwrap_or_default();
            reader.text(words, None);
        } else if !reader.take(event) {
            return Reading { bits: literal(text, base), open: false };
        }
    }
    Reading { bits: reader.bits.end(), open: open || waiting.brackets > 0 }
}

/// The text as it stands.
pub(super) fn literal(text: &str, style: Style) -> Vec<Bit> {
    let mut bits = Bits::default();
    bits.push(&clean::visible(text), style);
    bits.end()
}

/// Looks for markup that was read as plain text and could still find its other end.
struct Waiting<'a> {
    whole: &'a str,
    after: char,
    brackets: usize,
}

impl Waiting<'_> {
    fn in_piece(&mut self, start: usize, end: usize) -> bool {
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
            let waits = match c {
                '`' => true,
                '[' => {
                    self.brackets += 1;
                    false
                }
                ']' => {
                    self.brackets = self.brackets.saturating_sub(1);
                    // An address may follow, and a title in it.
                    after == '(' && !balanced(&self.whole[at..])
                }
                '<' => {
                    (after.is_ascii_alphabetic() || matches!(after, '/' | '!' | '?')) && !self.whole[at..].contains('>')
                }
                '*' => opens,
                '_' => opens && !plain(before),
                // One alone means "about" far more often than it strikes out.
                '~' => opens && run > 1,
                _ => false,
            };
            if waits {
                return true;
            }
            before = c;
        }
        false
    }
}

/// Whether the bracket that a text begins with is closed.
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

/// Makes words of what the parser says.
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
    /// The address is the text.
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

    /// Takes what is not text; false where running text can hold no such thing.
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

    /// A mark that tells without colour what colour would.
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

    /// The address behind the text of a link, unless the text says it.
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

/// Words, gathered.
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
