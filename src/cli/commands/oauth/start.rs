//! `nexus oauth start`: signs in.

use std::time::Duration;

use crate::cli::commands::Done;
use crate::cli::config;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::paths::Paths;
use nexus::error::ProviderError;
use nexus::internal::oauth::RedirectListener;
use nexus::internal::oauth::page::Outcome;
use nexus::internal::time;
use nexus::{AuthorizationRequest, Client, Session};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Provider to sign in to, as named in config.toml
    #[arg(long, short, value_name = "NAME")]
    provider: Option<String>,

    /// Print the URL instead of opening a browser
    #[arg(long)]
    no_browser: bool,

    /// How long to wait for approval (90s, 5m, 1h)
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = time::parse_wait)]
    timeout: Duration,
}

/// Signs in. If that fails, an earlier session is kept.
pub(crate) fn run(args: &Args, context: &Context) -> Done {
    let client = context.with_config_warnings().client(args.provider.as_deref())?;
    client.provider().client().map_err(with_other_providers)?;
    context.block_on(async {
        client.check_writable().await?;
        let mut listener = RedirectListener::bind(client.provider()).await?;
        let request = AuthorizationRequest::begin(client.provider(), listener.redirect_uri())?;
        open_browser(args, context, &listener, &request);
        let signed_in = match listener.wait(&request, args.timeout).await {
            Ok(code) => client.redeem("", request, code).await,
            Err(error) => Err(error.into()),
        };
        let signed_in = signed_in.map_err(CliError::from);
        match signed_in {
            Ok(session) => {
                context.say(&greeting(&session, &client));
                let outcome = Outcome::SignedIn { account: session.account().map(str::to_owned) };
                tokio::join!(listener.finish(&outcome), client.fetch_models("", &session));
                Ok(0)
            }
            Err(failure) => {
                let outcome = Outcome::Failed { message: failure.to_string(), next_step: failure.hint() };
                listener.finish(&outcome).await;
                Err(failure)
            }
        }
    })
}

/// Adds the other configured providers to the error, one of which may be meant.
fn with_other_providers(error: ProviderError) -> CliError {
    let ProviderError::NoClientId { provider } = &error else { return error.into() };
    let names = Paths::find().and_then(|paths| config::names(&paths.config)).unwrap_or_default();
    let others = names.into_iter().filter(|name| name != provider).collect();
    CliError::NoClientId { error, others }
}

/// Opens the browser and prints the URL.
fn open_browser(args: &Args, context: &Context, listener: &RedirectListener, request: &AuthorizationRequest) {
    let opened = !args.no_browser && context.browse(request.url().as_str());
    context.say(match opened {
        true => "Opening your browser to sign in. If it does not open, go to:",
        false => "To sign in, open this URL in a browser on this machine:",
    });
    context.say(&format!("\n{}\n", request.url()));
    context.say(&format!(
        "Waiting for the redirect to {}, for up to {} (Ctrl-C cancels).",
        listener.redirect_uri(),
        time::span(i64::try_from(args.timeout.as_secs()).unwrap_or(i64::MAX))
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
