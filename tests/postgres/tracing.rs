//! What an operator's subscriber gets.

use std::fmt::{Debug, Write as _};
use std::sync::{Arc, Mutex};

use nexus::sandbox::Endpoint;
use nexus::sandbox::Scripted;
use serde_json::json;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::fleet::{Fleet, OWNER};
use crate::nexus::{block_on, lifetime};
use crate::server::server;

/// Keeps spans and events as text.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<String>>);

struct Line<'a>(&'a mut String);

impl Visit for Line<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, " {field}={value:?}").unwrap();
    }
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("nexus")
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let mut log = self.0.lock().unwrap();
        write!(log, "span {}", attributes.metadata().name()).unwrap();
        attributes.record(&mut Line(&mut log));
        log.push('\n');
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut log = self.0.lock().unwrap();
        log.push_str("event");
        event.record(&mut Line(&mut log));
        log.push('\n');
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[test]
fn operators_can_count_refreshes_waits_takeovers_and_failures_and_see_no_owner() {
    let log = Log::default();
    // For all threads: the interest in an event is cached for all of them.
    tracing::subscriber::set_global_default(log.clone()).unwrap();
    let fleet = Fleet::new(server(), lifetime(0));
    fleet.expire();
    let client = fleet.client();
    block_on(async { client.get_valid(OWNER).await.unwrap() });
    fleet.expire();
    fleet.sandbox.script(Endpoint::Token, [Scripted::json(500, &json!({ "error": "server_error" }))]);
    block_on(async { client.get_valid(OWNER).await.unwrap_err() });
    // The lease of a holder that was killed.
    let dead = "UPDATE nexus.session SET lease = '\\x00', lease_until = clock_timestamp()";
    server().sql(&fleet.url, dead);
    block_on(async { client.refresh(OWNER).await.unwrap() });
    let log = log.0.lock().unwrap().clone();
    for expected in [
        "span refresh provider=\"work\"\n",
        "event monotonic_counter.nexus_refreshes=1\n",
        "event monotonic_counter.nexus_refresh_failures=1\n",
        "event monotonic_counter.nexus_lease_takeovers=1 provider=\"work\"\n",
        "event histogram.nexus_lock_wait_seconds=",
    ] {
        assert!(log.contains(expected), "{expected}: {log}");
    }
    let secrets = fleet.sandbox.issued();
    for hidden in secrets.iter().map(String::as_str).chain([OWNER, "postgres://"]) {
        assert!(!log.contains(hidden), "{log}");
    }
}
