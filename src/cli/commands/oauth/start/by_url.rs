//! `nexus oauth start URL`: finds out what is at the URL, and adds what a later sign-in needs to the configuration.

use std::mem;
use std::path::{self, PathBuf};

use toml_edit::Value;

use super::addition::Addition;
use super::{Situation, Way, discovered, not_found, say_open, tell, tell_api};
use crate::cli::config::document::header;
use crate::cli::config::{self, Configured, Existing, Place, placeholder};
use crate::cli::context::Context;
use crate::cli::environment::variable;
use crate::cli::error::{CliError, Result};
use crate::cli::paths::Paths;
use nexus::internal::invisible;
use nexus::internal::oauth::{answer_of_api, base_of, search};
use nexus::internal::provider::{endpoint_url, host};
use nexus::{Client, ClientAuth, Found, OAuthClient, ProviderConfig, Url};

/// The heading of the flags that complete the section of a provider.
const NEW_PROVIDER: &str = "New provider";

#[derive(Debug, clap::Args)]
#[group(skip)]
pub(super) struct Args {
    /// Gateway, API or authorization server to sign in at
    ///
    /// Finds out how to sign in there, and saves it as a provider.
    #[arg(value_name = "URL")]
    pub(super) url: Option<String>,

    /// Id of the client that is registered there
    #[arg(long, value_name = "ID", help_heading = NEW_PROVIDER)]
    client_id: Option<String>,

    /// File that contains the secret of the client
    #[arg(long, value_name = "FILE", requires = "client_id", help_heading = NEW_PROVIDER, hide_short_help = true)]
    client_secret_file: Option<PathBuf>,

    /// Redirect URI that is registered with the client [default: http://localhost:4000/oauth/NAME/callback]
    #[arg(long, value_name = "URI", help_heading = NEW_PROVIDER, hide_short_help = true)]
    redirect_uri: Option<String>,

    /// Base URL of the API, if it is not at URL
    #[arg(long, value_name = "URL", help_heading = NEW_PROVIDER)]
    pub(super) api_url: Option<String>,

    /// Scope to ask for, instead of those that the server suggests; can be repeated
    #[arg(long = "scope", value_name = "SCOPE", help_heading = NEW_PROVIDER, hide_short_help = true)]
    scopes: Vec<String>,
}

impl Args {
    /// Whether there is a URL, or something to add to the section of a provider.
    pub(super) fn are_given(&self) -> bool {
        let Self { url, client_id, client_secret_file, redirect_uri, api_url, scopes } = self;
        let texts = [url, client_id, redirect_uri, api_url];
        texts.iter().any(|text| text.is_some()) || client_secret_file.is_some() || !scopes.is_empty()
    }
}

/// A sign-in by URL, or to a provider in the configuration with further flags, and what is added to the configuration
/// after it.
pub(super) struct Plan {
    pub(super) configured: Configured,
    paths: Paths,
    /// What is asked how to sign in, if no section tells.
    url: Option<Url>,
    /// The section that is there already.
    existing: Option<Existing>,
    /// The keys to add to the section.
    keys: Vec<(&'static str, Value)>,
    sets_default: bool,
}

impl Plan {
    /// Reads the flags and the configuration. Does not use the network.
    pub(super) fn new(args: &Args, provider: Option<&str>, context: &Context) -> Result<Self> {
        let parse = |url| parse_url(url, "URL").map(publisher).map_err(|error| meant_provider(error, url));
        let url = args.url.as_deref().map(parse).transpose()?;
        let paths = Paths::find()?;
        let path = &paths.config;
        let place = match &url {
            Some(url) => config::place_for(path, url, provider, |name| has_session_elsewhere(name, url, context))?,
            None => Place::Existing(config::existing(
                path,
                &config::load(path, &variable, provider, &|| context.stored())?.provider.name,
            )?),
        };
        let (name, existing) = match place {
            Place::New(name) => (name, None),
            Place::Existing(existing) => (existing.name.clone(), Some(existing)),
        };
        let mut configured = match existing {
            Some(_) => config::load(path, &variable, Some(&name), &|| context.stored())?,
            None => config::load_new(path, &variable, &name)?,
        };
        configured.read_registration_token()?;
        let sets_default = existing.is_none() && !is_anything_configured(&paths, &name, context)?;
        if sets_default {
            configured.default.clone_from(&name);
        }
        let mut plan = Self { configured, paths, url, existing, keys: Vec::new(), sets_default };
        plan.apply(args)?;
        context.introduce(&plan.configured);
        Ok(plan)
    }

    /// Sets what the flags say. A flag must not contradict the section.
    fn apply(&mut self, args: &Args) -> Result<()> {
        let is_new = self.existing.is_none();
        if let Some(id) = args.client_id.as_deref().map(invisible::trim) {
            if let Some(why) = config::not_a_client_id(id) {
                return Err(CliError::Usage {
                    message: format!("--client-id {why}"),
                    hint:
                        "pass the id that the operator of the server gave you; without --client-id, nexus registers a \
                           client if the server allows it"
                            .into(),
                });
            }
            match &self.configured.provider.client {
                Some(client) if client.id == id => {}
                Some(_) => return Err(self.differs("client_id")),
                None => {
                    self.configured.provider.client = Some(OAuthClient::public(id));
                    self.keys.push(("client_id", id.into()));
                }
            }
        }
        if let (Some(file), Some(client)) = (&args.client_secret_file, &mut self.configured.provider.client) {
            let file = path::absolute(file).map_err(CliError::system("finding the client secret file"))?;
            let Some(text) = file.to_str() else {
                return Err(CliError::usage("oauth start", "--client-secret-file is a path that is not UTF-8"));
            };
            let known = self.existing.as_ref().and_then(|existing| existing.client_secret_file.clone());
            match (&client.secret, known) {
                (Some(_), Some(known)) if known == file => {}
                (Some(_), _) => return Err(self.differs("client_secret_file")),
                (None, _) => {
                    client.secret = Some(config::client_secret_in(&file, &mut self.configured.warnings)?);
                    client.auth = ClientAuth::Basic;
                    self.keys.push(("client_secret_file", text.into()));
                }
            }
        }
        self.apply_redirect_uri(args.redirect_uri.as_deref().map(invisible::trim), is_new)?;
        if let Some(text) = &args.api_url {
            let api = parse_url(text, "--api-url")?;
            match &self.configured.provider.api.url {
                Some(known) if *known == api => {}
                Some(_) => return Err(self.differs("api_url")),
                None => {
                    self.keys.push(("api_url", invisible::trim(text).into()));
                    self.configured.provider.api.url = Some(api);
                }
            }
        }
        if !args.scopes.is_empty() {
            let scopes: Vec<String> =
                args.scopes.iter().flat_map(|scope| scope.split_whitespace()).map(String::from).collect();
            let provider = &mut self.configured.provider;
            let is_open = provider.from_metadata.scopes && provider.scopes.is_empty();
            if !is_open && provider.scopes != scopes {
                return Err(self.differs("scopes"));
            }
            if is_open {
                self.keys.push(("scopes", Value::from_iter(scopes.iter().map(String::as_str))));
                provider.scopes = scopes;
                provider.from_metadata.scopes = false;
            }
        }
        Ok(())
    }

    fn apply_redirect_uri(&mut self, flag: Option<&str>, is_new: bool) -> Result<()> {
        let provider = &mut self.configured.provider;
        let uri = match flag {
            Some(uri) => uri.to_owned(),
            None if is_new => provider.redirect_uri.clone(),
            None => return Ok(()),
        };
        if let Some(why) = invisible::inside(&uri, false) {
            return Err(CliError::usage("oauth start", format!("--redirect-uri {why}")));
        }
        match &self.existing {
            Some(existing) if existing.has_redirect_uri && provider.redirect_uri != uri => {
                Err(self.differs("redirect_uri"))
            }
            Some(existing) if existing.has_redirect_uri => Ok(()),
            _ => {
                self.keys.push(("redirect_uri", uri.as_str().into()));
                provider.redirect_uri = uri;
                Ok(())
            }
        }
    }

    fn differs(&self, key: &str) -> CliError {
        let (section, path) = (header(&self.configured.provider.name), self.paths.config.display());
        CliError::Configuration {
            message: format!("{section} in {path} is for this URL already, with another `{key}`"),
            hint: "change it there, or pass --provider with a new name".into(),
        }
    }

    /// Finds out how to sign in, and checks what can be checked before the browser opens. `None` if no sign-in is
    /// needed.
    pub(super) async fn discover(mut self, args: &super::Args, context: &Context) -> Result<Option<Self>> {
        let is_needed = match self.url.clone() {
            Some(url) if self.existing.is_none() => self.search(&url, args, context).await?,
            _ => self.complete(args, context).await?,
        };
        if !is_needed {
            return Ok(None);
        }
        self.check_sign_in(args, context)?;
        if args.by_url.api_url.is_some()
            && let Some(api) = &self.configured.provider.api.url
        {
            let answer = answer_of_api(context.http(), &self.configured.provider, api).await?;
            tell_api(&answer, &self.configured.provider, context);
        }
        Ok(Some(self))
    }

    /// Asks at a URL that no section has. Returns whether a sign-in is needed.
    async fn search(&mut self, url: &Url, args: &super::Args, context: &Context) -> Result<bool> {
        let progress = context.progress();
        context.waiting(format!("asking {} how to sign in", host(url)));
        let found =
            search(&context.http(), url, &self.configured.provider).await.map_err(|error| not_found(error, context))?;
        drop(progress);
        if let Found::Open { api } = &found {
            say_open(&host(api), context);
            return Ok(false);
        }
        let provider = &mut self.configured.provider;
        found.apply(provider)?;
        let (key, address) = match (&provider.gateway, &provider.issuer) {
            (Some(gateway), _) => ("gateway", gateway.as_str().trim_end_matches('/')),
            (None, issuer) => ("issuer", issuer.as_deref().unwrap_or_default()),
        };
        self.keys.insert(0, (key, address.into()));
        if provider.authorize_url.is_none() && args.by_url.redirect_uri.is_none() {
            self.keys.retain(|(key, _)| *key != "redirect_uri");
        }
        tell(&found, provider, args, context);
        Ok(true)
    }

    /// Asks what the section leaves open. Returns whether a sign-in is needed.
    async fn complete(&mut self, args: &super::Args, context: &Context) -> Result<bool> {
        let open = mem::replace(&mut self.configured.provider, ProviderConfig::named(""));
        let Some(provider) = discovered(args, open, context).await? else { return Ok(false) };
        self.configured.provider = provider;
        Ok(true)
    }

    fn check_sign_in(&self, args: &super::Args, context: &Context) -> Result<()> {
        let provider = &self.configured.provider;
        let server = provider
            .issuer
            .as_deref()
            .and_then(|issuer| Url::parse(issuer).ok())
            .map_or_else(String::new, |url| host(&url));
        let is_on_device = Situation::new(args, provider, context).way() == Some(Way::Device);
        let is_pushed = provider.require_par && !is_on_device;
        let needed = [
            (is_on_device, &provider.device_url, "device authorization endpoint"),
            (!is_on_device, &provider.authorize_url, "authorization endpoint"),
            (true, &provider.token_url, "token endpoint"),
            (is_pushed, &provider.par_url, "endpoint for pushed authorization requests, which it requires"),
        ];
        if let Some((_, _, endpoint)) = needed.iter().find(|(is_needed, url, _)| *is_needed && url.is_none()) {
            return Err(CliError::Configuration {
                message: format!("{server} publishes no {endpoint}, so nexus cannot sign in there"),
                hint: match args.device && provider.authorize_url.is_some() {
                    true => "run the same command without --device".into(),
                    false => "ask its operator how programs sign in".into(),
                },
            });
        }
        if provider.client.is_none() && provider.registration.url.is_none() {
            return Err(CliError::Configuration {
                message: format!("{server} needs a registered client"),
                hint: format!(
                    "register one there with the redirect URI {}, then run the same command with `--client-id ID`",
                    provider.redirect_uri
                ),
            });
        }
        Ok(())
    }

    /// The client to sign in with, and what to add to the configuration then.
    pub(super) fn finish(self, context: &Context) -> (Client, Addition) {
        let Self { configured, paths, url, keys, sets_default, existing } = self;
        let client = context.client_as(configured, &paths.folders);
        let (name, has_api) = (client.provider().name.clone(), client.provider().api.url.is_some());
        (client, Addition { paths, url, name, is_new: existing.is_none(), keys, sets_default, has_api })
    }
}

/// A URL of an API, a gateway or an issuer.
fn parse_url(text: &str, what: &str) -> Result<Url> {
    let parsed = endpoint_url(invisible::trim(text)).and_then(|url| match url.query() {
        Some(_) => Err("must not contain a query".into()),
        None => Ok(url),
    });
    if let Some(why) = parsed.as_ref().ok().and_then(placeholder::in_url) {
        return Err(CliError::Usage { message: format!("{what} {why}"), hint: placeholder::HINT.into() });
    }
    parsed.map_err(|why| CliError::Usage {
        message: format!("{what} {why}"),
        hint:
            "pass the whole URL of your gateway or authorization server, such as `https://HOST` or `https://HOST/PATH`"
                .into(),
    })
}

/// The URL that a document belongs to, if the URL is that of a document (RFC 8615): the well-known path is inserted
/// before the path of an issuer (RFC 8414, section 3.1), or appended to it.
fn publisher(mut url: Url) -> Url {
    if let Some((before, document)) = url.path().split_once("/.well-known/") {
        let after = document.find('/').map_or("", |at| &document[at..]);
        let path = format!("{before}{after}");
        url.set_path(&path);
    }
    url
}

/// Suggests `--provider` for the name of a provider.
fn meant_provider(error: CliError, text: &str) -> CliError {
    let names = Paths::find().and_then(|paths| config::names(&paths.config)).unwrap_or_default();
    match error {
        CliError::Usage { message, .. } if names.iter().any(|name| name == text) => {
            CliError::Usage { message, hint: format!("to sign in to a configured provider, pass `--provider {text}`") }
        }
        error => error,
    }
}

/// Whether a session with a provider of this name is not one with this URL. A provider may have a session and no
/// section, where the file is a link.
fn has_session_elsewhere(name: &str, url: &Url, context: &Context) -> bool {
    let client = context.stored_client(Some(name));
    let session = client.and_then(|client| context.find_session(&client)).ok().flatten();
    session.is_some_and(|session| {
        let binding = &session.binding;
        let api = binding.api_url.as_ref().is_some_and(|api| base_of(api) == base_of(url));
        let issuer = binding.issuer.as_deref().and_then(|issuer| Url::parse(issuer).ok());
        !api && !issuer.is_some_and(|issuer| config::is_same(&issuer, url))
    })
}

/// Whether there is a default provider, another one that is configured, or another session.
fn is_anything_configured(paths: &Paths, name: &str, context: &Context) -> Result<bool> {
    let configured = ["NEXUS_PROVIDER", "CLAUDE_CODE_CLIENT_ID"].into_iter().any(|name| variable(name).is_some());
    Ok(configured
        || config::has_providers(&paths.config)?
        || context.signed_in_providers().unwrap_or_default().iter().any(|other| other != name))
}
