//! The provider's servers: how they are reached, whether they answer, and what time it is there.

use super::{Finding, Findings};
use crate::cli::config::document::header;
use crate::cli::context::Context;
use crate::cli::environment::variable;
use crate::cli::error::{CliError, Result};
use nexus::error::{ApiError, HttpError};
use nexus::internal::client::Reached;
use nexus::internal::{api, provider, time};
use nexus::{Client, Error, ErrorClass, ProviderConfig, Session, Url};

/// How far this machine's clock may differ from a server's, in seconds.
const TOLERANCE: i64 = 300;

/// A server on another machine. Nothing is sent there.
const ELSEWHERE: &str = "https://example.com/";

/// Checks the settings for each server without asking it: the proxy, the certificate authorities, the URLs.
pub(crate) fn check_routes(client: &Client, findings: &mut Findings) {
    let provider = client.provider();
    if provider.gateway.is_none() {
        findings.ok(api::resource_url(provider, "/"));
    }
    // The settings are checked even if all servers are on loopback, which bypasses proxies.
    let urls = endpoints(provider).into_iter().map(|endpoint| endpoint.url);
    for url in urls.chain(Url::parse(ELSEWHERE)) {
        match client.check_route(&url) {
            Err(Error::Http(HttpError::NoRoots { reason })) => findings.add(no_authorities(&reason)),
            checked => drop(findings.ok(checked)),
        }
    }
}

/// The finding if no certificate authority is known.
fn no_authorities(reason: &str) -> Finding {
    let names = ["SSL_CERT_FILE", "SSL_CERT_DIR"].into_iter().filter(|name| variable(name).is_some());
    let names = names.collect::<Vec<_>>().join(" and ");
    let (problem, cure) = match &*names {
        "" => {
            ("no certificate authorities are installed".to_owned(), "install the package `ca-certificates`".to_owned())
        }
        names => (
            format!("{names} names no certificate authorities"),
            format!("unset {names}, or name a file (a folder, for SSL_CERT_DIR) with certificates in PEM"),
        ),
    };
    Finding::new("certificate_authorities", ErrorClass::Configuration, format!("{problem}: {reason}"), cure)
}

/// Asks each endpoint, and the API with the token.
pub(crate) fn check(
    client: &Client,
    session: Option<Session>,
    context: &Context,
    findings: &mut Findings,
) -> Result<()> {
    let provider = client.provider();
    context.block_on(async {
        let _progress = context.progress();
        let (mut answering, mut silent) = (Vec::new(), Vec::new());
        for endpoint in endpoints(provider) {
            let origin = endpoint.url.origin();
            // A server that does not answer is a finding already.
            if silent.contains(&origin) || (endpoint.answer == Answer::Any && answering.contains(&origin)) {
                continue;
            }
            context.waiting(format!("asking {}", provider::host(&endpoint.url)));
            match client.reach(&endpoint.url, endpoint.answer == Answer::OfOAuth).await {
                Ok(reached) => {
                    if !answering.contains(&origin) {
                        check_clock(reached.date, &endpoint.url, findings);
                    }
                    let is_down = matches!(reached.status, 502..=504);
                    if let Some(finding) = endpoint.judge(reached, provider) {
                        findings.add(finding);
                    }
                    if is_down { silent.push(origin) } else { answering.push(origin) }
                }
                Err(error) => {
                    findings.add(CliError::from(error));
                    silent.push(origin);
                }
            }
        }
        // Where all servers bypass the proxy, no request has tried it.
        if let Ok(elsewhere) = Url::parse(ELSEWHERE)
            && !endpoints(provider).iter().any(|endpoint| client.uses_proxy(&endpoint.url))
        {
            findings.ok(client.reach_proxy(&elsewhere).await);
        }
        let can_be_asked = provider
            .api
            .url
            .as_ref()
            .is_some_and(|url| !silent.contains(&url.origin()) && client.check_route(url).is_ok());
        // What keeps an expired token from being refreshed is a finding already.
        let is_expired = |session: &Session| session.expires_at.is_some_and(|at| at <= session.now());
        let is_worth_it = |session: &Session| can_be_asked && (findings.exit_code() == 0 || !is_expired(session));
        if let Some(session) = session.filter(is_worth_it) {
            context.waiting("asking the API");
            match client.check_api("", session).await {
                Err(Error::Api(ApiError::Refused(refusal))) if matches!(refusal.status, Some(404 | 405)) => {
                    let url = provider.api.url.as_ref().map(provider::without_query).unwrap_or_default();
                    findings.add(wrong_url("api_url", provider, &format!("there is no API at {url}: it {refusal}")));
                }
                checked => drop(findings.ok(checked)),
            }
        }
        Ok(())
    })
}

/// What an endpoint has to answer without a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// Something.
    Any,
    /// Something else than "not found".
    Found,
    /// Something else than "not found", a web page or a redirect, to a POST.
    OfOAuth,
}

/// An endpoint, and the key of config.toml with its URL.
struct Endpoint {
    key: &'static str,
    url: Url,
    answer: Answer,
}

impl Endpoint {
    /// What is wrong with the answer.
    fn judge(&self, reached: Reached, provider: &ProviderConfig) -> Option<Finding> {
        let problem = match (self.answer, reached.status) {
            (_, status @ 502..=504) => {
                let problem = format!("{} answers with the status {status}", provider::host(&self.url));
                return Some(Finding::new("unreachable", ErrorClass::Temporary, problem, "try again in a minute"));
            }
            (Answer::Found | Answer::OfOAuth, status @ (404 | 410)) => format!("the status {status}"),
            (Answer::OfOAuth, status @ 300..=399) => format!("a redirect (status {status}), and not as OAuth requires"),
            (Answer::OfOAuth, _) if reached.is_page => "a web page, and not as OAuth requires".to_owned(),
            _ => return None,
        };
        let url = provider::without_query(&self.url);
        Some(wrong_url(self.key, provider, &format!("{url} answers with {problem}")))
    }
}

/// The finding for the key of a URL that is not the endpoint's.
fn wrong_url(key: &str, provider: &ProviderConfig, problem: &str) -> Finding {
    let name = &provider.name;
    let cure = format!("correct `{key}` under {} in config.toml", header(name));
    Finding::new("endpoint", ErrorClass::Configuration, format!("`{key}` of {name}: {problem}"), cure)
}

fn check_clock(date: Option<i64>, url: &Url, findings: &mut Findings) {
    let Some(ahead) = date.map(|date| nexus::now().saturating_sub(date)) else { return };
    if ahead.abs() > TOLERANCE {
        let side = if ahead > 0 { "ahead of" } else { "behind" };
        findings.add(wrong_clock(format!("{} {side} that of {}", time::span(ahead.abs()), provider::host(url))));
    }
}

/// The finding for a clock that is `off`, such as "2 hours ahead of that of id.example.com".
pub(crate) fn wrong_clock(off: String) -> Finding {
    let problem = format!("this machine's clock is {off}");
    Finding::new("clock", ErrorClass::Permanent, problem, "set the clock, for example with `timedatectl set-ntp true`")
}

/// The endpoints of a provider. Those that must not be asked without a request of their kind count as any URL of their
/// server.
fn endpoints(provider: &ProviderConfig) -> Vec<Endpoint> {
    let issuer = provider.issuer.as_deref().and_then(|issuer| Url::parse(issuer).ok());
    let urls = [
        ("token_url", &provider.token_url, Answer::OfOAuth),
        ("api_url", &provider.api.url, Answer::Any),
        ("authorize_url", &provider.authorize_url, Answer::Found),
        ("issuer", &issuer, Answer::Any),
        ("gateway", &provider.gateway, Answer::Any),
        ("revoke_url", &provider.revoke_url, Answer::OfOAuth),
        ("device_url", &provider.device_url, Answer::OfOAuth),
        ("userinfo_url", &provider.userinfo_url, Answer::Found),
        ("par_url", &provider.par_url, Answer::OfOAuth),
        ("registration_url", &provider.registration.url, Answer::Any),
    ];
    let endpoint = |(key, url, answer): (_, &Option<Url>, _)| Some(Endpoint { key, url: url.clone()?, answer });
    urls.into_iter().filter_map(endpoint).collect()
}
