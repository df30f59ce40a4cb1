//! Replaces all sealed values in one transaction.

use super::error::Failure;
use super::now;
use super::pool::{Pool, bytes, text};
use crate::store::contract::{Place, ReplaceFn, Result, SessionKey};

/// Replaces the values of all tables. Returns `false`, without a change, if `replace` refuses one.
pub(super) async fn all(pool: &Pool, mut replace: ReplaceFn) -> Result<bool> {
    replaced(pool, &mut replace).await.map_err(|failure| pool.error(failure))
}

async fn replaced(pool: &Pool, replace: &mut ReplaceFn) -> std::result::Result<bool, Failure> {
    let mut connection = pool.for_transaction().await?;
    let transaction = connection.transaction().await?;
    // Reads go on; every write waits.
    transaction.batch_execute("LOCK TABLE nexus.session, nexus.pending, nexus.client IN EXCLUSIVE MODE").await?;
    transaction.batch_execute("SET LOCAL synchronous_commit = on").await?;
    let expired = concat!("DELETE FROM nexus.pending WHERE expires_at <= ", now!());
    transaction.execute_typed(expired, &[]).await?;

    let sessions = "SELECT sealed, owner, provider, generation FROM nexus.session WHERE generation > 0";
    for row in transaction.query_typed(sessions, &[]).await? {
        let key = SessionKey { owner: row.try_get(1)?, provider: row.try_get(2)? };
        let place = Place::Session { key: &key, generation: row.try_get(3)? };
        let Some(sealed) = replace(place, row.try_get(0)?) else { return Ok(false) };
        let statement = "UPDATE nexus.session SET sealed = $1 WHERE owner = $2 AND provider = $3";
        transaction.execute_typed(statement, &[bytes(&sealed), text(&key.owner), text(&key.provider)]).await?;
    }
    for row in transaction.query_typed("SELECT sealed, owner, state FROM nexus.pending", &[]).await? {
        let (owner, state): (&str, &[u8]) = (row.try_get(1)?, row.try_get(2)?);
        let Ok(state_hash) = state.try_into() else { return Ok(false) };
        let Some(sealed) = replace(Place::Pending { owner, state_hash }, row.try_get(0)?) else { return Ok(false) };
        let statement = "UPDATE nexus.pending SET sealed = $1 WHERE owner = $2 AND state = $3";
        transaction.execute_typed(statement, &[bytes(&sealed), text(&owner), bytes(&state)]).await?;
    }
    for row in transaction.query_typed("SELECT sealed, issuer, redirect_uri FROM nexus.client", &[]).await? {
        let (issuer, redirect_uri): (&str, &str) = (row.try_get(1)?, row.try_get(2)?);
        let Some(sealed) = replace(Place::Client { issuer, redirect_uri }, row.try_get(0)?) else { return Ok(false) };
        let statement = "UPDATE nexus.client SET sealed = $1 WHERE issuer = $2 AND redirect_uri = $3";
        transaction.execute_typed(statement, &[bytes(&sealed), text(&issuer), text(&redirect_uri)]).await?;
    }
    transaction.commit().await?;
    Ok(true)
}
