use std::path::Path;
use std::sync::Arc;

use nexus::key::Keystore;
use nexus::sandbox::{Sandbox, Settings};
use nexus::store::{PostgresStore, PostgresUrl};
use nexus::{Client, ErrorClass, ErrorInfo as _, SealedSessions};

use crate::nexus::{block_on, lifetime, provider, sandbox, sign_in};
use crate::server::{Server, server};

/// A client with connections of its own, as in another process.
fn client(sandbox: &Sandbox, url: &str, home: &Path, clock: fn() -> i64) -> Client {
    let store = PostgresStore::new(&PostgresUrl::parse(url).unwrap());
    let keys = Keystore::new(&home.join("key"), &home.join("state"));
    Client::with_sessions(provider(sandbox), SealedSessions::new(Arc::new(store), keys), clock, Arc::new(|_| {}))
}

#[test]
fn hosts_with_wrong_clocks_agree_on_when_a_token_expires() {
    let (sandbox, home, url) = (sandbox(Settings::default()), tempfile::tempdir().unwrap(), server().database());
    let clocks: [fn() -> i64; 3] = [nexus::now, || nexus::now() + 3_700, || nexus::now() - 3_700];
    let clients = clocks.map(|clock| client(&sandbox, &url, home.path(), clock));
    block_on(async {
        clients[0].check_writable().await.unwrap();
        for signing_in in &clients {
            let signed_in = sign_in(signing_in, "ada").await.unwrap();
            for other in &clients {
                let session = other.get_valid("ada").await.unwrap();
                assert_eq!((session.generation, session.expires_at), (signed_in.generation, signed_in.expires_at));
            }
            let lifetime = signed_in.expires_at.unwrap() - nexus::now();
            assert!((28_000..=28_801).contains(&lifetime), "eight hours by the database's clock: {lifetime}");
        }
    });
    assert_eq!(sandbox.refreshes(), 0);
}

#[test]
fn an_outage_stops_no_client_whose_token_is_valid() {
    // A server of its own, because it is stopped.
    let server = Server::start();
    let (sandbox, home, url) = (sandbox(Settings::default()), tempfile::tempdir().unwrap(), server.database());
    let [first, second] = [(); 2].map(|()| client(&sandbox, &url, home.path(), nexus::now));
    block_on(async {
        first.check_writable().await.unwrap();
        let signed_in = sign_in(&first, "ada").await.unwrap();
        second.get_valid("ada").await.unwrap();
        server.down();
        let session = second.get_valid("ada").await.unwrap();
        assert_eq!(session.access_token.expose(), signed_in.access_token.expose());
        let unknown = second.get_valid("grace").await.unwrap_err();
        assert_eq!((unknown.class(), unknown.code()), (ErrorClass::Temporary, "store_unavailable"), "{unknown}");
        let forced = second.refresh("ada").await.unwrap_err();
        assert_eq!(forced.code(), "store_unavailable", "no token is spent that could not be saved: {forced}");
        assert_eq!(sandbox.refreshes(), 0);
        server.up();
        first.sign_out("ada").await.unwrap();
        let gone = second.get_valid("ada").await.unwrap_err();
        assert_eq!(gone.class(), ErrorClass::SignIn, "a sign-out elsewhere takes effect at once: {gone}");
    });
}

const OWNERS: usize = 100;
const TASKS: usize = 2_000;

#[test]
fn many_tasks_of_many_owners_refresh_each_session_once() {
    let (sandbox, home, url) = (sandbox(lifetime(0)), tempfile::tempdir().unwrap(), server().database());
    let setup = client(&sandbox, &url, home.path(), nexus::now);
    block_on(async {
        setup.check_writable().await.unwrap();
        for owner in 0..OWNERS {
            sign_in(&setup, &format!("owner {owner}")).await.unwrap();
        }
    });
    sandbox.change(|settings| settings.token_lifetime = Some(3_600.into()));
    std::thread::scope(|scope| {
        for process in 0..3 {
            let client = client(&sandbox, &url, home.path(), nexus::now);
            scope.spawn(move || {
                block_on(async {
                    let tasks: Vec<_> = (process..TASKS)
                        .step_by(3)
                        .map(|task| {
                            let (client, owner) = (client.clone(), format!("owner {}", task % OWNERS));
                            tokio::spawn(
                                async move { client.get_valid(&owner).await.map(|session| session.generation) },
                            )
                        })
                        .collect();
                    for task in tasks {
                        assert_eq!(task.await.unwrap().unwrap(), 2);
                    }
                    client.wait_for_saves().await;
                });
            });
        }
    });
    assert_eq!(sandbox.refreshes(), OWNERS);
}
