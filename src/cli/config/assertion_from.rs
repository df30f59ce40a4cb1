//! The providers whose sessions another one takes its assertions from (`assertion_from`).

use std::collections::BTreeMap;
use std::path::Path;

use super::keys::Section;
use super::source::Source;
use super::{Variables, client};
use crate::cli::error::Result;
use crate::cli::nearest::nearest;
use nexus::internal::provider::BUILT_IN;
use nexus::{AssertionFrom, ProviderConfig};

/// The provider whose session this one needs, then the one that that needs, and so on. `source` is the place of the
/// section of `provider`, and `others` are the other sections of the file.
pub(super) fn sources(
    provider: &ProviderConfig,
    mut source: Source,
    mut others: BTreeMap<String, Section>,
    path: &Path,
    variables: Variables<'_>,
    warnings: &mut Vec<String>,
) -> Result<Vec<ProviderConfig>> {
    let (mut found, mut used) = (Vec::new(), vec![provider.name.clone()]);
    let mut next = other(provider);
    while let Some(name) = next {
        if used.contains(&name) {
            let why = format!("leads back to the provider `{name}`");
            return Err(source.invalid("assertion_from", &why, "name a provider that a user signs in to"));
        }
        let Some(section) = others.remove(&name).or_else(|| ProviderConfig::built_in(&name).map(Section::of)) else {
            let hint = match nearest(&name, others.keys().map(String::as_str)) {
                Some(nearest) => format!("did you mean `{nearest}`?"),
                None => "name another provider of the file".into(),
            };
            return Err(source.invalid("assertion_from", &format!("names the unknown provider `{name}`"), &hint));
        };
        source = section.source.clone();
        let mut provider = section.into_provider(variables, warnings)?;
        if name == BUILT_IN {
            warnings.extend(client::apply_variables(variables, path, &mut provider)?);
        }
        next = other(&provider);
        used.push(name);
        found.push(provider);
    }
    Ok(found)
}

fn other(provider: &ProviderConfig) -> Option<String> {
    match provider.grant.assertion()? {
        AssertionFrom::Session { provider, .. } => Some(provider.clone()),
        _ => None,
    }
}
