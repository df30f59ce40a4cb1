//! The ids that were seen, and which of them have an answer.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use sha2::{Digest as _, Sha256};

use super::fingerprint::Fingerprint;
use super::prompts::Id;

/// The ids that were seen.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    ids: HashMap<IdHash, Seen>,
}

/// The hash of an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct IdHash([u8; 16]);

#[derive(Debug, Clone, Copy, PartialEq)]
enum Seen {
    /// Answered by an earlier run, which asked this, as far as it is known.
    Earlier(Option<Fingerprint>),
    /// Seen by this run, with what its line asks. None if it cannot be asked.
    Now(Option<Fingerprint>),
}

/// What to do with an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Ask it.
    New,
    /// An earlier run has its answer.
    Answered,
    /// An earlier run has the answer to another question: ask again.
    Changed,
    /// An earlier line has the same question.
    Repeated,
    /// An earlier line has another question.
    Conflict,
}

impl Ledger {
    /// Notes that an id has an answer, to this question if it is known. Returns whether it is the first one.
    pub(super) fn answered(&mut self, id: &Id, asked: Option<Fingerprint>) -> bool {
        self.ids.insert(IdHash::of(id), Seen::Earlier(asked)).is_none()
    }

    /// Looks up and notes an id of the input, with what its line asks if it can be asked.
    pub(super) fn see(&mut self, id: &Id, asked: Option<Fingerprint>) -> Standing {
        let before = match self.ids.entry(IdHash::of(id)) {
            Entry::Vacant(new) => {
                new.insert(Seen::Now(asked));
                return Standing::New;
            }
            Entry::Occupied(mut known) => known.insert(Seen::Now(asked)),
        };
        match (before, asked) {
            (Seen::Earlier(Some(before)), Some(asked)) if before != asked => Standing::Changed,
            (Seen::Earlier(_), _) => Standing::Answered,
            (Seen::Now(before), asked) if before == asked => Standing::Repeated,
            (Seen::Now(before), _) => {
                self.ids.insert(IdHash::of(id), Seen::Now(before));
                Standing::Conflict
            }
        }
    }

    /// How many ids have an answer of an earlier run and were not in the input so far.
    pub(super) fn unseen(&self) -> usize {
        self.ids.values().filter(|seen| matches!(seen, Seen::Earlier(_))).count()
    }
}

impl IdHash {
    pub(super) fn of(id: &Id) -> Self {
        let mut hash = Sha256::new();
        match id {
            Id::Text(text) => hash.update(text),
            // UTF-8 text never has this byte.
            Id::Number(number) => hash.update([&[0xff], &number.to_le_bytes()[..]].concat()),
        }
        Self(hash.finalize().first_chunk().copied().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_asked_once_and_again_if_its_question_has_changed() {
        let mut ledger = Ledger::default();
        let text = |id: &str| Id::Text(id.into());
        let [x, y] = ["x", "y"].map(|text| Some(Fingerprint::of_text(text)));
        assert!(ledger.answered(&text("done"), y));
        assert!(!ledger.answered(&text("done"), x));
        for id in ["before", "gone", "other"] {
            assert!(ledger.answered(&text(id), y));
        }
        assert!(ledger.answered(&text("unknown"), None));
        for (id, asked, standing) in [
            (text("a"), x, Standing::New),
            (text("a"), x, Standing::Repeated),
            (text("a"), y, Standing::Conflict),
            (text("a"), None, Standing::Conflict),
            (text("a"), x, Standing::Repeated),
            (text("done"), x, Standing::Answered),
            (text("done"), x, Standing::Repeated),
            (text("done"), y, Standing::Conflict),
            (text("before"), x, Standing::Changed),
            (text("before"), x, Standing::Repeated),
            (text("gone"), None, Standing::Answered),
            (text("unknown"), x, Standing::Answered),
            (text("7"), x, Standing::New),
            (Id::Number(7), x, Standing::New),
            (Id::Number(-7), None, Standing::New),
            (Id::Number(-7), x, Standing::Conflict),
        ] {
            assert_eq!(ledger.see(&id, asked), standing, "{id:?} {asked:?}");
        }
        assert_eq!(ledger.unseen(), 1);
    }
}
