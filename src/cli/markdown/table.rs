//! Tables. Columns are fitted into the width and cells are wrapped. If that is too narrow, each cell is a line. A table
//! that would take much more room than its source is printed as it is written.

use anstyle::Style;

use super::code::untabbed;
use super::inline::{self, Bit};
use super::marks::{BLANK, COLUMNS};
use super::page::{Page, Space, Span, columns, word_columns};
use super::scan::Around;
use nexus::internal::clean;

const BAR: &str = " │ ";
const CROSS: &str = "─┼─";

/// What is around the text of a cell.
const CELL: Around = Around { before: ' ', after: ' ', latex: false };

/// The maximum length of the rows that are held back, in bytes. Then they are printed, and the rest is a table of its
/// own.
const HELD: usize = 32 * 1_024;

/// How many times the length of its source a table may take.
const GROWTH: usize = 30;

/// The bytes that the style of a bar or of a name takes.
const STYLE: usize = 8;

/// The length of the source of small tables, which may take as much as this one.
const SMALL: usize = 200;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Side {
    Left,
    Middle,
    Right,
}

/// A table, which is held until it is complete.
#[derive(Debug, Default)]
pub(super) struct Table {
    head: Option<String>,
    delimiter: String,
    sides: Vec<Side>,
    rows: Vec<String>,
    /// The length of the rows.
    held: usize,
}

type Cell = Vec<Bit>;

/// A line of a cell, with its width.
type CellLine = (Vec<Span>, usize);

impl Table {
    /// A line that is the head of a table if a delimiter row follows.
    pub(super) fn candidate(head: &str) -> Self {
        Self { head: Some(head.to_owned()), ..Self::default() }
    }

    /// A table whose head was already printed as text.
    pub(super) fn headless(delimiter: &str) -> Self {
        let mut table = Self::default();
        table.confirm(delimiter);
        table
    }

    pub(super) fn is_confirmed(&self) -> bool {
        !self.sides.is_empty()
    }

    /// Whether the head was already printed.
    pub(super) fn is_headless(&self) -> bool {
        self.head.is_none()
    }

    pub(super) fn head(&self) -> &str {
        self.head.as_deref().unwrap_or_default()
    }

    /// Adds the delimiter row.
    pub(super) fn confirm(&mut self, delimiter: &str) {
        let side = |cell: String| match (cell.starts_with(':'), cell.ends_with(':')) {
            (true, true) => Side::Middle,
            (false, true) => Side::Right,
            _ => Side::Left,
        };
        self.sides = cells(delimiter).into_iter().map(side).collect();
        delimiter.clone_into(&mut self.delimiter);
    }

    /// Adds a row. Returns the rows so far if they are long enough to be printed.
    pub(super) fn row(&mut self, row: &str) -> Option<Self> {
        self.held += row.len();
        self.rows.push(row.to_owned());
        if self.held < HELD {
            return None;
        }
        let (sides, delimiter) = (self.sides.clone(), self.delimiter.clone());
        Some(std::mem::replace(self, Self { sides, delimiter, ..Self::default() }))
    }

    pub(super) fn print(self, page: &mut Page) {
        let bold = page.style(Style::new().bold());
        let read = |row: &str, style: Style| -> Vec<Cell> {
            cells(row).iter().map(|cell| inline::read(cell, CELL, style, page.is_colored()).bits).collect()
        };
        let head = self.head.as_deref().map(|head| read(head, bold));
        let rows: Vec<_> = self.rows.iter().map(|row| read(row, Style::new())).collect();
        let count = head.iter().chain(&rows).map(Vec::len).chain([self.sides.len()]).max().unwrap_or(1);
        let most = (self.held + self.head().len() + self.delimiter.len()).max(SMALL) * GROWTH;
        if count <= COLUMNS {
            match widths(head.iter().chain(&rows), count, page.room()) {
                Some(widths) => {
                    let laid_out = SideBySide::new(head.as_deref(), &rows, widths);
                    if laid_out.size() <= most {
                        return laid_out.print(&self.sides, page);
                    }
                }
                None if rows.len() * (self.head().len() + count * (2 * STYLE + 4)) <= most => {
                    return one_by_one(head.as_deref().unwrap_or_default(), &rows, page);
                }
                None => {}
            }
        }
        let lines = self.head.iter().chain([&self.delimiter]).chain(&self.rows);
        lines.for_each(|line| page.line(&[Span { text: untabbed(&clean::visible(line)), style: Style::new() }]));
    }
}

/// The cells of a row. A bar after a backslash is text.
fn cells(row: &str) -> Vec<String> {
    let row = row.trim_matches(BLANK);
    let row = row.strip_prefix('|').unwrap_or(row);
    let (mut cells, mut cell, mut escaped) = (Vec::new(), String::new(), false);
    for c in row.chars() {
        if c == '|' && escaped {
            cell.pop();
            cell.push(c);
        } else if c == '|' {
            cells.push(std::mem::take(&mut cell).trim_matches(BLANK).to_owned());
        } else {
            cell.push(c);
        }
        escaped = c == '\\' && !escaped;
    }
    if !cell.trim_matches(BLANK).is_empty() || cells.is_empty() {
        cells.push(cell.trim_matches(BLANK).to_owned());
    }
    cells
}

/// The width of each column. None if the longest words do not fit.
fn widths<'a>(rows: impl Iterator<Item = &'a Vec<Cell>>, count: usize, room: usize) -> Option<Vec<usize>> {
    let (mut wanted, mut least) = (vec![1; count], vec![1; count]);
    for row in rows {
        for (at, cell) in row.iter().enumerate() {
            let whole = wrap(cell, usize::MAX).iter().map(|(_, width)| *width).max().unwrap_or(0);
            let words = cell.iter().map(|bit| if let Bit::Word(word) = bit { word_columns(word) } else { 0 });
            wanted[at] = whole.max(wanted[at]);
            least[at] = words.max().unwrap_or(0).max(least[at]);
        }
    }
    let room = room.checked_sub(columns(BAR) * (count - 1))?;
    if wanted.iter().sum::<usize>() <= room {
        return Some(wanted);
    }
    if least.iter().sum::<usize>() > room {
        return None;
    }
    // The widest column gives first.
    let mut widths = wanted;
    let mut over = widths.iter().sum::<usize>() - room;
    while over > 0 {
        let (at, _) = widths
            .iter()
            .enumerate()
            .filter(|(at, width)| **width > least[*at])
            .max_by_key(|(at, width)| (**width, usize::MAX - at))?;
        let next = widths.iter().copied().filter(|width| *width < widths[at]).max().unwrap_or(0);
        let give = (widths[at] - next.max(least[at])).clamp(1, over);
        widths[at] -= give;
        over -= give;
    }
    Some(widths)
}

/// The lines of a cell, wrapped to this width.
fn wrap(cell: &Cell, width: usize) -> Vec<CellLine> {
    let mut lines: Vec<CellLine> = vec![(Vec::new(), 0)];
    let mut space = None;
    for bit in cell {
        match bit {
            Bit::Space(blank) => space = Some(blank),
            Bit::Break => {
                lines.push((Vec::new(), 0));
                space = None;
            }
            Bit::Word(word) => {
                let space = space.take();
                let wide = word_columns(word);
                let full = lines.last().is_some_and(|(_, taken)| {
                    let blank = space.map_or(0, |space: &Space| space.columns(*taken));
                    *taken > 0 && *taken + blank + wide > width
                });
                if full {
                    lines.push((Vec::new(), 0));
                }
                let Some((line, taken)) = lines.last_mut() else { continue };
                if let Some(space) = space.filter(|_| *taken > 0) {
                    let blank = space.columns(*taken);
                    line.push(Span { text: " ".repeat(blank), style: space.style });
                    *taken += blank;
                }
                line.extend(word.iter().cloned());
                *taken += wide;
            }
        }
    }
    lines
}

/// A table whose cells are wrapped to the widths of their columns.
struct SideBySide {
    head: Option<Vec<Vec<CellLine>>>,
    rows: Vec<Vec<Vec<CellLine>>>,
    widths: Vec<usize>,
    /// Whether cells have several lines. Then rules separate the rows.
    ruled: bool,
}

impl SideBySide {
    fn new(head: Option<&[Cell]>, rows: &[Vec<Cell>], widths: Vec<usize>) -> Self {
        let wrapped = |row: &[Cell]| -> Vec<Vec<CellLine>> {
            row.iter().zip(&widths).map(|(cell, width)| wrap(cell, *width)).collect()
        };
        let rows: Vec<_> = rows.iter().map(|row| wrapped(row)).collect();
        let ruled = rows.iter().flatten().any(|lines| lines.len() > 1);
        Self { head: head.map(wrapped), rows, widths, ruled }
    }

    /// About how many bytes it takes.
    fn size(&self) -> usize {
        let (width, count) = (self.widths.iter().sum::<usize>(), self.widths.len());
        let line = width + (BAR.len() + STYLE) * count;
        let rule = if self.ruled { "─".len() * (width + columns(CROSS) * count) } else { 0 };
        self.rows.iter().map(|row| height(row) * line + rule).sum()
    }

    fn print(&self, sides: &[Side], page: &mut Page) {
        if let Some(head) = &self.head {
            row(head, &self.widths, sides, page);
        }
        rule(&self.widths, page);
        for (at, cells) in self.rows.iter().enumerate() {
            if self.ruled && at > 0 {
                rule(&self.widths, page);
            }
            row(cells, &self.widths, sides, page);
        }
    }
}

fn height(row: &[Vec<CellLine>]) -> usize {
    row.iter().map(Vec::len).max().unwrap_or(1)
}

fn rule(widths: &[usize], page: &mut Page) {
    let lines: Vec<_> = widths.iter().map(|width| "─".repeat(*width)).collect();
    page.line(&[Span { text: lines.join(CROSS), style: page.dim() }]);
}

fn row(cells: &[Vec<CellLine>], widths: &[usize], sides: &[Side], page: &mut Page) {
    let space = |width: usize| Span { text: " ".repeat(width), style: Style::new() };
    for at in 0..height(cells) {
        let mut line = Vec::new();
        for (column, width) in widths.iter().enumerate() {
            if column > 0 {
                line.push(Span { text: BAR.into(), style: page.dim() });
            }
            let (spans, taken) = cells.get(column).and_then(|lines| lines.get(at)).cloned().unwrap_or_default();
            let left = width.saturating_sub(taken);
            let before = match sides.get(column) {
                Some(Side::Right) => left,
                Some(Side::Middle) => left / 2,
                _ => 0,
            };
            line.push(space(before));
            line.extend(spans);
            line.push(space(left - before));
        }
        page.line(&line);
    }
}

/// Prints each cell on a line, after the name of its column.
fn one_by_one(head: &[Cell], rows: &[Vec<Cell>], page: &mut Page) {
    let dim = page.dim();
    if rows.is_empty() {
        head.iter().for_each(|name| print(name, page));
    }
    for (at, row) in rows.iter().enumerate() {
        if at > 0 {
            page.line(&[Span { text: "──".into(), style: dim }]);
        }
        for column in 0..row.len().max(head.len()) {
            page.begin_line();
            if let Some(name) = head.get(column) {
                print_words(name, page);
                page.write(":", dim);
            }
            if let Some(cell) = row.get(column) {
                let space = Space { text: " ".into(), style: Style::new() };
                print_words(&[&[Bit::Space(space)][..], cell].concat(), page);
            }
            page.end_line();
        }
    }
}

fn print(cell: &Cell, page: &mut Page) {
    print_words(cell, page);
    page.end_line();
}

fn print_words(cell: &[Bit], page: &mut Page) {
    let mut space = None;
    for bit in cell {
        match bit {
            Bit::Word(word) => page.word(word, space.take()),
            Bit::Space(blank) => space = Some(blank.clone()),
            Bit::Break => {
                page.end_line();
                space = None;
            }
        }
    }
}
