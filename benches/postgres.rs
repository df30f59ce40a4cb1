//! Look-ups in a PostgreSQL store with a million owners, and how many valid tokens one process hands out.
//!
//! `cargo bench --bench postgres` needs Debian's packages postgresql and pgbouncer. It prints the median and the 99th
//! percentile of look-ups of random owners, and compares `get_valid` on a thousand fresh sessions among them with
//! `pgbench -S` on as many rows, with the same number of connections, in turn. It fails if a look-up scans the table, or if `get_valid` is less
//! than half as fast.

#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a benchmark that cannot go on has failed")]

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nexus::key::Keystore;
use nexus::sandbox::{Endpoint, Sandbox, Settings};
use nexus::store::{PostgresStore, PostgresUrl, SessionKey, SessionStore as _};
use nexus::{Client, OAuthClient, ProviderConfig, SealedSessions};
use rand::TryRng as _;
use rand::rngs::SysRng;

#[allow(dead_code, reason = "the tests need all of it")]
#[path = "../tests/postgres/server.rs"]
mod server;

mod figures;

use figures::{Figure, Limit, Unit};
use server::server;

const OWNERS: usize = 1_000_000;
/// How many of them have a session that opens. The sessions of the others are copies of one of them.
const SIGNED_IN: usize = 1_000;
const CONNECTIONS: usize = 10;
const LOOK_UPS: usize = 50_000;
/// The name of their connections.
const LOOK_UP: &str = "look-up";
const ROUNDS: usize = 3;
const ROUND: Duration = Duration::from_secs(5);
/// The least share of the transactions per second of `pgbench -S`.
const RATE: f64 = 0.5;
/// pgbench has 100,000 rows for each unit of its scale.
const SCALE: usize = OWNERS / 100_000;

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let url = server().database();
    let home = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::start_on_thread(Settings::default()).unwrap();
    let client = client(provider(&sandbox), &url, home.path());
    runtime.block_on(sign_in(&client));
    fill(&url);

    let scans = |of: &str, table: &str| -> i64 {
        let statement = format!("SELECT sum({of}) FROM pg_stat_user_{table} WHERE relname = 'session'");
        server().sql(&url, &statement).parse().unwrap()
    };
    let (sequential, indexed) = (scans("seq_scan", "tables"), scans("idx_scan", "indexes"));
    let [median, slow] = runtime.block_on(look_up(&format!("{url}&application_name={LOOK_UP}")));
    // What connections did is counted when they end.
    let open = format!("SELECT count(*) FROM pg_stat_activity WHERE application_name = '{LOOK_UP}'");
    runtime.block_on(async {
        // They end in tasks of this runtime.
        while server().sql("postgres", &open) != "0" {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let (sequential, indexed) = (scans("seq_scan", "tables") - sequential, scans("idx_scan", "indexes") - indexed);
    println!("look-up among {OWNERS} owners, {CONNECTIONS} connections: median {median:?}, 99th percentile {slow:?}");
    println!("{LOOK_UPS} look-ups: {indexed} scans of the primary key, {sequential} sequential scans");

    server().client("pgbench", &["-i", "-q", "-s", &SCALE.to_string(), "postgres"]);
    let (mut tokens, mut selects) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        selects.push(pgbench());
        tokens.push(runtime.block_on(get_valid(&client)));
    }
    let (tokens, selects) = (middle(tokens), middle(selects));
    let figure = Figure {
        name: format!("tokens from PostgreSQL, {CONNECTIONS} connections"),
        nexus: tokens,
        other: selects,
        with: "pgbench -S".into(),
        unit: Unit::PerSecond,
        limit: Limit::AtLeast(RATE),
    };
    let reported = figures::report("postgres", &[figure], true).unwrap();
    let is_indexed = sequential == 0 && indexed >= LOOK_UPS as i64;
    if is_indexed { reported } else { ExitCode::FAILURE }
}

fn owner(number: usize) -> String {
    format!("user {number:07}")
}

fn random(below: usize) -> usize {
    SysRng.try_next_u32().unwrap() as usize % below
}

fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn store(url: &str) -> PostgresStore {
    PostgresStore::new(&PostgresUrl::parse(url).unwrap())
}

fn client(provider: ProviderConfig, url: &str, home: &Path) -> Client {
    let keys = Keystore::new(&home.join("key"), &home.join("state"));
    Client::with_sessions(provider, SealedSessions::new(Arc::new(store(url)), keys), nexus::now, Arc::new(|_| {}))
}

fn provider(sandbox: &Sandbox) -> ProviderConfig {
    ProviderConfig::named("work")
        .with_client(OAuthClient::public("sandbox-client"))
        .with_redirect_uri("http://127.0.0.1:1/callback")
        .with_authorize_url(&sandbox.url(Endpoint::Authorize))
        .and_then(|provider| provider.with_token_url(&sandbox.url(Endpoint::Token)))
        .unwrap()
}

/// Signs in some owners, spread among all.
async fn sign_in(client: &Client) {
    client.check_writable().await.unwrap();
    for number in 0..SIGNED_IN {
        let request = client.authorization_url().await.unwrap();
        let back = Sandbox::approve(request.url().as_str()).await.unwrap();
        let query = back.split_once('?').unwrap().1;
        client.exchange_code(&owner(number * (OWNERS / SIGNED_IN)), request, query).await.unwrap();
    }
    client.wait_for_saves().await;
}

/// Adds the other owners.
fn fill(url: &str) {
    let statement = format!(
        "INSERT INTO nexus.session (owner, provider, generation, issued_at, expires_at, committed_by, sealed)
         SELECT 'user ' || lpad(number::text, 7, '0'), provider, generation, issued_at, expires_at, committed_by, sealed
         FROM (SELECT * FROM nexus.session LIMIT 1) AS one, generate_series(0, {OWNERS} - 1) AS number
         ON CONFLICT DO NOTHING"
    );
    server().sql(url, &statement);
    server().sql(url, "VACUUM ANALYZE nexus.session");
}

/// Looks up random owners over all connections. Returns the median and the 99th percentile.
async fn look_up(url: &str) -> [Duration; 2] {
    let store = store(url);
    let tasks: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut times = Vec::new();
                for _ in 0..LOOK_UPS / CONNECTIONS {
                    let key = SessionKey { provider: "work".into(), owner: owner(random(OWNERS)) };
                    let begun = Instant::now();
                    let loaded = store.load(&key).await.unwrap();
                    times.push(begun.elapsed());
                    assert!(loaded.record.is_some(), "{key:?}");
                }
                times
            })
        })
        .collect();
    let mut times = Vec::new();
    for task in tasks {
        times.extend(task.await.unwrap());
    }
    times.sort_unstable();
    [times[times.len() / 2], times[times.len() * 99 / 100]]
}

/// How many valid tokens a process gets per second over all connections.
async fn get_valid(client: &Client) -> f64 {
    let begun = Instant::now();
    let tasks: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move {
                let mut count = 0_u32;
                while begun.elapsed() < ROUND {
                    client.get_valid(&owner(random(SIGNED_IN) * (OWNERS / SIGNED_IN))).await.unwrap();
                    count += 1;
                }
                count
            })
        })
        .collect();
    let mut count = 0;
    for task in tasks {
        count += task.await.unwrap();
    }
    f64::from(count) / begun.elapsed().as_secs_f64()
}

/// The transactions per second of `pgbench -S` over as many connections.
fn pgbench() -> f64 {
    let (connections, seconds) = (CONNECTIONS.to_string(), ROUND.as_secs().to_string());
    // Over TCP, as nexus connects.
    let options = ["-S", "-n", "-h", "127.0.0.1", "-c", &*connections, "-T", &*seconds, "postgres"];
    let report = server().client("pgbench", &options);
    let rate = report.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next());
    rate.expect("pgbench prints its rate").parse().unwrap()
}
