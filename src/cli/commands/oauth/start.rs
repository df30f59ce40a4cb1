//! `nexus oauth start`: signs in.

mod addition;
mod by_url;
mod device;
mod paste;
mod way;
mod without_user;

use std::time::Duration;

use by_url::Plan;
use paste::Pasting;
use way::{Situation, Way};

use clap_complete::engine::ArgValueCandidates;

use crate::cli::commands::Done;
use crate::cli::completion::candidates;
use crate::cli::config;
use crate::cli::context::Context;
use crate::cli::error::{CliError, Result};
use crate::cli::paths::Paths;
use crate::cli::terminal::browser::Browser;
use nexus::error::{DiscoveryError, ProviderError, SessionError, SignInError};
use nexus::internal::clean::clean;
use nexus::internal::oauth::RedirectListener;
use nexus::internal::oauth::page::Outcome;
use nexus::internal::provider::host;
use nexus::internal::time;
use nexus::{
    ApiAnswer, AuthorizationRequest, Client, Error, ErrorClass, ErrorInfo as _, Found, Probe, ProviderConfig,
    RegisteredClient, Session, Url,
};

const EXAMPLES: &str = "\
Examples:
  nexus oauth start                           # the default provider
  nexus oauth start https://llm.example.com   # a gateway, by its URL
  nexus oauth start --device                  # approve on another device";

#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    by_url: by_url::Args,

    /// Provider to sign in to, as named in config.toml
    ///
    /// With URL, the name to save it under.
    #[arg(long, short, value_name = "NAME")]
    #[arg(add = ArgValueCandidates::new(candidates::providers))]
    provider: Option<String>,

    /// Print the URL instead of opening a browser
    #[arg(long)]
    no_browser: bool,

    /// Approve on another device: print a code to enter there
    #[arg(long)]
    device: bool,

    /// Register a new client at the server, instead of the one of an earlier sign-in
    #[arg(long, hide_short_help = true)]
    new_client: bool,

    /// How long to wait for approval (90s, 5m, 1h) [default: 10m; with a code, as long as it is valid]
    #[arg(long, value_name = "DURATION", value_parser = time::parse_wait, hide_short_help = true)]
    timeout: Option<Duration>,
}

/// Signs in. If that fails, an earlier session is kept.
pub(crate) fn run(args: &Args, context: &Context) -> Done {
    let context = &context.with_config_warnings();
    if args.by_url.are_given() {
        let plan = Plan::new(&args.by_url, args.provider.as_deref(), context)?;
        check_client(args, &plan.configured.provider, context)?;
        return context.block_on(async {
            let Some(plan) = plan.discover(args, context).await? else { return Ok(0) };
            let (client, addition) = plan.finish(context);
            let (check, saved) = (|| addition.check(), || addition.save(context));
            let signed_in = sign_in(&SignIn { args, context, client: &client, check: &check, saved: &saved }).await;
            if let Err(CliError::Library(Error::SignIn(error))) = &signed_in
                && (matches!(error.class(), ErrorClass::Configuration | ErrorClass::Permanent)
                    || matches!(error, SignInError::IdToken { .. } | SignInError::IssuerMismatch { .. }))
            {
                addition.suggest(context);
            }
            signed_in.map(|()| 0)
        });
    }
    let (mut configured, folders) = context.configured_for_sign_in(args.provider.as_deref())?;
    if !configured.provider.grant.needs_user() {
        return without_user::run(&context.client_as(configured, &folders), context);
    }
    check_client(args, &configured.provider, context)?;
    context.block_on(async {
        let Some(provider) = discovered(args, configured.provider, context).await? else { return Ok(0) };
        configured.provider = provider;
        let client = context.client_as(configured, &folders);
        sign_in(&SignIn { args, context, client: &client, check: &|| Ok(()), saved: &|| () }).await?;
        Ok(0)
    })
}

/// Checks before anything is sent that there is a client to sign in with, or a way to register one.
fn check_client(args: &Args, provider: &ProviderConfig, context: &Context) -> Result<()> {
    if provider.client.is_none() {
        let may_register =
            provider.registration.url.is_some() || asks_first(args, provider, context) || args.by_url.url.is_some();
        return if may_register { Ok(()) } else { provider.client().map(drop).map_err(with_other_providers) };
    }
    if args.new_client {
        let provider = &provider.name;
        return Err(CliError::Usage {
            message: format!("{provider} has a configured client, so --new-client cannot replace it"),
            hint: format!(
                "leave out --new-client, or remove `client_id` under {section} in config.toml",
                section = config::document::header(provider)
            ),
        });
    }
    Ok(())
}

/// What a sign-in needs.
struct SignIn<'a> {
    args: &'a Args,
    context: &'a Context,
    client: &'a Client,
    /// Is called before tokens are requested.
    check: &'a dyn Fn() -> Result<()>,
    /// Is called once the session is saved.
    saved: &'a dyn Fn(),
}

async fn sign_in(sign_in: &SignIn<'_>) -> Result<()> {
    let SignIn { args, context, client, .. } = *sign_in;
    if !client.registers_itself() {
        client.provider().client().map_err(with_other_providers)?;
    }
    client.check_writable().await?;
    if let Err(moved @ Error::Session(SessionError::Moved { is_finished: false, .. })) = client.find("").await {
        return Err(moved.into());
    }
    let mut situation = Situation::new(args, client.provider(), context);
    let mut anew = args.new_client;
    // Only a client of an earlier sign-in, and a device flow that does not work, lead to another attempt.
    loop {
        let way = situation.way();
        let attempt = match way {
            Some(Way::Device) => device::attempt(sign_in, anew).await,
            Some(way @ (Way::Browser | Way::Url)) => attempt(sign_in, way, anew).await,
            None => Err(no_way(client)),
        };
        match attempt {
            Ok(Attempt::SignedIn) => return Ok(()),
            Ok(Attempt::ClientRefused) => anew = true,
            Err(error) => {
                let is_impossible = way == Some(Way::Device) && device::is_impossible(&error);
                let without = situation.without_device_flow().filter(|_| is_impossible);
                let Some(without) = without else { return Err(error) };
                context.note(&error.to_string());
                situation = without;
            }
        }
    }
}

/// The error where no way was asked for, and none works. An error in the configuration comes first.
fn no_way(client: &Client) -> CliError {
    let provider = client.provider();
    match AuthorizationRequest::begin(provider, &provider.redirect_uri) {
        Err(error) if !client.registers_itself() => error.into(),
        _ => CliError::NoWayToSignIn { provider: provider.name.clone() },
    }
}

/// How an attempt ended.
enum Attempt {
    SignedIn,
    /// The server did not accept the client that an earlier sign-in registered.
    ClientRefused,
}

/// Signs in once. `anew` registers a new client even if there is one.
async fn attempt(sign_in: &SignIn<'_>, way: Way, anew: bool) -> Result<Attempt> {
    let SignIn { args, context, client, check, saved } = *sign_in;
    let (mut listener, request, is_old) = begin(context, client, anew).await?;
    let response = {
        let mut pasting = Pasting::begin(listener.response_sender(), &request, client.provider().require_iss);
        let mut browser = match way {
            Way::Browser => context.browse(request.url().as_str()),
            _ => Browser::default(),
        };
        invite(args, context, &request, &mut browser, pasting.is_possible());
        let response = listener.wait(&request, timeout(args));
        tokio::pin!(response);
        loop {
            tokio::select! {
                response = &mut response => break response,
                never = pasting.pass_on(context) => match never {},
                why = browser.failed() => {
                    context.note(&format!("{NOT_OPENED}: {why}; open the URL above in a browser on this machine"));
                    browser = Browser::default();
                }
            }
        }
    };
    let response = response.map_err(|error| CliError::from(Error::from(error)));
    let signed_in = match response.and_then(|code| check().map(|()| code)) {
        Ok(code) => {
            let _progress = context.progress();
            context.waiting(format!("exchanging the code at {}", host_of(client.provider().token_url.as_ref())));
            client.redeem("", request, code).await.map_err(CliError::from)
        }
        Err(error) => Err(error),
    };
    match signed_in {
        Ok(session) => {
            context.say(&greeting(&session, client));
            saved();
            let outcome = Outcome::SignedIn { account: session.account().map(str::to_owned) };
            tokio::join!(listener.finish(&outcome), fetch_models(client, &session, context));
            Ok(Attempt::SignedIn)
        }
        Err(CliError::Library(Error::SignIn(refused @ SignInError::ClientRefused { .. }))) if is_old => {
            context.note(&registered_anew(&refused));
            listener.finish(&Outcome::Repeated).await;
            Ok(Attempt::ClientRefused)
        }
        Err(failure) => {
            let outcome = Outcome::Failed { message: failure.to_string(), next_step: failure.hint() };
            listener.finish(&outcome).await;
            Err(failure)
        }
    }
}

/// Fetches the list of models, and says if there is none and no model is configured.
async fn fetch_models(client: &Client, session: &Session, context: &Context) {
    if let Err(error) = client.fetch_models("", session).await
        && client.provider().api.model.is_none()
    {
        let error = CliError::from(Error::from(error));
        context.note(&format!("{error}: {}", error.hint()));
    }
}

/// Listens at the redirect URI and begins the request. A provider without a client registers one that has exactly this
/// redirect URI. Returns whether the client was registered by an earlier sign-in.
async fn begin(
    context: &Context,
    client: &Client,
    anew: bool,
) -> Result<(RedirectListener, AuthorizationRequest, bool)> {
    let provider = client.provider();
    let told = context.clone();
    let stray_error = move || told.note(STRAY_ERROR);
    if !client.registers_itself() {
        let listener = RedirectListener::bind(provider).await?.on_stray_error(stray_error);
        let request = client.authorization_url_for(listener.redirect_uri()).await?;
        return Ok((listener, request, false));
    }
    let known = if anew { None } else { client.registered_client().await? };
    let at = known.as_ref().map(|known| &*known.redirect_uri);
    let listener = RedirectListener::bind_any(provider, at).await?.on_stray_error(stray_error);
    if let Some(known) = known.filter(|known| known.redirect_uri == listener.redirect_uri()) {
        match client.authorization_url_as(known).await {
            Err(Error::SignIn(refused @ SignInError::ClientRefused { .. })) => context.note(&registered_anew(&refused)),
            begun => return Ok((listener, begun?, true)),
        }
    }
    let registered = registering(context, provider, client.register_client(listener.redirect_uri())).await?;
    let request = client.authorization_url_as(registered).await?;
    Ok((listener, request, false))
}

/// Waits for a registration, and says so.
async fn registering(
    context: &Context,
    provider: &ProviderConfig,
    registration: impl Future<Output = std::result::Result<RegisteredClient, Error>>,
) -> Result<RegisteredClient> {
    let server = host_of(provider.registration.url.as_ref());
    let progress = context.progress();
    context.waiting(format!("registering nexus as a client at {server}"));
    let registered = registration.await?;
    drop(progress);
    context.say(&format!("Registered nexus as a client at {server}."));
    Ok(registered)
}

/// The host of an endpoint.
fn host_of(endpoint: Option<&Url>) -> String {
    endpoint.map(host).unwrap_or_default()
}

/// How long to wait for the redirect.
fn timeout(args: &Args) -> Duration {
    args.timeout.unwrap_or(USUAL_TIMEOUT)
}

const USUAL_TIMEOUT: Duration = Duration::from_secs(600);

/// Whether the issuer or the gateway is asked before this sign-in.
fn asks_first(args: &Args, provider: &ProviderConfig, context: &Context) -> bool {
    let situation = Situation::new(args, provider, context);
    provider.needs_discovery() || situation.prefers_device() && provider.needs_discovery_for_device()
}

/// The note about a client of an earlier sign-in that the server did not accept.
fn registered_anew(refused: &SignInError) -> String {
    format!("{refused}; it was registered by an earlier sign-in, so a new one is registered")
}

/// The provider with what its issuer or gateway publishes, where the configuration leaves something open. `None` if no
/// sign-in is needed, which is said.
async fn discovered(args: &Args, mut provider: ProviderConfig, context: &Context) -> Result<Option<ProviderConfig>> {
    if !asks_first(args, &provider, context) {
        return Ok(Some(provider));
    }
    let issuer = provider.issuer.as_deref().and_then(|issuer| Url::parse(issuer).ok());
    let asked = issuer.or_else(|| provider.gateway.clone());
    let progress = context.progress();
    context.waiting(format!("asking {} how to sign in", host_of(asked.as_ref())));
    let found = provider.discover_with(&context.http()).await;
    drop(progress);
    match found {
        Ok(Some(found)) => tell(&found, &provider, args, context),
        Ok(None) => {}
        // Without the device flow, the sign-in goes another way.
        Err(_) if !args.device && !provider.needs_discovery() => {}
        Err(DiscoveryError::NoSignIn { host }) => {
            say_open(&host, context);
            return Ok(None);
        }
        Err(error) => return Err(not_found(error, context)),
    }
    Ok(Some(provider))
}

fn say_open(host: &str, context: &Context) {
    context.say(&format!("{host} lists its models without a credential: no sign-in is needed."));
}

/// Says what was found, and what is odd about the API.
fn tell(found: &Found, provider: &ProviderConfig, args: &Args, context: &Context) {
    context.say(&describe(found, provider));
    // With --api-url, the API is asked for itself.
    if let Found::Issuer { api: Some(answer), .. } = found
        && args.by_url.api_url.is_none()
    {
        tell_api(answer, provider, context);
    }
}

/// Says what is odd about the answer of the provider's API.
fn tell_api(answer: &ApiAnswer, provider: &ProviderConfig, context: &Context) {
    let api = host(&answer.probe.url);
    let issuer = provider.issuer.as_deref();
    let others = answer.resource.as_ref().filter(|resource| issuer.is_some_and(|issuer| !resource.names(issuer)));
    if answer.is_open {
        context.note(&format!("the API at {api} lists its models without a credential"));
    } else if let Some(resource) = others {
        let servers = resource.servers.iter().map(|server| clean(server)).collect::<Vec<_>>().join(" or ");
        let issuer = issuer.unwrap_or_default();
        context.note(&format!("the API at {api} takes tokens of {servers}; those of {issuer} may be rejected"));
    } else if answer.probe.status != Some(401) {
        context.note(&format!("the API at {api}: {}", answer.probe.description));
    }
}

/// What was found, and where the browser is going to be sent.
fn describe(found: &Found, provider: &ProviderConfig) -> String {
    let issuer = provider.issuer.as_deref().unwrap_or_default();
    let issuer = Url::parse(issuer).map_or_else(|_| issuer.to_owned(), |url| host(&url));
    let (what, last) = match found {
        Found::Resource { api, .. } => (format!("{} takes tokens of {issuer}", host(api)), issuer),
        Found::Litellm { gateway, .. } => (format!("{} is a LiteLLM gateway", host(gateway)), host(gateway)),
        Found::AppsGateway { gateway, .. } => (format!("{} is a Claude apps gateway", host(gateway)), host(gateway)),
        _ => (format!("{issuer} is an authorization server"), issuer),
    };
    match provider.authorize_url.as_ref().map(host) {
        None if provider.device_url.is_some() => format!("{what}; signing in with a code to enter on another device."),
        Some(host) if host == last => format!("{what}; signing in there."),
        Some(host) => format!("{what}; signing in at {host}."),
        None => format!("{what}."),
    }
}

/// Prints what each request gave.
fn not_found(error: DiscoveryError, context: &Context) -> CliError {
    for line in table(error.probes()) {
        context.say(&line);
    }
    error.into()
}

/// What each request gave, one line each, the answers below each other.
fn table(probes: &[Probe]) -> Vec<String> {
    let width = probes.iter().map(|probe| probe.url.as_str().len()).max().unwrap_or_default();
    probes.iter().map(|probe| format!("  {:width$}  {}", probe.url.as_str(), probe.description)).collect()
}

/// Adds the other configured providers to the error, one of which may be meant.
fn with_other_providers(error: ProviderError) -> CliError {
    let ProviderError::NoClientId { provider } = &error else { return error.into() };
    let names = Paths::find().and_then(|paths| config::names(&paths.config)).unwrap_or_default();
    let others = names.into_iter().filter(|name| name != provider).collect();
    CliError::NoClientId { error, others }
}

const NOT_OPENED: &str = "no browser could be opened";

/// A server that leaves out `state` when the user refuses. Its words are not repeated, because any page can send them.
const STRAY_ERROR: &str = "the redirect URI got an error response without the `state` of this sign-in, which was ignored; \
                           if you refused the sign-in, press Ctrl-C";

/// Prints the URL, and how the response can come back.
fn invite(args: &Args, context: &Context, request: &AuthorizationRequest, browser: &mut Browser, can_paste: bool) {
    let failure = browser.failure();
    if let Some(why) = &failure {
        context.note(&format!("{NOT_OPENED}: {why}"));
        // It is not printed again.
        *browser = Browser::default();
    }
    let is_local = browser.is_open() || failure.is_some();
    let ssh_host = context.ssh_host(!is_local && !args.no_browser);
    context.say(match (browser.is_open(), can_paste || ssh_host.is_some()) {
        (true, _) => "Opening your browser to sign in. If it does not open, go to:",
        (false, false) => "To sign in, open this URL in a browser on this machine:",
        (false, true) => "To sign in, open this URL in a browser:",
    });
    context.say(&format!("\n{}\n", request.url()));
    if let Some(host) = ssh_host
        && let Some(port) = Url::parse(request.redirect_uri()).ok().and_then(|uri| uri.port_or_known_default())
    {
        context.say(&format!(
            "If the browser is on another machine, first run there: ssh -L {port}:localhost:{port} {host}"
        ));
    }
    if can_paste {
        context.say(
            "If the browser cannot open the page at the end, paste its whole URL here and press Enter; it is not shown.",
        );
    }
    if let Some(lifetime) = request.url_lifetime().filter(|lifetime| *lifetime < timeout(args)) {
        context.say(&format!("The URL must be opened within {}.", time::span(time::rounded_up(lifetime))));
    }
    context.say(&format!(
        "Waiting for the redirect to {}, for up to {} (Ctrl-C cancels).",
        request.redirect_uri(),
        time::span(i64::try_from(timeout(args).as_secs()).unwrap_or(i64::MAX))
    ));
}

fn greeting(session: &Session, client: &Client) -> String {
    let who = match session.account() {
        Some(account) => format!("Signed in as {}", nexus::internal::clean::clean(account)),
        None => format!("Signed in to {}", client.provider().name),
    };
    match session.expires_at {
        Some(at) => format!("{who}, token expires in {}", time::span(at.saturating_sub(session.issued_at))),
        None => who,
    }
}
