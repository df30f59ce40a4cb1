//! Splits running text into text, marks, code, links and line breaks (CommonMark, "Inlines"), in linear time.
//!
//! Mathematics (`$x_1$`, `\(x_1\)`, `\[x_1\]`) stays as it is written.

use std::borrow::Cow;

use super::emphasis::{self, Counts, Run};
use super::escape::{self, Escapes, Place};
use super::link::{self, Angle, Found};
use super::work::work;

/// The maximum depth of brackets.
const DEPTH: usize = 32;

/// What is around a text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Around {
    /// The character before it, which is a newline at the beginning of a line.
    pub(super) before: char,
    pub(super) after: char,
    /// Whether its line has LaTeX before it.
    pub(super) latex: bool,
}

#[derive(Debug)]
pub(super) enum Token<'a> {
    Text(Cow<'a, str>),
    /// The place of a run.
    Run(usize),
    Code {
        /// With its backticks.
        source: &'a str,
        content: &'a str,
    },
    Break,
    LinkStart,
    LinkEnd {
        address: &'a str,
        title: &'a str,
        image: bool,
    },
}

/// A bracket that is not closed yet.
struct Bracket {
    token: usize,
    /// The number of runs before it.
    runs: usize,
    image: bool,
    /// Whether a letter or digit is before it, as in `list[index](argument)`.
    indexes: bool,
    /// False if a link inside of it was closed: links do not nest.
    active: bool,
}

struct Scanner<'a> {
    text: &'a str,
    before: char,
    after: char,
    at: usize,
    /// Where the text since the last token begins.
    from: usize,
    tokens: Vec<Token<'a>>,
    runs: Vec<Run>,
    counts: Counts,
    brackets: Vec<Bracket>,
    escapes: Escapes,
    /// Where the current word begins.
    word: usize,
    /// Where the current line begins, if it does in this text.
    line: Option<usize>,
    /// The lengths of backtick runs and the ends of mathematics that do not follow.
    missing: Vec<Cow<'a, str>>,
    open: bool,
}

/// A text as tokens.
pub(super) struct Scanned<'a> {
    pub(super) tokens: Vec<Token<'a>>,
    pub(super) runs: Vec<Run>,
    /// Whether text to come may close markup in it.
    pub(super) open: bool,
    /// Whether its last line has LaTeX.
    pub(super) latex: bool,
    /// Whether it ends with a backslash that is a line break.
    pub(super) slash: bool,
}

/// Scans a text.
pub(super) fn scan(text: &str, Around { before, after, latex }: Around) -> Scanned<'_> {
    let mut scanner = Scanner {
        text,
        before,
        after,
        at: 0,
        from: 0,
        tokens: Vec::new(),
        runs: Vec::new(),
        counts: Counts::default(),
        brackets: Vec::new(),
        escapes: Escapes::new(latex),
        word: 0,
        line: (before == '\n').then_some(0),
        missing: Vec::new(),
        open: false,
    };
    while let Some(c) = scanner.rest().chars().next() {
        scanner.step(c);
    }
    scanner.end_text();
    let latex = scanner.escapes.latex;
    let (dropped, undecided) = scanner.escapes.end(after);
    let slash = after == '\n' && text.ends_with('\\') && dropped.last() == scanner.tokens.len().checked_sub(1).as_ref();
    for token in dropped {
        scanner.tokens[token] = Token::Text(Cow::Borrowed(""));
    }
    let open = emphasis::pair(&mut scanner.runs)
        || undecided
        || scanner.open
        || scanner.brackets.iter().any(|bracket| bracket.active);
    Scanned { tokens: scanner.tokens, runs: scanner.runs, open, latex, slash }
}

impl<'a> Scanner<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// The character before the current one.
    fn previous(&self) -> char {
        self.text[..self.at].chars().next_back().unwrap_or(self.before)
    }

    fn step(&mut self, c: char) {
        let rest = self.rest();
        self.escapes.latex |= rest.starts_with("^{") || rest.starts_with("_{");
        match c {
            '\\' => self.backslash(),
            '`' => self.code(),
            '*' | '_' | '~' => self.run(c),
            '!' if rest[1..].starts_with('[') => self.bracket(true),
            '[' => self.bracket(false),
            ']' => self.close_bracket(),
            '<' => self.angle(),
            '$' => self.dollar(),
            '\n' => self.push_break(1),
            '&' => match link::reference(rest) {
                Some((c, length)) => self.push(length, Token::Text(Cow::Owned(c.to_string()))),
                None => self.keep(1),
            },
            c => self.keep(c.len_utf8()),
        }
    }

    /// Keeps this many bytes as text.
    fn keep(&mut self, length: usize) {
        for (at, c) in self.rest()[..length].char_indices() {
            self.counts.add(c);
            if c.is_whitespace() {
                self.escapes.end_word();
                self.word = self.at + at + c.len_utf8();
            }
        }
        work(length);
        self.at += length;
    }

    /// Ends the text before the current place.
    fn end_text(&mut self) {
        if self.from < self.at {
            self.tokens.push(Token::Text(Cow::Borrowed(&self.text[self.from..self.at])));
        }
        self.from = self.at;
    }

    /// Adds a token of this length.
    fn push(&mut self, length: usize, token: Token<'a>) {
        self.end_text();
        self.counts.add(if matches!(token, Token::Break) { '\n' } else { 'X' });
        self.at += length;
        self.from = self.at;
        self.tokens.push(token);
    }

    fn push_break(&mut self, length: usize) {
        self.push(length, Token::Break);
        self.escapes.end_line();
        (self.word, self.line) = (self.at, Some(self.at));
    }

    fn backslash(&mut self) {
        let text = &self.rest()[1..];
        let previous = self.previous();
        let place = Place { line: self.line.map(|line| &self.text[line..self.at]), previous, text, after: self.after };
        let next = text.chars().next();
        let ends_line = next.unwrap_or(self.after) == '\n';
        let is_escape = match next {
            Some(c) if !ends_line => self.escapes.is_escape(c, &place),
            _ => ends_line && escape::is_line_break(&self.text[self.word..self.at], self.before),
        };
        if is_escape && !self.is_in_path() {
            self.end_text();
            self.escapes.add(self.tokens.len());
            self.tokens.push(Token::Text(Cow::Borrowed("\\")));
            self.at += 1;
            self.from = self.at;
            return self.keep(if ends_line { 0 } else { 1 });
        }
        match next {
            Some('(') => self.verbatim(2, "\\)"),
            Some('[') => self.verbatim(2, "\\]"),
            Some('\\') => {
                self.escapes.keep_word();
                self.keep(2);
            }
            _ => {
                self.escapes.keep_word();
                let is_command = text.bytes().take(2).filter(u8::is_ascii_alphabetic).count() == 2;
                self.escapes.latex |= is_command && !self.is_in_path();
                self.keep(1);
            }
        }
    }

    /// Whether the current word is a path of Windows.
    fn is_in_path(&self) -> bool {
        let word = &self.text[self.word..];
        escape::is_path(&word[..word.floor_char_boundary(16)])
    }

    /// Keeps the text to this end as it is written. Without the end, the beginning of this length is text.
    fn verbatim(&mut self, begin: usize, end: &'static str) {
        let rest = self.rest();
        if !self.missing.iter().any(|missing| missing == end) {
            if let Some(length) = rest[begin..].find(end) {
                self.lines(begin + length + end.len());
                return;
            }
            work(rest.len());
            self.missing.push(Cow::Borrowed(end));
            self.open = true;
        }
        self.escapes.keep_word();
        self.keep(begin);
    }

    /// Keeps text of this length with its line breaks.
    fn lines(&mut self, length: usize) {
        let end = self.at + length;
        while let Some(line) = self.text[self.at..end].find('\n') {
            self.keep(line);
            self.push_break(1);
        }
        self.keep(end - self.at);
    }

    fn dollar(&mut self) {
        let rest = self.rest();
        if rest.starts_with("$$") {
            return self.verbatim(2, "$$");
        }
        let inner = &rest[1..];
        let first = inner.chars().next().unwrap_or(self.after);
        let name = inner.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').count();
        let is_variable = name > 1 && inner[name..].chars().next().unwrap_or(self.after).is_whitespace();
        work(name);
        // A price or a variable of a shell.
        if first.is_whitespace() || first.is_ascii_digit() || is_variable || self.previous().is_alphanumeric() {
            return self.keep(1);
        }
        match inner.find(['$', '\n']) {
            Some(end) if inner[end..].starts_with('$') => {
                work(end);
                let blank = inner[..end].ends_with(char::is_whitespace);
                let number = inner[end + 1..].starts_with(|c: char| c.is_ascii_digit());
                // The second dollar may begin mathematics too.
                self.keep(if blank || number { 1 } else { end + 2 });
            }
            Some(_) => self.keep(1),
            None => {
                self.open = true;
                self.keep(1);
            }
        }
    }

    fn code(&mut self) {
        let rest = self.rest();
        let length = rest.bytes().take_while(|byte| *byte == b'`').count();
        let fence = &rest[..length];
        if self.missing.iter().any(|missing| missing == fence) {
            return self.keep(length);
        }
        let mut at = length;
        while let Some(next) = rest[at..].find('`') {
            let run = rest[at + next..].bytes().take_while(|byte| *byte == b'`').count();
            work(next + run);
            if run == length {
                let content = &rest[length..at + next];
                let source = &rest[..at + next + run];
                return self.push(source.len(), Token::Code { source, content: trimmed(content) });
            }
            at += next + run;
        }
        self.missing.push(Cow::Borrowed(fence));
        self.open = true;
        self.keep(length);
    }

    fn run(&mut self, mark: char) {
        let rest = self.rest();
        let length = rest.chars().take_while(|c| *c == mark).count();
        let mut following = rest[length..].chars();
        let after = [(); 2].map(|()| following.next().unwrap_or(self.after));
        let mut preceding = self.text[..self.at].chars().rev().chain([self.before]);
        let before = [(); 2].map(|()| preceding.next().unwrap_or(' '));
        let before = [before[1], before[0]];
        let run = Run::new(mark, length, &before, &after, &mut self.counts);
        let Some(run) = run else {
            self.at += length;
            return;
        };
        self.end_text();
        self.at += length;
        self.from = self.at;
        self.tokens.push(Token::Run(self.runs.len()));
        self.runs.push(run);
    }

    fn bracket(&mut self, image: bool) {
        let length = if image { 2 } else { 1 };
        if self.brackets.len() == DEPTH {
            return self.keep(length);
        }
        let indexes = !image && self.previous().is_ascii_alphanumeric();
        self.end_text();
        let (token, runs) = (self.tokens.len(), self.runs.len());
        self.brackets.push(Bracket { token, runs, image, indexes, active: true });
        self.tokens.push(Token::Text(Cow::Borrowed(&self.rest()[..length])));
        self.keep(length);
        self.from = self.at;
    }

    fn close_bracket(&mut self) {
        let Some(bracket) = self.brackets.pop().filter(|bracket| bracket.active) else { return self.keep(1) };
        let after = &self.rest()[1..];
        let found = link::target(after);
        if let Found::Yes(target) = &found {
            work(target.length);
            let is_empty = self.tokens.len() == bracket.token + 1 && self.from == self.at;
            let is_code = bracket.indexes && !target.address.contains([':', '/', '.', '#']);
            if !(is_code || (is_empty && !bracket.image)) {
                self.end_text();
                emphasis::pair(&mut self.runs[bracket.runs..]);
                self.tokens[bracket.token] = Token::LinkStart;
                let (address, title) = (target.address, target.title);
                self.push(1 + target.length, Token::LinkEnd { address, title, image: bracket.image });
                if !bracket.image {
                    self.brackets.iter_mut().filter(|outer| !outer.image).for_each(|outer| outer.active = false);
                }
                return;
            }
        }
        self.open |= found == Found::Unfinished || (after.is_empty() && self.after == '(');
        self.keep(1);
    }

    fn angle(&mut self) {
        match link::angle(self.rest()) {
            Found::Yes(Angle::Address(address)) => {
                self.push(1, Token::LinkStart);
                self.keep(address.len());
                self.push(1, Token::LinkEnd { address, title: "", image: false });
            }
            Found::Yes(Angle::Tag(tag)) => {
                work(tag.len());
                let name = tag.trim_start_matches(['<', '/']).trim_end_matches(['/', '>', ' ']);
                if name.eq_ignore_ascii_case("br") {
                    let after = &self.rest()[tag.len()..];
                    self.push_break(tag.len() + after.len() - after.trim_start_matches([' ', '\t']).len());
                } else {
                    self.lines(tag.len());
                }
            }
            Found::No => self.keep(1),
            Found::Unfinished => {
                self.open = true;
                self.keep(1);
            }
        }
    }
}

/// The content of inline code without the one space at either end that separates it from its backticks.
fn trimmed(content: &str) -> &str {
    let inner = content.strip_prefix([' ', '\n']).and_then(|inner| inner.strip_suffix([' ', '\n']));
    inner.filter(|inner| !inner.trim().is_empty()).unwrap_or(content)
}
