//! One section of the file, [provider.NAME], laid over a provider: each value checked, and each
//! complaint with the place of its setting.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use super::file::Section;
use super::{expected, extras};
use nexus::internal::failure::{Failure, Result};
use nexus::internal::provider::{BUILT_IN, Client, ClientAuth, Origin, Provider, Setting, Url, endpoint_url};
use nexus::internal::secret::ClientSecret;

/// The Console takes a secret in the body; elsewhere Basic is what every server must support
/// (RFC 6749, section 2.3.1).
pub(super) fn default_auth(provider: &str, secret: bool) -> ClientAuth {
    match (secret, provider) {
        (false, _) => ClientAuth::None,
        (true, BUILT_IN) => ClientAuth::Post,
        (true, _) => ClientAuth::Basic,
    }
}

/// Reads one section; knows where it stands, for complaints.
pub(super) struct Reader<'a> {
    pub(super) path: &'a Path,
    pub(super) name: &'a str,
}

impl Reader<'_> {
    /// Lays what the section says over the provider.
    ///
    /// # Errors
    /// [`Failure::Configuration`], naming the setting and its place.
    pub(super) fn apply(&self, section: Section, provider: &mut Provider, warnings: &mut Vec<String>) -> Result<()> {
        let secret = self.secret(&section, warnings)?;
        let auth = section.client_auth.unwrap_or_else(|| default_auth(self.name, secret.is_some()));
        if let Some((key, why, cure)) = extras::unusable(&section, auth) {
            return Err(self.wrong(&key, &why, cure));
        }
        let replace_url = |key: &str, text: Option<String>, slot: &mut Option<Url>| match text {
            Some(text) => self.url(key, &text).map(|url| *slot = Some(url)),
            None => Ok(()),
        };
        replace_url("authorize_url", section.authorize_url, &mut provider.authorize_url)?;
        replace_url("token_url", section.token_url, &mut provider.token_url)?;
        replace_url("device_url", section.device_url, &mut provider.device_url)?;
        replace_url("revoke_url", section.revoke_url, &mut provider.revoke_url)?;
        replace_url("api_url", section.api_url, &mut provider.api.url)?;
        if let Some(issuer) = section.issuer {
            self.url("issuer", &issuer)?;
            // Compared letter by letter (RFC 9207, section 2.4), so kept as it was written.
            provider.issuer = Some(issuer);
        }
        if let Some(uri) = section.redirect_uri {
            provider.redirect_uri = Setting { value: uri, origin: self.origin("redirect_uri") };
        }
        match section.client_id {
            Some(id) if id.is_empty() => return Err(self.wrong("client_id", "is empty", "write the registered one")),
            Some(id) => {
                if let Some(why) = expected::no_client_id(&id) {
                    return Err(self.wrong("client_id", why, "write the registered one"));
                }
                if auth == ClientAuth::None && secret.is_some() {
                    let why = "is none, but there is a client secret";
                    return Err(self.wrong(
                        "client_auth",
                        why,
                        "remove one of the two; a secret goes by basic or post",
                    ));
                }
                if auth != ClientAuth::None && secret.is_none() && self.name != BUILT_IN {
                    let why = format!("is {}, but there is no client secret", auth.as_str());
                    return Err(self.wrong("client_auth", &why, "write a `client_secret` or `client_secret_file`"));
                }
                let id = Setting { value: id, origin: self.origin("client_id") };
                provider.client = Some(Client { id, secret, auth });
            }
            None if secret.is_some() => {
                return Err(self.wrong("client_secret", "stands without a `client_id`", "write the `client_id` too"));
            }
            None => {}
        }
        let replace = |new: Option<_>, slot: &mut BTreeMap<String, String>| {
            if let Some(new) = new {
                *slot = new;
            }
        };
        replace(section.authorize_params, &mut provider.authorize_params);
        replace(section.code_params, &mut provider.code.params);
        replace(section.code_headers, &mut provider.code.headers);
        replace(section.refresh_params, &mut provider.refresh.params);
        replace(section.refresh_headers, &mut provider.refresh.headers);
        provider.api.speak(section.dialect.unwrap_or(provider.api.dialect));
        section.api_headers.iter().flatten().for_each(|(name, value)| provider.api.set_header(name, value));
        provider.revoke_replaced = section.revoke_replaced;
        provider.scopes = section.scopes.unwrap_or_else(|| std::mem::take(&mut provider.scopes));
        provider.code.encoding = section.code_request.unwrap_or(provider.code.encoding);
        provider.refresh.encoding = section.refresh_request.unwrap_or(provider.refresh.encoding);
        provider.api.model = section.model.filter(|model| !model.is_empty());
        if section.max_tokens == Some(0) {
            return Err(self.wrong("max_tokens", "is 0", "write how long an answer may be, in tokens"));
        }
        provider.api.max_tokens = section.max_tokens;
        Ok(())
    }

    fn secret(&self, section: &Section, warnings: &mut Vec<String>) -> Result<Option<ClientSecret>> {
        if let Some(file) = &section.client_secret_file {
            if section.client_secret.is_some() {
                let why = "stands beside `client_secret_file`";
                return Err(self.wrong("client_secret", why, "keep one of the two"));
            }
            let path = self.path.parent().map_or_else(|| file.clone(), |folder| folder.join(file));
            let text = fs::read_to_string(&path).map_err(|error| {
                let why = format!("names {}, which cannot be read: {error}", path.display());
                let cure = match error.kind() {
                    io::ErrorKind::NotFound => "create it, with the secret and nothing else in it",
                    _ => "make the file readable",
                };
                self.wrong("client_secret_file", &why, cure)
            })?;
            warn_if_readable(&path, warnings);
            return Ok(Some(ClientSecret::new(text.trim_end_matches(['\r', '\n']).to_owned())));
        }
        let Some(secret) = &section.client_secret else { return Ok(None) };
        warn_if_readable(self.path, warnings);
        Ok(Some(ClientSecret::new(secret.expose().to_owned())))
    }

    fn url(&self, key: &str, text: &str) -> Result<Url> {
        endpoint_url(text).map_err(|why| self.wrong(key, &why, "write it as `https://...`"))
    }

    fn wrong(&self, key: &str, why: &str, cure: &str) -> Failure {
        Failure::Configuration { sentence: format!("{} {why}", self.origin(key)), cure: cure.into() }
    }

    fn origin(&self, key: &str) -> Origin {
        Origin::File(self.path.to_owned(), format!("provider.{}.{key}", self.name))
    }
}

/// A secret that others may read is no secret.
pub(super) fn warn_if_readable(path: &Path, warnings: &mut Vec<String>) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        if fs::metadata(path).is_ok_and(|found| found.permissions().mode() & 0o077 != 0) {
            let path = path.display();
            warnings.push(format!("{path} holds a secret and others may read it: run `chmod 600 {path}`"));
        }
    }
    #[cfg(not(unix))]
    let _ = (path, warnings);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::config::load;
    use crate::cli::config::tests::{configured, provider};
    use nexus::internal::provider::Encoding;

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
        let headers =
            [("anthropic-version", "2023-06-01"), ("e", "5")].map(|(name, value)| (name.into(), value.into()));
        assert_eq!(provider.api.headers, BTreeMap::from(headers));
        assert_eq!((provider.api.model.as_deref(), provider.api.max_tokens), (Some("m"), Some(8192)));
        assert!(provider.device_url.is_some() && provider.revoke_url.is_some());
        assert_eq!(provider.revoke_replaced, Some(true));
        assert!(!provider.code.with_state);
    }

    #[test]
    fn api_headers_are_added_to_those_of_the_dialect_and_empty_ones_go() {
        let headers = |lines: &str| {
            let headers = provider(&format!("[provider.claude_code]\n{lines}"), &[]).api.headers;
            headers.into_iter().map(|(name, value)| format!("{name}: {value}")).collect::<Vec<_>>()
        };
        let (version, beta) = ("anthropic-version: 2023-06-01", "anthropic-beta: oauth-2025-04-20");
        assert_eq!(headers(""), [beta, version]);
        assert_eq!(headers("api_headers = { x-bf-vk = 'k' }"), [beta, version, "x-bf-vk: k"]);
        assert_eq!(headers("api_headers = { Anthropic-Beta = '' }"), [version]);
        assert_eq!(headers("api_headers = { Anthropic-Version = '2' }"), ["Anthropic-Version: 2", beta]);
        assert_eq!(headers("dialect = 'anthropic'"), [beta, version]);
        assert_eq!(headers("dialect = 'openai'"), [""; 0]);
        let own = "dialect = 'openai'\napi_headers = { anthropic-version = '2023-06-01' }";
        assert_eq!(headers(own), [version]);
    }

    #[test]
    fn what_gateways_want_in_headers_beside_the_token_is_sent() {
        let lines = "[provider.claude_code]\nclient_id = 'c'\ncode_headers = { Authorization = 'Bearer gate' }\n\
                     api_headers = { X-Api-Key = 'a', Proxy-Authorization = 'b', Ocp-Apim-Subscription-Key = 'c', \
                     User-Agent = 'd', x-litellm-api-key = 'e', cf-aig-authorization = 'f' }";
        let provider = provider(lines, &[]);
        assert_eq!(provider.api.headers.len(), 8);
        assert_eq!(provider.code.headers["Authorization"], "Bearer gate", "a public client leaves that one free");
    }

    #[test]
    fn complaints_name_the_setting_and_its_place() {
        for (toml, said) in [
            ("defualt = 'x'", "FILE has an unknown key `defualt` at the top | did you mean `default`?"),
            (
                "[provider.w]\ntoken_ulr = 'x'",
                "FILE has an unknown key `token_ulr` in [provider.w] | did you mean `token_url`?",
            ),
            (
                "[provider.w]\nmax_tokens = 'x'",
                "`provider.w.max_tokens` in FILE, line 2, must be a whole number from 1 to 4294967295, without quotes | mend \
                 that line",
            ),
            (
                "[provider.w]\nmax_tokens = 8k",
                "`max_tokens` in FILE, line 2, must be a whole number from 1 to 4294967295, without quotes | mend that line",
            ),
            (
                "[provider.w]\nscopes = 'a b'",
                "`provider.w.scopes` in FILE, line 2, must be a list of texts in quotes: [\"one\", \"two\"] | mend that line",
            ),
            (
                "[provider.w]\napi_headers = { a = 1 }",
                "`provider.w.api_headers` in FILE, line 2, must be a table of texts in quotes: { name = \"value\" } | mend \
                 that line",
            ),
            (
                "[provider.w]\nrevoke_replaced = yes",
                "`revoke_replaced` in FILE, line 2, must be true or false, without quotes | mend that line",
            ),
            (
                "[provider.w]\ndialect = 'antropic'",
                "`provider.w.dialect` in FILE, line 2, must be one of \"anthropic\", \"openai\" | did you mean `anthropic`?",
            ),
            ("provider.w = 3", "`provider.w` in FILE, line 1, must be a section: [provider.NAME] | mend that line"),
            ("default = 3", "`default` in FILE, line 1, must be text in quotes | mend that line"),
            (
                "default = 'w'\n[provider.w]\ntoken_url = 'id.example.com/token'",
                "`provider.w.token_url` in FILE does not begin with `https://` | write it as `https://...`",
            ),
            (
                "default = 'w'\n[provider.w]\nclient_id = '<your client>'",
                "`provider.w.client_id` in FILE is a placeholder | write the registered one",
            ),
            (
                "default = 'w'\n[provider.w]\nclient_id = 'c '",
                "`provider.w.client_id` in FILE has white space around it, or a line's end in it | write the registered one",
            ),
            (
                "default = 'w'\n[provider.w]\nclient_id = 'c'\nclient_secret_file = '/none/secret'",
                "`provider.w.client_secret_file` in FILE names /none/secret, which cannot be read: No such file or \
                 directory (os error 2) | create it, with the secret and nothing else in it",
            ),
            (
                "default = 'w'\n[provider.w]\ntoken_url = 'http://id.example.com/'",
                "`provider.w.token_url` in FILE is http, which nexus speaks on loopback only; use https | write it as \
                 `https://...`",
            ),
            (
                "default = 'w'\n[provider.w]\nclient_id = ''",
                "`provider.w.client_id` in FILE is empty | write the registered one",
            ),
            (
                "default = 'w'\n[provider.w]\nclient_secret = 'x'",
                "`provider.w.client_secret` in FILE stands without a `client_id` | write the `client_id` too",
            ),
            (
                "default = 'w'\n[provider.w]\nclient_id = 'x'\nclient_auth = 'basic'",
                "`provider.w.client_auth` in FILE is basic, but there is no client secret | write a `client_secret` or \
                 `client_secret_file`",
            ),
            (
                "default = 'w'\n[provider.w]\nauthorize_params = { audience = 'x', state = 'y' }",
                "`provider.w.authorize_params.state` in FILE is set by nexus itself, as the protocol wants it | remove \
                 it",
            ),
            (
                "default = 'w'\n[provider.w]\nauthorize_params = { scope = 'x' }",
                "`provider.w.authorize_params.scope` in FILE stands beside `scopes`, which says the same | write it in \
                 `scopes`",
            ),
            (
                "default = 'w'\n[provider.w]\ncode_params = { code_verifier = 'x' }",
                "`provider.w.code_params.code_verifier` in FILE is set by nexus itself, as the protocol wants it | \
                 remove it",
            ),
            (
                "default = 'w'\n[provider.w]\nrefresh_params = { scope = 's', grant_type = 'x' }",
                "`provider.w.refresh_params.grant_type` in FILE is set by nexus itself, as the protocol wants it | \
                 remove it",
            ),
            (
                "default = 'w'\n[provider.w]\napi_headers = { 'x key' = 'v' }",
                "`provider.w.api_headers.x key` in FILE is no header's name, which is letters, digits and hyphens | \
                 mend or remove it",
            ),
            (
                "default = 'w'\n[provider.w]\ncode_headers = { x-key = \"one\\ntwo\" }",
                "`provider.w.code_headers.x-key` in FILE has characters that no header can carry | mend or remove it",
            ),
            (
                "default = 'w'\n[provider.w]\nrefresh_headers = { Content-Type = 'text/plain' }",
                "`provider.w.refresh_headers.Content-Type` in FILE is set by nexus itself | remove it",
            ),
            (
                "default = 'w'\n[provider.w]\napi_headers = { Authorization = 'Bearer x' }",
                "`provider.w.api_headers.Authorization` in FILE is where nexus itself signs in | remove it; a gateway's own \
                 key goes into another header",
            ),
            (
                "default = 'w'\n[provider.w]\napi_headers = { accept = '*/*' }",
                "`provider.w.api_headers.accept` in FILE is set by nexus itself | remove it",
            ),
            (
                "default = 'w'\n[provider.w]\nclient_id = 'c'\nclient_secret = 's'\ncode_headers = { authorization = 'x' }",
                "`provider.w.code_headers.authorization` in FILE is where nexus itself signs in | remove it; a gateway's own \
                 key goes into another header",
            ),
            (
                "default = 'w'\n[provider.w]\nclient_id = 'c'\nclient_secret = 's'\nclient_auth = 'none'",
                "`provider.w.client_auth` in FILE is none, but there is a client secret | remove one of the two; a secret \
                 goes by basic or post",
            ),
            (
                "default = 'w'\n[provider.w]\nmax_tokens = 0",
                "`provider.w.max_tokens` in FILE is 0 | write how long an answer may be, in tokens",
            ),
            (
                "key = 'cloud'",
                "`key` in FILE, line 1, must be one of \"file\", \"keyring\", \"passphrase\" | mend that line",
            ),
            (
                "key = 'passphrase'",
                "`key` in FILE is passphrase, but nothing says where the passphrase comes from | write \
                 `passphrase_file = \"...\"` or `passphrase_command = \"...\"` beside it",
            ),
            (
                "passphrase_file = 'a'\npassphrase_command = 'b'",
                "`passphrase_file` in FILE stands beside `passphrase_command` | keep one of the two",
            ),
            ("passphrase_command = ' '", "`passphrase_command` in FILE is empty | write a program and its arguments"),
            (
                "passphrase = 'hush'",
                "FILE has an unknown key `passphrase` at the top | did you mean `passphrase_file`?",
            ),
            (
                "default = 'gone'\n[provider.w]",
                "no provider is called `gone`; known are: claude_code, w | write a section [provider.gone] in FILE",
            ),
            (
                "default = 'wrok'\n[provider.work]",
                "no provider is called `wrok`; known are: claude_code, work | did you mean `work`? If not, write a section \
                 [provider.wrok] in FILE",
            ),
            (
                "default = 'claude-code'",
                "no provider is called `claude-code`; known are: claude_code | did you mean `claude_code`? If not, write a \
                 section [provider.claude-code] in FILE",
            ),
        ] {
            assert_eq!(configured(toml, &[], None).err().as_deref(), Some(said), "{toml}");
        }
    }

    #[test]
    fn no_complaint_quotes_a_secret() {
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
}
