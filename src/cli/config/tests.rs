use std::collections::BTreeMap;
use std::fs;

use super::*;
use nexus::{ClientAuth, Encoding};

fn configured(
    toml: &str,
    variables: &[(&'static str, &str)],
    chosen: Option<&str>,
) -> std::result::Result<Configured, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    fs::write(&path, toml).unwrap();
    let variables: BTreeMap<_, _> = variables.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    load(&path, &|name| variables.get(name).cloned(), chosen)
        .map_err(|failure| format!("{failure} | {}", failure.hint()).replace(&*path.to_string_lossy(), "FILE"))
}

pub(super) fn provider(toml: &str, variables: &[(&'static str, &str)]) -> ProviderConfig {
    configured(toml, variables, None).unwrap().provider
}

#[test]
fn without_a_file_the_built_in_provider_stands() {
    let provider = load(Path::new("/nonexistent/config.toml"), &|_| None, None).unwrap().provider;
    assert_eq!(provider.name, "claude_code");
    assert_eq!(provider.redirect_uri, "http://localhost:4000/oauth/claude/callback");
    assert_eq!(provider.scopes, ["openai.user.read", "model.request", "model.read"]);
    assert_eq!(provider.authorize_url.unwrap().as_str(), "https://platform.claude.com/oauth/authorize");
    assert_eq!(provider.token_url.unwrap().as_str(), "https://api.anthropic.com/v1/oauth/token");
    assert_eq!(provider.api.url.unwrap().as_str(), "https://api.anthropic.com/");
    assert!(provider.client.is_none());
    assert!(provider.code.with_state);
    assert_eq!(provider.refresh.encoding, Encoding::Json);
    assert_eq!(provider.refresh.headers["anthropic-beta"], "oauth-2025-04-20");
}

#[test]
fn variables_beat_the_file_for_the_built_in_provider() {
    let file = "[provider.claude_code]\nclient_id = 'file'\nclient_secret = 's'\nredirect_uri = 'http://127.0.0.1:1/'";
    let client = provider(file, &[]).client.unwrap();
    assert_eq!((&*client.id, client.auth), ("file", ClientAuth::Post));

    let both = provider(file, &[("CLAUDE_CODE_CLIENT_ID", "env"), ("CLAUDE_CODE_REDIRECT_URI", "http://[::1]:2/")]);
    assert_eq!(both.redirect_uri, "http://[::1]:2/");
    let client = both.client.unwrap();
    assert!(client.secret.is_none(), "the file's secret belongs to the file's client");
    let warnings = |variables: &[_]| {
        let warnings = configured(file, variables, None).unwrap().warnings;
        warnings.into_iter().filter(|warning| !warning.contains("chmod")).collect::<Vec<_>>()
    };
    let other = ("CLAUDE_CODE_CLIENT_ID", "env");
    let [said] = &warnings(&[other])[..] else { panic!("the secret is dropped without a word") };
    assert!(said.starts_with("CLAUDE_CODE_CLIENT_ID names another client than `provider.claude_code.client_id` in "));
    assert_eq!(warnings(&[other, ("CLAUDE_CODE_CLIENT_SECRET", "x")]), [""; 0]);

    let client = provider(file, &[("CLAUDE_CODE_CLIENT_ID", "file")]).client.unwrap();
    assert!(client.secret.is_some(), "the same client keeps its secret");
    assert_eq!(warnings(&[("CLAUDE_CODE_CLIENT_ID", "file")]), [""; 0]);

    let variables = [("CLAUDE_CODE_CLIENT_ID", "env"), ("CLAUDE_CODE_CLIENT_SECRET", "x")];
    let client = provider("", &variables).client.unwrap();
    assert_eq!(client.auth, ClientAuth::Post);
    assert_eq!(client.secret.unwrap().expose(), "x");

    let other = "default = 'work'\n[provider.work]\nclient_id = 'w'";
    assert_eq!(provider(other, &variables).client.unwrap().id, "w", "they are for claude_code only");
}

#[test]
fn a_client_id_that_is_none_is_refused_where_it_stands() {
    for (id, why) in [
        ("...", "is a placeholder"),
        ("\u{2026}", "is a placeholder"),
        ("<client id>", "is a placeholder"),
        (" c", "has white space around it or a line break in it"),
        ("c\n", "has white space around it or a line break in it"),
    ] {
        let said = configured("", &[("CLAUDE_CODE_CLIENT_ID", id)], None).unwrap_err();
        let hint = "set CLAUDE_CODE_CLIENT_ID to the id of the client that you registered";
        assert_eq!(said, format!("CLAUDE_CODE_CLIENT_ID {why} | {hint}"), "{id:?}");
    }
    assert!(configured("", &[("CLAUDE_CODE_CLIENT_ID", "a.b<c>...d e")], None).is_ok());
}

#[test]
fn the_provider_is_chosen_by_flag_then_variable_then_file() {
    let file = "default = 'a'\n[provider.a]\n[provider.b]\n[provider.c]";
    let name = |variables: &[_], chosen| configured(file, variables, chosen).unwrap().provider.name;
    assert_eq!(name(&[], None), "a");
    assert_eq!(name(&[("NEXUS_PROVIDER", "b")], None), "b");
    assert_eq!(name(&[("NEXUS_PROVIDER", "b")], Some("c")), "c");
    assert_eq!(name(&[], Some("claude_code")), "claude_code");
}

#[test]
fn the_passphrase_comes_from_beside_the_file_or_from_a_command_in_words() {
    let key_config = |toml| configured(toml, &[], None).unwrap().key_config;
    assert_eq!(key_config(""), KeyConfig::default());
    let words = |text: &str| text.split(' ').map(String::from).collect();
    assert_eq!(
        key_config("key = 'passphrase'\npassphrase_command = 'pass  show $x'"),
        KeyConfig {
            backend: Some(KeyBackend::Passphrase),
            passphrase: Some(PassphraseSource::Command(words("pass show $x")))
        }
    );
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("config.toml"), "passphrase_file = 'pass'").unwrap();
    let (key_config, _) = super::key_config(&folder.path().join("config.toml")).unwrap();
    assert_eq!(key_config.passphrase, Some(PassphraseSource::File(folder.path().join("pass"))));
}

#[test]
fn the_documented_file_is_understood_whole() {
    let provider = provider(
        r#"
        default = "work"
        [provider.work]
        issuer = "https://id.example.com"
        authorize_url = "https://id.example.com/authorize"
        token_url = "https://id.example.com/token"
        device_url = "https://id.example.com/device"
        revoke_url = "https://id.example.com/revoke"
        revoke_replaced = true
        client_id = "c"
        client_secret = "s"
        client_auth = "basic"
        redirect_uri = "http://127.0.0.1:0/callback"
        scopes = ["openid", "offline_access"]
        authorize_params = { audience = "llm" }
        code_request = "json"
        code_params = { a = "1" }
        code_headers = { b = "2" }
        refresh_request = "json"
        refresh_params = { c = "3" }
        refresh_headers = { d = "4" }
        api_url = "https://llm.example.com/prefix"
        api_headers = { e = "5" }
        model = "m"
        max_tokens = 8192
        "#,
        &[],
    );
    let client = provider.client.as_ref().unwrap();
    assert_eq!((client.auth, client.secret.as_ref().unwrap().expose()), (ClientAuth::Basic, "s"));
    assert_eq!(provider.issuer.as_deref(), Some("https://id.example.com"));
    assert_eq!(provider.scopes, ["openid", "offline_access"]);
    assert_eq!(provider.authorize_params["audience"], "llm");
    assert_eq!((provider.code.encoding, &*provider.code.params["a"]), (Encoding::Json, "1"));
    assert_eq!((&*provider.code.headers["b"], &*provider.refresh.headers["d"]), ("2", "4"));
    assert_eq!((provider.refresh.encoding, &*provider.refresh.params["c"]), (Encoding::Json, "3"));
    assert_eq!(provider.api.url.as_ref().unwrap().as_str(), "https://llm.example.com/prefix");
    assert_eq!(provider.api.headers, BTreeMap::from([("e".into(), "5".into())]));
    assert_eq!((provider.api.model.as_deref(), provider.api.max_tokens), (Some("m"), Some(8192)));
    assert!(provider.device_url.is_some() && provider.revoke_url.is_some());
    assert_eq!(provider.revoke_replaced, Some(true));
    assert!(!provider.code.with_state);
}

#[test]
fn api_headers_replace_those_of_the_same_name_in_any_case() {
    let headers = |lines: &str| {
        let headers = provider(&format!("[provider.claude_code]\n{lines}"), &[]).api.headers;
        headers.into_iter().map(|(name, value)| format!("{name}: {value}")).collect::<Vec<_>>()
    };
    let beta = "anthropic-beta: oauth-2025-04-20";
    assert_eq!(headers(""), [beta]);
    assert_eq!(headers("api_headers = { x-bf-vk = 'k' }"), [beta, "x-bf-vk: k"]);
    assert_eq!(headers("api_headers = { Anthropic-Beta = '' }"), ["Anthropic-Beta: "]);
}

#[test]
fn what_gateways_want_in_headers_beside_the_token_is_sent() {
    let lines = "[provider.claude_code]\nclient_id = 'c'\ncode_headers = { Authorization = 'Bearer gate' }\n\
                 api_headers = { X-Api-Key = 'a', Proxy-Authorization = 'b', Ocp-Apim-Subscription-Key = 'c', \
                 User-Agent = 'd', x-litellm-api-key = 'e', cf-aig-authorization = 'f' }";
    let provider = provider(lines, &[]);
    assert_eq!(provider.api.headers.len(), 7);
    assert_eq!(provider.code.headers["Authorization"], "Bearer gate", "a public client leaves that one free");
}

#[test]
fn errors_name_the_key_its_place_and_the_cure() {
    for (toml, error) in [
        ("defualt = 'x'", "FILE, line 1: unknown key `defualt` at the top | did you mean `default`?"),
        (
            "[provider.w]\ntoken_ulr = 'x'",
            "FILE, line 2: unknown key `token_ulr` in [provider.w] | did you mean `token_url`?",
        ),
        (
            "[provider.w]\nmax_tokens = 'x'",
            "`provider.w.max_tokens` in FILE, line 2, must be a whole number from 1 to 4294967295, without quotes | fix that line",
        ),
        (
            "[provider.w]\nmax_tokens = 8k",
            "`max_tokens` in FILE, line 2, must be a whole number from 1 to 4294967295, without quotes | fix that line",
        ),
        (
            "[provider.w]\nscopes = 'a b'",
            "`provider.w.scopes` in FILE, line 2, must be a list of texts in quotes: [\"one\", \"two\"] | fix that line",
        ),
        (
            "[provider.w]\napi_headers = { a = 1 }",
            "`provider.w.api_headers` in FILE, line 2, must be a table of texts in quotes: { name = \"value\" } | fix that line",
        ),
        (
            "[provider.w]\nrevoke_replaced = yes",
            "`revoke_replaced` in FILE, line 2, must be true or false, without quotes | fix that line",
        ),
        (
            "[provider.w]\ndialect = 'antropic'",
            "`provider.w.dialect` in FILE, line 2, must be one of \"anthropic\", \"openai\" | did you mean `anthropic`?",
        ),
        ("provider.w = 3", "`provider.w` in FILE, line 1, must be a section: [provider.NAME] | fix that line"),
        ("default = 3", "`default` in FILE, line 1, must be text in quotes | fix that line"),
        (
            "default = 'w'\n[provider.w]\ntoken_url = 'id.example.com/token'",
            "`provider.w.token_url` in FILE, line 3, does not begin with `https://` | write it as `https://...`",
        ),
        (
            "default = 'w'\n[provider.w]\nclient_id = '<your client>'",
            "`provider.w.client_id` in FILE, line 3, is a placeholder | set it to the id of the registered client",
        ),
        (
            "default = 'w'\n[provider.w]\nclient_id = 'c '",
            "`provider.w.client_id` in FILE, line 3, has white space around it or a line break in it | set it to the id of the registered client",
        ),
        (
            "default = 'w'\n[provider.w]\nclient_id = 'c'\nclient_secret_file = '/none/secret'",
            "`provider.w.client_secret_file` in FILE, line 4, names /none/secret, which cannot be read: No such file or directory (os error 2) | create it, with the secret and nothing else in it",
        ),
        (
            "default = 'w'\n[provider.w]\ntoken_url = 'http://id.example.com/'",
            "`provider.w.token_url` in FILE, line 3, is http; plain http is allowed on loopback only | write it as `https://...`",
        ),
        (
            "default = 'w'\n[provider.w]\nclient_id = ''",
            "`provider.w.client_id` in FILE, line 3, is empty | set it to the id of the registered client",
        ),
        (
            "default = 'w'\n[provider.w]\nclient_secret = 'x'",
            "`provider.w.client_secret` in FILE, line 3, needs a `client_id` | write the `client_id` too",
        ),
        (
            "default = 'w'\n[provider.w]\nclient_id = 'x'\nclient_auth = 'basic'",
            "`provider.w.client_auth` in FILE, line 4, is basic, but there is no client secret | write a `client_secret` or `client_secret_file`",
        ),
        (
            "default = 'w'\n[provider.w]\nauthorize_params = { audience = 'x', state = 'y' }",
            "`provider.w.authorize_params.state` in FILE, line 3, is set by nexus itself | remove it",
        ),
        (
            "default = 'w'\n[provider.w]\nauthorize_params = { scope = 'x' }",
            "`provider.w.authorize_params` in FILE, line 3, has a `scope`, which is set by `scopes` | write it in `scopes`",
        ),
        (
            "default = 'w'\n[provider.w]\ncode_params = { code_verifier = 'x' }",
            "`provider.w.code_params.code_verifier` in FILE, line 3, is set by nexus itself | remove it",
        ),
        (
            "default = 'w'\n[provider.w]\nrefresh_params = { scope = 's', grant_type = 'x' }",
            "`provider.w.refresh_params.grant_type` in FILE, line 3, is set by nexus itself | remove it",
        ),
        (
            "default = 'w'\n[provider.w]\napi_headers = { 'x key' = 'v' }",
            "`provider.w.api_headers.x key` in FILE, line 3, is not a header name: those have letters, digits and hyphens | fix or remove it",
        ),
        (
            "default = 'w'\n[provider.w]\ncode_headers = { x-key = \"one\\ntwo\" }",
            "`provider.w.code_headers.x-key` in FILE, line 3, has characters that a header cannot contain | fix or remove it",
        ),
        (
            "default = 'w'\n[provider.w]\nrefresh_headers = { Content-Type = 'text/plain' }",
            "`provider.w.refresh_headers.Content-Type` in FILE, line 3, is set by nexus itself | remove it",
        ),
        (
            "default = 'w'\n[provider.w]\napi_headers = { Authorization = 'Bearer x' }",
            "`provider.w.api_headers.Authorization` in FILE, line 3, is set by nexus itself | remove it; send a gateway's own key in another header",
        ),
        (
            "default = 'w'\n[provider.w]\napi_headers = { accept = '*/*' }",
            "`provider.w.api_headers.accept` in FILE, line 3, is set by nexus itself | remove it",
        ),
        (
            "default = 'w'\n[provider.w]\nclient_id = 'c'\nclient_secret = 's'\ncode_headers = { authorization = 'x' }",
            "`provider.w.code_headers` in FILE, line 5, has an `Authorization`, which nexus sends the client secret in | remove it; send a gateway's own key in another header",
        ),
        (
            "default = 'w'\n[provider.w]\nclient_id = 'c'\nclient_secret = 's'\nclient_auth = 'none'",
            "`provider.w.client_auth` in FILE, line 5, is none, but there is a client secret | remove one of the two; a secret is sent with basic or post",
        ),
        (
            "default = 'w'\n[provider.w]\nmax_tokens = 0",
            "`provider.w.max_tokens` in FILE, line 3, must be a whole number from 1 to 4294967295, without quotes | fix that line",
        ),
        (
            "key = 'cloud'",
            "`key` in FILE, line 1, must be one of \"file\", \"keyring\", \"passphrase\" | fix that line",
        ),
        (
            "key = 'passphrase'",
            "`key` in FILE, line 1, is passphrase, but nothing says where the passphrase comes from | write `passphrase_file = \"...\"` or `passphrase_command = \"...\"` beside it",
        ),
        (
            "passphrase_file = 'a'\npassphrase_command = 'b'",
            "`passphrase_file` in FILE, line 1, cannot be combined with `passphrase_command` | keep one of the two",
        ),
        (
            "passphrase_command = ' '",
            "`passphrase_command` in FILE, line 1, is empty | write a program and its arguments",
        ),
        ("passphrase = 'hush'", "FILE, line 1: unknown key `passphrase` at the top | did you mean `passphrase_file`?"),
        (
            "default = 'gone'\n[provider.w]",
            "no provider is called `gone`; known are: claude_code, w | write a section [provider.gone] in FILE",
        ),
        (
            "default = 'wrok'\n[provider.work]",
            "no provider is called `wrok`; known are: claude_code, work | did you mean `work`? If not, write a section [provider.wrok] in FILE",
        ),
        (
            "default = 'claude-code'",
            "no provider is called `claude-code`; known are: claude_code | did you mean `claude_code`? If not, write a section [provider.claude-code] in FILE",
        ),
    ] {
        assert_eq!(configured(toml, &[], None).err().as_deref(), Some(error), "{toml}");
    }
}

#[test]
fn a_value_of_the_wrong_kind_is_an_error_that_says_what_it_must_be() {
    let keys = keys::TOP.iter().map(|key| ("", key.name, key.kind.description()));
    let of_provider = keys::PROVIDER.iter().map(|key| ("provider.w", key.name, key.kind.description()));
    for (section, key, kind) in keys.chain(of_provider) {
        let (header, full) = match section {
            "" => (String::new(), key.to_owned()),
            section => (format!("[{section}]"), format!("{section}.{key}")),
        };
        let error = |value: &str| configured(&format!("{header}\n{key} = {value}"), &[], None).unwrap_err();
        let must_be = format!("in FILE, line 2, must be {kind} | fix that line");
        // No kind takes a number with a fraction. The second value is not even TOML.
        assert_eq!(error("1.5"), format!("`{full}` {must_be}"));
        assert_eq!(error("hush"), format!("`{key}` {must_be}"));
    }
}

#[test]
fn the_item_of_a_list_or_table_that_is_wrong_is_found_by_its_line() {
    for toml in [
        "[provider.w]\nscopes = [\n'a',\n1,\n]",
        "\n[provider.w.api_headers]\na = 'b'\nc = 1",
        "[provider.w]\n[provider.w.api_headers]\na = 'b'\nc = 1",
    ] {
        let error = configured(toml, &[], None).unwrap_err();
        assert!(error.contains("` in FILE, line 4, must be a "), "{error}");
    }
    let error = configured("default = 'w'\n[provider.w.api_headers]\na = 'b'\nhost = 'c'", &[], None).unwrap_err();
    assert!(error.starts_with("`provider.w.api_headers.host` in FILE, line 4, is set by nexus itself"), "{error}");
}

#[test]
fn a_misspelt_key_is_an_error_that_names_the_nearest() {
    let keys = keys::TOP.iter().map(|key| ("", key.name));
    for (header, key) in keys.chain(keys::PROVIDER.iter().map(|key| ("[provider.w]\n", key.name))) {
        let error = configured(&format!("{header}{key}x = 1"), &[], None).unwrap_err();
        assert!(error.ends_with(&format!(" | did you mean `{key}`?")), "{error}");
    }
    let error = configured("[provider.w]\nzzz = 1", &[], None).unwrap_err();
    assert!(error.ends_with(" | `nexus help config` lists the keys"), "{error}");
}

#[test]
fn a_value_that_cannot_be_used_matters_only_to_its_own_provider() {
    let file = "[provider.a]\nclient_id = '...'\n[provider.b]\nclient_id = 'b'";
    assert_eq!(configured(file, &[], Some("b")).unwrap().provider.client.unwrap().id, "b");
    assert!(configured(file, &[], Some("a")).unwrap_err().contains("is a placeholder"));
}

#[test]
fn no_error_quotes_a_secret() {
    for toml in [
        "client_secret = 'hush",
        "[provider.w]\nclient_secret = { a = 'hush' }",
        "[provider.w]\nclient_secret = hush",
        "passphrase_file = hush",
        "passphrase_command = ['hush']",
        "passphrase = 'hush'",
    ] {
        let said = configured(toml, &[], None).unwrap_err();
        assert!(!said.contains("hush") && !said.contains("4711"), "{said}");
    }
}

#[cfg(unix)]
#[test]
fn a_secret_that_others_may_read_is_a_warning_with_its_cure() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let (file, secret) = (folder.path().join("config.toml"), folder.path().join("secret"));
    fs::write(&file, "[provider.claude_code]\nclient_id = 'c'\nclient_secret_file = 'secret'").unwrap();
    fs::write(&secret, "hush\n").unwrap();
    for (mode, warnings) in [(0o600, 0), (0o640, 1), (0o604, 1)] {
        fs::set_permissions(&secret, fs::Permissions::from_mode(mode)).unwrap();
        let configured = load(&file, &|_| None, None).unwrap();
        assert_eq!(configured.provider.client.unwrap().secret.unwrap().expose(), "hush");
        assert_eq!(configured.warnings.len(), warnings, "{mode:o}");
        for warning in configured.warnings {
            assert!(warning.ends_with(&format!("run `chmod 600 {}`", secret.display())), "{warning}");
        }
    }
}
