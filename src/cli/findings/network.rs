//! The provider's servers: how they are reached, whether they answer, and what time it is there.

use super::{Finding, Findings};
use crate::cli::context::Context;
use crate::cli::error::{CliError, Result};
use nexus::error::ApiError;
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
    for url in servers(provider).into_iter().chain(Url::parse(ELSEWHERE)) {
        findings.ok(client.check_route(&url));
    }
}

/// Asks each server, and the API for its models with the token.
pub(crate) fn check(
    client: &Client,
    session: Option<Session>,
    context: &Context,
    findings: &mut Findings,
) -> Result<()> {
    context.block_on(async {
        let _progress = context.progress();
        for url in servers(client.provider()) {
            context.waiting(format!("asking {}", provider::host(&url)));
            match client.reach(&url).await {
                Ok(date) => check_clock(date, &url, findings),
                Err(error) => findings.add(CliError::from(error)),
            }
        }
        // A server that does not answer is a finding already.
        if let Some(session) = session.filter(|_| findings.exit_code() == 0) {
            context.waiting("asking for the models");
            match client.models("", session).await {
                Err(Error::Api(ApiError::NoModelList { .. })) | Ok(_) => {}
                Err(error) => findings.add(CliError::from(error)),
            }
        }
        Ok(())
    })
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

/// One URL for each server of a provider.
fn servers(provider: &ProviderConfig) -> Vec<Url> {
    let issuer = provider.issuer.as_deref().and_then(|issuer| Url::parse(issuer).ok());
    let urls = [
        &provider.token_url,
        &provider.api.url,
        &provider.authorize_url,
        &issuer,
        &provider.gateway,
        &provider.revoke_url,
        &provider.device_url,
        &provider.userinfo_url,
        &provider.par_url,
        &provider.registration.url,
    ];
    let mut servers: Vec<Url> = Vec::new();
    for url in urls.into_iter().flatten() {
        if !servers.iter().any(|known| known.origin() == url.origin()) {
            servers.push(url.clone());
        }
    }
    servers
}
