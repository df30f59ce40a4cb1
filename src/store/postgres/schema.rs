//! The schema of a PostgreSQL store, as numbered steps.
//!
//! The tables are in the schema `nexus` of the database. A session's row also holds its lease, and stays without a
//! session (generation 0) while only the lease is needed. Times are Unix seconds of the server's clock.

use std::cmp::Ordering;

use tokio_postgres::{Client, GenericClient};

use super::error::Failure;
use crate::store::error::ServerProblem;

/// Step n leads from version n to n + 1. A released step must not be changed.
pub(super) const STEPS: &[&str] = &[
    r#"
CREATE SCHEMA IF NOT EXISTS nexus;

CREATE TABLE nexus.version (
  single boolean PRIMARY KEY DEFAULT true CHECK (single),
  version bigint NOT NULL
);

CREATE TABLE nexus.session (
  owner text COLLATE "C" NOT NULL,
  provider text COLLATE "C" NOT NULL,
  generation bigint NOT NULL DEFAULT 0,
  issued_at bigint,
  expires_at bigint,
  ended_at bigint,
  refreshing_since bigint,
  attempts bigint NOT NULL DEFAULT 0,
  sealed bytea,
  committed_by bytea,
  lease bytea,
  lease_until timestamptz,
  PRIMARY KEY (owner, provider),
  CHECK ((generation = 0) = (sealed IS NULL))
) WITH (fillfactor = 70);
ALTER TABLE nexus.session ALTER COLUMN sealed SET STORAGE EXTERNAL;

CREATE TABLE nexus.pending (
  owner text COLLATE "C" NOT NULL,
  state bytea NOT NULL,
  expires_at bigint NOT NULL,
  sealed bytea NOT NULL,
  taken_by bytea,
  PRIMARY KEY (owner, state)
);
CREATE INDEX pending_expires_at ON nexus.pending (expires_at);

CREATE TABLE nexus.client (
  issuer text COLLATE "C" NOT NULL,
  redirect_uri text COLLATE "C" NOT NULL,
  sealed bytea NOT NULL,
  PRIMARY KEY (issuer, redirect_uri)
);

INSERT INTO nexus.version (version) VALUES (1);
"#,
    r#"
CREATE TABLE nexus.active_key (
  single boolean PRIMARY KEY DEFAULT true CHECK (single),
  id text COLLATE "C" NOT NULL
);

UPDATE nexus.version SET version = 2;
"#,
    "
ALTER TABLE nexus.session ADD COLUMN moved_to text;
UPDATE nexus.version SET version = 3;
",
];

/// The version that this program reads and writes.
pub(super) const CURRENT: i64 = STEPS.len() as i64;

/// Why this program cannot use tables of this version.
pub(super) fn problem(version: i64) -> Option<ServerProblem> {
    match version.cmp(&CURRENT) {
        Ordering::Less => Some(ServerProblem::OlderVersion { version, needed: CURRENT }),
        Ordering::Equal => None,
        Ordering::Greater => Some(ServerProblem::NewerVersion { version }),
    }
}

/// The key of the advisory lock that one migration at a time holds: "nexus" in ASCII.
const ADVISORY_LOCK: &str = "SELECT pg_advisory_xact_lock(x'6e65787573'::bigint)";

/// The version of the tables. Fails if there are none.
pub(super) async fn version(client: &impl GenericClient) -> Result<i64, Failure> {
    let row = client.query_typed_opt("SELECT version FROM nexus.version", &[]).await?;
    row.map_or(Err(Failure::permanent(ServerProblem::NoVersion)), |row| Ok(row.try_get(0)?))
}

/// What a user who does not own the tables needs, by table.
pub(super) const RIGHTS: &[(&str, &[&str])] = &[
    ("version", &["SELECT"]),
    ("session", &["SELECT", "INSERT", "UPDATE", "DELETE"]),
    ("pending", &["SELECT", "INSERT", "UPDATE", "DELETE"]),
    ("client", &["SELECT", "INSERT", "UPDATE", "DELETE"]),
    ("active_key", &["SELECT", "INSERT", "UPDATE"]),
];

/// A query for the rights that the user lacks: a row for each table, with its name and the missing rights.
pub(super) fn missing_rights() -> String {
    let needed = RIGHTS.iter().flat_map(|(table, rights)| {
        rights.iter().enumerate().map(move |(at, right)| format!("('{table}', {at}, '{right}')"))
    });
    format!(
        "SELECT 'nexus.' || name, string_agg(privilege, ', ' ORDER BY at) FROM (VALUES {}) AS needed (name, at, privilege)
         WHERE NOT has_table_privilege('nexus.' || name, privilege) GROUP BY name ORDER BY name",
        needed.collect::<Vec<_>>().join(", ")
    )
}

/// Migrates the tables in one transaction, and returns the version that they had and the one that they have. Tables of
/// a newer version are not changed.
pub(super) async fn migrate(client: &mut Client) -> Result<(i64, i64), Failure> {
    let transaction = client.transaction().await?;
    transaction.query_typed(ADVISORY_LOCK, &[]).await?;
    let exists = "SELECT to_regclass('nexus.version') IS NOT NULL";
    let found = match transaction.query_typed_one(exists, &[]).await?.try_get(0)? {
        true => version(&transaction).await?,
        false => 0,
    };
    if found >= CURRENT {
        return Ok((found, found));
    }
    for step in STEPS.iter().skip(usize::try_from(found).unwrap_or(0)) {
        transaction.batch_execute(step).await?;
    }
    transaction.commit().await?;
    Ok((found, CURRENT))
}
