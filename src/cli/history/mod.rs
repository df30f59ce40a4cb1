//! Saved conversations.
//!
//! [`store`] saves them, [`export`] prints them. Only text is saved, so that a conversation can continue with another
//! model. An incomplete answer is saved too, but never sent to the model again.

use nexus::{Message, Part, Role};

pub(crate) mod export;
mod id;
pub(crate) mod layout;
mod schema;
pub(crate) mod store;

/// The maximum length of a title, in characters.
const TITLE: usize = 60;

/// A conversation, without its turns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Conversation {
    /// Eight letters and digits that sort by age.
    pub id: String,
    /// The beginning of the first question, on one line.
    pub title: String,
    pub provider: String,
    /// The model of the last question.
    pub model: String,
    /// The system prompt of the last question.
    pub system: Option<String>,
    /// In Unix seconds.
    pub created_at: i64,
    /// The time of the last turn, in Unix seconds.
    pub updated_at: i64,
}

/// A question or an answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Turn {
    pub role: Role,
    pub text: String,
    /// What was asked in this process, if `text` does not have all of it. It is not saved.
    pub parts: Vec<Part>,
    pub state: State,
    /// The model that answered.
    pub model: Option<String>,
    pub stop_reason: Option<String>,
    /// The usage of the answer, as the API reports it.
    pub usage: Option<serde_json::Value>,
    pub request_id: Option<String>,
    /// Why no answer came to this question, if it is known.
    pub failure: Option<String>,
    /// In Unix seconds.
    pub at: i64,
}

/// Whether a turn is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Whole,
    /// Cut off: by a broken connection, a full context or Ctrl-C.
    Cut,
    /// The model declined to answer; the text is what came before.
    Refused,
    /// The question was asked again, and a later answer took the place of this one.
    Replaced,
}

impl Conversation {
    /// The beginning of the question, on one line.
    pub(crate) fn title_of(question: &str) -> String {
        let line = question.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
        let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
        match line.char_indices().nth(TITLE) {
            Some((end, _)) => format!("{}...", line[..end].trim_end()),
            None => line,
        }
    }
}

impl Turn {
    pub(crate) fn question(text: &str, at: i64) -> Self {
        let (role, state, text) = (Role::User, State::Whole, text.to_owned());
        Self {
            role,
            text,
            parts: Vec::new(),
            state,
            model: None,
            stop_reason: None,
            usage: None,
            request_id: None,
            failure: None,
            at,
        }
    }

    /// Marks a whole answer as replaced.
    pub(crate) fn replace(&mut self) {
        if self.state == State::Whole {
            self.state = State::Replaced;
        }
    }
}

impl State {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Cut => "cut",
            Self::Refused => "refused",
            Self::Replaced => "replaced",
        }
    }

    fn from_word(word: &str) -> Self {
        match word {
            "whole" => Self::Whole,
            "refused" => Self::Refused,
            "replaced" => Self::Replaced,
            _ => Self::Cut,
        }
    }
}

/// The questions and answers that are sent with later questions.
///
/// Only questions with a whole answer are sent again. A refused question would be refused again, and an unanswered one
/// would be answered along with the next. Some services require that questions and answers alternate.
pub(crate) fn exchanges(turns: &[Turn]) -> impl Iterator<Item = (&Turn, &Turn)> {
    turns.iter().zip(turns.iter().skip(1)).filter(|(question, answer)| {
        (question.role, answer.role) == (Role::User, Role::Assistant)
            && answer.state == State::Whole
            && !answer.text.trim().is_empty()
    })
}

/// Puts the earlier turns in front of the messages of a question.
pub(crate) fn prepend_turns(turns: &[Turn], messages: &mut Vec<Message>) {
    let earlier = exchanges(turns).flat_map(|(question, answer)| {
        let asked = match &*question.parts {
            [] => Message::user(question.text.trim_end()),
            parts => Message { role: Role::User, parts: parts.to_vec() },
        };
        // Some services reject answers that end in white space.
        [asked, Message::assistant(answer.text.trim_end())]
    });
    messages.splice(0..0, earlier);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(role: Role, text: &str, state: State) -> Turn {
        Turn { role, state, ..Turn::question(text, 0) }
    }

    #[test]
    fn only_whole_answers_are_sent_back() {
        let user = |text| turn(Role::User, text, State::Whole);
        let answer = |text, state| turn(Role::Assistant, text, state);
        let turns = [
            user("one"),
            answer("whole\n", State::Whole),
            user("two"),
            answer("refu", State::Refused),
            user("three"),
            user("three again"),
            answer("cu", State::Cut),
            user("four"),
            answer(" ", State::Whole),
            user("five"),
            answer("fine", State::Whole),
            user("six, never answered"),
        ];
        let mut question = vec![Message::user("seven")];
        prepend_turns(&turns, &mut question);
        assert_eq!(
            question,
            [
                Message::user("one"),
                Message::assistant("whole"),
                Message::user("five"),
                Message::assistant("fine"),
                Message::user("seven"),
            ]
        );
    }
}
