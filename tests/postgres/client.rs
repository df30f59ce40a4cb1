use std::path::Path;
use std::process::{Command, Stdio};

use nexus::sandbox::{Endpoint, Settings};
use nexus::{ErrorClass, ErrorInfo as _};

use crate::fleet::{Fleet, OWNER, client, client_of};
use crate::nexus::{block_on, lifetime, provider_at, sandbox, sign_in};
use crate::proxy::{Message, Proxy};
use crate::server::{restartable, server};

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
    let server = restartable();
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

const PROCESSES: usize = 3;
const OWNERS: usize = 500;
const TASKS: usize = 10_000;

/// Tells a process that this test starts which of the processes it is, where the database is, and where the key.
const PROCESS: &str = "NEXUS_TEST_PROCESS";

#[test]
#[expect(clippy::disallowed_methods, reason = "tells the processes that this test starts from the test itself")]
fn many_tasks_of_many_owners_in_many_processes_refresh_each_session_once() {
    if let Ok(process) = std::env::var(PROCESS) {
        return ask_for_all(&process);
    }
    let (sandbox, home, url) = (sandbox(lifetime(0)), tempfile::tempdir().unwrap(), server().database());
    let setup = client(&sandbox, &url, home.path(), nexus::now);
    run(async {
        setup.check_writable().await.unwrap();
        for number in 0..OWNERS {
            sign_in(&setup, &owner(number)).await.unwrap();
        }
        setup.wait_for_saves().await;
    });
    sandbox.change(|settings| settings.token_lifetime = Some(3_600.into()));
    let children: Vec<_> = (0..PROCESSES)
        .map(|number| {
            let process = format!("{number} {url} {} {}", home.path().display(), sandbox.url(Endpoint::Authorize));
            let mut command = Command::new(std::env::current_exe().unwrap());
            command.args(["--exact", "client::many_tasks_of_many_owners_in_many_processes_refresh_each_session_once"]);
            command.env(PROCESS, process).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
    assert_eq!(sandbox.refreshes(), OWNERS);
    assert_eq!(sandbox.refreshes_asked(), OWNERS);
}

fn owner(number: usize) -> String {
    format!("owner {}", number % OWNERS)
}

/// Runs without a time limit: how long so many tasks take depends on the machine.
fn run(work: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work);
}

/// One of the processes: asks for its share of the sessions at once.
fn ask_for_all(process: &str) {
    let parts: Vec<_> = process.split(' ').collect();
    let [number, url, home, authorize_url] = parts[..] else { panic!("{process}") };
    let client = client_of(provider_at(authorize_url), url, Path::new(home), nexus::now);
    run(async {
        let tasks: Vec<_> = (number.parse().unwrap()..TASKS)
            .step_by(PROCESSES)
            .map(|task| {
                let client = client.clone();
                tokio::spawn(async move { client.get_valid(&owner(task)).await.map(|session| session.generation) })
            })
            .collect();
        for task in tasks {
            assert_eq!(task.await.unwrap().unwrap(), 2);
        }
        client.wait_for_saves().await;
    });
}

#[test]
fn tasks_that_wait_for_a_refresh_take_no_lease() {
    let (proxy, fleet) = (Proxy::start(server()), Fleet::new(server(), lifetime(0)));
    fleet.expire();
    let client = fleet.client_at(&proxy.url(&fleet.url));
    block_on(async {
        let tasks: Vec<_> = (0..20)
            .map(|_| {
                let client = client.clone();
                tokio::spawn(async move { client.get_valid(OWNER).await.map(|session| session.generation) })
            })
            .collect();
        for task in tasks {
            assert_eq!(task.await.unwrap().unwrap(), 2);
        }
    });
    let takes = |message: &Message| matches!(message, Message::Statement { text, .. } if text.contains("lease = excluded.lease"));
    assert_eq!(proxy.messages().iter().filter(|message| takes(message)).count(), 1);
}

#[test]
fn a_changed_expiry_does_not_prolong_a_token() {
    let fleet = Fleet::new(server(), lifetime(0));
    fleet.expire();
    server().sql(&fleet.url, "UPDATE nexus.session SET expires_at = expires_at + 1000000");
    fleet.host().run(&["oauth", "token"]).ok();
    assert_eq!(fleet.sandbox.refreshes(), 1);
}
