//! The history: conversations that were kept, to be read, searched, gone on with and deleted.
//!
//! [`store`] is what is kept in its file, [`telling`] how a conversation is told to people and programs. Only text is
//! kept, so that a conversation can go on with another model. Every answer is kept as far as it came;
//! but one that was cut or refused is no answer, and is never sent back as one.

use crate::api::{Message, Part, Role};

mod id;
mod schema;
pub mod store;
pub mod telling;

/// How much of a first question is a title, in characters.
const TITLE: usize = 60;

/// A conversation, without what was said in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversation {
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
pub struct Turn {
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
pub enum State {
    /// All of it, as it was meant.
    Whole,
    /// It ended before its end: a connection that broke, a full context, Ctrl-C.
    Cut,
    /// The model declined; what came until then is no answer.
    Refused,
}

impl Conversation {
    /// A question's first words, on one line.
    pub fn title_of(question: &str) -> String {
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
    pub fn asked(text: &str, at: i64) -> Self {
        let (role, state, text) = (Role::User, State::Whole, text.to_owned());
        Self { role, text, state, model: None, stop_reason: None, usage: None, request_id: None, at }
    }
}

impl State {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
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
/// That is questions and their whole answers. A question whose answer was cut stays without one, and is
/// joined to the next, for some services want the two sides to take turns; one that was refused would
/// be refused again, and one without any answer was most likely typed again.
pub fn precede(turns: &[Turn], question: &mut Vec<Message>) {
    let mut messages = Vec::new();
    let mut pending = String::new();
    for (asked, answer) in turns.iter().zip(turns.iter().skip(1)) {
        if (asked.role, answer.role) != (Role::User, Role::Assistant) || answer.state == State::Refused {
            continue;
        }
        pending.push_str(&asked.text);
        pending.push_str("\n\n");
        if answer.state == State::Whole && !answer.text.trim().is_empty() {
            messages.push(Message::user(pending.trim_end()));
            // Some services want no space at the end of an answer that they are sent.
            messages.push(Message::assistant(answer.text.trim_end()));
            pending.clear();
        }
    }
    if let (false, Some(next)) = (pending.is_empty(), question.first_mut()) {
        match &mut next.parts[..] {
            [Part::Text(text)] => text.insert_str(0, &pending),
            _ => next.parts.insert(0, Part::Text(pending)),
        }
    }
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
                Message::user("three again\n\nfour\n\nfive"),
                Message::assistant("fine"),
                Message::user("seven"),
            ]
        );
    }

    #[test]
    fn a_question_whose_answer_was_cut_goes_with_the_next() {
        let turns = [turn(Role::User, "long", State::Whole), turn(Role::Assistant, "blah", State::Cut)];
        let mut question = vec![Message::user("shorter")];
        precede(&turns, &mut question);
        assert_eq!(question, [Message::user("long\n\nshorter")]);

        let file = || Part::Document { title: "a.txt".into(), text: "a".into() };
        let words = || Part::Text("shorter".into());
        let mut question = vec![Message { role: Role::User, parts: vec![file(), words()] }];
        precede(&turns, &mut question);
        let parts = vec![Part::Text("long\n\n".into()), file(), words()];
        assert_eq!(question, [Message { role: Role::User, parts }]);
    }
}
