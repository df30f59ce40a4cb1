//! Hosts that share one session in one database.

use std::path::Path;
use std::sync::Arc;

use nexus::key::Keystore;
use nexus::sandbox::{Sandbox, Settings};
use nexus::store::{PostgresStore, PostgresUrl};
use nexus::{Client, ProviderConfig, SealedSessions};

use crate::nexus::{Nexus, block_on, provider, sandbox, sign_in};
use crate::server::Server;

/// The owner of the session.
pub(crate) const OWNER: &str = "ada";

/// A database, and a sandbox that issues tokens for it.
pub(crate) struct Fleet {
    pub(crate) sandbox: Sandbox,
    pub(crate) url: String,
    host: Nexus,
}

impl Fleet {
    /// A new, empty database with tables.
    pub(crate) fn new(server: &Server, settings: Settings) -> Self {
        let (sandbox, url) = (sandbox(settings), server.database());
        let host = host(&sandbox, &url, OWNER);
        Self { sandbox, url, host }
    }

    /// Another host.
    pub(crate) fn host(&self) -> Nexus {
        self.host_at(&self.url)
    }

    /// Another host, which reaches the database by this URL.
    pub(crate) fn host_at(&self, url: &str) -> Nexus {
        host(&self.sandbox, url, OWNER)
    }

    /// The library with the key of all hosts and connections of its own, as in another process.
    pub(crate) fn client(&self) -> Client {
        self.client_at(&self.url)
    }

    /// The library, which reaches the database by this URL.
    pub(crate) fn client_at(&self, url: &str) -> Client {
        client(&self.sandbox, url, self.host.home(), nexus::now)
    }

    /// Signs in. The access token has expired; the server issues valid ones from now on. Returns the generation.
    pub(crate) fn expire(&self) -> i64 {
        self.sandbox.change(|settings| settings.token_lifetime = Some(0.into()));
        // The library signs in faster than the program.
        let client = self.client();
        let session = block_on(async {
            let session = sign_in(&client, OWNER).await.unwrap();
            client.wait_for_saves().await;
            session
        });
        self.sandbox.change(|settings| settings.token_lifetime = Some(3_600.into()));
        session.generation
    }
}

/// A home that uses this store as this owner. All homes have the same key.
pub(crate) fn host(sandbox: &Sandbox, url: &str, owner: &str) -> Nexus {
    let mut nexus = Nexus::at(sandbox);
    nexus.set("NEXUS_STORE", url);
    nexus.set("NEXUS_OWNER", owner);
    std::fs::create_dir(nexus.path("key")).unwrap();
    nexus.write("key/session.key", &format!("nexus-key-1 {}\n", "A".repeat(43)), 0o600);
    nexus
}

/// A client with connections of its own, as in another process. `home` has its key, which is created if necessary.
pub(crate) fn client(sandbox: &Sandbox, url: &str, home: &Path, clock: fn() -> i64) -> Client {
    client_of(provider(sandbox), url, home, clock)
}

/// A client of this provider.
pub(crate) fn client_of(provider: ProviderConfig, url: &str, home: &Path, clock: fn() -> i64) -> Client {
    let store = PostgresStore::new(&PostgresUrl::parse(url).unwrap());
    let keys = Keystore::new(&home.join("key"), &home.join("state"));
    Client::with_sessions(provider, SealedSessions::new(Arc::new(store), keys), clock, Arc::new(|_| {}))
}
