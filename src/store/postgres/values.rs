//! Reads and replaces the sealed values of all tables.

use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::pool::{Param, Pool, bytes, number, text};
use super::{durable, now};
use crate::store::contract::{Page, Place, Replacement, Result, SealedValue, SessionKey, ValueKind};

/// A page of values.
pub(super) async fn read(pool: &Pool, page: Page<'_>) -> Result<Vec<SealedValue>> {
    // The place after which the page begins, the number of rows, and the number of bytes.
    let statement = match page.kind {
        ValueKind::Session => {
            "SELECT substring(sealed FROM 1 FOR $4::int), owner, provider, generation FROM nexus.session
             WHERE generation > 0 AND ($1 IS NULL OR (owner, provider) > ($1, $2)) ORDER BY owner, provider LIMIT $3"
        }
        ValueKind::PendingSignIn => concat!(
            "SELECT substring(sealed FROM 1 FOR $4::int), owner, state FROM nexus.pending
             WHERE expires_at > ",
            now!(),
            " AND taken_by IS NULL AND ($1 IS NULL OR (owner, state) > ($1, $2)) ORDER BY owner, state LIMIT $3"
        ),
        ValueKind::Client => {
            "SELECT substring(sealed FROM 1 FOR $4::int), issuer, redirect_uri FROM nexus.client
             WHERE $1 IS NULL OR (issuer, redirect_uri) > ($1, $2) ORDER BY issuer, redirect_uri LIMIT $3"
        }
    };
    let (first, second) = page.after.map(key).unzip();
    let second = second.unwrap_or(match page.kind {
        ValueKind::PendingSignIn => Second::Bytes(&[]),
        ValueKind::Session | ValueKind::Client => Second::Text(""),
    });
    let capped = |count: usize| i64::from(i32::try_from(count).unwrap_or(i32::MAX));
    let (limit, length) = (capped(page.limit), capped(page.length.unwrap_or(usize::MAX)));
    let params = [text(&first), second.param(), number(&limit), number(&length)];
    pool.rows(statement, &params).await?.iter().map(|row| value(pool, page.kind, row)).collect()
}

/// The second column of a primary key.
enum Second<'a> {
    Text(&'a str),
    Bytes(&'a [u8]),
}

impl Second<'_> {
    fn param(&self) -> Param<'_> {
        match self {
            Self::Text(value) => text(value),
            Self::Bytes(value) => bytes(value),
        }
    }
}

/// The primary key of a place.
fn key(place: &Place) -> (&str, Second<'_>) {
    match place {
        Place::Session { key, .. } => (&key.owner, Second::Text(&key.provider)),
        Place::PendingSignIn { owner, state_hash } => (owner, Second::Bytes(state_hash)),
        Place::Client { issuer, redirect_uri } => (issuer, Second::Text(redirect_uri)),
    }
}

fn value(pool: &Pool, kind: ValueKind, row: &Row) -> Result<SealedValue> {
    let place = match kind {
        ValueKind::Session => Place::Session {
            key: SessionKey { owner: pool.column(row, 1)?, provider: pool.column(row, 2)? },
            generation: pool.column(row, 3)?,
        },
        ValueKind::PendingSignIn => {
            let state: &[u8] = pool.column(row, 2)?;
            // Another length cannot be taken. It expires.
            let state_hash = state.try_into().unwrap_or_default();
            Place::PendingSignIn { owner: pool.column(row, 1)?, state_hash }
        }
        ValueKind::Client => Place::Client { issuer: pool.column(row, 1)?, redirect_uri: pool.column(row, 2)? },
    };
    Ok(SealedValue { place, bytes: pool.column(row, 0)? })
}

/// Replaces the values that are still what they were, all of one kind, in one statement. Returns how many.
pub(super) async fn replace(pool: &Pool, values: &[Replacement]) -> Result<usize> {
    /// The rows are locked in the order of their keys, so that two such statements cannot wait for each other.
    macro_rules! statement {
        ($table:literal, $first:literal, $second:literal, $type:literal) => {
            concat!(
                "WITH replacement AS (
                   SELECT * FROM unnest($1::text[], $2::",
                $type,
                "[], $3::bytea[], $4::bytea[]) AS r (a, b, before, after)),
                 locked AS (
                   SELECT a, b, after FROM ",
                $table,
                " AS v JOIN replacement ON v.",
                $first,
                " = a AND v.",
                $second,
                " = b
                   WHERE v.sealed = before ORDER BY v.",
                $first,
                ", v.",
                $second,
                " FOR UPDATE OF v)
                 UPDATE ",
                $table,
                " AS v SET sealed = after FROM locked
                 WHERE v.",
                $first,
                " = a AND v.",
                $second,
                " = b AND ",
                durable!(),
                " RETURNING 1"
            )
        };
    }
    let keys = || values.iter().map(|value| key(&value.place));
    let first: Vec<_> = keys().map(|(first, _)| first).collect();
    let texts: Vec<_> =
        keys().filter_map(|(_, second)| if let Second::Text(text) = second { Some(text) } else { None }).collect();
    let blobs: Vec<_> =
        keys().filter_map(|(_, second)| if let Second::Bytes(bytes) = second { Some(bytes) } else { None }).collect();
    let before: Vec<_> = values.iter().map(|value| &*value.before).collect();
    let after: Vec<_> = values.iter().map(|value| &*value.after).collect();
    let Some(place) = values.first().map(|value| &value.place) else { return Ok(0) };
    let (statement, second): (_, Param<'_>) = match place {
        Place::Session { .. } => (statement!("nexus.session", "owner", "provider", "text"), (&texts, Type::TEXT_ARRAY)),
        Place::PendingSignIn { .. } => {
            (statement!("nexus.pending", "owner", "state", "bytea"), (&blobs, Type::BYTEA_ARRAY))
        }
        Place::Client { .. } => {
            (statement!("nexus.client", "issuer", "redirect_uri", "text"), (&texts, Type::TEXT_ARRAY))
        }
    };
    let params: [Param<'_>; 4] =
        [(&first, Type::TEXT_ARRAY), second, (&before, Type::BYTEA_ARRAY), (&after, Type::BYTEA_ARRAY)];
    Ok(pool.rows(statement, &params).await?.len())
}
