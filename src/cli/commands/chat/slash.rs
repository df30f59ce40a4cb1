//! Slash commands of a conversation.

use crate::cli::text::typed;

/// A line of a conversation.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// Empty.
    Empty,
    /// A question for the model.
    Question(&'a str),
    /// `/model`: shows the model, or sets it.
    Model(Option<&'a str>),
    /// `/system`: shows the system prompt, or sets it; `-` removes it.
    System(Option<&'a str>),
    /// `/save`: writes the conversation to a file.
    Save(Option<&'a str>),
    /// `/help`.
    Help,
    /// `/exit`.
    Exit,
    /// Another slash command.
    Unknown(&'a str),
}

/// The text of `/help`.
pub(super) const HELP: &str = "\
/model [ID]     show the model, or switch to another one
/system [TEXT]  show the system prompt, or set it; `/system -` removes it
/save FILE      write the conversation to a new file, as Markdown
/exit           leave, as Ctrl-D does

A backslash before Enter, or Alt-Enter, begins a new line. Pasted text waits
for Enter. Ctrl-C stops an answer; a stopped answer and its question are saved,
but not sent to the model with later questions. To begin a question with a
slash, type two of them: //model";

/// Reads a line.
pub(super) fn read(line: &str) -> Line<'_> {
    let line = typed(line.trim()).trim_start();
    if line.is_empty() {
        return Line::Empty;
    }
    let Some(after) = line.strip_prefix('/') else { return Line::Question(line) };
    if after.starts_with('/') {
        return Line::Question(after);
    }
    let (word, rest) = after.split_once(char::is_whitespace).unwrap_or((after, ""));
    let rest = Some(rest.trim()).filter(|rest| !rest.is_empty());
    match word {
        "model" => Line::Model(rest),
        "system" => Line::System(rest),
        "save" => Line::Save(rest),
        "help" | "?" => Line::Help,
        "exit" | "quit" => Line::Exit,
        // A path begins a question: "/etc/hosts has two lines, why?"
        word if word.is_empty() || !word.bytes().all(|byte| byte.is_ascii_alphabetic()) => Line::Question(line),
        word => Line::Unknown(word),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_fits_a_terminal() {
        assert!(HELP.lines().all(|line| line.chars().count() < 80), "{HELP}");
    }

    #[test]
    fn a_line_is_a_question_or_a_slash_command() {
        for (line, expected) in [
            ("", Line::Empty),
            (" \n\t", Line::Empty),
            (" why?\nreally ", Line::Question("why?\nreally")),
            ("/model", Line::Model(None)),
            ("/model  small ", Line::Model(Some("small"))),
            ("/system Be brief.\nAnd kind.", Line::System(Some("Be brief.\nAnd kind."))),
            ("/save", Line::Save(None)),
            ("/save my notes.md", Line::Save(Some("my notes.md"))),
            ("/help", Line::Help),
            ("/?", Line::Help),
            ("/quit", Line::Exit),
            ("/exit", Line::Exit),
            ("/models", Line::Unknown("models")),
            ("/", Line::Question("/")),
            ("//model", Line::Question("/model")),
            ("/etc/hosts has two lines", Line::Question("/etc/hosts has two lines")),
            ("/2 of it", Line::Question("/2 of it")),
        ] {
            assert_eq!(read(line), expected, "{line:?}");
        }
    }
}
