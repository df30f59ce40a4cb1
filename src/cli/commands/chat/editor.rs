//! The line editor of a conversation.
//!
//! It reads on its own thread, so that a signal can end the program during input. What is typed, pasted or offered from
//! earlier entries is in the line with its controls made visible, because the terminal would obey them (`input.rs`).
//! The line that is shown is the question that is sent.

use std::io::ErrorKind;
use std::sync::mpsc;
use std::thread;

use rustyline::error::ReadlineError;
use rustyline::history::MemHistory;
use rustyline::{CompletionType, Config, Editor, Event, EventHandler};
use tokio::sync::mpsc as answers;

use crate::cli::error::{CliError, Result};
use crate::cli::terminal::{discard_input, write_stderr};
use nexus::internal::clean;

mod completion;
mod input;

use input::{Input, Keys};

type Rustyline = Editor<Input, MemHistory>;

/// How many earlier lines the editor offers.
const REMEMBERED: usize = 200;

/// The prompt of a continued line.
const CONTINUED: &str = ". ";

/// What the user did with a line.
pub(super) enum Line {
    /// Entered it.
    Text(String),
    /// Pressed Ctrl-C.
    Cleared,
    /// Pressed Ctrl-D, or closed the terminal.
    End,
}

/// Reads entries, each of one or more lines.
pub(super) struct LineEditor {
    prompts: mpsc::Sender<&'static str>,
    lines: answers::UnboundedReceiver<std::result::Result<Line, String>>,
}

impl LineEditor {
    /// How many earlier lines the editor offers.
    pub(super) const REMEMBERED: usize = REMEMBERED;

    /// An editor that offers these lines, the latest last.
    ///
    /// # Errors
    /// [`CliError::System`] without a terminal or a thread.
    pub(super) fn open(earlier: Vec<String>) -> Result<Self> {
        let failed = |why: String| CliError::System { message: format!("opening the line editor: {why}") };
        let (prompts, asked) = mpsc::channel();
        let (answer, lines) = answers::unbounded_channel();
        let mut editor = editor(earlier).map_err(|error| failed(error.to_string()))?;
        let read = move || {
            while let Ok(prompt) = asked.recv() {
                if answer.send(line(&mut editor, prompt)).is_err() {
                    break;
                }
            }
        };
        thread::Builder::new().spawn(read).map_err(|error| failed(error.to_string()))?;
        Ok(Self { prompts, lines })
    }

    /// Waits for the next line.
    ///
    /// # Errors
    /// [`CliError::System`] if the terminal cannot be read.
    pub(super) async fn read(&mut self, prompt: &'static str) -> Result<Line> {
        // If the thread has ended, there is no answer below.
        let _ = self.prompts.send(prompt);
        let line = self.lines.recv().await.unwrap_or_else(|| Err("the line editor ended".into()));
        line.map_err(CliError::system("reading the terminal"))
    }
}

fn editor(earlier: Vec<String>) -> rustyline::Result<Rustyline> {
    let config = Config::builder()
        .max_history_size(REMEMBERED)?
        .history_ignore_dups(true)?
        .completion_type(CompletionType::List)
        .build();
    let mut editor = Editor::with_history(config.clone(), MemHistory::with_config(&config))?;
    for line in earlier {
        editor.add_history_entry(clean::visible(&line))?;
    }
    let input = Input::default();
    editor.bind_sequence(Event::Any, EventHandler::Conditional(Box::new(Keys(input.clone()))));
    editor.set_helper(Some(input));
    Ok(editor)
}

/// Reads until a line does not end with a backslash, as a shell does.
fn line(editor: &mut Rustyline, prompt: &str) -> std::result::Result<Line, String> {
    let mut text = String::new();
    let mut prompt = prompt;
    loop {
        match read(editor, prompt) {
            // Some terminals cannot show a line as it is edited, and bind no keys.
            Ok(line) => text.push_str(&clean::visible(&line)),
            Err(ReadlineError::Interrupted) => return Ok(Line::Cleared),
            Err(ReadlineError::Eof) if text.is_empty() => return Ok(Line::End),
            Err(ReadlineError::Eof) => {}
            Err(error) => return Err(error.to_string()),
        }
        if !text.ends_with('\\') {
            break;
        }
        text.pop();
        text.push('\n');
        prompt = CONTINUED;
    }
    // A line that cannot be remembered is still a line.
    let _ = editor.add_history_entry(&text);
    Ok(Line::Text(text))
}

/// Reads a line. After a byte that is not UTF-8, the line so far is offered again with a replacement character.
fn read(editor: &mut Rustyline, prompt: &str) -> rustyline::Result<String> {
    let (mut left, mut right) = (String::new(), String::new());
    loop {
        match editor.readline_with_initial(prompt, (&left, &right)) {
            Err(ReadlineError::Io(error)) if error.kind() == ErrorKind::InvalidData => {
                // The editor has lost what it read ahead. The rest of a paste must not pass for typed lines.
                discard_input();
                write_stderr("note: the input is not UTF-8 text; what followed the first wrong byte was dropped");
                (left, right) = editor.helper().map(Input::take_broken).unwrap_or_default();
            }
            read => return read,
        }
    }
}

#[cfg(test)]
mod tests {
    use rustyline::history::{History as _, SearchDirection};

    use super::*;

    #[test]
    fn earlier_lines_act_on_no_terminal() {
        let editor = editor(vec!["\u{1b}]52;c;aGk=\u{7}a\u{202e}\nb".into()]).unwrap();
        let entry = editor.history().get(0, SearchDirection::Forward).unwrap().unwrap().entry;
        assert_eq!(entry, "␛]52;c;aGk=␇a<U+202E>\nb");
    }
}
