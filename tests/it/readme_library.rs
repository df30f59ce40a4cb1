//! The library in the README: its code begins below.

#![cfg(unix)]

use std::sync::Arc;

use nexus::Folders;
use nexus::sandbox::{Sandbox, Settings};

use crate::documentation::blocks;
use crate::nexus::{block_on, provider, sandbox};

use nexus::{Client, Error, Message, Question, Session, Url};

async fn sign_in(client: &Client, owner: &str, browser: impl AsyncFn(&Url) -> String) -> Result<Session, Error> {
    let request = client.authorization_url().await?;
    let query = browser(request.url()).await; // redirect the browser there; it comes back with a query string
    client.exchange_code(owner, request, &query).await
}

async fn ask(client: &Client, owner: &str, words: &str) -> Result<String, Error> {
    let question = Question::new("claude-sonnet-5", [Message::user(words)]);
    Ok(client.chat(owner, &question).await?.text().await?)
}

#[test]
fn the_readme_shows_code_that_works() {
    for block in blocks("rust") {
        assert!(include_str!("readme_library.rs").contains(&block.text), "not the code above:\n{}", block.text);
    }
    let sandbox = sandbox(Settings { models: vec!["claude-sonnet-5".into()], ..Settings::default() });
    let folder = tempfile::tempdir().unwrap();
    let client = Client::new(provider(&sandbox), &Folders::under(folder.path()), nexus::now, Arc::new(|_| {}));
    block_on(async {
        let browser = async |url: &Url| {
            let redirect = Sandbox::approve(url.as_str()).await.unwrap();
            redirect.split_once('?').unwrap().1.to_owned()
        };
        sign_in(&client, "ada", browser).await.unwrap();
        assert!(ask(&client, "ada", "Hello!").await.unwrap().starts_with("You said: Hello!"));
    });
}
