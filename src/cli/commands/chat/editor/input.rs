//! What is typed or pasted, on its way into the line: controls become visible.
//!
//! The editor would insert a paste as it is. So the keys of a paste are collected here, and inserted when it ends.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustyline::completion::Completer;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::validate::Validator;
use rustyline::{
    Cmd, ConditionalEventHandler, Context, Event, EventContext, Helper, KeyCode, KeyEvent, Modifiers, RepeatCount,
};

use super::completion;
use nexus::internal::clean;

/// What stands for a character that cannot be told.
const UNKNOWN: char = char::REPLACEMENT_CHARACTER;

/// What was read so far. Its clones are the same.
#[derive(Clone, Default)]
pub(super) struct Input(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// The line in the editor, and the cursor's position in bytes.
    line: String,
    cursor: usize,
    /// The paste that has begun.
    paste: Option<String>,
    /// The next key is inserted as it is.
    quoted: bool,
}

impl Input {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The line before and after a byte that is not UTF-8, which a replacement character stands for.
    pub(super) fn take_broken(&self) -> (String, String) {
        let state = std::mem::take(&mut *self.lock());
        let (left, right) = state.line.split_at_checked(state.cursor).unwrap_or((&state.line, ""));
        let paste = state.paste.map(|paste| pasted(&paste)).unwrap_or_default();
        (format!("{left}{paste}{UNKNOWN}"), right.to_owned())
    }
}

impl Helper for Input {}
impl Highlighter for Input {}
impl Validator for Input {}

impl Completer for Input {
    type Candidate = String;

    fn complete(&self, line: &str, pos: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        Ok(completion::candidates(line.get(..pos).unwrap_or_default()))
    }
}

/// Offers no hint. The editor calls it with each change of the line.
impl Hinter for Input {
    type Hint = String;

    fn hint(&self, line: &str, pos: usize, _: &Context<'_>) -> Option<String> {
        let mut state = self.lock();
        line.clone_into(&mut state.line);
        state.cursor = pos;
        None
    }
}

/// Handles every key.
pub(super) struct Keys(pub(super) Input);

impl ConditionalEventHandler for Keys {
    fn handle(&self, event: &Event, _: RepeatCount, _: bool, context: &EventContext<'_>) -> Option<Cmd> {
        let key = *event.get(0)?;
        let mut state = self.0.lock();
        if let Some(paste) = &mut state.paste {
            if key == KeyEvent(KeyCode::BracketedPasteEnd, Modifiers::NONE) {
                let paste = pasted(&state.paste.take().unwrap_or_default());
                return Some(Cmd::Insert(1, paste));
            }
            paste.extend(character(key));
            return Some(Cmd::Noop);
        }
        if std::mem::take(&mut state.quoted) {
            return Some(Cmd::Insert(1, clean::visible(&character(key)?.to_string()).into_owned()));
        }
        match key {
            KeyEvent(KeyCode::BracketedPasteStart, Modifiers::NONE) => {
                state.paste = Some(String::new());
                Some(Cmd::Noop)
            }
            KeyEvent(KeyCode::Enter, Modifiers::ALT) => Some(Cmd::Newline),
            // Nothing is completed in a question, and the editor would ring.
            KeyEvent(KeyCode::Tab, Modifiers::NONE) if !context.line().starts_with('/') => Some(Cmd::Noop),
            // On Windows, Ctrl-V pastes.
            KeyEvent(KeyCode::Char('V' | 'Q'), Modifiers::CTRL) if cfg!(unix) => {
                state.quoted = true;
                Some(Cmd::Noop)
            }
            KeyEvent(KeyCode::Char(c), Modifiers::NONE) => match clean::visible(c.encode_utf8(&mut [0; 4])) {
                Cow::Borrowed(_) => None,
                Cow::Owned(shown) => Some(Cmd::Insert(1, shown)),
            },
            _ => None,
        }
    }
}

/// A paste as it is inserted: with newlines as line ends, and visible controls.
fn pasted(text: &str) -> String {
    clean::visible(&text.replace("\r\n", "\n").replace('\r', "\n")).into_owned()
}

/// The character that the terminal sent for a key. None if it sent an escape sequence.
fn character(key: KeyEvent) -> Option<char> {
    Some(match key {
        KeyEvent(KeyCode::Char(c), Modifiers::NONE) => c,
        KeyEvent(KeyCode::Char(c), Modifiers::CTRL) => char::from(u8::try_from(c).ok()? & 0x1f),
        KeyEvent(KeyCode::Enter, Modifiers::NONE) => '\r',
        KeyEvent(KeyCode::Tab, Modifiers::NONE) => '\t',
        KeyEvent(KeyCode::Esc, Modifiers::NONE) => '\u{1b}',
        // The editor does not tell Backspace from DEL.
        KeyEvent(KeyCode::Backspace, Modifiers::NONE) => '\u{7f}',
        // C1 controls.
        KeyEvent(KeyCode::Null, Modifiers::NONE) | KeyEvent(KeyCode::Esc, Modifiers::SHIFT) => UNKNOWN,
        _ => return None,
    })
}
