//! The alternative spellings of a question: what a dialect does about a refusal that names a field of the body.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::question::Question;
use super::refusal::{Refusal, RefusalReason};

/// The most models whose spellings are remembered.
const MAX_REMEMBERED: usize = 64;

/// Which of its alternative spellings a dialect uses. The alternatives below are common to the dialects; a dialect
/// gives each further one a bit from 4 on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Spelling(pub(super) u8);

/// What can be done about a field that the API refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Remedy {
    /// Write the question with this alternative.
    Spell(u8),
    /// Nothing: the caller set this field, and it must not be dropped.
    Keep,
}

/// What follows from a refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Respelling {
    /// Ask again with this spelling.
    Again(Spelling),
    /// The refusal is final: it names this field, which the caller set.
    Kept(String),
    /// The refusal is final: another spelling would not help.
    Final,
}

impl Spelling {
    /// The answer is not streamed.
    pub(super) const WHOLE: u8 = 1;
    /// The system prompt is at the head of the first message of the user.
    pub(super) const SYSTEM_IN_MESSAGE: u8 = 2;

    /// Whether it has this alternative.
    pub(super) fn has(self, alternative: u8) -> bool {
        self.0 & alternative != 0
    }

    /// The question with its system prompt where this spelling has it.
    pub(super) fn of_system(self, question: &Question) -> Cow<'_, Question> {
        if self.has(Self::SYSTEM_IN_MESSAGE) {
            Cow::Owned(question.with_system_in_message())
        } else {
            Cow::Borrowed(question)
        }
    }

    /// What follows from a refusal. `remedy` tells what can be done about a field, which is given as a path such as
    /// `stream_options` or `messages.0.role`; `None` means that the field is not in the body, or that nothing is known
    /// about it.
    ///
    /// Each call adds an alternative, so there are at most eight.
    pub(super) fn after(
        self,
        refusal: &Refusal,
        question: &Question,
        remedy: impl Fn(&str) -> Option<Remedy>,
    ) -> Respelling {
        if !may_be_the_spelling(refusal) {
            return Respelling::Final;
        }
        let remedy = |field: &str| {
            let name = field.split('.').next().unwrap_or_default();
            if question.extra.contains_key(name) { Some(Remedy::Keep) } else { remedy(field) }
        };
        let known = |field: &String| Some((field.clone(), remedy(field)?));
        let mut remedies: Vec<_> = refusal.fields.iter().filter_map(known).collect();
        if remedies.is_empty() {
            // A message may name other fields, too, such as those that the server knows: the first one counts.
            remedies.extend(refusal.mentioned_fields().iter().find_map(known));
        }
        let mut changed = self;
        for (field, remedy) in remedies {
            match remedy {
                Remedy::Spell(alternative) => changed.0 |= alternative,
                Remedy::Keep => return Respelling::Kept(field),
            }
        }
        if changed == self { Respelling::Final } else { Respelling::Again(changed) }
    }
}

/// Whether the request may succeed with another body for the same question. A refusal inside a stream or with a status
/// of success is judged by what it names.
fn may_be_the_spelling(refusal: &Refusal) -> bool {
    let status = matches!(refusal.status, None | Some(200..=299 | 400 | 403 | 405 | 422 | 501))
        // A model that an organization may not stream is not found.
        || (refusal.status == Some(404) && refusal.fields.iter().any(|field| field == "stream"));
    status
        && matches!(
            refusal.reason(),
            RefusalReason::Other | RefusalReason::Forbidden | RefusalReason::NotFound | RefusalReason::ServerError
        )
}

/// The spellings that worked, for each model, so that the next question is not refused first.
#[derive(Debug, Default)]
pub(crate) struct Spellings(Mutex<HashMap<String, Spelling>>);

impl Spellings {
    /// The spelling for a model.
    pub(crate) fn of(&self, model: &str) -> Spelling {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(model).copied().unwrap_or_default()
    }

    /// Remembers a spelling that worked.
    pub(crate) fn remember(&self, model: &str, spelling: Spelling) {
        if spelling == self.of(model) {
            return;
        }
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_REMEMBERED {
            known.clear();
        }
        known.insert(model.to_owned(), spelling);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_are_remembered_for_a_limited_number_of_models() {
        let spellings = Spellings::default();
        for number in 0..1_000 {
            spellings.remember(&number.to_string(), Spelling(1));
            assert_eq!(spellings.of(&number.to_string()), Spelling(1));
        }
        assert!(spellings.0.lock().unwrap().len() <= MAX_REMEMBERED);
        assert_eq!(spellings.of("another"), Spelling::default());
    }

    #[test]
    fn a_field_of_the_caller_is_kept_and_every_other_one_is_changed() {
        let remedy = |field: &str| match field {
            "one" => Some(Remedy::Spell(4)),
            "two" => Some(Remedy::Spell(8)),
            "mine" => Some(Remedy::Keep),
            _ => None,
        };
        let mut question = Question::default();
        question.extra.insert("extra".into(), true.into());
        for (fields, message, changed) in [
            (&["one"][..], "", Ok(4)),
            (&["one", "two"], "", Ok(12)),
            (&["one", "other"], "", Ok(4)),
            (&["one", "mine"], "", Err(Some("mine"))),
            (&["one", "extra"], "", Err(Some("extra"))),
            (&["other"], "'one' is unknown; known are 'two', 'mine'", Ok(4)),
            (&[], "'mine' is unknown, unlike 'one'", Err(Some("mine"))),
            (&[], "no", Err(None)),
        ] {
            let fields = fields.iter().map(|field| (*field).to_owned()).collect();
            let refusal = Refusal { status: Some(400), fields, message: message.into(), ..Refusal::default() };
            let after = Spelling::default().after(&refusal, &question, remedy);
            let expected = match changed {
                Ok(bits) => Respelling::Again(Spelling(bits)),
                Err(Some(field)) => Respelling::Kept(field.to_owned()),
                Err(None) => Respelling::Final,
            };
            assert_eq!(after, expected, "{refusal:?}");
            for status in [401, 402, 404, 413, 429, 500, 503] {
                let refusal = Refusal { status: Some(status), ..refusal.clone() };
                assert_eq!(Spelling::default().after(&refusal, &question, remedy), Respelling::Final, "{status}");
            }
        }
        let refusal = Refusal { status: Some(422), fields: vec!["one".into()], ..Refusal::default() };
        assert_eq!(Spelling(4).after(&refusal, &question, remedy), Respelling::Final, "nothing is tried twice");
    }
}
