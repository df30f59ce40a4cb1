//! Variables that take the place of something else.

use super::{Finding, Findings};
use crate::cli::child_environment::{names, winning};
use crate::cli::config::{self, ConfigFiles};
use crate::cli::environment::variable;
use nexus::internal::provider::{BUILT_IN, FEDERATION, is_loopback};
use nexus::{ErrorClass, ProviderConfig, Url};

/// The variables that configure the provider `claude_federation`.
const OF_FEDERATION: &[&str] = &[
    "ANTHROPIC_BASE_URL",
    "ANTHROPIC_FEDERATION_RULE_ID",
    "ANTHROPIC_IDENTITY_TOKEN",
    "ANTHROPIC_IDENTITY_TOKEN_FILE",
];

/// Checks what the variables replace for this provider.
pub(crate) fn check(provider: &ProviderConfig, config: &ConfigFiles, findings: &mut Findings) {
    let mut shadowed = |problem: String, cure: &str| {
        findings.add(Finding::new("shadowed", ErrorClass::Configuration, problem, cure));
    };
    if let (Some(named), Ok(default)) = (variable("NEXUS_PROVIDER"), config::default_name(config, &|_| None, &Vec::new))
        && ![BUILT_IN, &named].contains(&&*default)
    {
        let problem = format!("NEXUS_PROVIDER is `{named}`, so `default = \"{default}\"` in config.toml has no effect");
        shadowed(problem, "unset NEXUS_PROVIDER, or remove `default`");
    }
    if provider.name == BUILT_IN
        && let Ok(file) = config::load(config, &|_| None, Some(BUILT_IN), &Vec::new)
    {
        let id = |provider: &ProviderConfig| provider.client.as_ref().map(|client| client.id.clone());
        let is_replaced = |own: Option<String>, now: Option<String>| own.is_some() && own != now;
        let redirect_uri =
            Some(file.provider.redirect_uri.clone()).filter(|uri| *uri != ProviderConfig::claude_code().redirect_uri);
        for (name, key, is_replaced) in [
            ("CLAUDE_CODE_CLIENT_ID", "client_id", is_replaced(id(&file.provider), id(provider))),
            (
                "CLAUDE_CODE_REDIRECT_URI",
                "redirect_uri",
                is_replaced(redirect_uri, Some(provider.redirect_uri.clone())),
            ),
        ] {
            if is_replaced && variable(name).is_some() {
                let problem =
                    format!("{name} is set, so `{key}` under [provider.{BUILT_IN}] in config.toml has no effect");
                shadowed(problem, &format!("unset {name}, or remove `{key}`"));
            }
        }
    }
    let dialect = provider.api.dialect;
    let [of_url, of_key] = names(dialect);
    // With the URL of a proxy on this machine, both may be those that `nexus proxy` printed.
    let is_proxy = variable(of_url).is_some_and(|url| Url::parse(&url).is_ok_and(|url| is_loopback(&url)));
    let is_own = |name: &str| {
        (is_proxy && [of_url, of_key].contains(&name)) || (provider.name == FEDERATION && OF_FEDERATION.contains(&name))
    };
    for name in winning(dialect).iter().filter(|name| variable(name).is_some() && !is_own(name)) {
        let problem = format!("{name} is set, so other programs use that instead of this session");
        shadowed(problem, &format!("unset {name}, or start the program with `nexus exec`, which does"));
    }
}
