use std::fs::Permissions;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;

use nexus::sandbox::Settings;
use nexus::store::{PostgresStore, PostgresUrl, SessionKey, SessionStore as _};

use crate::fleet::{Fleet, OWNER, host};
use crate::nexus::{block_on, lifetime, sandbox};
use crate::proxy::{Message, Proxy};
use crate::server::{Server, restartable, server};

const TOKEN: &[&str] = &["oauth", "token"];

#[test]
fn a_free_connection_is_waited_for() {
    let fleet = Fleet::new(server(), Settings::default());
    fleet.host().sign_in();
    let (role, url) = server().role(&fleet.url, "CONNECTION LIMIT 0");
    server().sql(
        &fleet.url,
        &format!("GRANT USAGE ON SCHEMA nexus TO {role}; GRANT ALL ON ALL TABLES IN SCHEMA nexus TO {role}"),
    );
    let proxy = Proxy::start(server());
    let host = fleet.host_at(&proxy.url(&url));
    let child = host.command(TOKEN).spawn().unwrap();
    let connects = |messages: &[Message]| messages.iter().filter(|message| **message == Message::StartUp).count();
    proxy.wait_until(|messages, _| connects(messages) >= 3);
    server().sql(&fleet.url, &format!("ALTER ROLE {role} CONNECTION LIMIT 1"));
    host.finish(child).ok();
}

#[test]
fn a_database_that_takes_no_writes_is_temporary() {
    let fleet = Fleet::new(server(), Settings::default());
    fleet.host().sign_in();
    let database = Server::database_of(&fleet.url);
    server().sql(&fleet.url, &format!("ALTER DATABASE {database} SET default_transaction_read_only = on"));
    let output = fleet.host().run(TOKEN);
    assert!(output.code == Some(75) && output.stderr.contains("does not allow writes"), "{output}");
}

#[test]
fn a_standby_is_not_used() {
    let server = restartable();
    let fleet = Fleet::new(&server, lifetime(0));
    fleet.expire();
    server.as_standby(|| {
        let output = fleet.host().run(TOKEN);
        assert!(output.code == Some(75) && output.stderr.contains("does not allow writes"), "{output}");
    });
    fleet.host().run(TOKEN).ok();
}

#[test]
fn a_server_that_says_nothing_is_temporary() {
    // The system accepts connections.
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("postgres://nexus@127.0.0.1:{}/n?sslmode=disable", listener.local_addr().unwrap().port());
    let sandbox = sandbox(Settings::default());
    std::thread::scope(|scope| {
        for words in [TOKEN, &["oauth", "status"], &["store", "status"], &["store", "migrate"]] {
            let host = host(&sandbox, &url, OWNER);
            scope.spawn(move || {
                let output = host.run(words);
                assert!(output.code == Some(75) && output.stderr.contains("no connection within"), "{output}");
            });
        }
    });
}

#[test]
fn a_command_waits_once_for_a_server_that_cannot_be_reached_and_says_so() {
    let silent = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let closed = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let ports = [&silent, &closed].map(|listener| listener.local_addr().unwrap().port());
    drop(closed);
    let sandbox = sandbox(Settings::default());
    std::thread::scope(|scope| {
        for words in [
            &["oauth", "logout"][..],
            &["oauth", "logout", "--all"],
            &["oauth", "refresh", "--all"],
            &["oauth", "start", "--no-browser"],
            &["provider", "list"],
            &["provider", "remove", "work"],
            &["doctor", "--offline"],
            &["store", "status"],
            &["store", "migrate"],
            &["key", "show"],
        ] {
            for port in ports {
                let url = format!("postgres://nexus@127.0.0.1:{port}/n?sslmode=disable");
                let host = host(&sandbox, &url, OWNER);
                std::fs::set_permissions(host.path("key"), Permissions::from_mode(0o700)).unwrap();
                scope.spawn(move || {
                    let output = host.run(words);
                    let notes = output.stderr.matches("note: waiting for the session store postgres://").count();
                    assert!(output.code == Some(75) && notes == 1, "{words:?}: {output}");
                    let is_listed = output.stdout.lines().any(|line| line.starts_with("work "));
                    assert_eq!(is_listed, words == ["provider", "list"], "{output}");
                });
            }
        }
    });
}

#[test]
fn a_server_that_says_nothing_does_not_hold_up_one_task_after_the_other() {
    const TASKS: usize = 200;
    let (proxy, fleet) = (Proxy::start(server()), Fleet::new(server(), Settings::default()));
    fleet.host().sign_in();
    let client = fleet.client_at(&proxy.url(&fleet.url));
    block_on(async {
        client.get_valid(OWNER).await.unwrap();
        proxy.silence();
        let tasks: Vec<_> = (0..TASKS)
            .map(|_| {
                let client = client.clone();
                tokio::spawn(async move { client.get_valid(OWNER).await.map(drop) })
            })
            .collect();
        for task in tasks {
            task.await.unwrap().unwrap();
        }
    });
    let attempts = proxy.messages().iter().filter(|message| **message == Message::StartUp).count();
    assert!(attempts < TASKS / 4, "{attempts} attempts to connect, each of which takes seconds");
}

#[test]
fn a_process_has_a_bounded_number_of_connections_and_abandoned_calls_keep_none() {
    const CONNECTIONS: usize = 10;
    let fleet = Fleet::new(server(), Settings::default());
    let store = PostgresStore::new(&PostgresUrl::parse(&fleet.url).unwrap());
    let key = |number: usize| SessionKey { provider: "work".into(), owner: number.to_string() };
    block_on(async {
        for round in 0..5 {
            let tasks: Vec<_> = (0..50)
                .map(|number| {
                    let (store, key) = (store.clone(), key(number % 20));
                    tokio::spawn(async move {
                        let mut locked = store.lock(&key, std::time::Duration::from_secs(60)).await.unwrap();
                        locked.load().await.unwrap();
                        locked.begin_refresh(0, 0).await.unwrap_err();
                    })
                })
                .collect();
            // Each round gets further.
            for _ in 0..round * 20 {
                tokio::task::yield_now().await;
                store.load(&key(0)).await.unwrap();
            }
            for task in &tasks {
                task.abort();
            }
        }
        // Leases of abandoned calls are released.
        for number in 0..20 {
            store.lock(&key(number), std::time::Duration::from_secs(60)).await.unwrap();
        }
    });
    let open = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = '{}' AND application_name = 'nexus'",
        Server::database_of(&fleet.url)
    );
    let open: usize = server().sql(&fleet.url, &open).parse().unwrap();
    assert!(open <= CONNECTIONS, "{open}");
}
