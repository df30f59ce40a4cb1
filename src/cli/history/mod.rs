//! The history: conversations that were kept, to be read, searched, gone on with and deleted.
//!
//! [`store`] is what is kept in its file, [`telling`] how a conversation is told to people and programs. Only text is
//! kept, so that a conversation can go on with another model. Every answer is kept as far as it came;
//! but one that was cut or refused is no answer, and is never sent back as one.

use nexus::{Message, Role};

mod id;
mod schema;
pub(crate) mod store;
pub(crate) mod telling;

/// How much of a first question is a title, in characters.
const TITLE: usize = 60;

/// A conversation, without what was said in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Conversation {
    /// Eight letters and digits; sorted by it is sorted by age.
    pub id: String,
    /// The beginning of the first question, on one line.
    pub title: String,
    /// With whose account.
    pub provider: String,
    /// Who was asked last.
    pub model: String,
    /// The system prompt of the last question.
    pub system: Option<String>,
    /// When it began, in Unix seconds.
    pub created_at: i64,
    /// When the last turn was taken, in Unix seconds.
    pub updated_at: i64,
}

/// What one side said at once.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Turn {
    /// Who.
    pub role: Role,
    /// What.
    pub text: String,
    /// Whether that is all of it.
    pub state: State,
    /// The model that answered.
    pub model: Option<String>,
    /// Why it stopped.
    pub stop_reason: Option<String>,
    /// What the answer used up, as the API counts it.
    pub usage: Option<serde_json::Value>,
    /// The service's name for the exchange, for support.
    pub request_id: Option<String>,
    /// When it was taken, in Unix seconds.
    pub at: i64,
}

/// What a turn is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// All of it, as it was meant.
    Whole,
    /// It ended before its end: a connection that broke, a full context, Ctrl-C.
    Cut,
    /// The model declined; what came until then is no answer.
    Refused,
}

impl Conversation {
    /// A question's first words, on one line.
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
    /// What a person asked.
    pub(crate) fn asked(text: &str, at: i64) -> Self {
        let (role, state, text) = (Role::User, State::Whole, text.to_owned());
        Self { role, text, state, model: None, stop_reason: None, usage: None, request_id: None, at }
    }
}

impl State {
    /// The word for it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Cut => "cut",
            Self::Refused => "refused",
        }
    }

    fn from_word(word: &str) -> Self {
        match word {
            "whole" => Self::Whole,
            "refused" => Self::Refused,
            _ => Self::Cut,
        }
    }
}

/// Puts what was said before in front of a question, as far as it is sent again.
///
/// That is questions and their whole answers. An exchange whose answer was cut or refused is left out, question
/// and all: half an answer is none, one that was refused would be refused again, and a question without its
/// answer, joined to the next, would be answered once more with it. So the two sides take turns, as some
/// services want it.
pub(crate) fn precede(turns: &[Turn], question: &mut Vec<Message>) {
    let exchanges = turns.iter().zip(turns.iter().skip(1)).filter(|(asked, answer)| {
        (asked.role, answer.role) == (Role::User, Role::Assistant)
            && answer.state == State::Whole
            && !answer.text.trim().is_empty()
    });
    // Some services want no space at the end of an answer that they are sent.
    let messages = exchanges
        .flat_map(|(asked, answer)| [Message::user(asked.text.trim_end()), Message::assistant(answer.text.trim_end())]);
    question.splice(0..0, messages);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(role: Role, text: &str, state: State) -> Turn {
        Turn { role, text: text.into(), state, model: None, stop_reason: None, usage: None, request_id: None, at: 0 }
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
        precede(&turns, &mut question);
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
