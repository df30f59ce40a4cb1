//! Which proxy a request goes through. There is one reading of the proxy settings, so that messages name the proxy that
//! is used.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::Uri;
use hyper::header::HeaderValue;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use percent_encoding::percent_decode_str;
use url::{ParseError, Position};

use super::error::{HttpError, Result};
use crate::invisible;
use crate::provider::{self, Url};

/// Reads an environment variable. `None` if it is not set or empty.
pub(crate) type Variable = fn(&'static str) -> Option<String>;

/// The proxy settings.
pub(super) enum Proxies {
    /// A variable names the proxy. It is an error only for requests that do not bypass it.
    Variable { proxy: Result<Proxy>, exempt: String },
    /// The settings of the system: the proxy variables, or those of macOS and Windows.
    System(Box<Matcher>),
}

/// A proxy.
#[derive(Clone)]
pub(super) struct Proxy {
    pub(super) protocol: Protocol,
    /// An IPv6 address is in brackets.
    pub(super) host: String,
    pub(super) port: u16,
    /// User name and password for SOCKS.
    pub(super) login: Option<(String, String)>,
    /// `Proxy-Authorization` for CONNECT.
    pub(super) authorization: Option<HeaderValue>,
    /// The environment variable that names the proxy.
    pub(super) variable: Option<&'static str>,
}

/// How a proxy is asked to connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Http,
    /// CONNECT inside TLS.
    Https,
    /// SOCKS 4. The name is resolved here.
    Socks4,
    /// SOCKS 4a. The proxy resolves the name.
    Socks4a,
    /// SOCKS 5 (RFC 1928). The name is resolved here.
    Socks5,
    /// SOCKS 5. The proxy resolves the name.
    Socks5h,
}

impl Protocol {
    /// The schemes of curl.
    fn from_scheme(scheme: &str) -> Option<Self> {
        Some(match scheme {
            "http" => Self::Http,
            "https" => Self::Https,
            "socks" | "socks4" => Self::Socks4,
            "socks4a" => Self::Socks4a,
            "socks5" => Self::Socks5,
            "socks5h" => Self::Socks5h,
            _ => return None,
        })
    }

    /// The scheme of its URL.
    pub(super) fn scheme(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Socks4 => "socks4",
            Self::Socks4a => "socks4a",
            Self::Socks5 => "socks5",
            Self::Socks5h => "socks5h",
        }
    }

    fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
            _ => 1080,
        }
    }
}

impl Proxies {
    /// Reads the variables in curl's order. Without a reader, and if no variable names a proxy, the settings of the
    /// system apply.
    pub(super) fn read(variable: Option<Variable>) -> Self {
        let first = |names: &[&'static str]| {
            names.iter().find_map(|name| {
                let value = invisible::trim(&variable?(name)?).to_owned();
                Some((*name, value)).filter(|(_, value)| !value.is_empty())
            })
        };
        match first(&["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]) {
            Some((name, value)) => Self::Variable {
                proxy: Proxy::parse(name, &value),
                exempt: first(&["no_proxy", "NO_PROXY"]).map(|(_, names)| names).unwrap_or_default(),
            },
            None => Self::System(Box::new(Matcher::from_system())),
        }
    }

    /// The proxy for a URL.
    pub(super) fn for_url(&self, url: &Url) -> Result<Option<Proxy>> {
        if provider::is_loopback(url) {
            return Ok(None);
        }
        let Ok(uri) = without_final_dot(url).as_str().parse::<Uri>() else { return Ok(None) };
        match self {
            Self::Variable { exempt, .. } if is_exempt(&uri, exempt) => Ok(None),
            Self::Variable { proxy, .. } => proxy.clone().map(Some),
            Self::System(matcher) => Ok(matcher.intercept(&uri).and_then(|found| Proxy::of_system(&found))),
        }
    }
}

impl Proxy {
    fn parse(variable: &'static str, value: &str) -> Result<Self> {
        let unusable = |reason: String| HttpError::UnusableProxy { variable: variable.into(), reason };
        let with_scheme = if value.contains("://") { value.to_owned() } else { format!("http://{value}") };
        // A password may hold anything, so the port is looked for behind it.
        let address = with_scheme.rsplit(['@', '/']).find(|part| !part.is_empty()).unwrap_or_default();
        let has_port = address.matches(':').count() == 1;
        if has_port && Url::parse(&format!("http://{address}")) == Err(ParseError::InvalidPort) {
            return Err(unusable("the port is not a number from 0 to 65535".into()));
        }
        let url = Url::parse(&with_scheme).ok().filter(|url| url.host_str().is_some_and(|host| !host.is_empty()));
        // A special character ends the host and the port, so that a part of the password would be looked up and told.
        let cut = url.as_ref().map_or(value, |url| &url[Position::BeforePath..]).contains('@');
        if cut {
            return Err(unusable(
                "special characters of the password must be percent-encoded, such as %23 for #".into(),
            ));
        }
        let url = url.ok_or_else(|| unusable("not a proxy URL".into()))?;
        let protocol = Protocol::from_scheme(url.scheme())
            .ok_or_else(|| unusable(format!("{} proxies are not supported", url.scheme())))?;
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let login = Some((decoded(url.username()), decoded(url.password().unwrap_or_default())));
        let login = login.filter(|(user, password)| !(user.is_empty() && password.is_empty()));
        Ok(Self {
            protocol,
            host: url.host_str().unwrap_or_default().to_owned(),
            port: url.port().unwrap_or(protocol.default_port()),
            authorization: login.as_ref().and_then(|(user, password)| basic(user, password)),
            login,
            variable: Some(variable),
        })
    }

    fn of_system(found: &Intercept) -> Option<Self> {
        let uri = found.uri();
        let protocol = Protocol::from_scheme(uri.scheme_str()?)?;
        Some(Self {
            protocol,
            host: uri.host()?.to_owned(),
            port: uri.port_u16().unwrap_or(protocol.default_port()),
            login: found.raw_auth().map(|(user, password)| (user.to_owned(), password.to_owned())),
            authorization: found.basic_auth().cloned(),
            variable: None,
        })
    }

    /// Host and port, for messages.
    pub(super) fn name(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    pub(super) fn is_tls(&self) -> bool {
        self.protocol == Protocol::Https
    }

    pub(super) fn has_password(&self) -> bool {
        self.login.is_some() || self.authorization.is_some()
    }
}

/// HTTP Basic (RFC 7617), not form-encoded as for OAuth.
fn basic(user: &str, password: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Whether `NO_PROXY` lists a server: by name, by a parent domain, by address or network, or as `*`. Entries are
/// separated by commas or white space. An entry with a port is for that port only.
fn is_exempt(server: &Uri, list: &str) -> bool {
    let port = server.port_u16().unwrap_or(443);
    let entries = list.split(|c: char| c == ',' || c.is_whitespace()).map(invisible::trim).filter_map(|entry| {
        let entry = entry.strip_suffix('.').unwrap_or(entry);
        match entry.rsplit_once(':') {
            // The colons of an IPv6 address are part of it, unless it is in brackets.
            Some((host, named)) if !host.contains(':') || host.ends_with(']') => match named.parse::<u16>() {
                Ok(named) => Some(without_brackets(host)).filter(|_| named == port),
                Err(_) => Some(entry),
            },
            _ => Some(without_brackets(entry)),
        }
    });
    let exempt = entries.collect::<Vec<_>>().join(",");
    Matcher::builder().all("http://proxy").no(exempt).build().intercept(server).is_none()
}

fn without_brackets(host: &str) -> &str {
    host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host)
}

/// A name with a final dot is the same name (RFC 1034, section 3.1).
fn without_final_dot(url: &Url) -> Url {
    let mut plain = url.clone();
    if let Some(host) = url.host_str().and_then(|host| host.strip_suffix('.')) {
        // A host that is a valid one stays as it is.
        let _ = plain.set_host(Some(host));
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(variable: Variable, url: &str) -> Option<String> {
        let proxy = Proxies::read(Some(variable)).for_url(&Url::parse(url).unwrap()).unwrap()?;
        Some(format!("{:?} {}", proxy.protocol, proxy.name()))
    }

    #[test]
    fn variables_are_read_in_the_order_of_curl_and_without_what_is_invisible_at_their_ends() {
        fn environment(name: &'static str) -> Option<String> {
            let value = match name {
                "https_proxy" => "\u{feff} ada:hush@proxy.example.com:3128\r\n",
                "HTTPS_PROXY" | "ALL_PROXY" => "http://other.example.com",
                "NO_PROXY" => " example.org, 10.0.0.0/8 ported.example:8443\u{feff}",
                _ => return None,
            };
            Some(value.to_owned())
        }
        for (url, proxy) in [
            ("https://llm.example.com/", Some("Http proxy.example.com:3128")),
            ("https://example.org/", None),
            ("https://id.example.org./", None),
            ("https://notexample.org/", Some("Http proxy.example.com:3128")),
            ("https://10.1.2.3/", None),
            ("https://ported.example:8443/", None),
            ("https://ported.example/", Some("Http proxy.example.com:3128")),
            ("https://localhost/", None),
            ("https://llm.localhost/", None),
        ] {
            assert_eq!(found(environment, url).as_deref(), proxy, "{url}");
        }
    }

    #[test]
    fn a_blank_variable_names_no_proxy() {
        fn environment(name: &'static str) -> Option<String> {
            match name {
                "https_proxy" => Some(" \t".into()),
                "ALL_PROXY" => Some("socks5h://[::1]".into()),
                _ => None,
            }
        }
        assert_eq!(found(environment, "https://id.example.com/").as_deref(), Some("Socks5h [::1]:1080"));
    }

    #[test]
    fn every_form_of_exemption_is_understood() {
        for (list, exempt) in [
            ("*", true),
            ("example.com", true),
            (".example.com", true),
            ("EXAMPLE.com.", true),
            ("one.example other.example\texample.com", true),
            ("id.example.com:443", true),
            ("id.example.com:444", false),
            ("xample.com", false),
            ("", false),
        ] {
            assert_eq!(is_exempt(&"https://id.example.com/".parse().unwrap(), list), exempt, "{list}");
        }
        for (list, exempt) in [("[::1]:8443", true), ("[::1]", true), ("::1", true), ("::/0", true), ("::2", false)] {
            assert_eq!(is_exempt(&"https://[::1]:8443/".parse().unwrap(), list), exempt, "{list}");
        }
    }

    #[test]
    fn a_proxy_has_a_protocol_a_port_and_a_login() {
        for (value, expected) in [
            ("proxy", Some((Protocol::Http, "proxy:80", None))),
            ("HTTPS://proxy", Some((Protocol::Https, "proxy:443", None))),
            ("socks5://a%40b:p%3A%2F@proxy:9", Some((Protocol::Socks5, "proxy:9", Some(("a@b", "p:/"))))),
            ("socks4a://ada@proxy", Some((Protocol::Socks4a, "proxy:1080", Some(("ada", ""))))),
            ("socks://proxy", Some((Protocol::Socks4, "proxy:1080", None))),
            ("http://", None),
            ("ftp://proxy", None),
        ] {
            let parsed = Proxy::parse("https_proxy", value).ok();
            let parsed = parsed.as_ref().map(|proxy| {
                let login = proxy.login.as_ref().map(|(user, password)| (&**user, &**password));
                (proxy.protocol, proxy.name(), login)
            });
            let expected = expected.map(|(protocol, name, login)| (protocol, name.to_owned(), login));
            assert_eq!(parsed, expected, "{value}");
        }
        let proxy = Proxy::parse("https_proxy", "http://Aladdin:open%20sesame@proxy").unwrap();
        assert_eq!(proxy.authorization.unwrap(), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    }
}
