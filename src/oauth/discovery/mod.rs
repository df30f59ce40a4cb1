//! Finds out how to sign in, from what servers publish about themselves.
//!
//! Requests carry no credential and follow no redirect to another origin. A document has at most 64 KiB, a request
//! takes at most 5 seconds, and a search sends at most 20 requests in at most 20 seconds.

mod error;
mod probe;
mod reach;
mod search;

pub use error::DiscoveryError;
pub use probe::Probe;
use probe::Prober;
pub use search::{ApiAnswer, Found, ProtectedResource, base_of, search};
use search::{answer_of, issuer_at};

use super::metadata::ServerMetadata;
use crate::http::Http;
use crate::provider::{OAuthClient, ProviderConfig, ProviderError, Url, endpoint_url, host};

type Result<T> = std::result::Result<T, DiscoveryError>;

/// Where an authorization server publishes its metadata (RFC 8414, section 3).
const OAUTH: &str = "/.well-known/oauth-authorization-server";

/// Discovery of a provider whose issuer or gateway is configured.
impl ProviderConfig {
    /// The provider with what its issuer or gateway publishes about everything that is not configured (RFC 8414; OpenID
    /// Connect Discovery 1.0; RFC 9728). Unchanged if it [needs no discovery](Self::needs_discovery).
    ///
    /// A stored session has its own copy of the endpoints, so only a sign-in needs this.
    ///
    /// # Errors
    /// [`DiscoveryError::NoMetadata`] or [`DiscoveryError::NothingFound`] if nothing is published that can be used,
    /// [`DiscoveryError::Http`] if the server cannot be reached, and those of [`Found::apply`].
    pub async fn discovered(mut self) -> Result<Self> {
        if self.needs_discovery() {
            self.discover_with(&Http::default()).await?;
        }
        Ok(self)
    }

    /// [`discovered`](Self::discovered) with another HTTP client, whether or not something is open. Returns what was
    /// found.
    #[doc(hidden)]
    pub async fn discover_with(&mut self, http: &Http) -> Result<Option<Found>> {
        let http = http.for_discovery(self);
        let found = match (&self.issuer, &self.gateway) {
            (Some(issuer), _) => issuer_of(&http, &self.name, issuer, self.api.url.as_ref()).await?,
            (None, Some(gateway)) => search(&http, gateway, self).await?,
            (None, None) => return Ok(None),
        };
        found.apply(self)?;
        Ok(Some(found))
    }
}

impl Found {
    /// Sets what the configuration of the provider leaves open.
    ///
    /// # Errors
    /// [`DiscoveryError::NoSignIn`] if no sign-in is needed there.
    pub fn apply(&self, provider: &mut ProviderConfig) -> Result<()> {
        match self {
            Self::Issuer { metadata, api } => {
                let resource = api.as_ref().and_then(|api| api.resource.as_ref());
                let resource = resource.filter(|resource| resource.names(&metadata.issuer));
                metadata.fill(provider, resource.map_or(&[], |resource| &resource.scopes));
                if let Some(resource) = resource {
                    ask_for(provider, &resource.identifier);
                }
            }
            Self::Resource { api, resource, metadata } => {
                metadata.fill(provider, &resource.scopes);
                at_gateway(provider, api);
                ask_for(provider, &resource.identifier);
            }
            Self::Litellm { gateway, resource, metadata } => {
                metadata.fill(provider, &[]);
                at_gateway(provider, gateway);
                ask_for(provider, resource);
            }
            Self::AppsGateway { gateway, metadata } => {
                // Its contract has no scopes, whatever the metadata lists.
                let scopes = provider.scopes.clone();
                metadata.fill(provider, &[]);
                provider.scopes = scopes;
                at_gateway(provider, gateway);
                provider.client.get_or_insert_with(OAuthClient::without_id);
            }
            Self::Open { api } => return Err(DiscoveryError::NoSignIn { host: host(api) }),
        }
        Ok(())
    }
}

/// Sets the gateway, which is the API too.
fn at_gateway(provider: &mut ProviderConfig, gateway: &Url) {
    provider.gateway.get_or_insert_with(|| gateway.clone());
    provider.api.url.get_or_insert_with(|| gateway.clone());
}

/// Sets the resource to ask tokens for (RFC 8707).
fn ask_for(provider: &mut ProviderConfig, resource: &str) {
    let further = [&provider.authorize_params, &provider.code.params, &provider.refresh.params];
    if !further.iter().any(|params| params.contains_key("resource")) {
        provider.resource.get_or_insert_with(|| resource.to_owned());
    }
}

async fn issuer_of(http: &Http, provider: &str, issuer: &str, api: Option<&Url>) -> Result<Found> {
    let place = issuer_url(issuer).map_err(|reason| {
        let (provider, setting) = (provider.to_owned(), "issuer");
        ProviderError::InvalidUrl { provider, setting, reason }
    })?;
    let mut prober = Prober::new(http);
    match issuer_at(&mut prober, issuer, &place, api).await? {
        Some(found) => Ok(found),
        None => {
            let (provider, issuer, probes) = (provider.to_owned(), issuer.to_owned(), prober.into_probes());
            Err(DiscoveryError::NoMetadata { provider, issuer, probes })
        }
    }
}

/// What an API answers to a request for its models without a credential.
///
/// # Errors
/// The API cannot be reached.
pub async fn answer_of_api(http: Http, provider: &ProviderConfig, api: &Url) -> Result<ApiAnswer> {
    let http = &http.for_discovery(provider);
    answer_of(&mut Prober::new(http), api).await
}

/// The first usable metadata of an issuer, whose URL is `place`.
async fn metadata_of(prober: &mut Prober<'_>, issuer: &str, place: &Url) -> Result<Option<ServerMetadata>> {
    for url in metadata_urls(place) {
        let Some(document) = prober.document(&url).await? else { continue };
        match ServerMetadata::parse(&document, issuer) {
            Ok(metadata) => match reach::check_names(&metadata, place).await {
                Ok(()) => return Ok(Some(metadata)),
                Err(why) => prober.reject(&url, &why),
            },
            Err(why) => prober.reject(&url, &why.to_string()),
        }
    }
    Ok(None)
}

/// An issuer is an endpoint URL without a query (RFC 8414, section 2).
fn issuer_url(issuer: &str) -> std::result::Result<Url, String> {
    let url = endpoint_url(issuer)?;
    if url.query().is_some() { Err("must not contain a query".into()) } else { Ok(url) }
}

/// Where an issuer may publish its metadata: RFC 8414, section 3.1; OpenID Connect Discovery 1.0, section 4.1; RFC
/// 8414, section 5; and appended, as some gateways do.
fn metadata_urls(issuer: &Url) -> Vec<Url> {
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
