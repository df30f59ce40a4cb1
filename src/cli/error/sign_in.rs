//! Hints for errors of sign-in, of a provider's configuration and of HTTP.

use nexus::internal::provider::BUILT_IN;
use nexus::{CertificateProblem, HttpError, ProviderError, SignInError};

use super::provider::start;
use super::wait;

/// What to do about a sign-in that brought no tokens.
pub(crate) fn sign_in_hint(error: &SignInError) -> String {
    match error {
        SignInError::ClientRefused { provider, .. } => client_hint(provider),
        SignInError::RedirectUnusable { .. } => {
            "use one like `http://localhost:4000/oauth/claude/callback` or `http://127.0.0.1:0/callback`, and register \
             the same"
                .into()
        }
        SignInError::RedirectMismatch { .. } => {
            "register exactly this redirect URI with the client, or configure the registered one".into()
        }
        SignInError::Refused { provider, error, .. } => match error.as_str() {
            "invalid_scope" => format!("check `scopes` under [provider.{provider}] in config.toml"),
            "server_error" | "temporarily_unavailable" => format!("later, {} again", start(provider)),
            "invalid_request" | "unsupported_response_type" => format!(
                "compare `client_id`, `redirect_uri` and `authorize_params` under [provider.{provider}] in config.toml \
                 with what the server's operator registered, then {}",
                start(provider)
            ),
            _ => format!("{} again to allow it", start(provider)),
        },
        SignInError::TimedOut { provider, .. } => {
            format!("compare both with the registered client, then {}", start(provider))
        }
        SignInError::IssuerMismatch { .. } => {
            "if both are the same server, write the one that answers as `issuer` in config.toml; if not, two sign-ins \
             were mixed up: start again"
                .into()
        }
        SignInError::CodeRefused { provider, .. } => start(provider),
        SignInError::ExchangeFailed { provider, failure, .. } if failure.temporary => {
            format!("in {}, {} again", wait(failure.retry_after), start(provider))
        }
        SignInError::ExchangeFailed { provider, failure, .. } if matches!(failure.status, Some(400 | 422)) => format!(
            "the server's message above says why; `scopes`, `client_auth`, `code_request` and `code_params` under \
             [provider.{provider}] in config.toml set what is sent, and how"
        ),
        SignInError::ExchangeFailed { provider, .. } => {
            format!("check `token_url` under [provider.{provider}] in config.toml, then {}", start(provider))
        }
        SignInError::PortTaken { provider, .. } if provider == BUILT_IN => {
            "end that program, or register another redirect URI and set CLAUDE_CODE_REDIRECT_URI".into()
        }
        SignInError::PortTaken { provider, .. } => format!(
            "end that program, or register another redirect URI and write it as `redirect_uri` under \
             [provider.{provider}]; port 0 takes any free one"
        ),
        SignInError::WrongAnswer { .. } => "see `nexus oauth start --help`".into(),
        SignInError::ReservedParameter { provider, .. } => {
            format!("take it out of `authorize_url` and `authorize_params` under [provider.{provider}]")
        }
        SignInError::InvalidResponse { .. } => "check the provider's URLs in config.toml".into(),
        SignInError::Http(error) => http_hint(error),
        SignInError::Provider(error) => provider_hint(error, &[]),
        _ => super::FIX_AND_REPEAT.into(),
    }
}

/// What to do about a client that the server does not accept.
pub(crate) fn client_hint(provider: &str) -> String {
    match provider {
        BUILT_IN => "compare CLAUDE_CODE_CLIENT_ID and CLAUDE_CODE_CLIENT_SECRET with the registered client, then run \
                     `nexus oauth start`"
            .into(),
        provider => format!(
            "compare `client_id`, `client_secret` and `client_auth` under [provider.{provider}] with the registered \
             client, then {}",
            start(provider)
        ),
    }
}

/// What to do about a provider's configuration. `others` are the other configured providers, one of which may be
/// meant.
pub(crate) fn provider_hint(error: &ProviderError, others: &[String]) -> String {
    match error {
        ProviderError::NoClientId { provider } if provider == BUILT_IN => {
            let register = "register an OAuth client, then set CLAUDE_CODE_CLIENT_ID, or write `client_id = \"...\"` \
                            under [provider.claude_code] in config.toml";
            match others {
                [] => format!("{register}; `nexus demo` shows the whole job without any"),
                [other, ..] => format!(
                    "config.toml has {}: say `--provider {other}`, or write `default = \"{other}\"` at its top; or \
                     {register}",
                    others.join(", ")
                ),
            }
        }
        ProviderError::NoClientId { provider } => {
            format!("write `client_id = \"...\"` under [provider.{provider}] in config.toml")
        }
        ProviderError::MissingUrl { provider, setting } => {
            format!("write `{setting} = \"https://...\"` under [provider.{provider}] in config.toml")
        }
        _ => "write it as `https://...`".into(),
    }
}

/// What to do about a request without a response.
pub(crate) fn http_hint(error: &HttpError) -> String {
    match error {
        HttpError::Unreachable { .. } => {
            "check the network, the proxy variables and the address in config.toml, then try again".into()
        }
        HttpError::Untrusted { problem: CertificateProblem::AuthorityCertificate, .. } => {
            "have a certificate made for the server and signed by that authority; SSL_CERT_FILE names the authority's"
                .into()
        }
        HttpError::Untrusted { .. } => {
            "if an authority of your own signed it, set SSL_CERT_FILE to a file with that authority's certificate; if \
             not, have the server's fixed, or check the address in config.toml"
                .into()
        }
        HttpError::NotTls { .. } => {
            "check the address and its port in config.toml; a server on this machine that speaks http is written as \
             `http://`, which is allowed on loopback only"
                .into()
        }
        HttpError::InvalidUrl { .. } => "write it as `https://...`".into(),
        HttpError::UnusableProxy { variable, .. } => {
            format!("write {variable} as `http://HOST:PORT`, or name the server in NO_PROXY")
        }
        HttpError::NoRoots { .. } => "install the system's CA certificates, or set SSL_CERT_FILE".into(),
        _ => super::FIX_AND_REPEAT.into(),
    }
}
