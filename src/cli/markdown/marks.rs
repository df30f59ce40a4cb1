//! The markers at the beginning of a line (CommonMark, "Leaf blocks" and "Container blocks").

/// White space of Markdown. Other white space of Unicode is text.
pub(super) const BLANK: [char; 3] = [' ', '\t', '\n'];

/// Whether a character may be part of a marker. Any other decides the kind of the line.
pub(super) fn is_mark(c: char) -> bool {
    c.is_ascii_digit() || " \t>#*+-_=`~|.)[<:".contains(c)
}

/// The maximum length of a name in brackets at the beginning of a definition.
pub(super) const NAME: usize = 200;

/// Tags that begin a block which ends at a blank line (CommonMark, HTML blocks, condition 6).
const HTML_BLOCKS: &str = "address article aside blockquote body caption center col colgroup dd details dialog dir div dl dt fieldset \
    figcaption figure footer form frame h1 h2 h3 h4 h5 h6 head header hr html iframe legend li link main menu \
    menuitem nav ol optgroup option p param search section summary table tbody td tfoot th thead title tr track \
    ul";

/// An item of a list.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Item {
    /// The indentation of its other lines.
    pub(super) indent: usize,
    /// Its marker. Items of one list have the same.
    pub(super) mark: char,
    /// Its number, in an ordered list.
    pub(super) number: Option<u64>,
    /// The length of its number, which may begin with zeros.
    pub(super) digits: usize,
    /// Whether it has no text yet.
    pub(super) empty: bool,
}

/// What is needed to classify a line.
#[derive(Debug, PartialEq)]
pub(super) enum NeedMore {
    Character,
    WholeLine,
}

/// A position in a line. Tab stops are every four columns.
pub(super) struct Cursor<'a> {
    text: &'a str,
    column: usize,
    /// The remaining columns of a partly consumed tab.
    spare: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, column: 0, spare: 0 }
    }

    pub(super) fn indent(&self) -> usize {
        let mut column = self.column + self.spare;
        for c in self.text.chars() {
            match c {
                ' ' => column += 1,
                '\t' => column += 4 - column % 4,
                _ => break,
            }
        }
        column - self.column
    }

    pub(super) fn eat_columns(&mut self, columns: usize) {
        for _ in 0..columns {
            if self.spare > 0 {
                self.spare -= 1;
            } else if self.text.starts_with('\t') {
                self.spare = 3 - self.column % 4;
                self.text = &self.text[1..];
            } else if self.text.starts_with(' ') {
                self.text = &self.text[1..];
            } else {
                return;
            }
            self.column += 1;
        }
    }

    fn eat_indent(&mut self) {
        self.eat_columns(self.indent());
    }

    /// Consumes the indentation and this many characters, each one column wide.
    pub(super) fn eat(&mut self, length: usize) {
        self.eat_indent();
        self.text = &self.text[length..];
        self.column += length;
    }

    pub(super) fn rest(&self) -> &'a str {
        self.text.trim_start_matches(BLANK)
    }

    pub(super) fn is_blank(&self) -> bool {
        self.rest().is_empty()
    }

    pub(super) fn text(&self) -> String {
        format!("{}{}", " ".repeat(self.spare), self.text)
    }
}

pub(super) fn heading(rest: &str) -> Option<usize> {
    let level = rest.bytes().take_while(|byte| *byte == b'#').count();
    ((1..=6).contains(&level) && (rest.len() == level || rest[level..].starts_with(BLANK))).then_some(level)
}

pub(super) fn fence(rest: &str) -> Option<(char, usize)> {
    let fence = rest.chars().next().filter(|c| matches!(c, '`' | '~'))?;
    let length = rest.chars().take_while(|c| *c == fence).count();
    (length > 2).then_some((fence, length))
}

pub(super) fn ends_fence(rest: &str, fence: char, length: usize) -> bool {
    let line = rest.trim_end_matches(BLANK);
    line.chars().all(|c| c == fence) && line.len() >= length
}

pub(super) fn is_rule(rest: &str) -> bool {
    let mut marks = rest.chars().filter(|c| !matches!(c, ' ' | '\t'));
    let Some(mark) = marks.next().filter(|c| matches!(c, '*' | '-' | '_')) else { return false };
    let mut count = 1;
    marks.all(|c| {
        count += 1;
        c == mark
    }) && count > 2
}

/// The maximum number of columns of a table. A table with more is text.
pub(super) const COLUMNS: usize = 100;

/// Whether a line is the delimiter row of a table.
pub(super) fn is_delimiter(line: &str) -> bool {
    (1..=COLUMNS).contains(&line.matches('|').count())
        && line.contains('-')
        && line.chars().all(|c| matches!(c, '|' | ':' | '-' | ' ' | '\t'))
}

/// The width of the marker of a list item, and the item.
pub(super) fn item(rest: &str) -> Option<(usize, Item)> {
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let mark = rest[digits..].chars().next()?;
    let number = match (digits, mark) {
        (0, '-' | '+' | '*') => None,
        (1..=9, '.' | ')') => Some(rest[..digits].parse().ok()?),
        _ => return None,
    };
    let width = digits + 1;
    let ends = rest.len() == width || rest[width..].starts_with(BLANK);
    ends.then_some((width, Item { indent: 0, mark, number, digits, empty: false }))
}

/// If an HTML block begins here, the text that ends it; else a blank line does.
pub(super) fn html(rest: &str, in_paragraph: bool, complete: bool) -> Result<Option<Option<&'static str>>, NeedMore> {
    let Some(tag) = rest.strip_prefix('<') else { return Ok(None) };
    if !complete && tag.len() < 12 && tag.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '/' | '!' | '-')) {
        return Err(NeedMore::Character);
    }
    let lower: String = tag.chars().take(12).collect::<String>().to_ascii_lowercase();
    let begins = |name: &str| {
        lower.strip_prefix(name).is_some_and(|after| after.chars().next().is_none_or(|c| !c.is_ascii_alphanumeric()))
    };
    for (name, end) in [("script", "</script>"), ("pre", "</pre>"), ("style", "</style>"), ("textarea", "</textarea>")]
    {
        if begins(name) {
            return Ok(Some(Some(end)));
        }
    }
    if lower.starts_with("!--") {
        return Ok(Some(Some("-->")));
    }
    let named = lower.strip_prefix('/').unwrap_or(&lower);
    let name: String = named.chars().take_while(char::is_ascii_alphanumeric).collect();
    let after = &named[name.len()..];
    // A word that only begins like a tag is text (CommonMark 0.31.2, section 4.6).
    let ends = after.is_empty() || after.starts_with(BLANK) || after.starts_with(['>', '/']);
    if ends && HTML_BLOCKS.split(' ').any(|block| block == name) {
        return Ok(Some(None));
    }
    if in_paragraph || !name.starts_with(|c: char| c.is_ascii_alphabetic()) || tag.len() > NAME {
        return Ok(None);
    }
    // Any other tag that is alone on its line. An autolink is none: it contains a colon.
    if !complete {
        return if tag.contains('>') && !tag.ends_with('>') { Ok(None) } else { Err(NeedMore::Character) };
    }
    let alone = tag.trim_end_matches(BLANK).strip_suffix('>').is_some_and(|inner| !inner.contains(['<', '>']));
    let is_tag = tag.trim_start_matches('/').chars().find(|c| !c.is_ascii_alphanumeric() && *c != '-');
    Ok((alone && is_tag.is_some_and(|c| matches!(c, '>' | ' ' | '\t' | '/'))).then_some(None))
}

/// Whether a line begins with a name in brackets and a colon.
pub(super) fn is_definition(rest: &str) -> bool {
    let name = rest.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    name.is_some_and(|(name, after)| !name.trim().is_empty() && name.len() < NAME && after.starts_with(':'))
}

pub(super) fn task_of(text: &str) -> Option<(bool, String)> {
    let (done, rest) = [("[ ]", false), ("[x]", true), ("[X]", true)]
        .into_iter()
        .find_map(|(box_, done)| text.strip_prefix(box_).map(|rest| (done, rest)))?;
    rest.starts_with(BLANK).then(|| (done, rest.trim_start_matches(BLANK).to_owned()))
}
