//! Applies a classified line to the page.

use anstyle::Style;

use super::block::{Container, Line, Start};
use super::code::{Code, untabbed};
use super::flow::Flow;
use super::marks::{self, BLANK, Item};
use super::page::Span;
use super::table::Table;
use super::{Block, LastItem, Rendered};
use nexus::internal::clean;

/// The markers of unnumbered lists, by depth.
const BULLETS: [&str; 3] = ["• ", "◦ ", "▪ "];

/// The maximum number of blank lines between two blocks.
const BLANKS: usize = 3;

impl Rendered {
    pub(super) fn apply(&mut self, line: Line) {
        self.line.clear();
        let inside = line.keep == self.containers.len() && line.opened.is_empty();
        let start = if inside { self.continue_block(line.start, &line.text) } else { Some(line.start) };
        let Some(start) = start else { return };
        self.close();
        self.leave(line.keep);
        if start == Start::Blank && line.opened.is_empty() {
            self.blank += 1;
            return;
        }
        let spaced = self.is_spaced(&start);
        let due = self.blank.clamp(usize::from(self.spaced || spaced), BLANKS);
        // Whether this is a table is known only at its end.
        let later = start == Start::Row && line.opened.is_empty();
        if due > 0 && !later {
            self.page.gap(due);
        }
        (self.blank, self.spaced) = (0, spaced && !matches!(start, Start::Heading(_)));
        line.opened.into_iter().for_each(|container| self.enter(container));
        if let Some(done) = line.task {
            let mark = match (self.page.is_colored(), done) {
                (true, false) => "☐ ",
                (true, true) => "☑ ",
                (false, false) => "[ ] ",
                (false, true) => "[x] ",
            };
            self.page.replace_marker(mark);
        }
        let depth = self.containers.len();
        if start != Start::Blank {
            // Another block ends the list at this depth.
            self.lists.truncate(depth);
            self.fill();
        }
        if start == Start::Row {
            self.block = Block::Table(Table::candidate(&line.text), if later { due } else { 0 });
        } else {
            self.begin(start, &line.text);
        }
    }

    /// Marks the open items as not empty.
    fn fill(&mut self) {
        for container in &mut self.containers {
            if let Container::Item(item) = container {
                item.empty = false;
            }
        }
    }

    /// Continues the innermost block. If the line begins another, returns that.
    fn continue_block(&mut self, start: Start, text: &str) -> Option<Start> {
        match (&mut self.block, start) {
            (Block::Paragraph(flow), Start::Text) => {
                flow.begin_line();
                text.chars().for_each(|c| flow.feed(c, &mut self.page));
            }
            (Block::Paragraph(_), Start::Underline(mark)) => {
                self.close();
                let line = if mark == '=' { "═" } else { "─" };
                let text = line.repeat(self.page.last().max(3));
                self.page.line(&[Span { text, style: self.page.style(Style::new().bold()) }]);
            }
            (Block::Paragraph(_), Start::Delimiter) => {
                self.close();
                self.block = Block::Table(Table::headless(text), 0);
            }
            (Block::Fenced { code, .. }, Start::Code) => code.line(text, &mut self.page),
            (Block::Fenced { .. }, Start::FenceEnd) => self.close(),
            (Block::Indented { code, blank }, Start::Code) => {
                (0..std::mem::take(blank)).for_each(|_| code.line("", &mut self.page));
                code.line(text, &mut self.page);
            }
            (Block::Indented { blank, .. }, Start::Blank) => *blank += 1,
            (Block::Html(end), Start::Html(_)) => {
                let ends = end.is_some_and(|end| text.to_ascii_lowercase().contains(end));
                self.verbatim(text);
                if ends {
                    self.close();
                }
            }
            (Block::Table(table, _), Start::Row) if table.is_confirmed() => {
                if let Some(full) = table.row(text) {
                    full.print(&mut self.page);
                }
            }
            (Block::Table(table, _), Start::Row) if marks::is_delimiter(text) => table.confirm(text),
            (_, start) => return Some(start),
        }
        None
    }

    fn begin(&mut self, start: Start, text: &str) {
        match start {
            Start::Text | Start::Definition => {
                let mut flow = Flow::new(Style::new());
                text.chars().for_each(|c| flow.feed(c, &mut self.page));
                self.block = Block::Paragraph(flow);
            }
            Start::Heading(level) => self.heading(level, text),
            Start::Rule => {
                let width = self.page.measure().min(self.rule_columns);
                self.rule_columns -= width;
                let text = "─".repeat(width);
                self.page.line(&[Span { text, style: self.page.dim() }]);
            }
            Start::Fence { fence, length, indent } => {
                let code = Code::begin(text[length..].trim_matches(BLANK), &mut self.page);
                self.block = Block::Fenced { fence, length, indent, code };
            }
            Start::Code => {
                let mut code = Code::begin("", &mut self.page);
                code.line(text, &mut self.page);
                self.block = Block::Indented { code, blank: 0 };
            }
            Start::Html(end) => {
                self.verbatim(text);
                let ended = end.is_some_and(|end| text.to_ascii_lowercase().contains(end));
                self.block = if ended { Block::None } else { Block::Html(end) };
            }
            Start::Blank | Start::Row | Start::FenceEnd | Start::Delimiter | Start::Underline(_) => {}
        }
    }

    fn heading(&mut self, level: usize, text: &str) {
        let text = text[level..].trim_matches(BLANK);
        let bare = text.trim_end_matches('#');
        let text = if bare.is_empty() || bare.ends_with(BLANK) { bare.trim_end_matches(BLANK) } else { text };
        let style = match level {
            1 => Style::new().bold().underline(),
            2 => Style::new().bold(),
            _ => Style::new().bold().italic(),
        };
        let mut flow = Flow::new(self.page.style(style));
        if !self.page.is_colored() {
            self.page.write(&format!("{} ", "#".repeat(level)), Style::new());
        }
        text.chars().for_each(|c| flow.feed(c, &mut self.page));
        self.page.begin_line();
        flow.finish(&mut self.page);
    }

    /// Prints a line as it is.
    fn verbatim(&mut self, text: &str) {
        let text = untabbed(&clean::visible(text));
        self.page.line(&[Span { text, style: Style::new() }]);
    }

    /// Whether a block has blank lines around it even if the source has none.
    fn is_spaced(&self, start: &Start) -> bool {
        match start {
            Start::Heading(_) | Start::Rule => true,
            Start::Fence { .. } | Start::Code => self.containers.is_empty(),
            _ => false,
        }
    }

    /// Ends the innermost block.
    pub(super) fn close(&mut self) {
        match std::mem::replace(&mut self.block, Block::None) {
            Block::None | Block::Html(_) => {}
            Block::Paragraph(mut flow) => flow.finish(&mut self.page),
            Block::Fenced { code, .. } => code.end(&mut self.page),
            Block::Indented { code, blank } => {
                code.end(&mut self.page);
                self.blank += blank;
            }
            Block::Table(table, due) if table.is_confirmed() => {
                if !table.is_headless() {
                    self.page.gap(due.max(1));
                }
                table.print(&mut self.page);
                self.spaced = true;
            }
            Block::Table(table, due) => {
                if due > 0 {
                    self.page.gap(due);
                }
                let mut flow = Flow::new(Style::new());
                table.head().chars().for_each(|c| flow.feed(c, &mut self.page));
                flow.finish(&mut self.page);
            }
        }
    }

    fn enter(&mut self, container: Container) {
        match &container {
            Container::Quote => self.page.enter_quote(),
            Container::Item(item) => {
                let marker = self.marker(item);
                self.page.enter_item(marker);
            }
        }
        self.containers.push(container);
    }

    /// The marker of an item. A list whose items all have one number is counted; other numbers are as written.
    fn marker(&mut self, item: &Item) -> String {
        let depth = self.containers.len();
        self.lists.resize(depth + 1, None);
        let written = item.number.unwrap_or_default();
        let counted = self.lists[depth].filter(|last| (last.mark, last.written) == (item.mark, written));
        let number = counted.map_or(written, |last| last.number + 1);
        self.lists[depth] = Some(LastItem { mark: item.mark, written, number });
        if item.number.is_some() {
            return format!("{number:0digits$}{} ", item.mark, digits = item.digits);
        }
        let bullets =
            self.containers.iter().filter(|outer| matches!(outer, Container::Item(Item { number: None, .. })));
        BULLETS[bullets.count() % BULLETS.len()].to_owned()
    }

    /// Leaves all containers except the `kept` outermost ones.
    pub(super) fn leave(&mut self, kept: usize) {
        self.page.leave(kept);
        self.containers.truncate(kept);
        self.lists.truncate(kept + 1);
    }
}
