//! The keys of `config.toml`, one row each. The parser, its errors and `nexus help config` use this table. Rows are
//! applied in the order of the table, not of the file.
//!
//! To add a key, add a row here and the field that it sets.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time;

use super::checks::{self, API_REQUEST};
use super::kind::Kind::{
    Bool, Checked, Choice, ClientId, Command, Count, Duration, Headers, List, Params, Path, Secret, Table, Text, Url,
};
use super::kind::{Kind, SecretValue};
use super::source::Source;
use crate::cli::error::CliError;
use nexus::internal::oauth::{AUTHORIZATION_PARAMETERS, TOKEN_REQUEST_FIELDS};
use nexus::internal::provider::{ANT, BUILT_IN, FEDERATION, PLATFORM};
use nexus::key::KeyBackend;
use nexus::{ClientAuth, Dialect, Encoding, HeaderSecret, ProviderConfig, SessionToken};

/// A key of the file.
pub(super) struct Key<T: 'static> {
    pub(super) name: &'static str,
    pub(super) kind: Kind<T>,
    /// As the reference shows it.
    pub(super) default: &'static str,
    pub(super) help: &'static str,
}

/// The values of the keys at the top of the file.
#[derive(Default)]
pub(super) struct Settings {
    pub(super) source: Source,
    pub(super) aliases: BTreeMap<String, String>,
    pub(super) default: Option<String>,
    pub(super) no_history: bool,
    pub(super) key: Option<KeyBackend>,
    pub(super) key_command: Option<Vec<String>>,
    pub(super) passphrase_file: Option<PathBuf>,
    pub(super) passphrase_command: Option<Vec<String>>,
    /// The URL contains a password.
    pub(super) store: Option<SecretValue>,
    pub(super) store_file: Option<PathBuf>,
    pub(super) owner: Option<String>,
}

impl Settings {
    pub(super) fn of(source: Source) -> Self {
        Self { source, ..Self::default() }
    }
}

/// The values of a section `[provider.NAME]`. Most keys set a field of the provider; the client is built later from
/// several keys.
pub(super) struct Section {
    pub(super) source: Source,
    pub(super) provider: ProviderConfig,
    pub(super) client_id: Option<String>,
    pub(super) client_secret: Option<SecretValue>,
    pub(super) client_secret_file: Option<PathBuf>,
    pub(super) client_auth: Option<ClientAuth>,
    pub(super) client_assertion: ClientAssertionKeys,
    pub(super) grant: GrantKeys,
    pub(super) registration_token_file: Option<PathBuf>,
    pub(super) header_files: Vec<HeaderFile>,
    pub(super) tls_files: TlsFiles,
    pub(super) token_command: Option<Vec<String>>,
    pub(super) token_command_timeout: Option<time::Duration>,
    pub(super) token_ttl: Option<time::Duration>,
    /// The first unusable value. It is an error only if the provider is used.
    pub(super) unusable: Option<CliError>,
}

/// The values of the keys `client_assertion_*`.
#[derive(Default)]
pub(super) struct ClientAssertionKeys {
    pub(super) key_file: Option<PathBuf>,
    pub(super) key_id: Option<String>,
    pub(super) audience: Option<String>,
    pub(super) file: Option<PathBuf>,
    pub(super) command: Option<Vec<String>>,
}

/// The values of the key `grant`.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum GrantKind {
    #[default]
    AuthorizationCode,
    ClientCredentials,
    JwtBearer,
    TokenExchange,
}

/// The values of the keys of a grant.
#[derive(Default)]
pub(super) struct GrantKeys {
    pub(super) kind: Option<GrantKind>,
    pub(super) file: Option<PathBuf>,
    pub(super) command: Option<Vec<String>>,
    pub(super) from: Option<String>,
    pub(super) token: Option<SessionToken>,
    pub(super) subject_token_type: Option<String>,
    pub(super) requested_token_type: Option<String>,
}

/// Files in PEM.
#[derive(Default)]
pub(super) struct TlsFiles {
    pub(super) authorities: Option<PathBuf>,
    pub(super) certificate: Option<PathBuf>,
    pub(super) key: Option<PathBuf>,
}

/// The keys that hold headers.
#[derive(Clone, Copy)]
pub(super) enum HeaderKey {
    Code,
    Refresh,
    Api,
}

/// A header whose value is in a file.
pub(super) struct HeaderFile {
    pub(super) key: HeaderKey,
    pub(super) name: String,
    pub(super) file: PathBuf,
}

impl Section {
    pub(super) fn of(provider: ProviderConfig) -> Self {
        Self {
            source: Source::default(),
            provider,
            client_id: None,
            client_secret: None,
            client_secret_file: None,
            client_auth: None,
            client_assertion: ClientAssertionKeys::default(),
            grant: GrantKeys::default(),
            registration_token_file: None,
            header_files: Vec::new(),
            tls_files: TlsFiles::default(),
            token_command: None,
            token_command_timeout: None,
            token_ttl: None,
            unusable: None,
        }
    }
}

/// The keys at the top of the file.
pub(super) const TOP: &[Key<Settings>] = &[
    Key {
        name: "default",
        kind: Text(|settings, name| settings.default = Some(name)),
        default: "\"claude_code\"",
        help: "The provider to use when neither --provider nor NEXUS_PROVIDER names one.",
    },
    Key {
        name: "aliases",
        kind: Table(|settings, aliases| settings.aliases = aliases),
        default: "{}",
        help: "Short names for models, for use with --model, in templates and as `model` of a provider.",
    },
    Key {
        name: "history",
        kind: Bool(|settings, keep| settings.no_history = !keep),
        default: "true",
        help: "Whether conversations at a terminal are saved. With false, they are saved only with --history, -c or \
               --conversation.",
    },
    Key {
        name: "key",
        kind: Choice(&[
            ("file", |settings| settings.key = Some(KeyBackend::File)),
            ("keyring", |settings| settings.key = Some(KeyBackend::Keyring)),
            ("passphrase", |settings| settings.key = Some(KeyBackend::Passphrase)),
            ("command", |settings| settings.key = Some(KeyBackend::Command)),
        ]),
        default: "\"file\"",
        help: "Where the key to the stored sessions is kept. An existing key that is elsewhere is not opened: \
               `nexus key move` replaces it. Without this setting, an existing key is used where it is. With \"command\", \
               key_command prints it. Machines that share a store need the same keys: with \"file\", distribute \
               key/session.key, which has one key a line, `ID BASE64` (32 bytes).",
    },
    Key {
        name: "key_command",
        kind: Command(|settings, words| settings.key_command = Some(words)),
        default: "none",
        help: "A command that prints the keys for `key = \"command\"`, one `ID BASE64` a line. It is run without a shell, \
               without input and without the environment variables that hold secrets, once per process, and again for a key \
               that it did not print.",
    },
    Key {
        name: "passphrase_file",
        kind: Path(|settings, path| settings.passphrase_file = Some(path)),
        default: "none",
        help: "The file with the passphrase for `key = \"passphrase\"`. A relative path is relative to the folder \
               of config.toml.",
    },
    Key {
        name: "passphrase_command",
        kind: Command(|settings, words| settings.passphrase_command = Some(words)),
        default: "none",
        help: "A command that prints the passphrase for `key = \"passphrase\"`, instead of passphrase_file. It is run \
               without a shell and without the environment variables that hold secrets.",
    },
    Key {
        name: "store",
        kind: Secret(|settings, url| settings.store = Some(url)),
        default: "none",
        help: "The PostgreSQL database with the sessions, which many machines can share: \
               `postgres://USER:PASSWORD@HOST:PORT/DATABASE`, with the parameters of libpq. The server's certificate is \
               verified; `sslrootcert=FILE` names a private certificate authority, and `sslmode=disable` is allowed on \
               loopback only. NEXUS_STORE overrides it. Without it, the sessions are in a SQLite file.",
    },
    Key {
        name: "store_file",
        kind: Path(|settings, path| settings.store_file = Some(path)),
        default: "none",
        help: "The file with the URL of the store, instead of `store`. A relative path is relative to the folder of \
               config.toml.",
    },
    Key {
        name: "owner",
        kind: Text(|settings, owner| settings.owner = Some(owner)),
        default: "none",
        help: "Whose sessions are used, such as the name of a person or a job, in 255 bytes at most. Required with a \
               PostgreSQL store: everyone with the same owner shares one session. NEXUS_OWNER overrides it.",
    },
];

/// The key that decides what the other keys of a section add to.
pub(super) const PRESET: &str = "preset";

/// The keys of a provider.
pub(super) const PROVIDER: &[Key<Section>] = &[
    Key {
        name: PRESET,
        // The section was made from it.
        kind: Choice(&[(ANT, |_| ()), (BUILT_IN, |_| ()), (FEDERATION, |_| ()), (PLATFORM, |_| ())]),
        default: "none",
        help: "The built-in provider that this section is like: its settings are the defaults of the other keys. A section \
               for each customer has \"claude_platform\". The environment variables of a built-in provider count for that \
               provider alone.",
    },
    Key {
        name: "authorize_url",
        kind: Url(|section, _, url| section.provider.authorize_url = Some(url)),
        default: "none",
        help: "The authorization endpoint, where the browser goes to approve the sign-in (RFC 6749, section 3.1). \
               Signing in needs it, or an issuer that publishes it.",
    },
    Key {
        name: "token_url",
        kind: Url(|section, _, url| section.provider.token_url = Some(url)),
        default: "none",
        help: "The token endpoint, which issues and refreshes tokens (RFC 6749, section 3.2). Signing in needs it, or an \
               issuer that publishes it.",
    },
    Key {
        name: "client_id",
        kind: ClientId(|section, id| section.client_id = Some(id)),
        default: "none",
        help: "The id of the client that is registered with the authorization server. Signing in needs it, or \
               registration_url.",
    },
    Key {
        name: "client_secret",
        kind: Secret(|section, secret| section.set_client_secret(secret)),
        default: "none",
        help: "The secret of the client, if it has one. Then make config.toml readable by you alone: `chmod 600`. It may be \
               in an environment variable: client_secret = { env = \"NAME\" }.",
    },
    Key {
        name: "client_secret_file",
        kind: Path(|section, path| section.client_secret_file = Some(path)),
        default: "none",
        help: "A file that contains the client secret, instead of client_secret. A relative path is relative to the \
               folder of config.toml.",
    },
    Key {
        name: "client_auth",
        kind: Choice(&[
            ("none", |section| section.client_auth = Some(ClientAuth::None)),
            ("basic", |section| section.client_auth = Some(ClientAuth::Basic)),
            ("basic_raw", |section| section.client_auth = Some(ClientAuth::BasicRaw)),
            ("post", |section| section.client_auth = Some(ClientAuth::Post)),
            ("private_key_jwt", |section| section.client_auth = Some(ClientAuth::PrivateKeyJwt)),
        ]),
        default: "with client_assertion_key_file, client_assertion_file or client_assertion_command \
                  \"private_key_jwt\"; with a secret \"post\" if the issuer's metadata lists it, else \"basic\"; without one \"none\"",
        help: "How the client authenticates at the token endpoint: \"basic\" sends the secret in the Authorization \
               header, \"post\" in the body (RFC 6749, section 2.3.1). \"basic_raw\" is \"basic\" without the form \
               encoding, for servers that do not decode it; a sign-in finds that out by itself. \"private_key_jwt\" sends a \
               signed assertion (RFC 7523). Without client_id, it is the method to register.",
    },
    Key {
        name: "client_assertion_key_file",
        kind: Path(|section, file| section.client_assertion.key_file = Some(file)),
        default: "none",
        help: "The private key of the client in PEM, for client_auth = \"private_key_jwt\": an RSA key, an EC key on P-256 or \
               P-384, or Ed25519. It signs an assertion for each request. It is read each time; a relative path is relative \
               to the folder of config.toml.",
    },
    Key {
        name: "client_assertion_key_id",
        kind: Text(|section, id| section.client_assertion.key_id = Some(id)),
        default: "none",
        help: "The name of that key at the authorization server (`kid`).",
    },
    Key {
        name: "client_assertion_audience",
        kind: Text(|section, audience| section.client_assertion.audience = Some(audience)),
        default: "the issuer if it is known, else token_url",
        help: "The audience (`aud`) of the assertions that the key signs.",
    },
    Key {
        name: "client_assertion_file",
        kind: Path(|section, file| section.client_assertion.file = Some(file)),
        default: "none",
        help: "A file with an assertion that another system issues for the client, instead of client_assertion_key_file. It \
               is read for each request. A relative path is relative to the folder of config.toml.",
    },
    Key {
        name: "client_assertion_command",
        kind: Command(|section, words| section.client_assertion.command = Some(words)),
        default: "none",
        help: "A command that prints an assertion for the client on one line, instead of client_assertion_file. It is run for \
               each request, without a shell, without input and without the environment variables that hold secrets.",
    },
    Key {
        name: "grant",
        kind: Choice(&[
            ("authorization_code", |section| section.grant.kind = Some(GrantKind::AuthorizationCode)),
            ("client_credentials", |section| section.grant.kind = Some(GrantKind::ClientCredentials)),
            ("jwt-bearer", |section| section.grant.kind = Some(GrantKind::JwtBearer)),
            ("token-exchange", |section| section.grant.kind = Some(GrantKind::TokenExchange)),
        ]),
        default: "\"authorization_code\"",
        help: "How nexus gets tokens. \"authorization_code\": a user signs in. The others need no user: \
               \"client_credentials\" sends only the client's own (RFC 6749, section 4.4), \"jwt-bearer\" an assertion (RFC \
               7523), and \"token-exchange\" a token of another server (RFC 8693). code_request, code_params and \
               code_headers are for these requests too.",
    },
    Key {
        name: "assertion_file",
        kind: Path(|section, file| section.grant.file = Some(file)),
        default: "none",
        help: "A file with the assertion or token that grant sends. It is read for each request. A relative path is relative \
               to the folder of config.toml.",
    },
    Key {
        name: "assertion_command",
        kind: Command(|section, words| section.grant.command = Some(words)),
        default: "none",
        help: "A command that prints the assertion on one line, instead of assertion_file. It is run for each request, \
               without a shell, without input and without the environment variables that hold secrets.",
    },
    Key {
        name: "assertion_from",
        kind: Text(|section, name| section.grant.from = Some(name)),
        default: "none",
        help: "Another provider of this file whose session has the assertion, instead of assertion_file. Its token is sent to \
               token_url.",
    },
    Key {
        name: "assertion_token",
        kind: Choice(&[
            ("id_token", |section| section.grant.token = Some(SessionToken::Id)),
            ("access_token", |section| section.grant.token = Some(SessionToken::Access)),
        ]),
        default: "\"id_token\"",
        help: "Which token of that session is sent.",
    },
    Key {
        name: "audience",
        kind: Text(|section, audience| section.provider.audience = Some(audience)),
        default: "none",
        help: "The audience of the token that grant requests, as the authorization server knows it.",
    },
    Key {
        name: "subject_token_type",
        kind: Text(|section, kind| section.grant.subject_token_type = Some(kind)),
        default: "the URI of jwt, or of assertion_token",
        help: "What the token that \"token-exchange\" sends is, as a URI (RFC 8693, section 3).",
    },
    Key {
        name: "requested_token_type",
        kind: Text(|section, kind| section.grant.requested_token_type = Some(kind)),
        default: "none",
        help: "What \"token-exchange\" asks for, as a URI. Without it, the server decides.",
    },
    Key {
        name: "token_command",
        kind: Command(|section, words| section.token_command = Some(words)),
        default: "none",
        help: "A command that prints an access token on one line, instead of a sign-in. It is run when a token is needed, \
               without a shell, without input and without the environment variables that hold secrets; what it prints to \
               stderr is passed on.",
    },
    Key {
        name: "token_command_timeout",
        kind: Duration(|section, limit| section.token_command_timeout = Some(limit)),
        default: "\"60s\"",
        help: "How long token_command may take.",
    },
    Key {
        name: "token_ttl",
        kind: Duration(|section, lifetime| section.token_ttl = Some(lifetime)),
        default: "until the token's exp if it is a JWT, else \"5m\"",
        help: "How long a token of token_command is used before the command is run again. A JWT is never used after its \
               `exp`.",
    },
    Key {
        name: "registration_url",
        kind: Url(|section, _, url| section.provider.registration.url = Some(url)),
        default: "from the issuer's metadata, if it is read",
        help: "The client registration endpoint (RFC 7591). Without client_id, a sign-in registers nexus there, once for \
               each redirect URI; `nexus oauth start --new-client` registers it again.",
    },
    Key {
        name: "registration_token_file",
        kind: Path(|section, file| section.registration_token_file = Some(file)),
        default: "none",
        help: "A file that contains the initial access token of registration_url, if the server wants one. Only a sign-in \
               reads it. A relative path is relative to the folder of config.toml.",
    },
    Key {
        name: "redirect_uri",
        kind: Text(|section, uri| section.provider.redirect_uri = uri),
        default: "\"http://localhost:4000/oauth/NAME/callback\"",
        help: "The redirect URI as it is registered with the client. It must be on loopback; port 0 means any free \
               port.",
    },
    Key {
        name: "scopes",
        kind: List(|section, scopes| section.provider.scopes = scopes),
        default: "of openid and offline_access those that the issuer's metadata lists, if it is read; else []",
        help: "The scopes to ask for. With an empty list the server decides.",
    },
    Key {
        name: "resource",
        kind: Checked(checks::resource, |section, resource| section.provider.resource = Some(resource)),
        default: "as the API says, if it is asked",
        help: "The API that the tokens are for, as the authorization server knows it, byte for byte: an absolute URI \
               without a fragment (RFC 8707). It is sent with the authorization request, the code exchange and every \
               refresh. \"\" sends none.",
    },
    Key {
        name: "prompt",
        kind: Checked(checks::prompt, |section, prompt| section.provider.prompt = Some(prompt)),
        default: "unset",
        help: "What the server shall show in the browser: \"login\", \"consent\", \"select_account\", \"create\" or several \
               of them, or \"none\" (OpenID Connect Core, section 3.1.2.1). Many servers issue a refresh token for the \
               scope offline_access only with \"consent\".",
    },
    Key {
        name: "issuer",
        // The text is kept because issuers are compared as strings (RFC 9207, section 2.4).
        kind: Url(|section, text, _| section.provider.issuer = Some(text.to_owned())),
        default: "none",
        help: "The issuer identifier of the authorization server. It is compared with `iss` in the redirect (RFC 9207) \
               and in the ID token. Without authorize_url or token_url, signing in reads the metadata that the issuer \
               publishes (RFC 8414, OpenID Connect Discovery) for everything that is not set here.",
    },
    Key {
        name: "gateway",
        kind: Url(|section, _, url| section.provider.gateway = Some(url)),
        default: "none",
        help: "The URL of an API that says itself how to sign in (RFC 9728, LiteLLM's contract for native clients, or \
               that of Claude apps gateways). Without issuer, authorize_url or token_url, signing in asks it. It is api_url too, if that is not set.",
    },
    Key {
        name: "require_iss",
        kind: Bool(|section, require| section.provider.require_iss = require),
        default: "as the issuer's metadata says, else false",
        help: "Whether the redirect must contain `iss`. Servers announce that they send it by \
               `authorization_response_iss_parameter_supported` in their metadata (RFC 9207, section 3).",
    },
    Key {
        name: "par_url",
        kind: Url(|section, _, url| section.provider.par_url = Some(url)),
        default: "from the issuer's metadata, if it is read and demands pushed requests",
        help: "The pushed authorization request endpoint (RFC 9126). With it, the authorization request is sent there \
               and not through the browser.",
    },
    Key {
        name: "userinfo_url",
        kind: Url(|section, _, url| section.provider.userinfo_url = Some(url)),
        default: "from the issuer's metadata, if it is read",
        help: "The UserInfo endpoint (OpenID Connect Core, section 5.3). A sign-in asks it for the name of the account if \
               neither the token response nor the ID token has one.",
    },
    Key {
        name: "revoke_url",
        kind: Url(|section, _, url| section.provider.revoke_url = Some(url)),
        default: "from the issuer's metadata, if it is read",
        help: "The revocation endpoint (RFC 7009), which `nexus oauth logout` uses.",
    },
    Key {
        name: "revoke_replaced",
        kind: Bool(|section, revoke| section.provider.revoke_replaced = Some(revoke)),
        default: "only if that cannot end the new session",
        help: "Whether signing in again revokes the session that it replaces: true always, false never. Without it, the \
               old session is revoked if it belongs to another account or if the server gives each sign-in its own \
               grant_id.",
    },
    Key {
        name: "device_url",
        kind: Url(|section, _, url| section.provider.device_url = Some(url)),
        default: "from the issuer's metadata, if it is read",
        help: "The device authorization endpoint (RFC 8628), which `nexus oauth start` uses without a browser or with \
               `--device`. Without it, the issuer is asked then.",
    },
    Key {
        name: "authorize_params",
        kind: Params(AUTHORIZATION_PARAMETERS, |section, params| section.provider.authorize_params = params),
        default: "{}",
        help: "Additional parameters of the authorization URL, such as { audience = \"llm\" }.",
    },
    Key {
        name: "par_params",
        kind: Params(AUTHORIZATION_PARAMETERS, |section, params| section.provider.par_params = params),
        default: "{}",
        help: "Additional parameters of a pushed authorization request, such as the user profile of a customer at \
               claude_platform. They do not pass through the browser.",
    },
    Key {
        name: "code_request",
        kind: Choice(&[
            ("form", |section| section.provider.code.encoding = Encoding::Form),
            ("json", |section| section.provider.code.encoding = Encoding::Json),
        ]),
        default: "\"form\"",
        help: "How the body of the code exchange is encoded. OAuth says \"form\"; some servers want \"json\".",
    },
    Key {
        name: "code_params",
        kind: Params(TOKEN_REQUEST_FIELDS, |section, params| section.provider.code.params = params),
        default: "{}",
        help: "Additional parameters of the code exchange.",
    },
    Key {
        name: "code_headers",
        kind: Headers(&[], |section, headers| section.set_headers(HeaderKey::Code, headers)),
        default: "{}",
        help: "Additional headers of the code exchange. A secret value may be in a file, as in api_headers.",
    },
    Key {
        name: "refresh_request",
        kind: Choice(&[
            ("form", |section| section.provider.refresh.encoding = Encoding::Form),
            ("json", |section| section.provider.refresh.encoding = Encoding::Json),
        ]),
        default: "\"form\"",
        help: "How the body of a refresh is encoded, like code_request.",
    },
    Key {
        name: "refresh_params",
        kind: Params(TOKEN_REQUEST_FIELDS, |section, params| section.provider.refresh.params = params),
        default: "{}",
        help: "Additional parameters of a refresh.",
    },
    Key {
        name: "refresh_headers",
        kind: Headers(&[], |section, headers| section.set_headers(HeaderKey::Refresh, headers)),
        default: "{}",
        help: "Additional headers of a refresh. A secret value may be in a file, as in api_headers.",
    },
    Key {
        name: "api_url",
        kind: Url(|section, _, url| section.provider.api.url = Some(url)),
        default: "none",
        help: "The base URL of the API: /v1/messages (or /v1/chat/completions) and /v1/models are appended. Chatting \
               needs it.",
    },
    Key {
        name: "dialect",
        kind: Choice(&[
            ("anthropic", |section| section.provider.api.dialect = Dialect::Anthropic),
            ("openai", |section| section.provider.api.dialect = Dialect::Openai),
        ]),
        default: "\"anthropic\"",
        help: "The API that api_url speaks: \"anthropic\" is the Messages API, \"openai\" the Chat Completions API.",
    },
    Key {
        name: "api_headers",
        kind: Headers(API_REQUEST, |section, headers| section.set_headers(HeaderKey::Api, headers)),
        default: "{}",
        help: "Additional headers of every API request, such as { x-team = \"7\" }. An empty value removes a header \
               that nexus sends by default: { anthropic-beta = \"\" }. A secret value may be in a file: { x-gateway-key \
               = { file = \"gateway.key\" } }; white space at its ends is ignored.",
    },
    Key {
        name: "api_version",
        kind: Checked(checks::header_value, |section, version| {
            section.provider.api.set_header("anthropic-version", HeaderSecret::new(version));
        }),
        default: "\"2023-06-01\"",
        help: "The version of the Messages API that requests name (`anthropic-version`).",
    },
    Key {
        name: "models",
        kind: List(|section, models| section.provider.api.models = models),
        default: "as the API lists them",
        help: "The models, newest first, for an API that lists none. Then it is not asked for a list.",
    },
    Key {
        name: "token_header",
        kind: Checked(checks::token_header, |section, name| section.provider.api.set_token_header(name)),
        default: "\"Authorization\"",
        help: "The header of API requests that carries the token. \"Authorization\" has it after `Bearer `, any other header \
               has it alone: \"x-api-key\" is for an API key that token_command prints.",
    },
    Key {
        name: "model",
        kind: Text(|section, model| section.provider.api.model = Some(model).filter(|id| !id.is_empty())),
        default: "the newest model listed",
        help: "The model, or an alias of one, to use when neither --model nor a template names one. Required with a \
               gateway that has no /v1/models.",
    },
    Key {
        name: "max_tokens",
        kind: Count(|section, tokens| section.provider.api.max_tokens = Some(tokens)),
        default: "the model's limit if it is listed, else 8192",
        help: "Maximum length of an answer in tokens, when --max-tokens is not given.",
    },
    Key {
        name: "ca_file",
        kind: Path(|section, file| section.tls_files.authorities = Some(file)),
        default: "the system's",
        help: "A file with the certificates, in PEM, of the only authorities that are trusted for the servers of this \
               provider, instead of the system's and of SSL_CERT_FILE. A relative path is relative to the folder of \
               config.toml.",
    },
    Key {
        name: "tls_cert_file",
        kind: Path(|section, file| section.tls_files.certificate = Some(file)),
        default: "none",
        help: "A file with the client certificate (mutual TLS), in PEM, followed by those of its issuers. It is presented \
               to the origins of token_url (of issuer, if that is not set) and api_url only. A relative path is relative \
               to the folder of config.toml.",
    },
    Key {
        name: "tls_key_file",
        kind: Path(|section, file| section.tls_files.key = Some(file)),
        default: "tls_cert_file",
        help: "A file with the private key of tls_cert_file, in PEM and not encrypted. A relative path is relative to the \
               folder of config.toml.",
    },
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Name, default and help of every key, with the section it belongs to.
    fn rows() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
        let top = TOP.iter().map(|key| (key.name, key.default, key.help));
        top.chain(PROVIDER.iter().map(|key| (key.name, key.default, key.help)))
    }

    #[test]
    fn every_key_is_documented_and_named_once() {
        let mut names = BTreeSet::new();
        for (name, default, help) in rows() {
            assert!(names.insert(name), "{name} twice");
            assert!(!default.is_empty(), "{name} has no default");
            assert!(help.len() > 20 && help.ends_with('.'), "{name}: {help}");
        }
    }
}
