//! Replaces all sealed values in one transaction.

use crate::store::contract::{Place, ReplaceFn, SessionKey};
use crate::store::database::{Row, Rows, Transaction, params};

/// Replaces the values of all tables. Returns `false`, without a change, if `replace` refuses one.
pub(super) fn all(transaction: &Transaction<'_>, now: i64, replace: &mut ReplaceFn) -> Rows<bool> {
    transaction.execute("DELETE FROM pending WHERE expires_at <= ?1", [now])?;
    let Some(sessions) = replaced(
        transaction,
        "SELECT sealed, provider, owner, generation FROM session",
        |row| Ok((SessionKey { provider: row.get(1)?, owner: row.get(2)? }, row.get::<_, i64>(3)?)),
        |(key, generation), sealed| replace(Place::Session { key, generation: *generation }, sealed),
    )?
    else {
        return Ok(false);
    };
    let Some(pending) = replaced(
        transaction,
        "SELECT sealed, owner, state FROM pending",
        |row| Ok((row.get::<_, String>(1)?, row.get::<_, [u8; 32]>(2)?)),
        |(owner, state_hash), sealed| replace(Place::Pending { owner, state_hash }, sealed),
    )?
    else {
        return Ok(false);
    };
    let Some(clients) = replaced(
        transaction,
        "SELECT sealed, issuer, redirect_uri FROM client",
        |row| Ok((row.get::<_, String>(1)?, row.get::<_, String>(2)?)),
        |(issuer, redirect_uri), sealed| replace(Place::Client { issuer, redirect_uri }, sealed),
    )?
    else {
        return Ok(false);
    };
    for ((key, _), sealed) in sessions {
        let statement = "UPDATE session SET sealed = ?1 WHERE provider = ?2 AND owner = ?3";
        transaction.execute(statement, params![sealed, key.provider, key.owner])?;
    }
    for ((owner, state), sealed) in pending {
        let statement = "UPDATE pending SET sealed = ?1 WHERE owner = ?2 AND state = ?3";
        transaction.execute(statement, params![sealed, owner, &state[..]])?;
    }
    for ((issuer, redirect_uri), sealed) in clients {
        let statement = "UPDATE client SET sealed = ?1 WHERE issuer = ?2 AND redirect_uri = ?3";
        transaction.execute(statement, params![sealed, issuer, redirect_uri])?;
    }
    Ok(true)
}

/// The places of rows and their new values.
type Replaced<P> = Vec<(P, Vec<u8>)>;

/// The place of each row of a query, whose first column is the sealed value, and what replaces the value. `None` if one
/// was refused.
fn replaced<P>(
    transaction: &Transaction<'_>,
    query: &str,
    place: impl Fn(&Row<'_>) -> Rows<P>,
    mut replace: impl FnMut(&P, &[u8]) -> Option<Vec<u8>>,
) -> Rows<Option<Replaced<P>>> {
    let mut statement = transaction.prepare(query)?;
    let mut rows = statement.query([])?;
    let mut replaced = Vec::new();
    while let Some(row) = rows.next()? {
        let place = place(row)?;
        let Some(sealed) = replace(&place, &row.get::<_, Vec<u8>>(0)?) else { return Ok(None) };
        replaced.push((place, sealed));
    }
    Ok(Some(replaced))
}
