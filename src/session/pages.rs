//! Goes through the sealed values of a store.

use crate::store::{Page, Place, Result, SealedValue, SessionStore, ValueKind};

/// The values of one kind, a page at a time.
pub(super) struct Pages<'a> {
    store: &'a dyn SessionStore,
    kind: ValueKind,
    limit: usize,
    length: Option<usize>,
    after: Option<Place>,
    is_done: bool,
}

impl<'a> Pages<'a> {
    /// Pages of `limit` values.
    pub(super) fn new(store: &'a dyn SessionStore, kind: ValueKind, limit: usize) -> Self {
        Self { store, kind, limit, length: None, after: None, is_done: false }
    }

    /// Reads only this many bytes of each value.
    pub(super) fn headers(self, length: usize) -> Self {
        Self { length: Some(length), ..self }
    }

    /// The next page. `None` after the last one.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<SealedValue>>> {
        if self.is_done {
            return Ok(None);
        }
        let page = Page { kind: self.kind, after: self.after.as_ref(), limit: self.limit, length: self.length };
        let values = self.store.sealed_values(page).await?;
        self.is_done = values.len() < self.limit;
        self.after = values.last().map(|value| value.place.clone());
        Ok(Some(values))
    }
}
