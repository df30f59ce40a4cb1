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
    load(&ConfigFiles::of_user(&path), &|name| variables.get(name).cloned(), chosen, &Vec::new)
        .map_err(|failure| format!("{failure} | {}", failure.hint()).replace(&*path.to_string_lossy(), "FILE"))
}

pub(super) fn provider(toml: &str, variables: &[(&'static str, &str)]) -> ProviderConfig {
    configured(toml, variables, None).unwrap().provider
}

#[test]
fn without_a_file_the_built_in_provider_stands() {
    let files = ConfigFiles::of_user("/nonexistent/config.toml");
    let provider = load(&files, &|_| None, None, &Vec::new).unwrap().provider;
    assert_eq!(provider.name, "claude_code");
    assert_eq!(provider.redirect_uri, "http://localhost:4000/oauth/claude/callback");
    assert_eq!(provider.scopes, ["openai.user.read", "model.request", "model.read"]);
    assert_eq!(provider.authorize_url.unwrap().as_str(), "https://platform.claude.com/oauth/authorize");
    assert_eq!(provider.token_url.unwrap().as_str(), "https://api.anthropic.com/v1/oauth/token");
    assert_eq!(provider.api.url.unwrap().as_str(), "https://api.anthropic.com/");
    assert!(provider.client.is_none());
    assert!(provider.code.with_state);
    assert_eq!(provider.refresh.encoding, Encoding::Json);
    assert_eq!(provider.refresh.headers["anthropic-beta"].expose(), "oauth-2025-04-20");
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
    let [error] = &warnings(&[other])[..] else { panic!("the secret is dropped without a word") };
    assert!(error.starts_with("CLAUDE_CODE_CLIENT_ID differs from `provider.claude_code.client_id` in "));
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
        ("c\u{200b}d", "has an invisible character (U+200B) in it"),
        ("c\u{a0}d", "has an invisible character (U+00A0) in it"),
        ("c\nd", "has a line break in it"),
    ] {
        let error = configured("", &[("CLAUDE_CODE_CLIENT_ID", id)], None).unwrap_err();
        let hint = "set CLAUDE_CODE_CLIENT_ID to the id of the client that you registered";
        assert_eq!(error, format!("CLAUDE_CODE_CLIENT_ID {why} | {hint}"), "{id:?}");
    }
    assert!(configured("", &[("CLAUDE_CODE_CLIENT_ID", "a.b<c>...d e")], None).is_ok());
}

#[test]
fn invisible_characters_at_the_ends_of_a_value_are_dropped() {
    let (before, after) = ("\\ufeff \\u00a0", "\\u200b\\r\\n \\u2060");
    let text = |name: &str, value: &str| format!("{name} = \"{before}{value}{after}\"\n");
    let url = "https://id.corp.example/";
    let list =
        format!("scopes = [\"{before}one{after}\", \"two\"]\napi_headers = {{ x-team = \"{before}7{after}\" }}\n");
    let names = ["authorize_url", "token_url", "revoke_url", "device_url", "api_url", "issuer"];
    let urls: String = names.iter().map(|name| text(name, url)).collect();
    let others = [
        ("client_id", "my client"),
        ("client_secret", "s s"),
        ("redirect_uri", url),
        ("model", "m"),
        ("client_auth", "post"),
    ];
    let others: String = others.iter().map(|(name, value)| text(name, value)).collect();
    let file = format!("{}[provider.work]\n{urls}{others}{list}", text("default", "work"));
    let provider = provider(&file, &[]);
    let found =
        [&provider.authorize_url, &provider.token_url, &provider.revoke_url, &provider.device_url, &provider.api.url];
    assert!(found.iter().all(|found| found.as_ref().is_some_and(|found| found.as_str() == url)), "{provider:?}");
    assert_eq!((provider.issuer.as_deref(), &*provider.redirect_uri), (Some(url), url));
    assert_eq!((provider.scopes, provider.api.model.as_deref()), (vec!["one".into(), "two".into()], Some("m")));
    assert_eq!(provider.api.headers["x-team"].expose(), "7");
    let client = provider.client.unwrap();
    assert_eq!((&*client.id, client.secret.unwrap().expose(), client.auth), ("my client", "s s", ClientAuth::Post));
}

#[test]
fn an_invisible_character_in_a_value_or_a_name_is_named_with_its_place() {
    let why = "has an invisible character (U+200B) in it";
    for (key, value) in [
        ("authorize_url", "'https://id.exa\u{200b}mple.com/'"),
        ("token_url", "'https://id.corp.example/to\u{200b}ken'"),
        ("api_url", "'https://id.corp.example/\u{200b}a'"),
        ("issuer", "'https://id.\u{200b}corp.example'"),
        ("redirect_uri", "'http://127.0.0.1:0/call\u{200b}back'"),
        ("client_id", "'c\u{200b}d'"),
        ("client_secret", "'hush\u{200b}4711'"),
        ("model", "'m\u{200b}n'"),
        ("scopes", "['a', 'b\u{200b}c']"),
    ] {
        let error = configured(&format!("default = 'work'\n[provider.work]\n{key} = {value}"), &[], None).unwrap_err();
        assert!(error.starts_with(&format!("`provider.work.{key}` in FILE, line 3, {why} | ")), "{error}");
        assert!(!error.contains("4711") && !error.contains('\u{200b}'), "{error}");
    }
    for (file, message) in [
        (
            "[provider.'wo\u{200b}rk']",
            "`provider.wo<U+200B>rk` in FILE, line 1, has an invisible character (U+200B) in it",
        ),
        ("[provider.'work ']", "`provider.work` in FILE, line 1, has white space at an end of its name"),
        (
            "[provider.work]\n'client\u{200b}_id' = 'c'",
            "FILE, line 2: unknown key `client<U+200B>_id` in [provider.work]",
        ),
        ("[provider.work]\nclient_id\u{a0}= 'c'", "FILE, line 2: the line has an invisible character (U+00A0) in it"),
    ] {
        let error = configured(file, &[], None).unwrap_err();
        assert!(error.starts_with(&format!("{message} | ")), "{error}");
    }
    for (name, value) in [
        ("CLAUDE_CODE_CLIENT_ID", "c\u{200b}d"),
        ("CLAUDE_CODE_CLIENT_SECRET", "hush\u{200b}4711"),
        ("CLAUDE_CODE_REDIRECT_URI", "http://127.0.0.1:0/call\u{200b}back"),
    ] {
        let error = configured("", &[(name, value)], None).unwrap_err();
        assert!(error.starts_with(&format!("{name} {why} | ")) && !error.contains("4711"), "{error}");
    }
    let error = configured("[provider.work]", &[], Some("wo\u{200b}rk")).unwrap_err();
    assert!(
        error.starts_with("unknown provider `wo<U+200B>rk`; configured: claude_code, work | did you mean"),
        "{error}"
    );
    assert_eq!(configured("[provider.work]", &[], Some("work\r")).unwrap().provider.name, "work");
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
    let key_config = |toml| configured(toml, &[], None).unwrap().store.key;
    assert_eq!((key_config("").backend, key_config("").passphrase), (None, None));
    let words = |text: &str| text.split(' ').map(String::from).collect();
    assert_eq!(
        key_config("key = 'passphrase'\npassphrase_command = ['pass', 'show', '$x']"),
        KeyConfig {
            hidden_variables: crate::cli::environment::secret_variables(),
            backend: Some(KeyBackend::Passphrase),
            passphrase: Some(PassphraseSource::Command(words("pass show $x"))),
            command: Vec::new(),
        }
    );
    let listed = key_config("passphrase_command = ['pass', 'show me', '']").passphrase;
    let words = ["pass", "show me", ""].map(String::from).to_vec();
    assert_eq!(listed, Some(PassphraseSource::Command(words)));
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("config.toml"), "passphrase_file = 'pass'").unwrap();
    let files = ConfigFiles::of_user(folder.path().join("config.toml"));
    let (store, _) = super::store_config(&files, &|_| None).unwrap();
    assert_eq!(store.key.passphrase, Some(PassphraseSource::File(folder.path().join("pass"))));
}

#[test]
fn the_documented_file_is_understood_whole() {
    let provider = provider(
        r#"
        default = "work"
        [provider.work]
        issuer = "https://id.corp.example"
        authorize_url = "https://id.corp.example/authorize"
        token_url = "https://id.corp.example/token"
        device_url = "https://id.corp.example/device"
        revoke_url = "https://id.corp.example/revoke"
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
        api_url = "https://llm.corp.example/prefix"
        api_headers = { e = "5" }
        model = "m"
        max_tokens = 8192
        "#,
        &[],
    );
    let client = provider.client.as_ref().unwrap();
    assert_eq!((client.auth, client.secret.as_ref().unwrap().expose()), (ClientAuth::Basic, "s"));
    assert_eq!(provider.issuer.as_deref(), Some("https://id.corp.example"));
    assert_eq!(provider.scopes, ["openid", "offline_access"]);
    assert_eq!(provider.authorize_params["audience"], "llm");
    assert_eq!((provider.code.encoding, &*provider.code.params["a"]), (Encoding::Json, "1"));
    assert_eq!((provider.code.headers["b"].expose(), provider.refresh.headers["d"].expose()), ("2", "4"));
    assert_eq!((provider.refresh.encoding, &*provider.refresh.params["c"]), (Encoding::Json, "3"));
    assert_eq!(provider.api.url.as_ref().unwrap().as_str(), "https://llm.corp.example/prefix");
    assert_eq!((provider.api.headers.len(), provider.api.headers["e"].expose()), (1, "5"));
    assert_eq!((provider.api.model.as_deref(), provider.api.max_tokens), (Some("m"), Some(8192)));
    assert!(provider.device_url.is_some() && provider.revoke_url.is_some());
    assert_eq!(provider.revoke_replaced, Some(true));
    assert!(!provider.code.with_state);
}

#[test]
fn api_headers_replace_those_of_the_same_name_in_any_case() {
    let headers = |lines: &str| {
        let headers = provider(&format!("[provider.claude_code]\n{lines}"), &[]).api.headers;
        headers.into_iter().map(|(name, value)| format!("{name}: {}", value.expose())).collect::<Vec<_>>()
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
    assert_eq!(provider.code.headers["Authorization"].expose(), "Bearer gate", "a public client leaves that one free");
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
            "[provider.w]\ndialect = 'antropic'",
            "`provider.w.dialect` in FILE, line 2, must be one of \"anthropic\", \"openai\" | did you mean `anthropic`?",
        ),
        (
            "key = 'cloud'",
            "`key` in FILE, line 1, must be one of \"file\", \"keyring\", \"passphrase\", \"command\" | fix that line",
        ),
        ("provider.w = 3", "`provider.w` in FILE, line 1, must be a section: [provider.NAME] | fix that line"),
        (
            "key = 'passphrase'",
            "`key` in FILE, line 1, is \"passphrase\", but neither `passphrase_file` nor `passphrase_command` is set | set one of the two",
        ),
        (
            "passphrase_file = 'a'\npassphrase_command = ['b']",
            "`passphrase_file` in FILE, line 1, cannot be combined with `passphrase_command` | keep one of the two",
        ),
        (
            "passphrase_command = [' ']",
            "`passphrase_command` in FILE, line 1, is empty | set it to a program and its arguments",
        ),
        (
            "default = 'gone'\n[provider.w]",
            "unknown provider `gone`; configured: claude_code, w | add a section [provider.gone] to FILE",
        ),
        (
            "default = 'wrok'\n[provider.work]",
            "unknown provider `wrok`; configured: claude_code, work | did you mean `work`? Otherwise add a section [provider.wrok] to FILE",
        ),
    ] {
        assert_eq!(configured(toml, &[], None).err().as_deref(), Some(error), "{toml}");
    }
    // Line 3 is the first line of the provider's section.
    for (lines, key, error) in [
        ("max_tokens = 0", "max_tokens", "must be a whole number from 1 to 4294967295, without quotes | fix that line"),
        (
            "token_url = 'id.corp.example/token'",
            "token_url",
            "does not begin with `https://` | use an `https://` URL without user name, password and fragment",
        ),
        (
            "token_url = 'http://id.corp.example/'",
            "token_url",
            "is http; plain http is allowed on loopback only | use an `https://` URL without user name, password and fragment",
        ),
        ("client_id = '<your client>'", "client_id", "is a placeholder | set it to the id of the registered client"),
        ("client_id = ''", "client_id", "is empty | set it to the id of the registered client"),
        ("client_secret = 'x'", "client_secret", "requires `client_id` | add `client_id`"),
        (
            "client_secret_file = '/none/secret'",
            "client_secret_file",
            "points to /none/secret, which cannot be read: No such file or directory (os error 2) | create the file with only the secret in it",
        ),
        (
            "client_auth = 'basic'\nclient_id = 'x'",
            "client_auth",
            "is basic, but there is no client secret | add `client_secret` or `client_secret_file`",
        ),
        (
            "client_auth = 'none'\nclient_id = 'c'\nclient_secret = 's'",
            "client_auth",
            "is none, but there is a client secret | remove the secret, or set `client_auth` to \"basic\" or \"post\"",
        ),
        (
            "authorize_params = { audience = 'x', state = 'y' }",
            "authorize_params.state",
            "is set by nexus itself | remove it",
        ),
        (
            "authorize_params = { scope = 'x' }",
            "authorize_params",
            "contains `scope`, which belongs in `scopes` | move it to `scopes`",
        ),
        ("code_params = { code_verifier = 'x' }", "code_params.code_verifier", "is set by nexus itself | remove it"),
        (
            "refresh_params = { scope = 's', grant_type = 'x' }",
            "refresh_params.grant_type",
            "is set by nexus itself | remove it",
        ),
        ("api_headers = { 'x key' = 'v' }", "api_headers.x key", "is not a valid header name | fix or remove it"),
        (
            "code_headers = { x-key = \"one\\ntwo\" }",
            "code_headers.x-key",
            "has characters that are not allowed in a header, such as U+000A | fix or remove it",
        ),
        (
            "refresh_headers = { Content-Type = 'text/plain' }",
            "refresh_headers.Content-Type",
            "is set by nexus itself | remove it",
        ),
        (
            "api_headers = { Authorization = 'Bearer x' }",
            "api_headers.Authorization",
            "is set by nexus itself | remove it; send a gateway's own key in another header",
        ),
        ("api_headers = { accept = '*/*' }", "api_headers.accept", "is set by nexus itself | remove it"),
        (
            "code_headers = { authorization = 'x' }\nclient_id = 'c'\nclient_secret = 's'",
            "code_headers",
            "contains `Authorization`, which carries the client secret | remove it; send a gateway's own key in another header",
        ),
    ] {
        let toml = format!("default = 'w'\n[provider.w]\n{lines}");
        let error = format!("`provider.w.{key}` in FILE, line 3, {error}");
        assert_eq!(configured(&toml, &[], None).err(), Some(error), "{toml}");
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
        "passphrase_command = { a = 'hush' }",
        "passphrase = 'hush'",
    ] {
        let error = configured(toml, &[], None).unwrap_err();
        assert!(!error.contains("hush") && !error.contains("4711"), "{error}");
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
        let configured = load(&ConfigFiles::of_user(&file), &|_| None, None, &Vec::new).unwrap();
        assert_eq!(configured.provider.client.unwrap().secret.unwrap().expose(), "hush");
        assert_eq!(configured.warnings.len(), warnings, "{mode:o}");
        for warning in configured.warnings {
            assert!(warning.ends_with(&format!("run `chmod 600 {}`", secret.display())), "{warning}");
        }
    }
}

#[test]
fn a_key_of_the_users_file_replaces_that_of_the_systems() {
    let folder = tempfile::tempdir().unwrap();
    let (system, user) = (folder.path().join("system.toml"), folder.path().join("user.toml"));
    let endpoints = "authorize_url = 'https://a/authorize'\ntoken_url = 'https://a/token'\napi_url = 'https://a'\n";
    let below = "default = 'work'\naliases = { a = 'system', b = 'system' }\n[provider.work]\nclient_id = 'system'\n\
        model = 'system'\nrevoke_url = 'http://203.0.113.1'\napi_headers = { x-a = 'system', x-b = 'system' }\n";
    fs::write(&system, format!("{below}{endpoints}[provider.other]\nclient_id = 'other'\n{endpoints}")).unwrap();
    let above = "aliases = { b = 'user' }\n[provider.work]\nmodel = 'user'\napi_headers = { x-a = 'user' }\n\
        revoke_url = 'https://a/revoke'\n";
    fs::write(&user, above).unwrap();
    let files = ConfigFiles::above(Some(system.clone()), &user);
    let configured = load(&files, &|_| None, None, &Vec::new).unwrap();
    let provider = configured.provider;
    assert_eq!((&*provider.name, &*provider.client.unwrap().id), ("work", "system"));
    assert_eq!(provider.api.model.as_deref(), Some("user"));
    assert_eq!(provider.api.headers.keys().collect::<Vec<_>>(), ["x-a"]);
    assert_eq!(provider.api.aliases, BTreeMap::from([("b".to_owned(), "user".to_owned())]));
    assert_eq!(names(&files).unwrap(), [BUILT_IN, "other", "work"]);

    fs::write(&user, "[provider.work]\nmodell = 'user'\n").unwrap();
    let error = load(&files, &|_| None, None, &Vec::new).unwrap_err().to_string();
    assert!(error.contains("user.toml, line 2"), "{error}");
    fs::write(&user, "").unwrap();
    let error = load(&files, &|_| None, None, &Vec::new).unwrap_err().to_string();
    assert!(error.contains("system.toml, line 6"), "{error}");
}
