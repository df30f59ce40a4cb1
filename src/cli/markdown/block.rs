//! Classifies a line: the containers it stays in and opens, and the block that it begins or continues (CommonMark,
//! "Block structure"; tables from GitHub's extension).

use super::marks::{self, BLANK, Cursor, Item, NAME, NeedMore};

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Container {
    Quote,
    Item(Item),
}

/// What the classification of a line needs to know about the innermost open block.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Leaf {
    None,
    /// `pipes`: whether its last line could be the head of a table.
    /// `mathematics`: whether display mathematics in it is open.
    Paragraph {
        pipes: bool,
        mathematics: bool,
    },
    Fenced {
        fence: char,
        length: usize,
        indent: usize,
    },
    Indented,
    /// An HTML block, and the text that ends it; else a blank line does.
    Html(Option<&'static str>),
    Table,
}

/// What a line begins or continues.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Start {
    Blank,
    Text,
    Heading(usize),
    Rule,
    Fence {
        fence: char,
        length: usize,
        indent: usize,
    },
    FenceEnd,
    /// A line of the open code block, or of a new indented one.
    Code,
    Html(Option<&'static str>),
    /// A row of a table, or a line that could be one.
    Row,
    /// The delimiter row below a paragraph's last line.
    Delimiter,
    /// The underline that makes the paragraph above it a heading.
    Underline(char),
    /// The definition of a link or a footnote.
    Definition,
}

/// A classified line.
#[derive(Debug, PartialEq)]
pub(super) struct Line {
    /// The number of open containers that it stays in.
    pub(super) keep: usize,
    pub(super) opened: Vec<Container>,
    pub(super) start: Start,
    /// If the innermost item is a task, whether it is done.
    pub(super) task: Option<bool>,
    /// The rest of the line.
    pub(super) text: String,
}

/// The maximum depth of containers. Deeper markers are text. Every line begins with the marks of all of them.
const DEPTH: usize = 10;

/// The shortest underline of a heading. CommonMark allows one character, but a line `=` is a part of a calculation.
const UNDERLINE: usize = 3;

/// Classifies a line, or the beginning of one.
pub(super) fn classify(line: &str, complete: bool, containers: &[Container], leaf: Leaf) -> Result<Line, NeedMore> {
    let whole = || if complete { Ok(()) } else { Err(NeedMore::WholeLine) };
    let mut cursor = Cursor::new(line);
    let keep = containers.iter().take_while(|container| stays(container, &mut cursor)).count();
    let all = keep == containers.len();
    let classified = |start: Start, text: String| Line { keep, opened: Vec::new(), start, task: None, text };

    match leaf {
        Leaf::Fenced { fence, length, indent } if all => {
            whole()?;
            if cursor.indent() < 4 && marks::ends_fence(cursor.rest(), fence, length) {
                return Ok(classified(Start::FenceEnd, String::new()));
            }
            cursor.eat_columns(indent.min(cursor.indent()));
            return Ok(classified(Start::Code, cursor.text()));
        }
        Leaf::Html(end) if all && !(end.is_none() && cursor.is_blank()) => {
            whole()?;
            return Ok(classified(Start::Html(end), cursor.text()));
        }
        // Its lines may begin with `-`, `+`, `=` or `>`.
        Leaf::Paragraph { mathematics: true, .. } if all && !cursor.is_blank() => {
            return Ok(classified(Start::Text, words(&cursor, containers.last())));
        }
        _ => {}
    }

    // Lazy continuation: plain text continues a paragraph even without the markers of its containers.
    let lazy = matches!(leaf, Leaf::Paragraph { .. });
    let mut opened: Vec<Container> = Vec::new();
    let start = loop {
        let inside = lazy && all && opened.is_empty();
        let rest = cursor.rest();
        if rest.is_empty() {
            whole()?;
            break Start::Blank;
        }
        if cursor.indent() > 3 {
            if lazy && opened.is_empty() {
                break Start::Text;
            }
            whole()?;
            cursor.eat_columns(4);
            break Start::Code;
        }
        let deep = keep + opened.len() >= DEPTH;
        if rest.starts_with('>') && !deep {
            cursor.eat(1);
            cursor.eat_columns(1.min(cursor.indent()));
            opened.push(Container::Quote);
            continue;
        }
        if let Some(level) = marks::heading(rest) {
            whole()?;
            break Start::Heading(level);
        }
        if let Some((fence, length)) = marks::fence(rest) {
            whole()?;
            // With more backticks, it is inline code.
            if fence != '`' || !rest[length..].contains('`') {
                break Start::Fence { fence, length, indent: cursor.indent() };
            }
        }
        if let Some(end) = marks::html(rest, lazy && opened.is_empty(), complete)? {
            whole()?;
            break Start::Html(end);
        }
        if inside && complete {
            let line = rest.trim_end_matches(BLANK);
            if let Some(mark) = line.chars().next().filter(|mark| matches!(mark, '=' | '-'))
                && line.len() >= UNDERLINE
                && line.chars().all(|c| c == mark)
            {
                break Start::Underline(mark);
            }
            if matches!(leaf, Leaf::Paragraph { pipes: true, .. }) && marks::is_delimiter(line) {
                break Start::Delimiter;
            }
        }
        if complete && marks::is_rule(rest) {
            break Start::Rule;
        }
        if let Some((width, item)) = marks::item(rest).filter(|_| !deep) {
            let bare = rest[width..].trim_start_matches(BLANK).is_empty();
            if !(inside && (bare || item.number.is_some_and(|number| number != 1))) {
                let before = cursor.indent();
                cursor.eat(width);
                let after = cursor.indent();
                let padding = if bare || after > 4 { 1 } else { after };
                cursor.eat_columns(padding.min(after));
                opened.push(Container::Item(Item { indent: before + width + padding, empty: bare, ..item }));
                continue;
            }
        }
        if (leaf == Leaf::Table && all && opened.is_empty() && (!complete || rest.contains('|')))
            || rest.starts_with('|')
        {
            whole()?;
            break Start::Row;
        }
        if rest.starts_with('[') && !complete && !rest.contains(']') && rest.len() < NAME {
            return Err(NeedMore::Character);
        }
        if rest.starts_with('[') && !complete && rest.ends_with(']') {
            return Err(NeedMore::Character);
        }
        break if marks::is_definition(rest) { Start::Definition } else { Start::Text };
    };
    let continued = lazy && !all && opened.is_empty() && start == Start::Text;
    let mut text = match start {
        Start::Code | Start::Html(_) => cursor.text(),
        Start::Text | Start::Row if !continued => words(&cursor, opened.last().or(containers[..keep].last())),
        _ => cursor.rest().to_owned(),
    };
    let mut task = None;
    if start == Start::Text
        && matches!(opened.last(), Some(Container::Item(_)))
        && let Some((done, rest)) = marks::task_of(&text)
    {
        task = Some(done);
        text = rest;
    }
    Ok(Line { keep: if continued { containers.len() } else { keep }, opened, start, task, text })
}

/// The text of a line of a paragraph. Its indentation is a part of it, but not in an item of a list, where it only
/// shows that the line belongs to the item.
fn words(cursor: &Cursor<'_>, container: Option<&Container>) -> String {
    match container {
        Some(Container::Item(_)) => cursor.rest().to_owned(),
        _ => cursor.text(),
    }
}

/// Whether the line stays in the container. Consumes the marker that says so.
fn stays(container: &Container, cursor: &mut Cursor<'_>) -> bool {
    match container {
        Container::Quote if cursor.indent() < 4 && cursor.rest().starts_with('>') => {
            cursor.eat(1);
            cursor.eat_columns(1.min(cursor.indent()));
            true
        }
        Container::Quote => false,
        Container::Item(item) if cursor.is_blank() => !item.empty,
        Container::Item(item) if cursor.indent() >= item.indent => {
            cursor.eat_columns(item.indent);
            true
        }
        Container::Item(_) => false,
    }
}
