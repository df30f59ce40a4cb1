//! Where the names in metadata lead.
//!
//! [`metadata`](crate::oauth::metadata) refuses addresses of this machine and its link in the metadata of another server.
//! A name in it must not lead there either.

use std::net::IpAddr;
use std::time::Duration;

use tokio::net::lookup_host;
use tokio::time::timeout;

use crate::oauth::metadata::{ServerMetadata, is_on_link, is_this_machine};
use crate::provider::{Url, is_loopback};

/// How long the lookup of one name may take.
const TIME_LIMIT: Duration = Duration::from_secs(5);

/// Checks the names of the endpoints. A name that does not resolve is not refused, because a proxy may resolve it.
///
/// # Errors
/// Which endpoint leads to this machine or its link, as the end of a sentence about the metadata.
pub(super) async fn check_names(metadata: &ServerMetadata, from: &Url) -> Result<(), String> {
    check(metadata, from, async |host: &str| {
        let found = timeout(TIME_LIMIT, lookup_host((host, 0))).await;
        found.ok().and_then(Result::ok).map_or_else(Vec::new, |found| found.map(|address| address.ip()).collect())
    })
    .await
}

async fn check(metadata: &ServerMetadata, from: &Url, lookup: impl AsyncFn(&str) -> Vec<IpAddr>) -> Result<(), String> {
    let is_local = |address: &IpAddr| is_this_machine(*address) || is_on_link(*address);
    let others = metadata.endpoints().filter(|(_, url)| url.host() != from.host() && !is_loopback(from));
    let mut allowed: Vec<&str> = Vec::new();
    for (name, url) in others {
        let Some(host) = url.domain().filter(|host| !allowed.contains(host)) else { continue };
        if let Some(address) = lookup(host).await.iter().find(|address| is_local(address)) {
            // A server that is on this machine itself may name others here.
            let own = lookup(from.domain().unwrap_or_default()).await;
            if !own.iter().any(is_local) {
                return Err(format!("has a `{name}` at {host}, which leads to {address}"));
            }
        }
        allowed.push(host);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn a_name_of_another_server_does_not_lead_to_this_machine_or_its_link() {
        let issuer = "https://id.example.com";
        let document = json!({ "issuer": issuer, "token_endpoint": "https://other.example.com:8443/token" });
        let metadata = ServerMetadata::parse(document.to_string().as_bytes(), issuer).unwrap();
        let from = Url::parse(issuer).unwrap();
        for (other, own, refused) in [
            ("203.0.113.7", "203.0.113.6", false),
            ("127.0.0.1", "203.0.113.6", true),
            ("::1", "203.0.113.6", true),
            ("::ffff:127.0.0.2", "203.0.113.6", true),
            ("169.254.169.254", "203.0.113.6", true),
            ("fe80::1", "203.0.113.6", true),
            ("127.0.0.1", "127.0.0.1", false),
        ] {
            let checked = check(&metadata, &from, async |host: &str| {
                let address = if host == "id.example.com" { own } else { other };
                vec![address.parse().unwrap()]
            });
            let why = format!("has a `token_endpoint` at other.example.com, which leads to {other}");
            assert_eq!(checked.await, if refused { Err(why) } else { Ok(()) }, "{other} {own}");
        }
        assert_eq!(check(&metadata, &from, async |_: &str| Vec::new()).await, Ok(()), "a name that does not resolve");
    }
}
