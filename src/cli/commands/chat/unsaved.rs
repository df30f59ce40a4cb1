//! Attachments that the history does not save: pictures and PDFs. The process that sent them sends them again with later
//! questions of the conversation; another process sends a line in their place.

use crate::cli::history::{Turn, exchanges};
use crate::cli::question::attachment;
use nexus::Part;

/// The end of the line that stands for an attachment whose content is not saved. It is part of saved conversations.
const NOT_SAVED: &str = ", which is not kept]";

/// What is saved of a question: its text and that of its text attachments, and a line for each other attachment.
pub(super) fn saved_text(parts: &[Part]) -> String {
    let texts: Vec<_> = parts
        .iter()
        .map(|part| match part {
            Part::Text(text) => text.clone(),
            Part::Document { title, text } => format!("[{title}]\n{text}"),
            Part::Pdf { title, .. } => format!("[{title}{NOT_SAVED}"),
            Part::Image { .. } => format!("[a picture{NOT_SAVED}"),
        })
        .collect();
    texts.join("\n\n")
}

/// The parts of a question that has attachments that are not saved, else nothing.
pub(super) fn parts_to_keep(parts: &[Part]) -> Vec<Part> {
    if parts.iter().any(is_unsaved) { parts.to_vec() } else { Vec::new() }
}

fn is_unsaved(part: &Part) -> bool {
    matches!(part, Part::Image { .. } | Part::Pdf { .. })
}

/// How many attachments are missing in the saved text of a question.
pub(super) fn missing(text: &str) -> usize {
    text.lines().filter(|line| line.starts_with('[') && line.ends_with(NOT_SAVED)).count()
}

/// How many attachments are missing in what is sent of these turns with the next question.
pub(super) fn missing_in(turns: &[Turn]) -> usize {
    exchanges(turns)
        .filter(|(question, _)| question.parts.is_empty())
        .map(|(question, _)| missing(&question.text))
        .sum()
}

/// Forgets the parts of the oldest questions, so that those of the others have at most this many bytes. Returns how
/// many attachments that leaves out.
pub(super) fn keep_newest(turns: &mut [Turn], mut room: usize) -> usize {
    let mut left_out = 0;
    for turn in turns.iter_mut().rev() {
        let length: usize = turn.parts.iter().map(attachment::length).sum();
        if length <= room {
            room -= length;
        } else {
            left_out += turn.parts.iter().filter(|part| is_unsaved(part)).count();
            turn.parts.clear();
        }
    }
    left_out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_attachments_stay_within_the_room() {
        let picture = |length| Part::Image { media_type: "image/png", data: "x".repeat(length) };
        let turn = |parts| Turn { parts, ..Turn::question("", 0) };
        let mut turns =
            [turn(vec![picture(5), picture(5)]), turn(vec![]), turn(vec![picture(6), Part::Text("why?".into())])];
        assert_eq!(keep_newest(&mut turns, 20), 0);
        assert_eq!(keep_newest(&mut turns, 19), 2);
        assert_eq!(turns.each_ref().map(|turn| turn.parts.len()), [0, 0, 2]);
        assert_eq!(keep_newest(&mut turns, 9), 1);
    }
}
