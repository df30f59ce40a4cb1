//! The provider `claude_federation`: Workload Identity Federation at the Claude Console, configured by the variables of
//! the official SDKs.

use std::sync::Arc;

use super::{Variables, invalid};
use crate::cli::error::Result;
use nexus::internal::provider::{FEDERATION, endpoint_url};
use nexus::{AssertionFrom, AssertionSource, AssertionText, Grant, ProviderConfig, Url};

const RULE: &str = "ANTHROPIC_FEDERATION_RULE_ID";
const ORGANIZATION: &str = "ANTHROPIC_ORGANIZATION_ID";
const TOKEN_FILE: &str = "ANTHROPIC_IDENTITY_TOKEN_FILE";
const TOKEN: &str = "ANTHROPIC_IDENTITY_TOKEN";
const BASE: &str = "ANTHROPIC_BASE_URL";

/// The fields of the exchange, and the variables with their values.
const FIELDS: [(&str, &str); 4] = [
    ("federation_rule_id", RULE),
    ("organization_id", ORGANIZATION),
    ("service_account_id", "ANTHROPIC_SERVICE_ACCOUNT_ID"),
    ("workspace_id", "ANTHROPIC_WORKSPACE_ID"),
];

/// Whether all variables are set that the exchange needs.
pub(super) fn is_complete(variables: Variables<'_>) -> bool {
    missing(variables).is_empty()
}

/// The variables that the exchange needs and that are not set.
fn missing(variables: Variables<'_>) -> Vec<String> {
    let unset = [RULE, ORGANIZATION].into_iter().filter(|name| variables(name).is_none());
    let mut missing: Vec<_> = unset.map(String::from).collect();
    if variables(TOKEN_FILE).or_else(|| variables(TOKEN)).is_none() {
        missing.push(format!("{TOKEN_FILE} or {TOKEN}"));
    }
    missing
}

/// Applies the variables to the provider.
pub(super) fn apply_variables(variables: Variables<'_>, provider: &mut ProviderConfig) -> Result<()> {
    let missing = missing(variables);
    if !missing.is_empty() {
        let message = format!("{FEDERATION} is not configured: {} not set", missing.join(", "));
        return Err(invalid(message, "set the variables as the Claude Console shows them for the federation rule"));
    }
    let values = FIELDS.into_iter().filter_map(|(field, variable)| Some((field.to_owned(), variables(variable)?)));
    provider.code.params.extend(values);
    // The file has a new token when the old one ends.
    let source = match (variables(TOKEN_FILE), variables(TOKEN)) {
        (Some(file), _) => AssertionSource::File(file.into()),
        (None, token) => AssertionSource::Text(Arc::new(AssertionText::new(token.unwrap_or_default())), TOKEN.into()),
    };
    provider.grant = Grant::JwtBearer(AssertionFrom::Source(source));
    if let Some(base) = variables(BASE) {
        let url = endpoint_url(&base).map_err(|why| {
            invalid(format!("{BASE} {why}"), "set it to an `https://` URL, or unset it for the API's own address")
        })?;
        provider.token_url = Url::parse(&format!("{}/v1/oauth/token", url.as_str().trim_end_matches('/'))).ok();
        provider.api.url = Some(url);
    }
    Ok(())
}
