//! Finds out how to sign in, from what servers publish about themselves.
//!
//! Requests carry no credential and follow no redirect to another origin. A document has at most 64 KiB, a request takes
//! at most 5 seconds, and a search sends at most 20 requests in at most 20 seconds.

mod error;
mod probe;

pub use error::DiscoveryError;
pub use probe::Probe;
use probe::Prober;

use super::metadata::ServerMetadata;
use crate::http::Http;
use crate::provider::{ProviderConfig, ProviderError, Url, endpoint_url};

type Result<T> = std::result::Result<T, DiscoveryError>;

/// Discovery of a provider whose issuer is configured.
impl ProviderConfig {
    /// The provider with what its issuer's metadata says about everything that is not configured (RFC 8414; OpenID
    /// Connect Discovery 1.0). Unchanged if it [needs no discovery](Self::needs_discovery).
    ///
    /// A stored session has its own copy of the endpoints, so only a sign-in needs this.
    ///
    /// # Errors
    /// [`DiscoveryError::NoMetadata`] if the issuer publishes no metadata that can be used, [`DiscoveryError::Http`] if
    /// it cannot be reached.
    pub async fn discovered(self) -> Result<Self> {
        self.discovered_with(Http::default()).await
    }

    /// [`discovered`](Self::discovered) with another HTTP client.
    #[doc(hidden)]
    pub async fn discovered_with(mut self, http: Http) -> Result<Self> {
        let Some(issuer) = self.issuer.clone().filter(|_| self.needs_discovery()) else { return Ok(self) };
        let http = http.for_discovery(&self);
        let mut prober = Prober::new(&http);
        match metadata_of(&mut prober, &self.name, &issuer).await? {
            Some(metadata) => metadata.fill(&mut self, &[]),
            None => {
                let (provider, probes) = (self.name, prober.into_probes());
                return Err(DiscoveryError::NoMetadata { provider, issuer, probes });
            }
        }
        Ok(self)
    }
}

/// The first usable metadata of an issuer.
async fn metadata_of(prober: &mut Prober<'_>, provider: &str, issuer: &str) -> Result<Option<ServerMetadata>> {
    let place = issuer_url(issuer).map_err(|reason| {
        let (provider, setting) = (provider.to_owned(), "issuer");
        ProviderError::InvalidUrl { provider, setting, reason }
    })?;
    for url in metadata_urls(&place) {
        let Some(response) = prober.get(url).await? else { continue };
        if response.status != 200 {
            continue;
        }
        match ServerMetadata::parse(&response.body, issuer) {
            Ok(metadata) => return Ok(Some(metadata)),
            Err(why) => prober.reject(&why.to_string()),
        }
    }
    Ok(None)
}

/// An issuer is an endpoint URL without a query (RFC 8414, section 2).
fn issuer_url(issuer: &str) -> std::result::Result<Url, String> {
    let url = endpoint_url(issuer)?;
    if url.query().is_some() { Err("must not contain a query".into()) } else { Ok(url) }
}

/// Where an issuer may publish its metadata: RFC 8414, section 3.1; OpenID Connect Discovery 1.0, section 4.1; RFC 8414,
/// section 5; and appended, as some gateways do.
fn metadata_urls(issuer: &Url) -> Vec<Url> {
    const OAUTH: &str = "/.well-known/oauth-authorization-server";
    const OPENID: &str = "/.well-known/openid-configuration";
    let path = issuer.path().trim_end_matches('/');
    let mut paths = vec![format!("{OAUTH}{path}"), format!("{path}{OPENID}")];
    if !path.is_empty() {
        paths.extend([format!("{OPENID}{path}"), format!("{path}{OAUTH}")]);
    }
    paths.iter().map(|path| at(issuer, path)).collect()
}

/// The URL of a path at the origin of another URL.
fn at(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    url.set_query(None);
    url.set_path(path);
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_looked_for_where_the_standards_say() {
        let urls =
            |issuer: &str| metadata_urls(&Url::parse(issuer).unwrap()).iter().map(Url::to_string).collect::<Vec<_>>();
        let root = [
            "https://id.example.com/.well-known/oauth-authorization-server",
            "https://id.example.com/.well-known/openid-configuration",
        ];
        assert_eq!(urls("https://id.example.com"), root);
        assert_eq!(urls("https://id.example.com/"), root);
        assert_eq!(
            urls("https://id.example.com/realms/a/"),
            [
                "https://id.example.com/.well-known/oauth-authorization-server/realms/a",
                "https://id.example.com/realms/a/.well-known/openid-configuration",
                "https://id.example.com/.well-known/openid-configuration/realms/a",
                "https://id.example.com/realms/a/.well-known/oauth-authorization-server",
            ]
        );
    }
}
