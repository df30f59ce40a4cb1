//! The ids that were seen, and which of them have an answer.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use sha2::{Digest as _, Sha256};

use super::prompts::{Id, Prompt};

/// The ids that were seen.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// The hash of an id, and its question.
    ids: HashMap<[u8; 16], Seen>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Seen {
    /// Answered by an earlier run.
    Earlier,
    /// Seen by this run, with this hash of its question.
    Now([u8; 8]),
}

/// What to do with an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Ask it.
    New,
    /// An earlier run has its answer.
    Answered,
    /// An earlier line has the same question.
    Repeated,
    /// An earlier line has another question.
    Conflict,
}

impl Ledger {
    /// Notes that an id has an answer. Returns whether that is new.
    pub(super) fn answered(&mut self, id: &Id) -> bool {
        self.ids.insert(name(id), Seen::Earlier).is_none()
    }

    /// The number of known ids.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }

    /// Looks up and notes an id of the input, with its question if its line has one.
    pub(super) fn see(&mut self, id: &Id, prompt: Option<&Prompt>) -> Standing {
        let asked = Seen::Now(question(prompt));
        match self.ids.entry(name(id)) {
            Entry::Vacant(new) => {
                new.insert(asked);
                Standing::New
            }
            Entry::Occupied(mut known) if *known.get() == Seen::Earlier => {
                known.insert(asked);
                Standing::Answered
            }
            Entry::Occupied(known) if *known.get() == asked => Standing::Repeated,
            Entry::Occupied(_) => Standing::Conflict,
        }
    }
}

fn name(id: &Id) -> [u8; 16] {
    let mut hash = Sha256::new();
    match id {
        Id::Text(text) => hash.update(text),
        // UTF-8 text never has this byte.
        Id::Number(number) => hash.update([&[0xff], &number.to_le_bytes()[..]].concat()),
    }
    first(&hash.finalize())
}

fn question(prompt: Option<&Prompt>) -> [u8; 8] {
    let Some(Prompt { prompt, attach, vars, schema, system, model, max_tokens }) = prompt else { return [0; 8] };
    let mut hash = Sha256::new();
    let mut part = |part: Option<&str>| {
        hash.update(part.map_or(u64::MAX, |part| part.len() as u64).to_le_bytes());
        hash.update(part.unwrap_or_default());
    };
    for text in [Some(prompt), schema.as_ref(), system.as_ref(), model.as_ref()] {
        part(text.map(String::as_str));
    }
    attach.iter().for_each(|file| part(file.to_str()));
    // The end of the list.
    part(None);
    for (name, value) in vars {
        part(Some(name));
        part(Some(value));
    }
    hash.update(max_tokens.unwrap_or(0).to_le_bytes());
    first(&hash.finalize())
}

/// The first bytes of a hash.
fn first<const N: usize>(hash: &[u8]) -> [u8; N] {
    hash.first_chunk().copied().unwrap_or([0; N])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prompt(text: &str) -> Prompt {
        Prompt { prompt: text.into(), ..Prompt::default() }
    }

    #[test]
    fn an_id_is_asked_once() {
        let mut ledger = Ledger::default();
        let text = |id: &str| Id::Text(id.into());
        assert!(ledger.answered(&text("done")));
        assert!(!ledger.answered(&text("done")));
        for (id, asked, standing) in [
            (text("a"), Some(prompt("x")), Standing::New),
            (text("a"), Some(prompt("x")), Standing::Repeated),
            (text("a"), Some(prompt("y")), Standing::Conflict),
            (text("a"), None, Standing::Conflict),
            (text("done"), Some(prompt("x")), Standing::Answered),
            (text("done"), Some(prompt("x")), Standing::Repeated),
            (text("done"), Some(prompt("y")), Standing::Conflict),
            (text("7"), Some(prompt("x")), Standing::New),
            (Id::Number(7), Some(prompt("x")), Standing::New),
            (Id::Number(-7), None, Standing::New),
            (Id::Number(-7), Some(prompt("x")), Standing::Conflict),
        ] {
            assert_eq!(ledger.see(&id, asked.as_ref()), standing, "{id:?} {asked:?}");
        }
        assert_eq!(ledger.len(), 5);
    }

    #[test]
    fn every_part_of_a_question_counts() {
        let vars = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
        let all = Prompt {
            prompt: "ab".into(),
            attach: vec!["e".into()],
            vars: vars("f", "g"),
            schema: Some("{}".into()),
            system: Some("c".into()),
            model: Some("d".into()),
            max_tokens: Some(1),
        };
        let others = [
            prompt("ab"),
            Prompt { prompt: "a".into(), system: Some("bc".into()), ..all.clone() },
            Prompt { system: None, ..all.clone() },
            Prompt { model: None, ..all.clone() },
            Prompt { max_tokens: Some(2), ..all.clone() },
            Prompt { attach: Vec::new(), ..all.clone() },
            Prompt { attach: vec!["e".into(), "e".into()], ..all.clone() },
            Prompt { vars: vars("fg", ""), ..all.clone() },
            Prompt { schema: None, ..all.clone() },
            Prompt { system: Some("d".into()), model: Some("c".into()), ..all.clone() },
        ];
        for other in others {
            assert_ne!(question(Some(&other)), question(Some(&all)), "{other:?}");
        }
    }
}
