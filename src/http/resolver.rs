//! Resolves host names. `localhost` and the names below it are never looked up.

use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper_util::client::legacy::connect::dns;
use tower_service::Service;

use crate::provider;

type Addresses = std::vec::IntoIter<SocketAddr>;

/// Resolves the names of servers and proxies.
#[derive(Clone, Copy)]
pub(super) struct Resolver;

/// The addresses of a host name, all with this port. `localhost` and the names below it are 127.0.0.1 and ::1, whatever
/// the system's resolver says (RFC 6761, section 6.3).
pub(super) async fn addresses(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    if provider::is_localhost(host) {
        return Ok(vec![(Ipv4Addr::LOCALHOST, port).into(), (Ipv6Addr::LOCALHOST, port).into()]);
    }
    Ok(tokio::net::lookup_host((host, port)).await?.collect())
}

impl Service<dns::Name> for Resolver {
    type Response = Addresses;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Addresses>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: dns::Name) -> Self::Future {
        Box::pin(async move { Ok(addresses(name.as_str(), 0).await?.into_iter()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn localhost_and_the_names_below_it_are_loopback_and_not_looked_up() {
        let loopback = ["127.0.0.1:7", "[::1]:7"].map(|address| address.parse().unwrap());
        for name in ["localhost", "LOCALHOST", "localhost.", "llm.localhost", "a.b.Localhost."] {
            assert_eq!(addresses(name, 7).await.unwrap(), loopback, "{name}");
        }
        assert!(addresses("localhost.invalid", 7).await.is_err());
    }
}
