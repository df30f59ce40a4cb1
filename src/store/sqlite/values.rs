//! Reads and replaces the sealed values of all tables.

use crate::store::contract::{Page, Place, Replacement, SealedValue, SessionKey, ValueKind};
use crate::store::database::{Row, Rows, Transaction, Value, params};

/// The query of a page: its first three columns are the place, then the sealed bytes. Its parameters are the two parts
/// of the key after which the page begins, the number of rows and bytes, and the time.
pub(super) fn query(kind: ValueKind) -> &'static str {
    match kind {
        ValueKind::Session => {
            "SELECT provider, owner, generation, substr(sealed, 1, ?4) FROM session
             WHERE (?1 IS NULL OR (provider, owner) > (?1, ?2)) AND ?5 IS NOT NULL ORDER BY provider, owner LIMIT ?3"
        }
        ValueKind::PendingSignIn => {
            "SELECT owner, state, 0, substr(sealed, 1, ?4) FROM pending
             WHERE (?1 IS NULL OR (owner, state) > (?1, ?2)) AND expires_at > ?5 ORDER BY owner, state LIMIT ?3"
        }
        ValueKind::Client => {
            "SELECT issuer, redirect_uri, 0, substr(sealed, 1, ?4) FROM client
             WHERE (?1 IS NULL OR (issuer, redirect_uri) > (?1, ?2)) AND ?5 IS NOT NULL
             ORDER BY issuer, redirect_uri LIMIT ?3"
        }
    }
}

/// The parameters of the query.
pub(super) fn query_params(page: Page<'_>, now: i64) -> [Value; 5] {
    let number = |count: usize| Value::Integer(i32::try_from(count).unwrap_or(i32::MAX).into());
    let [first, second] = page.after.map_or([Value::Null, Value::Null], key);
    [first, second, number(page.limit), number(page.length.unwrap_or(usize::MAX)), Value::Integer(now)]
}

/// The two columns of a place's primary key.
fn key(place: &Place) -> [Value; 2] {
    let text = |text: &str| Value::Text(text.to_owned());
    match place {
        Place::Session { key, .. } => [text(&key.provider), text(&key.owner)],
        Place::PendingSignIn { owner, state_hash } => [text(owner), Value::Blob(state_hash.to_vec())],
        Place::Client { issuer, redirect_uri } => [text(issuer), text(redirect_uri)],
    }
}

/// The value of a row of the query.
pub(super) fn value(kind: ValueKind, row: &Row<'_>) -> Rows<SealedValue> {
    let place = match kind {
        ValueKind::Session => {
            Place::Session { key: SessionKey { provider: row.get(0)?, owner: row.get(1)? }, generation: row.get(2)? }
        }
        ValueKind::PendingSignIn => Place::PendingSignIn { owner: row.get(0)?, state_hash: row.get(1)? },
        ValueKind::Client => Place::Client { issuer: row.get(0)?, redirect_uri: row.get(1)? },
    };
    Ok(SealedValue { place, bytes: row.get(3)? })
}

/// Replaces the values that are still what they were, and returns how many.
pub(super) fn replace(transaction: &Transaction<'_>, values: &[Replacement]) -> Rows<usize> {
    let mut replaced = 0;
    for Replacement { place, before, after } in values {
        let statement = match place {
            Place::Session { .. } => {
                "UPDATE session SET sealed = ?4 WHERE provider = ?1 AND owner = ?2 AND sealed = ?3"
            }
            Place::PendingSignIn { .. } => {
                "UPDATE pending SET sealed = ?4 WHERE owner = ?1 AND state = ?2 AND sealed = ?3"
            }
            Place::Client { .. } => {
                "UPDATE client SET sealed = ?4 WHERE issuer = ?1 AND redirect_uri = ?2 AND sealed = ?3"
            }
        };
        let [first, second] = key(place);
        replaced += transaction.execute(statement, params![first, second, before, after])?;
    }
    Ok(replaced)
}
