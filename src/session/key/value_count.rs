//! Numbers of sealed values.

use std::fmt;

use crate::store::ValueKind;

/// How many values of each kind. `Display` gives a list such as "2 sessions and 1 registered client".
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ValueCount {
    /// Sessions.
    pub sessions: u64,
    /// Pending sign-ins.
    pub pending_sign_ins: u64,
    /// Registered clients.
    pub clients: u64,
}

impl ValueCount {
    pub(in crate::session) fn add(&mut self, kind: ValueKind) {
        match kind {
            ValueKind::Session => self.sessions += 1,
            ValueKind::PendingSignIn => self.pending_sign_ins += 1,
            ValueKind::Client => self.clients += 1,
        }
    }

    /// The sum of two counts.
    #[must_use]
    pub(in crate::session) fn and(self, other: Self) -> Self {
        Self {
            sessions: self.sessions + other.sessions,
            pending_sign_ins: self.pending_sign_ins + other.pending_sign_ins,
            clients: self.clients + other.clients,
        }
    }

    /// This count without another one.
    #[must_use]
    pub(in crate::session) fn without(self, other: Self) -> Self {
        Self {
            sessions: self.sessions.saturating_sub(other.sessions),
            pending_sign_ins: self.pending_sign_ins.saturating_sub(other.pending_sign_ins),
            clients: self.clients.saturating_sub(other.clients),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Display for ValueCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number =
            |count, one: &str| (count > 0).then(|| format!("{count} {one}{}", if count == 1 { "" } else { "s" }));
        let kinds = [
            number(self.sessions, "session"),
            number(self.pending_sign_ins, "pending sign-in"),
            number(self.clients, "registered client"),
        ];
        let kinds: Vec<_> = kinds.into_iter().flatten().collect();
        match &*kinds {
            [] => f.write_str("nothing"),
            [last] => f.write_str(last),
            [first @ .., last] => write!(f, "{} and {last}", first.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_kinds_that_there_are_are_named() {
        let shown =
            |sessions, pending_sign_ins, clients| ValueCount { sessions, pending_sign_ins, clients }.to_string();
        assert_eq!(shown(0, 0, 0), "nothing");
        assert_eq!(shown(1, 0, 0), "1 session");
        assert_eq!(shown(0, 2, 1), "2 pending sign-ins and 1 registered client");
        assert_eq!(shown(3, 1, 2), "3 sessions, 1 pending sign-in and 2 registered clients");
    }
}
