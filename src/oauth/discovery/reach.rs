//! Where the names in metadata lead.
//!
//! [`metadata`](crate::oauth::metadata) refuses addresses of this machine and its link in the metadata of another
//! server. A name in it must not lead there either.

use std::net::IpAddr;
use std::time::Duration;

use tokio::net::lookup_host;
use tokio::time::timeout;

use crate::oauth::metadata::{ServerMetadata, is_on_link, is_this_machine};
use crate::provider::{Url, is_loopback};
use crate::store::BoxFuture;

/// How long the lookup of one name may take.
const TIME_LIMIT: Duration = Duration::from_secs(5);

/// Checks the names of the endpoints. A name that does not resolve is not refused, because a proxy may resolve it.
///
/// # Errors
/// Which endpoint leads to this machine or its link, as the end of a sentence about the metadata.
pub(super) async fn check_names(metadata: &ServerMetadata, from: &Url) -> Result<(), String> {
    check(metadata, from, &addresses).await
}

/// Checks the name of a server that a document from `from` names.
///
/// # Errors
/// Where it leads to, as the end of a sentence about the server.
pub(super) async fn check_name(server: &Url, from: &Url) -> Result<(), String> {
    match leads_here(server, from, &addresses).await {
        Some(address) => Err(format!("leads to {address}")),
        None => Ok(()),
    }
}

/// Resolves a name.
type Lookup<'l> = &'l (dyn for<'a> Fn(&'a str) -> BoxFuture<'a, Vec<IpAddr>> + Sync);

fn addresses(host: &str) -> BoxFuture<'_, Vec<IpAddr>> {
    Box::pin(async move {
        let found = timeout(TIME_LIMIT, lookup_host((host, 0))).await;
        found.ok().and_then(Result::ok).map_or_else(Vec::new, |found| found.map(|address| address.ip()).collect())
    })
}

async fn check(metadata: &ServerMetadata, from: &Url, lookup: Lookup<'_>) -> Result<(), String> {
    let mut allowed: Vec<&str> = Vec::new();
    for (name, url) in metadata.endpoints() {
        let Some(host) = url.domain().filter(|host| !allowed.contains(host)) else { continue };
        if let Some(address) = leads_here(url, from, lookup).await {
            return Err(format!("has a `{name}` at {host}, which leads to {address}"));
        }
        allowed.push(host);
    }
    Ok(())
}

/// The address of this machine or its link that the name in a URL leads to, if another server names it.
async fn leads_here(url: &Url, from: &Url, lookup: Lookup<'_>) -> Option<IpAddr> {
    let is_local = |address: &IpAddr| is_this_machine(*address) || is_on_link(*address);
    if url.host() == from.host() || is_loopback(from) {
        return None;
    }
    let address = lookup(url.domain()?).await.into_iter().find(is_local)?;
    // A server that is on this machine itself may name others here.
    let own = lookup(from.domain().unwrap_or_default()).await;
    (!own.iter().any(is_local)).then_some(address)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(addresses: &[&str]) -> BoxFuture<'static, Vec<IpAddr>> {
        let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
        Box::pin(async move { addresses })
    }

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
            let why = format!("has a `token_endpoint` at other.example.com, which leads to {other}");
            let checked =
                check(&metadata, &from, &|host: &str| found(&[if host == "id.example.com" { own } else { other }]))
                    .await;
            assert_eq!(checked, if refused { Err(why) } else { Ok(()) }, "{other} {own}");
        }
        assert_eq!(check(&metadata, &from, &|_: &str| found(&[])).await, Ok(()), "a name that does not resolve");
        // An address, unlike a name, needs no lookup: `named_url` refuses it.
        let server = Url::parse("https://localhost.localdomain.example.com").unwrap();
        for (from, leads) in [("https://203.0.113.6", true), ("http://127.0.0.1:9", false)] {
            let from = Url::parse(from).unwrap();
            let led =
                leads_here(&server, &from, &|host: &str| found(if host.is_empty() { &[] } else { &["127.0.0.1"] }))
                    .await;
            assert_eq!(led.is_some(), leads, "{from}");
        }
    }
}
