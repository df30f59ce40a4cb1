//! Conversations as they are shown on a terminal.

use std::ops::Range;

use anstyle::{AnsiColor, Color, Style};

use super::export::{self, Entry};
use super::store::Found;
use super::{Conversation, Turn};
use crate::cli::local_time::local;
use crate::cli::markdown::Rendered;
use crate::cli::terminal::wrap::{columns, wrapped};
use nexus::Role;
use nexus::internal::clean;

const HEADING: Style = Style::new().bold();
const DETAILS: Style = Style::new().dimmed();
const MATCH: Style = Style::new().bold().fg_color(Some(Color::Ansi(AnsiColor::Red)));

/// What stands for text that is left out.
const CUT: &str = "...";

/// In fewer columns, little of a text can be seen beside other columns.
const NARROW: usize = 24;

/// Before an excerpt that has a line of its own.
const INDENT: &str = "  ";

/// The width of the terminal, and whether it shows colors.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Screen {
    pub(crate) columns: usize,
    pub(crate) colored: bool,
}

impl Screen {
    fn styled(self, text: &str, style: Style) -> String {
        if self.colored && !text.is_empty() { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }

    fn heading(self, mark: &str, text: &str) -> String {
        let text = one_line(text);
        let heading = if self.colored { text } else { format!("{mark} {text}") };
        self.styled(&wrapped(&heading, self.columns), HEADING)
    }
}

/// A whole conversation. Answers are rendered as in a chat, questions are shown as they were typed.
pub(crate) fn conversation(conversation: &Conversation, turns: &[Turn], screen: Screen) -> String {
    let Conversation { id, title, provider, model, system, created_at, .. } = conversation;
    let details = one_line(&format!("{id}, {}, {model} at {provider}", local(*created_at)));
    let details = screen.styled(&wrapped(&details, screen.columns), DETAILS);
    let mut text = format!("{}\n{details}\n", screen.heading("#", title));
    let mut section = |heading: &str, body: &str| {
        text.push_str(&format!("\n{}\n", screen.heading("##", heading)));
        if !body.trim_end().is_empty() {
            text.push_str(&format!("\n{}\n", body.trim_end()));
        }
    };
    let verbatim = |text: &str| wrapped(&clean::visible(text), screen.columns);
    if let Some(system) = system {
        section("System", &verbatim(system));
    }
    for entry in export::entries(turns) {
        let turn = match entry {
            Entry::Turn(turn) => turn,
            Entry::NoAnswer(why) => {
                section(export::NO_ANSWER, &verbatim(why));
                continue;
            }
        };
        // Each is rendered alone, so that an open code block ends with its answer.
        let body = match turn.role {
            Role::User => verbatim(&turn.text),
            Role::Assistant => {
                let mut rendered = Rendered::new(screen.columns, screen.colored);
                rendered.push(&turn.text) + &rendered.finish()
            }
        };
        section(&export::heading(turn), &body);
    }
    text
}

/// The lines of a list of conversations.
pub(crate) fn list<'a>(conversations: impl Iterator<Item = &'a Conversation>, screen: Screen) -> String {
    let rows: Vec<_> = conversations.map(|one| (one, local(one.updated_at))).collect();
    let times = rows.iter().map(|(_, at)| columns(at)).max().unwrap_or_default();
    let line = |(conversation, at): &(&Conversation, String)| {
        let id = one_line(&conversation.id);
        let whole = format!("{id}  {at:times$}  ");
        let before = match screen.columns.saturating_sub(columns(&whole)) {
            ..NARROW => format!("{id}  {}  ", at.split(' ').next().unwrap_or_default()),
            _ => whole,
        };
        let title = one_line(&conversation.title);
        let end = fitting(&title, screen.columns.saturating_sub(columns(&before)));
        format!("{before}{}{}\n", &title[..end], if end < title.len() { CUT } else { "" })
    };
    rows.iter().map(line).collect()
}

/// The lines of a list of matches.
pub(crate) fn matches(found: &[Found], screen: Screen) -> String {
    let times: Vec<_> = found.iter().map(|found| local(found.at)).collect();
    let widest = times.iter().map(|at| columns(at)).max().unwrap_or_default();
    let line = |(found, at): (&Found, &String)| {
        let before = format!("{}  {at:widest$}  {}: ", one_line(&found.conversation.id), found.speaker());
        match screen.columns.saturating_sub(columns(&before)) {
            ..NARROW => {
                let room = screen.columns.saturating_sub(INDENT.len());
                format!("{}\n{INDENT}{}\n", before.trim_end(), excerpt(found, room, screen))
            }
            room => format!("{before}{}\n", excerpt(found, room, screen)),
        }
    };
    found.iter().zip(&times).map(line).collect()
}

/// The part of an excerpt around its first match that fits, with the matches highlighted.
fn excerpt(found: &Found, room: usize, screen: Screen) -> String {
    let text = &found.excerpt;
    let shown = window(text, found.matches.first().cloned().unwrap_or(0..0), room);
    if shown.is_empty() {
        return CUT.to_owned();
    }
    let mut line = if shown.start > 0 { CUT.to_owned() } else { String::new() };
    let mut at = shown.start;
    for hit in &found.matches {
        let hit = hit.start.clamp(at, shown.end)..hit.end.clamp(at, shown.end);
        line.push_str(&one_line(&text[at..hit.start]));
        line.push_str(&screen.styled(&one_line(&text[hit.clone()]), MATCH));
        at = hit.end;
    }
    line.push_str(&one_line(&text[at..shown.end]));
    if shown.end < text.len() {
        line.push_str(CUT);
    }
    line
}

/// The part of a text that fits and has the beginning of the match in it.
fn window(text: &str, hit: Range<usize>, room: usize) -> Range<usize> {
    let mut start = 0;
    if columns(text) > room {
        // The match ends in the first half of the line, or before the text that is cut off at its end.
        let most = room.saturating_sub(2 * CUT.len());
        for (at, _) in text[..hit.start].char_indices() {
            start = at;
            if columns(&text[at..hit.end]) <= most {
                break;
            }
        }
    }
    let before = if start > 0 { CUT.len() } else { 0 };
    start..start + fitting(&text[start..], room.saturating_sub(before))
}

/// How many bytes of a text fit, with room for the dots if that is not all of it.
fn fitting(text: &str, room: usize) -> usize {
    if columns(text) <= room {
        return text.len();
    }
    let room = room.saturating_sub(CUT.len());
    let ends = text.char_indices().map(|(at, c)| at + c.len_utf8());
    ends.take_while(|end| columns(&text[..*end]) <= room).last().unwrap_or(0)
}

/// Text for the inside of a line, with visible controls.
fn one_line(text: &str) -> String {
    clean::visible(text).replace(['\n', '\t'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_match_is_in_the_part_that_fits() {
        let text = "one two three four five six seven eight nine ten";
        for (word, room, shown) in [
            ("one", 48, text),
            ("one", 20, "one two three fou"),
            ("five", 20, "two three four"),
            ("ten", 20, "seven eight"),
        ] {
            let at = text.find(word).unwrap();
            let found = &text[window(text, at..at + word.len(), room)];
            assert!(found.contains(word) && columns(found) <= room, "{word} in {found:?}, expected about {shown:?}");
        }
    }
}
