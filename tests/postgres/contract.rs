use std::sync::Arc;

use nexus::store::conformance::{self, Subject};
use nexus::store::{PostgresStore, PostgresUrl, SessionStore};

use crate::nexus::block_on;
use crate::server::server;

struct Database {
    url: String,
    /// Without a pooler.
    direct: String,
}

impl Database {
    fn new(pooled: bool) -> Self {
        let direct = server().database();
        let url = if pooled { server().pooled(&direct) } else { direct.clone() };
        Self { url, direct }
    }

    fn store(&self) -> PostgresStore {
        PostgresStore::new(&PostgresUrl::parse(&self.url).unwrap())
    }
}

impl Subject for Database {
    fn open(&self) -> Arc<dyn SessionStore> {
        Arc::new(self.store())
    }

    fn lose_locks(&self) -> bool {
        server().sql(&self.direct, "UPDATE nexus.session SET lease_until = clock_timestamp()");
        true
    }
}

#[test]
fn the_store_keeps_the_contract() {
    let database = Database::new(false);
    block_on(conformance::check(&database));
}

#[test]
fn the_store_keeps_the_contract_behind_a_pooler() {
    let database = Database::new(true);
    block_on(conformance::check(&database));
}

#[test]
fn the_tables_are_created_once_however_many_do_it() {
    let database = Database { url: server().empty_database(), direct: String::new() };
    block_on(async {
        let (first, second) = (database.store(), database.store());
        let (first, second) = tokio::join!(first.migrate(), second.migrate());
        let mut versions = [first.unwrap(), second.unwrap()];
        versions.sort_unstable();
        assert_eq!(versions, [(0, 3), (3, 3)]);
        assert_eq!(database.store().schema_version().await.unwrap(), 3);
    });
}

#[test]
fn newer_tables_are_not_touched() {
    let database = Database::new(false);
    block_on(async {
        server().sql(&database.direct, "UPDATE nexus.version SET version = 7");
        let expected = "the tables were migrated by a newer nexus (version 7); they were not changed";
        for refused in [
            database.store().migrate().await.map(drop),
            database.store().check().await,
            database.store().schema_version().await.map(drop),
            database.store().list(None).await.map(drop),
        ] {
            let refused = refused.unwrap_err().to_string();
            assert!(refused.ends_with(expected), "{refused}");
        }
    });
}
