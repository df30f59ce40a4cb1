//! Slash commands of a conversation.

use crate::cli::nearest::nearest;
use crate::cli::text::typed;

/// A line of a conversation.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// Empty.
    Empty,
    /// A question for the model.
    Question(&'a str),
    /// `/new`: begins another conversation.
    New,
    /// `/retry`: asks the last question again.
    Retry,
    /// `/attach`: shows what is attached to the next question, or attaches a file; `-` removes them.
    Attach(Option<&'a str>),
    /// `/copy`: copies the last answer.
    Copy,
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
    /// A slash command that takes no text, with text.
    Surplus(&'a str),
    /// Another slash command.
    Unknown(&'a str),
}

/// The slash commands.
pub(super) const COMMANDS: &[&str] =
    &["new", "retry", "attach", "copy", "model", "system", "save", "help", "exit", "quit"];

/// The text of `/help`.
pub(super) const HELP: &str = "\
/new            begin another conversation
/retry          ask the last question again; the new answer replaces the last one
/attach [FILE]  attach a file to the next question, or show what is attached; `/attach -` removes it
/copy           copy the last answer to the clipboard
/model [ID]     show the model, or switch to another one
/system [TEXT]  show the system prompt, or set it; `/system -` removes it
/save FILE      write the conversation to a new file, as Markdown
/exit           leave, as Ctrl-D does

Tab completes commands and the names of files. A backslash before Enter, or Alt-Enter, begins a new line. Pasted text waits for Enter. Ctrl-C stops an answer; a \
stopped answer and its question are saved, but not sent to the model with later questions. To begin a question with a \
slash, type two of them: `//model`";

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
        "attach" => Line::Attach(rest),
        "model" => Line::Model(rest),
        "system" => Line::System(rest),
        "save" => Line::Save(rest),
        word if rest.is_some() && COMMANDS.contains(&word) => Line::Surplus(word),
        "new" => Line::New,
        "retry" => Line::Retry,
        "copy" => Line::Copy,
        "help" | "?" => Line::Help,
        "exit" | "quit" => Line::Exit,
        "" if rest.is_none() => Line::Help,
        // A path begins a question: "/etc/hosts has two lines, why?"
        word if word.is_empty() || !word.bytes().all(|byte| byte.is_ascii_alphabetic()) => Line::Question(line),
        word => Line::Unknown(word),
    }
}

/// What is said about an unknown slash command.
pub(super) fn unknown(word: &str) -> String {
    let meant = match nearest(word, COMMANDS.iter().copied()) {
        Some(nearest) => format!("did you mean `/{nearest}`?"),
        None => "`/help` lists the commands.".to_owned(),
    };
    format!("Unknown command `/{word}`: {meant} To send a line that begins with a slash, type two: `//{word}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_known_and_in_the_help() {
        for word in COMMANDS {
            assert!(!matches!(read(&format!("/{word}")), Line::Unknown(_) | Line::Question(_)), "{word}");
            assert!(
                HELP.contains(&format!("\n/{word} "))
                    || HELP.starts_with(&format!("/{word} "))
                    || *word == "help"
                    || *word == "quit",
                "{word}"
            );
        }
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
            ("/new", Line::New),
            ("/retry", Line::Retry),
            ("/retry, please", Line::Question("/retry, please")),
            ("/retry please", Line::Surplus("retry")),
            ("/attach", Line::Attach(None)),
            ("/attach my notes.txt", Line::Attach(Some("my notes.txt"))),
            ("/copy", Line::Copy),
            ("/help", Line::Help),
            ("/?", Line::Help),
            ("/quit", Line::Exit),
            ("/exit", Line::Exit),
            ("/exit now", Line::Surplus("exit")),
            ("/models", Line::Unknown("models")),
            ("/", Line::Help),
            ("/ 2 is what?", Line::Question("/ 2 is what?")),
            ("//", Line::Question("/")),
            ("//model", Line::Question("/model")),
            ("/etc/hosts has two lines", Line::Question("/etc/hosts has two lines")),
            ("/2 of it", Line::Question("/2 of it")),
        ] {
            assert_eq!(read(line), expected, "{line:?}");
        }
    }
}
