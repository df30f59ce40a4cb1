//! Placeholders of examples in the configuration, which no server is asked for.

use crate::nexus::Nexus;

const GOOD: &str = "default = 'work'\n[provider.work]\nclient_id = 'c'\nauthorize_url = 'https://id.corp.example/a'\n\
                    token_url = 'https://id.corp.example/t'\napi_url = 'https://llm.corp.example'\n";

/// Where the secret of the client is read from.
const SECRET: &str = "client_id = 'c'\nclient_secret = '";

#[test]
fn placeholders_in_the_configuration_are_named_before_a_browser_opens() {
    for (value, placeholder, key, message) in [
        ("client_id = 'c'", "client_id = 'YOUR_CLIENT_ID'", "client_id", "is a placeholder"),
        ("client_id = 'c'", "client_id = 'your-client-id'", "client_id", "is a placeholder"),
        ("client_id = 'c'", "client_id = '...'", "client_id", "is a placeholder"),
        ("client_id = 'c'", &format!("{SECRET}its-secret'"), "client_secret", "is a placeholder"),
        ("client_id = 'c'", &format!("{SECRET}<secret>'"), "client_secret", "is a placeholder"),
        ("https://id.corp.example/t", "https://id.example.com/t", "token_url", "example.com is reserved for examples"),
        ("https://id.corp.example/a", "https://example.com/a", "authorize_url", "example.com is reserved for examples"),
        ("https://llm.corp.example", "https://llm.example.org/v1", "api_url", "example.org is reserved for examples"),
        ("https://llm.corp.example", "https://YOUR_GATEWAY", "api_url", "is a placeholder"),
        ("client_id = 'c'", "gateway = 'https://llm.example.com'", "gateway", "example.com is reserved for examples"),
    ] {
        let nexus = Nexus::new();
        nexus.configure(&GOOD.replace(value, placeholder));
        for words in [&["oauth", "start"][..], &["chat", "x"]] {
            let output = nexus.run(words);
            assert_eq!(output.code, Some(2), "{placeholder}: {output}");
            let begins = format!("error: `provider.work.{key}` in [HOME]/config.toml, line ");
            assert!(output.stderr.starts_with(&begins) && output.stderr.contains(message), "{placeholder}: {output}");
            assert!(!output.stderr.contains("its-secret"), "{output}");
        }
    }
}

#[test]
fn placeholders_in_variables_and_flags_are_named() {
    for (name, value) in [
        ("CLAUDE_CODE_CLIENT_ID", "your-client-id"),
        ("CLAUDE_CODE_CLIENT_ID", "<your client id>"),
        ("CLAUDE_CODE_CLIENT_SECRET", "its-secret"),
    ] {
        let mut nexus = Nexus::new();
        nexus.set("CLAUDE_CODE_CLIENT_ID", "c");
        nexus.set(name, value);
        let output = nexus.run(&["oauth", "start", "--no-browser"]);
        let begins = format!("error: {name} is a placeholder\n");
        assert!(output.code == Some(2) && output.stderr.starts_with(&begins), "{output}");
    }
    let pasted = Nexus::new().run(&["oauth", "start", "https://llm.example.com"]);
    let helps = "\n  it stands for the URL of your own gateway or authorization server: ask its operator for that; `nexus demo` works \
                 without one\n";
    assert!(pasted.stderr.ends_with(helps), "{pasted}");
    for (words, message) in [
        (&["https://llm.example.com"][..], "URL is a placeholder: example.com is reserved for examples"),
        (&["https://127.0.0.1:1", "--client-id", "YOUR_CLIENT_ID"], "--client-id is a placeholder"),
        (&["https://127.0.0.1:1", "--client-id", "ID"], "--client-id is a placeholder"),
        (&["https://127.0.0.1:1", "--api-url", "https://llm.example.com"], "--api-url is a placeholder"),
    ] {
        let output = Nexus::new().run(&[&["oauth", "start"], words].concat());
        assert!(output.code == Some(2) && output.stderr.starts_with(&format!("error: {message}")), "{output}");
    }
}

#[test]
fn a_placeholder_of_another_provider_harms_nobody() {
    let nexus = Nexus::new();
    nexus.configure(&format!("{GOOD}[provider.later]\nissuer = 'https://id.example.com'\nclient_id = '...'\n"));
    assert_eq!(nexus.run(&["chat", "x"]).code, Some(4));
    assert_eq!(nexus.run(&["chat", "-p", "later", "x"]).code, Some(2));
}
