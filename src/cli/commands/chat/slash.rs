//! What a line of a conversation means: a question, or a word with the program.

/// A line as it is meant.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said<'a> {
    /// Nothing at all.
    Nothing,
    /// Something for the model.
    Question(&'a str),
    /// `/model`: which one, or another one.
    Model(Option<&'a str>),
    /// `/system`: what it is told first, or something else, or nothing any more.
    System(Option<&'a str>),
    /// `/save`: where to.
    Save(Option<&'a str>),
    /// `/help`.
    Help,
    /// `/exit`.
    Exit,
    /// A word that is none of these.
    Unknown(&'a str),
}

/// What can be said to the program.
pub(super) const HELP: &str = "\
/model [ID]     tell the model, or go on with another
/system [TEXT]  tell the system prompt, or set another; `/system -` removes it
/save FILE      write the conversation to a new file, as Markdown
/exit           leave, as Ctrl-D does

A backslash before Enter, or Alt-Enter, begins a new line. What is pasted
waits for Enter. Ctrl-C stops an answer: what came of it is kept, but neither
it nor its question is told to the model with the next one. A question that
begins with a slash is written with two of them: //model";

/// Reads a line.
pub(super) fn read(line: &str) -> Said<'_> {
    let line = line.trim();
    if line.is_empty() {
        return Said::Nothing;
    }
    let Some(after) = line.strip_prefix('/') else { return Said::Question(line) };
    if after.starts_with('/') {
        return Said::Question(after);
    }
    let (word, rest) = after.split_once(char::is_whitespace).unwrap_or((after, ""));
    let rest = Some(rest.trim()).filter(|rest| !rest.is_empty());
    match word {
        "model" => Said::Model(rest),
        "system" => Said::System(rest),
        "save" => Said::Save(rest),
        "help" | "?" => Said::Help,
        "exit" | "quit" => Said::Exit,
        // A path is no word with us: "/etc/hosts has two lines, why?"
        word if word.is_empty() || !word.bytes().all(|byte| byte.is_ascii_alphabetic()) => Said::Question(line),
        word => Said::Unknown(word),
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
    fn a_line_is_a_question_or_a_word_with_the_program() {
        for (line, said) in [
            ("", Said::Nothing),
            (" \n\t", Said::Nothing),
            (" why?\nreally ", Said::Question("why?\nreally")),
            ("/model", Said::Model(None)),
            ("/model  small ", Said::Model(Some("small"))),
            ("/system Be brief.\nAnd kind.", Said::System(Some("Be brief.\nAnd kind."))),
            ("/save", Said::Save(None)),
            ("/save my notes.md", Said::Save(Some("my notes.md"))),
            ("/help", Said::Help),
            ("/?", Said::Help),
            ("/quit", Said::Exit),
            ("/exit", Said::Exit),
            ("/models", Said::Unknown("models")),
            ("/", Said::Question("/")),
            ("//model", Said::Question("/model")),
            ("/etc/hosts has two lines", Said::Question("/etc/hosts has two lines")),
            ("/2 of it", Said::Question("/2 of it")),
        ] {
            assert_eq!(read(line), said, "{line:?}");
        }
    }
}
