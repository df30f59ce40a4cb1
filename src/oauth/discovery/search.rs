//! Finds out what is at a URL: a gateway that says how to sign in, an API that names its authorization server, or an
//! authorization server.
//!
//! The order matters: a gateway's own contract comes first, because the standard documents at the same place may belong
//! to something else, such as the tools that LiteLLM serves.

use hyper::header::{HeaderMap, WWW_AUTHENTICATE};
use serde_json::Value;

use super::error::DiscoveryError;
use super::probe::{Probe, Prober, Response};
use super::{OAUTH, at, metadata_of, reach};
use crate::http::Http;
use crate::oauth::metadata::{Members, MetadataError, ServerMetadata, named_url, without_slash};
use crate::provider::{self, ProviderConfig, Url, endpoint_url};

type Result<T> = std::result::Result<T, DiscoveryError>;

/// The document of LiteLLM's contract for native clients.
const LITELLM: &str = "/.well-known/litellm-cli-auth";

/// Below the URL of a gateway, where the Claude apps gateway protocol may be served: by the gateway itself, and by
/// LiteLLM, whose API is at its own URL all the same.
const APPS_GATEWAYS: &[&str] = &["", "/claude_code_gateway"];

/// Paths that people append to the base URL of an API.
const API_PATHS: &[&str] = &["/v1/messages", "/v1/chat/completions", "/v1"];

/// How many authorization servers of one API are asked.
const SERVERS: usize = 3;

/// What is at a URL.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Found {
    /// A LiteLLM gateway with its contract for native clients.
    Litellm {
        /// The gateway.
        gateway: Url,
        /// Its endpoints.
        metadata: ServerMetadata,
        /// The resource to ask tokens for (RFC 8707). Without it, the tokens do not open the API.
        resource: String,
    },
    /// A gateway with the protocol of Claude apps gateways: a device flow without a registered client.
    AppsGateway {
        /// The gateway.
        gateway: Url,
        /// Its endpoints.
        metadata: ServerMetadata,
    },
    /// An API that names its authorization server (RFC 9728).
    Resource {
        /// The API.
        api: Url,
        /// What it says about its tokens.
        resource: ProtectedResource,
        /// The authorization server.
        metadata: ServerMetadata,
    },
    /// An authorization server.
    Issuer {
        /// The authorization server.
        metadata: ServerMetadata,
        /// What the configured API answers, if one is configured.
        api: Option<ApiAnswer>,
    },
    /// An API that answers without a credential.
    Open {
        /// The API.
        api: Url,
    },
}

/// What an API says about its tokens (RFC 9728, section 2).
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ProtectedResource {
    /// The resource to ask tokens for (RFC 8707).
    pub identifier: String,
    /// The scopes that the API asks for.
    pub scopes: Vec<String>,
    /// The issuers of the authorization servers whose tokens it takes.
    pub servers: Vec<String>,
}

impl ProtectedResource {
    /// Whether it takes the tokens of the authorization server with this issuer.
    pub fn names(&self, issuer: &str) -> bool {
        self.servers.iter().any(|server| without_slash(server) == without_slash(issuer))
    }
}

/// What an API answers to a request for its models without a credential.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ApiAnswer {
    /// The request, and what it gave.
    pub probe: Probe,
    /// Whether that is a list of models.
    pub is_open: bool,
    /// What it says about its tokens (RFC 9728).
    pub resource: Option<ProtectedResource>,
}

/// Finds out what is at a URL, which is that of a gateway, of an API or of an issuer. The API and the client of
/// `provider` are those that are configured.
///
/// # Errors
/// [`DiscoveryError::NothingFound`] with what each request gave, [`DiscoveryError::Http`] if the server cannot be
/// reached.
pub async fn search(http: &Http, url: &Url, provider: &ProviderConfig) -> Result<Found> {
    let mut prober = Prober::new(http);
    match find(&mut prober, url, provider).await? {
        Some(found) => Ok(found),
        None => Err(DiscoveryError::NothingFound { url: url.clone(), probes: prober.into_probes() }),
    }
}

async fn find(prober: &mut Prober<'_>, url: &Url, provider: &ProviderConfig) -> Result<Option<Found>> {
    let base = base_of(url);
    let path = base.path().trim_end_matches('/').to_owned();
    let contract = at(&base, &format!("{path}{LITELLM}"));
    if let Some(document) = prober.document(&contract).await? {
        match litellm(&document, &base) {
            Ok(found) => return Ok(Some(found)),
            Err(why) => prober.reject(&contract, &why),
        }
    }
    for below in APPS_GATEWAYS {
        let place = at(&base, &format!("{path}{below}{OAUTH}"));
        let Some(document) = prober.document(&place).await? else { continue };
        match apps_gateway(&document, &base) {
            Ok(Some(found)) => return Ok(Some(found)),
            // The document of an authorization server.
            Ok(None) => {}
            Err(why) => prober.reject(&place, &why),
        }
    }
    let models = models_of(&base);
    if let Some(response) = prober.get(&models).await? {
        if is_list_of_models(&response) {
            return Ok(Some(Found::Open { api: base }));
        }
        if let Some((place, protected)) = protected_resource_of(prober, &models, &response, &base).await?
            && let Some(found) = first_server(prober, &place, protected, &base, provider.client.is_none()).await?
        {
            return Ok(Some(found));
        }
    }
    issuer_at(prober, without_slash(url.as_str()), url, provider.api.url.as_ref()).await
}

/// The authorization server with this issuer, whose URL is `place`, and what the API says about its tokens.
pub(super) async fn issuer_at(
    prober: &mut Prober<'_>,
    issuer: &str,
    place: &Url,
    api: Option<&Url>,
) -> Result<Option<Found>> {
    let Some(metadata) = metadata_of(prober, issuer, place).await? else { return Ok(None) };
    let api = match api {
        Some(api) => Some(answer_of(prober, api).await?),
        None => None,
    };
    Ok(Some(Found::Issuer { metadata, api }))
}

/// What an API answers to a request for its models without a credential.
pub(super) async fn answer_of(prober: &mut Prober<'_>, api: &Url) -> Result<ApiAnswer> {
    let base = base_of(api);
    let models = models_of(&base);
    let response = prober.get(&models).await?;
    let is_open = response.as_ref().is_some_and(is_list_of_models);
    if response.as_ref().is_some_and(|response| response.status == 200) && !is_open {
        prober.reject(&models, "has no list of models");
    }
    let resource = match &response {
        Some(response) => protected_resource_of(prober, &models, response, &base).await?,
        None => None,
    };
    Ok(ApiAnswer { probe: prober.probe(models), is_open, resource: resource.map(|(_, resource)| resource) })
}

/// The base URL of an API, whatever of its paths is typed.
pub fn base_of(url: &Url) -> Url {
    let path = url.path().trim_end_matches('/');
    let path = API_PATHS.iter().find_map(|end| path.strip_suffix(end)).unwrap_or(path);
    at(url, path)
}

/// Where an API lists its models.
pub(super) fn models_of(base: &Url) -> Url {
    at(base, &format!("{}/v1/models", base.path().trim_end_matches('/')))
}

/// A contract is kept at the gateway: its endpoints have the gateway's origin.
fn contract(members: &Members, gateway: &Url) -> std::result::Result<ServerMetadata, String> {
    // Registered clients are kept by issuer, and the `iss` of a response is compared with it (RFC 9207).
    let named = members.url("issuer", Some(gateway)).map_err(told)?;
    if let Some(other) = named.filter(|url| url.origin() != gateway.origin()) {
        return Err(format!("belongs to the issuer at {}, which is another server", provider::host(&other)));
    }
    let issuer = members.text("issuer").map_err(told)?.unwrap_or(gateway.as_str());
    let metadata = ServerMetadata::read(members, issuer, gateway).map_err(told)?;
    if let Some((name, url)) = metadata.endpoints().find(|(_, url)| url.origin() != gateway.origin()) {
        return Err(format!("has a `{name}` at {}, which is another server", provider::host(url)));
    }
    Ok(metadata)
}

/// Reads LiteLLM's contract.
fn litellm(document: &[u8], gateway: &Url) -> std::result::Result<Found, String> {
    let members = Members::parse(document).map_err(told)?;
    let metadata = contract(&members, gateway)?;
    for (name, endpoint) in
        [("authorization_endpoint", &metadata.authorization_endpoint), ("token_endpoint", &metadata.token_endpoint)]
    {
        endpoint.as_ref().ok_or_else(|| told(MetadataError::Missing(name)))?;
    }
    let resource = members.text("resource").map_err(told)?.unwrap_or_else(|| without_slash(gateway.as_str()));
    if let Some(why) = provider::not_a_resource(resource) {
        return Err(format!("has a `resource` that {why}"));
    }
    Ok(Found::Litellm { gateway: gateway.clone(), metadata, resource: resource.to_owned() })
}

/// Reads the document of a Claude apps gateway. `None` if it is that of an authorization server.
fn apps_gateway(document: &[u8], gateway: &Url) -> std::result::Result<Option<Found>, String> {
    let members = Members::parse(document).map_err(told)?;
    if !members.has("device_authorization_endpoint") || members.has("authorization_endpoint") {
        return Ok(None);
    }
    let metadata = contract(&members, gateway)?;
    metadata.token_endpoint.as_ref().ok_or_else(|| told(MetadataError::Missing("token_endpoint")))?;
    Ok(Some(Found::AppsGateway { gateway: gateway.clone(), metadata }))
}

/// The metadata that an API names in a challenge, and its place.
async fn protected_resource_of(
    prober: &mut Prober<'_>,
    asked: &Url,
    response: &Response,
    base: &Url,
) -> Result<Option<(Url, ProtectedResource)>> {
    let Some(place) = resource_metadata(&response.headers).filter(|_| response.status == 401) else { return Ok(None) };
    let place = match metadata_place(&place, base) {
        Ok(place) => place,
        Err(why) => {
            prober.reject(asked, &why);
            return Ok(None);
        }
    };
    let Some(document) = prober.document(&place).await? else { return Ok(None) };
    match protected_resource(&document, base) {
        Ok(protected) => Ok(Some((place, protected))),
        Err(why) => {
            prober.reject(&place, &why);
            Ok(None)
        }
    }
}

/// The first of an API's authorization servers that can be used. One that registers clients comes first if none is
/// configured.
async fn first_server(
    prober: &mut Prober<'_>,
    place: &Url,
    resource: ProtectedResource,
    base: &Url,
    needs_registration: bool,
) -> Result<Option<Found>> {
    let mut first = None;
    for issuer in resource.servers.iter().take(SERVERS) {
        let server = match named_url(issuer, Some(base)) {
            Ok(server) => reach::check_name(&server, base).await.map(|()| server),
            Err(why) => Err(why),
        };
        match server {
            Ok(server) => {
                let Some(metadata) = metadata_of(prober, issuer, &server).await? else { continue };
                let is_best = !needs_registration || metadata.registration_endpoint.is_some();
                first = first.filter(|_| !is_best).or(Some(metadata));
                if is_best {
                    break;
                }
            }
            Err(why) => prober.reject(place, &format!("names an authorization server that {why}")),
        }
    }
    Ok(first.map(|metadata| Found::Resource { api: base.clone(), resource, metadata }))
}

/// Reads the metadata of an API.
fn protected_resource(document: &[u8], base: &Url) -> std::result::Result<ProtectedResource, String> {
    let members = Members::parse(document).map_err(told)?;
    let resource = members.text("resource").and_then(|resource| resource.ok_or(MetadataError::Missing("resource")));
    let resource = resource.map_err(told)?.to_owned();
    if !endpoint_url(&resource).is_ok_and(|resource| is_prefix(&resource, base)) {
        return Err(format!("belongs to the resource `{}`", crate::clean::clean(&resource)));
    }
    let servers = members.texts("authorization_servers").map_err(told)?.unwrap_or_default();
    if servers.is_empty() {
        return Err("names no authorization server".into());
    }
    let scopes = members.texts("scopes_supported").map_err(told)?.unwrap_or_default();
    Ok(ProtectedResource { identifier: resource, scopes, servers })
}

/// Whether a URL is the base or above it, path segment by path segment.
fn is_prefix(url: &Url, base: &Url) -> bool {
    let (above, path) = (without_slash(url.path()), base.path());
    url.origin() == base.origin()
        && url.query().is_none()
        && path.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Where the API says that its metadata is: at the API's own origin.
fn metadata_place(text: &str, base: &Url) -> std::result::Result<Url, String> {
    let place = named_url(text, Some(base)).map_err(|why| format!("names a `resource_metadata` that {why}"))?;
    if place.origin() == base.origin() {
        return Ok(place);
    }
    Err(format!("names a `resource_metadata` at {}, which is another server", provider::host(&place)))
}

/// The `resource_metadata` of a challenge (RFC 9728, section 5.1).
fn resource_metadata(headers: &HeaderMap) -> Option<String> {
    const NAME: &str = "resource_metadata";
    let values = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
    values
        .filter_map(|value| {
            let at = value.to_ascii_lowercase().find(NAME)?;
            let text = value[at + NAME.len()..].trim_start().strip_prefix('=')?.trim_start();
            let end = match text.strip_prefix('"') {
                Some(quoted) => return Some(quoted[..quoted.find('"')?].to_owned()),
                None => text.find([' ', '\t', ',']).unwrap_or(text.len()),
            };
            Some(text[..end].to_owned())
        })
        .next()
}

/// Whether a response is a list of models.
pub(super) fn is_list_of_models(response: &Response) -> bool {
    match serde_json::from_slice(&response.body) {
        Ok(Value::Object(members)) => members.get("data").is_some_and(Value::is_array),
        Ok(body) => body.is_array(),
        Err(_) => false,
    }
}

fn told(error: MetadataError) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn the_base_is_found_in_whatever_is_typed() {
        for typed in ["", "/", "/v1", "/v1/", "/v1/messages", "/v1/chat/completions"] {
            assert_eq!(base_of(&url(&format!("https://llm.example.com{typed}"))).as_str(), "https://llm.example.com/");
            let below = base_of(&url(&format!("https://llm.example.com/a{typed}")));
            assert_eq!(below.as_str(), "https://llm.example.com/a", "{typed}");
        }
    }

    #[test]
    fn a_resource_is_the_base_or_above_it() {
        let base = url("https://llm.example.com/a/b");
        for (resource, is) in [
            ("https://llm.example.com", true),
            ("https://llm.example.com/a", true),
            ("https://llm.example.com/a/", true),
            ("https://llm.example.com/a/b", true),
            ("https://llm.example.com/a/b/c", false),
            ("https://llm.example.com/a/bc", false),
            ("https://llm.example.com/other", false),
            ("https://llm.example.com:8443/a", false),
            ("https://llm.example.com.evil.example/", false),
            ("https://llm.example.com/a?b", false),
        ] {
            assert_eq!(is_prefix(&url(resource), &base), is, "{resource}");
        }
    }

    #[test]
    fn a_challenge_names_metadata_in_quotes_or_without() {
        for (challenge, names) in [
            (r#"Bearer resource_metadata="https://a/b?c=1,2""#, Some("https://a/b?c=1,2")),
            (r#"Bearer realm="x", Resource_Metadata = https://a/b, error="y""#, Some("https://a/b")),
            (r#"Bearer resource_metadata="https://a"#, None),
            ("Bearer resource_metadata", None),
            ("Bearer", None),
        ] {
            let headers = HeaderMap::from_iter([(WWW_AUTHENTICATE, HeaderValue::from_str(challenge).unwrap())]);
            assert_eq!(resource_metadata(&headers).as_deref(), names, "{challenge}");
        }
    }
}
