//! Hints for errors of sign-in, of a provider's configuration and of HTTP.

use nexus::ErrorInfo as _;
use nexus::error::{
    AssertionError, CertificateProblem, DiscoveryError, HttpError, IdTokenProblem, ProviderError, ProxyRefusal,
    SignInError, TlsError, TokenFailure,
};
use nexus::internal::provider::{BUILT_IN, PLATFORM};

use super::provider::{run_start, run_start_current, run_start_with};
use super::untrusted::untrusted_hint;
use super::{FIX_AND_REPEAT, wait_time};
use crate::cli::config::document::header;

pub(crate) fn sign_in_hint(error: &SignInError) -> String {
    match error {
        SignInError::ClientRefused { provider, registered: true, .. } => {
            let section = format!("under {} in config.toml", header(provider));
            format!("{}; if that fails too, {HAVE_REGISTERED} {section}", run_start_new_client(provider))
        }
        SignInError::ClientRefused { provider, client_id, .. } if client_id.is_empty() => {
            format!("{HAVE_REGISTERED} under {section} in config.toml", section = header(provider))
        }
        SignInError::ClientRefused { provider, .. } => client_hint(provider),
        SignInError::RegistrationFailed { provider, error, with_token, failure, .. } => {
            registration_hint(provider, error, *with_token, failure)
        }
        SignInError::InvalidRegistration { provider, .. } => {
            format!(
                "check `registration_url` if it is set under {section} in config.toml, or {HAVE_REGISTERED}",
                section = header(provider)
            )
        }
        SignInError::RedirectUnusable { .. } => {
            "use one like `http://localhost:4000/oauth/claude/callback` or `http://127.0.0.1:0/callback`, and register \
             it with the client"
                .into()
        }
        SignInError::RedirectMismatch { .. } => {
            "register exactly this redirect URI with the client, or set `redirect_uri` to the registered one".into()
        }
        SignInError::Refused { provider, error, .. } => refused_hint(error, provider),
        SignInError::TimedOut { provider, registered: true, .. } => {
            format!("if it did, {}; otherwise {}", run_start_new_client(provider), run_start(provider))
        }
        SignInError::TimedOut { provider, .. } => {
            format!("compare them with the registered client, then {}", run_start(provider))
        }
        SignInError::IssuerMismatch { provider, got, .. } => {
            let section = format!("under {} in config.toml", header(provider));
            let run = run_start(provider);
            match got.is_empty() {
                true => {
                    format!("if the server never sends `iss`, set `require_iss = false` {section}; then {run} again")
                }
                false => format!(
                    "if both are the same server, set `issuer` {section} to the one that answered; then {run} again"
                ),
            }
        }
        SignInError::PushFailed { provider, failure, .. } if failure.temporary => {
            format!("wait {}, then {} again", wait_time(failure.retry_after), run_start(provider))
        }
        SignInError::PushFailed { provider, failure, .. } if failure.status == Some(413) => format!(
            "shorten `scopes` and `authorize_params` under {section} in config.toml, then {}",
            run_start(provider),
            section = header(provider)
        ),
        SignInError::PushFailed { provider, .. } => format!(
            "check `par_url` under {section} in config.toml, or remove it if the server does not require \
             pushed authorization requests; then {}",
            run_start(provider),
            section = header(provider)
        ),
        SignInError::IdToken { provider, problem, .. } => id_token_hint(problem, provider),
        SignInError::CodeRefused { provider, .. } | SignInError::DeviceCodeRefused { provider, .. } => {
            run_start(provider)
        }
        SignInError::DeviceFlowRefused {
            provider,
            client_id,
            unsupported,
            registered,
            has_authorization_endpoint,
            ..
        } => {
            let cure = match () {
                () if *unsupported || client_id.is_empty() => "ask its operator to turn on the device flow".into(),
                () if *registered => format!("{HAVE_REGISTERED} under {} in config.toml", header(provider)),
                () => "allow the device flow (grant type `urn:ietf:params:oauth:grant-type:device_code`) for this \
                       client at the server"
                    .into(),
            };
            match has_authorization_endpoint {
                true => format!("{cure}, or {}", sign_in_with_browser(provider)),
                false => format!("{cure}, then {}", run_start(provider)),
            }
        }
        SignInError::DeviceRequestFailed { provider, failure, .. }
        | SignInError::DeviceExchangeFailed { provider, failure, .. }
            if failure.temporary =>
        {
            format!("wait {}, then {} again", wait_time(failure.retry_after), run_start(provider))
        }
        SignInError::DeviceRequestFailed { provider, has_authorization_endpoint, .. }
        | SignInError::InvalidDeviceAuthorization { provider, has_authorization_endpoint, .. } => {
            let otherwise = match has_authorization_endpoint {
                true => sign_in_with_browser(provider),
                false => "ask the operator of the server about it".into(),
            };
            format!(
                "check `device_url` if it is set under {section} in config.toml, or {otherwise}",
                section = header(provider)
            )
        }
        SignInError::DeviceCodeExpired { provider, .. } => {
            format!("{} again, and enter the new code while it is valid", run_start(provider))
        }
        SignInError::DeviceExchangeFailed { provider, .. } => {
            format!(
                "check `token_url` under {section} in config.toml, then {}",
                run_start(provider),
                section = header(provider)
            )
        }
        SignInError::ExchangeFailed { provider, failure, .. } if failure.temporary => {
            format!("wait {}, then {} again", wait_time(failure.retry_after), run_start(provider))
        }
        SignInError::ExchangeFailed { provider, failure, .. } if failure.invalid_target => {
            format!(
                "fix `resource` under {section} in config.toml, then {}",
                run_start(provider),
                section = header(provider)
            )
        }
        SignInError::ExchangeFailed { provider, failure, .. } if matches!(failure.status, Some(400 | 422)) => format!(
            "see the server's message; `scopes`, `client_auth`, `code_request` and `code_params` under \
             {section} in config.toml control the request",
            section = header(provider)
        ),
        SignInError::ExchangeFailed { provider, .. } => {
            format!(
                "check `token_url` under {section} in config.toml, then {}",
                run_start(provider),
                section = header(provider)
            )
        }
        SignInError::PortTaken { provider, .. } if provider == BUILT_IN => {
            "stop that program, or register another redirect URI and set CLAUDE_CODE_REDIRECT_URI to it".into()
        }
        SignInError::PortTaken { provider, .. } => format!(
            "stop that program, or register another redirect URI and set `redirect_uri` under {section} in \
             config.toml to it; port 0 means any free port",
            section = header(provider)
        ),
        SignInError::WrongAnswer { .. } => format!("{} again", run_start_current()),
        SignInError::ReservedParameter { provider, .. } => {
            format!(
                "remove it from `authorize_url` and `authorize_params` under {section} in config.toml",
                section = header(provider)
            )
        }
        SignInError::InvalidResponse { .. } => "check the provider's URLs in config.toml".into(),
        SignInError::Http(error) => http_hint(error),
        SignInError::Assertion(error) => assertion_hint(error),
        SignInError::Provider(error) => provider_hint(error, &[]),
        _ => FIX_AND_REPEAT.into(),
    }
}

/// The hint for a server whose metadata is not found.
pub(crate) fn discovery_hint(error: &DiscoveryError) -> String {
    match error {
        DiscoveryError::NoMetadata { provider, .. } if error.class() == nexus::ErrorClass::Temporary => {
            format!("wait a minute, then {} again", run_start(provider))
        }
        DiscoveryError::NoMetadata { provider, .. } => format!(
            "correct `issuer` under {section} in config.toml; for a server without metadata, ask its operator \
             for the authorization and token endpoints and set `authorize_url` and `token_url`",
            section = header(provider)
        ),
        DiscoveryError::NothingFound { .. } if error.class() == nexus::ErrorClass::Temporary => {
            "wait a minute, then run the same command again".into()
        }
        DiscoveryError::NothingFound { url, .. } => format!(
            "ask its operator for the URL of the authorization server and a client id, then run `nexus oauth start URL \
             --client-id ID --api-url {}`",
            url.as_str().trim_end_matches('/')
        ),
        DiscoveryError::NoSignIn { .. } => "use the API without nexus, or configure how to sign in".into(),
        DiscoveryError::Http(HttpError::Unreachable { .. } | HttpError::NoConnection { .. }) => {
            "check the network, the proxy variables and the URL, then try again".into()
        }
        DiscoveryError::Http(error) => http_hint(error),
        DiscoveryError::Provider(error) => provider_hint(error, &[]),
        _ => super::FIX_AND_REPEAT.into(),
    }
}

fn id_token_hint(problem: &IdTokenProblem, provider: &str) -> String {
    let (run, section) = (run_start(provider), format!("under {} in config.toml", header(provider)));
    match problem {
        IdTokenProblem::Issuer { got, .. } if !got.is_empty() => {
            format!(
                "if its operator says that both are the same server, set `issuer = \"{got}\"` {section}, then {run} again"
            )
        }
        IdTokenProblem::Audience { .. } => {
            format!("compare `client_id` {section} with the registered client and check `token_url`, then {run} again")
        }
        IdTokenProblem::Expired => format!("{run} again; if that does not help, the server's clock is wrong"),
        IdTokenProblem::Unreadable => format!(
            "have the client registered for signed ID tokens that are not encrypted, or remove `openid` from `scopes` \
             {section}; then {run} again"
        ),
        _ => format!("{run} again; if that does not help, tell the operator of the server"),
    }
}

/// The hint if no client could be registered.
fn registration_hint(provider: &str, error: &str, with_token: bool, failure: &TokenFailure) -> String {
    let section = format!("under {} in config.toml", header(provider));
    match failure.status {
        _ if failure.temporary => {
            format!("wait {}, then {} again", wait_time(failure.retry_after), run_start(provider))
        }
        Some(401 | 403) if with_token => {
            format!(
                "put a token that is still valid into the file of `registration_token_file` {section}, or {HAVE_REGISTERED}"
            )
        }
        Some(401 | 403) => format!(
            "the server does not let everyone register a client: set `registration_token_file` {section} to a file with \
             the token that it wants, or {HAVE_REGISTERED}"
        ),
        Some(404 | 405 | 410 | 501) => format!("check `registration_url` if it is set {section}, or {HAVE_REGISTERED}"),
        // No software statement is sent.
        _ if matches!(error, "invalid_software_statement" | "unapproved_software_statement") => {
            format!("the server registers only software that it has approved: {HAVE_REGISTERED} {section}")
        }
        _ if error == "invalid_redirect_uri" => {
            format!("set `redirect_uri` {section} to one that the server allows, or {HAVE_REGISTERED}")
        }
        _ => format!(
            "see the server's message; `scopes`, `redirect_uri` and `client_auth` {section} control what is registered; or \
             {HAVE_REGISTERED}"
        ),
    }
}

fn run_start_new_client(provider: &str) -> String {
    run_start_with("--new-client", provider)
}

/// The way without a device code.
fn sign_in_with_browser(provider: &str) -> String {
    format!("sign in with a browser: {}", run_start_with("--no-browser", provider))
}

/// The way without dynamic registration.
const HAVE_REGISTERED: &str = "have a client registered there and set `client_id`";

/// The hint for an `error` code of an authorization response.
fn refused_hint(error: &str, provider: &str) -> String {
    let (run, section) = (run_start(provider), format!("under {} in config.toml", header(provider)));
    match error {
        "access_denied" if provider == PLATFORM => format!(
            "if you did not decline: an Admin or Billing member of an organization that pays Anthropic directly must approve, \
             not of the application's own organization; while the application is in testing, only its test users can; {run} \
             again"
        ),
        "user_profile_already_linked" => {
            "the organization or the user profile has a connection already: unlink it first, or use another profile"
                .into()
        }
        "access_denied" => format!("{run} again and approve the request"),
        "server_error" | "temporarily_unavailable" => format!("wait a while, then {run} again"),
        "invalid_scope" => format!("fix `scopes` {section}, then {run}"),
        "invalid_target" => {
            format!("fix `resource` or `audience` {section} (`resource = \"\"` names none), then {run}")
        }
        "unsupported_response_type" => format!(
            "allow the authorization code flow (response type `code`) for this client at the server, or use another \
             client, then {run}"
        ),
        "invalid_request" => format!(
            "compare `client_id`, `redirect_uri` and `authorize_params` {section} with the registered client, then {run}"
        ),
        // A pushed request expires (RFC 9126, section 4).
        "invalid_request_uri" => format!(
            "{run} again and open the URL while it is valid; if `request_uri` is set in `authorize_params` {section}, fix it"
        ),
        "invalid_authorization_details"
        | "invalid_request_object"
        | "registration_not_supported"
        | "request_not_supported"
        | "request_uri_not_supported"
        | "unsupported_response_mode" => {
            format!("fix or remove what the server names in `authorize_params` {section}, then {run}")
        }
        // OpenID Connect Core, section 3.1.2.6: with `prompt=none`, the server may not show a page.
        "account_selection_required" | "consent_required" | "interaction_required" | "login_required" => format!(
            "remove `prompt` from {section} in config.toml if it is set there, sign in to the server in the \
             browser, then {run} again",
            section = header(provider)
        ),
        // RFC 9470 and OpenID Connect Core Error Code unmet_authentication_requirements 1.0.
        "insufficient_user_authentication" | "unmet_authentication_requirements" => format!(
            "sign in to the server in the way that it asks for, or change `acr_values` in `authorize_params` {section}, \
             then {run} again"
        ),
        _ => format!(
            "ask the operator of the server what this error means; `client_id`, `scopes` and `authorize_params` \
             {section} control the request"
        ),
    }
}

/// The hint where no way to sign in was chosen, and none works by itself.
pub(crate) fn no_way_hint(provider: &str) -> String {
    format!(
        "{} at a terminal (`ssh -t`), or set BROWSER, or pass --no-browser to print the URL and wait for the redirect",
        run_start(provider)
    )
}

/// The hint for a client that the server does not accept.
pub(crate) fn client_hint(provider: &str) -> String {
    match provider {
        BUILT_IN => "compare CLAUDE_CODE_CLIENT_ID and CLAUDE_CODE_CLIENT_SECRET with the registered client, then run \
                     `nexus oauth start`"
            .into(),
        provider => format!(
            "compare `client_id`, `client_secret` and `client_auth` under {section} in config.toml with \
             the registered client, then {}",
            run_start(provider),
            section = header(provider)
        ),
    }
}

/// `others` are the other configured providers, one of which may be meant.
pub(crate) fn provider_hint(error: &ProviderError, others: &[String]) -> String {
    match error {
        ProviderError::NoClientId { provider } if provider == BUILT_IN => {
            let cure = "run `nexus oauth start URL` with the URL of your gateway or authorization server; or register an OAuth \
                        client, then set CLAUDE_CODE_CLIENT_ID, or set `client_id = \"...\"` under [provider.claude_code] in \
                        config.toml";
            match others {
                [] => format!("{cure}; `nexus demo` works without one"),
                [other, ..] => format!(
                    "to use {}, pass `--provider {other}`, or set `default = \"{other}\"` at the top of config.toml; \
                     otherwise {cure}",
                    others.join(" or ")
                ),
            }
        }
        ProviderError::NoClientId { provider } => {
            format!(
                "set `client_id = \"...\"` under {section} in config.toml, or `registration_url = \
                 \"https://...\"` if the server registers clients",
                section = header(provider)
            )
        }
        ProviderError::MissingUrl { provider, setting: "device_url" } => format!(
            "set `device_url = \"https://...\"` under {section} in config.toml if the server has the device flow; otherwise {} \
             without --device",
            run_start(provider),
            section = header(provider)
        ),
        ProviderError::MissingUrl { provider, setting } => {
            format!("set `{setting} = \"https://...\"` under {section} in config.toml", section = header(provider))
        }
        ProviderError::AssertionRequired { provider } => {
            format!(
                "register a public key for the client, then set `client_id` and {ASSERTION_KEYS} under {section} in \
                 config.toml",
                section = header(provider)
            )
        }
        ProviderError::Command { program, .. } => {
            format!("install `{program}`, or configure another command")
        }
        _ => "use an `https://` URL without user name, password and fragment".into(),
    }
}

/// The keys that an assertion comes from.
const ASSERTION_KEYS: &str = "`client_assertion_key_file`, `client_assertion_file` or `client_assertion_command`";

pub(super) fn assertion_hint(error: &AssertionError) -> String {
    match error {
        AssertionError::Untrusted { problem, .. } => untrusted_hint(problem),
        AssertionError::Unreadable { .. } => "create the file, or correct the path in config.toml".into(),
        AssertionError::InvalidFile { .. } => "write only the assertion into the file".into(),
        AssertionError::Command { .. } => {
            "run the command yourself to see what is wrong, or correct it in config.toml".into()
        }
        AssertionError::InvalidText { .. } => "make it print or contain only the assertion".into(),
        AssertionError::Key { path, problem: TlsError::EncryptedKey } => {
            format!("decrypt it: `openssl pkey -in {} -out KEY.pem`, then `chmod 600 KEY.pem`", path.display())
        }
        AssertionError::Key { .. } => "set `client_assertion_key_file` to the file with the private key in PEM".into(),
        AssertionError::NotConfigured => format!("set {ASSERTION_KEYS} in config.toml"),
        _ => FIX_AND_REPEAT.into(),
    }
}

pub(crate) fn http_hint(error: &HttpError) -> String {
    match error {
        HttpError::Unreachable { .. } | HttpError::NoConnection { .. } => {
            "check the network, the proxy variables and the URL in config.toml, then try again".into()
        }
        HttpError::Untrusted { problem: CertificateProblem::AuthorityCertificate, .. } => {
            "give the server a certificate that the authority has signed, and set `ca_file` or SSL_CERT_FILE to the authority's own"
                .into()
        }
        HttpError::Untrusted {
            problem: CertificateProblem::Expired { .. } | CertificateProblem::NotYetValid { .. },
            ..
        } => "check this machine's clock with `date`; if it is right, the server needs a new certificate".into(),
        HttpError::Untrusted { problem: CertificateProblem::WrongHost { .. }, .. } => {
            "check the URL in config.toml; if it is right, the server needs a certificate for its host".into()
        }
        HttpError::Untrusted { .. } => {
            "for a private authority, set `ca_file` of the provider, or SSL_CERT_FILE, to a file with its certificate; \
             otherwise fix the server's certificate, or check the URL in config.toml"
                .into()
        }
        HttpError::NotTls { .. } => {
            "check the URL and its port in config.toml; for a server on this machine without TLS, use an \
             `http://` URL"
                .into()
        }
        HttpError::InvalidUrl { .. } => "use an `https://` URL without user name, password and fragment".into(),
        HttpError::UnusableProxy { variable, .. } => {
            format!("set {variable} to `http://HOST:PORT`, or add the server to NO_PROXY")
        }
        HttpError::ProxyRefused { variable, refusal, .. } => proxy_hint(*variable, refusal),
        HttpError::ClientCertificateRequired { .. } => {
            "set `tls_cert_file` and `tls_key_file` of the provider in config.toml; they are used for the origins of \
             `token_url` (of `issuer`, if that is not set) and `api_url`"
                .into()
        }
        HttpError::ClientCertificateRefused { .. } => {
            "renew the certificate in `tls_cert_file`, or ask the server's administrator which one it accepts".into()
        }
        HttpError::NoRoots { .. } => "install the system's CA certificates, or set SSL_CERT_FILE".into(),
        _ => super::FIX_AND_REPEAT.into(),
    }
}

fn proxy_hint(variable: Option<&str>, refusal: &ProxyRefusal) -> String {
    let setting = variable.unwrap_or("the proxy settings");
    match refusal {
        // SOCKS 4 has no password.
        ProxyRefusal::PasswordRequired { scheme: scheme @ ("socks4" | "socks4a") } => {
            format!("add the user name to {setting}: `{scheme}://USER@HOST:PORT`")
        }
        ProxyRefusal::PasswordRequired { scheme } => {
            format!("add them to {setting}: `{scheme}://USER:PASSWORD@HOST:PORT`")
        }
        ProxyRefusal::PasswordRefused => {
            format!("correct them in {setting}; special characters are percent-encoded, such as %40 for @")
        }
        ProxyRefusal::Untrusted(CertificateProblem::Expired { .. } | CertificateProblem::NotYetValid { .. }) => {
            "check this machine's clock with `date`; if it is right, the proxy needs a new certificate".into()
        }
        ProxyRefusal::Untrusted(CertificateProblem::WrongHost { .. }) => {
            format!("correct the host in {setting}; if it is right, the proxy needs a certificate for it")
        }
        ProxyRefusal::Untrusted(_) => {
            "for a private authority, set SSL_CERT_FILE to a file with its certificate; otherwise fix the proxy's \
             certificate"
                .into()
        }
        _ => format!("ask the proxy's administrator, correct {setting}, or add the server to NO_PROXY"),
    }
}
