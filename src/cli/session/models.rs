//! The list of models that is saved with a session.

use nexus::{Model, Session};

/// The list that sign-in or `nexus models` saved, if there is one.
pub(crate) fn saved(session: &Session) -> Option<Vec<Model>> {
    serde_json::from_str(session.models.as_deref()?).ok()
}
