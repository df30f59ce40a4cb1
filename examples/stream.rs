//! Signs in at the sandbox and prints an answer as it streams. Needs nothing configured and no network:
//!
//! ```sh
//! cargo run --example stream "What is a monad?"
//! ```

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is a program")]

use std::error::Error;
use std::io::Write as _;
use std::pin::pin;
use std::sync::Arc;

use futures_core::Stream as _;
use nexus::sandbox::{Endpoint, Sandbox, Settings};
use nexus::{Client, Delta, Folders, Message, Notice, OAuthClient, ProviderConfig, Question};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    // Your own server's endpoints stand here, or `ProviderConfig::claude_code()`.
    let sandbox = Sandbox::start(Settings::default()).await?;
    let provider = ProviderConfig::named("sandbox")
        .with_client(OAuthClient::public("sandbox-client"))
        .with_redirect_uri("http://127.0.0.1:8080/callback")
        .with_authorize_url(&sandbox.url(Endpoint::Authorize))?
        .with_token_url(&sandbox.url(Endpoint::Token))?
        .with_api_url(&sandbox.origin())?;
    let home = tempfile::tempdir()?;
    let notice = Arc::new(|notice: &Notice| eprintln!("{notice}"));
    let client = Client::new(provider, &Folders::under(home.path()), nexus::now, notice);

    // A browser would go to `request.url()`; here the sandbox's own user approves.
    let request = client.authorization_url().await?;
    let redirect = Sandbox::approve(request.url().as_str()).await?;
    let (_, query) = redirect.split_once('?').ok_or("the redirect has no query")?;
    client.exchange_code("ada", request, query).await?;

    let words = std::env::args().nth(1).unwrap_or_else(|| "What is a monad?".into());
    let question = Question::new("sandbox-large", [Message::user(words)]);
    let mut answer = pin!(client.chat("ada", &question).await?);
    while let Some(delta) = std::future::poll_fn(|context| answer.as_mut().poll_next(context)).await {
        if let Delta::Text(text) = delta? {
            print!("{text}");
            std::io::stdout().flush()?;
        }
    }
    println!();
    client.wait_for_saves().await;
    Ok(())
}
