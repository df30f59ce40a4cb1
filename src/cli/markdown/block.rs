//! What a line is: which containers it stays in, which it opens, and what its text begins or goes on
//! with (CommonMark, "Block structure"; tables from GitHub's extension). Pure: it says, and
//! [`super::Rendered`] does.

use super::marks::{self, BLANK, Cursor, Item, More, NAME};

/// A container that is open.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Container {
    Quote,
    Item(Item),
}

/// The innermost block that is open, as far as the next line needs to know it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Leaf {
    None,
    /// Whether its last line could be the head of a table.
    Paragraph {
        pipes: bool,
    },
    Fenced {
        fence: char,
        length: usize,
        indent: usize,
    },
    Indented,
    /// A block of HTML, and what its last line holds; a blank line ends those without.
    Html(Option<&'static str>),
    Table,
}

/// What a line's text is.
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
    /// A line of the code block that is open, or of a new one that is indented.
    Code,
    Html(Option<&'static str>),
    /// A row of a table, or what could be one.
    Row,
    /// The delimiter row below a paragraph's last line.
    Delimiter,
    /// The underline that makes a heading of the paragraph above it.
    Underline(char),
    /// A link's or a footnote's definition.
    Definition,
}

/// A line that was understood.
#[derive(Debug, PartialEq)]
pub(super) struct Line {
    /// How many of the open containers it stays in.
    pub(super) keep: usize,
    pub(super) opened: Vec<Container>,
    pub(super) start: Start,
    /// Whether the innermost item is a task, and done.
    pub(super) task: Option<bool>,
    /// What is left of the line.
    pub(super) text: String,
}

/// How deep containers may lie in each other; markers further in are text.
const DEPTH: usize = 24;

/// Understands a line, or as much of it as has come.
pub(super) fn understand(line: &str, complete: bool, containers: &[Container], leaf: Leaf) -> Result<Line, More> {
    let whole = || if complete { Ok(()) } else { Err(More::WholeLine) };
    let mut cursor = Cursor::new(line);
    let keep = containers.iter().take_while(|container| stays(container, &mut cursor)).count();
    let all = keep == containers.len();
    let understood = |start: Start, text: String| Line { keep, opened: Vec::new(), start, task: None, text };

    match leaf {
        Leaf::Fenced { fence, length, indent } if all => {
            whole()?;
            if cursor.indent() < 4 && marks::ends_fence(cursor.rest(), fence, length) {
                return Ok(understood(Start::FenceEnd, String::new()));
            }
            cursor.eat_columns(indent.min(cursor.indent()));
            return Ok(understood(Start::Code, cursor.text()));
        }
        Leaf::Html(end) if all && !(end.is_none() && cursor.is_blank()) => {
            whole()?;
            return Ok(understood(Start::Html(end), cursor.text()));
        }
        _ => {}
    }

    // A paragraph whose containers the line left goes on all the same, if the line is nothing else.
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
            // Backticks behind backticks are code in a line.
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
                && line.chars().all(|c| c == mark)
            {
                break Start::Underline(mark);
            }
            if leaf == (Leaf::Paragraph { pipes: true }) && marks::is_delimiter(line) {
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
            return Err(More::Character);
        }
        if rest.starts_with('[') && !complete && rest.ends_with(']') {
            return Err(More::Character);
        }
        break if marks::is_definition(rest) { Start::Definition } else { Start::Text };
    };
    let going_on = lazy && !all && opened.is_empty() && start == Start::Text;
    let mut text = match start {
        Start::Code | Start::Html(_) => cursor.text(),
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
    Ok(Line { keep: if going_on { containers.len() } else { keep }, opened, start, task, text })
}

/// Eats what keeps a line in a container.
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
